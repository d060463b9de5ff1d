// The server on a socket, asked with the fetch of Node: the first token, the ways of a session, what is refused and how.
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRuntime, type Runtime } from 'holdfast'
import { createHttp, type Server, serve } from 'holdfast/http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { review } from './served.js'

let home: string
let runtime: Runtime
let server: Server

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-http-'))
  runtime = await openRuntime({ dir: home, pool: 'inline', kinds: [review] })
  server = await serve(runtime, { port: 0, tokenDir: home })
})
afterEach(async () => {
  await server.close()
  await runtime.close()
  rmSync(home, { recursive: true, force: true })
})

function ask(
  path: string,
  { body, ...init }: { method?: string; body?: unknown; headers?: object } = {},
): Promise<Response> {
  const method = init.method ?? (body === undefined ? 'GET' : 'POST')
  const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json', ...init.headers }
  return fetch(`${server.url}${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) })
}

test('a session is created, shown, sent to and listed, with the names of the embedded runtime', async () => {
  const created = await ask('/v1/sessions', { body: { kind: 'review', input: { title: 'Checkout' } } })
  expect(created.status).toBe(201)
  const session = (await created.json()) as { id: string }
  expect(created.headers.get('location')).toBe(`/v1/sessions/${session.id}`)
  expect(session).toEqual(JSON.parse(JSON.stringify(runtime.session(session.id).snapshot())))

  const sent = await ask(`/v1/sessions/${session.id}/events`, { body: { type: 'open' } })
  expect(sent.status).toBe(200)
  const [, opened] = [...runtime.session(session.id).history()]
  expect(await sent.json()).toEqual(JSON.parse(JSON.stringify(opened)))

  const shown = await ask(`/v1/sessions/${session.id.slice(0, 20)}`)
  expect(await shown.json()).toMatchObject({ id: session.id, seq: 2, value: 'open', tags: ['waiting'] })

  const { sessions } = (await (await ask('/v1/sessions?kind=review&status=active')).json()) as { sessions: unknown[] }
  expect(sessions).toEqual(JSON.parse(JSON.stringify(runtime.sessions.list().sessions)))
  expect(sessions).toMatchObject([{ owner: { principal: 'local' } }])
})

test('several events are one transition, all or none', async () => {
  const { id } = await runtime.create(review, { title: 'A' })
  const both = await ask(`/v1/sessions/${id}/events`, { body: [{ type: 'open' }, { type: 'approve' }] })
  expect(await both.json()).toMatchObject({ seq: 2, event: { type: 'holdfast.batch' }, status: 'done' })
  const { id: other } = await runtime.create(review, { title: 'B' })
  const refused = await ask(`/v1/sessions/${other}/events`, { body: [{ type: 'open' }, { type: 'open' }] })
  expect(refused.status).toBe(409)
  expect(runtime.session(other).snapshot()).toMatchObject({ seq: 1, value: 'draft' })
})

test('the same idempotency key gives the same session and the same transition', async () => {
  const twice = async (path: string, body: unknown): Promise<unknown[]> => [
    await (await ask(path, { body, headers: { 'idempotency-key': 'k' } })).json(),
    await (await ask(path, { body, headers: { 'idempotency-key': 'k' } })).json(),
  ]
  const [a, b] = await twice('/v1/sessions', { kind: 'review', input: { title: 'A' } })
  expect(b).toEqual(a)
  const { id } = a as { id: string }
  const [first, second] = await twice(`/v1/sessions/${id}/events`, { type: 'note', text: 'once' })
  expect(second).toEqual(first)
  expect(runtime.session(id).snapshot().context.notes).toEqual(['once'])
})

describe('what is refused is a problem with our code', () => {
  test.each([
    ['an event that the state does not take', 'POST', 'events', { type: 'approve' }, 409, 'NOT_ACCEPTED'],
    ['an event of the runtime’s own', 'POST', 'events', { type: 'xstate.stop' }, 400, 'INVALID_EVENT'],
    ['an event without a type', 'POST', 'events', { a: 1 }, 400, 'INVALID_ARGUMENT'],
    ['no body', 'POST', 'events', undefined, 400, 'INVALID_ARGUMENT'],
    ['a query that nobody reads', 'GET', '?x=1', undefined, 400, 'INVALID_ARGUMENT'],
    ['a path that is none', 'GET', 'nothing/here', undefined, 404, 'ROUTE_NOT_FOUND'],
    ['a method that is none', 'PUT', '', undefined, 405, 'METHOD_NOT_ALLOWED'],
  ])('%s', async (_, method, rest, body, status, code) => {
    const { id } = await runtime.create(review, { title: 'A' })
    const path = `/v1/sessions/${id}${rest.startsWith('?') || rest === '' ? rest : `/${rest}`}`
    const response = await ask(path, { method, body })
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await response.json()).toMatchObject({
      ...{ type: `urn:holdfast:problem:${code}`, code, status, retryable: false },
      ...{ title: expect.stringMatching(/^[A-Z]/), detail: expect.any(String) },
    })
    if (status === 405) expect(response.headers.get('allow')).toContain('GET')
  })

  test('a session that is not there, a kind that is not there, an input that is none', async () => {
    expect(await (await ask('/v1/sessions/nobody')).json()).toMatchObject({ status: 404, code: 'SESSION_NOT_FOUND' })
    const create = async (body: unknown): Promise<unknown> => (await ask('/v1/sessions', { body })).json()
    const detail = 'this server has no kind "none"; it serves review (GET /v1/kinds)'
    expect(await create({ kind: 'none' })).toMatchObject({ status: 404, code: 'UNKNOWN_KIND', detail })
    expect(await create({ kind: 'review', input: { title: 1 } })).toMatchObject({ status: 400, code: 'INVALID_INPUT' })
    expect(await create({ kind: 'review', more: 1 })).toMatchObject({ status: 400, code: 'INVALID_ARGUMENT' })
  })
})

test('a body that is no event is told what one looks like; one that is no JSON, as that', async () => {
  const { id } = await runtime.create(review, { title: 'A' })
  for (const body of [{ event: { type: 'open' } }, [{ a: 1 }], 'open'])
    expect(await (await ask(`/v1/sessions/${id}/events`, { body })).json()).toMatchObject({
      code: 'INVALID_ARGUMENT',
      detail: expect.stringMatching(
        /^the body is not valid: it is an event, as {"type":"start"}, or a list of 1 to 10,000/,
      ),
    })
  const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' }
  const torn = await fetch(`${server.url}/v1/sessions/${id}/events`, { method: 'POST', headers, body: '{"type"' })
  expect(await torn.json()).toMatchObject({ code: 'NOT_JSON', title: 'Not JSON' })
})

test('a principal or a limit with a field that nobody reads is refused: without its organization it would see everything', () => {
  const one = { id: 'ci', roles: ['reader'], sha256: 'a'.repeat(64) }
  const refused = (options: object): void =>
    void expect(() => createHttp(runtime, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^[^\n]+$/) }),
    )
  for (const wrong of [
    { organisation: 'acme' },
    { team: ['red'] },
    { role: 'reader' },
    { roles: [] },
    { roles: 'admin' },
  ])
    refused({ principals: [{ ...one, ...wrong }] })
  refused({ principals: [{ ...one, organization: 'acme', teams: 'red' }] })
  refused({ limits: { bodyBites: 5 } })
  createHttp(runtime, { principals: [{ ...one, organization: 'acme', teams: ['red'] } as never] })
})

test('a port that is taken is an error, or with nextPort the next one that is free', async () => {
  await expect(serve(runtime, { port: server.port, tokenDir: home })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
  await using next = await serve(runtime, { port: server.port, nextPort: true, tokenDir: home })
  expect(next.port).toBeGreaterThan(server.port)
  expect(next.port).toBeLessThan(server.port + 50)
  expect((await fetch(`${next.url}/health`)).status).toBe(200)
})

describe('the token of the first start', () => {
  test('is 256 bits in a file for its owner alone, and stays', async () => {
    const path = join(home, 'access', 'token')
    expect(Buffer.from(server.token as string, 'base64url')).toHaveLength(32)
    expect(readFileSync(path, 'utf8')).toBe(`${server.token}\n`)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(home, 'access')).mode & 0o777).toBe(0o700)
    await using again = await serve(runtime, { port: 0, tokenDir: home })
    expect(again.token).toBe(server.token)
  })

  test('is for its owner alone again after a start, whatever was done to the mode of its file', async () => {
    const path = join(home, 'access', 'token')
    chmodSync(path, 0o644)
    await using again = await serve(runtime, { port: 0, tokenDir: home })
    expect(again.token).toBe(server.token)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  test.each(['', 'secret', 'a b'])('is refused when its file holds %j, which anybody could guess', async (text) => {
    writeFileSync(join(home, 'access', 'token'), text)
    await expect(serve(runtime, { port: 0, tokenDir: home })).rejects.toThrow(/holds no token/)
  })

  test('is needed', async () => {
    const token = server.token as string
    for (const authorization of [
      undefined,
      'Bearer x',
      `Bearer ${token.slice(1)}`,
      `Bearer ${token}x`,
      `Basic ${token}`,
    ]) {
      const response = await fetch(`${server.url}/v1/sessions`, { headers: authorization ? { authorization } : {} })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer')
      const detail = authorization?.startsWith('Bearer') ? /does not know the token/ : /^send the header authorization/
      expect(await response.json()).toMatchObject({ code: 'TOKEN_REQUIRED', detail: expect.stringMatching(detail) })
    }
  })
})
