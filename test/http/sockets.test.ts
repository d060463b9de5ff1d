// Streams as WebSockets, with a real client: the same events as by Server-Sent Events, for the same callers and no others.
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { openRuntime, type Runtime, type Session } from 'holdfast'
import { type Limits, type Server, serve } from 'holdfast/http'
import { createVirtualClock, type VirtualClock } from 'holdfast/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { ROUTES } from '../../src/http/routes.js'
import { counter } from '../fixtures/counter.js'
import { openPruned } from './pruned.js'
import { REFUSED } from './refused-names.js'
import { PRINCIPALS, review, tokenOf } from './served.js'

let runtime: Runtime
let server: Server
const clients: WebSocket[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate()
  await server.close()
  await runtime.close()
})

async function start({ limits = {}, clock }: { limits?: Partial<Limits>; clock?: VirtualClock } = {}): Promise<void> {
  const kinds = [counter, review]
  runtime = await openRuntime({ storage: 'memory', pool: 'inline', kinds, ...(clock && { clock }) })
  const options = { principals: PRINCIPALS, ticketSecret: 'x'.repeat(43), origins: ['https://app.example'] }
  server = await serve(runtime, { port: 0, limits, ...options })
}

async function counted(times: number): Promise<Session> {
  const session = (await runtime.create(counter)) as Session
  for (let id = 0; id < times; id++) await add(session, id)
  return session
}
const add = (session: Session, id: number, pad = ''): Promise<unknown> =>
  session.send({ type: 'add', by: 1, id, pad } as never)

interface Message {
  readonly id?: number
  readonly event: string
  readonly data?: any
}

interface Listening {
  readonly client: WebSocket
  /** 101 once it is open, else the status that it was refused with, and the problem's code. */
  readonly began: Promise<{ readonly status: number; readonly code?: string }>
  readonly messages: Message[]
  /** Fulfilled once so many messages have come. */
  has(count: number): Promise<void>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

function listen(path: string, as = 'root', headers: Record<string, string> = {}, options: object = {}): Listening {
  const authorization = as === '' ? {} : { authorization: `Bearer ${tokenOf(as)}` }
  const url = `${server.url.replace('http', 'ws')}${path}`
  const client = new WebSocket(url, { headers: { ...authorization, ...headers }, ...options })
  clients.push(client)
  const messages: Message[] = []
  let look = (): void => {}
  client.on('message', (text) => {
    messages.push(JSON.parse(String(text)))
    look()
  })
  client.on('error', () => {})
  const began = new Promise<{ status: number; code?: string }>((resolve) => {
    client.once('open', () => resolve({ status: 101 }))
    client.once('unexpected-response', (_, response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        const isProblem = response.headers['content-type'] === 'application/problem+json'
        resolve({ status: response.statusCode ?? 0, ...(isProblem && { code: JSON.parse(text).code }) })
      })
    })
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    client.once('close', (code, reason) => resolve({ code, reason: String(reason) })),
  )
  const has = (count: number): Promise<void> =>
    new Promise((resolve) => {
      look = () => {
        if (messages.length >= count) resolve()
      }
      look()
    })
  return { client, began, messages, has, closed }
}

const seqs = (messages: readonly Message[]): number[] =>
  messages.filter(({ event }) => event === 'transition').map(({ data }) => data.seq)

