// What the command line knows of session kinds without loading them: which states are resting states. Pure.
// A kind may keep its sessions open after their work is done, so that they can still be corrected; a person who asks what
// is in flight does not mean those.

import type { SessionStatus, StateValue } from '../state.js'

/** As much of a session as it takes to tell where it stands. */
export interface Standing {
  readonly kind: string
  readonly status: SessionStatus
  readonly value: StateValue
}

const RESTING: { readonly [kind: string]: readonly string[] } = {
  planning: ['completed', 'failed'],
  'execution-cleanup': ['waiting'],
}

/** True while a session has something to do or to wait for: it is active, and not in a resting state of its kind. */
export const isInFlight = ({ kind, status, value }: Standing): boolean =>
  status === 'active' && !(typeof value === 'string' && Object.hasOwn(RESTING, kind) && RESTING[kind]?.includes(value))

/** True for a planning session that goes on by itself: in flight, and not one whose work somebody outside does. */
export const isUnfinishedPlan = (session: Standing): boolean =>
  session.kind === 'planning' && isInFlight(session) && !isDrivenPlan(session)

/** True for a planning session that can be run again from where it failed. */
export const isFailedPlan = ({ kind, value }: Standing): boolean => kind === 'planning' && value === 'failed'

/** True for a planning session that has made all of its issues. */
export const isMadePlan = ({ kind, value }: Standing): boolean => kind === 'planning' && value === 'completed'

/** True when somebody outside drives a planning session: no steps run there. */
export const isDrivenPlan = ({ value }: Standing): boolean => typeof value === 'object' && value.processing === 'driven'
