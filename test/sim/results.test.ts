// R18: a recorded result is never run again. The power is cut, or the process dies, at every call to the disk around the end
// of a step; then the directory is opened and lived on to the end. A step whose result is found on the disk does not run any
// more, and its machine has that very result; one whose result is not found runs again, with the same key and a later attempt.
// HOLDFAST_RUNS sets at how many points.
import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { defineSession } from '../../src/define.js'
import { openFileJournal } from '../../src/files/open-journal.js'
import type { Pool, StepContext } from '../../src/pool.js'
import type { TransitionRecord } from '../../src/record.js'
import { step } from '../../src/steps.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { createVirtualClock, type VirtualClock } from '../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk } from '../../src/testing/disk.js'
import { openWorld, randomFates, settle, type World } from '../../src/testing/world.js'

const POINTS = Number(process.env.HOLDFAST_RUNS ?? 500)
const SEED = Number(process.env.HOLDFAST_SEED ?? 18)
const STEPS = 3
const SESSIONS = ['a', 'b', 'c']
/** How many points are taken from where the record of an end is handed to the journal. */
const POINTS_EACH = 8

type Work = (input: { ms: number; fails: boolean }) => Promise<string>

const kind = defineSession({
  kind: 'worker',
  version: 1,
  steps: 'sim:steps',
  machine: setup({
    types: {
      context: {} as { seed: number; got: string[]; once: string },
      input: {} as { seed: number },
      events: {} as { type: 'nudge' },
    },
    actors: { work: step<Work>('work', { attempts: 3, backoffMs: 5 }) },
  }).createMachine({
    context: ({ input }) => ({ seed: input.seed, got: [], once: '' }),
    // Ends while the state that runs it goes on.
    invoke: {
      id: 'once',
      src: 'work',
      input: ({ context: { seed } }) => ({ ms: (seed % 5) * 6, fails: seed % 3 === 0 }),
      onDone: { actions: assign({ once: ({ event }) => event.output }) },
    },
    initial: 'working',
    on: { nudge: {} },
    states: {
      working: {
        invoke: {
          src: 'work',
          // Some take no time, some end together with those of others, some fail at first.
          input: ({ context: { seed, got } }) => ({
            ms: ((seed + got.length) % 3) * 7,
            fails: (seed + got.length) % 4 === 0,
          }),
          onDone: {
            target: 'next',
            actions: assign({ got: ({ context, event }) => [...context.got, event.output] }),
          },
        },
      },
      next: {
        always: [
          { guard: ({ context }) => context.got.length < STEPS, target: 'working' },
          { guard: ({ context }) => context.once !== '', target: 'end' },
        ],
      },
      end: { type: 'final' },
    },
    output: ({ context }) => [...context.got, context.once],
  }),
})

interface Run {
  readonly key: string
  readonly attempt: number
}

/** Lives on a disk, and says which attempts ran. Each run gives an output of its own. */
async function live(
  disk: CrashDisk,
  { nowMs, life, ...more }: Partial<Parameters<typeof openWorld>[0]> & { life: string },
): Promise<{ world: World; runs: Run[] }> {
  const runs: Run[] = []
  const steps = (clock: VirtualClock): Record<string, unknown> => ({
    work: async ({ ms, fails }: { ms: number; fails: boolean }, { idempotencyKey, attempt }: StepContext) => {
      if (ms > 0) await new Promise<void>((resolve) => clock.setTimeout(resolve, ms))
      if (fails && attempt === 1) throw new Error('not at first')
      return `${idempotencyKey} in ${life}, attempt ${attempt}`
    },
  })
  const counted = (pool: Pool): Pool => ({
    ...pool,
    run: (task, listener) => {
      runs.push({ key: task.idempotencyKey, attempt: task.attempt })
      return pool.run(task, listener)
    },
  })
  const world = await openWorld({ disk, kinds: [kind], steps, wrapPool: counted, ...(nowMs && { nowMs }), ...more })
  return { world, runs }
}

interface Crash {
  readonly disk: CrashDisk
  readonly nowMs: number
}

