// A seat of the pool: one worker thread after another, with a rest between those that die.
// Promises: at most one thread at a time; after the first, each death in a row doubles the rest, up to a cap.
// Never shares a thread between tasks, so that ending one harms no other.

import type { Clock } from '../clock.js'
import type { Seat, SeatEnd } from '../dispatch.js'
import { decodeError, type ErrorEnvelope } from '../envelope.js'
import { envelopeOf } from '../step-run.js'
import { Thread, type ThreadOptions } from './thread.js'

/** The rest after the second death in a row; it doubles with each further one. The first costs no rest. */
export const RESPAWN_REST_MS = 100
/** The longest rest. */
export const RESPAWN_REST_CAP_MS = 10_000

/** How long a seat rests after so many deaths in a row. */
export const restMs = (deaths: number): number =>
  deaths < 2 ? 0 : Math.min(RESPAWN_REST_MS * 2 ** Math.min(deaths - 2, 30), RESPAWN_REST_CAP_MS)

export interface SeatOptions extends Omit<ThreadOptions, 'onLateError' | 'onGone'> {
  readonly onWorkerError: (error: Error) => void
}

const CLOSED: ErrorEnvelope = { name: 'Error', message: 'the pool is closed' }

export function createThreadSeat({ onWorkerError, ...options }: SeatOptions): Seat {
  const rest = createRest(options.clock)
  const onLateError = (error: ErrorEnvelope): void => onWorkerError(decodeError(error))
  const onGone = (died: boolean): void => {
    if (died && !closed) rest.lengthen()
  }
  let thread: Thread | undefined
  let closed = false

  async function open(): Promise<ErrorEnvelope | undefined> {
    if (closed) return CLOSED
    if (thread?.standing === 'up') return undefined
    const failure = await start()
    if (failure && !closed) onLateError(failure)
    return closed ? CLOSED : failure
  }

  async function start(): Promise<ErrorEnvelope | undefined> {
    try {
      thread = new Thread({ ...options, onLateError, onGone })
      return await thread.ready
    } catch (error) {
      thread = undefined
      rest.lengthen()
      return envelopeOf(error)
    }
  }

  function after(ended: SeatEnd, served: Thread): SeatEnd {
    if (served.worn) served.terminate()
    else if (ended.kind === 'ended') rest.forget()
    return ended
  }

  return {
    standing() {
      if (thread?.standing === 'up') return 'up'
      return thread?.standing === 'leaving' || !rest.isOver() ? 'resting' : 'cold'
    },
    async rested() {
      if (thread?.standing === 'leaving') await thread.gone
      await rest.over()
    },
    open,
    run(task, deadline, listener) {
      if (!thread) throw new Error('a seat takes a task only once it is open')
      const served = thread
      const sitting = served.run(task, deadline, listener)
      return { ...sitting, ended: sitting.ended.then((end) => after(end, served)) }
    },
    async close() {
      closed = true
      rest.stop()
      thread?.terminate()
      await thread?.gone
    },
  }
}

interface Rest {
  isOver(): boolean
  over(): Promise<void>
  /** Another death in a row. */
  lengthen(): void
  /** A task ended as it should: the row is broken. */
  forget(): void
  stop(): void
}

/** A rest is timed only while somebody waits for it, so that a pool with no task holds no timer. */
function createRest(clock: Clock): Rest {
  let deaths = 0
  let untilMs = Number.NEGATIVE_INFINITY
  let wakeUp: () => void = () => {}
  const leftMs = (): number => untilMs - clock.elapsed()

  return {
    isOver: () => leftMs() <= 0,
    over() {
      const ms = leftMs()
      if (ms <= 0) return Promise.resolve()
      return new Promise((resolve) => {
        const cancel = clock.setTimeout(resolve, ms)
        wakeUp = () => {
          cancel()
          resolve()
        }
      })
    },
    lengthen() {
      untilMs = clock.elapsed() + restMs(++deaths)
    },
    forget() {
      deaths = 0
    },
    stop: () => wakeUp(),
  }
}
