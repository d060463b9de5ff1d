// A transition as observers see it: one durable change of one session.

import type { Patch } from './patch.js'
import type { Position, RecordedEvent, TransitionRecord } from './record.js'
import type { SessionStatus, StateValue } from './state.js'
import type { TraceContext } from './trace-context.js'

export interface Transition<TEvent = RecordedEvent, TValue = StateValue> {
  readonly session: string
  /** 1 for the first of the session, then without a gap. */
  readonly seq: number
  /** Its place among the transitions of all sessions: what `runtime.transitions$({ from })` takes. */
  readonly position: Position
  /** When it was decided, ISO 8601. */
  readonly at: string
  readonly event: TEvent
  readonly from: TValue
  readonly to: TValue
  readonly status: SessionStatus
  /** The change of the context, if it changed; see `patch.ts`. */
  readonly patch: Patch | undefined
  /** The trace that it belongs to; absent: none. */
  readonly trace?: TraceContext
  /** True for the last: the session was deleted. */
  readonly deleted?: true
}

/** The transition that a durable record stands for. */
export function transitionOf(record: TransitionRecord, position: Position): Transition {
  const { session, seq, at, event, value, patch, trace } = record
  const status = record.status ?? 'active'
  const transition = { session, seq, position, at, event, from: record.from ?? value, to: value, status, patch }
  if (!trace && !record.deleted) return transition
  return { ...transition, ...(trace && { trace }), ...(record.deleted && { deleted: true }) }
}
