// Where a runtime keeps its sessions when that is no directory of files: what an adapter with a subpath of its own gives, such
// as `holdfast/sqlite`. The core knows only this; whoever wants it imports the adapter and hands over what it makes.

import type { AuditHead } from './audit-chain.js'
import type { Backup, Restored } from './backup.js'
import type { Clock } from './clock.js'
import type { Diagnosis } from './diagnosis.js'
import type { Disk } from './disk.js'
import type { Damage } from './journal.js'
import type { Logger } from './logger.js'
import type { Ports } from './ports.js'
import type { Reader } from './reader.js'

/** What a storage is given to work with. */
export interface StorageWorld {
  readonly clock: Clock
  readonly logger: Logger
  /** A folder of the file system, for what is in no database: the lock, a log before it is read, the name of a backup. */
  folder(path: string): Disk
}

/** What an owner works on. */
export interface OpenStorage {
  readonly ports: Pick<Ports, 'journal' | 'snapshots' | 'backup' | 'audit' | 'release'>
  /** What opening it found damaged. */
  readonly damage: readonly Damage[]
}

export interface Storage {
  /** Where it is, for people: an absolute path. */
  readonly location: string
  /** Opens it for its only owner, and makes it if it is not there. `kinds` are those it is opened with, and their versions. */
  open(world: StorageWorld, kinds: { readonly [kind: string]: number }): OpenStorage
  /** Opens it for reading, beside its owner; nothing changes. */
  read(world: StorageWorld): Reader
  /** Says what is wrong with it and its audit log, which must still have `kept`; with `repair`, does what the findings say. */
  examine(world: StorageWorld, repair: boolean, kept?: AuditHead): Promise<Diagnosis>
  /** Writes all of it to one file, also beside its owner; a file that is there is replaced as a whole. */
  backup(world: StorageWorld, path: string): Promise<Backup>
  /** Puts a backup back where nothing is; it is verified before it is there. */
  restore(world: StorageWorld, path: string): Promise<Restored>
}
