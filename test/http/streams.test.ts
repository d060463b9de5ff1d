// The routes of streams, through the handler: where they begin, what they refuse, and who may follow what.
import { openRuntime, type Runtime, type Session } from 'holdfast'
import { createHttp, type Http } from 'holdfast/http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { counter } from '../fixtures/counter.js'
import { openPruned } from './pruned.js'
import { PRINCIPALS, review, tokenOf } from './served.js'

const ORIGIN = 'http://127.0.0.1'
let runtime: Runtime
let http: Http
beforeEach(async () => {
  runtime = await openRuntime({ storage: 'memory', pool: 'inline', kinds: [counter, review] })
  http = createHttp(runtime, { principals: PRINCIPALS, ticketSecret: 'x'.repeat(43) })
})
afterEach(() => runtime.close())

async function ask(path: string, as = 'root', headers: Record<string, string> = {}, method = 'GET'): Promise<Response> {
  const authorization: Record<string, string> = as === '' ? {} : { authorization: `Bearer ${tokenOf(as)}` }
  return http.fetch(new Request(`${ORIGIN}${path}`, { method, headers: { ...authorization, ...headers } }))
}

/** What has come of a stream, until something that it holds has. */
async function textUntil(response: Response, last: string): Promise<string> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let text = ''
  while (!text.includes(last)) {
    const { value, done } = await reader.read()
    if (done) break
    text += new TextDecoder().decode(value)
  }
  await reader.cancel()
  return text
}

const idsIn = (text: string): number[] =>
  [...text.matchAll(/^id: (\d+)\nevent: transition$/gm)].map(([, id]) => Number(id))

async function counted(times: number): Promise<Session> {
  const session = (await runtime.create(counter)) as Session
  for (let id = 0; id < times; id++) await session.send({ type: 'add', by: 1, id } as never)
  return session
}

describe('where a stream begins', () => {
  test('behind Last-Event-ID, or ?after=, or from now on', async () => {
    const { id } = await counted(4)
    const path = `/v1/sessions/${id}/stream`
    expect(idsIn(await textUntil(await ask(`${path}?after=2`), 'id: 5'))).toEqual([3, 4, 5])
    expect(idsIn(await textUntil(await ask(`${path}?after=2`, 'root', { 'last-event-id': '4' }), 'id: 5'))).toEqual([5])
    expect(await textUntil(await ask(path), 'id: ')).toBe('id: 5\nretry: 1000\n\n')
    const refused = await ask(path, 'root', { 'last-event-id': 'five' })
    expect([refused.status, refused.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
  })

  test('a browser that knows the end is told not to come again', async () => {
    const session = await counted(1)
    await session.send({ type: 'finish' } as never)
    const path = `/v1/sessions/${session.id}/stream`
    expect((await ask(path, 'root', { 'last-event-id': '3' })).status).toBe(204)
    const rest = await textUntil(await ask(path, 'root', { 'last-event-id': '2' }), 'event: end')
    expect(rest).toContain(`event: end\ndata: {"session":"${session.id}","seq":3,"status":"done"}`)
  })

  test('of all sessions, by position, and only of those whom the caller may see', async () => {
    const owners = [
      { principal: 'red', organization: 'acme', team: 'red' },
      { principal: 'blue', organization: 'acme', team: 'blue' },
      { principal: 'other', organization: 'umbrella' },
    ]
    const ids = []
    for (const owner of owners) ids.push((await runtime.create(review, { title: 'one' }, { owner })).id)
    await runtime.session(ids[0] as string, review).send({ type: 'open' })
    const streams = await Promise.all(['root', 'red', 'other'].map((as) => ask('/v1/stream?after=-1', as)))
    // One more of each: who has heard of that has heard of all that came before.
    const last: string[] = []
    for (const owner of owners.toReversed()) last.push((await runtime.create(review, { title: 'last' }, { owner })).id)
    const seen = async (stream: Response | undefined, id: string | undefined): Promise<string[]> => {
      const text = await textUntil(stream as Response, `"session":"${id}"`)
      return [...text.matchAll(/"session":"([^"]+)"/g)].map(([, id]) => id as string)
    }
    const [all, red, other] = [seen(streams[0], last[2]), seen(streams[1], last[2]), seen(streams[2], last[0])]
    expect(await all).toEqual([...ids, ids[0], ...last])
    expect(await red).toEqual([ids[0], ids[0], last[2]])
    expect(await other).toEqual([ids[2], last[0]])
  })
})

test('410 with the state when what came behind is not kept, and from where on it is', async () => {
  await using pruned = await openPruned()
  const session = pruned.session('pruned')
  http = createHttp(pruned, { principals: PRINCIPALS })
  const refused = await ask(`/v1/sessions/${session.id}/stream?after=1`)
  const problem = (await refused.json()) as any
  expect([refused.status, problem.code]).toEqual([410, 'HISTORY_UNAVAILABLE'])
  expect(problem.details.session).toEqual(JSON.parse(JSON.stringify(session.snapshot())))
  const { first } = problem.details
  expect(idsIn(await textUntil(await ask(`/v1/sessions/${session.id}/stream?after=${first - 1}`), 'id: 61'))[0]).toBe(
    first,
  )
  expect((await ask('/v1/stream?after=0')).status).toBe(410)
})

describe('a ticket', () => {
  const ticketFor = async (path: string): Promise<{ ticket: string; path: string }> =>
    (await ask(path, 'root', {}, 'POST')).json() as Promise<{ ticket: string; path: string }>

  test('opens the one stream that it was given for, and nothing else', async () => {
    const [one, two] = [await counted(1), await counted(1)]
    const { ticket, path } = await ticketFor(`/v1/sessions/${one.id}/ticket`)
    expect(path).toBe(`/v1/sessions/${one.id}/stream`)
    expect(idsIn(await textUntil(await ask(`${path}?after=0&ticket=${ticket}`, ''), 'id: 2'))).toEqual([1, 2])
    const statuses = []
    for (const other of [
      `/v1/sessions/${two.id}/stream?ticket=${ticket}`,
      `/v1/stream?ticket=${ticket}`,
      `/v1/sessions/${one.id}?ticket=${ticket}`,
      `${path}?ticket=${ticket}x`,
      `${path}?ticket=${ticket.slice(0, -2)}`,
      `${path}?ticket=${ticket.split('.')[0]}`,
      `${path}?ticket=`,
    ]) {
      statuses.push((await ask(other, '')).status)
    }
    expect(statuses).toEqual(statuses.map(() => 401))
    expect((await ask(`${path.replace('/stream', '/events')}?ticket=${ticket}`, '', {}, 'POST')).status).toBe(401)
  })

  test('is good for an hour, and for as long as the secret is the same', async () => {
    const { Tickets } = await import('../../src/http/tickets.js')
    const tickets = new Tickets('s'.repeat(43))
    const ticket = tickets.give({ principal: 'ada', expires: 1000 }, '/v1/stream')
    expect(new Tickets('s'.repeat(43)).take(ticket, '/v1/stream', 999)).toBe('ada')
    expect(tickets.take(ticket, '/v1/stream', 1000)).toBeUndefined()
    expect(new Tickets('t'.repeat(43)).take(ticket, '/v1/stream', 999)).toBeUndefined()
    expect(() => new Tickets('short')).toThrow('at least 32 characters')
  })
})
