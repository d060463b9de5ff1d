// What clients of a stream are given, without a socket: every transition once, in order, from wherever they come again,
// whether they read, rest, or do not read at all.

import fc from 'fast-check'
import type { Runtime, Session, Transition } from 'holdfast'
import { createVirtualClock } from 'holdfast/testing'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Follower } from '../../src/http/follower.js'
import { LiveStreams, type Told } from '../../src/http/live-streams.js'
import { systemClock } from '../../src/system/clock.js'
import { counter } from '../fixtures/counter.js'
import { house } from '../house.js'
import { property } from '../property.js'

interface Event {
  readonly event: string
  readonly id: number | undefined
  readonly data: { readonly seq: number; readonly code?: string; readonly [field: string]: unknown }
}

/** The events in some bytes of a stream. */
function eventsOf(bytes: Uint8Array): Event[] {
  const blocks = new TextDecoder()
    .decode(bytes)
    .split('\n\n')
    .filter((block) => block.includes('data: '))
  return blocks.map((block) => {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    )
    const id = fields.get('id')
    return {
      event: fields.get('event') as string,
      id: id === undefined ? undefined : Number(id),
      data: JSON.parse(fields.get('data') as string),
    }
  })
}

const TRANSITIONS: ReadonlySet<Told> = new Set(['transition'])
const turns = async (count = 3): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

let runtime: Runtime
let session: Session
const report = (error: unknown): never => {
  throw error
}
beforeEach(async () => {
  runtime = await house([counter]).open()
  session = (await runtime.create(counter)) as Session
})
afterEach(() => runtime.close())
const add = (id: number, pad = ''): Promise<unknown> => session.send({ type: 'add', by: 1, id, pad } as never)

/** Reads until there is nothing more for now, or at the end. */
async function readAll(follower: Follower): Promise<Event[]> {
  const events: Event[] = []
  for (;;) {
    const asked = follower.next()
    const bytes = await Promise.race([asked, turns(20)])
    if (!bytes) return events
    events.push(...eventsOf(bytes))
  }
}

const textOf = (bytes: unknown): string | undefined =>
  bytes instanceof Uint8Array ? new TextDecoder().decode(bytes) : undefined

const seqs = (events: readonly Event[]): number[] =>
  events.filter(({ event }) => event === 'transition').map(({ data }) => data.seq)
const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

