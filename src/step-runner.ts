// Runs the active steps of one session: waits for their time, hands them to the pool, tells what became of them. What the
// pool could not begin is handed over again after a pause: that is no attempt, so nobody is told and nothing is recorded.
// It starts a step only when told that the attempt is durable, and reports each attempt's outcome once; it decides nothing
// (whether to try again is the session's decision, since it must be recorded first).

import type { Chance } from './chance.js'
import type { Cancel, Clock } from './clock.js'
import type { Pool, RunningTask, StepEnd, Task, TaskListener } from './pool.js'
import type { Progress } from './record.js'
import type { SecretValues } from './secrets.js'
import { waitedTooLong } from './step-run.js'
import { type Backoff, backoff, type StepDeclaration } from './steps.js'
import type { Timers } from './timers.js'
import type { TraceContext } from './trace-context.js'
import type { StepSpan, TracedStep } from './tracing.js'

/** What a running step says, live: never durable, never numbered. */
export type StepUpdate =
  | ({ readonly kind: 'progress'; readonly percent: number; readonly message?: string } & StepOrigin)
  | ({ readonly kind: 'chunk'; readonly chunk: unknown } & StepOrigin)
  | ({ readonly kind: 'log'; readonly message: string; readonly data?: unknown } & StepOrigin)

interface StepOrigin {
  readonly session: string
  /** The child's id in the machine. */
  readonly step: string
  readonly attempt: number
}

export interface StepRun {
  readonly id: string
  readonly incarnation: number
  readonly attempt: number
  readonly declaration: StepDeclaration
  readonly module: string
  readonly input: unknown
  /** ms since the epoch. */
  readonly notBefore: number | undefined
  readonly trace?: TraceContext | undefined
}

export interface StepRunnerHost {
  readonly session: string
  readonly pool: Pool
  readonly timers: Timers
  readonly clock: Clock
  readonly chance: Chance
  /** What steps may ask for by name. */
  readonly secrets: SecretValues | undefined
  update(update: StepUpdate): void
  /** An attempt is handed to the pool for the first time. Never throws. */
  begun(step: Omit<TracedStep, 'kind'>): StepSpan | undefined
  /** What may be told of an outcome. */
  redacted(run: StepRun, outcome: StepEnd): StepEnd
  settled(run: StepRun, outcome: StepEnd, progress: Progress | undefined): void
}

/** The pauses before a task that the pool could not begin is handed over again. */
const NOT_RUN_BACKOFF: Backoff = { backoffMs: 100, maxBackoffMs: 5000 }

interface Active {
  readonly run: StepRun
  /** When it was first handed to the pool, in ms on the clock that never jumps. */
  since?: number
  /** How often the pool could not begin it. */
  notRun: number
  waiting?: Cancel
  task?: RunningTask
  span?: StepSpan | undefined
  progress?: Progress
}

export class StepRunner {
  readonly #host: StepRunnerHost
  readonly #active: Map<string, Active> = new Map()
  /** Steps that were stopped and may still run. */
  readonly #ending: Set<Promise<void>> = new Set()

  constructor(host: StepRunnerHost) {
    this.#host = host
  }

  /** Runs an attempt whose record is durable; an earlier one of the same child is cancelled. */
  start(run: StepRun): void {
    this.stop(run.id, 'replaced')
    const active: Active = { run, notRun: 0 }
    this.#active.set(run.id, active)
    if (run.notBefore === undefined) this.#run(active)
    else active.waiting = this.#host.timers.arm(run.notBefore, () => this.#run(active))
  }

  /** Cancels a step; its outcome is no longer reported. */
  stop(id: string, reason: string): void {
    const active = this.#active.get(id)
    if (!active) return
    this.#active.delete(id)
    active.waiting?.()
    if (!active.task) return
    active.task.cancel(reason)
    const ending = active.task.outcome.then(() => {
      active.span?.end({ kind: 'cancelled' })
      this.#ending.delete(ending)
    })
    this.#ending.add(ending)
  }

