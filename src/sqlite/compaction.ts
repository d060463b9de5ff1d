// Compaction: the oldest records are folded into the floor and dropped, so that a database does not grow for ever; its file does
// not shrink, what is free is used again. Nothing is dropped before the floor that replaces it is durable, and a record that
// cannot be read ends it: what is damaged is kept for whoever mends it.

import { HoldfastError } from '../errors.js'
import { floorLineOf } from '../floored.js'
import { loadState } from '../history.js'
import type { CompactOptions, Damage, Journal } from '../journal.js'
import type { Position } from '../record.js'
import { Registry } from '../registry.js'
import type { Database } from './database.js'
import { floorChecksum, sweep } from './floor.js'
import { type FloorHead, setHead } from './schema.js'

export interface Compaction {
  readonly db: Database
  readonly journal: Journal
  readonly floor: FloorHead | undefined
  /** The least that is dropped. */
  readonly portionBytes: number
}

/** Records, or sessions, looked at before others have their turn. */
const PAGE = 100

/** `raised` hears of the new floor as soon as it counts, and before anything is dropped. */
export async function raiseFloor(
  compaction: Compaction,
  options: CompactOptions,
  raised: (floor: FloorHead) => void,
): Promise<void> {
  const { db, journal, floor: old, portionBytes } = compaction
  const through = await boundary(compaction, options)
  if (through - journal.begin < portionBytes) return
  await swept(db, old, options)
  const registry = await registryAt(journal, through, options)
  const floor = { generation: (old?.generation ?? 0) + 1, through, count: registry.stats.get().total }
  await writeLines(compaction, registry, floor, options)
  db.transact(() => setHead(db, 'floor', floor))
  raised(floor)
  await swept(db, floor, options)
}

async function swept(db: Database, floor: FloorHead | undefined, { pause }: CompactOptions): Promise<void> {
  for (const _ of sweep(db, floor)) await pause()
}

/** Before where everything may go: what is beyond what is kept, and then as long as sessions are gone. */
async function boundary({ db, journal }: Compaction, options: CompactOptions): Promise<Position> {
  const { begin, end } = journal
  const least = end - options.keepBytes
  if (least >= end) return end
  const sql = 'SELECT position FROM records WHERE position <= ? ORDER BY position DESC LIMIT 1'
  const [start = begin] = db.get<[number]>(sql, least) ?? []
  let looked = 0
  for (const { position, record } of journal.scan(Math.max(start, begin))) {
    if (!options.isGone(record.session, position)) return position
    if (++looked % PAGE === 0) await options.pause()
  }
  return end
}

/** What sessions there were at a position. */
async function registryAt(journal: Journal, through: Position, { pause }: CompactOptions): Promise<Registry> {
  const registry = new Registry()
  registry.load(journal.floors(refuse))
  let looked = 0
  for (const { record, position } of journal.scan(journal.begin, refuse)) {
    if (position >= through) break
    registry.follow(record, position)
    if (++looked % PAGE === 0) await pause()
  }
  return registry
}

function refuse({ file, offset }: Damage): never {
  throw new HoldfastError(
    'JOURNAL_CORRUPT',
    `${file} cannot be read at ${offset}: nothing is dropped before that is mended`,
    { details: { file, offset } },
  )
}

async function writeLines(
  { db, journal }: Compaction,
  registry: Registry,
  { generation }: FloorHead,
  { pause }: CompactOptions,
): Promise<void> {
  const entries = [...registry.entries()]
  for (let at = 0; at < entries.length; at += PAGE) {
    const rows = entries.slice(at, at + PAGE).map((entry) => {
      // The snapshot of a session may be of a later moment.
      const line = JSON.stringify(floorLineOf(entry, loadState(journal, { read: () => undefined }, entry)))
      return [generation, entry.id, floorChecksum(generation, entry.id, line), line]
    })
    db.transact(() => {
      for (const row of rows) db.run('INSERT INTO floor VALUES (?, ?, ?, ?)', ...row)
    })
    await pause()
  }
}
