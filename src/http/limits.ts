// What one caller, and all of them, may take: every limit is a number with a default, and what is beyond it is refused with
// a typed 413, 429 or 503. The memory that it all takes is bounded by the number of principals.

import type { Clock } from '../clock.js'
import { HoldfastError } from '../errors.js'
import { requireWhole } from '../numbers.js'
import { admitOptions, type KeysOf } from '../options.js'
import type { Sessions } from '../sessions.js'
import type { BodyLimits } from './body.js'

export interface Limits extends BodyLimits {
  /** Requests a second of one principal, on average; default 500. */
  readonly requestsPerSecond: number
  /** As many may come at once; default 1,000. */
  readonly burst: number
  /** Requests of all that are being answered; default 1,000. Streams do not count. */
  readonly concurrent: number
  /** Streams of one principal; default 100. */
  readonly streams: number
  /** Streams of all; default 5,000. */
  readonly allStreams: number
  /** Sessions that are there, ended ones too: of one organization, or of all for who belongs to none; default 1,000,000. */
  readonly sessions: number
}

const DEFAULT_LIMITS: Limits = {
  bodyBytes: 1024 * 1024,
  bodyDepth: 64,
  requestsPerSecond: 500,
  burst: 1000,
  concurrent: 1000,
  streams: 100,
  allStreams: 5000,
  sessions: 1_000_000,
}

const NAMES = Object.fromEntries(Object.keys(DEFAULT_LIMITS).map((name) => [name, true])) as KeysOf<Limits>

/** Throws INVALID_ARGUMENT for a limit that is none, or that there is not. */
export function limitsOf(options: Partial<Limits>): Limits {
  admitOptions('limits', options, NAMES)
  const limits = { ...DEFAULT_LIMITS, ...options }
  for (const [name, value] of Object.entries(limits)) requireWhole(`limits.${name}`, value, 1)
  return limits
}

/** What is left of one principal's rate: tokens that come back with time, at most `burst` of them. */
interface Bucket {
  left: number
  at: number
}

/** Counts requests, and streams, of each principal and of all. */
export class Meter {
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #buckets: Map<string, Bucket> = new Map()
  readonly #streams: Map<string, number> = new Map()
  #allStreams = 0
  #concurrent = 0

  constructor(limits: Limits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Throws RATE_LIMITED, which says when to come again. */
  take(principal: string): void {
    const { requestsPerSecond, burst } = this.#limits
    const now = this.#clock.elapsed()
    const bucket = this.#buckets.get(principal) ?? { left: burst, at: now }
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * requestsPerSecond)
    bucket.at = now
    this.#buckets.set(principal, bucket)
    if (bucket.left < 1) {
      const retryAfterSeconds = Math.ceil((1 - bucket.left) / requestsPerSecond)
      throw new HoldfastError(
        'RATE_LIMITED',
        `${principal} may send ${requestsPerSecond} requests a second; wait ${retryAfterSeconds} s`,
        {
          details: { retryAfterSeconds },
        },
      )
    }
    bucket.left--
  }

  /** Counts a request until the returned call. Throws OVERLOADED. */
  enter(): () => void {
    if (this.#concurrent >= this.#limits.concurrent) {
      throw new HoldfastError('OVERLOADED', `${this.#limits.concurrent} requests are being answered; wait a second`, {
        details: { retryAfterSeconds: 1 },
      })
    }
    this.#concurrent++
    return once(() => this.#concurrent--)
  }

  /** Counts a stream until the returned call. Throws TOO_MANY_STREAMS or OVERLOADED. */
  openStream(principal: string): () => void {
    const { streams, allStreams } = this.#limits
    const open = this.#streams.get(principal) ?? 0
    if (open >= streams) {
      throw new HoldfastError('TOO_MANY_STREAMS', `${principal} has ${streams} streams open; close one`, {
        details: { limit: streams },
      })
    }
    if (this.#allStreams >= allStreams) {
      throw new HoldfastError('OVERLOADED', `${allStreams} streams are open; come again later`, {
        details: { retryAfterSeconds: 10 },
      })
    }
    this.#streams.set(principal, open + 1)
    this.#allStreams++
    return once(() => {
      this.#allStreams--
      const left = (this.#streams.get(principal) ?? 1) - 1
      if (left > 0) this.#streams.set(principal, left)
      else this.#streams.delete(principal)
    })
  }

  /** Throws TOO_MANY_SESSIONS when no more may be created. */
  admitSession(sessions: Pick<Sessions, 'count'>, organization: string | undefined): void {
    const limit = this.#limits.sessions
    if (sessions.count(organization === undefined ? {} : { organization }) < limit) return
    throw new HoldfastError('TOO_MANY_SESSIONS', `there are ${limit} sessions; prune or delete some that have ended`, {
      details: { limit },
    })
  }

  /** For metrics. */
  get load(): { readonly concurrent: number; readonly streams: number } {
    return { concurrent: this.#concurrent, streams: this.#allStreams }
  }
}

function once(run: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    run()
  }
}
