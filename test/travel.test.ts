// Time travel: a session at an earlier point, what changed between two, and sessions forked from the past.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { applyPatch, defineSession, openReader, openRuntime, type Runtime, step } from 'holdfast'
import { afterEach, describe, expect, test } from 'vitest'
import { assign, sendTo, setup } from 'xstate'
import { house } from './house.js'

type Work = (input: { n: number }) => Promise<string>

/** Gathers, works on what it has, and gives up after a day. */
const machine = setup({
  types: {
    context: {} as { items: { name: string; by: number }[]; note?: string; results: string[] },
    events: {} as { type: 'add'; name: string } | { type: 'note'; text: string } | { type: 'work' | 'stop' | 'drop' },
  },
  actors: { work: step<Work>('work') },
}).createMachine({
  id: 'm',
  context: { items: [], results: [] },
  initial: 'gathering',
  on: {
    note: { actions: assign({ note: ({ event }) => event.text }) },
    drop: { actions: assign({ items: ({ context }) => context.items.slice(1) }) },
    stop: '.stopped',
  },
  states: {
    gathering: {
      on: {
        add: {
          actions: assign({
            items: ({ context, event }) => [...context.items, { name: event.name, by: context.items.length }],
          }),
        },
        work: 'working',
      },
      after: { 86400000: 'late' },
    },
    working: {
      invoke: {
        src: 'work',
        input: ({ context }) => ({ n: context.items.length }),
        onDone: {
          target: 'gathering',
          actions: assign({ results: ({ context, event }) => [...context.results, event.output] }),
        },
      },
    },
    late: {},
    stopped: { type: 'final' },
  },
})
const gather = defineSession({
  kind: 'gather',
  version: 1,
  machine,
  steps: 'steps',
  index: ({ context }) => ({ items: context.items.length }),
})

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
const newDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-travel-'))
  folders.push(dir)
  return dir
}
const open = (dir: string): Promise<Runtime> => openRuntime({ dir, kinds: [gather], pool: 'inline' })

async function gathered(runtime: Runtime, id: string) {
  const session = await runtime.create(gather, undefined, { id })
  for (const name of ['a', 'b', 'c']) await session.send({ type: 'add', name })
  await session.send({ type: 'note', text: 'three' })
  return session
}

