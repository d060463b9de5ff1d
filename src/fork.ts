// The first record of a fork: a session that begins with the whole state of another, as it was after one of its
// transitions. Pure, and without the user's code. The source is only read; the fork is nobody's child and remembers where
// it came from. What it inherits is what the source had to do by itself: timers keep their deadlines, messages to itself
// still wait, and steps that were active start anew, as steps of the fork.

import { HoldfastError } from './errors.js'
import { NOWHERE, PARENT, type StartedChild, type TransitionRecord } from './record.js'
import { childReference, mapReferences, type Reference, sessionReference } from './references.js'
import type { Child, CreationKey, SessionState } from './state.js'
import type { Writable } from './write.js'

export interface ForkPlan {
  /** The id of the fork. */
  readonly id: string
  /** When it begins, ISO 8601. */
  readonly at: string
  readonly created: CreationKey | undefined
  /** Child sessions that were active begin anew with their inputs; they know nothing of what was said before. */
  readonly restartChildren: boolean
  /** Gives the ids of child sessions. */
  readonly newId: () => string
}

/** Throws SESSION_ENDED for a state that is over, FORK_HAS_CHILDREN for one whose child sessions may not begin anew. */
export function forkRecord(source: SessionState, plan: ForkPlan): TransitionRecord {
  refuse(source, plan)
  const sessions = newSessions(source, plan)
  const state = mapReferences(source, (reference) => inFork(reference, source, sessions))
  const {
    id: session,
    seq,
    kind,
    version,
    value,
    context,
    history,
    order,
    attributes,
    messages,
    fired,
    owner,
    trace,
  } = state
  const event = { type: 'holdfast.fork', session, seq }
  const record: Writable<TransitionRecord> = {
    ...{ session: plan.id, seq: 1, prev: NOWHERE, at: plan.at, event, value, kind, version },
    origin: { session, seq },
    patch: [[[], context]],
  }
  if (owner) record.owner = owner
  if (trace) record.trace = trace
  if (plan.created) record.created = plan.created
  if (Object.keys(history).length > 0) record.history = history
  if (order) record.order = order
  if (fired) record.fired = fired
  if (Object.keys(attributes).length > 0) record.attributes = attributes
  const children = Object.entries(state.children)
  if (children.length > 0) record.started = children.map(([id, child]) => startedAnew(id, child, sessions))
  // Keys are `<seq>.<n>` of the session that set them: those of the source may come again in the fork.
  const timers = state.timers.filter(({ to }) => to !== PARENT).map((timer, n) => ({ ...timer, key: `1.${n}` }))
  if (timers.length > 0) record.timers = timers
  if (messages.length > 0) record.messages = messages
  return record
}

/** The sessions that take the place of the source and of its child sessions. */
function newSessions({ id, children }: SessionState, plan: ForkPlan): ReadonlyMap<string, string> {
  const sessions = new Map([[id, plan.id]])
  for (const { session, status } of Object.values(children))
    if (session !== undefined && status === 'active') sessions.set(session, plan.newId())
  return sessions
}

/** Whom a reference is to in the fork: there its first transition has started every child. */
function inFork(reference: Reference, { children }: SessionState, sessions: ReadonlyMap<string, string>): Reference {
  if ('session' in reference) return sessionReference(sessions.get(reference.session) ?? reference.session)
  const { id, incarnation } = reference
  return childReference(id, children[id]?.incarnation === incarnation ? 1 : 0)
}

function startedAnew(
  id: string,
  { src, input, systemId, sync, spawned, session, status }: Child,
  sessions: ReadonlyMap<string, string>,
): StartedChild {
  return {
    ...{ id, src },
    ...(input !== undefined && { input }),
    ...(systemId !== undefined && { systemId }),
    ...(sync && { sync }),
    ...(spawned && { spawned }),
    ...(status === 'active' ? session !== undefined && { session: sessions.get(session) as string } : { status }),
  }
}

function refuse({ id, seq, status, children }: SessionState, { restartChildren }: ForkPlan): void {
  if (status !== 'active') {
    throw new HoldfastError(
      'SESSION_ENDED',
      `session ${id} has ended (${status}) at ${seq}; fork it at an earlier one`,
      {
        details: { status, seq },
      },
    )
  }
  const sessions = Object.keys(children).filter(
    (child) => children[child]?.status === 'active' && children[child].session !== undefined,
  )
  if (restartChildren || sessions.length === 0) return
  throw new HoldfastError(
    'FORK_HAS_CHILDREN',
    `session ${id} had child sessions at ${seq} (${sessions.join(', ')}), whose state is not forked; ` +
      'fork it at another transition, or with children: "restart" to begin them anew',
    { details: { session: id, seq, children: sessions } },
  )
}
