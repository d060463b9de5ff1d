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
import { Reference } from './reference.js'
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

interface Crash {
  readonly disk: CrashDisk
  readonly nowMs: number
}

interface MarkedEvent extends AnyEvent {
  readonly mark: number
}

const ID = 'twin'
const INPUT = { start: 1 }

export class Twin {
  crashes = 0
  crashesInFlight = 0
  records = 0
  readonly #story: Story
  readonly #reference: Reference
  readonly #comparison: Comparison
  readonly #random: () => number
  readonly #types: readonly string[]
  #world!: World
  #kind!: AnySessionKind
  #pointsLeft: number | undefined
  #crash: Crash | undefined
  #marks = 0
  readonly #refused = new Set<number>()
  readonly #acknowledged = new Map<number, number>()
  readonly #recorded = new Set<number>()
  readonly #notes: string[] = []

  constructor(story: Story) {
    this.#story = story
    this.#reference = new Reference(story.machine)
    this.#comparison = new Comparison(this.#reference)
    this.#random = createSeededChance(story.seed).random
    this.#types = [...EVENTS, ...returnEvents(story.machine)]
  }

  /** What happened, by name. */
  get features(): Set<string> {
    return this.#reference.features
  }

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
    for (const { mark } of events) if (this.#refused.has(mark)) this.features.add('refused')
    if (!crash && events.length === 1) this.#checkRefusal(events[0] as MarkedEvent)
  }

  /** Does something and waits until it is durable; or crashes on the way, and recovers. */
  async #during(crash: CrashPlan | undefined, act: () => Promise<unknown>): Promise<void> {
    this.#crash = undefined
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

