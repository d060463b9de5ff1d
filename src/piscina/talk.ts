// What the pool's thread and a worker say to each other: the shapes of the messages and the word of memory they share.
// The word decides exactly, for both sides at once, whether an offered task was begun or taken back; the pool looks at it to
// learn that a step has started, which spares every task a message.

import type { MessagePort } from 'node:worker_threads'
import type { ErrorEnvelope } from '../envelope.js'
import type { Outcome } from '../pool.js'
import type { Said } from '../step-outbox.js'
import type { StepTask } from '../step-run.js'

/** Values of the shared word. Offered by the pool; then whoever exchanges it first has it: the worker or the pool. */
export const OFFERED = 1
export const TAKEN = 2
export const WITHDRAWN = 3

/** The first call of a worker: the line to talk on, open as long as the thread lives. */
export interface Hello {
  readonly port: MessagePort
  readonly word: Int32Array
}

/** A task for the worker. `shift` numbers the tasks of a thread, so that a late message finds nobody else's. */
export interface Offer {
  readonly shift: number
  readonly task: StepTask
  readonly deadline: number | undefined
}

/** What a worker answers to an offer it took. */
export interface Report {
  readonly outcome: Outcome
  /** What the step said and was not posted yet. */
  readonly said: readonly Said[]
  /** The thread has seen something that outlives its task: it should not serve another. */
  readonly worn: boolean
}

export type ToWorker =
  | { readonly kind: 'heard'; readonly shift: number }
  | { readonly kind: 'abort'; readonly shift: number; readonly reason: string }

export type FromWorker =
  | { readonly kind: 'said'; readonly shift: number; readonly batch: readonly Said[] }
  /** An error of the running step that nothing caught: the task is lost, and the thread with it. */
  | { readonly kind: 'crashed'; readonly shift: number; readonly error: ErrorEnvelope }
  /** An error of a task that had ended before. */
  | { readonly kind: 'late'; readonly error: ErrorEnvelope }
