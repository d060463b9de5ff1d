// The segments of a journal as files: found, begun, renewed when a writer opens, scanned and read.
// A segment appears under its name only when its first content is durable; what is cut off one is kept in quarantine first.

import { type Disk, type DiskFile, readAll, readFrom, writeAllSync } from '../disk.js'
import { HoldfastError } from '../errors.js'
import { ID_SHAPE } from '../id.js'
import type { Damage, JournalEntry } from '../journal.js'
import { NOWHERE, type Position, type TransitionRecord } from '../record.js'
import { type Floor, type FloorHeader, openFloor } from './floor.js'
import type { OpenFiles } from './open-files.js'
import {
  contentEnd,
  FORMAT,
  HEADER_BYTES,
  headerLine,
  NEWLINE,
  type Piece,
  pieces,
  readHeader,
  readRecord,
  segmentName,
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

/** The files of a journal as they were found; nothing has been changed. */
export interface Found {
  /** In order. */
  readonly segments: readonly Segment[]
  /** Copies and strangers: what they hold is not a part of this journal, or is there already. */
  readonly strays: readonly Segment[]
  /** What the journal stands on, if anything was dropped from it. */
  readonly floor: Floor | undefined
  /** Segments that have been dropped, and are still there: a process died meanwhile. Closed. */
  readonly dropped: readonly string[]
  /** What is wrong with the floor. */
  readonly damage: readonly Damage[]
  /** The highest epoch that a header tells; 0 when none can be read. */
  readonly epoch: number
  /** Closes the floor; the segments are closed with the files that they were found with. */
  close(): void
}

const READ_BYTES = 4096

/**
 * The segments of a directory, open for reading. A segment is what its header says it is, whatever the file is called.
 * Throws FORMAT_NEWER.
 */
export function findSegments(disk: Disk, files: OpenFiles): Found {
  const claims = new Map<number, Claim>()
  const losers: Claim[] = []
  let epoch = 0
  for (const name of disk.list('journal')) {
    const file = NAME.test(name) ? files.find(`journal/${name}`) : undefined
    if (!file) continue
    const claim = claimOf(file)
    epoch = Math.max(epoch, claim.header?.header.epoch ?? 0)
    const other = claims.get(claim.number)
    if (!other || rank(claim) > rank(other)) claims.set(claim.number, claim)
    if (other) losers.push(claims.get(claim.number) === claim ? other : claim)
  }
  // Read after the segments: what an owner has dropped meanwhile is below the floor.
  const damage: Damage[] = []
  const floor = openFloor(disk, (found) => damage.push(found))
  return orClose({ close: () => floor?.close() }, () => {
    const below = [...claims.values()].filter(({ number }) => floor && number <= floor.segment)
    for (const { number, file } of below) {
      claims.delete(number)
      file.close()
    }
    const segments: Segment[] = []
    const strays = losers.map((loser) => segmentOf(loser, undefined))
    for (const claim of [...claims.values()].sort((a, b) => a.number - b.number)) {
      segments.push(segmentOf(claim, segments.at(-1)))
    }
    const least = floor?.through ?? 0
    for (let one = strangerIn(segments, least); one; one = strangerIn(segments, least)) {
      strays.push(one)
      segments.splice(segments.indexOf(one), 1)
    }
    const dropped = below.map(({ file }) => file.path)
    return { segments, strays, floor, dropped, damage, epoch, close: () => floor?.close() }
  })
}

/** How often what the owner drops while it is looked at is looked at again. */
const TRIES = 5

/** Looks again when a file has gone while it was looked at: then there is a floor that takes its place. */
export function lookAgain<T>(look: () => T): T {
  for (let tries = 1; ; tries++) {
    try {
      return look()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === TRIES) throw error
    }
  }
}

/** `.moved`: on its way to its right name when the process that moved it died. */
export const NAME: RegExp = /^\d{8}\.jsonl(\.moved)?$/

/** A file that says which segment it is. */
interface Claim {
  readonly file: DiskFile
  readonly header: ReturnType<typeof readHeader>
  readonly number: number
}

function claimOf(file: DiskFile): Claim {
  const header = headerOf(file)
  return { file, header, number: header?.header.segment ?? Number.parseInt(file.path.slice('journal/'.length), 10) }
}

/** Of two that claim to be the same segment, one whose header says so counts more, and then one of that name. */
const rank = ({ file, header, number }: Claim): number => (header ? 2 : 0) + (file.path === segmentName(number) ? 1 : 0)

function segmentOf({ file, header, number }: Claim, before: Segment | undefined): Segment {
  const path = file.path
  if (header) return { number, base: header.header.base, file, path, chain: header.chain, headed: true }
  // A header that cannot be read does not hide its records: the first of them begins a batch, and knows where that is.
  const first = lineFrom(file, HEADER_BYTES)
  const base = first ? first.record.batch - HEADER_BYTES : before ? endOf(before) : 0
  return { number, base, file, path, chain: first?.before, headed: false }
}