/** One life without an accident, and what it would have left behind at each point around the end of a step. */
async function crashesOf(random: () => number): Promise<Crash[]> {
  const crashes: Crash[] = []
  const disk = createCrashDisk()
  let near = 0
  let world: World | undefined
  const opened = await live(disk, {
    life: 'the first life',
    journal: { stallMs: random() < 0.5 ? -1 : 1, segmentBytes: random() < 0.3 ? 1500 : 1_000_000 },
    onAppend: ({ record }) => {
      if (record.finished !== undefined || record.attempt) near = POINTS_EACH
    },
    onPoint: () => {
      if (!world || near === 0) return undefined
      near--
      const left = random() < 0.25 ? disk.clone() : disk.crash(randomFates(random))
      crashes.push({ disk: left, nowMs: world.clock.now() })
      return undefined
    },
  })
  world = opened.world
  const { runtime, clock } = world
  await Promise.all(SESSIONS.map((id, at) => runtime.create(kind, { seed: at + Math.floor(random() * 12) }, { id })))
  for (let turn = 0; turn < 12; turn++) {
    if (random() < 0.4) {
      const id = SESSIONS[Math.floor(random() * SESSIONS.length)] as string
      runtime
        .session(id)
        .send({ type: 'nudge' })
        .catch(() => {})
    }
    await clock.advance(1 + Math.floor(random() * 10))
  }
  await clock.advance(200)
  await settle(world)
  await runtime.close()
  return crashes
}

/** What a disk knows of the steps: their attempts, and the results of those that have ended. */
function known(disk: CrashDisk): { begun: Map<string, number>; results: Map<string, unknown> } {
  const begun = new Map<string, number>()
  const results = new Map<string, unknown>()
  const current = new Map<string, string>()
  const { journal } = openFileJournal(disk.clone(), createVirtualClock())
  for (const { record } of journal.scan(0)) {
    const { session, seq, started = [], attempt, finished, event } = record as TransitionRecord
    const key = (child: string): string => current.get(`${session}.${child}`) as string
    if (finished !== undefined) results.set(key(finished), event.output)
    if (attempt) begun.set(key(attempt.child), attempt.number)
    for (const { id } of started) {
      current.set(`${session}.${id}`, `${session}.${id}.${seq}`)
      begun.set(key(id), 1)
    }
  }
  return { begun, results }
}

test(`at ${POINTS} points around the end of a step no recorded result is run again, and none is lost`, async () => {
  const { random } = createSeededChance(SEED)
  const totals = { recorded: 0, lost: 0, ranAgain: 0 }
  let points = 0
  while (points < POINTS) {
    for (const { disk, nowMs } of (await crashesOf(random)).slice(0, POINTS - points)) {
      points++
      const { begun, results } = known(disk)
      const { world, runs } = await live(disk, { life: 'the second life', nowMs })
      await world.clock.advance(500)
      await settle(world)
      for (const [key, attempts] of begun) {
        const again = runs.filter((run) => run.key === key)
        if (results.has(key)) expect(again, `${key} has a result`).toEqual([])
        else expect(again[0]?.attempt, `${key} has none`).toBe(attempts + 1)
        totals[results.has(key) ? 'recorded' : 'lost']++
      }
      totals.ranAgain += runs.length
      const outputs = world.runtime.sessions.list().sessions.map(({ id }) => {
        expect(world.runtime.session(id).entry().status).toBe('done')
        return world.runtime.session(id, kind).snapshot().output as string[]
      })
      const all = outputs.flat()
      for (const [key, output] of results) expect(all, `the result of ${key}`).toContain(output)
      expect(all).toHaveLength((STEPS + 1) * outputs.length)
      expect(new Set(all.map((output) => output.split(' ')[0])).size).toBe(all.length)
      expect(world.complaints).toEqual([])
      await world.runtime.close()
      if (points % 5 > 0) continue
      const { world: third, runs: none } = await live(disk.clone(), { life: 'the third life', nowMs: nowMs + 500 })
      await third.clock.advance(100)
      expect(none).toEqual([])
      await third.runtime.close()
    }
  }
  const { recorded, lost, ranAgain } = totals
  console.log(
    `R18: ${points} crash points; ${recorded} results were on the disk and none ran again, ${lost} steps had none and did; ${ranAgain} runs afterwards`,
  )
  // Points that hit nothing would prove nothing.
  expect(Math.min(recorded, lost)).toBeGreaterThan(POINTS / 2)
}, 600_000)