  /** The power is cut, unless it is already. */
  #strike(): void {
    this.#pointsLeft = undefined
    if (this.#crash) return
    const { disk, clock } = this.#world
    this.crashes++
    if (inFlight(this.#world)) this.crashesInFlight++
    this.#crash = { disk: disk.crash(randomFates(this.#random)), nowMs: clock.now() }
  }

  async #recover(plan: CrashPlan): Promise<void> {
    const { disk, nowMs } = this.#crash as Crash
    // Plain XState takes its own messages at once; a session that was cut off before takes them when it is back.
    const downtimeMs = hasMessages(disk) ? 0 : plan.downtimeMs
    const last = this.#comparison.lastRecord
    await this.#open(disk, nowMs + downtimeMs)
    if (downtimeMs > 0 && this.#overdue()) this.features.add('overdue timer')
    const found = [...this.#world.journal.scan(0)].find(({ record }) => record.seq === last?.seq)
    mustEqual(found?.record && plain(found.record), last && plain(last), 'the last record before the crash')
    for (const [mark, seq] of this.#acknowledged) {
      must(seq <= (this.#entrySeq() ?? 0), `the acknowledged event ${mark} (transition ${seq}) is lost`)
    }
    await settle(this.#world)
  }

  #overdue(): boolean {
    const now = this.#world.clock.now()
    const timers = this.#world.runtime.sessions.count() > 0 ? (this.#comparison.state?.timers ?? []) : []
    return timers.some(({ at }) => Date.parse(at) <= now)
  }

  #entrySeq(): number | undefined {
    return this.#world.runtime.sessions.list().sessions[0]?.seq
  }

  async #open(disk: CrashDisk, nowMs: number): Promise<void> {
    const { segmentBytes, stallMs, seed } = this.#story
    const listens = (): boolean => this.#world === world && this.#crash === undefined
    const note = (n: number, count: number): void => void (listens() && this.#notes.push(`${n}@${count}`))
    const machine = buildMachine(this.#story.machine, { work: step('work', WORK) as unknown as AnyActorLogic, note })
    this.#kind = defineSession({ kind: 'twin', version: 1, machine, steps: 'steps' })
    this.#crash = undefined
    let world: World | undefined
    const onPoint = (): void => void (listens() && this.#point())
    const journal = { segmentBytes, stallMs }
    world = await openWorld({ disk, kinds: [this.#kind], nowMs, seed, journal, steps, onPoint })
    this.#world = world
  }

  async #create(): Promise<void> {
    await this.#world.runtime.create(this.#kind, INPUT, { id: ID }).catch(() => {})
  }

  #marked({ type, n, boom }: SentSpec): MarkedEvent {
    const name = this.#types[type % this.#types.length] as string
    return { type: name, n, mark: ++this.#marks, ...(boom && { boom }) }
  }

  /** All in one turn: they share a batch. */
  async #send(events: readonly MarkedEvent[]): Promise<void> {
    const world = this.#world
    const listens = (): boolean => this.#world === world && this.#crash === undefined
    const session = this.#session
    await Promise.all(
      events.map((event) =>
        session.send(event).then(
          ({ seq }) => void (listens() && this.#acknowledged.set(event.mark, seq)),
          (error: unknown) => {
            if (!listens()) return
            if (!isHoldfastError(error, 'NOT_ACCEPTED', 'DECISION_FAILED', 'SESSION_ENDED')) throw error
            if (isHoldfastError(error, 'DECISION_FAILED')) this.features.add('rolled back')
            this.#refused.add(event.mark)
          },
        ),
      ),
    )
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
    if (clock.now() < until) await clock.advance(until - clock.now())
  }

  /** Holds the new records against the reference. */
  #follow(): void {
    const { state } = this.#comparison
    for (const { record, position } of this.#world.journal.scan(state?.position ?? 0)) {
      if (record.seq <= (this.#comparison.state?.seq ?? 0)) continue
      const { mark } = record.event as unknown as MarkedEvent
      must(mark === undefined || !this.#recorded.has(mark), `event ${mark} is recorded twice`)
      must(mark === undefined || !this.#refused.has(mark), `event ${mark} was refused and is recorded`)
      if (mark !== undefined) this.#recorded.add(mark)
      this.#noticeRecord(record)
      this.#comparison.follow(record, position)
      this.records++
    }
  }

  #check(): void {
    this.#follow()
    must(this.#reference.waiting === 0, 'plain XState took more messages to itself than the session')
    const { value, context, status, output, error, tags, seq } = this.#session.snapshot()
    const look = this.#reference.look()
    mustEqual(seq, this.#comparison.state?.seq, 'the number of transitions')
    const session = { value, context, status, output, error, tags: [...tags].sort() }
    const { value: v, context: c, status: s, output: o, error: e, tags: t } = look
    mustEqual(session, { value: v, context: c, status: s, output: o, error: e, tags: t }, `at rest after ${seq}`)
    for (const type of this.#types) {
      for (const n of [0, 9]) {
        const event = { type, n }
        mustEqual(this.#session.can(event), this.#reference.can(event), `can ${type} ${n} after ${seq}`)
      }
    }
    mustEqual(this.#world.complaints.filter(unexpected), [], 'complaints')
  }

  /** After time has passed nothing that is due still waits. */
  #checkPunctual(): void {
    const now = this.#world.clock.now()
    const late = this.#reference.look().deadlines.filter((due) => due <= now)
    mustEqual(late, [], `timers that are late at ${now}`)
  }

  /** What the session refused is nothing to plain XState either. */
  #checkRefusal(event: MarkedEvent): void {
    if (!this.#refused.has(event.mark) || event.boom || this.#reference.look().status !== 'active') return
    const before = this.#reference.look()
    this.#reference.send(event, this.#world.clock.now())
    mustEqual(before, this.#reference.take(), `${event.type} was refused`)
  }

  /** Every history state once more, from outside: what it remembers is where the machine goes. */
  async #wayBack(): Promise<void> {
    for (const [index, type] of returnEvents(this.#story.machine).entries()) {
      if (this.#reference.look().status !== 'active') return
      const event = { type, n: index, mark: ++this.#marks }
      await this.#during(undefined, () => this.#send([event]))
      this.#check()
    }
  }

  /** A crash may skip custom actions, and nothing doubles or reorders them. */
  #checkNotes(): void {
    const { notes } = this.#reference
    if (this.crashes === 0) mustEqual(this.#notes, notes, 'custom actions')
    let at = 0
    for (const note of this.#notes) {
      const found = notes.indexOf(note, at)
      must(found >= 0, `custom action ${note} of ${this.#notes} is not among ${notes} in that order`)
      at = found + 1
    }
  }

  #noticeRecord({ status, cleared, event, output, attempt, error }: TransitionRecord): void {
    if (status) this.features.add(status === 'error' && error ? 'ended in error' : status)
    if (output !== undefined) this.features.add('output')
    if (attempt) this.features.add('step tried again')
    if ((cleared?.length ?? 0) > ((event as AnyEvent).via === 'later' || event.type.startsWith('xstate.after') ? 1 : 0))
      this.features.add('timer cancelled')
  }
}

const WORK = { attempts: 2, backoffMs: 10 }

/** The step behind every invoke: takes its time, fails as often as asked. */
const steps = (clock: VirtualClock): Record<string, unknown> => ({
  work: ({ ms, failures, count }: WorkInput, { attempt, signal }: { attempt: number; signal: AbortSignal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      const end = (): void => (attempt > failures ? resolve({ at: count }) : reject(new Error(`attempt ${attempt}`)))
      clock.setTimeout(end, ms)
    }),
})

/** Whether a session with this disk still has messages to itself to take. */
function hasMessages(disk: CrashDisk): boolean {
  let waiting = 0
  for (const { record } of readFileJournal(disk, () => {}).scan(0)) {
    waiting = record.status ? 0 : waiting + (record.messages?.length ?? 0) - (record.taken ? 1 : 0)
  }
  return waiting > 0
}

const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

const unexpected = (_: string): boolean => true
