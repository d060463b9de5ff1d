// Questions about all sessions that somebody may see: totals, analytics, metrics, health, and who did what. Whatever the index
// knows is answered without opening a session.

import type { SessionEntry } from 'holdfast'
import type { Owned } from './access.js'
import type { SessionDatabase } from './database.js'
import type { ModificationAction } from './fields.js'
import type { Host } from './hosting.js'
import type { ExecutionStatus } from './machine.js'
import { type ExecutionSession, indexed, sessionOf } from './session.js'

export interface SessionStats {
  readonly totalSessions: number
  readonly pendingSessions: number
  readonly confirmedSessions: number
  readonly completedSessions: number
  readonly cancelledSessions: number
  readonly totalModifications: number
  readonly processedModifications: number
  readonly errorModifications: number
}

export interface ModificationStats {
  readonly total: number
  readonly byAction: { readonly [A in ModificationAction]: number }
  readonly byUser: { readonly [userId: string]: number }
  readonly processed: number
  readonly pending: number
  readonly errors: number
}

export interface SessionSummary {
  readonly session: ExecutionSession
  readonly modificationCount: number
  readonly processedCount: number
  readonly errorCount: number
}

/** One row of the analytics: the sessions of a day, a team, or an admin. */
export interface AnalyticsRow {
  readonly key: string
  readonly sessions: number
  readonly confirmed: number
  readonly completed: number
  readonly cancelled: number
  /** Of those that are over, 0 to 1; 0 when none is. */
  readonly completionRate: number
  readonly plans: number
  readonly modifications: number
  readonly errors: number
  /** Mean; absent when there is none. */
  readonly msToConfirm?: number
  readonly msToComplete?: number
}

export interface AnalyticsQuery {
  /** By the day of `generatedAt` (default), by team or by admin. */
  readonly by?: 'day' | 'team' | 'admin'
  readonly from?: Date
  readonly to?: Date
}

export interface Metrics {
  readonly sessionsCreated: number
  readonly completionRate: number
  readonly modifications: {
    readonly processed: number
    readonly meanMs: number
    readonly p95Ms: number
    readonly longestMs: number
    /** Of those processed, 0 to 1. */
    readonly errorRate: number
    /** By the code of the error; what somebody outside has reported has none. */
    readonly errorsByType: { readonly [code: string]: number }
  }
  readonly storage: {
    readonly writes: number
    readonly meanMs: number
    readonly longestMs: number
    readonly tables?: {
      readonly writes: number
      readonly meanMs: number
      readonly longestMs: number
      readonly behind: number
    }
  }
}

export interface Check {
  readonly ok: boolean
  readonly message: string
}

export interface HealthReport {
  readonly status: 'healthy' | 'degraded' | 'unhealthy'
  readonly checks: {
    readonly database: Check
    readonly sessions: Check
    readonly modificationQueue: Check & { readonly queued: number }
    readonly cleanup: Check & { readonly lastRun?: Date; readonly runs: number }
  }
}

/** Who did what. */
export interface AuditEntry {
  readonly sessionId: string
  readonly seq: number
  readonly at: Date
  /** Absent for what the session did by itself. */
  readonly actor?: string
  readonly action: string
  readonly from: ExecutionStatus | undefined
  readonly to: ExecutionStatus
  /** What came with it. */
  readonly details: { readonly [field: string]: unknown }
}

type Visible = (session: Owned) => boolean

export class Reports {
  readonly #host: Host
  readonly #database: SessionDatabase
  readonly #organizationId: string

  constructor(host: Host, database: SessionDatabase, organizationId: string) {
    this.#host = host
    this.#database = database
    this.#organizationId = organizationId
  }

  async stats(mine: Visible): Promise<SessionStats> {
    const count = { pending: 0, confirmed: 0, completed: 0, cancelled: 0 }
    let [totalModifications, processedModifications, errorModifications] = [0, 0, 0]
    for await (const entry of this.#entries(mine)) {
      const { status, modifications, processed, errors } = indexed(entry)
      count[status]++
      totalModifications += modifications
      processedModifications += processed
      errorModifications += errors
    }
    return {
      totalSessions: count.pending + count.confirmed + count.completed + count.cancelled,
      ...{ pendingSessions: count.pending, confirmedSessions: count.confirmed },
      ...{ completedSessions: count.completed, cancelledSessions: count.cancelled },
      ...{ totalModifications, processedModifications, errorModifications },
    }
  }

