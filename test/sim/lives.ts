// Lives of generated machines: a machine, some events and power cuts, told by a seed and lived beside plain XState that never
// crashed. What such machines can tell of themselves beside their records is taken down here: custom actions, and which of
// XState's features were used. `equivalence*.test.ts` live them.

import fc from 'fast-check'
import type { AnyActorLogic } from 'xstate'
import { type AnySessionKind, defineSession } from '../../src/define.js'
import type { RecordedEvent, TransitionRecord } from '../../src/record.js'
import { step } from '../../src/steps.js'
import { createSeededChance } from '../../src/testing/chance.js'
import type { VirtualClock } from '../../src/testing/clock.js'
import { must, mustEqual } from '../../src/testing/comparison.js'
import type { CrashPlan } from '../../src/testing/story.js'
import { Twin } from '../../src/testing/twin.js'
import { type AnyEvent, buildMachine, returnEvents, SPAWNED, type WorkInput } from './build.js'
import { EVENTS, familySpec, type MachineSpec, sometimes } from './machines.js'

const downtimeMs = fc.constantFrom(0, 0, 0, 30, 700)

/** While events are sent, at once or around a call to the disk; while time passes, some calls later. */
const crashOf = (least: number, most: number): fc.Arbitrary<CrashPlan> =>
  fc.record({ points: fc.integer({ min: least, max: most }), downtimeMs, again: sometimes(fc.nat({ max: 40 }), 1, 4) })

const sent = fc.record({
  type: fc.nat({ max: 11 }),
  n: fc.nat({ max: 9 }),
  boom: fc.constantFrom(false, false, true),
})

const send = fc.record({
  do: fc.constant('send' as const),
  count: fc.integer({ min: 1, max: 2 }),
  crash: sometimes(crashOf(0, 4)),
})

const wait = fc.record({
  do: fc.constant('wait' as const),
  ms: fc.constantFrom(1, 5, 30, 30, 150, 1100),
  crash: sometimes(crashOf(1, 6)),
})

const story = fc.record({
  seed: fc.nat(),
  segmentBytes: fc.constantFrom(1000, 4000, 1_000_000),
  stallMs: fc.constantFrom(-1, 1),
  begin: sometimes(crashOf(0, 4), 1, 5),
  events: fc.array(sent, { minLength: 1, maxLength: 3 }),
  operations: fc.array(fc.oneof({ weight: 3, arbitrary: send }, { weight: 2, arbitrary: wait }), {
    minLength: 1,
    maxLength: 2,
  }),
})
type StoryTold = typeof story extends fc.Arbitrary<infer T> ? T : never

/** How many sessions of each machine are lived. */
export const STORIES_EACH = 8

/** A machine, and what happens to some of its sessions. */
export const told = fc.record({
  machine: familySpec,
  /** Plain XState ends with a crash; sessions that are restarted go on as if there had been none. */
  restart: fc.oneof(
    { weight: 2, arbitrary: fc.constant('temporary' as const) },
    fc.constantFrom('transient' as const, 'permanent' as const),
  ),
  stories: fc.array(story, { minLength: STORIES_EACH, maxLength: STORIES_EACH }),
})
export type Told = typeof told extends fc.Arbitrary<infer T> ? T : never

/** Each must have happened in 5% of the runs of each file, or the test proves less than it says. */
export const FEATURES: readonly string[] = [
  ...['event', 'assign', 'truly guarded', 'hierarchy', 'parallel', 'tags', 'custom action'],
  ...['always', 'raise', 'delayed raise', 'cancel', 'after', 'sendTo self', 'delayed sendTo'],
  ...['shallow history', 'deep history', 'nested final', 'done', 'output', 'error'],
  ...['child done', 'child failed', 'step tried again', 'refused', 'rolled back', 'sent again', 'overdue timer'],
  ...['child session', 'spawned', 'told by parent', 'told by child', 'child session ended', 'child session cancelled'],
  'restarted',
]

/** The machine of a story, made once for all of its sessions. */
export class Generated {
  readonly kind: AnySessionKind
  readonly #spec: MachineSpec
  readonly #restarts: boolean
  /** Whose session is lived just now. */
  #life!: Life

