// One worker thread from its start to its end, with the task it runs: a Piscina of one thread and a line to talk on.
// One Piscina a thread, because Piscina never recovers from a failed start and would let the others wait for ever.
// Promises: `ready` and every sitting settle whatever becomes of the thread; `gone` settles when nothing of it is left.
// Never starts a second thread: a new one is a new object.

import { MessageChannel, type MessagePort, type ResourceLimits, receiveMessageOnPort } from 'node:worker_threads'
import { FixedQueue, Piscina } from 'piscina'
import type { Cancel, Clock } from '../clock.js'
import type { SeatEnd, Sitting } from '../dispatch.js'
import type { ErrorEnvelope } from '../envelope.js'
import type { Task, TaskListener } from '../pool.js'
import { deliver } from '../step-outbox.js'
import { envelopeOf, inputRefused } from '../step-run.js'
import {
  type FromWorker,
  type Hello,
  OFFERED,
  type Offer,
  type Report,
  TAKEN,
  type ToWorker,
  WITHDRAWN,
} from './talk.js'

/** A thread that has not loaded its entry by then is taken for stuck. */
const START_TIMEOUT_MS = 30_000
/** A thread that was up and does not take up a task by then is taken for stuck; the task is given back untouched. */
const TAKE_UP_TIMEOUT_MS = 10_000

/** How soon the pool looks whether an offered task was taken up; each further look waits twice as long, up to the cap. */
const FIRST_LOOK_MS = 1
const LOOK_CAP_MS = 50

/** The next batch of what a step says is asked for no sooner: a flood reaches its listener some 100 times a second. */
const PACE_MS = 10

export interface ThreadOptions {
  readonly clock: Clock
  readonly worker: URL
  readonly resourceLimits: ResourceLimits | undefined
  /** An error that belongs to no task that runs. */
  readonly onLateError: (error: ErrorEnvelope) => void
  /** The thread is no more. `died`: of itself, or it had to be replaced; else it was ended on purpose. */
  readonly onGone: (died: boolean) => void
}

interface Turn {
  readonly shift: number
  readonly listener: TaskListener
  readonly end: (end: SeatEnd) => void
  begun: boolean
  /** Disarms the one timer a turn has: for the next look, once it has begun for the next batch. */
  disarm: Cancel
}

export class Thread {
  /** Settles with what went wrong, or with nothing when the thread is up. Rejects when no thread could be made. */
  readonly ready: Promise<ErrorEnvelope | undefined>
  readonly gone: Promise<void>
  standing: 'starting' | 'up' | 'leaving' | 'gone' = 'starting'
  /** It has seen something that outlives a task; it should be ended as soon as it is free. */
  worn = false

  readonly #options: ThreadOptions
  readonly #piscina: Piscina
  readonly #port: MessagePort
  readonly #word = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  #turn: Turn | undefined
  #shift = 0
  /** Why the thread died, as far as known. */
  #cause: ErrorEnvelope | undefined
  #leave: () => void = () => {}

  constructor(options: ThreadOptions) {
    this.#options = options
    this.#piscina = createPiscina(options)
    this.#piscina.on('error', (error) => this.#died(error))
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    this.#port.on('message', (message: FromWorker) => this.#hear(message))
    this.#port.unref()
    this.gone = new Promise((resolve) => {
      this.#leave = resolve
    })
    this.ready = this.#start(port2)
  }

  /** Ends the thread, and with it whatever runs there. Idempotent. */
  terminate(): void {
    if (this.standing !== 'gone') this.standing = 'leaving'
    void this.#piscina.destroy()
  }

  /** Hands a task over; the thread must be up and free. */
  run(task: Task, deadline: number | undefined, listener: TaskListener): Sitting {
    const shift = ++this.#shift
    Atomics.store(this.#word, 0, OFFERED)
    const ended = new Promise<SeatEnd>((resolve) => {
      this.#turn = { shift, listener, end: resolve, begun: false, disarm: () => {} }
      this.#lookLater(this.#turn, FIRST_LOOK_MS, 0)
    })
    const { module, name, input, idempotencyKey, attempt, secrets, trace } = task
    const part = { module, name, input, idempotencyKey, attempt, ...(secrets && { secrets }), ...(trace && { trace }) }
    this.#call({ shift, task: part, deadline }).then(
      (report) => this.#receive(shift, report),
      (error) => this.#refused(shift, task, error),
    )
    return {
      ended,
      withdraw: () => this.#turn?.shift === shift && this.#withdraw(),
      abort: (reason) => this.#tell({ kind: 'abort', shift, reason }),
      terminate: () => this.#turn?.shift === shift && this.terminate(),
    }
  }

