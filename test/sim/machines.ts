// Machines as data: what the generator makes, shrinks and prints. `build.ts` turns one into an XState machine.
// States are named by their place in document order, so that a target is a number and any number is a target; a machine
// can therefore be cut anywhere and still be one. Nothing here knows XState.

import fc from 'fast-check'

/** Events from outside, and of the machine to itself: the same types, told apart by their field `via`. */
export const EVENTS = ['A', 'B', 'C', 'D'] as const
export const TAGS = ['calm', 'busy', 'late'] as const
/** Ids of delayed events, so that `cancel` has something to find. */
export const IDS = ['x', 'y'] as const
const DELAYS_MS = [0, 5, 20, 100, 1000]

export type ActionSpec =
  | { readonly do: 'add' | 'push' | 'put' | 'note' | 'emit'; readonly n: number }
  | { readonly do: 'shift' | 'drop' | 'boom' }
  | { readonly do: 'raise' | 'tell'; readonly event: number }
  | { readonly do: 'raiseLater' | 'tellLater'; readonly event: number; readonly ms: number; readonly id?: number }
  | { readonly do: 'cancel'; readonly id: number }
  /** To the child that was spawned, if there is one; to the parent, at once or later. */
  | { readonly do: 'spawn' | 'dismiss' }
  | { readonly do: 'tellSpawned' | 'tellParent'; readonly event: number; readonly ms?: number }

export type GuardSpec =
  | { readonly kind: 'count'; readonly modulo: number; readonly is: number }
  | { readonly kind: 'event'; readonly least: number }
  | { readonly kind: 'in'; readonly state: number }

export interface TransitionSpec {
  /** Number of a state, modulo how many there are; without it the transition has no target. */
  readonly target?: number
  readonly reenter: boolean
  readonly guard?: GuardSpec
  readonly actions: readonly ActionSpec[]
}

export interface WorkSpec {
  readonly ms: number
  /** How many attempts fail; there are two. */
  readonly failures: number
  /** Whether it has a systemId. */
  readonly named: boolean
  readonly onDone: TransitionSpec
  readonly onError?: TransitionSpec
}

/** A child that is a machine: it is told what the state is, and ends by itself or with the state. */
export interface KidSpec {
  /** What the state passes on to it. */
  readonly tells: readonly { readonly event: number; readonly as: number; readonly ms?: number }[]
  readonly onDone: TransitionSpec
  readonly onError?: TransitionSpec
}

export interface NodeSpec {
  readonly kind: 'atomic' | 'compound' | 'parallel'
  readonly children: readonly NodeSpec[]
  /** A compound state may have a final state behind its children. */
  readonly final: boolean
  readonly history: 'none' | 'shallow' | 'deep'
  readonly entry: readonly ActionSpec[]
  readonly exit: readonly ActionSpec[]
  readonly tags: readonly number[]
  readonly on: readonly { readonly event: number; readonly to: TransitionSpec }[]
  readonly after: readonly { readonly ms: number; readonly to: TransitionSpec }[]
  /** Each has a guard of its own: without one a machine would never rest. */
  readonly always: readonly TransitionSpec[]
  readonly onDone?: TransitionSpec
  readonly work?: WorkSpec
  readonly kid?: KidSpec
}

export interface MachineSpec {
  readonly root: NodeSpec
  readonly hasOutput: boolean
  /** The machine of its children, and how long one of them lives, if that is limited. */
  readonly kid?: MachineSpec
  readonly livesMs?: number
}

const small = fc.nat({ max: 9 })
const event = fc.nat({ max: EVENTS.length - 1 })
const ms = fc.constantFrom(...DELAYS_MS)
const timerId = fc.nat({ max: IDS.length - 1 })
const target = fc.nat({ max: 30 })

/** Present in `present` of `present + absent` cases. */
export const sometimes = <T>(arbitrary: fc.Arbitrary<T>, present = 1, absent = 1): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: absent, arbitrary: fc.constant(undefined) }, { weight: present, arbitrary })

