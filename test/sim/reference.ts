// Plain XState, never crashed: what a session is held to.
// It is driven by the session's durable records, one at a time and at their recorded times: an outside event is sent, a
// step's result is handed over, the timer that is due first fires. Everything else (messages, raised events, which timer
// that is, what it sets) it finds out by itself, and each macrostep gives one observation to compare a record with.

import { type Actor, type AnyActorLogic, type AnyStateMachine, createActor, type InspectionEvent } from 'xstate'
import { type AnyEvent, buildMachine } from './build.js'
import type { MachineSpec } from './machines.js'

/** Everything that can be seen of a machine at rest. */
export interface Observation {
  readonly value: unknown
  readonly context: unknown
  readonly status: string
  readonly output: unknown
  /** Its message: a session keeps an error as data. */
  readonly error: string | undefined
  readonly tags: readonly string[]
  /** When the pending timers are due, in ms since the epoch, sorted. */
  readonly deadlines: readonly number[]
  /** History node -> ids of the states it remembers, sorted. */
  readonly history: { readonly [node: string]: readonly string[] }
  /** Ids of the active steps, sorted. */
  readonly steps: readonly string[]
}

/** A clock that fires nothing by itself. */
class ManualClock {
  nowMs = 0
  #order = 0
  readonly #timers: { readonly id: number; readonly due: number; readonly run: () => void }[] = []

  setTimeout(run: () => void, ms: number): number {
    const id = ++this.#order
    this.#timers.push({ id, due: this.nowMs + ms, run })
    return id
  }

  clearTimeout(id: number): void {
    const index = this.#timers.findIndex((timer) => timer.id === id)
    if (index >= 0) this.#timers.splice(index, 1)
  }

  get deadlines(): number[] {
    return this.#timers.map(({ due }) => due).sort((a, b) => a - b)
  }

  /** Takes out the timer that is due first; of two, the one set first. */
  take(): { readonly due: number; readonly run: () => void } | undefined {
    const [first] = this.#timers.toSorted((a, b) => a.due - b.due || a.id - b.id)
    if (first) this.clearTimeout(first.id)
    return first
  }
}

interface WorkSnapshot {
  readonly status: 'active' | 'done' | 'error'
  readonly output: unknown
  readonly error: unknown
}

/** A step that ends when it is told to, and how it is told. */
const work = {
  config: {},
  getInitialSnapshot: (): WorkSnapshot => ({ status: 'active', output: undefined, error: undefined }),
  transition: (snapshot: WorkSnapshot, event: AnyEvent): WorkSnapshot => {
    if (event.type === 'done') return { ...snapshot, status: 'done', output: event.output }
    return event.type === 'fail' ? { ...snapshot, status: 'error', error: event.error } : snapshot
  },
  getPersistedSnapshot: (snapshot: WorkSnapshot) => snapshot,
}

/** Plain XState itself goes wrong: there is nothing to compare with. */
export class XStateFault extends Error {}

export class Reference {
  /** What the machine has shown of itself, by name. */
  readonly features = new Set<string>()
  /** What the custom action was called with. */
  readonly notes: string[] = []
  readonly #clock = new ManualClock()
  readonly #machine: AnyStateMachine
  readonly #observations: Observation[] = []
  #actor: Actor<AnyStateMachine> | undefined
  #fault: XStateFault | undefined