describe('what is told', () => {
  test('is the same as by Server-Sent Events, from where it was asked for to the end', async () => {
    await start()
    const session = await counted(3)
    const path = `/v1/sessions/${session.id}/stream?after=1`
    const { messages, has, closed } = listen(path)
    const events = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${tokenOf('root')}` } })
    await has(4)
    await add(session, 3, 'ü\n"')
    await session.send({ type: 'finish' } as never)
    expect(await closed).toEqual({ code: 1000, reason: '' })
    const blocks = (await events.text()).split('\n\n').filter((block) => block.includes('data: '))
    const told = blocks.map((block) => ({
      ...(block.startsWith('id: ') && { id: Number(/^id: (\d+)/.exec(block)?.[1]) }),
      event: /^event: (.*)$/m.exec(block)?.[1],
      data: JSON.parse(/^data: (.*)$/m.exec(block)?.[1] as string),
    }))
    expect(messages).toEqual([{ id: 1, event: 'open' }, ...told])
    expect(seqs(messages)).toEqual([2, 3, 4, 5, 6])
    expect(messages.at(-1)).toMatchObject({ event: 'end', data: { status: 'done' } })
  })

  test('goes on where a lost connection was, without gap or duplicate', async () => {
    await start()
    const session = await counted(0)
    const seen: number[] = []
    let known = 0
    for (let round = 0; round < 20; round++) {
      const { client, messages, has, closed } = listen(`/v1/sessions/${session.id}/stream?after=${known}`)
      const sent = Array.from({ length: 10 }, (_, n) => add(session, n))
      await has(2 + (round % 9))
      client.terminate()
      await Promise.all([closed, ...sent])
      seen.push(...seqs(messages))
      known = messages.findLast(({ id }) => id !== undefined)?.id as number
    }
    const { messages, has } = listen(`/v1/sessions/${session.id}/stream?after=${known}`)
    const { seq } = session.entry()
    await has(1 + seq - known)
    seen.push(...seqs(messages))
    expect(seen).toEqual(Array.from({ length: seq }, (_, n) => n + 1))
  })

  test('of all sessions, by position, and of those only whom the caller may see', async () => {
    await start()
    for (const [principal, organization] of [
      ['red', 'acme'],
      ['other', 'umbrella'],
    ]) {
      await runtime.create(review, { title: 'one' }, { owner: { principal, organization } as object })
    }
    const [all, other] = [listen('/v1/stream?after=-1'), listen('/v1/stream?after=-1', 'other')]
    await Promise.all([all.has(3), other.has(2)])
    expect(all.messages.map(({ id }) => id)).toEqual([-1, 0, 1])
    expect(other.messages.map(({ id }) => id)).toEqual([-1, 1])
  })

  test('and its end, where there is nothing more', async () => {
    await start()
    const session = await counted(1)
    await session.send({ type: 'finish' } as never)
    const known = listen(`/v1/sessions/${session.id}/stream?after=3`)
    expect((await known.closed).code).toBe(1000)
    expect(known.messages.map(({ event }) => event)).toEqual(['open', 'end'])
    const again = listen(`/v1/sessions/${session.id}/stream`, 'root', { 'last-event-id': '3' })
    expect((await again.closed).code).toBe(1000)
    expect(again.messages).toEqual([])
  })
})

describe('a connection is closed', () => {
  test('with 1001 when the server goes, and when the runtime does: come again', async () => {
    await start()
    const session = await counted(1)
    const [one, two] = [listen(`/v1/sessions/${session.id}/stream?after=0`), listen('/v1/stream')]
    await Promise.all([one.has(3), two.has(1)])
    await server.close()
    expect([(await one.closed).code, (await two.closed).code]).toEqual([1001, 1001])
    server = await serve(runtime, { port: 0, principals: PRINCIPALS })
    const three = listen('/v1/stream')
    await three.has(1)
    await runtime.close()
    expect((await three.closed).code).toBe(1001)
  })

  test('with 4410 when what came behind is not kept, with the state as it is now', async () => {
    runtime = await openPruned()
    server = await serve(runtime, { port: 0, principals: PRINCIPALS })
    const session = runtime.session('pruned')
    const { messages, closed } = listen('/v1/sessions/pruned/stream?after=1')
    expect(await closed).toEqual({ code: 4410, reason: 'HISTORY_UNAVAILABLE' })
    expect(messages).toMatchObject([{ event: 'problem', data: { code: 'HISTORY_UNAVAILABLE' } }])
    expect(messages[0]?.data.details.session).toEqual(JSON.parse(JSON.stringify(session.snapshot())))
  })

  test('with 4503 when it is not read while a MiB goes by, and harms nobody who reads', async () => {
    await start()
    const session = await counted(0)
    const path = `/v1/sessions/${session.id}/stream?after=0&events=transition`
    const [stalled, reader] = [listen(path), listen(path)]
    await Promise.all([stalled.has(2), reader.has(2)])
    stalled.client.pause()
    const count = 250
    for (let id = 0; id < count; id++) await add(session, id, 'x'.repeat(100_000))
    await reader.has(2 + count)
    expect(seqs(reader.messages)).toEqual(Array.from({ length: count + 1 }, (_, n) => n + 1))
    stalled.client.resume()
    expect(await stalled.closed).toEqual({ code: 4503, reason: 'OBSERVER_OVERFLOW' })
    const { data } = stalled.messages.at(-1) as Message
    const got = seqs(stalled.messages)
    expect(got).toEqual(Array.from({ length: data.details.after }, (_, n) => n + 1))
    expect(got.length).toBeLessThan(count)
    const resumed = listen(path.replace('after=0', `after=${data.details.after}`))
    await resumed.has(1 + count + 1 - data.details.after)
    expect(seqs(resumed.messages).at(-1)).toBe(count + 1)
  })

  test('when it says something, since a stream takes nothing', async () => {
    await start()
    const codes: number[] = []
    for (const said of ['hello', 'x'.repeat(2000), Buffer.alloc(5)]) {
      const { client, has, closed } = listen('/v1/stream')
      await has(1)
      client.send(said)
      codes.push((await closed).code)
    }
    expect(codes).toEqual([1008, 1009, 1008])
  })

  test('when it does not answer to signs of life, which come every 9 seconds at most', async () => {
    const clock = createVirtualClock(Date.parse('2026-01-01T00:00:00Z'))
    await start({ clock })
    const session = await counted(1)
    const [alive, dead] = [true, false].map((autoPong) =>
      listen(`/v1/sessions/${session.id}/stream?after=0`, 'root', {}, { autoPong }),
    ) as [Listening, Listening]
    await Promise.all([alive.has(3), dead.has(3)])
    let pings = 0
    let gone = false
    alive.client.on('ping', () => pings++)
    dead.client.on('close', () => {
      gone = true
    })
    for (let seconds = 9; seconds <= 45; seconds += 9) {
      const before = pings
      await clock.advance(9000)
      await until(() => pings > before)
      // Its answer has arrived when what it says after that is answered.
      alive.client.ping()
      await once(alive.client, 'pong')
    }
    await until(() => gone)
    expect(alive.client.readyState).toBe(WebSocket.OPEN)
    await add(session, 2)
    await alive.has(4)
    expect((await dead.closed).code).toBe(1006)
  })
})

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('who may', () => {
  test('is the same on every path as without the upgrade, whoever asks', async () => {
    await start()
    const owner = { principal: 'red', organization: 'acme', team: 'red' }
    const { id } = await runtime.create(review, { title: 'A' }, { owner })
    const values: Record<string, string> = { id, seq: '1', name: 'review' }
    const differing: unknown[] = []
    const seen = new Set<number>()
    for (const route of ROUTES.filter(({ method }) => method === 'GET')) {
      const path = route.path.replaceAll(/:(\w+)/g, (_, name: string) => values[name] as string)
      for (const as of ['root', 'red', 'blue', 'other', 'reader', '', 'nobody-we-know']) {
        const headers: Record<string, string> = as === '' ? {} : { authorization: `Bearer ${tokenOf(as)}` }
        const plain = await fetch(`${server.url}${path}`, { headers })
        const { code } = plain.status < 400 ? { code: undefined } : ((await plain.json()) as { code?: string })
        await plain.body?.cancel().catch(() => {})
        const upgraded = await listen(path, as).began
        const expected = route.streams && plain.status === 200 ? 101 : plain.status
        seen.add(upgraded.status)
        if (upgraded.status !== expected || upgraded.code !== code)
          differing.push({ path, as, expected, code, upgraded })
      }
    }
    expect(differing).toEqual([])
    expect([...seen].sort()).toEqual([101, 200, 400, 401, 403, 404].filter((status) => seen.has(status)))
    for (const status of [101, 401, 403, 404]) expect(seen).toContain(status)
  })

  test('with a ticket: the stream that it is for, and no other, and for a page of this server', async () => {
    await start()
    const [one, two] = [await counted(1), await counted(1)]
    const asked = await fetch(`${server.url}/v1/sessions/${one.id}/ticket`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokenOf('root')}` },
    })
    const { path, ticket } = (await asked.json()) as { path: string; ticket: string }
    const statuses = []
    for (const tried of [path, `/v1/sessions/${two.id}/stream`, '/v1/stream']) {
      statuses.push((await listen(`${tried}?ticket=${ticket}`, '').began).status)
    }
    expect(statuses).toEqual([101, 401, 401])
    const page = (origin: string): Promise<{ status: number }> =>
      listen(`${path}?ticket=${ticket}`, '', { origin }).began
    expect((await page(server.url)).status).toBe(101)
    expect((await page('http://evil.example')).status).toBe(403)
  })

  test.each(REFUSED)('not with %s', async (_, code, headers) => {
    await start()
    const { id } = await counted(1)
    const port = String(server.port)
    const own = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, value.replaceAll('4653', port).replaceAll('4654', '1')]),
    )
    for (const path of [`/v1/sessions/${id}/stream`, '/v1/stream', '/nothing']) {
      const status = await rawStatus(path, [`Host: 127.0.0.1:${port}`, ...linesOf(own)])
      expect(status, path).toBe(code === 'HOST_REFUSED' ? 421 : 403)
    }
  })

  test('not twice by one header, nor by an absolute target, nor without a proper handshake, which leaves no stream', async () => {
    await start({ limits: { streams: 1 } })
    const host = `Host: 127.0.0.1:${server.port}`
    expect(await rawStatus('/v1/stream', [host, `Origin: ${server.url}`])).toBe(101)
    expect(await rawStatus('/v1/stream', [host, host])).toBe(421)
    expect(await rawStatus('/v1/stream', [host, `Origin: ${server.url}`, `origin: ${server.url}`])).toBe(403)
    expect(await rawStatus(`${server.url}/v1/stream`, [host])).toBe(421)
    expect(await rawStatus('//evil.example/v1/stream', [host])).toBe(421)
    for (let n = 0; n < 3; n++) {
      expect(await rawStatus('/v1/stream', [host], ['Sec-WebSocket-Key: short'])).toBe(400)
      expect(await rawStatus('/v1/stream', [host], ['Sec-WebSocket-Version: 7'])).toBe(400)
    }
    await until(() => clients.every(({ readyState }) => readyState === WebSocket.CLOSED))
    const { began } = listen('/v1/stream')
    expect((await began).status).toBe(101)
  })

  test('so many of a principal; one that is closed makes room', async () => {
    await start({ limits: { streams: 2 } })
    const [one, two] = [listen('/v1/stream', 'red'), listen('/v1/stream', 'red')]
    await Promise.all([one.has(1), two.has(1)])
    expect(await listen('/v1/stream', 'red').began).toEqual({ status: 429, code: 'TOO_MANY_STREAMS' })
    expect((await listen('/v1/stream', 'blue').began).status).toBe(101)
    one.client.close()
    await one.closed
    let status = 429
    while (status === 429) ({ status } = await listen('/v1/stream', 'red').began)
    expect(status).toBe(101)
  })
})

