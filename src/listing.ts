// Sessions as users list them, what they can be filtered by, and the groups that answer a filter.

import type { Position } from './record.js'
import type { Attributes, ForkOrigin, IndexEntry, Owner, Parent, SessionStatus, StateValue } from './state.js'
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
  /** Whose it is, if that was told when it was created. */
  readonly owner?: Owner
  /** Why it runs no more until it is released. */
  readonly quarantine?: Quarantine
  /** How many dead letters it has, if any. */
  readonly deadLetters?: number
  readonly createdAt: string
  readonly updatedAt: string
}

/** The tag of a state in which a session waits for somebody to decide. */
export const WAITS_FOR_PERSON = 'waits-for-person'

export interface SessionFilter {
  readonly kind?: string
  readonly status?: SessionStatus
  /** The id of the session whose children are asked for. */
  readonly parent?: string
  /** The id of the session whose forks are asked for. */
  readonly origin?: string
  /** The organization whose sessions are asked for. */
  readonly organization?: string
  /** Only those that are quarantined. */
  readonly quarantined?: true
  /** Only those that have dead letters. */
  readonly deadLetters?: true
  /** Only those in a state that has this tag; whoever has no kinds knows no tags. */
  readonly tag?: string
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
  const { id, kind, version, seq, position, status, value, attributes, parent, origin, owner, createdAt, updatedAt } =
    entry
  const { quarantine, deadLetters } = entry
  const from = { ...(parent && { parent }), ...(origin && { origin }), ...(owner && { owner }) }
  const of = { ...from, ...(quarantine && { quarantine }), ...(deadLetters && { deadLetters }) }
  return { id, kind, version, seq, position, status, value, attributes, ...of, createdAt, updatedAt }
}

/** Hears of a group: all that have this `value` of `name`. */
type Visit = (name: string, value: unknown) => void

/** Attributes are kept apart from `kind` and `status`, which a user may also index. */
export function attributeGroups(attributes: Attributes, visit: Visit): void {
  for (const name of Object.keys(attributes)) visit(`.${name}`, attributes[name])
}

export function troubleGroups({ quarantine, deadLetters }: Known, visit: Visit): void {
  if (quarantine) visit('quarantined', true)
  if (deadLetters !== undefined) visit('deadLetters', true)
}

/** The groups that a session is in. */
export function groupsOf(entry: Known, visit: Visit): void {
  visit('kind', entry.kind)
  visit('status', entry.status)
  if (entry.parent) visit('parent', entry.parent.session)
  if (entry.origin) visit('origin', entry.origin.session)
  if (entry.owner?.organization !== undefined) visit('organization', entry.owner.organization)
  troubleGroups(entry, visit)
  attributeGroups(entry.attributes, visit)
}

/** The groups in all of which whatever matches a filter is. */
export function groupsFor(filter: SessionFilter, visit: Visit): void {
  const { quarantined, deadLetters, kind, status, parent, origin, organization, where = {} } = filter
  if (quarantined) visit('quarantined', true)
  if (deadLetters) visit('deadLetters', true)
  if (kind !== undefined) visit('kind', kind)
  if (status !== undefined) visit('status', status)
  if (parent !== undefined) visit('parent', parent)
  if (origin !== undefined) visit('origin', origin)
  if (organization !== undefined) visit('organization', organization)
  attributeGroups(where, visit)
}
