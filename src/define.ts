// What a session kind is: a machine with a name, a version, schemas, steps and the attributes that it is found by.
// A machine among its actors is a kind of its own: its sessions are linked to the one that started them.
// Everything that would make a session lose its way after a crash is refused here, naming the state that has it.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AnyStateMachine, ContextFrom, EventFromLogic, InputFrom, OutputFrom, SnapshotFrom } from 'xstate'
import { actorOf, childLogic, isMachine } from './actors.js'
import { HoldfastError } from './errors.js'
import type { Migration, Migrations } from './migrations.js'
import { admitOptions, type KeysOf } from './options.js'
import { policyOf, type Supervision, type SupervisionPolicy } from './restart.js'
import type { KindSecrets } from './secrets.js'
import type { Attributes } from './state.js'

/** Any XState machine. Most files name XState's types through this one; those of the engine seam and `steps.ts` name XState itself. */
export type AnyMachine = AnyStateMachine
export type KindContext<TMachine extends AnyStateMachine> = ContextFrom<TMachine>
export type KindEvent<TMachine extends AnyStateMachine> = EventFromLogic<TMachine>
export type KindInput<TMachine extends AnyStateMachine> = InputFrom<TMachine>
export type KindOutput<TMachine extends AnyStateMachine> = OutputFrom<TMachine>
export type KindValue<TMachine extends AnyStateMachine> = SnapshotFrom<TMachine>['value']

/** What a kind's `index` function sees of a session. */
export interface IndexedState<TMachine extends AnyStateMachine> {
  readonly context: KindContext<TMachine>
  readonly value: KindValue<TMachine>
  readonly status: 'active' | 'done' | 'error' | 'stopped'
}

export interface SessionDefinition<TMachine extends AnyStateMachine, TVersion extends number = number> {
  /** Name of the kind: a letter, then letters, digits, `-` or `_`, at most 64. */
  readonly kind: string
  /** Version of the machine's meaning, from 1. One more, with a step in `migrate`, when stored sessions would not fit. */
  readonly version: TVersion
  /** Any machine made with `setup({...}).createMachine(...)`. */
  readonly machine: TMachine
  /** The module whose exported functions are the steps: `new URL('./steps.js', import.meta.url)`. */
  readonly steps?: URL | string
  /** Checks the input of `create`, synchronously. */
  readonly input?: StandardSchemaV1<unknown, KindInput<TMachine>>
  /** Checks every event from outside, synchronously. */
  readonly events?: StandardSchemaV1<unknown, KindEvent<TMachine>>
  /** Checks the context of a session that is restored or migrated, synchronously. What it would make of it is not used. */
  readonly context?: StandardSchemaV1<unknown, KindContext<TMachine>>
  /** Flat values to list and find sessions by. Pure; runs at every transition. */
  readonly index?: (state: IndexedState<TMachine>) => Attributes
  /**
   * Version n -> what makes version n + 1 of a stored session. Pure; the runtime applies them to the sessions of older
   * versions when it is opened. A session for which one is missing is parked.
   */
  readonly migrate?: Migrations<TMachine, TVersion>
  /** By the name of the actor: more about actors that are machines, and run as sessions of their own. */
  readonly children?: { readonly [actor: string]: ChildOptions }
  /** Where secrets may come in: what stands there is `[redacted]` before the machine sees it. */
  readonly secrets?: KindSecrets
  /** What becomes of a session that crashes; its kinds of children share it unless they have kinds of their own. */
  readonly supervision?: Supervision
}

const DEFINITION: KeysOf<SessionDefinition<AnyStateMachine>> = {
  kind: true,
  version: true,
  machine: true,
  steps: true,
  input: true,
  events: true,
  context: true,
  index: true,
  migrate: true,
  children: true,
  secrets: true,
  supervision: true,
}

/** How a child session is linked to its parent. */
export interface ChildOptions {
  /** The kind that it is; by default one of its own, named `<kind of the parent>.<actor>`. */
  readonly kind?: AnySessionKind
  /** What becomes of it when the parent ends or leaves the state that runs it: `cancel` (default), or it goes on. */
  readonly onParentEnd?: 'cancel' | 'abandon'
  /**
   * As in `defineSession`, for a kind of its parent's, which has its parent's version: what is not here is taken over as it
   * is. A `kind` of its own has a version and migrations of its own.
   */
  readonly migrate?: { readonly [version: number]: Migration }
}

/** A kind of child sessions, as the runtime takes it. */
export interface ChildKind {
  readonly kind: AnySessionKind
  readonly onParentEnd: 'cancel' | 'abandon'
}

