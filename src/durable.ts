// The engine seam: runs a user's machine as a real XState actor whose effects wait.
// `Engine` is a higher-order actor logic: it lets the machine decide with a scope that collects what the transition would
// do, and hands that out as a Decision. It never runs an effect, arms a timer or starts a child, and it never keeps a
// decision that its caller could not record: then the actor is as it was before the event. Outwardly its snapshot stays
// `active`, because XState stops an actor as soon as its snapshot is final, before the record of that is durable.

import { type AnyActorRef, type AnyMachineSnapshot, type AnyStateMachine, createActor } from 'xstate'
import { HoldfastError } from './errors.js'
import { findMutation, isMutationError } from './mutation.js'
import type { RecordedEvent } from './record.js'
import type { StateValue } from './state.js'
import { stepOf } from './steps.js'

/** XState's snapshot of a machine. */
export type MachineSnapshot = AnyMachineSnapshot

/** What a transition wants done, once it is durable. */
export interface Decision {
  readonly before: AnyMachineSnapshot | undefined
  readonly after: AnyMachineSnapshot
  /** Custom actions and logs, in order. */
  readonly actions: readonly (() => void)[]
  /** Timers set and cancelled, in order. */
  readonly timers: readonly TimerRequest[]
  /** Events for the session itself, in order. */
  readonly messages: readonly RecordedEvent[]
  /** Events for observers, in order. */
  readonly emitted: readonly RecordedEvent[]
}

export type TimerRequest =
  | { readonly kind: 'set'; readonly id: string | undefined; readonly delayMs: number; readonly event: RecordedEvent }
  | { readonly kind: 'cancel'; readonly id: string }

/** Where the machine's own side doors lead. */
export interface EngineHost {
  /** A custom action has sent the session an event through its `self`. */
  post(event: RecordedEvent): void
  log(args: readonly unknown[]): void
}

/** Records a decision. What it throws undoes the decision. */
export type Commit = (decision: Decision) => void

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
  readonly systemId?: string
  readonly input?: unknown
  readonly status: 'active' | 'done' | 'error'
}

/** A child in a snapshot, as far as the session needs to know it. */
export interface ChildRef {
  readonly id: string
  readonly src: unknown
  readonly systemId?: string
  readonly sessionId: string
  readonly options: { readonly input?: unknown }
}

/** Made only when there is something to collect: most transitions have no effects but their record. */
interface Collected {
  actions: (() => void)[]
  timers: TimerRequest[]
  sends: { readonly to: unknown; readonly event: RecordedEvent }[]
  emitted: RecordedEvent[]
}

// XState's actor scope and logic are generic in everything that is not known here.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any

/** One session's machine, alive. It decides; its caller records and acts. */
export class Engine {
  readonly #machine: AnyStateMachine
  readonly #host: EngineHost
  #actor: AnyActorRef | undefined
  #scope: Loose
  #commit: Commit | undefined
  #refusable = false
  #thrown: { readonly error: unknown } | undefined
  #snapshot: AnyMachineSnapshot | undefined
  #collected: Collected | undefined

  private constructor(machine: AnyStateMachine, host: EngineHost) {
    this.#machine = machine
    this.#host = host
  }

  /** Enters the initial state; `commit` gets the decision. Throws what the machine or `commit` threw. */
  static begin(machine: AnyStateMachine, id: string, input: unknown, host: EngineHost, commit: Commit): Engine {
    const engine = new Engine(machine, host)
    engine.#commit = commit
    engine.#start(id, { input })
    return engine
  }

  /** Restores a session; decides and starts nothing. Throws an Error that says what no longer fits the machine. */
  static resume(machine: AnyStateMachine, id: string, state: Resumable, host: EngineHost): Engine {
    checkFits(machine, state)
    const engine = new Engine(machine, host)
    engine.#start(id, { snapshot: persisted(machine, state) })
    return engine
  }

  /** The snapshot after the last decision: ahead of the disk. */
  get snapshot(): AnyMachineSnapshot {
    return this.#snapshot as AnyMachineSnapshot
  }

  /**
   * Lets the machine decide an event; `commit` gets the decision. Throws what the machine or `commit` threw, and, if
   * `refusable`, NOT_ACCEPTED when no transition is enabled; the engine is then as it was.
   */
  decide(event: RecordedEvent, refusable: boolean, commit: Commit): void {
    this.#commit = commit
    this.#refusable = refusable
    this.#freeSystemId(event)
    this.#actor?.send(event)
    if ((this.#commit as Commit | undefined) !== undefined) {
      this.#commit = undefined
      throw new Error('a decision was asked for inside another')
    }
    this.#rethrow()
  }

  #start(id: string, options: { input?: unknown; snapshot?: unknown }): void {
    const logger = (...args: unknown[]): void => this.#host.log(args)
    this.#actor = createActor(this as Loose, { id, logger, ...options } as Loose)
    this.#rethrow()
    this.#actor.start()
  }

