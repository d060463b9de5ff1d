// One live session: takes events in, has the machine decide, records, and acts when the record is durable.
// Nothing leaves it before that: no acknowledgement or refusal, no step, timer, action, emitted event or transition shown.
// It runs ahead of the disk (`#decided`) and shows only what is durable (`#durable`).

import { type ChildOutcome, failedWith, isLater, isResult, outcomeOf, resultOf, shownTo } from './children.js'
import { Commit, type Committer, type Effects, NO_EFFECTS, type Sender } from './commit.js'
import type { AnySessionKind } from './define.js'
import { type Action, type Decision, Engine, type EngineHost, type LocalActor, type SelfOptions } from './durable.js'
import { type EffectsOwner, SessionEffects } from './effects.js'
import { decodeError, type ErrorEnvelope, encodeError } from './envelope.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import type { SessionHost } from './host.js'
import { copyJson, freezeJson, withinRoom } from './json.js'
import type { MachineSnapshot } from './machine-snapshot.js'
import { type Identity, NOTHING, type Point, pointAfter, pointOf, stateOf } from './point.js'
import type { StepEnd } from './pool.js'
import { NOWHERE, type Progress, type RecordedEvent, type TransitionRecord } from './record.js'
import { decisionFailed, sessionEnded, sessionQuarantined } from './refusals.js'
import { fold, sealed } from './rehydrate.js'
import type { SupervisionPolicy } from './restart.js'
import type { Child, IndexEntry, Outgoing, Parent, SessionState } from './state.js'
import type { StepRun } from './step-runner.js'
import { backoff } from './steps.js'
import { type Transition, transitionOf } from './transition.js'
import { type DeadLetter, LETTERS_LIMIT, suspectKey, type TroubleChange } from './trouble.js'
import { isoTime, receiverOf, recordOf, type Writable } from './write.js'

/** What happens to a session. Only `send` can be refused. */
type Delivery =
  | {
      readonly kind: 'send'
      readonly event: RecordedEvent
      readonly sender: Sender | undefined
      readonly id?: string | undefined
    }
  | {
      readonly kind: 'batch'
      readonly events: readonly RecordedEvent[]
      readonly sender: Sender
      readonly id?: string | undefined
    }
  | { readonly kind: 'message'; readonly event: RecordedEvent }
  | { readonly kind: 'timer'; readonly key: string }
  | {
      readonly kind: 'result'
      readonly run: StepRun
      readonly outcome: StepEnd
      readonly progress: Progress | undefined
    }
  | { readonly kind: 'again'; readonly child: string; readonly incarnation: number }
  | { readonly kind: 'local'; readonly actor: LocalActor; readonly event: RecordedEvent }
  | { readonly kind: 'linked'; readonly from: string; readonly key: string; readonly event: RecordedEvent }
  | {
      readonly kind: 'child-ended'
      readonly child: string
      readonly incarnation: number
      readonly outcome: ChildOutcome
    }
  | { readonly kind: 'arrived' }
  | { readonly kind: 'cancel'; readonly reason: string; readonly sender: Sender | undefined }
  | { readonly kind: 'release'; readonly sender: Sender }
  | { readonly kind: 'resend'; readonly letter: number; readonly sender: Sender }
  | { readonly kind: 'discard'; readonly letter: number; readonly sender: Sender }
  | { readonly kind: 'delete'; readonly sender: Sender }

export class LiveSession implements EngineHost, Committer, EffectsOwner {
  #identity: Identity
  readonly #host: SessionHost
  /** Undefined for a parked session, whose kind may not be known. */
  readonly #kind: AnySessionKind | undefined
  #engine: Engine | undefined
  #decided: Point
  #durable: Point
  #inFlight = 0
  #last: Commit | undefined
  /** What waits while the session may not decide: during a restart, or while it is deciding. */
  #mailbox: Delivery[] = []
  #paused = false
  #stopped = false
  #left = false
  #draining = false
  #over: HoldfastError | undefined
  readonly #effects: SessionEffects | undefined
  #bytesSinceSnapshot = 0
  /** Keys of messages that have arrived, and are not yet recorded as such. */
  #arrived: string[] = []
  /** What it has just crashed on, until the supervisor has decided what becomes of it. */
  #crash: Crash | undefined

  private constructor(host: SessionHost, kind: AnySessionKind | undefined, identity: Identity, point: Point) {
    this.#host = host
    this.#kind = kind
    this.#identity = identity
    this.#effects = kind && new SessionEffects(this, host, kind)
    this.#decided = point
    this.#durable = point
  }

