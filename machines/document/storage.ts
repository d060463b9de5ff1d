// Where documents may be kept instead of in the runtime: two small interfaces for a caller's own database, and the same in
// memory. What is given is the truth; the machine only decides what may happen to it.

import { HoldfastError } from 'holdfast'
import type { DocumentStatus } from './machine.js'
import type { PlanningSession, PlanningVersion } from './session.js'

export interface SessionFilters {
  readonly status?: DocumentStatus | readonly DocumentStatus[]
  readonly repository_path?: string
  readonly repository_url?: string
  readonly project_id?: string
  readonly created_after?: Date
  readonly created_before?: Date
  readonly updated_after?: Date
  readonly has_content?: boolean
  /** How many at most; default: all. */
  readonly limit?: number
  /** Where the last page said that more begin. */
  readonly cursor?: string
}

/** Documents without their earlier versions. Each method rejects when the storage fails; nothing is retried. */
export interface PlanningSessionStorage {
  /** Stores it under its id, in place of what was there. */
  save(session: PlanningSession): Promise<void>
  /** Null when there is none. */
  get(id: string): Promise<PlanningSession | null>
  /** Those that match; `limit` and `cursor` are not passed. */
  query(filters: SessionFilters): Promise<PlanningSession[]>
  /** Does nothing when there is none. */
  delete(id: string): Promise<void>
}

/** Each method rejects when the storage fails; nothing is retried. */
export interface PlanningVersionStorage {
  /** Stores it under its session and number, in place of what was there. */
  save(version: PlanningVersion): Promise<void>
  get(session_id: string, version_number: number): Promise<PlanningVersion | null>
  /** All of a session, by number. */
  list(session_id: string): Promise<PlanningVersion[]>
  /** All of a session. */
  delete(session_id: string): Promise<void>
}

export class InMemorySessionStorage implements PlanningSessionStorage {
  readonly #sessions: Map<string, PlanningSession> = new Map()

  async save(session: PlanningSession): Promise<void> {
    this.#sessions.set(session.id, structuredClone(session))
  }

  async get(id: string): Promise<PlanningSession | null> {
    return structuredClone(this.#sessions.get(id)) ?? null
  }

  async query(filters: SessionFilters): Promise<PlanningSession[]> {
    return structuredClone([...this.#sessions.values()].filter((session) => matches(session, filters)))
  }

  async delete(id: string): Promise<void> {
    this.#sessions.delete(id)
  }
}

export class InMemoryVersionStorage implements PlanningVersionStorage {
  readonly #versions: Map<string, Map<number, PlanningVersion>> = new Map()

  async save(version: PlanningVersion): Promise<void> {
    const { session_id: id, version_number } = version
    const versions = this.#versions.get(id) ?? new Map<number, PlanningVersion>()
    this.#versions.set(id, versions.set(version_number, structuredClone(version)))
  }

  async get(session_id: string, version_number: number): Promise<PlanningVersion | null> {
    return structuredClone(this.#versions.get(session_id)?.get(version_number)) ?? null
  }

  async list(session_id: string): Promise<PlanningVersion[]> {
    const versions = structuredClone([...(this.#versions.get(session_id)?.values() ?? [])])
    return versions.sort((a, b) => a.version_number - b.version_number)
  }

  async delete(session_id: string): Promise<void> {
    this.#versions.delete(session_id)
  }
}

/** What filters look at, of a session or of what an index keeps of it. */
export interface Findable {
  readonly status: DocumentStatus
  readonly repository_path?: string | null
  readonly repository_url?: string | null
  readonly project_id?: string | null
  readonly created_at: Date
  readonly updated_at: Date
  /** Or its content itself. */
  readonly has_content?: boolean
  readonly content?: string
}

export function matches(session: Findable, filters: SessionFilters): boolean {
  const { status, created_after, created_before, updated_after, has_content } = filters
  if (status !== undefined && ![status].flat().includes(session.status)) return false
  for (const name of ['repository_path', 'repository_url', 'project_id'] as const) {
    if (filters[name] !== undefined && filters[name] !== session[name]) return false
  }
  if (created_after !== undefined && !(session.created_at > created_after)) return false
  if (created_before !== undefined && !(session.created_at < created_before)) return false
  if (updated_after !== undefined && !(session.updated_at > updated_after)) return false
  return has_content === undefined || has_content === (session.has_content ?? session.content !== '')
}

const FILTERS: { readonly [K in keyof Required<SessionFilters>]: 'text' | 'date' | 'status' | 'boolean' | 'count' } = {
  status: 'status',
  repository_path: 'text',
  repository_url: 'text',
  project_id: 'text',
  created_after: 'date',
  created_before: 'date',
  updated_after: 'date',
  has_content: 'boolean',
  limit: 'count',
  cursor: 'text',
}

const STATUSES: readonly unknown[] = ['active', 'paused', 'converted', 'archived']

const CHECKS: Record<(typeof FILTERS)[keyof SessionFilters], (value: unknown) => boolean> = {
  text: (value) => typeof value === 'string',
  date: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  status: (value) => [value].flat().every((status) => STATUSES.includes(status)),
  boolean: (value) => typeof value === 'boolean',
  count: (value) => Number.isSafeInteger(value) && (value as number) > 0,
}

/** The filters that are there. Throws INVALID_ARGUMENT naming one that nobody reads, or that is none. */
export function admitFilters(filters: SessionFilters): SessionFilters {
  const given = Object.entries(filters).filter(([, value]) => value !== undefined)
  for (const [name, value] of given) {
    const kind = Object.hasOwn(FILTERS, name) ? FILTERS[name as keyof SessionFilters] : undefined
    if (kind && CHECKS[kind](value)) continue
    const known = Object.keys(FILTERS).join(', ')
    const what = kind ? `filter ${name}: ${String(value)} is no ${kind}` : `there is no filter ${name}, only ${known}`
    throw new HoldfastError('INVALID_ARGUMENT', what, { details: { filter: name } })
  }
  return Object.fromEntries(given)
}
