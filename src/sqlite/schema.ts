// The tables of a database, and the rows that say something of the whole. Every row of ours carries a checksum over its key and
// its text, so that what SQLite gives back is known to be what was written, wherever a bit of the file is other.
//
//   holdfast     key -> text: `end` (where the journal ends), `floor` (where it begins), `index`, `kinds` (seen, with versions),
//                `backup` (of a copy: when it was made)
//   records      position -> a transition as JSON; the next one's position is this one's plus its length in bytes
//   floor        what sessions were where the journal begins, once older records were dropped
//   snapshots    session -> its state as JSON
//   directory    the index: one line a session, in parts; a fast opening
//   quarantine   what could not be read, kept whole
//   transitions  a view of the records, for whoever queries from outside

import { crc32 } from 'node:zlib'
import { HoldfastError } from '../errors.js'
import type { Position } from '../record.js'
import type { Database } from './database.js'

const FORMAT = 1
/** `Hold` in the file's header: whose database it is. */
const APPLICATION = 0x486f6c64

const TABLES = `
CREATE TABLE holdfast (key TEXT PRIMARY KEY, checksum INTEGER NOT NULL, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE records (position INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
CREATE TABLE floor (generation INTEGER NOT NULL, session TEXT NOT NULL, checksum INTEGER NOT NULL, line TEXT NOT NULL,
  PRIMARY KEY (generation, session)) STRICT;
CREATE TABLE snapshots (session TEXT PRIMARY KEY, checksum INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
CREATE TABLE directory (generation INTEGER NOT NULL, part INTEGER NOT NULL, checksum INTEGER NOT NULL, lines TEXT NOT NULL,
  PRIMARY KEY (generation, part)) STRICT;
CREATE TABLE quarantine (number INTEGER PRIMARY KEY, at TEXT NOT NULL, what TEXT NOT NULL, content BLOB NOT NULL) STRICT;
CREATE VIEW transitions AS SELECT position, record ->> '$.session' AS session, record ->> '$.seq' AS seq,
  record ->> '$.at' AS at, record ->> '$.event.type' AS event, record -> '$.value' AS value,
  coalesce(record ->> '$.status', 'active') AS status, record FROM records;
PRAGMA application_id = ${APPLICATION};
PRAGMA user_version = ${FORMAT};
`

/** Where the journal begins, if anything was dropped. */
export interface FloorHead {
  readonly generation: number
  readonly through: Position
  readonly count: number
}

export interface IndexHead {
  readonly generation: number
  readonly through: Position
  readonly parts: number
  readonly count: number
  readonly bytes: number
}

/** Of a backup: when it was made, and whether all of it could be read then. */
export interface BackupHead {
  readonly at: string
  readonly whole: boolean
}

interface Heads {
  /** Where the journal ends. */
  readonly end: Position
  readonly floor: FloorHead
  readonly index: IndexHead
  readonly kinds: { readonly [kind: string]: number }
  readonly backup: BackupHead
}

/**
 * Tells whether the database has our tables: false when it has nothing at all. Throws FORMAT_NEWER, INVALID_ARGUMENT when it is
 * somebody else's, JOURNAL_CORRUPT.
 */
export function isOurs(db: Database): boolean {
  const [application] = db.get<[number]>('PRAGMA application_id') ?? [0]
  const [version] = db.get<[number]>('PRAGMA user_version') ?? [0]
  if (application === APPLICATION && version === FORMAT) return true
  if (application === APPLICATION && version > FORMAT) {
    const what = `${db.name} has format ${version}, which this version of holdfast cannot read; install the newer one (it is untouched)`
    throw new HoldfastError('FORMAT_NEWER', what, { details: { file: db.name, format: version } })
  }
  const [tables] = db.get<[number]>('SELECT count(*) FROM sqlite_master') ?? [0]
  if (application === 0 && version === 0 && tables === 0) return false
  const what = `${db.name} is a database of another program, or its first page is damaged; name another file, or restore it from a backup`
  throw new HoldfastError('INVALID_ARGUMENT', what, { details: { file: db.name } })
}

export function createTables(db: Database): void {
  db.transact(() => {
    db.execute(TABLES)
    setHead(db, 'end', 0)
  })
}

/** Changes nothing, in a transaction: its commit syncs all of the log. */
export function syncLog(db: Database): void {
  db.transact(() => db.execute(`PRAGMA user_version = ${FORMAT}`))
}

/** What the row of a key says; undefined when it is not there. Throws JOURNAL_CORRUPT when it is not what was written. */
export function headOf<Key extends keyof Heads>(db: Database, key: Key): Heads[Key] | undefined {
  const row = db.get<[number, Buffer]>(
    'SELECT CAST(checksum AS INTEGER), CAST(value AS BLOB) FROM holdfast WHERE key = ?',
    key,
  )
  if (!row) return undefined
  const [checksum, value] = row
  if (crc32(value, crc32(key)) === checksum) return JSON.parse(value.toString()) as Heads[Key]
  const what = `${db.name}: what it says of "${key}" is damaged: run holdfast doctor on it, and restore it from a backup`
  throw new HoldfastError('JOURNAL_CORRUPT', what, { details: { file: db.name, key } })
}

export function setHead<Key extends keyof Heads>(db: Database, key: Key, value: Heads[Key]): void {
  const text = JSON.stringify(value)
  db.run(
    'INSERT INTO holdfast VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET checksum = excluded.checksum, value = excluded.value',
    ...[key, crc32(text, crc32(key)), text],
  )
}

/** What is replaced or taken away is kept. Within a transaction. */
export function quarantine(db: Database, what: string, at: string, content: Uint8Array): void {
  db.run('INSERT INTO quarantine (at, what, content) VALUES (?, ?, ?)', at, what, Buffer.from(content))
}
