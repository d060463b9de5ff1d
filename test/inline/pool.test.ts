// The inline pool: the contract of pools, and what only the caller's own thread can do.

import { expect, test } from 'vitest'
import { createInlinePool } from '../../src/inline/pool.js'
import { systemClock } from '../../src/system/clock.js'
import { createVirtualClock } from '../../src/testing/clock.js'
import { done, failure, outcomeOf, poolContract, recorder, run, task } from '../contract/pool.js'

poolContract('inline', { create: (options) => createInlinePool({ clock: systemClock, ...options }) })

test('steps can be given by hand, without a file', async () => {
  const load = async (module: string): Promise<Record<string, unknown>> => ({ twice: (n: number) => [module, 2 * n] })
  const pool = createInlinePool({ clock: systemClock, load })
  expect(await outcomeOf(pool, task('twice', 21, { module: 'memory:steps' }))).toEqual(done(['memory:steps', 42]))
})

test('on a virtual clock a step times out exactly at its deadline, and is abandoned exactly after its grace', async () => {
  const clock = createVirtualClock(1000)
  const pool = createInlinePool({ clock, load: async () => ({ never: () => new Promise(() => {}) }) })
  const settled: number[] = []
  const wanted = task('never', null, { runTimeoutMs: 60_000, graceMs: 5000 })
  const outcome = outcomeOf(pool, wanted)
  void outcome.then(() => settled.push(clock.now()))
  await clock.advance(64_999)
  expect(settled).toEqual([])
  await clock.advance(1)
  expect(await outcome).toEqual(failure('STEP_TIMEOUT', true))
  expect(settled).toEqual([66_000])
  expect(clock.pending()).toBe(0)
})

test('a step that was given up frees its place, and what it does later is ignored', async () => {
  const clock = createVirtualClock()
  let finish = (): void => {}
  const steps = {
    stubborn: async (_: unknown, { emit }: { emit(chunk: unknown): void }) => {
      await new Promise<void>((resolve) => (finish = resolve))
      emit('too late')
      return 'too late'
    },
    next: () => 'next',
  }
  const pool = createInlinePool({ clock, workers: 1, load: async () => steps })
  const listener = recorder()
  const running = run(pool, task('stubborn', null, { graceMs: 100 }), listener)
  await clock.advance(10)
  running.cancel('enough')
  await clock.advance(100)
  expect(await running.outcome).toEqual({ kind: 'cancelled' })
  finish()
  expect(await outcomeOf(pool, task('next'))).toEqual(done('next'))
  await clock.advance(10)
  expect(listener.heard).toEqual([{ kind: 'started' }])
})
