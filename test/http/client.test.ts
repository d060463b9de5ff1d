// The client over a real socket: the verbs of the embedded runtime, and streams that nobody notices being cut off.
import { fc, test as property } from '@fast-check/vitest'
import { openRuntime, type Runtime, type Transition } from 'holdfast'
import { type Client, connect, kindOf, type RemoteSession } from 'holdfast/client'
import { type Server, serve } from 'holdfast/http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { counter } from '../fixtures/counter.js'
import { type Relay, relayTo } from './cutting.js'
import { PRINCIPALS, review, tokenOf } from './served.js'

const kinds = [review, counter]
const token = tokenOf('root')
/** Requests as fast as they come are the point here. */
const limits = { requestsPerSecond: 1_000_000, burst: 1_000_000 }

let runtime: Runtime
let server: Server
let relay: Relay
let client: Client
const start = (port = 0): Promise<Server> =>
  serve(runtime, { port, principals: PRINCIPALS, limits, hosts: ['127.0.0.1'] })

beforeAll(async () => {
  runtime = await openRuntime({ storage: 'memory', pool: 'inline', kinds })
  server = await start()
  relay = await relayTo(server.port)
})
afterAll(async () => {
  await relay[Symbol.asyncDispose]()
  await server.close()
  await runtime.close()
})
beforeEach(() => {
  client = connect({ url: relay.url, token })
})
afterEach(() => client.close())

describe('the verbs', () => {
  test('are those of the embedded session, typed by its kind, and give the same', async () => {
    const session = await client.create(review, { title: 'Checkout' })
    const local = runtime.session(session.id, review)
    const sent = await session.send({ type: 'open' })
    expect(sent).toEqual([...local.history()].at(-1))
    await session.sendBatch([
      { type: 'note', text: 'one' },
      { type: 'note', text: 'two' },
    ])
    const snapshot = await session.snapshot()
    expect(snapshot).toEqual(JSON.parse(JSON.stringify(local.snapshot())))
    expect(snapshot.context.notes).toEqual(['one', 'two'])
    expect(await session.can({ type: 'open' })).toBe(false)
    expect(await session.can({ type: 'approve' })).toBe(true)
    expect(await session.entry()).toEqual(JSON.parse(JSON.stringify(local.entry())))
    expect((await client.session(session.id.slice(0, 30), review)).id).toBe(session.id)
    await expect(client.session(session.id, counter)).rejects.toMatchObject({ code: 'KIND_MISMATCH' })
    const { sessions } = await client.sessions.list({ kind: 'review', status: 'active' })
    expect(sessions.map(({ id }) => id)).toContain(session.id)
  })

  test('reject with the code and the details of the error that the runtime there has thrown', async () => {
    const session = await client.create(review, { title: 'Checkout' })
    const refused = await session.send({ type: 'approve' }).catch((error: unknown) => error)
    const here = await runtime
      .session(session.id, review)
      .send({ type: 'approve' })
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ name: 'HoldfastError', code: 'NOT_ACCEPTED', message: (here as Error).message })
    expect((refused as { details: unknown }).details).toEqual((here as { details: unknown }).details)
    await expect(client.create(kindOf('nothing'))).rejects.toMatchObject({ code: 'UNKNOWN_KIND' })
    const stranger = connect({ url: relay.url, token: 'wrong' })
    await expect(stranger.sessions.list()).rejects.toMatchObject({ code: 'TOKEN_REQUIRED' })
    stranger.close()
  })

  test('happen once, although the answer was lost and they were asked for again', async () => {
    const session = await client.create(counter)
    for (let id = 0; id < 10; id++) {
      // The first bytes of the answer may or may not come.
      relay.cutAfter((id * 37) % 400)
      await session.send({ type: 'add', by: 1, id } as never)
      relay.cutAfter(Number.POSITIVE_INFINITY)
    }
    expect(await session.snapshot()).toMatchObject({ seq: 11, context: { count: 10 } })
  })
})

