// A backup, as values: what was written, what was put back, and what a file that is none is refused with.

import { HoldfastError } from './errors.js'
import type { Damage } from './journal.js'
import type { Position } from './record.js'

/** A backup that was written. */
export interface Backup {
  /** Absolute. */
  readonly path: string
  readonly bytes: number
  /** Every record before this position is in it, and none behind. */
  readonly end: Position
  /** What was known to be damaged in the directory; it is in the backup as it is. */
  readonly damage: readonly Damage[]
}

/** A backup that was put back. */
export interface Restored {
  /** Absolute. */
  readonly dir: string
  readonly bytes: number
  readonly sessions: number
  /** When the backup was written, ISO 8601. */
  readonly at: string
  /** What was damaged already when the backup was written. */
  readonly damage: readonly Damage[]
}

export const backupCorrupt = (path: string, why: string, cause?: unknown): HoldfastError =>
  new HoldfastError('BACKUP_CORRUPT', `${path} is not a whole backup: ${why}; nothing was restored, take another one`, {
    ...(cause !== undefined && { cause }),
    details: { file: path },
  })
