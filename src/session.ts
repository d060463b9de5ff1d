// One live session: takes events in, has the machine decide, records, and acts when the record is durable.
// Nothing leaves it before that: no acknowledgement or refusal, no step, timer, action, emitted event or transition shown.
// It runs ahead of the disk and shows only what is durable (`ledger.ts` holds the two points).

import { activeChild, type ChildOutcome, isResult, outcomeOf, shownTo } from './children.js'
import type { Commit, Committer, Sender } from './commit.js'
import { Correspondence } from './correspondence.js'
import { Crash, type Crashed, endedBy, setAside, suspicion } from './crash.js'
import { Decider, isStorage, type Marks } from './decider.js'
import type { Action, LocalActor } from './decision.js'
import type { AnySessionKind } from './define.js'
import type { EngineHost } from './durable.js'
import { type EffectsOwner, SessionEffects } from './effects.js'
import { HoldfastError, isHoldfastError, messageOf } from './errors.js'
import type { SessionHost } from './host.js'
import { Intake, type IntakeOwner } from './intake.js'
import { copyJson, nobody, withReferences } from './json.js'
import { Ledger } from './ledger.js'
import type { MachineSnapshot } from './machine-snapshot.js'
import { type Delivery, Mailbox, type MailboxOwner } from './mailbox.js'
import { type Identity, identityOf, NOTHING, type Point, stateOf } from './point.js'
import { NOWHERE, type RecordedEvent, type TransitionRecord } from './record.js'
import { decisionFailed, mailboxFull } from './refusals.js'
import { fold, sealed } from './rehydrate.js'
import type { SupervisionPolicy } from './restart.js'
import type { IndexEntry, Outgoing, Parent, SessionState } from './state.js'
import type { Transition } from './transition.js'
import { LETTERS_LIMIT } from './trouble.js'
import { between, receiverOf } from './write.js'

/** What a new session comes from. */
export type Beginning = Partial<Pick<Identity, 'created' | 'parent'>>

/** A delivery without its sender, who is made when it is asked. */
type Asked<D = Delivery> = D extends { readonly sender: unknown } ? Omit<D, 'sender'> : never

export class LiveSession implements EngineHost, Committer, EffectsOwner, IntakeOwner, MailboxOwner {
  #identity: Identity
  readonly #host: SessionHost
  /** Undefined for a parked session, whose kind may not be known; it is over from the beginning. */
  readonly #kind: AnySessionKind | undefined
  readonly #ledger: Ledger
  readonly #mailbox: Mailbox
  readonly #intake: Intake
  readonly #decider: Decider | undefined
  readonly #effects: SessionEffects | undefined
  /** Of sessions that are linked to others, only. */
  #correspondence: Correspondence | undefined
  /** What it has just crashed on, until the supervisor has decided what becomes of it. */
  #crashed: Crashed | undefined
  /** Why it decides and starts nothing any more. */
  #stopped: Error | undefined
  #left = false

  private constructor(host: SessionHost, kind: AnySessionKind | undefined, identity: Identity, point: Point) {
    this.#host = host
    this.#kind = kind
    this.#identity = identity
    this.#ledger = new Ledger(identity.id, host, this, point)
    this.#mailbox = new Mailbox(this)
    this.#intake = new Intake(this, host, this.#ledger)
    this.#decider = kind && new Decider(identity, kind, host, this.#ledger, this)
    this.#effects = kind && new SessionEffects(this, host, kind)
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
    const { kind: name, version } = kind
    const identity = { id, kind: name, version, createdAt: '', created, parent, origin: undefined }
    const session = new LiveSession(host, kind, identity, NOTHING)
    const marks: Marks = { kind: name, version, ...(created && { created }), ...(parent && { parent }) }
    session.#decider?.begin(input, sender, marks)
    // Its first record says when; the clock is read once.
    session.#identity = { ...identity, createdAt: session.#ledger.decided.at }
    session.#mailbox.drain()
    return session
  }

  /** As `create`, from a first record that holds a whole state. Throws an Error that says what no longer fits. */
  static fork(host: SessionHost, kind: AnySessionKind, record: TransitionRecord, sender: Sender): LiveSession {
    const state = sealed(fold(undefined, record, NOWHERE))
    const session = new LiveSession(host, kind, identityOf(state), NOTHING)
    session.#decider?.fork(state, record, sender)
    session.#mailbox.drain()
    return session
  }

