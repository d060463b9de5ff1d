// The original's HTTP API of execution sessions, called as its own text lists it: actions, fields and statuses.
import { openRuntime, type Runtime } from 'holdfast'
import { createHttp } from 'holdfast/http'
import {
  createExecutionSessionIntegration,
  type ExecutionSessionIntegration,
  execution,
  executionCleanup,
} from 'holdfast/machines/execution'
import { executionRoutes } from 'holdfast/machines/execution/http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createInlinePool } from '../../../src/inline/pool.js'
import { systemClock } from '../../../src/system/clock.js'
import { type Ask, asking, PRINCIPALS } from '../../http/served.js'
import { House } from './house.js'
import { KEY, PEOPLE, TEAM, TicketServer } from './linear-server.js'
import { CHANNEL, SlackServer, TOKEN } from './slack-server.js'

let runtime: Runtime
let integration: ExecutionSessionIntegration
let ask: Ask
beforeEach(async () => {
  const pool = createInlinePool({ clock: systemClock, load: () => import('../../../machines/execution/steps.js') })
  runtime = await openRuntime({ storage: 'memory', pool, kinds: [execution, executionCleanup] })
  const people = (id: string) =>
    id === 'red'
      ? ({ role: 'admin', teams: ['team-456'] } as const)
      : ({ role: 'member', teams: ['team-456'] } as const)
  integration = createExecutionSessionIntegration({
    sessionManagement: { runtime, people },
    linear: { apiKey: '' },
    slack: { botToken: '' },
  })
  const http = createHttp(runtime, {
    principals: PRINCIPALS,
    mount: [executionRoutes((organization) => (organization === 'umbrella' ? undefined : integration))],
  })
  ask = asking((request) => http.fetch(request), 'http://127.0.0.1')
})
afterEach(async () => {
  await integration.close()
  await runtime.close()
})

const PATH = '/api/sessions'
/** Of a session with no open tickets, so nothing is asked of a tracker. */
async function created(): Promise<string> {
  const { id } = await integration.sessions.createExecutionSession({
    adminUserId: 'red',
    teamId: 'team-456',
    planCount: 2,
  })
  return id
}

test('GET status, active and stats: 200 each; 400 names what is missing, 404 what is not there', async () => {
  const sessionId = await created()
  expect(await ask('GET', `${PATH}?action=status&sessionId=${sessionId}`, { as: 'red' })).toMatchObject({
    status: 200,
    body: { sessionId, status: 'pending', planCount: 2, modificationCount: 0, processedModifications: 0, errors: [] },
  })
  expect(await ask('GET', `${PATH}?action=active`, { as: 'red' })).toMatchObject({
    status: 200,
    body: [{ id: sessionId }],
  })
  expect(await ask('GET', `${PATH}?action=stats`, { as: 'red' })).toMatchObject({
    status: 200,
    body: { totalSessions: 1, pendingSessions: 1, totalModifications: 0 },
  })
  for (const [query, name] of [
    ['action=status', 'sessionId'],
    ['', 'action'],
    ['action=fly', 'action'],
  ]) {
    const answer = await ask('GET', `${PATH}?${query}`, { as: 'red' })
    expect(answer, query).toMatchObject({ status: 400, body: { detail: expect.stringContaining(name as string) } })
  }
  expect((await ask('GET', `${PATH}?action=status&sessionId=session_none`, { as: 'red' })).status).toBe(404)
})

test('POST confirm, complete, cancel and cleanup: 200 with the result; what a session does not take is 409', async () => {
  const [one, two] = [await created(), await created()]
  const act = (body: object) => ask('POST', PATH, { as: 'red', body })
  expect(await act({ action: 'confirm', sessionId: one })).toMatchObject({ status: 200, body: { status: 'confirmed' } })
  expect((await act({ action: 'confirm', sessionId: one })).status).toBe(409)
  expect(await act({ action: 'complete', sessionId: one })).toMatchObject({ body: { status: 'completed' } })
  expect(await act({ action: 'cancel', sessionId: two, reason: 'holiday' })).toMatchObject({
    body: { status: 'cancelled' },
  })
  expect(await act({ action: 'cleanup', daysOld: 30 })).toMatchObject({ status: 200, body: { deletedSessions: 0 } })
})

test('POST with fields missing: 400 that names them, for every action', async () => {
  const needs = {
    create: ['adminUserId', 'teamId'],
    modify: ['sessionId', 'userId', 'ticketId', 'actionType', 'value'],
    ...{ confirm: ['sessionId'], complete: ['sessionId'], cancel: ['sessionId'] },
  }
  for (const [action, names] of Object.entries(needs)) {
    const { status, body } = await ask('POST', PATH, { body: { action } })
    expect(status, action).toBe(400)
    for (const name of names) expect(body.detail, action).toContain(name)
  }
  expect((await ask('POST', PATH, { body: {} })).status).toBe(400)
})

