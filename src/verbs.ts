// What a session handle can ask, answered: the way from an id to the session that is live, or is restored for it.
// It shows durable state only, and refuses writes once nothing can be recorded.

import { abortable, refuseAborted } from './abort.js'
import type { Creation } from './creation.js'
import type { AnySessionKind } from './define.js'
import { diffOf, type SessionDiff } from './diff.js'
import { admitEvent, admitEvents, admitKey } from './door.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import type { Feeds } from './feeds.js'
import {
  CALL_OPTIONS,
  CANCEL_OPTIONS,
  type CallOptions,
  type CancelOptions,
  FORK_OPTIONS,
  type ForkOptions,
  HISTORY_OPTIONS,
  type HistoryOptions,
  type LiveOptions,
  NO_OPTIONS,
  SEND_OPTIONS,
  type SendOptions,
  type SessionSnapshot,
  type SessionVerbs,
  type TransitionsOptions,
  WAIT_OPTIONS,
  type WaitOptions,
  type Wanted,
} from './handle.js'
import { loadState, recordsFrom, stateAt, transitionsOf } from './history.js'
import type { SessionHost } from './host.js'
import { copyJson, withinRoom } from './json.js'
import type { SessionEntry } from './listing.js'
import { tagsOf } from './machine-snapshot.js'
import type { Milestones } from './milestones.js'
import { admitOptions } from './options.js'
import { endedFirst, resultOf } from './outcome.js'
import { type Point, pointOf } from './point.js'
import type { RecordedEvent } from './record.js'
import { decisionFailed, sessionNotFound } from './refusals.js'
import type { Registry } from './registry.js'
import type { LiveSession } from './session.js'
import type { Snapshots } from './snapshots.js'
import type { IndexEntry, SessionState } from './state.js'
import type { StepUpdate } from './step-runner.js'
import { liveOnly, replayThenLive, type Source, type Stream, type StreamHost } from './stream.js'
import type { Supervisor } from './supervisor.js'
import { type TraceContext, type TraceHeaders, traceContextOf } from './trace-context.js'
import { type Transition, transitionOf } from './transition.js'
import type { DeadLetter } from './trouble.js'
import { admitWanted, notInTime, testOf } from './wanted.js'

export interface VerbsHost {
  readonly kinds: ReadonlyMap<string, AnySessionKind>
  readonly registry: Registry
  readonly supervisor: Supervisor
  readonly feeds: Feeds
  readonly creation: Creation
  readonly snapshots: Snapshots
  readonly milestones: Milestones
  readonly session: SessionHost
  readonly stream: StreamHost
  /** Throws when nothing can be recorded. */
  assertWritable(): void
  /** Throws when nothing can be read. */
  assertOpen(): void
  /** Why nothing more can happen: the runtime is closed, or cannot record. */
  over(): HoldfastError | undefined
}

export class Verbs implements SessionVerbs {
  readonly #host: VerbsHost

  constructor(host: VerbsHost) {
    this.#host = host
  }

