// The port for time: the only way the runtime learns what time it is or waits.
// Adapters: the system's clock (`system/`), a virtual one that a test moves (`testing/`).

/** Takes a scheduled call back; harmless after it ran. */
export type Cancel = () => void

export interface Clock {
  /** Milliseconds since the epoch. May jump in either direction, as system clocks do. Never throws. */
  now(): number
  /** Milliseconds, with fractions, on a clock that never jumps: for measuring how long something took. */
  elapsed(): number
  /** Calls `run` once, `ms` milliseconds from now (0 ≤ ms ≤ 2^31 - 1), never synchronously. */
  setTimeout(run: () => void, ms: number): Cancel
  /** Calls `run` on the next turn of the event loop, after what is already queued. */
  soon(run: () => void): void
}
