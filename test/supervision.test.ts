// Supervision: what a crash does, on the virtual clock; quarantine and dead letters, across reopenings.

import { defineSession, type Runtime, type Session, type SessionKind, type Supervision, step } from 'holdfast'
import { beforeEach, expect, test } from 'vitest'
import { assign, raise, sendTo, setup } from 'xstate'
import { createMemoryDisk } from '../src/memory/disk.js'
import type { StepFunction } from '../src/pool.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock, type VirtualClock } from '../src/testing/clock.js'
import { type House, house } from './house.js'

/** What the code of the machine does wrong; mended by a test, as by a deploy. */
const bug = { decision: false }

beforeEach(() => {
  bug.decision = false
})

const machine = setup({
  types: {
    context: {} as { count: number },
    events: {} as { type: 'add' | 'crash' | 'later' | 'self' | 'poison' | 'work' },
  },
  actors: { work: step<() => Promise<number>>('work') },
  actions: {
    take: assign({
      count: ({ context }) => {
        if (bug.decision) throw new Error('a decision crashed')
        return context.count + 10
      },
    }),
  },
}).createMachine({
  context: { count: 0 },
  initial: 'on',
  on: {
    add: { actions: assign({ count: ({ context }) => context.count + 1 }) },
    crash: {
      actions: () => {
        throw new Error('an action crashed')
      },
    },
    later: { actions: raise({ type: 'poison' }, { delay: 1000 }) },
    self: { actions: sendTo(({ self }) => self, { type: 'poison' }) },
    poison: { actions: 'take' },
  },
  states: {
    on: { on: { work: 'working' } },
    working: { invoke: { id: 'work', src: 'work', onDone: { target: 'on', actions: 'take' } } },
  },
})

type Fragile = SessionKind<typeof machine>

const kindOf = (supervision: Supervision = {}): Fragile =>
  defineSession({ kind: 'fragile', version: 1, machine, steps: 'mem:steps', supervision })

interface Place {
  readonly clock: VirtualClock
  readonly home: House
}

/** No jitter: pauses are as long as they can be. */
const LONGEST = 1 - Number.EPSILON

function placeOf(
  kind: SessionKind<never> | Fragile,
  steps: Record<string, StepFunction> = {},
  random: () => number = () => LONGEST,
): Place {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const chance = { ...createSeededChance(1), random }
  return { clock, home: house([kind as Fragile], steps, createMemoryDisk(), undefined, { clock, chance }) }
}

type Any = Session<typeof machine>

async function eventsOf(session: Any): Promise<{ type: string; [field: string]: unknown }[]> {
  const events: { type: string }[] = []
  const { seq: last } = session.entry()
  for await (const { event, seq } of session.transitions$({ from: 1 })) if (events.push(event) && seq === last) break
  return events
}

const typesOf = async (session: Any): Promise<string[]> => (await eventsOf(session)).map(({ type }) => type)

const again = async (runtime: Runtime, { home }: Place): Promise<Runtime> => {
  await runtime.close()
  return home.open()
}

test('a crash is recorded with its reason and its count, and the session goes on after the pause, not earlier', async () => {
  const kind = kindOf()
  const place = placeOf(kind)
  await using runtime = await place.home.open()
  const session = await runtime.create(kind)
  await session.send({ type: 'crash' })
  let taken = false
  const waiting = session.send({ type: 'add' }).then(() => {
    taken = true
  })
  await place.clock.advance(9)
  expect(taken).toBe(false)
  await place.clock.advance(1)
  await waiting
  const [, , restart, added] = await eventsOf(session)
  expect(restart).toEqual({ type: 'holdfast.restart', reason: 'an action crashed', count: 1, afterMs: 10 })
  expect(added).toEqual({ type: 'add' })
})

test.each(['permanent', 'transient'] as const)(
  'a %s session is restarted, later each time, until the intensity is past',
  async (restart) => {
    for (const intensity of [0, 1, 3]) {
      for (const [backoffMs, maxBackoffMs] of [
        [10, 1000],
        [100, 150],
      ] as const) {
        const kind = kindOf({ restart, intensity, periodMs: 10_000, backoffMs, maxBackoffMs })
        const place = placeOf(kind)
        await using runtime = await place.home.open()
        const session = await runtime.create(kind)
        for (let crash = 0; crash < intensity; crash++) {
          await session.send({ type: 'crash' })
          const pause = Math.min(backoffMs * 2 ** crash, maxBackoffMs)
          let back = false
          const waiting = session.send({ type: 'add' }).then(() => {
            back = true
          })
          await place.clock.advance(pause - 1)
          expect(back).toBe(false)
          await place.clock.advance(1)
          await waiting
        }
        expect(runtime.health().quarantined).toEqual([])
        await session.send({ type: 'crash' })
        await place.clock.advance(0)
        expect(runtime.health().quarantined).toMatchObject([{ id: session.id, kind: 'fragile' }])
        await expect(session.send({ type: 'add' })).rejects.toMatchObject({ code: 'SESSION_QUARANTINED' })
        expect(session.snapshot().context.count).toBe(intensity)
      }
    }
  },
)

