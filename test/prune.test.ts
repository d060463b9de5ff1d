// Pruning: what may go and what may not, what it takes on the disk, and that it is gone for good.
import { defineSession, type Runtime } from 'holdfast'
import { describe, expect, test } from 'vitest'
import { assign, sendTo, setup } from 'xstate'
import { openFileReader } from '../src/files/reader.js'
import { createInlinePool } from '../src/inline/pool.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import { openFiles, startOn } from '../src/open.js'
import type { RetentionRules } from '../src/retention.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock } from '../src/testing/clock.js'
import { isIn } from '../src/wanted.js'

const machine = setup({
  types: { context: {} as { text: string }, events: {} as { type: 'write'; text: string } | { type: 'end' | 'drop' } },
}).createMachine({
  context: { text: '' },
  initial: 'open',
  states: {
    open: { on: { write: { actions: assign({ text: ({ event }) => event.text }) }, end: 'approved', drop: 'review' } },
    approved: { type: 'final' },
    review: { initial: 'rejected', states: { rejected: { type: 'final' } }, onDone: 'over' },
    over: { type: 'final' },
  },
})
const note = defineSession({ kind: 'note', version: 1, machine })
const memo = defineSession({ kind: 'memo', version: 1, machine })

const child = setup({ types: { events: {} as { type: 'end' } } }).createMachine({
  initial: 'on',
  states: { on: { on: { end: 'off' } }, off: { type: 'final' } },
})
const family = defineSession({
  kind: 'family',
  version: 1,
  machine: setup({ actors: { child } }).createMachine({
    initial: 'a',
    states: { a: { invoke: { id: 'kid', src: 'child', onDone: 'b' } }, b: {} },
  }),
})

/** Its last message ends its child, whose end ends it: nobody is left to tell it that the message has arrived. */
const closing = defineSession({
  kind: 'closing',
  version: 1,
  machine: setup({ actors: { child }, types: { events: {} as { type: 'close' } } }).createMachine({
    initial: 'a',
    states: {
      a: {
        invoke: { id: 'kid', src: 'child', onDone: 'b' },
        on: { close: { actions: sendTo('kid', { type: 'end' }) } },
      },
      b: { type: 'final' },
    },
  }),
})

const DAY_MS = 86_400_000
const START_MS = Date.parse('2026-01-01T00:00:00Z')

function place(disk = createMemoryDisk()) {
  const clock = createVirtualClock(START_MS)
  const log: unknown[] = []
  const hear = (fields: object): void => void log.push(fields)
  const logger = { info: () => {}, warn: hear, error: hear }
  const kinds = [closing, family, memo, note]
  const open = async (retention?: RetentionRules): Promise<Runtime> => {
    const files = await openFiles(disk, kinds, clock, createSeededChance(1), logger, () => createInlinePool({ clock }))
    return startOn(files, { kinds, logger, ...(retention && { retention }) })
  }
  return { disk, clock, log, open }
}

async function end(runtime: Runtime, kind: typeof note, id: string, how: 'end' | 'drop' = 'end'): Promise<void> {
  const session = await runtime.create(kind, undefined, { id })
  await session.send({ type: how })
}

