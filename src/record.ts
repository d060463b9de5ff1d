// A record: what the journal keeps of one transition, the event and its outcome, so that folding needs no user code.
// A session's records are numbered 1, 2, 3 …; the first creates it (`kind`, `version`), a last one may delete it.

import type { Patch } from './patch.js'
import type { Attributes, CreationKey, ForkOrigin, Owner, Parent, SessionStatus, StateValue } from './state.js'
import type { TraceContext } from './trace-context.js'
import type { TroubleChange } from './trouble.js'

/** A place in the journal; later records have larger ones. `-1` is before everything. */
export type Position = number

export const NOWHERE: Position = -1

/** An event as recorded: XState's own, a user's, or the runtime's (`holdfast.attempt`: a step is tried again). */
export interface RecordedEvent {
  readonly type: string
  readonly [field: string]: unknown
}

export interface StartedChild {
  readonly id: string
  readonly src: string
  readonly input?: unknown
  readonly systemId?: string
  /** The id of the session that it is, if its logic is a machine. */
  readonly session?: string
  /** The parent hears of each of its snapshots. */
  readonly sync?: true
  /** An action has spawned it; absent when a state invokes it. */
  readonly spawned?: true
  /** In a fork: it has ended already. */
  readonly status?: 'done' | 'error'
  /** Of a migration: the record starts no step, so even the first attempt has a record of its own. */
  readonly attempt?: 0
}

/** A message to another session. Its key is `<seq>.<its place in the record>`. */
export interface SentMessage {
  readonly to: string
  readonly event: RecordedEvent
}

/** Which message of another session an event is. */
export interface ReceivedMessage {
  readonly from: string
  readonly key: string
}

/** A step is tried again: after a failure, or because the process that ran it is gone. */
export interface Attempt {
  readonly child: string
  readonly number: number
  /** How many attempts have failed so far; those that a crash of the process cut off do not count. */
  readonly failures: number
  /** When it may begin, if it waits. */
  readonly notBefore?: string
}

export interface Progress {
  readonly percent: number
  readonly message?: string
}

export interface SetTimer {
  readonly key: string
  readonly id: string
  readonly at: string
  readonly event: RecordedEvent
  /** The child that it goes to, or PARENT; to the session itself if absent. */
  readonly to?: string
}

/** The receiver of a timer that goes to the session's parent. No child's id begins like this. */
export const PARENT = '#parent'

export interface TransitionRecord {
  readonly session: string
  readonly seq: number
  /** Position of the session's previous record, NOWHERE for the first. */
  readonly prev: Position
  /** When it was decided, ISO 8601. */
  readonly at: string
  readonly event: RecordedEvent
  /** The state before, when it differs. */
  readonly from?: StateValue
  /** The state after. */
  readonly value: StateValue
  /** The change of the context. */
  readonly patch?: Patch
  /** The history nodes that changed: node id -> ids of the states it remembers; `null`: it has been forgotten. */
  readonly history?: { readonly [node: string]: readonly string[] | null }
  /** The order of the active states, when it changed: see `SessionState`. Empty: the natural one again. */
  readonly order?: readonly string[]
  /** Only when it is no longer active. */
  readonly status?: SessionStatus
  readonly output?: unknown
  readonly error?: unknown
  readonly started?: readonly StartedChild[]
  readonly stopped?: readonly string[]
  /** The child whose result this event is. */
  readonly finished?: string
  /** The last that the step, which has finished or is tried again, said of its progress. */
  readonly progress?: Progress
  /** A child's next attempt. */
  readonly attempt?: Attempt
  readonly timers?: readonly SetTimer[]
  /** Keys of timers that were cancelled, or that fired with this event. */
  readonly cleared?: readonly string[]
  /** Events to itself that wait to be taken, in order. */
  readonly messages?: readonly RecordedEvent[]
  /** True when the event is the oldest of the waiting messages. */
  readonly taken?: true
  /** The id that the sender gave the event, so that sending it again does nothing. */
  readonly sendId?: string
  /** Messages to other sessions, in order. */
  readonly sent?: readonly SentMessage[]
  /** Keys of messages that have arrived: the receiver's record is durable. */
  readonly delivered?: readonly string[]
  /** The event is a message of another session. */
  readonly received?: ReceivedMessage
  /** A crash, a dead letter, quarantine or release. */
  readonly trouble?: TroubleChange
  /** The trace that the transition belongs to; absent: none. */
  readonly trace?: TraceContext
  /** Indexed attributes, when they changed. */
  readonly attributes?: Attributes
  /** First record only. */
  readonly kind?: string
  /** First record, and one that has migrated the session. */
  readonly version?: number
  readonly created?: CreationKey
  readonly parent?: Parent
  /** First record of a fork, which then holds the whole state. */
  readonly origin?: ForkOrigin
  /** First record only. */
  readonly owner?: Owner
  /** Of a fork: see `SessionState`. */
  readonly fired?: readonly string[]
  /** Last record only: the session is gone. */
  readonly deleted?: true
}
