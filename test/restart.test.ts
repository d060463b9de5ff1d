// Restarts: a first crash restarts soon, each further one within a minute twice as late, and a quiet minute starts over.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decideRestart } from '../src/restart.js'

const MINUTE_MS = 60_000

/** The pauses that crashes at these times lead to. */
function pauses(times: readonly number[]): number[] {
  let crashes: readonly number[] = []
  return times.map((now) => {
    const decision = decideRestart(crashes, now)
    crashes = decision.crashes
    return decision.afterMs
  })
}

test('the first crash restarts after 10 ms', () => {
  expect(decideRestart([], 5000)).toEqual({ afterMs: 10, crashes: [5000] })
})

test('each further crash within a minute waits twice as long, up to half a minute', () => {
  const times = Array.from({ length: 14 }, (_, index) => index)
  const doubled = [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480]
  expect(pauses(times)).toEqual([...doubled, 30_000, 30_000])
})

test('a crash a minute ago or more no longer counts', () => {
  expect(decideRestart([0, 1], MINUTE_MS)).toEqual({ afterMs: 20, crashes: [1, MINUTE_MS] })
  expect(decideRestart([0, 1], MINUTE_MS + 1)).toEqual({ afterMs: 10, crashes: [MINUTE_MS + 1] })
})

test('crashes that the clock puts into the future, because it was set back, do not count', () => {
  expect(decideRestart([5000, 6000], 1000)).toEqual({ afterMs: 10, crashes: [1000] })
})

test('a session that always crashes is never given up, never restarted at once, and remembered in bounded space', () => {
  let crashes: readonly number[] = []
  let longest = 0
  let shortest = Number.POSITIVE_INFINITY
  for (let now = 0; now < 100_000; now++) {
    const decision = decideRestart(crashes, now)
    crashes = decision.crashes
    longest = Math.max(longest, crashes.length)
    shortest = Math.min(shortest, decision.afterMs)
  }
  expect(decideRestart(crashes, 100_000).afterMs).toBe(30_000)
  expect(shortest).toBe(10)
  expect(longest).toBe(17)
})

test('the decision depends on nothing but how many crashes lie within the last minute', () => {
  const times = fc.array(fc.nat(3 * MINUTE_MS), { maxLength: 40 }).map((all) => all.sort((a, b) => a - b))
  fc.assert(
    fc.property(times, (all) => {
      const now = all.at(-1) ?? 0
      const recent = all.slice(0, -1).filter((at) => at > now - MINUTE_MS)
      expect(pauses(all).at(-1) ?? 10).toBe(Math.min(10 * 2 ** recent.length, 30_000))
    }),
  )
})

test('deciding changes nothing that it was given', () => {
  const earlier = Object.freeze([1, 2, 3])
  expect(decideRestart(earlier, 4).crashes).toEqual([1, 2, 3, 4])
  expect(earlier).toEqual([1, 2, 3])
})
