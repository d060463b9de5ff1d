// The segments of a journal as files: found, begun, renewed when a writer opens, scanned and read.
// A segment appears under its name only when its first content is durable; what is cut off one is kept in quarantine first.

import { type Disk, type DiskFile, readAll, writeAllSync } from '../disk.js'
import { HoldfastError } from '../errors.js'
import { ID_SHAPE } from '../id.js'
import type { Damage, JournalEntry } from '../journal.js'
import type { Position, TransitionRecord } from '../record.js'
import { FORMAT, HEADER_BYTES, headerLine, NEWLINE, pieces, readHeader, readRecord, segmentName } from './segment.js'
import { storageError } from './storage-error.js'

export interface Segment {
  readonly number: number
  readonly base: Position
  readonly file: DiskFile
}

const READ_BYTES = 4096

/** The segments of a directory, in order, open for reading. Throws FORMAT_NEWER, and leaves no file open then. */
export function findSegments(disk: Disk): Segment[] {
  const segments: Segment[] = []
  const files: DiskFile[] = []
  return orClose(files, () => {
    for (const name of disk.list('journal')) {
      if (!/^\d{8}\.jsonl$/.test(name)) continue
      const file = disk.openRead(`journal/${name}`)
      if (!file) continue
      files.push(file)
      const header = headerOf(file)
      const before = segments.at(-1)
      // A header that cannot be read does not hide its records: the position follows from the segment before.
      const base = header?.header.base ?? (before ? before.base + before.file.size() : 0)
      segments.push({ number: Number.parseInt(name, 10), base, file })
    }
    return segments
  })
}

/** Gives what `act` gives, and closes the files when it throws. */
export function orClose<T>(files: readonly DiskFile[], act: () => T): T {
  try {
    return act()
  } catch (error) {
    for (const file of files) file.close()
    throw error
  }
}

function headerOf(file: DiskFile): ReturnType<typeof readHeader> {
  const bytes = new Uint8Array(HEADER_BYTES)
  const header = readHeader(bytes.subarray(0, file.readSync(bytes, 0)))
  if (header && header.header.holdfast > FORMAT) throw newer(file.path, header.header.holdfast)
  return header
}

/** Where a writer goes on. */
export interface Start {
  readonly segment: Segment
  readonly chain: number
  readonly end: Position
  readonly epoch: number
  readonly damage: readonly Damage[]
}

/** The first segment of an empty journal. */
export function first(disk: Disk): Start {
  const segment = createSegment(disk, { holdfast: FORMAT, segment: 1, epoch: 1, base: 0 }, 0)
  orClose([segment.file], () => disk.syncFolder(''))
  return { segment, chain: 0, end: HEADER_BYTES, epoch: 1, damage: [] }
}

/** Copies what can be read of the last segment into a new file of the same name; keeps aside what is cut off. */
export function renew(disk: Disk, old: Segment): Start {
  const bytes = readAll(disk, old.file.path) ?? new Uint8Array()
  const found = headerOf(old.file)
  const damage: Damage[] = []
  let end = Math.min(HEADER_BYTES, bytes.length)
  // What the first record follows, should the header be unreadable.
  let before = found?.chain
  let chain = before
  for (const piece of pieces(bytes, old.base, HEADER_BYTES, found?.chain)) {
    if (piece.kind === 'record') {
      before ??= piece.before
      chain = piece.checksum
    } else damage.push(keep(disk, old, bytes, piece.kind, piece.offset, piece.bytes))
    if (piece.kind !== 'torn') end = piece.offset + piece.bytes
  }
  const epoch = (found?.header.epoch ?? 0) + 1
  const header = { holdfast: FORMAT, segment: old.number, epoch, base: old.base }
  const content = bytes.subarray(
    Math.min(HEADER_BYTES, bytes.length),
    Math.max(end, Math.min(HEADER_BYTES, bytes.length)),
  )
  const segment = createSegment(disk, header, before ?? 0, content)
  old.file.close()
  return { segment, chain: chain ?? 0, end: old.base + HEADER_BYTES + content.length, epoch, damage }
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
    return orClose([file], () => {
      writeAllSync(file, Buffer.concat([headerLine(header, chain), content]), 0)
      file.syncSync()
      disk.rename(`${path}.tmp`, path)
      disk.syncFolder('journal')
      return { number: header.segment, base: header.base, file }
    })
  } catch (error) {
    throw storageError(error)
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
  const kept = `quarantine/${segmentName(segment.number).slice('journal/'.length)}.${offset}.${kind}`
  disk.makeFolder('quarantine')
  disk.syncFolder('')
  const file = disk.create(kept)
  try {
    writeAllSync(file, damaged, 0)
    file.syncSync()
  } finally {
    file.close()
  }
  disk.syncFolder('quarantine')
  return { file: segment.file.path, offset, bytes: length, kind, kept, sessions: sessionsIn(damaged) }
}

