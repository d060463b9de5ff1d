// The virtual clock: the contract of clocks, and what only a clock that is moved by hand promises.

import { expect, test } from 'vitest'
import { createVirtualClock } from '../../src/testing/clock.js'
import { clockContract } from '../contract/clock.js'

clockContract('virtual', () => {
  const clock = createVirtualClock(1_700_000_000_000)
  return { clock, pass: (ms) => clock.advance(ms) }
})

test('time stands still until it is moved', async () => {
  const clock = createVirtualClock(1000)
  let ran = false
  clock.setTimeout(() => (ran = true), 0)
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect([clock.now(), clock.elapsed(), ran]).toEqual([1000, 0, false])
})

test('each timer sees the time at which it was due', async () => {
  const clock = createVirtualClock(100)
  const seen: number[] = []
  for (const ms of [30, 10, 20]) clock.setTimeout(() => seen.push(clock.now()), ms)
  await clock.advance(1000)
  expect(seen).toEqual([110, 120, 130])
  expect(clock.now()).toBe(1100)
})

test('between two timers everything the first set off has run', async () => {
  const clock = createVirtualClock()
  const ran: string[] = []
  clock.setTimeout(async () => {
    for (let turn = 0; turn < 50; turn++) await undefined
    ran.push('microtasks')
    clock.soon(() => clock.soon(() => ran.push('soon after soon')))
  }, 10)
  clock.setTimeout(() => ran.push('second timer'), 11)
  await clock.advance(20)
  expect(ran).toEqual(['microtasks', 'soon after soon', 'second timer'])
})

test('a timer set on the way runs in the same move when it falls due', async () => {
  const clock = createVirtualClock()
  const seen: number[] = []
  const again = (): void => {
    seen.push(clock.now())
    if (seen.length < 5) clock.setTimeout(again, 10)
  }
  clock.setTimeout(again, 10)
  await clock.advance(35)
  expect(seen).toEqual([10, 20, 30])
  await clock.advance(100)
  expect(seen).toEqual([10, 20, 30, 40, 50])
})

test('moves queue up, each from where the one before ended', async () => {
  const clock = createVirtualClock()
  const seen: string[] = []
  clock.setTimeout(() => seen.push(`timer ${clock.now()}`), 15)
  const first = clock.advance(10).then(() => seen.push(`first ${clock.now()}`))
  const second = clock.advance(10).then(() => seen.push(`second ${clock.now()}`))
  await Promise.all([first, second])
  expect(seen).toEqual(['first 10', 'timer 15', 'second 20'])
})

test('a jump changes what time it is, not how long timers wait, nor what has elapsed', async () => {
  const clock = createVirtualClock(1000)
  const seen: number[] = []
  clock.setTimeout(() => seen.push(clock.now()), 100)
  await clock.advance(40)
  clock.set(500_000)
  await clock.advance(59)
  expect(seen).toEqual([])
  clock.set(0)
  await clock.advance(1)
  expect(seen).toEqual([1])
  expect(clock.elapsed()).toBe(100)
})

test('pending counts the timers that wait', async () => {
  const clock = createVirtualClock()
  const cancel = clock.setTimeout(() => {}, 10)
  clock.setTimeout(() => {}, 20)
  expect(clock.pending()).toBe(2)
  cancel()
  expect(clock.pending()).toBe(1)
  await clock.advance(20)
  expect(clock.pending()).toBe(0)
})

test('what a timer throws rejects the move; the next goes on from there', async () => {
  const clock = createVirtualClock()
  let ran = false
  clock.setTimeout(() => {
    throw new Error('in a timer')
  }, 10)
  clock.setTimeout(() => (ran = true), 20)
  await expect(clock.advance(30)).rejects.toThrow('in a timer')
  expect([clock.now(), ran]).toEqual([10, false])
  await clock.advance(30)
  expect([clock.now(), ran]).toEqual([40, true])
})
