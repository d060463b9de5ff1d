// Why a decision of a machine is not taken: what it threw, that it takes no such event, or that a crash would lose its actors.

import { actorOf } from './actors.js'
import { HoldfastError } from './errors.js'
import { acceptedEvents, childrenOf, type MachineSnapshot } from './machine-snapshot.js'
import { PARENT, type RecordedEvent } from './record.js'

/** Stands for the session itself among the receivers of a decision; no child has this id. */
export const SELF = '#self'

/** XState tells an endless loop, such as of `always`, by the beginning of a message only. */
export const endlessOr = (error: unknown): unknown =>
  error instanceof Error && error.message.startsWith('Infinite loop detected')
    ? new HoldfastError('DECISION_ENDLESS', `the machine never comes to rest (${error.message}); nothing has changed`, {
        cause: error,
      })
    : error

export function notAccepted(snapshot: MachineSnapshot, event: RecordedEvent): HoldfastError {
  const accepts = acceptedEvents(snapshot)
  const state = typeof snapshot.value === 'string' ? snapshot.value : JSON.stringify(snapshot.value)
  const would = accepts.length > 0 ? `it has transitions for: ${accepts.join(', ')}` : 'it takes no events from outside'
  return new HoldfastError('NOT_ACCEPTED', `"${event.type}" is not accepted in state ${state}; ${would}`, {
    details: { event: event.type, state: snapshot.value, accepts },
  })
}

/** `type` is the event's: the transition that it led to is what shows the actor. */
export function checkChildren(
  before: MachineSnapshot | undefined,
  after: MachineSnapshot,
  machine: MachineSnapshot['machine'],
  type: string,
): void {
  const old = childrenOf(before)
  const place = { event: type, ...(before && { state: before.value }) }
  const where = before ? `on "${type}" in state ${JSON.stringify(before.value)}` : 'as the session began'
  const notDurable = (what: string, advice: string): HoldfastError => {
    const why = `${what} was spawned ${where}, and could not be restored after a crash; ${advice}`
    return new HoldfastError('ACTOR_NOT_DURABLE', why, { details: place })
  }
  for (const [key, ref] of Object.entries(childrenOf(after))) {
    if (ref === old[key]) continue
    const actor = typeof ref?.src === 'string' ? actorOf(machine.implementations.actors[ref.src]) : undefined
    if (actor === undefined) {
      const name = typeof ref?.src === 'string' ? `"${ref.src}"` : 'an inline actor'
      throw notDurable(name, 'name it in setup({ actors }) and spawn it by that name')
    }
    if (actor === 'machine' && ref._syncSnapshot) {
      throw notDurable(`session "${ref.src}", whose snapshots are not sent (syncSnapshot),`, 'have it send events')
    }
    if (ref.id !== key || key === SELF || key === PARENT) {
      throw new HoldfastError(
        'CHILD_ID_REQUIRED',
        `"${ref.src}" was spawned ${where} as "${ref.id}"; give it another id`,
      )
    }
  }
}
