// What a process that is to be killed is told: see `victim.ts`.
import { join } from 'node:path'

export type Place = 'opening' | 'migration' | 'append' | 'snapshot' | 'compaction' | 'shutdown'

export interface Orders {
  readonly dir: string
  /** In one database in the directory, not in files of our own. */
  readonly database?: true
  /** How many sessions there are to be, and how many of them are at work. */
  readonly sessions: number
  readonly active: number
  /** Of the kind: sessions of an older one are migrated when the directory is opened. */
  readonly version: number
  /** How many entries are acknowledged before the directory is closed. */
  readonly entries: number
  /** What it does beside: `compaction` drops what is old again and again. */
  readonly place: Place | 'anywhere'
  /** Of what it draws. */
  readonly seed: number
  /** The call to the disk, counted within the place, at which it dies by its own hand. */
  readonly strike?: { readonly call: number; readonly how: 'before' | 'half' | 'after' }
}

/** Where the database is. */
export const databaseIn = (dir: string): string => join(dir, 'ledger.db')
