// How a session comes to be: one session for a key and for an id, whoever asks at the same time, and nothing left of one
// that could not begin.
import { createRuntime, defineSession, type HoldfastError } from 'holdfast'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { createInlinePool } from '../src/inline/pool.js'
import { createMemoryJournal } from '../src/memory/journal.js'
import { createMemorySnapshots } from '../src/memory/snapshots.js'
import { NOWHERE } from '../src/record.js'
import { systemChance } from '../src/system/chance.js'
import { systemClock } from '../src/system/clock.js'
import { house } from './house.js'

let refusing = false
const machine = setup({ types: { input: {} as { n: number } } }).createMachine({
  context: ({ input }) => {
    if (refusing) throw new Error('not now')
    return { n: input.n }
  },
})
const kind = defineSession({ kind: 'born', version: 1, machine })

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: HoldfastError) => error.code ?? String(error),
  )

test('many calls with one key at the same time create one session, and one with another input is a conflict', async () => {
  await using runtime = await house([kind]).open()
  const keyed = (n: number) => runtime.create(kind, { n }, { idempotencyKey: 'k' })
  const sessions = await Promise.all(Array.from({ length: 20 }, () => keyed(1)))
  expect(new Set(sessions.map(({ id }) => id)).size).toBe(1)
  expect(await codeOf(keyed(2))).toBe('IDEMPOTENCY_CONFLICT')
  expect(runtime.sessions.count()).toBe(1)
})

test('of many calls for one id at the same time the first creates it, the others are refused', async () => {
  await using runtime = await house([kind]).open()
  const codes = await Promise.all(Array.from({ length: 5 }, () => codeOf(runtime.create(kind, { n: 1 }, { id: 'a' }))))
  expect(codes).toEqual(['resolved', ...Array(4).fill('SESSION_EXISTS')])
})

test('a session that could not begin leaves its id and its key free, and whoever waited for it is the next', async () => {
  await using runtime = await house([kind]).open()
  const make = () => runtime.create(kind, { n: 1 }, { id: 'a', idempotencyKey: 'k' })
  refusing = true
  const [first, second] = [make(), make()]
  expect(await Promise.all([codeOf(first), codeOf(second)])).toEqual(['DECISION_FAILED', 'DECISION_FAILED'])
  expect(runtime.sessions.count()).toBe(0)
  refusing = false
  expect((await make()).id).toBe('a')
  expect((await make()).id).toBe('a')
})

test('whoever gives up waiting with a signal finds the session all the same', async () => {
  await using runtime = await house([kind]).open()
  const abort = new AbortController()
  const creating = codeOf(runtime.create(kind, { n: 1 }, { id: 'a', signal: abort.signal }))
  abort.abort()
  expect(await creating).toBe('ABORTED')
  await expect.poll(() => runtime.sessions.count()).toBe(1)
  expect(runtime.session('a', kind).snapshot().context).toEqual({ n: 1 })
})

const shaped = defineSession({ kind: 'shaped', version: 1, machine: setup({}).createMachine({ context: {} }) })

test('the same input in another order of its keys is the same; in another order of its items it is not', async () => {
  await using runtime = await house([shaped]).open()
  const keyed = (input: unknown) => runtime.create(shaped, input as never, { idempotencyKey: 'k' })
  const { id } = await keyed({ a: 1, b: [{ c: 1, d: 2 }, 3], 10: 'x' })
  expect((await keyed({ b: [{ d: 2, c: 1 }, 3], 10: 'x', a: 1 })).id).toBe(id)
  expect(await codeOf(keyed({ a: 1, b: [3, { c: 1, d: 2 }], 10: 'x' }))).toBe('IDEMPOTENCY_CONFLICT')
})

test('inputs whose old digests of 32 bits are the same are told apart', async () => {
  await using runtime = await house([shaped]).open()
  const keyed = (input: string) => runtime.create(shaped, input as never, { idempotencyKey: 'k' })
  await keyed('order 112789')
  expect(await codeOf(keyed('order 349192'))).toBe('IDEMPOTENCY_CONFLICT')
})

test('a key of a session that was created with an old digest still gives that session', async () => {
  const clock = systemClock
  const journal = createMemoryJournal(clock)
  journal.append(
    {
      ...{ session: 'old', seq: 1, prev: NOWHERE, at: '2026-01-01T00:00:00.000Z' },
      ...{ event: { type: 'xstate.init', input: { n: 1 } }, value: {}, patch: [[[], {}]] },
      ...{ kind: 'shaped', version: 1, created: { key: 'k', digest: 'fdef5c20' } },
    },
    { durable: () => {}, failed: () => {} },
  )
  await journal.flush()
  const ports = { journal, snapshots: createMemorySnapshots(), pool: createInlinePool({ clock }) }
  await using runtime = await createRuntime({ ...ports, clock, chance: systemChance }, { kinds: [shaped] })
  const keyed = (input: unknown) => runtime.create(shaped, input as never, { idempotencyKey: 'k' })
  expect((await keyed({ n: 1 })).id).toBe('old')
  expect(await codeOf(keyed({ n: 2 }))).toBe('IDEMPOTENCY_CONFLICT')
})

test('another kind of the same name is told from one that is not there', async () => {
  const twin = defineSession({ kind: 'shaped', version: 1, machine: setup({}).createMachine({ context: {} }) })
  await using runtime = await house([shaped]).open()
  const refused = expect.objectContaining({
    code: 'UNKNOWN_KIND',
    message: expect.stringContaining('of the same name'),
  })
  await expect(runtime.create(twin)).rejects.toEqual(refused)
})

test('a machine that needs an input and gets none: the refusal says that none was given', async () => {
  await using runtime = await house([kind]).open()
  const creating = runtime.create(kind, undefined as never)
  await expect(creating).rejects.toMatchObject({
    code: 'DECISION_FAILED',
    message: expect.stringMatching(/no session of kind "born" was created; no input was given/),
  })
  await expect(runtime.create(kind, null as never)).rejects.not.toThrow('no input was given')
})
