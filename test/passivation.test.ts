// Passivation: idle sessions are let go by time and beyond a limit, the least recently used first, and nobody notices.

import fc from 'fast-check'
import { defineSession, type Runtime, type Session, step } from 'holdfast'
import { expect, test } from 'vitest'
import { assign, fromCallback, raise, sendParent, sendTo, setup } from 'xstate'
import { createFileSnapshots } from '../src/files/snapshots.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import { Passivation } from '../src/passivation.js'
import type { StepFunction } from '../src/pool.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock, type VirtualClock } from '../src/testing/clock.js'
import { type House, house, type Surroundings } from './house.js'

/** Given out by a machine whose action keeps the session's own address. */
const kept: { self?: { send(event: { type: 'add'; by: number }): void } } = {}

const child = setup({ types: { events: {} as { type: 'add'; by: number } } }).createMachine({
  on: { add: { actions: sendParent(({ event }) => ({ type: 'answer', by: event.by })) } },
})

const machine = setup({
  types: {
    context: {} as { sum: number; timers: number; answers: number; pad: string },
    events: {} as
      | { type: 'add'; by: number }
      | { type: 'later'; ms: number }
      | { type: 'rung' }
      | { type: 'ask'; by: number }
      | { type: 'answer'; by: number }
      | { type: 'work' | 'listen' | 'keep' | 'twice' | 'back' }
      | { type: 'pad'; bytes: number },
  },
  actors: {
    child,
    work: step<() => Promise<number>>('work'),
    listener: fromCallback(() => () => {}),
  },
}).createMachine({
  context: { sum: 0, timers: 0, answers: 0, pad: '' },
  invoke: { id: 'child', src: 'child' },
  initial: 'on',
  on: {
    add: { actions: assign({ sum: ({ context, event }) => context.sum + event.by }) },
    later: { actions: raise({ type: 'rung' }, { delay: ({ event }) => event.ms, id: 'never-cancelled' }) },
    rung: { actions: assign({ timers: ({ context }) => context.timers + 1 }) },
    ask: { actions: sendTo('child', ({ event }) => ({ type: 'add', by: event.by })) },
    answer: { actions: assign({ answers: ({ context, event }) => context.answers + event.by }) },
    twice: { actions: sendTo(({ self }) => self, { type: 'add', by: 2 }) },
    pad: { actions: assign({ pad: ({ event }) => 'x'.repeat(event.bytes) }) },
    keep: {
      actions: ({ self }) => {
        kept.self = self as unknown as NonNullable<typeof kept.self>
      },
    },
  },
  states: {
    on: { on: { work: 'working', listen: 'listening' } },
    working: { invoke: { src: 'work', onDone: 'on' } },
    listening: { invoke: { src: 'listener' }, on: { back: 'on' } },
  },
})

const kind = defineSession({ kind: 'sum', version: 1, machine, steps: 'mem:steps' })
type Sum = Session<typeof machine>

interface Place {
  readonly clock: VirtualClock
  readonly home: House
}

function placeOf(limits: Surroundings, steps: Record<string, StepFunction> = {}): Place {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const chance = createSeededChance(7)
  return { clock, home: house([kind], steps, createMemoryDisk(), undefined, { clock, chance, ...limits }) }
}

/** Sessions and their children; all of them have settled. */
async function some(runtime: Runtime, clock: VirtualClock, count: number): Promise<Sum[]> {
  const sessions = await Promise.all(Array.from({ length: count }, () => runtime.create(kind)))
  await clock.advance(0)
  return sessions
}

test('the least recently used are let go, in exactly that order, and what is under way stays', () => {
  const gone: string[] = []
  const due: (() => void)[] = []
  const clock = { ...createVirtualClock(0), soon: (run: () => void) => void due.push(run) }
  const passivation = new Passivation<string>(
    { clock, passivate: (one) => one !== 'busy' && gone.push(one) > 0 },
    { liveLimit: 3 },
  )
  for (const one of ['a', 'busy', 'b', 'c', 'a', 'd', 'e', 'b']) passivation.used(one)
  for (const run of due.splice(0)) run()
  // In the order of last use: busy, c, a, d, e, b.
  expect(gone).toEqual(['c', 'a', 'd'])
  passivation.used('f')
  for (const run of due.splice(0)) run()
  expect(gone).toEqual(['c', 'a', 'd', 'e'])
})

