// Every call that changes something is in the audit log of the directory, with its actor, before it is carried out and again
// before it is answered; the list of such calls comes from the table of routes.
import { openRuntime, type Runtime } from 'holdfast'
import { createHttp, type Route } from 'holdfast/http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { verifyAudit } from '../../src/audit-chain.js'
import { readAll } from '../../src/disk.js'
import { createFileDisk } from '../../src/files/disk.js'
import { newFolder } from '../cli/command.js'
import { asking, PRINCIPALS, review } from './served.js'

let dir: string
let runtime: Runtime
beforeEach(async () => {
  dir = newFolder()
  runtime = await openRuntime({ dir, kinds: [review], pool: 'inline', logger: { info() {}, warn() {}, error() {} } })
})
afterEach(() => runtime.close())

/** What the routes take that take a body. */
const BODIES: { readonly [name: string]: unknown } = {
  'session.create': { kind: 'review', input: { title: 'a' } },
  'session.send': { type: 'open' },
  'session.cancel': { reason: 'no longer needed' },
  'session.fork': { at: 1 },
  prune: { olderThanMs: 1e12, dryRun: true },
}

const entries = (): Record<string, unknown>[] => {
  const bytes = readAll(createFileDisk(dir), 'audit/00000001.jsonl') ?? new Uint8Array()
  const lines = Buffer.from(bytes).toString().trimEnd().split('\n').slice(1)
  return lines.map((line) => JSON.parse(line.slice(65)))
}

test('of every route that changes something: who asked, before it is carried out, and what it came to', async () => {
  const http = createHttp(runtime, { principals: PRINCIPALS })
  const ask = asking((request) => http.fetch(request), 'http://127.0.0.1')
  const { body } = await ask('POST', '/v1/sessions', { as: 'red', body: { kind: 'review', input: { title: 'a' } } })
  expect(entries()).toMatchObject([
    { n: 1, actor: 'red', action: 'session.create', detail: { asked: '/v1/sessions' } },
    { n: 2, actor: 'red', action: 'session.create', session: body.id, detail: { outcome: 'done' } },
  ])
  const mutating = http.routes.filter(({ mutates }: Route) => mutates)
  expect(mutating.length).toBeGreaterThan(1)
  for (const { method, path, name } of mutating) {
    const { id } = (await ask('POST', '/v1/sessions', { body: BODIES['session.create'] })).body
    const before = entries().length
    const to = path.replace(':id', id).replace(/:\w+/, '7')
    await ask(method, to, { as: 'root', body: BODIES[name] })
    expect(entries().slice(before), `${name} must be told; give it a body below that it takes`).toMatchObject([
      { actor: 'root', action: name, detail: { asked: to } },
      { actor: 'root', action: name, detail: { outcome: expect.stringMatching(/done|refused/) } },
    ])
  }
  expect(await runtime.audit?.verify()).toMatchObject({ intact: true })
})

test('reading is told nowhere, and what was refused before it was a call neither', async () => {
  const http = createHttp(runtime, { principals: PRINCIPALS })
  const ask = asking((request) => http.fetch(request), 'http://127.0.0.1')
  await ask('GET', '/v1/sessions')
  expect((await ask('POST', '/v1/sessions', { as: 'reader', body: { kind: 'review' } })).status).toBe(403)
  expect((await ask('POST', '/v1/sessions', { as: '', body: { kind: 'review' } })).status).toBe(401)
  expect(entries()).toEqual([])
})

test('a call that cannot be told is not carried out', async () => {
  const audit = { append: () => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' })) }
  const http = createHttp(runtime, { principals: PRINCIPALS, audit, logger: { info() {}, warn() {}, error() {} } })
  const ask = asking((request) => http.fetch(request), 'http://127.0.0.1')
  const { status } = await ask('POST', '/v1/sessions', { body: { kind: 'review', input: { title: 'a' } } })
  expect(status).toBe(500)
  expect(runtime.sessions.count()).toBe(0)
})

test('the log is there after the runtime is closed, whole, with the head that it told', async () => {
  const http = createHttp(runtime, { principals: PRINCIPALS })
  const ask = asking((request) => http.fetch(request), 'http://127.0.0.1')
  await ask('POST', '/v1/sessions', { body: { kind: 'review', input: { title: 'a' } } })
  const head = runtime.audit?.head()
  await runtime.close()
  expect(verifyAudit(createFileDisk(dir), 'audit', head)).toMatchObject({ intact: true, entries: 2, head })
})
