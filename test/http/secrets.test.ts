// R26 over HTTP: what the runtime was told is a secret is in no record, no audit entry, no log and no stream, whichever part of a
// request it came in.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRuntime, type Session } from 'holdfast'
import { type Server, serve } from 'holdfast/http'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { counter } from '../fixtures/counter.js'
import { PRINCIPALS, tokenOf } from './served.js'

const CANARIES = 50
const canary = (n: number): string => `canary-${n}-${String(n * 7919 + 1e9).slice(1)}`
const secrets = Object.fromEntries(Array.from({ length: CANARIES }, (_, n) => [`S${n}`, canary(n)]))
const authorization = `Bearer ${tokenOf('root')}`

/** The parts of a request that one may come in. */
const WAYS: readonly ((secret: string, id: string) => readonly [method: string, path: string, init: RequestInit])[] = [
  (secret, id) => ['POST', `/v1/sessions/${id}/events`, { body: json({ type: 'add', by: 1, id: secret }) }],
  (secret, id) => ['POST', `/v1/sessions/${id}/events`, { body: json([{ type: 'add', by: 1, [secret]: 1 }]) }],
  (secret) => ['POST', '/v1/sessions', { body: json({ kind: 'counter' }), headers: { 'idempotency-key': secret } }],
  (secret) => ['POST', '/v1/sessions', { body: json({ kind: secret }) }],
  (secret, id) => ['POST', `/v1/sessions/${id}/cancel`, { body: json({ reason: secret }) }],
  (secret, id) => [
    'POST',
    `/v1/sessions/${id}/events`,
    { body: json({ type: 'add', by: 1, id: 1 }), headers: { 'idempotency-key': secret } },
  ],
  (secret, id) => [
    'POST',
    `/v1/sessions/${id}/fork`,
    { body: json({ at: 1 }), headers: { 'idempotency-key': secret } },
  ],
  (secret, id) => ['GET', `/v1/sessions/${id}`, { headers: { 'x-api-key': secret, cookie: `session=${secret}` } }],
  (secret, id) => ['GET', `/v1/sessions/${id}/stream`, { headers: { 'last-event-id': secret } }],
  (secret, id) => ['GET', `/v1/sessions/${id}/stream?ticket=${secret}`, {}],
  (secret) => ['GET', `/v1/sessions/${secret}`, {}],
  (secret) => ['GET', `/v1/sessions?where=${encodeURIComponent(json({ key: secret }))}`, {}],
  (secret) => ['GET', '/v1/kinds', { headers: { authorization: `Bearer ${secret}` } }],
  (secret, id) => ['POST', `/v1/sessions/${id}/events`, { body: `{"type":"add",${secret}` }],
  (secret, id) => ['POST', `/v1/sessions/${id}/events`, { body: json({ type: secret }) }],
]

const json = (value: unknown): string => JSON.stringify(value)

/** Follows everything, by both doors, until the server closes. */
async function follow(server: Server, out: string[]): Promise<{ readonly over: Promise<unknown> }> {
  const events = await fetch(`${server.url}/v1/stream?after=-1`, { headers: { authorization } })
  const read = events.text().then(
    (text) => out.push(text),
    () => {},
  )
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/v1/stream?after=-1`, { headers: { authorization } })
  socket.on('message', (message) => out.push(String(message)))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await new Promise((resolve) => socket.once('open', resolve))
  return { over: Promise.all([read, closed]) }
}

/** Everything that is kept or told to others when each canary has come in by one of the ways. */
async function lived(told: typeof secrets | undefined): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-canaries-'))
  const out: string[] = []
  const say = (fields: object, message: string): void => void out.push(message, String(Object.values(fields)))
  const logger = { info: say, warn: say, error: say }
  const options = { dir, kinds: [counter], pool: 'inline', logger, ...(told && { secrets: told }) } as const
  const runtime = await openRuntime(options)
  const server = await serve(runtime, { port: 0, principals: PRINCIPALS, logger })
  const { over } = await follow(server, out)
  for (let n = 0; n < CANARIES; n++) {
    const session = (await runtime.create(counter)) as Session
    const way = WAYS[n % WAYS.length] as (typeof WAYS)[number]
    const [method, path, { headers, ...init }] = way(canary(n), session.id)
    const sent = { authorization, 'content-type': 'application/json', ...(headers as object) }
    const answer = await fetch(`${server.url}${path}`, { method, headers: sent, ...init })
    await answer.body?.cancel()
    const shown = await fetch(`${server.url}/v1/sessions/${session.id}/history`, { headers: { authorization } })
    out.push(await shown.text(), json([...shown.headers]))
  }
  await server.close()
  await over
  await runtime.close()
  for (const name of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (name.isFile()) out.push(readFileSync(join(name.parentPath, name.name), 'latin1'))
  }
  rmSync(dir, { recursive: true })
  return out.join('\n')
}

const found = (text: string): number[] =>
  Array.from({ length: CANARIES }, (_, n) => n).filter((n) => text.includes(canary(n)))

test(`of ${CANARIES} canaries in ${WAYS.length} parts of requests, none is kept, logged or streamed; of those that nobody named, many are`, async () => {
  const text = await lived(secrets)
  expect(found(text)).toEqual([])
  expect(text).toContain('[redacted:S0]')
  expect(text).toContain('"action":"session.send"')
  expect(found(await lived(undefined)).length).toBeGreaterThan(10)
})
