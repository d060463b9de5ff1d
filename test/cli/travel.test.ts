// `holdfast history`, `show --at`, `diff` and `fork`: the past of a session, and a new one from it.
import { openRuntime } from 'holdfast'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Ended, envelopeIn, envelopesIn, holdfast, newFolder } from './command.js'
import { count, counter, footprint, openCounters } from './directory.js'

let dir: string
beforeEach(async () => {
  dir = newFolder()
  await using runtime = await openCounters(dir)
  await count(runtime, 'apple', 3)
  await count(runtime, 'banana', 1)
})

const run = (...args: string[]): Promise<Ended> => holdfast([...args, '--dir', dir])
const json = async (...args: string[]): Promise<any> => envelopeIn(await run(...args, '-o', 'json'))

describe('reading the past changes nothing, and', () => {
  test('history lists transitions, all or a range of them', async () => {
    const before = footprint(dir)
    const { code, stdout } = await run('history', 'app')
    expect(code).toBe(0)
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/)[0]),
    ).toEqual(['1', '2', '3', '4'])
    const { data } = await json('history', 'apple', '--from', '2', '--to', '3')
    expect(data.session).toBe('apple')
    expect(data.transitions.map(({ seq }: any) => seq)).toEqual([2, 3])
    const lines = envelopesIn(await run('history', 'apple', '-o', 'jsonl'))
    expect(lines.map((line) => line.data.seq)).toEqual([1, 2, 3, 4])
    const none = await run('history', 'apple', '--from', '9')
    expect([none.code, none.stdout]).toEqual([0, ''])
    expect(none.stderr).toContain('transitions 1 to 4')
    expect(footprint(dir)).toEqual(before)
  })

  test('show --at shows a session as it was', async () => {
    const { data } = await json('show', 'apple', '--at', '2')
    expect(data.session).toMatchObject({ seq: 2, context: { count: 1, seen: ['apple-1'] } })
    expect(data.transitions.map(({ seq }: any) => seq)).toEqual([1, 2])
    const { stdout } = await run('show', 'apple', '--at', '2')
    expect(stdout).toContain('transitions, all 2')
  })

  test('diff tells what changed, in both directions, and nothing when nothing did', async () => {
    const { data } = await json('diff', 'apple', '2', '4')
    expect(data).toMatchObject({ session: 'apple', from: 2, to: 4, value: { before: 'counting', after: 'counting' } })
    expect(data.patch).toEqual([
      [['count'], 3],
      [['seen'], 1, 0, 'apple-2', 'apple-3'],
    ])
    const text = await run('diff', 'apple', '4', '3')
    expect(text.stdout).toBe('context.count    = 2\ncontext.seen[2]  1 removed\n')
    const same = await run('diff', 'apple', '2', '2')
    expect([same.code, same.stdout]).toEqual([0, ''])
    expect(same.stderr).toContain('is the same at 2 and at 2')
  })

  test.each([
    ['show', 'apple', '--at', '5'],
    ['diff', 'apple', '1', '5'],
    ['fork', 'apple', '--at', '5'],
  ])('%s %s %s %s: there is no such transition, exit 3', async (...args) => {
    const ended = await run(...args, '-o', 'json')
    expect([ended.code, envelopeIn(ended).error.code]).toEqual([3, 'TRANSITION_NOT_FOUND'])
    expect(envelopeIn(ended).error.hint).toContain('holdfast history <id>')
  })

  test.each([
    ['show', 'apple', '--at', '0'],
    ['diff', 'apple', '1', 'x'],
    ['diff', 'apple', '1'],
    ['history', 'apple', '--from', '-1'],
  ])('%s %s %s %s is wrong usage, exit 2', async (...args) => {
    expect((await run(...args)).code).toBe(2)
  })
})

describe('fork', () => {
  test('appends one record; the program that has the kind goes on with it', async () => {
    const ended = await run('fork', 'app', '--at', '2', '--id', 'again')
    expect([ended.code, ended.stdout]).toEqual([0, 'again\n'])
    expect(ended.stderr).toContain('forked from apple at 2')
    expect((await run('show', 'again')).stdout).toContain('apple at 2')
    await using runtime = await openRuntime({ dir, kinds: [counter], pool: 'inline' })
    const fork = runtime.session('again', counter)
    expect(fork.entry().origin).toEqual({ session: 'apple', seq: 2 })
    await fork.send({ type: 'add', by: 10, id: 'more' })
    expect(fork.snapshot().context).toEqual({ count: 11, seen: ['apple-1', 'more'] })
    expect(runtime.session('apple').snapshot().seq).toBe(4)
  })

  test('without an id gets a new one, and tells it as JSON', async () => {
    const { data } = await json('fork', 'apple')
    expect(data).toMatchObject({ origin: { session: 'apple', seq: 4 } })
    expect((await json('show', data.session)).data.session.context.count).toBe(3)
  })

  test('to an id that is taken is a conflict; so is a directory that another process has open', async () => {
    const taken = await run('fork', 'apple', '--id', 'banana', '-o', 'json')
    expect([taken.code, envelopeIn(taken).error.code]).toEqual([6, 'SESSION_EXISTS'])
    await using _ = await openCounters(dir)
    const locked = await run('fork', 'apple', '-o', 'json')
    expect([locked.code, envelopeIn(locked).error.code]).toEqual([6, 'DIRECTORY_LOCKED'])
  })

  test('of a session that was over is a conflict', async () => {
    {
      await using runtime = await openCounters(dir)
      await runtime.session('banana', counter).send({ type: 'finish' })
    }
    const ended = await run('fork', 'banana', '-o', 'json')
    expect([ended.code, envelopeIn(ended).error.code]).toEqual([6, 'SESSION_ENDED'])
    expect((await run('fork', 'banana', '--at', '2')).code).toBe(0)
  })
})
