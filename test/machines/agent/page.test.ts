// docs/agent.md against the tests: each promise of the original names tests that are there, by their titles.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../../..')
const page = readFileSync(join(ROOT, 'docs/agent.md'), 'utf8')
const rows = page
  .slice(page.indexOf('## What the original promises'))
  .split('\n')
  .filter((line) => line.startsWith('| '))

test('every promise of the original has a test, which has that title', () => {
  const promises = rows.filter((row) => !/^\| (promise|---|\*\*)/.test(row))
  expect(promises.length).toBeGreaterThan(25)
  for (const row of promises) {
    const cell = row.split('|').at(-2)?.trim() ?? ''
    const named = [...cell.matchAll(/`(test\/[\w./-]+)`(?:: (.+?))?(?=; `test\/|$)/g)]
    expect(named, row).not.toEqual([])
    for (const [, file = '', title] of named) {
      expect(existsSync(join(ROOT, file)), row).toBe(true)
      if (title) expect(readFileSync(join(ROOT, file), 'utf8'), row).toContain(`'${title}'`)
    }
  }
})
