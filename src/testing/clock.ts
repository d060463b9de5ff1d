// A clock that a test moves. Timers run only when it is advanced, in the order of their deadlines (of equal ones, the
// first set runs first); `soon` runs on the next real turn of the event loop, so that code under test needs no push.
// Promises: between two timers all microtasks and `soon` calls have run. Never sees the system's time.

import type { Cancel, Clock } from '../clock.js'
import { HoldfastError } from '../errors.js'

const MAX_TIMER_MS = 2 ** 31 - 1
/** An `advance` gives up on `soon` calls that keep asking for another after so many turns. */
const MAX_TURNS = 100_000

export interface VirtualClock extends Clock {
  /** Moves time on, running what falls due on the way. Rejects with what a timer throws. Calls queue up. */
  advance(ms: number): Promise<void>
  /** Jumps to a time, as a corrected system clock does: `now` changes, waiting timers keep their remaining wait. */
  set(ms: number): void
  /** How many timers wait. */
  pending(): number
}

interface Timer {
  readonly dueMs: number
  readonly run: () => void
}

/** A clock that stands at `startMs` until it is moved. `soon` takes as many turns as `turnsOf` says; default: one. */
export function createVirtualClock(startMs = 0, turnsOf: () => number = () => 1): VirtualClock {
  let elapsedMs = 0
  let offsetMs = startMs
  let soon = 0
  let moving: Promise<void> = Promise.resolve()
  const timers: Timer[] = []

  async function move(targetMs: number): Promise<void> {
    await settle()
    for (let timer = timers[0]; timer && timer.dueMs <= targetMs; timer = timers[0]) {
      timers.shift()
      elapsedMs = timer.dueMs
      timer.run()
      await settle()
    }
    elapsedMs = targetMs
  }

  async function settle(): Promise<void> {
    for (let turns = 0; turns === 0 || soon > 0; turns++) {
      if (turns > MAX_TURNS)
        throw new HoldfastError('INVALID_ARGUMENT', `soon() is called again on each of ${turns} turns`)
      await turn()
    }
  }

  return {
    now: () => elapsedMs + offsetMs,
    elapsed: () => elapsedMs,
    setTimeout(run, ms): Cancel {
      const timer = { dueMs: elapsedMs + Math.min(Math.max(ms, 0), MAX_TIMER_MS), run }
      timers.splice(timers.findLastIndex((other) => other.dueMs <= timer.dueMs) + 1, 0, timer)
      return () => {
        const index = timers.indexOf(timer)
        if (index >= 0) timers.splice(index, 1)
      }
    },
    soon(run) {
      soon++
      const wait = (turns: number): void =>
        atNextTurn(() => {
          if (turns > 1) return wait(turns - 1)
          soon--
          run()
        })
      wait(turnsOf())
    },
    advance(ms) {
      const moved = moving.then(() => move(elapsedMs + ms))
      moving = moved.catch(() => {})
      return moved
    },
    set(ms) {
      offsetMs = ms - elapsedMs
    },
    pending: () => timers.length,
  }
}

/** All that microtasks and the next turn of the event loop have to do is done. */
export const turn = (): Promise<void> => new Promise(atNextTurn)

/** The real next turn: all that microtasks have to do is done by then. */
function atNextTurn(run: () => void): void {
  // biome-ignore lint/style/noRestrictedGlobals: this is a Clock, and turns of the event loop are no time
  setImmediate(run)
}
