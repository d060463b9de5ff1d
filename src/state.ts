// The durable values: what a session is at one point of its history, and what the index keeps of it.
// All of it is JSON. Times are ISO 8601 strings; positions are places in the journal.

import type { Position } from './record.js'
import type { TraceContext } from './trace-context.js'
import type { Quarantine, Trouble } from './trouble.js'

/** An XState state value: a state's name, or an object of regions. */
export type StateValue = string | { readonly [region: string]: StateValue }

/** As XState has it; a session that is deleted while active was `stopped`. Parked is none: see `Supervisor.parked`. */
export type SessionStatus = 'active' | 'done' | 'error' | 'stopped'

/** A child actor that the machine has started and not yet stopped. */
export interface Child {
  readonly src: string
  readonly input?: unknown
  readonly systemId?: string
  /** The session that it is, if its logic is a machine. */
  readonly session?: string
  /** The parent hears of each of its snapshots. */
  readonly sync?: true
  /** An action has spawned it; absent when a state invokes it. */
  readonly spawned?: true
  /** The `seq` of the transition that started it. Tells a result of this child from one of its predecessor. */
  readonly incarnation: number
  readonly status: 'active' | 'done' | 'error'
  /** The attempt that runs or ran last, from 1; 0: none has begun. */
  readonly attempt: number
  /** How many attempts have failed. */
  readonly failures: number
  /** When the attempt may begin, if a retry waits. */
  readonly notBefore?: string
  /** The trace of the transition that started it; absent: none. */
  readonly trace?: TraceContext
}

/** Whose child a session is: the session, the child's id in its machine, and which of that id. */
export interface Parent {
  readonly session: string
  readonly child: string
  readonly incarnation: number
}

/**
 * Who may see and change a session, as `holdfast/http` asks: set when it is created, and never again. Its child sessions
 * and its forks have the same. It is none of its attributes, since those are what the machine makes of each event.
 */
export interface Owner {
  /** The id of who created it. */
  readonly principal?: string
  readonly organization?: string
  readonly team?: string
}

/** What a session was forked from: another session, as it was after its transition `seq`. */
export interface ForkOrigin {
  readonly session: string
  readonly seq: number
}

/** A message to another session that is not known to have arrived. */
export interface Outgoing {
  /** `<seq>.<n>`: unique within the sender, and growing. */
  readonly key: string
  /** A session's id. */
  readonly to: string
  readonly event: { readonly type: string }
  /** The trace of the transition that sent it; absent: none. */
  readonly trace?: TraceContext
}

/** What a session has with others: messages on their way, and the last that it has taken from each. */
export interface Links {
  readonly outbox: readonly Outgoing[]
  /** Session id -> key of the last message from it. */
  readonly received: { readonly [session: string]: string }
}

/** An event that came with an id, and where its record is. */
export interface Seen {
  readonly id: string
  readonly position: Position
}

/** A delayed event that waits for its time. */
export interface Timer {
  /** Unique within the session. */
  readonly key: string
  /** The id that `cancel` uses. */
  readonly id: string
  /** When it is due. */
  readonly at: string
  readonly event: { readonly type: string }
  /** The child that it goes to, or PARENT; to the session itself if absent. */
  readonly to?: string
}

/** A session as of `seq`: everything that is needed to go on. The fold of its records. */
export interface SessionState {
  readonly id: string
  readonly kind: string
  readonly version: number
  readonly seq: number
  /** Where the record of `seq` is in the journal. */
  readonly position: Position
  readonly createdAt: string
  readonly updatedAt: string
  readonly status: SessionStatus
  readonly value: StateValue
  readonly context: unknown
  readonly output?: unknown
  readonly error?: unknown
  /** History node id -> ids of the states it remembers. */
  readonly history: { readonly [node: string]: readonly string[] }
  /** Ids of the active states in XState's own order, when `value` alone does not tell it; see `orderOf`. */
  readonly order?: readonly string[]
  readonly children: { readonly [id: string]: Child }
  readonly timers: readonly Timer[]
  /** Event types of `after` that have fired and were not set again since; absent when there are none. */
  readonly fired?: readonly string[]
  /** Events that the session has sent to itself and not yet taken. */
  readonly messages: readonly { readonly type: string }[]
  readonly attributes: Attributes
  /** Absent when there are none. */
  readonly links?: Links
  /** The last events that came with an id, oldest first; absent when there are none. */
  readonly seen?: readonly Seen[]
  /** Absent when there is none. */
  readonly trouble?: Trouble
  /** The trace that it goes on in: of the last transition that has one. Absent when there is none. */
  readonly trace?: TraceContext
  readonly parent?: Parent
  /** Of a fork. */
  readonly origin?: ForkOrigin
  readonly owner?: Owner
  /** The caller's idempotency key of `create`, and a digest of the input that came with it. */
  readonly created?: CreationKey
}

export interface CreationKey {
  readonly key: string
  readonly digest: string
}

/** What a kind's `index` function returns: flat values that sessions are found by. */
export type Attributes = { readonly [name: string]: string | number | boolean | null }

/** What the index keeps of one session: enough to list it, find it and know whether it has work to do. */
export interface IndexEntry {
  readonly id: string
  readonly kind: string
  readonly version: number
  readonly seq: number
  /** Where its first record is: the order of creation. */
  readonly birth: Position
  /** Where its last record is. */
  readonly position: Position
  readonly createdAt: string
  readonly updatedAt: string
  readonly status: SessionStatus
  readonly value: StateValue
  readonly attributes: Attributes
  readonly created?: CreationKey
  readonly parent?: Parent
  readonly origin?: ForkOrigin
  readonly owner?: Owner
  /** What it still has to do by itself; absent when nothing. */
  readonly work?: Work
  /** Why it runs no more until somebody releases it. */
  readonly quarantine?: Quarantine
  /** How many dead letters it has; absent when none. */
  readonly deadLetters?: number
}

/** Why a session must be started without anybody asking: its steps, its timers, its messages to itself. */
export interface Work {
  /** Ids of the active children. */
  readonly steps: readonly string[]
  /** Timer key -> when it is due. */
  readonly timers: { readonly [key: string]: string }
  /** How many messages to itself wait. */
  readonly messages: number
  /** Active child -> the session that it is; absent when there are none. */
  readonly sessions?: { readonly [child: string]: string }
  /** Message on its way -> the session that it goes to; absent when there are none. */
  readonly outbox?: { readonly [key: string]: string }
}

/**
 * The index as it is written: the sessions that were there at `through`, each as of then or later. What the journal holds
 * beyond `through` is folded in on open; of a session that is further already, its records are passed over.
 */
export interface Index {
  readonly through: Position
  readonly entries: Iterable<IndexEntry>
}

/** The index as it is read. */
export interface IndexFile extends Index {
  readonly entries: readonly IndexEntry[]
}
