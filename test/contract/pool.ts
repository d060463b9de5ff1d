// The contract of the Pool port, run over every adapter.

import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { Outcome, Pool, RunningTask, Task, TaskListener } from '../../src/pool.js'
import { OUTBOX_CHARS, OUTBOX_ITEMS, PROGRESS_MESSAGE_CHARS } from '../../src/step-outbox.js'

export const stepsModule = (name: string): string => new URL(`../fixtures/steps/${name}`, import.meta.url).href

/** Whoever waits for such a step to end by itself does not see the end of the test. */
const LONGER_THAN_A_TEST_MS = 300_000

const plain = stepsModule('plain.js')

/** What a listener was told, in order. */
export type Heard = { kind: string; [field: string]: unknown }

export interface Recorder extends TaskListener {
  readonly heard: Heard[]
  /** Resolves when something of that kind has been heard. */
  when(kind: string): Promise<void>
}

export function recorder(): Recorder {
  const heard: Heard[] = []
  let told = (): void => {}
  const hear = (item: Heard): void => {
    heard.push(item)
    told()
  }
  return {
    heard,
    async when(kind) {
      while (!heard.some((item) => item.kind === kind)) await new Promise<void>((resolve) => (told = resolve))
    },
    started: () => hear({ kind: 'started' }),
    progress: (percent, message) => hear({ kind: 'progress', percent, message }),
    chunk: (chunk) => hear({ kind: 'chunk', chunk }),
    log: (message, data) => hear({ kind: 'log', message, data }),
  }
}

export const task = (name: string, input?: unknown, more: Partial<Task> = {}): Task => ({
  module: plain,
  name,
  input,
  idempotencyKey: 'session.step.1',
  attempt: 1,
  graceMs: 100,
  ...more,
})

export const run = (pool: Pool, wanted: Task, listener: TaskListener = recorder()): RunningTask =>
  pool.run(wanted, listener)

export const outcomeOf = (pool: Pool, wanted: Task, listener?: TaskListener): Promise<Outcome> =>
  run(pool, wanted, listener).outcome

export const done = (output: unknown): Outcome => ({ kind: 'done', output })

/** An outcome that failed with this code. */
export const failure = (code: string | undefined, retry: boolean, message = ''): unknown => ({
  kind: 'failed',
  retry,
  error: expect.objectContaining({ ...(code && { code }), message: expect.stringContaining(message) }),
})

/** An outcome of a step that never began. */
export const notRun = (code: string, message = ''): unknown => ({
  kind: 'not-run',
  error: expect.objectContaining({ code, message: expect.stringContaining(message) }),
})

export interface PoolFixture {
  create(options: { workers?: number; queueLimit?: number }): Pool
}

