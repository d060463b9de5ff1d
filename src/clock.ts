// The port for time: the only way the runtime learns what time it is or waits.
// Adapters: the system's clock (`system/`), a virtual one that a test moves (`testing/`).

/** Takes a scheduled call back; harmless after it ran. */
export type Cancel = () => void

/** The longest wait that a clock takes, some 24.8 days: Node fires a longer timer at once. */
export const LONGEST_TIMER_MS: number = 2 ** 31 - 1

export interface Clock {
  /** Milliseconds since the epoch. May jump in either direction, as system clocks do. Never throws. */
  now(): number
  /** Milliseconds, with fractions, on a clock that never jumps: for measuring how long something took. */
  elapsed(): number
  /** Calls `run` once, `ms` milliseconds from now (from 0 to LONGEST_TIMER_MS), never synchronously. */
  setTimeout(run: () => void, ms: number): Cancel
  /** Calls `run` on the next turn of the event loop, after what is already queued. */
  soon(run: () => void): void
}