/** A kind as the runtime takes it; made by `defineSession`. */
export interface SessionKind<TMachine extends AnyStateMachine = AnyStateMachine> {
  readonly kind: string
  readonly version: number
  readonly machine: TMachine
  readonly steps: string | undefined
  readonly input: StandardSchemaV1<unknown, KindInput<TMachine>> | undefined
  readonly events: StandardSchemaV1<unknown, KindEvent<TMachine>> | undefined
  readonly context: StandardSchemaV1<unknown, KindContext<TMachine>> | undefined
  readonly index: ((state: IndexedState<TMachine>) => Attributes) | undefined
  readonly secrets: KindSecrets | undefined
  /** Version n -> what makes version n + 1 of it. */
  readonly migrate: ReadonlyMap<number, Migration>
  /** Its version is its parent's: where there is no step, what is stored is taken over as it is. */
  readonly follows: boolean
  readonly children: ReadonlyMap<string, ChildKind>
  readonly supervision: SupervisionPolicy
}

// biome-ignore lint/suspicious/noExplicitAny: kinds of all machines in one list; a kind is contravariant in its machine
export type AnySessionKind = SessionKind<any>

/** A machine that takes more microsteps for one event than this is looping; XState's own default is no limit. */
const MAX_MICROSTEPS = 10_000

/**
 * Declares a session kind. The types of input, events, context and output follow from the machine.
 * Throws INVALID_ARGUMENT for an option that is none, INVALID_KIND, or ACTOR_NOT_DURABLE naming the state whose actor could
 * not be restored after a crash.
 */
export function defineSession<TMachine extends AnyStateMachine, const TVersion extends number = number>(
  definition: SessionDefinition<TMachine, TVersion>,
): SessionKind<TMachine> {
  admitOptions('options of defineSession', definition, DEFINITION)
  const { kind, version, machine, steps } = definition
  if (typeof kind !== 'string' || !/^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(kind)) {
    throw invalid(kind, 'a name is a letter, then letters, digits, "-" or "_", at most 64 in all')
  }
  if (!Number.isSafeInteger(version) || version < 1) throw invalid(kind, 'version must be an integer from 1')
  if (!isMachine(machine)) {
    throw invalid(
      kind,
      'machine must be what setup({…}).createMachine(…) of XState 5 gives, of the xstate that Holdfast uses',
    )
  }
  return build({ ...(definition as SessionDefinition<TMachine>), steps: steps?.toString(), follows: false })
}

type Built<TMachine extends AnyStateMachine> = SessionDefinition<TMachine> & {
  readonly steps: string | undefined
  readonly follows: boolean
}

/** The kind, and the kinds of its children. */
function build<TMachine extends AnyStateMachine>(definition: Built<TMachine>): SessionKind<TMachine> {
  const { kind, version, machine, steps, input, events, context, index, secrets, follows } = definition
  checkActors(kind, machine, steps !== undefined)
  const children = childrenOf(definition)
  const supervision = supervisionOf(definition)
  const migrate = migrationsOf(definition)
  const checks = { input, events, context, index, secrets }
  return {
    ...{ kind, version, machine: bounded(machine, children), steps },
    ...checks,
    ...{ migrate, follows, children, supervision },
  }
}

function migrationsOf({ kind, version, migrate = {} }: Built<AnyStateMachine>): Map<number, Migration> {
  const steps = new Map<number, Migration>()
  for (const [name, step] of Object.entries(migrate as { [name: string]: unknown })) {
    const from = Number(name)
    if (!Number.isSafeInteger(from) || from < 1 || from >= version)
      throw invalid(kind, `migrate.${name} is no step to version ${version}: name the version that it starts from`)
    if (typeof step !== 'function') throw invalid(kind, `migrate.${name} must be a function`)
    steps.set(from, step as Migration)
  }
  return steps
}

function supervisionOf({ kind, supervision }: Built<AnyStateMachine>): SupervisionPolicy {
  try {
    return policyOf(supervision)
  } catch (error) {
    throw invalid(kind, (error as Error).message)
  }
}

