// A session and its reference, side by side: the session lives through crashes, the reference does not.
// After every operation the new durable records are held against the reference (see `comparison.ts`), then what the live
// session shows and would accept; its child sessions are each held against a reference of their own. A crash loses events
// that were not acknowledged: they are sent again, as a client would.

import { isDeepStrictEqual } from 'node:util'
import { actorOf } from '../actors.js'
import type { AnySessionKind } from '../define.js'
import { admitEvent } from '../door.js'
import { isHoldfastError } from '../errors.js'
import type { Session } from '../handle.js'
import type { RecordedEvent, TransitionRecord } from '../record.js'
import { turn } from './clock.js'
import { Comparison, must, mustEqual, show } from './comparison.js'
import { family, withoutRestarts } from './family.js'
import { Lives, type LivesOptions } from './lives.js'
import { Mail } from './mail.js'
import { messageOf } from './observation.js'
import type { ReferenceWatch } from './reference.js'
import type { CrashPlan, Story } from './story.js'
import type { World } from './world.js'

/** Of `restarts`: by default who crashes ends, as in XState. */
export interface TwinOptions extends LivesOptions {
  readonly watch?: ReferenceWatch & { readonly record?: (record: TransitionRecord) => void }
  /** Of the next so many events, the first that the machine would take is sent first. Default: 1, so as they come. */
  readonly lookAhead?: number
}

interface Sent {
  readonly event: RecordedEvent
  state: 'under way' | 'recorded' | 'refused' | 'lost'
}

const ID = 'checked'
/** More turns than any answer takes. */
const PATIENCE_TURNS = 10_000
/** Of so many of the next events it is asked whether they would be accepted. */
const FORESEEN = 3
/** What a machine may come to by design; any other refusal is a finding. */
const REFUSALS = ['NOT_ACCEPTED', 'DECISION_FAILED', 'SESSION_ENDED', 'INVALID_EVENT', 'SESSION_NOT_FOUND'] as const

export class Twin {
  records = 0
  readonly features: Set<string> = new Set()
  /** What has happened, a line each. */
  readonly tale: string[] = []
  readonly #kind: AnySessionKind
  readonly #kinds: ReadonlyMap<string, AnySessionKind>
  readonly #story: Story
  readonly #options: TwinOptions
  readonly #comparisons = new Map<string, Comparison>()
  readonly #lives: Lives
  #followed = -1
  #acknowledged = 0
  readonly #sent: Sent[] = []
  /** Events that are still to be sent. */
  readonly #left: RecordedEvent[]
  readonly #mail: Mail

  constructor(kind: AnySessionKind, story: Story, options: TwinOptions = {}) {
    this.#kind = options.restarts ? kind : withoutRestarts(kind)
    this.#kinds = new Map(family(this.#kind).map((one) => [one.kind, one]))
    this.#story = story
    this.#options = options
    this.#lives = new Lives(this.#kind, story, options, (line) => this.tale.push(line))
    this.#left = [...story.events]
    this.#mail = new Mail(this.#kinds, (session) => this.#comparisons.get(session)?.state)
  }

  /** The power has been cut, and the next life has not begun. */
  get struck(): boolean {
    return this.#lives.struck
  }

  get crashes(): number {
    return this.#lives.crashes
  }

  get crashesInFlight(): number {
    return this.#lives.crashesInFlight
  }

  get openingsCut(): number {
    return this.#lives.openingsCut
  }

