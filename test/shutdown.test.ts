// Closing with a deadline: steps that finish in time are recorded, others are cancelled and run again.

import { defineSession, type Session, step } from 'holdfast'
import { expect, test } from 'vitest'
import { fromCallback, sendTo, setup } from 'xstate'
import { createMemoryDisk } from '../src/memory/disk.js'
import type { StepContext, StepFunction } from '../src/pool.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock, type VirtualClock } from '../src/testing/clock.js'
import { type House, house } from './house.js'

const machine = setup({
  types: { events: {} as { type: 'work' | 'next' } },
  actors: { work: step<() => Promise<number>>('work', { graceMs: 500 }) },
}).createMachine({
  initial: 'idle',
  states: {
    idle: { on: { work: 'working', next: {} } },
    working: { invoke: { id: 'first', src: 'work', onDone: 'second' } },
    second: { invoke: { id: 'second', src: 'work', onDone: 'done' } },
    done: { type: 'final' },
  },
})

const kind = defineSession({ kind: 'worker', version: 1, machine, steps: 'mem:steps' })

interface Place {
  readonly clock: VirtualClock
  readonly home: House
  readonly runs: { readonly key: string; readonly attempt: number }[]
}

/** Steps take so long by the virtual clock, and then end, also when they are cancelled if `deaf`. */
function placeOf(ms: () => number, deaf = false): Place {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const runs: { key: string; attempt: number }[] = []
  const work: StepFunction = (_, { idempotencyKey, attempt, signal }: StepContext) => {
    runs.push({ key: idempotencyKey, attempt })
    return new Promise((resolve, reject) => {
      clock.setTimeout(() => resolve(1), ms())
      if (!deaf) signal.addEventListener('abort', () => reject(signal.reason))
    })
  }
  const surroundings = { clock, chance: createSeededChance(3) }
  return { clock, home: house([kind], { work }, createMemoryDisk(), undefined, surroundings), runs }
}

const started = async ({
  home,
  clock,
}: Place): Promise<{ session: Session<typeof machine> } & Record<'runtime', Awaited<ReturnType<House['open']>>>> => {
  const runtime = await home.open()
  const session = await runtime.create(kind)
  await session.send({ type: 'work' })
  await clock.advance(0)
  return { runtime, session }
}

test('a step that finishes before the deadline is recorded, and what follows it waits for the next opening', async () => {
  const place = placeOf(() => 1000)
  const { runtime, session } = await started(place)
  let closed = false
  const closing = runtime.close({ drainMs: 5000 }).then(() => {
    closed = true
  })
  await expect(session.send({ type: 'next' })).rejects.toMatchObject({ code: 'RUNTIME_CLOSED' })
  await expect(runtime.create(kind)).rejects.toMatchObject({ code: 'RUNTIME_CLOSED' })
  await place.clock.advance(999)
  expect(closed).toBe(false)
  await place.clock.advance(1)
  await closing
  expect(place.runs).toHaveLength(1)
  const again = await place.home.open()
  expect(again.session(session.id).snapshot()).toMatchObject({ value: 'second', steps: ['second'] })
  await place.clock.advance(2000)
  expect(again.session(session.id).entry().status).toBe('done')
  // The second was never begun before, though its first attempt was recorded.
  expect(place.runs.map(({ attempt }) => attempt)).toEqual([1, 2])
  await again.close()
})

test('a step that does not finish is cancelled at the deadline, and runs again with the same key', async () => {
  let ms = 60_000
  const place = placeOf(() => ms)
  const { runtime, session } = await started(place)
  let closed = false
  const closing = runtime.close({ drainMs: 5000 }).then(() => {
    closed = true
  })
  await place.clock.advance(4999)
  expect(closed).toBe(false)
  await place.clock.advance(1)
  await closing
  ms = 10
  const again = await place.home.open()
  await place.clock.advance(100)
  expect(again.session(session.id).entry().status).toBe('done')
  expect(place.runs.map(({ attempt }) => attempt)).toEqual([1, 2, 1])
  expect(place.runs[1]?.key).toBe(place.runs[0]?.key)
  await again.close()
})

