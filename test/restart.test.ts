// Restarts: a first crash restarts soon, each further one within the period twice as late, and a quiet period starts over.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decideRestart, policyOf, type RestartDecision, type Supervision } from '../src/restart.js'

/** What crashes at these times lead to, with no jitter. */
function decisions(supervision: Supervision, times: readonly number[]): RestartDecision[] {
  const policy = policyOf(supervision)
  let crashes: readonly number[] = []
  return times.map((now) => {
    const decision = decideRestart(policy, crashes, now, 1)
    if (decision.kind !== 'end') crashes = decision.crashes
    return decision
  })
}

const short = (decision: RestartDecision): number | string =>
  decision.kind === 'restart' ? decision.afterMs : decision.kind

test('the first crash restarts within 10 ms, and at half of that at the earliest', () => {
  const policy = policyOf()
  expect(decideRestart(policy, [], 5000, 0)).toEqual({ kind: 'restart', afterMs: 5, crashes: [5000] })
  expect(decideRestart(policy, [], 5000, 0.5)).toEqual({ kind: 'restart', afterMs: 8, crashes: [5000] })
  expect(decideRestart(policy, [], 5000, 1)).toEqual({ kind: 'restart', afterMs: 10, crashes: [5000] })
})

test('each further crash waits twice as long, up to the longest pause; one past the intensity is quarantine', () => {
  const times = Array.from({ length: 15 }, (_, index) => index)
  const doubled = [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480]
  expect(decisions({ intensity: 14 }, times).map(short)).toEqual([...doubled, 30_000, 30_000, 'quarantine'])
  expect(decisions({}, times.slice(0, 11)).map(short)).toEqual([...doubled.slice(0, 10), 'quarantine'])
  expect(decisions({ intensity: 0 }, [7])).toEqual([{ kind: 'quarantine', crashes: [7] }])
})

test('a crash a period ago or more no longer counts', () => {
  const [, , third] = decisions({ periodMs: 1000, intensity: 2 }, [0, 1, 1000])
  expect(third).toEqual({ kind: 'restart', afterMs: 20, crashes: [1, 1000] })
  expect(decisions({ periodMs: 1000, intensity: 2 }, [0, 1, 999]).map(short)).toEqual([10, 20, 'quarantine'])
})

test('crashes that the clock puts into the future, because it was set back, do not count', () => {
  expect(decideRestart(policyOf(), [5000, 6000], 1000, 1)).toEqual({ kind: 'restart', afterMs: 10, crashes: [1000] })
})

test('a temporary session ends with its first crash', () => {
  expect(decisions({ restart: 'temporary' }, [1, 2])).toEqual([{ kind: 'end' }, { kind: 'end' }])
})

test('a permanent and a transient session are restarted alike', () => {
  const times = [0, 1, 2, 70_000]
  expect(decisions({ restart: 'permanent' }, times)).toEqual(decisions({ restart: 'transient' }, times))
})

test('the decision follows from how many crashes lie within the period, exactly', () => {
  const times = fc.array(fc.nat(3000), { minLength: 1, maxLength: 40 }).map((all) => all.sort((a, b) => a - b))
  const supervision = fc.record({
    intensity: fc.nat(6),
    periodMs: fc.nat(1500),
    backoffMs: fc.nat(50),
    maxBackoffMs: fc.nat(400),
  })
  fc.assert(
    fc.property(times, supervision, (all, policy) => {
      for (const [index, decision] of decisions(policy, all).entries()) {
        const now = all[index] as number
        const earlier = all.slice(0, index).filter((at) => at > now - policy.periodMs).length
        const pause = Math.min(policy.backoffMs * 2 ** earlier, policy.maxBackoffMs)
        expect(short(decision)).toBe(earlier >= policy.intensity ? 'quarantine' : Math.round(pause))
      }
    }),
  )
})

test('deciding changes nothing that it was given', () => {
  const earlier = Object.freeze([1, 2, 3])
  expect(decideRestart(policyOf(), earlier, 4, 1)).toMatchObject({ crashes: [1, 2, 3, 4] })
  expect(earlier).toEqual([1, 2, 3])
})

test.each([
  [{ restart: 'sometimes' }, 'supervision.restart'],
  [{ intensity: -1 }, 'supervision.intensity'],
  [{ intensity: 1.5 }, 'supervision.intensity'],
  [{ attempts: 0 }, 'supervision.attempts'],
  [{ periodMs: Number.NaN }, 'supervision.periodMs'],
  [{ maxBackoffMs: Number.POSITIVE_INFINITY }, 'supervision.maxBackoffMs'],
])('%o makes no sense', (supervision, named) => {
  expect(() => policyOf(supervision as Supervision)).toThrow(named)
})
