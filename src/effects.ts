// What a session has going on outside of its machine: armed timers and running steps.
// They are started and stopped only by durable records, in the order of the records.

import type { Cancel } from './clock.js'
import type { AnySessionKind } from './define.js'
import type { SessionHost } from './host.js'
import type { Point } from './point.js'
import type { TransitionRecord } from './record.js'
import type { Child, Timer } from './state.js'
import { StepRunner, type StepRunnerHost } from './step-runner.js'
import { type StepDeclaration, stepOf } from './steps.js'

/** Who hears what timers and steps come to, and knows which steps are still wanted. */
export interface EffectsOwner {
  readonly id: string
  due(timerKey: string): void
  readonly settled: StepRunnerHost['settled']
  wants(child: string, incarnation: number): boolean
}

export class SessionEffects {
  readonly #owner: EffectsOwner
  readonly #host: SessionHost
  readonly #kind: AnySessionKind
  #timers: Map<string, Cancel> | undefined
  #steps: StepRunner | undefined

  constructor(owner: EffectsOwner, host: SessionHost, kind: AnySessionKind) {
    this.#owner = owner
    this.#host = host
    this.#kind = kind
  }

  /** Starts and stops what a record, now durable, starts and stops. */
  perform(record: TransitionRecord, point: Point): void {
    const { stopped, started, attempt, cleared, timers } = record
    if (stopped) for (const id of stopped) this.#steps?.stop(id, 'the machine left the state that runs it')
    if (started) for (const { id } of started) this.#start(id, point)
    if (attempt) this.#start(attempt.child, point)
    if (cleared) for (const key of cleared) this.#disarm(key)
    if (timers) for (const timer of timers) this.arm(timer)
  }

  arm({ key, at }: Timer): void {
    this.#timers ??= new Map()
    const cancel = this.#host.timers.arm(Date.parse(at), () => {
      this.#timers?.delete(key)
      this.#owner.due(key)
    })
    this.#timers.set(key, cancel)
  }

  /** Stops everything, without a word to the owner. */
  stop(reason: string): void {
    for (const cancel of this.#timers?.values() ?? []) cancel()
    this.#timers = undefined
    this.#steps?.stopAll(reason)
  }

  #disarm(key: string): void {
    this.#timers?.get(key)?.()
    this.#timers?.delete(key)
  }

  #start(id: string, point: Point): void {
    const child = point.children[id]
    // A later decision, on its way to the disk, may have stopped it already.
    if (!child || !this.#owner.wants(id, child.incarnation)) return
    this.#steps ??= new StepRunner({
      session: this.#owner.id,
      pool: this.#host.pool,
      timers: this.#host.timers,
      clock: this.#host.clock,
      chance: this.#host.chance,
      update: (update) => this.#host.update(update),
      settled: this.#owner.settled,
    })
    this.#steps.start(this.#runOf(id, child))
  }

  #runOf(id: string, { src, incarnation, attempt, input, notBefore }: Child): Parameters<StepRunner['start']>[0] {
    const declaration = stepOf(this.#kind.machine.implementations.actors[src]) as StepDeclaration
    const module = this.#kind.steps as string
    const at = notBefore === undefined ? undefined : Date.parse(notBefore)
    return { id, incarnation, attempt, declaration, module, input, notBefore: at }
  }
}