test('an upgrade to something else is not made, and the request is answered', async () => {
  await start()
  const body = JSON.stringify({ kind: 'review', input: { title: 'A' } })
  const headers = {
    ...{ authorization: `Bearer ${tokenOf('root')}`, 'content-type': 'application/json' },
    ...{ connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQCAAAAAAIAAAAA' },
    'content-length': Buffer.byteLength(body),
  }
  const status = await new Promise((resolve, reject) => {
    const asked = request(`${server.url}/v1/sessions`, { method: 'POST', headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.on('error', reject)
    asked.end(body)
  })
  expect(status).toBe(201)
  expect(runtime.sessions.count()).toBe(1)
})

const linesOf = (headers: Record<string, string>): string[] =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}`)

/** What the lines of a handshake are answered with; a line replaces an earlier one only if it is of the handshake. */
function rawStatus(target: string, lines: readonly string[], handshake: readonly string[] = []): Promise<number> {
  const named = new Map<string, string>()
  for (const line of [
    ...['Upgrade: websocket', 'Connection: Upgrade'],
    ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', ...handshake],
  ]) {
    named.set(line.slice(0, line.indexOf(':')), line)
  }
  // The name under test takes the place of the right one, as the first.
  const hosts = lines.filter((line) => line.startsWith('host: '))
  const others = hosts.length > 0 ? lines.filter((line) => !line.startsWith('Host: ')) : lines
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1', () => {
      const token = `Authorization: Bearer ${tokenOf('root')}`
      socket.write([`GET ${target} HTTP/1.1`, ...others, token, ...named.values(), '', ''].join('\r\n'))
    })
    socket.on('error', reject)
    socket.once('data', (bytes) => {
      socket.destroy()
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(String(bytes))?.[1]))
    })
  })
}