async function kidOf(runtime: Runtime): Promise<string> {
  for (;;) {
    const [kid] = runtime.sessions.list({ parent: 'parent' }).sessions
    if (kid) return kid.id
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const ids = ({ sessions }: { sessions: readonly { id: string }[] }): string[] => sessions.map(({ id }) => id)

describe('what is chosen', () => {
  test('sessions that ended long enough ago, of the kind, status and state that are named', async () => {
    const { clock, open } = place()
    await using runtime = await open()
    await end(runtime, note, 'old')
    await end(runtime, note, 'dropped', 'drop')
    await end(runtime, memo, 'memo')
    await runtime.create(note, undefined, { id: 'active' })
    const cancelled = await runtime.create(note, undefined, { id: 'cancelled' })
    await cancelled.cancel()
    clock.set(START_MS + 10 * DAY_MS)
    await end(runtime, note, 'young')
    const look = async (filter: object) =>
      ids(await runtime.prune({ olderThanMs: 5 * DAY_MS, dryRun: true, ...filter }))
    expect(await look({})).toEqual(['old', 'dropped', 'memo', 'cancelled'])
    expect(await look({ olderThanMs: 11 * DAY_MS })).toEqual([])
    expect(await look({ olderThanMs: 0 })).toEqual(['old', 'dropped', 'memo', 'cancelled', 'young'])
    expect(await look({ kind: 'memo' })).toEqual(['memo'])
    expect(await look({ status: 'stopped' })).toEqual(['cancelled'])
    expect(await look({ state: 'approved' })).toEqual(['old', 'memo'])
    expect(await look({ state: 'approved', kind: 'note', status: 'done' })).toEqual(['old'])
    expect(runtime.sessions.count()).toBe(6)
  })

  test('never an active one: to ask for that is refused, and so is an age that is none', async () => {
    const { open } = place()
    await using runtime = await open()
    await runtime.create(note, undefined, { id: 'active' })
    await expect(runtime.prune({ olderThanMs: 0, status: 'active' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('cancel them first'),
    })
    for (const olderThanMs of [-1, Number.NaN, undefined as never, '30d' as never])
      await expect(runtime.prune({ olderThanMs })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(runtime.prune({ olderThanMs: 0, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    expect(runtime.sessions.count()).toBe(1)
  })

  test('never a child whose parent has not heard of its end: the parent would start it again', async () => {
    const { open, disk } = place()
    const first = await open()
    const parent = await first.create(family, undefined, { id: 'parent' })
    const kid = await kidOf(first)
    expect(await first.prune({ olderThanMs: 0 })).toEqual({ sessions: [], bytes: 0 })
    const ending = first.session(kid).send({ type: 'end' } as never)
    await ending
    const during = ids(await first.prune({ olderThanMs: 0, dryRun: true }))
    expect(during).toEqual(first.sessions.find('parent').value === 'b' ? [kid] : [])
    await parent.until(({ value }) => value === 'b')
    expect(ids(await first.prune({ olderThanMs: 0 }))).toEqual([kid])
    await first.close()
    await using again = await place(disk).open()
    expect(again.sessions.list({}).sessions.map(({ id, value }) => [id, value])).toEqual([['parent', 'b']])
  })

  test('a family whose last message was taken by a child that has ended since, at once and after an opening', async () => {
    const { disk, open } = place()
    const first = await open()
    const close = async (id: string): Promise<void> => {
      const parent = await first.create(closing, undefined, { id })
      await parent.send({ type: 'close' })
      await parent.result()
    }
    await close('parent')
    expect(ids(await first.prune({ olderThanMs: 0 }))).toEqual(['parent', expect.stringMatching(/./)])
    await close('parent-2')
    await first.close()
    await using again = await place(disk).open()
    expect(ids(await again.prune({ olderThanMs: 0 }))).toEqual(['parent-2', expect.stringMatching(/./)])
    expect(again.sessions.list({}).sessions).toEqual([])
  })

  test('a state is named by its path', () => {
    expect(isIn('approved', 'approved')).toBe(true)
    expect(isIn({ review: 'rejected' }, 'review')).toBe(true)
    expect(isIn({ review: 'rejected' }, 'review.rejected')).toBe(true)
    expect(isIn({ left: 'a', right: { b: 'c' } }, 'right.b.c')).toBe(true)
    expect(isIn({ review: 'rejected' }, 'rejected')).toBe(false)
    expect(isIn('reviewed', 'review')).toBe(false)
  })
})

describe('what it does', () => {
  test('a dry run tells the bytes that the records and the snapshot take, and changes nothing', async () => {
    const { disk, open } = place()
    const first = await open()
    const session = await first.create(note, undefined, { id: 'long' })
    await session.send({ type: 'write', text: 'x'.repeat(100_000) })
    await session.send({ type: 'end' })
    await first.close()
    await using runtime = await open()
    const { sessions, bytes } = await runtime.prune({ olderThanMs: 0, dryRun: true })
    expect(sessions).toMatchObject([{ id: 'long', kind: 'note', seq: 3, value: 'approved' }])
    expect(bytes).toBeGreaterThan(100_000)
    expect(bytes).toBeLessThan(250_000)
    const reader = openFileReader(disk)
    expect(await reader.prunable({ olderThanMs: 0 }, START_MS)).toEqual({ sessions, bytes })
    reader.close()
  })

  test('what is removed is gone, also after the next opening and without an index; its snapshot too', async () => {
    const { disk, open } = place()
    const first = await open()
    for (let n = 0; n < 300; n++) await first.create(note, undefined, { id: `n${n}` })
    const session = first.session('n7', note)
    await session.send({ type: 'write', text: 'x'.repeat(300_000) })
    for (let n = 0; n < 299; n++) await first.session(`n${n}`, note).send({ type: 'end' })
    await first.close()
    const second = await open()
    const { sessions } = await second.prune({ olderThanMs: 0 })
    expect(sessions).toHaveLength(299)
    expect(second.sessions.list().sessions.map(({ id }) => id)).toEqual(['n299'])
    await second.close()
    expect(disk.list('sessions').flatMap((folder) => disk.list(`sessions/${folder}`))).toEqual([])
    disk.remove('index.jsonl')
    await using third = await open()
    expect(third.sessions.list().sessions.map(({ id }) => id)).toEqual(['n299'])
    expect(await third.prune({ olderThanMs: 0 })).toEqual({ sessions: [], bytes: 0 })
  })
})

describe('retention', () => {
  test('removes what a kind does not keep, by the clock, and leaves other kinds alone', async () => {
    const { clock, log, open } = place()
    await using runtime = await open({ note: { keepEndedMs: DAY_MS } })
    await end(runtime, note, 'note')
    await end(runtime, memo, 'memo')
    await clock.advance(DAY_MS - 1)
    expect(runtime.sessions.count()).toBe(2)
    await clock.advance(3_600_001)
    expect(runtime.sessions.list().sessions.map(({ id }) => id)).toEqual(['memo'])
    expect(log).toEqual([])
  })

  test('an opening makes up for what no process was there to do; closing ends it', async () => {
    const { clock, open } = place()
    const first = await open({ note: { keepEndedMs: 0 } })
    await end(first, note, 'note')
    await first.close()
    await clock.advance(DAY_MS)
    const second = await open({ note: { keepEndedMs: 0 } })
    expect(second.sessions.count()).toBe(1)
    await clock.advance(1000)
    expect(second.sessions.count()).toBe(0)
    await second.close()
    expect(clock.pending()).toBe(0)
  })

  test('a time that is none is refused when the runtime opens, and the directory is free again', async () => {
    const { open } = place()
    await expect(open({ note: { keepEndedMs: -1 } })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await (await open()).close()
  })
})
