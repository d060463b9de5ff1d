// Old sessions are cleaned away: what is completed or cancelled, and has rested for so many days. Whoever asks for it is on
// record in the cleanup's own session; when that says that it is due, it runs by itself.

import { isHoldfastError, type Logger, type Session } from 'holdfast'
import type { Owned } from './access.js'
import type { CleanupMachine } from './cleanup.js'
import type { SessionDatabase } from './database.js'
import type { Host } from './hosting.js'
import { indexed } from './session.js'

export interface CleanedUp {
  readonly deletedSessions: number
  readonly deletedModifications: number
}

export interface CleanUpOptions {
  readonly days: number
  /** ms since the epoch. */
  readonly nowMs: number
  /** Who asked for it; nobody: it ran by itself. */
  readonly by?: string | undefined
  readonly organizationId?: string
  readonly mine?: (session: Owned) => boolean
}

const DAY_MS = 86_400_000

/** Deletes them one by one: one that a crash has kept is deleted by the next run. */
export async function cleanUp(host: Host, database: SessionDatabase, options: CleanUpOptions): Promise<CleanedUp> {
  const { days, nowMs, by, organizationId, mine = () => true } = options
  const { cleanup } = await host.open()
  let [deletedSessions, deletedModifications] = [0, 0]
  for await (const entry of database.entries(organizationId === undefined ? {} : { organizationId })) {
    const { status, modifications, ...owned } = indexed(entry)
    if (status !== 'completed' && status !== 'cancelled') continue
    if (nowMs - Date.parse(entry.updatedAt) < days * DAY_MS || !mine({ ...owned, id: entry.id })) continue
    if (!(await isDeleted(database, entry.id))) continue
    deletedSessions++
    deletedModifications += modifications
  }
  await cleanup.send({ type: 'cleaned', deletedSessions, deletedModifications, days, by }, database.trace)
  return { deletedSessions, deletedModifications }
}

async function isDeleted(database: SessionDatabase, id: string): Promise<boolean> {
  try {
    await database.deleteSession(id)
    return true
  } catch (error) {
    // Another run has come first.
    if (isHoldfastError(error, 'SESSION_NOT_FOUND', 'SESSION_DELETED')) return false
    throw error
  }
}

/** Runs the cleanup whenever it is due, until `signal` aborts; then it resolves. */
export async function keepClean(
  host: Host,
  database: SessionDatabase,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const { cleanup } = await host.open()
  for (;;) {
    const due = await dueOf(cleanup, signal)
    if (!due) return
    try {
      // What time it is says the session that is due: with a clock of one's own it is that one's.
      await cleanUp(host, database, { days: due.context.days, nowMs: Date.parse(due.updatedAt) })
    } catch (err) {
      if (signal.aborted) return
      logger.warn({ err }, 'execution sessions could not be cleaned up; it is tried again when it is due again')
      const message = err instanceof Error ? err.message : String(err)
      await cleanup.send({ type: 'failed', message: message.slice(0, 1_000) }).catch(() => {})
    }
  }
}

async function dueOf(cleanup: Session<CleanupMachine>, signal: AbortSignal) {
  try {
    return await cleanup.until('due', { signal })
  } catch {
    return undefined
  }
}
