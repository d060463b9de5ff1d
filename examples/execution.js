// A team's day: tickets become a plan for each person, people change them, an admin confirms and completes the day. Without keys
// the tickets are lines of a file and what Slack would hear is in the session's history; with LINEAR_API_KEY, LINEAR_TEAM_ID and
// SLACK_BOT_TOKEN in the environment it is the real thing. Kill it at any moment and run it again: nothing is done twice.
//   node examples/execution.js
import { appendFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createExecutionSessionIntegration } from 'holdfast/machines/execution'

const dir = process.env.HOLDFAST_DIR ?? '.holdfast'
const databasePath = join(dir, 'sessions.db')
// The tickets stand beside the sessions, which stand beside the tables.
const tickets = join(dir, 'sessions.holdfast', 'tickets.jsonl')
if (!existsSync(tickets)) {
  mkdirSync(join(dir, 'sessions.holdfast'), { recursive: true })
  const ada = { id: 'ada', name: 'Ada' }
  for (const [ticket, title, priority, assignee] of [
    ['SHOP-1', 'Pay by card', 2, ada],
    ['SHOP-2', 'Refund', 1, ada],
    ['SHOP-3', 'Track a parcel', 3, { id: 'ben', name: 'Ben' }],
  ]) {
    appendFileSync(tickets, `${JSON.stringify({ ticket, title, team: 'shop', priority, assignee })}\n`)
  }
}

const people = (userId) =>
  ({
    cleo: { role: 'admin', teams: ['shop'] },
    ada: { role: 'member', teams: ['shop'] },
    eve: { role: 'member', teams: [] },
  })[userId]
const integration = createExecutionSessionIntegration({ sessionManagement: { databasePath, people } })
const [cleo, ada, eve] = ['cleo', 'ada', 'eve'].map((userId) => integration.as(userId))

const { sessionId, planCount } = await cleo.createExecutionSession('cleo', 'shop')
const plans = (await cleo.sessions.database.session(sessionId)).snapshot().context.plans
console.log(
  `${planCount} plans: ${plans.map(({ assignee, tickets }) => `${assignee.name} ${tickets.map(({ id }) => id).join(' ')}`).join(', ')}`,
)

await ada.processUserModification(sessionId, 'ada', 'SHOP-2', 'status_change', 'in_progress')
await ada.processUserModification(sessionId, 'ada', 'SHOP-1', 'reassign', 'ben')
await eve
  .processUserModification(sessionId, 'eve', 'SHOP-3', 'comment', 'Hello')
  .catch(({ code, message }) => console.log(code, message))

await cleo.confirmSession(sessionId)
const { status, processedModifications } = await cleo.completeSession(sessionId)
console.log(`${status}, ${processedModifications} modifications applied`)
for (const { actor, action } of await cleo.sessions.getAuditTrail({ sessionId }))
  if (actor) console.log(`${actor}: ${action}`)
await integration.close()