  constructor({ machine: spec, restart }: Told) {
    this.#spec = spec
    this.#restarts = restart !== 'temporary'
    const machine = buildMachine(spec, {
      work: step('work', { attempts: ATTEMPTS, backoffMs: 10 }) as unknown as AnyActorLogic,
      note: (n, count, by) => this.#life.note(n, count, by),
      ...(this.#restarts && { stumble: () => this.#life.stumble() }),
    })
    // Without a pause, so that a restart costs no time; what stumbles does so less often in a row than makes a dead letter.
    const supervision = { restart, backoffMs: 0, intensity: 1000, attempts: 10 } as const
    this.kind = defineSession({ kind: 'twin', version: 1, machine, steps: 'steps', supervision })
  }

  begin({ events: sent, ...story }: StoryTold): Life {
    const back = returnEvents(this.#spec)
    const types = [...EVENTS, ...back]
    const events = sent.map(({ type, n, boom }, mark): RecordedEvent => {
      // A crash on the same event again and again ends in a dead letter, and there is none in plain XState.
      return { type: types[type % types.length] as string, n, mark, ...(boom && !this.#restarts && { boom }) }
    })
    // Every history state once more, from outside: what it remembers is where the machine goes.
    const wayBack = back.slice(0, 1).map((type, n): RecordedEvent => ({ type, n, mark: -1 - n }))
    this.#life = new Life(this.kind, { ...story, input: { start: 1 }, events: [...events, ...wayBack] }, this.#restarts)
    return this.#life
  }
}

/** A session of a generated machine beside its reference. */
export class Life {
  readonly twin: Twin
  readonly features = new Set<string>()
  /** What the custom action was called with: by the session as far as it counts, and by plain XState. */
  readonly #notes: string[] = []
  readonly #expected: string[] = []
  readonly #restarts: boolean
  readonly #random: () => number
  /** Plain XState decides. */
  #apart = false
  #stumbled = false

  constructor(kind: AnySessionKind, story: ConstructorParameters<typeof Twin>[1], restarts: boolean) {
    this.#restarts = restarts
    this.#random = createSeededChance(~story.seed).random
    const microstep = (event: AnyEvent, { description }: { description?: string }): void => {
      if (event.via) this.features.add(event.via)
      if (description === 'guarded') this.features.add('truly guarded')
    }
    let drivenFrom = 0
    const driving = (drive: () => void): void => {
      this.#apart = true
      drivenFrom = this.#expected.length
      drive()
      this.#apart = false
    }
    const record = ({ started = [], status, taken }: TransitionRecord): void => {
      // All or nothing: of a decision that throws no action runs. Plain XState has run by then what came before the throw.
      if (status === 'error' && !taken) this.#expected.length = drivenFrom
      if (started.some(({ id }) => id === SPAWNED)) this.features.add('spawned')
    }
    const watch = { action: (run: () => void) => run(), microstep, driving, record }
    this.twin = new Twin(kind, story, { steps, watch, restarts, lookAhead: 4 })
  }

  async live(): Promise<void> {
    await this.twin.live()
    for (const feature of this.twin.features) this.features.add(feature)
    this.#checkNotes()
  }

  note(n: number, count: number, by: 'parent' | 'child'): void {
    const line = `${by} ${n}@${count}`
    if (this.#apart) this.#expected.push(line)
    else if (!this.twin.struck) {
      this.#notes.push(line)
      if (this.#restarts) this.stumble()
    }
  }

  /** Now and then something throws in a session, and never in plain XState. */
  stumble(): void {
    if (this.#apart || this.twin.struck) return
    this.#stumbled = !this.#stumbled && this.#random() < 0.2
    if (this.#stumbled) throw new Error('it stumbles')
  }

  /** A crash may skip custom actions; nothing doubles them, or reorders those of one session. */
  #checkNotes(): void {
    const by = (who: string, notes: readonly string[]): string[] => notes.filter((note) => note.startsWith(who))
    // Children live side by side: of theirs, only how many there are can be told.
    for (const [notes, expected] of [
      [by('parent', this.#notes), by('parent', this.#expected)],
      [by('child', this.#notes).sort(), by('child', this.#expected).sort()],
    ] as const) {
      if (this.twin.crashes === 0) mustEqual(notes, expected, 'custom actions')
      let next = 0
      for (const note of notes) {
        next = expected.indexOf(note, next) + 1
        must(next > 0, `of the custom actions ${notes}, ${note} is not next in ${expected}`)
      }
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