  send(id: string, event: unknown, options: SendOptions): Promise<Transition> {
    const { id: eventId, signal } = options
    try {
      if (options !== NO_OPTIONS) admitOptions('options of send', options, SEND_OPTIONS)
      this.#host.assertWritable()
      refuseAborted(signal)
      const session = this.#host.supervisor.activate(id)
      const admitted = this.#admit(session.identity.kind, event)
      const key = eventId === undefined ? undefined : admitKey(eventId)
      return abortable(session.send(admitted, key, this.#traceOf(options)), signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async sendBatch(id: string, events: unknown, options: SendOptions): Promise<Transition> {
    if (options !== NO_OPTIONS) admitOptions('options of sendBatch', options, SEND_OPTIONS)
    const { id: eventId, signal } = options
    this.#host.assertWritable()
    refuseAborted(signal)
    const session = this.#host.supervisor.activate(id)
    const { kinds, session: host } = this.#host
    const admitted = withinRoom(host.changeLimit, () =>
      host.secrets.json(admitEvents(kinds.get(session.identity.kind), events)),
    )
    const key = eventId === undefined ? undefined : admitKey(eventId)
    const trace = this.#traceOf(options)
    return abortable(session.ask({ kind: 'batch', events: admitted, id: key, trace }), signal)
  }

  async cancel(id: string, options: CancelOptions): Promise<void> {
    admitOptions('options of cancel', options, CANCEL_OPTIONS)
    const { reason = 'cancelled', signal } = options
    this.#host.assertWritable()
    refuseAborted(signal)
    const session = this.#host.supervisor.reach(id)
    await abortable(session.ask({ kind: 'cancel', reason: copyJson(reason, 'reason') }), signal)
    await abortable(session.gone(), signal)
  }

  async delete(id: string, options: CallOptions): Promise<void> {
    const signal = signalOf('delete', options)
    this.#host.assertWritable()
    refuseAborted(signal)
    await abortable(this.#deletable(this.#entry(id)).ask({ kind: 'delete' }), signal)
  }

  async release(id: string, options: CallOptions): Promise<void> {
    const signal = signalOf('release', options)
    this.#host.assertWritable()
    refuseAborted(signal)
    if (this.#entry(id).quarantine) await abortable(this.#host.supervisor.reach(id).ask({ kind: 'release' }), signal)
  }

  deadLetters(id: string): readonly DeadLetter[] {
    this.#host.assertOpen()
    const entry = this.#entry(id)
    return entry.deadLetters === undefined ? [] : this.#point(entry).trouble.letters
  }

  async resend(id: string, letter: number, options: CallOptions): Promise<Transition> {
    const signal = signalOf('resend', options)
    this.#host.assertWritable()
    refuseAborted(signal)
    return abortable(this.#host.supervisor.activate(id).ask({ kind: 'resend', letter }), signal)
  }

  async discard(id: string, letter: number, options: CallOptions): Promise<void> {
    const signal = signalOf('discard', options)
    this.#host.assertWritable()
    refuseAborted(signal)
    await abortable(this.#host.supervisor.reach(id).ask({ kind: 'discard', letter }), signal)
  }

  entry(id: string): SessionEntry {
    this.#host.assertOpen()
    return this.#entry(id)
  }

  snapshot(id: string): SessionSnapshot {
    this.#host.assertOpen()
    const entry = this.#entry(id)
    const point = this.#point(entry)
    // One that has ended has no machine running any more, and its tags all the same.
    const tags = point.snapshot?.tags ?? tagsOf(this.#host.kinds.get(entry.kind)?.machine, point.value)
    return shown(entry, point, [...tags] as string[])
  }

  can(id: string, event: unknown): boolean {
    this.#host.assertOpen()
    const entry = this.#entry(id)
    const runs = entry.status === 'active' && !entry.quarantine
    const snapshot = runs ? this.#host.supervisor.glance(id)?.durable.snapshot : undefined
    if (!snapshot) return false
    const admitted = this.#admit(entry.kind, event)
    try {
      return snapshot.can(admitted)
    } catch (error) {
      throw decisionFailed(error)
    }
  }

  async until(id: string, wanted: Wanted, options: WaitOptions): Promise<SessionSnapshot> {
    admitOptions('options of until', options, WAIT_OPTIONS)
    const { signal, timeoutMs } = options
    const kind = this.#host.kinds.get(this.#entry(id).kind)
    if (kind) admitWanted(wanted, kind.machine.root)
    if (timeoutMs === undefined) return abortable(this.#until(id, testOf(wanted), signal), signal)
    const out = new AbortController()
    const disarm = this.#host.session.clock.setTimeout(() => out.abort(), timeoutMs)
    const either = signal ? AbortSignal.any([signal, out.signal]) : out.signal
    try {
      return await abortable(this.#until(id, testOf(wanted), either), either)
    } catch (error) {
      if (!out.signal.aborted || signal?.aborted) throw error
      throw notInTime(id, wanted, timeoutMs, this.#host.registry.get(id)?.value)
    } finally {
      disarm()
    }
  }

  async result(id: string, options: WaitOptions): Promise<unknown> {
    admitOptions('options of result', options, WAIT_OPTIONS)
    return resultOf(await this.until(id, ({ status }) => status !== 'active', options))
  }

  transitions(id: string, options: TransitionsOptions): Stream<Transition> {
    const { feeds, stream } = this.#host
    const source: Source<Transition> = {
      replay: (from) => this.#replay(id, from),
      numberOf: (transition) => transition.seq,
      listen: this.#whileActive(id, feeds.transitions(id)),
    }
    return replayThenLive(source, options, stream)
  }

  progress(id: string, options: LiveOptions): Stream<StepUpdate> {
    const { feeds, stream } = this.#host
    return liveOnly(this.#whileActive(id, feeds.updates(id)), options, stream)
  }

  emitted(id: string, options: LiveOptions): Stream<RecordedEvent> {
    const { feeds, stream } = this.#host
    return liveOnly(this.#whileActive(id, feeds.emitted(id)), options, stream)
  }

  /** Nothing comes live of a session that has ended or is gone, which whoever listens is told at once. */
  #whileActive<T>(id: string, listen: Source<T>['listen']): Source<T>['listen'] {
    return (listener, ended) => {
      if (this.#host.registry.get(id)?.status === 'active') return listen(listener, ended)
      ended()
      return () => {}
    }
  }

  /** What the caller says, or the trace that it is in. */
  #traceOf(headers: TraceHeaders): TraceContext | undefined {
    return traceContextOf(headers) ?? this.#host.session.tracing?.active()
  }

  #admit(kind: string, event: unknown): RecordedEvent {
    const { kinds, session } = this.#host
    return withinRoom(session.changeLimit, () => session.secrets.json(admitEvent(kinds.get(kind), event)))
  }

  history(id: string, options: HistoryOptions): Generator<Transition> {
    this.#host.assertOpen()
    admitOptions('options of history', options, HISTORY_OPTIONS)
    const { from, to } = options
    for (const [name, seq] of Object.entries({ from, to })) {
      if (seq === undefined || Number.isSafeInteger(seq)) continue
      throw new HoldfastError('INVALID_ARGUMENT', `${name} is the number of a transition, not ${String(seq)}`)
    }
    return transitionsOf(this.#host.session.journal, this.#entry(id), from, to, this.#host.milestones)
  }

  at(id: string, seq: number): SessionSnapshot {
    this.#host.assertOpen()
    const entry = this.#entry(id)
    const state = this.#stateAt(entry, seq)
    const tags = tagsOf(this.#host.kinds.get(entry.kind)?.machine, state.value)
    return shown({ ...entry, version: state.version }, pointOf(state, undefined), tags)
  }

  state(id: string, seq: number | undefined): SessionState {
    this.#host.assertOpen()
    const entry = this.#entry(id)
    return this.#stateAt(entry, seq ?? entry.seq)
  }

  diff(id: string, from: number, to: number): SessionDiff {
    this.#host.assertOpen()
    const entry = this.#entry(id)
    return diffOf(this.#stateAt(entry, from), this.#stateAt(entry, to))
  }

  async fork(id: string, options: ForkOptions): Promise<string> {
    this.#host.assertWritable()
    admitOptions('options of fork', options, FORK_OPTIONS)
    refuseAborted(options.signal)
    return this.#host.creation.fork(this.#entry(id), options)
  }

  #stateAt(entry: IndexEntry, seq: number): SessionState {
    return stateAt(seq, this.#host.session.journal, this.#host.snapshots, entry)
  }

  #entry(id: string): IndexEntry {
    const entry = this.#host.registry.get(id)
    if (entry) return entry
    throw sessionNotFound(id)
  }

  /** Of one that is live, or as it is stored: to look at a session makes none live. */
  #point(entry: IndexEntry): Point {
    return this.#host.supervisor.peek(entry.id)?.durable ?? this.#storedPoint(entry)
  }

  /** A parked session can be deleted too. */
  #deletable(entry: IndexEntry): LiveSession {
    try {
      return this.#host.supervisor.reach(entry.id)
    } catch (error) {
      if (!isHoldfastError(error, 'SESSION_PARKED')) throw error
      return this.#host.supervisor.tombstone(entry, error)
    }
  }

  *#replay(id: string, from: number): Generator<Transition | undefined> {
    const entry = this.#host.registry.get(id)
    if (!entry) return
    for (const placed of recordsFrom(this.#host.session.journal, entry, from, this.#host.milestones)) {
      yield placed && transitionOf(placed.record, placed.position)
    }
  }

  /** Reading needs no machine: a session of an unknown kind, or one that is parked, can still be looked at. */
  #storedPoint(entry: IndexEntry): Point {
    return pointOf(loadState(this.#host.session.journal, this.#host.snapshots, entry), undefined)
  }

  /** Whoever waits for a session needs it to run; if it cannot, it is parked, and says why. */
  #wake(id: string): void {
    if (this.#host.over()) return
    try {
      if (this.#entry(id).status === 'active') this.#host.supervisor.activate(id)
    } catch {
      // The look that follows tells.
    }
  }

  #until(
    id: string,
    test: (snapshot: SessionSnapshot) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<SessionSnapshot> {
    return new Promise((resolve, reject) => {
      let leave = (): void => {}
      /** Settles if it can be told how. */
      const look = (over: boolean): boolean => {
        try {
          const snapshot = this.snapshot(id)
          if (test(snapshot)) resolve(snapshot)
          else if (over || snapshot.status !== 'active') throw endedFirst(id, snapshot)
          else {
            const never = this.#host.over() ?? this.#host.supervisor.reasonParked(id)
            if (!never) return false
            throw never
          }
        } catch (error) {
          reject(error)
        }
        leave()
        signal?.removeEventListener('abort', leave)
        return true
      }
      this.#wake(id)
      if (look(false)) return
      leave = this.#host.feeds.transitions(id)(
        () => look(false),
        (error) => (error ? reject(error) : look(this.#host.over() === undefined)),
      )
      signal?.addEventListener('abort', leave, { once: true })
    })
  }
}

/** Throws INVALID_ARGUMENT for an option that is not there. */
function signalOf(verb: string, options: CallOptions): AbortSignal | undefined {
  admitOptions(`options of ${verb}`, options, CALL_OPTIONS)
  return options.signal
}

function shown(entry: IndexEntry, point: Point, tags: readonly string[]): SessionSnapshot {
  const { id, kind, version, createdAt } = entry
  const { seq, status, value, context, output, error, attributes, at, children } = point
  const steps = Object.keys(children).filter((child) => children[child]?.status === 'active')
  const common = { id, kind, version, seq, status, value, context, output, error, tags, steps, attributes }
  return Object.freeze({ ...common, createdAt, updatedAt: at }) as SessionSnapshot
}
