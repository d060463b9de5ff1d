// Steps: at least once, results exactly once, with one key; retries and restarts are recorded before they run.
import { createRuntime, defineSession, step } from 'holdfast'
import { expect, test, vi } from 'vitest'
import { assign, setup } from 'xstate'
import { readFileJournal } from '../src/files/foreign-journal.js'
import { createInlinePool } from '../src/inline/pool.js'
import { createMemoryJournal } from '../src/memory/journal.js'
import { createMemorySnapshots } from '../src/memory/snapshots.js'
import type { StepContext } from '../src/pool.js'
import { systemChance } from '../src/system/chance.js'
import { systemClock } from '../src/system/clock.js'
import { house } from './house.js'

type Work = (input: { text: string }, context: StepContext) => Promise<string>

const kindOf = (options: Parameters<typeof step>[1] = {}) =>
  defineSession({
    kind: 'worker',
    version: 1,
    steps: 'test:steps',
    machine: setup({
      types: { context: {} as { result: string; error: string }, events: {} as { type: 'leave' | 'again' | 'stay' } },
      actors: { work: step<Work>('work', options) },
    }).createMachine({
      id: 'worker',
      context: { result: '', error: '' },
      initial: 'working',
      states: {
        working: {
          invoke: {
            id: 'job',
            src: 'work',
            input: { text: 'hello' },
            onDone: { target: 'done', actions: assign({ result: ({ event }) => event.output }) },
            onError: {
              target: 'failed',
              actions: assign({ error: ({ event }) => (event.error as { message: string }).message }),
            },
          },
          on: { leave: 'left', again: { target: 'working', reenter: true }, stay: {} },
        },
        left: {},
        done: { type: 'final' },
        failed: { type: 'final' },
      },
    }),
  })

test('a step gets its input, a key and its attempt, and its output comes to the machine', async () => {
  const calls: unknown[] = []
  const work: Work = async (input, { idempotencyKey, attempt }) => {
    calls.push({ input, idempotencyKey, attempt })
    return input.text.toUpperCase()
  }
  const kind = kindOf()
  await using runtime = await house([kind], { work }).open()
  const session = await runtime.create(kind)
  await session.result()
  expect(session.snapshot().context.result).toBe('HELLO')
  expect(calls).toEqual([{ input: { text: 'hello' }, idempotencyKey: `${session.id}.job.1`, attempt: 1 }])
})

test('a step that fails is tried again as its policy says, with the same key and the next attempt', async () => {
  const seen: string[] = []
  const work: Work = async (_, { idempotencyKey, attempt }) => {
    seen.push(`${idempotencyKey.split('.').slice(1).join('.')} ${attempt}`)
    if (attempt < 3) throw Object.assign(new Error('not yet'), { code: 'BUSY' })
    return 'at last'
  }
  const kind = kindOf({ attempts: 3, backoffMs: 5 })
  await using runtime = await house([kind], { work }).open()
  const session = await runtime.create(kind)
  const events: string[] = []
  session.transitions$({ from: 1 }).subscribe(({ event }) => void events.push(event.type))
  await session.result()
  expect(seen).toEqual(['job.1 1', 'job.1 2', 'job.1 3'])
  expect(events).toEqual(['xstate.init', 'holdfast.attempt', 'holdfast.attempt', 'xstate.done.actor.job'])
})

test('when the attempts are used up, the machine gets the last error with its fields', async () => {
  const work: Work = async () => {
    throw new Error('never')
  }
  const kind = kindOf({ attempts: 2, backoffMs: 1 })
  await using runtime = await house([kind], { work }).open()
  const session = await runtime.create(kind)
  await session.result()
  expect(session.snapshot()).toMatchObject({ value: 'failed', context: { error: 'never' } })
})

test('an error that says that trying again cannot help is not tried again', async () => {
  let calls = 0
  const work: Work = async () => {
    calls++
    throw Object.assign(new Error('bad input'), { retry: false })
  }
  const kind = kindOf({ attempts: 5, backoffMs: 1 })
  await using runtime = await house([kind], { work }).open()
  const session = await runtime.create(kind)
  await session.result()
  expect(calls).toBe(1)
})

