// Tickets in Linear. What is made (a plan, a comment) is made under a UUID of our own: made again, it is refused, and a refusal
// is followed by the question whether it is there. What is set (a state, a person) has no id: the mark of `look` says how far
// the ticket's history went before anything was done, so that another attempt finds in it what an earlier one has set, also
// when somebody has set something else since. A change of anybody else to the same value in between counts as ours.

import { type Linear, type LinearOptions, type LinearRefusal, openLinear } from '../../services/linear.js'
import { keysOf } from '../connections.js'
import { ServiceError } from '../errors.js'
import type { Change, Mark, NewPlan, Outcome, Ticket, Tracker, TrackerConfig } from '../tracker.js'
import { PLAN_TITLE } from './plans.js'

/** Rejects with SERVICE_NOT_INSTALLED or SERVICE_NOT_CONFIGURED. */
export async function openLinearTracker(
  { teamId, connection }: TrackerConfig & { kind: 'linear' },
  options: LinearOptions = {},
): Promise<Tracker> {
  return new LinearTracker(await openLinear(keysOf(connection, process.env), refusal, options), teamId)
}

const refusal: LinearRefusal = (failing, message, { details, ...options }) =>
  new ServiceError(`SERVICE_${failing}`, message, { ...options, details: { ...details, service: 'linear' } })

const PAGE = 50
const MOST_PAGES = 20
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
/** What a ticket is reassigned to, to be nobody's. */
const NOBODY = 'unassigned'

const TEAM = 'query teamOf($id: String!) { team(id: $id) { id } }'
const OPEN = `query openTickets($team: ID!, $first: Int!, $after: String) {
  issues(filter: { team: { id: { eq: $team } }, state: { type: { nin: ["completed", "canceled", "duplicate"] } } }, first: $first, after: $after) {
    nodes { id identifier title priority state { name } assignee { id name } }
    pageInfo { hasNextPage endCursor }
  }
}`
const TICKET = `query ticketOf($id: String!, $first: Int!, $after: String) {
  issue(id: $id) {
    id state { id } assignee { id }
    team { states { nodes { id name type } } }
    history(first: $first, after: $after) {
      nodes { id updatedAt toStateId toAssigneeId fromAssigneeId }
      pageInfo { hasNextPage endCursor }
    }
  }
}`
const PERSON = 'query personOf($filter: UserFilter!) { users(filter: $filter, first: 2) { nodes { id } } }'
const FIND_ISSUE = `query findIssue($id: ID!) {
  issues(filter: { id: { eq: $id } }, first: 1, includeArchived: true) { nodes { id } }
}`
const FIND_COMMENT = 'query findComment($id: ID!) { comments(filter: { id: { eq: $id } }, first: 1) { nodes { id } } }'

interface Pages {
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor?: string | null }
}

interface Entry {
  readonly id: string
  readonly updatedAt: string
  readonly toStateId?: string | null
  readonly toAssigneeId?: string | null
  readonly fromAssigneeId?: string | null
}

interface LinearTicket {
  readonly id: string
  readonly state: { readonly id: string }
  readonly assignee?: { readonly id: string } | null
  readonly team: { readonly states: { readonly nodes: readonly { id: string; name: string; type: string }[] } }
  readonly history: Pages & { readonly nodes: readonly Entry[] }
}

/** What a mark says. */
interface Marked {
  /** The ticket's UUID. */
  readonly issue: string
  /** What it is to become: the id of a state or a person; null: nobody's. */
  readonly target: string | null
  /** It is that already. */
  readonly same: boolean
  /** How far its history went: the time of the last entries, and their ids. */
  readonly at: string
  readonly ids: readonly string[]
}

class LinearTracker implements Tracker {
  readonly parallel: number = 4
  readonly #linear: Linear
  readonly #teamId: string
  #team: Promise<string> | undefined

  constructor(linear: Linear, teamId: string) {
    this.#linear = linear
    this.#teamId = teamId
  }

