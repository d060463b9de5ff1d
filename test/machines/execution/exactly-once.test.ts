// Modifications reach Linear exactly once, plans are stored once and a channel hears of them once, whatever crashes when: the
// shipped runtime on a disk that loses what was not synced, under a virtual clock, with the real steps and the real clients,
// against services that remember every call. The power is cut at calls to the disk and at calls to the services, before they
// act and after; these fail, limit and lose answers meanwhile, and somebody else moves the tickets.
// HOLDFAST_RUNS sets how many cuts there are at least, HOLDFAST_SEED which.

import type { Session } from 'holdfast'
import { type ExecutionEvent, execution } from 'holdfast/machines/execution'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import * as steps from '../../../machines/execution/steps.js'
import { createSeededChance } from '../../../src/testing/chance.js'
import { turn } from '../../../src/testing/clock.js'
import type { World } from '../../../src/testing/world.js'
import { chain } from '../chain.js'
import { type Fault, KEY, PEOPLE, TEAM, TicketServer } from './linear-server.js'
import { CHANNEL, type SlackFault, SlackServer, TOKEN } from './slack-server.js'

const CUTS = Number(process.env.HOLDFAST_RUNS ?? 60)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const AT = '2030-01-01T00:00:00.000Z'
const signed = { at: AT, by: 'ada' }
const [ada, ben] = [PEOPLE[0].id, PEOPLE[1].id]

const of = (ticketId: string, action: 'status_change' | 'reassign' | 'comment', value: string) => {
  return { ticketId, userId: 'ben', action, value, timestamp: AT }
}
/** What is sent, in order; each with an id, so that whoever lives again sends it again. */
const SENT: readonly ExecutionEvent[] = [
  {
    ...signed,
    type: 'modify',
    process: true,
    modifications: [
      of('ENG-1', 'status_change', 'in_progress'),
      of('ENG-1', 'status_change', 'In Review'),
      of('ENG-2', 'reassign', 'ada'),
      of('ENG-2', 'comment', 'Mine now'),
      of('ENG-3', 'comment', 'One'),
    ],
  },
  { ...signed, type: 'modify', modifications: [of('ENG-3', 'comment', 'Two'), of('ENG-1', 'status_change', 'done')] },
  { ...signed, type: 'modify', modifications: [of('ENG-2', 'reassign', 'ben'), of('ENG-4', 'comment', 'Nowhere')] },
  { ...signed, type: 'confirm', process: true },
  { ...signed, type: 'complete' },
]
/** What Linear has to have acted on, of each ticket in this order. */
const ACTS: Readonly<Record<string, readonly string[]>> = {
  'ENG-1': ['state state-progress', 'state state-review', 'state state-done'],
  'ENG-2': [`assignee ${ada}`, 'comment Mine now', `assignee ${ben}`],
  'ENG-3': ['comment One', 'comment Two'],
}

beforeAll(() => {
  vi.stubEnv('LINEAR_API_KEY', KEY)
  vi.stubEnv('SLACK_BOT_TOKEN', TOKEN)
})
afterAll(() => {
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
})

type Day = Session<typeof execution.machine>

async function day({ runtime, clock }: World, isOver: () => boolean): Promise<Day> {
  const tracker = { kind: 'linear', teamId: TEAM, connection: '' } as const
  const channel = { kind: 'slack', channel: CHANNEL, connection: '' } as const
  const input = { id: 'session_1', adminUserId: 'ada', teamId: 'ENG', generatedAt: AT, plan: true, tracker, channel }
  const session = await runtime.create(execution, input, { idempotencyKey: 'day' })
  let sent = 0
  while (!isOver() && session.snapshot().status === 'active') {
    if (sent < SENT.length) await session.send(SENT[sent] as ExecutionEvent, { id: `sent-${sent}` })
    sent++
    await turn()
    await clock.advance(20)
  }
  return session
}

const FAULTS: readonly Fault[] = ['unavailable', 'lost answer', 'rate limit', 'cut off']
const SLACK_FAULTS: readonly SlackFault[] = ['unavailable', 'failed', 'lost answer', 'rate limit', 'cut off']