function childrenOf({
  kind,
  version,
  machine,
  steps,
  children = {},
  supervision,
}: Built<AnyStateMachine>): Map<string, ChildKind> {
  const kinds = new Map<string, ChildKind>()
  for (const [src, logic] of Object.entries(machine.implementations.actors)) {
    if (logic === childLogic)
      throw invalid(kind, 'its machine is that of a kind already; give the one it was made from')
    if (actorOf(logic) !== 'machine') continue
    const options = children[src] ?? {}
    admitOptions(`options of children.${src}`, options, { kind: true, onParentEnd: true, migrate: true })
    const own = {
      kind: `${kind}.${src}`,
      version,
      machine: logic as AnyStateMachine,
      ...{ steps, follows: true },
      ...(supervision && { supervision }),
      ...(options.migrate && {
        migrate: options.migrate as NonNullable<SessionDefinition<AnyStateMachine>['migrate']>,
      }),
    }
    if (options.kind && options.migrate)
      throw invalid(kind, `children.${src} has a kind of its own: its migrations belong there`)
    kinds.set(src, { kind: options.kind ?? build(own), onParentEnd: options.onParentEnd ?? 'cancel' })
  }
  const unknown = Object.keys(children).find((src) => !kinds.has(src))
  if (unknown !== undefined) throw invalid(kind, `children.${unknown} is not a machine in setup({ actors })`)
  return kinds
}

/** The same machine with an end to its microsteps, unless it sets its own, and sessions in place of its machines. */
function bounded<TMachine extends AnyStateMachine>(machine: TMachine, children: Map<string, ChildKind>): TMachine {
  const finite = Number.isFinite(machine.options?.maxIterations)
  if (finite && children.size === 0) return machine
  const actors = Object.fromEntries([...children.keys()].map((src) => [src, childLogic]))
  const copy = machine.provide({ actors } as Parameters<TMachine['provide']>[0]) as TMachine
  if (!finite) copy.options.maxIterations = MAX_MICROSTEPS
  return copy
}

interface Spawn {
  readonly state: string
  readonly src: unknown
  /** It has an `onSnapshot`. */
  readonly sync: boolean
}

function checkActors(kind: string, machine: AnyStateMachine, hasModule: boolean): void {
  for (const { state, src, sync } of actorsOf(machine)) {
    const logic: unknown = typeof src === 'string' ? machine.implementations.actors[src] : undefined
    if (typeof src !== 'string' || (!logic && src.startsWith('xstate.invoke.'))) {
      throw notDurable(state, 'is written inline', 'name it in setup({ actors }) and refer to it by that name')
    }
    if (!logic) throw notDurable(state, `"${src}" is not in setup({ actors })`, 'add it there')
    const actor = actorOf(logic)
    if (actor === undefined) throw notDurable(state, `"${src}" has a state of its own`, 'make it a machine or a step')
    if (actor === 'machine' && sync)
      throw notDurable(
        state,
        `"${src}" is a session, whose snapshots are not sent (onSnapshot)`,
        'have it send events to its parent',
      )
    if (actor === 'step' && !hasModule)
      throw invalid(kind, `its machine uses the step "${src}": set steps to the URL of the module that has it`)
  }
}

/** Every actor that the machine's states invoke or spawn, as far as its definition shows. */
function* actorsOf(machine: AnyStateMachine): Generator<Spawn> {
  for (const node of (machine as unknown as { idMap: Map<string, NodeShape> }).idMap.values()) {
    for (const { src, onSnapshot } of node.invoke) yield { state: node.id, src, sync: onSnapshot !== undefined }
    const transitions = [...node.transitions.values()].flat().concat(node.always ?? [], node.initial)
    const actions = [...node.entry, ...node.exit, ...transitions.flatMap((transition) => transition.actions)]
    for (const action of actions) {
      const spawn = action as { type?: string; src?: unknown } | undefined
      if (spawn?.type === 'xstate.spawnChild') yield { state: node.id, src: spawn.src, sync: false }
    }
  }
}

/** The part of XState's state nodes that is read here; `idMap` and `transitions` are not in its public types. */
interface NodeShape {
  readonly id: string
  readonly invoke: readonly { readonly src: unknown; readonly onSnapshot?: unknown }[]
  readonly entry: readonly unknown[]
  readonly exit: readonly unknown[]
  readonly transitions: ReadonlyMap<string, readonly { readonly actions: readonly unknown[] }[]>
  readonly initial: { readonly actions: readonly unknown[] }
  readonly always?: readonly { readonly actions: readonly unknown[] }[]
}

const invalid = (kind: string, why: string): HoldfastError =>
  new HoldfastError('INVALID_KIND', `session kind "${kind}": ${why}`, { details: { kind } })

const notDurable = (state: string, what: string, advice: string): HoldfastError =>
  new HoldfastError('ACTOR_NOT_DURABLE', `the actor of state "${state}" ${what} and could not be restored; ${advice}`, {
    details: { state },
  })
