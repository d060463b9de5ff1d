// Which file of a journal's folder is which segment: each is what its header says, whatever it is called. Copies and
// strangers are told apart, segments below the floor are passed over, and, for a writer, every file gets its right name.

import type { Disk, DiskFile } from '../disk.js'
import { HoldfastError } from '../errors.js'
import type { Damage } from '../journal.js'
import { NOWHERE, type Position } from '../record.js'
import { type Floor, openFloor } from './floor.js'
import type { OpenFiles } from './open-files.js'
import { FORMAT, HEADER_BYTES, readHeader, segmentName } from './segment.js'
import { endOf, freePlace, lineFrom, makeQuarantine, orClose, type Segment } from './segments.js'

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
    const least = floor?.through ?? 0
    const strays = losers.map((loser) => segmentOf(loser, () => least))
    for (const claim of [...claims.values()].sort((a, b) => a.number - b.number)) {
      const before = segments.at(-1)
      segments.push(segmentOf(claim, () => (before ? endOf(before) : least)))
    }
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

/** `end` tells where what comes before it ends; it reads that. */
function segmentOf({ file, header, number }: Claim, end: () => Position): Segment {
  const path = file.path
  if (header) return { number, base: header.header.base, file, path, chain: header.chain, headed: true }
  // A header that cannot be read does not hide its records: the first of them begins a batch, and knows where that is.
  const first = lineFrom(file, HEADER_BYTES)
  const base = first ? first.record.batch - HEADER_BYTES : end()
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

const newer = (file: string, format: number): HoldfastError =>
  new HoldfastError(
    'FORMAT_NEWER',
    `${file} has format ${format}, this Holdfast reads ${FORMAT}; install a newer one`,
    {
      details: { file, format },
    },
  )
