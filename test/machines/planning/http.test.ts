// The original's HTTP API of planning sessions, called as its own text lists it: paths, fields and statuses.
import { defineSession, openRuntime, type Runtime } from 'holdfast'
import { createHttp } from 'holdfast/http'
import { planning } from 'holdfast/machines/planning'
import { planningRoutes } from 'holdfast/machines/planning/http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { setup } from 'xstate'
import { createInlinePool } from '../../../src/inline/pool.js'
import { systemClock } from '../../../src/system/clock.js'
import { type Ask, asking, PRINCIPALS } from '../../http/served.js'

const other = defineSession({ kind: 'other', version: 1, machine: setup({}).createMachine({}) })

let runtime: Runtime
let ask: Ask
beforeEach(async () => {
  const load = (): Promise<Record<string, unknown>> => import('../../../machines/planning/steps.js')
  const pool = createInlinePool({ clock: systemClock, load })
  runtime = await openRuntime({ storage: 'memory', pool, kinds: [planning, other] })
  const http = createHttp(runtime, { principals: PRINCIPALS, mount: [planningRoutes()] })
  ask = asking((request) => http.fetch(request), 'http://127.0.0.1')
})
afterEach(() => runtime.close())

const body = {
  title: 'Checkout',
  confluencePageUrl: 'https://acme.atlassian.net/wiki/spaces/P/pages/1',
  organizationId: 'org-1',
}
const PATH = '/planning/sessions'

test('POST creates: 201 with the session; 400 names what is missing', async () => {
  const created = await ask('POST', PATH, { body })
  expect(created).toMatchObject({ status: 201, body: { organizationId: 'org-1', planningTitle: 'Checkout' } })
  expect(created.body).toMatchObject({ confluencePageUrl: body.confluencePageUrl, status: 'pending', progress: 0 })
  expect(new Date(created.body.createdAt).toISOString()).toBe(created.body.createdAt)
  for (const name of Object.keys(body)) {
    const answer = await ask('POST', PATH, { body: { ...body, [name]: undefined } })
    expect(answer, name).toMatchObject({ status: 400, body: { detail: expect.stringContaining(name) } })
  }
})

test('a document is no file of the server', async () => {
  for (const confluencePageUrl of ['/etc/passwd', 'file:///etc/passwd', '../notes.md']) {
    expect((await ask('POST', PATH, { body: { ...body, confluencePageUrl } })).status).toBe(400)
  }
})

test('GET shows one: 200, or 404 for one that is not there or is no planning session', async () => {
  const { id } = (await ask('POST', PATH, { body })).body
  expect(await ask('GET', `${PATH}/${id}`)).toMatchObject({ status: 200, body: { id, errors: [], warnings: [] } })
  expect((await ask('GET', `${PATH}/nowhere`)).status).toBe(404)
  const stranger = await runtime.create(other)
  expect((await ask('GET', `${PATH}/${stranger.id}`)).status).toBe(404)
})

test('GET lists those of an organization: 200, or 400 without one', async () => {
  const { id } = (await ask('POST', PATH, { body })).body
  await ask('POST', PATH, { body: { ...body, organizationId: 'org-2' } })
  const listed = await ask('GET', `${PATH}?organizationId=org-1`)
  expect(listed).toMatchObject({ status: 200, body: [{ id, planningTitle: 'Checkout' }] })
  expect((await ask('GET', PATH)).status).toBe(400)
})

test('POST start: 200 and processing; 400 when it is not pending, 404 when it is not there', async () => {
  const { id } = (await ask('POST', PATH, { body })).body
  expect(await ask('POST', `${PATH}/${id}/start`)).toMatchObject({ status: 200, body: { status: 'processing' } })
  expect((await ask('POST', `${PATH}/${id}/start`)).status).toBe(400)
  expect((await ask('POST', `${PATH}/nowhere/start`)).status).toBe(404)
})

test('the trace that a caller names is the session’s from its creation on', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const { id } = (await ask('POST', PATH, { body, headers: { traceparent } })).body
  const later = traceparent.replace('b7ad6b7169203331', '00f067aa0ba902b7')
  await ask('POST', `${PATH}/${id}/start`, { headers: { traceparent: later } })
  const traces = [...runtime.session(id).history()].map(({ trace }) => trace?.traceparent)
  expect(traces.slice(0, 2)).toEqual([traceparent, later])
})

test('DELETE: 200 and deleted, then 404', async () => {
  const { id } = (await ask('POST', PATH, { body })).body
  expect(await ask('DELETE', `${PATH}/${id}`)).toMatchObject({ status: 200, body: { status: 'deleted' } })
  expect((await ask('DELETE', `${PATH}/${id}`)).status).toBe(404)
  expect((await ask('GET', `${PATH}/${id}`)).status).toBe(404)
})

test('a session is its creator’s organization’s: others find nothing, another team may not, a reader changes nothing', async () => {
  const { id } = (await ask('POST', PATH, { as: 'red', body })).body
  expect((await ask('GET', `${PATH}/${id}`, { as: 'other' })).status).toBe(404)
  expect((await ask('GET', `${PATH}/${id}`, { as: 'blue' })).status).toBe(403)
  expect((await ask('GET', `${PATH}/${id}`, { as: 'reader' })).status).toBe(200)
  expect((await ask('DELETE', `${PATH}/${id}`, { as: 'reader' })).status).toBe(403)
  expect((await ask('GET', `${PATH}/${id}`, { as: '' })).status).toBe(401)
  for (const [as, count] of [
    ['red', 1],
    ['blue', 0],
    ['other', 0],
    ['root', 1],
  ] as const) {
    expect((await ask('GET', `${PATH}?organizationId=org-1`, { as })).body, as).toHaveLength(count)
  }
})
