// Where to flush: on the main thread while the disk is quick, off it when it is not.
// A flush in the thread pool costs a hop, which a quick disk makes the larger part of the latency; on the main thread it
// blocks the event loop for as long as the disk likes. So: a blocking flush that takes longer than the limit counts as a
// stall and moves flushing off for a while, twice as long each time until a blocking flush is quick again.

import type { Clock } from '../clock.js'

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 10_000

export class FlushMode {
  readonly #clock: Clock
  readonly #stallMs: number
  #pauseMs = FIRST_PAUSE_MS
  #blockingAgainAt = Number.NEGATIVE_INFINITY
  /** How many blocking flushes took longer than the limit. */
  stalls = 0

  constructor(clock: Clock, stallMs: number) {
    this.#clock = clock
    this.#stallMs = stallMs
  }

  get blocking(): boolean {
    return this.#clock.elapsed() >= this.#blockingAgainAt
  }

  /** Runs a blocking flush and learns from how long it took. */
  measure(flush: () => void): void {
    const start = this.#clock.elapsed()
    flush()
    const end = this.#clock.elapsed()
    if (end - start <= this.#stallMs) {
      this.#pauseMs = FIRST_PAUSE_MS
      return
    }
    this.stalls++
    this.#blockingAgainAt = end + this.#pauseMs
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS)
  }
}