  /** A session that cannot be restored: it refuses everything but its deletion. */
  static parked(host: SessionHost, entry: IndexEntry, reason: HoldfastError): LiveSession {
    const { seq, position, status, value, attributes } = entry
    const point = { ...NOTHING, seq, position, status, value, attributes }
    const session = new LiveSession(host, undefined, identityOf(entry), point)
    session.#ledger.over = reason
    return session
  }

  /** Restores a session from its durable state; `begin` then lets it go on. Throws an Error that says what no longer fits. */
  static restore(
    host: SessionHost,
    kind: AnySessionKind,
    state: SessionState,
    bytesSinceSnapshot: number,
  ): LiveSession {
    const session = new LiveSession(host, kind, identityOf(state), NOTHING)
    session.#ledger.bytesSinceSnapshot = bytesSinceSnapshot
    session.#decider?.resume(state)
    return session
  }

  // What may be seen of it.

  get identity(): Identity {
    return this.#identity
  }

  get id(): string {
    return this.#identity.id
  }

  /** The last durable point: what may be shown. */
  get durable(): Point {
    return this.#ledger.durable
  }

  /** How its kind is supervised; undefined for a parked session. */
  get supervision(): SupervisionPolicy | undefined {
    return this.#kind?.supervision
  }

  /** When it crashed, as far as that counted at the last crash. */
  get crashes(): readonly number[] {
    return this.#ledger.decided.trouble.crashes
  }

  /** It decides nothing more: it has ended, or will when what it has decided is durable; or it has been stopped or let go. */
  get over(): boolean {
    return this.#ledger.over !== undefined || this.#stopped !== undefined || this.#left
  }

  /** It runs no more until it is released. */
  get quarantined(): boolean {
    return this.#ledger.decided.trouble.quarantine !== undefined
  }

  /** Nothing of it is on its way to the disk. */
  get quiet(): boolean {
    return this.#ledger.underWay === 0
  }

