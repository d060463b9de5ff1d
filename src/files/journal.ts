// The journal as files: segments of checksummed lines (see `segment.ts`), written in batches of all sessions at once.
// A batch is one write and one fdatasync; while it is on its way the next one collects. It never writes to a segment that
// it did not create itself: opening copies the readable part of the last segment into a new file and syncs that, because
// what a crashed process left in the page cache may be readable and yet not durable.

import type { Clock } from '../clock.js'
import { type Disk, type DiskFile, readAll, writeAll, writeAllSync } from '../disk.js'
import { HoldfastError } from '../errors.js'
import type { Damage, Journal, JournalEntry, JournalStats, ReadableJournal, Waiter } from '../journal.js'
import type { Position, TransitionRecord } from '../record.js'
import { FlushMode } from './flush-mode.js'
import { FORMAT, HEADER_BYTES, headerLine, Lines, pieces, readHeader, readRecord, segmentName } from './segment.js'

export interface FileJournalOptions {
  /** A segment is sealed once it is this large; default 16 MiB. */
  readonly segmentBytes?: number
  /** A longer record is refused with RECORD_TOO_LARGE; default 64 MiB. */
  readonly recordBytes?: number
  /** How long a flush may block the event loop before flushing moves off it; default 1 ms. */
  readonly stallMs?: number
}

export interface OpenedJournal {
  readonly journal: FileJournal
  /** The writer's epoch: one more than that of the last opener. */
  readonly epoch: number
  /** What was found unreadable in the last segment. */
  readonly damage: readonly Damage[]
}

/** A journal that another process may own. */
export interface OpenedForReading extends ReadableJournal {
  close(): void
}

interface Segment {
  readonly number: number
  readonly base: Position
  readonly file: DiskFile
}

interface Batch {
  readonly start: Position
  /** In a new segment if set. */
  readonly segment: number | undefined
  readonly lines: Lines
  /** The checksum that its first line continues. */
  readonly chain: number
  readonly waiters: Waiter[]
  readonly sizes: number[]
}

const READ_BYTES = 4096

/**
 * Opens the journal of a data directory for its only writer.
 * Throws FORMAT_NEWER (nothing is touched), DISK_FULL or DISK_FAILED.
 */
export function openFileJournal(disk: Disk, clock: Clock, options: FileJournalOptions = {}): OpenedJournal {
  disk.makeFolder('journal')
  for (const name of disk.list('journal')) if (name.endsWith('.tmp')) disk.remove(`journal/${name}`)
  const found = findSegments(disk)
  const last = found.pop()
  const { segment, chain, end, epoch, damage } = last ? renew(disk, last) : first(disk)
  return { journal: new FileJournal(disk, clock, options, [...found, segment], chain, end, epoch), epoch, damage }
}

/**
 * Opens the journal for reading only, while another process may be writing it: nothing on the disk changes. It shows the
 * journal as it is now. `onDamage` hears of what a scan cannot read; a torn end is none, it may be on its way.
 * Throws FORMAT_NEWER.
 */
export function readFileJournal(disk: Disk, onDamage: (damage: Damage) => void): OpenedForReading {
  const segments = findSegments(disk)
  const last = segments.at(-1)
  const end = last ? last.base + last.file.size() : 0
  return {
    end,
    read: (position) => readIn(segments, position, end),
    scan: (from) => scanSegments(segments, from, end, onDamage),
    close: () => {
      for (const { file } of segments) file.close()
    },
  }
}

export class FileJournal implements Journal {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #mode: FlushMode
  readonly #epoch: number
  readonly #segmentBytes: number
  readonly #recordBytes: number
  readonly #segments: Segment[]
  /** The buffers of the batch that collects and the one that is written take turns. */
  #spare: Lines | undefined
  #batch: Batch
  #end: Position
  #scheduled = false
  #flushing: Promise<void> | undefined
  #failure: Error | undefined
  #closed = false
  #records = 0
  #flushes = 0
  #bytes = 0

