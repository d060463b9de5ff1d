// The pool of worker threads: the contract of pools, and what only a thread can suffer.

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Clock } from '../../src/clock.js'
import { createPiscinaPool, type PiscinaPoolOptions } from '../../src/piscina/pool.js'
import { RESPAWN_REST_CAP_MS, RESPAWN_REST_MS, restMs } from '../../src/piscina/seat.js'
import type { Outcome, Pool, RunningTask, Task } from '../../src/pool.js'
import { systemClock } from '../../src/system/clock.js'
import { done, failure, notRun, outcomeOf, poolContract, recorder, run, stepsModule, task } from '../contract/pool.js'
import { builtPackage, builtWorker } from './built.js'

const pools: Pool[] = []
const lateErrors: Error[] = []

function create(options: Partial<PiscinaPoolOptions> = {}): Pool {
  const onWorkerError = (error: Error): void => void lateErrors.push(error)
  const pool = createPiscinaPool({ clock: systemClock, worker: builtWorker(), workers: 2, onWorkerError, ...options })
  pools.push(pool)
  return pool
}

/** A clock whose waits are that many times shorter; of less than one, that rests longer than a test lasts. */
const hurried = (times: number): Clock => ({
  ...systemClock,
  setTimeout: (call, ms) => systemClock.setTimeout(call, ms / times),
})

const hostile = (name: string, input?: unknown, more: Partial<Task> = {}): Task =>
  task(name, input, { module: stepsModule('hostile.js'), ...more })

const fine = (pool: Pool, input: unknown): Promise<Outcome> => outcomeOf(pool, hostile('fine', input))

const crash = (message: string): unknown => failure('STEP_CRASHED', true, message)
const unstarted = (message: string): unknown => notRun('STEP_CRASHED', message)

/** Runs a step until it says something. */
async function runUntilItSpeaks(pool: Pool, wanted: Task): Promise<RunningTask> {
  const listener = recorder()
  const running = run(pool, wanted, listener)
  await listener.when('chunk')
  return running
}

const until = (holds: () => boolean): Promise<void> =>
  expect.poll(holds, { interval: 5, message: `${holds}` }).toBe(true)

const folder = mkdtempSync(join(tmpdir(), 'holdfast-pool-'))

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()))
  lateErrors.length = 0
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

poolContract('piscina', { create: (options) => create(options) })

describe('a step that kills its thread', () => {
  test.each<[string, unknown, string]>([
    ['exits', 0, 'exited with code 0'],
    ['exits', 5, 'exited with code 5'],
    ['exitsLater', 5, 'exited with code 7'],
    ['throwsLate', 5, 'thrown late'],
    ['throwsFromAMicrotask', undefined, 'thrown from a microtask'],
    ['rejectsUnheard', undefined, 'nobody listens'],
    ['disarmsItsGuard', undefined, 'past the guard'],
  ])('fails, alone: %s(%s)', async (name, input, message) => {
    const pool = create({ workers: 3 })
    const bad = outcomeOf(pool, hostile(name, input))
    const good = await Promise.all(Array.from({ length: 20 }, (_, index) => fine(pool, index)))
    expect(good).toEqual(Array.from({ length: 20 }, (_, index) => done(index)))
    expect(await bad).toEqual(crash(message))
    expect(await fine(pool, 'next')).toEqual(done('next'))
  })

  test('keeps the error that did it', async () => {
    const outcome = await outcomeOf(create(), hostile('throwsLate', 5))
    expect(outcome).toMatchObject({ error: { cause: { name: 'Error', message: 'thrown late', code: 'E_LATE' } } })
  })

  test('fails when its heap is full, and the others go on', async () => {
    const pool = create({ resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 8 } })
    const bad = outcomeOf(pool, hostile('eatsTheHeap'))
    expect(await Promise.all([1, 2, 3].map((input) => fine(pool, input)))).toEqual([1, 2, 3].map(done))
    expect(await bad).toEqual(crash('memory'))
    expect(await fine(pool, 'next')).toEqual(done('next'))
  })

  test('fails, not for ever offered again, when its very input is too large for the heap', async () => {
    const pool = create({ workers: 1, resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 } })
    const large = Array.from({ length: 500_000 }, (_, index) => ({ index }))
    expect(await fine(pool, large)).toEqual(crash('died before the step began'))
    expect(await fine(pool, 'next')).toEqual(done('next'))
  })

  test('rests longer each time in a row, but another task is not kept from a healthy thread', async () => {
    const pool = create({ workers: 2, clock: hurried(1 / 10_000) })
    expect(await fine(pool, 'warm')).toEqual(done('warm'))
    const crashes = Array.from({ length: 3 }, () => outcomeOf(pool, hostile('exits', 1)))
    expect(await Promise.all(crashes)).toEqual(crashes.map(() => crash('exited')))
    expect(await fine(pool, 'next')).toEqual(done('next'))
  })
})

