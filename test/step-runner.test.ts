// What the pool could not begin is handed over again, after pauses that grow, until it runs or may wait no longer.

import { expect, test } from 'vitest'
import type { Outcome, Pool, StepEnd, Task } from '../src/pool.js'
import { StepRunner } from '../src/step-runner.js'
import { type StepOptions, step, stepOf } from '../src/steps.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock } from '../src/testing/clock.js'
import { Timers } from '../src/timers.js'

const FULL: Outcome = { kind: 'not-run', error: { name: 'HoldfastError', code: 'POOL_FULL', message: 'full' } }
const DONE: Outcome = { kind: 'done', output: 1 }

/** A runner on a pool that answers each task with the next of `outcomes`, the last for ever, at once. */
function bench(outcomes: Outcome[], options: StepOptions = {}) {
  const clock = createVirtualClock()
  const start = clock.now()
  const tasks: (Task & { readonly atMs: number })[] = []
  const ended: (StepEnd & { readonly atMs: number })[] = []
  const pool: Pool = {
    run(task) {
      tasks.push({ ...task, atMs: clock.now() - start })
      const outcome = outcomes.length > 1 ? outcomes.shift() : outcomes[0]
      return { outcome: Promise.resolve(outcome as Outcome), cancel: () => {} }
    },
    stats: () => ({ running: 0, queued: 0, workers: 0 }),
    close: async () => {},
  }
  const runner = new StepRunner({
    ...{ session: 's', pool, timers: new Timers(clock), clock, chance: createSeededChance(1), update: () => {} },
    ...{ secrets: undefined, begun: () => undefined, redacted: (_: unknown, outcome: StepEnd) => outcome },
    settled: (_, outcome) => ended.push({ ...outcome, atMs: clock.now() - start }),
  })
  const declaration = stepOf(step('work', options))!
  const go = (): void =>
    runner.start({ id: 'c', incarnation: 1, attempt: 1, declaration, module: 'm', input: 1, notBefore: undefined })
  return { clock, tasks, ended, runner, go }
}

test('a task that was not run is handed over again, as the same attempt, and only its end is told', async () => {
  const { clock, tasks, ended, go } = bench([FULL, FULL, FULL, DONE])
  go()
  await clock.advance(60_000)
  expect(tasks.map(({ attempt, idempotencyKey }) => `${attempt} ${idempotencyKey}`)).toEqual(Array(4).fill('1 s.c.1'))
  expect(ended).toMatchObject([{ kind: 'done' }])
})

test('the pauses double, with jitter, up to five seconds, for as long as it takes', async () => {
  const { clock, tasks, ended, go } = bench([FULL])
  go()
  await clock.advance(3_600_000)
  const pauses = tasks.slice(1).map(({ atMs }, index) => atMs - tasks[index]!.atMs)
  for (const [index, pause] of pauses.entries()) {
    const full = Math.min(100 * 2 ** index, 5000)
    expect(pause).toBeGreaterThanOrEqual(full / 2)
    expect(pause).toBeLessThanOrEqual(full)
  }
  expect(pauses.length).toBeGreaterThan(3600 / 5)
  expect(new Set(pauses.slice(10)).size).toBeGreaterThan(10)
  expect(ended).toEqual([])
})

test('a step that may wait so long for a worker fails then, however often the pool was full', async () => {
  const { clock, tasks, ended, go } = bench([FULL], { queueTimeoutMs: 1000 })
  go()
  await clock.advance(60_000)
  expect(tasks.map(({ queueTimeoutMs, atMs }) => queueTimeoutMs! + atMs)).toEqual(tasks.map(() => 1000))
  expect(ended).toMatchObject([{ kind: 'failed', error: { code: 'STEP_QUEUE_TIMEOUT' }, retry: true, atMs: 1000 }])
})

test('a step that is stopped while it pauses is not handed over any more', async () => {
  const { clock, tasks, runner, go } = bench([FULL])
  go()
  await clock.advance(10)
  runner.stop('c', 'left')
  await clock.advance(60_000)
  expect(tasks).toHaveLength(1)
})
