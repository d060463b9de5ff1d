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
  readonly error: unknown
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

/** Plain XState fails at the start, where a session does not. */
export class CannotBegin extends Error {}

export class Reference {
  /** What the machine has shown of itself, by name. */
  readonly features = new Set<string>()
  /** What the custom action was called with. */
  readonly notes: string[] = []
  readonly #clock = new ManualClock()
  readonly #machine: AnyStateMachine
  readonly #observations: Observation[] = []
  #actor: Actor<AnyStateMachine> | undefined

  constructor(spec: MachineSpec) {
    this.#machine = buildMachine(spec, {
      work: work as unknown as AnyActorLogic,
      note: (n, count) => this.notes.push(`${n}@${count}`),
    })
  }

  /** The next observation that no record has been compared with. */
  take(): Observation | undefined {
    return this.#observations.shift()
  }

  get waiting(): number {
    return this.#observations.length
  }

  begin(input: unknown, atMs: number): void {
    this.#clock.nowMs = atMs
    const inspect = (event: InspectionEvent): void => this.#notice(event)
    this.#actor = createActor(this.#machine, { clock: this.#clock as never, input, inspect } as never)
    const observe = (): void => void this.#observations.push(this.#observe())
    this.#actor.subscribe({ next: observe, error: observe })
    this.#actor.start()
    // XState frees the systemId of a stopped child only in an actor that runs: such a machine cannot begin at all.
    if (/already exists/.test(String(this.#actor.getSnapshot().error))) throw new CannotBegin()
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
      ...{ value, context, status, output, error, history },
      tags: [...tags].sort(),
      deadlines: ended ? [] : this.#clock.deadlines,
      steps: ended ? [] : active.sort(),
    }
  }

  /** Which features of XState a microstep has used. */
  #notice(inspected: InspectionEvent): void {
    if (inspected.type !== '@xstate.microstep') return
    const { event, _transitions: transitions } = inspected as any
    const remembered = (this.#actor?.getSnapshot() as any)?.historyValue ?? {}
    for (const { eventType, target, actions } of transitions) {
      this.features.add(featureOf(eventType ?? '', event))
      for (const node of target ?? []) {
        if (node.type === 'history' && remembered[node.id]) this.features.add(`${node.history} history`)
      }
      for (const action of actions) if (action.type) this.features.add(action.type)
    }
  }
}

function featureOf(eventType: string, event: AnyEvent): string {
  if (eventType === '') return 'always'
  for (const part of ['after', 'done.state', 'done.actor', 'error.actor']) {
    if (eventType.startsWith(`xstate.${part}`)) return part
  }
  return event.via ?? 'outside'
}
