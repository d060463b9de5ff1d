// R17: steps that harm the thread they run in, of every kind, mixed with innocent ones, in sessions of one runtime: every
// session comes to an end that says what happened, no innocent step fails, and the workers are as many as before; a thread
// that is killed again and again is begun anew ever later.
// HOLDFAST_HOSTILE sets how many of each kind.
import { setTimeout as sleep } from 'node:timers/promises'
import { defineSession, isHoldfastError, openRuntime, type SessionKind, step } from 'holdfast'
import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import type { Clock } from '../../src/clock.js'
import { createPiscinaPool } from '../../src/piscina/pool.js'
import { RESPAWN_REST_CAP_MS, RESPAWN_REST_MS, restMs } from '../../src/piscina/seat.js'
import type { Pool } from '../../src/pool.js'
import { systemClock } from '../../src/system/clock.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { createVirtualClock } from '../../src/testing/clock.js'
import { run, stepsModule, task } from '../contract/pool.js'
import { builtWorker } from './built.js'

const EACH = Number(process.env.HOLDFAST_HOSTILE ?? 20)
const WORKERS = 4
/** Of those that end by themselves: long enough for any machine. */
const TIMEOUT_MS = 60_000

interface Harm {
  readonly step: string
  readonly input: number
  /** What the session comes to. */
  readonly end: string
  readonly timeoutMs?: number
  readonly module?: string
}

const HARMS: readonly Harm[] = [
  { step: 'eatsTheHeap', input: 0, end: 'STEP_CRASHED' },
  { step: 'exits', input: 3, end: 'STEP_CRASHED' },
  { step: 'loops', input: 0, end: 'STEP_TIMEOUT', timeoutMs: 60 },
  { step: 'throwsLate', input: 5, end: 'STEP_CRASHED' },
  { step: 'rejectsUnheard', input: 0, end: 'STEP_CRASHED' },
  { step: 'returnsAFunction', input: 0, end: 'STEP_OUTPUT_NOT_JSON' },
  { step: 'leavesATimer', input: 4, end: 'done: left' },
  // What was deployed is wrong, not what the session is about: it waits for a better one.
  { step: 'never', input: 0, end: 'SESSION_PARKED', module: 'fails-to-load.js' },
]
const INNOCENT: Harm = { step: 'fine', input: 7, end: 'done: 7' }

interface Failure {
  readonly code?: string
  readonly message: string
}

/** A session that runs one step, and ends with what became of it. */
const kindOf = ({ step: name, timeoutMs = TIMEOUT_MS, module = 'hostile.js' }: Harm) =>
  defineSession({
    kind: `hostile-${name}`,
    version: 1,
    steps: new URL(stepsModule(module)),
    machine: setup({
      types: { context: {} as { input: number; end: string }, input: {} as number, output: {} as string },
      actors: { work: step<(input: number) => unknown>(name, { attempts: 1, timeoutMs, graceMs: 20 }) },
    }).createMachine({
      context: ({ input }) => ({ input, end: '' }),
      initial: 'working',
      states: {
        working: {
          invoke: {
            src: 'work',
            input: ({ context }) => context.input,
            onDone: { target: 'over', actions: assign({ end: ({ event }) => `done: ${event.output}` }) },
            onError: {
              target: 'over',
              actions: assign({ end: ({ event }) => String((event.error as Failure).code) }),
            },
          },
        },
        over: { type: 'final' },
      },
      output: ({ context }) => context.end,
    }),
  })

/** The same pool, watched: by how much each step that had begun outlived its time. */
function watched(pool: Pool, overMs: number[]): Pool {
  return {
    ...pool,
    run(wanted, listener) {
      let begun: number | undefined
      const running = pool.run(wanted, {
        ...listener,
        started: () => {
          begun = performance.now()
          listener.started()
        },
      })
      void running.outcome.then(() => {
        if (begun !== undefined) overMs.push(performance.now() - begun - (wanted.runTimeoutMs ?? 0))
      })
      return running
    },
  }
}

