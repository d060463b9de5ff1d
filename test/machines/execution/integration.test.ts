// The integration by the original's names: what it gives back, what it waits for and for how long, and who presses Slack's buttons.

import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { createExecutionSessionIntegration, type ExecutionSessionIntegration } from 'holdfast/machines/execution'
import Database from 'libsql'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { House } from './house.js'
import { KEY, PEOPLE, TEAM, TicketServer } from './linear-server.js'
import { CHANNEL, SlackServer, TOKEN } from './slack-server.js'

let house: House
let linear: TicketServer
let slack: SlackServer
let integration: ExecutionSessionIntegration
let linearUrl: string
let slackUrl: string
beforeEach(async () => {
  house = new House()
  linear = new TicketServer()
  slack = new SlackServer()
  linear.addTicket('ENG-1', { assignee: PEOPLE[0].id })
  linear.addTicket('ENG-2', { assignee: PEOPLE[1].id })
  const people = (userId: string) =>
    ({ ada: { role: 'admin', teams: ['ENG'] } as const, ben: { role: 'member', teams: ['ENG'] } as const })[userId]
  linearUrl = await linear.listen()
  slackUrl = await slack.listen()
  integration = createExecutionSessionIntegration({
    sessionManagement: await house.open({ people }),
    linear: { apiKey: KEY, teamId: TEAM, apiUrl: linearUrl },
    slack: {
      ...{ botToken: TOKEN, appToken: 'xapp', signingSecret: 'secret', channel: CHANNEL, apiUrl: slackUrl },
      userOf: (id) => id.replace('U-', ''),
    },
  })
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await integration.close()
  await house.remove()
  await Promise.all([linear.close(), slack.close()])
})

