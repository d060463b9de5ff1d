// The floor of a journal in a database: what sessions were where it begins, a row each, of one generation. A generation counts
// when the row `floor` names it; what a crash has left of another is swept away, and nobody reads it meanwhile.

import { crc32 } from 'node:zlib'
import { HoldfastError } from '../errors.js'
import { type FloorLine, floorEntryOf } from '../floored.js'
import type { Damage } from '../journal.js'
import { NOWHERE } from '../record.js'
import type { IndexEntry, SessionState } from '../state.js'
import type { Database } from './database.js'
import type { FloorHead } from './schema.js'

/** Rows read or removed at a time. */
const PAGE = 256

type Row = readonly [row: number, session: Buffer, checksum: number, line: Buffer]
const COLUMNS = 'rowid, CAST(session AS BLOB), CAST(checksum AS INTEGER), CAST(line AS BLOB)'

export const floorChecksum = (generation: number, session: string, line: string | Buffer): number =>
  crc32(line, crc32(`${generation} ${session}`))

const lineIn = ([, session, checksum, line]: Row, { generation }: FloorHead): FloorLine | undefined =>
  floorChecksum(generation, session.toString('latin1'), line) === checksum
    ? (JSON.parse(line.toString()) as FloorLine)
    : undefined

/** A session as it was where the journal begins; undefined when it was not. Throws JOURNAL_CORRUPT. */
export function readFloor(db: Database, head: FloorHead, id: string): SessionState | undefined {
  const row = db.get<Row>(`SELECT ${COLUMNS} FROM floor WHERE generation = ? AND session = ?`, head.generation, id)
  const line = row && lineIn(row, head)
  if (line?.id === id) return line.state
  // A row that cannot be read may be the one that is asked for, and an order that is damaged leads past it.
  let damaged = row !== undefined
  for (const found of linesOf(db, head, () => (damaged = true))) if (found.id === id) return found.state
  if (!damaged) return undefined
  const what = `${placeOf(db)} cannot be read: restore it from a backup`
  throw new HoldfastError('JOURNAL_CORRUPT', what, { details: { file: placeOf(db) } })
}

/** Every session that was there, in the order of their creation; `onDamage` hears of rows that cannot be read. */
export function floorEntries(
  db: Database,
  head: FloorHead | undefined,
  onDamage: (damage: Damage) => void,
): IterableIterator<IndexEntry> {
  const entries = head ? [...linesOf(db, head, onDamage)].map(floorEntryOf) : []
  return entries.sort((a, b) => a.birth - b.birth).values()
}

function* linesOf(db: Database, head: FloorHead, onDamage: (damage: Damage) => void): Generator<FloorLine> {
  let [count, after] = [0, -1]
  for (let rows: Row[] = [], more = true; more; more = rows.length === PAGE) {
    const sql = `SELECT ${COLUMNS} FROM floor NOT INDEXED WHERE rowid > ? AND generation = ? ORDER BY rowid LIMIT ?`
    rows = db.all<Row>(sql, after, head.generation, PAGE)
    for (const row of rows) {
      const line = lineIn(row, head)
      if (line) yield line
      else onDamage(damageOf(db, row))
      count++
      after = Math.max(after, row[0])
    }
  }
  if (count < head.count) onDamage(damageOf(db, undefined))
}

const placeOf = (db: Database): string => `${db.name}/floor`

function damageOf(db: Database, row: Row | undefined): Damage {
  const [offset, session, , line] = row ?? [0, Buffer.alloc(0), 0, Buffer.alloc(0)]
  const sessions = row ? [session.toString('latin1')] : []
  return { file: placeOf(db), offset, bytes: line.length, position: NOWHERE, kind: 'corrupt', sessions }
}

/** Removes, a few at a time, what is below the floor or of another one. */
export function* sweep(db: Database, head: FloorHead | undefined): Generator<void> {
  const { generation, through } = head ?? { generation: 0, through: 0 }
  const rows = 'SELECT rowid FROM floor NOT INDEXED WHERE generation <> ? LIMIT ?'
  const records = 'SELECT position FROM records WHERE position < ? ORDER BY position LIMIT ?'
  while (db.get(rows, generation, 1)) {
    db.transact(() => db.run(`DELETE FROM floor WHERE rowid IN (${rows})`, generation, PAGE))
    yield
  }
  while (db.get(records, through, 1)) {
    db.transact(() => db.run(`DELETE FROM records WHERE position IN (${records})`, through, PAGE))
    yield
  }
}
