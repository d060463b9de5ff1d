// What a session has going on outside of its machine: armed timers, running steps, local actors and child sessions.
// They are started and stopped only by durable records, in the order of the records.

import { actorOf } from './actors.js'
import type { Cancel } from './clock.js'
import type { LocalActor } from './decision.js'
import type { AnySessionKind } from './define.js'
import type { SessionHost } from './host.js'
import type { Delivery } from './mailbox.js'
import type { Point } from './point.js'
import type { StepEnd } from './pool.js'
import type { TransitionRecord } from './record.js'
import { secretOutcome } from './secrets.js'
import type { Child, Timer } from './state.js'
import { type StepRun, StepRunner } from './step-runner.js'
import { type StepDeclaration, stepOf } from './steps.js'

/** Who is delivered what timers and steps come to, and knows what is still wanted. */
export interface EffectsOwner {
  readonly id: string
  deliver(delivery: Delivery): void
  wants(child: string, incarnation: number): boolean
  /** The machine's own actor behind a child that is a promise, a callback or an observable. */
  local(child: string): LocalActor | undefined
}

export class SessionEffects {
  readonly #owner: EffectsOwner
  readonly #host: SessionHost
  readonly #kind: AnySessionKind
  #timers: Map<string, Cancel> | undefined
  #steps: StepRunner | undefined
  #locals: Map<string, LocalActor> | undefined
  /** Child sessions that are being cancelled. */
  #leaving: Set<Promise<void>> | undefined

  constructor(owner: EffectsOwner, host: SessionHost, kind: AnySessionKind) {
    this.#owner = owner
    this.#host = host
    this.#kind = kind
  }

  /** Starts and stops what a record, now durable, starts and stops; `before` is the point before it. */
  perform(record: TransitionRecord, point: Point, before: Point): void {
    const { stopped, started, attempt, cleared, timers, finished } = record
    if (stopped) for (const id of stopped) this.#leave(id, before, 'the machine left the state that runs it')
    if (finished !== undefined) this.#locals?.delete(finished)
    if (started) for (const { id } of started) this.start(id, point)
    if (attempt) this.start(attempt.child, point)
    if (cleared) for (const key of cleared) this.#disarm(key)
    if (timers) for (const timer of timers) this.arm(timer)
    if (!record.status && !record.deleted) return
    for (const [id, child] of Object.entries(before.children)) {
      if (child.status === 'active') this.#leave(id, before, 'the session that started it has ended')
    }
  }

  arm({ key, at }: Timer): void {
    this.#timers ??= new Map()
    const cancel = this.#host.timers.arm(Date.parse(at), () => {
      this.#timers?.delete(key)
      this.#owner.deliver({ kind: 'timer', key })
    })
    this.#timers.set(key, cancel)
  }

  /** Starts a child, unless a later decision, on its way to the disk, has stopped it already. */
  start(id: string, point: Point): void {
    const child = point.children[id]
    if (!child || !this.#owner.wants(id, child.incarnation)) return
    if (child.session !== undefined) this.#startSession(id, child, child.session)
    else if (actorOf(this.#kind.machine.implementations.actors[child.src]) === 'local') this.#startLocal(id)
    else this.#startStep(id, child)
  }

  /** The machine has been built anew, and its local actors with it: they begin anew too. */
  restartLocals(point: Point): void {
    for (const id of [...(this.#locals?.keys() ?? [])]) this.#leave(id, point, 'restarted')
    for (const id of Object.keys(point.children)) if (this.#owner.local(id)) this.start(id, point)
  }

  /** Nothing but timers and child sessions goes on: a step or a local actor would be lost with the session. */
  get idle(): boolean {
    return !this.#locals?.size && !this.#leaving?.size && this.#steps?.idle !== false
  }

  /** Stops everything but child sessions, without a word to the owner. */
  stop(reason: string): void {
    for (const cancel of this.#timers?.values() ?? []) cancel()
    this.#timers = undefined
    for (const actor of this.#locals?.values() ?? []) actor._stop()
    this.#locals = undefined
    this.#steps?.stopAll(reason)
  }

  /** Resolves when nothing of what was stopped runs any more: steps have ended, child sessions are cancelled. */
  async gone(): Promise<void> {
    await Promise.all([this.#steps?.gone(), ...(this.#leaving ?? [])])
  }

  #leave(id: string, before: Point, reason: string): void {
    const child = before.children[id]
    this.#steps?.stop(id, reason)
    this.#locals?.get(id)?._stop()
    this.#locals?.delete(id)
    if (child?.session === undefined || child.status !== 'active') return
    const { onParentEnd } = this.#kind.children.get(child.src) ?? {}
    if (onParentEnd === 'abandon') return
    const leaving = this.#host.cancelChild(child.session, reason).finally(() => this.#leaving?.delete(leaving))
    this.#leaving ??= new Set()
    this.#leaving.add(leaving)
  }

  #disarm(key: string): void {
    this.#timers?.get(key)?.()
    this.#timers?.delete(key)
  }

  #startSession(id: string, { src, input, incarnation, trace }: Child, session: string): void {
    const kind = this.#kind.children.get(src)?.kind as AnySessionKind
    const parent = { session: this.#owner.id, child: id, incarnation }
    this.#host.startChild({ id: session, kind, input, parent, trace })
  }

  #startLocal(id: string): void {
    const actor = this.#owner.local(id)
    if (!actor) return
    this.#locals ??= new Map()
    this.#locals.get(id)?._stop()
    this.#locals.set(id, actor)
    actor.start()
  }

  #startStep(id: string, child: Child): void {
    this.#steps ??= new StepRunner({
      session: this.#owner.id,
      pool: this.#host.pool,
      timers: this.#host.timers,
      clock: this.#host.clock,
      chance: this.#host.chance,
      update: (update) => this.#host.update(update),
      settled: (run, outcome, progress) =>
        this.#owner.deliver({ kind: 'result', run, outcome, progress: this.#host.secrets.json(progress) }),
      secrets: this.#host.secrets.values,
      begun: (step) => this.#host.tracing?.step({ ...step, kind: this.#kind.kind }),
      redacted: (run, outcome) => this.#redacted(run, outcome),
    })
    this.#steps.start(this.#runOf(id, child))
  }

  #redacted({ declaration }: StepRun, outcome: StepEnd): StepEnd {
    return this.#host.secrets.json(secretOutcome(this.#kind, declaration.name, outcome))
  }

  #runOf(
    id: string,
    { src, incarnation, attempt, input, notBefore, trace }: Child,
  ): Parameters<StepRunner['start']>[0] {
    const declaration = stepOf(this.#kind.machine.implementations.actors[src]) as StepDeclaration
    const module = this.#kind.steps as string
    const at = notBefore === undefined ? undefined : Date.parse(notBefore)
    return { id, incarnation, attempt, declaration, module, input, notBefore: at, trace }
  }
}
