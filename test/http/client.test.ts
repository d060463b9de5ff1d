// The client over a real socket: the verbs of the embedded runtime, and streams that nobody notices being cut off.
import fc from 'fast-check'
import {
  type DeadLetter,
  defineSession,
  openRuntime,
  type Runtime,
  type SessionFilter,
  type Transition,
} from 'holdfast'
import { type Client, connect, kindOf, type RemoteSession } from 'holdfast/client'
import { type Server, serve } from 'holdfast/http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { fromPromise, sendTo, setup } from 'xstate'
import { counter } from '../fixtures/counter.js'
import { ownPort } from '../fixtures/own-port.js'
import { property } from '../property.js'
import { type Relay, relayTo } from './cutting.js'
import { PRINCIPALS, review, tokenOf } from './served.js'

/** Sets aside what it sends to itself, since it crashes on it. */
const fragile = defineSession({
  kind: 'fragile',
  version: 1,
  machine: setup({ types: { events: {} as { type: 'later' | 'poison' } } }).createMachine({
    on: {
      later: { actions: sendTo(({ self }) => self, { type: 'poison' }) },
      poison: {
        guard: () => {
          throw new Error('a decision crashed')
        },
      },
    },
  }),
  supervision: { attempts: 1, backoffMs: 1, maxBackoffMs: 1 },
})

/** Ends in error. */
const doomed = defineSession({
  kind: 'doomed',
  version: 1,
  machine: setup({
    types: { events: {} as { type: 'fail' } },
    actors: { reject: fromPromise(() => Promise.reject(new Error('a promise was rejected'))) },
  }).createMachine({
    initial: 'well',
    states: { well: { on: { fail: 'failing' } }, failing: { invoke: { src: 'reject' } } },
  }),
})

/** Is quarantined at its first crash. */
const nervous = defineSession({
  kind: 'nervous',
  version: 1,
  machine: setup({
    types: { events: {} as { type: 'crash' | 'idle' } },
    actions: {
      fail: () => {
        throw new Error('an action crashed')
      },
    },
  }).createMachine({ initial: 'here', states: { here: { on: { crash: { actions: 'fail' }, idle: 'here' } } } }),
  supervision: { intensity: 0, backoffMs: 1, maxBackoffMs: 1 },
})

const kinds = [review, counter, fragile, doomed, nervous]
const token = tokenOf('root')
/** Requests as fast as they come are the point here. */
const limits = { requestsPerSecond: 1_000_000, burst: 1_000_000 }

let runtime: Runtime
let server: Server
let relay: Relay
let client: Client
const start = (port: number): Promise<Server> =>
  serve(runtime, { port, principals: PRINCIPALS, limits, hosts: ['127.0.0.1'] })

