// Secrets: none that the runtime was told of, or that comes in where a kind says so, is in a record, a snapshot, a stream or a
// log, by whichever way it came; and what is recorded is what the machine has seen, so a replay decides the same.
import { defineSession, isHoldfastError, type Runtime, type Session, step } from 'holdfast'
import { expect, test, vi } from 'vitest'
import { assign, emit, fromPromise, log, setup } from 'xstate'
import { type Disk, readAll } from '../src/disk.js'
import { openFileReader } from '../src/files/reader.js'
import type { Logger } from '../src/logger.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import type { StepContext } from '../src/pool.js'
import { verifySessions } from '../src/verify.js'
import { house } from './house.js'

const CANARIES = 50
/** No two share a part that is long enough to be looked for. */
const canary = (n: number): string => `${String(n).padStart(2, '0')}?"/canary+${String(n * 7919).padStart(9, '0')}=`
const secrets = Object.fromEntries(Array.from({ length: CANARIES }, (_, n) => [`S${n}`, canary(n)]))

type Work = { readonly channel: string; readonly n: number }
type Event =
  | { type: 'tell'; text: string }
  | ({ type: 'work' } & Work)
  | { type: 'ask' | 'guard' | 'act' | 'remember' | 'emit' | 'log' | 'wait' | 'late'; n: number }

async function work({ channel, n }: Work, ctx: StepContext): Promise<unknown> {
  const secret = canary(n)
  if (channel === 'env') return process.env[`CANARY_${n}`]
  if (channel === 'output') return { tokens: [{ [secret]: secret }] }
  if (channel === 'named') return ctx.secret(`S${n}`)
  if (channel === 'error') throw new Error(`denied for ${secret}`)
  if (channel === 'headers') {
    const authorization = `Basic ${Buffer.from(secret).toString('base64')}`
    throw Object.assign(new Error('401', { cause: new Error(secret) }), { headers: { authorization } })
  }
  ctx.progress(50, `half of ${secret}`)
  ctx.emit({ line: encodeURIComponent(secret) })
  ctx.log(secret, { secret })
  return 'done'
}

const leaky = defineSession({
  kind: 'leaky',
  version: 1,
  steps: 'memory:steps',
  supervision: { attempts: 2, backoffMs: 1, intensity: 1000 },
  machine: setup({
    types: {
      context: {} as { told: unknown[] },
      events: {} as Event,
      input: {} as { text: string },
      emitted: {} as { type: 'said'; text: string },
    },
    actors: {
      work: step<typeof work>('work', { attempts: 2, backoffMs: 1 }),
      ask: fromPromise<string, { n: number }>(async ({ input }) => canary(input.n)),
    },
    guards: {
      leaksLate: () => {
        throw new Error(`timer saw ${canary(48)}`)
      },
      leaks: ({ event }) => {
        throw new Error(`guard saw ${canary((event as { n: number }).n)}`)
      },
    },
    actions: {
      keep: assign({ told: ({ context, event }) => [...context.told, event] as unknown[] }),
      fail: ({ event }) => {
        throw new Error(`action saw ${canary((event as { n: number }).n)}`)
      },
    },
  }).createMachine({
    context: ({ input }) => ({ told: [input.text] }),
    initial: 'idle',
    states: {
      idle: {
        on: {
          tell: { actions: 'keep' },
          guard: { guard: 'leaks', target: 'asking' },
          act: { actions: 'fail' },
          remember: { actions: assign({ told: ({ event }) => [canary(event.n)] as unknown[] }) },
          emit: { actions: emit(({ event }) => ({ type: 'said', text: canary(event.n) })) },
          work: 'working',
          ask: 'asking',
          log: { actions: log(({ event }) => canary((event as { n: number }).n)) },
          wait: 'waiting',
          late: 'late',
        },
      },
      working: {
        invoke: {
          src: 'work',
          input: ({ event }) => event as Work,
          onDone: { target: 'idle', actions: 'keep' },
          onError: { target: 'idle', actions: 'keep' },
        },
      },
      asking: {
        invoke: {
          src: 'ask',
          input: ({ event }) => ({ n: (event as { n: number }).n }),
          onDone: { target: 'idle', actions: 'keep' },
        },
      },
      late: { after: { 1: { guard: 'leaksLate', target: 'idle' } } },
      waiting: {
        after: { 1: { target: 'idle', actions: assign({ told: () => [canary(49)] as unknown[] }) } },
      },
    },
  }),
})

