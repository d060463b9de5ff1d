// What would hold the event loop for long is cut off with a typed error, and the session is as it was (R19).

import { defineSession } from 'holdfast'
import { expect, test } from 'vitest'
import { assign, raise, setup } from 'xstate'
import { house } from './house.js'

const MANY = 50_000_000

const large = {
  text: (): unknown => 'x'.repeat(MANY),
  objects: (): unknown =>
    Array.from({ length: MANY / 50 }, (_, id) => ({ id, name: 'an item of a list', done: false })),
  keys: (): unknown =>
    Object.fromEntries(Array.from({ length: MANY / 250 }, (_, id) => [`a rather long key ${id}`.padEnd(245), 1])),
}

const given: { value: unknown } = { value: undefined }

const machine = setup({
  types: {
    context: {} as { count: number; data: unknown },
    events: {} as { type: 'add' | 'swell' | 'swellLater' | 'loop' | 'raises' } | { type: 'take'; data: unknown },
  },
}).createMachine({
  context: { count: 0, data: null },
  initial: 'on',
  on: {
    add: { actions: assign({ count: ({ context }) => context.count + 1 }) },
    swell: { actions: assign({ data: () => given.value }) },
    swellLater: { actions: raise({ type: 'swell' }, { delay: 1 }) },
    take: { actions: assign({ data: ({ event }) => event.data }) },
    raises: { actions: raise({ type: 'raises' }) },
  },
  states: {
    on: { on: { loop: 'a' } },
    a: { always: 'b' },
    b: { always: 'a' },
  },
})

const kind = defineSession({ kind: 'limited', version: 1, machine, supervision: { attempts: 1 } })

/** HOLDFAST_TELL=1 says how much processor time it took. */
async function refused(call: () => Promise<unknown>, code: string): Promise<void> {
  const start = process.cpuUsage()
  await expect(call()).rejects.toMatchObject({ code })
  const { user, system } = process.cpuUsage(start)
  if (process.env.HOLDFAST_TELL) console.log(code, Math.round((user + system) / 1000), 'ms')
}

test.each(['loop', 'raises'] as const)(
  'a machine that never comes to rest (%s) is cut off with DECISION_ENDLESS',
  async (type) => {
    await using runtime = await house([kind]).open()
    const session = await runtime.create(kind)
    await refused(() => session.send({ type }), 'DECISION_ENDLESS')
    await session.send({ type: 'add' })
    expect(session.snapshot()).toMatchObject({ value: 'on', seq: 2, context: { count: 1 } })
  },
)

test('a machine that cannot even begin for that is not created', async () => {
  const endless = defineSession({
    kind: 'endless',
    version: 1,
    machine: setup({}).createMachine({ initial: 'a', states: { a: { always: 'b' }, b: { always: 'a' } } }),
  })
  await using runtime = await house([endless]).open()
  await refused(() => runtime.create(endless), 'DECISION_ENDLESS')
  expect(runtime.sessions.count()).toBe(0)
})

test.each(Object.keys(large) as (keyof typeof large)[])(
  'a context of 50 MB (%s) is refused, as an event or as a change',
  async (shape) => {
    await using runtime = await house([kind]).open()
    const session = await runtime.create(kind)
    const data = large[shape]()
    given.value = data
    await refused(() => session.send({ type: 'swell' }), 'RECORD_TOO_LARGE')
    await refused(() => session.send({ type: 'take', data }), 'RECORD_TOO_LARGE')
    await session.send({ type: 'add' })
    expect(session.snapshot()).toMatchObject({ seq: 2, context: { count: 1, data: null } })
  },
)

test('a change that is too large, of an event from within, makes a dead letter', async () => {
  await using runtime = await house([kind], {}, undefined, undefined, { changeLimit: 1000 }).open()
  const session = await runtime.create(kind)
  given.value = 'x'.repeat(1001)
  await session.send({ type: 'swellLater' })
  await session.until(() => session.deadLetters().length === 1)
  expect(session.deadLetters()).toMatchObject([
    { from: 'timer', event: { type: 'swell' }, error: { code: 'RECORD_TOO_LARGE' } },
  ])
})

test('the limit is an option, and what is just within it passes', async () => {
  await using runtime = await house([kind], {}, undefined, undefined, { changeLimit: 1000 }).open()
  const session = await runtime.create(kind)
  await session.send({ type: 'take', data: 'x'.repeat(900) })
  await expect(session.send({ type: 'take', data: 'x'.repeat(1000) })).rejects.toMatchObject({
    details: { limit: 1000 },
  })
  await expect(runtime.create(kind, 'x'.repeat(2000) as never)).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE' })
})
