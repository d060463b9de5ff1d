// One live session: takes events in, has the machine decide, records, and acts when the record is durable.
// Nothing leaves it before that: no acknowledgement or refusal, no step, timer, action, emitted event or transition shown.
// It runs ahead of the disk (`#decided`) and shows only what is durable (`#durable`).

import type { Chance } from './chance.js'
import type { Cancel, Clock } from './clock.js'
import type { AnySessionKind } from './define.js'
import { type Decision, Engine, type EngineHost, type MachineSnapshot } from './durable.js'
import { type ErrorEnvelope, encodeError } from './envelope.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import type { Journal, Waiter } from './journal.js'
import { copyJson } from './json.js'
import { type Identity, type Point, pointAfter, pointOf, stateOf } from './point.js'
import type { Outcome, Pool } from './pool.js'
import { NOWHERE, type Position, type Progress, type RecordedEvent, type TransitionRecord } from './record.js'
import type { Child, CreationKey, IndexEntry, SessionState, Timer } from './state.js'
import { type StepRun, StepRunner, type StepUpdate } from './step-runner.js'
import { backoff, type StepDeclaration, stepOf } from './steps.js'
import type { Timers } from './timers.js'
import { type Transition, transitionOf } from './transition.js'
import { isoTime, recordOf, type Writable } from './write.js'

/** What a live session needs of the runtime around it. */
export interface SessionHost {
  readonly journal: Journal
  readonly clock: Clock
  readonly chance: Chance
  readonly pool: Pool
  readonly timers: Timers
  /** How many transitions of one session may wait for the disk, and events for a restart. */
  readonly mailboxLimit: number
  /** Hears of each durable transition, in order, before anybody outside does. */
  advanced(record: TransitionRecord, position: Position): void
  /** Shows a durable transition to observers; it is made only if there is one. */
  broadcast(session: LiveSession, durable: { transition(): Transition }): void
  update(update: StepUpdate): void
  emitted(session: string, event: RecordedEvent): void
  /** Something went wrong that nobody waits for; the session is as it was. */
  report(session: LiveSession, error: unknown): void
  /** Effects threw after they were recorded: the supervisor decides what becomes of the session. */
  crashed(session: LiveSession, errors: readonly unknown[]): void
  /** The journal has failed: nothing more can be recorded. */
  halted(error: Error): void
  ended(session: LiveSession): void
  log(session: string, args: readonly unknown[]): void
}

/** What happens to a session. Only `send` can be refused. */
type Delivery =
  | { readonly kind: 'send'; readonly event: RecordedEvent; readonly sender: Sender | undefined }
  | { readonly kind: 'timer'; readonly key: string }
  | {
      readonly kind: 'result'
      readonly run: StepRun
      readonly outcome: Outcome
      readonly progress: Progress | undefined
    }
  | { readonly kind: 'again'; readonly child: string; readonly incarnation: number }
  | { readonly kind: 'delete'; readonly sender: Sender }

interface Sender {
  resolve(transition: Transition): void
  reject(error: unknown): void
}

/** What is to be done once a record is durable. */
interface Effects {
  readonly actions: readonly (() => void)[]
  readonly emitted: readonly RecordedEvent[]
}

const NO_EFFECTS: Effects = { actions: [], emitted: [] }

/** Before the first record. */
const NOTHING: Point = {
  seq: 0,
  position: NOWHERE,
  at: '',
  status: 'active',
  value: '',
  context: undefined,
  output: undefined,
  error: undefined,
  children: {},
  timers: [],
  messages: [],
  attributes: {},
  snapshot: undefined,
  history: undefined,
}

export class LiveSession implements EngineHost {
  readonly identity: Identity
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
  #draining = false
  #over: HoldfastError | undefined
  #armed: Map<string, Cancel> | undefined
  #steps: StepRunner | undefined
  #bytesSinceSnapshot = 0

  private constructor(host: SessionHost, kind: AnySessionKind | undefined, identity: Identity, point: Point) {
    this.#host = host
    this.#kind = kind
    this.identity = identity
    this.#decided = point
    this.#durable = point
  }

