// A segment: one file of the journal, as bytes. Format and reading; it opens and writes nothing.
//
//   line      <checksum of the line before> <checksum> <JSON>\n       both 8 hex digits
//   checksum  CRC-32 of the JSON, continued from the checksum of the record before: a chain over all segments
//   header    the first line, padded with spaces to HEADER_BYTES: format, number, writer's epoch, base. It names the
//             last record of the segment before and is itself outside the chain, so that it can be written anew
//   base      position of the segment's first byte; a record's position is base + its offset in the file
//   "batch"   in every record: the position where its batch begins
//
// Batch N+1 is written only after batch N is durable. So when bytes at position p cannot be read, a valid line behind
// them whose batch begins after p proves that they were durable once: they are corrupt. Otherwise they belong to the last
// batch, whose sync never returned: they are torn, and nothing in them was ever acknowledged.

import { crc32 } from 'node:zlib'
import { turnedBack } from '../flipped.js'
import { ID_SHAPE } from '../id.js'
import type { Position, TransitionRecord } from '../record.js'

export const FORMAT = 1
export const HEADER_BYTES = 160
/** Two checksums and the spaces behind them. */
const PREFIX_BYTES = 18
export const NEWLINE = 0x0a
const SPACE = 0x20

export interface SegmentHeader {
  readonly holdfast: number
  readonly segment: number
  readonly epoch: number
  readonly base: Position
}

export interface StoredRecord extends TransitionRecord {
  readonly batch: Position
}

/** What stands at one place of a segment, or where its readable part ends. */
export type Piece =
  | {
      readonly kind: 'record'
      readonly offset: number
      readonly bytes: number
      readonly record: StoredRecord
      /** The checksum it continues, and its own. */
      readonly before: number
      readonly checksum: number
    }
  | { readonly kind: 'corrupt'; readonly offset: number; readonly bytes: number }
  | { readonly kind: 'torn'; readonly offset: number; readonly bytes: number }

export const segmentName = (segment: number): string => `journal/${String(segment).padStart(8, '0')}.jsonl`

/** Writes lines into a buffer that grows, each chained to the one before. */
export class Lines {
  #bytes: Buffer
  #length = 0
  #last: number

  constructor(last: number, capacity: number = 4 * 1024) {
    this.#last = last
    this.#bytes = Buffer.allocUnsafe(capacity)
  }

  /** How many bytes have been written since `clear`. */
  get length(): number {
    return this.#length
  }

  /** The checksum that the next line continues. */
  get last(): number {
    return this.#last
  }