  /** Rejects when the thread cannot even be made. */
  async #start(port: MessagePort): Promise<ErrorEnvelope | undefined> {
    const greeted = this.#greet(port)
    const disarm = this.#options.clock.setTimeout(() => {
      this.#died(new Error(`the worker did not start within ${START_TIMEOUT_MS} ms`))
      this.terminate()
    }, START_TIMEOUT_MS)
    const failure = await Promise.race([greeted, this.gone.then(() => this.#cause ?? ENDED)])
    disarm()
    if (failure === undefined && this.standing === 'starting') this.standing = 'up'
    return failure
  }

  /** Starts the thread and gives it its line. Piscina makes the thread within this very call. */
  #greet(port: MessagePort): Promise<ErrorEnvelope | undefined> {
    const hello: Hello = { port, word: this.#word }
    const greeted = this.#piscina.run(hello, { name: 'hello', transferList: [port] })
    this.#watch()
    return greeted.then(
      () => undefined,
      (error) => this.#failedStart(error),
    )
  }

  #watch(): void {
    const [worker] = this.#piscina.threads
    worker?.on('error', (error) => this.#died(error))
    worker?.on('exit', (code) => {
      if (this.standing !== 'leaving') this.#died(new Error(`its thread exited with code ${code}`))
      this.#depart()
    })
  }

  /** Keeps the first reason: what comes later is its consequence. */
  #died(error: unknown): void {
    this.#cause ??= envelopeOf(error)
  }

  async #failedStart(error: unknown): Promise<ErrorEnvelope> {
    if (this.standing === 'starting') this.#died(error)
    this.terminate()
    await this.gone
    return this.#cause ?? ENDED
  }

  /** The thread is no more: hear what it still had said, then let its task know. */
  #depart(): void {
    this.#hearAll()
    const untouched = this.#turn === undefined || this.#withdraw()
    if (!untouched) this.#begin()
    if (untouched && this.#shift > 0 && this.#cause) this.#options.onLateError(this.#cause)
    this.standing = 'gone'
    this.#port.close()
    void this.#piscina.destroy()
    this.#options.onGone(this.worn || this.#cause !== undefined)
    this.#finish(untouched ? { kind: 'untouched' } : this.#endByDeath())
    this.#leave()
  }

  #endByDeath(): SeatEnd {
    return this.#cause ? { kind: 'crashed', error: this.#cause } : { kind: 'terminated' }
  }

  #hear(message: FromWorker): void {
    if (message.kind === 'late') return this.#late(message.error)
    const turn = this.#turn
    const { shift } = message
    if (!turn || shift !== turn.shift) return
    if (message.kind === 'crashed') return this.#crash(message.error)
    this.#begin()
    deliver(message.batch, turn.listener)
    turn.disarm = this.#options.clock.setTimeout(() => this.#tell({ kind: 'heard', shift }), PACE_MS)
  }

  #hearAll(): void {
    for (let got = receiveMessageOnPort(this.#port); got; got = receiveMessageOnPort(this.#port))
      this.#hear(got.message)
  }

  #late(error: ErrorEnvelope): void {
    this.worn = true
    this.#options.onLateError(error)
    if (!this.#turn) this.terminate()
  }

  #crash(error: ErrorEnvelope): void {
    this.#cause ??= error
    this.terminate()
  }

  #receive(shift: number, report: Report | undefined): void {
    this.#hearAll() // what the step said before it ended was posted before
    if (this.#turn?.shift !== shift || this.#cause) return
    if (!report) return this.#finish({ kind: 'untouched' })
    this.#begin()
    deliver(report.said, this.#turn.listener)
    this.worn ||= report.worn
    this.#finish({ kind: 'ended', outcome: report.outcome })
  }

  /** The call failed: an input that cannot be cloned leaves the thread as it was, anything else comes with its end. */
  #refused(shift: number, task: Task, error: unknown): void {
    if (this.#turn?.shift !== shift || this.standing !== 'up') return
    if (this.#withdraw() && (error as Error).name === 'DataCloneError') {
      return this.#finish({ kind: 'ended', outcome: inputRefused(task, error) })
    }
    this.#died(error)
    this.terminate()
  }

  #finish(end: SeatEnd): void {
    const turn = this.#turn
    this.#turn = undefined
    turn?.disarm()
    turn?.end(end)
  }

  #withdraw(): boolean {
    const before = Atomics.compareExchange(this.#word, 0, OFFERED, WITHDRAWN)
    return before === OFFERED || before === WITHDRAWN
  }

  #lookLater(turn: Turn, ms: number, waitedMs: number): void {
    turn.disarm = this.#options.clock.setTimeout(() => {
      if (Atomics.load(this.#word, 0) === TAKEN) this.#begin()
      else if (waitedMs + ms >= TAKE_UP_TIMEOUT_MS) this.#stuck()
      else this.#lookLater(turn, Math.min(2 * ms, LOOK_CAP_MS), waitedMs + ms)
    }, ms)
  }

  /** The step has begun; tells its listener, once. */
  #begin(): void {
    const turn = this.#turn
    if (!turn || turn.begun) return
    turn.begun = true
    turn.disarm()
    turn.listener.started()
  }

  #stuck(): void {
    if (!this.#withdraw()) return
    this.#died(new Error(`the worker did not take up a step within ${TAKE_UP_TIMEOUT_MS} ms`))
    this.terminate()
  }

  #call(offer: Offer): Promise<Report | undefined> {
    return this.#piscina.run(offer)
  }

  #tell(message: ToWorker): void {
    if (this.standing === 'up') this.#port.postMessage(message)
  }
}

const ENDED: ErrorEnvelope = { name: 'Error', message: 'the worker was ended while it started' }

function createPiscina({ worker, resourceLimits }: ThreadOptions): Piscina {
  return new Piscina({
    filename: worker.href,
    name: 'run',
    minThreads: 0,
    maxThreads: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    taskQueue: new FixedQueue(), // the default one is shared by every Piscina of the process
    atomics: 'disabled', // else a thread sleeps between tasks, and what one left behind wakes up under the next
    recordTiming: false,
    ...(resourceLimits ? { resourceLimits } : {}),
  })
}
