// A session and its reference, side by side: the session lives through crashes, the reference does not.
// After every operation the new durable records are held against the reference (see `comparison.ts`), then what the live
// session shows and would accept. A crash loses events that were not acknowledged: they are sent again, as a client would.

import type { AnyActorLogic } from 'xstate'
import { type AnySessionKind, defineSession } from '../../src/define.js'
import { isHoldfastError } from '../../src/errors.js'
import { readFileJournal } from '../../src/files/journal.js'
import type { Session } from '../../src/handle.js'
import type { TransitionRecord } from '../../src/record.js'
import { step } from '../../src/steps.js'
import { createSeededChance } from '../../src/testing/chance.js'
import type { VirtualClock } from '../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk } from '../../src/testing/disk.js'
import { type AnyEvent, buildMachine, returnEvents, type WorkInput } from './build.js'
import { Comparison, must, mustEqual } from './comparison.js'
import { EVENTS, type MachineSpec } from './machines.js'
import { messageOf, Reference } from './reference.js'
import { inFlight, openWorld, randomFates, START_MS, settle, type World } from './world.js'

/** Where in an operation the crash comes: after so many points (one before and one after each call to the disk). */
export interface CrashPlan {
  readonly points: number
  readonly downtimeMs: number
}

export interface SentSpec {
  readonly type: number
  readonly n: number
  readonly boom: boolean
}

export type Operation = (
  | { readonly do: 'send'; readonly events: readonly SentSpec[] }
  | { readonly do: 'wait'; readonly ms: number }
) & { readonly crash?: CrashPlan }

export interface Story {
  readonly machine: MachineSpec
  readonly seed: number
  readonly segmentBytes: number
  readonly stallMs: number
  /** A crash while the session is being created. */
  readonly begin?: CrashPlan
  readonly operations: readonly Operation[]
}

interface MarkedEvent extends AnyEvent {
  readonly mark: number
}

const ID = 'twin'
const INPUT = { start: 1 }
const ATTEMPTS = 2

export class Twin {
  crashes = 0
  crashesInFlight = 0
  readonly #story: Story
  readonly #reference: Reference
  readonly #comparison: Comparison
  readonly #random: () => number
  /** Every type of event that the machine knows. */
  readonly #types: readonly string[]
  readonly #kind: AnySessionKind
  #world!: World
  #pointsLeft: number | undefined
  #crash: { readonly disk: CrashDisk; readonly nowMs: number } | undefined
  #marks = 0
  readonly #acknowledged = new Map<number, number>()
  /** Refused events: mark -> error code. */
  readonly #refused = new Map<number, string>()
  readonly #recorded = new Set<number>()
  readonly #notes: string[] = []
  /** When the last attempt at each step was to begin, in ms since the epoch. */
  readonly #begun = new Map<string, number>()

