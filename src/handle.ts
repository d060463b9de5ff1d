// A session as its users hold it: the verbs, and nothing of the machinery.
// A handle keeps no state: it names a session of a runtime, wherever that session is. It shows durable state only.

import type { AnyMachine, KindContext, KindEvent, KindOutput, KindValue } from './define.js'
import type { SessionDiff } from './diff.js'
import type { SessionEntry } from './listing.js'
import type { KeysOf } from './options.js'
import type { RecordedEvent } from './record.js'
import type { Attributes, SessionState, SessionStatus, StateValue } from './state.js'
import type { StepUpdate } from './step-runner.js'
import type { Stream } from './stream.js'
import type { TraceHeaders } from './trace-context.js'
import type { Transition } from './transition.js'
import type { DeadLetter } from './trouble.js'

/** What can be seen of a session: durable, frozen. */
export interface SessionSnapshot<TMachine extends AnyMachine = AnyMachine> {
  readonly id: string
  readonly kind: string
  readonly version: number
  readonly seq: number
  readonly status: SessionStatus
  readonly value: KindValue<TMachine>
  readonly context: KindContext<TMachine>
  readonly output: KindOutput<TMachine> | undefined
  /** What ended it, as JSON (see `ErrorEnvelope`), if its status is `error`. */
  readonly error: unknown
  readonly tags: readonly string[]
  /** Ids of the steps that are active. */
  readonly steps: readonly string[]
  readonly attributes: Attributes
  readonly createdAt: string
  readonly updatedAt: string
}

export interface CallOptions {
  /** Gives up waiting with ABORTED; what was sent may still be recorded. */
  readonly signal?: AbortSignal
}

/** Which options there are, here and of a session behind a server: others are refused. */
export const CALL_OPTIONS: KeysOf<CallOptions> = { signal: true }

export interface WaitOptions extends CallOptions {
  /** Gives up waiting after this many ms, with TIMEOUT. */
  readonly timeoutMs?: number
}

export const WAIT_OPTIONS: KeysOf<WaitOptions> = { signal: true, timeoutMs: true }

/** What `until` waits for: a state (as XState's `matches` takes it), a tag, or whatever a function says of the snapshot. */
export type Wanted<TMachine extends AnyMachine = AnyMachine> =
  | StateValue
  | { readonly tag: string }
  | ((snapshot: SessionSnapshot<TMachine>) => boolean)

export interface SendOptions extends CallOptions, TraceHeaders {
  /**
   * An id of the event: sending it again, also after a restart, does nothing and gives the same transition, as long as it
   * is among the last 256 events of the session that came with one. The same id with another event is IDEMPOTENCY_CONFLICT.
   */
  readonly id?: string
}

export const SEND_OPTIONS: KeysOf<SendOptions> = {
  id: true,
  signal: true,
  traceparent: true,
  tracestate: true,
}

/** Of who gives none: nothing is looked at. */
export const NO_OPTIONS: SendOptions = Object.freeze({})

export interface CancelOptions extends CallOptions {
  /** Why, for the record. */
  readonly reason?: string
}

export const CANCEL_OPTIONS: KeysOf<CancelOptions> = { reason: true, signal: true }

/** Transitions by their numbers: the `seq` of one session's, the `position` of all. */
export interface HistoryOptions {
  /** The first, default 1; of all, the first that is kept. */
  readonly from?: number
  /** The last, default the last durable one. */
  readonly to?: number
}

export const HISTORY_OPTIONS: KeysOf<HistoryOptions> = { from: true, to: true }

export interface ForkOptions extends CallOptions {
  /** The transition after which the fork goes on; default the last durable one. */
  readonly at?: number
  /** The fork's id; a new one by default. */
  readonly id?: string
  /** With the same key, `fork` gives the same session, also after a restart. */
  readonly idempotencyKey?: string
  /** `restart` begins child sessions that were active anew, with their inputs; default: such a fork is refused. */
  readonly children?: 'restart'
}

export const FORK_OPTIONS: KeysOf<ForkOptions> = {
  at: true,
  id: true,
  idempotencyKey: true,
  children: true,
  signal: true,
}

/** Of what comes live only. */
export interface LiveOptions extends CallOptions {
  /** How many live items may wait for a slow observer; default 1,024. */
  readonly queueLimit?: number
}

export interface TransitionsOptions extends LiveOptions {
  /** Replays from here on first: a `seq` for one session, a `position` for all. Without it, live only. */
  readonly from?: number
}

