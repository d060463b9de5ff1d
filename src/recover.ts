// What is known of the sessions when a runtime opens: the index, and what the journal holds beyond it.
// No user code runs and no state is folded here; a session whose records are missing or damaged is parked, by name.

import { isAhead, isLoss, noteOnce, provedStale, touchedBy } from './damage.js'
import type { Damage, Journal } from './journal.js'
import { NOWHERE, type Position } from './record.js'
import type { Registry } from './registry.js'
import type { Snapshots } from './snapshots.js'
import type { IndexFile } from './state.js'
import type { Supervisor } from './supervisor.js'

export interface Recovery {
  readonly journal: Journal
  readonly snapshots: Snapshots
  readonly registry: Registry
  readonly supervisor: Supervisor
  /** What opening the journal found. */
  readonly damage: readonly Damage[]
}

export interface Recovered {
  /** What is known to be damaged, in the last segment and in what was scanned of the others. */
  readonly damage: readonly Damage[]
  /** True when a session that is not there may have lost its records, and need not be deleted. */
  readonly gaps: boolean
  /** True when an index of what is left would hide that records are lost: it stays as it is, or absent. */
  readonly lost: boolean
}

/** Fills the registry; parks what cannot be trusted. */
export function recover(recovery: Recovery): Recovered {
  const { journal, registry, supervisor } = recovery
  const damage = [...recovery.damage]
  const { from, known, ahead, hidden } = loadIndex(recovery, damage)
  for (const { position, record } of journal.scan(from, (found) => noteOnce(damage, found))) {
    try {
      registry.follow(record, position)
    } catch (error) {
      const kind = record.kind ?? registry.get(record.session)?.kind ?? ''
      supervisor.park({ id: record.session, kind }, error)
    }
  }
  for (const { entry, reason } of ahead ? provedStale(ahead, journal.end, registry.entries()) : []) {
    supervisor.park(entry, reason)
  }
  const touched = touchedBy(damage, registry.entries(), known)
  for (const { entry, reason } of touched) supervisor.park(entry, reason)
  const gaps = hidden || ahead !== undefined || damage.some(isLoss)
  return { damage, gaps, lost: hidden || ahead !== undefined || touched.some(({ indexed }) => !indexed) }
}

/**
 * Loads the index if the journal bears it out, and tells where the journal goes on from it. If the journal ends before the
 * index does, durable records are gone: the sessions that had them are not shown at an earlier state as if nothing was.
 */
function loadIndex({ journal, snapshots, registry }: Recovery, damage: Damage[]): IndexFound {
  const index = snapshots.readIndex()
  const { through, entries } = index ?? { through: NOWHERE, entries: [] }
  const ahead = index && isAhead(index, journal.end) ? index : undefined
  if (index && !ahead && through >= journal.begin) {
    registry.load(entries)
    return { from: through, known: through, ahead, hidden: false }
  }
  const before = damage.length
  registry.load(journal.floors((found) => noteOnce(damage, found)))
  const hidden = damage.length > before
  return { from: journal.begin, known: journal.begin, ahead, hidden }
}

interface IndexFound {
  readonly from: Position
  /** Up to here the registry is complete, whatever of the journal can be read. */
  readonly known: Position
  /** An index that reaches behind the end of the journal. */
  readonly ahead: IndexFile | undefined
  /** True when not every session can be read that was there where the journal begins. */
  readonly hidden: boolean
}