test('a day from its plans to its end: each call gives what the session has come to', async () => {
  const [ada, ben] = [integration.as('ada'), integration.as('ben')]
  const created = await ada.createExecutionSession('ada', 'ENG')
  const { sessionId } = created
  expect(created).toEqual({
    ...{ sessionId: expect.stringMatching(/^session_/), status: 'pending', planCount: 2, modificationCount: 0 },
    ...{ processedModifications: 0, errors: [] },
  })
  expect(slack.messages).toHaveLength(1)
  await ben.sessions.addPlanModification({
    sessionId,
    userId: 'ben',
    ticketId: 'ENG-2',
    action: 'comment',
    value: 'Later',
  })
  const wrong = await ben.processUserModification(sessionId, 'ben', 'ENG-1', 'status_change', 'polished')
  expect(wrong).toMatchObject({ modificationCount: 2, processedModifications: 0 })
  expect(wrong.errors).toEqual([expect.stringMatching(/^ENG-1: the ticket's team has no state "polished"/)])
  expect(linear.acts).toEqual([])
  expect(await ada.confirmSession(sessionId)).toMatchObject({ status: 'confirmed', processedModifications: 1 })
  expect(linear.acts).toEqual(['ENG-2 comment Later'])
  expect(await ada.getActiveSessions()).toMatchObject([{ id: sessionId }])
  expect(await ada.completeSession(sessionId)).toMatchObject({ status: 'completed' })
  expect(slack.messages.at(-1)?.text).toContain('is completed: 2 modifications processed, 1 of them failed')
  expect(await ben.getSessionStatus(sessionId)).toMatchObject({ status: 'completed' })
  expect(await ben.getSessionStats()).toMatchObject({ completedSessions: 1, errorModifications: 1 })
  expect(await ada.cleanupOldSessions(0)).toEqual({ deletedSessions: 1, deletedModifications: 2 })
  await expect(ben.getSessionStatus(sessionId)).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
})

test('tokens of Slack that are in each other’s place are refused at once, naming the places and no token', () => {
  const made = (slack: { readonly botToken?: string; readonly appToken?: string }) => () =>
    createExecutionSessionIntegration({ sessionManagement: house.service, slack })
  const refused = (message: string) => expect.objectContaining({ code: 'INVALID_ARGUMENT', message })
  const [bot, app] = ['botToken (SLACK_BOT_TOKEN)', 'appToken (SLACK_APP_TOKEN)']
  expect(made({ botToken: 'xapp-1-A' })).toThrow(refused(`${bot} is an app's token, which belongs in ${app}`))
  vi.stubEnv('SLACK_APP_TOKEN', 'xoxb-1')
  expect(made({ botToken: 'token' })).toThrow(refused(`${app} is a bot's token, which belongs in ${bot}`))
  expect(made({ botToken: 'xoxb-1', appToken: 'xapp-1-A' })).not.toThrow()
})

test('so are those of the environment, where a service takes the channel from there', async () => {
  vi.stubEnv('SLACK_BOT_TOKEN', 'xapp-1-A')
  await expect(house.service.createExecutionSession({ adminUserId: 'ada', teamId: 'ENG' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: "botToken (SLACK_BOT_TOKEN) is an app's token, which belongs in appToken (SLACK_APP_TOKEN)",
  })
})

test('each organization asks Slack with its own token, also where each is given its service', async () => {
  const [acme, other] = ['acme', 'other'].map((organizationId) =>
    createExecutionSessionIntegration({
      sessionManagement: house.with({ organizationId }),
      linear: { apiKey: KEY, teamId: TEAM, apiUrl: linearUrl },
      slack: { botToken: `xoxb-${organizationId}`, channel: CHANNEL, apiUrl: slackUrl },
    }).as('ada'),
  ) as [ExecutionSessionIntegration, ExecutionSessionIntegration]
  slack.tokens.clear()
  slack.tokens.add('xoxb-acme')
  expect(await acme.createExecutionSession('ada', 'ENG')).toMatchObject({ planCount: 2, errors: [] })
  const { errors } = await other.createExecutionSession('ada', 'ENG')
  expect(errors).toEqual([expect.stringContaining('invalid_auth')])
  expect(slack.messages).toHaveLength(1)
})

test('nobody waits longer than they want, and what was asked for is done all the same', async () => {
  const ada = integration.as('ada')
  let isAway = true
  linear.faultOf = () => (isAway ? 'unavailable' : undefined)
  const early = await ada.createExecutionSession('ada', 'ENG', { timeoutMs: 50 })
  expect(early).toMatchObject({ status: 'pending', planCount: 0, errors: [] })
  expect(await ada.cancelSession(early.sessionId, 'Too early', { timeoutMs: 60_000 })).toMatchObject({
    status: 'cancelled',
  })
  expect(slack.messages.map(({ text }) => text)).toEqual([expect.stringContaining('is cancelled: Too early')])
  const { sessionId } = await ada.createExecutionSession('ada', 'ENG', { timeoutMs: 50 })
  isAway = false
  await (await ada.sessions.database.session(sessionId)).until(({ context }) => context.announced === 1)
  expect(await ada.getSessionStatus(sessionId)).toMatchObject({ planCount: 2, errors: [] })
  expect(linear.made).toHaveLength(2)
})

/** What Slack sends when somebody presses a button, signed with a secret. */
function pressed(session: string, user: string, action: string, secret: string) {
  const payload = { type: 'block_actions', user: { id: user }, actions: [{ action_id: action, value: session }] }
  const rawBody = new TextEncoder().encode(`payload=${encodeURIComponent(JSON.stringify(payload))}`)
  const at = String(Math.floor(Date.now() / 1000))
  const digest = createHmac('sha256', secret).update(`v0:${at}:`).update(rawBody).digest('hex')
  return { headers: { 'x-slack-request-timestamp': at, 'x-slack-signature': `v0=${digest}` }, rawBody }
}

test('what a configuration leaves out is in the environment: tables, days, and what Slack signs with', async () => {
  const path = join(house.dir, 'elsewhere.db')
  vi.stubEnv('SESSION_DB_PATH', path)
  vi.stubEnv('SESSION_CLEANUP_DAYS', '0')
  vi.stubEnv('SLACK_SIGNING_SECRET', 'of the environment')
  const sessionManagement = house.with({ databasePath: undefined })
  const linear = { apiKey: '', teamId: TEAM }
  const own = createExecutionSessionIntegration({ sessionManagement, linear, slack: { userOf: (id) => id } })
  try {
    const { id } = await sessionManagement.createExecutionSession({ adminUserId: 'ada', teamId: 'ENG' })
    const database = new Database(path)
    expect(database.prepare('SELECT id FROM execution_sessions').all()).toMatchObject([{ id }])
    database.close()
    const wrong = own.receiveSlackAction(pressed(id, 'ada', 'cancel', 'secret'))
    await expect(wrong).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    const right = await own.receiveSlackAction(pressed(id, 'ada', 'cancel', 'of the environment'))
    expect(right).toMatchObject({ status: 'cancelled' })
    expect(await sessionManagement.cleanupOldSessions()).toMatchObject({ deletedSessions: 1 })
  } finally {
    vi.unstubAllEnvs()
    await own.close()
  }
})

test("a button in Slack is pressed by whoever Slack says, and may do what they may; nothing is done without Slack's signature", async () => {
  const { sessionId } = await integration.as('ada').createExecutionSession('ada', 'ENG')
  const press = (user: string, action: string, secret = 'secret') =>
    integration.receiveSlackAction(pressed(sessionId, user, action, secret))
  for (const refused of [press('U-ada', 'confirm', 'another'), press('U-ben', 'confirm'), press('U-zoe', 'cancel')]) {
    await expect(refused).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
  }
  await expect(press('U-ada', 'delete')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(await integration.as('ben').getSessionStatus(sessionId)).toMatchObject({ status: 'pending' })
  expect(await press('U-ada', 'confirm')).toMatchObject({ status: 'confirmed' })
  expect(await press('U-ada', 'complete')).toMatchObject({ status: 'completed' })
  const trail = await integration.as('ada').sessions.getAuditTrail({ sessionId, userId: 'ada' })
  expect(trail.map(({ action }) => action)).toEqual(['confirm', 'complete'])
})