/** By which ways a canary may come in. */
const STEPS = ['env', 'output', 'named', 'error', 'headers', 'live'] as const
const EVENTS = ['ask', 'guard', 'act', 'remember', 'emit', 'log'] as const
const WAYS = [...STEPS, ...EVENTS, 'tell', 'batch', 'input', 'base64', 'event id', 'key'] as const

async function comeIn(runtime: Runtime, n: number, refused: unknown[]): Promise<Session> {
  const way = WAYS[n % WAYS.length] as (typeof WAYS)[number]
  const text = way === 'base64' ? `Bearer ${Buffer.from(canary(n)).toString('base64url')}` : `it is ${canary(n)}`
  const input = { text: way === 'input' ? text : 'nothing' }
  if (way === 'key') {
    const created = runtime.create(leaky, input, { idempotencyKey: canary(n) })
    await created.catch((error: unknown) => refused.push(error))
  }
  const session = (await runtime.create(leaky, input)) as unknown as Session
  const sent = async (): Promise<unknown> => {
    if (way === 'batch') return session.sendBatch([{ type: 'tell', text }])
    if (way === 'event id') return session.send({ type: 'tell', text: '' }, { id: canary(n) })
    if ((STEPS as readonly string[]).includes(way)) return session.send({ type: 'work', channel: way, n })
    if ((EVENTS as readonly string[]).includes(way)) return session.send({ type: way, n })
    return session.send({ type: 'tell', text })
  }
  await sent().catch((error: unknown) => refused.push(error))
  return session
}

interface Seen {
  readonly disk: Disk
  /** Everything that left: on the disk, by streams, in logs, in health and in what was shown. */
  readonly text: string
  readonly refused: unknown[]
}

async function lived(given: typeof secrets | undefined): Promise<Seen> {
  const disk = createMemoryDisk()
  const out: unknown[] = []
  const say = (fields: object, message: string): void => void out.push(message, shown(fields))
  const logger: Logger = { info: say, warn: say, error: say }
  const place = house([leaky], { work: work as never }, disk, logger, given ? { secrets: given } : {})
  const refused: unknown[] = []
  const runtime = await place.open()
  runtime.transitions$().subscribe((transition) => out.push(transition))
  for (let n = 0; n < CANARIES; n++) {
    vi.stubEnv(`CANARY_${n}`, canary(n))
    const session = await comeIn(runtime, n, refused)
    session.progress$().subscribe((update) => out.push(update))
    session.emitted$().subscribe((event) => out.push(event))
    await session.until('idle', { signal: AbortSignal.timeout(60_000) }).catch(() => {})
    if (WAYS[n % WAYS.length] === 'emit') await session.send({ type: 'emit', n })
    out.push(session.snapshot(), ...session.history())
  }
  const crashing = await runtime.create(leaky, { text: '' })
  await crashing.send({ type: 'wait', n: 49 })
  await (await runtime.create(leaky, { text: '' })).send({ type: 'late', n: 48 })
  await vi.waitFor(() => expect(runtime.health().sessions.total).toBeGreaterThan(CANARIES), 60_000)
  await vi.waitFor(() => expect(runtime.deadLetters().length).toBe(given ? 2 : 1), 60_000)
  out.push(runtime.health(), runtime.deadLetters())
  await runtime.close()
  return { disk, text: [...out.map((one) => JSON.stringify(one)), ...contentsOf(disk, '')].join('\n'), refused }
}

/** An error as a logger would print it. */
const shown = (fields: object): unknown =>
  Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? printed(value) : value])
const printed = (error: Error): unknown => [
  error.message,
  error.stack,
  { ...error },
  error.cause && printed(error.cause as Error),
]

function contentsOf(disk: Disk, folder: string): string[] {
  return disk.list(folder).flatMap((name) => {
    const path = folder === '' ? name : `${folder}/${name}`
    const bytes = readAll(disk, path)
    return bytes ? [Buffer.from(bytes).toString()] : contentsOf(disk, path)
  })
}

function formsOf(n: number): string[] {
  const bytes = Buffer.from(canary(n))
  const inJson = JSON.stringify(canary(n)).slice(1, -1)
  const base64 = bytes.toString('base64').replace(/=+$/, '')
  return [canary(n), inJson, JSON.stringify(inJson).slice(1, -1), encodeURIComponent(canary(n)), base64]
}
const found = (text: string): number[] =>
  Array.from({ length: CANARIES }, (_, n) => n).filter((n) => formsOf(n).some((form) => text.includes(form)))

