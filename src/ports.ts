// What a runtime stands on: everything that touches the world outside. Only types; `openRuntime` chooses these for a
// directory of files, a test or a simulation chooses others.

import type { Audit } from './audit.js'
import type { Backup } from './backup.js'
import type { Chance } from './chance.js'
import type { Clock } from './clock.js'
import type { Journal } from './journal.js'
import type { Pool } from './pool.js'
import type { Position } from './record.js'
import type { Snapshots } from './snapshots.js'

export interface Ports {
  readonly journal: Journal
  readonly snapshots: Snapshots
  readonly pool: Pool
  readonly clock: Clock
  readonly chance: Chance
  /** Writes the journal up to a position to one file; absent where nothing is in files. */
  readonly backup?: (path: string, end: Position) => Promise<Backup>
  /** Opens the audit log; absent where nothing is in files. Called once. */
  readonly audit?: () => Audit
  /** Called last when the runtime closes: frees what the ports hold, such as the lock. */
  readonly release?: () => void
}
