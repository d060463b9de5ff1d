// Runs the active steps of one session: waits for their time, hands them to the pool, tells what became of them.
// It starts a step only when told that the attempt is durable, and reports each attempt's outcome once; it decides nothing
// (whether to try again is the session's decision, since it must be recorded first).

import type { Cancel } from './clock.js'
import type { Outcome, Pool, RunningTask, Task, TaskListener } from './pool.js'
import type { Progress } from './record.js'
import type { StepDeclaration } from './steps.js'
import type { Timers } from './timers.js'

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
}

export interface StepRunnerHost {
  readonly session: string
  readonly pool: Pool
  readonly timers: Timers
  update(update: StepUpdate): void
  settled(run: StepRun, outcome: Outcome, progress: Progress | undefined): void
}

interface Active {
  readonly run: StepRun
  waiting?: Cancel
  task?: RunningTask
  progress?: Progress
}

export class StepRunner {
  readonly #host: StepRunnerHost
  readonly #active: Map<string, Active> = new Map()

  constructor(host: StepRunnerHost) {
    this.#host = host
  }

  /** Runs an attempt whose record is durable; an earlier one of the same child is cancelled. */
  start(run: StepRun): void {
    this.stop(run.id, 'replaced')
    const active: Active = { run }
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
    active.task?.cancel(reason)
  }

  stopAll(reason: string): void {
    for (const id of [...this.#active.keys()]) this.stop(id, reason)
  }

  #run(active: Active): void {
    const { run } = active
    delete active.waiting
    const { policy, name } = run.declaration
    const task: Task = {
      module: run.module,
      name,
      input: run.input,
      idempotencyKey: `${this.#host.session}.${run.id}.${run.incarnation}`,
      attempt: run.attempt,
      graceMs: policy.graceMs,
      ...(policy.timeoutMs !== undefined && { runTimeoutMs: policy.timeoutMs }),
      ...(policy.queueTimeoutMs !== undefined && { queueTimeoutMs: policy.queueTimeoutMs }),
    }
    active.task = this.#host.pool.run(task, this.#listen(active))
    void active.task.outcome.then((outcome) => {
      if (this.#active.get(run.id) !== active) return
      this.#active.delete(run.id)
      this.#host.settled(run, outcome, active.progress)
    })
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