test('chance shortens each pause by up to a half, and no two sessions need to come back together', async () => {
  for (const [random, pauses] of [
    [0, [50, 100, 200]],
    [0.5, [75, 150, 300]],
    [LONGEST, [100, 200, 400]],
  ] as const) {
    const kind = kindOf({ backoffMs: 100 })
    const place = placeOf(kind, {}, () => random)
    await using runtime = await place.home.open()
    const session = await runtime.create(kind)
    for (const pause of pauses) {
      await session.send({ type: 'crash' })
      const count = session.snapshot().context.count
      const back = session.send({ type: 'add' })
      await place.clock.advance(pause - 1)
      expect(session.snapshot().context.count).toBe(count)
      await place.clock.advance(1)
      expect(session.snapshot().context.count).toBe(count + 1)
      await back
    }
    const restarts = (await eventsOf(session)).filter(({ type }) => type === 'holdfast.restart')
    expect(restarts.map(({ afterMs }) => afterMs)).toEqual(pauses)
  }
})

test('the period is exact: a crash just within it is one too many, one at its end is the first again', async () => {
  for (const [afterMs, quarantined] of [
    [999, 1],
    [1000, 0],
  ] as const) {
    const kind = kindOf({ intensity: 1, periodMs: 1000 })
    const place = placeOf(kind)
    await using runtime = await place.home.open()
    const session = await runtime.create(kind)
    await session.send({ type: 'crash' })
    await place.clock.advance(afterMs)
    await session.send({ type: 'crash' })
    await place.clock.advance(0)
    expect(runtime.health().quarantined).toHaveLength(quarantined)
  }
})

test('crashes further apart than the period never quarantine, also when the runtime is opened again between them', async () => {
  const kind = kindOf({ intensity: 1, periodMs: 1000 })
  const place = placeOf(kind)
  let runtime = await place.home.open()
  const { id } = await runtime.create(kind)
  for (let crash = 0; crash < 5; crash++) {
    await runtime.session(id, kind).send({ type: 'crash' })
    await place.clock.advance(1000)
    if (crash % 2 === 0) runtime = await again(runtime, place)
  }
  expect(runtime.health().quarantined).toEqual([])
  await runtime.session(id, kind).send({ type: 'crash' })
  await place.clock.advance(500)
  runtime = await again(runtime, place)
  await runtime.session(id, kind).send({ type: 'crash' })
  await place.clock.advance(0)
  expect(runtime.health().quarantined).toHaveLength(1)
  await runtime.close()
})

test('a temporary session ends with its first crash, of an action or of a decision', async () => {
  const kind = kindOf({ restart: 'temporary' })
  const place = placeOf(kind)
  await using runtime = await place.home.open()
  const one = await runtime.create(kind)
  await one.send({ type: 'crash' })
  await expect(one.result()).rejects.toMatchObject({ code: 'SESSION_FAILED', cause: { message: 'an action crashed' } })
  expect(await typesOf(one)).toEqual(['xstate.init', 'crash', 'holdfast.crashed'])
  const two = await runtime.create(kind)
  bug.decision = true
  await two.send({ type: 'self' })
  await expect(two.result()).rejects.toMatchObject({ cause: { message: 'a decision crashed' } })
  expect(await typesOf(two)).toEqual(['xstate.init', 'self', 'poison'])
})

