// The pool port in the caller's own thread: for tests, simulation, and places without worker threads.
// Promises: the same rules and outcomes as the pool of worker threads, with every wait on the clock it is given.
// Never ends a step by force, for nothing can: after the grace it settles, and ignores whatever the step does later.

import type { Clock } from '../clock.js'
import { createDispatch, DEFAULT_QUEUE_LIMIT, type Seat, type SeatEnd, type Sitting } from '../dispatch.js'
import { requireWhole } from '../numbers.js'
import type { Outcome, Pool, Task, TaskListener } from '../pool.js'
import { createOutbox, deliver, type Said } from '../step-outbox.js'
import { abortReason, inputRefused, type LoadModule, runStep } from '../step-run.js'

/** How many steps run at a time when the caller does not say. */
const DEFAULT_INLINE_WORKERS = 64

export interface InlinePoolOptions {
  readonly clock: Clock
  /** Gives the exports of a module of steps; `import` when absent. */
  readonly load?: LoadModule
  /** How many steps run at a time. */
  readonly workers?: number
  /** How many more may wait. */
  readonly queueLimit?: number
}

/** A pool whose steps run in this thread. */
export function createInlinePool(options: InlinePoolOptions): Pool {
  const { clock, load = importModule, workers = DEFAULT_INLINE_WORKERS, queueLimit = DEFAULT_QUEUE_LIMIT } = options
  requireWhole('workers', workers, 1)
  const seat = createInlineSeat(clock, load)
  // Seats of this thread are all alike; the pool needs one to hold for each step.
  const seats = Array.from({ length: workers }, () => ({ ...seat }))
  return createDispatch({ clock, seats, queueLimit })
}

const importModule: LoadModule = (module) => import(module) as Promise<Record<string, unknown>>

function createInlineSeat(clock: Clock, load: LoadModule): Seat {
  return {
    standing: () => 'up',
    rested: () => Promise.resolve(),
    open: () => Promise.resolve(undefined),
    run: (task, deadline, listener) => sit(clock, load, task, deadline, listener),
    close: () => Promise.resolve(),
  }
}

function sit(
  clock: Clock,
  load: LoadModule,
  task: Task,
  deadline: number | undefined,
  listener: TaskListener,
): Sitting {
  const controller = new AbortController()
  const mouth = createMouth(clock, listener)
  let abandon: (end: SeatEnd) => void = () => {}
  const abandoned = new Promise<SeatEnd>((resolve) => {
    abandon = resolve
  })

  async function run(): Promise<SeatEnd> {
    await undefined // the listener is never called before `sit` has returned
    listener.started()
    const outcome = await runCopy(task, deadline, controller.signal, mouth, load)
    mouth.close()
    return { kind: 'ended', outcome }
  }

  return {
    ended: Promise.race([run(), abandoned]),
    withdraw: () => false,
    abort: (reason) => controller.abort(abortReason(reason)),
    terminate() {
      mouth.close()
      abandon({ kind: 'terminated' })
    },
  }
}

/** A step gets its own copy of the input, as it would in a worker. */
async function runCopy(
  task: Task,
  deadline: number | undefined,
  signal: AbortSignal,
  { outbox }: Mouth,
  load: LoadModule,
): Promise<Outcome> {
  let input: unknown
  try {
    input = structuredClone(task.input)
  } catch (error) {
    return inputRefused(task, error)
  }
  return runStep({ task: { ...task, input }, deadline, signal, outbox, load })
}

interface Mouth {
  readonly outbox: ReturnType<typeof createOutbox>
  /** Delivers what was said before the end; nothing after it. */
  close(): void
}

/** Delivers what a step says on the next turn, so that a flood within one turn is one batch. */
function createMouth(clock: Clock, listener: TaskListener): Mouth {
  let underWay: readonly Said[] = []
  const outbox = createOutbox({
    post(batch) {
      underWay = batch
      clock.soon(arrive)
    },
    poll() {},
  })
  function arrive(): void {
    const batch = underWay
    underWay = []
    deliver(batch, listener)
    outbox.acknowledged()
  }
  return {
    outbox,
    close() {
      const rest = outbox.end()
      arrive()
      deliver(rest, listener)
    },
  }
}