  /** Creates a session: its first record is under way when this returns. Throws what the machine threw. */
  static create(
    host: SessionHost,
    kind: AnySessionKind,
    id: string,
    input: unknown,
    { created, parent }: Beginning,
    sender: Sender,
  ): LiveSession {
    const identity: Identity = {
      id,
      kind: kind.kind,
      version: kind.version,
      createdAt: '',
      created,
      parent,
      origin: undefined,
    }
    const session = new LiveSession(host, kind, identity, NOTHING)
    const event: RecordedEvent = input === undefined ? { type: 'xstate.init' } : { type: 'xstate.init', input }
    const { engine, decision } = Engine.begin(kind.machine, session.#self, input, session)
    session.#record(event, decision, sender, (record) => {
      record.kind = kind.kind
      record.version = kind.version
      if (created) record.created = created
      if (parent) record.parent = parent
    })
    session.#engine = engine
    // Its first record says when; the clock is read once.
    session.#identity = { ...identity, createdAt: session.#decided.at }
    session.#drain()
    return session
  }

  /** As `create`, from a first record that holds a whole state. Throws an Error that says what no longer fits. */
  static fork(host: SessionHost, kind: AnySessionKind, record: TransitionRecord, sender: Sender): LiveSession {
    const state = sealed(fold(undefined, record, NOWHERE))
    const session = new LiveSession(host, kind, identityOf(state), NOTHING)
    session.#engine = Engine.resume(kind.machine, session.#self, state, session)
    session.#append({ ...record }, session.#engine.snapshot, NO_EFFECTS, sender)
    session.#drain()
    return session
  }

  /** A session that cannot be restored: it refuses everything but its deletion. */
  static parked(host: SessionHost, entry: IndexEntry, reason: HoldfastError): LiveSession {
    const { id, version, createdAt, created, parent, origin, seq, position, status, value, attributes } = entry
    const point = { ...NOTHING, seq, position, status, value, attributes }
    const session = new LiveSession(
      host,
      undefined,
      { id, kind: entry.kind, version, createdAt, created, parent, origin },
      point,
    )
    session.#over = reason
    return session
  }

  /** Restores a session from its durable state; `begin` then lets it go on. Throws an Error that says what no longer fits. */
  static restore(
    host: SessionHost,
    kind: AnySessionKind,
    state: SessionState,
    bytesSinceSnapshot: number,
  ): LiveSession {
    const session = new LiveSession(host, kind, identityOf(state), pointOf(state, undefined))
    session.#bytesSinceSnapshot = bytesSinceSnapshot
    session.#resume(state)
    return session
  }

  get identity(): Identity {
    return this.#identity
  }

  get id(): string {
    return this.#identity.id
  }

  /** The last durable point: what may be shown. */
  get durable(): Point {
    return this.#durable
  }

  /** How its kind is supervised; undefined for a parked session. */
  get supervision(): SupervisionPolicy | undefined {
    return this.#kind?.supervision
  }

  /** When it crashed, as far as that counted at the last crash. */
  get crashes(): readonly number[] {
    return this.#decided.trouble.crashes
  }

  /** It has ended, or will when what it has decided is durable; or it has been stopped or let go. */
  get over(): boolean {
    return this.#over !== undefined || this.#stopped || this.#left
  }

  /** It runs no more until it is released. */
  get quarantined(): boolean {
    return this.#decided.trouble.quarantine !== undefined
  }

  /** Nothing of it is on its way to the disk. */
  get quiet(): boolean {
    return this.#inFlight === 0
  }

  /** Nothing of it is under way: it can be let go, and restored later as it is now. */
  get idle(): boolean {
    if (this.#paused || this.#draining || this.#over || this.#inFlight > 0 || this.#mailbox.length > 0) return false
    return this.#arrived.length === 0 && this.#decided.messages.length === 0 && this.#effects?.idle !== false
  }

  /** It is passive from here on: what still comes this way goes to whoever is restored in its place. */
  leave(): void {
    this.#left = true
    this.#effects?.stop('passive')
    this.#engine = undefined
  }

  /** Bytes of records since the last snapshot. */
  get bytesSinceSnapshot(): number {
    return this.#bytesSinceSnapshot
  }

  /** The durable state, to be stored as a snapshot. */
  state(): SessionState {
    this.#bytesSinceSnapshot = 0
    return stateOf(this.#identity, this.#durable)
  }

  /** Decides an event from outside. Rejects with NOT_ACCEPTED, SESSION_ENDED, MAILBOX_FULL or what the machine threw. */
  send(event: RecordedEvent, id?: string): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'send', event, id, sender: { resolve, reject } }))
  }

  /** Decides events from outside as one transition: all of them, or none. Rejects as `send` does. */
  sendBatch(events: readonly RecordedEvent[], id?: string): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'batch', events, id, sender: { resolve, reject } }))
  }

  delete(): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'delete', sender: { resolve, reject } }))
  }

  /** Cancels it: it ends as `stopped`, and what it runs is stopped. Rejects with SESSION_ENDED. */
  cancel(reason: string): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'cancel', reason, sender: { resolve, reject } }))
  }

  /** Lets a quarantined session run again. */
  release(): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'release', sender: { resolve, reject } }))
  }

  /** Decides a dead letter after all. Rejects as `send` does; then it stays. */
  resend(letter: number): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'resend', letter, sender: { resolve, reject } }))
  }

  discard(letter: number): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'discard', letter, sender: { resolve, reject } }))
  }

  /** Resolves when nothing of what it has stopped runs any more. */
  async gone(): Promise<void> {
    await this.#effects?.gone()
  }

  /**
   * Goes on after `restore`: waiting messages first, then overdue timers; active steps get their next attempt, local
   * actors begin anew, and linked sessions are looked at for what they had for this one.
   */
  begin(): void {
    const { timers, children } = this.#durable
    const now = this.#host.clock.now()
    const overdue = timers.filter((timer) => Date.parse(timer.at) <= now)
    for (const timer of timers) if (!overdue.includes(timer)) this.#effects?.arm(timer)
    this.#drain()
    // Before whatever comes from now on, in the order of their times: an approval that has expired is not given any more.
    overdue.sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
    for (const { key } of overdue) this.#deliver({ kind: 'timer', key })
    const { parent } = this.#identity
    if (parent) this.#takeOver(parent.session)
    for (const [child, { status, incarnation, session }] of Object.entries(children)) {
      if (status !== 'active') continue
      if (session !== undefined) this.#takeOver(session)
      if (session !== undefined || this.local(child)) this.#effects?.start(child, this.#durable)
      else this.#deliver({ kind: 'again', child, incarnation })
    }
  }

  /** A message of another session; it may come more than once. */
  receive(from: string, { key, event }: Outgoing): void {
    this.#deliver({ kind: 'linked', from, key, event })
  }

  /** One of its own messages to another session has arrived. */
  arrived(key: string): void {
    if (this.#arrived.push(key) > 1) return
    // Those of one batch together, in one record.
    this.#host.clock.soon(() => this.#deliver({ kind: 'arrived' }))
  }

  /** A child that is a session has ended; it may be told more than once. */
  childEnded({ child, incarnation }: Pick<Parent, 'child' | 'incarnation'>, outcome: ChildOutcome): void {
    this.#deliver({ kind: 'child-ended', child, incarnation, outcome })
  }

  #takeOver(session: string): void {
    for (const message of this.#host.outbox(session)) if (message.to === this.id) this.receive(session, message)
  }

  // What the supervisor has decided on a crash, recorded.

  /** It ends, as in plain XState. */
  fail(error: unknown): void {
    const { event, complete, cause } = this.#takeCrash() ?? { event: CRASHED, complete: addNothing, cause: error }
    this.#noting(() => {
      this.#end(isHoldfastError(cause, 'RECORD_TOO_LARGE') ? { type: event.type } : event, cause, complete)
    })
    this.#paused = false
    this.#drain()
  }

  /**
   * It is restarted: what it has crashed on is taken again then, or is a dead letter from here on if that was too often.
   * False, and nothing is recorded, when it has too many dead letters already.
   */
  noteRestart(error: unknown, crashes: readonly number[], afterMs: number): boolean {
    const { suspects, letters } = this.#decided.trouble
    const key = this.#crash && suspectOf(this.#crash.delivery)
    const count = key === undefined ? 0 : (suspects[key] ?? 0) + 1
    const poison = count >= (this.supervision?.attempts ?? Number.POSITIVE_INFINITY)
    if (poison && letters.length >= LETTERS_LIMIT) return false
    const crash = this.#takeCrash()
    if (crash && poison) {
      this.#noting(() => this.#setAside(crash, crashes, count))
      return true
    }
    // A message to itself is still the first that it takes.
    if (crash && crash.delivery.kind !== 'message') this.#mailbox.unshift(crash.delivery)
    const event = { type: 'holdfast.restart', reason: messageOf(error), count: crashes.length, afterMs }
    this.#noteTrouble(event, { kind: 'crash', crashes, ...(key !== undefined && { suspect: { key, count } }) })
    return true
  }

  /** It runs no more once this is durable. What it has crashed on waits where it is durable. */
  quarantine(crashes: readonly number[], reason: string): void {
    this.#takeCrash()
    this.#noteTrouble(
      { type: 'holdfast.quarantine', reason, count: crashes.length },
      { kind: 'quarantine', crashes, reason },
    )
  }

  #takeCrash(): Crash | undefined {
    const crash = this.#crash
    this.#crash = undefined
    return crash
  }

  #setAside({ delivery, event, complete, cause }: Crash, crashes: readonly number[], attempts: number): void {
    const note = (shown: Pick<DeadLetter, 'event' | 'cut'>): void => {
      const record = this.#bare({ type: 'holdfast.dead-letter', reason: messageOf(cause) })
      complete(record)
      const { seq: id, at } = record
      const letter: DeadLetter = { id, ...this.#originOf(delivery), ...shown, error: encodeError(cause), attempts, at }
      record.trouble = { kind: 'letter', crashes, letter }
      this.#append(record, this.#decided.snapshot, NO_EFFECTS, undefined)
    }
    try {
      note({ event })
    } catch (error) {
      if (!isHoldfastError(error, 'RECORD_TOO_LARGE')) throw error
      note({ event: { type: event.type }, cut: true })
    }
  }

  #originOf(delivery: Delivery): Pick<DeadLetter, 'from' | 'child' | 'incarnation'> {
    const child = childOf(delivery)
    if (child === undefined) return { from: delivery.kind as 'message' | 'timer' | 'linked' | 'local' }
    return { from: 'child', child, incarnation: this.#decided.children[child]?.incarnation ?? 0 }
  }

  #noteTrouble(event: RecordedEvent, trouble: TroubleChange, sender?: Sender): void {
    this.#noting(() => {
      const record = this.#bare(event)
      record.trouble = trouble
      this.#append(record, this.#decided.snapshot, NO_EFFECTS, sender)
    })
  }

  /** Nobody hears what recording throws: it ends the session, or the runtime. */
  #noting(note: () => void): void {
    try {
      note()
    } catch (error) {
      if (isStorage(error)) this.#fail(error)
      else this.#giveUp(error)
    }
  }

  /** Builds the actor anew from the last durable point, then takes what has waited. Steps and timers go on as they are. */
  restart(): void {
    this.#resume(stateOf(this.#identity, this.#durable))
    this.#effects?.restartLocals(this.#durable)
    this.#paused = false
    this.#drain()
  }

  /** Stops everything it runs and decides nothing more, without a record: the runtime closes, or cannot record. */
  stop(reason: Error): void {
    this.#paused = true
    this.#stopped = true
    this.#effects?.stop(reason.message)
    for (const delivery of this.#mailbox.splice(0)) if ('sender' in delivery) delivery.sender?.reject(reason)
  }

  // EngineHost: the machine's own side doors.

  post(event: RecordedEvent, actor: LocalActor | undefined): void {
    try {
      const copied = isResult(event) ? event : copyJson(shownTo(event), 'event')
      const delivery: Delivery = actor
        ? { kind: 'local', actor, event: copied }
        : { kind: 'send', event: copied, sender: undefined }
      // Whoever posts is in the middle of something; what comes of it comes after.
      queueMicrotask(() => this.#deliver(delivery))
    } catch (error) {
      this.#host.report(this, error)
    }
  }

  log(args: readonly unknown[]): void {
    this.#host.log(this.id, args)
  }

  shown(): MachineSnapshot | undefined {
    return this.#durable.snapshot
  }

  #resume(state: SessionState): void {
    if (state.status === 'active') this.#engine = Engine.resume(this.#kind?.machine, this.#self, state, this)
    this.#decided = pointOf(state, this.#engine?.snapshot)
    this.#durable = this.#decided
    if (state.status !== 'active') this.#over = sessionEnded(this.id, this.#durable.status)
  }

  #deliver(delivery: Delivery): void {
    if (this.#left) return this.#forward(delivery)
    if (this.#mailbox.length + this.#inFlight >= this.#host.mailboxLimit && 'sender' in delivery) {
      return this.#refuse(delivery.sender, mailboxFull(this.id, this.#host.mailboxLimit))
    }
    if (this.#paused || this.#draining) {
      this.#mailbox.push(delivery)
      return
    }
    this.#draining = true
    this.#take(delivery)
    this.#draining = false
    if (this.#decided.messages.length > 0 || this.#mailbox.length > 0) this.#drain()
  }

  #forward(delivery: Delivery): void {
    try {
      this.#host.successor(this.id).#deliver(delivery)
    } catch (error) {
      if ('sender' in delivery) this.#refuse(delivery.sender, error)
    }
  }

  /** Messages to itself go before anything from outside, as in plain XState. */
  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    while (!this.#paused && !this.#over) {
      const message = this.quarantined ? undefined : this.#decided.messages[0]
      if (message) this.#take({ kind: 'message', event: message })
      else if (this.#mailbox.length > 0) this.#take(this.#mailbox.shift() as Delivery)
      else break
    }
    this.#draining = false
    if (!this.#over) return
    for (const delivery of this.#mailbox.splice(0)) this.#take(delivery)
  }

  /** Never throws: what goes wrong is told to the sender, or ends the session or the runtime. */
  #take(delivery: Delivery): void {
    try {
      this.#handle(delivery)
    } catch (error) {
      if ('sender' in delivery) this.#refuse(delivery.sender, error)
      else if (error instanceof Crash) this.#crashed(error, delivery)
      else if (isStorage(error)) this.#fail(error)
      else this.#giveUp(error)
    }
  }

  #crashed(crash: Crash, delivery: Delivery): void {
    crash.delivery = delivery
    this.#crash = crash
    this.#paused = true
    this.#host.crashed(this, [crash.cause])
  }

  /** What happened inside cannot be recorded as it is, and nobody is there to refuse it to: this session ends, no other. */
  #giveUp(cause: unknown): void {
    try {
      this.#end({ type: 'holdfast.failed' }, cause, addNothing)
    } catch (error) {
      this.#fail(error)
    }
  }

  #handle(delivery: Delivery): void {
    if ('id' in delivery && delivery.id !== undefined && this.#repeat(delivery.id, delivery)) return
    if (this.#over) {
      if (delivery.kind === 'delete' && this.#over.code !== 'SESSION_DELETED') this.#delete(delivery.sender)
      else if (delivery.kind === 'linked') this.#tellArrived(delivery.from, delivery.key)
      else if ('sender' in delivery) this.#refuse(delivery.sender, this.#over)
      return
    }
    const { quarantine } = this.#decided.trouble
    if (quarantine && !isForQuarantined(delivery)) {
      // What nobody waits for is durable where it comes from, and comes again.
      if ('sender' in delivery) this.#refuse(delivery.sender, sessionQuarantined(this.id, quarantine.reason))
      return
    }
    switch (delivery.kind) {
      case 'send':
        return this.#decide(delivery.event, delivery, delivery.id === undefined ? addNothing : withId(delivery.id))
      case 'batch':
        return this.#decideAll(delivery)
      case 'message':
        return this.#decide(delivery.event, undefined, takeMessage)
      case 'timer':
        return this.#fire(delivery.key)
      case 'result':
        return this.#settle(delivery.run, delivery.outcome, delivery.progress)
      case 'again': {
        const child = this.#active(delivery.child, delivery.incarnation)
        return child && this.#attempt(delivery.child, { ...child, attempt: child.attempt + 1 }, undefined, undefined)
      }
      case 'local':
        return this.#hear(delivery.actor, delivery.event)
      case 'linked':
        return this.#receive(delivery.from, delivery.key, delivery.event)
      case 'child-ended':
        return this.#finishChild(delivery.child, delivery.incarnation, delivery.outcome)
      case 'arrived':
        return this.#noteArrived()
      case 'cancel':
        return this.#cancel(delivery.reason, delivery.sender)
      case 'release':
        return this.#noteTrouble({ type: 'holdfast.release' }, { kind: 'release' }, delivery.sender)
      case 'resend':
        return this.#resend(this.#letter(delivery.letter), delivery)
      case 'discard': {
        const { id } = this.#letter(delivery.letter)
        return this.#noteTrouble({ type: 'holdfast.discard', id }, { kind: 'settled', letter: id }, delivery.sender)
      }
      case 'delete':
        return this.#delete(delivery.sender)
    }
  }

  /** Has the machine decide and records it. An event from outside may be refused; any other that throws is a crash. */
  #decide(
    event: RecordedEvent,
    from: { readonly sender: Sender | undefined } | undefined,
    complete: Complete,
    fired?: string,
  ): void {
    const engine = this.#engine as Engine
    try {
      const decision = engine.decide(event, from !== undefined)
      try {
        if (!from && decision.after.status === 'error' && this.supervision?.restart === 'permanent')
          throw decision.after.error
        this.#record(event, decision, from?.sender, complete, fired)
      } catch (error) {
        engine.undo(decision)
        throw error
      }
    } catch (error) {
      if (from || isStorage(error)) throw error
      throw new Crash(event, complete, error)
    }
  }

  #decideAll({ events, sender, id }: Extract<Delivery, { kind: 'batch' }>): void {
    const engine = this.#engine as Engine
    const decision = engine.decideAll(events)
    try {
      const complete = id === undefined ? addNothing : withId(id)
      this.#record(Object.freeze({ type: BATCH, events }), decision, sender, complete)
    } catch (error) {
      engine.undo(decision)
      throw error
    }
  }

  /** True when an event of this id was taken before: its sender gets what it came to then, if that was the same event. */
  #repeat(id: string, delivery: Delivery & { readonly sender: Sender | undefined }): boolean {
    const seen = this.#decided.seen.findLast((event) => event.id === id)
    if (!seen) return false
    const tell = (failure: Error | undefined): void => {
      try {
        if (failure) throw failure
        const record = this.#host.journal.read(seen.position)
        if (JSON.stringify(record.event) !== JSON.stringify(eventOf(delivery))) throw otherEvent(this.id, id)
        delivery.sender?.resolve(transitionOf(record, seen.position))
      } catch (error) {
        delivery.sender?.reject(error)
      }
    }
    // It may still be on its way to the disk.
    if (this.#last) this.#last.after(tell)
    else tell(undefined)
    return true
  }

  #fire(key: string): void {
    const timer = this.#decided.timers.find((candidate) => candidate.key === key)
    if (!timer) return
    const { event, to } = timer
    if (to === undefined) return this.#decide(event, undefined, (record) => (record.cleared ??= [key]), key)
    const record = this.#bare({ type: 'holdfast.sent' })
    record.cleared = [key]
    const receiver = receiverOf(to, undefined, this.#decided, this.#identity)
    if (receiver !== undefined) record.sent = [{ to: receiver, event }]
    const actor = this.local(to)
    const effects = actor ? { actions: [() => actor.send(event)], emitted: [] } : NO_EFFECTS
    this.#append(record, this.#decided.snapshot, effects, undefined)
  }

  /** A local actor speaks: if the machine still has it. Its end is recorded as that of a step is. */
  #hear(actor: LocalActor, event: RecordedEvent): void {
    const { id } = actor
    if (this.#decided.children[id]?.status !== 'active' || this.local(id) !== actor) return
    if (event.type === `xstate.done.actor.${id}`) this.#conclude(id, { kind: 'done', output: event.output })
    else if (event.type === `xstate.error.actor.${id}`) this.#conclude(id, failedWith(event.error))
    else this.#decide(event, undefined, addNothing)
  }

  /** A message of a linked session: recorded once, whatever the machine makes of it. */
  #receive(from: string, key: string, event: RecordedEvent): void {
    const mark = this.#decided.links.received[from]
    if (this.#isLinked(from) && (mark === undefined || isLater(key, mark))) {
      return this.#decide(event, undefined, (record) => {
        record.received = { from, key }
      })
    }
    // It was taken already, perhaps just now; or nobody here wants it.
    this.#tellArrived(from, key)
  }

  /** That a message is done with was decided on records that may still be under way, so it waits for them. */
  #tellArrived(from: string, key: string): void {
    const tell = (failure?: Error): void => {
      if (!failure) this.#host.arrived(from, key)
    }
    if (this.#last) this.#last.after(tell)
    else tell()
  }

  #letter(id: number): DeadLetter {
    const letter = this.#decided.trouble.letters.find((candidate) => candidate.id === id)
    if (letter) return letter
    throw new HoldfastError(
      'DEAD_LETTER_NOT_FOUND',
      `session ${this.id} has no dead letter ${id}; list them with deadLetters`,
    )
  }

  #resend({ id, event, cut, child, incarnation }: DeadLetter, from: { readonly sender: Sender }): void {
    if (cut) throw new HoldfastError('NOT_ACCEPTED', `dead letter ${id} was too large to be kept whole; discard it`)
    if (child !== undefined && this.#decided.children[child]?.incarnation !== incarnation)
      throw new HoldfastError('NOT_ACCEPTED', `dead letter ${id} is of a "${child}" that is gone; discard it`)
    this.#decide(event, from, (record) => {
      record.trouble = { kind: 'settled', letter: id }
    })
  }

  #isLinked(session: string): boolean {
    if (session === this.#identity.parent?.session) return true
    return Object.values(this.#decided.children).some((child) => child.status === 'active' && child.session === session)
  }

  #finishChild(id: string, incarnation: number, outcome: ChildOutcome): void {
    if (this.#active(id, incarnation)) this.#conclude(id, outcome)
  }

  #noteArrived(): void {
    const waiting = new Set(this.#decided.links.outbox.map(({ key }) => key))
    const delivered = this.#arrived.filter((key) => waiting.has(key))
    this.#arrived = []
    if (delivered.length === 0) return
    const record = this.#bare({ type: 'holdfast.arrived' })
    record.delivered = delivered
    this.#append(record, this.#decided.snapshot, NO_EFFECTS, undefined)
  }

  #cancel(reason: string, sender: Sender | undefined): void {
    const record = this.#bare({ type: 'holdfast.cancel', reason })
    record.status = 'stopped'
    this.#append(record, this.#decided.snapshot, NO_EFFECTS, sender)
  }

  /** A step's result is recorded even when no transition takes it, or the step would run again. */
  #settle(run: StepRun, outcome: StepEnd, progress: Progress | undefined): void {
    const child = this.#active(run.id, run.incarnation)
    if (!child || outcome.kind === 'cancelled') return
    if (outcome.kind === 'failed') {
      const failures = child.failures + 1
      const { policy } = run.declaration
      if (outcome.retry && outcome.error.retry !== false && failures < policy.attempts) {
        const notBefore = isoTime(this.#host.clock.now() + backoff(policy, failures, this.#host.chance.random()))
        const next = { ...child, attempt: child.attempt + 1, failures, notBefore }
        return this.#attempt(run.id, next, outcome.error, progress)
      }
    }
    // The machine is right and the step is not there: a matter of what was deployed, not of what the session is about.
    if (outcome.kind === 'failed' && isMissing(outcome.error)) return this.#host.park(this, decodeError(outcome.error))
    this.#conclude(run.id, outcome, progress)
  }

  #conclude(id: string, outcome: ChildOutcome, progress?: Progress): void {
    this.#decide(resultOf(id, outcome), undefined, (record) => {
      record.finished = id
      if (progress) record.progress = progress
    })
  }

  /** Records that a step is tried again; the attempt starts when that is durable. */
  #attempt(id: string, child: Child, error: ErrorEnvelope | undefined, progress: Progress | undefined): void {
    const { attempt: number, failures, notBefore } = child
    const event: RecordedEvent = { type: 'holdfast.attempt', child: id, attempt: number, ...(error && { error }) }
    const record = this.#bare(event)
    record.attempt = { child: id, number, failures, ...(notBefore && { notBefore }) }
    if (progress) record.progress = progress
    this.#append(record, this.#decided.snapshot, NO_EFFECTS, undefined)
  }

  #end(event: RecordedEvent, error: unknown, complete: Complete): void {
    const record = this.#bare(event)
    complete(record)
    record.status = 'error'
    record.error = freezeJson(encodeError(error))
    this.#append(record, this.#decided.snapshot, NO_EFFECTS, undefined)
  }

  #delete(sender: Sender): void {
    const record = this.#bare({ type: 'holdfast.delete' })
    record.deleted = true
    const { status } = this.#decided
    record.status = status === 'active' ? 'stopped' : status
    this.#append(record, this.#decided.snapshot, NO_EFFECTS, sender)
    this.#over = new HoldfastError('SESSION_DELETED', `session ${this.id} has been deleted`)
  }

  #record(
    event: RecordedEvent,
    decision: Decision,
    sender: Sender | undefined,
    complete: Complete,
    fired?: string,
  ): void {
    const kind = this.#kind as AnySessionKind
    const { chance, clock } = this.#host
    const now = clock.now()
    const decided = { identity: this.#identity, kind, event, before: this.#decided, decision, fired, now, chance }
    const record = withinRoom(this.#host.changeLimit, () => recordOf(decided))
    complete(record)
    const { after, actions, emitted } = decision
    // The decision itself holds the snapshot before; only what is still to be done is kept until the disk answers.
    const effects = actions.length + emitted.length > 0 ? { actions, emitted } : NO_EFFECTS
    this.#append(record, after, effects, sender)
  }

  /** A record that leaves the machine's state as it is. */
  #bare(event: RecordedEvent): Writable<TransitionRecord> {
    const { seq, position, value } = this.#decided
    return { session: this.id, seq: seq + 1, prev: position, at: isoTime(this.#host.clock.now()), event, value }
  }

  /** Hands a record to the journal; from here on the session has decided it. Throws when the journal takes no more. */
  #append(
    record: Writable<TransitionRecord>,
    snapshot: MachineSnapshot | undefined,
    effects: Effects,
    sender: Sender | undefined,
  ): void {
    const commit = new Commit(this, record, effects, sender)
    const position = this.#host.journal.append(record, commit)
    const point = pointAfter(this.#decided, record, position, snapshot)
    commit.point = point
    this.#decided = point
    this.#last = commit
    this.#inFlight++
    if (point.status !== 'active') this.#over ??= sessionEnded(this.id, point.status)
  }

  // Committer: what becomes of its records.

  /** The record is durable: everything that waited for it happens now, in this order. */
  committed(commit: Commit, bytes: number): void {
    const { record, effects, sender } = commit
    const point = commit.point as Point
    const before = this.#durable
    this.#durable = point
    this.#bytesSinceSnapshot += bytes
    if (--this.#inFlight === 0) this.#last = undefined
    this.#host.advanced(record, point.position)
    if (record.trouble?.kind === 'release') this.#host.released(this)
    const errors = effects.actions.length > 0 ? this.#run(effects.actions) : undefined
    this.#effects?.perform(record, point, before)
    if (record.sent) this.#transmit(record)
    if (record.received) this.#host.arrived(record.received.from, record.received.key)
    for (const event of effects.emitted) this.#host.emitted(this.id, event)
    sender?.resolve(commit.transition())
    this.#host.broadcast(this, commit)
    if (record.deleted || point.status !== 'active') this.#finish()
    if (record.trouble?.kind === 'quarantine') this.#host.quarantined(this)
    if (record.trouble?.kind === 'release') this.begin()
    if (errors) this.#stumble(errors)
  }

  /** Its effects threw, now or some time after they were recorded. */
  #stumble(errors: readonly unknown[]): void {
    if (this.#left) {
      try {
        return this.#host.successor(this.id).#stumble(errors)
      } catch {
        // None can be live in its place: it is told, and that is all.
      }
    }
    if (!this.#over) this.#paused = true
    this.#host.crashed(this, errors)
  }

  /** Runs every action, whatever the others do; gives what they threw, if anything. */
  #run(actions: readonly Action[]): unknown[] | undefined {
    let errors: unknown[] | undefined
    for (const action of actions) {
      try {
        const result = action()
        // One that is asynchronous fails later, and no less.
        if (result instanceof Promise) result.catch((error) => this.#stumble([error]))
      } catch (error) {
        errors ??= []
        errors.push(error)
      }
    }
    return errors
  }

  /** The journal has failed: what was decided since the last durable point is discarded, never unwound. */
  discarded(commit: Commit, error: Error): void {
    commit.sender?.reject(error)
    this.#fail(error)
  }

  // EffectsOwner: what its timers and steps come to.

  due(key: string): void {
    this.#deliver({ kind: 'timer', key })
  }

  readonly settled: EffectsOwner['settled'] = (run, outcome, progress) =>
    this.#deliver({ kind: 'result', run, outcome, progress })

  wants(child: string, incarnation: number): boolean {
    return this.#active(child, incarnation) !== undefined
  }

  local(child: string): LocalActor | undefined {
    return this.#engine?.local(child)
  }

  get #self(): SelfOptions {
    return { id: this.id, parent: this.#identity.parent?.session }
  }

  #transmit({ seq, sent = [] }: TransitionRecord): void {
    for (const [n, { to, event }] of sent.entries()) this.#host.transmit(this.id, { key: `${seq}.${n}`, to, event })
  }

  /** The child that a result is for, unless it has been stopped or started anew meanwhile. */
  #active(id: string, incarnation: number): Child | undefined {
    const child = this.#decided.children[id]
    return child?.status === 'active' && child.incarnation === incarnation ? child : undefined
  }

  /** A refusal tells what was decided, so it too waits until that is durable. */
  #refuse(sender: Sender | undefined, error: unknown): void {
    if (!sender) {
      if (!isHoldfastError(error, 'NOT_ACCEPTED')) this.#host.report(this, error)
      return
    }
    const reason = error instanceof HoldfastError ? error : decisionFailed(error)
    if (this.#last) this.#last.after((failure) => sender.reject(failure ?? reason))
    else sender.reject(reason)
  }

  /** Nothing can be recorded any more: the whole runtime is told. */
  #fail(error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error))
    this.stop(reason)
    this.#host.halted(reason)
  }

  #finish(): void {
    this.#effects?.stop('the session has ended')
    // A restart that was waiting is off; whoever waited for it is told that it is over.
    this.#paused = false
    this.#drain()
    this.#engine = undefined
    this.#host.ended(this)
    const { parent } = this.#identity
    if (parent) this.#host.childEnded(parent, outcomeOf(this.id, this.#durable))
  }
}