  /** Nothing runs, waits to run, or is still ending. */
  get idle(): boolean {
    return this.#active.size === 0 && this.#ending.size === 0
  }

  /** Resolves when every step that was stopped has ended. Never rejects. */
  async gone(): Promise<void> {
    await Promise.all(this.#ending)
  }

  stopAll(reason: string): void {
    for (const id of [...this.#active.keys()]) this.stop(id, reason)
  }

  #run(active: Active): void {
    const { run } = active
    delete active.waiting
    active.since ??= this.#host.clock.elapsed()
    active.span ??= this.#host.begun(this.#told(run))
    active.task = this.#host.pool.run(this.#taskOf(active), this.#listen(active))
    void active.task.outcome.then((outcome) => {
      if (this.#active.get(run.id) !== active) return
      if (outcome.kind === 'not-run') this.#runLater(active)
      else this.#settle(active, outcome)
    })
  }

  /** The pool had no place, or no worker: hands the task over again, unless it has waited as long as it may. */
  #runLater(active: Active): void {
    const { clock, chance, timers } = this.#host
    const { name, policy } = active.run.declaration
    const leftMs = this.#queueLeftMs(active)
    if (leftMs === 0) return this.#settle(active, waitedTooLong(name, policy.queueTimeoutMs as number))
    const pauseMs = backoff(NOT_RUN_BACKOFF, ++active.notRun, chance.random())
    active.waiting = timers.arm(clock.now() + Math.min(pauseMs, leftMs), () => this.#run(active))
  }

  #settle(active: Active, outcome: StepEnd): void {
    const { run, span, progress } = active
    this.#active.delete(run.id)
    const told = this.#host.redacted(run, outcome)
    span?.end(told)
    this.#host.settled(run, told, progress)
  }

  #told({ id, attempt, declaration, trace, ...run }: StepRun): Omit<TracedStep, 'kind'> {
    const { session } = this.#host
    return { session, id, name: declaration.name, attempt, idempotencyKey: keyOf(session, { id, ...run }), trace }
  }

  #taskOf(active: Active): Task {
    const { run } = active
    const { policy, name } = run.declaration
    const trace = active.span?.context ?? run.trace
    const queueTimeoutMs = this.#queueLeftMs(active)
    return {
      module: run.module,
      name,
      input: run.input,
      idempotencyKey: keyOf(this.#host.session, run),
      attempt: run.attempt,
      graceMs: policy.graceMs,
      ...(trace && { trace }),
      ...(this.#host.secrets && { secrets: this.#host.secrets }),
      ...(policy.timeoutMs !== undefined && { runTimeoutMs: policy.timeoutMs }),
      ...(queueTimeoutMs < Number.POSITIVE_INFINITY && { queueTimeoutMs }),
    }
  }

  /** How much longer it may wait for a worker: the pauses count. */
  #queueLeftMs({ run, since = 0 }: Active): number {
    const { queueTimeoutMs = Number.POSITIVE_INFINITY } = run.declaration.policy
    return Math.max(0, queueTimeoutMs - (this.#host.clock.elapsed() - since))
  }

  #listen(active: Active): TaskListener {
    const { run } = active
    const origin: StepOrigin = { session: this.#host.session, step: run.id, attempt: run.attempt }
    const tell = (update: StepUpdate): void => {
      if (this.#active.get(run.id) === active) this.#host.update(update)
    }
    return {
      started: () => {},
      progress: (percent, message) => {
        active.progress = message === undefined ? { percent } : { percent, message }
        tell({ ...origin, kind: 'progress', ...active.progress })
      },
      chunk: (chunk) => tell({ ...origin, kind: 'chunk', chunk }),
      log: (message, data) => tell({ ...origin, kind: 'log', message, ...(data !== undefined && { data }) }),
    }
  }
}

const keyOf = (session: string, { id, incarnation }: Pick<StepRun, 'id' | 'incarnation'>): string =>
  `${session}.${id}.${incarnation}`
