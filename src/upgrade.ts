// At an opening: the sessions that an older version of their kind has recorded are migrated, before anything else happens to
// them. So nobody is shown a state, an attribute or a type of an older version, and what does not fit is parked and known
// from the beginning. A record each, appended in batches; what a crash leaves is done by the next opening, once.

import type { AnySessionKind } from './define.js'
import { isHoldfastError } from './errors.js'
import { loadState } from './history.js'
import type { SessionHost } from './host.js'
import { withinRoom } from './json.js'
import type { Known } from './listing.js'
import { migrationRecord } from './migration.js'
import type { Registry } from './registry.js'
import type { Snapshots } from './snapshots.js'
import type { Supervisor } from './supervisor.js'

export interface UpgradeHost {
  readonly session: SessionHost
  readonly registry: Registry
  readonly supervisor: Supervisor
  readonly snapshots: Snapshots
  readonly kinds: ReadonlyMap<string, AnySessionKind>
}

/** Sessions whose records share a batch: what has been decided and waits for the disk is bounded by it. */
const TOGETHER = 256

/** Resolves when every session is of today's version, durably, or parked. Rejects with the failure of the journal. */
export async function upgrade(host: UpgradeHost): Promise<void> {
  const { registry, kinds, supervisor, session } = host
  const outdated = [...registry.ofOtherVersions(kinds)].filter(({ id }) => supervisor.reasonBroken(id) === undefined)
  for (const [done, entry] of outdated.entries()) {
    migrate(entry, host)
    if (done % TOGETHER === TOGETHER - 1) await session.journal.flush()
  }
  if (outdated.length > 0) await session.journal.flush()
}

function migrate(entry: Known, { session, supervisor, snapshots, kinds }: UpgradeHost): void {
  const { journal, clock, chance, changeLimit } = session
  try {
    const state = loadState(journal, snapshots, entry)
    const plan = { now: clock.now(), newId: () => chance.id() }
    const record = withinRoom(changeLimit, () => migrationRecord(kinds.get(entry.kind) as AnySessionKind, state, plan))
    session.secrets.refuse(record, 'the record of its migration')
    journal.append(record, {
      durable: (position) => session.advanced(record, position),
      failed: () => {}, // as is whoever waits for the flush
    })
  } catch (error) {
    if (isHoldfastError(error, 'JOURNAL_FAILED', 'RUNTIME_CLOSED')) throw error
    supervisor.park(entry, error)
  }
}
