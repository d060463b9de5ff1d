// Migrations in the simulated world. A migration that changes nothing is nothing but a record: random machines in random
// lives go on as if they had only been reopened. And the power is cut before and after every call to the disk of an opening
// that migrates: whatever the disk then holds, the next opening finds each session migrated once, or does it.
// HOLDFAST_RUNS sets how many lives there are, HOLDFAST_SEED which.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AnyActorLogic, type AnyStateMachine, assign, setup } from 'xstate'
import { type AnySessionKind, defineSession } from '../../src/define.js'
import { loadState } from '../../src/history.js'
import { step } from '../../src/steps.js'
import { createSeededChance } from '../../src/testing/chance.js'
import type { VirtualClock } from '../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk } from '../../src/testing/disk.js'
import { openWorld, randomFates, settle, type World } from '../../src/testing/world.js'
import { type AnyEvent, buildMachine, returnEvents, type WorkInput } from './build.js'
import { EVENTS, type MachineSpec, machineSpec } from './machines.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 40)
const SEED = Number(process.env.HOLDFAST_SEED ?? 3)

const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.nat({ max: 11 }), n: fc.nat({ max: 9 }) }) },
  { weight: 1, arbitrary: fc.constantFrom<{ ms: number }[]>({ ms: 1 }, { ms: 30 }, { ms: 150 }, { ms: 1100 }) },
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

const life = fc.record({
  machine: machineSpec,
  before: fc.array(operation, { minLength: 1, maxLength: 8 }),
  after: fc.array(operation, { minLength: 1, maxLength: 8 }),
})

const steps = (clock: VirtualClock): Record<string, unknown> => ({
  work: ({ ms, failures, count }: WorkInput, { attempt, signal }: { attempt: number; signal: AbortSignal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      const end = (): void => (attempt > failures ? resolve({ at: count }) : reject(new Error(`attempt ${attempt}`)))
      clock.setTimeout(end, ms)
    }),
})

function kindOf(spec: MachineSpec, version: number): AnySessionKind {
  const work = step('work', { attempts: 2, backoffMs: 10 }) as unknown as AnyActorLogic
  const machine = buildMachine(spec, { work, note: () => {} })
  // With restarts an event would wait for time to pass.
  const supervision = { restart: 'temporary' }
  const migrate = version === 1 ? {} : { migrate: { 1: (old: object) => old } }
  return defineSession({
    kind: 'any',
    version,
    machine,
    steps: 's',
    supervision,
    ...migrate,
  } as never) as AnySessionKind
}

async function perform(world: World, types: readonly string[], one: Operation): Promise<void> {
  if ('ms' in one) await world.clock.advance(one.ms)
  else {
    const event: AnyEvent = { type: types[one.type % types.length] as string, n: one.n }
    await Promise.allSettled([world.runtime.session('s').send(event as never)])
  }
  await settle(world)
}

/** Everything that has to be the same in two lives, of which one has a record more. */
function essence({ runtime, journal, snapshots }: World): unknown {
  const { tags } = runtime.session('s').snapshot()
  const state = loadState(journal, snapshots, runtime.session('s').entry() as never)
  const { status, value, context, output, history, messages, order } = state
  const timers = state.timers.map(({ id, at, event }) => ({ id: /^\d+\.\d+$/.test(id) ? '' : id, at, event }))
  const children = Object.entries(state.children).map(([id, { incarnation: _, ...child }]) => [id, child])
  return { status, value, context, output, history, messages, order, timers, children, tags: [...tags].sort() }
}

const told = ({ complaints }: World): string[] => complaints.map((complaint) => complaint.split('\n')[0] as string)

test(`${RUNS} lives: a migration that changes nothing is nothing but a record`, async () => {
  let migrated = 0
  let compared = 0
  const property = fc.asyncProperty(life, async ({ machine, before, after }) => {
    const types = [...EVENTS, ...returnEvents(machine)]
    const [one, two] = [kindOf(machine, 1), kindOf(machine, 2)]
    const world = await openWorld({ disk: createCrashDisk(), kinds: [one], steps })
    const session = await world.runtime.create(one, { start: 1 }, { id: 's' }).catch(() => undefined)
    if (!session) return fc.pre(false)
    for (const operation of before) await perform(world, types, operation)
    const nowMs = world.clock.now()
    const disk = world.disk.clone()
    const [left, right] = await Promise.all([
      openWorld({ disk: disk.clone(), kinds: [one], steps, nowMs }),
      openWorld({ disk: disk.clone(), kinds: [two], steps, nowMs }),
    ])
    if (right.runtime.session('s').entry().version === 2) migrated++
    for (const operation of [{ ms: 0 }, ...after]) {
      await perform(left, types, operation)
      await perform(right, types, operation)
      expect(essence(right)).toEqual(essence(left))
      compared++
    }
    // A generated machine may stumble, the one as the other.
    expect(told(right)).toEqual(told(left))
  })
  await fc.assert(property, { numRuns: RUNS, seed: SEED })
  console.log(`${migrated} sessions migrated, ${compared} points compared`)
  expect(migrated).toBeGreaterThan(RUNS / 3)
})