const identityOf = ({ id, kind, version, createdAt, created, parent, origin }: SessionState): Identity => ({
  ...{ id, kind, version, createdAt, created, parent, origin },
})

/** What a new session comes from. */
export type Beginning = Partial<Pick<Identity, 'created' | 'parent'>>

type Complete = (record: Writable<TransitionRecord>) => void

const addNothing: Complete = () => {}

const withId =
  (id: string): Complete =>
  (record) => {
    record.sendId = id
  }

/** The type of the event that stands for several. */
const BATCH = 'holdfast.batch'

const eventOf = (delivery: Delivery): unknown =>
  delivery.kind === 'batch' ? { type: BATCH, events: delivery.events } : 'event' in delivery && delivery.event

const otherEvent = (session: string, id: string): HoldfastError =>
  new HoldfastError('IDEMPOTENCY_CONFLICT', `session ${session} has taken another event with the id "${id}"`, {
    details: { session, id },
  })

const takeMessage: Complete = (record) => {
  record.taken = true
}

const isMissing = ({ code }: ErrorEnvelope): boolean => code === 'STEP_NOT_FOUND' || code === 'STEP_MODULE_FAILED'

/** The decision on an event that nobody waits for has thrown. */
class Crash {
  readonly event: RecordedEvent
  /** Marks the event as taken, in a record. */
  readonly complete: Complete
  readonly cause: unknown
  declare delivery: Delivery