const name = `over ${CUTS} cuts, services that fail and people who move the tickets, everything is done once and nothing is lost`
test(name, { timeout: 3_600_000 }, async () => {
  const chance = createSeededChance(SEED)
  const random = (): number => chance.random()
  let [cuts, faults, limits, moves, found, chains] = [0, 0, 0, 0, 0, 0]
  const cutIn = new Map<string, number>()
  for (; cuts < CUTS; chains++) {
    const [linear, slack] = [new TicketServer(), new SlackServer()]
    linear.resetMs = 5_000
    slack.retryAfterS = 5
    for (const name of ['ENG-1', 'ENG-2', 'ENG-3']) linear.addTicket(name, { assignee: name === 'ENG-3' ? ada : ben })
    const fails = (): boolean => {
      const failing = random() < 0.06
      if (failing) faults++
      return failing
    }
    linear.faultOf = () => (fails() ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined)
    slack.faultOf = () => (fails() ? SLACK_FAULTS[Math.floor(random() * SLACK_FAULTS.length)] : undefined)
    // Somebody else puts a ticket back as soon as it was moved: then only its history tells that it was.
    linear.acted = (ticket) => {
      if (random() > 0.3) return
      moves++
      linear.set(ticket, { stateId: 'state-backlog' })
    }
    const isSlack = (url: unknown): boolean => String(url).includes('slack')
    let last = ''
    const session = await chain<Day>({
      ...{ kinds: [execution], steps, random, work: day },
      fetch: async (url, init) => {
        try {
          return await (isSlack(url) ? slack : linear).fetch(url, init)
        } finally {
          last = (isSlack(url) ? slack.calls.at(-1)?.method : linear.calls.at(-1)?.field) ?? ''
        }
      },
      called: () => last,
      cut: (call) => {
        cuts++
        cutIn.set(call, (cutIn.get(call) ?? 0) + 1)
      },
    })
    limits += [...linear.calls, ...slack.calls].filter(({ outcome }) => /rate limit/i.test(outcome)).length
    found += session.snapshot().context.modifications.filter(({ outcome }) => outcome === 'found').length
    expectWhole(linear, slack, session)
  }
  console.log(
    `execution: ${cuts} cuts in ${chains} chains, ${faults} failures and ${limits} limits of services, ${moves} moves by others, ${found} found done; cut after ${JSON.stringify(Object.fromEntries(cutIn))}`,
  )
  expect(cutIn.get('no call') ?? 0).toBeGreaterThan(0)
  expect(cutIn.size).toBeGreaterThan(3)
})

function expectWhole(linear: TicketServer, slack: SlackServer, session: Day): void {
  const { value, context } = session.snapshot()
  expect(value).toEqual({ status: 'completed', tickets: 'done', news: 'done' })
  expect(context.problems).toEqual([])
  expect(context.modifications.map(({ ticketId, error }) => [ticketId, error !== undefined])).toEqual(
    SENT.flatMap((event) => (event.type === 'modify' ? event.modifications : [])).map(({ ticketId }) => [
      ticketId,
      ticketId === 'ENG-4',
    ]),
  )
  for (const [ticket, wanted] of Object.entries(ACTS)) {
    const acts = linear.acts.filter((act) => act.startsWith(`${ticket} `)).map((act) => act.slice(ticket.length + 1))
    expect(acts, ticket).toEqual(wanted)
  }
  expect(linear.acts).toHaveLength(Object.values(ACTS).flat().length)
  expect(linear.made.map(({ title }) => title).sort()).toEqual(
    ['Ada Lovelace', 'Ben Franklin'].map((name) => `Execution plan 2030-01-01: ${name}`),
  )
  expect(context.plans.map(({ issueId }) => issueId).sort()).toEqual([...linear.issues.keys()].sort())
  expect(slack.messages.map(({ metadata }) => metadata?.event_payload.key)).toEqual(
    ['created', 'completed'].map((kind) => `session_1/${kind}`),
  )
}