test('a step error that the machine does not handle ends the session in error, durably', async () => {
  const machine = setup({ actors: { work: step<Work>('work') } }).createMachine({
    initial: 'a',
    states: { a: { invoke: { src: 'work', id: 'job', input: { text: '' } } } },
  })
  const kind = defineSession({ kind: 'worker', version: 1, machine, steps: 'test:steps' })
  const work: Work = async () => {
    throw Object.assign(new Error('broken'), { code: 'E_BROKEN', status: 7 })
  }
  const home = house([kind], { work })
  const runtime = await home.open()
  const session = await runtime.create(kind)
  await expect(session.result()).rejects.toMatchObject({
    code: 'SESSION_FAILED',
    cause: { message: 'broken', code: 'E_BROKEN', status: 7 },
  })
  await runtime.close()
  await using again = await home.open()
  expect(again.session(session.id).snapshot()).toMatchObject({ status: 'error', error: { message: 'broken' } })
})

test('a step that was cut off by closing runs again with the same key and the next attempt', async () => {
  const seen: number[] = []
  const keys = new Set<string>()
  const work: Work = (_, { attempt, idempotencyKey, signal }) => {
    seen.push(attempt)
    keys.add(idempotencyKey)
    if (attempt > 1) return Promise.resolve('done now')
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  }
  const kind = kindOf({ graceMs: 100 })
  const home = house([kind], { work })
  const runtime = await home.open()
  const session = await runtime.create(kind)
  await expect.poll(() => seen).toEqual([1])
  await runtime.close()
  await using again = await home.open()
  await again.session(session.id).result()
  expect(seen).toEqual([1, 2])
  expect(keys.size).toBe(1)
})

test('leaving the state cancels the step, and its late result is not taken', async () => {
  let aborted = false
  const work: Work = (_, { signal }) =>
    new Promise((resolve) =>
      signal.addEventListener('abort', () => {
        aborted = true
        resolve('too late')
      }),
    )
  const kind = kindOf()
  await using runtime = await house([kind], { work }).open()
  const session = await runtime.create(kind)
  await session.send({ type: 'leave' })
  await expect.poll(() => aborted).toBe(true)
  expect(session.snapshot()).toMatchObject({ value: 'left', seq: 2, steps: [] })
})

test('re-entering the state starts a new incarnation; the result of the old one is fenced off', async () => {
  const started: string[] = []
  const release: (() => void)[] = []
  const work: Work = (_, { idempotencyKey }) => {
    const incarnation = idempotencyKey.split('.').at(-1) as string
    started.push(incarnation)
    return new Promise((resolve) => release.push(() => resolve(`from ${incarnation}`)))
  }
  const kind = kindOf()
  await using runtime = await house([kind], { work }).open()
  const session = await runtime.create(kind)
  await expect.poll(() => started).toEqual(['1'])
  await session.send({ type: 'again' })
  await expect.poll(() => started).toEqual(['1', '2'])
  release[0]?.()
  release[1]?.()
  await session.result()
  expect(session.snapshot().context.result).toBe('from 2')
})

test('a result that comes while the re-entry is on its way to the disk is fenced off too', async () => {
  const release: (() => void)[] = []
  const work: Work = (_, { idempotencyKey }) =>
    new Promise((resolve) => release.push(() => resolve(`from ${idempotencyKey.split('.').at(-1)}`)))
  const kind = kindOf()
  await using runtime = await house([kind], { work }).open()
  const session = await runtime.create(kind)
  await expect.poll(() => release.length).toBe(1)
  const again = session.send({ type: 'again' })
  release[0]?.()
  await again
  await expect.poll(() => release.length).toBe(2)
  release[1]?.()
  await session.result()
  expect(session.snapshot().context.result).toBe('from 2')
})

test('progress and chunks are shown while a step runs, and its last progress is kept with the result', async () => {
  const work: Work = async (_, { progress, emit }) => {
    progress(50, 'half')
    emit({ token: 'a' })
    return 'ok'
  }
  const kind = kindOf()
  await using runtime = await house([kind], { work }).open()
  const updates: unknown[] = []
  const session = await runtime.create(kind)
  session.progress$().subscribe((update) => void updates.push(update))
  await session.result()
  expect(updates).toEqual([
    { session: session.id, step: 'job', attempt: 1, kind: 'progress', percent: 50, message: 'half' },
    { session: session.id, step: 'job', attempt: 1, kind: 'chunk', chunk: { token: 'a' } },
  ])
})

