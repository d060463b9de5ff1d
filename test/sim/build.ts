// From a machine as data to an XState machine, the same for the reference and for the session.
// Every transition that an outside event did not cause costs fuel, and an outside event fills the tank: so a generated
// machine always comes to rest, and no transition needs to be without a target, a guard or an effect for that.

import {
  type ActionFunction,
  type AnyActorLogic,
  type AnyStateMachine,
  and,
  assign,
  cancel,
  emit,
  enqueueActions,
  raise,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stateIn,
  stopChild,
} from 'xstate'
import {
  type ActionSpec,
  EVENTS,
  type GuardSpec,
  IDS,
  type KidSpec,
  type MachineSpec,
  type NodeSpec,
  TAGS,
  type TransitionSpec,
  type WorkSpec,
} from './machines.js'

const FUEL = 2

/** What a step is asked to do. */
export interface WorkInput {
  readonly ms: number
  readonly failures: number
  readonly count: number
}

/** What differs between the two lives of a machine. */
export interface MachineHost {
  /** The logic behind `invoke`. */
  readonly work: AnyActorLogic
  /** The custom action, of a machine or of its child. */
  note(n: number, count: number, by: 'parent' | 'child'): void
  /** Called while the machine decides on an event that nobody waits for: it may throw. */
  stumble?(): void
}

export interface Context {
  readonly count: number
  readonly fuel: number
  readonly list: readonly number[]
  readonly bag: { readonly [key: string]: number }
  readonly got: unknown
  /** Whether it has spawned a child and not dismissed it. */
  readonly spawned: boolean
}

/** An event of the machine to itself says which way it came. */
export interface AnyEvent {
  readonly type: string
  readonly via?: string
  readonly n?: number
  readonly boom?: boolean
  readonly output?: unknown
  readonly error?: { readonly message: string }
}

interface Arguments {
  readonly context: Context
  readonly event: AnyEvent
}

/** A loosely typed XState config: it is made of data. */
type Config = { [key: string]: any }

/** To a child, what its parent says is from outside. */
const isOutside = ({ type, via }: AnyEvent): boolean =>
  (via === undefined || via === 'parent') && !type.startsWith('xstate.')

/** A session is restarted when it crashes on such an event; on any other its sender is refused. */
const nobodyWaits = ({ type, via }: AnyEvent): boolean =>
  via === undefined ? /^xstate\.(after|done\.actor|error\.actor)/.test(type) : via !== 'raise'

/** The child that a machine spawns; it may spawn one after another. */
export const SPAWNED = 'spawned'

/** The event types that the history states of a machine are entered by, from anywhere. */
export const returnEvents = (spec: MachineSpec): string[] => numbered(spec).histories.map((_, index) => `H${index}`)

export function buildMachine(spec: MachineSpec, host: MachineHost, is: 'parent' | 'child' = 'parent'): AnyStateMachine {
  const { ids, targets, histories } = numbered(spec)
  const build = new Builder(ids, targets, host, is)
  const config = build.node(spec.root)
  // A failure that no state handles would be a crash to a session that is restarted for ever.
  if (host.stumble) config.on['xstate.error.actor.*'] = {}
  if (spec.livesMs !== undefined) config.after[spec.livesMs] = [{ target: '#n0end' }]
  for (const [index, id] of histories.entries()) config.on[`H${index}`] = { target: `#${id}`, actions: [spend] }
  config.context = ({ input }: { input: { start: number } }): Context => {
    return { count: input.start, fuel: FUEL, list: [], bag: {}, got: null, spawned: false }
  }
  if (spec.hasOutput) config.output = ({ context, event }: Arguments) => ({ context, ended: event.output ?? null })
  const actors = { work: host.work, ...(spec.kid && { kid: buildMachine(spec.kid, host, 'child') }) }
  return setup({ actors: actors as any }).createMachine(config as any)
}

interface Numbered {
  readonly ids: Map<NodeSpec, string>
  readonly targets: string[]
  readonly histories: string[]
}

/** Every state gets an id, in document order. */
function numbered({ root }: MachineSpec): Numbered {
  const ids = new Map<NodeSpec, string>()
  const targets: string[] = []
  const histories: string[] = []
  const visit = (node: NodeSpec): void => {
    const id = `n${ids.size}`
    ids.set(node, id)
    if (node !== root) targets.push(id)
    for (const child of node.children) visit(child)
    if (node.final && node.children.length > 0) targets.push(`${id}end`)
    if (node.history === 'none' || node.children.length === 0) return
    targets.push(`${id}back`)
    histories.push(`${id}back`)
  }
  visit(root)
  return { ids, targets, histories }
}