describe('looking back', () => {
  test('at(seq) is what snapshot() was, and history the transitions in between, also after a restart', async () => {
    const dir = newDir()
    const seen: unknown[] = []
    {
      await using runtime = await open(dir)
      const session = await runtime.create(gather, undefined, { id: 's' })
      seen.push(session.snapshot())
      for (const name of ['a', 'b', 'c']) {
        await session.send({ type: 'add', name })
        seen.push(session.snapshot())
      }
      expect(seen.map((_, index) => session.at(index + 1))).toEqual(seen)
    }
    await using runtime = await open(dir)
    const session = runtime.session('s', gather)
    expect(seen.map((_, index) => session.at(index + 1))).toEqual(seen)
    expect([...session.history()].map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    expect([...session.history({ from: 2, to: 3 })].map(({ event }) => event)).toEqual([
      { type: 'add', name: 'a' },
      { type: 'add', name: 'b' },
    ])
    expect([...session.history({ from: 9 })]).toEqual([])
    const reader = openReader({ dir })
    expect(reader.at('s', 2)).toMatchObject({ seq: 2, context: { items: [{ name: 'a', by: 0 }] } })
    expect([...reader.history('s', 2, 3)].map(({ seq }) => seq)).toEqual([2, 3])
    expect(reader.diff('s', 1, 2).patch).toEqual([[['items'], 0, 0, { name: 'a', by: 0 }]])
    reader.close()
  })

  test('diff tells what changed and no more, in both directions', async () => {
    await using runtime = await open(newDir())
    const session = await gathered(runtime, 's')
    await session.send({ type: 'drop' })
    await session.send({ type: 'stop' })
    expect(session.diff(2, 6)).toEqual({
      ...{ session: 's', from: 2, to: 6, value: { before: 'gathering', after: 'gathering' } },
      status: { before: 'active', after: 'active' },
      patch: [
        [['items'], 0, 1, { name: 'b', by: 1 }, { name: 'c', by: 2 }],
        [['note'], 'three'],
      ],
    })
    expect(session.diff(5, 6).patch).toEqual([[['items'], 0, 1]])
    expect(session.diff(6, 5).patch).toEqual([[['items'], 0, 0, { name: 'a', by: 0 }]])
    expect(session.diff(4, 4)).toMatchObject({ patch: undefined })
    expect(session.diff(6, 7)).toMatchObject({
      patch: undefined,
      value: { before: 'gathering', after: 'stopped' },
      status: { before: 'active', after: 'done' },
    })
    for (const [a, b] of [
      [1, 6],
      [6, 1],
      [3, 5],
    ] as const) {
      const { patch } = session.diff(a, b)
      expect(applyPatch(structuredClone(session.at(a).context), patch ?? [])).toEqual(session.at(b).context)
    }
  })

  test.each([0, -1, 6, 1.5, Number.NaN, '2' as never])(
    'there is no transition %s: it is refused, typed',
    async (seq) => {
      await using runtime = await open(newDir())
      const session = await gathered(runtime, 's')
      const code = expect.objectContaining({ code: 'TRANSITION_NOT_FOUND', message: expect.stringContaining('1 to 5') })
      expect(() => session.at(seq)).toThrow(code)
      expect(() => session.diff(1, seq)).toThrow(code)
      await expect(session.fork({ at: seq })).rejects.toThrow(code)
      expect(runtime.sessions.count()).toBe(1)
    },
  )

  test('a range of history is made of numbers', async () => {
    await using runtime = await open(newDir())
    const session = await gathered(runtime, 's')
    expect(() => session.history({ from: Number.NaN })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
  })
})

describe('a fork', () => {
  test('goes on from the past with the state of the past, remembers it, and leaves the source alone', async () => {
    const dir = newDir()
    {
      await using runtime = await open(dir)
      const source = await gathered(runtime, 's')
      const before = source.snapshot()
      const fork = await source.fork({ at: 3, id: 'f' })
      expect(fork.snapshot()).toMatchObject({ id: 'f', seq: 1, value: 'gathering', attributes: { items: 2 } })
      expect(fork.snapshot().context).toEqual(source.at(3).context)
      await fork.send({ type: 'add', name: 'z' })
      expect(fork.snapshot().context.items.map(({ name }) => name)).toEqual(['a', 'b', 'z'])
      expect(source.snapshot()).toEqual(before)
    }
    await using runtime = await open(dir)
    expect(
      runtime
        .session('f', gather)
        .snapshot()
        .context.items.map(({ name }) => name),
    ).toEqual(['a', 'b', 'z'])
    const { sessions } = runtime.sessions.list({ origin: 's' })
    expect(sessions).toMatchObject([{ id: 'f', origin: { session: 's', seq: 3 } }])
    expect(runtime.sessions.count({ origin: 'f' })).toBe(0)
    expect([...runtime.session('f').history()][0]?.event).toEqual({ type: 'holdfast.fork', session: 's', seq: 3 })
    const reader = openReader({ dir })
    expect(reader.state('f').origin).toEqual({ session: 's', seq: 3 })
    reader.close()
  })

  test('without at is of the last transition; a key gives one fork, also after a restart', async () => {
    const dir = newDir()
    const options = { idempotencyKey: 'what if' }
    let id: string
    {
      await using runtime = await open(dir)
      const source = await gathered(runtime, 's')
      const [one, two] = await Promise.all([source.fork(options), source.fork(options)])
      id = one.id
      expect(two.id).toBe(id)
      await source.send({ type: 'drop' })
    }
    await using runtime = await open(dir)
    const source = runtime.session('s', gather)
    expect((await source.fork(options)).id).toBe(id)
    await expect(source.fork({ ...options, at: 2 })).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
    await expect(source.fork({ id: 's' })).rejects.toMatchObject({ code: 'SESSION_EXISTS' })
    expect(runtime.sessions.count()).toBe(2)
  })

  test('keeps the deadlines of pending timers, and its own apart from those of the source', async () => {
    const dir = newDir()
    {
      await using runtime = await open(dir)
      const source = await gathered(runtime, 's')
      const fork = await source.fork({ id: 'f' })
      await fork.send({ type: 'add', name: 'd' })
      await runtime.close()
    }
    const reader = openReader({ dir })
    const [deadline] = reader.at('s', 1).timers
    expect(reader.state('f').timers).toEqual([{ ...deadline, key: '1.0' }])
    reader.close()
  })

  test('starts active steps anew, with keys of their own', async () => {
    const keys: string[] = []
    let release = (): void => {}
    const steps = {
      work: async ({ n }: { n: number }, { idempotencyKey }: { idempotencyKey: string }) => {
        keys.push(idempotencyKey)
        if (keys.length === 1) await new Promise<void>((resolve) => (release = resolve))
        return `did ${n}`
      },
    }
    await using runtime = await house([gather], steps).open()
    const source = await gathered(runtime, 's')
    await source.send({ type: 'work' })
    const fork = await source.fork({ id: 'f' })
    expect(fork.at(1).steps).toHaveLength(1)
    const done = await fork.until(({ value }) => value === 'gathering')
    expect(done.context.results).toEqual(['did 3'])
    expect(source.snapshot()).toMatchObject({ value: 'working', context: { results: [] } })
    release()
    await source.until(({ value }) => value === 'gathering')
    expect(keys.map((key) => key.split('.')[0])).toEqual(['s', 'f'])
  })

  test('of a session that had ended there is refused, and of one that has ended since is not', async () => {
    await using runtime = await open(newDir())
    const source = await gathered(runtime, 's')
    await source.send({ type: 'stop' })
    await expect(source.fork()).rejects.toMatchObject({ code: 'SESSION_ENDED', details: { seq: 6 } })
    const fork = await source.fork({ at: 5 })
    expect(fork.snapshot()).toMatchObject({ status: 'active', context: { note: 'three' } })
  })

  test('of any point, given the events that came after it, becomes what the source has become', async () => {
    await using runtime = await open(newDir())
    const source = await gathered(runtime, 's')
    for (const event of [{ type: 'drop' }, { type: 'add', name: 'd' }, { type: 'note', text: 'x' }] as const) {
      await source.send(event)
    }
    const { value, context, attributes } = source.snapshot()
    for (const { seq } of source.history()) {
      const fork = await source.fork({ at: seq })
      for (const { event } of source.history({ from: seq + 1 })) await fork.send(event as never)
      expect(fork.snapshot()).toMatchObject({ value, context, attributes, seq: source.snapshot().seq - seq + 1 })
    }
  })

  test('outlives its source', async () => {
    await using runtime = await open(newDir())
    const source = await gathered(runtime, 's')
    const fork = await source.fork({ at: 2 })
    await source.delete()
    await fork.send({ type: 'add', name: 'z' })
    expect(fork.snapshot().context.items).toHaveLength(2)
    expect(runtime.sessions.list({ origin: 's' }).sessions).toHaveLength(1)
  })

  test('of a session with active child sessions is refused, or begins them anew on request', async () => {
    const child = setup({ types: { input: {} as { from: number }, context: {} as { count: number } } }).createMachine({
      context: ({ input }) => ({ count: input.from }),
      on: { add: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
    })
    const parent = setup({ actors: { child } }).createMachine({
      initial: 'alone',
      states: {
        alone: { on: { begin: 'together' } },
        together: {
          invoke: { src: 'child', id: 'c', input: { from: 5 } },
          on: { add: { actions: sendTo('c', { type: 'add' }) }, leave: 'alone' },
        },
      },
    })
    const kind = defineSession({ kind: 'parent', version: 1, machine: parent })
    await using runtime = await house([kind]).open()
    const source = await runtime.create(kind, undefined, { id: 's' })
    await source.send({ type: 'begin' })
    await source.send({ type: 'add' })
    const [own] = runtime.sessions.list({ parent: 's' }).sessions
    await runtime.session(own?.id as string).until(({ context }) => (context as { count: number }).count === 6)
    await expect(source.fork()).rejects.toMatchObject({ code: 'FORK_HAS_CHILDREN', details: { children: ['c'] } })
    await source.fork({ at: 1, id: 'before' })
    await source.fork({ id: 'f', children: 'restart' })
    // Its child begins once the first record of the fork is durable.
    while (runtime.sessions.count({ parent: 'f' }) === 0) await new Promise((resolve) => setImmediate(resolve))
    const anew = runtime.sessions.list({ parent: 'f' }).sessions
    expect(anew).toMatchObject([{ kind: 'parent.child', status: 'active' }])
    expect(anew[0]?.id).not.toBe(own?.id)
    expect(runtime.session(anew[0]?.id as string).snapshot().context).toEqual({ count: 5 })
    await runtime.session('f', kind).send({ type: 'add' })
    await runtime.session(anew[0]?.id as string).until(({ context }) => (context as { count: number }).count === 6)
  })

  test('whose state no longer fits the machine is refused, and nothing is there', async () => {
    const at = house([gather])
    {
      await using runtime = await at.open()
      await gathered(runtime, 's')
    }
    const renamed = setup({}).createMachine({ id: 'm', initial: 'collecting', states: { collecting: {} } })
    await using runtime = await house(
      [defineSession({ kind: 'gather', version: 1, machine: renamed })],
      {},
      at.disk,
    ).open()
    await expect(runtime.session('s').fork()).rejects.toThrow(/collecting|gathering/)
    expect(runtime.sessions.count()).toBe(1)
  })
})