  constructor(
    disk: Disk,
    clock: Clock,
    options: FileJournalOptions,
    segments: Segment[],
    chain: number,
    end: Position,
    epoch: number,
  ) {
    this.#disk = disk
    this.#clock = clock
    this.#mode = new FlushMode(clock, options.stallMs ?? 1)
    this.#epoch = epoch
    this.#segmentBytes = options.segmentBytes ?? 16 * 1024 * 1024
    this.#recordBytes = options.recordBytes ?? 64 * 1024 * 1024
    this.#segments = segments
    this.#end = end
    this.#batch = this.#nextBatch(end, chain)
  }

  get end(): Position {
    return this.#end
  }

  get pending(): number {
    return this.#batch.start + this.#batch.lines.length - this.#end
  }

  append(record: TransitionRecord, waiter: Waiter): Position {
    if (this.#failure || this.#closed) throw this.#refusal()
    const batch = this.#batch
    const json = `{"batch":${batch.start},${JSON.stringify(record).slice(1)}`
    if (json.length > this.#recordBytes) throw tooLarge(json.length, this.#recordBytes)
    const position = batch.start + batch.lines.length
    batch.sizes.push(batch.lines.add(json))
    batch.waiters.push(waiter)
    this.#schedule()
    return position
  }

  read(position: Position): TransitionRecord {
    return readIn(this.#segments, position, this.#end)
  }

  *scan(from: Position): Generator<JournalEntry> {
    yield* scanSegments(this.#segments, from, this.#end)
  }

  stats(): JournalStats {
    return {
      records: this.#records,
      flushes: this.#flushes,
      bytes: this.#bytes,
      stalls: this.#mode.stalls,
      segments: this.#segments.length,
    }
  }

  async flush(): Promise<void> {
    while (!this.#failure && (this.#flushing || this.#batch.waiters.length > 0)) {
      if (this.#flushing) await this.#flushing
      else await this.#flushLater()
    }
    if (this.#failure) throw this.#failure
  }

  async close(): Promise<void> {
    if (this.#closed) return
    try {
      if (!this.#failure) await this.flush()
    } finally {
      this.#closed = true
      for (const segment of this.#segments) segment.file.close()
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#flushing) return
    this.#scheduled = true
    this.#clock.soon(() => {
      this.#scheduled = false
      if (this.#flushing || this.#failure || this.#closed || this.#batch.waiters.length === 0) return
      if (this.#mode.blocking) this.#flushNow()
      else void this.#flushLater()
    })
  }

  /** One write and one sync on the main thread: the lowest latency, while the disk is quick. */
  #flushNow(): void {
    const batch = this.#takeBatch()
    try {
      const segment = this.#segmentOf(batch)
      this.#mode.measure(() => {
        writeAllSync(segment.file, batch.lines.view(), batch.start - segment.base)
        segment.file.syncSync()
      })
    } catch (error) {
      return this.#fail(batch, error)
    }
    this.#deliver(batch)
  }

  /** The same off the main thread; records that come meanwhile collect in the next batch. */
  #flushLater(): Promise<void> {
    const batch = this.#takeBatch()
    const flush = async (): Promise<void> => {
      try {
        const segment = this.#segmentOf(batch)
        await writeAll(segment.file, batch.lines.view(), batch.start - segment.base)
        await segment.file.sync()
      } catch (error) {
        this.#flushing = undefined
        return this.#fail(batch, error)
      }
      this.#flushing = undefined
      this.#deliver(batch)
      if (this.#batch.waiters.length > 0) this.#schedule()
    }
    this.#flushing = flush()
    return this.#flushing
  }

  #takeBatch(): Batch {
    const batch = this.#batch
    this.#batch = this.#nextBatch(batch.start + batch.lines.length, batch.lines.last, batch)
    return batch
  }

  /** The batch that collects next begins where the last one ends, or behind the header of a new segment. */
  #nextBatch(end: Position, chain: number, before?: Batch): Batch {
    const last = this.#segments[this.#segments.length - 1] as Segment
    // The segment that the batch before begins is not there yet.
    const current =
      before?.segment === undefined ? last : { number: before.segment, base: before.start - HEADER_BYTES }
    const sealed = end - current.base >= this.#segmentBytes
    const lines = this.#spare ?? new Lines(chain)
    this.#spare = undefined
    lines.clear(chain)
    const start = sealed ? end + HEADER_BYTES : end
    return { start, segment: sealed ? current.number + 1 : undefined, lines, chain, waiters: [], sizes: [] }
  }

  #segmentOf(batch: Batch): Segment {
    if (batch.segment !== undefined) {
      const header = { holdfast: FORMAT, segment: batch.segment, epoch: this.#epoch, base: batch.start - HEADER_BYTES }
      this.#segments.push(createSegment(this.#disk, header, batch.chain))
    }
    return this.#segments[this.#segments.length - 1] as Segment
  }

  #deliver(batch: Batch): void {
    const { start, waiters, sizes, lines } = batch
    this.#end = start + lines.length
    this.#flushes++
    this.#records += waiters.length
    this.#bytes += lines.length
    this.#spare = lines
    let position = start
    for (let index = 0; index < waiters.length; index++) {
      const size = sizes[index] as number
      waiters[index]?.durable(position, size)
      position += size
    }
  }

  /** A file whose write or sync failed is never written again: nobody knows what of it is on the disk. */
  #fail(batch: Batch, cause: unknown): void {
    const waiting = this.#batch
    this.#failure = storageError(cause)
    for (const waiter of batch.waiters) waiter.failed(unknownOutcome(this.#failure))
    for (const waiter of waiting.waiters) waiter.failed(this.#refusal())
  }

  #refusal(): HoldfastError {
    if (!this.#failure) return new HoldfastError('RUNTIME_CLOSED', 'the journal is closed; open the runtime again')
    return new HoldfastError(
      'JOURNAL_FAILED',
      `the journal could not be written (${this.#failure.message}); nothing was recorded; mend the cause and reopen`,
      { cause: this.#failure },
    )
  }
}

function findSegments(disk: Disk): Segment[] {
  const segments: Segment[] = []
  for (const name of disk.list('journal')) {
    if (!/^\d{8}\.jsonl$/.test(name)) continue
    const file = disk.openRead(`journal/${name}`)
    if (!file) continue
    const header = headerOf(file)
    const before = segments.at(-1)
    // A header that cannot be read does not hide its records: the position follows from the segment before.
    const base = header?.header.base ?? (before ? before.base + before.file.size() : 0)
    segments.push({ number: Number.parseInt(name, 10), base, file })
  }
  return segments
}

function headerOf(file: DiskFile): ReturnType<typeof readHeader> {
  const bytes = new Uint8Array(HEADER_BYTES)
  const header = readHeader(bytes.subarray(0, file.readSync(bytes, 0)))
  if (header && header.header.holdfast > FORMAT) throw newer(file.path, header.header.holdfast)
  return header
}

interface Start {
  readonly segment: Segment
  readonly chain: number
  readonly end: Position
  readonly epoch: number
  readonly damage: readonly Damage[]
}

function first(disk: Disk): Start {
  const segment = createSegment(disk, { holdfast: FORMAT, segment: 1, epoch: 1, base: 0 }, 0)
  disk.syncFolder('')
  return { segment, chain: 0, end: HEADER_BYTES, epoch: 1, damage: [] }
}

/** Copies what can be read of the last segment into a new file of the same name; keeps aside what is cut off. */
function renew(disk: Disk, old: Segment): Start {
  const bytes = readAll(disk, old.file.path) ?? new Uint8Array()
  const found = headerOf(old.file)
  const damage: Damage[] = []
  let end = Math.min(HEADER_BYTES, bytes.length)
  let chain = found?.chain ?? 0
  for (const piece of pieces(bytes, old.base, HEADER_BYTES, found?.chain)) {
    if (piece.kind === 'record') chain = piece.checksum
    else damage.push(keep(disk, old, bytes, piece.kind, piece.offset, piece.bytes))
    if (piece.kind !== 'torn') end = piece.offset + piece.bytes
  }
  const epoch = (found?.header.epoch ?? 0) + 1
  const header = { holdfast: FORMAT, segment: old.number, epoch, base: old.base }
  const content = bytes.subarray(
    Math.min(HEADER_BYTES, bytes.length),
    Math.max(end, Math.min(HEADER_BYTES, bytes.length)),
  )
  const segment = createSegment(disk, header, found?.chain ?? 0, content)
  old.file.close()
  return { segment, chain, end: old.base + HEADER_BYTES + content.length, epoch, damage }
}

/** Writes a segment with its first content under a temporary name, then names it: it is never seen half done. */
function createSegment(
  disk: Disk,
  header: { holdfast: number; segment: number; epoch: number; base: Position },
  chain: number,
  content: Uint8Array = new Uint8Array(),
): Segment {
  const path = segmentName(header.segment)
  try {
    const file = disk.create(`${path}.tmp`)
    writeAllSync(file, Buffer.concat([headerLine(header, chain), content]), 0)
    file.syncSync()
    disk.rename(`${path}.tmp`, path)
    disk.syncFolder('journal')
    return { number: header.segment, base: header.base, file }
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
  const named = text.matchAll(/"session":"([A-Za-z0-9][A-Za-z0-9_-]{0,63})"/g)
  return [...new Set([...named].map((match) => match[1] as string))]
}

function readIn(segments: readonly Segment[], position: Position, end: Position): TransitionRecord {
  const segment = segments.findLast((candidate) => candidate.base <= position)
  const record = segment && position < end ? readAt(segment.file, position - segment.base) : undefined
  if (record) return record
  throw corrupt(segment ? segment.file.path : 'journal', position - (segment?.base ?? 0))
}

function* scanSegments(
  segments: readonly Segment[],
  from: Position,
  end: Position,
  onDamage: (damage: Damage) => void = () => {},
): Generator<JournalEntry> {
  for (const [index, segment] of [...segments].entries()) {
    const next = segments[index + 1]
    if (next && next.base <= from) continue
    if (segment.base >= end) return
    const bytes = new Uint8Array(segment.file.size())
    segment.file.readSync(bytes, 0)
    const start = Math.max(from - segment.base, HEADER_BYTES)
    for (const piece of pieces(bytes, segment.base, start)) {
      const position = segment.base + piece.offset
      if (position >= end) return
      if (piece.kind === 'record') yield { position, record: piece.record }
      else if (piece.kind === 'corrupt' || next) {
        const sessions = sessionsIn(bytes.subarray(piece.offset, piece.offset + piece.bytes))
        onDamage({ file: segment.file.path, offset: piece.offset, bytes: piece.bytes, kind: 'corrupt', sessions })
      }
    }
  }
}

function readAt(file: DiskFile, offset: number): TransitionRecord | undefined {
  for (let size = READ_BYTES; ; size *= 4) {
    const bytes = new Uint8Array(size)
    const read = file.readSync(bytes, offset)
    const found = readRecord(bytes.subarray(0, read), 0)
    if (found) return found.record
    if (read < size || bytes.includes(0x0a)) return undefined
  }
}

/** A file-system error as one of ours: DISK_FULL or DISK_FAILED. */
export function storageError(cause: unknown): HoldfastError {
  if (cause instanceof HoldfastError) return cause
  const code = (cause as { code?: string }).code
  const message = cause instanceof Error ? cause.message : String(cause)
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new HoldfastError('DISK_FULL', `the disk is full (${message}); free some space and open the runtime again`, {
        cause,
      })
    : new HoldfastError('DISK_FAILED', `the disk failed (${message}); mend it and open the runtime again`, { cause })
}

const unknownOutcome = (cause: Error): HoldfastError =>
  new HoldfastError(
    'OUTCOME_UNKNOWN',
    `the record was written but not confirmed (${cause.message}); reopen and look at the session to learn whether it is there`,
    { cause },
  )

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

const tooLarge = (bytes: number, limit: number): HoldfastError =>
  new HoldfastError(
    'RECORD_TOO_LARGE',
    `the record has ${bytes} bytes, more than ${limit}; keep large data outside the context`,
  )
