// The labels of a team in Linear, by name: found, or made when first needed, under an id derived from team and name, so that
// two that need the same one at the same moment make it once. Names count without their case, as in Linear.
// A group of labels cannot be on an issue; a label with its name cannot be made either, and is left out.

import type { Linear } from '../../../services/linear.js'
import { TrackerError } from '../../tracker.js'
import { uuidOf } from '../uuid.js'

const PAGE = 250
const MOST_PAGES = 40
const LONGEST_NAME = 80
const LABELS = `query labelsOfTeam($team: ID!, $first: Int!, $after: String) {
  issueLabels(filter: { or: [{ team: { id: { eq: $team } } }, { team: { null: true } }] }, first: $first, after: $after) {
    nodes { id name isGroup }
    pageInfo { hasNextPage endCursor }
  }
}`

interface Page {
  readonly issueLabels: {
    readonly nodes: readonly { readonly id: string; readonly name: string; readonly isGroup: boolean }[]
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor?: string | null }
  }
}

export class LinearLabels {
  readonly #linear: Linear
  readonly #teamId: string
  /** By name in lower case; no id for a group. */
  #ids: Map<string, Promise<string | undefined>> = new Map()

  private constructor(linear: Linear, teamId: string) {
    this.#linear = linear
    this.#teamId = teamId
  }

  static async of(linear: Linear, teamId: string): Promise<LinearLabels> {
    const labels = new LinearLabels(linear, teamId)
    for (const [name, id] of await labels.#read()) labels.#ids.set(name, Promise.resolve(id))
    return labels
  }

  /** Each id once. */
  async idsOf(names: readonly string[]): Promise<string[]> {
    const ids = await Promise.all(names.map((name) => this.#idOf(name.slice(0, LONGEST_NAME).trim())))
    return [...new Set(ids.filter((id) => id !== undefined))]
  }

  #idOf(name: string): Promise<string | undefined> {
    const key = name.toLowerCase()
    const known = this.#ids.get(key)
    if (known) return known
    const made = this.#make(name)
    this.#ids.set(key, made)
    return made
  }

  /** What was refused may have been made by somebody else meanwhile. */
  async #make(name: string): Promise<string | undefined> {
    const key = name.toLowerCase()
    const id = uuidOf(`label ${key} of team ${this.#teamId}`)
    try {
      await this.#linear.call((client) => client.createIssueLabel({ id, name, teamId: this.#teamId }))
      return id
    } catch (error) {
      if (!(error instanceof TrackerError && error.code === 'TRACKER_REFUSED')) throw error
      const there = await this.#read()
      if (!there.has(key)) throw error
      return there.get(key)
    }
  }

  async #read(): Promise<Map<string, string | undefined>> {
    const found = new Map<string, string | undefined>()
    let after: string | null | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const { issueLabels } = await this.#linear.query<Page>(LABELS, { team: this.#teamId, first: PAGE, after })
      for (const { id, name, isGroup } of issueLabels.nodes) found.set(name.toLowerCase(), isGroup ? undefined : id)
      if (!issueLabels.pageInfo.hasNextPage) break
      after = issueLabels.pageInfo.endCursor
    }
    return found
  }
}
