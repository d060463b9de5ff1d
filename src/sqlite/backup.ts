// A backup of a database: SQLite's own copy of it at one moment (`VACUUM INTO`), which is a database again, without a log beside
// it. It is written beside its name, read through, and only then given the name. Putting one back does the same.

import { basename, dirname, resolve } from 'node:path'
import { type Backup, backupCorrupt, type Restored } from '../backup.js'
import type { Clock } from '../clock.js'
import { describeDamage, noteOnce } from '../damage.js'
import { type Disk, type DiskFile, writeAll } from '../disk.js'
import { HoldfastError, isHoldfastError } from '../errors.js'
import type { Damage, ReadableJournal } from '../journal.js'
import type { StorageWorld } from '../storage.js'
import { atOnce, inTurns, type Turns } from '../turns.js'
import { Database, databaseError } from './database.js'
import { logOf } from './log.js'
import { isThere, type Place, placeOf } from './place.js'
import { openFrozen, readableOn } from './reader.js'
import { headOf, isOurs, setHead } from './schema.js'
import { telling } from './told.js'

const CHUNK_BYTES = 1024 * 1024

/**
 * Writes what `db` shows to a file; `damage` is what is known of it. Rejects with FILE_NOT_FOUND, INVALID_ARGUMENT where the file
 * is the database's own, JOURNAL_CORRUPT where it cannot be copied, DISK_FULL or DISK_FAILED; then a file that was there is as it was.
 */
export async function backUp(
  db: Database,
  world: StorageWorld,
  path: string,
  damage: readonly Damage[],
): Promise<Backup> {
  const whole = resolve(path)
  const folder = requireFolder(world, whole)
  refuseItself(world, whole, db.path)
  const temporary = `${basename(whole)}.tmp`
  const at = new Date(world.clock.now()).toISOString()
  try {
    folder.create(temporary).close() // before SQLite makes it, which would let others read it
    db.run('VACUUM INTO ?', `${whole}.tmp`)
    const end = await seal(`${whole}.tmp`, at, world.clock)
    // Of a database that had this name: SQLite would take them for the copy's.
    for (const stale of [logOf(basename(whole)), `${basename(whole)}-shm`]) folder.remove(stale)
    folder.rename(temporary, basename(whole))
    folder.syncFolder('')
    return { path: whole, bytes: sizeOf(folder, basename(whole)), end, damage }
  } catch (error) {
    discard(folder, temporary)
    throw databaseError(error, basename(whole))
  }
}

/** Throws INVALID_ARGUMENT where the backup, or what becomes it, would take the place of the database or of what belongs to it. */
function refuseItself(world: StorageWorld, path: string, database: string): void {
  const realPath = (each: string): string => world.folder(dirname(each)).realPath?.(basename(each)) ?? each
  const real = realPath(database)
  const taken = [real, logOf(real), `${real}-shm`, `${real}-lock`]
  if (![path, `${path}.tmp`].some((each) => taken.includes(realPath(each)))) return
  const what = `a backup of ${database} cannot be written to ${path}, which belongs to the database; name another file`
  throw new HoldfastError('INVALID_ARGUMENT', what, { details: { file: path } })
}

/** Beside the owner. */
export async function backUpBeside(from: string, world: StorageWorld, path: string): Promise<Backup> {
  const damage: Damage[] = []
  // Not frozen: SQLite copies within a transaction of its own.
  const place = placeOf(from, world)
  openFrozen(place).close()
  const db = new Database(place.path, 'ro')
  try {
    readableOn(db, (found) => noteOnce(damage, found))
    return await backUp(db, world, path, damage)
  } finally {
    db.close()
  }
}

/** Says in the copy when it was made and whether all of it can be read, which syncs it. Gives where its journal ends. */
async function seal(path: string, at: string, clock: Clock): Promise<number> {
  const db = new Database(path, 'rw')
  try {
    db.execute('PRAGMA synchronous = FULL')
    const { damage, journal } = await inTurns(reading(db), clock)
    db.transact(() => setHead(db, 'backup', { at, whole: damage.length === 0 }))
    return journal.end
  } finally {
    db.close()
  }
}

