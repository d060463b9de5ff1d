// Documents in storages of a caller's own: these are the truth, and the machine only decides. A version is stored before
// the session that has it, so that a crash between the two loses neither; `SessionRecovery.restoreFromHistory` then brings
// the session up to it. Calls for one document are made one after the other, in this process.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { HoldfastError } from 'holdfast'
import { initialTransition, transition } from 'xstate'
import { editTo, revisionOf } from './contents.js'
import { type DocumentEvent, eventSchema } from './events.js'
import { type DocumentInput, inputSchema } from './input.js'
import { type DocumentContext, type DocumentStatus, documentMachine, type KeptVersion } from './machine.js'
import { type PlanningSession, type PlanningVersion, sessionFrom, versionOf } from './session.js'
import {
  type Counts,
  changedFields,
  creditsOf,
  notAccepted,
  notFound,
  type Page,
  type Shelf,
  type Update,
  versionNotFound,
} from './shelf.js'
import { matches, type PlanningSessionStorage, type PlanningVersionStorage, type SessionFilters } from './storage.js'

export class StoredShelf implements Shelf {
  readonly #sessions: PlanningSessionStorage
  readonly #versions: PlanningVersionStorage
  readonly #newId: () => string
  /** The last call for each document that has one under way. */
  readonly #turns: Map<string, Promise<unknown>> = new Map()

  constructor(sessions: PlanningSessionStorage, versions: PlanningVersionStorage, newId: () => string) {
    this.#sessions = sessions
    this.#versions = versions
    this.#newId = newId
  }

  async create(input: DocumentInput): Promise<PlanningSession> {
    const admitted = await admit(inputSchema, input, 'INVALID_INPUT')
    const [{ context }] = initialTransition(documentMachine, admitted)
    return this.#store(this.#newId(), 'active', context, 0)
  }

  async get(id: string): Promise<PlanningSession> {
    const session = await this.#sessions.get(id)
    if (!session) throw notFound(id)
    return session
  }

  send(id: string, event: DocumentEvent): Promise<PlanningSession> {
    return this.#inTurn(id, async () => this.#decide(await this.get(id), event))
  }

  update(id: string, update: Update, version: boolean): Promise<PlanningSession> {
    return this.#inTurn(id, async () => {
      const session = await this.get(id)
      const { pages } = contextOf(session)
      const fields = changedFields(session, update)
      const edit = update.content === undefined ? undefined : editTo(pages, update.content)
      if (!edit && Object.keys(fields).length === 0) return session
      const content = edit && { base: revisionOf(pages), edit }
      return this.#decide(session, {
        ...{ type: 'update', ...fields, ...creditsOf(update) },
        ...(content && { content, version }),
      })
    })
  }

  async versions(id: string): Promise<PlanningVersion[]> {
    await this.get(id)
    return this.#versions.list(id)
  }

  async version(id: string, number: number): Promise<PlanningVersion> {
    const { current_version } = await this.get(id)
    const version = await this.#versions.get(id, number)
    if (!version) throw versionNotFound(id, number, current_version)
    return version
  }

  async list({ limit, cursor, ...filters }: SessionFilters): Promise<Page> {
    const found = (await this.#sessions.query(filters)).filter((session) => matches(session, filters))
    found.sort((a, b) => a.created_at.getTime() - b.created_at.getTime() || (a.id < b.id ? -1 : 1))
    const from = cursor === undefined ? 0 : found.findIndex(({ id }) => id === cursor) + 1
    const sessions = found.slice(from, limit === undefined ? undefined : from + limit)
    const more = from + sessions.length < found.length
    return { sessions, ...(more && { cursor: (sessions.at(-1) as PlanningSession).id }) }
  }

  async counts(): Promise<Counts> {
    const byStatus = { active: 0, paused: 0, converted: 0, archived: 0 }
    let versions = 0
    for (const { status, current_version } of await this.#sessions.query({})) {
      byStatus[status]++
      versions += current_version
    }
    return { byStatus, versions }
  }

  delete(id: string): Promise<void> {
    return this.#inTurn(id, async () => {
      await this.get(id)
      await this.#sessions.delete(id)
      await this.#versions.delete(id)
    })
  }

  /** Brings a document up to its last version, if a crash kept it from that; gives it as it is then. */
  catchUp(id: string): Promise<PlanningSession> {
    return this.#inTurn(id, async () => {
      const session = await this.get(id)
      const last = (await this.#versions.list(id)).at(-1)
      if (!last || last.version_number < session.current_version) return session
      if (last.version_number === session.current_version && last.content === session.content) return session
      const current = { content: last.content, current_version: last.version_number, updated_at: last.created_at }
      const restored = { ...session, ...current }
      await this.#sessions.save(restored)
      return restored
    })
  }

  async #decide(session: PlanningSession, event: DocumentEvent): Promise<PlanningSession> {
    const admitted = await admit(eventSchema, event, 'INVALID_EVENT')
    const before = documentMachine.resolveState({ value: session.status, context: contextOf(session) })
    if (!before.can(admitted)) throw notAccepted(session, admitted)
    const [{ value, context }] = transition(documentMachine, before, admitted)
    return this.#store(session.id, value as DocumentStatus, context, session.current_version)
  }

  async #store(id: string, status: DocumentStatus, context: DocumentContext, known: number): Promise<PlanningSession> {
    const session = sessionFrom(id, status, context)
    const added = context.versions.slice(known)
    for (const version of added) await this.#versions.save(versionOf(id, version, session.content))
    await this.#sessions.save(session)
    return session
  }

  #inTurn<T>(id: string, act: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(id) ?? Promise.resolve()).then(act)
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (this.#turns.get(id) === settled) this.#turns.delete(id)
      })
    this.#turns.set(id, settled)
    return turn
  }
}

/** What the machine decides on: the current content alone, and how many versions there are. */
function contextOf(session: PlanningSession): DocumentContext {
  const { content, current_version, created_at, updated_at, archived_at: _, ...rest } = session
  const { title, description, repository_url, repository_path, working_directory, metadata, created_by } = rest
  const { paused_reason, project_id, work_item_ids, finished_work_item_ids, converted_by, converted_at } = rest
  const kept = (index: number): KeptVersion => ({
    ...{ version_number: index + 1, revision: 1, changed_fields: [], created_at: created_at.toISOString() },
  })
  return {
    title,
    metadata,
    ...(description !== undefined && { description }),
    ...(repository_url !== undefined && { repository_url }),
    ...(repository_path !== undefined && { repository_path }),
    ...(working_directory !== undefined && { working_directory }),
    ...(created_by !== undefined && { created_by }),
    ...(paused_reason !== undefined && { paused_reason }),
    created_at: created_at.toISOString(),
    updated_at: updated_at.toISOString(),
    pages: content === '' ? [] : [{ content, edits: [] }],
    versions: Array.from({ length: current_version }, (_, index) => kept(index)),
    ...(converted_at && {
      conversion: {
        ...(project_id !== undefined && { project_id }),
        ...(converted_by !== undefined && { converted_by }),
        ...{ work_item_ids, finished_work_item_ids, converted_at: converted_at.toISOString() },
      },
    }),
  }
}

async function admit<T>(schema: StandardSchemaV1<unknown, T>, value: unknown, code: 'INVALID_INPUT' | 'INVALID_EVENT') {
  const result = await schema['~standard'].validate(value)
  if (!result.issues) return result.value
  const issues = result.issues.map(({ message, path = [] }) => `${path.map(String).join('.')}: ${message}`)
  throw new HoldfastError(code, issues.join('; '), { details: { issues } })
}
