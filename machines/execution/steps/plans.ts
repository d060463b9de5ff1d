// From tickets to plans: one for each person who has any, the most urgent ticket first. Pure.

import type { DailyPlan, NewPlan, Ticket } from '../tracker.js'
import { uuidOf } from '../uuid.js'

/** What titles of plans begin with: by it they are told from tickets. */
export const PLAN_TITLE = 'Execution plan'

/** By name, then by id. What is assigned to nobody is in no plan. */
export function plansOf(tickets: readonly Ticket[]): DailyPlan[] {
  const plans = new Map<string, { assignee: DailyPlan['assignee']; tickets: Omit<Ticket, 'assignee'>[] }>()
  for (const { assignee, ...ticket } of tickets) {
    if (!assignee) continue
    const plan = plans.get(assignee.id) ?? { assignee, tickets: [] }
    plan.tickets.push(ticket)
    plans.set(assignee.id, plan)
  }
  const all = [...plans.values()].sort(
    (a, b) => order(a.assignee.name, b.assignee.name) || order(a.assignee.id, b.assignee.id),
  )
  for (const plan of all) plan.tickets.sort((a, b) => urgency(a) - urgency(b) || order(a.identifier, b.identifier))
  return all
}

/** A plan as it is stored, under an id of its own. */
export function planOf(plan: DailyPlan, session: string, day: string): NewPlan {
  const { assignee, tickets } = plan
  const lines = tickets.map(({ identifier, title, state }) => `- [ ] ${identifier}: ${title} (${state})`)
  return {
    ...plan,
    clientId: uuidOf(`${session}/plan/${assignee.id}`),
    title: `${PLAN_TITLE} ${day}: ${assignee.name}`,
    text: lines.join('\n'),
  }
}

/** One that nobody has given a priority comes last. */
const urgency = ({ priority }: Pick<Ticket, 'priority'>): number =>
  priority === 0 ? Number.MAX_SAFE_INTEGER : priority

/** The same everywhere, whatever the locale. */
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
