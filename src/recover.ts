// What is known of the sessions when a runtime opens: the index, and what the journal holds beyond it.
// No user code runs and no state is folded here; a session whose records are missing or damaged is parked, by name.

import { HoldfastError } from './errors.js'
import type { Damage, Journal } from './journal.js'
import type { Logger } from './logger.js'
import type { Registry } from './registry.js'
import type { Snapshots } from './snapshots.js'
import type { Supervisor } from './supervisor.js'

export interface Recovery {
  readonly journal: Journal
  readonly snapshots: Snapshots
  readonly registry: Registry
  readonly supervisor: Supervisor
  /** What opening the journal found. */
  readonly damage: readonly Damage[]
  readonly logger: Logger
}

/** Fills the registry; parks what cannot be trusted. */
export function recover(recovery: Recovery): void {
  const { journal, registry, supervisor, damage } = recovery
  for (const { position, record } of journal.scan(loadIndex(recovery))) {
    try {
      registry.follow(record, position)
    } catch (error) {
      const kind = record.kind ?? registry.get(record.session)?.kind ?? ''
      supervisor.park({ id: record.session, kind }, error)
    }
  }
  for (const { sessions, kind, file, offset } of damage) {
    if (kind === 'torn') continue
    const message = `${file} is corrupt at offset ${offset}, where records of this session were`
    for (const id of sessions) {
      const entry = registry.get(id)
      if (entry) supervisor.park(entry, new HoldfastError('JOURNAL_CORRUPT', message, { details: { file, offset } }))
    }
  }
}

/** Loads the index if the journal bears it out; returns where the journal goes on from it. */
function loadIndex({ journal, snapshots, registry, logger }: Recovery): number {
  const index = snapshots.readIndex()
  if (!index) return 0
  if (index.through > journal.end) {
    logger.warn(
      { through: index.through, end: journal.end },
      'the journal ends before its index does: records are lost',
    )
    return 0
  }
  registry.load(index.entries)
  return index.through
}
