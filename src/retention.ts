// Retention: sessions that have ended are removed once their kind's time is over, without anybody asking.
// What is removed follows from what is on the disk and from the clock, never from what this process remembers: a sweep
// that a crash cuts off is made up for by the first one after the next opening. One sweep at a time.

import type { Cancel, Clock } from './clock.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import { admitOptions } from './options.js'
import type { Pruned, PruneOptions } from './prune.js'

/** Kind -> how long its sessions stay after their end. */
export interface RetentionRules {
  readonly [kind: string]: { readonly keepEndedMs: number }
}

export interface RetentionHost {
  readonly clock: Clock
  prune(options: PruneOptions): Promise<Pruned>
  /** A sweep has failed; there will be another. */
  report(error: unknown): void
}

/** The first sweep waits until what an opening has to do is done; the others come this often, or sooner for short times. */
const FIRST_SWEEP_MS = 10_000
const SWEEP_MS = 3_600_000
const SHORTEST_SWEEP_MS = 1_000

export class Retention {
  readonly #rules: readonly (readonly [kind: string, keepEndedMs: number])[]
  readonly #host: RetentionHost
  #cancel: Cancel | undefined
  #stopped = false

  /** Throws INVALID_ARGUMENT for a time that is none. */
  constructor(rules: RetentionRules, host: RetentionHost) {
    this.#rules = Object.entries(rules).map(([kind, rule]) => [kind, admit(kind, rule)])
    this.#host = host
  }

  start(): void {
    if (this.#rules.length === 0) return
    this.#wait(Math.min(FIRST_SWEEP_MS, this.#pauseMs))
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  get #pauseMs(): number {
    const shortest = Math.min(...this.#rules.map(([, keepEndedMs]) => keepEndedMs))
    return Math.min(Math.max(shortest / 4, SHORTEST_SWEEP_MS), SWEEP_MS)
  }

  #wait(ms: number): void {
    if (!this.#stopped) this.#cancel = this.#host.clock.setTimeout(() => void this.#sweep(), ms)
  }

  async #sweep(): Promise<void> {
    try {
      for (const [kind, olderThanMs] of this.#rules) if (!this.#stopped) await this.#host.prune({ kind, olderThanMs })
    } catch (error) {
      if (!this.#stopped && !isHoldfastError(error, 'READ_ONLY', 'RUNTIME_CLOSED')) this.#host.report(error)
    }
    this.#wait(this.#pauseMs)
  }
}

function admit(kind: string, rule: RetentionRules[string] | undefined): number {
  admitOptions(`rules of retention of "${kind}"`, rule, { keepEndedMs: true })
  const keepEndedMs: unknown = rule?.keepEndedMs
  if (typeof keepEndedMs === 'number' && keepEndedMs >= 0) return keepEndedMs
  throw new HoldfastError('INVALID_ARGUMENT', `retention of "${kind}": keepEndedMs must be a number of at least 0`)
}
