// What is known of the sessions when a runtime opens: the index, and what the journal holds beyond it.
// No user code runs and no state is folded here; a session whose records are missing or damaged is parked, by name.

import { HoldfastError } from './errors.js'
import type { Damage, Journal } from './journal.js'
import type { Position } from './record.js'
import type { Registry } from './registry.js'
import type { Snapshots } from './snapshots.js'
import type { IndexEntry } from './state.js'
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
  /** True when the index knows of records that the journal has lost. */
  readonly lost: boolean
}

/** Fills the registry; parks what cannot be trusted. */
export function recover(recovery: Recovery): Recovered {
  const { journal, registry, supervisor } = recovery
  const damage = [...recovery.damage]
  const { from, lost } = loadIndex(recovery)
  for (const { position, record } of journal.scan(from, (found) => noteOnce(damage, found))) {
    try {
      registry.follow(record, position)
    } catch (error) {
      const kind = record.kind ?? registry.get(record.session)?.kind ?? ''
      supervisor.park({ id: record.session, kind }, error)
    }
  }
  for (const entry of lost) supervisor.park(entry, lostRecords(entry))
  for (const { sessions, kind, file, offset } of damage) {
    if (kind === 'torn') continue
    const message = `${file} is corrupt at offset ${offset}, where records of this session were`
    for (const id of sessions) {
      const entry = registry.get(id)
      if (entry) supervisor.park(entry, new HoldfastError('JOURNAL_CORRUPT', message, { details: { file, offset } }))
    }
  }
  return { damage, lost: lost.length > 0 }
}

/** The last segment is looked at twice: when it is opened, and by the scan. */
function noteOnce(damage: Damage[], found: Damage): void {
  if (!damage.some(({ file, offset }) => file === found.file && offset === found.offset)) damage.push(found)
}

/**
 * Loads the index if the journal bears it out, and tells where the journal goes on from it. If the journal ends before the
 * index does, durable records are gone: the sessions that had them are not shown at an earlier state as if nothing was.
 */
function loadIndex({ journal, snapshots, registry }: Recovery): { from: Position; lost: readonly IndexEntry[] } {
  const index = snapshots.readIndex()
  if (!index) return { from: 0, lost: [] }
  if (index.through > journal.end)
    return { from: 0, lost: index.entries.filter(({ position }) => position >= journal.end) }
  registry.load(index.entries)
  return { from: index.through, lost: [] }
}

const lostRecords = ({ seq }: IndexEntry): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `the index knows its transition ${seq}, and the journal ends before that: restore the journal from a backup, or delete it`,
    { details: { seq } },
  )