  /** Nothing of it is under way: it can be let go, and restored later as it is now. */
  get idle(): boolean {
    if (!this.#mailbox.idle || this.#ledger.over || !this.quiet) return false
    const nothingWaits = this.#ledger.decided.messages.length === 0 && this.#correspondence?.idle !== false
    return nothingWaits && this.#effects?.idle !== false
  }

  /** Bytes of records since the last snapshot. */
  get bytesSinceSnapshot(): number {
    return this.#ledger.bytesSinceSnapshot
  }

  /** The durable state, to be stored as a snapshot. */
  state(): SessionState {
    this.#ledger.bytesSinceSnapshot = 0
    return stateOf(this.#identity, this.#ledger.durable)
  }

  // What may be asked of it: each resolves with the transition that it came to, once that is durable.

  /** Decides an event from outside. Rejects with NOT_ACCEPTED, SESSION_ENDED, MAILBOX_FULL or what the machine threw. */
  send(event: RecordedEvent, id?: string): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'send', event, id, sender: { resolve, reject } }))
  }

  /** Decides events from outside as one transition: all of them, or none. Rejects as `send` does. */
  sendBatch(events: readonly RecordedEvent[], id?: string): Promise<Transition> {
    return this.#ask({ kind: 'batch', events, id })
  }

  delete(): Promise<Transition> {
    return this.#ask({ kind: 'delete' })
  }

  /** Cancels it: it ends as `stopped`, and what it runs is stopped. Rejects with SESSION_ENDED. */
  cancel(reason: string): Promise<Transition> {
    return this.#ask({ kind: 'cancel', reason })
  }

  /** Lets a quarantined session run again. */
  release(): Promise<Transition> {
    return this.#ask({ kind: 'release' })
  }

  /** Decides a dead letter after all. Rejects as `send` does; then it stays. */
  resend(letter: number): Promise<Transition> {
    return this.#ask({ kind: 'resend', letter })
  }

  discard(letter: number): Promise<Transition> {
    return this.#ask({ kind: 'discard', letter })
  }

  /** Resolves when nothing of what it has stopped runs any more. */
  async gone(): Promise<void> {
    await this.#effects?.gone()
  }

  #ask(asked: Asked): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ ...asked, sender: { resolve, reject } } as Delivery))
  }

  // What its supervisor does with it.

  /**
   * Goes on after `restore`: waiting messages first, then overdue timers; active steps get their next attempt, local
   * actors begin anew, linked sessions are looked at for what they had for this one, and hear again what they may have missed.
   */
  begin(): void {
    const { timers, children } = this.durable
    const now = this.#host.clock.now()
    const overdue = timers.filter((timer) => Date.parse(timer.at) <= now)
    for (const timer of timers) if (!overdue.includes(timer)) this.#effects?.arm(timer)
    this.#mailbox.drain()
    // Before whatever comes from now on, in the order of their times: an approval that has expired is not given any more.
    overdue.sort((a, b) => Date.parse(a.at) - Date.parse(b.at))
    for (const { key } of overdue) this.#deliver({ kind: 'timer', key })
    const { parent } = this.#identity
    if (parent) this.#takeOver(parent.session)
    for (const [child, { status, incarnation, session }] of Object.entries(children)) {
      if (status !== 'active') continue
      if (session !== undefined) this.#takeOver(session)
      if (session !== undefined || this.local(child)) this.#effects?.start(child, this.durable)
      else this.#deliver({ kind: 'again', child, incarnation })
    }
    // A child that has only now begun could not look for what it was told; nobody takes a message twice.
    for (const message of this.durable.links.outbox) this.#host.transmit(this.id, message)
  }

  #takeOver(session: string): void {
    for (const message of this.#host.outbox(session)) if (message.to === this.id) this.receive(session, message)
  }

  /** It is passive from here on: what still comes this way goes to whoever is restored in its place. */
  leave(): void {
    this.#left = true
    this.#effects?.stop('passive')
    this.#decider?.end()
  }

  /** Stops everything it runs and decides nothing more, without a record: the runtime closes, or cannot record. */
  stop(reason: Error): void {
    this.#mailbox.pause()
    this.#stopped ??= reason
    this.#effects?.stop(reason.message)
    for (const delivery of this.#mailbox.empty()) if ('sender' in delivery) delivery.sender?.reject(reason)
  }

  /** Builds the actor anew from the last durable point, then takes what has waited. Steps and timers go on as they are. */
  restart(): void {
    this.#decider?.resume(stateOf(this.#identity, this.durable))
    this.#effects?.restartLocals(this.durable)
    this.#mailbox.resume()
  }

  /** A crash ends it, as in plain XState. */
  fail(error: unknown): void {
    const { event, marks, cause } =
      this.#takeCrash()?.crash ?? new Crash({ type: 'holdfast.crashed' }, undefined, error)
    const shown = isHoldfastError(cause, 'RECORD_TOO_LARGE') ? { type: event.type } : event
    this.#noting(() => this.#ledger.note(shown, { ...marks, ...endedBy(cause) }))
    this.#mailbox.resume()
  }

  /**
   * It is restarted: what it has crashed on is taken again then, or is a dead letter from here on if that was too often.
   * False, and nothing is recorded, when it has too many dead letters already.
   */
  noteRestart(error: unknown, crashes: readonly number[], afterMs: number): boolean {
    const { decided } = this.#ledger
    const suspect = this.#crashed && suspicion(decided, this.#crashed)
    const poison = suspect && suspect.count >= (this.supervision?.attempts ?? Number.POSITIVE_INFINITY)
    if (poison && decided.trouble.letters.length >= LETTERS_LIMIT) return false
    const crashed = this.#takeCrash()
    if (crashed && poison) {
      this.#noting(() => setAside(this.#ledger, crashed, crashes, suspect.count))
      return true
    }
    // A message to itself is still the first that it takes.
    if (crashed && crashed.delivery.kind !== 'message') this.#mailbox.putBack(crashed.delivery)
    const event = { type: 'holdfast.restart', reason: messageOf(error), count: crashes.length, afterMs }
    this.#noting(() => this.#ledger.note(event, { trouble: { kind: 'crash', crashes, ...(suspect && { suspect }) } }))
    return true
  }

  /** It runs no more once this is durable. What it has crashed on waits where it is durable. */
  quarantine(crashes: readonly number[], reason: string): void {
    this.#takeCrash()
    const event = { type: 'holdfast.quarantine', reason, count: crashes.length }
    this.#noting(() => this.#ledger.note(event, { trouble: { kind: 'quarantine', crashes, reason } }))
  }

  #takeCrash(): Crashed | undefined {
    const crashed = this.#crashed
    this.#crashed = undefined
    return crashed
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

  // Take in, decide, record: whatever comes, comes to `#deliver`, and is taken by way of the mailbox.

  #deliver(delivery: Delivery): void {
    if (this.#left) return this.#forward(delivery)
    if (this.#stopped) {
      if ('sender' in delivery) delivery.sender?.reject(this.#stopped)
      return
    }
    const { mailboxLimit } = this.#host
    if (this.#mailbox.size + this.#ledger.underWay >= mailboxLimit && 'sender' in delivery)
      return this.#refuse(delivery.sender, mailboxFull(this.id, mailboxLimit))
    this.#mailbox.deliver(delivery)
  }

  #forward(delivery: Delivery): void {
    try {
      this.#host.successor(this.id).#deliver(delivery)
    } catch (error) {
      if ('sender' in delivery) this.#refuse(delivery.sender, error)
    }
  }

  get ended(): boolean {
    return this.#ledger.over !== undefined
  }

  get toItself(): RecordedEvent | undefined {
    return this.#ledger.decided.messages.length > 0 && !this.quarantined ? this.#ledger.decided.messages[0] : undefined
  }

  /** What goes wrong is told to the sender, or is a crash, or ends the session or the runtime. */
  take(delivery: Delivery): void {
    try {
      this.#intake.take(delivery)
    } catch (error) {
      if ('sender' in delivery) this.#refuse(delivery.sender, error)
      else if (error instanceof Crash) this.#crash({ crash: error, delivery })
      else if (isStorage(error)) this.#fail(error)
      else this.#giveUp(error)
    }
  }

  /** A refusal tells what was decided, so it too waits until that is durable. */
  #refuse(sender: Sender | undefined, error: unknown): void {
    if (sender) {
      const reason = error instanceof HoldfastError ? error : decisionFailed(error)
      this.#ledger.whenDurable((failure) => sender.reject(failure ?? reason))
    } else if (!isHoldfastError(error, 'NOT_ACCEPTED')) this.#host.report(this, error)
  }

  #crash(crashed: Crashed): void {
    this.#crashed = crashed
    this.#mailbox.pause()
    this.#host.crashed(this, [crashed.crash.cause])
  }

  /** What happened inside cannot be recorded as it is, and nobody is there to refuse it to: this session ends, no other. */
  #giveUp(cause: unknown): void {
    try {
      this.#ledger.note({ type: 'holdfast.failed' }, endedBy(cause))
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Nothing can be recorded any more: the whole runtime is told. */
  #fail(error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error))
    this.stop(reason)
    this.#host.halted(reason)
  }

  // Act: what becomes of its records.

  /** The record is durable: everything that waited for it happens now, in this order. */
  committed(commit: Commit, bytes: number): void {
    const { record, effects, sender } = commit
    const point = commit.point as Point
    const before = this.#ledger.settle(commit, bytes)
    this.#host.advanced(record, point.position)
    if (record.trouble?.kind === 'release') this.#host.released(this)
    const errors = effects.actions.length > 0 ? this.#run(effects.actions) : undefined
    // A child that is left hears what it was told before it is cancelled; one that begins, once it is there.
    if (record.sent) this.#transmit(record, false)
    // What it starts now nobody would stop: it begins after the next opening.
    if (!this.#stopped) this.#effects?.perform(record, point, before)
    if (record.sent && record.started) this.#transmit(record, true)
    if (record.received) this.#host.arrived(record.received.from, record.received.key)
    for (const event of effects.emitted) this.#host.emitted(this.id, event)
    sender?.resolve(commit.transition())
    this.#host.broadcast(this, commit)
    if (record.deleted || point.status !== 'active') this.#finish()
    if (record.trouble?.kind === 'quarantine') this.#host.quarantined(this)
    if (record.trouble?.kind === 'release') this.begin()
    if (errors) this.#stumble(errors)
  }

  /** The journal has failed: what was decided since the last durable point is discarded, never unwound. */
  discarded(commit: Commit, error: Error): void {
    commit.sender?.reject(error)
    this.#fail(error)
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

  /** Its effects threw, now or some time after they were recorded. */
  #stumble(errors: readonly unknown[]): void {
    if (this.#left) {
      try {
        return this.#host.successor(this.id).#stumble(errors)
      } catch {
        // None can be live in its place: it is told, and that is all.
      }
    }
    if (!this.#ledger.over) this.#mailbox.pause()
    this.#host.crashed(this, errors)
  }

  /** Carries messages to the sessions that begin with the record, or to all others. */
  #transmit({ seq, sent = [], started = [] }: TransitionRecord, begin: boolean): void {
    for (const [n, { to, event }] of sent.entries()) {
      if (started.some(({ session }) => session === to) !== begin) continue
      this.#host.transmit(this.id, { key: `${seq}.${n}`, to, event })
    }
  }

  #finish(): void {
    this.#effects?.stop('the session has ended')
    // A restart that was waiting is off; whoever waited for it is told that it is over.
    this.#mailbox.resume()
    this.#decider?.end()
    this.#host.ended(this)
    const { parent } = this.#identity
    if (parent) this.#host.childEnded(parent, outcomeOf(this.id, this.durable))
  }

  // What comes from within and from linked sessions.

  /** EngineHost: an action of its machine sends it an event, or a local actor does. */
  post(event: RecordedEvent, actor: LocalActor | undefined): void {
    try {
      const copied = isResult(event) ? event : this.#copy(shownTo(event))
      const delivery: Delivery = actor
        ? { kind: 'local', actor, event: copied }
        : { kind: 'send', event: copied, sender: undefined }
      // Whoever posts is in the middle of something; what comes of it comes after.
      queueMicrotask(() => this.#deliver(delivery))
    } catch (error) {
      this.#host.report(this, error)
    }
  }

  say(to: string, event: RecordedEvent): void {
    try {
      const receiver = receiverOf(to, undefined, this.#ledger.decided, this.#identity)
      if (receiver === undefined) return
      const delivery: Delivery = { kind: 'say', to: receiver, event: this.#copy(event, receiver) }
      queueMicrotask(() => this.#deliver(delivery))
    } catch (error) {
      this.#host.report(this, error)
    }
  }

  /** An event of the machine's own code, with references for the actors in it; `to`: another session that it goes to. */
  #copy(event: RecordedEvent, to?: string): RecordedEvent {
    const referenceOf = this.#decider?.referenceOf ?? nobody
    const sender = { identity: this.#identity, before: this.#ledger.decided, decision: { referenceOf } }
    const of = to === undefined ? referenceOf : between(sender, to, undefined)
    return withReferences(of, () => copyJson(event, 'event'))
  }

  get next(): number {
    return this.#ledger.decided.seq + 1
  }

  childOf(session: string): string | undefined {
    const { children } = this.#ledger.decided
    return Object.keys(children).find((id) => children[id]?.status === 'active' && children[id].session === session)
  }

  log(args: readonly unknown[]): void {
    this.#host.log(this.id, args)
  }

  shown(): MachineSnapshot | undefined {
    return this.durable.snapshot
  }

  /** EffectsOwner: its timers and steps, and what they come to. */
  due(key: string): void {
    this.#deliver({ kind: 'timer', key })
  }

  readonly settled: EffectsOwner['settled'] = (run, outcome, progress) =>
    this.#deliver({ kind: 'result', run, outcome, progress })

  wants(child: string, incarnation: number): boolean {
    return activeChild(this.#ledger.decided, child, incarnation) !== undefined
  }

  local(child: string): LocalActor | undefined {
    return this.#decider?.local(child)
  }

  /** IntakeOwner. */
  get decider(): Decider | undefined {
    return this.#decider
  }

  get correspondence(): Correspondence {
    this.#correspondence ??= new Correspondence(this.#identity, this.#host, this.#ledger)
    return this.#correspondence
  }

  /** A message of another session; it may come more than once. */
  receive(from: string, { key, event }: Outgoing): void {
    this.#deliver({ kind: 'linked', from, key, event })
  }

  /** One of its own messages to another session has arrived. */
  arrived(key: string): void {
    // Those of one batch together, in one record.
    if (this.correspondence.arrived(key)) this.#host.clock.soon(() => this.#deliver({ kind: 'arrived' }))
  }

  /** A child that is a session has ended; it may be told more than once. */
  childEnded({ child, incarnation }: Pick<Parent, 'child' | 'incarnation'>, outcome: ChildOutcome): void {
    this.#deliver({ kind: 'child-ended', child, incarnation, outcome })
  }
}
