// What to do about documents that nobody came back to, and about one whose storage was left half written by a crash.

import { HoldfastError } from 'holdfast'
import type { DocumentStatus } from './machine.js'
import type { PlanningSessionManager } from './manager.js'
import type { Result } from './result.js'
import type { PlanningSession } from './session.js'
import type { PlanningSessionStorage } from './storage.js'

export type Recommendation = 'pause' | 'archive'

export interface StaleSessions {
  readonly stale_sessions: readonly PlanningSession[]
  /** By the session's id. */
  readonly recommendations: Readonly<Record<string, Recommendation>>
}

/** Where to look: a storage of one's own, or a manager. */
type Searched = Pick<PlanningSessionStorage, 'query'> | Pick<PlanningSessionManager, 'list'>

const HOUR_MS = 3_600_000

const RECOMMENDED: { readonly [S in Exclude<DocumentStatus, 'archived'>]: Recommendation } = {
  active: 'pause',
  paused: 'archive',
  converted: 'archive',
}

async function unfinished(searched: Searched): Promise<readonly PlanningSession[]> {
  const filters = { status: ['active', 'paused', 'converted'] } as const
  if ('query' in searched) return (await searched.query(filters)).filter(({ status }) => status !== 'archived')
  return (await searched.list(filters)).data
}

export const SessionRecovery = {
  /**
   * Documents that nothing has happened to for so many hours (24 by default), and what is recommended for each: an active one
   * is paused first; one that has rested as long again is archived. `now` is for tests.
   * Rejects with INVALID_ARGUMENT for hours that are none, and with what the storage throws.
   */
  async findStale(
    searched: Searched,
    // biome-ignore lint/plugin/clock: a question to the world outside of every session
    { hours = 24, now = new Date() }: { readonly hours?: number; readonly now?: Date } = {},
  ): Promise<StaleSessions> {
    if (!(hours >= 0)) throw new HoldfastError('INVALID_ARGUMENT', `hours must be a number of at least 0, not ${hours}`)
    const sessions = await unfinished(searched)
    const stale = sessions.filter(({ updated_at }) => now.getTime() - updated_at.getTime() >= hours * HOUR_MS)
    const recommendations = stale.map(({ id, status }) => [id, RECOMMENDED[status as keyof typeof RECOMMENDED]])
    return { stale_sessions: stale, recommendations: Object.fromEntries(recommendations) }
  },

  /**
   * The document as its last version has it. In storages of one's own a crash may have kept a session behind the version
   * that was stored for it: then it is brought up to it. In the runtime the two are never apart.
   */
  restoreFromHistory(id: string, manager: PlanningSessionManager): Promise<Result<PlanningSession>> {
    return manager.catchUp(id)
  },
} as const