describe('a step that does not end', () => {
  test('is terminated after its grace, even in an endless loop', async () => {
    const pool = create({ workers: 1 })
    const running = await runUntilItSpeaks(pool, hostile('loops', null, { graceMs: 50 }))
    running.cancel('enough')
    expect(await running.outcome).toEqual({ kind: 'cancelled' })
    expect(await fine(pool, 'next')).toEqual(done('next'))
  })

  test('times out, even in an endless loop', async () => {
    const outcome = await outcomeOf(create(), hostile('loops', null, { runTimeoutMs: 100, graceMs: 50 }))
    expect(outcome).toEqual(failure('STEP_TIMEOUT', true))
  })

  test('is settled only when its thread is gone', async () => {
    const pool = create({ workers: 1 })
    const running = await runUntilItSpeaks(pool, hostile('loops', null, { graceMs: 0 }))
    running.cancel('enough')
    await running.outcome
    expect(pool.stats()).toEqual({ running: 0, queued: 0, workers: 0 })
  })

  test('delivers what it says without yielding, and so hears of its cancel', async () => {
    const pool = create({ workers: 1 })
    await fine(pool, 'warm')
    const listener = recorder()
    const running = run(pool, hostile('loopsButSpeaks', null, { graceMs: 30_000 }), listener)
    await listener.when('progress')
    running.cancel('enough')
    expect(await running.outcome).toEqual({ kind: 'cancelled' })
    expect(pool.stats().workers).toBe(1)
  })

  test('harms no other when its thread is terminated', async () => {
    const pool = create({ workers: 2 })
    const bad = Array.from({ length: 3 }, () =>
      outcomeOf(pool, hostile('loops', null, { runTimeoutMs: 50, graceMs: 10 })),
    )
    const good = Array.from({ length: 30 }, (_, index) => fine(pool, index))
    expect(await Promise.all(good)).toEqual(good.map((_, index) => done(index)))
    for (const outcome of await Promise.all(bad)) expect(outcome).toEqual(failure('STEP_TIMEOUT', true))
  })
})