test('one of 1,000 sessions is quarantined, and 999 go on', async () => {
  const kind = kindOf({ intensity: 2 })
  const place = placeOf(kind)
  let runtime = await place.home.open()
  const sessions = await Promise.all(Array.from({ length: 1000 }, () => runtime.create(kind)))
  const bad = sessions[500] as Any
  for (let crash = 0; crash < 3; crash++) {
    await Promise.all(sessions.map((session) => session.send({ type: session === bad ? 'crash' : 'add' })))
    await place.clock.advance(1000)
  }
  const check = async (): Promise<void> => {
    expect(runtime.health().quarantined.map(({ id }) => id)).toEqual([bad.id])
    expect(runtime.sessions.list({ quarantined: true }).sessions.map(({ id }) => id)).toEqual([bad.id])
    expect(runtime.sessions.count({ quarantined: true })).toBe(1)
    const sent = await Promise.allSettled(sessions.map(({ id }) => runtime.session(id, kind).send({ type: 'add' })))
    expect(sent.filter(({ status }) => status === 'fulfilled')).toHaveLength(999)
    expect(sent[500]).toMatchObject({ reason: { code: 'SESSION_QUARANTINED' } })
  }
  await check()
  runtime = await again(runtime, place)
  await check()
  expect(runtime.session(bad.id).snapshot()).toMatchObject({ status: 'active', seq: 7 })
  await runtime.close()
})

test('a quarantined session keeps its timers and steps for its release, and can be cancelled or deleted', async () => {
  const kind = kindOf({ intensity: 0 })
  const place = placeOf(kind)
  let runtime = await place.home.open()
  const sessions = [await runtime.create(kind), await runtime.create(kind), await runtime.create(kind)] as const
  const [{ id }, cancelled, deleted] = sessions
  for (const session of sessions) {
    await session.send({ type: 'later' })
    const until = session.until(({ context }) => context.count > 0)
    const refused = expect(until).rejects.toMatchObject({ code: 'SESSION_QUARANTINED' })
    await session.send({ type: 'crash' })
    await refused
  }
  runtime = await again(runtime, place)
  await place.clock.advance(5000)
  expect(runtime.session(id, kind).snapshot().context.count).toBe(0)
  expect(runtime.session(id, kind).can({ type: 'add' })).toBe(false)
  await runtime.session(cancelled.id).cancel()
  await runtime.session(deleted.id).delete()
  expect(runtime.health().quarantined.map((one) => one.id)).toEqual([id])
  const session = runtime.session(id, kind)
  await Promise.all([session.release(), session.release().catch(() => {})])
  await session.release()
  expect(session.entry().quarantine).toBeUndefined()
  await place.clock.advance(0)
  await session.until(({ context }) => context.count === 10)
  runtime = await again(runtime, place)
  expect(runtime.health().quarantined).toEqual([])
  await runtime.session(id, kind).send({ type: 'add' })
  await runtime.close()
})

test('an end in error that the machine decides is a crash of a permanent session, and of no other', async () => {
  const broken: StepFunction = async () => {
    throw new Error('the step failed')
  }
  for (const restart of ['permanent', 'transient'] as const) {
    const kind = kindOf({ restart })
    const place = placeOf(kind, { work: broken })
    await using runtime = await place.home.open()
    const session = await runtime.create(kind)
    await session.send({ type: 'work' })
    await place.clock.advance(1000)
    if (restart === 'transient') expect(session.snapshot()).toMatchObject({ status: 'error' })
    else {
      expect(session.snapshot()).toMatchObject({ status: 'active', value: 'working', steps: [] })
      expect(session.deadLetters()).toMatchObject([{ from: 'child', child: 'work', attempts: 3 }])
    }
  }
})

test.each([
  ['message', 'self'],
  ['timer', 'later'],
  ['child', 'work'],
] as const)(
  'a %s that crashes the session three times in a row is a dead letter, across reopenings',
  async (from, cause) => {
    const kind = kindOf({ backoffMs: 1000 })
    let runs = 0
    const place = placeOf(kind, { work: async () => ++runs })
    let runtime = await place.home.open()
    const { id } = await runtime.create(kind)
    bug.decision = true
    await runtime.session(id, kind).send({ type: cause })
    await place.clock.advance(1000)
    // The first crash, in this life of the process; the others in the next ones.
    for (let life = 0; life < 3; life++) {
      runtime = await again(runtime, place)
      await place.clock.advance(0)
    }
    const session = runtime.session(id, kind)
    const [letter, ...others] = session.deadLetters()
    expect(others).toEqual([])
    expect(letter).toMatchObject({ from, attempts: 3, error: { message: 'a decision crashed' } })
    expect(runtime.deadLetters()).toEqual([{ session: id, kind: 'fragile', ...letter }])
    await place.clock.advance(60_000)
    expect(session.snapshot().context.count).toBe(0)
    await session.send({ type: 'add' })

    // Still wrong: refused to whoever asks, and nothing has changed.
    await expect(session.resend(letter?.id ?? 0)).rejects.toMatchObject({ code: 'DECISION_FAILED' })
    expect(session.deadLetters()).toHaveLength(1)
    await expect(session.resend(9999)).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' })
    bug.decision = false
    runtime = await again(runtime, place)
    await runtime.session(id, kind).resend(letter?.id ?? 0)
    expect(runtime.session(id, kind).snapshot()).toMatchObject({ value: 'on', context: { count: 11 } })
    runtime = await again(runtime, place)
    expect(runtime.deadLetters()).toEqual([])
    expect(runtime.session(id, kind).deadLetters()).toEqual([])
    await runtime.close()
  },
)

