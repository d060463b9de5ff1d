// The segments of a journal as files: begun, renewed when a writer opens, scanned and read; `claims.ts` finds them.
// A segment appears under its name only when its first content is durable; what is cut off one is kept in quarantine first.

import { type Disk, type DiskFile, readAll, readFrom, writeAllSync } from '../disk.js'
import { HoldfastError } from '../errors.js'
import type { Damage, JournalEntry } from '../journal.js'
import type { Position, TransitionRecord } from '../record.js'
import type { FloorHeader } from './floor.js'
import {
  contentEnd,
  FORMAT,
  HEADER_BYTES,
  headerLine,
  NEWLINE,
  type Piece,
  pieces,
  readRecord,
  segmentName,
  sessionsIn,
} from './segment.js'
import { storageError } from './storage-error.js'

export interface Segment {
  readonly number: number
  readonly base: Position
  /** Another one once it is sealed, which need not be open. */
  file: DiskFile
  /** The file's name now; it was opened or created under another, perhaps. */
  readonly path: string
  /** The checksum of the last record before it; undefined when neither the header nor the first record tells it. */
  readonly chain: number | undefined
  /** False when its header cannot be read; number, base and chain are then what the name and the records tell. */
  readonly headed: boolean
}

const READ_BYTES = 4096

/** Where what was written in a segment ends, as a position. */
export const endOf = ({ base, file }: Segment): Position => base + contentEnd(readFrom(file, 0))

/** Where the last record of a segment ends: what is torn behind it was never acknowledged. */
export function recordsEnd({ file, base, chain }: Segment): Position {
  const bytes = readFrom(file, 0)
  let end = Math.min(HEADER_BYTES, bytes.length)
  for (const piece of pieces(bytes, base, HEADER_BYTES, chain)) {
    if (piece.kind !== 'torn') end = piece.offset + piece.bytes
  }
  return base + end
}

/** Gives what `act` gives, and closes the file or files when it throws. */
export function orClose<T>(files: { close(): void }, act: () => T): T {
  try {
    return act()
  } catch (error) {
    files.close()
    throw error
  }
}

/** Where a writer goes on. */
export interface Start {
  readonly segment: Segment
  readonly chain: number
  readonly end: Position
  readonly damage: readonly Damage[]
}

/** The first segment of an empty journal, or of one of which only the floor is left. */
export function first(disk: Disk, epoch: number, floor?: FloorHeader): Start {
  const { segment: below = 0, through: base = 0, chain = 0 } = floor ?? {}
  const segment = createSegment(disk, { holdfast: FORMAT, segment: below + 1, epoch, base }, chain)
  orClose(segment.file, () => disk.syncFolder(''))
  return { segment, chain, end: base + HEADER_BYTES, damage: [] }
}

/**
 * Copies what can be read of the last segment into a new file of the same name; keeps aside what is cut off or replaced.
 * `before` is the checksum of the last record before it.
 */
export function renew(disk: Disk, old: Segment, epoch: number, before: number): Start {
  const bytes = readAll(disk, old.path) ?? new Uint8Array()
  const damage: Damage[] = []
  let end = Math.min(HEADER_BYTES, bytes.length)
  if (!old.headed) damage.push(keep(disk, old, bytes, 'header', 0, end))
  let chain = before
  for (const piece of pieces(bytes, old.base, HEADER_BYTES, before)) {
    if (piece.kind === 'record') chain = piece.checksum
    else damage.push(keep(disk, old, bytes, piece.kind, piece.offset, piece.bytes))
    if (piece.kind !== 'torn') end = piece.offset + piece.bytes
  }
  const header = { holdfast: FORMAT, segment: old.number, epoch, base: old.base }
  const content = bytes.subarray(
    Math.min(HEADER_BYTES, bytes.length),
    Math.max(end, Math.min(HEADER_BYTES, bytes.length)),
  )
  const segment = createSegment(disk, header, before, content)
  old.file.close()
  return { segment, chain, end: old.base + HEADER_BYTES + content.length, damage }
}

/** Writes a segment with its first content under a temporary name, then names it: it is never seen half done. */
export function createSegment(
  disk: Disk,
  header: { holdfast: number; segment: number; epoch: number; base: Position },
  chain: number,
  content: Uint8Array = new Uint8Array(),
): Segment {
  const path = segmentName(header.segment)
  try {
    const file = disk.create(`${path}.tmp`)
    return orClose(file, () => {
      writeAllSync(file, Buffer.concat([headerLine(header, chain), content]), 0)
      file.syncSync()
      disk.rename(`${path}.tmp`, path)
      disk.syncFolder('journal')
      return { number: header.segment, base: header.base, file, path, chain, headed: true }
    })
  } catch (error) {
    throw storageError(error, path)
  }
}