test('one that does not hear that it is cancelled has its grace, and no longer', async () => {
  const place = placeOf(() => 60_000, true)
  const { runtime } = await started(place)
  let closed = false
  const closing = runtime.close({ drainMs: 1000 }).then(() => {
    closed = true
  })
  await place.clock.advance(1499)
  expect(closed).toBe(false)
  await place.clock.advance(1)
  await closing
})

test('without a deadline running steps are cancelled at once', async () => {
  const place = placeOf(() => 60_000)
  const { runtime } = await started(place)
  await runtime.close()
  expect(place.runs).toHaveLength(1)
})

test('with nothing running, a deadline is not waited for', async () => {
  const place = placeOf(() => 0)
  const runtime = await place.home.open()
  await runtime.close({ drainMs: 60_000 })
  expect(place.clock.pending()).toBe(0)
})

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])(
  'a deadline of %d ms is refused, and nothing is closed',
  async (drainMs) => {
    await using runtime = await placeOf(() => 0).home.open()
    await expect(runtime.close({ drainMs })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await runtime.create(kind)
  },
)

test('what a record starts that becomes durable while the runtime closes begins after the next opening, not now', async () => {
  const begun: number[] = []
  const listening = defineSession({
    kind: 'listening',
    version: 1,
    machine: setup({
      types: { events: {} as { type: 'listen' } },
      actors: { listener: fromCallback(() => void begun.push(1)) },
    }).createMachine({
      initial: 'idle',
      states: { idle: { on: { listen: 'on' } }, on: { invoke: { id: 'listener', src: 'listener' } } },
    }),
  })
  const home = house([listening])
  const runtime = await home.open()
  const session = await runtime.create(listening)
  const sent = session.send({ type: 'listen' })
  await runtime.close()
  await sent
  expect(begun).toEqual([])
  const again = await home.open()
  expect(again.session(session.id).snapshot().value).toBe('on')
  expect(begun).toEqual([1])
  await again.close()
})

test('a cancel that is under way when the runtime closes is settled, and reaches the children at the next opening', async () => {
  const parent = defineSession({
    kind: 'parent',
    version: 1,
    machine: setup({ actors: { kid: setup({}).createMachine({}) } }).createMachine({
      invoke: { id: 'kid', src: 'kid' },
    }),
  })
  const home = house([parent])
  const runtime = await home.open()
  const session = await runtime.create(parent)
  await expect.poll(() => runtime.sessions.count({ kind: 'parent.kid' })).toBe(1)
  const cancelled = session.cancel()
  await runtime.close()
  await cancelled
  const again = await home.open()
  await expect.poll(() => again.sessions.list({ kind: 'parent.kid' }).sessions[0]?.status).toBe('stopped')
  await again.close()
})

test('what a drained step tells a child session is taken and shown before the runtime has closed', async () => {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const listener = setup({ types: { events: {} as { type: 'told' } } }).createMachine({
    initial: 'waiting',
    states: { waiting: { on: { told: 'informed' } }, informed: {} },
  })
  const teller = defineSession({
    kind: 'teller',
    version: 1,
    machine: setup({ actors: { work: step<() => Promise<number>>('work'), listener } }).createMachine({
      invoke: [
        { id: 'listener', src: 'listener' },
        { id: 'work', src: 'work', onDone: { actions: sendTo('listener', { type: 'told' }) } },
      ],
    }),
    steps: 'mem:steps',
  })
  const work: StepFunction = () => new Promise((resolve) => clock.setTimeout(() => resolve(1), 1000))
  const surroundings = { clock, chance: createSeededChance(3) }
  const runtime = await house([teller], { work }, createMemoryDisk(), undefined, surroundings).open()
  const session = await runtime.create(teller)
  await clock.advance(0)
  const [child] = runtime.sessions.list({ parent: session.id }).sessions
  const seen: unknown[] = []
  runtime
    .session((child as { id: string }).id)
    .transitions$()
    .subscribe({ next: ({ to }) => seen.push(to), error() {} })
  const closing = runtime.close({ drainMs: 5000 })
  await clock.advance(1000)
  await closing
  expect(seen).toEqual(['informed'])
})
