// An execution session at its services: the real clients of Linear and Slack against servers on the loopback interface, with
// their keys, limits and failures.

import { openRuntime } from 'holdfast'
import { type ExecutionEvent, execution } from 'holdfast/machines/execution'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import * as steps from '../../../machines/execution/steps.js'
import { createInlinePool } from '../../../src/inline/pool.js'
import { systemClock } from '../../../src/system/clock.js'
import { KEY, PEOPLE, TEAM, TicketServer } from './linear-server.js'
import { CHANNEL, SlackServer, TOKEN } from './slack-server.js'

let linear: TicketServer
let slack: SlackServer
beforeEach(async () => {
  linear = new TicketServer()
  slack = new SlackServer()
  vi.stubEnv('LINEAR_API_KEY', KEY)
  vi.stubEnv('LINEAR_TEAM_ID', TEAM)
  vi.stubEnv('LINEAR_API_URL', await linear.listen())
  vi.stubEnv('SLACK_BOT_TOKEN', TOKEN)
  vi.stubEnv('SLACK_CHANNEL', '#execution')
  vi.stubEnv('SLACK_API_URL', await slack.listen())
  linear.addTicket('ENG-1', { assignee: PEOPLE[0].id, priority: 3 })
  linear.addTicket('ENG-2', { assignee: PEOPLE[1].id })
  linear.addTicket('ENG-3', { assignee: PEOPLE[0].id, priority: 1, title: 'Urgent' })
  linear.addTicket('ENG-4')
  linear.addTicket('ENG-5', { assignee: PEOPLE[1].id, state: 'state-done' })
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await Promise.all([linear.close(), slack.close()])
})

const open = () =>
  openRuntime({
    ...{ kinds: [execution], storage: 'memory' },
    pool: createInlinePool({ clock: systemClock, load: async () => ({ ...steps }) }),
  })
const modify = (...changes: [ticketId: string, action: string, value: string][]): ExecutionEvent => ({
  type: 'modify',
  process: true,
  modifications: changes.map(([ticketId, action, value]) => ({
    ticketId,
    action: action as 'comment',
    value,
    userId: 'ben',
  })),
})

test('a plan for each person with open tickets is stored in Linear and announced in Slack; modifications are applied in order', async () => {
  await using runtime = await open()
  const session = await runtime.create(execution, { adminUserId: 'ada', teamId: 'ENG', plan: true })
  await session.send(
    modify(
      ['ENG-1', 'status_change', 'in_progress'],
      ['ENG-1', 'status_change', 'done'],
      ['ENG-2', 'reassign', 'ada@acme.test'],
      ['ENG-2', 'comment', 'Yours'],
      ['ENG-3', 'reassign', 'unassigned'],
      ['ENG-4', 'status_change', 'todo'],
    ),
  )
  await session.send({ type: 'confirm' })
  await session.send({ type: 'complete' })
  await session.result()
  const { context, value } = session.snapshot()
  expect(value).toEqual({ status: 'completed', tickets: 'done', news: 'done' })
  expect(context.modifications.map(({ outcome }) => outcome)).toEqual([...Array(5).fill('changed'), 'same'])
  const actsOf = (ticket: string) => linear.acts.filter((act) => act.startsWith(ticket))
  expect(actsOf('ENG-1')).toEqual(['ENG-1 state state-progress', 'ENG-1 state state-done'])
  expect(actsOf('ENG-2')).toEqual([`ENG-2 assignee ${PEOPLE[0].id}`, 'ENG-2 comment Yours'])
  expect(actsOf('ENG-3')).toEqual(['ENG-3 assignee null'])
  expect(actsOf('ENG-4')).toEqual([])
  expect(linear.made.map(({ title, description }) => [title.replace(/ \d{4}-\d\d-\d\d/, ''), description])).toEqual([
    ['Execution plan: Ada Lovelace', '- [ ] ENG-3: Urgent (Todo)\n- [ ] ENG-1: Ticket ENG-1 (Todo)'],
    ['Execution plan: Ben Franklin', '- [ ] ENG-2: Ticket ENG-2 (Todo)'],
  ])
  expect(slack.messages.map(({ channel, text }) => [channel, text.split('\n')])).toEqual([
    [
      CHANNEL,
      [
        `2 execution plans for ENG, to be confirmed by ada (${context.id})`,
        '• Ada Lovelace: 2 tickets',
        '• Ben Franklin: 1 ticket',
      ],
    ],
    [CHANNEL, [`The execution session of ENG is completed: 6 modifications processed (${context.id})`]],
  ])
})

