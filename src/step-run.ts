// One run of one step function, whatever thread it is in: load the module, find the function, call it, judge its output.
// Promises: never rejects; every way a step can end by itself becomes an Outcome made of JSON only.
// Never ends a step by force: whoever calls it owns the thread.

import { type ErrorEnvelope, encodeError } from './envelope.js'
import { type ErrorCode, HoldfastError } from './errors.js'
import { copyJson } from './json.js'
import type { Outcome, StepContext, StepEnd, StepFunction, Task } from './pool.js'
import type { Outbox } from './step-outbox.js'

/** The part of a task that the step itself needs. */
export type StepTask = Pick<Task, 'module' | 'name' | 'input' | 'idempotencyKey' | 'attempt' | 'secrets' | 'trace'>

export type LoadModule = (module: string) => Promise<Record<string, unknown>>

export interface StepCall {
  readonly task: StepTask
  /** When the run will be cancelled, in ms since the epoch, if it has a limit. */
  readonly deadline: number | undefined
  readonly signal: AbortSignal
  readonly outbox: Outbox
  readonly load: LoadModule
}

/** Runs a step to its own end. */
export async function runStep(run: StepCall): Promise<Outcome> {
  const found = await findStep(run.task, run.load)
  if (typeof found !== 'function') return found
  if (run.signal.aborted) return { kind: 'cancelled' }
  try {
    return judge(await found(run.task.input as never, contextOf(run)), run.task)
  } catch (error) {
    return { kind: 'failed', error: envelopeOf(error), retry: true }
  }
}

/** An outcome for what went wrong around a step rather than in it. */
export const failed = (code: ErrorCode, message: string, retry: boolean, cause?: ErrorEnvelope): StepEnd => ({
  kind: 'failed',
  error: errorOf(code, message, cause),
  retry,
})

/** The outcome of a task whose step never began, for a reason that may pass. */
export const notRun = (code: ErrorCode, task: StepTask, why: string, cause?: ErrorEnvelope): Outcome => ({
  kind: 'not-run',
  error: errorOf(code, `step "${task.name}" was not run: ${why}`, cause),
})

/** The failure of a step that has waited for a worker longer than it may. */
export const waitedTooLong = (name: string, queueTimeoutMs: number): StepEnd =>
  failed('STEP_QUEUE_TIMEOUT', `step "${name}" waited over ${queueTimeoutMs} ms for a worker`, true)

const errorOf = (code: ErrorCode, message: string, cause?: ErrorEnvelope): ErrorEnvelope => ({
  name: 'HoldfastError',
  code,
  message,
  ...(cause ? { cause } : {}),
})

/** The outcome for an input that cannot be handed over; the step has not run. */
export const inputRefused = (task: StepTask, error: unknown): Outcome =>
  failed('NOT_JSON', `the input of step "${task.name}" cannot be handed to it: give it JSON`, false, envelopeOf(error))

/** What `signal.reason` is: an AbortError, as the web's own APIs know it. */
export const abortReason = (reason: string): DOMException => new DOMException(reason, 'AbortError')

/** The envelope of anything thrown, even of what defends itself against being looked at. */
export function envelopeOf(error: unknown): ErrorEnvelope {
  try {
    return copyJson(encodeError(error), 'error')
  } catch {
    return { name: 'Error', message: `a ${typeof error} was thrown that cannot be described` }
  }
}

async function findStep(task: StepTask, load: LoadModule): Promise<StepFunction | Outcome> {
  let module: Record<string, unknown>
  try {
    module = await load(task.module)
  } catch (error) {
    const cause = envelopeOf(error)
    return failed('STEP_MODULE_FAILED', `cannot load the steps in ${task.module}: ${whyNotLoaded(cause)}`, true, cause)
  }
  const step = Object.hasOwn(module, task.name) ? module[task.name] : undefined
  return typeof step === 'function' ? (step as StepFunction) : notFound(task, module)
}

/** Who imports the module is Holdfast itself: of no use to whoever looks for the module. */
function whyNotLoaded({ message }: ErrorEnvelope): string {
  const what = message.replace(/ imported from \S*\/(piscina\/worker|inline\/pool)\.[jt]s$/, '')
  if (what.startsWith('Cannot find module')) return `${what}; is it compiled?`
  return what.startsWith('Cannot find package') ? `${what}; is it installed?` : what
}

function notFound(task: StepTask, module: Record<string, unknown>): Outcome {
  const names = Object.keys(module).filter((name) => typeof module[name] === 'function')
  const known = names.length > 0 ? `it exports ${names.join(', ')}` : 'it exports no function'
  return failed('STEP_NOT_FOUND', `no function "${task.name}" in ${task.module}: ${known}`, false)
}

function contextOf({ task, deadline, signal, outbox }: StepCall): StepContext {
  return Object.freeze({
    signal,
    idempotencyKey: task.idempotencyKey,
    attempt: task.attempt,
    deadline,
    traceparent: task.trace?.traceparent,
    tracestate: task.trace?.tracestate,
    secret: (name: string) => secretOf(task, name),
    progress: (percent: number, message?: string) => outbox.progress(percent, message),
    emit: (chunk: unknown) => outbox.emit(chunk),
    log: (message: string, data?: unknown) => outbox.log(message, data),
  })
}

function secretOf({ name: step, secrets = {} }: StepTask, name: string): string {
  const value = Object.hasOwn(secrets, name) ? secrets[name] : undefined
  if (value !== undefined) return value
  const names = Object.keys(secrets).join(', ') || 'none'
  throw new HoldfastError(
    'SECRET_UNKNOWN',
    `step "${step}" asks for the secret "${name}"; give it to the runtime: secrets of openRuntime, or holdfast serve --secret ${name} (it has: ${names})`,
  )
}

function judge(output: unknown, task: StepTask): Outcome {
  if (output === undefined) return { kind: 'done', output }
  try {
    return { kind: 'done', output: copyJson(output, 'output') }
  } catch (error) {
    const cause = envelopeOf(error)
    const path = error instanceof HoldfastError ? error.details.path : undefined
    const message = `step "${task.name}" returned what is not JSON: ${cause.message}`
    return {
      kind: 'failed',
      error: { name: 'HoldfastError', code: 'STEP_OUTPUT_NOT_JSON', message, details: { path: path ?? 'output' } },
      retry: false,
    }
  }
}
