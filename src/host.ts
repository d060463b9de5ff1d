// What a live session has around it: the ports it stands on, and who hears what becomes of it.
// Only types: the runtime provides it, the session calls it.

import type { Chance } from './chance.js'
import type { ChildOutcome } from './children.js'
import type { Clock } from './clock.js'
import type { AnySessionKind } from './define.js'
import type { Journal } from './journal.js'
import type { Identity } from './point.js'
import type { Pool } from './pool.js'
import type { Position, RecordedEvent, TransitionRecord } from './record.js'
import type { Secrets } from './secrets.js'
import type { LiveSession } from './session.js'
import type { Outgoing, Parent } from './state.js'
import type { StepUpdate } from './step-runner.js'
import type { Timers } from './timers.js'
import type { TraceContext } from './trace-context.js'
import type { Tracing } from './tracing.js'
import type { Transition } from './transition.js'

/** A child session to be started. */
export interface ChildStart {
  readonly id: string
  readonly kind: AnySessionKind
  readonly input: unknown
  readonly parent: Parent
  readonly trace: TraceContext | undefined
}

/** What a live session needs of the runtime around it. */
export interface SessionHost {
  readonly journal: Journal
  readonly clock: Clock
  readonly chance: Chance
  readonly pool: Pool
  readonly timers: Timers
  readonly secrets: Secrets
  /** Who makes spans of what happens, if anybody does. */
  readonly tracing: Tracing | undefined
  /** How many transitions of one session may wait for the disk, and events for a restart. */
  readonly mailboxLimit: number
  /** Characters of JSON that one event, or what it changes, may have. */
  readonly changeLimit: number
  /** Hears of each durable transition, in order, before anybody outside does. */
  advanced(record: TransitionRecord, position: Position): void
  /** Shows a durable transition to observers; it is made only if there is one. */
  broadcast(session: LiveSession, durable: { transition(): Transition }): void
  update(update: StepUpdate): void
  emitted(session: string, event: RecordedEvent): void
  /** Something went wrong that nobody waits for; the session is as it was. */
  report(session: Pick<Identity, 'id'>, error: unknown): void
  /** It has crashed, and decides nothing more: the supervisor decides what becomes of it, and has it recorded. */
  crashed(session: LiveSession, errors: readonly unknown[]): void
  /** The session cannot go on until somebody mends the cause and opens the runtime again. */
  park(session: Pick<Identity, 'id' | 'kind'>, error: unknown): void
  /** The session that is live in the place of one that was let go. Throws as activating it does. */
  successor(id: string): LiveSession
  /** Its quarantine is durable. */
  quarantined(session: LiveSession): void
  /** Its release is durable. */
  released(session: LiveSession): void
  /** The journal has failed: nothing more can be recorded. */
  halted(error: Error): void
  ended(session: LiveSession): void
  /** Starts a child session; one that has begun already goes on, and the end of one that has ended is told again. */
  startChild(child: ChildStart): void
  /** Cancels a child session; resolves when nothing of it runs any more. Never rejects. */
  cancelChild(session: string, reason: string): Promise<void>
  /** The end of a session, durable, on its way to its parent. */
  childEnded(parent: Parent, outcome: ChildOutcome): void
  /** A message of a session, durable, on its way to another. */
  transmit(from: string, message: Outgoing): void
  /** A message has arrived: the receiver's record is durable, or it wants none. */
  arrived(from: string, key: string): void
  /** Messages of another session, live or not, that are still on their way. */
  outbox(session: string): readonly Outgoing[]
  log(session: string, args: readonly unknown[]): void
}