function keep(
  disk: Disk,
  segment: Segment,
  bytes: Uint8Array,
  kind: Damage['kind'],
  offset: number,
  length: number,
): Damage {
  const damaged = bytes.subarray(offset, offset + length)
  const name = `quarantine/${segment.path.slice('journal/'.length)}.${offset}.${kind}`
  // The same bytes at the same place are the same damage, seen again.
  const kept = freePlace(disk, name, damaged)
  makeQuarantine(disk)
  const file = disk.create(kept)
  try {
    writeAllSync(file, damaged, 0)
    file.syncSync()
  } finally {
    file.close()
  }
  disk.syncFolder('quarantine')
  return { ...damageAt(segment, kind, offset, damaged), kept }
}

export function makeQuarantine(disk: Disk): void {
  disk.makeFolder('quarantine')
  disk.syncFolder('')
}

/** A path that no file has, or one that has just this content. */
export function freePlace(disk: Disk, path: string, content?: Uint8Array): string {
  for (let number = 0; ; number++) {
    const place = number === 0 ? path : `${path}.${number}`
    const there = readAll(disk, place)
    if (!there || (content && Buffer.compare(there, content) === 0)) return place
  }
}

/** Bytes of a segment that are not what was written. */
export const damageAt = ({ path, base }: Segment, kind: Damage['kind'], offset: number, bytes: Uint8Array): Damage => ({
  ...{ file: path, offset, bytes: bytes.length, position: base + offset, kind, sessions: sessionsIn(bytes) },
})

/** The record at a position before `end`. Throws JOURNAL_CORRUPT naming file and offset. */
export function readIn(segments: readonly Segment[], position: Position, end: Position): TransitionRecord {
  const segment = segments.findLast((candidate) => candidate.base <= position)
  const there = segment && position < end
  const line = there ? namingPath(segment, () => lineFrom(segment.file, position - segment.base)) : undefined
  if (line) return line.record
  throw corrupt(segment ? segment.path : 'journal', position - (segment?.base ?? 0))
}

/** The records at positions from `from` (any number, not only a record's) up to `end`, in order. */
export function* scanSegments(
  segments: readonly Segment[],
  from: Position,
  end: Position,
  onDamage: (damage: Damage) => void = () => {},
): Generator<JournalEntry> {
  for (const [index, segment] of [...segments].entries()) {
    const next = segments[index + 1]
    if (next && next.base <= from) continue
    if (segment.base >= end) return
    const start = Math.max(from - segment.base, HEADER_BYTES)
    // One byte more: it tells whether a line begins at `start`. What stands behind the next one's base was never written.
    const bytes = namingPath(segment, () => readFrom(segment.file, start - 1, next && next.base - segment.base))
    const base = segment.base + start - 1
    // Behind the header a line begins, whether or not the header can be read.
    const whole = start === HEADER_BYTES
    for (const piece of pieces(bytes, base, whole ? 1 : lineStart(bytes, 1), whole ? segment.chain : undefined)) {
      const position = base + piece.offset
      if (position >= end) return
      if (piece.kind === 'record') yield { position, record: piece.record }
      else if (piece.kind === 'corrupt' || next) {
        const damaged = bytes.subarray(piece.offset, piece.offset + piece.bytes)
        onDamage(damageAt(segment, 'corrupt', position - segment.base, damaged))
      }
    }
  }
}

/** What the disk throws says which segment it was, by its present name. */
function namingPath<T>({ path }: Segment, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw storageError(error, path)
  }
}

/** The first offset from `offset` on where a line begins: JSON has no newline of its own. */
function lineStart(bytes: Uint8Array, offset: number): number {
  if (bytes[offset - 1] === NEWLINE) return offset
  const newline = bytes.indexOf(NEWLINE, offset)
  return newline < 0 ? bytes.length : newline + 1
}

export function lineFrom(file: DiskFile, offset: number): (Piece & { kind: 'record' }) | undefined {
  for (let size = READ_BYTES; ; size *= 4) {
    const bytes = Buffer.allocUnsafe(size)
    const read = file.readSync(bytes, offset)
    const found = readRecord(bytes.subarray(0, read), 0)
    if (found) return found
    if (read < size || bytes.includes(NEWLINE)) return undefined
  }
}

const corrupt = (file: string, offset: number): HoldfastError =>
  new HoldfastError('JOURNAL_CORRUPT', `${file} cannot be read at offset ${offset}; other sessions are not affected`, {
    details: { file, offset },
  })