  constructor(story: Story) {
    this.#story = story
    this.#reference = new Reference(story.machine)
    this.#comparison = new Comparison(this.#reference)
    this.#random = createSeededChance(story.seed).random
    this.#types = [...EVENTS, ...returnEvents(story.machine)]
    const work = step('work', { attempts: ATTEMPTS, backoffMs: 10 }) as unknown as AnyActorLogic
    const note = (n: number, count: number): void => void (this.#crash ?? this.#notes.push(`${n}@${count}`))
    const machine = buildMachine(story.machine, { work, note })
    this.#kind = defineSession({ kind: 'twin', version: 1, machine, steps: 'steps' })
  }

  /** What happened, by name. */
  get features(): Set<string> {
    return this.#reference.features
  }

  get records(): number {
    return this.#comparison.state?.seq ?? 0
  }

  /** Tells the whole story. Throws at the first difference. */
  async live(): Promise<void> {
    const { operations, begin } = this.#story
    await this.#open(createCrashDisk(), START_MS)
    await this.#during(begin, () => this.#create())
    if (this.#world.runtime.sessions.count() === 0) await this.#during(undefined, () => this.#create())
    this.#check()
    for (const operation of operations) await this.#perform(operation)
    await this.#wayBack()
    this.#checkNotes()
  }

  async #perform(operation: Operation): Promise<void> {
    const { crash } = operation
    if (operation.do === 'wait') {
      const until = this.#world.clock.now() + operation.ms
      await this.#during(crash, () => this.#advance(until))
      await this.#advance(until)
      this.#check()
      this.#checkPunctual()
      return
    }
    const events = operation.events.map((event) => this.#marked(event))
    await this.#during(crash, () => this.#send(events))
    if (crash) await this.#sendAgain(events)
    this.#check()
    if (!crash && events.length === 1) this.#checkRefusal(events[0] as MarkedEvent)
  }

  /** Does something and waits until it is durable; or crashes on the way, and recovers. */
  async #during(crash: CrashPlan | undefined, act: () => Promise<unknown>): Promise<void> {
    this.#pointsLeft = crash?.points
    const acting = act()
    this.#point()
    await acting
    await settle(this.#world)
    if (!crash) return
    this.#strike()
    await this.#recover(crash)
  }

  /** A point of the plan is reached: the crash may be here. */
  #point(): void {
    if (this.#pointsLeft === undefined) return
    if (this.#pointsLeft === 0) this.#strike()
    else this.#pointsLeft--
  }

  /** The power is cut, unless it is already. What the world still does is not seen any more. */
  #strike(): void {
    this.#pointsLeft = undefined
    if (this.#crash) return
    const { disk, clock } = this.#world
    this.crashes++
    if (inFlight(this.#world)) this.crashesInFlight++
    this.#crash = { disk: disk.crash(randomFates(this.#random)), nowMs: clock.now() }
  }

  async #recover(plan: CrashPlan): Promise<void> {
    const { disk, nowMs } = this.#crash as { disk: CrashDisk; nowMs: number }
    // Plain XState takes its own messages at once; a session that was cut off before takes them when it is back.
    const downtimeMs = hasMessages(disk) ? 0 : plan.downtimeMs
    await this.#open(disk, nowMs + downtimeMs)
    const [entry] = this.#world.runtime.sessions.list().sessions
    const { state, lastRecord: last } = this.#comparison
    if (state?.timers.some(({ at }) => Date.parse(at) <= this.#world.clock.now())) this.features.add('overdue timer')
    for (const [mark, seq] of this.#acknowledged) {
      must(entry !== undefined && seq <= entry.seq, `the acknowledged event ${mark} (transition ${seq}) is lost`)
    }
    if (last && state) mustEqual(this.#world.journal.read(state.position).at, last.at, 'the last record that was seen')
    await settle(this.#world)
  }

  async #open(disk: CrashDisk, nowMs: number): Promise<void> {
    const { segmentBytes, stallMs, seed } = this.#story
    const onPoint = (): void => this.#point()
    const journal = { segmentBytes, stallMs }
    this.#world = await openWorld({ disk, kinds: [this.#kind], nowMs, seed, journal, steps, onPoint })
    this.#crash = undefined
  }

  async #create(): Promise<void> {
    await this.#world.runtime.create(this.#kind, INPUT, { id: ID })
  }

  #marked({ type, n, boom }: SentSpec): MarkedEvent {
    const name = this.#types[type % this.#types.length] as string
    return { type: name, n, mark: ++this.#marks, ...(boom && { boom }) }
  }

  /** All in one turn: they share a batch. */
  async #send(events: readonly MarkedEvent[]): Promise<void> {
    const session = this.#session
    await Promise.all(
      events.map((event) =>
        session.send(event).then(
          ({ seq }) => void (this.#crash ?? this.#acknowledged.set(event.mark, seq)),
          (error: unknown) => void (this.#crash ?? this.#refusal(event.mark, error)),
        ),
      ),
    )
  }

  #refusal(mark: number, error: unknown): void {
    if (!isHoldfastError(error, 'NOT_ACCEPTED', 'DECISION_FAILED', 'SESSION_ENDED')) throw error
    this.features.add(error.code === 'DECISION_FAILED' ? 'rolled back' : 'refused')
    this.#refused.set(mark, error.code)
  }

  async #sendAgain(events: readonly MarkedEvent[]): Promise<void> {
    this.#follow()
    const lost = events.filter(({ mark }) => !this.#recorded.has(mark) && !this.#refused.has(mark))
    if (lost.length > 0) this.features.add('sent again')
    await this.#during(undefined, () => this.#send(lost))
  }

  get #session(): Session {
    return this.#world.runtime.session(ID)
  }

  async #advance(until: number): Promise<void> {
    const { clock } = this.#world
    await clock.advance(Math.max(0, until - clock.now()))
  }

  /** Holds the new records against the reference. */
  #follow(): void {
    const { state } = this.#comparison
    for (const { record, position } of this.#world.journal.scan(state?.position ?? 0)) {
      if (record.seq <= (state?.seq ?? 0)) continue
      const { mark } = record.event as unknown as MarkedEvent
      must(mark === undefined || !this.#recorded.has(mark), `event ${mark} is recorded twice`)
      must(mark === undefined || !this.#refused.has(mark), `event ${mark} was refused and is recorded`)
      if (mark !== undefined) this.#recorded.add(mark)
      this.#comparison.follow(record, position)
      this.#notice(record)
    }
  }

  #check(): void {
    this.#follow()
    must(this.#reference.waiting === 0, 'plain XState took more messages to itself than the session')
    const { value, context, status, output, error, tags, seq } = this.#session.snapshot()
    const look = this.#reference.look()
    const session = { value, context, status, output, error: messageOf(error), tags: [...tags].sort() }
    const { deadlines: _, history: __, steps: ___, ...xstate } = look
    mustEqual(seq, this.records, 'the number of transitions')
    mustEqual(session, xstate, `at rest after record ${seq}`)
    for (const type of this.#types) {
      for (const n of [0, 9]) {
        mustEqual(this.#session.can({ type, n }), this.#reference.can({ type, n }), `can ${type} after record ${seq}`)
      }
    }
    mustEqual(this.#world.complaints, [], 'what was logged')
  }

  /** After time has passed nothing that is due still waits. */
  #checkPunctual(): void {
    const now = this.#world.clock.now()
    mustEqual(
      this.#comparison.state?.timers.filter(({ at }) => Date.parse(at) <= now),
      [],
      'timers that are late',
    )
  }

  /** What the session refused is nothing to plain XState either. */
  #checkRefusal(event: MarkedEvent): void {
    const before = this.#reference.look()
    if (this.#refused.get(event.mark) !== 'NOT_ACCEPTED') return
    this.#reference.send(event, this.#world.clock.now())
    mustEqual(before, this.#reference.take(), `${event.type} was refused`)
  }

  /** Every history state once more, from outside: what it remembers is where the machine goes. */
  async #wayBack(): Promise<void> {
    for (const [n, type] of returnEvents(this.#story.machine).entries()) {
      if (this.#reference.look().status !== 'active') return
      await this.#during(undefined, () => this.#send([{ type, n, mark: ++this.#marks }]))
      this.#check()
    }
  }

  /** A crash may skip custom actions; nothing doubles or reorders them. */
  #checkNotes(): void {
    const { notes } = this.#reference
    if (notes.length > 0) this.features.add('custom action')
    if (this.crashes === 0) mustEqual(this.#notes, notes, 'custom actions')
    let next = 0
    for (const note of this.#notes) {
      next = notes.indexOf(note, next) + 1
      must(next > 0, `of the custom actions ${this.#notes}, ${note} is not next in ${notes}`)
    }
  }

  #notice({ status, output, started = [], attempt, order, value, at }: TransitionRecord): void {
    for (const { id } of started) this.#begun.set(id, Date.parse(at))
    if (attempt) this.#begun.set(attempt.child, Date.parse(attempt.notBefore ?? at))
    if (status) this.features.add(status)
    if (output !== undefined) this.features.add('output')
    if (attempt) this.features.add('step tried again')
    if (order) this.features.add('order of regions')
    if (typeof value === 'object') this.features.add('hierarchy')
    if (/,/.test(JSON.stringify(value))) this.features.add('parallel')
    if (this.#reference.look().tags.length > 0) this.features.add('tags')
  }
}

/** The step behind every invoke: takes its time, fails as often as asked. */
const steps = (clock: VirtualClock): Record<string, unknown> => ({
  work: ({ ms, failures, count }: WorkInput, { attempt, signal }: { attempt: number; signal: AbortSignal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      const end = (): void => (attempt > failures ? resolve({ at: count }) : reject(new Error(`attempt ${attempt}`)))
      clock.setTimeout(end, ms)
    }),
})

/** Whether the session on this disk still has messages to itself to take. */
function hasMessages(disk: CrashDisk): boolean {
  let waiting = 0
  for (const { record } of readFileJournal(disk, () => {}).scan(0)) {
    waiting = record.status ? 0 : waiting + (record.messages?.length ?? 0) - (record.taken ? 1 : 0)
  }
  return waiting > 0
}