  /** Creates a session: its first record is under way when this returns. Throws what the machine threw. */
  static create(
    host: SessionHost,
    kind: AnySessionKind,
    id: string,
    input: unknown,
    created: CreationKey | undefined,
    sender: Sender,
  ): LiveSession {
    const createdAt = isoTime(host.clock.now())
    const identity: Identity = { id, kind: kind.kind, version: kind.version, createdAt, created }
    const session = new LiveSession(host, kind, identity, NOTHING)
    const event: RecordedEvent = input === undefined ? { type: 'xstate.init' } : { type: 'xstate.init', input }
    session.#engine = Engine.begin(kind.machine, id, input, session, (decision) =>
      session.#record(event, decision, sender, (record) => {
        record.kind = kind.kind
        record.version = kind.version
        if (created) record.created = created
      }),
    )
    session.#drain()
    return session
  }

  /** A session that cannot be restored: it refuses everything but its deletion. */
  static parked(host: SessionHost, entry: IndexEntry, reason: HoldfastError): LiveSession {
    const { id, version, createdAt, created, seq, position, status, value, attributes } = entry
    const point = { ...NOTHING, seq, position, status, value, attributes }
    const session = new LiveSession(host, undefined, { id, kind: entry.kind, version, createdAt, created }, point)
    session.#over = reason
    return session
  }

  /** Restores a session from its durable state; `begin` then lets it go on. Throws an Error that says what no longer fits. */
  static restore(host: SessionHost, kind: AnySessionKind, state: SessionState): LiveSession {
    const { id, version, createdAt, created } = state
    const identity: Identity = { id, kind: kind.kind, version, createdAt, created }
    const session = new LiveSession(host, kind, identity, pointOf(state, undefined))
    session.#resume(state)
    return session
  }

  get id(): string {
    return this.identity.id
  }

  /** The last durable point: what may be shown. */
  get durable(): Point {
    return this.#durable
  }

  /** Nothing of it is on its way to the disk. */
  get settled(): boolean {
    return this.#inFlight === 0
  }

  /** Bytes of records since the last snapshot. */
  get bytesSinceSnapshot(): number {
    return this.#bytesSinceSnapshot
  }

  /** The durable state, to be stored as a snapshot. */
  state(): SessionState {
    this.#bytesSinceSnapshot = 0
    return stateOf(this.identity, this.#durable)
  }

  /** Decides an event from outside. Rejects with NOT_ACCEPTED, SESSION_ENDED, MAILBOX_FULL or what the machine threw. */
  send(event: RecordedEvent): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'send', event, sender: { resolve, reject } }))
  }

  delete(): Promise<Transition> {
    return new Promise((resolve, reject) => this.#deliver({ kind: 'delete', sender: { resolve, reject } }))
  }

  /** Goes on after `restore`: waiting messages first, then overdue timers; active steps get their next attempt. */
  begin(): void {
    for (const timer of this.#durable.timers) this.#arm(timer)
    this.#drain()
    for (const [child, { status, incarnation }] of Object.entries(this.#durable.children)) {
      if (status === 'active') this.#deliver({ kind: 'again', child, incarnation })
    }
  }

  /** Decides nothing until `restart`; what comes meanwhile waits. */
  pause(): void {
    this.#paused = true
  }

  /** Builds the actor anew from the last durable point, then takes what has waited. Steps and timers go on as they are. */
  restart(): void {
    this.#resume(stateOf(this.identity, this.#durable))
    this.#paused = false
    this.#drain()
  }

  /** Stops everything it runs, without a record: the runtime closes, or the session is over. */
  stop(reason: string): void {
    for (const cancel of this.#armed?.values() ?? []) cancel()
    this.#armed = undefined
    this.#steps?.stopAll(reason)
  }

  // EngineHost: the machine's own side doors.

  post(event: RecordedEvent): void {
    try {
      this.#deliver({ kind: 'send', event: copyJson(event, 'event'), sender: undefined })
    } catch (error) {
      this.#host.report(this, error)
    }
  }

  log(args: readonly unknown[]): void {
    this.#host.log(this.id, args)
  }

  #resume(state: SessionState): void {
    if (state.status === 'active') this.#engine = Engine.resume(this.#kind?.machine, this.id, state, this)
    this.#decided = pointOf(state, this.#engine?.snapshot)
    this.#durable = this.#decided
    if (state.status !== 'active') this.#over = ended(this.id, this.#durable)
  }

  #deliver(delivery: Delivery): void {
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

  /** Messages to itself go before anything from outside, as in plain XState. */
  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    while (!this.#paused && !this.#over) {
      const message = this.#decided.messages[0]
      if (message) this.#decide(message, undefined, (record) => (record.taken = true))
      else if (this.#mailbox.length > 0) this.#take(this.#mailbox.shift() as Delivery)
      else break
    }
    this.#draining = false
    if (!this.#over) return
    for (const delivery of this.#mailbox.splice(0)) this.#take(delivery)
  }

  #take(delivery: Delivery): void {
    if (this.#over) {
      if (delivery.kind === 'delete' && this.#over.code !== 'SESSION_DELETED') this.#delete(delivery.sender)
      else if ('sender' in delivery) this.#refuse(delivery.sender, this.#over)
      return
    }
    switch (delivery.kind) {
      case 'send':
        return this.#decide(delivery.event, delivery, () => {})
      case 'timer':
        return this.#fire(delivery.key)
      case 'result':
        return this.#settle(delivery.run, delivery.outcome, delivery.progress)
      case 'again': {
        const child = this.#active(delivery.child, delivery.incarnation)
        return child && this.#attempt(delivery.child, { ...child, attempt: child.attempt + 1 }, undefined)
      }
      case 'delete':
        return this.#delete(delivery.sender)
    }
  }

  /** Has the machine decide and records it. An event from outside may be refused; any other that throws ends the session. */
  #decide(
    event: RecordedEvent,
    from: { readonly sender: Sender | undefined } | undefined,
    complete: (record: Writable<TransitionRecord>) => void,
    fired?: string,
  ): void {
    const engine = this.#engine as Engine
    try {
      engine.decide(event, from !== undefined, (decision) =>
        this.#record(event, decision, from?.sender, complete, fired),
      )
    } catch (error) {
      if (from) this.#refuse(from.sender, error)
      else if (isStorage(error)) this.#halt(error)
      // Plain XState ends in error when a transition throws, and nobody is there to be told otherwise.
      else this.#end(event, error, complete)
    }
  }

  #fire(key: string): void {
    this.#armed?.delete(key)
    const timer = this.#decided.timers.find((candidate) => candidate.key === key)
    if (timer) this.#decide(timer.event, undefined, (record) => (record.cleared ??= [key]), key)
  }

  /** A step's result is recorded even when no transition takes it, or the step would run again. */
  #settle(run: StepRun, outcome: Outcome, progress: Progress | undefined): void {
    const child = this.#active(run.id, run.incarnation)
    if (!child || outcome.kind === 'cancelled') return
    if (outcome.kind === 'failed') {
      const failures = child.failures + 1
      const { policy } = run.declaration
      if (outcome.retry && failures < policy.attempts) {
        const notBefore = isoTime(this.#host.clock.now() + backoff(policy, failures, this.#host.chance.random()))
        return this.#attempt(run.id, { ...child, attempt: child.attempt + 1, failures, notBefore }, outcome.error)
      }
    }
    const event =
      outcome.kind === 'done'
        ? { type: `xstate.done.actor.${run.id}`, output: outcome.output, actorId: run.id }
        : { type: `xstate.error.actor.${run.id}`, error: outcome.error, actorId: run.id }
    this.#decide(copyJson(event, 'event'), undefined, (record) => {
      record.finished = run.id
      if (progress) record.progress = progress
    })
  }

  /** Records that a step is tried again; the attempt starts when that is durable. */
  #attempt(id: string, child: Child, error: ErrorEnvelope | undefined): void {
    const { attempt: number, failures, notBefore } = child
    const event: RecordedEvent = { type: 'holdfast.attempt', child: id, attempt: number, ...(error && { error }) }
    const record = this.#bare(event)
    record.attempt = { child: id, number, failures, ...(notBefore && { notBefore }) }
    this.#append(record, this.#decided.snapshot, NO_EFFECTS, undefined)
  }

  #end(event: RecordedEvent, error: unknown, complete: (record: Writable<TransitionRecord>) => void): void {
    const record = this.#bare(event)
    complete(record)
    record.status = 'error'
    record.error = encodeError(error)
    this.#append(record, this.#decided.snapshot, NO_EFFECTS, undefined)
  }

  #delete(sender: Sender): void {
    const record = this.#bare({ type: 'holdfast.delete' })
    record.deleted = true
    if (this.#decided.status === 'active') record.status = 'stopped'
    this.#append(record, this.#decided.snapshot, NO_EFFECTS, sender)
    this.#over = new HoldfastError('SESSION_DELETED', `session ${this.id} has been deleted`)
  }

  #record(
    event: RecordedEvent,
    decision: Decision,
    sender: Sender | undefined,
    complete: (record: Writable<TransitionRecord>) => void,
    fired?: string,
  ): void {
    const index = this.#kind?.index
    const now = this.#host.clock.now()
    const record = recordOf({ id: this.id, event, before: this.#decided, decision, fired, now, index })
    complete(record)
    this.#append(record, decision.after, decision, sender)
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
    if (point.status !== 'active') this.#over ??= ended(this.id, point)
  }

  /** The record is durable: everything that waited for it happens now, in this order. Called by the commit. */
  committed(commit: Commit, position: Position, bytes: number): void {
    const { record, effects, sender } = commit
    const point = commit.point as Point
    this.#inFlight--
    this.#durable = point
    this.#bytesSinceSnapshot += bytes
    this.#host.advanced(record, position)
    const errors: unknown[] = []
    for (const action of effects.actions) attemptTo(action, errors)
    this.#actOn(record, point)
    for (const event of effects.emitted) this.#host.emitted(this.id, event)
    sender?.resolve(commit.transition())
    this.#host.broadcast(this, commit)
    for (const refuse of commit.afterwards ?? []) refuse()
    if (record.deleted || point.status !== 'active') this.#finish()
    if (errors.length > 0) this.#host.crashed(this, errors)
  }

  /** The journal has failed: what was decided since the last durable point is discarded, never unwound. */
  discarded(commit: Commit, error: Error): void {
    commit.sender?.reject(error)
    for (const refuse of commit.afterwards ?? []) refuse()
    this.#halt(error)
  }

  /** Starts and stops what a durable record starts and stops. */
  #actOn(record: TransitionRecord, point: Point): void {
    for (const id of record.stopped ?? []) this.#steps?.stop(id, 'the machine left the state that runs it')
    for (const { id } of record.started ?? []) this.#startStep(id, point)
    if (record.attempt) this.#startStep(record.attempt.child, point)
    for (const key of record.cleared ?? []) {
      this.#armed?.get(key)?.()
      this.#armed?.delete(key)
    }
    for (const timer of record.timers ?? []) this.#arm(timer)
  }

  #startStep(id: string, point: Point): void {
    const child = point.children[id]
    // A later decision, on its way to the disk, may have stopped it already.
    if (!child || !this.#active(id, child.incarnation)) return
    const { incarnation, attempt, input, notBefore } = child
    const declaration = stepOf(this.#kind?.machine.implementations.actors[child.src]) as StepDeclaration
    const module = this.#kind?.steps as string
    const at = notBefore === undefined ? undefined : Date.parse(notBefore)
    this.#steps ??= new StepRunner(this.#runnerHost())
    this.#steps.start({ id, incarnation, attempt, declaration, module, input, notBefore: at })
  }

  #runnerHost(): ConstructorParameters<typeof StepRunner>[0] {
    const { pool, timers } = this.#host
    return {
      session: this.id,
      pool,
      timers,
      update: (update) => this.#host.update(update),
      settled: (run, outcome, progress) => this.#deliver({ kind: 'result', run, outcome, progress }),
    }
  }

  #arm({ key, at }: Timer): void {
    this.#armed ??= new Map()
    this.#armed.set(
      key,
      this.#host.timers.arm(Date.parse(at), () => this.#deliver({ kind: 'timer', key })),
    )
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
    if (this.#inFlight === 0 || !this.#last) sender.reject(reason)
    else (this.#last.afterwards ??= []).push(() => sender.reject(reason))
  }

  #halt(error: unknown): void {
    this.#paused = true
    this.stop('the journal has failed')
    const reason = error instanceof Error ? error : new Error(String(error))
    for (const delivery of this.#mailbox.splice(0)) if ('sender' in delivery) delivery.sender?.reject(reason)
    this.#host.halted(reason)
  }

  #finish(): void {
    this.stop('the session has ended')
    this.#engine = undefined
    this.#host.ended(this)
  }
}