test(`${EACH} of each kind of hostile step, each beside an innocent one: all end as they must, and the workers return`, async () => {
  const overMs: number[] = []
  const late: Error[] = []
  const pool = createPiscinaPool({
    ...{ clock: systemClock, worker: builtWorker(), workers: WORKERS },
    onWorkerError: (error) => void late.push(error),
    resourceLimits: { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 4 },
  })
  const kinds = new Map([INNOCENT, ...HARMS].map((harm) => [harm, kindOf(harm)] as const))
  await using runtime = await openRuntime({
    ...{ storage: 'memory', kinds: [...kinds.values()], pool: watched(pool, overMs) },
    logger: { info: () => {}, warn: () => {}, error: () => {} },
  })
  const end = async (harm: Harm): Promise<string> => {
    const session = await runtime.create(
      kinds.get(harm) as SessionKind<ReturnType<typeof kindOf>['machine']>,
      harm.input,
    )
    return session.result().catch((error) => (isHoldfastError(error) ? error.code : String(error)))
  }
  const { random } = createSeededChance(17)
  const all = HARMS.flatMap((harm) => Array.from({ length: EACH }, () => [harm, INNOCENT])).flat()
  const mixed = all.map((harm) => ({ harm, at: random() })).sort((a, b) => a.at - b.at)
  const ends = await Promise.all(mixed.map(async ({ harm }) => ({ harm, end: await end(harm) })))
  expect(ends.filter((each) => each.end !== each.harm.end)).toEqual([])
  // What has happened to threads while nothing ran in them is heard of, too.
  expect(new Set(late.map(({ message }) => message.replace(/\d+/, 'n')))).toEqual(new Set(['a timer left behind']))
  const together = Array.from({ length: WORKERS }, () => run(pool, task('sleeps', 600_000, { graceMs: 60_000 })))
  while (pool.stats().running < WORKERS) await sleep(5)
  expect(pool.stats()).toEqual({ running: WORKERS, queued: 0, workers: WORKERS })
  for (const { cancel } of together) cancel('all are there')
  await Promise.all(together.map(({ outcome }) => outcome))
  expect(runtime.health().parked).toHaveLength(EACH)
  console.log(
    `R17: ${HARMS.length} kinds of hostile steps, ${EACH} each, and ${HARMS.length * EACH} innocent ones: all settled, at most ` +
      `${Math.max(0, Math.round(Math.max(...overMs)))} ms after their deadline; ${WORKERS} workers before and after`,
  )
}, 0)

test('a thread that every step kills is begun anew after a rest that doubles up to its cap; one step that ends well ends the row', async () => {
  const time = createVirtualClock()
  const rests: number[] = []
  // Time stands still but for the rests: while a thread rests, nothing else of the pool waits for time.
  const clock: Clock = {
    ...time,
    setTimeout(ring, ms) {
      const cancel = time.setTimeout(ring, ms)
      if (ms < RESPAWN_REST_MS || ms > RESPAWN_REST_CAP_MS) return cancel
      rests.push(ms)
      void time.advance(ms)
      return cancel
    },
  }
  const pool = createPiscinaPool({ clock, worker: builtWorker(), workers: 1 })
  const begunAt: number[] = []
  const outcomeOf = async (name: string, input: unknown) => {
    const listener = { started: () => void begunAt.push(time.elapsed()), progress() {}, chunk() {}, log() {} }
    const wanted = task(name, input, { module: stepsModule('hostile.js') })
    const outcome = await pool.run(wanted, listener).outcome
    return outcome.kind === 'failed' ? outcome.error.code : outcome.kind
  }
  const deaths = 9
  for (let death = 1; death <= deaths; death++) expect(await outcomeOf('exits', 1)).toBe('STEP_CRASHED')
  expect(await outcomeOf('fine', 1)).toBe('done')
  const expected = Array.from({ length: deaths }, (_, death) => restMs(death + 1))
  expect(rests).toEqual(expected.filter((ms) => ms > 0))
  expect(rests.at(-1)).toBe(RESPAWN_REST_CAP_MS)
  const sums = expected.map((_, death) => expected.slice(0, death + 1).reduce((sum, ms) => sum + ms, 0))
  expect(begunAt).toEqual([0, ...sums])
  for (const name of ['exits', 'fine']) await outcomeOf(name, 1)
  expect(rests).toHaveLength(deaths - 1)
  await pool.close()
})
