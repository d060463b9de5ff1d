// The tracker in Linear. Every issue, label and relation is made under a UUID that is derived from what it is for, so that
// making it again, after a crash or when no answer came, is refused by Linear; a refusal is followed by the question
// whether the thing is there, and then it counts as made. An issue's id here is that UUID: it never changes.

import { type Linear, type LinearOptions, type LinearRefusal, openLinear } from '../../services/linear.js'
import type { NewIssue, Tracker, TrackerConfig } from '../tracker.js'
import { TrackerError } from '../tracker.js'
import { LinearLabels } from './linear/labels.js'
import { type Estimation, estimateOn, labelsOf, PRIORITIES, textsOf } from './linear/values.js'
import { uuidOf } from './uuid.js'

/** The tracker of a team in Linear. Rejects with TRACKER_NOT_INSTALLED or TRACKER_NOT_CONFIGURED. */
export async function openLinearTracker(
  { teamId }: TrackerConfig & { kind: 'linear' },
  options: LinearOptions & { readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Tracker> {
  if (teamId === '') {
    const details = { variable: 'LINEAR_TEAM_ID' }
    throw new TrackerError('TRACKER_NOT_CONFIGURED', 'no team of Linear was named: set LINEAR_TEAM_ID', { details })
  }
  return new LinearTracker(await openLinear(options.env ?? process.env, refusal, options), teamId)
}

const refusal: LinearRefusal = (failing, message, options) => new TrackerError(`TRACKER_${failing}`, message, options)

const FOUND_AT_A_TIME = 100
const FIND = `query findIssues($ids: [ID!]!, $first: Int!) {
  issues(filter: { id: { in: $ids } }, first: $first, includeArchived: true) { nodes { id } }
}`
const FIND_RELATION = 'query findRelation($id: String!) { issueRelation(id: $id) { id } }'

interface Team extends Estimation {
  readonly id: string
}

class LinearTracker implements Tracker {
  readonly parallel: number = 4
  readonly #linear: Linear
  readonly #teamId: string
  /** Asked for once, when the first issue is made. */
  #team: Promise<{ team: Team; labels: LinearLabels }> | undefined

  constructor(linear: Linear, teamId: string) {
    this.#linear = linear
    this.#teamId = teamId
  }

  async find(clientIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>()
    for (let start = 0; start < clientIds.length; start += FOUND_AT_A_TIME) {
      const ids = clientIds.slice(start, start + FOUND_AT_A_TIME)
      const { issues } = await this.#linear.query<{ issues: { nodes: { id: string }[] } }>(FIND, {
        ids,
        first: FOUND_AT_A_TIME,
      })
      for (const { id } of issues.nodes) found.set(id, id)
    }
    return found
  }

  async create(issue: NewIssue): Promise<{ readonly id: string }> {
    const id = issue.clientId
    const { team, labels } = await this.#opened()
    const estimate = issue.estimate === undefined ? undefined : estimateOn(team, issue.estimate)
    const input = {
      id,
      teamId: team.id,
      ...textsOf(issue, estimate),
      labelIds: await labels.idsOf(labelsOf(issue)),
      ...(issue.priority && { priority: PRIORITIES[issue.priority] }),
      ...(estimate !== undefined && { estimate }),
    }
    await once(
      () => this.#linear.call((client) => client.createIssue(input)),
      async () => (await this.find([id])).has(id),
    )
    return { id }
  }

  async link(childId: string, parentId: string): Promise<void> {
    accepted(await this.#linear.call((client) => client.updateIssue(childId, { parentId })))
  }

  async depend(waitingId: string, onId: string): Promise<void> {
    const id = uuidOf(`${onId} blocks ${waitingId}`)
    const type = 'blocks' as import('@linear/sdk').IssueRelationType
    const input = { id, type, issueId: onId, relatedIssueId: waitingId }
    await once(
      () => this.#linear.call((client) => client.createIssueRelation(input)),
      () => this.#linear.query(FIND_RELATION, { id }).then(() => true, isThere),
    )
  }

  #opened(): Promise<{ team: Team; labels: LinearLabels }> {
    this.#team ??= this.#open()
    return this.#team
  }

  async #open(): Promise<{ team: Team; labels: LinearLabels }> {
    const { id, issueEstimationType, issueEstimationExtended, issueEstimationAllowZero } = await this.#linear.call(
      (client) => client.team(this.#teamId),
    )
    const team = { id, issueEstimationType, issueEstimationExtended, issueEstimationAllowZero }
    return { team, labels: await LinearLabels.of(this.#linear, id) }
  }
}

/** A question that was refused found nothing; one that failed found out nothing. */
function isThere(error: unknown): false {
  if (error instanceof TrackerError && error.code === 'TRACKER_REFUSED') return false
  throw error
}

/** Makes something under an id of our own. Refused, it may be there already: then it was made by an earlier attempt. */
async function once(make: () => Promise<{ readonly success: boolean }>, isMade: () => Promise<boolean>): Promise<void> {
  try {
    accepted(await make())
  } catch (error) {
    const isRefused = error instanceof TrackerError && error.code === 'TRACKER_REFUSED'
    if (!isRefused || !(await isMade())) throw error
  }
}

function accepted({ success }: { readonly success: boolean }): void {
  if (!success) throw new TrackerError('TRACKER_REFUSED', 'Linear has answered that the call did not succeed', {})
}