  async modificationStats(mine: Visible, sessionId?: string): Promise<ModificationStats> {
    const byAction = { status_change: 0, reassign: 0, comment: 0 }
    const byUser: Record<string, number> = Object.create(null)
    let [total, processed, errors] = [0, 0, 0]
    for await (const entry of this.#entries(mine)) {
      if (indexed(entry).modifications === 0 || (sessionId !== undefined && entry.id !== sessionId)) continue
      const { modifications, counts } = (await this.#database.session(entry.id)).snapshot().context
      total += modifications.length
      processed += counts.processed
      errors += counts.errors
      for (const { action, userId } of modifications) {
        byAction[action]++
        byUser[userId] = (byUser[userId] ?? 0) + 1
      }
    }
    return { total, byAction, byUser: { ...byUser }, processed, pending: total - processed, errors }
  }

  /** The last ones, newest first. */
  async recent(mine: Visible, limit: number): Promise<SessionEntry[]> {
    const last: SessionEntry[] = []
    for await (const entry of this.#entries(mine)) {
      last.push(entry)
      if (last.length > limit) last.shift()
    }
    return last.reverse()
  }

  async summary(mine: Visible): Promise<SessionSummary[]> {
    return (await this.recent(mine, 10)).map((entry) => {
      const { modifications, processed, errors } = indexed(entry)
      return {
        session: sessionOf(entry),
        ...{ modificationCount: modifications, processedCount: processed, errorCount: errors },
      }
    })
  }

  async analytics(mine: Visible, { by = 'day', from, to }: AnalyticsQuery): Promise<AnalyticsRow[]> {
    const groups = new Map<string, ExecutionSession[]>()
    const totals = new Map<string, { modifications: number; errors: number }>()
    for await (const entry of this.#entries(mine)) {
      const session = sessionOf(entry)
      if ((from && session.generatedAt < from) || (to && session.generatedAt >= to)) continue
      const day = session.generatedAt.toISOString().slice(0, 10)
      const key = { day, team: session.teamId, admin: session.adminUserId }[by]
      groups.set(key, [...(groups.get(key) ?? []), session])
      const { modifications, errors } = indexed(entry)
      const total = totals.get(key) ?? { modifications: 0, errors: 0 }
      totals.set(key, { modifications: total.modifications + modifications, errors: total.errors + errors })
    }
    const rows = [...groups].map(([key, sessions]) =>
      rowOf(key, sessions, totals.get(key) ?? { modifications: 0, errors: 0 }),
    )
    return rows.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  async metrics(mine: Visible): Promise<Metrics> {
    const { totalSessions, completedSessions, cancelledSessions } = await this.stats(mine)
    const errorsByType: Record<string, number> = Object.create(null)
    const took: number[] = []
    let errors = 0
    for await (const entry of this.#entries(mine)) {
      if (indexed(entry).processed === 0) continue
      for (const kept of (await this.#database.session(entry.id)).snapshot().context.modifications) {
        if (!kept.processed) continue
        took.push(Math.max(0, Date.parse(kept.processedAt ?? kept.timestamp) - Date.parse(kept.timestamp)))
        if (kept.error === undefined) continue
        errors++
        const code = kept.code ?? 'REPORTED'
        errorsByType[code] = (errorsByType[code] ?? 0) + 1
      }
    }
    took.sort((a, b) => a - b)
    const tables = (await this.#host.open()).tables?.state()
    return {
      sessionsCreated: totalSessions,
      completionRate: rate(completedSessions, completedSessions + cancelledSessions),
      modifications: {
        ...{ processed: took.length, meanMs: mean(took) ?? 0, longestMs: took.at(-1) ?? 0 },
        p95Ms: took[Math.max(0, Math.ceil(took.length * 0.95) - 1)] ?? 0,
        ...{ errorRate: rate(errors, took.length), errorsByType: { ...errorsByType } },
      },
      storage: {
        ...timesOf(this.#database.timings()),
        ...(tables && { tables: { ...timesOf(tables), behind: tables.behind } }),
      },
    }
  }

  async health(): Promise<HealthReport> {
    const { runtime, tables, cleanup } = await this.#host.open()
    const { status, failure, quarantined, parked } = runtime.health()
    const { behind = 0, failure: fault } = tables?.state() ?? {}
    let queued = 0
    for await (const entry of this.#database.entries({ unprocessed: true })) queued += indexed(entry).queued
    const ours = new Set(['execution', 'execution-cleanup'])
    const troubled = [
      ...quarantined.filter(({ kind }) => ours.has(kind)),
      ...parked.filter(({ kind }) => ours.has(kind)),
    ]
    const { context } = cleanup.snapshot()
    const isDatabaseOk = status === 'ok' && behind === 0
    const checks = {
      database: check(isDatabaseOk, failure?.message ?? `${behind} sessions are not in the tables yet (${fault})`),
      sessions: check(
        troubled.length === 0,
        `${troubled.length} sessions cannot run: ${troubled.map(({ id }) => id).join(', ')}`,
      ),
      modificationQueue: { ...check(troubled.length === 0, 'some of its sessions cannot run'), queued },
      cleanup: {
        ...check(context.problem === undefined, `the last run failed: ${context.problem}`),
        runs: context.runs,
        ...(context.runs > 0 && { lastRun: new Date(cleanup.entry().updatedAt) }),
      },
    }
    const isWell = Object.values(checks).every(({ ok }) => ok)
    return { status: isWell ? 'healthy' : status === 'ok' ? 'degraded' : 'unhealthy', checks }
  }

  /**
   * What happened to a session, or to all, oldest first: everything that its history keeps.
   * Rejects with SESSION_NOT_FOUND, or HISTORY_UNAVAILABLE where the runtime has dropped what is that old.
   */
  async audit(mine: Visible, sessionId?: string, userId?: string): Promise<AuditEntry[]> {
    const entries: AuditEntry[] = []
    for await (const { id } of this.#entries(mine)) {
      if (sessionId !== undefined && id !== sessionId) continue
      for (const { seq, at, event, from, to } of (await this.#database.session(id)).history()) {
        const { type: action, by, at: _, ...details } = event as { type: string; by?: string; at?: string }
        if (userId !== undefined && by !== userId) continue
        const status = (value: unknown) => (value as { status?: ExecutionStatus } | undefined)?.status
        entries.push({
          ...{ sessionId: id, seq, at: new Date(at), action, details },
          ...(by !== undefined && { actor: by }),
          ...{ from: seq === 1 ? undefined : status(from), to: status(to) as ExecutionStatus },
        })
      }
    }
    return entries.sort((a, b) => a.at.getTime() - b.at.getTime())
  }

  async *#entries(mine: Visible): AsyncGenerator<SessionEntry> {
    for await (const entry of this.#database.entries({ organizationId: this.#organizationId })) {
      if (mine({ ...indexed(entry), id: entry.id })) yield entry
    }
  }
}

function rowOf(
  key: string,
  sessions: readonly ExecutionSession[],
  totals: { readonly modifications: number; readonly errors: number },
): AnalyticsRow {
  const count = (status: ExecutionStatus): number => sessions.filter((session) => session.status === status).length
  const since = (end: 'confirmedAt' | 'completedAt'): number | undefined =>
    mean(sessions.flatMap((each) => (each[end] ? [Math.max(0, each[end].getTime() - each.generatedAt.getTime())] : [])))
  const [msToConfirm, msToComplete] = [since('confirmedAt'), since('completedAt')]
  const [completed, cancelled] = [count('completed'), count('cancelled')]
  return {
    ...{ key, sessions: sessions.length, completed, cancelled, ...totals },
    confirmed: sessions.filter(({ confirmedAt }) => confirmedAt !== undefined).length,
    completionRate: rate(completed, completed + cancelled),
    plans: sessions.reduce((sum, { planCount }) => sum + planCount, 0),
    ...(msToConfirm !== undefined && { msToConfirm }),
    ...(msToComplete !== undefined && { msToComplete }),
  }
}

const rate = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)

const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length

const timesOf = ({ writes, totalMs, longestMs }: { writes: number; totalMs: number; longestMs: number }) => ({
  ...{ writes, meanMs: rate(totalMs, writes), longestMs },
})

const check = (ok: boolean, otherwise: string): Check => ({ ok, message: ok ? 'ok' : otherwise })
