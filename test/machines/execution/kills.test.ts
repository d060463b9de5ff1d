// A day of an execution session by the built package, its files and its tables, in a process that is killed at calls to the
// services, before these act and after: everything is done once, nothing is lost, and the tables say what the session is.
// HOLDFAST_EXECUTION_KILLS sets how many kills there are, HOLDFAST_SEED at which calls.

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSeededChance } from '../../../src/testing/chance.js'
import { builtPackage } from '../../piscina/built.js'
import { KEY, PEOPLE, TEAM, TicketServer } from './linear-server.js'
import { CHANNEL, SlackServer, TOKEN } from './slack-server.js'

const SCRIPT = fileURLToPath(new URL('fixtures/run-day.js', import.meta.url))
const KILLS = Number(process.env.HOLDFAST_EXECUTION_KILLS ?? 4)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)

let dir: string
beforeEach(() => {
  builtPackage()
  dir = mkdtempSync(join(tmpdir(), 'holdfast-execution-kills-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test(`killed ${KILLS} times at calls to Linear and Slack, a day is done once, and its tables say so`, async () => {
  const { random } = createSeededChance(SEED)
  const killedAt = new Map<string, number>()
  let chains = 0
  for (let kills = 0; kills < KILLS; chains++) {
    const [linear, slack] = [new TicketServer(), new SlackServer()]
    const [linearUrl, slackUrl] = await Promise.all([linear.listen(), slack.listen()])
    for (const name of ['ENG-1', 'ENG-2', 'ENG-3']) linear.addTicket(name, { assignee: PEOPLE[1].id })
    const folder = join(dir, `chain-${chains}`)
    mkdirSync(folder)
    const env = {
      ...process.env,
      ...{ LINEAR_API_URL: linearUrl, LINEAR_API_KEY: KEY, LINEAR_TEAM_ID: TEAM },
      ...{ SLACK_API_URL: slackUrl, SLACK_BOT_TOKEN: TOKEN, SLACK_CHANNEL: CHANNEL },
    }
    let end: string | undefined
    for (let life = 0; end === undefined; life++) {
      expect(life).toBeLessThan(12)
      const child = spawn(process.execPath, [SCRIPT, folder], { stdio: ['ignore', 'pipe', 'inherit'], env })
      let left = life < 6 && kills < KILLS ? 1 + Math.floor(random() * 9) : Number.POSITIVE_INFINITY
      const before = random() < 0.5
      const faultOf = (call: string): 'cut off' | 'lost answer' | undefined => {
        if (--left > 0) return undefined
        if (left === 0) {
          kills++
          killedAt.set(call, (killedAt.get(call) ?? 0) + 1)
          child.kill('SIGKILL')
        }
        return before ? 'cut off' : 'lost answer'
      }
      linear.faultOf = ({ field }) => faultOf(field)
      slack.faultOf = ({ method }) => faultOf(method)
      let out = ''
      child.stdout.on('data', (data: Buffer) => {
        out += data
      })
      await new Promise((resolve) => child.stdout.on('close', resolve))
      end = /^end (.*)$/m.exec(out)?.[1]
    }
    expectDay(linear, slack, JSON.parse(end))
    await Promise.all([linear.close(), slack.close()])
  }
  console.log(`execution: ${KILLS} kills in ${chains} chains, at ${JSON.stringify(Object.fromEntries(killedAt))}`)
}, 3_600_000)

function expectDay(linear: TicketServer, slack: SlackServer, day: Record<string, any>): void {
  expect(day.value).toEqual({ status: 'completed', tickets: 'done', news: 'done' })
  expect(day.context.problems).toEqual([])
  const actsOf = (ticket: string) => linear.acts.filter((act) => act.startsWith(ticket)).map((act) => act.slice(6))
  expect(actsOf('ENG-1')).toEqual(['state state-progress', 'state state-done'])
  expect(actsOf('ENG-2')).toEqual(['comment One', 'comment Two'])
  expect(actsOf('ENG-3')).toEqual([`assignee ${PEOPLE[0].id}`, 'comment Three'])
  expect(linear.made.map(({ id }) => id)).toEqual(day.context.plans.map(({ issueId }: { issueId: string }) => issueId))
  expect(linear.made).toHaveLength(1)
  expect(slack.messages.map(({ metadata }) => metadata?.event_payload.key)).toEqual(
    ['created', 'completed'].map((kind) => `${day.id}/${kind}`),
  )
  expect(day.tables.sessions).toEqual([{ id: day.id, status: 'completed', plan_count: 1 }])
  expect(
    day.tables.modifications.map((row: any) => [
      row.id,
      row.ticket_id,
      row.action,
      row.value,
      row.processed,
      row.error,
    ]),
  ).toEqual(day.modifications.map((each: any) => [each.id, each.ticketId, each.action, each.value, 1, null]))
  expect(day.modifications).toHaveLength(6)
}
