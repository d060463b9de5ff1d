// The original's session management: execution sessions and their modifications, by its names. It keeps nothing of a session; every
// call asks who may do it (`access.ts`), and is a query of what they see (`sight.ts`) or an event to a session, durable when it
// resolves.

// biome-ignore lint/style/noRestrictedImports: ids of new sessions; each is recorded, and nothing else depends on chance
import { randomUUID } from 'node:crypto'
import { type Backup, type Logger, type Restored, restoreBackup, type TraceContext } from 'holdfast'
import { Access } from './access.js'
import { addTo } from './adding.js'
import { SessionDatabase } from './database.js'
import type { ExecutionEvent } from './events.js'
import { Host } from './hosting.js'
import type { ExecutionStatus } from './machine.js'
import {
  defaultChannel,
  defaultCleanupDays,
  defaultDatabase,
  defaultDirectory,
  defaultTracker,
  directoryBeside,
} from './places.js'
import { eachOf, type ProcessedModifications, type ProcessOptions, processAt, processBy, sumOf } from './processing.js'
import {
  type AnalyticsQuery,
  type AnalyticsRow,
  type AuditEntry,
  type HealthReport,
  type Metrics,
  type ModificationStats,
  Reports,
  type SessionStats,
  type SessionSummary,
} from './reports.js'
import {
  type NewExecutionSession,
  type NewModification,
  type SessionManagementConfig,
  stderr,
} from './service-config.js'
import {
  type ExecutionSession,
  modificationNotFound,
  modificationOf,
  type PlanModification,
  placeOf,
  sessionOf,
} from './session.js'
import { Sight } from './sight.js'
import { type CleanedUp, cleanUp, keepClean } from './upkeep.js'

/** Session management in the directory that the configuration names; opened with its first call. */
export const createSessionManagementService = (config: SessionManagementConfig = {}): SessionManagementService =>
  new SessionManagementService(config)

/** A service as somebody calls it, within a trace. */
interface View {
  readonly whole: SessionManagementService
  readonly as: string | undefined
  readonly trace: TraceContext | undefined
}

export class SessionManagementService {
  readonly database: SessionDatabase
  /** Whose sessions these are. */
  readonly organizationId: string
  readonly #config: SessionManagementConfig
  readonly #host: Host
  readonly #access: Access
  readonly #sight: Sight
  readonly #reports: Reports
  readonly #logger: Logger
  readonly #directory: string
  readonly #closing: AbortController = new AbortController()
  readonly #view: View | undefined
  #keeping: Promise<void> | undefined

