// Which live sessions are let go: those that nobody has used for a while, and the least recently used beyond a limit.
// It only chooses, in the order of last use; whether a session can be let go, and doing it, is its host's business. One that
// cannot, because something of it is under way, counts as just used.

import { type Cancel, type Clock, LONGEST_TIMER_MS } from './clock.js'
import { HoldfastError } from './errors.js'
import { requireWhole } from './numbers.js'

/** When live sessions become passive. */
export interface PassivationLimits {
  /** How many sessions may be live; the least recently used beyond that become passive. Default 10,000. */
  readonly liveLimit?: number
  /** How long a session stays live while nothing happens to it; for ever by default. */
  readonly idleMs?: number
}

export interface PassivationHost<T> {
  readonly clock: Clock
  /** Lets it go, if it can be: then true. */
  passivate(one: T): boolean
}

const DEFAULT_LIVE_LIMIT = 10_000
/** So many are looked at in one turn of the event loop. */
const LOOKED_AT_ONCE = 1_000

export class Passivation<T> {
  readonly #host: PassivationHost<T>
  readonly #liveLimit: number
  readonly #idleMs: number
  /** The least recently used first; when that was, by the clock that never jumps. */
  readonly #used: Map<T, number> = new Map()
  #scheduled = false
  #alarm: Cancel | undefined
  #stopped = false

  constructor(
    host: PassivationHost<T>,
    { liveLimit = DEFAULT_LIVE_LIMIT, idleMs = Number.POSITIVE_INFINITY }: PassivationLimits,
  ) {
    requireWhole('liveLimit', liveLimit, 0)
    if (!(idleMs >= 0)) throw new HoldfastError('INVALID_ARGUMENT', `idleMs must be a number from 0, not ${idleMs}`)
    this.#host = host
    this.#liveLimit = liveLimit
    this.#idleMs = idleMs
  }

  /** It was used just now. Constant time. */
  used(one: T): void {
    const at = this.#idleMs === Number.POSITIVE_INFINITY ? 0 : this.#host.clock.elapsed()
    this.#used.delete(one)
    this.#used.set(one, at)
    if (this.#used.size > this.#liveLimit) this.#soon()
    else if (!this.#alarm) this.#arm()
  }

  /** It is live no more. */
  forget(one: T): void {
    this.#used.delete(one)
  }

  stop(): void {
    this.#stopped = true
    this.#alarm?.()
    this.#used.clear()
  }

  /** Once the events of a turn are delivered. */
  #soon(): void {
    if (this.#scheduled || this.#stopped) return
    this.#scheduled = true
    this.#host.clock.soon(() => {
      this.#scheduled = false
      this.#sweep()
    })
  }

  #sweep(): void {
    if (this.#stopped) return
    const now = this.#idleMs === Number.POSITIVE_INFINITY ? 0 : this.#host.clock.elapsed()
    const looked = Math.min(this.#used.size, LOOKED_AT_ONCE)
    let left = looked
    for (const [one, at] of this.#used) {
      if (left-- === 0 || (this.#used.size <= this.#liveLimit && at + this.#idleMs > now)) break
      this.#used.delete(one)
      if (!this.#host.passivate(one)) this.#used.set(one, now)
    }
    // There may be more behind those; where all are busy, the next use tries again.
    if (left < 0 && looked === LOOKED_AT_ONCE && this.#used.size > looked) this.#soon()
    this.#arm()
  }

  #arm(): void {
    this.#alarm?.()
    this.#alarm = undefined
    // First of all: finding the first of a map that is always changed at both ends takes its time.
    if (this.#stopped || this.#idleMs === Number.POSITIVE_INFINITY) return
    const first = this.#used.values().next()
    if (first.done) return
    const wait = Math.max(first.value + this.#idleMs - this.#host.clock.elapsed(), 0)
    this.#alarm = this.#host.clock.setTimeout(
      () => {
        this.#alarm = undefined
        this.#sweep()
      },
      Math.min(wait, LONGEST_TIMER_MS),
    )
  }
}