test('what Linear does not have fails by itself, by name; the rest goes on', async () => {
  await using runtime = await open()
  const session = await runtime.create(execution, { adminUserId: 'ada', teamId: 'ENG' })
  await session.send(
    modify(
      ['ENG-99', 'status_change', 'done'],
      ['ENG-98', 'comment', 'Hello'],
      ['ENG-1', 'status_change', 'polished'],
      ['ENG-2', 'reassign', 'nobody@acme.test'],
      ['ENG-3', 'comment', 'Fine'],
    ),
  )
  const { context } = await session.until(({ context: { counts } }) => counts.queued === 0)
  expect(context.modifications.map(({ code, outcome }) => code ?? outcome)).toEqual([
    ...['SERVICE_REFUSED', 'SERVICE_REFUSED', 'SERVICE_NOT_FOUND', 'SERVICE_NOT_FOUND', 'changed'],
  ])
  expect(context.modifications[2]?.error).toBe(
    'the ticket\'s team has no state "polished", only Backlog, Todo, In Progress, In Review, Done, Canceled',
  )
  expect(context.counts).toMatchObject({ processed: 5, errors: 4, queued: 0 })
  expect(linear.acts).toEqual(['ENG-3 comment Fine'])
})

test('a limit parks the session for as long as it was told, keeping what was done; a channel that waits holds up no ticket', async () => {
  await using runtime = await open()
  let left = 4
  linear.faultOf = () => (--left === 0 ? 'rate limit' : undefined)
  linear.resetMs = 1_500
  slack.retryAfterS = 1
  let first = true
  slack.faultOf = () => {
    const limited = first
    first = false
    return limited ? 'rate limit' : undefined
  }
  const session = await runtime.create(execution, { adminUserId: 'ada', teamId: 'ENG' })
  await session.send(
    modify(
      ['ENG-1', 'comment', 'One'],
      ['ENG-2', 'comment', 'Two'],
      ['ENG-3', 'status_change', 'done'],
      ['ENG-1', 'comment', 'Never: it is cancelled by then'],
    ),
  )
  const parked = await session.until({ tickets: 'waiting' })
  expect(parked.context.waitMs.tickets).toBeGreaterThan(1_000)
  await session.send({ type: 'cancel', reason: 'Enough' })
  await session.result()
  expect(session.snapshot().context).toMatchObject({ counts: { errors: 0, processed: 3 }, announced: 1 })
  expect(session.snapshot().context.modifications.map(({ processed }) => processed)).toEqual([true, true, true, false])
  expect([...linear.acts].sort()).toEqual(['ENG-1 comment One', 'ENG-2 comment Two', 'ENG-3 state state-done'])
  expect(slack.messages.map(({ text }) => text)).toEqual([expect.stringContaining('is cancelled: Enough')])
  expect(slack.calls.some(({ outcome }) => outcome === 'rate limit')).toBe(true)
})

test('a wrong key fails what it was for at once, names what to do, and is in no record', async () => {
  vi.stubEnv('LINEAR_API_KEY', 'lin_api_wrong')
  vi.stubEnv('SLACK_BOT_TOKEN', 'xoxb-wrong')
  await using runtime = await open()
  const session = await runtime.create(execution, { adminUserId: 'ada', teamId: 'ENG', plan: true })
  await session.send(modify(['ENG-1', 'status_change', 'done']))
  await session.send({ type: 'cancel' })
  await session.result()
  const { context } = session.snapshot()
  expect(context.problems).toMatchObject([
    { step: expect.stringMatching(/gather|announce/), code: 'SERVICE_UNAUTHORIZED' },
    { step: expect.stringMatching(/gather|announce/), code: 'SERVICE_UNAUTHORIZED' },
  ])
  expect(JSON.stringify([...session.history()])).not.toMatch(/lin_api_wrong|xoxb-wrong/)
})
