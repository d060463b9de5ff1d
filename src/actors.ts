// The actors that a machine may run, told apart by their logic, and what each becomes here:
//   step      a function in the worker pool, recorded, with retries (`steps.ts`)
//   machine   a session of its own, linked to its parent
//   local     a promise, a callback or an observable: runs in this process, and again from its beginning after a restart
// Whatever else has a state that a restart would lose.

import type { AnyActorLogic } from 'xstate'
import { stepOf } from './steps.js'

export type ActorType = 'step' | 'machine' | 'local'

/** What kind of actor a logic makes; undefined for one that would be lost in a crash. */
export function actorOf(logic: unknown): ActorType | undefined {
  if (logic === childLogic) return 'machine'
  if (stepOf(logic)) return 'step'
  if (isMachine(logic)) return 'machine'
  if (typeof logic !== 'object' || logic === null) return undefined
  return isLocal(logic as AnyActorLogic) ? 'local' : undefined
}

/** Promises, callbacks and observables begin to work when they are started; a transition function has nothing to start. */
const isLocal = (logic: AnyActorLogic): boolean => typeof logic.start === 'function'

/** Stands in a machine for a child that is a session: it only has an input. */
export const childLogic: AnyActorLogic = {
  getInitialSnapshot: (_, input) => ({ status: 'active', output: undefined, error: undefined, input }) as never,
  transition: (snapshot) => snapshot,
  getPersistedSnapshot: (snapshot) => snapshot,
}

/** By what is used of it: a machine of a second copy of XState 5 passes, one of XState 4 does not. */
export function isMachine(machine: unknown): boolean {
  const { idMap, implementations, provide } = (machine ?? {}) as { [part: string]: unknown }
  const { actors } = (implementations ?? {}) as { actors?: unknown }
  return idMap instanceof Map && typeof actors === 'object' && typeof provide === 'function'
}
