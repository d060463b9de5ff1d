// A kind's machine drawn as a table, and walked: which events lead where from every state that can be reached, and every
// simple path between them. Pure, on `xstate/graph`; what a session does with the same events is for the tests that use it.

import type { AnyStateMachine, EventFromLogic, SnapshotFrom } from 'xstate'
import { getAdjacencyMap, getShortestPaths, getSimplePaths } from 'xstate/graph'

/** Events as the machine gets them; the end of a step is `xstate.done.actor.<id>` or `xstate.error.actor.<id>`. */
export type AnyEvent = { readonly type: string; readonly [field: string]: unknown }

export interface Walk {
  readonly input?: unknown
  /** What may happen in a state. Several events of one type, where guards look at what they carry. */
  readonly events: readonly AnyEvent[] | ((snapshot: AnySnapshot) => readonly AnyEvent[])
  /**
   * What tells two states apart; by default their state values alone. A context that grows without end must not be part
   * of it, or the walk has none.
   */
  readonly identity?: (snapshot: AnySnapshot) => string
  /** How many states are looked at, at most; default 10,000. More is an error: then it was no whole walk. */
  readonly limit?: number
}

export type AnySnapshot = SnapshotFrom<any>

/** `a`, `a.b`; of a parallel state `a.x|b.y`. */
export function stateName(value: unknown): string {
  if (typeof value === 'string') return value
  return Object.entries(value as object)
    .map(([key, inner]) => {
      const name = stateName(inner)
      return name === '' ? key : `${key}.${name}`
    })
    .join('|')
}

/**
 * From each state that can be reached, by the type of the event, where it leads. An event that is refused, or that has
 * neither a target nor an action, is not in it.
 */
export function routesOf(machine: AnyStateMachine, walk: Walk): Record<string, Record<string, string[]>> {
  const routes = new Map<string, Map<string, Set<string>>>()
  const vertices = Object.values(getAdjacencyMap(machine, options(machine, walk))) as readonly Vertex[]
  for (const { state, transitions } of vertices) {
    const from = entry(routes, stateName(state.value), () => new Map<string, Set<string>>())
    for (const { event, state: next } of Object.values(transitions)) {
      if (state.can(event)) entry(from, event.type, () => new Set<string>()).add(stateName(next.value))
    }
  }
  const plain = (from: Map<string, Set<string>>) =>
    Object.fromEntries([...from].map(([type, to]) => [type, [...to].sort()]))
  return Object.fromEntries([...routes].map(([state, from]) => [state, plain(from)]))
}

interface Vertex {
  readonly state: AnySnapshot
  readonly transitions: { readonly [key: string]: { readonly event: AnyEvent; readonly state: AnySnapshot } }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key) ?? make()
  map.set(key, known)
  return known
}

export interface Path {
  readonly events: readonly AnyEvent[]
  /** The state after each event. */
  readonly states: readonly string[]
  readonly end: AnySnapshot
}

/** The shortest path to each state that can be reached; the first is the empty one. */
export const shortestPaths = (machine: AnyStateMachine, walk: Walk): Path[] =>
  getShortestPaths(machine, options(machine, walk)).map(pathOf)

/** Every path that visits no state twice. Their number grows fast: give few events, and an `identity` that is coarse. */
export const simplePaths = (machine: AnyStateMachine, walk: Walk): Path[] =>
  getSimplePaths(machine, options(machine, walk)).map(pathOf)

function options(machine: AnyStateMachine, { input, events, identity, limit = 10_000 }: Walk) {
  const name = identity ?? (({ value }: AnySnapshot) => stateName(value))
  return {
    ...(input !== undefined && { input: input as never }),
    events: events as unknown as readonly EventFromLogic<typeof machine>[],
    serializeState: name,
    limit,
  }
}

interface GraphPath {
  readonly state: AnySnapshot
  readonly steps: readonly { readonly event: AnyEvent; readonly state: AnySnapshot }[]
}

/** XState's steps begin with `xstate.init`, which nobody sends. */
function pathOf({ state, steps }: GraphPath): Path {
  const taken = steps.filter(({ event }) => event.type !== 'xstate.init')
  return {
    events: taken.map(({ event }) => event),
    states: taken.map((step) => stateName(step.state.value)),
    end: state,
  }
}
