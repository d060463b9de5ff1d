// What a transition would do, as XState hands it out: collected one by one, then sorted by who it is for. It tells a session,
// its local actors, its parent and its children apart; it runs nothing.

import { type ActorType, actorOf } from './actors.js'
import type { Action, LocalActor, SendRequest, TimerRequest } from './decision.js'
import { childrenOf, type MachineSnapshot } from './machine-snapshot.js'
import { SELF } from './objections.js'
import { PARENT, type RecordedEvent } from './record.js'

/** Made only when there is something to collect: most transitions have no effects but their record. */
export interface Collected {
  actions: Action[]
  timers: Loose[]
  sends: { readonly to: unknown; readonly event: RecordedEvent }[]
  emitted: RecordedEvent[]
  unnamed?: Loose[]
}

export interface Addressed {
  readonly messages: readonly RecordedEvent[]
  readonly sends: readonly SendRequest[]
  /** To local actors: they are told as an action is run. */
  readonly locals: readonly Action[]
}

// XState's actions and actors are generic in everything that is not known here.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any

/** Sorts what XState would run into what the session will do; `stopped` hears of an actor that ends with this transition. */
export function collect(
  collected: Collected,
  action: Loose,
  log: (args: readonly unknown[]) => void,
  stopped: (actor: Loose) => void,
): void {
  const { type, params } = action
  switch (type) {
    case 'xstate.raise':
      if (typeof params.delay === 'number') collected.timers.push(params)
      return
    case 'xstate.sendTo':
      if (typeof params.delay === 'number') collected.timers.push(params)
      else collected.sends.push(params)
      return
    case 'xstate.cancel':
      collected.timers.push(params)
      return
    case 'xstate.emit':
      collected.emitted.push(params.event)
      return
    case 'xstate.stopChild':
      // At once, or an actor with the same systemId could not be created in this very transition.
      if (params) stopped(params)
      return
    case 'xstate.spawnChild':
      // The others are found by comparing the children before and after.
      if (params.actorRef && params.actorRef.id === params.actorRef.sessionId) {
        collected.unnamed ??= []
        collected.unnamed.push(params.actorRef)
      }
      return
    case 'xstate.log':
      collected.actions.push(() => log(params.label ? [params.label, params.value] : [params.value]))
      return
    default:
      if (action.exec) collected.actions.push(() => action.exec(action.info, action.params))
  }
}

/** The actors that the session and its parent are to the machine. */
export interface Ends {
  readonly self: object
  readonly parent: object | undefined
}

/** Who an XState actor is: SELF, PARENT, or the id of a child that is there and can hear, which a step cannot. */
export function receiverIn(snapshot: MachineSnapshot, to: unknown, { self, parent }: Ends): string | undefined {
  if (to === self) return SELF
  if (to === parent) return PARENT
  const { children } = snapshot as Loose
  const id = Object.keys(children).find((child) => children[child] === to)
  return id === undefined || typeIn(snapshot, (to as Loose).src) === 'step' ? undefined : id
}

/** A child that is a promise, a callback or an observable. */
export function localIn(snapshot: MachineSnapshot | undefined, child: string | undefined): LocalActor | undefined {
  const ref: Loose = child !== undefined && childrenOf(snapshot)[child]
  return ref && typeIn(snapshot as MachineSnapshot, ref.src) === 'local' ? ref : undefined
}

const typeIn = ({ machine }: MachineSnapshot, src: string): ActorType | undefined =>
  actorOf(machine.implementations.actors[src])

/** Who is sent what: the session itself, local actors, or other sessions. */
export function addressed(
  requests: Collected['sends'],
  before: MachineSnapshot | undefined,
  after: MachineSnapshot,
  ends: Ends,
): Addressed {
  if (requests.length === 0) return NOBODY_TOLD
  const [messages, sends, locals]: [RecordedEvent[], SendRequest[], Action[]] = [[], [], []]
  for (const { to, event } of requests) {
    const receiver = receiverIn(after, to, ends)
    const last = receiver === undefined && before ? receiverIn(before, to, ends) : undefined
    if (receiver === SELF) messages.push(event)
    else if (localIn(after, receiver) ?? localIn(before, last)) locals.push(() => (to as Loose).send(event))
    else if (receiver !== undefined) sends.push({ to: receiver, event })
    else if (last !== undefined) sends.push({ to: last, event, last: true })
  }
  return { messages, sends, locals }
}

const NOBODY_TOLD: Addressed = { messages: [], sends: [], locals: [] }

/** The timers that are set and cancelled; one that is for nobody who is there is not set. */
export function timersOf(requests: readonly Loose[], after: MachineSnapshot, ends: Ends): readonly TimerRequest[] {
  const timers: TimerRequest[] = []
  for (const { sendId, to, id, delay: delayMs, event } of requests) {
    const receiver = to === undefined ? SELF : receiverIn(after, to, ends)
    if (sendId !== undefined) timers.push({ kind: 'cancel', id: sendId })
    else if (receiver === SELF) timers.push({ kind: 'set', id, delayMs, event, to: undefined })
    else if (receiver !== undefined) timers.push({ kind: 'set', id, delayMs, event, to: receiver })
  }
  return timers
}