/** Ids of sessions that can be made out in damaged bytes. */
function sessionsIn(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes).toString('latin1')
  const named = text.matchAll(new RegExp(`"session":"(${ID_SHAPE})"`, 'g'))
  return [...new Set([...named].map((match) => match[1] as string))]
}

/** The record at a position before `end`. Throws JOURNAL_CORRUPT naming file and offset. */
export function readIn(segments: readonly Segment[], position: Position, end: Position): TransitionRecord {
  const segment = segments.findLast((candidate) => candidate.base <= position)
  const record = segment && position < end ? readAt(segment.file, position - segment.base) : undefined
  if (record) return record
  throw corrupt(segment ? segmentName(segment.number) : 'journal', position - (segment?.base ?? 0))
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
    // One byte more: it tells whether a line begins at `start`.
    const bytes = readFrom(segment.file, start - 1)
    const base = segment.base + start - 1
    // Behind the header a line begins, whether or not the header can be read.
    const first = start === HEADER_BYTES ? 1 : lineStart(bytes, 1)
    for (const piece of pieces(bytes, base, first)) {
      const position = base + piece.offset
      if (position >= end) return
      if (piece.kind === 'record') yield { position, record: piece.record }
      else if (piece.kind === 'corrupt' || next) {
        const sessions = sessionsIn(bytes.subarray(piece.offset, piece.offset + piece.bytes))
        const offset = position - segment.base
        onDamage({ file: segmentName(segment.number), offset, bytes: piece.bytes, kind: 'corrupt', sessions })
      }
    }
  }
}

function readFrom(file: DiskFile, offset: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(file.size() - offset, 0))
  let done = 0
  while (done < bytes.length) {
    const read = file.readSync(done === 0 ? bytes : bytes.subarray(done), offset + done)
    if (read === 0) break
    done += read
  }
  return bytes.subarray(0, done)
}

/** The first offset from `offset` on where a line begins: JSON has no newline of its own. */
function lineStart(bytes: Uint8Array, offset: number): number {
  if (bytes[offset - 1] === NEWLINE) return offset
  const newline = bytes.indexOf(NEWLINE, offset)
  return newline < 0 ? bytes.length : newline + 1
}

function readAt(file: DiskFile, offset: number): TransitionRecord | undefined {
  for (let size = READ_BYTES; ; size *= 4) {
    const bytes = new Uint8Array(size)
    const read = file.readSync(bytes, offset)
    const found = readRecord(bytes.subarray(0, read), 0)
    if (found) return found.record
    if (read < size || bytes.includes(NEWLINE)) return undefined
  }
}

const corrupt = (file: string, offset: number): HoldfastError =>
  new HoldfastError('JOURNAL_CORRUPT', `${file} cannot be read at offset ${offset}; other sessions are not affected`, {
    details: { file, offset },
  })

const newer = (file: string, format: number): HoldfastError =>
  new HoldfastError(
    'FORMAT_NEWER',
    `${file} has format ${format}, this Holdfast reads ${FORMAT}; install a newer one`,
    {
      details: { file, format },
    },
  )
