// The registry as users see it: what is durable, read only. It opens no session.

import { admitId } from './door.js'
import { type SessionEntry, type SessionFilter, type SessionPage, type SessionStats, shown } from './listing.js'
import { sessionNotFound } from './refusals.js'
import type { Registry } from './registry.js'
import type { ReadonlyAtom } from './watched.js'

export interface Sessions {
  list(filter?: SessionFilter, page?: { readonly cursor?: string; readonly limit?: number }): SessionPage
  count(filter?: SessionFilter): number
  stats(): SessionStats
  /** The totals as an atom of @xstate/store: `get` them, or `subscribe` to hear each change once it is durable. */
  statsAtom(): ReadonlyAtom<SessionStats>
  /** One session as an atom, which follows it without opening it; undefined when there is none, or none any more. */
  atom(id: string): ReadonlyAtom<SessionEntry | undefined>
  /** The session that was created with this idempotency key of its kind, if there is one. */
  byKey(kind: string, idempotencyKey: string): SessionEntry | undefined
  /** The one session whose id begins with `prefix`, among those that match. Throws SESSION_NOT_FOUND or AMBIGUOUS_ID. */
  find(prefix: string, filter?: SessionFilter): SessionEntry
}

/** `open` gives the registry, or throws when nothing can be read any more. */
export const sessionsOf = (open: () => Registry): Sessions => ({
  list: (filter, page) => open().list(filter, page),
  count: (filter) => open().count(filter),
  stats: () => open().stats.get(),
  statsAtom: () => open().stats,
  atom: (id) => open().atom(admitId(id)),
  byKey: (kind, idempotencyKey) => {
    const entry = open().byKey(kind, idempotencyKey)
    return entry && shown(entry)
  },
  find: (prefix, filter) => {
    const entry = open().find(prefix, filter)
    if (entry) return shown(entry)
    throw sessionNotFound(prefix)
  },
})
