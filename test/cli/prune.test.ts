// `holdfast prune`: a dry run beside the owner, and removal when the directory is nobody else's.
import { beforeEach, describe, expect, test } from 'vitest'
import { envelopeIn, envelopesIn, holdfast, newFolder } from './command.js'
import { count, counter, footprint, openCounters } from './directory.js'

let dir: string
beforeEach(async () => {
  dir = newFolder()
  await using runtime = await openCounters(dir)
  for (const id of ['apple', 'banana', 'cherry']) await count(runtime, id, 2)
  for (const id of ['apple', 'banana']) await runtime.session(id, counter).send({ type: 'finish' })
})

const prune = (...args: string[]) => holdfast(['prune', '--dir', dir, ...args])
const ids = (data: any): string[] => data.sessions.map(({ id }: any) => id)

describe('a dry run', () => {
  test('shows sessions and bytes as text, and changes nothing', async () => {
    const before = footprint(dir)
    const { code, stdout, stderr } = await prune('--older-than', '0s', '--dry-run')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^apple {3}counter {2}finished {2}done {2}\S+ \S+Z\nbanana {2}counter {2}finished/)
    expect(stderr).toMatch(/^2 sessions, \S+ k?B; without --dry-run they are removed\n$/)
    expect(footprint(dir)).toEqual(before)
  })

  test('as JSON, and as a line each', async () => {
    const { data } = envelopeIn(await prune('--older-than', '0s', '--dry-run', '-o', 'json'))
    expect(ids(data)).toEqual(['apple', 'banana'])
    expect(data).toMatchObject({ dryRun: true, bytes: expect.any(Number) })
    expect(data.bytes).toBeGreaterThan(100)
    const lines = envelopesIn(await prune('--older-than', '0s', '--dry-run', '-o', 'jsonl'))
    expect(lines.map(({ data }) => data.id)).toEqual(['apple', 'banana'])
  })

  test('nothing that is old enough', async () => {
    const { data } = envelopeIn(await prune('--older-than', '30d', '--dry-run', '-o', 'json'))
    expect(data).toEqual({ sessions: [], bytes: 0, dryRun: true })
  })

  test('works beside the owner; removing does not', async () => {
    await using _ = await openCounters(dir)
    expect((await prune('--older-than', '0s', '--dry-run')).code).toBe(0)
    const failed = await prune('--older-than', '0s', '-o', 'json')
    expect(failed.code).toBe(6)
    expect(envelopeIn(failed).error).toMatchObject({ code: 'DIRECTORY_LOCKED', retryable: true })
  })
})

test('what is removed is gone; what is active stays', async () => {
  const { code, stderr } = await prune('--older-than', '0s', '--kind', 'counter', '--status', 'done')
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^removed: 2 sessions, .*B\n$/) })
  const { data } = envelopeIn(await holdfast(['ls', '--all', '--dir', dir, '-o', 'json']))
  expect(ids(data)).toEqual(['cherry'])
  await using runtime = await openCounters(dir)
  expect(runtime.session('cherry', counter).snapshot()).toMatchObject({ seq: 3, context: { count: 2 } })
})

test.each([
  [['--older-than', '30'], 2, 'INVALID_ARGUMENT'],
  [[], 2, 'INVALID_ARGUMENT'],
  [['--older-than', '0s', '--status', 'active'], 2, 'INVALID_ARGUMENT'],
])('what makes no sense is refused: prune %j', async (args, exitCode, code) => {
  const failed = await prune(...args, '-o', 'json')
  expect(failed.code).toBe(exitCode)
  expect(envelopeIn(failed).error.code).toBe(code)
})

test('a directory that is not there is not made', async () => {
  const failed = await holdfast(['prune', '--older-than', '1d', '--dir', `${dir}/none`, '-o', 'json'])
  expect(failed.code).toBe(3)
  expect(envelopeIn(failed).error.code).toBe('DIRECTORY_NOT_FOUND')
})
