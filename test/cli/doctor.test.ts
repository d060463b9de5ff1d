// `holdfast doctor`: says what is wrong and what it would do, as text and as JSON; with --repair, what it did.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { openAudit } from '../../src/audit.js'
import { createFileDisk } from '../../src/files/disk.js'
import { systemClock } from '../../src/system/clock.js'
import { envelopeIn, envelopesIn, holdfast, newFolder } from './command.js'
import { count, footprint, openCounters } from './directory.js'

let dir: string
beforeEach(async () => {
  dir = newFolder()
  await using runtime = await openCounters(dir)
  await count(runtime, 'apple', 2)
})

const doctor = (...args: string[]) => holdfast(['doctor', '--dir', dir, ...args])

test('nothing is wrong: 0, and nothing on stdout', async () => {
  expect(await doctor()).toEqual({ code: 0, stdout: '', stderr: '1 session: nothing is wrong\n' })
  const ended = await doctor('-o', 'json')
  expect(ended.code).toBe(0)
  expect(envelopeIn(ended).data).toEqual({ dir, healthy: true, sessions: 1, findings: [] })
})

test('the head of the audit log is told, and asked for again later', async () => {
  const audit = openAudit(createFileDisk(dir), systemClock)
  const { n, hash } = await audit.append({ actor: 'root', action: 'cancel', session: 'apple' })
  await audit.close()
  expect((await doctor()).stderr).toContain(`--audit-head: 1:${hash}\n`)
  expect((await doctor('--audit-head', `${n}:${hash}`)).code).toBe(0)
  const other = await doctor('--audit-head', `${n}:${'0'.repeat(64)}`)
  expect(other).toMatchObject({ code: 1, stdout: expect.stringContaining('(audit.unexpected)') })
  expect((await doctor('--audit-head', 'yesterday')).code).toBe(2)
})

test('something is: 1, what it is, what would be done; nothing changes until --repair is given', async () => {
  const index = join(dir, 'index.jsonl')
  writeFileSync(index, `${readFileSync(index, 'utf8')}more`)
  appendFileSync(join(dir, 'journal/00000001.jsonl'), 'torn')
  const before = footprint(dir)
  const { code, stdout, stderr } = await doctor()
  expect(code).toBe(1)
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^note: journal\/00000001\.jsonl is torn at offset \d+.*\(journal\.torn\)$/),
    expect.stringMatching(/^ {2}with --repair: the journal is opened as its writer does/),
    expect.stringMatching(/^problem: index\.jsonl is damaged: .*\(index\.damaged\)$/),
    '  with --repair: index.jsonl is written anew from the journal',
    '',
  ])
  expect(stderr).toBe(
    `1 session: 1 problem\n  holdfast doctor --repair --dir ${dir} does what is said here; keep a copy before that\n`,
  )
  const ended = await doctor('-o', 'jsonl')
  expect(ended.code).toBe(1)
  expect(envelopesIn(ended).map(({ data }) => data.code)).toEqual(['journal.torn', 'index.damaged'])
  expect(footprint(dir)).toEqual(before)
  const repaired = await doctor('--repair')
  expect(repaired.code).toBe(0)
  expect(repaired.stdout).toContain('\n  done: index.jsonl is written anew from the journal\n')
  expect(repaired.stderr).toBe('1 session: nothing is wrong\n')
  expect((await doctor()).code).toBe(0)
})

test('a repair beside the owner is refused with 6, a directory that is not there with 3', async () => {
  await using _ = await openCounters(dir)
  const failed = await doctor('--repair', '-o', 'json')
  expect(failed.code).toBe(6)
  expect(envelopeIn(failed).error.code).toBe('DIRECTORY_LOCKED')
  expect((await holdfast(['doctor', '--dir', join(dir, 'none')])).code).toBe(3)
})