  /** Of the team in Linear that the session's tracker names. */
  async openTickets(): Promise<readonly Ticket[]> {
    type Found = Omit<Ticket, 'state'> & { readonly state: { readonly name: string } }
    const tickets: Ticket[] = []
    const team = await this.#ownTeam()
    let after: string | null | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const { issues } = await this.#linear.query<{ issues: Pages & { nodes: readonly Found[] } }>(OPEN, {
        ...{ team, first: PAGE, after },
      })
      for (const { id, identifier, title, priority, state, assignee } of issues.nodes) {
        if (title.startsWith(PLAN_TITLE)) continue
        const whose = assignee && { assignee: { id: assignee.id, name: assignee.name } }
        tickets.push({ id, identifier, title, priority, state: state.name, ...whose })
      }
      if (!issues.pageInfo.hasNextPage) break
      after = issues.pageInfo.endCursor
    }
    return tickets
  }

  async storePlan(_: string, { clientId, title, text, assignee }: NewPlan): Promise<{ readonly id: string }> {
    const input = { id: clientId, teamId: await this.#ownTeam(), title, description: text, assigneeId: assignee.id }
    await once(
      () => this.#linear.call((client) => client.createIssue(input)),
      async () => {
        const { issues } = await this.#linear.query<{ issues: { nodes: unknown[] } }>(FIND_ISSUE, { id: clientId })
        return issues.nodes.length > 0
      },
    )
    return { id: clientId }
  }

  async look({ ticketId, action, value }: Change): Promise<Mark> {
    // A comment has an id of its own, which tells everything.
    if (action === 'comment') return ''
    const { ticket, entries } = await this.#ticket(ticketId)
    const target = action === 'status_change' ? stateOf(ticket, value) : await this.#person(value)
    const same = target === (action === 'status_change' ? ticket.state.id : (ticket.assignee?.id ?? null))
    const [at = ''] = entries
      .map(({ updatedAt }) => updatedAt)
      .sort()
      .reverse()
    const ids = entries.filter(({ updatedAt }) => updatedAt === at).map(({ id }) => id)
    return JSON.stringify({ issue: ticket.id, target, same, at, ids } satisfies Marked)
  }

  async apply(change: Change, mark: Mark, again: boolean): Promise<Outcome> {
    if (change.action === 'comment') return this.#comment(change)
    const known = JSON.parse(mark) as Marked
    if (known.same) return 'same'
    if (again && (await this.#isMade(change, known))) return 'found'
    const { issue, target } = known
    const set = change.action === 'status_change' ? { stateId: target as string } : { assigneeId: target }
    accepted(await this.#linear.call((client) => client.updateIssue(issue, set)))
    return 'changed'
  }

  async #comment({ clientId: id, ticketId, userId, value }: Change): Promise<Outcome> {
    const input = { id, issueId: ticketId, body: `${value}\n\n_${userId}_` }
    return once(
      () => this.#linear.call((client) => client.createComment(input)),
      async () => {
        const { comments } = await this.#linear.query<{ comments: { nodes: unknown[] } }>(FIND_COMMENT, { id })
        return comments.nodes.length > 0
      },
    )
  }

  /** Whether the ticket became what was wanted since it was looked at. */
  async #isMade({ action }: Change, { issue, target, at, ids }: Marked): Promise<boolean> {
    const { ticket, entries } = await this.#ticket(issue)
    const isState = action === 'status_change'
    if (target === (isState ? ticket.state.id : (ticket.assignee?.id ?? null))) return true
    return entries.some((entry) => {
      const isNew = entry.updatedAt > at || (entry.updatedAt === at && !ids.includes(entry.id))
      if (!isNew) return false
      if (isState) return entry.toStateId === target
      return target === null ? !entry.toAssigneeId && Boolean(entry.fromAssigneeId) : entry.toAssigneeId === target
    })
  }

  /** With its whole history, whichever way round it comes. */
  async #ticket(id: string): Promise<{ ticket: LinearTicket; entries: readonly Entry[] }> {
    const entries: Entry[] = []
    let ticket: LinearTicket | undefined
    let after: string | null | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const { issue } = await this.#linear.query<{ issue: LinearTicket }>(TICKET, { id, first: PAGE, after })
      ticket ??= issue
      entries.push(...issue.history.nodes)
      if (!issue.history.pageInfo.hasNextPage) break
      after = issue.history.pageInfo.endCursor
    }
    return { ticket: ticket as LinearTicket, entries }
  }

  async #person(value: string): Promise<string | null> {
    if (value === NOBODY) return null
    const names = ['email', 'displayName', 'name'].map((field) => ({ [field]: { eqIgnoreCase: value } }))
    const filter = UUID.test(value) ? { id: { eq: value } } : { or: names }
    const { users } = await this.#linear.query<{ users: { nodes: { id: string }[] } }>(PERSON, { filter })
    const [found, another] = users.nodes
    if (found && !another) return found.id
    const what = found ? `more than one person called "${value}": name one by email` : `nobody called "${value}"`
    throw new ServiceError('SERVICE_NOT_FOUND', `Linear has ${what}`, { details: { person: value } })
  }

  #ownTeam(): Promise<string> {
    this.#team ??= this.#linear.query<{ team: { id: string } }>(TEAM, { id: this.#teamId }).then(({ team }) => team.id)
    return this.#team
  }
}

/** What each type of state is called by people who do not know a team's own names. */
const TYPES: Readonly<Record<string, string>> = {
  todo: 'unstarted',
  inprogress: 'started',
  started: 'started',
  done: 'completed',
  completed: 'completed',
  canceled: 'canceled',
  cancelled: 'canceled',
  backlog: 'backlog',
  triage: 'triage',
}

/** By id, by name (`in_progress` is `In Progress`), or the first of the type that the name means. */
function stateOf({ team }: LinearTicket, value: string): string {
  const { nodes } = team.states
  const wanted = plain(value)
  const found =
    nodes.find(({ id }) => id === value) ??
    nodes.find(({ name }) => plain(name) === wanted) ??
    nodes.find(({ type }) => type === TYPES[wanted])
  if (found) return found.id
  const names = nodes.map(({ name }) => name).join(', ')
  throw new ServiceError('SERVICE_NOT_FOUND', `the ticket's team has no state "${value}", only ${names}`, {
    details: { state: value },
  })
}

const plain = (name: string): string => name.toLowerCase().replace(/[\s_-]+/g, '')

/** Makes something under an id of our own. Refused, it may be there already: then it was made by an earlier attempt. */
async function once(
  make: () => Promise<{ readonly success: boolean }>,
  isMade: () => Promise<boolean>,
): Promise<Outcome> {
  try {
    accepted(await make())
    return 'changed'
  } catch (error) {
    const isRefused = error instanceof ServiceError && error.code === 'SERVICE_REFUSED'
    if (!isRefused || !(await isMade())) throw error
    return 'found'
  }
}

function accepted({ success }: { readonly success: boolean }): void {
  if (!success) throw new ServiceError('SERVICE_REFUSED', 'Linear has answered that the call did not succeed')
}