test('the last progress of every attempt is in its record: of the one that failed, and of the one that ended', async () => {
  const work: Work = async (_, { progress, attempt }) => {
    progress(attempt * 10, `attempt ${attempt}`)
    if (attempt === 1) throw new Error('once more')
    return 'ok'
  }
  const kind = kindOf({ attempts: 2, backoffMs: 1 })
  const home = house([kind], { work })
  const runtime = await home.open()
  await (await runtime.create(kind)).result()
  await runtime.close()
  const journal = readFileJournal(home.disk, () => {})
  const told = [...journal.scan(0)].map(({ record }) => ({ type: record.event.type, progress: record.progress }))
  journal.close()
  expect(told.filter(({ progress }) => progress)).toEqual([
    { type: 'holdfast.attempt', progress: { percent: 10, message: 'attempt 1' } },
    { type: 'xstate.done.actor.job', progress: { percent: 20, message: 'attempt 2' } },
  ])
})

test.each([
  ['that its module does not have', 'STEP_NOT_FOUND'],
  ['whose module cannot be loaded', 'STEP_MODULE_FAILED'],
])('a step %s is no failure of the session: it is parked, and goes on once the step is there', async (_, code) => {
  const kind = kindOf({ attempts: 2, backoffMs: 1 })
  const steps: Record<string, Work> = {}
  const broken = new Proxy(steps, {
    ownKeys: () => {
      throw new Error('a syntax error')
    },
    get: () => {
      throw new Error('a syntax error')
    },
  })
  const home = house([kind], code === 'STEP_NOT_FOUND' ? steps : broken)
  const runtime = await home.open()
  const { id } = await runtime.create(kind)
  await expect(runtime.session(id, kind).result()).rejects.toMatchObject({ code: 'SESSION_PARKED' })
  expect(runtime.health().parked).toMatchObject([{ id, reason: { details: { reason: code } } }])
  await runtime.close()

  const mended = house([kind], { work: async ({ text }: { text: string }) => text }, home.disk)
  await using again = await mended.open()
  await again.session(id, kind).result()
  expect(again.session(id, kind).snapshot().context).toEqual({ result: 'hello', error: '' })
})

test('a module of steps that is not there is told in one line, which asks whether it is compiled', async () => {
  const lines: unknown[][] = []
  vi.spyOn(console, 'error').mockImplementation((...line) => void lines.push(line))
  const load = async (): Promise<never> => {
    const message =
      "Cannot find module '/app/steps.js' imported from /app/node_modules/holdfast/dist/src/piscina/worker.js"
    throw Object.assign(new Error(message), { code: 'ERR_MODULE_NOT_FOUND' })
  }
  const kind = kindOf({ attempts: 1 })
  const clock = systemClock
  const storage = { journal: createMemoryJournal(clock), snapshots: createMemorySnapshots() }
  const pool = createInlinePool({ clock, load })
  await using runtime = await createRuntime({ ...storage, pool, clock, chance: systemChance }, { kinds: [kind] })
  const session = await runtime.create(kind)
  await expect(session.result()).rejects.toMatchObject({ code: 'SESSION_PARKED' })
  expect(lines).toEqual([[expect.stringMatching(/: Cannot find module '\/app\/steps\.js'; is it compiled\?$/)]])
  vi.restoreAllMocks()
})

test('a full pool is waited for: it costs no attempt and leaves no record', async () => {
  const work: Work = async ({ text }, { attempt }) => `${text} ${attempt}`
  const kind = kindOf()
  const clock = systemClock
  const pool = createInlinePool({ clock, workers: 1, queueLimit: 1, load: async () => ({ work }) })
  const storage = { journal: createMemoryJournal(clock), snapshots: createMemorySnapshots() }
  await using runtime = await createRuntime({ ...storage, pool, clock, chance: systemChance }, { kinds: [kind] })
  const sessions = await Promise.all(Array.from({ length: 12 }, () => runtime.create(kind)))
  await Promise.all(sessions.map((session) => session.result()))
  const ends = sessions.map((session) => session.snapshot()).map(({ seq, context }) => `${context.result} at ${seq}`)
  expect(ends).toEqual(Array(12).fill('hello 1 at 2'))
})