/** An event that the machine or the runtime made; its type is none of a user's, so that `type` tells them apart. */
export interface InternalEvent extends RecordedEvent {
  readonly type: `xstate.${string}` | `holdfast.${string}`
}

export type SessionTransition<TMachine extends AnyMachine = AnyMachine> = Transition<
  KindEvent<TMachine> | InternalEvent,
  KindValue<TMachine>
>

/** What a session handle asks of its runtime. */
export interface SessionVerbs {
  send(id: string, event: unknown, options: SendOptions): Promise<Transition>
  sendBatch(id: string, events: unknown, options: SendOptions): Promise<Transition>
  snapshot(id: string): SessionSnapshot
  state(id: string, seq: number | undefined): SessionState
  can(id: string, event: unknown): boolean
  until(id: string, wanted: Wanted, options: WaitOptions): Promise<SessionSnapshot>
  result(id: string, options: WaitOptions): Promise<unknown>
  transitions(id: string, options: TransitionsOptions): Stream<Transition>
  progress(id: string, options: LiveOptions): Stream<StepUpdate>
  emitted(id: string, options: LiveOptions): Stream<RecordedEvent>
  history(id: string, options: HistoryOptions): Generator<Transition>
  at(id: string, seq: number): SessionSnapshot
  diff(id: string, from: number, to: number): SessionDiff
  fork(id: string, options: ForkOptions): Promise<string>
  entry(id: string): SessionEntry
  cancel(id: string, options: CancelOptions): Promise<void>
  release(id: string, options: CallOptions): Promise<void>
  deadLetters(id: string): readonly DeadLetter[]
  resend(id: string, letter: number, options: CallOptions): Promise<Transition>
  discard(id: string, letter: number, options: CallOptions): Promise<void>
  delete(id: string, options: CallOptions): Promise<void>
}

export class Session<TMachine extends AnyMachine = AnyMachine> {
  readonly id: string
  readonly kind: string
  readonly #verbs: SessionVerbs

  constructor(verbs: SessionVerbs, id: string, kind: string) {
    this.#verbs = verbs
    this.id = id
    this.kind = kind
  }

  /**
   * Sends an event; resolves with the transition once it is durable.
   * Rejects with NOT_ACCEPTED (naming what would be accepted), INVALID_EVENT, NOT_JSON, DECISION_FAILED, SESSION_ENDED,
   * MAILBOX_FULL or READ_ONLY, the session being as it was; with OUTCOME_UNKNOWN when the disk failed meanwhile.
   */
  send(event: KindEvent<TMachine>, options: SendOptions = NO_OPTIONS): Promise<SessionTransition<TMachine>> {
    return this.#verbs.send(this.id, event, options) as Promise<SessionTransition<TMachine>>
  }

  /**
   * Sends several events as one: all of them, in order, or, if any is refused, none. They are one transition, whose event
   * is `{ type: 'holdfast.batch', events }`; what the session sends itself meanwhile is decided in between.
   * Rejects as `send` does.
   */
  sendBatch(
    events: readonly KindEvent<TMachine>[],
    options: SendOptions = NO_OPTIONS,
  ): Promise<SessionTransition<TMachine>> {
    return this.#verbs.sendBatch(this.id, events, options) as Promise<SessionTransition<TMachine>>
  }

  /**
   * The last durable state; a passive session is read, and stays passive.
   * Throws SESSION_NOT_FOUND, RUNTIME_CLOSED, or JOURNAL_CORRUPT when it cannot be read.
   */
  snapshot(): SessionSnapshot<TMachine> {
    return this.#verbs.snapshot(this.id) as SessionSnapshot<TMachine>
  }

  /**
   * Whether the last durable state would accept an event: never, when the session has ended or cannot run.
   * Throws INVALID_EVENT, NOT_JSON, SESSION_NOT_FOUND, RUNTIME_CLOSED, or DECISION_FAILED when a guard throws.
   */
  can(event: KindEvent<TMachine>): boolean {
    return this.#verbs.can(this.id, event)
  }

  /**
   * Resolves with the first durable snapshot, from now on, that is in a state, has a tag or passes a test; rejects with
   * SESSION_ENDED if none can any more, ABORTED or TIMEOUT.
   */
  until(wanted: Wanted<TMachine>, options: WaitOptions = {}): Promise<SessionSnapshot<TMachine>> {
    return this.#verbs.until(this.id, wanted as Wanted, options) as Promise<SessionSnapshot<TMachine>>
  }

