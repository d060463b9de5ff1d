// The pool's rules, the same for every adapter: a bounded line, the queue and run deadlines, cancel with its grace, close.
// An adapter brings only seats: places where one task at a time runs.
// Promises: every task settles once; one that never started says so (STEP_QUEUE_TIMEOUT, `not-run`, `cancelled`) at once.
// Never touches threads or timers itself: seats and the clock come from outside.

import type { Cancel, Clock } from './clock.js'
import type { ErrorEnvelope } from './envelope.js'
import { HoldfastError } from './errors.js'
import type { Outcome, Pool, RunningTask, Task, TaskListener } from './pool.js'
import { failed, notRun, waitedTooLong } from './step-run.js'

/** How many tasks may wait when the caller does not say. */
export const DEFAULT_QUEUE_LIMIT = 10_000

/** A task that a seat gave back untouched is offered this often; then it is what kills the seats, and it fails. */
const MAX_OFFERS = 3

/** A place where one task at a time runs: a worker thread, or a turn in this one. */
export interface Seat {
  /** `up`: takes a task at once. `cold`: has to be started first. `resting`: waits after a crash. */
  standing(): 'up' | 'cold' | 'resting'
  /** Resolves when the rest after a crash is over. Never rejects. */
  rested(): Promise<void>
  /** Gets ready to take a task. Gives what went wrong, if anything. Never rejects. */
  open(): Promise<ErrorEnvelope | undefined>
  /** Takes a task; only after `open`, and only when the task before has ended. Never calls the listener at once. */
  run(task: Task, deadline: number | undefined, listener: TaskListener): Sitting
  /** Frees what the seat holds; what still runs is ended by force. Idempotent. */
  close(): Promise<void>
}

/** A task in its seat. */
export interface Sitting {
  /** Settles when the seat is free of the step: it has ended, or nothing is left of it. Never rejects. */
  readonly ended: Promise<SeatEnd>
  /** Takes the task back. False when it has begun; true means that it never will. */
  withdraw(): boolean
  /** Asks the step to stop. */
  abort(reason: string): void
  /** Ends the step by force. */
  terminate(): void
}

export type SeatEnd =
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'crashed'; readonly error: ErrorEnvelope }
  | { readonly kind: 'terminated' }
  | { readonly kind: 'untouched' }

export interface DispatchOptions {
  readonly clock: Clock
  readonly seats: readonly Seat[]
  /** How many tasks may wait while every seat is taken. */
  readonly queueLimit: number
}

type Phase =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'offered'; readonly sitting: Sitting }
  | { readonly kind: 'started'; readonly sitting: Sitting }
  | { readonly kind: 'stopping'; readonly verdict: Outcome }
  | { readonly kind: 'settled' }

type Readiness =
  | { readonly kind: 'open' }
  | { readonly kind: 'broken'; readonly error: ErrorEnvelope }
  | { readonly kind: 'unneeded' }

interface Job {
  readonly task: Task
  readonly listener: TaskListener
  readonly outcome: Promise<Outcome>
  readonly resolve: (outcome: Outcome) => void
  phase: Phase
  offers: number
  /** Disarms the one timer a job has: for the queue, then the run, then the grace. */
  disarm: Cancel
}

const CANCELLED: Outcome = { kind: 'cancelled' }

