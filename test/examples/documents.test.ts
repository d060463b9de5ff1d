// The example of a document's life prints what it went through.
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'

test('a document keeps what two people wrote at the same time, and ends read-only', () => {
  const script = resolve(import.meta.dirname, '../../examples/documents.js')
  const lines = execFileSync(process.execPath, [script], { encoding: 'utf8', timeout: 600_000 }).trim().split('\n')
  expect(
    lines
      .slice(0, 3)
      .map((line) => line.split(' ').slice(0, 3).join(' '))
      .sort(),
  ).toEqual([...['version 1 -', 'version 2 ada', 'version 3 grace']])
  expect(lines[3]).toBe("NOT_ACCEPTED { state: 'converted', accepted: [ 'finishWorkItem', 'archive' ] }")
  expect(lines.at(-1)).toBe('archived after 4 versions')
})
