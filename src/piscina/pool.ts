// The pool port over worker threads, by Piscina: the pool's rules (dispatch) with one seat for each thread.
// Promises: one step a thread at a time; whatever a step does to its thread, its own task settles and no other notices.
// A step inside one blocking native call (`execSync`) ends when that call does: nothing can end such a thread sooner.
// Never keeps the process alive while it has nothing to do.

import { availableParallelism } from 'node:os'
import type { ResourceLimits } from 'node:worker_threads'
import type { Clock } from '../clock.js'
import { createDispatch, DEFAULT_QUEUE_LIMIT } from '../dispatch.js'
import { requireWhole } from '../numbers.js'
import type { Pool } from '../pool.js'
import { createThreadSeat } from './seat.js'

/** Steps mostly wait for something else, so even a small machine gets some threads (8 MB each, started when needed). */
const LEAST_WORKERS = 4

export interface PiscinaPoolOptions {
  readonly clock: Clock
  /** How many threads at most; as many as there are processors, but at least 4, when absent. */
  readonly workers?: number
  /** How many tasks may wait while all threads are busy; a further one is not run, with POOL_FULL. */
  readonly queueLimit?: number
  /** The entry of a thread. */
  readonly worker?: URL
  /** Limits of the JavaScript heap of each thread. They do not see memory outside of it, such as Buffers. */
  readonly resourceLimits?: ResourceLimits
  /** Hears of errors that are in no task's outcome: threads that do not start, late throws. Must not throw. */
  readonly onWorkerError?: (error: Error) => void
}

/**
 * A pool whose steps run in worker threads.
 *
 *     const pool = createPiscinaPool({ clock: systemClock, workers: 8 })
 *     const { outcome, cancel } = pool.run(task, listener)
 */
export function createPiscinaPool(options: PiscinaPoolOptions): Pool {
  const { clock, resourceLimits, queueLimit = DEFAULT_QUEUE_LIMIT, onWorkerError = () => {} } = options
  const {
    workers = Math.max(LEAST_WORKERS, availableParallelism()),
    worker = new URL('./worker.js', import.meta.url),
  } = options
  requireWhole('workers', workers, 1)
  const seats = Array.from({ length: workers }, () =>
    createThreadSeat({ clock, worker, resourceLimits, onWorkerError }),
  )
  return createDispatch({ clock, seats, queueLimit })
}