test('a session is let go when nothing has happened to it for the time, not earlier, and answers on demand', async () => {
  const { clock, home } = placeOf({ idleMs: 1000 })
  await using runtime = await home.open()
  const [session] = (await some(runtime, clock, 1)) as [Sum]
  expect(runtime.health().live).toBe(2)
  await clock.advance(600)
  await session.send({ type: 'add', by: 1 })
  await clock.advance(600)
  expect(runtime.health().live).toBe(1)
  await clock.advance(400)
  expect(runtime.health().live).toBe(0)
  expect(clock.pending()).toBe(0)
  await session.send({ type: 'add', by: 2 })
  expect(runtime.health().live).toBe(1)
  expect(session.snapshot().context.sum).toBe(3)
})

test('timers of a passive session fire on time', async () => {
  const { clock, home } = placeOf({ idleMs: 1000 })
  await using runtime = await home.open()
  const [session] = (await some(runtime, clock, 1)) as [Sum]
  await session.send({ type: 'later', ms: 5000 })
  await session.send({ type: 'later', ms: 9000 })
  for (const [ms, timers] of [
    [4999, 0],
    [1, 1],
    [3999, 1],
    [1, 2],
  ] as const) {
    await clock.advance(ms)
    if (ms > 1) expect(runtime.health().live).toBe(0)
    expect(session.snapshot().context.timers).toBe(timers)
    await clock.advance(0)
  }
})

test('a running step or a local actor keeps its session live', async () => {
  let finish = (_: number): void => {}
  const work: StepFunction = () =>
    new Promise((resolve) => {
      finish = resolve
    })
  const { clock, home } = placeOf({ idleMs: 1000 }, { work })
  await using runtime = await home.open()
  const [working, listening] = (await some(runtime, clock, 2)) as [Sum, Sum]
  await working.send({ type: 'work' })
  await listening.send({ type: 'listen' })
  await clock.advance(60_000)
  expect(runtime.health().live).toBe(2)
  finish(1)
  await listening.send({ type: 'back' })
  await clock.advance(2000)
  expect(runtime.health().live).toBe(0)
  expect(working.snapshot().value).toBe('on')
})

test('what an action has kept of its session still reaches it when it is passive', async () => {
  const { clock, home } = placeOf({ idleMs: 1000 })
  await using runtime = await home.open()
  const [session] = (await some(runtime, clock, 1)) as [Sum]
  await session.send({ type: 'keep' })
  await clock.advance(2000)
  expect(runtime.health().live).toBe(0)
  kept.self?.send({ type: 'add', by: 5 })
  await session.until(({ context }) => context.sum === 5)
})

test('a session with much behind it gets a snapshot first', async () => {
  const { clock, home } = placeOf({ idleMs: 1000 })
  await using runtime = await home.open()
  const [session] = (await some(runtime, clock, 1)) as [Sum]
  await session.send({ type: 'pad', bytes: 20_000 })
  await clock.advance(1000)
  await clock.advance(0)
  expect(runtime.health().live).toBe(0)
  expect(home.disk.list('sessions')).toHaveLength(1)
  expect(session.snapshot().context.pad).toHaveLength(20_000)
})

test('passive parents and children hear each other', async () => {
  const { clock, home } = placeOf({ liveLimit: 1 })
  const runtime = await home.open()
  const sessions = await some(runtime, clock, 20)
  for (let round = 0; round < 5; round++) {
    for (const session of sessions) await session.send({ type: 'ask', by: 1 })
    await clock.advance(0)
  }
  for (const session of sessions) await session.until(({ context }) => context.answers === 5)
  await clock.advance(1000)
  expect(runtime.health().live).toBeLessThanOrEqual(1)
  await runtime.close()
  // Everything that was sent is known to have arrived: the next opening tells nobody again.
  const index = JSON.stringify(createFileSnapshots(home.disk, () => {}).readIndex())
  expect(index).toContain('"sessions"')
  expect(index).not.toContain('"outbox"')
})

