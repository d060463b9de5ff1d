// Declares steps: actors of a machine whose work is a named function of the kind's step module, run in the pool.
// To the machine a step is a promise actor: it is done with an output or fails with an error. Here is only what a step is;
// `step-runner.ts` runs it.

import type { PromiseActorLogic } from 'xstate'
import { requireMs, requireWhole } from './numbers.js'
import { admitOptions, type KeysOf } from './options.js'
import type { StepContext } from './pool.js'

/** How a step is tried again and how long it may take. Times are in milliseconds, at most 2^31 - 1 (24.8 days). */
export interface StepOptions {
  /**
   * Attempts in all, the first included; default 1, may be Infinity. A crash of the process is not a failed attempt, nor is waiting for
   * a full pool, and an error thrown with a field `retry: false` is final.
   */
  readonly attempts?: number
  /** Pause before the second attempt; doubles with each, with jitter. Default 200. */
  readonly backoffMs?: number
  /** Longest pause; default 30,000. */
  readonly maxBackoffMs?: number
  /** How long one attempt may run; default, and Infinity: unlimited. */
  readonly timeoutMs?: number
  /** How long an attempt may wait for a worker; default, and Infinity: unlimited. */
  readonly queueTimeoutMs?: number
  /** How long a cancelled step has to end before its thread is terminated; default 2,000. */
  readonly graceMs?: number
}

const OPTIONS: KeysOf<StepOptions> = {
  attempts: true,
  backoffMs: true,
  maxBackoffMs: true,
  timeoutMs: true,
  queueTimeoutMs: true,
  graceMs: true,
}

/** A pause that doubles with each failure, up to a longest. */
export interface Backoff {
  readonly backoffMs: number
  readonly maxBackoffMs: number
}

export interface StepPolicy extends Backoff {
  readonly attempts: number
  readonly timeoutMs: number | undefined
  readonly queueTimeoutMs: number | undefined
  readonly graceMs: number
}

const STEP: unique symbol = Symbol.for('holdfast.step')

/** A function that can be a step: of one JSON input, or none. */
// biome-ignore lint/suspicious/noExplicitAny: a bound for inference; each step has its own input
export type AnyStepFunction = (input: any, context: StepContext) => unknown

export type StepInput<F extends AnyStepFunction> =
  Parameters<F> extends [infer TInput, ...unknown[]] ? TInput : undefined
export type StepLogic<F extends AnyStepFunction> = PromiseActorLogic<Awaited<ReturnType<F>>, StepInput<F>>

export interface StepDeclaration {
  /** The name of the exported function in the kind's step module. */
  readonly name: string
  readonly policy: StepPolicy
}

/**
 * Declares a step for `setup({ actors })`. `F` is the type of its function, so that input and output are checked:
 * `step<typeof import('./steps.js')['summarise']>('summarise', { attempts: 3 })`.
 * Throws INVALID_ARGUMENT for a number that makes no sense, or an option that is not there.
 */
export function step<F extends AnyStepFunction>(name: string, options: StepOptions = {}): StepLogic<F> {
  admitOptions(`options of step "${name}"`, options, OPTIONS)
  const policy: StepPolicy = {
    attempts: options.attempts ?? 1,
    backoffMs: options.backoffMs ?? 200,
    maxBackoffMs: options.maxBackoffMs ?? 30_000,
    timeoutMs: limit(options.timeoutMs),
    queueTimeoutMs: limit(options.queueTimeoutMs),
    graceMs: options.graceMs ?? 2_000,
  }
  checkPolicy(name, policy)
  const logic = {
    [STEP]: { name, policy } satisfies StepDeclaration,
    config: {},
    getInitialSnapshot: (_: unknown, input: unknown) => ({
      status: 'active',
      output: undefined,
      error: undefined,
      input,
    }),
    transition: (snapshot: unknown) => snapshot,
    getPersistedSnapshot: (snapshot: unknown) => snapshot,
  }
  return logic as unknown as StepLogic<F>
}

/** What `step` declared, or undefined when the actor logic is not a step. */
export const stepOf = (logic: unknown): StepDeclaration | undefined =>
  typeof logic === 'object' && logic !== null ? (logic as { [STEP]?: StepDeclaration })[STEP] : undefined

const limit = (ms: number | undefined): number | undefined => (ms === Number.POSITIVE_INFINITY ? undefined : ms)

function checkPolicy(name: string, { attempts, ...times }: StepPolicy): void {
  if (attempts !== Number.POSITIVE_INFINITY) requireWhole(`attempts of step "${name}"`, attempts, 1)
  for (const [field, ms] of Object.entries(times)) if (ms !== undefined) requireMs(`${field} of step "${name}"`, ms)
}

/** More doublings of a millisecond are longer than any pause may be, and of none at all they are still none. */
const MOST_DOUBLINGS = 31

/** How long to wait before an attempt, in ms: doubling, at most the longest, and between half and all of that. */
export function backoff(policy: Backoff, attemptsFailed: number, random: number): number {
  const full = Math.min(policy.backoffMs * 2 ** Math.min(attemptsFailed - 1, MOST_DOUBLINGS), policy.maxBackoffMs)
  return Math.round(full * (0.5 + random / 2))
}
