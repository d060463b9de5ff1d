// The topics of the original: what happens to the status of one session, or of all of them, as observers see it. Read from the
// durable transitions: replayed from any number on, then live, without gap; nothing is kept here.

import type { Runtime, Session, Stream, Transition } from 'holdfast'
// By their own paths, not as two of the two hundred modules of `rxjs`.
import { from as each } from 'rxjs/internal/observable/from'
import { concatMap } from 'rxjs/internal/operators/concatMap'
import type { AgentMachine, AgentValue } from './machine.js'
import type { SessionStatus } from './session-state.js'
import { statusOf } from './status.js'

export type StatusEvent = {
  readonly session_id: string
  readonly at: Date
  /** Number of the transition in its session. */
  readonly seq: number
  /** Its place among the transitions of all sessions: what `from` of the topic of all takes. */
  readonly position: number
} & (
  | { readonly type: 'session_created'; readonly to: SessionStatus }
  | { readonly type: 'session_status'; readonly from: SessionStatus; readonly to: SessionStatus }
  /** It has crashed, and goes on from its last durable point. */
  | { readonly type: 'session_restarted'; readonly reason: string }
  /** It has crashed too often, and waits for its release. */
  | { readonly type: 'session_quarantined'; readonly reason: string }
)

export interface TopicOptions {
  /** Replays from here on first: a `seq` of one session, a `position` of all. Without it, live only. */
  readonly from?: number
  readonly signal?: AbortSignal
}

/** The topic of one session. Completes when it has terminated. */
export const statusOfOne = (session: Session<AgentMachine>, options: TopicOptions): Stream<StatusEvent> =>
  session.transitions$(options).pipe(concatMap((transition) => each(statusEventsOf(transition as Transition))))

/** The topic of all. A replay leaves out sessions that have been deleted since. */
export const statusOfAll = (runtime: Runtime, options: TopicOptions): Stream<StatusEvent> =>
  runtime
    .transitions$(options)
    .pipe(concatMap((transition) => (isAgent(runtime, transition) ? each(statusEventsOf(transition)) : [])))

function isAgent(runtime: Runtime, { session }: Transition): boolean {
  try {
    return runtime.session(session).kind === 'agent'
  } catch {
    return false // it has been deleted
  }
}

/** What a transition says of the status: nothing, mostly. */
function statusEventsOf({ session, at, seq, position, event, from, to, status }: Transition): StatusEvent[] {
  const common = { session_id: session, at: new Date(at), seq, position }
  const reason = String((event as { reason?: unknown }).reason ?? '')
  if (event.type === 'holdfast.restart') return [{ ...common, type: 'session_restarted', reason }]
  if (event.type === 'holdfast.quarantine') return [{ ...common, type: 'session_quarantined', reason }]
  const now = status === 'active' ? statusOf(to as AgentValue) : 'terminated'
  if (seq === 1) return [{ ...common, type: 'session_created', to: now }]
  const before = statusOf(from as AgentValue)
  return before === now ? [] : [{ ...common, type: 'session_status', from: before, to: now }]
}