const operation = fc.oneof(
  fc.record({ do: fc.constant('add' as const), on: fc.nat(7), by: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: fc.constant('later' as const), on: fc.nat(7), ms: fc.constantFrom(0, 50, 700, 5000) }),
  fc.record({ do: fc.constant('ask' as const), on: fc.nat(7), by: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: fc.constant('twice' as const), on: fc.nat(7) }),
  fc.record({ do: fc.constant('pad' as const), on: fc.nat(7) }),
  fc.record({ do: fc.constant('work' as const), on: fc.nat(7) }),
  fc.record({ do: fc.constant('look' as const), on: fc.nat(7) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 100, 1000) }),
  fc.constant({ do: 'reopen' as const }),
)

type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

test('under any load, with reopenings, nothing is lost, nothing happens twice, and no stream has a gap', async () => {
  let restored = 0
  const run = async (operations: readonly Operation[], limits: Surroundings) => {
    const { clock, home } = placeOf(limits, { work: async () => 1 })
    let runtime = await home.open()
    const ids = (await some(runtime, clock, 8)).map(({ id }) => id)
    const expected = ids.map(() => ({ sum: 0, timers: 0, answers: 0 }))
    const seen: number[][] = ids.map(() => [])
    const at = (index: number): Sum => runtime.session(ids[index] as string, kind)
    const watch = (): void => {
      for (const [index, numbers] of seen.entries())
        at(index)
          .transitions$({ from: (numbers.at(-1) ?? 0) + 1 })
          .subscribe({ next: ({ seq }) => void numbers.push(seq), error: () => {} })
    }
    watch()
    let pending: Promise<unknown>[] = []
    const settle = async (): Promise<void> => {
      const outcomes = await Promise.allSettled(pending)
      for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'fulfilled' })
      pending = []
    }
    for (const op of operations) {
      if (op.do === 'wait') await clock.advance(op.ms)
      else if (op.do === 'reopen') {
        await settle()
        await runtime.close()
        runtime = await home.open()
        watch()
      } else if (op.do === 'look') at(op.on).snapshot()
      else {
        const model = expected[op.on] as (typeof expected)[number]
        if (op.do === 'add') model.sum += op.by
        if (op.do === 'twice') model.sum += 2
        if (op.do === 'later') model.timers++
        if (op.do === 'ask') model.answers += op.by
        if (op.do === 'work')
          pending.push(
            at(op.on)
              .send({ type: 'work' })
              .catch(() => {}),
          )
        else if (op.do === 'pad') pending.push(at(op.on).send({ type: 'pad', bytes: 9000 }))
        else if (op.do === 'add') pending.push(at(op.on).send({ type: 'add', by: op.by }))
        else if (op.do === 'ask') pending.push(at(op.on).send({ type: 'ask', by: op.by }))
        else if (op.do === 'later') pending.push(at(op.on).send({ type: 'later', ms: op.ms }))
        else pending.push(at(op.on).send({ type: 'twice' }))
      }
    }
    await settle()
    for (let turns = 0; turns < 3; turns++) await clock.advance(10_000)
    if (runtime.health().live === 0) restored++
    for (const [index, model] of expected.entries()) {
      expect(at(index).snapshot()).toMatchObject({ value: 'on', context: model })
    }
    await clock.advance(0)
    for (const [index, numbers] of seen.entries()) {
      expect(numbers).toEqual(Array.from({ length: at(index).entry().seq }, (_, before) => before + 1))
    }
    expect(home.log).toEqual([])
    await runtime.close()
  }
  const limits = fc.record({ liveLimit: fc.constantFrom(0, 1, 3, 100), idleMs: fc.constantFrom(1, 100, 1000) })
  await fc.assert(fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 80 }), limits, run), {
    numRuns: Number(process.env.HOLDFAST_RUNS ?? 60),
  })
  expect(restored).toBeGreaterThan(0)
})
