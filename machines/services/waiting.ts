// How long a service asks to wait, from the headers of its answer. Pure, but for the clock that a date is compared with.

const SHORTEST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 3_600_000
const DEFAULT_WAIT_MS = 60_000
const LIMITS = ['requests', 'complexity', 'endpoint-requests'] as const

/**
 * In ms, from 1 s to 1 h; a minute when nothing is said. `Retry-After` is in seconds or a date; Linear's
 * `X-RateLimit-*-Reset`, of a limit that is used up, in ms since the epoch.
 */
export function waitOf(headers: Pick<Headers, 'get'> | undefined, nowMs: number = Date.now()): number {
  const number = (name: string): number | undefined => {
    const text = headers?.get(name)
    return text ? Number(text) : undefined
  }
  const resets = LIMITS.filter((limit) => number(`x-ratelimit-${limit}-remaining`) === 0)
    .map((limit) => number(`x-ratelimit-${limit}-reset`))
    .filter((at) => at !== undefined)
  const after = retryAfterMs(headers?.get('retry-after'), nowMs)
  const waits = [...(after === undefined ? [] : [after]), ...resets.map((at) => at - nowMs)].filter(Number.isFinite)
  return waits.length === 0 ? DEFAULT_WAIT_MS : bounded(Math.max(...waits))
}

/** Within what anybody waits. */
export const bounded = (ms: number): number => Math.min(Math.max(Math.ceil(ms), SHORTEST_WAIT_MS), LONGEST_WAIT_MS)

function retryAfterMs(text: string | null | undefined, nowMs: number): number | undefined {
  if (!text) return undefined
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at - nowMs
}