test('an event that crashed twice and is then taken is no letter, and counts anew later', async () => {
  const kind = kindOf({ backoffMs: 10 })
  const place = placeOf(kind)
  await using runtime = await place.home.open()
  const session = await runtime.create(kind)
  for (let round = 1; round <= 3; round++) {
    bug.decision = true
    await session.send({ type: 'self' })
    await place.clock.advance(10)
    bug.decision = false
    await place.clock.advance(60_000)
    expect(session.snapshot().context.count).toBe(10 * round)
  }
  expect(session.deadLetters()).toEqual([])
})

test('a dead letter can be discarded, also of a session in quarantine', async () => {
  const kind = kindOf({ attempts: 1, intensity: 1, periodMs: 1_000_000 })
  const place = placeOf(kind)
  await using runtime = await place.home.open()
  const session = await runtime.create(kind)
  bug.decision = true
  await session.send({ type: 'self' })
  await place.clock.advance(10)
  await session.send({ type: 'crash' })
  await place.clock.advance(0)
  expect(session.entry()).toMatchObject({
    quarantine: { reason: expect.stringContaining('2 crashes') },
    deadLetters: 1,
  })
  const [letter] = session.deadLetters()
  await session.discard(letter?.id ?? 0)
  expect(runtime.deadLetters()).toEqual([])
  expect(session.entry().deadLetters).toBeUndefined()
})

test('an event from outside that throws is refused to its sender, is no crash and changes nothing', async () => {
  const kind = kindOf({ intensity: 0 })
  const place = placeOf(kind)
  await using runtime = await place.home.open()
  const session = await runtime.create(kind)
  bug.decision = true
  for (let n = 0; n < 20; n++) {
    await expect(session.send({ type: 'poison' })).rejects.toMatchObject({ code: 'DECISION_FAILED' })
  }
  expect(session.snapshot().seq).toBe(1)
  expect(runtime.health().quarantined).toEqual([])
})

test('a message of a linked session that crashes its receiver is a dead letter there, and has arrived', async () => {
  const receiver = setup({
    types: { context: {} as { count: number }, events: {} as { type: 'poison' } | { type: 'fine' } },
  }).createMachine({
    context: { count: 0 },
    on: {
      fine: { actions: assign({ count: ({ context }) => context.count + 1 }) },
      poison: {
        actions: assign({
          count: ({ context }) => {
            if (bug.decision) throw new Error('a decision crashed')
            return context.count + 10
          },
        }),
      },
    },
  })
  const sender = setup({ types: { events: {} as { type: 'poison' | 'fine' } }, actors: { receiver } }).createMachine({
    invoke: { id: 'child', src: 'receiver' },
    on: { '*': { actions: sendTo('child', ({ event }) => ({ type: event.type })) } },
  })
  const kind = defineSession({ kind: 'sender', version: 1, machine: sender })
  const place = placeOf(kind as never)
  let runtime = await place.home.open()
  const session = await runtime.create(kind)
  await place.clock.advance(0)
  bug.decision = true
  await session.send({ type: 'poison' })
  await session.send({ type: 'fine' })
  await place.clock.advance(1000)
  const id = runtime.sessions.list({ parent: session.id }).sessions[0]?.id ?? ''
  expect(runtime.session(id).deadLetters()).toMatchObject([{ from: 'linked', event: { type: 'poison' }, attempts: 3 }])
  expect(runtime.session(id).snapshot().context).toEqual({ count: 1 })
  bug.decision = false
  runtime = await again(runtime, place)
  await place.clock.advance(1000)
  expect(runtime.session(id).snapshot().context).toEqual({ count: 1 })
  const [letter] = runtime.session(id).deadLetters()
  await runtime.session(id).resend(letter?.id ?? 0)
  expect(runtime.session(id).snapshot().context).toEqual({ count: 11 })
  await runtime.close()
})
