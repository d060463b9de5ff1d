// By which names a request may come: every route × names of a page that is somebody else's, in process; and what only a
// socket shows, an absolute target and headers that come twice.
import { connect } from 'node:net'
import { createHttp, type Server, serve } from 'holdfast/http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROUTES } from '../../src/http/routes.js'
import { REFUSED } from './refused-names.js'
import { PRINCIPALS, type Served, served, tokenOf } from './served.js'

const TAKEN: readonly (readonly [string, Record<string, string>])[] = [
  ['our address', { host: '127.0.0.1:4653' }],
  ['our name, however it is written', { host: 'LOCALHOST:4653' }],
  ['IPv6', { host: '[::1]:4653' }],
  ['a page of ours', { host: 'localhost:4653', origin: 'http://localhost:4653' }],
  ['a page that was named', { origin: 'https://app.example' }],
]

describe('in process', () => {
  let there: Served
  beforeAll(async () => {
    const hosts = ['localhost', '127.0.0.1', '[::1]'].map((name) => `${name}:4653`)
    there = await served({ hosts, origins: ['https://app.example'] })
  })
  afterAll(() => there.runtime.close())

  const ask = (method: string, path: string, headers: Record<string, string>): Promise<Response> =>
    there.http.fetch(
      new Request(`http://127.0.0.1:4653${path}`, {
        method,
        headers: { authorization: `Bearer ${tokenOf('root')}`, ...headers },
      }),
    )

  test.each(REFUSED)('%s is refused on every route, before anything else', async (_, code, headers) => {
    for (const { method, path } of [
      ...ROUTES,
      { method: 'GET', path: '/nothing' },
      { method: 'OPTIONS', path: '/health' },
    ]) {
      const response = await ask(method, path, headers)
      expect(response.status, `${method} ${path}`).toBe(code === 'HOST_REFUSED' ? 421 : 403)
      expect(await response.json()).toMatchObject({ code })
      expect(response.headers.get('access-control-allow-origin')).toBe(null)
    }
  })

  test.each(TAKEN)('%s is taken', async (_, headers) => {
    expect((await ask('GET', '/v1/sessions', headers)).status).toBe(200)
  })

  test('only a page that was named may read the answers from elsewhere', async () => {
    const named = await ask('OPTIONS', '/v1/sessions', { origin: 'https://app.example' })
    expect(named.status).toBe(204)
    expect(named.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(named.headers.get('access-control-allow-headers')).toContain('authorization')
    const own = await ask('GET', '/v1/sessions', { origin: 'http://localhost:4653' })
    expect(own.headers.get('access-control-allow-origin')).toBe(null)
  })

  test('every answer, also a refusal, says that nothing of it may run, be framed, guessed or kept', async () => {
    for (const { method, path } of [
      ...ROUTES,
      { method: 'GET', path: '/nothing' },
      { method: 'PUT', path: '/health' },
    ]) {
      const { headers } = await ask(method, path, {})
      expect(headers.get('content-security-policy'), path).toContain("default-src 'none'")
      expect(headers.get('x-content-type-options'), path).toBe('nosniff')
      expect(headers.get('x-frame-options'), path).toBe('DENY')
      expect(headers.get('cache-control'), path).toBe('no-store')
      expect(headers.get('referrer-policy'), path).toBe('no-referrer')
    }
  })

  test.each(['evil/', 'a b', '*', 'http://a/b', ''])('%j is no name that a server can be given', (host) => {
    expect(() => createHttp(there.runtime, { hosts: [host] })).toThrow(/no name of a host/)
    expect(() => createHttp(there.runtime, { origins: [host] })).toThrow(/no origin/)
  })
})

describe('on a socket', () => {
  let there: Served
  let server: Server
  beforeAll(async () => {
    there = await served()
    server = await serve(there.runtime, { port: 0, principals: PRINCIPALS })
  })
  afterAll(async () => {
    await server.close()
    await there.runtime.close()
  })

  /** The status with which the lines of a request are answered. */
  const statusOf = (target: string, lines: readonly string[]): Promise<number> =>
    new Promise((resolve, reject) => {
      let told = ''
      const socket = connect(server.port, '127.0.0.1', () => {
        socket.write([`GET ${target} HTTP/1.1`, ...lines, 'Connection: close', '', ''].join('\r\n'))
      })
      socket.on('data', (chunk) => {
        told += chunk
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(told)?.[1])))
    })
  const token = `Authorization: Bearer ${tokenOf('root')}`
  const host = (): string => `Host: 127.0.0.1:${server.port}`

  test('its own name is taken, with its own port only', async () => {
    expect(await statusOf('/v1/sessions', [host(), token])).toBe(200)
    expect(await statusOf('/v1/sessions', [`Host: localhost:${server.port}`, token])).toBe(200)
    expect(await statusOf('/v1/sessions', ['Host: 127.0.0.1', token])).toBe(421)
    expect(await statusOf('/v1/sessions', [`Host: rebound.example:${server.port}`, token])).toBe(421)
  })

  test('a target in absolute form is refused, whatever it names', async () => {
    for (const target of [
      `http://127.0.0.1:${server.port}/v1/sessions`,
      'http://evil.example/v1/sessions',
      '//evil.example/v1/sessions',
    ]) {
      expect(await statusOf(target, [host(), token]), target).toBe(421)
    }
  })

  test.each([
    ['Host', 421],
    ['Origin', 403],
    ['Authorization', 421],
    ['Idempotency-Key', 421],
    ['Last-Event-ID', 421],
  ])('the header %s comes once at most', async (name, status) => {
    const values: { readonly [name: string]: string } = {
      Host: host().slice(6),
      Authorization: token.slice(15),
      Origin: server.url,
    }
    const value = values[name] ?? 'a=b'
    const others = [host(), token].filter((line) => !line.startsWith(`${name}:`))
    expect(await statusOf('/v1/sessions', [...others, `${name}: ${value}`])).toBe(200)
    expect(await statusOf('/v1/sessions', [...others, `${name}: ${value}`, `${name.toLowerCase()}: ${value}`])).toBe(
      status,
    )
  })

  test('no host at all is refused', async () => {
    expect(await statusOf('/v1/sessions', [token])).toBeGreaterThanOrEqual(400)
  })
})
