// Plain XState, never crashed: what a session is held to.
// It is driven by the session's durable records, one at a time and at their recorded times: an outside event is sent, a
// child's result is handed over, the timer that is due first fires. Everything else (messages, raised events, which timer
// that is, what it sets) it finds out by itself, and each macrostep gives one observation to compare a record with.
// Its children do nothing, its custom actions do not run, and `Date` is another day while it decides: a machine that reads
// more than its context and its event decides otherwise here.

import { type Actor, type AnyEventObject, type AnyStateMachine, createActor, type InspectionEvent } from 'xstate'
import type { AnySessionKind } from '../define.js'
import { PARENT, type StartedChild } from '../record.js'
import { sessionReference } from '../references.js'
import { Actors, type XStateActor } from './actors.js'
import { elsewhen, ManualClock } from './elsewhen.js'
import { featuresOf } from './features.js'
import { DONE, FAILED, idleMachineOf, listener, type Witness, witnessed } from './idle.js'
import { messageOf, type Observation } from './observation.js'

// XState's snapshots, actors and microsteps, of which more is read here than their types tell.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Loose = any

/** As an `Observation`, with actors where records have references and ids. */
interface Raw extends Omit<Observation, 'children' | 'sent'> {
  readonly children: readonly XStateActor[]
  readonly sent: readonly RawSending[]
}

interface RawSending {
  readonly to: XStateActor
  readonly event: AnyEventObject
}

/** What a test wants to know more of. */
export interface ReferenceWatch {
  /** A custom action would run now. */
  readonly action?: (run: () => void) => void
  readonly microstep?: (event: AnyEventObject, transition: { readonly description?: string }) => void
  /** Plain XState decides: runs it. */
  readonly driving?: (drive: () => void) => void
}

/** Plain XState itself goes wrong: there is nothing to compare with. */
export class XStateFault extends Error {}

/** A machine sets two timers with one id: plain XState can cancel one of them, or none once one has fired. */
export class TimerFault extends XStateFault {}

export class Reference implements Witness {
  /** What the machine has shown of itself, by name. */
  readonly features: Set<string> = new Set()
  readonly #clock = new ManualClock()
  readonly #machine: AnyStateMachine
  readonly #watch: ReferenceWatch
  readonly #observations: Raw[] = []
  readonly #actors = new Actors((id) => this.#nobody(id))
  #sent: RawSending[] = []
  #actor: Actor<AnyStateMachine> | undefined
  #fault: XStateFault | undefined
  /** What it is driven by just now, and how many macrosteps came of it. */
  #cause: unknown
  #macrosteps = 0

  constructor(kind: AnySessionKind, watch: ReferenceWatch = {}) {
    this.#machine = idleMachineOf(kind)
    this.#watch = watch
  }

  /** Witness: a custom action of its machine would run. */
  act(run: () => void): void {
    this.features.add('custom action')
    this.#watch.action?.(run)
  }

  /** Witness: its machine sends something to a session that it is linked to. */
  hear(to: XStateActor, event: AnyEventObject): void {
    this.#sent.push({ to, event })
  }

