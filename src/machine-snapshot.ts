// XState's snapshots, read and restored: what of a snapshot is stored, and how a machine gets it back.
// Pure: everything here looks at a machine and a state, and changes neither.

import type { AnyMachineSnapshot, AnyStateMachine } from 'xstate'
import { actorOf } from './actors.js'
import { HoldfastError } from './errors.js'
import type { StateValue } from './state.js'

/** XState's snapshot of a machine. */
export type MachineSnapshot = AnyMachineSnapshot

/** Stored state, in as much as a machine is restored from it. */
export interface Resumable {
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly value: StateValue
  readonly context: unknown
  readonly history: { readonly [node: string]: readonly string[] }
  readonly order?: readonly string[]
  readonly children: { readonly [id: string]: ResumableChild }
}

interface ResumableChild {
  readonly src: string
  readonly incarnation: number
  readonly systemId?: string
  readonly sync?: true
  readonly spawned?: true
  readonly input?: unknown
  /** The session that it is, while it is active. */
  readonly session?: string
  readonly status: 'active' | 'done' | 'error'
}

/** A child in a snapshot, as far as the session needs to know it. */
export interface ChildRef {
  readonly id: string
  readonly src: unknown
  readonly systemId?: string
  readonly sessionId: string
  readonly _syncSnapshot?: boolean
  readonly options: { readonly input?: unknown }
}

// XState's snapshots and machines are generic in everything that is not known here.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any

/** The event types that a snapshot has transitions for, XState's own left out; guards are not looked at. */
export function acceptedEvents(snapshot: AnyMachineSnapshot): string[] {
  const nodes = (snapshot as Loose)._nodes as { ownEvents: string[] }[]
  const types = new Set(nodes.flatMap((node) => node.ownEvents))
  return [...types].filter((type) => !type.startsWith('xstate.')).sort()
}

/** A snapshot's children, by id. */
export const childrenOf = (snapshot: AnyMachineSnapshot | undefined): { readonly [id: string]: ChildRef } =>
  (snapshot?.children ?? {}) as Loose

const WRITTEN: unique symbol = Symbol('written')

/** A snapshot's context as records hold it: the machine's own, but for actors. */
export const contextOf = (snapshot: AnyMachineSnapshot): unknown =>
  WRITTEN in snapshot ? (snapshot as Loose)[WRITTEN] : snapshot.context

/** The context has actors in it; `written` is what records hold. The next snapshot begins without this. */
export function setWritten(snapshot: AnyMachineSnapshot, written: unknown): void {
  ;(snapshot as Loose)[WRITTEN] = written
}

/** The tags of a state value, for a session that has no machine running; none when the machine has no such state. */
export function tagsOf(machine: AnyStateMachine | undefined, value: StateValue): string[] {
  try {
    return [...(machine?.resolveState({ value: value as Loose, context: {} as Loose }).tags ?? [])] as string[]
  } catch {
    return []
  }
}

/** What a snapshot's history states remember: history node id -> ids of states. */
export function historyOf(snapshot: AnyMachineSnapshot): { [node: string]: string[] } {
  const history: { [node: string]: string[] } = {}
  for (const [node, states] of Object.entries((snapshot as Loose).historyValue as Record<string, { id: string }[]>)) {
    history[node] = states.map((state) => state.id)
  }
  return history
}

/**
 * The ids of a snapshot's active states, when XState would put them in another order on restoring its value. Of parallel
 * regions it takes eventless transitions in that order, so it is looked at only where a machine has both.
 */
export function orderOf(snapshot: AnyMachineSnapshot): readonly string[] | undefined {
  const { machine, value } = snapshot
  if (!orderMatters(machine)) return undefined
  const nodes = nodesOf(snapshot)
  const restored = nodesOf(machine.resolveState({ value: value as Loose, context: {} as Loose }))
  return nodes.every((node, index) => node === restored[index]) ? undefined : nodes.map(({ id }) => id)
}

interface ActiveNode {
  readonly id: string
  readonly path: readonly string[]
  readonly invoke: readonly InvokeDefinition[]
  readonly after: readonly { readonly eventType: string; readonly delay: unknown }[]
}

interface InvokeDefinition {
  readonly id: string
  readonly src: string
  readonly systemId?: string
  readonly onSnapshot?: unknown
  readonly input?: unknown
}

/** Whether an active state invokes the child of an id; any other child was spawned by an action. */
export const isInvoked = (snapshot: AnyMachineSnapshot, id: string): boolean =>
  nodesOf(snapshot).some(({ invoke }) => invoke.some((one) => one.id === id))

/** What the states of a value begin when they are entered. */
export interface Beginnings {
  readonly ids: readonly string[]
  /** True when the machine would be done in these states. */
  readonly final: boolean
  readonly invokes: readonly Invoked[]
  readonly afters: readonly After[]
}

export interface Invoked {
  readonly id: string
  readonly src: string
  readonly systemId: string | undefined
  readonly sync: boolean
  input(args: Arguments): unknown
}

export interface After {
  readonly type: string
  /** The names on the way to its state. */
  readonly path: readonly string[]
  delayMs(args: Arguments): number
}

/** What a function in a machine is called with. */
interface Arguments {
  readonly context: unknown
  readonly event: { readonly type: string }
  readonly self: unknown
}