describe('streams', () => {
  test('a session is followed from where one subscribes: what is sent after that comes', async () => {
    for (let round = 0; round < 5; round++) {
      const session = await client.create(counter)
      const seen: number[] = []
      const done = new Promise<void>((resolve, reject) =>
        session.transitions$().subscribe({ next: ({ seq }) => void seen.push(seq), complete: resolve, error: reject }),
      )
      await session.send({ type: 'add', by: 1, id: 1 } as never)
      await session.send({ type: 'finish' } as never)
      await done
      expect(seen).toEqual([2, 3])
    }
  })

  test('what is yet to come is not missed when the connection is lost before anything has', async () => {
    const session = await client.create(counter)
    const seen: number[] = []
    const done = new Promise<void>((resolve, reject) =>
      session.transitions$().subscribe({ next: ({ seq }) => void seen.push(seq), complete: resolve, error: reject }),
    )
    await session.send({ type: 'add', by: 1, id: 1 } as never)
    await until(() => seen.length === 1)
    const port = server.port
    await server.close()
    for (let id = 0; id < 10; id++) await runtime.session(session.id).send({ type: 'add', by: 1, id } as never)
    server = await start(port)
    await session.send({ type: 'finish' } as never)
    await done
    expect(seen).toEqual(upTo(13, 2))
  })

  test('a slow observer is waited for, and gets everything', async () => {
    const session = await client.create(counter)
    const seen: number[] = []
    const done = new Promise<void>((resolve, reject) =>
      session.transitions$({ from: 1 }).subscribe({
        next: async ({ seq }: Transition) => {
          seen.push(seq)
          if (seq % 20 === 0) await new Promise((go) => setTimeout(go, 5))
        },
        complete: resolve,
        error: reject,
      } as never),
    )
    const sends = upTo(400).map((id) =>
      runtime.session(session.id).send({ type: 'add', by: 1, id, pad: 'x'.repeat(5000) } as never),
    )
    await Promise.all(sends)
    await session.send({ type: 'finish' } as never)
    await done
    expect(seen).toEqual(upTo(402))
  })

  test('of all sessions are resumed by position, and show what the runtime shows', async () => {
    const from = runtime.position
    const seen: Transition[] = []
    const subscription = client.transitions$({ from }).subscribe((one) => void seen.push(one))
    const here: Transition[] = []
    const embedded = runtime.transitions$({ from }).subscribe((one) => void here.push(one))
    const sessions = await Promise.all(upTo(5).map(() => client.create(counter)))
    for (const id of upTo(30)) {
      const one = sessions[id % 5] as RemoteSession
      await one.send({ type: 'add', by: 1, id } as never)
      if (id % 10 === 0) relay.cut()
    }
    await until(() => seen.length === 35)
    expect(seen).toEqual(JSON.parse(JSON.stringify(here)))
    subscription.unsubscribe()
    embedded.unsubscribe()
  })

  test('an observer that throws is told to the client, and harms no other', async () => {
    const failed: unknown[] = []
    const own = connect({ url: relay.url, token, onObserverError: (error) => failed.push(error) })
    const session = await own.create(counter)
    const seen: number[] = []
    session.transitions$({ from: 1 }).subscribe(() => {
      throw new Error('mine')
    })
    session.transitions$({ from: 1 }).subscribe(({ seq }) => void seen.push(seq))
    await session.send({ type: 'add', by: 1, id: 1 } as never)
    await until(() => seen.length === 2 && failed.length === 1)
    own.close()
  })

  property.prop([fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 6 })], {
    numRuns: Number(process.env.HOLDFAST_RUNS ?? 8),
  })('a stream that is cut off after any byte has no gap and no duplicate', async (cuts) => {
    const here = await runtime.create(counter)
    await Promise.all(upTo(60).map((id) => here.send({ type: 'add', by: 1, id } as never)))
    const session = await client.session(here.id)
    const seen: number[] = []
    const done = new Promise<void>((resolve, reject) =>
      session
        .transitions$({ from: 1 })
        .subscribe({ next: ({ seq }) => void seen.push(seq), complete: resolve, error: reject }),
    )
    for (const bytes of cuts) {
      relay.cutAfter(bytes)
      await Promise.all(upTo(20).map((id) => here.send({ type: 'add', by: 1, id } as never)))
    }
    await here.send({ type: 'finish' } as never)
    await done
    expect(seen).toEqual(upTo(62 + 20 * cuts.length))
  })
})

const upTo = (last: number, begin = 1): number[] =>
  Array.from({ length: last - begin + 1 }, (_, index) => begin + index)

async function until(test: () => boolean): Promise<void> {
  while (!test()) await new Promise((resolve) => setTimeout(resolve, 2))
}
