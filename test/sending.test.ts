// Sending again with an id, several events as one, and waiting: across restarts, all or nothing.
import * as fc from 'fast-check'
import { defineSession } from 'holdfast'
import { expect, test } from 'vitest'
import { assign, raise, sendTo, setup } from 'xstate'
import { createMemoryDisk } from '../src/memory/disk.js'
import { house } from './house.js'

type Event =
  | { type: 'add'; n: number }
  | { type: 'echo'; n: number }
  | { type: 'close' }
  | { type: 'open' }
  | { type: 'end' }

const machine = setup({
  types: { context: {} as { sum: number; log: string[] }, events: {} as Event | { type: 'heard'; n: number } },
}).createMachine({
  context: { sum: 0, log: [] },
  initial: 'opened',
  states: {
    opened: {
      tags: ['can-add'],
      on: {
        add: {
          actions: assign(({ context, event }) => ({
            sum: context.sum + event.n,
            log: [...context.log, `+${event.n}`],
          })),
        },
        echo: {
          actions: [
            sendTo(
              ({ self }) => self,
              ({ event }) => ({ type: 'heard', n: event.n }),
            ),
            raise({ type: 'add', n: 1000 }),
          ],
        },
        close: 'closed',
        end: 'ended',
      },
    },
    closed: { on: { open: 'opened' } },
    ended: { type: 'final' },
  },
  on: { heard: { actions: assign({ log: ({ context, event }) => [...context.log, `heard ${event.n}`] }) } },
})
const kind = defineSession({ kind: 'adder', version: 1, machine })

test('an event that is sent again with its id does nothing, and its sender gets the first transition: also after a restart', async () => {
  const home = house([kind])
  const runtime = await home.open()
  const session = await runtime.create(kind)
  const first = await session.send({ type: 'add', n: 5 }, { id: 'e1' })
  const [again, atOnce, twin] = await Promise.all([
    session.send({ type: 'add', n: 5 }, { id: 'e1' }),
    session.send({ type: 'add', n: 7 }, { id: 'e2' }),
    session.send({ type: 'add', n: 7 }, { id: 'e2' }),
  ])
  expect(again).toEqual(first)
  expect(twin).toEqual(atOnce)
  expect(session.snapshot().context.sum).toBe(12)
  await runtime.close()

  await using reopened = await home.open()
  const same = reopened.session(session.id, kind)
  expect(await same.send({ type: 'add', n: 5 }, { id: 'e1' })).toEqual(first)
  expect(same.snapshot()).toMatchObject({ seq: 3, context: { sum: 12 } })
})

test('the same id with another event is a conflict; an event that was refused may be sent again', async () => {
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind)
  await session.send({ type: 'add', n: 1 }, { id: 'x' })
  await expect(session.send({ type: 'add', n: 2 }, { id: 'x' })).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
  await expect(session.send({ type: 'open' }, { id: 'y' })).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
  await session.send({ type: 'close' })
  expect((await session.send({ type: 'open' }, { id: 'y' })).to).toBe('opened')
  await expect(session.send({ type: 'close' }, { id: '' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test('an id is remembered for 256 events that came with one, and also by a session that has ended', async () => {
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind)
  for (let n = 1; n <= 257; n++) await session.send({ type: 'add', n }, { id: `id-${n}` })
  const { seq } = session.snapshot()
  await session.send({ type: 'add', n: 2 }, { id: 'id-2' })
  expect(session.snapshot().seq).toBe(seq)
  await session.send({ type: 'add', n: 1 }, { id: 'id-1' })
  expect(session.snapshot().seq).toBe(seq + 1)
  const end = await session.send({ type: 'end' }, { id: 'end' })
  expect(await session.send({ type: 'end' }, { id: 'end' })).toEqual(end)
  await expect(session.send({ type: 'end' })).rejects.toMatchObject({ code: 'SESSION_ENDED' })
})

test('a batch is one transition and one sync, decided in order, with what the session sends itself in between', async () => {
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind)
  const events: Event[] = [{ type: 'add', n: 1 }, { type: 'echo', n: 2 }, { type: 'add', n: 3 }, { type: 'close' }]
  const { flushes } = runtime.health().journal
  const transition = await session.sendBatch(events, { id: 'b1' })
  expect(runtime.health().journal.flushes).toBe(flushes + 1)
  expect(transition).toMatchObject({ seq: 2, event: { type: 'holdfast.batch', events }, from: 'opened', to: 'closed' })
  expect(session.snapshot().context).toEqual({ sum: 1004, log: ['+1', '+1000', 'heard 2', '+3'] })
  expect(await session.sendBatch(events, { id: 'b1' })).toEqual(transition)
})

test('a batch of which one event is refused, or comes after the end, has not happened', async () => {
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind)
  await expect(session.sendBatch([{ type: 'add', n: 1 }, { type: 'open' }])).rejects.toMatchObject({
    code: 'NOT_ACCEPTED',
  })
  await expect(session.sendBatch([{ type: 'end' }, { type: 'add', n: 1 }])).rejects.toMatchObject({
    code: 'NOT_ACCEPTED',
  })
  await expect(session.sendBatch([])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  await expect(session.sendBatch([{ type: 'xstate.init' } as never])).rejects.toMatchObject({ code: 'INVALID_EVENT' })
  expect(session.snapshot()).toMatchObject({ seq: 1, value: 'opened', context: { sum: 0, log: [] } })
  await session.sendBatch([{ type: 'add', n: 1 }])
  expect(session.snapshot().context.sum).toBe(1)
})

test('any events, in any batches, on any restarts, come to what they come to one by one', async () => {
  const event = fc.oneof(
    fc.record({ type: fc.constant('add' as const), n: fc.nat(9) }),
    fc.record({ type: fc.constant('echo' as const), n: fc.nat(9) }),
    fc.constantFrom({ type: 'close' as const }, { type: 'open' as const }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ events: fc.array(event, { minLength: 1, maxLength: 4 }), restart: fc.boolean() }), {
        maxLength: 8,
      }),
      async (batches) => {
        const home = house([kind], {}, createMemoryDisk())
        const other = house([kind])
        let runtime = await home.open()
        await using reference = await other.open()
        const { id } = await runtime.create(kind)
        const single = await reference.create(kind)
        for (const { events, restart } of batches) {
          const accepted = await runtime
            .session(id, kind)
            .sendBatch(events)
            .then(
              () => true,
              () => false,
            )
          if (accepted) for (const each of events) await single.send(each)
          if (!restart) continue
          await runtime.close()
          runtime = await home.open()
        }
        const { context, value } = runtime.session(id, kind).snapshot()
        expect({ context, value }).toEqual({ context: single.snapshot().context, value: single.snapshot().value })
        await runtime.close()
      },
    ),
    { numRuns: 60 },
  )
})

test('until waits for a state, a tag or a test; not for ever, if told so', async () => {
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind)
  expect((await session.until({ tag: 'can-add' })).value).toBe('opened')
  const closed = session.until('closed')
  await session.send({ type: 'close' })
  expect((await closed).value).toBe('closed')
  await expect(session.until('opened', { timeoutMs: 5 })).rejects.toMatchObject({ code: 'TIMEOUT' })
  await expect(session.result({ timeoutMs: 5 })).rejects.toMatchObject({ code: 'TIMEOUT' })
  await expect(session.until('opened', { timeoutMs: 5, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'ABORTED',
  })
})
