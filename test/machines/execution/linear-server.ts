// Linear as the execution kind uses it, on the loopback interface: beside what planning needs it has states, people, comments,
// open tickets in pages, and the history of a ticket. It remembers what was set and made, and by which call.

import { type Answer, type Call, data, LinearServer, refused, TEAM } from '../planning/linear-server.js'

export { type Answer, type Call, type Fault, KEY, TEAM } from '../planning/linear-server.js'

export interface HistoryEntry {
  readonly id: string
  readonly updatedAt: string
  readonly fromStateId?: string
  readonly toStateId?: string
  readonly fromAssigneeId?: string | null
  readonly toAssigneeId?: string | null
}

interface ServedTicket {
  readonly id: string
  readonly identifier: string
  readonly title: string
  readonly priority: number
  stateId: string
  assigneeId: string | null
  readonly history: HistoryEntry[]
}

export const STATES = [
  { id: 'state-backlog', name: 'Backlog', type: 'backlog' },
  { id: 'state-todo', name: 'Todo', type: 'unstarted' },
  { id: 'state-progress', name: 'In Progress', type: 'started' },
  { id: 'state-review', name: 'In Review', type: 'started' },
  { id: 'state-done', name: 'Done', type: 'completed' },
  { id: 'state-canceled', name: 'Canceled', type: 'canceled' },
] as const
export const PEOPLE = [
  { id: '11111111-1111-4111-8111-111111111111', name: 'Ada Lovelace', displayName: 'ada', email: 'ada@acme.test' },
  { id: '22222222-2222-4222-8222-222222222222', name: 'Ben Franklin', displayName: 'ben', email: 'ben@acme.test' },
  { id: '33333333-3333-4333-8333-333333333333', name: 'Ben Stiller', displayName: 'stiller', email: 'bs@acme.test' },
] as const

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export class TicketServer extends LinearServer {
  readonly tickets: Map<string, ServedTicket> = new Map()
  readonly comments: Map<string, { readonly issueId: string; readonly body: string }> = new Map()
  /** What happened to tickets, in order: one line for each change that was acted on. */
  readonly acts: string[] = []
  /** Told of each change to a ticket, once it was acted on. */
  acted: (ticket: string) => void = () => {}
  /** How many entries of a list a page has. */
  pageSize = 2
  #now = Date.parse('2030-01-01T00:00:00.000Z')

  addTicket(
    identifier: string,
    more: { title?: string; priority?: number; state?: string; assignee?: string } = {},
  ): string {
    const id = `aaaaaaaa-0000-4000-8000-${String(this.tickets.size).padStart(12, '0')}`
    const { title = `Ticket ${identifier}`, priority = 0, state = 'state-todo', assignee = null } = more
    this.tickets.set(id, { id, identifier, title, priority, stateId: state, assigneeId: assignee, history: [] })
    return id
  }

  ticket(idOrIdentifier: string): ServedTicket | undefined {
    return (
      this.tickets.get(idOrIdentifier) ??
      [...this.tickets.values()].find((each) => each.identifier === idOrIdentifier) ??
      this.#planned(idOrIdentifier)
    )
  }

  /** An issue that was made here is a ticket as soon as somebody asks for it. */
  #planned(issueId: string): ServedTicket | undefined {
    const issue = this.issues.get(issueId)
    if (!issue) return undefined
    const { id, identifier, title, priority = 0 } = issue
    const ticket = { id, identifier, title, priority, stateId: 'state-todo', assigneeId: null, history: [] }
    this.tickets.set(id, ticket)
    return ticket
  }

  /** Somebody else changes a ticket. */
  set(idOrIdentifier: string, set: { stateId?: string; assigneeId?: string | null }): void {
    const ticket = this.ticket(idOrIdentifier)
    if (!ticket) throw new Error(`no ticket ${idOrIdentifier}`)
    this.#now++
    const updatedAt = new Date(this.#now).toISOString()
    const id = `h-${ticket.identifier}-${ticket.history.length + 1}`
    if (set.stateId !== undefined && set.stateId !== ticket.stateId) {
      ticket.history.push({ id, updatedAt, fromStateId: ticket.stateId, toStateId: set.stateId })
      ticket.stateId = set.stateId
    }
    if (set.assigneeId !== undefined && set.assigneeId !== ticket.assigneeId) {
      ticket.history.push({ id: `${id}a`, updatedAt, fromAssigneeId: ticket.assigneeId, toAssigneeId: set.assigneeId })
      ticket.assigneeId = set.assigneeId
    }
  }

  protected override act(call: Call): Answer {
    const { field, variables } = call
    const refuse = (message: string): Answer =>
      refused(call, this.refusalStatus, 'invalid input', 'INPUT_ERROR', message)
    switch (field) {
      case 'issue': {
        const ticket = this.ticket(variables.id)
        return ticket ? data({ issue: this.#shown(ticket, variables) }) : refuse('Entity not found: Issue')
      }
      case 'issues': {
        if (variables.ids !== undefined) return super.act(call)
        if (variables.team === undefined) {
          const nodes = [variables.id].flatMap((id) => (this.issues.has(id) ? [{ id }] : []))
          return data({ issues: { nodes } })
        }
        if (variables.team !== TEAM) return data({ issues: page([], variables, this.pageSize) })
        return data({ issues: page(this.#open(), variables, this.pageSize) })
      }
      case 'users':
        return data({
          users: { nodes: PEOPLE.filter((person) => matches(person, variables.filter)).map(({ id }) => ({ id })) },
        })
      case 'comments':
        return data({ comments: { nodes: this.comments.has(variables.id) ? [{ id: variables.id }] : [] } })
      case 'commentCreate':
        return this.#comment(variables.input, refuse)
      case 'issueUpdate':
        if (variables.input.parentId !== undefined) return super.act(call)
        return this.#update(variables.id, variables.input, refuse)
      default:
        return super.act(call)
    }
  }

  #open(): object[] {
    const open = [...this.tickets.values()].filter(
      ({ stateId }) => !['completed', 'canceled'].includes(typeOf(stateId)),
    )
    const plans = this.made
      .filter(({ id }) => !this.tickets.has(id))
      .map(({ id, title }) => ({
        id,
        title,
        identifier: `ENG-P${id.slice(0, 4)}`,
        priority: 0,
        stateId: 'state-todo',
        assigneeId: null,
      }))
    return [...open, ...plans].map(({ id, identifier, title, priority, stateId, assigneeId }) => {
      const person = PEOPLE.find((each) => each.id === assigneeId)
      const state = { name: STATES.find((each) => each.id === stateId)?.name }
      return {
        ...{ id, identifier, title, priority, state },
        assignee: person ? { id: person.id, name: person.name } : null,
      }
    })
  }

  #shown({ id, stateId, assigneeId, history }: ServedTicket, variables: Record<string, any>): object {
    return {
      id,
      state: { id: stateId },
      assignee: assigneeId ? { id: assigneeId } : null,
      team: { states: { nodes: STATES } },
      history: page([...history].reverse(), variables, this.pageSize),
    }
  }

  #comment({ id, issueId, body }: Record<string, any>, refuse: (message: string) => Answer): Answer {
    if (!UUID_V4.test(id)) return refuse('id must be a UUID')
    if (this.comments.has(id)) return refuse('conflict on insert of Comment')
    const ticket = this.ticket(issueId)
    if (!ticket) return refuse('Entity not found: Issue')
    this.comments.set(id, { issueId: ticket.id, body })
    this.acts.push(`${ticket.identifier} comment ${body.split('\n')[0]}`)
    return data({ commentCreate: { success: true, lastSyncId: 1, comment: { id } } })
  }

  #update(id: string, input: Record<string, any>, refuse: (message: string) => Answer): Answer {
    const ticket = this.ticket(id)
    if (!ticket) return refuse('Entity not found: Issue')
    const { stateId, assigneeId } = input
    if (stateId !== undefined && !STATES.some((state) => state.id === stateId)) return refuse('Entity not found: State')
    if (assigneeId && !PEOPLE.some((person) => person.id === assigneeId)) return refuse('Entity not found: User')
    this.set(id, { stateId, assigneeId })
    this.acts.push(`${ticket.identifier} ${stateId === undefined ? `assignee ${assigneeId}` : `state ${stateId}`}`)
    this.acted(ticket.id)
    return data({ issueUpdate: { success: true, lastSyncId: 1, issue: { id: ticket.id } } })
  }
}

const typeOf = (id: string): string => STATES.find((state) => state.id === id)?.type ?? ''

function page(nodes: readonly object[], { first, after }: Record<string, any>, size: number): object {
  const start = Number(after ?? 0)
  const end = start + Math.min(first, size)
  return { nodes: nodes.slice(start, end), pageInfo: { hasNextPage: end < nodes.length, endCursor: String(end) } }
}

/** `{ id: { eq } }`, `{ or: [{ name: { eqIgnoreCase } }] }`. */
function matches(person: Record<string, any>, filter: Record<string, any>): boolean {
  return Object.entries(filter).every(([field, test]) => {
    if (field === 'or') return test.some((each: Record<string, any>) => matches(person, each))
    if (test.eq !== undefined) return person[field] === test.eq
    return person[field].toLowerCase() === test.eqIgnoreCase.toLowerCase()
  })
}