  #rethrow(): void {
    const thrown = this.#thrown
    this.#thrown = undefined
    if (thrown) throw thrown.error
  }

  // What follows is the actor logic that XState calls.

  getInitialSnapshot(actorScope: Loose, input: unknown): AnyMachineSnapshot {
    const scope = this.#scopeFor(actorScope)
    return this.#attempt(undefined, () => {
      const snapshot = this.#machine.getInitialSnapshot(scope, input)
      // A machine cannot begin in error: XState turns what its first transition threw into a snapshot.
      if (snapshot.status === 'error') throw snapshot.error
      return snapshot
    })
  }

  restoreSnapshot(snapshot: Loose, actorScope: Loose): AnyMachineSnapshot {
    try {
      // Without its context: XState would walk all of it, and write to what looks like one of its actor references.
      const restored: Loose = this.#machine.restoreSnapshot({ ...snapshot, context: {} }, this.#scopeFor(actorScope))
      restored.context = snapshot.context
      if (snapshot.order) putInOrder(restored, snapshot.order)
      this.#snapshot = restored
    } catch (error) {
      // XState would take it for the state of the actor, and throw it from a timer.
      this.#thrown = { error }
    }
    return this.#snapshot as AnyMachineSnapshot
  }

  getPersistedSnapshot(snapshot: AnyMachineSnapshot): Loose {
    return snapshot
  }

  start(): void {
    // Children are started by the session, when the record that has them is durable.
  }

  transition(snapshot: AnyMachineSnapshot, event: RecordedEvent): AnyMachineSnapshot {
    if (!this.#commit) {
      this.#host.post(event)
      return snapshot
    }
    return this.#attempt(snapshot, () => {
      const after = this.#transition(snapshot, event)
      if (this.#refusable && after === snapshot && !this.#collected && !snapshot.can(event as Loose)) {
        throw notAccepted(snapshot, event)
      }
      return after
    })
  }

  #attempt(before: AnyMachineSnapshot | undefined, decide: () => AnyMachineSnapshot): AnyMachineSnapshot {
    const commit = this.#commit
    this.#commit = undefined
    this.#collected = undefined
    try {
      const after = decide()
      if (after.children !== before?.children) checkChildren(before, after, this.#machine)
      commit?.(this.#decision(before, after))
      this.#snapshot = after
      return after.status === 'active' ? after : ({ ...after, status: 'active' } as AnyMachineSnapshot)
    } catch (error) {
      this.#thrown = { error }
      this.#restoreSystemIds(before)
      return before as AnyMachineSnapshot
    }
  }

  #decision(before: AnyMachineSnapshot | undefined, after: AnyMachineSnapshot): Decision {
    const collected = this.#collected
    if (!collected) return { before, after, actions: NONE, timers: NONE, messages: NONE, emitted: NONE }
    const { actions, timers, sends, emitted } = collected
    // Only now: XState resolves the receivers of some messages at the end of a transition.
    const messages = sends.filter((send) => send.to === this.#scope.self).map((send) => send.event)
    return { before, after, actions, timers, messages, emitted }
  }

  #transition(snapshot: AnyMachineSnapshot, event: RecordedEvent): AnyMachineSnapshot {
    try {
      return this.#machine.transition(snapshot, event as Loose, this.#scope)
    } catch (error) {
      if (!isMutationError(error)) throw error
      // The frozen part does not know its path, so the decision, which is pure, is made once more and watched.
      this.#restoreSystemIds(snapshot)
      this.#collected = undefined
      const found = findMutation((trace) => {
        const traced = { ...snapshot, context: trace(snapshot.context, 'context') } as AnyMachineSnapshot
        this.#machine.transition(traced, trace(event, 'event') as Loose, this.#scope)
      })
      throw found ?? error
    }
  }

  #scopeFor(actorScope: Loose): Loose {
    const { self, id, sessionId, logger, system } = actorScope
    const actionExecutor = (action: Loose): void => this.#collect(action)
    this.#scope = {
      self,
      id,
      sessionId,
      logger,
      system,
      defer: ignore,
      emit: ignore,
      stopChild: ignore,
      actionExecutor,
    }
    return this.#scope
  }

  /** Sorts what XState would run into what the session will do. */
  #collect(action: Loose): void {
    const { type, params } = action
    this.#collected ??= { actions: [], timers: [], sends: [], emitted: [] }
    const collected = this.#collected
    switch (type) {
      case 'xstate.raise':
        if (typeof params.delay === 'number') collected.timers.push(timer(params))
        return
      case 'xstate.sendTo':
        if (typeof params.delay !== 'number') collected.sends.push(params)
        else if (params.to === this.#scope.self) collected.timers.push(timer(params))
        return
      case 'xstate.cancel':
        collected.timers.push({ kind: 'cancel', id: params.sendId })
        return
      case 'xstate.emit':
        collected.emitted.push(params.event)
        return
      case 'xstate.stopChild':
        // At once, or an actor with the same systemId could not be created in this very transition.
        if (params) this.#scope.system._unregister(params)
        return
      case 'xstate.spawnChild':
        return // found by comparing the children before and after
      case 'xstate.log':
        collected.actions.push(() => this.#host.log(params.label ? [params.label, params.value] : [params.value]))
        return
      default:
        if (action.exec) collected.actions.push(() => action.exec(action.info, action.params))
    }
  }

  /** A child that has ended gives its systemId back, as in plain XState, before anybody decides on its result. */
  #freeSystemId({ type, actorId }: RecordedEvent): void {
    if (!type.startsWith('xstate.done.actor.') && !type.startsWith('xstate.error.actor.')) return
    const ref: Loose = childrenOf(this.#snapshot)[actorId as string]
    if (ref?.systemId === undefined) return
    this.#scope.system._unregister(ref)
    ref.systemId = undefined
  }

  /** Registers exactly the children of `snapshot` again: what the undone decision stopped, not what it created. */
  #restoreSystemIds(snapshot: AnyMachineSnapshot | undefined): void {
    const system = this.#scope?.system
    const children: Loose[] = Object.values(snapshot?.children ?? {})
    for (const ref of Object.values(system?.getAll() ?? {})) if (!children.includes(ref)) system._unregister(ref)
    for (const ref of children) if (ref?.systemId && !system.get(ref.systemId)) system._set(ref.systemId, ref)
  }
}

