// The port for the step pool: runs one named function of one module per task, away from the runtime.
// A pool never throws at its caller: every task settles, with one of the outcomes below, whatever the step does.
// Adapters: worker threads (`piscina/`), the same thread (`inline/`).

import type { ErrorEnvelope } from './envelope.js'
import type { TraceContext } from './trace-context.js'

export interface Task {
  /** URL of the module that holds the step, as a string. */
  readonly module: string
  /** Name of the exported function. */
  readonly name: string
  /** JSON. */
  readonly input: unknown
  /** The same for every attempt at the same step of the same session. */
  readonly idempotencyKey: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /** The trace that it belongs to. */
  readonly trace?: TraceContext
  /** What the step may ask for by name; it goes to the step's thread and nowhere else. */
  readonly secrets?: { readonly [name: string]: string }
  /** How long the task may wait for a worker, in ms as a clock takes them; then it fails with STEP_QUEUE_TIMEOUT. */
  readonly queueTimeoutMs?: number
  /** How long the step may run once started, likewise; then it is cancelled and fails with STEP_TIMEOUT. */
  readonly runTimeoutMs?: number
  /** How long a cancelled step has to end by itself before its thread is terminated, likewise. */
  readonly graceMs: number
}

/** What a step says while it runs: live only, never durable. Must not throw. */
export interface TaskListener {
  started(): void
  progress(percent: number, message: string | undefined): void
  chunk(chunk: unknown): void
  log(message: string, data: unknown): void
}

/** How a step ended. `retry` is false when another attempt cannot help (no such step, output that is not JSON). */
export type StepEnd =
  | { readonly kind: 'done'; readonly output: unknown }
  | { readonly kind: 'failed'; readonly error: ErrorEnvelope; readonly retry: boolean }
  | { readonly kind: 'cancelled' }

/** How a task ended. `not-run`: the pool could not begin it, which says nothing about the step; hand it over again later. */
export type Outcome = StepEnd | { readonly kind: 'not-run'; readonly error: ErrorEnvelope }

export interface RunningTask {
  /** Settles once, never rejects. After `cancel` it settles only when the step has ended or its thread is gone. */
  readonly outcome: Promise<Outcome>
  /** Aborts the step's `signal` with this reason; terminates it after the grace. Idempotent. */
  cancel(reason: string): void
}

export interface Pool {
  run(task: Task, listener: TaskListener): RunningTask
  /** How many tasks run and wait. */
  stats(): { running: number; queued: number; workers: number }
  /**
   * Starts nothing more: what waits, or comes meanwhile, is cancelled. What runs has `drainMs` (default 0) to end by itself;
   * then it is cancelled, and its end waited for (at most the grace of each). Frees the workers. Idempotent.
   */
  close(drainMs?: number): Promise<void>
}

/** What a step function gets beside its input. */
export interface StepContext {
  /** Aborted when the step is cancelled or out of time; `signal.reason` says why. */
  readonly signal: AbortSignal
  /** The same for every attempt: hand it to whatever must happen only once. */
  readonly idempotencyKey: string
  /** 1 for the first attempt, counted across crashes: also one that was recorded and that a crash kept from beginning. */
  readonly attempt: number
  /** When the attempt will be cancelled (ms since the epoch), if it has a time limit. */
  readonly deadline: number | undefined
  /** The headers to send with what the step calls, so that it is part of the session's trace; see `TraceContext`. */
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
  /** A secret that the runtime was given (`secrets` of `openRuntime`). Throws SECRET_UNKNOWN. */
  secret(name: string): string
  /** Tells observers how far the step is (0 to 100). */
  progress(percent: number, message?: string): void
  /** Sends a JSON value to observers while running, such as a token or a line of output. */
  emit(chunk: unknown): void
  log(message: string, data?: unknown): void
}

/** A step: an async function of one JSON input, run with at-least-once semantics. */
export type StepFunction<TInput = never, TOutput = unknown> = (
  input: TInput,
  context: StepContext,
) => Promise<TOutput> | TOutput