test('the trace that a caller names is the session’s with the change that they ask for', async () => {
  const sessionId = await created()
  const [first, second] = ['b7ad6b7169203331', '00f067aa0ba902b7'].map(
    (span) => `00-0af7651916cd43dd8448eb211c80319c-${span}-01`,
  ) as [string, string]
  const act = (body: object, traceparent: string) => ask('POST', PATH, { as: 'red', body, headers: { traceparent } })
  await act({ action: 'confirm', sessionId }, first)
  await act({ action: 'complete', sessionId }, second)
  await act({ action: 'cleanup', daysOld: 30 }, second)
  const told = (id: string): (string | undefined)[] =>
    [...runtime.session(id).history()].map(({ event, trace }) => trace && `${event.type} ${trace.traceparent}`)
  expect(told(sessionId)).toEqual(expect.arrayContaining([`confirm ${first}`, `complete ${second}`]))
  expect(told('execution_cleanup')).toEqual([undefined, `cleaned ${second}`])
})

test('whoever calls acts as themselves: an admin decides, others may not; an organization without sessions is refused', async () => {
  const sessionId = await created()
  const confirm = (as: string) => ask('POST', PATH, { as, body: { action: 'confirm', sessionId } })
  expect((await confirm('')).status).toBe(401)
  expect((await confirm('reader')).status).toBe(403)
  expect((await confirm('blue')).status).toBe(403)
  expect((await confirm('other')).status).toBe(403)
  const forged = { action: 'create', adminUserId: 'red', teamId: 'team-456' }
  expect((await ask('POST', PATH, { as: 'blue', body: forged })).status).toBe(403)
  expect(await confirm('red')).toMatchObject({ status: 200, body: { status: 'confirmed' } })
})

test('who speaks for others names them: an admin of no organization decides as the session’s admin, and as nobody else', async () => {
  const sessionId = await created()
  const act = (body: { action: string; userId?: string }, as = 'root') =>
    ask('POST', PATH, { as, body: { ...(body.action !== 'cleanup' && { sessionId }), ...body } })
  const refused = (detail: string) => ({
    status: 403,
    body: { code: 'NOT_ALLOWED', detail: expect.stringContaining(detail) },
  })
  for (const action of ['confirm', 'complete', 'cancel', 'cleanup']) {
    expect(await act({ action }), action).toMatchObject(refused('userId'))
    expect(await act({ action, userId: 'blue' }), action).toMatchObject(refused('blue may not'))
    expect(await act({ action, userId: 'red' }, 'blue'), action).toMatchObject(refused('blue may not speak for red'))
  }
  expect(await ask('GET', `${PATH}?action=active`)).toMatchObject(refused('userId'))
  expect(await ask('GET', `${PATH}?action=active&userId=blue`)).toMatchObject({ body: [{ id: sessionId }] })
  expect(await act({ action: 'confirm', userId: 'red' })).toMatchObject({ status: 200, body: { status: 'confirmed' } })
  expect(await act({ action: 'complete', userId: 'red' })).toMatchObject({ body: { status: 'completed' } })
  expect(await act({ action: 'cleanup', userId: 'red' })).toMatchObject({ status: 200, body: { deletedSessions: 0 } })
  expect(await act({ action: 'confirm', userid: 'blue' } as never, 'red')).toMatchObject({ status: 400 })
  const trail = await integration.sessions.as('red').getAuditTrail({ sessionId })
  expect(trail.map(({ action, actor }) => `${actor} ${action}`)).toContain('red confirm')
})

test('POST create and modify: 200 with the result, and in the tracker and the channel what was asked for', async () => {
  const [house, linear, slack] = [new House(), new TicketServer(), new SlackServer()]
  linear.addTicket('ENG-1', { assignee: PEOPLE[0].id })
  linear.addTicket('ENG-2', { assignee: PEOPLE[1].id })
  const people = (userId: string) =>
    ({ ada: { role: 'admin', teams: ['ENG'] } as const, ben: { role: 'member', teams: ['ENG'] } as const })[userId]
  const day = createExecutionSessionIntegration({
    sessionManagement: await house.open({ people }),
    linear: { apiKey: KEY, teamId: TEAM, apiUrl: await linear.listen() },
    slack: { botToken: TOKEN, channel: CHANNEL, apiUrl: await slack.listen() },
  })
  try {
    const http = createHttp(house.runtime, { principals: PRINCIPALS, mount: [executionRoutes(() => day)] })
    const request = asking((request) => http.fetch(request), 'http://127.0.0.1')
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const act = (body: object) => request('POST', PATH, { body, headers: { traceparent } })
    const created = await act({ action: 'create', adminUserId: 'ada', teamId: 'ENG' })
    const { sessionId } = created.body
    expect(created).toMatchObject({
      status: 200,
      body: { sessionId: expect.stringMatching(/^session_/), status: 'pending', planCount: 2, errors: [] },
    })
    expect(slack.messages).toHaveLength(1)
    const [first] = house.runtime.session(sessionId).history()
    expect(first?.trace).toEqual({ traceparent })
    const modify = { action: 'modify', sessionId, userId: 'ben', ticketId: 'ENG-2' }
    expect(await act({ ...modify, actionType: 'comment', value: 'Later' })).toMatchObject({
      status: 200,
      body: { sessionId, modificationCount: 1, errors: [] },
    })
    expect(linear.acts).toEqual(['ENG-2 comment Later'])
    expect(await day.as('ada').getSessionStatus(sessionId)).toMatchObject({ status: 'pending', modificationCount: 1 })
  } finally {
    await day.close()
    await house.remove()
    await Promise.all([linear.close(), slack.close()])
  }
})
