// A live session on ports of its own, without a runtime around it.

import { defineSession, type Transition } from 'holdfast'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import type { SessionHost } from '../src/host.js'
import { createInlinePool } from '../src/inline/pool.js'
import { createMemoryJournal } from '../src/memory/journal.js'
import { secretsOf } from '../src/secrets.js'
import { LiveSession } from '../src/session.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock, turn } from '../src/testing/clock.js'
import { Timers } from '../src/timers.js'

const kind = defineSession({
  kind: 'lamp',
  version: 1,
  machine: setup({ types: { events: {} as { type: 'switch' } } }).createMachine({
    initial: 'off',
    states: { off: { on: { switch: 'on' } }, on: { on: { switch: 'off' } } },
  }),
})

const nothing = (): void => {}

/** Ports in memory, and nobody who hears anything. */
function lonely(): SessionHost {
  const clock = createVirtualClock()
  return {
    ...{ journal: createMemoryJournal(clock), clock, chance: createSeededChance(1), timers: new Timers(clock) },
    ...{
      pool: createInlinePool({ clock }),
      secrets: secretsOf(undefined),
      tracing: undefined,
      mailboxLimit: 10,
      changeLimit: 10_000,
    },
    ...{ advanced: nothing, broadcast: nothing, update: nothing, emitted: nothing, report: nothing, crashed: nothing },
    ...{ park: nothing, quarantined: nothing, released: nothing, halted: nothing, ended: nothing, log: nothing },
    ...{ startChild: nothing, cancelChild: async () => {}, childEnded: nothing, transmit: nothing, arrived: nothing },
    outbox: () => [],
    successor: () => {
      throw new Error('nobody is live in its place')
    },
  }
}

/** What a call comes to within a turn of the event loop: what it gives, the error it is rejected with, or `no answer`. */
const answerTo = (call: Promise<unknown>): Promise<unknown> =>
  Promise.race([call.catch((error: unknown) => error), turn().then(() => 'no answer')])

test('whoever asks a session that was stopped is told why, at once', async () => {
  const host = lonely()
  const session = await new Promise<LiveSession>((resolve, reject) => {
    const created = (): void => resolve(made)
    const made = LiveSession.create(host, kind, 'lamp-1', undefined, {}, { resolve: created, reject })
  })
  expect(((await session.send({ type: 'switch' })) as Transition).to).toBe('on')
  const reason = new Error('the journal has failed')
  session.stop(reason)
  expect(await answerTo(session.send({ type: 'switch' }))).toBe(reason)
  expect(await answerTo(session.ask({ kind: 'batch', events: [{ type: 'switch' }], id: undefined }))).toBe(reason)
  expect(await answerTo(session.ask({ kind: 'cancel', reason: 'enough' }))).toBe(reason)
  expect(await answerTo(session.ask({ kind: 'delete' }))).toBe(reason)
  expect(session.durable).toMatchObject({ seq: 2, value: 'on' })
})
