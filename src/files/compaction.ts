// Compaction: the oldest sealed segments are folded into the floor and dropped, so that a journal does not grow for ever.
// It never touches what is being written, and drops nothing before the floor that replaces it is durable. A record that
// cannot be read ends it: what is damaged is kept for whoever mends it.

import { type Disk, readFrom, replaceFile } from '../disk.js'
import { HoldfastError } from '../errors.js'
import { loadState } from '../history.js'
import type { CompactOptions, JournalEntry, ReadableJournal } from '../journal.js'
import { Registry } from '../registry.js'
import type { IndexEntry, SessionState } from '../state.js'
import { FLOOR, writeFloor } from './floor.js'
import { HEADER_BYTES, pieces } from './segment.js'
import type { Segment } from './segments.js'

/** Records, or sessions, looked at before others have their turn. */
const PAGE = 100

/** How many of the oldest segments may go. The last of `segments` is the one that is being written. */
export async function countDroppable(segments: readonly Segment[], options: CompactOptions): Promise<number> {
  const sealed = segments.length - 1
  const end = segments[sealed]?.base ?? 0
  let count = 0
  while (count < sealed && end - (segments[count + 1] as Segment).base >= options.keepBytes) count++
  while (count < sealed && (await isDead(segments, count, options))) count++
  return count
}

/** True when every session that has records in a segment is gone. */
async function isDead(
  segments: readonly Segment[],
  index: number,
  { isGone, pause }: CompactOptions,
): Promise<boolean> {
  let looked = 0
  for (const { session, position } of recordsIn(segments, index)) {
    if (!isGone(session, position)) return false
    if (++looked % PAGE === 0) await pause()
  }
  return true
}

function* recordsIn(segments: readonly Segment[], index: number): Generator<{ session: string; position: number }> {
  for (const { record, position } of wholeRecords(segments, index)) yield { session: record.session, position }
}

/** The records of a sealed segment. Throws JOURNAL_CORRUPT when not all of it can be read. */
function* wholeRecords(segments: readonly Segment[], index: number): Generator<JournalEntry> {
  const { file, base, chain, path } = segments[index] as Segment
  const length = (segments[index + 1] as Segment).base - base
  const bytes = readFrom(file, 0, length)
  let end = HEADER_BYTES
  for (const piece of pieces(bytes, base, HEADER_BYTES, chain)) {
    if (piece.kind !== 'record') throw unreadable(path, piece.offset)
    end = piece.offset + piece.bytes
    yield { record: piece.record, position: base + piece.offset }
  }
  if (end !== length) throw unreadable(path, end)
}

const unreadable = (file: string, offset: number): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `${file} cannot be read at offset ${offset}: nothing is dropped before that is mended`,
    {
      details: { file, offset },
    },
  )

/** Makes the first `count` segments superfluous: when it returns, the new floor is durable, and they may be removed. */
export async function raiseFloor(
  disk: Disk,
  journal: ReadableJournal,
  segments: readonly Segment[],
  count: number,
  pause: () => Promise<void>,
): Promise<void> {
  const [last, next] = [segments[count - 1] as Segment, segments[count] as Segment]
  if (next.chain === undefined) throw unreadable(next.path, 0)
  const registry = await registryAt(journal, segments, count, pause)
  const header = { segment: last.number, through: next.base, chain: next.chain }
  await replaceFile(disk, FLOOR, (file) => writeFloor(file, header, linesOf(journal, registry, pause)))
}

/** What sessions there were when the segment behind the last of these began. */
async function registryAt(
  journal: ReadableJournal,
  segments: readonly Segment[],
  count: number,
  pause: () => Promise<void>,
): Promise<Registry> {
  const registry = new Registry()
  registry.load(
    journal.floors(({ file, offset }) => {
      throw unreadable(file, offset)
    }),
  )
  let looked = 0
  for (let index = 0; index < count; index++) {
    for (const { record, position } of wholeRecords(segments, index)) {
      registry.follow(record, position)
      if (++looked % PAGE === 0) await pause()
    }
  }
  return registry
}

async function* linesOf(
  journal: ReadableJournal,
  registry: Registry,
  pause: () => Promise<void>,
): AsyncGenerator<{ entry: IndexEntry; state: SessionState }> {
  const entries = [...registry.entries()].sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const entry of entries) {
    // The snapshot of a session may be of a later moment.
    yield { entry, state: loadState(journal, { read: () => undefined }, entry) }
    await pause()
  }
}
