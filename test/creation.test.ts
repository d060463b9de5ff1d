// How a session comes to be: one session for a key and for an id, whoever asks at the same time, and nothing left of one
// that could not begin.
import { defineSession, type HoldfastError } from 'holdfast'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
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