  /** Resolves with the machine's output when it is done; rejects with SESSION_FAILED (its `cause` is what failed). */
  result(options: WaitOptions = {}): Promise<KindOutput<TMachine>> {
    return this.#verbs.result(this.id, options) as Promise<KindOutput<TMachine>>
  }

  /** Its durable transitions: replayed from `from`, then live, without gap or duplicate. Completes when it ends. */
  transitions$(options: TransitionsOptions = {}): Stream<SessionTransition<TMachine>> {
    return this.#verbs.transitions(this.id, options) as Stream<SessionTransition<TMachine>>
  }

  /** Progress, chunks and logs of its running steps: live only, not durable. Completes when it ends. */
  progress$(options: LiveOptions = {}): Stream<StepUpdate> {
    return this.#verbs.progress(this.id, options)
  }

  /** Events that the machine emits: live only, each after its transition is durable. Completes when it ends. */
  emitted$(options: LiveOptions = {}): Stream<RecordedEvent> {
    return this.#verbs.emitted(this.id, options)
  }

  /**
   * Its durable transitions in order, read as they are asked for: from `from` to `to`, both included.
   * Throws JOURNAL_CORRUPT when one cannot be read, INVALID_ARGUMENT for what is no number of a transition.
   */
  history(options: HistoryOptions = {}): Generator<SessionTransition<TMachine>> {
    return this.#verbs.history(this.id, options) as Generator<SessionTransition<TMachine>>
  }

  /**
   * What it was right after its transition `seq`, folded from its records; no code of the machine's runs.
   * Throws TRANSITION_NOT_FOUND, or JOURNAL_CORRUPT when that cannot be read.
   */
  at(seq: number): SessionSnapshot<TMachine> {
    return this.#verbs.at(this.id, seq) as SessionSnapshot<TMachine>
  }

  /**
   * Everything that is durable of it: its children, timers, messages and trouble, too. After its transition `seq`, or now.
   * Throws as `at` does.
   */
  state(seq?: number): SessionState {
    return this.#verbs.state(this.id, seq)
  }

  /** What changed between two of its transitions, in either direction. Throws as `at` does. */
  diff(from: number, to: number): SessionDiff<KindValue<TMachine>> {
    return this.#verbs.diff(this.id, from, to) as SessionDiff<KindValue<TMachine>>
  }

  /**
   * A new session that goes on from this one as it was after a transition; resolves when that is durable. Pending timers
   * keep their deadlines, active steps start anew with keys of their own, and this session is not touched.
   * Rejects with TRANSITION_NOT_FOUND, SESSION_ENDED when it had ended there, FORK_HAS_CHILDREN, SESSION_EXISTS,
   * IDEMPOTENCY_CONFLICT, or what no longer fits the machine; then there is no new session.
   */
  async fork(options: ForkOptions = {}): Promise<Session<TMachine>> {
    return new Session(this.#verbs, await this.#verbs.fork(this.id, options), this.kind)
  }

  /** What the registry knows of it, without opening it. */
  entry(): SessionEntry {
    return this.#verbs.entry(this.id)
  }

  /**
   * Ends it as `stopped`, with its steps and its child sessions; resolves when that is durable and nothing of it runs any
   * more. Rejects with SESSION_ENDED when it has ended already.
   */
  cancel(options: CancelOptions = {}): Promise<void> {
    return this.#verbs.cancel(this.id, options)
  }

  /** Lets it run again after it was quarantined; resolves when that is durable. One that is not goes on as it is. */
  release(options: CallOptions = {}): Promise<void> {
    return this.#verbs.release(this.id, options)
  }

  /** Events that were set aside because it crashed on them again and again, oldest first. */
  deadLetters(): readonly DeadLetter[] {
    return this.#verbs.deadLetters(this.id)
  }

  /**
   * Has it decide a dead letter after all, by its `id`; resolves as `send` does, and the letter is gone. Rejects with
   * DEAD_LETTER_NOT_FOUND, NOT_ACCEPTED or DECISION_FAILED, and the letter stays.
   */
  resend(letter: number, options: CallOptions = {}): Promise<SessionTransition<TMachine>> {
    return this.#verbs.resend(this.id, letter, options) as Promise<SessionTransition<TMachine>>
  }

  /** Removes a dead letter for good; resolves when that is durable. Rejects with DEAD_LETTER_NOT_FOUND. */
  discard(letter: number, options: CallOptions = {}): Promise<void> {
    return this.#verbs.discard(this.id, letter, options)
  }

  /** Stops it and removes it for good; resolves when that is durable. */
  delete(options: CallOptions = {}): Promise<void> {
    return this.#verbs.delete(this.id, options)
  }
}