/** What the states of a value begin. The value must be one of the machine's: see `checkState`. */
export function beginningsOf(machine: AnyStateMachine, value: StateValue): Beginnings {
  const resolved = resolve(machine, value)
  const nodes = nodesOf(resolved)
  const { delays } = machine.implementations as { delays: { readonly [name: string]: unknown } }
  const invokes = nodes.flatMap(({ invoke }) =>
    invoke.map(({ id, src, systemId, onSnapshot, input }) => ({
      ...{ id, src, systemId, sync: onSnapshot !== undefined },
      input: (args: Arguments) => (typeof input === 'function' ? input(args) : input),
    })),
  )
  // Several transitions may share a delay.
  const afters = new Map<string, After>()
  for (const { after, path } of nodes)
    for (const { eventType: type, delay } of after) {
      const given = typeof delay === 'string' ? delays[delay] : delay
      const delayMs = (args: Arguments): number => Number(typeof given === 'function' ? given(args) : given)
      afters.set(type, { type, path, delayMs })
    }
  const ids = nodes.map(({ id }) => id)
  return { ids, final: resolved.status === 'done', invokes, afters: [...afters.values()] }
}

const resolve = (machine: AnyStateMachine, value: StateValue): AnyMachineSnapshot =>
  machine.resolveState({ value: value as Loose, context: {} as Loose })

const nodesOf = (snapshot: AnyMachineSnapshot): ActiveNode[] => (snapshot as Loose)._nodes

function putInOrder(snapshot: AnyMachineSnapshot, order: readonly string[]): void {
  nodesOf(snapshot).sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id))
}

const ordered: WeakMap<AnyStateMachine, boolean> = new WeakMap()

function orderMatters(machine: AnyStateMachine): boolean {
  let matters = ordered.get(machine)
  if (matters === undefined) {
    const nodes = [...((machine as Loose).idMap as Map<string, Loose>).values()]
    matters = nodes.some(({ type }) => type === 'parallel') && nodes.some(({ always }) => always?.length > 0)
    ordered.set(machine, matters)
  }
  return matters
}

/**
 * The snapshot that a stored state stands for; `engine` gives it its actors back. Throws STATE_UNKNOWN or
 * ACTOR_MISSING when it does not fit the machine.
 */
export function restore(
  machine: AnyStateMachine,
  state: Resumable,
  scope: unknown,
  revive: (snapshot: AnyMachineSnapshot) => void,
): AnyMachineSnapshot {
  checkFits(machine, state)
  // Without its context: XState would walk all of it, and write to what looks like one of its actor references.
  const restored = machine.restoreSnapshot({ ...persisted(machine, state), context: {} }, scope as Loose) as Loose
  restored.context = state.context
  revive(restored)
  if (state.order) putInOrder(restored, state.order)
  return restored
}

function persisted(machine: AnyStateMachine, state: Resumable): Loose {
  const { status, value } = state
  const children: Record<string, unknown> = {}
  for (const [id, child] of Object.entries(state.children)) {
    const { src, status, input, sync } = child
    const systemId = status === 'active' ? child.systemId : undefined
    children[id] = { src, systemId, syncSnapshot: sync, snapshot: { status, input } }
  }
  // The states themselves, which `checkFits` has found: XState does not find an id that has a dot in a name.
  const nodes = (machine as Loose).idMap as Map<string, unknown>
  const historyValue: Record<string, unknown[]> = {}
  for (const [node, states] of Object.entries(state.history)) historyValue[node] = states.map((id) => nodes.get(id))
  return { status, value, children, historyValue }
}

/**
 * XState drops what it does not find, or enters states nobody asked for; a session must not be restored like that. Nor may
 * it wait for a child whose end no state takes. Throws STATE_UNKNOWN or ACTOR_MISSING.
 */
export function checkFits(machine: AnyStateMachine, state: Resumable): void {
  checkState(machine, state.value)
  for (const id of [...Object.keys(state.history), ...Object.values(state.history).flat()]) {
    if (!hasNode(machine, id))
      throw stateUnknown(`its history refers to state "${id}", which the machine does not have`)
  }
  const children = Object.entries(state.children)
  if (children.length > 0) checkChildren(machine, state.value, children)
}

function checkChildren(machine: AnyStateMachine, value: StateValue, children: [string, ResumableChild][]): void {
  const { invokes } = beginningsOf(machine, value)
  for (const [id, { src, status, spawned, session }] of children) {
    const type = actorOf(machine.implementations.actors[src])
    if (!type) throw actorMissing(id, `runs "${src}", which is not an actor of the machine`)
    if (status !== 'active') continue
    if ((type === 'machine') !== (session !== undefined))
      throw actorMissing(id, `runs "${src}", now another kind of actor`)
    if (!spawned && !invokes.some((invoke) => invoke.id === id && invoke.src === src))
      throw actorMissing(id, `runs "${src}", and no state that it is in invokes that any more`)
  }
}

/** Whether the machine has a state of this id. */
export const hasNode = (machine: AnyStateMachine, id: string): boolean =>
  ((machine as Loose).idMap as Map<string, unknown>).has(id)

/** Throws STATE_UNKNOWN when a value is not one of the machine's. */
export function checkState(machine: AnyStateMachine, value: StateValue): void {
  let resolved: unknown
  try {
    resolved = resolve(machine, value).value
  } catch (cause) {
    throw stateUnknown(`the machine has no state ${JSON.stringify(value)}`, cause)
  }
  if (JSON.stringify(sorted(resolved)) !== JSON.stringify(sorted(value)))
    throw stateUnknown(`state ${JSON.stringify(value)} has become ${JSON.stringify(resolved)} in the machine`)
}

const ADVICE = 'give the kind another version, with a step in migrate that says what becomes of it'

const stateUnknown = (what: string, cause?: unknown): HoldfastError =>
  new HoldfastError('STATE_UNKNOWN', `${what}; ${ADVICE}`, { cause })

const actorMissing = (child: string, what: string): HoldfastError =>
  new HoldfastError('ACTOR_MISSING', `child "${child}" ${what}; ${ADVICE}`, { details: { child } })

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  )
}
