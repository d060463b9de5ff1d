// What becomes of a session that has crashed: pure, from its kind's policy and the times of its crashes to a decision.
// As in OTP: a kind says whether its sessions are restarted, and how many restarts within a period are too many. Each
// further restart within the period waits twice as long, less a part that chance decides; a quiet period starts over.

import { admitOptions, type KeysOf } from './options.js'

/** How a kind's sessions are supervised. All of it has defaults. */
export interface Supervision {
  /**
   * What a crash does (an action threw, or the decision on an event that nobody waits for). `transient` (default): the
   * session goes on from its last durable point. `permanent`: so it does also where its machine would end in error because
   * no state handles a failure. `temporary`: it ends as `error`, as in plain XState.
   */
  readonly restart?: 'permanent' | 'transient' | 'temporary'
  /** How many restarts within the period are allowed; one more quarantines the session. Default 10, at most 1,000. */
  readonly intensity?: number
  /** Default one minute. */
  readonly periodMs?: number
  /** The longest pause before the first restart; it doubles with each further one. Default 10 ms. */
  readonly backoffMs?: number
  /** The longest pause of all. Default 30 s. */
  readonly maxBackoffMs?: number
  /** How many times in a row an event that nobody waits for may crash the session; then it is a dead letter. Default 3. */
  readonly attempts?: number
}

export type SupervisionPolicy = Required<Supervision>

const OPTIONS: KeysOf<Supervision> = {
  restart: true,
  intensity: true,
  periodMs: true,
  backoffMs: true,
  maxBackoffMs: true,
  attempts: true,
}

export type RestartDecision =
  | { readonly kind: 'end' }
  /** `crashes` are those that still count, this one included: what the next decision is made from. */
  | { readonly kind: 'restart'; readonly afterMs: number; readonly crashes: readonly number[] }
  | { readonly kind: 'quarantine'; readonly crashes: readonly number[] }

const MOST_RESTARTS = 1000

/** The whole policy. Throws an error that names what makes no sense. */
export function policyOf(supervision: Supervision = {}): SupervisionPolicy {
  admitOptions('options of supervision', supervision, OPTIONS)
  const policy = {
    ...{ restart: 'transient', intensity: 10, periodMs: 60_000, backoffMs: 10, maxBackoffMs: 30_000, attempts: 3 },
    ...supervision,
  } as SupervisionPolicy
  const { restart, intensity, periodMs, backoffMs, maxBackoffMs, attempts } = policy
  if (!['permanent', 'transient', 'temporary'].includes(restart))
    throw new RangeError(`supervision.restart is permanent, transient or temporary, not ${restart}`)
  if (!Number.isSafeInteger(intensity) || intensity < 0 || intensity > MOST_RESTARTS)
    throw new RangeError(`supervision.intensity is an integer from 0 to ${MOST_RESTARTS}, not ${intensity}`)
  if (!Number.isSafeInteger(attempts) || attempts < 1)
    throw new RangeError(`supervision.attempts is an integer from 1, not ${attempts}`)
  for (const [name, ms] of Object.entries({ periodMs, backoffMs, maxBackoffMs }))
    if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY))
      throw new RangeError(`supervision.${name} is a number from 0, not ${ms}`)
  return policy
}

/** Decides on a crash at `now`, given the earlier ones (ms since the epoch, oldest first) and a number in [0, 1). */
export function decideRestart(
  policy: SupervisionPolicy,
  earlier: readonly number[],
  now: number,
  random: number,
): RestartDecision {
  const { restart, intensity, periodMs, backoffMs, maxBackoffMs } = policy
  if (restart === 'temporary') return { kind: 'end' }
  // A clock that was set back puts crashes into the future: they do not count.
  const recent = earlier.filter((at) => at > now - periodMs && at <= now)
  const crashes = [...recent, now]
  if (crashes.length > intensity) return { kind: 'quarantine', crashes }
  const full = Math.min(backoffMs * 2 ** recent.length, maxBackoffMs)
  return { kind: 'restart', afterMs: Math.round(full * (0.5 + random / 2)), crashes }
}
