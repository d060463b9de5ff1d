// What children come to, in the terms of their parent's machine: pure.
// A step, a local actor and a child session all end alike: `xstate.done.actor.<id>` or `xstate.error.actor.<id>`.

import { type ErrorEnvelope, encodeError } from './envelope.js'
import { HoldfastError } from './errors.js'
import { copyJson } from './json.js'
import type { StepEnd } from './pool.js'
import type { RecordedEvent } from './record.js'
import { childReference, mapReferences, type Reference } from './references.js'
import type { Child, SessionState, SessionStatus } from './state.js'

/** How a child ended. */
export type ChildOutcome = Exclude<StepEnd, { kind: 'cancelled' }>

/** The child that a result is for, unless it has been stopped or started anew meanwhile. */
export function activeChild(
  { children }: Pick<SessionState, 'children'>,
  id: string,
  incarnation: number,
): Child | undefined {
  const child = children[id]
  return child?.status === 'active' && child.incarnation === incarnation ? child : undefined
}

/** The event of a child's end. An output that is too deep for an event is an error that the machine can handle. */
export function resultOf(id: string, outcome: ChildOutcome): RecordedEvent {
  const failed = (error: ErrorEnvelope): RecordedEvent =>
    copyJson({ type: `xstate.error.actor.${id}`, error, actorId: id }, 'event')
  if (outcome.kind === 'failed') return failed(outcome.error)
  try {
    return copyJson({ type: `xstate.done.actor.${id}`, output: outcome.output, actorId: id }, 'event')
  } catch (error) {
    return failed(encodeError(error))
  }
}

/** A child failed with this. It is not tried again by itself. */
export const failedWith = (error: unknown): ChildOutcome => ({
  kind: 'failed',
  error: encodeError(error),
  retry: false,
})

interface Ended {
  readonly status: SessionStatus
  readonly output?: unknown
  readonly error?: unknown
}

/** What the end of a child session is to its parent: one that was cancelled or deleted has failed. */
export function outcomeOf(id: string, { status, output, error }: Ended): ChildOutcome {
  if (status === 'done') return { kind: 'done', output: mapReferences(output, abroad) }
  if (status === 'error') return { kind: 'failed', error: error as ErrorEnvelope, retry: false }
  return failedWith(new HoldfastError('SESSION_CANCELLED', `child session ${id} was cancelled`))
}

/** Its own children have ended with it, and to its parent their ids say nothing. */
const abroad = (reference: Reference): Reference => ('id' in reference ? childReference(reference.id, 0) : reference)

/** XState's event of a local actor's snapshot holds what is not JSON; the machine needs only what it came to. */
export function shownTo(event: RecordedEvent): RecordedEvent {
  if (!event.type.startsWith('xstate.snapshot.')) return event
  const { status, context, output, error } = event.snapshot as Record<string, unknown>
  const snapshot = { status, context, output, ...(error !== undefined && { error: encodeError(error) }) }
  return { ...event, snapshot }
}

/** Whether an event is the end of a local actor: whatever it gave is made JSON when it is recorded. */
export const isResult = ({ type }: RecordedEvent): boolean =>
  type.startsWith('xstate.done.actor.') || type.startsWith('xstate.error.actor.')

/** Whether the message of one key was sent after that of another: keys are `<seq>.<n>`. */
export function isLater(key: string, than: string): boolean {
  const [seq, n] = key.split('.').map(Number) as [number, number]
  const [seqThan, nThan] = than.split('.').map(Number) as [number, number]
  return seq === seqThan ? n > nThan : seq > seqThan
}