  /** The next observation that no record has been compared with; its record, `seq`, has started these children. */
  take(started: readonly StartedChild[] = [], seq = 0): Observation | undefined {
    if (this.#fault) throw this.#fault
    const next = this.#observations.shift()
    if (!next) return undefined
    this.#actors.meet(next.children, started, seq)
    return this.#written(next)
  }

  get waiting(): number {
    return this.#observations.length
  }

  /** `id` is the session's, `parentId` that of the session whose child it is. */
  begin(id: string, parentId: string | undefined, input: unknown, atMs: number): void {
    this.#drive(atMs, undefined, () => this.#start(id, parentId, input))
    this.#noteTaken()
    if (this.#fault) throw this.#fault
  }

  #start(id: string, parentId: string | undefined, given: unknown): void {
    const clock = this.#clock as Loose
    const inspect = (event: InspectionEvent): void => this.#notice(event)
    const parent = parentId === undefined ? undefined : createActor(listener(true), { clock, inspect }).start()
    if (parent) this.#actors.introduce(parent, PARENT, sessionReference(parentId as string))
    const input = this.#actors.revived(given)
    const actor: Loose = createActor(this.#machine, { id, clock, input, inspect, parent } as Loose)
    this.#actors.introduce(actor, id, sessionReference(id))
    this.#actor = actor
    const observe = (): void => this.#observed()
    this.#watchIds(actor.system)
    actor.subscribe({ next: observe, error: observe })
    actor.start()
  }

  send(recorded: AnyEventObject, atMs: number): void {
    const event = this.#actors.revived(recorded)
    this.#drive(atMs, event, () => this.#live.send(event))
  }

  /** Fires the timer that is due first, and gives when that was. */
  fire(atMs: number): number | undefined {
    const timer = this.#clock.take()
    if (timer) this.#drive(atMs, undefined, timer.run)
    return timer?.due
  }

  /** A child has ended. False when there is no such child. */
  finish(id: string, event: AnyEventObject, atMs: number): boolean {
    const children: Loose[] = Object.values(this.#live.getSnapshot().children)
    const child = children.find((one) => this.#actors.nameOf(one) === id)
    if (child?.getSnapshot().status !== 'active') return false
    const type = event.type.startsWith('xstate.done.') ? DONE : FAILED
    this.#drive(atMs, undefined, () => child.send({ ...this.#actors.revived(event), type }))
    return true
  }

  /** As its parent stops a child, whether or not it is one. */
  stop(): void {
    const live = this.#live as Loose
    live._stop()
  }

  can(event: AnyEventObject): boolean {
    const snapshot = this.#live.getSnapshot()
    return elsewhen(() => snapshot.status === 'active' && snapshot.can(event))
  }

  /** What an observer of the machine would see now, beside what it has sent. */
  look(): Observation {
    return this.#written(this.#observe([]))
  }

  /** The same after a step that only sent something. */
  lookAfterSending(): Observation {
    return this.#written(this.#observe(this.#takeSent()))
  }

  get #live(): Actor<AnyStateMachine> {
    if (!this.#actor) throw new Error('the reference has not begun')
    return this.#actor
  }

  #drive(atMs: number, cause: unknown, act: () => void): void {
    witnessed(this)
    this.#clock.nowMs = atMs
    this.#cause = cause
    this.#macrosteps = 0
    const drive = (): void => elsewhen(act)
    if (this.#watch.driving) this.#watch.driving(drive)
    else drive()
  }

  #observed(): void {
    const { _nodes: nodes } = this.#live.getSnapshot() as Loose
    this.#noteTaken()
    if (!isLegal(nodes)) this.#fault ??= new XStateFault('it is in two states at once')
    this.#macrosteps++
    this.#observations.push(this.#observe(this.#takeSent()))
  }

  /** XState frees the systemId of a child that it has stopped too late for one that begins in the same macrostep. */
  #noteTaken(): void {
    if (!/already exists/.test(String(this.#live.getSnapshot().error))) return
    this.#fault ??= new XStateFault('a systemId is taken by a child that was stopped')
  }

  #takeSent(): readonly RawSending[] {
    const sent = this.#sent
    this.#sent = []
    return sent
  }

  #observe(sent: readonly RawSending[]): Raw {
    const snapshot: Loose = this.#live.getSnapshot()
    const { value, context, status, output, error, tags, historyValue, children } = snapshot
    const history: Record<string, string[]> = {}
    for (const [node, states] of Object.entries<{ id: string }[]>(historyValue)) {
      history[node] = states.map(({ id }) => id).sort()
    }
    const active = Object.values<Loose>(children).filter((child) => child.getSnapshot().status === 'active')
    const ended = status !== 'active'
    return {
      ...{ value, context, status, output, history, sent },
      error: messageOf(error),
      tags: [...tags].sort(),
      deadlines: ended ? [] : this.#clock.deadlines,
      children: ended ? [] : active,
    }
  }

  #written(raw: Raw): Observation {
    const actors = this.#actors
    const { context, output, children, sent } = raw
    return {
      ...raw,
      context: actors.written(context, 'inside'),
      output: actors.written(output, 'inside'),
      children: children.map((child) => actors.nameOf(child)).sort(),
      sent: sent.map(({ to, event }) => ({
        to: actors.nameOf(to),
        event: actors.written(event, 'outside') as AnyEventObject,
      })),
    }
  }

  /** A child of this id that is gone. */
  #nobody(id: string): XStateActor {
    return (createActor(listener(false), { id, parent: this.#actor } as Loose) as Loose)._stop()
  }

  #watchIds(system: Loose): void {
    const schedule = system.scheduler.schedule
    system.scheduler.schedule = (source: Loose, target: Loose, event: Loose, delay: number, id?: string): void => {
      if (`${source.sessionId}.${id}` in system._snapshot._scheduledEvents) {
        this.#fault ??= faultOf(id)
      }
      // What is sent later to a child that has been left is sent to nobody.
      if (target._parent === source && source.getSnapshot().children[target.id] !== target) return
      schedule(source, target, event, delay, id)
    }
  }

  /** Which features of XState a microstep has used. */
  #notice(inspected: InspectionEvent): void {
    if (inspected.type === '@xstate.actor') silenceOnceStopped(inspected.actorRef)
    if (inspected.type !== '@xstate.microstep' || inspected.actorRef !== this.#actor) return
    const { event, _transitions: transitions } = inspected as Loose
    const remembered = (this.#live.getSnapshot() as Loose).historyValue ?? {}
    this.#cause ??= event
    const origin = event === this.#cause ? 'event' : this.#macrosteps === 0 ? 'raise' : 'sendTo self'
    for (const transition of transitions) {
      for (const feature of featuresOf(transition, origin, remembered)) this.features.add(feature)
      this.#watch.microstep?.(event, transition)
    }
  }
}

/** Ids of the machine's own are its author's; those of `after` are XState's. */
const faultOf = (id: string | undefined): XStateFault =>
  id?.startsWith('xstate.')
    ? new XStateFault('two timers of "after" have one id')
    : new TimerFault(`two timers have one id, "${id}": plain XState can cancel only one of them`)

/** Of a compound state exactly one child is active, of a parallel one all. */
function isLegal(nodes: readonly Loose[]): boolean {
  const active = new Set(nodes)
  return nodes.every(({ type, states, parent }) => {
    if (parent && !active.has(parent)) return false
    const children = Object.values<Loose>(states).filter((child) => child.type !== 'history')
    const count = children.filter((child) => active.has(child)).length
    return type === 'compound' ? count === 1 : count === children.length
  })
}

/** XState warns of whatever a stopped actor is still sent, which is no news here. */
function silenceOnceStopped(actor: Loose): void {
  const send = actor._send
  actor._send = (event: unknown) => actor._processingStatus === STOPPED || send.call(actor, event)
}

/** XState's `ProcessingStatus.Stopped`. */
const STOPPED = 2