test(`of ${CANARIES} canaries, none leaves by any of ${WAYS.length} ways; of those that nobody named, nearly all do`, async () => {
  const { text, refused } = await lived(secrets)
  expect(found(text)).toEqual([])
  expect(text).toContain('[redacted:S1]')
  expect(found(refused.map((error) => JSON.stringify(printed(error as Error))).join('\n'))).toEqual([])
  expect(refused.some((error) => isHoldfastError(error, 'SECRET_EXPOSED'))).toBe(true)
  const control = await lived(undefined)
  expect(found(control.text).length).toBeGreaterThan(CANARIES * 0.8)
})

test('what is recorded is what the machine has seen: replayed, it decides the same', async () => {
  const { disk } = await lived(secrets)
  const reader = openFileReader(disk)
  const options = { activeOnly: false, signal: undefined, pause: async () => {}, turn: async () => {} }
  const { unfit, sessions } = await verifySessions(reader, new Map([['leaky', leaky]]) as never, options)
  expect(sessions).toBeGreaterThan(CANARIES)
  expect(unfit).toEqual([])
  reader.close()
})

test('a step has its secret by name, and an unknown name says which there are, without their values', async () => {
  const seen: string[] = []
  const steps = {
    work: (async ({ n }: Work, ctx: StepContext) => {
      seen.push(ctx.secret(`S${n}`))
      return ctx.secret('other')
    }) as never,
  }
  await using runtime = await house([leaky], steps, undefined, undefined, { secrets: { S1: canary(1) } }).open()
  const session = await runtime.create(leaky, { text: '' })
  await session.send({ type: 'work', channel: 'named', n: 1 })
  const { context } = await session.until('idle')
  expect(seen).toContain(canary(1))
  expect(context.told.at(-1)).toMatchObject({
    error: { code: 'SECRET_UNKNOWN', message: expect.stringContaining('S1') },
  })
})

test('a kind says where secrets come in: there stands a mark, for the machine as for the journal', async () => {
  const kind = defineSession({
    kind: 'declared',
    version: 1,
    machine: setup({
      types: {
        context: {} as { login?: unknown; token?: string | null },
        events: {} as { type: string; [field: string]: unknown },
      },
    }).createMachine({
      context: ({ input }) => ({ login: input as unknown, token: null }),
      on: {
        login: { actions: assign({ login: ({ event }) => event }) },
        leak: { actions: assign({ token: () => 'abc' }) },
      },
    }),
    secrets: { input: ['keys.*.secret'], events: { login: ['user.password'] }, context: ['token'] },
  })
  const place = house([kind])
  await using runtime = await place.open()
  const session = await runtime.create(kind, { keys: [{ id: 1, secret: 'pa' }, { id: 2 }] } as never)
  expect(session.snapshot().context.login).toEqual({ keys: [{ id: 1, secret: '[redacted]' }, { id: 2 }] })
  await session.send({ type: 'login', user: { name: 'ann', password: 'hunter2' } })
  expect(session.snapshot().context.login).toEqual({ type: 'login', user: { name: 'ann', password: '[redacted]' } })
  await expect(session.send({ type: 'leak' })).rejects.toMatchObject({
    code: 'SECRET_EXPOSED',
    details: { path: 'context.token' },
  })
  expect(session.snapshot().seq).toBe(2)
  expect(contentsOf(place.disk, '').join()).not.toContain('hunter2')
})

test('the same event comes again by its id, and the same input by its key, although neither is kept as it came', async () => {
  await using runtime = await house([leaky], {}, undefined, undefined, { secrets }).open()
  const text = canary(3)
  const session = await runtime.create(leaky, { text }, { idempotencyKey: 'one' })
  expect((await runtime.create(leaky, { text }, { idempotencyKey: 'one' })).id).toBe(session.id)
  const first = await session.send({ type: 'tell', text }, { id: 'a' })
  expect((await session.send({ type: 'tell', text }, { id: 'a' })).seq).toBe(first.seq)
})

test('a secret that is too short to be looked for is refused, without its value', async () => {
  const opening = house([leaky], {}, undefined, undefined, { secrets: { PIN: '1234' } }).open()
  await expect(opening).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.not.stringContaining('1234'),
  })
})
