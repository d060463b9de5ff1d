// The index as a file of JSON lines: a header, then one line a session, so that opening needs no other file.
// It promises to notice any change of any byte, and to hold neither the event loop nor memory for longer than one chunk
// of lines while writing. Reading is one pass: an index is read once, before anything else can run.
//
//   {"holdfast":1,"through":<position>,"count":<lines>,"checksum":"<8 hex digits>"}     padded to HEADER_BYTES
//   {"id":…}                                                                            an IndexEntry, `count` times
//
// The checksum is the CRC-32 of the lines, continued over format, `through` and `count`.

import { crc32 } from 'node:zlib'
import { type DiskFile, writeAll } from '../disk.js'
import type { Index, IndexEntry, IndexFile } from '../state.js'
import { corrupt, FORMAT, hex, requireFormat } from './format.js'

const HEADER_BYTES = 128
/** Lines are written and read in chunks of about this size. */
const CHUNK_BYTES = 1024 * 1024
const CHUNK_LINES = 1024

interface IndexHeader {
  readonly holdfast: number
  readonly through: number
  readonly count: number
  readonly checksum: string
}

/** Writes an index; its entries are taken as they are written. Gives its size in bytes. */
export async function encodeIndex(file: DiskFile, { through, entries }: Index): Promise<number> {
  let position = HEADER_BYTES
  let checksum = 0
  let count = 0
  for (const lines of linesOf(entries)) {
    const bytes = Buffer.from(lines.join(''))
    checksum = crc32(bytes, checksum)
    count += lines.length
    await writeAll(file, bytes, position)
    position += bytes.length
  }
  await writeAll(file, encodeHeader(through, count, checksum), 0)
  return position
}

function* linesOf(entries: Iterable<IndexEntry>): Generator<string[]> {
  let lines: string[] = []
  for (const entry of entries) {
    if (lines.push(`${JSON.stringify(entry)}\n`) < CHUNK_LINES) continue
    yield lines
    lines = []
  }
  if (lines.length > 0) yield lines
}

function encodeHeader(through: number, count: number, lines: number): Uint8Array {
  const header: IndexHeader = { holdfast: FORMAT, through, count, checksum: seal(through, count, lines) }
  return Buffer.from(`${JSON.stringify(header).padEnd(HEADER_BYTES - 1)}\n`)
}

/** Throws SNAPSHOT_CORRUPT, or FORMAT_NEWER. */
export function decodeIndex(bytes: Uint8Array, path: string): IndexFile {
  const { holdfast, through = Number.NaN, count = 0, checksum } = readHeader(bytes, path)
  const lines = bytes.subarray(HEADER_BYTES)
  const sum = crc32(lines)
  // The header as it was written, padding included: the one part of the file that no checksum covers.
  if (Buffer.compare(bytes.subarray(0, HEADER_BYTES), encodeHeader(through, count, sum)) !== 0) {
    if (checksum !== seal(through, count, sum)) requireFormat(holdfast, path)
    throw corrupt(path, 'its checksum is wrong')
  }
  const entries = readLines(lines, path)
  if (entries.length !== count) throw corrupt(path, 'lines are missing')
  return { through, entries }
}

function readHeader(bytes: Uint8Array, path: string): Partial<IndexHeader> {
  try {
    const header: unknown = JSON.parse(Buffer.from(bytes.subarray(0, HEADER_BYTES)).toString())
    if (typeof header === 'object' && header !== null) return header
  } catch {}
  throw corrupt(path, 'its header is not JSON')
}

function readLines(lines: Uint8Array, path: string): IndexEntry[] {
  const entries: IndexEntry[] = []
  try {
    for (const text of chunks(lines)) for (const entry of JSON.parse(`[${text}]`) as IndexEntry[]) entries.push(entry)
    return entries
  } catch (cause) {
    throw corrupt(path, `a line is not JSON (${(cause as Error).message})`)
  }
}

/** The lines as texts of many, separated by commas instead of newlines. */
function* chunks(lines: Uint8Array): Generator<string> {
  const buffer = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength)
  for (let start = 0; start < buffer.length; ) {
    const newline = buffer.indexOf(0x0a, start + CHUNK_BYTES)
    const end = newline < 0 ? buffer.length - 1 : newline
    yield buffer.toString('utf8', start, end).replaceAll('\n', ',')
    start = end + 1
  }
}

const seal = (through: number, count: number, lines: number): string =>
  hex(crc32(`${FORMAT} ${through} ${count}`, lines))