describe('what a step leaves behind', () => {
  test.each([
    ['leavesATimer', 'a timer left behind'],
    ['leavesARejection', 'a rejection left behind'],
    ['leavesAnInterval', 'an interval left behind'],
  ])('does not fail the step that runs next, only replaces the thread: %s', async (name, message) => {
    const pool = create({ workers: 1 })
    const first = await outcomeOf(pool, hostile('threadId'))
    expect(await outcomeOf(pool, hostile(name, 20))).toEqual(done('left'))
    expect(await outcomeOf(pool, task('sleeps', 100))).toEqual(done('slept'))
    expect(lateErrors.map((error) => error.message)).toEqual([message])
    expect(await outcomeOf(pool, hostile('threadId'))).not.toEqual(first)
  })

  test.each(['leavesATimer', 'leavesARejection'])('replaces the thread when nothing runs: %s', async (name) => {
    const pool = create({ workers: 1 })
    await outcomeOf(pool, hostile(name, 10))
    await until(() => pool.stats().workers === 0)
    expect(lateErrors).toHaveLength(1)
    expect(await fine(pool, 'next')).toEqual(done('next'))
  })

  test('may exit while nothing runs; the next task does not notice', async () => {
    const pool = create({ workers: 1 })
    await outcomeOf(pool, hostile('leavesAnExit', 10))
    await until(() => pool.stats().workers === 0 && lateErrors.length > 0)
    expect(lateErrors.map((error) => error.message)).toEqual(['its thread exited with code 3'])
    expect(await fine(pool, 'next')).toEqual(done('next'))
  })

  test('may block the thread: a task handed to it can still be taken back, and never runs', async () => {
    const pool = create({ workers: 1 })
    await outcomeOf(pool, hostile('leavesALoop', 0))
    await sleep(30)
    const listener = recorder()
    const cancelled = run(pool, hostile('fine', 1), listener)
    await sleep(20)
    cancelled.cancel('enough')
    expect(await cancelled.outcome).toEqual({ kind: 'cancelled' })
    const late = await outcomeOf(pool, hostile('fine', 2, { queueTimeoutMs: 50 }), listener)
    expect(late).toEqual(failure('STEP_QUEUE_TIMEOUT', true))
    expect(listener.heard).toEqual([])
  })

  test('may block the thread: it is replaced, and the task that waits for it runs elsewhere', async () => {
    const pool = create({ workers: 1, clock: hurried(5) })
    await outcomeOf(pool, hostile('leavesALoop', 0))
    await sleep(30)
    expect(await fine(pool, 'patient')).toEqual(done('patient'))
    expect(lateErrors.map((error) => error.message)).toEqual([expect.stringContaining('did not take up a step')])
  })

  test('may be a closed port, which is nobody else’s', async () => {
    const pool = create({ workers: 1 })
    const outcome = await outcomeOf(pool, hostile('closesTheWorkersPort'))
    expect(['done', 'failed']).toContain(outcome.kind)
    expect(await fine(pool, 'next')).toEqual(done('next'))
  })
})

test('tasks that come one after the other share one thread', async () => {
  const pool = create({ workers: 4 })
  const ids = new Set<unknown>()
  for (let round = 0; round < 20; round++) {
    const outcome = await outcomeOf(pool, hostile('threadId'))
    ids.add((outcome as { output: unknown }).output)
  }
  expect([ids.size, pool.stats().workers]).toEqual([1, 1])
})

test('a step that returns a function fails with a reason, and the thread goes on', async () => {
  const pool = create({ workers: 1 })
  expect(await outcomeOf(pool, hostile('returnsAFunction'))).toEqual(
    failure('STEP_OUTPUT_NOT_JSON', false, 'output is a function'),
  )
  expect(pool.stats().workers).toBe(1)
})

test('a module that did not load is tried afresh by the next attempt', async () => {
  const module = `${stepsModule('loads-second-time.js')}?marker=${join(folder, 'loaded')}`
  const pool = create({ workers: 1 })
  expect(await outcomeOf(pool, task('works', null, { module }))).toEqual(failure('STEP_MODULE_FAILED', true, 'not yet'))
  expect(await outcomeOf(pool, task('works', null, { module }))).toEqual(done('works now'))
})