export function poolContract(name: string, fixture: PoolFixture): void {
  describe(`the pool contract: ${name}`, () => {
    const pools: Pool[] = []
    const create = (options: { workers?: number; queueLimit?: number } = {}): Pool => {
      const pool = fixture.create({ workers: 2, ...options })
      pools.push(pool)
      return pool
    }

    afterEach(async () => {
      await Promise.all(pools.splice(0).map((pool) => pool.close()))
    })

    describe('a step that runs', () => {
      test('gets its input and gives its output', async () => {
        const input = { text: 'ünï', list: [1, null, { deep: true }] }
        expect(await outcomeOf(create(), task('echo', input))).toEqual(done(input))
      })

      test('may take nothing and give nothing', async () => {
        expect(await outcomeOf(create(), task('nothing'))).toEqual(done(undefined))
      })

      test('knows its key, its attempt and its deadline', async () => {
        const before = Date.now()
        const outcome = await outcomeOf(create(), task('context', null, { attempt: 3, runTimeoutMs: 60_000 }))
        expect(outcome).toEqual(
          done({ idempotencyKey: 'session.step.1', attempt: 3, deadline: expect.any(Number), aborted: false }),
        )
        const { deadline } = (outcome as { output: { deadline: number } }).output
        expect(deadline).toBeGreaterThanOrEqual(before + 60_000)
        expect(deadline).toBeLessThanOrEqual(Date.now() + 60_000)
      })

      test('has no deadline without a limit', async () => {
        expect(await outcomeOf(create(), task('context'))).toMatchObject({ output: { deadline: null } })
      })

      test('changes its own copy of the input only', async () => {
        const input = Object.freeze({ items: Object.freeze(['yours']) })
        expect(await outcomeOf(create(), task('changesItsInput', input))).toEqual(done({ items: ['yours', 'mine'] }))
        expect(input).toEqual({ items: ['yours'] })
      })

      test('tells when it starts, once, and what it says, in order, before its outcome', async () => {
        const listener = recorder()
        expect(await outcomeOf(create(), task('speaks'), listener)).toEqual(done('said'))
        const chunks = listener.heard.filter((item) => item.kind === 'chunk').map((item) => item.chunk)
        expect(listener.heard[0]).toEqual({ kind: 'started' })
        expect(listener.heard.filter((item) => item.kind === 'started')).toHaveLength(1)
        expect(chunks).toEqual([{ token: 'a' }, { token: 'b' }])
        expect(listener.heard).toContainEqual({ kind: 'progress', percent: 10, message: 'started' })
        expect(listener.heard).toContainEqual({ kind: 'log', message: 'a line', data: { at: 1 } })
        expect(listener.heard.at(-1)).toEqual({ kind: 'progress', percent: 100, message: undefined })
      })

      test('never calls its listener before run has returned', async () => {
        let returned = false
        let tooEarly = false
        const listener = { ...recorder(), started: () => (tooEarly = !returned) }
        const { outcome } = run(create(), task('nothing'), listener)
        returned = true
        await outcome
        expect(tooEarly).toBe(false)
      })

      test('runs beside others, and each gets its own answer', async () => {
        const pool = create({ workers: 4 })
        const inputs = Array.from({ length: 200 }, (_, index) => index)
        const outcomes = await Promise.all(inputs.map((input) => outcomeOf(pool, task('echo', input))))
        expect(outcomes).toEqual(inputs.map(done))
      })
    })

    describe('a step that fails', () => {
      test('keeps name, code, message, fields, stack and cause of its error', async () => {
        const outcome = await outcomeOf(create(), task('fails'))
        expect(outcome).toEqual({
          kind: 'failed',
          retry: true,
          error: {
            name: 'RangeError',
            code: 'E_FAR',
            message: 'too far',
            distance: 12,
            stack: expect.stringContaining('plain.js'),
            cause: expect.objectContaining({ message: 'the map was wrong' }),
          },
        })
      })

      test.each(['undefined', 'text', 'function', 'symbol', 'bare', 'cycle', 'getter', 'proxy', 'revoked'])(
        'may throw anything: %s',
        async (thrown) => {
          const pool = create()
          expect(await outcomeOf(pool, task('throwsStrange', thrown))).toEqual(failure(undefined, true))
          expect(await outcomeOf(pool, task('echo', 1))).toEqual(done(1))
        },
      )

      test.each(['date', 'map', 'function', 'symbol', 'nan', 'bigint', 'error', 'revoked'])(
        'may return what is not JSON: %s',
        async (kind) => {
          const pool = create()
          expect(await outcomeOf(pool, task('returnsStrange', kind))).toEqual(failure('STEP_OUTPUT_NOT_JSON', false))
          expect(await outcomeOf(pool, task('echo', 1))).toEqual(done(1))
        },
      )

      test('is told where its output is not JSON', async () => {
        const outcome = await outcomeOf(create(), task('returnsStrange', 'date'))
        expect(outcome).toEqual(failure('STEP_OUTPUT_NOT_JSON', false, 'output.deep[0].when is a Date'))
        expect(outcome).toMatchObject({ error: { details: { path: 'output.deep[0].when' } } })
      })

      test.each(['absent', 'notAFunction', 'toString', '__proto__', ''])('is not found as "%s"', async (name) => {
        const outcome = await outcomeOf(create(), task(name))
        expect(outcome).toEqual(failure('STEP_NOT_FOUND', false, `no function "${name}"`))
        expect(outcome).toEqual(failure('STEP_NOT_FOUND', false, 'echo'))
        expect(outcome).not.toEqual(failure('STEP_NOT_FOUND', false, 'notAFunction, '))
      })

      test.each([stepsModule('absent.js'), stepsModule('fails-to-load.js'), 'not an address'])(
        'is in a module that does not load: %s',
        async (module) => {
          const pool = create()
          expect(await outcomeOf(pool, task('any', null, { module }))).toEqual(failure('STEP_MODULE_FAILED', true))
          expect(await outcomeOf(pool, task('echo', 1))).toEqual(done(1))
        },
      )

      test('keeps what was wrong with its module', async () => {
        const outcome = await outcomeOf(create(), task('any', null, { module: stepsModule('fails-to-load.js') }))
        expect(outcome).toMatchObject({ error: { cause: { code: 'E_DATABASE', message: 'no such database' } } })
      })

      test('fails at once when its input cannot be handed over, and harms no other', async () => {
        const pool = create({ workers: 1 })
        const refused = outcomeOf(
          pool,
          task('echo', () => {}),
        )
        const next = outcomeOf(pool, task('echo', 1))
        expect(await refused).toEqual(failure('NOT_JSON', false, 'the input of step "echo"'))
        expect(await next).toEqual(done(1))
      })
    })

    describe('what a step says', () => {
      test('must be JSON: a bad chunk throws in the step', async () => {
        const outcome = await outcomeOf(create(), task('emitsWhatIsNotJson'))
        expect(outcome).toEqual(failure('NOT_JSON', true, 'chunk.deep[0] is a Date'))
      })

      test('can be bad without ending the step', async () => {
        const outcome = await outcomeOf(create(), task('survivesItsBadChunk'))
        expect(outcome).toEqual(done(['NOT_JSON', 'NOT_JSON', 'INVALID_ARGUMENT']))
      })

      test('is not delivered after the end of the step', async () => {
        const listener = recorder()
        expect(await outcomeOf(create(), task('speaksLate', 5), listener)).toEqual(done('ended'))
        const heard = [...listener.heard]
        await sleep(40)
        expect(listener.heard).toEqual(heard)
        expect(heard).toContainEqual({ kind: 'chunk', chunk: 'in time' })
      })

      test('costs a bounded amount when it is a flood of progress, and ends with the last', async () => {
        const listener = recorder()
        const flood = { times: 100_000, turns: 2 }
        expect((await outcomeOf(create(), task('floods', flood), listener)).kind).toBe('done')
        const progress = listener.heard.filter((item) => item.kind === 'progress')
        expect(progress.length).toBeLessThan(1000)
        expect(progress.at(-1)).toEqual({ kind: 'progress', percent: 100, message: 'turn 2' })
      })

      test('is dropped and counted when it is a flood of chunks', async () => {
        const listener = recorder()
        const times = 20 * OUTBOX_ITEMS
        await outcomeOf(create(), task('floods', { times, turns: 1 }), listener)
        const chunks = listener.heard.filter((item) => item.kind === 'chunk')
        const dropped = listener.heard
          .filter((item) => item.kind === 'log')
          .map((item) => (item.data as { dropped: number }).dropped)
        expect(dropped.length).toBeGreaterThan(0)
        expect(chunks.length + dropped.reduce((sum, count) => sum + count, 0)).toBe(times)
      })

      test('about its progress is cut when it is long, and held to 0 to 100', async () => {
        const listener = recorder()
        await outcomeOf(create(), task('exaggerates', 2 * PROGRESS_MESSAGE_CHARS), listener)
        const [first, last] = listener.heard.filter((item) => item.kind === 'progress')
        expect(first).toMatchObject({ percent: 0 })
        expect(last).toMatchObject({ percent: 100 })
        expect(last?.message).toHaveLength(PROGRESS_MESSAGE_CHARS)
      })

      test('has a largest chunk', async () => {
        const pool = create()
        expect(await outcomeOf(pool, task('emitsTooMuch', OUTBOX_CHARS))).toEqual(
          failure('INVALID_ARGUMENT', true, `over the limit of ${OUTBOX_CHARS}`),
        )
        const listener = recorder()
        await outcomeOf(pool, task('emitsTooMuch', OUTBOX_CHARS - 2), listener)
        expect(listener.heard.filter((item) => item.kind === 'chunk')).toHaveLength(1)
      })
    })

    describe('cancel', () => {
      test('reaches the step, which ends by itself; only then is it cancelled', async () => {
        const listener = recorder()
        const running = run(create(), task('tidiesUp', 20, { graceMs: 30_000 }), listener)
        await listener.when('chunk')
        running.cancel('no longer wanted')
        expect(await running.outcome).toEqual({ kind: 'cancelled' })
        const data = { name: 'AbortError', message: 'no longer wanted' }
        expect(listener.heard).toContainEqual({ kind: 'log', message: 'tidied up', data })
      })

      test('ends a step that does not listen, after its grace', async () => {
        const listener = recorder()
        const running = run(create(), task('ignoresItsSignal', LONGER_THAN_A_TEST_MS, { graceMs: 50 }), listener)
        await listener.when('chunk')
        const before = performance.now()
        running.cancel('no longer wanted')
        running.cancel('again')
        expect(await running.outcome).toEqual({ kind: 'cancelled' })
        expect(performance.now() - before).toBeGreaterThan(40)
      })

      test('of a step that waits means that it never runs', async () => {
        const pool = create({ workers: 1 })
        const listener = recorder()
        const first = run(pool, task('sleeps', 50))
        const second = run(pool, task('echo', 2), listener)
        const third = run(pool, task('echo', 3))
        second.cancel('changed my mind')
        expect(await second.outcome).toEqual({ kind: 'cancelled' })
        expect(await first.outcome).toEqual(done('slept'))
        expect(await third.outcome).toEqual(done(3))
        expect(listener.heard).toEqual([])
      })

      test('at once is as good as any time', async () => {
        const listener = recorder()
        const running = run(create(), task('sleeps', 30_000), listener)
        running.cancel('at once')
        expect(await running.outcome).toEqual({ kind: 'cancelled' })
      })

      test('after the end changes nothing', async () => {
        const pool = create({ workers: 1 })
        const running = run(pool, task('echo', 1))
        expect(await running.outcome).toEqual(done(1))
        running.cancel('too late')
        expect(await outcomeOf(pool, task('sleeps', 20))).toEqual(done('slept'))
        expect(await running.outcome).toEqual(done(1))
      })

      test('makes an error of the step a cancel too', async () => {
        const listener = recorder()
        const running = run(create(), task('sleeps', 30_000, { graceMs: 30_000 }), listener)
        await listener.when('started')
        running.cancel('no longer wanted')
        expect(await running.outcome).toEqual({ kind: 'cancelled' })
      })
    })

    describe('time', () => {
      test('is up for a step that runs too long; it is told first', async () => {
        const listener = recorder()
        const wanted = task('tidiesUp', 10, { runTimeoutMs: 1000, graceMs: 30_000 })
        const outcome = await outcomeOf(create(), wanted, listener)
        expect(outcome).toEqual(failure('STEP_TIMEOUT', true, 'over 1000 ms'))
        const data = { name: 'AbortError', message: 'out of time after 1000 ms' }
        expect(listener.heard).toContainEqual({ kind: 'log', message: 'tidied up', data })
      })

      test('is up for a step that does not listen, after its grace', async () => {
        const wanted = task('ignoresItsSignal', 30_000, { runTimeoutMs: 30, graceMs: 30 })
        expect(await outcomeOf(create(), wanted)).toEqual(failure('STEP_TIMEOUT', true))
      })

      test('in the queue does not count as run time', async () => {
        const pool = create({ workers: 1 })
        const first = outcomeOf(pool, task('sleeps', 1100))
        const second = outcomeOf(pool, task('sleeps', 20, { runTimeoutMs: 1000 }))
        expect(await first).toEqual(done('slept'))
        expect(await second).toEqual(done('slept'))
      })

      test('to wait is up for a step that no worker takes; it never runs', async () => {
        const pool = create({ workers: 1 })
        const listener = recorder()
        const busy = recorder()
        const first = run(pool, task('sleeps', 30_000), busy)
        await busy.when('started')
        const outcome = await outcomeOf(pool, task('echo', 1, { queueTimeoutMs: 30 }), listener)
        expect(outcome).toEqual(failure('STEP_QUEUE_TIMEOUT', true, 'over 30 ms'))
        expect(listener.heard).toEqual([])
        first.cancel('enough')
        expect(await outcomeOf(pool, task('echo', 2, { queueTimeoutMs: 60_000 }))).toEqual(done(2))
      })

      test('to wait ends when the step starts', async () => {
        const pool = create()
        await outcomeOf(pool, task('nothing'))
        expect(await outcomeOf(pool, task('sleeps', 1100, { queueTimeoutMs: 1000 }))).toEqual(done('slept'))
      })
    })

    describe('the line', () => {
      test('is served in order', async () => {
        const pool = create({ workers: 1 })
        const ended: number[] = []
        const inputs = [1, 2, 3, 4, 5]
        await Promise.all(inputs.map((input) => outcomeOf(pool, task('echo', input)).then(() => ended.push(input))))
        expect(ended).toEqual(inputs)
      })

      test('is bounded: one more is refused, and place is free again when it moves', async () => {
        const pool = create({ workers: 1, queueLimit: 2 })
        const busy = recorder()
        const first = run(pool, task('sleeps', 30_000), busy)
        await busy.when('started')
        const queued = [run(pool, task('echo', 1)), run(pool, task('echo', 2))]
        expect(await outcomeOf(pool, task('echo', 3))).toEqual(notRun('POOL_FULL', '2 steps wait already'))
        queued[0]?.cancel('make room')
        const third = run(pool, task('echo', 4))
        first.cancel('enough')
        expect(await queued[1]?.outcome).toEqual(done(2))
        expect(await third.outcome).toEqual(done(4))
      })

      test('may be of no length: then a task runs now or not at all', async () => {
        const pool = create({ workers: 1, queueLimit: 0 })
        const busy = recorder()
        const first = run(pool, task('sleeps', 50), busy)
        expect(await outcomeOf(pool, task('echo', 1))).toEqual(notRun('POOL_FULL'))
        expect(await first.outcome).toEqual(done('slept'))
        expect(await outcomeOf(pool, task('echo', 2))).toEqual(done(2))
      })

      test.each([
        { workers: 0 },
        { workers: 1.5 },
        { workers: Number.POSITIVE_INFINITY },
        { queueLimit: -1 },
        { queueLimit: Number.NaN },
      ])('has a length, and somebody to serve it: not %j', (options) => {
        expect(() => fixture.create(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      })

      test('is counted', async () => {
        const pool = create({ workers: 1 })
        const busy = recorder()
        const tasks = [run(pool, task('sleeps', 30_000), busy), run(pool, task('echo', 1)), run(pool, task('echo', 2))]
        await busy.when('started')
        expect(pool.stats()).toEqual({ running: 1, queued: 2, workers: 1 })
        for (const running of tasks) running.cancel('enough')
        await Promise.all(tasks.map((running) => running.outcome))
        expect(pool.stats()).toMatchObject({ running: 0, queued: 0 })
      })
    })

    describe('close', () => {
      test('cancels what runs and what waits, and waits for the end', async () => {
        const pool = create({ workers: 1 })
        const listener = recorder()
        const running = run(pool, task('tidiesUp', 20, { graceMs: 30_000 }), listener)
        const waiting = run(pool, task('echo', 1))
        await listener.when('chunk')
        await pool.close()
        const data = { name: 'AbortError', message: 'the pool is closing' }
        expect(listener.heard).toContainEqual({ kind: 'log', message: 'tidied up', data })
        expect(await running.outcome).toEqual({ kind: 'cancelled' })
        expect(await waiting.outcome).toEqual({ kind: 'cancelled' })
        expect(pool.stats()).toMatchObject({ running: 0, queued: 0 })
      })

      test('takes at most the grace of what does not listen', async () => {
        const pool = create({ workers: 2 })
        const listener = recorder()
        const running = run(pool, task('ignoresItsSignal', LONGER_THAN_A_TEST_MS, { graceMs: 50 }), listener)
        await listener.when('chunk')
        await pool.close()
        expect(await running.outcome).toEqual({ kind: 'cancelled' })
      })

      test('can be repeated, and nothing runs afterwards', async () => {
        const pool = create()
        await outcomeOf(pool, task('nothing'))
        await Promise.all([pool.close(), pool.close()])
        await pool.close()
        expect(await outcomeOf(pool, task('echo', 1))).toEqual(notRun('POOL_CLOSED'))
      })

      test('before anything ran is fine', async () => {
        await create().close()
      })

      test('right after a task came in leaves nothing behind', async () => {
        const pool = create()
        const running = run(pool, task('sleeps', 30_000))
        await pool.close()
        expect(await running.outcome).toEqual({ kind: 'cancelled' })
      })
    })
  })
}
