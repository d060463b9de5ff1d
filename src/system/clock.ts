// The clock port over the system's own clock and timers.
// A waiting timer keeps the process alive, as any timer does: a script may await a session that waits for its time.

import { type Clock, LONGEST_TIMER_MS } from '../clock.js'

/** The system's clock. Waits outside of the port's range are brought into it: a negative one is 0. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  setTimeout(run, ms) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS))
    return () => clearTimeout(timer)
  },
  soon(run) {
    setImmediate(run)
  },
}