describe('one session', () => {
  test('is replayed and then followed, with its seq as id, and ends when it ends', async () => {
    const streams = new LiveStreams(runtime, { clock: systemClock, report })
    for (let id = 0; id < 5; id++) await add(id)
    const follower = await streams.session(session, TRANSITIONS, 0)
    const reading = readUntilEnd(follower)
    for (let id = 5; id < 9; id++) await add(id)
    await session.send({ type: 'finish' } as never)
    const events = await reading
    expect(seqs(events)).toEqual(upTo(11))
    expect(events.slice(0, -1).map(({ id }) => id)).toEqual(upTo(11))
    expect(events.at(-1)).toMatchObject({ event: 'end', data: { session: session.id, seq: 11, status: 'done' } })
    expect(events.slice(0, -1).map(({ data }) => data)).toEqual(JSON.parse(JSON.stringify([...session.history()])))
    streams.leave(follower)
    expect(streams.size).toBe(0)
  })

  test('that is over is told whole, and its end', async () => {
    await session.send({ type: 'finish' } as never)
    const streams = new LiveStreams(runtime, { clock: systemClock, report })
    const events = await readUntilEnd(await streams.session(session, TRANSITIONS, 0))
    expect(events.map(({ event }) => event)).toEqual(['transition', 'transition', 'end'])
    const nothing = await readUntilEnd(await streams.session(session, TRANSITIONS, 2))
    expect(nothing.map(({ event }) => event)).toEqual(['end'])
  })

  test('without a number is followed from now on, and what closes with the runtime has no end', async () => {
    await add(1)
    const streams = new LiveStreams(runtime, { clock: systemClock, report })
    const follower = await streams.session(session, TRANSITIONS)
    const reading = readUntilEnd(follower)
    await add(2)
    await turns()
    await runtime.close()
    expect((await reading).map(({ event, data }) => [event, data.seq])).toEqual([['transition', 3]])
  })

  test('is encoded once, however many follow', async () => {
    const streams = new LiveStreams(runtime, { clock: systemClock, report })
    const followers = await Promise.all(upTo(50).map(() => streams.session(session, TRANSITIONS)))
    for (const follower of followers) expect(await follower.next()).toBeDefined() // the opening
    const asked = followers.map((follower) => follower.next())
    await add(1)
    const pieces = (await Promise.all(asked)) as Uint8Array[]
    expect(new Set(pieces.map(({ buffer }) => buffer)).size).toBe(1)
    expect(new Set(pieces.map(({ byteOffset }) => byteOffset)).size).toBe(1)
  })

  test.each([
    ['one session', 'session', 'seq'],
    ['all sessions', 'all', 'position'],
  ] as const)(
    'what many lack who come again to %s at once, after a restart, is read and encoded once for all',
    async (_, what, number) => {
      for (let id = 0; id < 40; id++) await add(id)
      const streams = new LiveStreams(runtime, { clock: systemClock, report })
      const replays = vi.spyOn(what === 'session' ? session : runtime, 'transitions$')
      const known = [...session.history()]
      const lasts = upTo(100).map((client) => known[(client * 7) % 40] as Transition)
      const follow = (after: number): Follower | Promise<Follower> =>
        what === 'session' ? streams.session(session, TRANSITIONS, after) : streams.all(undefined, after)
      const followers = await Promise.all(lasts.map((last) => follow(last[number])))
      for (const [client, follower] of followers.entries())
        expect(seqs(await readAll(follower))).toEqual(upTo(41, (lasts[client] as Transition).seq + 1))
      // The first is alone when it comes, and nobody is known to come.
      expect(replays.mock.calls.filter(([options]) => options?.from !== undefined)).toHaveLength(1)
    },
  )

  test('who lacks too much to be shared replays by itself, and whoever lacks less shares all the same', async () => {
    for (let id = 0; id < 1100; id++) await add(id)
    const streams = new LiveStreams(runtime, { clock: systemClock, report })
    const shared = vi.spyOn(session, 'history')
    const clients = [1000, 0, 70, 1090, 1095].map((after) => streams.session(session, TRANSITIONS, after))
    const given = await Promise.all((await Promise.all(clients)).map(readAll))
    expect(given.map(seqs)).toEqual([1000, 0, 70, 1090, 1095].map((after) => upTo(1101, after + 1)))
    expect(shared.mock.calls).toEqual([[{ from: 1091, to: 1101 }]])
  })

  test('what does not fit what may wait is not shared, nor read again for who lacks more', async () => {
    for (let id = 0; id < 40; id++) await add(id, 'x'.repeat(1000))
    const streams = new LiveStreams(runtime, { clock: systemClock, report, waitingBytes: 40_000 })
    const shared = vi.spyOn(session, 'history')
    const clients = [20, 10, 5, 36, 37].map((after) => streams.session(session, TRANSITIONS, after))
    const given = await Promise.all((await Promise.all(clients)).map(readAll))
    expect(given.map(seqs)).toEqual([20, 10, 5, 36, 37].map((after) => upTo(41, after + 1)))
    expect(shared.mock.calls.map(([options]) => options?.from)).toEqual([11, 37])
  })

  test('what cannot be read for all is read, or refused, for each', async () => {
    for (let id = 0; id < 9; id++) await add(id)
    const streams = new LiveStreams(runtime, { clock: systemClock, report })
    vi.spyOn(session, 'history').mockImplementation(() => {
      throw new Error('unreadable')
    })
    const followers = await Promise.all([4, 2, 6].map((after) => streams.session(session, TRANSITIONS, after)))
    expect((await Promise.all(followers.map(readAll))).map(seqs)).toEqual([upTo(10, 5), upTo(10, 3), upTo(10, 7)])
  })

  test('what is shared takes no more memory than it has bytes, however little more each client lacks', async () => {
    for (let id = 0; id < 100; id++) await add(id)
    const streams = new LiveStreams(runtime, { clock: systemClock, report })
    const followers = await Promise.all(upTo(100).map((client) => streams.session(session, TRANSITIONS, 101 - client)))
    const last = followers.at(-1) as Follower
    const buffers = new Set<ArrayBufferLike>()
    let bytes = 0
    for (let piece = await last.next(); seqs(eventsOf(piece as Uint8Array)).at(-1) !== 101; ) {
      piece = await last.next()
      bytes += (piece as Uint8Array).byteLength
      buffers.add((piece as Uint8Array).buffer)
    }
    expect(buffers.size).toBeGreaterThan(90)
    expect([...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(bytes)
  })

  test('a client that does not read is cut off, told from where to go on, and costs no more than the tail', async () => {
    const streams = new LiveStreams(runtime, { clock: systemClock, report, waitingBytes: 200_000 })
    let cuts = 0
    const stalled = await streams.session(session, TRANSITIONS, 1, () => cuts++)
    const reader = await streams.session(session, TRANSITIONS, 1)
    const reading = readUntilEnd(reader)
    expect(eventsOf((await stalled.next()) as Uint8Array)).toEqual([])
    for (let id = 0; id < 40; id++) await add(id, 'x'.repeat(10_000))
    expect(cuts).toBe(1)
    const rest = await readUntilEnd(stalled)
    expect(rest).toMatchObject([{ event: 'problem', data: { code: 'OBSERVER_OVERFLOW', details: { after: 1 } } }])
    const resumed = await streams.session(session, TRANSITIONS, 1)
    expect(seqs(await readAll(resumed))).toEqual(upTo(41, 2))
    await session.send({ type: 'finish' } as never)
    expect(seqs(await reading)).toEqual(upTo(42, 2))
  })

  test('a transition larger than what may wait still comes', async () => {
    const streams = new LiveStreams(runtime, { clock: systemClock, report, waitingBytes: 1000 })
    const reading = readUntilEnd(await streams.session(session, TRANSITIONS, 0))
    for (let id = 0; id < 3; id++) {
      await add(id, 'ü'.repeat(300_000))
      await turns()
    }
    await session.send({ type: 'finish' } as never)
    expect(seqs(await reading)).toEqual(upTo(5))
  })

  test('is silent for 9 seconds at most: then comes a sign of life, which is no event and moves no number', async () => {
    const clock = createVirtualClock()
    const streams = new LiveStreams(runtime, { clock, report })
    const follower = await streams.session(session, TRANSITIONS, 1)
    expect(textOf(await follower.next())).toBe('id: 1\nretry: 1000\n\n')
    const within = async (ms: number): Promise<string | undefined> => {
      const asked = follower.next()
      await clock.advance(ms)
      return textOf(await Promise.race([asked, turns(20)]))
    }
    for (let minute = 0; minute < 20; minute++) expect(await within(9000)).toBe(':\n\n')
    await add(1)
    await turns()
    expect(await within(0)).toMatch(/^id: 2\n/)
    // Whoever was just told something is not told that too.
    const asked = follower.next()
    await clock.advance(4000)
    expect(await Promise.race([asked, turns(20)])).toBe(undefined)
    await clock.advance(5000)
    expect(textOf(await asked)).toBe(':\n\n')
    streams.leave(follower)
    // Without anybody who follows nothing ticks.
    await clock.advance(9000)
    expect(clock.pending()).toBe(0)
  })

  const step = fc.oneof(
    fc.record({
      do: fc.constant('send' as const),
      count: fc.integer({ min: 1, max: 30 }),
      pad: fc.integer({ min: 0, max: 3000 }),
    }),
    fc.record({ do: fc.constant('read' as const), who: fc.nat(4) }),
    fc.record({ do: fc.constant('leave' as const), who: fc.nat(4) }),
    fc.record({ do: fc.constant('turn' as const) }),
  )
  const runs = Number(process.env.HOLDFAST_RUNS ?? 40)

  property([fc.array(step, { minLength: 5, maxLength: 60 })], { numRuns: runs })(
    'has no gap and no duplicate for anybody, however they read, leave and come again',
    async (steps) => {
      const one = (await runtime.create(counter)) as Session
      const streams = new LiveStreams(runtime, { clock: systemClock, report, waitingBytes: 20_000 })
      const clients: { follower: Follower | undefined; seen: number[] }[] = upTo(5).map(() => ({
        follower: undefined,
        seen: [],
      }))
      const read = async (client: (typeof clients)[number]): Promise<void> => {
        client.follower ??= await streams.session(one, TRANSITIONS, client.seen.at(-1) ?? 0)
        const { follower } = client
        const bytes = await Promise.race([follower.next(), turns(10)])
        if (bytes) client.seen.push(...seqs(eventsOf(bytes)))
        if (bytes && !eventsOf(bytes).some(({ event }) => event === 'problem')) return
        streams.leave(follower)
        client.follower = undefined
      }
      for (const act of steps) {
        const client = clients['who' in act ? act.who : 0] as (typeof clients)[number]
        if (act.do === 'send') {
          const sent = upTo(act.count).map((id) =>
            one.send({ type: 'add', by: 1, id, pad: 'x'.repeat(act.pad) } as never),
          )
          await Promise.all(sent)
        } else if (act.do === 'read') await read(client)
        else if (act.do === 'turn') await turns(1)
        else if (client.follower) {
          streams.leave(client.follower)
          client.follower = undefined
        }
      }
      const { seq } = one.entry()
      for (const client of clients) {
        while ((client.seen.at(-1) ?? 0) < seq) await read(client)
        expect(client.seen).toEqual(upTo(seq))
      }
      for (const { follower } of clients) if (follower) streams.leave(follower)
      expect(streams.size).toBe(0)
    },
  )
})

async function readUntilEnd(follower: Follower): Promise<Event[]> {
  const events: Event[] = []
  for (let bytes = await follower.next(); bytes; bytes = await follower.next()) events.push(...eventsOf(bytes))
  return events
}
