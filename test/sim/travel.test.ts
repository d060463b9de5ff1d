// Time travel over random lives of random machines, against somebody who was there: what `at` tells of every transition is
// what a live observer saw then; and a fork that is given what its source is given becomes what its source becomes.
// HOLDFAST_RUNS sets how many lives there are, HOLDFAST_SEED which.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AnyActorLogic } from 'xstate'
import { type AnySessionKind, defineSession } from '../../src/define.js'
import type { Session, SessionSnapshot } from '../../src/handle.js'
import { loadState } from '../../src/history.js'
import { applyPatch } from '../../src/patch.js'
import { step } from '../../src/steps.js'
import type { VirtualClock } from '../../src/testing/clock.js'
import { Comparison } from '../../src/testing/comparison.js'
import { createCrashDisk } from '../../src/testing/disk.js'
import { XStateFault } from '../../src/testing/reference.js'
import { openWorld, settle, type World } from '../../src/testing/world.js'
import { type AnyEvent, buildMachine, returnEvents, type WorkInput } from './build.js'
import { EVENTS, type MachineSpec, machineSpec } from './machines.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 100)
const SEED = Number(process.env.HOLDFAST_SEED ?? 3)

const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.nat({ max: 11 }), n: fc.nat({ max: 9 }) }) },
  { weight: 1, arbitrary: fc.constantFrom({ ms: 1 }, { ms: 30 }, { ms: 150 }, { ms: 1100 }) },
  { weight: 1, arbitrary: fc.constant('snapshot' as const) },
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

const withoutSteps = (machine: MachineSpec): MachineSpec =>
  JSON.parse(JSON.stringify(machine, (key, value) => (key === 'work' ? undefined : value)))

const life = fc.record({
  machine: machineSpec,
  hasSteps: fc.boolean(),
  before: fc.array(operation, { minLength: 1, maxLength: 10 }),
  after: fc.array(operation, { maxLength: 8 }),
})

const steps = (clock: VirtualClock): Record<string, unknown> => ({
  work: ({ ms, failures, count }: WorkInput, { attempt, signal }: { attempt: number; signal: AbortSignal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      const end = (): void => (attempt > failures ? resolve({ at: count }) : reject(new Error(`attempt ${attempt}`)))
      clock.setTimeout(end, ms)
    }),
})

function kindOf(machine: MachineSpec): AnySessionKind {
  const work = step('work', { attempts: 2, backoffMs: 10 }) as unknown as AnyActorLogic
  return defineSession({
    kind: 'any',
    version: 1,
    machine: buildMachine(machine, { work, note: () => {} }),
    steps: 's',
  })
}

async function perform(world: World, ids: readonly string[], types: readonly string[], one: Operation): Promise<void> {
  if (one === 'snapshot') {
    const { journal, snapshots, runtime } = world
    for (const id of ids) await snapshots.write(loadState(journal, snapshots, runtime.session(id).entry() as never))
  } else if ('ms' in one) await world.clock.advance(one.ms)
  else {
    const event: AnyEvent = { type: types[one.type % types.length] as string, n: one.n }
    await Promise.allSettled(ids.map((id) => world.runtime.session(id).send(event as never)))
  }
  await settle(world)
}

/** Sees every transition and, whenever nothing has come after it yet, the whole session. */
class Observer {
  readonly folded: { readonly seq: number; readonly value: unknown; readonly context: unknown }[] = []
  readonly seen = new Map<number, SessionSnapshot>()
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
    let context: unknown
    session.transitions$({ from: 1 }).subscribe({
      next: ({ seq, to, patch }) => {
        context = structuredClone(applyPatch(structuredClone(context), patch ?? []))
        this.folded.push({ seq, value: to, context })
      },
    })
  }

  look(): void {
    const snapshot = this.#session.snapshot()
    this.seen.set(snapshot.seq, snapshot)
  }
}

/** XState gives tags in the order of the active states. */
const sorted = (snapshot: SessionSnapshot): unknown => ({ ...snapshot, tags: [...snapshot.tags].sort() })

/** Whether plain XState, given what a session was given, is in two states at once somewhere: then it has the tags of both. */
function isOdd(kind: AnySessionKind, session: string, { journal }: World): boolean {
  const comparison = new Comparison(kind, {})
  try {
    for (const { record, position } of journal.scan(0)) {
      if (record.session === session) comparison.follow(record, position)
    }
    return false
  } catch (error) {
    if (error instanceof XStateFault) return true
    throw error
  }
}

/** What has to be the same in two lives. */
const essence = ({ status, value, context, output }: SessionSnapshot): unknown => ({ status, value, context, output })

test(`${RUNS} lives: at(seq) is what was seen at seq; a fork becomes what its source becomes`, async () => {
  let compared = 0
  let odd = 0
  let forks = 0
  const property = fc.asyncProperty(life, async ({ machine: spec, hasSteps, before, after }) => {
    const machine = hasSteps ? spec : withoutSteps(spec)
    const kind = kindOf(machine)
    const types = [...EVENTS, ...returnEvents(machine)]
    const world = await openWorld({ disk: createCrashDisk(), kinds: [kind], steps })
    const session = await world.runtime.create(kind, { start: 1 }, { id: 's' }).catch(() => undefined)
    if (!session) return fc.pre(false)
    const observer = new Observer(session)
    await settle(world)
    observer.look()
    for (const one of before) {
      await perform(world, ['s'], types, one)
      observer.look()
    }
    const ids = ['s']
    // Steps of two sessions take turns, so the two would not be at the same place at the same time.
    if (!hasSteps && session.snapshot().status === 'active') {
      await session.fork({ id: 'f' })
      ids.push('f')
      forks++
    }
    for (const one of after) {
      await perform(world, ids, types, one)
      observer.look()
      if (ids.length > 1) {
        expect(essence(world.runtime.session('f').snapshot())).toEqual(essence(session.snapshot()))
      }
    }
    await settle(world)
    if (isOdd(kind, 's', world)) {
      odd++
      return fc.pre(false)
    }
    for (const { seq, value, context } of observer.folded) {
      expect(session.at(seq)).toMatchObject({ seq, value })
      expect(session.at(seq).context).toEqual(context)
      compared++
    }
    expect(observer.folded.length).toBe(session.snapshot().seq)
    for (const [seq, snapshot] of observer.seen) {
      if (snapshot.status !== 'active' && seq !== session.snapshot().seq) continue
      expect(sorted(session.at(seq))).toEqual(sorted(snapshot))
    }
    for (const [index, { context }] of observer.folded.entries()) {
      const other = observer.folded[(index * 7 + 3) % observer.folded.length] as (typeof observer.folded)[number]
      const { patch = [] } = session.diff(index + 1, other.seq)
      expect(applyPatch(structuredClone(context), patch)).toEqual(other.context)
    }
    await world.runtime.close()
  })
  await fc.assert(property, { numRuns: RUNS, seed: SEED })
  console.log(`${compared} points compared, ${forks} forks, ${odd} lives in which XState itself goes wrong`)
  expect(odd).toBeLessThan(RUNS / 10)
  expect(forks).toBeGreaterThan(RUNS / 5)
})
