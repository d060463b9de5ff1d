// The reader on a database: beside its owner, without a lock, on a connection that cannot write. Each look at the database is
// one read transaction, so what is shown is the database at one moment by SQLite's own doing.

import { HoldfastError } from '../errors.js'
import type { Damage, ReadableJournal } from '../journal.js'
import { Reader } from '../reader.js'
import type { StorageWorld } from '../storage.js'
import { Database } from './database.js'
import { floorEntries, readFloor } from './floor.js'
import { logCorrupt, readLog } from './log.js'
import { type Place, placeOf, requireThere } from './place.js'
import { endsOf, readRecord, scanRecords } from './records.js'
import { headOf, isOurs } from './schema.js'
import { SqliteSnapshots } from './snapshots.js'

/** Throws DIRECTORY_NOT_FOUND, JOURNAL_CORRUPT, FORMAT_NEWER, INVALID_ARGUMENT, PACKAGE_MISSING or DISK_FAILED. */
export function openReading(path: string, world: StorageWorld): Reader {
  const place = placeOf(path, world)
  let db: Database | undefined
  const now = (): Database => (db ??= openFrozen(place))
  const snapshots = (): SqliteSnapshots =>
    new SqliteSnapshots(now(), {
      onDamage: ({ file, reason }) =>
        world.logger.warn({ file }, `${file} cannot be read (${reason}); the journal stands in for it`),
    })
  let looked = 0
  return new Reader({
    snapshots: {
      read: (id) => snapshots().read(id),
      size: (id) => snapshots().size(id),
      readIndex: () => {
        if (looked > 0) db = undefined // A reader looks again, and closes what it looked at before by itself.
        return snapshots().readIndex()
      },
    },
    openJournal: (onDamage) => {
      looked++
      return readableOn(now(), onDamage)
    },
  })
}

/** As it is now, until it is closed. */
export function openFrozen(place: Place): Database {
  requireThere(place)
  const log = readLog(place.folder, place.log)
  if (log.kind === 'corrupt') throw logCorrupt(place.log, log)
  return frozen(place)
}

/** The same, whatever the log is like. */
export function frozen({ path }: Place): Database {
  const db = new Database(path, 'ro')
  try {
    db.freeze()
    if (isOurs(db)) return db
    throw new HoldfastError('DIRECTORY_NOT_FOUND', `there are no Holdfast sessions in ${path}; name another file`)
  } catch (error) {
    db.close()
    throw error
  }
}

/** `onDamage` hears of what does not fit at its ends now, and of what a scan cannot read. */
export function readableOn(db: Database, onDamage: (damage: Damage) => void): ReadableJournal & { close(): void } {
  const floor = headOf(db, 'floor')
  const end = headOf(db, 'end') ?? 0
  const begin = floor?.through ?? 0
  for (const damage of endsOf(db, begin, end)) onDamage(damage)
  return {
    begin,
    end,
    floor: (id) => floor && readFloor(db, floor, id),
    floors: (onFloorDamage) => floorEntries(db, floor, onFloorDamage),
    read: (position) => readRecord(db, position, end),
    scan: (from) => scanRecords(db, from, end, () => begin, onDamage),
    close: () => db.close(),
  }
}
