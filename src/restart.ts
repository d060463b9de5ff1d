// Whether and when a crashed session is restarted: pure, from the times of its crashes to a decision.
// A first crash restarts soon, each further one within the window twice as late. Quiet for a window, it starts over.

/** Crashes further back than this no longer count. */
const RESTART_WINDOW_MS = 60_000
const FIRST_BACKOFF_MS = 10
const LONGEST_BACKOFF_MS = 30_000

export interface RestartDecision {
  readonly afterMs: number
  /** The crashes that still count, this one included; what the next decision is made from. */
  readonly crashes: readonly number[]
}

/** Decides on a crash at `now`, given the earlier crashes (ms since the epoch, oldest first). */
export function decideRestart(earlier: readonly number[], now: number): RestartDecision {
  const recent = earlier.filter((at) => at > now - RESTART_WINDOW_MS && at <= now).slice(-MOST_COUNTED)
  const afterMs = Math.min(FIRST_BACKOFF_MS * 2 ** recent.length, LONGEST_BACKOFF_MS)
  return { afterMs, crashes: [...recent, now] }
}

/** More crashes than this change nothing: the pause has reached its longest. */
const MOST_COUNTED = 16
