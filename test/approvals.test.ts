// What waits for a person: found by the tag of its state, children included, in whatever kind, without a session being opened.
import { defineSession } from 'holdfast'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { openFileReader } from '../src/files/reader.js'
import { house } from './house.js'

const review = setup({}).createMachine({
  initial: 'reading',
  states: {
    reading: { on: { ask: 'asking' } },
    asking: { tags: 'waits-for-person', on: { approve: 'approved' } },
    approved: { type: 'final' },
  },
})
const order = defineSession({
  kind: 'order',
  version: 1,
  machine: setup({ actors: { review } }).createMachine({
    type: 'parallel',
    states: {
      review: { initial: 'waiting', states: { waiting: { invoke: { src: 'review', onDone: 'done' } }, done: {} } },
      desk: {
        initial: 'open',
        states: { open: { on: { hold: 'held' } }, held: { tags: ['waits-for-person'], on: { go: 'open' } } },
      },
    },
  }),
})

test('a session and its child wait, each until it is decided; none is made live, and who has no kinds cannot tell', async () => {
  const place = house([order], {}, undefined, undefined, { liveLimit: 1 })
  let waiting: string[]
  {
    await using runtime = await place.open()
    const sessions = await Promise.all(Array.from({ length: 5 }, () => runtime.create(order)))
    expect(runtime.approvals().sessions).toEqual([])
    await sessions[0]?.send({ type: 'hold' })
    const child = runtime.sessions.list({ parent: sessions[1]?.id as string }).sessions[0]?.id as string
    await runtime.session(child).send({ type: 'ask' })
    waiting = [sessions[0]?.id as string, child].sort()
    expect(runtime.metrics().waiting).toBe(2)
  }
  await using runtime = await place.open()
  const before = runtime.health().live
  const { sessions } = runtime.approvals()
  expect(sessions.map(({ id }) => id).sort()).toEqual(waiting)
  expect(runtime.approvals({ kind: 'order' }).sessions).toHaveLength(1)
  expect(runtime.sessions.count({ tag: 'waits-for-person' })).toBe(2)
  expect(runtime.health().live).toBe(before)
  const { sessions: first, cursor } = runtime.approvals({}, { limit: 1 })
  const rest = runtime.approvals({}, { limit: 1, ...(cursor !== undefined && { cursor }) }).sessions
  expect([...first, ...rest].map(({ id }) => id).sort()).toEqual(waiting)
  const child = sessions.find(({ kind }) => kind === 'order.review')?.id as string
  await runtime.session(child).send({ type: 'approve' })
  expect(runtime.approvals().sessions.map(({ kind }) => kind)).toEqual(['order'])
  const reader = openFileReader(place.disk)
  expect(() => reader.list({ tag: 'waits-for-person' })).toThrow(/opened with the kinds/)
  reader.close()
})