beforeAll(async () => {
  runtime = await openRuntime({ storage: 'memory', pool: 'inline', kinds })
  server = await start(await ownPort())
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
    expect(await session.at(2)).toEqual(JSON.parse(JSON.stringify(local.at(2))))
    expect(await session.diff(1, 3)).toEqual(JSON.parse(JSON.stringify(local.diff(1, 3))))
    const history: Transition[] = []
    for await (const transition of session.history({ from: 2 })) history.push(transition)
    expect(history).toEqual(JSON.parse(JSON.stringify([...local.history({ from: 2 })])))
    const fork = await session.fork({ at: 2 })
    expect((await fork.snapshot()).context.notes).toEqual([])
    await fork.cancel({ reason: 'enough' })
    expect((await fork.snapshot()).status).toBe('stopped')
    await fork.delete()
    await expect(fork.snapshot()).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
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

  test('refuse an option that is not there, as the embedded ones do, before anything is asked or done', async () => {
    const made = await client.create(review, { title: 'Checkout' })
    const asked: string[] = []
    const counting: typeof fetch = (url, init) => {
      asked.push(String(url))
      return fetch(url, init)
    }
    using careful = connect({ url: relay.url, token, fetch: counting })
    const handles = [runtime.session(made.id), await careful.session(made.id)]
    asked.length = 0
    const [signal, typo] = [{ signl: 1 }, { timeoutMS: 5, frm: 2, reson: '', childen: 'restart', key: '' }] as never[]
    const event = { type: 'open' } as never
    for (const session of handles as RemoteSession[]) {
      const calls: { readonly [verb: string]: () => unknown } = {
        send: () => session.send(event, signal),
        sendBatch: () => session.sendBatch([event], signal),
        until: () => session.until('open', typo),
        result: () => session.result(typo),
        cancel: () => session.cancel(typo),
        fork: () => session.fork(typo),
        history: () => session.history(typo).next(),
        stream: () => session.transitions$(typo),
        'stream of steps': () => session.progress$(typo),
        'stream of what is emitted': () => session.emitted$(typo),
        'replay of steps': () => session.progress$({ from: 1 } as never),
        'replay of what is emitted': () => session.emitted$({ from: 1 } as never),
        release: () => session.release(signal),
        resend: () => session.resend(1, signal),
        discard: () => session.discard(1, signal),
        delete: () => session.delete(signal),
      }
      for (const [verb, call] of Object.entries(calls)) {
        const message = expect.stringMatching(/^options of \w.* have no "\w+"; "\w+" may be meant/)
        const error = await Promise.resolve()
          .then(call)
          .catch((thrown: unknown) => thrown)
        expect(error, verb).toMatchObject({ code: 'INVALID_ARGUMENT', message })
      }
    }
    const elsewhere = [
      () => careful.create(review, { title: 'Checkout' }, { tem: 'red' } as never),
      () => careful.transitions$({ frm: 1 } as never),
      () => runtime.transitions$({ frm: 1 } as never),
      () => careful.get('/v1/approvals', signal),
      () => careful.post('/v1/prune', {}, { idempotencyKy: '1' } as never),
      () => careful.read('/v1/backup', signal),
    ]
    for (const call of elsewhere) {
      const error = await Promise.resolve()
        .then(call)
        .catch((thrown: unknown) => thrown)
      expect(error, String(call)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('may be meant'),
      })
    }
    expect(asked).toEqual([])
    expect(await made.snapshot()).toMatchObject({ seq: 1, status: 'active' })
    await expect(client.sessions.list({ knd: 'review' } as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('until and result wait for a state, a tag or an answer, and say when it never comes', async () => {
    const session = await client.create(review, { title: 'Checkout' })
    const waiting = Promise.all([
      session.until('open'),
      session.until({ tag: 'waiting' }),
      session.until(({ context }) => context.notes.length === 2),
      session.until('approved'),
      session.result(),
      session.until(({ context }) => context.notes.length === 3).catch((error: unknown) => error),
    ])
    for (const event of [{ type: 'open' }, { type: 'note', text: 'a' }, { type: 'note', text: 'b' }] as const)
      await session.send(event)
    await session.send({ type: 'approve' })
    const [open, tagged, noted, approved, output, never] = await waiting
    expect([open.value, tagged.value, noted.value, approved.value]).toEqual(['open', 'open', 'open', 'approved'])
    expect(output).toBeUndefined()
    expect(never).toMatchObject({ code: 'SESSION_ENDED' })
    const other = await client.create(review, { title: 'Other' })
    await expect(other.until('open', { timeoutMs: 30 })).rejects.toMatchObject({ code: 'TIMEOUT' })
    await expect(other.until('open', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('a list is of those that were asked for, by whatever the embedded one is asked', async () => {
    const sessions = []
    for (const title of ['"one" & {two}', 'other']) sessions.push(await client.create(review, { title }))
    const [one] = sessions as [RemoteSession]
    const fork = await one.fork({})
    await fork.cancel()
    const idsOf = async (filter: SessionFilter): Promise<readonly string[]> => {
      const { sessions } = await client.sessions.list(filter)
      expect(sessions).toEqual(JSON.parse(JSON.stringify(runtime.sessions.list(filter).sessions)))
      return sessions.map(({ id }) => id)
    }
    expect(await idsOf({ where: { title: '"one" & {two}' } })).toEqual([one.id, fork.id])
    expect(await idsOf({ where: { title: '"one" & {two}', state: 'draft' }, status: 'active' })).toEqual([one.id])
    expect(await idsOf({ origin: one.id })).toEqual([fork.id])
    expect(await idsOf({ quarantined: true })).toEqual([])
    await expect(client.get('/v1/sessions?where={')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(client.get('/v1/sessions?quarantined=yes')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('result is the output, and rejects with what failed; a release lets a session run again', async () => {
    const added = await client.create(counter)
    await added.send({ type: 'add', by: 3, id: 'a' } as never)
    await added.send({ type: 'finish' } as never)
    expect(await added.result()).toBe(3)
    expect(await added.result()).toEqual(await runtime.session(added.id).result())
    const failing = await client.create(doomed)
    await failing.send({ type: 'fail' })
    const [there, here] = await Promise.all([
      failing.result({ timeoutMs: 60_000 }).catch((error: unknown) => error),
      runtime
        .session(failing.id)
        .result()
        .catch((error: unknown) => error),
    ])
    expect(there).toMatchObject({ name: 'HoldfastError', code: 'SESSION_FAILED', message: (here as Error).message })
    expect((there as Error).cause).toMatchObject({ message: 'a promise was rejected' })
    const bad = await client.create(nervous)
    await bad.release() // one that is not quarantined goes on as it is
    await bad.send({ type: 'crash' }).catch(() => {})
    await vi.waitFor(async () => expect((await bad.entry()).quarantine).toBeDefined(), 60_000)
    await expect(bad.send({ type: 'idle' })).rejects.toMatchObject({ code: 'SESSION_QUARANTINED' })
    await bad.release()
    expect((await bad.entry()).quarantine).toBeUndefined()
    expect(await bad.send({ type: 'idle' })).toMatchObject({ event: { type: 'idle' } })
  })

  test('dead letters are found, read, sent again and discarded', async () => {
    const session = await client.create(fragile)
    const local = runtime.session(session.id, fragile)
    expect(await session.deadLetters()).toEqual([])
    await session.send({ type: 'later' })
    await vi.waitFor(() => expect(local.deadLetters()).toHaveLength(1), 60_000)
    const letters = await session.deadLetters()
    expect(letters).toEqual(JSON.parse(JSON.stringify(local.deadLetters())))
    expect(letters).toMatchObject([
      { event: { type: 'poison' }, error: { message: expect.stringContaining('a decision crashed') } },
    ])
    const { sessions } = await client.sessions.list({ deadLetters: true })
    expect(sessions).toMatchObject([{ id: session.id, deadLetters: 1 }])
    const { id } = letters[0] as DeadLetter
    await expect(session.resend(id)).rejects.toMatchObject({ name: 'HoldfastError' })
    await session.discard((await session.deadLetters())[0]?.id ?? id)
    expect(await session.deadLetters()).toEqual([])
    await expect(session.discard(id)).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' })
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

  test('what cannot be followed is an error of the stream', async () => {
    const session = await client.create(counter)
    await session.delete()
    await expect(first(session)).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
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

  property([fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 6 })], {
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

const first = (session: RemoteSession): Promise<Transition> =>
  new Promise((resolve, reject) => void session.transitions$({ from: 1 }).subscribe({ next: resolve, error: reject }))