type Weighted<T> = { readonly weight: number; readonly arbitrary: fc.Arbitrary<T> }

const withN = fc
  .tuple(fc.constantFrom('add', 'push', 'push', 'put', 'note', 'note', 'emit'), small)
  .map(([name, n]): ActionSpec => ({ do: name as 'add', n }))
const later = (name: 'raiseLater' | 'tellLater'): fc.Arbitrary<ActionSpec> =>
  fc.record({ do: fc.constant(name), event, ms, id: timerId }, { requiredKeys: ['do', 'event', 'ms'] })

/** What any machine may do. */
const ACTIONS: readonly Weighted<ActionSpec>[] = [
  { weight: 8, arbitrary: withN },
  { weight: 1, arbitrary: fc.constantFrom<ActionSpec>({ do: 'shift' }, { do: 'drop' }) },
  { weight: 2, arbitrary: event.map((to): ActionSpec => ({ do: 'raise', event: to })) },
  { weight: 1, arbitrary: event.map((to): ActionSpec => ({ do: 'tell', event: to })) },
  { weight: 5, arbitrary: later('raiseLater') },
  { weight: 5, arbitrary: later('tellLater') },
  { weight: 2, arbitrary: timerId.map((id): ActionSpec => ({ do: 'cancel', id })) },
]

/** What a machine with a child may do beside. */
const PARENTAL: readonly Weighted<ActionSpec>[] = [
  { weight: 2, arbitrary: fc.constant<ActionSpec>({ do: 'spawn' }) },
  { weight: 1, arbitrary: fc.constant<ActionSpec>({ do: 'dismiss' }) },
  { weight: 5, arbitrary: event.map((to): ActionSpec => ({ do: 'tellSpawned', event: to })) },
]

/** What a child may do beside. */
const FILIAL: readonly Weighted<ActionSpec>[] = [
  { weight: 6, arbitrary: event.map((to): ActionSpec => ({ do: 'tellParent', event: to })) },
  {
    weight: 1,
    arbitrary: fc.tuple(event, ms).map(([to, after]): ActionSpec => ({ do: 'tellParent', event: to, ms: after })),
  },
]

const count = fc
  .tuple(fc.integer({ min: 2, max: 3 }), fc.nat({ max: 2 }))
  .map(([modulo, is]): GuardSpec => ({ kind: 'count', modulo, is: is % modulo }))

const guard: fc.Arbitrary<GuardSpec> = fc.oneof(
  count,
  small.map((least): GuardSpec => ({ kind: 'event', least })),
  target.map((state): GuardSpec => ({ kind: 'in', state })),
)

const few = <T>(arbitrary: fc.Arbitrary<T[]>): fc.Arbitrary<T[]> =>
  fc.oneof({ weight: 2, arbitrary: fc.constant<T[]>([]) }, { weight: 1, arbitrary })