  /** Adds the line for a JSON text, of which `head` replaces the first character; returns its length in bytes. */
  add(json: string, head = '{'): number {
    const start = this.#length
    this.#reserve(PREFIX_BYTES + head.length + json.length * 3)
    const bytes = this.#bytes
    const from = start + PREFIX_BYTES
    // Written over that character, not put together before: that would copy every text once more.
    const body = from + head.length - 1
    const end = body + bytes.write(json, body)
    bytes.write(head, from, 'latin1')
    writeHex(bytes, start, this.#last)
    this.#last = crc32(bytes.subarray(from, end), this.#last)
    writeHex(bytes, start + 9, this.#last)
    bytes[start + 8] = SPACE
    bytes[start + 17] = SPACE
    bytes[end] = NEWLINE
    this.#length = end + 1
    return this.#length - start
  }

  /** What has been written; valid until `clear`. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Begins anew, continuing the chain from `last`. A buffer that one large batch has grown is not kept. */
  clear(last: number): void {
    this.#length = 0
    this.#last = last
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafe(KEPT_BYTES)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}

/** A buffer up to this size is used again for the next batch. */
const KEPT_BYTES = 4 * 1024 * 1024

/** The header line of a segment, padded. `chain` is the checksum of the last record before it. */
export function headerLine(header: SegmentHeader, chain: number): Uint8Array {
  const lines = new Lines(chain, 1024)
  lines.add(JSON.stringify(header).padEnd(HEADER_BYTES - PREFIX_BYTES - 1))
  return lines.view()
}

interface Line {
  readonly before: number
  readonly checksum: number
  readonly json: string
  /** Offset behind the newline. */
  readonly end: number
}

/** The header of a segment and the checksum its first record follows, or undefined when it cannot be read. */
export function readHeader(bytes: Uint8Array): { header: SegmentHeader; chain: number } | undefined {
  const line = lineAt(view(bytes), 0)
  if (!line) return undefined
  const header = JSON.parse(line.json) as SegmentHeader
  return typeof header.holdfast === 'number' ? { header, chain: line.before } : undefined
}

/** The record whose line begins at `offset`, or undefined when no valid line does. */
export function readRecord(bytes: Uint8Array, offset: number): (Piece & { kind: 'record' }) | undefined {
  const line = lineAt(view(bytes), offset)
  return line && new RecordPiece(line, offset)
}

/** Its JSON is parsed when it is first looked at: whoever only follows the chain does without. */
class RecordPiece {
  readonly kind = 'record'
  readonly offset: number
  readonly bytes: number
  readonly before: number
  readonly checksum: number
  readonly #json: string
  #record: StoredRecord | undefined

  constructor({ before, checksum, json, end }: Line, offset: number) {
    this.offset = offset
    this.bytes = end - offset
    this.before = before
    this.checksum = checksum
    this.#json = json
  }

  get record(): StoredRecord {
    this.#record ??= JSON.parse(this.#json) as StoredRecord
    return this.#record
  }
}

/** Everything in a segment from `from` on, in order. Ends with a `torn` piece if the rest cannot be read. */
export function* pieces(bytes: Uint8Array, base: Position, from: number, chain?: number): Generator<Piece> {
  const buffer = view(bytes)
  const end = contentEnd(bytes)
  let offset = from
  let last = chain
  while (offset < end) {
    const line = lineAt(buffer, offset)
    if (line && (last === undefined || line.before === last)) {
      yield new RecordPiece(line, offset)
      last = line.checksum
      offset = line.end
      continue
    }
    const next = resume(buffer, base, offset)
    if (next === undefined) {
      yield { kind: 'torn', offset, bytes: end - offset }
      return
    }
    yield { kind: 'corrupt', offset, bytes: next - offset }
    last = undefined
    offset = next
  }
}

/** Where reading goes on after unreadable bytes at `offset`: the first valid line, if any behind it proves corruption. */
function resume(buffer: Buffer, base: Position, offset: number): number | undefined {
  let first: number | undefined
  for (let at = offset; at < buffer.length; ) {
    const line = lineAt(buffer, at)
    if (line) {
      first ??= at
      if ((JSON.parse(line.json) as StoredRecord).batch > base + offset) return first
    }
    const newline = line ? line.end - 1 : buffer.indexOf(NEWLINE, at)
    if (newline < 0) return undefined
    at = newline + 1
  }
  return undefined
}

/** A valid line is complete, and its checksum follows from the checksum before it and its JSON. */
function lineAt(buffer: Buffer, offset: number): Line | undefined {
  const newline = buffer.indexOf(NEWLINE, offset)
  if (newline < offset + PREFIX_BYTES || buffer[offset + 8] !== SPACE || buffer[offset + 17] !== SPACE) return undefined
  const before = parseHex(buffer, offset)
  const checksum = parseHex(buffer, offset + 9)
  if (before === undefined || checksum === undefined) return undefined
  const json = buffer.subarray(offset + PREFIX_BYTES, newline)
  if (crc32(json, before) !== checksum) return undefined
  return { before, checksum, json: json.toString('utf8'), end: newline + 1 }
}

/** Ids of sessions that can be made out in damaged bytes. The bit that is other may be in one, or make two lines of one. */
export function sessionsIn(bytes: Uint8Array): string[] {
  const buffer = view(bytes.at(-1) === NEWLINE ? bytes.subarray(0, -1) : bytes)
  const whole = turnedLine(buffer)
  const isOne = whole !== undefined || !buffer.includes(NEWLINE)
  const lines = isOne ? [whole ?? buffer] : [...linesOf(buffer)].map((line) => turnedLine(line) ?? line)
  const named = lines.flatMap((line) => [...line.toString('latin1').matchAll(NAMED)])
  return [...new Set(named.map((match) => match[1] as string))]
}

/** The JSON of a line as it was, if exactly one bit of it is other now. */
function turnedLine(line: Buffer): Buffer | undefined {
  if (line.length < PREFIX_BYTES || line.length > TURNED_BYTES) return undefined
  const [before, checksum] = [parseHex(line, 0), parseHex(line, 9)]
  if (before === undefined || checksum === undefined) return undefined
  const json = turnedBack(line.subarray(PREFIX_BYTES), before, checksum)
  return json && view(json)
}

/** Longer ones are not looked through: it would hold the event loop. */
const TURNED_BYTES = 1024 * 1024

function* linesOf(buffer: Buffer): Generator<Buffer> {
  for (let start = 0; start < buffer.length; ) {
    const newline = buffer.indexOf(NEWLINE, start)
    const end = newline < 0 ? buffer.length : newline
    yield buffer.subarray(start, end)
    start = end + 1
  }
}

const NAMED = new RegExp(`"session":"(${ID_SHAPE})"`, 'g')

const ZEROS = Buffer.alloc(4096)

/** The end of what was written: zeros behind it are space that was reserved. */
export function contentEnd(bytes: Uint8Array): number {
  let end = bytes.length
  // By blocks at first: byte by byte, this was a tenth of what a new process takes to open a small directory.
  while (end >= ZEROS.length && ZEROS.equals(bytes.subarray(end - ZEROS.length, end))) end -= ZEROS.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}

const DIGITS = Buffer.from('0123456789abcdef')
/** Byte -> the digit that it is, or -1. */
const VALUES = Int8Array.from({ length: 256 }, (_, byte) => DIGITS.indexOf(byte))

function writeHex(bytes: Buffer, offset: number, checksum: number): void {
  for (let index = 7, rest = checksum; index >= 0; index--, rest >>>= 4) {
    bytes[offset + index] = DIGITS[rest & 15] as number
  }
}

/** Digit by digit: for each line of a journal, that is quicker than making a text first. */
function parseHex(buffer: Buffer, offset: number): number | undefined {
  let value = 0
  for (let index = offset; index < offset + 8; index++) {
    const digit = VALUES[buffer[index] as number] as number
    if (digit < 0) return undefined
    value = value * 16 + digit
  }
  return value
}

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
