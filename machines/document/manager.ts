// The manager of planning documents, by the original's names. It keeps nothing of a document: every call is a query or an
// event. Without storages documents are sessions of the runtime; with them, these are the truth. No call rejects.

// biome-ignore lint/style/noRestrictedImports: ids in a caller's own storages; no session of the runtime depends on them
import { randomUUID } from 'node:crypto'
import { HoldfastError, type Runtime } from 'holdfast'
import { compared, type VersionComparison } from './comparison.js'
import { sharedRuntime } from './hosting.js'
import type { HubEvent, PlanningHub } from './hub.js'
import type { DocumentInput } from './input.js'
import { type Result, resultOf } from './result.js'
import { RuntimeShelf } from './runtime-shelf.js'
import type { PlanningSession, PlanningVersion } from './session.js'
import type { Counts, Shelf, Update } from './shelf.js'
import {
  admitFilters,
  type PlanningSessionStorage,
  type PlanningVersionStorage,
  type SessionFilters,
} from './storage.js'
import { StoredShelf } from './stored-shelf.js'

/** What a manager logs to; `console` is one. */
export interface DocumentLogger {
  info(message: string, details?: unknown): void
  error(message: string, details?: unknown): void
}

export interface ManagerOptions {
  /** Whether changed content makes a version; default true. The first content always does. */
  readonly auto_version?: boolean
  readonly logger?: DocumentLogger
  readonly hub?: PlanningHub
  /** The runtime that has the documents; it was opened with the kind `document`, and whoever opened it closes it. */
  readonly runtime?: Runtime
}

export interface Statistics {
  readonly total_sessions: number
  readonly active_sessions: number
  readonly paused_sessions: number
  readonly converted_sessions: number
  readonly archived_sessions: number
  readonly average_versions_per_session: number
}

export interface ConversionOf {
  readonly project_id?: string
  readonly work_item_ids?: readonly string[]
  readonly converted_by?: string
}

export class PlanningSessionManager implements Disposable {
  readonly #shelf: Shelf
  readonly #autoVersion: boolean
  readonly #logger: DocumentLogger | undefined
  readonly #hub: PlanningHub | undefined
  readonly #unsubscribe: (() => void) | undefined

