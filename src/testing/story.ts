// What happens to a session that is held to plain XState, as data: events, waits, and where the power is cut. Its life is the
// same whenever it is told.

import type { RecordedEvent } from '../record.js'

/** Where in an operation the crash comes: after so many points (one before and one after each call to the disk). */
export interface CrashPlan {
  readonly points: number
  readonly downtimeMs: number
  /** The opening after it is cut off as well, after so many points. */
  readonly again?: number
}

/** What happens: the next events are sent in one turn, or time passes (`timer`: up to the next deadline). */
export type Operation = (
  | { readonly do: 'send'; readonly count: number }
  | { readonly do: 'wait'; readonly ms: number | 'timer' }
) & { readonly crash?: CrashPlan }

export interface Story {
  readonly seed: number
  readonly input?: unknown
  readonly segmentBytes: number
  readonly stallMs: number
  /** A crash while the session is being created. */
  readonly begin?: CrashPlan
  readonly events: readonly RecordedEvent[]
  /** Events that are left in the end are sent one by one. */
  readonly operations: readonly Operation[]
}
