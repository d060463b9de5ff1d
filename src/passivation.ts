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

/**
 * One that is live. A ring, and not the order of a map: a key that is taken out of a large Map and put back at every use
 * leaves its traces in one chain of V8's table until that is built anew, and each use walks along them.
 */
interface Use<T> {
  readonly one: T | undefined
  /** When it was used, by the clock that never jumps. */
  at: number
  before: Use<T>
  behind: Use<T>
}

function useOf<T>(one: T | undefined): Use<T> {
  const use = { one, at: 0 } as Use<T>
  use.before = use
  use.behind = use
  return use
}

function unlink(use: Use<unknown>): void {
  use.before.behind = use.behind
  use.behind.before = use.before
  use.before = use
  use.behind = use
}

export class Passivation<T> {
  readonly #host: PassivationHost<T>
  readonly #liveLimit: number
  readonly #idleMs: number
  readonly #used: Map<T, Use<T>> = new Map()
  /** A ring of them, the least recently used behind this one, which stands for nobody. */
  readonly #ring: Use<T> = useOf<T>(undefined)
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
    let use = this.#used.get(one)
    if (!use) {
      use = useOf(one)
      this.#used.set(one, use)
    }
    use.at = at
    this.#last(use)
    if (this.#used.size > this.#liveLimit) this.#soon()
    else if (!this.#alarm) this.#arm()
  }

  /** It is live no more. */
  forget(one: T): void {
    const use = this.#used.get(one)
    if (!use) return
    this.#used.delete(one)
    unlink(use)
  }

  #last(use: Use<T>): void {
    unlink(use)
    const ring = this.#ring
    use.before = ring.before
    use.behind = ring
    ring.before.behind = use
    ring.before = use
  }

  stop(): void {
    this.#stopped = true
    this.#alarm?.()
    this.#used.clear()
    this.#ring.behind = this.#ring
    this.#ring.before = this.#ring
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
    for (let use = this.#ring.behind; use !== this.#ring; use = this.#ring.behind) {
      if (left-- === 0 || (this.#used.size <= this.#liveLimit && use.at + this.#idleMs > now)) break
      const one = use.one as T
      this.forget(one)
      if (this.#host.passivate(one)) continue
      use.at = now
      this.#used.set(one, use)
      this.#last(use)
    }
    // There may be more behind those; where all are busy, the next use tries again.
    if (left < 0 && looked === LOOKED_AT_ONCE && this.#used.size > looked) this.#soon()
    this.#arm()
  }

  #arm(): void {
    this.#alarm?.()
    this.#alarm = undefined
    const first = this.#ring.behind
    if (first === this.#ring || this.#stopped || this.#idleMs === Number.POSITIVE_INFINITY) return
    const wait = Math.max(first.at + this.#idleMs - this.#host.clock.elapsed(), 0)
    this.#alarm = this.#host.clock.setTimeout(
      () => {
        this.#alarm = undefined
        this.#sweep()
      },
      Math.min(wait, LONGEST_TIMER_MS),
    )
  }
}