/** The event types that a snapshot has transitions for, XState's own left out; guards are not looked at. */
export function acceptedEvents(snapshot: AnyMachineSnapshot): string[] {
  const nodes = (snapshot as Loose)._nodes as { ownEvents: string[] }[]
  const types = new Set(nodes.flatMap((node) => node.ownEvents))
  return [...types].filter((type) => !type.startsWith('xstate.')).sort()
}

/** A snapshot's children, by id. */
export const childrenOf = (snapshot: AnyMachineSnapshot | undefined): { readonly [id: string]: ChildRef } =>
  (snapshot?.children ?? {}) as Loose

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
}

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

const NONE: readonly never[] = []

const ignore = (): void => {}

const timer = (params: Loose): TimerRequest => ({
  kind: 'set',
  id: params.id,
  delayMs: params.delay,
  event: params.event,
})

function notAccepted(snapshot: AnyMachineSnapshot, event: RecordedEvent): HoldfastError {
  const accepts = acceptedEvents(snapshot)
  const state = typeof snapshot.value === 'string' ? snapshot.value : JSON.stringify(snapshot.value)
  const would = accepts.length > 0 ? `it has transitions for: ${accepts.join(', ')}` : 'it takes no events from outside'
  return new HoldfastError('NOT_ACCEPTED', `"${event.type}" is not accepted in state ${state}; ${would}`, {
    details: { event: event.type, state: snapshot.value, accepts },
  })
}

function checkChildren(
  before: AnyMachineSnapshot | undefined,
  after: AnyMachineSnapshot,
  machine: AnyStateMachine,
): void {
  const old = childrenOf(before)
  for (const [key, ref] of Object.entries(childrenOf(after))) {
    if (ref === old[key]) continue
    if (!ref || typeof ref.src !== 'string' || !stepOf(machine.implementations.actors[ref.src])) {
      const name = typeof ref?.src === 'string' ? `"${ref.src}"` : 'an inline actor'
      throw new HoldfastError('ACTOR_NOT_DURABLE', `${name} was spawned, which is not a step and could not be restored`)
    }
    if (ref.id !== key || ref.id === ref.sessionId) {
      throw new HoldfastError(
        'CHILD_ID_REQUIRED',
        `"${ref.src}" was spawned without an id; give it one that stays the same`,
      )
    }
  }
}

function persisted(machine: AnyStateMachine, state: Resumable): Loose {
  const { status, value, context } = state
  const children: Record<string, unknown> = {}
  for (const [id, child] of Object.entries(state.children)) {
    const { src, status, input } = child
    const systemId = status === 'active' ? child.systemId : undefined
    children[id] = { src, systemId, snapshot: { status, input } }
  }
  // The states themselves, which `checkFits` has found: XState does not find an id that has a dot in a name.
  const nodes = (machine as Loose).idMap as Map<string, unknown>
  const historyValue: Record<string, unknown[]> = {}
  for (const [node, states] of Object.entries(state.history)) historyValue[node] = states.map((id) => nodes.get(id))
  return { status, value, context, children, historyValue, order: state.order }
}

/** XState drops what it does not find, or enters states nobody asked for; a session must not be restored like that. */
function checkFits(machine: AnyStateMachine, state: Resumable): void {
  const nodes = (machine as Loose).idMap as Map<string, unknown>
  const resolved = machine.resolveState({ value: state.value as Loose, context: {} as Loose }).value
  if (JSON.stringify(sorted(resolved)) !== JSON.stringify(sorted(state.value))) {
    throw new Error(`state ${JSON.stringify(state.value)} has become ${JSON.stringify(resolved)} in today's machine`)
  }
  for (const id of [...Object.keys(state.history), ...Object.values(state.history).flat()]) {
    if (!nodes.has(id)) throw new Error(`the history refers to state "${id}", which today's machine does not have`)
  }
  for (const [id, child] of Object.entries(state.children)) {
    if (!stepOf(machine.implementations.actors[child.src])) {
      throw new Error(`child "${id}" runs "${child.src}", which is not a step of today's machine`)
    }
  }
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  )
}
