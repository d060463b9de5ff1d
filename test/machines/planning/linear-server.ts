// A Linear on the loopback interface: the operations that planning uses, with their rules (ids are UUIDs and unique, what is
// named must be there, no circles), its key, its errors and its limits. It remembers every call and everything made.

import { type Answer, type Asked, Loopback } from '../loopback.js'

export type { Answer } from '../loopback.js'

export interface Call {
  readonly field: string
  readonly variables: Record<string, any>
  /** What became of it: `ok`, or why it was refused or lost. */
  outcome: string
}

export interface MadeIssue {
  readonly id: string
  readonly identifier: string
  readonly teamId: string
  readonly title: string
  readonly description: string
  readonly labelIds: readonly string[]
  readonly priority?: number
  readonly estimate?: number
  parentId?: string
}

interface Label {
  readonly id: string
  readonly name: string
  readonly teamId?: string
  readonly isGroup: boolean
}

/** What happens to a call: it is acted on or not, and then answered, refused, or never answered. */
export type Fault = 'rate limit' | 'unavailable' | 'lost answer' | 'silence' | 'not json' | 'cut off'

export const TEAM = '0b0f9aa4-8c09-4a34-9e0f-0c6a1d6a5c11'
export const KEY = 'lin_api_right'
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export class LinearServer extends Loopback {
  readonly calls: Call[] = []
  readonly issues: Map<string, MadeIssue> = new Map()
  readonly relations: Map<string, { type: string; issueId: string; relatedIssueId: string }> = new Map()
  readonly labels: Map<string, Label> = new Map()
  /** The key that it accepts. */
  key: string = KEY
  team = {
    key: 'ENG',
    issueEstimationType: 'fibonacci',
    issueEstimationExtended: false,
    issueEstimationAllowZero: false,
  }
  /** Asked before each call. */
  faultOf: (call: Call) => Fault | undefined = () => undefined
  /** For the header that says when the limit is reset, in ms from now. */
  resetMs = 90_000
  /** Some answers to a wrong input come with 200. */
  refusalStatus = 400

  get made(): readonly MadeIssue[] {
    return [...this.issues.values()]
  }

  callsTo(field: string): readonly Call[] {
    return this.calls.filter((call) => call.field === field)
  }

  addLabel(name: string, more: Partial<Label> = {}): string {
    const id = `00000000-0000-4000-8000-${String(this.labels.size).padStart(12, '0')}`
    this.labels.set(id, { id, name, isGroup: false, ...more })
    return id
  }

  protected override answer({ authorization, body }: Asked): Answer | 'cut off' | 'silence' {
    const { query, variables = {} } = JSON.parse(body) as { query: string; variables?: Record<string, any> }
    const call: Call = { field: /\{\s*(\w+)/.exec(query)?.[1] ?? '', variables, outcome: 'ok' }
    this.calls.push(call)
    if (authorization !== this.key)
      return refused(call, 401, 'authentication error', 'AUTHENTICATION_ERROR', 'Authentication required')
    const fault = this.faultOf(call)
    if (fault) call.outcome = fault
    if (fault === 'rate limit') return this.#limited(call)
    if (fault === 'unavailable') return { status: 503, body: 'upstream connect error' }
    if (fault === 'not json')
      return { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Maintenance</h1>' }
    if (fault === 'silence' || fault === 'cut off') return fault
    const answer = this.act(call)
    return fault === 'lost answer' ? 'cut off' : answer
  }

  override listen(): Promise<string> {
    return super.listen('/graphql')
  }

  #limited(call: Call): Answer {
    return {
      ...refused(call, 400, 'ratelimited', 'RATELIMITED', 'Rate limit exceeded'),
      headers: {
        'x-ratelimit-requests-limit': '1500',
        'x-ratelimit-requests-remaining': '0',
        'x-ratelimit-requests-reset': String(Date.now() + this.resetMs),
        'x-ratelimit-complexity-remaining': '1000',
        'x-ratelimit-complexity-reset': String(Date.now() + 3_600_000),
      },
    }
  }

  /** What it does of itself; whoever needs more of it extends this. */
  protected act(call: Call): Answer {
    const { field, variables } = call
    const refuse = (message: string): Answer =>
      refused(call, this.refusalStatus, 'invalid input', 'INPUT_ERROR', message)
    switch (field) {
      case 'team':
        if (variables.id !== TEAM && variables.id !== this.team.key) return refuse('Entity not found: Team')
        return data({ team: { id: TEAM, name: 'Engineering', ...this.team } })
      case 'issues': {
        const ids: string[] = variables.ids
        return data({ issues: { nodes: ids.filter((id) => this.issues.has(id)).map((id) => ({ id })) } })
      }
      case 'issueRelation':
        if (!this.relations.has(variables.id)) return refuse('Entity not found: IssueRelation')
        return data({ issueRelation: { id: variables.id } })
      case 'issueLabels': {
        const nodes = [...this.labels.values()].filter(
          ({ teamId }) => teamId === undefined || teamId === variables.team,
        )
        const start = Number(variables.after ?? 0)
        const end = start + Math.min(variables.first, 2) // pages are small, so that there are several
        const pageInfo = { hasNextPage: end < nodes.length, endCursor: String(end) }
        return data({ issueLabels: { nodes: nodes.slice(start, end), pageInfo } })
      }
      case 'issueLabelCreate':
        return this.#createLabel(variables.input, refuse)
      case 'issueCreate':
        return this.createIssue(variables.input, refuse)
      case 'issueUpdate':
        return this.#updateIssue(variables.id, variables.input, refuse)
      case 'issueRelationCreate':
        return this.#createRelation(variables.input, refuse)
      default:
        return refuse(`no such field: ${field}`)
    }
  }

  #createLabel({ id, name, teamId }: Record<string, any>, refuse: (message: string) => Answer): Answer {
    const same = [...this.labels.values()].some((label) => label.name.toLowerCase() === name.toLowerCase())
    if (this.labels.has(id) || same) return refuse('duplicate label name')
    if (!UUID_V4.test(id)) return refuse('id must be a UUID')
    this.labels.set(id, { id, name, teamId, isGroup: false })
    return data({ issueLabelCreate: { success: true, lastSyncId: 1, issueLabel: { id } } })
  }

  protected createIssue(input: Record<string, any>, refuse: (message: string) => Answer): Answer {
    const { id, title, teamId, labelIds = [], priority, estimate } = input
    if (!UUID_V4.test(id)) return refuse('id must be a UUID')
    if (this.issues.has(id)) return refuse('conflict on insert of Issue')
    if (teamId !== TEAM) return refuse('Entity not found: Team')
    if (typeof title !== 'string' || title.trim() === '' || title.length > 255)
      return refuse('title must be 1 to 255 characters')
    if (labelIds.some((label: string) => !this.labels.has(label) || this.labels.get(label)?.isGroup))
      return refuse('labelIds')
    if (priority !== undefined && ![0, 1, 2, 3, 4].includes(priority)) return refuse('priority must be 0 to 4')
    if (estimate !== undefined && (!Number.isInteger(estimate) || this.team.issueEstimationType === 'notUsed'))
      return refuse('estimate')
    this.issues.set(id, { ...(input as MadeIssue), identifier: `ENG-${this.issues.size + 1}` })
    return data({ issueCreate: { success: true, lastSyncId: 1, issue: { id } } })
  }

  #updateIssue(id: string, { parentId }: { parentId?: string }, refuse: (message: string) => Answer): Answer {
    const issue = this.issues.get(id)
    if (!issue) return refuse('Entity not found: Issue')
    if (parentId !== undefined) {
      if (!this.issues.has(parentId)) return refuse('Entity not found: parent')
      for (let above: string | undefined = parentId; above; above = this.issues.get(above)?.parentId) {
        if (above === id) return refuse('circular parent')
      }
      issue.parentId = parentId
    }
    return data({ issueUpdate: { success: true, lastSyncId: 1, issue: { id } } })
  }

  #createRelation(
    { id, type, issueId, relatedIssueId }: Record<string, any>,
    refuse: (message: string) => Answer,
  ): Answer {
    if (!UUID_V4.test(id) || this.relations.has(id)) return refuse('conflict on insert of IssueRelation')
    if (!this.issues.has(issueId) || !this.issues.has(relatedIssueId)) return refuse('Entity not found: Issue')
    this.relations.set(id, { type, issueId, relatedIssueId })
    return data({ issueRelationCreate: { success: true, lastSyncId: 1, issueRelation: { id } } })
  }
}

export const data = (value: unknown): Answer => ({ status: 200, body: JSON.stringify({ data: value }) })

export function refused(call: Call, status: number, type: string, code: string, message: string): Answer {
  call.outcome = message
  const extensions = { type, code, statusCode: status, userError: true, userPresentableMessage: message }
  return { status, body: JSON.stringify({ errors: [{ message, path: [call.field], extensions }], data: null }) }
}