const machineOf = (name: string): AnyStateMachine =>
  setup({
    types: { context: {} as { n: number; label?: string } },
    actors: { work: step('work') as never },
  }).createMachine({
    id: 'm',
    context: { n: 0 },
    initial: name,
    states: {
      [name]: {
        after: { 60000: 'late' },
        on: { add: { actions: assign({ n: ({ context }) => context.n + 1 }) }, end: 'over', late: 'late' },
      },
      late: { on: { end: 'over' } },
      over: { type: 'final' },
    },
  } as never) as unknown as AnyStateMachine

const old = defineSession({ kind: 'k', version: 1, machine: machineOf('open') })
const next = defineSession({
  ...{ kind: 'k', version: 2, machine: machineOf('waiting') },
  migrate: {
    1: ({ value, context }) => ({
      value: value === 'open' ? 'waiting' : value,
      context: { ...context, label: `n${context.n}` },
    }),
  },
  index: ({ context }) => ({ label: context.label ?? null }),
})
const SESSIONS = 24
const JOURNAL = { segmentBytes: 2000, reserveBytes: 0, stallMs: 1 }

/** A directory of version 1: some are waiting, some late, some over; one is never migrated, as it has ended. */
async function stored(): Promise<{ disk: CrashDisk; nowMs: number }> {
  const world = await openWorld({ disk: createCrashDisk(), kinds: [old], journal: JOURNAL })
  for (let n = 0; n < SESSIONS; n++) {
    const session = await world.runtime.create(old, undefined, { id: `s${n}` })
    for (let adds = n % 3; adds > 0; adds--) await session.send({ type: 'add' } as never)
    if (n % 5 === 4) await session.send({ type: 'late' } as never)
    if (n % 7 === 6) await session.send({ type: 'end' } as never)
  }
  const closing = world.runtime.close()
  await world.clock.advance(1)
  await closing
  return { disk: world.disk.clone(), nowMs: world.clock.now() }
}

test('the power is cut at every call to the disk of an opening that migrates: each session is migrated exactly once', async () => {
  const { disk, nowMs } = await stored()
  const { random } = createSeededChance(SEED)
  const cuts: CrashDisk[] = []
  const seen = new Set<string>()
  const opening = disk.clone()
  const cutTo = (fates: Parameters<CrashDisk['crash']>[0]): void => {
    const cut = opening.crash(fates)
    const digest = cut.digest()
    if (!seen.has(digest)) cuts.push(cut)
    seen.add(digest)
  }
  const note = (): void => {
    for (const fate of ['kept', 'dropped'] as const) cutTo(() => fate)
    for (let more = 0; more < 8; more++) cutTo(randomFates(random))
    const last = opening.pending.findLastIndex(({ kind }) => kind === 'write')
    for (let bytes = 0; bytes < (opening.pending[last]?.bytes ?? 0); bytes += 67)
      cutTo((_, index) => (index === last ? { bytes } : 'kept'))
  }
  const whole = await openWorld({ disk: opening, kinds: [next], nowMs, journal: JOURNAL, onPoint: note })
  const wanted = outcome(whole)
  let half = 0
  for (const cut of cuts) {
    const again = await openWorld({ disk: cut, kinds: [next], nowMs: nowMs + 5, journal: JOURNAL })
    expect(outcome(again)).toEqual(wanted)
    expect(again.complaints).toEqual([])
    if (againAt(again, nowMs).size > 1) half++
    const { end } = again.journal
    const third = await openWorld({ disk: cut.clone(), kinds: [next], nowMs: nowMs + 9, journal: JOURNAL })
    expect(third.journal.end).toBe(end)
  }
  console.log(`${cuts.length} distinct states after a cut, ${half} of them with some sessions migrated and some not`)
  expect(cuts.length).toBeGreaterThanOrEqual(150)
  expect(half).toBeGreaterThan(10)
})

/** When sessions were migrated, as far as that is before or after the cut. */
const againAt = ({ journal }: World, nowMs: number): Set<boolean> =>
  new Set(
    [...journal.scan(0)].flatMap(({ record: { event, at } }) =>
      event.type === 'holdfast.migrate' ? Date.parse(at) === nowMs : [],
    ),
  )

/** What each session is, and how many records have migrated it. */
function outcome({ runtime, journal }: World): unknown {
  const migrations = new Map<string, number>()
  for (const { record } of journal.scan(0))
    if (record.event.type === 'holdfast.migrate')
      migrations.set(record.session, (migrations.get(record.session) ?? 0) + 1)
  return runtime.sessions.list({}, { limit: 100 }).sessions.map(({ id, version, seq, status, value, attributes }) => {
    const { context } = runtime.session(id).snapshot()
    return { id, version, seq, status, value, attributes, context, migrations: migrations.get(id) ?? 0 }
  })
}