/** A pool over these seats. Throws INVALID_ARGUMENT when there is no seat, or the limit is not one. */
export function createDispatch({ clock, seats, queueLimit }: DispatchOptions): Pool {
  if (seats.length === 0) throw new HoldfastError('INVALID_ARGUMENT', 'a pool has at least one worker')
  if (!(queueLimit >= 0)) throw new HoldfastError('INVALID_ARGUMENT', `a queue limit is 0 or more, not ${queueLimit}`)
  let waiting = new Set<Job>()
  const seated = new Set<Job>()
  const idle = [...seats]
  let closing: Promise<void> | undefined
  /** Closed with time to drain: its users still live, and what they start is not a failure of theirs. */
  let draining = false

  function run(task: Task, listener: TaskListener): RunningTask {
    if (draining) return refused(CANCELLED)
    if (closing) return refused(notRun('POOL_CLOSED', task, 'the pool is closed'))
    if (waiting.size >= queueLimit + seats.length - seated.size)
      return refused(notRun('POOL_FULL', task, `${queueLimit} steps wait already`))
    const job = createJob(task, listener)
    waiting.add(job)
    if (task.queueTimeoutMs !== undefined) job.disarm = clock.setTimeout(() => expire(job), task.queueTimeoutMs)
    wake()
    return { outcome: job.outcome, cancel: (reason) => stop(job, CANCELLED, reason) }
  }

  function wake(): void {
    const seat = takeBest(idle)
    if (seat) void serve(seat)
  }

  /** The life of a seat while there is work: rest, open, take the first in line, see it to its end. */
  async function serve(seat: Seat): Promise<void> {
    for (let free = false; !free; ) {
      const readiness = await makeReady(seat)
      if (readiness.kind === 'broken') giveUp(seat, readiness.error)
      const job = readiness.kind === 'open' ? firstOf(waiting) : undefined
      const end = job && (await sit(job, seat))
      free = waiting.size === 0
      if (free) idle.push(seat) // before the outcome is known, so that whoever comes then is not sent to another seat
      if (job && end) conclude(job, end)
    }
  }

  async function makeReady(seat: Seat): Promise<Readiness> {
    if (seat.standing() === 'resting') await seat.rested()
    if (waiting.size === 0) return { kind: 'unneeded' }
    const error = await seat.open()
    return error ? { kind: 'broken', error } : { kind: 'open' }
  }

  async function sit(job: Job, seat: Seat): Promise<SeatEnd> {
    waiting.delete(job)
    seated.add(job)
    job.offers++
    const sitting = seat.run(job.task, deadlineOf(job.task), heard(job))
    job.phase = { kind: 'offered', sitting }
    const end = await sitting.ended
    seated.delete(job)
    return end
  }

  function conclude(job: Job, end: SeatEnd): void {
    const { phase } = job
    if (phase.kind === 'settled') return
    if (phase.kind === 'stopping') settle(job, phase.verdict)
    else if (end.kind === 'untouched' && job.offers < MAX_OFFERS) putBack(job)
    else settle(job, outcomeOf(end, job.task))
  }

  function putBack(job: Job): void {
    job.phase = { kind: 'waiting' }
    waiting = new Set([job, ...waiting])
    wake()
  }

  /** A seat cannot be opened: nobody should wait for it, unless another seat is at work. */
  function giveUp(broken: Seat, error: ErrorEnvelope): void {
    if (seats.some((seat) => seat !== broken && seat.standing() === 'up')) return
    for (const job of [...waiting])
      settle(job, notRun('STEP_CRASHED', job.task, `no worker starts: ${error.message}`, error))
  }

  function heard(job: Job): TaskListener {
    const open = (): boolean => job.phase.kind !== 'settled'
    return {
      started: () => begin(job),
      progress: (percent, message) => open() && job.listener.progress(percent, message),
      chunk: (chunk) => open() && job.listener.chunk(chunk),
      log: (message, data) => open() && job.listener.log(message, data),
    }
  }

  function begin(job: Job): void {
    if (job.phase.kind !== 'offered') return
    job.phase = { kind: 'started', sitting: job.phase.sitting }
    job.disarm()
    const { runTimeoutMs } = job.task
    if (runTimeoutMs !== undefined) {
      const verdict = failed('STEP_TIMEOUT', `step "${job.task.name}" ran for over ${runTimeoutMs} ms`, true)
      job.disarm = clock.setTimeout(() => stop(job, verdict, `out of time after ${runTimeoutMs} ms`), runTimeoutMs)
    }
    job.listener.started()
  }

  function expire(job: Job): void {
    if (!takeBack(job)) return
    const { name, queueTimeoutMs } = job.task
    settle(job, waitedTooLong(name, queueTimeoutMs as number))
  }

  function stop(job: Job, verdict: Outcome, reason: string): void {
    if (takeBack(job)) return settle(job, verdict)
    if (job.phase.kind !== 'offered' && job.phase.kind !== 'started') return
    const { sitting } = job.phase
    job.phase = { kind: 'stopping', verdict }
    job.disarm()
    job.disarm = clock.setTimeout(() => sitting.terminate(), job.task.graceMs)
    sitting.abort(reason)
  }

  /** True when the step has not begun, and now never will. */
  const takeBack = (job: Job): boolean =>
    job.phase.kind === 'waiting' || (job.phase.kind === 'offered' && job.phase.sitting.withdraw())

  function settle(job: Job, outcome: Outcome): void {
    job.disarm()
    waiting.delete(job)
    job.phase = { kind: 'settled' }
    job.resolve(outcome)
  }

  const deadlineOf = ({ runTimeoutMs }: Task): number | undefined =>
    runTimeoutMs === undefined ? undefined : clock.now() + runTimeoutMs

  async function shutDown(drainMs: number): Promise<void> {
    if (drainMs > 0) await drain(drainMs)
    const jobs = [...waiting, ...seated]
    for (const job of jobs) stop(job, CANCELLED, 'the pool is closing')
    await Promise.all(jobs.map((job) => job.outcome))
    await Promise.all(seats.map((seat) => seat.close()))
  }

  async function drain(drainMs: number): Promise<void> {
    draining = true
    for (const job of [...waiting]) stop(job, CANCELLED, 'the pool is closing')
    let disarm: Cancel = () => {}
    const deadline = new Promise<void>((resolve) => {
      disarm = clock.setTimeout(resolve, drainMs)
    })
    await Promise.race([deadline, Promise.all([...seated].map((job) => job.outcome))])
    disarm()
  }

  return {
    run,
    stats: () => ({
      running: seated.size,
      queued: waiting.size,
      workers: seats.filter((seat) => seat.standing() === 'up').length,
    }),
    close: (drainMs = 0) => (closing ??= shutDown(drainMs)),
  }
}

function createJob(task: Task, listener: TaskListener): Job {
  let resolve: (outcome: Outcome) => void = () => {}
  const outcome = new Promise<Outcome>((settle) => {
    resolve = settle
  })
  return { task, listener, outcome, resolve, phase: { kind: 'waiting' }, offers: 0, disarm: () => {} }
}

/** Takes the seat that can start soonest: a thread that is up costs nothing, a cold one its start, a resting one a wait. */
function takeBest(idle: Seat[]): Seat | undefined {
  for (const wanted of ['up', 'cold', 'resting']) {
    const index = idle.findLastIndex((seat) => seat.standing() === wanted)
    if (index >= 0) return idle.splice(index, 1)[0]
  }
  return undefined
}

function firstOf<T>(set: ReadonlySet<T>): T | undefined {
  for (const item of set) return item
  return undefined
}

const refused = (outcome: Outcome): RunningTask => ({ outcome: Promise.resolve(outcome), cancel: () => {} })

function outcomeOf(end: SeatEnd, task: Task): Outcome {
  if (end.kind === 'ended') return end.outcome
  if (end.kind === 'crashed') return failed('STEP_CRASHED', crashed(task, end.error), true, end.error)
  return failed('STEP_CRASHED', `step "${task.name}" was not run: its worker died before the step began`, true)
}

const crashed = (task: Task, error: ErrorEnvelope): string => `step "${task.name}" crashed its worker: ${error.message}`