describe('a worker that does not start', () => {
  const broken = (name: string): URL => new URL(`../fixtures/workers/${name}`, import.meta.url)

  test.each<[string, string]>([
    ['absent.js', 'Cannot find module'],
    ['says-nothing.js', 'No handler function'],
  ])('gives back every task that waits for it: %s', async (name, message) => {
    const pool = create({ worker: broken(name) })
    const outcomes = await Promise.all([1, 2, 3, 4, 5].map((input) => fine(pool, input)))
    for (const outcome of outcomes) expect(outcome).toEqual(unstarted(message))
    expect(lateErrors.length).toBeGreaterThan(0)
  })

  test('that cannot even be made gives its tasks back', async () => {
    const pool = create({ resourceLimits: 'much' as unknown as object })
    expect(await Promise.all([fine(pool, 1), fine(pool, 2)])).toEqual([1, 2].map(() => unstarted('resourceLimits')))
  })

  test('in time is given up', async () => {
    const pool = create({ worker: broken('hangs.js'), clock: hurried(100) })
    expect(await Promise.all([fine(pool, 1), fine(pool, 2)])).toEqual(
      [1, 2].map(() => unstarted('did not start within')),
    )
  })

  test('is tried again after a rest that doubles, and the tasks of each try settle', async () => {
    const starts = join(folder, 'starts')
    writeFileSync(starts, '')
    process.env.HOLDFAST_TEST_STARTS = starts
    const pool = create({ worker: broken('throws.js'), workers: 1 })
    const before = performance.now()
    for (const input of [1, 2, 3, 4]) expect(await fine(pool, input)).toEqual(unstarted('this worker is broken'))
    const tookMs = performance.now() - before
    expect(tookMs).toBeGreaterThan(restMs(2) + restMs(3))
    // Piscina loads the entry twice a thread: as CommonJS, then, since that threw, as a module.
    expect(new Set([4, 8])).toContain(readFileSync(starts, 'utf8').length)
  })

  test('can be closed while it hangs', async () => {
    const pool = create({ worker: broken('hangs.js') })
    const running = run(pool, hostile('fine', 1))
    const hurried = await outcomeOf(pool, hostile('fine', 2, { queueTimeoutMs: 50 }))
    expect(hurried).toEqual(failure('STEP_QUEUE_TIMEOUT', true))
    await pool.close()
    expect(await running.outcome).toEqual({ kind: 'cancelled' })
  })

  test('can be closed while it rests', async () => {
    const pool = create({ worker: broken('absent.js'), workers: 1 })
    for (const input of [1, 2]) await fine(pool, input)
    const running = run(pool, hostile('fine', 3))
    await pool.close()
    expect(await running.outcome).toEqual({ kind: 'cancelled' })
  })
})

test('the rest before a respawn is none, then doubles, up to a cap', () => {
  expect([0, 1, 2, 3, 4, 5].map(restMs)).toEqual([0, 0, 100, 200, 400, 800])
  expect(restMs(2)).toBe(RESPAWN_REST_MS)
  expect(restMs(1000)).toBe(RESPAWN_REST_CAP_MS)
})

test('a pool keeps its process alive while it has a task, also while a thread rests, and no longer', async () => {
  const script = fileURLToPath(new URL('../fixtures/keeps-alive.js', import.meta.url))
  const args = [script, builtPackage().href, stepsModule('hostile.js')]
  const ended = promisify(execFile)(process.execPath, args, { timeout: 120_000, killSignal: 'SIGKILL' })
  const { stdout } = await ended.catch((cause) => {
    throw cause.killed ? new Error(`it was alive after two minutes and said "${cause.stdout}"`, { cause }) : cause
  })
  expect(stdout.trim()).toBe('failed failed failed done')
})

describe('many hostile steps at once', () => {
  const COUNT = 40
  const bad = ['exits', 'throwsLate', 'rejectsUnheard', 'leavesATimer', 'leavesARejection', 'leavesAnInterval']
  let outcomes: Outcome[] = []
  let pool: Pool

  beforeAll(async () => {
    pool = create({ workers: 4 })
    const tasks = Array.from({ length: COUNT }, (_, index) => [
      outcomeOf(pool, hostile(bad[index % bad.length] ?? '', 3)),
      fine(pool, index),
      fine(pool, index),
      outcomeOf(pool, hostile('returnsAFunction')),
    ])
    outcomes = await Promise.all(tasks.flat())
  })

  test('fail no innocent one', () => {
    const good = outcomes.filter((_, index) => index % 4 === 1 || index % 4 === 2)
    expect(good).toEqual(Array.from({ length: COUNT }, (_, index) => [done(index), done(index)]).flat())
  })

  test('all settle', () => {
    expect(outcomes).toHaveLength(4 * COUNT)
  })
})