class Builder {
  readonly #ids: Map<NodeSpec, string>
  readonly #targets: readonly string[]
  readonly #host: MachineHost
  readonly #is: 'parent' | 'child'
  readonly #spend: unknown

  constructor(ids: Map<NodeSpec, string>, targets: readonly string[], host: MachineHost, is: 'parent' | 'child') {
    this.#is = is
    this.#ids = ids
    this.#targets = targets
    this.#host = host
    const { stumble } = host
    const stumbling = (args: any): Partial<Context> => {
      if (nobodyWaits(args.event)) stumble?.()
      return spent(args)
    }
    this.#spend = stumble ? assign(stumbling) : spend
  }

  node(spec: NodeSpec): Config {
    const id = this.#ids.get(spec) as string
    const config: Config = { id, tags: spec.tags.map((tag) => TAGS[tag]), ...this.#behaviour(spec, id) }
    if (spec.children.length === 0) return config
    if (spec.kind === 'parallel') config.type = 'parallel'
    else config.initial = 's0'
    config.states = Object.fromEntries(spec.children.map((child, index) => [`s${index}`, this.node(child)]))
    if (spec.final) {
      const output = ({ context }: Arguments): unknown => ({ of: id, count: context.count })
      config.states.end = { id: `${id}end`, type: 'final', output }
    }
    if (spec.history !== 'none') config.states.back = { id: `${id}back`, type: 'history', history: spec.history }
    return config
  }

  #behaviour(spec: NodeSpec, id: string): Config {
    const { entry, exit, on, after, always, onDone, work, kid } = spec
    const tells = kid?.tells.map(({ event, as, ms }) => [EVENTS[event] as string, tell(`${id}kid`, as, ms)] as const)
    return {
      entry: entry.flatMap((action) => this.#action(action)),
      exit: exit.flatMap((action) => this.#action(action)),
      on: grouped([
        ...(tells ?? []),
        ...on.map(({ event, to }) => [EVENTS[event] as string, this.#transition(to)] as const),
      ]),
      after: grouped(after.map(({ ms, to }) => [String(ms), this.#transition(to)])),
      always: always.map((to) => this.#transition(to, true)),
      ...(onDone && spec.children.length > 0 && { onDone: this.#transition(onDone) }),
      invoke: [...(work ? [this.#work(work, id)] : []), ...(kid ? [this.#kid(kid, id)] : [])],
    }
  }

  #kid({ onDone, onError }: KidSpec, id: string): Config {
    return {
      ...{ id: `${id}kid`, src: 'kid', input: ({ context }: Arguments) => ({ start: context.count }) },
      onDone: this.#transition(onDone),
      ...(onError && { onError: this.#transition(onError) }),
    }
  }

  #work({ ms, failures, named, onDone, onError }: WorkSpec, id: string): Config {
    const input = ({ context }: Arguments): WorkInput => ({ ms, failures, count: context.count })
    return {
      ...{ id: `${id}work`, src: 'work', input },
      ...(named && { systemId: `${id}system` }),
      onDone: this.#transition(onDone),
      ...(onError && { onError: this.#transition(onError) }),
    }
  }

  #transition({ target, reenter, guard, actions }: TransitionSpec, eventless = false): Config {
    const to = target === undefined ? undefined : (this.#targets[target % this.#targets.length] as string)
    return {
      ...(to && { target: `#${to}` }),
      // From inside its own region a history state leads back to where the machine is: XState then enters a state that
      // it has not left, and may end up in two at once.
      reenter: reenter || to?.endsWith('back') === true,
      guard: this.#guard(guard, eventless),
      // So that whoever watches can tell the guards of the machine from the fuel.
      description: guard ? 'guarded' : '',
      actions: [eventless ? burn : this.#spend, ...actions.flatMap((action) => this.#action(action))],
    }
  }

  #guard(spec: GuardSpec | undefined, eventless: boolean): any {
    const hasFuel = ({ context, event }: Arguments): boolean => context.fuel > 0 || (!eventless && isOutside(event))
    if (spec?.kind === 'in')
      return and([hasFuel as any, stateIn(`#${this.#targets[spec.state % this.#targets.length]}`)])
    return (args: Arguments): boolean => hasFuel(args) && holds(spec, args)
  }

  #action(spec: ActionSpec): any {
    switch (spec.do) {
      case 'note':
        return (({ context }: Arguments) =>
          this.#host.note(spec.n, context.count, this.#is)) as unknown as ActionFunction<
          any,
          any,
          any,
          any,
          any,
          any,
          any,
          any,
          any
        >
      case 'emit':
        return emit({ type: 'said', n: spec.n } as never)
      case 'raise':
        return raise({ type: EVENTS[spec.event], via: 'raise' } as never)
      case 'raiseLater':
        return alone(spec, raise({ type: EVENTS[spec.event], via: 'delayed raise' } as never, later(spec) as never))
      case 'tell':
        return sendTo((({ self }: any) => self) as never, { type: EVENTS[spec.event], via: 'sendTo self' } as never)
      case 'tellLater':
        return alone(
          spec,
          sendTo(
            (({ self }: any) => self) as never,
            { type: EVENTS[spec.event], via: 'delayed sendTo' } as never,
            later(spec) as never,
          ),
        )
      case 'cancel':
        return cancel(IDS[spec.id] as string)
      case 'spawn':
        return [
          stopChild(SPAWNED),
          spawnChild(
            'kid' as never,
            { id: SPAWNED, input: ({ context }: Arguments) => ({ start: context.count }) } as never,
          ),
          assign({ spawned: true } as never),
        ]
      case 'dismiss':
        return [stopChild(SPAWNED), assign({ spawned: false } as never)]
      case 'tellSpawned':
        return enqueueActions((({ context, enqueue }: any) => {
          if (context.spawned) enqueue.sendTo(SPAWNED, { type: EVENTS[spec.event], via: 'parent' })
        }) as never)
      case 'tellParent':
        return sendParent({ type: EVENTS[spec.event], via: 'child' } as never, { delay: spec.ms } as never)
      default:
        return change(spec)
    }
  }
}

/** A delayed event takes the place of the one with the same id: of two, XState forgets the id of one. */
const alone = ({ id }: { id?: number }, action: any): any[] =>
  id === undefined ? [action] : [cancel(IDS[id] as string), action]

const later = ({ ms, id }: { ms: number; id?: number }): Config => ({
  delay: ms,
  ...(id !== undefined && { id: IDS[id] }),
})

/** Changes of the context of every kind that a patch knows. */
function change(spec: ActionSpec): any {
  return assign(({ context, event }: any): Partial<Context> => {
    const { count, list, bag } = context as Context
    switch (spec.do) {
      case 'add':
        return { count: count + spec.n }
      case 'push':
        return { list: [...list, spec.n] }
      case 'shift':
        return { list: list.slice(1) }
      case 'put':
        return { bag: { ...bag, [`k${spec.n % 3}`]: spec.n } }
      case 'drop':
        return { bag: Object.fromEntries(Object.entries(bag).sort().slice(1)) }
      default:
        if ((event as AnyEvent).boom) throw new Error('boom')
        return {}
    }
  })
}

/** Passes an event on to a child, which finds it to be from outside. */
const tell = (to: string, as: number, ms: number | undefined): Config => ({
  actions: [
    assign(({ context }: any): Partial<Context> => ({ count: context.count + 1, fuel: FUEL })),
    sendTo(to, (({ event }: Arguments) => passedOn(event, EVENTS[as] as string)) as never, { delay: ms } as never),
  ],
  guard: ({ event }: Arguments): boolean => isOutside(event),
})

const passedOn = ({ n, boom }: AnyEvent, type: string): AnyEvent => ({
  ...{ type, via: 'parent' },
  ...(n !== undefined && { n }),
  ...(boom && { boom }),
})

const spent = ({ context, event }: any): Partial<Context> => {
  const { output, error } = event as AnyEvent
  return {
    count: context.count + 1,
    fuel: isOutside(event) ? FUEL : context.fuel - 1,
    ...(output !== undefined && { got: output }),
    ...(error !== undefined && { got: error.message }),
  }
}

const spend = assign(spent)

const burn = assign(({ context }: any): Partial<Context> => ({ count: context.count + 1, fuel: context.fuel - 1 }))

function holds(guard: GuardSpec | undefined, { context, event }: Arguments): boolean {
  if (guard?.kind === 'count') return context.count % guard.modulo === guard.is
  if (guard?.kind === 'event') return (event.n ?? 5) >= guard.least
  return true
}

/** Several transitions may share a key; the first that is enabled is taken. */
function grouped(entries: readonly (readonly [string, Config])[]): Config {
  const groups: Record<string, Config[]> = {}
  for (const [key, transition] of entries) groups[key] = [...(groups[key] ?? []), transition]
  return groups
}