  /**
   * Either both storages, or none: then documents are sessions of `options.runtime`, or else of one that all managers of
   * this process share (see `closeDocuments`). Throws INVALID_ARGUMENT for one storage without the other.
   */
  constructor(
    sessionStorage?: PlanningSessionStorage,
    versionStorage?: PlanningVersionStorage,
    options: ManagerOptions = {},
  ) {
    const { auto_version = true, logger, hub, runtime } = options
    this.#shelf = shelfOf(sessionStorage, versionStorage, runtime)
    this.#autoVersion = auto_version
    this.#logger = logger
    this.#hub = hub
    this.#unsubscribe = hub?.onWorkItemFinished(({ session_id, work_item_id }) => {
      void this.finishWorkItem(session_id, work_item_id)
    })
  }

  /** Creates a document, in `active`; with content it has version 1. Fails with INVALID_INPUT naming the field. */
  create(input: DocumentInput): Promise<Result<PlanningSession>> {
    return this.#act('created', () => this.#shelf.create(input))
  }

  /** Fails with SESSION_NOT_FOUND, as every call below. */
  get(id: string): Promise<Result<PlanningSession>> {
    return resultOf(() => this.#shelf.get(id))
  }

  /** Changes what it names; changed content makes the next version. Fails with NOT_ACCEPTED unless it is active. */
  update(id: string, update: Update): Promise<Result<PlanningSession>> {
    return this.#act('updated', () => this.#shelf.update(id, update, this.#autoVersion))
  }

  pause(id: string, reason?: string): Promise<Result<PlanningSession>> {
    return this.#act('paused', () => this.#shelf.send(id, { type: 'pause', reason }))
  }

  resume(id: string): Promise<Result<PlanningSession>> {
    return this.#act('resumed', () => this.#shelf.send(id, { type: 'resume' }))
  }

  /** From then on it is read-only. */
  markConverted(id: string, conversion: ConversionOf): Promise<Result<PlanningSession>> {
    return this.#act('converted', () => this.#shelf.send(id, { ...conversion, type: 'convert' }))
  }

  /** A work item that it was converted to is done. Fails with NOT_ACCEPTED for any other, or one that was done already. */
  finishWorkItem(id: string, work_item_id: string): Promise<Result<PlanningSession>> {
    return this.#act('updated', () => this.#shelf.send(id, { type: 'finishWorkItem', work_item_id }))
  }

  /** For good. */
  archive(id: string): Promise<Result<PlanningSession>> {
    return this.#act('archived', () => this.#shelf.send(id, { type: 'archive' }))
  }

  /** Removes it with all of its versions. */
  async delete(id: string): Promise<Result<undefined>> {
    const result = await resultOf(async (): Promise<undefined> => void (await this.#shelf.delete(id)))
    this.#tell('deleted', result, id)
    return result
  }

  /** All versions, by number, with their whole contents. */
  getVersions(id: string): Promise<Result<PlanningVersion[]>> {
    return resultOf(() => this.#shelf.versions(id))
  }

  /** Fails with TRANSITION_NOT_FOUND naming the last when there is no such version. */
  getVersion(id: string, version_number: number): Promise<Result<PlanningVersion>> {
    return resultOf(() => this.#shelf.version(id, version_number))
  }

  /** What changed from version `a` to version `b`, by lines. */
  compareVersions(id: string, a: number, b: number): Promise<Result<VersionComparison>> {
    return resultOf(async () => {
      const [before, after] = [await this.#shelf.version(id, a), await this.#shelf.version(id, b)]
      return compared(before.content, after.content)
    })
  }

  /** Makes a new version with the content of an earlier one. */
  restoreVersion(id: string, version_number: number, restored_by?: string): Promise<Result<PlanningSession>> {
    return this.#act('updated', async () => {
      const { content } = await this.#shelf.version(id, version_number)
      const why = { change_summary: `Restored version ${version_number}` }
      const who = restored_by === undefined ? {} : { updated_by: restored_by }
      return this.#shelf.update(id, { content, ...why, ...who }, true)
    })
  }

  findActive(): Promise<Result<readonly PlanningSession[]>> {
    return this.list({ status: 'active' })
  }

  /** By the path or the URL of its repository. */
  findByRepository(repository: string): Promise<Result<readonly PlanningSession[]>> {
    return resultOf(async () => {
      const byPath = await this.#shelf.list({ repository_path: repository })
      const byUrl = await this.#shelf.list({ repository_url: repository })
      const known = new Set(byPath.sessions.map(({ id }) => id))
      return [...byPath.sessions, ...byUrl.sessions.filter(({ id }) => !known.has(id))]
    })
  }

  /** Those that were converted to a project. */
  findByProject(project_id: string): Promise<Result<readonly PlanningSession[]>> {
    return this.list({ project_id })
  }

  /** Those that match all filters, oldest first; with a `limit`, `cursor` says where the next page begins. */
  async list(filters: SessionFilters = {}): Promise<Result<readonly PlanningSession[]>> {
    const page = await resultOf(() => this.#shelf.list(admitFilters(filters)))
    if (!page.success) return page
    const { sessions, cursor } = page.data
    return { success: true, data: sessions, ...(cursor !== undefined && { cursor }) }
  }

  getStatistics(): Promise<Result<Statistics>> {
    return resultOf(async () => statisticsOf(await this.#shelf.counts()))
  }

  /** For `SessionRecovery`: brings a document that is in storages up to its last version. */
  catchUp(id: string): Promise<Result<PlanningSession>> {
    const shelf = this.#shelf
    return resultOf(() => (shelf instanceof StoredShelf ? shelf.catchUp(id) : shelf.get(id)))
  }

  /** Stops listening to the hub. */
  [Symbol.dispose](): void {
    this.#unsubscribe?.()
  }

  async #act(what: What, act: () => Promise<PlanningSession>): Promise<Result<PlanningSession>> {
    const result = await resultOf(act)
    this.#tell(what, result, result.success ? result.data.id : undefined)
    return result
  }

  #tell(what: What, result: Result<PlanningSession | undefined>, id: string | undefined): void {
    if (!result.success) return this.#logger?.error(`planning session not ${what}: ${result.error.message}`)
    this.#logger?.info(`planning session ${what}`, { id })
    if (!this.#hub || id === undefined) return
    const { title, status, current_version, work_item_ids } = result.data ?? {}
    const event = { type: `planning_session.${what}`, session_id: id, title, status, current_version, work_item_ids }
    const failed = (error: unknown): void => this.#logger?.error('the hub failed', error)
    const publish = async (): Promise<void> => this.#hub?.publish(JSON.parse(JSON.stringify(event)) as HubEvent)
    publish().catch(failed)
  }
}

type What = 'created' | 'updated' | 'paused' | 'resumed' | 'converted' | 'archived' | 'deleted'

function shelfOf(
  sessions: PlanningSessionStorage | undefined,
  versions: PlanningVersionStorage | undefined,
  runtime: Runtime | undefined,
): Shelf {
  if (sessions && versions) return new StoredShelf(sessions, versions, randomUUID)
  if (!sessions && !versions) return new RuntimeShelf(runtime ? async () => runtime : sharedRuntime)
  throw new HoldfastError('INVALID_ARGUMENT', 'give a storage for sessions and one for versions, or neither')
}

function statisticsOf({ byStatus, versions }: Counts): Statistics {
  const { active, paused, converted, archived } = byStatus
  const total = active + paused + converted + archived
  return {
    total_sessions: total,
    active_sessions: active,
    paused_sessions: paused,
    converted_sessions: converted,
    archived_sessions: archived,
    average_versions_per_session: total === 0 ? 0 : versions / total,
  }
}