  constructor(event: RecordedEvent, complete: Complete, cause: unknown) {
    this.event = event
    this.complete = complete
    this.cause = cause
  }
}

const CRASHED: RecordedEvent = { type: 'holdfast.crashed' }

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const isForQuarantined = ({ kind }: Delivery): boolean => ['release', 'discard', 'cancel', 'delete'].includes(kind)

/** The child whose end a delivery is. */
function childOf(delivery: Delivery): string | undefined {
  if (delivery.kind === 'result') return delivery.run.id
  if (delivery.kind === 'child-ended') return delivery.child
  return delivery.kind === 'local' && isResult(delivery.event) ? delivery.actor.id : undefined
}

/** What an event is known by when it comes again. */
function suspectOf(delivery: Delivery): string {
  const child = childOf(delivery)
  if (child !== undefined) return suspectKey.child(child)
  if (delivery.kind === 'timer') return suspectKey.timer(delivery.key)
  if (delivery.kind === 'linked') return suspectKey.linked(delivery.from)
  return delivery.kind === 'local' ? suspectKey.local(delivery.event.type) : suspectKey.message
}

const isStorage = (error: unknown): boolean => isHoldfastError(error, 'JOURNAL_FAILED', 'RUNTIME_CLOSED')

const mailboxFull = (id: string, limit: number): HoldfastError =>
  new HoldfastError('MAILBOX_FULL', `${limit} events of session ${id} are waiting already; await your sends`)