/** All that its journal tells. */
function* reading(db: Database): Turns<{ journal: ReadableJournal; damage: readonly Damage[]; sessions: number }> {
  const damage: Damage[] = []
  const journal = readableOn(db, (found) => noteOnce(damage, found))
  const { registry } = yield* telling(journal, (found) => noteOnce(damage, found))
  return { journal, damage, sessions: registry.stats.get().total }
}

/**
 * Rejects with BACKUP_CORRUPT, DIRECTORY_NOT_EMPTY, FILE_NOT_FOUND, FORMAT_NEWER, DISK_FULL or DISK_FAILED; then nothing has
 * changed.
 */
export async function restore(path: string, to: string, world: StorageWorld): Promise<Restored> {
  const place = placeOf(to, world)
  place.folder.makeFolder('')
  if (isThere(place)) {
    const what = `${place.path} is there already; name a file that is not there yet`
    throw new HoldfastError('DIRECTORY_NOT_EMPTY', what, { details: { dir: place.path } })
  }
  const temporary = { ...place, path: `${place.path}.tmp`, name: `${place.name}.tmp` }
  try {
    const bytes = await copyFile(resolve(path), temporary, world)
    const looked = lookInto(temporary, path)
    for (const stale of [place.log, `${place.name}-shm`]) place.folder.remove(stale)
    place.folder.rename(temporary.name, place.name)
    place.folder.syncFolder('')
    return { dir: place.path, bytes, ...looked }
  } catch (error) {
    discard(place.folder, temporary.name)
    throw databaseError(error, place.name)
  }
}

async function copyFile(from: string, to: Place, world: StorageWorld): Promise<number> {
  const source = requireFolder(world, from).openRead(basename(from))
  if (!source) throw new HoldfastError('FILE_NOT_FOUND', `there is no file ${from}; name a backup`)
  let target: DiskFile | undefined
  try {
    target = to.folder.create(to.name)
    const chunk = new Uint8Array(CHUNK_BYTES)
    let done = 0
    for (let read = -1; read !== 0; done += read) {
      read = source.readSync(chunk, done)
      await writeAll(target, chunk.subarray(0, read), done)
    }
    await target.sync()
    return done
  } finally {
    source.close()
    target?.close()
  }
}

/** What an opening will find. Throws BACKUP_CORRUPT where it is not what was written. */
function lookInto({ path }: Place, backup: string): { sessions: number; at: string; damage: readonly Damage[] } {
  try {
    const db = new Database(path, 'ro')
    try {
      const head = isOurs(db) ? headOf(db, 'backup') : undefined
      if (!head) throw backupCorrupt(backup, 'holdfast backup has not made it')
      const { damage, sessions } = atOnce(reading(db))
      const [wrong = head.whole && damage[0] && describeDamage(damage[0])] = integrityOf(db)
      if (wrong) throw backupCorrupt(backup, wrong)
      return { sessions, at: head.at, damage }
    } finally {
      db.close()
    }
  } catch (error) {
    if (isHoldfastError(error, 'JOURNAL_CORRUPT', 'INVALID_ARGUMENT')) throw backupCorrupt(backup, error.message, error)
    throw error
  }
}

/** What SQLite's own check says; nothing when all is well. */
export function integrityOf(db: Database): string[] {
  const rows = db.all<[Buffer]>('SELECT CAST(integrity_check AS BLOB) FROM pragma_integrity_check(20)')
  return rows.map(([line]) => line.toString()).filter((line) => line !== 'ok')
}

function requireFolder(world: StorageWorld, path: string): Disk {
  const folder = world.folder(dirname(path))
  try {
    folder.syncFolder('')
    return folder
  } catch (cause) {
    const what = `there is no folder ${folder.location}; make it first`
    throw new HoldfastError('FILE_NOT_FOUND', what, { cause })
  }
}

function sizeOf(folder: Disk, name: string): number {
  const file = folder.openRead(name)
  try {
    return file?.size() ?? 0
  } finally {
    file?.close()
  }
}

function discard(folder: Disk, name: string): void {
  try {
    folder.remove(name)
  } catch {}
}