  constructor(config: SessionManagementConfig, view?: View) {
    const { people, organizationId = '', databasePath = defaultDatabase() } = config
    this.#config = config
    this.#view = view
    this.organizationId = organizationId
    this.#logger = config.logger ?? stderr
    this.#directory = databasePath === undefined ? defaultDirectory() : directoryBeside(databasePath)
    this.#host = view
      ? view.whole.#host
      : new Host({
          ...{ databasePath, directory: this.#directory, runtime: config.runtime, logger: this.#logger },
          cleanupDays: config.autoCleanupDays ?? defaultCleanupDays(),
        })
    this.database = view ? view.whole.database.within(view.trace) : new SessionDatabase(this.#host)
    this.#access = new Access(people, organizationId, view?.as)
    this.#sight = new Sight(this.database, this.#access, organizationId)
    this.#reports = new Reports(this.#host, this.database, organizationId)
  }

  /** The same, as somebody calls it: what they may not do is refused with NOT_ALLOWED. */
  as(userId: string): SessionManagementService {
    return new SessionManagementService(this.#config, { whole: this.#whole, as: userId, trace: this.#view?.trace })
  }

  /** The same, within a trace: what is changed here belongs to it, and so does what follows from that, such as calls to services. */
  within(trace: TraceContext | undefined): SessionManagementService {
    return new SessionManagementService(this.#config, { whole: this.#whole, as: this.#view?.as, trace })
  }

  get #whole(): SessionManagementService {
    return this.#view?.whole ?? this
  }

  /** Resolves when it is there, in `pending`. Rejects with NOT_ALLOWED, or INVALID_INPUT naming the field. */
  async createExecutionSession(input: NewExecutionSession): Promise<ExecutionSession> {
    await this.#begin('createExecutionSession', input)
    await this.#access.create(input.adminUserId, input.teamId)
    const {
      generatedAt,
      tracker = defaultTracker(input.teamId, this.#directory),
      channel = defaultChannel(),
      ...rest
    } = input
    const session = await this.database.createSession(`session_${randomUUID().replaceAll('-', '')}`, {
      ...{ ...rest, tracker, channel, organizationId: this.organizationId },
      ...(generatedAt && { generatedAt: generatedAt.toISOString() }),
    })
    return sessionOf(session.entry())
  }

  /** Null when there is none, or none that may be seen. */
  async getSession(id: string): Promise<ExecutionSession | null> {
    await this.#begin('getSession', { id })
    const session = await this.database.getSession(id)
    return session && (await this.#access.see())(session) ? session : null
  }

  async getSessionWithModifications(
    id: string,
  ): Promise<(ExecutionSession & { readonly modifications: readonly PlanModification[] }) | null> {
    const session = await this.getSession(id)
    return session && { ...session, modifications: await this.database.allModifications(id, {}) }
  }

  /** As `confirmSession`, `completeSession` and `cancelSession`; there is no way back to `pending`. */
  async updateSessionStatus(id: string, status: ExecutionStatus): Promise<ExecutionSession> {
    switch (status) {
      case 'confirmed':
        return this.confirmSession(id)
      case 'completed':
        return this.completeSession(id)
      case 'cancelled':
        return this.cancelSession(id)
      default:
        // Nothing leads there: the session itself says so.
        return this.#decide('update', id, { type: status } as never)
    }
  }

  /** From `pending`. With `process`, everything that is not processed is applied. Rejects with NOT_ACCEPTED or NOT_ALLOWED. */
  confirmSession(id: string, { process = false }: { readonly process?: boolean } = {}): Promise<ExecutionSession> {
    return this.#decide('confirm', id, { type: 'confirm', ...(process && { process }) })
  }

  /** From `confirmed`; what waits to be applied still is. */
  completeSession(id: string): Promise<ExecutionSession> {
    return this.#decide('complete', id, { type: 'complete' })
  }

  /** From `pending` or `confirmed`; what waits to be applied is not. */
  cancelSession(id: string, reason?: string): Promise<ExecutionSession> {
    return this.#decide('cancel', id, { type: 'cancel', ...(reason !== undefined && { reason }) })
  }

  updateSessionPlanCount(id: string, planCount: number): Promise<ExecutionSession> {
    return this.#decide('update', id, { type: 'updatePlanCount', planCount })
  }

  /** Adds a modification; with `process` it is applied as soon as it is its turn. */
  async addPlanModification(
    modification: NewModification,
    { process = false }: { readonly process?: boolean } = {},
  ): Promise<PlanModification> {
    const [added] = await this.bulkCreateModifications([modification], { process })
    return added as PlanModification
  }

  /** All of a session's as one change: all are there when it resolves, or none. In the order of the input. */
  async bulkCreateModifications(
    modifications: readonly NewModification[],
    { process = false }: { readonly process?: boolean } = {},
  ): Promise<PlanModification[]> {
    await this.#begin('bulkCreateModifications', { count: modifications.length })
    const bySession = new Map<string, number[]>()
    for (const [index, { sessionId }] of modifications.entries()) {
      bySession.set(sessionId, [...(bySession.get(sessionId) ?? []), index])
    }
    const actors = new Map<string, string>()
    for (const [sessionId, indexes] of bySession) {
      const session = await this.#sight.visible(sessionId)
      for (const index of indexes) {
        const actor = await this.#access.modify((modifications[index] as NewModification).userId, session)
        actors.set(sessionId, actors.get(sessionId) ?? actor)
      }
    }
    return addTo(this.database, modifications, bySession, actors, process)
  }

  /** In the order of their arrival. Rejects with SESSION_NOT_FOUND. */
  async getSessionModifications(sessionId: string): Promise<PlanModification[]> {
    await this.#begin('getSessionModifications', { sessionId })
    await this.#sight.seen(sessionId)
    return this.database.allModifications(sessionId, {})
  }

  /** Of a ticket, in all sessions. */
  async getTicketModifications(ticketId: string): Promise<PlanModification[]> {
    await this.#begin('getTicketModifications', { ticketId })
    return this.#sight.everywhere({ ticketId }, () => true)
  }

  /** Of a session, or of all. */
  async getUnprocessedModifications(sessionId?: string): Promise<PlanModification[]> {
    await this.#begin('getUnprocessedModifications', { sessionId })
    if (sessionId === undefined)
      return this.#sight.everywhere({ processed: false }, ({ modifications, processed }) => modifications > processed)
    await this.#sight.seen(sessionId)
    return this.database.allModifications(sessionId, { processed: false })
  }

  /** Says that it was applied, or why not. Rejects with NOT_ACCEPTED for one that is processed. */
  async markModificationProcessed(id: string, error?: string): Promise<PlanModification> {
    await this.#begin('markModificationProcessed', { id })
    const { sessionId, number } = placeOf(id)
    const session = await this.#sight.visible(sessionId)
    const by = await this.#access.decide('mark modifications of', session)
    const before = (await this.database.session(sessionId)).snapshot().context.modifications[number - 1]
    if (!before) throw modificationNotFound(id)
    await this.database.send(sessionId, { type: 'markProcessed', number, by, ...(error !== undefined && { error }) })
    const kept = (await this.database.session(sessionId)).snapshot().context.modifications[number - 1]
    return modificationOf(sessionId, number, kept ?? before)
  }

  /**
   * Applies what is not processed, of a session or of all that may be modified, each exactly once, by the sessions' trackers.
   * With a `processor` of one's own that does it instead, one after the other; one that throws is marked with the error.
   */
  async processModifications(
    sessionId?: string,
    processor?: (modification: PlanModification) => Promise<void> | void,
    options: ProcessOptions = {},
  ): Promise<ProcessedModifications> {
    await this.#begin('processModifications', { sessionId })
    const sessions = sessionId === undefined ? await this.#sight.unprocessed() : [await this.#sight.visible(sessionId)]
    const process = async (session: ExecutionSession): Promise<ProcessedModifications['results']> => {
      const by = await this.#access.decide('process modifications of', session)
      const unprocessed = await this.database.allModifications(session.id, { processed: false })
      if (!processor) return processAt(this.database, session.id, by, unprocessed, options)
      return processBy(processor, unprocessed, (id, error) => this.markModificationProcessed(id, error))
    }
    return sumOf((await eachOf(sessions, process)).flat())
  }

  async getSessionsByStatus(status: ExecutionStatus): Promise<ExecutionSession[]> {
    await this.#begin('getSessionsByStatus', { status })
    return this.#sight.list({ status })
  }

  async getSessionsByAdmin(adminUserId: string): Promise<ExecutionSession[]> {
    await this.#begin('getSessionsByAdmin', { adminUserId })
    return this.#sight.list({ adminUserId })
  }

  /** Newest first. */
  async getRecentSessions(limit: number = 10): Promise<ExecutionSession[]> {
    await this.#begin('getRecentSessions', { limit })
    return (await this.#reports.recent(await this.#access.see(), limit)).map(sessionOf)
  }

  /** Pending and confirmed ones. */
  async getActiveSessions(): Promise<ExecutionSession[]> {
    await this.#begin('getActiveSessions', {})
    return [...(await this.#sight.list({ status: 'pending' })), ...(await this.#sight.list({ status: 'confirmed' }))]
  }

  async getSessionStats(): Promise<SessionStats> {
    await this.#begin('getSessionStats', {})
    return this.#reports.stats(await this.#access.see())
  }

  async getModificationStats(sessionId?: string): Promise<ModificationStats> {
    await this.#begin('getModificationStats', { sessionId })
    return this.#reports.modificationStats(await this.#access.see(), sessionId)
  }

  /** Of the 10 most recent sessions. */
  async getSessionSummary(): Promise<SessionSummary[]> {
    await this.#begin('getSessionSummary', {})
    return this.#reports.summary(await this.#access.see())
  }

  /** Sessions by day, team or admin: how many, how they went, how long they took. */
  async getAnalytics(query: AnalyticsQuery = {}): Promise<AnalyticsRow[]> {
    await this.#begin('getAnalytics', query)
    return this.#reports.analytics(await this.#access.see(), query)
  }

  async getMetrics(): Promise<Metrics> {
    await this.#begin('getMetrics', {})
    return this.#reports.metrics(await this.#access.see())
  }

  /** Whether the storage, the sessions, the queue and the cleanup are well. */
  async getHealth(): Promise<HealthReport> {
    await this.#begin('getHealth', {})
    return this.#reports.health()
  }

  /** Who did what, oldest first: of a session, by somebody, or all. */
  async getAuditTrail({
    sessionId,
    userId,
  }: {
    readonly sessionId?: string
    readonly userId?: string
  } = {}): Promise<AuditEntry[]> {
    await this.#begin('getAuditTrail', { sessionId, userId })
    if (sessionId !== undefined) await this.#sight.visible(sessionId)
    return this.#reports.audit(await this.#access.see(), sessionId, userId)
  }

  /** Deletes what is over and older than so many days. */
  async cleanupOldSessions(days: number = this.#config.autoCleanupDays ?? defaultCleanupDays()): Promise<CleanedUp> {
    await this.#begin('cleanupOldSessions', { days })
    const { actor, mine } = await this.#access.cleanUp()
    // biome-ignore lint/plugin/clock: a question from outside of every session
    const nowMs = Date.now()
    return cleanUp(this.#host, this.database, { days, nowMs, by: actor, organizationId: this.organizationId, mine })
  }

  /** Writes everything that is durable now to one file, while sessions go on; by an admin, where people are known. */
  async backup(path: string): Promise<Backup> {
    await this.#begin('backup', { path })
    await this.#access.cleanUp()
    return (await this.#host.open()).runtime.backup(path)
  }

  /** Stops the cleanup, and closes what it has opened. */
  async close(): Promise<void> {
    if (this.#view) return this.#view.whole.close()
    this.#closing.abort()
    await this.#keeping
    this.#keeping = undefined
    await this.#host.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** With the first call the cleanup begins to be looked after. */
  async #begin(call: string, about: object): Promise<void> {
    const whole = this.#whole
    if (this.#config.debug) this.#logger.info({ ...about }, `execution: ${call}`)
    await whole.#host.open()
    whole.#keeping ??= keepClean(whole.#host, whole.database, whole.#logger, whole.#closing.signal)
  }

  async #decide(what: string, id: string, event: ExecutionEvent): Promise<ExecutionSession> {
    await this.#begin(`${what} session`, { id })
    const by = await this.#access.decide(what, await this.#sight.visible(id))
    await this.database.send(id, { ...event, by })
    return sessionOf((await this.database.session(id)).entry())
  }
}

/**
 * Puts a backup back where `databasePath` has its sessions, which must be empty; the tables are made anew with the first call.
 * Rejects with BACKUP_CORRUPT, DIRECTORY_NOT_EMPTY, FILE_NOT_FOUND, FORMAT_NEWER, DISK_FULL or DISK_FAILED.
 */
export const restoreSessions = (backup: string, databasePath?: string): Promise<Restored> =>
  restoreBackup(backup, databasePath === undefined ? defaultDirectory() : directoryBeside(databasePath))
