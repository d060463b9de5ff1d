// A kind's machine in plain XState that does nothing outside of itself: its children end when they are told to, its custom
// actions do not run. What it would do, a witness hears: whoever has it decide just now.

import type { AnyActorLogic, AnyEventObject, AnyStateMachine } from 'xstate'
import type { AnySessionKind } from '../define.js'
import type { XStateActor } from './actors.js'

// XState's snapshots and scopes, of which more is read here than their types tell.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any

export interface Witness {
  /** A custom action would run now. */
  act(run: () => void): void
  /** A session that is linked to the one that decides is sent something. */
  hear(to: XStateActor, event: AnyEventObject): void
}

/** Whose machine decides just now. */
let witness: Witness

/** From here on `one` hears. */
export function witnessed(one: Witness): void {
  witness = one
}

/** The machines of all that were made so far: to make one takes longer than to have it decide. */
const machines = new WeakMap<AnyStateMachine, AnyStateMachine>()

/** The kind's machine: its children do nothing, and its custom actions do not run. */
export function idleMachineOf({ machine, children }: AnySessionKind): AnyStateMachine {
  const known = machines.get(machine)
  if (known) return known
  const actors = Object.keys(machine.implementations.actors).map((src) => [src, childOf(children.has(src))])
  const made: AnyStateMachine = machine.provide({ actors: Object.fromEntries(actors) })
  made.options.maxIterations = machine.options.maxIterations
  const { getInitialSnapshot, transition } = made
  const without = (scope: Loose): Loose => ({ ...scope, actionExecutor: executor(scope.actionExecutor) })
  made.getInitialSnapshot = (scope, input) => getInitialSnapshot.call(made, without(scope), input)
  made.transition = (snapshot, event, scope) => transition.call(made, snapshot, event, without(scope))
  machines.set(machine, made)
  return made
}

export const DONE = 'holdfast.done'
export const FAILED = 'holdfast.failed'

/** A child that ends when it is told to, and how it is told. Only what child sessions are sent is looked at. */
function childOf(isSession: boolean): AnyActorLogic {
  const inner = listener(isSession)
  const transition = (snapshot: Loose, event: AnyEventObject, scope: Loose): Loose => {
    if (event.type === DONE) return { ...snapshot, status: 'done', output: event.output }
    if (event.type === FAILED) return { ...snapshot, status: 'error', error: event.error }
    return inner.transition(snapshot, event, scope)
  }
  return { ...inner, transition }
}

/** An actor that does nothing; what it hears is taken down, if that matters. */
export const listener = (matters: boolean): AnyActorLogic =>
  ({
    config: {},
    getInitialSnapshot: () => ({ status: 'active', output: undefined, error: undefined }) as never,
    transition: (snapshot: Loose, event: AnyEventObject, { self }: Loose) => {
      if (matters && !event.type.startsWith('xstate.')) witness.hear(self, event)
      return snapshot
    },
    getPersistedSnapshot: (snapshot: Loose) => snapshot,
  }) as AnyActorLogic

const executor = (execute: (action: Loose) => void): ((action: Loose) => void) => {
  return (action) => {
    if (action.type.startsWith('xstate.') || !action.exec) execute(action)
    else witness.act(() => action.exec(action.info, action.params))
  }
}
