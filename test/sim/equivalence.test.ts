// R12, first form: a session that is crashed and rehydrated anywhere behaves as the same machine in plain XState that
// never crashed. HOLDFAST_RUNS sets how many stories are told, HOLDFAST_SEED which.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AnyActorLogic } from 'xstate'
import { defineSession } from '../../src/define.js'
import { step } from '../../src/steps.js'
import type { VirtualClock } from '../../src/testing/clock.js'
import { must, mustEqual } from '../../src/testing/comparison.js'
import { XStateFault } from '../../src/testing/reference.js'
import { type CrashPlan, Twin } from '../../src/testing/twin.js'
import { type AnyEvent, buildMachine, returnEvents, type WorkInput } from './build.js'
import { EVENTS, machineSpec, sometimes } from './machines.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 2000)
const SEED = Number(process.env.HOLDFAST_SEED ?? 12)

/** A planted fault need not be shrunk to be caught. */
const SHRINKS = process.env.HOLDFAST_SHRINK !== '0'

const downtimeMs = fc.constantFrom(0, 0, 30, 700)
/** While events are sent, at once or around a call to the disk; while time passes, some calls later. */
const crashOf = (least: number, most: number): fc.Arbitrary<CrashPlan> =>
  fc.record({ points: fc.integer({ min: least, max: most }), downtimeMs, again: sometimes(fc.nat({ max: 40 }), 1, 3) })

const sent = fc.record({
  type: fc.nat({ max: 11 }),
  n: fc.nat({ max: 9 }),
  boom: fc.constantFrom(false, false, false, true),
})

const send = fc.record({
  do: fc.constant('send' as const),
  count: fc.integer({ min: 1, max: 3 }),
  crash: sometimes(crashOf(0, 4)),
})

const wait = fc.record({
  do: fc.constant('wait' as const),
  ms: fc.constantFrom(1, 5, 30, 150, 1100),
  crash: sometimes(crashOf(1, 6), 1, 2),
})

const told = fc.record({
  machine: machineSpec,
  seed: fc.nat(),
  segmentBytes: fc.constantFrom(1000, 4000, 1_000_000),
  stallMs: fc.constantFrom(-1, 1),
  begin: sometimes(crashOf(0, 4), 1, 3),
  events: fc.array(sent, { minLength: 3, maxLength: 16 }),
  operations: fc.array(fc.oneof({ weight: 3, arbitrary: send }, { weight: 2, arbitrary: wait }), {
    minLength: 3,
    maxLength: 10,
  }),
})
type Told = typeof told extends fc.Arbitrary<infer T> ? T : never

/** Each must have happened in 5% of the runs, or the test proves less than it says. */
const FEATURES = [
  ...['event', 'assign', 'truly guarded', 'hierarchy', 'parallel', 'tags', 'custom action'],
  ...['always', 'raise', 'delayed raise', 'cancel', 'after', 'sendTo self', 'delayed sendTo'],
  ...['shallow history', 'deep history', 'nested final', 'done', 'output', 'error'],
  ...['child done', 'child failed', 'step tried again', 'refused', 'rolled back', 'sent again', 'overdue timer'],
]

/** The story without what is empty in it. */
const brief = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    item === 'none' || item === false || (Array.isArray(item) && item.length === 0) ? undefined : item,
  )

function report({ failed, seed, counterexamplePath, counterexample, errorInstance }: fc.RunDetails<[Told]>): void {
  if (!failed) return
  const again = `HOLDFAST_SEED=${seed} tells it again (path ${counterexamplePath})`
  throw new Error(`${errorInstance}\n${again}\n${brief(counterexample?.[0])}`, { cause: errorInstance })
}

class Tally {
  runs = 0
  crashes = 0
  inFlight = 0
  records = 0
  readonly features = new Map<string, number>(FEATURES.map((feature) => [feature, 0]))
  readonly skipped = new Map<string, number>()

  add({ twin, features }: Life): void {
    this.runs++
    this.crashes += twin.crashes
    this.inFlight += twin.crashesInFlight
    this.records += twin.records
    for (const feature of ['assign', ...features]) {
      this.features.set(feature, (this.features.get(feature) ?? 0) + 1)
    }
  }

  skip({ message }: XStateFault): void {
    this.skipped.set(message, (this.skipped.get(message) ?? 0) + 1)
  }