/**
 * Positions grow with numbers: what contradicts most of the others is of another journal, and of two that contradict each
 * other the one that does not begin where the one before it ends.
 */
function strangerIn(segments: readonly Segment[], least: Position): Segment | undefined {
  if (segments.every(({ base }, index) => index === 0 || base > (segments[index - 1] as Segment).base)) return undefined
  const contradicts = (a: Segment, b: Segment): boolean => a !== b && (a.base - b.base) * (a.number - b.number) <= 0
  const counts = segments.map((one) => segments.filter((other) => contradicts(one, other)).length)
  const suspects = segments.filter((_, index) => counts[index] === Math.max(...counts))
  const begins = (segment: Segment): Position => {
    const before = segments[segments.indexOf(segment) - 1]
    return before ? endOf(before) : least
  }
  return suspects.find((segment) => segment.base !== begins(segment)) ?? suspects.at(-1)
}

/** Where what was written in a segment ends, as a position. */
export const endOf = ({ base, file }: Segment): Position => base + contentEnd(readFrom(file, 0))

/** Gives what `act` gives, and closes the file or files when it throws. */
export function orClose<T>(files: { close(): void }, act: () => T): T {
  try {
    return act()
  } catch (error) {
    files.close()
    throw error
  }
}

function headerOf(file: DiskFile): ReturnType<typeof readHeader> {
  const bytes = new Uint8Array(HEADER_BYTES)
  const header = readHeader(bytes.subarray(0, file.readSync(bytes, 0)))
  if (header && header.header.holdfast > FORMAT) throw newer(file.path, header.header.holdfast)
  return header
}

/**
 * Gives every file the name of the segment that it is, and moves strays to quarantine; nothing is copied or lost, and a
 * crash on the way leaves every file under one name. The names are durable when the last segment has been renewed.
 * Gives the segments as they are now, and what was wrong.
 */
export function putRight(disk: Disk, found: Found, files: OpenFiles): { segments: Segment[]; damage: Damage[] } {
  const damage: Damage[] = []
  for (const { file, path } of found.strays) {
    const kept = freePlace(disk, `quarantine/${path.slice('journal/'.length)}.stray`)
    damage.push({ ...headerDamage(path, file.size(), NOWHERE), kept })
    file.close()
    makeQuarantine(disk)
    disk.rename(path, kept)
    disk.syncFolder('quarantine')
  }
  const astray = found.segments.filter(({ number, path }) => path !== segmentName(number))
  for (const { number, path, base } of astray) {
    damage.push({ ...headerDamage(path, HEADER_BYTES, base), kept: segmentName(number) })
    if (path !== `${segmentName(number)}.moved`) disk.rename(path, `${segmentName(number)}.moved`)
  }
  // Both names of a file must not be on their way at once.
  if (astray.length > 0) disk.syncFolder('journal')
  for (const { number } of astray) disk.rename(`${segmentName(number)}.moved`, segmentName(number))
  const named = (segment: Segment): Segment => {
    const path = segmentName(segment.number)
    if (segment.path === path) return segment
    segment.file.close()
    return { ...segment, path, file: files.at(path) }
  }
  return { segments: found.segments.map(named), damage }
}

/** What is wrong with names and headers, for whoever must leave them as they are. */
export const misplaced = ({ segments, strays }: Pick<Found, 'segments' | 'strays'>): Damage[] => [
  ...strays.map(({ file, path }) => headerDamage(path, file.size(), NOWHERE)),
  ...segments
    .filter(({ number, path, headed }) => !headed || path !== segmentName(number))
    .map(({ path, base, file }) => headerDamage(path, Math.min(HEADER_BYTES, file.size()), base)),
]

/** The headers that cannot be read. */
export const unheaded = (segments: readonly Segment[]): Damage[] => misplaced({ segments, strays: [] })

const headerDamage = (file: string, bytes: number, position: Position): Damage => ({
  ...{ file, offset: 0, bytes, position, kind: 'header', sessions: [] },
})

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

function makeQuarantine(disk: Disk): void {
  disk.makeFolder('quarantine')
  disk.syncFolder('')
}

/** A path that no file has, or one that has just this content. */
function freePlace(disk: Disk, path: string, content?: Uint8Array): string {
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

/** Ids of sessions that can be made out in damaged bytes. */
function sessionsIn(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes).toString('latin1')
  const named = text.matchAll(new RegExp(`"session":"(${ID_SHAPE})"`, 'g'))
  return [...new Set([...named].map((match) => match[1] as string))]
}

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

function lineFrom(file: DiskFile, offset: number): (Piece & { kind: 'record' }) | undefined {
  for (let size = READ_BYTES; ; size *= 4) {
    const bytes = new Uint8Array(size)
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

const newer = (file: string, format: number): HoldfastError =>
  new HoldfastError(
    'FORMAT_NEWER',
    `${file} has format ${format}, this Holdfast reads ${FORMAT}; install a newer one`,
    {
      details: { file, format },
    },
  )