  constructor(spec: MachineSpec) {
    this.#machine = buildMachine(spec, {
      work: work as unknown as AnyActorLogic,
      note: (n, count) => this.notes.push(`${n}@${count}`),
    })
  }

  /** The next observation that no record has been compared with. */
  take(): Observation | undefined {
    if (this.#fault) throw this.#fault
    return this.#observations.shift()
  }

  get waiting(): number {
    return this.#observations.length
  }

  begin(input: unknown, atMs: number): void {
    this.#clock.nowMs = atMs
    const inspect = (event: InspectionEvent): void => this.#notice(event)
    this.#actor = createActor(this.#machine, { clock: this.#clock as never, input, inspect } as never)
    const observe = (): void => {
      if (!isLegal((this.#live.getSnapshot() as any)._nodes))
        this.#fault ??= new XStateFault('it is in two states at once')
      this.#observations.push(this.#observe())
    }
    this.#watchIds(this.#actor.system)
    this.#actor.subscribe({ next: observe, error: observe })
    this.#actor.start()
    // XState frees the systemId of a stopped child only in an actor that runs: such a machine cannot begin at all.
    if (/already exists/.test(String(this.#actor.getSnapshot().error))) throw new XStateFault('it cannot begin')
  }

  send(event: AnyEvent, atMs: number): void {
    this.#clock.nowMs = atMs
    this.#live.send(event as never)
  }

  /** Fires the timer that is due first, and gives when that was. */
  fire(atMs: number): number | undefined {
    this.#clock.nowMs = atMs
    const timer = this.#clock.take()
    timer?.run()
    return timer?.due
  }

  /** A step has ended. False when there is no such step. */
  finish(id: string, event: AnyEvent, atMs: number): boolean {
    this.#clock.nowMs = atMs
    const child = this.#live.getSnapshot().children[id]
    if (child?.getSnapshot().status !== 'active') return false
    child.send({ ...event, type: event.type.startsWith('xstate.done.') ? 'done' : 'fail' } as never)
    return true
  }

  can(event: AnyEvent): boolean {
    const snapshot = this.#live.getSnapshot()
    return snapshot.status === 'active' && snapshot.can(event as never)
  }

  /** What an observer of the machine would see now. */
  look(): Observation {
    return this.#observe()
  }

  get #live(): Actor<AnyStateMachine> {
    if (!this.#actor) throw new Error('the reference has not begun')
    return this.#actor
  }

  #observe(): Observation {
    const snapshot = this.#live.getSnapshot() as any
    const { value, context, status, output, error, tags, historyValue, children } = snapshot
    const history: Record<string, string[]> = {}
    for (const [node, states] of Object.entries<{ id: string }[]>(historyValue)) {
      history[node] = states.map(({ id }) => id).sort()
    }
    const active = Object.keys(children).filter((id) => children[id].getSnapshot().status === 'active')
    const ended = status !== 'active'
    return {
      ...{ value, context, status, output, history },
      error: messageOf(error),
      tags: [...tags].sort(),
      deadlines: ended ? [] : this.#clock.deadlines,
      steps: ended ? [] : active.sort(),
    }
  }

  /** Of two pending timers with one id XState can cancel one, or none once one has fired: the session can cancel both. */
  #watchIds(system: any): void {
    const schedule = system.scheduler.schedule
    system.scheduler.schedule = (source: any, target: any, event: any, delay: number, id?: string): void => {
      if (`${source.sessionId}.${id}` in system._snapshot._scheduledEvents) {
        this.#fault ??= new XStateFault('two timers have one id')
      }
      schedule(source, target, event, delay, id)
    }
  }

  /** Which features of XState a microstep has used. */
  #notice(inspected: InspectionEvent): void {
    if (inspected.type !== '@xstate.microstep') return
    const { event, _transitions: transitions } = inspected as any
    const remembered = (this.#actor?.getSnapshot() as any)?.historyValue ?? {}
    for (const { eventType, target, description } of transitions) {
      this.features.add(featureOf(eventType ?? '', event))
      if (description === 'guarded') this.features.add('guard')
      for (const node of target ?? []) {
        if (node.type === 'history' && remembered[node.id]) this.features.add(`${node.history} history`)
      }
    }
  }
}

/** Of a compound state exactly one child is active, of a parallel one all. */
function isLegal(nodes: readonly any[]): boolean {
  const active = new Set(nodes)
  return nodes.every(({ type, states }) => {
    const children = Object.values<any>(states).filter((child) => child.type !== 'history')
    const count = children.filter((child) => active.has(child)).length
    return type === 'compound' ? count === 1 : count === children.length
  })
}

const BY_EVENT: { readonly [prefix: string]: string } = {
  'xstate.after': 'after',
  'xstate.done.state': 'nested final',
  'xstate.done.actor': 'step done',
  'xstate.error.actor': 'step failed',
}

function featureOf(eventType: string, event: AnyEvent): string {
  if (eventType === '') return 'always'
  const prefix = Object.keys(BY_EVENT).find((start) => eventType.startsWith(start))
  return prefix ? (BY_EVENT[prefix] as string) : (event.via ?? 'event')
}

export const messageOf = (error: unknown): string | undefined =>
  error === undefined ? undefined : (error as Error).message
