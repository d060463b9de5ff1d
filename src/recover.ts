// What is known of the sessions of a directory that is opened: the index, and what the journal holds beyond it. The same to its
// owner and to whoever only reads. No user code runs and no state is folded here; a session whose records are missing or
// damaged is named, with the reason.

import { isAhead, isLoss, noteOnce, provedStale, touchedBy } from './damage.js'
import type { Damage, ReadableJournal } from './journal.js'
import { NOWHERE, type Position } from './record.js'
import type { Registry } from './registry.js'
import type { IndexFile } from './state.js'

export interface Recovery {
  readonly journal: ReadableJournal
  readonly index: IndexFile | undefined
  /** Filled; empty before. */
  readonly registry: Registry
  /** What opening the journal found; what else is found is added. */
  readonly damage: Damage[]
  /** Hears of each session that cannot be trusted, and why. */
  broken(session: { readonly id: string; readonly kind: string }, reason: unknown): void
}

export interface Recovered {
  /** True when a session that is not there may have lost its records, and need not be deleted. */
  readonly gaps: boolean
  /** True when an index of what is left would hide that records are lost: it stays as it is, or absent. */
  readonly lost: boolean
}

/** Fills the registry, and tells what cannot be trusted. */
export function recover(recovery: Recovery): Recovered {
  const { journal, registry, damage, broken } = recovery
  const { from, ahead, hidden } = loadIndex(recovery)
  for (const { position, record } of journal.scan(from, (found) => noteOnce(damage, found))) {
    try {
      registry.follow(record, position)
    } catch (error) {
      broken({ id: record.session, kind: record.kind ?? registry.get(record.session)?.kind ?? '' }, error)
    }
  }
  for (const { entry, reason } of ahead ? provedStale(ahead, journal.end, registry.entries()) : [])
    broken(entry, reason)
  const touched = touchedBy(damage, registry.entries(), from)
  for (const { entry, reason } of touched) broken(entry, reason)
  const gaps = hidden || ahead !== undefined || damage.some(isLoss)
  return { gaps, lost: hidden || ahead !== undefined || touched.some(({ indexed }) => !indexed) }
}

/**
 * Loads the index if the journal bears it out, and tells where the journal goes on from it. If the journal ends before the
 * index does, durable records are gone: the sessions that had them are not shown at an earlier state as if nothing was.
 */
function loadIndex({ journal, index, registry, damage }: Recovery): IndexFound {
  const { through, entries } = index ?? { through: NOWHERE, entries: [] }
  const ahead = index && isAhead(index, journal.end) ? index : undefined
  if (index && !ahead && through >= journal.begin) {
    registry.load(entries)
    return { from: through, ahead, hidden: false }
  }
  const before = damage.length
  registry.load(journal.floors((found) => noteOnce(damage, found)))
  return { from: journal.begin, ahead, hidden: damage.length > before }
}

interface IndexFound {
  /** Up to here the registry is complete, whatever of the journal can be read. */
  readonly from: Position
  /** An index that reaches behind the end of the journal. */
  readonly ahead: IndexFile | undefined
  /** True when not every session can be read that was there where the journal begins. */
  readonly hidden: boolean
}
