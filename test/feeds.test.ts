// When streams end: with their session, with the runtime that can record nothing more, and at once when that is past.
import { defineSession, type HoldfastError, type Runtime, type Session, step } from 'holdfast'
import { expect, test } from 'vitest'
import { emit, setup } from 'xstate'
import { Feeds } from '../src/feeds.js'
import { createCrashDisk, failAt } from '../src/testing/disk.js'
import { house } from './house.js'

const machine = setup({
  types: { events: {} as { type: 'go' | 'end' }, emitted: {} as { type: 'gone' } },
  actors: { work: step('work') },
}).createMachine({
  id: 'short',
  initial: 'open',
  states: {
    open: { on: { go: { actions: emit({ type: 'gone' }) }, end: 'closed' } },
    closed: { type: 'final' },
  },
})
const short = defineSession({ kind: 'short', version: 1, machine, steps: 'memory:steps' })

/** Subscribes to every stream of a session, and tells how each ended. */
function listen(session: Session, runtime?: Runtime): { [stream: string]: string } {
  const ends: { [stream: string]: string } = {}
  const streams = {
    transitions: session.transitions$(),
    replayed: session.transitions$({ from: 1 }),
    emitted: session.emitted$(),
    progress: session.progress$(),
    ...(runtime && { all: runtime.transitions$(), replayedAll: runtime.transitions$({ from: 0 }) }),
  }
  for (const [name, stream] of Object.entries(streams)) {
    stream.subscribe({
      complete: () => {
        ends[name] = 'complete'
      },
      error: ({ code }: HoldfastError) => {
        ends[name] = code
      },
    })
  }
  return ends
}

const each = (how: string) => ({ transitions: how, replayed: how, emitted: how, progress: how })

test('every stream of a session completes when it ends, and at once when it has ended or is gone', async () => {
  await using runtime = await house([short]).open()
  const session = (await runtime.create(short)) as unknown as Session
  const before = listen(session)
  await session.send({ type: 'end' })
  expect(before).toEqual(each('complete'))
  expect(listen(session)).toEqual(each('complete'))
  await session.delete()
  expect(listen(session)).toEqual(each('complete'))
  const other = (await runtime.create(short)) as unknown as Session
  const deleted = listen(other)
  await other.delete()
  expect(deleted).toEqual(each('complete'))
})

test('once nothing can be recorded, streams of what still could happen say so; those of what is over complete', async () => {
  const disk = createCrashDisk()
  const runtime = await house([short], {}, disk).open()
  const [session, over] = (await Promise.all([runtime.create(short), runtime.create(short)])) as unknown as Session[]
  await over?.send({ type: 'end' })
  const before = listen(session as Session, runtime)
  disk.onCall = failAt(disk.callCount, 'ENOSPC', 'from then on')
  await expect(session?.send({ type: 'go' })).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  disk.onCall = undefined
  const readOnly = { ...each('READ_ONLY'), all: 'READ_ONLY', replayedAll: 'READ_ONLY' }
  expect(before).toEqual(readOnly)
  expect(listen(session as Session, runtime)).toEqual(readOnly)
  expect(listen(over as Session)).toEqual(each('complete'))
  expect(await over?.result()).toBeUndefined()
  await expect(session?.result()).rejects.toMatchObject({ code: 'READ_ONLY' })
  await runtime.close()
})

test('an update reaches the observers of its session and nobody else, who leave nothing behind', () => {
  const feeds = new Feeds()
  const heard: string[] = []
  const leave: (() => void)[] = []
  for (const id of ['a', 'b', 'c']) {
    const listener = ({ step }: { step: string }): void => void heard.push(`${id} ${step}`)
    leave.push(feeds.updates(id)(listener, () => heard.push(`${id} ended`)))
  }
  const update = { kind: 'chunk', chunk: 1, step: 'work', attempt: 1 } as const
  feeds.update({ ...update, session: 'b' })
  leave[2]?.()
  expect(feeds.size).toBe(2)
  feeds.end('b')
  feeds.update({ ...update, session: 'b' })
  expect(feeds.size).toBe(1)
  feeds.endAll(undefined, new Error('later'))
  feeds.updates('d')(
    () => {},
    (error) => heard.push(`d ${error?.message}`),
  )
  expect([heard, feeds.size]).toEqual([['b work', 'b ended', 'a ended', 'd later'], 0])
})
