// A logger that always throws, in every place where one is called: nothing waits for ever, nothing is lost, nothing halts.
import { defineSession, type HoldfastError, type Logger } from 'holdfast'
import { expect, test } from 'vitest'
import { assign, emit, setup } from 'xstate'
import { createCrashDisk, failAt } from '../src/testing/disk.js'
import { house } from './house.js'

const machine = setup({
  types: { context: {} as { n: number }, events: {} as { type: 'add' | 'boom' | 'log' } },
}).createMachine({
  context: { n: 0 },
  on: {
    add: { actions: assign({ n: ({ context }) => context.n + 1 }) },
    boom: {
      actions: [
        assign({ n: ({ context }) => context.n + 1 }),
        () => {
          throw new Error('no action')
        },
        emit({ type: 'after' } as never),
      ],
    },
    // An event to itself that is no JSON: nobody but the logger is told.
    log: {
      actions: [
        assign({ n: ({ context }) => context.n + 1 }),
        ({ self }) => self.send({ type: 'add', by: 1n } as never),
      ],
    },
  },
})
const kind = defineSession({ kind: 'noisy', version: 1, machine })

const thrown: string[] = []
const throwing = (_: object, message: string): never => {
  thrown.push(message)
  throw new Error('the logger is broken')
}
const rejecting = async (_: object, message: string): Promise<never> => throwing(_, message)

const broken: readonly (readonly [how: string, logger: Logger])[] = [
  ['throws', { info: throwing, warn: throwing, error: throwing }],
  ['rejects', { info: rejecting, warn: rejecting, error: rejecting }],
  ['has no methods', {} as Logger],
]

test.each(broken)('a logger that %s strands nobody of a batch, whatever it is told', async (_, logger) => {
  const home = house([kind], {}, undefined, logger)
  const runtime = await home.open()
  const sessions = await Promise.all(Array.from({ length: 12 }, () => runtime.create(kind)))
  sessions[0]?.transitions$().subscribe(() => {
    throw new Error('an observer')
  })
  for (let round = 0; round < 5; round++) {
    const types = ['boom', 'log', 'add'] as const
    const sent = sessions.map((session, index) => session.send({ type: types[index % 3] as 'add' }))
    await Promise.all(sent)
  }
  expect(sessions.map((session) => session.snapshot().context.n)).toEqual(sessions.map(() => 5))
  expect(runtime.health()).toMatchObject({ status: 'ok', live: 12, parked: [] })
  await runtime.close()
})

test.each(broken)('a logger that %s lets a runtime open with sessions to park, and go on', async (_, logger) => {
  const other = defineSession({ kind: 'other', version: 1, machine })
  const home = house([kind, other])
  const runtime = await home.open()
  const [kept, lost] = await Promise.all([runtime.create(kind), runtime.create(other)])
  await runtime.close()
  await using again = await house([kind], {}, home.disk, logger).open()
  await expect(again.session(lost.id).send({ type: 'add' } as never)).rejects.toMatchObject({ code: 'SESSION_PARKED' })
  await again.session(kept.id, kind).send({ type: 'add' })
})

test.each(broken)('a logger that %s keeps no sender from learning that the disk has failed', async (_, logger) => {
  const disk = createCrashDisk()
  const runtime = await house([kind], {}, disk, logger).open()
  const sessions = await Promise.all(Array.from({ length: 8 }, () => runtime.create(kind)))
  disk.onCall = failAt(disk.callCount, 'EIO', 'from then on')
  const outcomes = await Promise.allSettled(sessions.map((session) => session.send({ type: 'add' })))
  const codes = outcomes.map((outcome) => outcome.status === 'rejected' && (outcome.reason as HoldfastError).code)
  expect(codes).toEqual(sessions.map(() => 'OUTCOME_UNKNOWN'))
  expect(runtime.health().status).toBe('read-only')
  expect(sessions.map((session) => session.snapshot().context.n)).toEqual(sessions.map(() => 0))
  disk.onCall = undefined
  await runtime.close()
})
