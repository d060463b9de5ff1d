// A database opened by its owner, in this order: the lock; the log, before SQLite reads it; the tables; what the log holds is
// brought into the file and synced there, since what a crashed process left in the page cache may be readable and yet not
// durable; what a crash has left half done is swept away.

import { openAudit } from '../audit.js'
import type { Backup } from '../backup.js'
import { describeDamage } from '../damage.js'
import { ownerOf } from '../directory.js'
import { HoldfastError } from '../errors.js'
import type { Damage } from '../journal.js'
import { type Held, takeLock, unwritable } from '../lock.js'
import { guarded } from '../logger.js'
import { requireWhole } from '../numbers.js'
import type { OpenStorage, StorageWorld } from '../storage.js'
import { backUp } from './backup.js'
import { Database } from './database.js'
import { sweep } from './floor.js'
import { SqliteJournal, type SqliteJournalOptions } from './journal.js'
import { logCorrupt, readLog } from './log.js'
import { besideOf, isThere, type Place, placeOf } from './place.js'
import { endsOf } from './records.js'
import { createTables, headOf, isOurs, setHead, syncLog } from './schema.js'
import { SqliteSnapshots } from './snapshots.js'

export interface SqliteStorageOptions extends SqliteJournalOptions {
  /** The database's file; made if it is not there. */
  readonly path: string
  /** How large the file may be, in pages of 4 KiB; then it is full. Default: as large as SQLite's files can be. */
  readonly maxPages?: number
}

/** Throws PACKAGE_MISSING, DIRECTORY_LOCKED, JOURNAL_CORRUPT, FORMAT_NEWER, INVALID_ARGUMENT, DISK_FULL or DISK_FAILED. */
export function openOwned(
  options: SqliteStorageOptions,
  world: StorageWorld,
  kinds: { readonly [kind: string]: number },
): OpenStorage {
  if (options.maxPages !== undefined) requireWhole('maxPages', options.maxPages, 1)
  const place = placeOf(options.path, world)
  const crashed = isThere(place) && ownerOf(place.folder, place.lock) !== undefined
  const lock = takeLock(place.folder, world.clock, place.lock, place.path)
  let db: Database | undefined
  try {
    db = openLocked(place, lock, crashed, world)
    if (options.maxPages !== undefined) db.all(`PRAGMA max_page_count = ${options.maxPages}`)
    const opened = portsOn(db, options, world)
    noteKinds(db, kinds)
    return { ...opened, ports: { ...opened.ports, release: () => release(db as Database, lock) } }
  } catch (error) {
    if (db) release(db, lock)
    else lock.free()
    throw unwritable(place.folder, error)
  }
}

function openLocked(place: Place, lock: Held, crashed: boolean, world: StorageWorld): Database {
  const { folder, name, log, path } = place
  const state = readLog(folder, log)
  if (state.kind === 'corrupt') throw logCorrupt(log, state)
  if (crashed && state.kind === 'empty') warnOfNoLog(place, world)
  const there = isThere(place)
  if (!there) {
    folder.create(name).close()
    folder.syncFolder('')
  }
  const db = new Database(path, 'rw')
  try {
    db.execute('PRAGMA synchronous = FULL')
    const ours = isOurs(db)
    if (!ours && there && lock.epoch > 0) throw emptied(path)
    db.all('PRAGMA journal_mode = WAL')
    if (!ours) createTables(db)
    lock.began(lock.epoch + 1)
    // With a reader in the way the log keeps what may not be durable: a commit syncs all of it.
    if (!db.checkpoint('FULL')) syncLog(db)
    for (const _ of sweep(db, headOf(db, 'floor')));
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function portsOn(db: Database, options: SqliteStorageOptions, world: StorageWorld): OpenStorage {
  const { clock } = world
  const logger = guarded(world.logger)
  const journal = new SqliteJournal(db, clock, options)
  const damage: Damage[] = endsOf(db, journal.begin, journal.end)
  for (const found of damage) logger.warn({ ...found }, describeDamage(found))
  const snapshots = new SqliteSnapshots(db, {
    onDamage: ({ file, reason, kept }) =>
      logger.warn({ file, kept }, `${file} cannot be read (${reason}); the journal has everything`),
    now: () => new Date(clock.now()).toISOString(),
    pause: () => new Promise((resolve) => clock.soon(resolve)),
  })
  const backup = (path: string): Promise<Backup> => backUp(db, world, path, damage)
  return { ports: { journal, snapshots, backup, audit: () => openAudit(besideOf(db, world), clock) }, damage }
}

function noteKinds(db: Database, kinds: { readonly [kind: string]: number }): void {
  const old = headOf(db, 'kinds') ?? {}
  const seen = { ...old, ...kinds }
  if (JSON.stringify(seen) !== JSON.stringify(old)) db.transact(() => setHead(db, 'kinds', seen))
}

/** In order: the log is emptied, so that the file alone is the whole database. */
function release(db: Database, lock: Held): void {
  try {
    db.checkpoint('TRUNCATE')
  } catch {
    // The log is read at the next opening.
  }
  db.close()
  lock.free()
}

/** Another SQLite program may have brought it into the file and removed it, as SQLite does. Or it was left behind. */
function warnOfNoLog({ log, name }: Place, { logger }: StorageWorld): void {
  const what = `${name} was not closed by its last owner, and ${log} is not there; if it was not taken in by another SQLite program, what was committed last is lost`
  guarded(logger).warn({ file: log }, what)
}

const emptied = (path: string): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `${path} is empty, and was not: restore it from a backup, or remove it and ${path}-lock to begin anew`,
    { details: { file: path } },
  )
