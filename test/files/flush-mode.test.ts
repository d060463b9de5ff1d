// Where to flush: on the main thread while the disk is quick; off it for a while after each flush that was slow, for twice
// as long each time until one is quick again.

import { expect, test } from 'vitest'
import type { Clock } from '../../src/clock.js'
import { FlushMode } from '../../src/files/flush-mode.js'

const STALL_MS = 1

/** A clock whose elapsed time a flush, or a test, moves. */
function setUp(): { mode: FlushMode; pass(ms: number): void; flush(ms: number): void } {
  let elapsed = 1000
  const clock = { elapsed: () => elapsed } as Clock
  const mode = new FlushMode(clock, STALL_MS)
  const pass = (ms: number): void => {
    elapsed += ms
  }
  return { mode, pass, flush: (ms) => mode.measure(() => pass(ms)) }
}

test('it begins on the main thread, and stays there while flushes take no longer than the limit', () => {
  const { mode, flush } = setUp()
  expect(mode.blocking).toBe(true)
  for (const ms of [0, 0.2, STALL_MS]) {
    flush(ms)
    expect(mode.blocking).toBe(true)
  }
  expect(mode.stalls).toBe(0)
})

test('a slow flush counts as a stall and moves flushing off the main thread for 20 ms', () => {
  const { mode, pass, flush } = setUp()
  flush(STALL_MS + 0.1)
  expect(mode.stalls).toBe(1)
  expect(mode.blocking).toBe(false)
  pass(19.9)
  expect(mode.blocking).toBe(false)
  pass(0.1)
  expect(mode.blocking).toBe(true)
})

test('the pause is counted from the end of the slow flush, not from its beginning', () => {
  const { mode, pass, flush } = setUp()
  flush(500)
  expect(mode.blocking).toBe(false)
  pass(20)
  expect(mode.blocking).toBe(true)
})

test('each further slow flush doubles the pause, up to ten seconds', () => {
  const { mode, pass, flush } = setUp()
  for (const pauseMs of [20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000]) {
    flush(2)
    pass(pauseMs - 1)
    expect(mode.blocking).toBe(false)
    pass(1)
    expect(mode.blocking).toBe(true)
  }
  expect(mode.stalls).toBe(11)
})

test('one quick flush and the next pause is short again', () => {
  const { mode, pass, flush } = setUp()
  for (const pauseMs of [20, 40, 80]) {
    flush(2)
    pass(pauseMs)
  }
  flush(0.5)
  flush(2)
  pass(19)
  expect(mode.blocking).toBe(false)
  pass(1)
  expect(mode.blocking).toBe(true)
})

test('a flush that fails says so and is no stall', () => {
  const { mode, pass } = setUp()
  const fail = (): never => {
    pass(50)
    throw new Error('EIO')
  }
  expect(() => mode.measure(fail)).toThrow('EIO')
  expect(mode.stalls).toBe(0)
  expect(mode.blocking).toBe(true)
})
