// One live session: takes events in, has the machine decide, records, and acts when the record is durable.
// Nothing leaves it before that: no acknowledgement or refusal, no step, timer, action, emitted event or transition shown.
// It runs ahead of the disk and shows only what is durable (`ledger.ts` holds the two points).

import { Aftermath, type AftermathOwner } from './aftermath.js'
import { activeChild, type ChildOutcome, outcomeOf } from './children.js'
import type { Commit, Committer, Sender } from './commit.js'
import { Correspondence } from './correspondence.js'
import { Crash } from './crash.js'
import { Decider, isStorage, type Marks } from './decider.js'
import type { Action, LocalActor } from './decision.js'
import type { AnySessionKind } from './define.js'
import { type EffectsOwner, SessionEffects } from './effects.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import type { SessionHost } from './host.js'
import { Intake, type IntakeOwner } from './intake.js'
import { Ledger } from './ledger.js'
import { type Asked, type Delivery, Mailbox, type MailboxOwner } from './mailbox.js'
import { type Identity, identityOf, NOTHING, type Point, stateOf } from './point.js'
import { NOWHERE, type RecordedEvent, type TransitionRecord } from './record.js'
import { decisionFailed, mailboxFull } from './refusals.js'
import { fold, sealed } from './rehydrate.js'
import type { SupervisionPolicy } from './restart.js'
import { SideDoors } from './side-doors.js'
import type { IndexEntry, Outgoing, Parent, SessionState } from './state.js'
import type { TraceContext } from './trace-context.js'
import type { Transition } from './transition.js'

/** What a new session comes from. */
export type Beginning = Partial<Pick<Identity, 'created' | 'parent' | 'owner'>> & {
  readonly trace?: TraceContext | undefined
}

export class LiveSession implements Committer, AftermathOwner, EffectsOwner, IntakeOwner, MailboxOwner {
  /** What its supervisor has recorded when it has crashed. */
  readonly aftermath: Aftermath
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
    this.aftermath = new Aftermath(this, this.#ledger, this.#mailbox)
    this.#decider = kind && new Decider(identity, kind, host, this.#ledger, new SideDoors(this, host, this.#ledger))
    this.#effects = kind && new SessionEffects(this, host, kind)
  }

  /** Creates a session: its first record is under way when this returns. Throws what the machine threw. */
  static create(
    host: SessionHost,
    kind: AnySessionKind,
    id: string,
    input: unknown,
    { created, parent, owner, trace }: Beginning,
    sender: Sender,
  ): LiveSession {
    const { kind: name, version } = kind
    const identity = { id, kind: name, version, createdAt: '', created, parent, origin: undefined, owner }
    const session = new LiveSession(host, kind, identity, NOTHING)
    const from = {
      ...(created && { created }),
      ...(parent && { parent }),
      ...(owner && { owner }),
      ...(trace && { trace }),
    }
    const marks: Marks = { kind: name, version, ...from }
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
  send(event: RecordedEvent, id?: string, trace?: TraceContext): Promise<Transition> {
    return new Promise((resolve, reject) =>
      this.deliver({ kind: 'send', event, id, trace, sender: { resolve, reject } }),
    )
  }

  /** Everything else that can be asked of it: see `Delivery`. Rejects with what `Intake` refuses it with. */
  ask(asked: Asked): Promise<Transition> {
    return new Promise((resolve, reject) => this.deliver({ ...asked, sender: { resolve, reject } } as Delivery))
  }

  /** Resolves when nothing of what it has stopped runs any more. */
  async gone(): Promise<void> {
    await this.#effects?.gone()
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
    for (const { key } of overdue) this.deliver({ kind: 'timer', key })
    const { parent } = this.#identity
    if (parent) this.#takeOver(parent.session)
    for (const [child, { status, incarnation, session }] of Object.entries(children)) {
      if (status !== 'active') continue
      if (session !== undefined) this.#takeOver(session)
      if (session !== undefined || this.local(child)) this.#effects?.start(child, this.durable)
      else this.deliver({ kind: 'again', child, incarnation })
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

  // Take in, decide, record: whatever comes, comes to `deliver`, and is taken by way of the mailbox.

  /** Takes what comes, from wherever: it is decided in its turn, or its sender is refused. Never throws. */
  deliver(delivery: Delivery): void {
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
      this.#host.successor(this.id).deliver(delivery)
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
      else if (error instanceof Crash) this.#crash(error, delivery)
      else if (isStorage(error)) this.halt(error)
      else this.aftermath.giveUp(error)
    }
  }

  #crash(crash: Crash, delivery: Delivery): void {
    this.#mailbox.pause()
    this.aftermath.begin({ crash, delivery })
    this.#host.crashed(this, [crash.cause])
  }

  /** A refusal tells what was decided, so it too waits until that is durable. */
  #refuse(sender: Sender | undefined, error: unknown): void {
    if (sender) {
      const reason = this.#host.secrets.error(error instanceof HoldfastError ? error : decisionFailed(error))
      this.#ledger.whenDurable((failure) => sender.reject(failure ?? reason))
    } else if (!isHoldfastError(error, 'NOT_ACCEPTED')) this.#host.report(this, error)
  }

  /** AftermathOwner: nothing can be recorded any more, and the whole runtime is told. */
  halt(error: unknown): void {
    const reason = error instanceof Error ? error : new Error(String(error))
    this.stop(reason)
    this.#host.halted(reason)
  }

  // Act: what becomes of its records.

  /** The record is durable: everything that waited for it happens now, in this order. */
  committed(commit: Commit, bytes: number): void {
    const { record, point } = commit as Commit & { readonly point: Point }
    const before = this.#ledger.settle(commit, bytes)
    this.#host.advanced(record, point.position)
    const { tracing } = this.#host
    if (tracing) tracing.transition(commit.transition(), this.#identity.kind, () => this.#act(commit, point, before))
    else this.#act(commit, point, before)
  }

  #act(commit: Commit, point: Point, before: Point): void {
    const { record, effects, sender } = commit
    if (record.trouble?.kind === 'release') this.#host.released(this)
    const errors = effects.actions.length > 0 ? this.#run(effects.actions) : undefined
    // A child that is left hears what it was told before it is cancelled; one that begins, once it is there.
    if (record.sent) this.correspondence.transmit(record, false)
    // What it starts now nobody would stop: it begins after the next opening.
    if (!this.#stopped) this.#effects?.perform(record, point, before)
    if (record.sent && record.started) this.correspondence.transmit(record, true)
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
    this.halt(error)
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

  /** EffectsOwner: what is still wanted of its steps, and the machine's own actors. */
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
  receive(from: string, { key, event, trace }: Outgoing): void {
    this.deliver({ kind: 'linked', from, key, event, trace })
  }

  /** One of its own messages to another session has arrived. */
  arrived(key: string): void {
    // Those of one batch together, in one record.
    if (this.correspondence.arrived(key)) this.#host.clock.soon(() => this.deliver({ kind: 'arrived' }))
  }

  /** A child that is a session has ended; it may be told more than once. */
  childEnded({ child, incarnation }: Pick<Parent, 'child' | 'incarnation'>, outcome: ChildOutcome): void {
    this.deliver({ kind: 'child-ended', child, incarnation, outcome })
  }
}