/** A record on its way to the disk, and what waits for it. */
class Commit implements Waiter {
  readonly session: LiveSession
  readonly record: TransitionRecord
  readonly effects: Effects
  readonly sender: Sender | undefined
  point: Point | undefined
  /** Refusals that were decided on this record's state. */
  afterwards: (() => void)[] | undefined
  #transition: Transition | undefined

  constructor(session: LiveSession, record: TransitionRecord, effects: Effects, sender: Sender | undefined) {
    this.session = session
    this.record = record
    this.effects = effects
    this.sender = sender
  }

  /** The transition that the record stands for; made once, if anybody wants it. */
  transition(): Transition {
    this.#transition ??= transitionOf(this.record, (this.point as Point).position)
    return this.#transition
  }

  durable(position: Position, bytes: number): void {
    this.session.committed(this, position, bytes)
  }

  failed(error: Error): void {
    this.session.discarded(this, error)
  }
}

function attemptTo(action: () => void, errors: unknown[]): void {
  try {
    action()
  } catch (error) {
    errors.push(error)
  }
}

const isStorage = (error: unknown): boolean => isHoldfastError(error, 'JOURNAL_FAILED', 'RUNTIME_CLOSED')

const ended = (id: string, { status }: Point): HoldfastError =>
  new HoldfastError('SESSION_ENDED', `session ${id} has ended (${status}) and takes no more events`, {
    details: { status },
  })

const mailboxFull = (id: string, limit: number): HoldfastError =>
  new HoldfastError('MAILBOX_FULL', `${limit} events of session ${id} are waiting already; await your sends`)

const decisionFailed = (cause: unknown): HoldfastError =>
  new HoldfastError(
    'DECISION_FAILED',
    `the machine threw while it decided (${cause instanceof Error ? cause.message : String(cause)}); the session is as it was`,
    { cause },
  )