  /** Tells the whole story. Throws at the first difference. */
  async live(): Promise<void> {
    const { operations, begin, input } = this.#story
    await this.#lives.begin()
    this.tale.push(input === undefined ? 'create' : `create with ${show(input)}`)
    await this.#during(begin, () => this.#create())
    if (this.#world.runtime.sessions.count() === 0) await this.#during(undefined, () => this.#create())
    this.#check()
    for (const operation of operations) {
      if (operation.do === 'wait') await this.#wait(operation.ms, operation.crash)
      else await this.#send(operation.count, operation.crash)
    }
    while (this.#left.length > 0) await this.#send(1)
    for (const { reference } of this.#comparisons.values()) {
      for (const feature of reference.features) this.features.add(feature)
    }
  }

  async #wait(wait: number | 'timer', crash: CrashPlan | undefined): Promise<void> {
    const ms = wait === 'timer' ? this.#untilTimer() : wait
    const until = this.#world.clock.now() + ms
    this.tale.push(`wait ${ms} ms`)
    await this.#during(crash, () => this.#lives.advance(until))
    await this.#lives.advance(until)
    await this.#lives.rest()
    this.#check()
    this.#checkPunctual()
  }

  async #send(count: number, crash?: CrashPlan): Promise<void> {
    const events = Array.from({ length: Math.min(count, this.#left.length) }, () => this.#next())
    if (events.length === 0) return
    this.tale.push(`send ${events.map(show).join(', ')}`)
    const sent = events.map((event): Sent => ({ event: this.#admitted(event), state: 'under way' }))
    await this.#during(crash, () => this.#sendNow(sent))
    if (crash) await this.#sendAgain(sent)
    this.#check()
    if (!crash && sent.length === 1) this.#checkRefusal(sent[0] as Sent)
  }

  /** Takes the event that is sent next. */
  #next(): RecordedEvent {
    const { lookAhead = 1 } = this.#options
    const { reference } = this.#comparisons.get(ID) as Comparison
    const first = this.#left
      .slice(0, lookAhead)
      .findIndex((event) => lookAhead > 1 && answer(() => reference.can(event)) === true)
    return this.#left.splice(Math.max(first, 0), 1)[0] as RecordedEvent
  }

  /** As the kind's schema makes it; one that it refuses is sent as it is. */
  #admitted(event: RecordedEvent): RecordedEvent {
    try {
      return admitEvent(this.#kind, event)
    } catch {
      return event
    }
  }

  /** Does something and waits until it is durable; or crashes on the way, and recovers. */
  async #during(crash: CrashPlan | undefined, act: () => Promise<unknown>): Promise<void> {
    const nowMs = await this.#lives.during(crash, act)
    if (nowMs === undefined) return
    this.#checkRecovered(nowMs)
    await this.#lives.rest()
  }

  /** What was acknowledged, or seen, is there. */
  #checkRecovered(nowMs: number): void {
    const entry = this.#world.runtime.sessions.list().sessions.find(({ id }) => id === ID)
    must((entry?.seq ?? 0) >= this.#acknowledged, `the acknowledged transition ${this.#acknowledged} is lost`)
    for (const { state, lastRecord } of this.#comparisons.values()) {
      if (state?.timers.some(({ at }) => Date.parse(at) <= nowMs)) this.features.add('overdue timer')
      if (!state || !lastRecord) continue
      mustEqual(this.#world.journal.read(state.position).at, lastRecord.at, 'the last record that was seen')
    }
  }

  get #world(): World {
    return this.#lives.world
  }

  async #create(): Promise<void> {
    await this.#world.runtime.create(this.#kind, this.#story.input, { id: ID })
  }

  /** All in one turn: they share a batch. */
  async #sendNow(events: readonly Sent[]): Promise<void> {
    const session = this.#session
    this.#sent.push(...events)
    let waiting = events.length
    const sending = Promise.all(
      events.map(async (sent) => {
        try {
          const { seq } = await session.send(sent.event)
          if (!this.struck) this.#acknowledged = Math.max(this.#acknowledged, seq)
        } catch (error) {
          if (!this.struck) this.#refusal(sent, error)
        } finally {
          waiting--
        }
      }),
    )
    sending.catch(() => {}) // it is heard below
    for (let turns = 0; waiting > 0 && !this.struck; turns++) {
      must(turns < PATIENCE_TURNS, `the session does not answer; what was logged: ${show(this.#world.complaints)}`)
      // Whoever is restarted meanwhile answers only then.
      if (this.#options.restarts) await this.#world.clock.advance(0)
      else await turn()
    }
    if (!this.struck) await sending
  }

  #refusal(sent: Sent, error: unknown): void {
    if (!isHoldfastError(error, ...REFUSALS)) throw error
    this.features.add(error.code === 'DECISION_FAILED' ? 'rolled back' : 'refused')
    this.tale.push(`  refused: ${error.message}`)
    sent.state = 'refused'
  }

  async #sendAgain(events: readonly Sent[]): Promise<void> {
    this.#follow()
    const lost = events.filter(({ state }) => state === 'under way')
    if (lost.length === 0) return
    for (const sent of lost) sent.state = 'lost'
    this.features.add('sent again')
    this.tale.push(`send again ${lost.map(({ event }) => show(event)).join(', ')}`)
    await this.#during(undefined, () => this.#sendNow(lost.map(({ event }) => ({ event, state: 'under way' }))))
  }

  get #session(): Session {
    return this.#world.runtime.session(ID)
  }

  /** How long until the next deadline of anybody, or attempt at a step. */
  #untilTimer(): number {
    const states = [...this.#comparisons.values()].flatMap(({ state }) => state ?? [])
    const attempts = states.flatMap(({ children }) =>
      Object.values(children).flatMap(({ notBefore }) => notBefore ?? []),
    )
    const times = [...states.flatMap(({ timers }) => timers.map(({ at }) => at)), ...attempts].map(Date.parse)
    const now = this.#world.clock.now()
    const next = Math.min(...times.filter((at) => at > now))
    return Number.isFinite(next) ? next - now : 1
  }

