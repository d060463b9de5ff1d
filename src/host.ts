// What a live session has around it: the ports it stands on, and who hears what becomes of it.
// Only types: the runtime provides it, the session calls it.

import type { Chance } from './chance.js'
import type { Clock } from './clock.js'
import type { Journal } from './journal.js'
import type { Pool } from './pool.js'
import type { Position, RecordedEvent, TransitionRecord } from './record.js'
import type { LiveSession } from './session.js'
import type { StepUpdate } from './step-runner.js'
import type { Timers } from './timers.js'
import type { Transition } from './transition.js'

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
  /** The session cannot go on until somebody mends the cause and opens the runtime again. */
  park(session: LiveSession, error: unknown): void
  /** The journal has failed: nothing more can be recorded. */
  halted(error: Error): void
  ended(session: LiveSession): void
  log(session: string, args: readonly unknown[]): void
}