/** The root of machines that do these actions; `depth`: how deep their states lie within each other at most. */
function roots(does: readonly Weighted<ActionSpec>[], depth: number, hasKid: boolean): fc.Arbitrary<NodeSpec> {
  const action = fc.oneof(...does)
  const actions = (maxLength: number): fc.Arbitrary<ActionSpec[]> => fc.array(action, { maxLength })
  const transition = (withTarget: number, guards = sometimes(guard)): fc.Arbitrary<TransitionSpec> =>
    fc
      .record({
        target: sometimes(target, withTarget),
        reenter: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
        guard: guards,
        actions: actions(2),
      })
      .map(present)
  /** An assign that throws when the event asks for it: the only way in which a generated machine fails. */
  const explosive = transition(4).map((to): TransitionSpec => ({ ...to, actions: [{ do: 'boom' }, ...to.actions] }))
  const eventTransition = fc.oneof({ weight: 3, arbitrary: transition(5) }, { weight: 2, arbitrary: explosive })
  const unguarded = fc.constant(undefined)
  const work: fc.Arbitrary<WorkSpec> = fc
    .record({
      ms: fc.constantFrom(0, 5, 20),
      failures: fc.constantFrom(0, 1, 9, 9, 9),
      named: fc.constantFrom(false, false, false, true),
      onDone: transition(3),
      onError: sometimes(transition(3, unguarded), 2),
    })
    .map(present)
  const told = fc.record({ event, as: event, ms: sometimes(ms, 1, 3) }).map(present)
  const kid: fc.Arbitrary<KidSpec> = fc
    .record({
      tells: fc.array(told, { minLength: 4, maxLength: 5 }),
      onDone: transition(3),
      onError: sometimes(transition(3, unguarded), 2),
    })
    .map(present) as fc.Arbitrary<KidSpec>
  /** What every state may have. */
  const behaviour = {
    history: fc.constantFrom('none', 'shallow', 'deep') as fc.Arbitrary<NodeSpec['history']>,
    entry: actions(1),
    exit: actions(1),
    tags: fc.uniqueArray(fc.nat({ max: TAGS.length - 1 }), { maxLength: 2 }),
    on: fc.array(fc.record({ event, to: eventTransition }), { minLength: 1, maxLength: 3 }),
    after: few(fc.array(fc.record({ ms, to: transition(4) }), { maxLength: 2 })),
    always: few(fc.array(transition(2, count), { maxLength: 1 })),
    onDone: sometimes(transition(5), 4),
    work: sometimes(work),
    kid: hasKid ? sometimes(kid, 1, 2) : fc.constant(undefined),
  }
  const mostly = fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, fc.constant(false))
  const { node } = fc.letrec<{ node: NodeSpec; compound: NodeSpec }>((tie) => {
    const make = (kind: NodeSpec['kind'], children: fc.Arbitrary<NodeSpec[]>, final: fc.Arbitrary<boolean>) =>
      fc.record({ ...behaviour, kind: fc.constant(kind), children, final }).map(present) as fc.Arbitrary<NodeSpec>
    const atomic = make('atomic', fc.constant([]), fc.constant(false))
    const compound = make('compound', fc.array(tie('node'), { minLength: 1, maxLength: 2 }), mostly)
    const regions = fc.array(tie('compound'), { minLength: 2, maxLength: 2 })
    return {
      node: fc.oneof(
        { maxDepth: depth, depthIdentifier: `states ${depth}` },
        { weight: 5, arbitrary: atomic },
        { weight: 3, arbitrary: compound },
        { weight: 2, arbitrary: make('parallel', regions, fc.constant(false)) },
      ),
      compound,
    }
  })
  return fc
    .record({
      ...behaviour,
      kind: fc.constant('compound' as const),
      children: fc.array(node, { minLength: 2, maxLength: 3 }),
      final: fc.boolean(),
      history: fc.constant('none' as const),
      onDone: fc.constant(undefined),
      work: fc.constant(undefined),
      kid: fc.constant(undefined),
    })
    .map(present) as fc.Arbitrary<NodeSpec>
}

/** A machine without child machines. */
export const machineSpec: fc.Arbitrary<MachineSpec> = fc.record({
  root: roots(ACTIONS, 2, false),
  hasOutput: fc.constantFrom(true, true, false),
})

const child: fc.Arbitrary<MachineSpec> = fc
  .record({
    root: roots([...ACTIONS, ...FILIAL], 1, false),
    hasOutput: fc.constantFrom(true, true, false),
    livesMs: sometimes(fc.constantFrom(0, 0, 5, 20), 3),
  })
  .map((spec) => present(spec.livesMs === undefined ? spec : { ...spec, root: { ...spec.root, final: true } }))

/** A machine that runs another as its child, by an invoke or a spawn. */
const parent: fc.Arbitrary<MachineSpec> = fc.record({
  root: roots([...ACTIONS, ...PARENTAL], 1, true),
  hasOutput: fc.constantFrom(true, true, false),
  kid: child,
})

/** Machines with and without children. */
export const familySpec: fc.Arbitrary<MachineSpec> = fc.oneof(
  { weight: 5, arbitrary: machineSpec },
  { weight: 2, arbitrary: parent },
)

/** Without properties that are undefined: a shorter print. */
function present<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T
}