  share = (feature: string): number => (this.features.get(feature) ?? 0) / this.runs

  print(): void {
    const percent = (share: number): string => `${(share * 100).toFixed(1).padStart(5)}%`
    const skipped = [...this.skipped].map(([why, count]) => `${count} where ${why}`).join(', ')
    const rows = [...this.features.keys()].map((feature) => `${percent(this.share(feature))}  ${feature}`)
    console.log(
      `${this.runs} sessions, ${this.records} records, ${this.crashes} crashes, ${this.inFlight} of them with work in flight\n` +
        `left out, as XState itself goes wrong: ${skipped || 'none'}\n${rows.join('\n')}`,
    )
  }
}

test(`${RUNS} sessions crash and behave as plain XState that never did`, { timeout: 600_000 }, async () => {
  const tally = new Tally()
  const property = fc.asyncProperty(told, async (story) => {
    const life = new Life(story)
    try {
      await life.live()
    } catch (error) {
      if (!(error instanceof XStateFault)) throw error
      tally.skip(error)
      fc.pre(false)
    }
    tally.add(life)
  })
  const limits = { interruptAfterTimeLimit: 500_000, markInterruptAsFailure: true, endOnFailure: !SHRINKS }
  await fc.assert(property, { numRuns: RUNS, seed: SEED, reporter: report, ...limits })
  tally.print()
  for (const feature of FEATURES) expect(tally.share(feature), feature).toBeGreaterThanOrEqual(0.05)
  expect(tally.inFlight / tally.crashes, 'crashes with work in flight').toBeGreaterThanOrEqual(0.5)
})

/** A generated machine as a kind, and its story; what only such machines can tell of themselves is taken down. */
class Life {
  readonly twin: Twin
  readonly features = new Set<string>()
  /** What the custom action was called with: by the session as far as it counts, and by plain XState. */
  readonly #notes: string[] = []
  readonly #expected: string[] = []

  constructor({ machine: spec, events: sent, ...story }: Told) {
    let notes = this.#notes
    const note = (n: number, count: number): void => void (this.twin.struck || notes.push(`${n}@${count}`))
    const work = step('work', { attempts: ATTEMPTS, backoffMs: 10 }) as unknown as AnyActorLogic
    const machine = buildMachine(spec, { work, note })
    const kind = defineSession({ kind: 'twin', version: 1, machine, steps: 'steps' })
    const back = returnEvents(spec)
    const types = [...EVENTS, ...back]
    const events = sent.map(({ type, n, boom }, mark) => {
      const name = types[type % types.length] as string
      return { type: name, n, mark, ...(boom && { boom }) }
    })
    // Every history state once more, from outside: what it remembers is where the machine goes.
    const wayBack = back.map((type, n) => ({ type, n, mark: -1 - n }))
    const action = (run: () => void): void => {
      notes = this.#expected
      run()
      notes = this.#notes
    }
    const microstep = (event: AnyEvent, { description }: { description?: string }): void => {
      if (event.via) this.features.add(event.via)
      if (description === 'guarded') this.features.add('truly guarded')
    }
    const watch = { action, microstep }
    this.twin = new Twin(kind, { ...story, input: { start: 1 }, events: [...events, ...wayBack] }, { steps, watch })
  }

  async live(): Promise<void> {
    await this.twin.live()
    for (const feature of this.twin.features) this.features.add(feature)
    this.#checkNotes()
  }

  /** A crash may skip custom actions; nothing doubles or reorders them. */
  #checkNotes(): void {
    if (this.twin.crashes === 0) mustEqual(this.#notes, this.#expected, 'custom actions')
    let next = 0
    for (const note of this.#notes) {
      next = this.#expected.indexOf(note, next) + 1
      must(next > 0, `of the custom actions ${this.#notes}, ${note} is not next in ${this.#expected}`)
    }
  }
}

const ATTEMPTS = 2

/** The step behind every invoke: takes its time, fails as often as asked. */
const steps = (clock: VirtualClock): Record<string, unknown> => ({
  work: ({ ms, failures, count }: WorkInput, { attempt, signal }: { attempt: number; signal: AbortSignal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      const end = (): void => (attempt > failures ? resolve({ at: count }) : reject(new Error(`attempt ${attempt}`)))
      clock.setTimeout(end, ms)
    }),
})
