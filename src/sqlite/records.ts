// The records of a database, read: one by its position, or in order. Positions have no holes, so a record that is missing is
// noticed by whoever reads past it, and each text is held against its checksum.

import { crc32 } from 'node:zlib'
import { HoldfastError } from '../errors.js'
import { turnedBack } from '../flipped.js'
import { ID_SHAPE } from '../id.js'
import type { Damage, JournalEntry } from '../journal.js'
import type { Position, TransitionRecord } from '../record.js'
import { droppedMeanwhile } from '../refusals.js'
import type { Database } from './database.js'

/** Read at a time while scanning. */
const PAGE = 128
/** Looking for a flipped bit takes a millisecond for some ten thousand bytes. */
const TURNED_BYTES = 1024 * 1024

/** From what the checksum of a record goes on: a record in another's place has none that holds. */
export const seedOf = (position: Position): number => ((position % 2 ** 32) ^ Math.floor(position / 2 ** 32)) >>> 0

/** What damage is told of. */
const placeOf = (db: Database): string => `${db.name}/records`

/** Throws JOURNAL_CORRUPT, DISK_FAILED. */
export function readRecord(db: Database, position: Position, end: Position): TransitionRecord {
  const row =
    position >= 0 && position < end
      ? db.get<[number, Buffer]>(
          'SELECT CAST(checksum AS INTEGER), CAST(record AS BLOB) FROM records WHERE position = ?',
          position,
        )
      : undefined
  if (!row) throw unreadable(db, position, 'there is no record')
  const [checksum, text] = row
  if (crc32(text, seedOf(position)) !== checksum) throw unreadable(db, position, 'its checksum is wrong')
  return JSON.parse(text.toString()) as TransitionRecord
}

const unreadable = (db: Database, offset: Position, why: string): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `${placeOf(db)} cannot be read at ${offset} (${why}): restore it from a backup`,
    {
      details: { file: placeOf(db), offset },
    },
  )

type Row = readonly [position: number, checksum: number, text: Buffer]
const COLUMNS = 'position, CAST(checksum AS INTEGER), CAST(record AS BLOB)'

/**
 * The records from a position up to `end`, in order; `onDamage` hears of what cannot be read. `begin` is asked whether what is
 * not there was dropped meanwhile. Throws HISTORY_UNAVAILABLE then, JOURNAL_CORRUPT where the file's own order is damaged.
 */
export function* scanRecords(
  db: Database,
  from: Position,
  end: Position,
  begin: () => Position,
  onDamage: (damage: Damage) => void = () => {},
): Generator<JournalEntry> {
  const first = Math.max(from, begin())
  let next = follower(db, first, begin())
  /** How long it was, only the next one tells. */
  let bad: Row | undefined
  for (let more = next < end; more; ) {
    const rows = db.all<Row>(
      `SELECT ${COLUMNS} FROM records WHERE position >= ? AND position < ? ORDER BY position LIMIT ?`,
      ...[Math.max(next, first), end, PAGE],
    )
    if (next < begin() && rows[0]?.[0] !== next) throw droppedMeanwhile(begin())
    more = false
    for (const row of rows) {
      const [position, , text] = row
      if (position < next) continue // out of its place: the one that should be there is missed
      if (bad) onDamage(corrupt(db, bad, position))
      else if (position > next) onDamage(missing(db, next, position))
      bad = holds(row) ? undefined : row
      next = bad ? position + 1 : position + text.length
      more = rows.length === PAGE
      if (!bad && position >= first) yield { position, record: JSON.parse(text.toString()) as TransitionRecord }
    }
  }
  if (bad) onDamage(corrupt(db, bad, end))
  else if (next < end) onDamage(missing(db, next, end))
}

const holds = ([position, checksum, text]: Row): boolean => crc32(text, seedOf(position)) === checksum

/** Where the first record at or behind `first` is to be: right behind the one before it. */
function follower(db: Database, first: Position, begin: Position): Position {
  const before = db.get<Row>(
    `SELECT ${COLUMNS} FROM records WHERE position < ? AND position >= ? ORDER BY position DESC LIMIT 1`,
    ...[first, begin],
  )
  if (!before) return begin
  return holds(before) ? before[0] + before[2].length : first
}

const missing = (db: Database, from: Position, to: Position): Damage => ({
  ...{ file: placeOf(db), offset: from, bytes: to - from, position: from, kind: 'missing', sessions: [] },
})

const corrupt = (db: Database, [position, checksum, text]: Row, next: Position): Damage => ({
  ...{ file: placeOf(db), offset: position, bytes: next - position, position, kind: 'corrupt' },
  sessions: sessionsIn(text, seedOf(position), checksum),
})

/** Ids of sessions that can be made out in a damaged text. The bit that is other may be in one. */
function sessionsIn(text: Buffer, seed: number, checksum: number): string[] {
  const whole = text.length <= TURNED_BYTES ? turnedBack(text, seed, checksum) : undefined
  const named = Buffer.from(whole ?? text)
    .toString('latin1')
    .matchAll(NAMED)
  return [...new Set([...named].map((match) => match[1] as string))]
}

const NAMED = new RegExp(`"session":"(${ID_SHAPE})"`, 'g')

/** What an opening finds wrong at the two ends of the journal. */
export function endsOf(db: Database, begin: Position, end: Position): Damage[] {
  const last = follower(db, end, begin)
  if (last < end) return [missing(db, last, end)]
  const [first = end] =
    db.get<[number]>('SELECT position FROM records WHERE position >= ? ORDER BY position LIMIT 1', begin) ?? []
  return first > begin ? [missing(db, begin, first)] : []
}
