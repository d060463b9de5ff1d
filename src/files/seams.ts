// Whether the segments of a journal fit one another: none is missing, and each ends where the next one says it did, with
// the record that the next one says was its last. It reads one block of each segment, and all of one only when that one
// does not fit. What is wrong elsewhere in a sealed segment is found when it is scanned or read.

import { noteOnce } from '../damage.js'
import { type DiskFile, readFrom } from '../disk.js'
import type { Damage } from '../journal.js'
import type { Position } from '../record.js'
import type { FloorHeader } from './floor.js'
import { contentEnd, HEADER_BYTES, NEWLINE, pieces, readRecord, segmentName } from './segment.js'
import { damageAt, endOf, type Segment } from './segments.js'

const TAIL_BYTES = 4096

/**
 * What is missing before, between and at the ends of these segments, which are in order; the last end is not looked at.
 * The first of them begins at the floor, if there is one, or else at the beginning of everything.
 */
export function checkSeams(segments: readonly Segment[], floor?: FloorHeader): Damage[] {
  const damage: Damage[] = []
  const number = floor?.segment ?? 0
  if (floor && segments.length === 0) damage.push(missing(segmentName(number + 1), 0, floor.through, floor.through))
  for (const [index, segment] of segments.entries()) {
    const before = segments[index - 1]
    if (segment.number !== (before?.number ?? number) + 1) damage.push(hole(before, segment, floor))
    else if (floor && !before && !standsOn(floor, segment)) damage.push(whole(segment, segments[1]))
    else if (before && !joined(before, segment)) {
      const found = unfit(before, segment)
      // Both may be whole: then the one that does not continue the one before it, either, is of another history.
      const strange = continues(segments[index - 2], before, floor) ? segment : before
      for (const one of found.length > 0 ? found : [whole(strange, segments[segments.indexOf(strange) + 1])]) {
        noteOnce(damage, one)
      }
    }
  }
  return damage
}

/** The checksum of the last record before a segment: its header's word, or else that of the segment or floor before. */
export function chainBefore(before: Segment | undefined, segment: Segment, floor: FloorHeader | undefined): number {
  const { number, base, headed, chain } = segment
  if (headed) return chain ?? 0
  const below = floor?.segment === number - 1 ? floor.chain : undefined
  const last = before?.number === number - 1 ? lastChecksum(before, base - before.base) : below
  return last ?? chain ?? 0
}

/** Files that are not there. Where the first of them began is where the one before it ends. */
function hole(before: Segment | undefined, next: Segment, floor: FloorHeader | undefined): Damage {
  const position = before ? endOf(before) : (floor?.through ?? 0)
  return missing(segmentName((before?.number ?? floor?.segment ?? 0) + 1), 0, position, next.base)
}

const standsOn = ({ through, chain }: FloorHeader, first: Segment): boolean =>
  first.base === through && (first.chain === undefined || first.chain === chain)

const missing = (file: string, offset: number, position: Position, end: Position): Damage => ({
  ...{ file, offset, bytes: Math.max(end - position, 0), position, kind: 'missing', sessions: [] },
})

function joined(segment: Segment, next: Segment): boolean {
  const length = next.base - segment.base
  // Neither the header nor a record tells what came before: then there is nothing to compare.
  if (length === HEADER_BYTES && (segment.chain === undefined || next.chain === undefined)) return true
  const last = lastChecksum(segment, length)
  return last !== undefined && (next.chain === undefined || last === next.chain)
}

/** The checksum of the line that ends a segment of this length; undefined when no valid line does. */
function lastChecksum(segment: Segment, length: number): number | undefined {
  if (length === HEADER_BYTES) return segment.chain
  const tail = length > HEADER_BYTES ? tailOf(segment.file, length) : undefined
  const line = tail && readRecord(tail, 0)
  return line && line.bytes === tail.length ? line.checksum : undefined
}

/** The bytes of the last line before `end`, which a newline ends. */
function tailOf(file: DiskFile, end: number): Uint8Array | undefined {
  for (let size = TAIL_BYTES; ; size *= 4) {
    const start = Math.max(end - size, HEADER_BYTES)
    const bytes = readFrom(file, start, end)
    if (bytes.length < end - start || bytes.at(-1) !== NEWLINE) return undefined
    const newline = bytes.lastIndexOf(NEWLINE, -2)
    if (newline >= 0 || start === HEADER_BYTES) return bytes.subarray(newline + 1)
  }
}

function continues(before: Segment | undefined, segment: Segment, floor: FloorHeader | undefined): boolean {
  if (!before && floor) return standsOn(floor, segment)
  return before ? joined(before, segment) : segment.chain === undefined || segment.chain === 0
}

/** What of a segment cannot be read, or is missing at its end. */
function unfit(segment: Segment, next: Segment): Damage[] {
  const bytes = readFrom(segment.file, 0, next.base - segment.base)
  const found: Damage[] = []
  for (const { kind, offset, bytes: length } of pieces(bytes, segment.base, HEADER_BYTES, segment.chain)) {
    if (kind !== 'record') found.push(damageAt(segment, 'corrupt', offset, bytes.subarray(offset, offset + length)))
  }
  const end = contentEnd(bytes)
  const position = segment.base + end
  if (position < next.base) found.push(missing(segment.path, end, position, next.base))
  return found
}

const whole = (segment: Segment, next: Segment | undefined): Damage =>
  damageAt(segment, 'corrupt', HEADER_BYTES, readFrom(segment.file, HEADER_BYTES, next && next.base - segment.base))
