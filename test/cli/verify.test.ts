// `holdfast verify`: the kinds of a module against a directory; 0 when nothing would differ, 1 when something would.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { envelopeIn, envelopesIn, holdfast, newFolder } from './command.js'
import { count, footprint, openCounters } from './directory.js'

const fixture = (name: string): string => join(import.meta.dirname, `../fixtures/${name}.js`)
let dir: string
beforeEach(async () => {
  dir = newFolder()
  await using runtime = await openCounters(dir)
  await count(runtime, 'apple', 2)
})

const verify = (...args: string[]) => holdfast(['verify', '--dir', dir, ...args])

test('nothing would differ: 0', async () => {
  const { code, stdout, stderr } = await verify('--kinds', fixture('counter'))
  expect([code, stdout, stderr]).toEqual([0, '', '1 session, 3 transitions: nothing would differ\n'])
  expect(envelopeIn(await verify('--kinds', fixture('counter'), '-o', 'json')).data).toEqual({
    ...{ sessions: 1, transitions: 3, migrations: 0, unfit: [] },
  })
})

test('something would: 1, which session and where, as text and as JSON; nothing is changed', async () => {
  const before = footprint(dir)
  const { code, stdout, stderr } = await verify('--kinds', fixture('counter-next'))
  expect(code).toBe(1)
  expect(stdout).toBe('apple counter REPLAY_DIFFERS\n  transition 2 (add): context.count was 1, and would be 2\n')
  expect(stderr).toBe('1 session, 3 transitions: 1 would differ, or not be restored\n')
  const json = await verify('--kinds', fixture('counter-next'), '-o', 'json')
  expect(json.code).toBe(1)
  expect(envelopeIn(json).data.unfit).toMatchObject([
    { session: 'apple', difference: { seq: 2, path: 'context.count' } },
  ])
  expect(envelopesIn(await verify('--kinds', fixture('counter-next'), '-o', 'jsonl'))).toHaveLength(1)
  expect(footprint(dir)).toEqual(before)
})

test('a module that is none, or has no kind, is a wrong usage', async () => {
  const none = join(newFolder(), 'none.mjs')
  writeFileSync(none, 'export const kind = 1\n')
  for (const module of [none, './is-not-there.js']) {
    const failed = await verify('--kinds', module, '-o', 'json')
    expect(failed.code).toBe(2)
    expect(envelopeIn(failed).error.code).toBe('INVALID_ARGUMENT')
  }
  expect((await verify()).code).toBe(2)
})
