// Sessions as users list them, what they can be filtered by, and the groups that answer a filter.

import type { Position } from './record.js'
import type { Attributes, ForkOrigin, IndexEntry, Parent, SessionStatus, StateValue } from './state.js'
import type { Quarantine } from './trouble.js'

/** One session, as listed. */
export interface SessionEntry {
  readonly id: string
  readonly kind: string
  readonly version: number
  readonly seq: number
  readonly position: Position
  readonly status: SessionStatus
  readonly value: StateValue
  readonly attributes: Attributes
  /** Whose child it is. */
  readonly parent?: Parent
  /** What it was forked from. */
  readonly origin?: ForkOrigin
  /** Why it runs no more until it is released. */
  readonly quarantine?: Quarantine
  /** How many dead letters it has, if any. */
  readonly deadLetters?: number
  readonly createdAt: string
  readonly updatedAt: string
}

export interface SessionFilter {
  readonly kind?: string
  readonly status?: SessionStatus
  /** The id of the session whose children are asked for. */
  readonly parent?: string
  /** The id of the session whose forks are asked for. */
  readonly origin?: string
  /** Only those that are quarantined. */
  readonly quarantined?: true
  /** Only those that have dead letters. */
  readonly deadLetters?: true
  /** Indexed attributes, all of which must be equal. */
  readonly where?: Attributes
}

/** A session that crashed too often. */
export interface Quarantined extends Quarantine {
  readonly id: string
  readonly kind: string
}

export interface SessionPage {
  readonly sessions: readonly SessionEntry[]
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string
}

export interface SessionStats {
  readonly total: number
  readonly active: number
  readonly done: number
  readonly error: number
  readonly stopped: number
}

/** What is known of one session; what it still has to do is told by `entries` and `withWork`. */
export type Known = Omit<IndexEntry, 'work'>

/** An entry as it is listed. */
export const shown = (entry: Known): SessionEntry => {
  const { id, kind, version, seq, position, status, value, attributes, parent, origin, createdAt, updatedAt } = entry
  const { quarantine, deadLetters } = entry
  const from = { ...(parent && { parent }), ...(origin && { origin }) }
  const of = { ...from, ...(quarantine && { quarantine }), ...(deadLetters && { deadLetters }) }
  return { id, kind, version, seq, position, status, value, attributes, ...of, createdAt, updatedAt }
}

export const groupName = (name: string, value: unknown): string => `${name}=${JSON.stringify(value)}`

/** Attributes are kept apart from `kind` and `status`, which a user may also index. */
export const attributeGroups = (attributes: Attributes): string[] =>
  Object.entries(attributes).map(([name, value]) => groupName(`.${name}`, value))

const QUARANTINED = 'quarantined'
const DEAD_LETTERS = 'deadLetters'

export const troubleGroups = ({ quarantine, deadLetters }: Known): string[] => [
  ...(quarantine ? [QUARANTINED] : []),
  ...(deadLetters === undefined ? [] : [DEAD_LETTERS]),
]

export const groupsOf = (entry: Known): string[] => [
  groupName('kind', entry.kind),
  groupName('status', entry.status),
  ...(entry.parent ? [groupName('parent', entry.parent.session)] : []),
  ...(entry.origin ? [groupName('origin', entry.origin.session)] : []),
  ...troubleGroups(entry),
  ...attributeGroups(entry.attributes),
]

export const groupNames = ({
  kind,
  status,
  parent,
  origin,
  quarantined,
  deadLetters,
  where = {},
}: SessionFilter): string[] => [
  ...(quarantined ? [QUARANTINED] : []),
  ...(deadLetters ? [DEAD_LETTERS] : []),
  ...(kind === undefined ? [] : [groupName('kind', kind)]),
  ...(status === undefined ? [] : [groupName('status', status)]),
  ...(parent === undefined ? [] : [groupName('parent', parent)]),
  ...(origin === undefined ? [] : [groupName('origin', origin)]),
  ...attributeGroups(where),
]
