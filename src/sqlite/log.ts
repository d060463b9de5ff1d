// SQLite's write-ahead log, looked at before SQLite reads it. SQLite takes the first frame whose checksum is wrong for the end
// of the log, and drops what stands behind it without a word: right after a power cut, and a loss where a durable frame has
// changed. Every frame carries the checksum of all before it, so a frame behind a bad one can be verified from the one in
// between; one of a later transaction proves that the bad one was durable once, since a transaction is written only after
// the one before was synced. Reading only. The format: https://www.sqlite.org/fileformat2.html#walformat

import type { Disk, DiskFile } from '../disk.js'
import { HoldfastError } from '../errors.js'

const HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24
/** The last bit says in which order the checksums take bytes. */
const MAGIC = 0x377f0682
/** So much is read at a time. */
const CHUNK_BYTES = 1024 * 1024

export type LogState =
  /** There is none, or nothing in it. */
  | { readonly kind: 'empty' }
  /** What SQLite reads of it is all that was durable. */
  | { readonly kind: 'whole' }
  /** Durable frames are not what was written; what is behind `offset` cannot be read. */
  | { readonly kind: 'corrupt'; readonly offset: number; readonly bytes: number }

/** The path of a database's log, relative as the database's own is. */
export const logOf = (database: string): string => `${database}-wal`

/** Also beside a process that writes it. */
export function readLog(disk: Disk, path: string): LogState {
  const first = look(disk, path)
  // A log that was begun anew meanwhile looks like a broken one.
  return first.kind === 'corrupt' ? look(disk, path) : first
}

export const logCorrupt = (path: string, { offset, bytes }: LogState & { kind: 'corrupt' }): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `${path} is corrupt at offset ${offset}, where transitions that were acknowledged were: restore the database from a backup; ` +
      'holdfast doctor --repair goes on without them',
    { details: { file: path, offset, bytes } },
  )

function look(disk: Disk, path: string): LogState {
  const file = disk.openRead(path)
  if (!file) return { kind: 'empty' }
  try {
    const size = file.size()
    return size <= HEADER_BYTES ? { kind: 'empty' } : examine(file, size)
  } finally {
    file.close()
  }
}

interface Sum {
  readonly one: number
  readonly two: number
}

interface Header {
  readonly pageBytes: number
  readonly littleEndian: boolean
  readonly salts: readonly [number, number]
  readonly sum: Sum
  readonly whole: boolean
}

interface Frame {
  readonly offset: number
  /** True for the last of a transaction. */
  readonly commits: boolean
  /** It is of this log, and not left from before it was begun anew. */
  readonly salted: boolean
  /** At least one of its salts says so. */
  readonly half: boolean
  /** Its checksum follows from the one stored in the frame before it. */
  readonly follows: boolean
}

function examine(file: DiskFile, size: number): LogState {
  const header = headerOf(bytesAt(file, 0, HEADER_BYTES))
  if (!header) return { kind: 'empty' }
  let bad: Frame | undefined
  let commitBehind = false
  for (const frame of framesOf(file, size, header)) {
    if (!bad) {
      if (header.whole && frame.salted && frame.follows) continue
      bad = frame
      continue
    }
    if (!frame.salted || !frame.follows) continue
    // Of a later transaction than the bad one, if that was the last of its own or another one's end is in between.
    if (!header.whole || (bad.half && bad.commits) || commitBehind) {
      const offset = header.whole ? bad.offset : 0
      return { kind: 'corrupt', offset, bytes: size - offset }
    }
    commitBehind ||= frame.commits
  }
  return { kind: 'whole' }
}

function headerOf(bytes: Buffer): Header | undefined {
  const magic = bytes.readUInt32BE(0)
  const pageBytes = bytes.readUInt32BE(8)
  const littleEndian = (magic & 1) === 0
  const sum = { one: bytes.readUInt32BE(24), two: bytes.readUInt32BE(28) }
  const computed = summed(bytes.subarray(0, 24), { one: 0, two: 0 }, littleEndian)
  const whole = (magic | 1) >>> 0 === (MAGIC | 1) >>> 0 && same(sum, computed)
  const plausible = pageBytes >= 512 && pageBytes <= 65536 && (pageBytes & (pageBytes - 1)) === 0
  if (!whole && bytes.every((byte) => byte === 0)) return undefined
  // A header that is damaged tells nothing for sure: the frames are tried as those of this machine, with pages as usual.
  return {
    ...{ sum, whole, littleEndian: whole ? littleEndian : true, pageBytes: whole || plausible ? pageBytes : 4096 },
    salts: [bytes.readUInt32BE(16), bytes.readUInt32BE(20)],
  }
}

function* framesOf(file: DiskFile, size: number, header: Header): Generator<Frame> {
  const length = FRAME_HEADER_BYTES + header.pageBytes
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / length))
  let before = header.sum
  let salts = header.salts
  for (let start = HEADER_BYTES; start + length <= size; start += perChunk * length) {
    const chunk = bytesAt(file, start, Math.min(perChunk * length, size - start))
    for (let at = 0; at + length <= chunk.length; at += length) {
      const frame = chunk.subarray(at, at + length)
      const mine: [number, number] = [frame.readUInt32BE(8), frame.readUInt32BE(12)]
      const stored = { one: frame.readUInt32BE(16), two: frame.readUInt32BE(20) }
      const head = summed(frame.subarray(0, 8), before, header.littleEndian)
      const computed = summed(frame.subarray(FRAME_HEADER_BYTES), head, header.littleEndian)
      yield {
        offset: start + at,
        commits: frame.readUInt32BE(4) !== 0,
        salted: mine[0] === salts[0] && mine[1] === salts[1],
        half: mine[0] === salts[0] || mine[1] === salts[1],
        follows: same(stored, computed),
      }
      // What a damaged header says of its salts is not to be relied on.
      if (!header.whole && start + at === HEADER_BYTES) salts = mine
      before = stored
    }
  }
}

/** SQLite's own checksum of pairs of 32-bit words, continued. */
function summed(bytes: Buffer, from: Sum, littleEndian: boolean): Sum {
  let { one, two } = from
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    one = (one + (littleEndian ? bytes.readInt32LE(at) : bytes.readInt32BE(at)) + two) | 0
    two = (two + (littleEndian ? bytes.readInt32LE(at + 4) : bytes.readInt32BE(at + 4)) + one) | 0
  }
  return { one: one >>> 0, two: two >>> 0 }
}

const same = (a: Sum, b: Sum): boolean => a.one === b.one && a.two === b.two

function bytesAt(file: DiskFile, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const read = file.readSync(bytes.subarray(done), offset + done)
    if (read === 0) break
    done += read
  }
  return bytes.subarray(0, done)
}