  /** Holds the new records against the reference. */
  #follow(): void {
    for (const { record, position } of this.#world.journal.scan(this.#followed + 1)) {
      this.#followed = position
      const comparison = this.#comparisonOf(record)
      if (record.session === ID && this.#isOutside(record, comparison)) this.#match(record)
      this.#mail.follow(record, comparison.state)
      comparison.follow(record, position)
      this.records++
      this.#notice(record)
    }
  }

  #comparisonOf({ session, kind = '' }: TransitionRecord): Comparison {
    const found = this.#comparisons.get(session)
    if (found) return found
    const comparison = new Comparison(this.#kinds.get(kind) as AnySessionKind, this.#options.watch ?? {})
    this.#comparisons.set(session, comparison)
    return comparison
  }

  #isOutside(record: TransitionRecord, comparison: Comparison): boolean {
    const { seq, taken, received, event } = record
    if (seq === 1 || taken || received || /^(xstate|holdfast)\./.test(event.type)) return false
    return comparison.fired(record) === undefined
  }

  /** Each record of an outside event is that of the next one that was sent. */
  #match({ seq, event }: TransitionRecord): void {
    const last = this.#sent.findLastIndex(({ state }) => state === 'recorded')
    const next = this.#sent.findIndex(
      (sent, index) => index > last && sent.state === 'under way' && isDeepStrictEqual(sent.event, event),
    )
    if (next >= 0) (this.#sent[next] as Sent).state = 'recorded'
    else must(this.#hasLocals, `record ${seq}: nobody has sent ${show(event)}, or it is recorded twice`)
  }

  /** Promises, callbacks and observables say what they like. */
  get #hasLocals(): boolean {
    return Object.values(this.#kind.machine.implementations.actors).some((logic) => actorOf(logic) === 'local')
  }

  #check(): void {
    this.#follow()
    for (const [id, comparison] of this.#comparisons) this.#checkSession(id, comparison)
    this.#mail.atRest(this.#comparisons.keys())
    for (const event of this.#left.slice(0, FORESEEN)) {
      const { reference } = this.#comparisons.get(ID) as Comparison
      const accepts = answer(() => this.#session.can(event))
      mustEqual(
        accepts,
        answer(() => reference.can(event)),
        `whether ${show(event)} would be accepted`,
      )
    }
    // That something threw in a session shows in its records.
    const complaints = this.#world.complaints.filter((line) => !line.startsWith('an effect of session '))
    mustEqual(complaints, [], 'what was logged')
  }

  #checkSession(id: string, { reference, state }: Comparison): void {
    must(reference.waiting === 0, 'plain XState took more messages to itself than the session')
    const { value, context, status, output, error, tags, seq } = this.#world.runtime.session(id).snapshot()
    const { deadlines: _, history: __, children: ___, sent: ____, ...xstate } = reference.look()
    const session = { value, context, status, output, error: messageOf(error), tags: [...tags].sort() }
    mustEqual(seq, state?.seq, 'the number of transitions')
    mustEqual(session, xstate, `at rest after record ${seq}`)
  }

  /** After time has passed nothing that is due still waits. */
  #checkPunctual(): void {
    const now = this.#world.clock.now()
    for (const { state } of this.#comparisons.values()) {
      const late = state?.timers.filter(({ at }) => Date.parse(at) <= now) ?? []
      mustEqual(late, [], 'timers that are late')
    }
  }

  /** What the session refused is nothing to plain XState either. */
  #checkRefusal({ state, event }: Sent): void {
    const { reference } = this.#comparisons.get(ID) as Comparison
    if (state !== 'refused' || this.#session.snapshot().status !== 'active') return
    if (answer(() => reference.can(event)) !== false) return
    const before = reference.look()
    reference.send(event, this.#world.clock.now())
    mustEqual(before, reference.take(), `${event.type} was refused`)
  }

  #notice(record: TransitionRecord): void {
    const { status, output, attempt, order, value, session, patch, event, received } = record
    this.#options.watch?.record?.(record)
    if (session !== ID) this.features.add('child session')
    if (session !== ID && status)
      this.features.add(event.type === 'holdfast.cancel' ? 'child session cancelled' : 'child session ended')
    if (received) this.features.add(session === ID ? 'told by child' : 'told by parent')
    if (event.type === 'holdfast.restart') this.features.add('restarted')
    if (patch) this.features.add('context')
    if (status) this.features.add(status)
    if (output !== undefined) this.features.add('output')
    if (attempt) this.features.add('step tried again')
    if (order) this.features.add('order of regions')
    if (typeof value === 'object') this.features.add('hierarchy')
    if (!this.features.has('parallel') && /,/.test(JSON.stringify(value))) this.features.add('parallel')
    if (!this.features.has('tags') && this.#comparisons.get(session)?.reference.look().tags.length)
      this.features.add('tags')
  }
}

/** A guard may throw. */
function answer(ask: () => boolean): boolean | string {
  try {
    return ask()
  } catch (error) {
    return String(error)
  }
}
