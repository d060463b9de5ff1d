// The journal as files: segments of checksummed lines (see `segment.ts`), written in batches of all sessions at once.
// A batch is one write and one fdatasync; while it is on its way the next one collects. It never writes to a segment that
// it did not create itself: opening copies the readable part of the last segment into a new file and syncs that, because
// what a crashed process left in the page cache may be readable and yet not durable.

import type { Clock } from '../clock.js'
import { type Disk, writeAll, writeAllSync } from '../disk.js'
import { HoldfastError } from '../errors.js'
import { Fifo } from '../fifo.js'
import {
  type Compacted,
  type CompactOptions,
  type Damage,
  DEFAULT_RECORD_BYTES,
  type Journal,
  type JournalEntry,
  type JournalStats,
  type Waiter,
} from '../journal.js'
import type { Position, TransitionRecord } from '../record.js'
import { closed, droppedMeanwhile, recordTooLarge } from '../refusals.js'
import type { IndexEntry, SessionState } from '../state.js'
import { type Found, findSegments, putRight, unheaded } from './claims.js'
import { countDroppable, raiseFloor } from './compaction.js'
import { FLOOR, type Floor, openFloor } from './floor.js'
import { FlushMode } from './flush-mode.js'
import { nextOf, none } from './foreign-journal.js'
import { letGo, OpenFiles } from './open-files.js'
import { chainBefore, checkSeams } from './seams.js'
import { FORMAT, HEADER_BYTES, Lines } from './segment.js'
import { createSegment, first, orClose, readIn, renew, type Segment, scanSegments } from './segments.js'
import { storageError } from './storage-error.js'

export interface FileJournalOptions {
  /** A segment is sealed once it is this large; default 16 MiB. */
  readonly segmentBytes?: number
  /** A record whose JSON is longer is refused with RECORD_TOO_LARGE; default 64 MiB. */
  readonly recordBytes?: number
  /** How much space is reserved at a time, ahead of small batches; 0 reserves none. Default 256 KiB. */
  readonly reserveBytes?: number
  /** How long a flush may block the event loop before flushing moves off it; default 1 ms. */
  readonly stallMs?: number
  /** The highest epoch that is known from elsewhere, should no header tell it. */
  readonly epoch?: number
}

export interface OpenedJournal {
  readonly journal: FileJournal
  /** The writer's epoch: one more than the highest that is known. */
  readonly epoch: number
  /** What was found unreadable in the last segment, and what does not fit between the others. */
  readonly damage: readonly Damage[]
}

interface Batch {
  readonly start: Position
  /** In a new segment if set. */
  readonly segment: number | undefined
  readonly lines: Lines
  /** What each of its records says first. */
  readonly head: string
  /** The checksum that its first line continues. */
  readonly chain: number
  readonly waiters: Waiter[]
  readonly sizes: number[]
}

/** Who is still to be told of a batch: those from `next` on, the first of whom has its record at `position`. */
interface Told extends Pick<Batch, 'waiters' | 'sizes'> {
  next: number
  position: Position
}

/** So many are told at once; what they do then is done before the event loop turns, and others have a turn before the rest. */
const TOLD_AT_ONCE = 128

/**
 * Opens the journal of a data directory for its only writer.
 * Throws FORMAT_NEWER (nothing is touched), DISK_FULL or DISK_FAILED.
 */
export function openFileJournal(disk: Disk, clock: Clock, options: FileJournalOptions = {}): OpenedJournal {
  const files = new OpenFiles(disk)
  return orClose(files, () => {
    const found = findSegments(disk, files)
    return orClose(found, () => writing(disk, clock, options, files, found))
  })
}

function writing(disk: Disk, clock: Clock, options: FileJournalOptions, files: OpenFiles, found: Found): OpenedJournal {
  const { floor } = found
  disk.makeFolder('journal')
  for (const name of disk.list('journal')) if (name.endsWith('.tmp')) disk.remove(`journal/${name}`)
  const epoch = Math.max(found.epoch, options.epoch ?? 0) + 1
  for (const path of found.dropped) disk.remove(path)
  const { segments, damage } = putRight(disk, found, files)
  damage.push(...found.damage, ...unheaded(segments.slice(0, -1)), ...checkSeams(segments, floor))
  const last = segments.pop()
  const start = last ? renew(disk, last, epoch, chainBefore(segments.at(-1), last, floor)) : first(disk, epoch, floor)
  segments.push(start.segment)
  const journal = new FileJournal(disk, clock, options, files, segments, floor, start.chain, start.end, epoch)
  return { journal, epoch, damage: [...damage, ...start.damage] }
}

export class FileJournal implements Journal {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #mode: FlushMode
  readonly #epoch: number
  readonly #segmentBytes: number
  readonly #recordBytes: number
  #reserveBytes: number
  /** How far the segment's space is reserved, as an offset in its file. */
  #reserved: { readonly segment: number; end: number } = { segment: 0, end: 0 }
  readonly #files: OpenFiles
  /** The last is open for writing; those that are sealed are opened when they are read. */
  readonly #segments: Segment[]
  #floor: Floor | undefined
  /** The buffers of the batch that collects and the one that is written take turns. */
  #spare: Lines | undefined
  #batch: Batch
  /** Bytes of the batch that is being written. */
  #underWay = 0
  /** Batches that are durable, whose waiters have not all been told. */
  readonly #told: Fifo<Told> = new Fifo()
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
    files: OpenFiles,
    segments: Segment[],
    floor: Floor | undefined,
    chain: number,
    end: Position,
    epoch: number,
  ) {
    this.#disk = disk
    this.#clock = clock
    this.#mode = new FlushMode(clock, options.stallMs ?? 1)
    this.#epoch = epoch
    this.#segmentBytes = options.segmentBytes ?? 16 * 1024 * 1024
    this.#reserveBytes = options.reserveBytes ?? 256 * 1024
    this.#recordBytes = options.recordBytes ?? DEFAULT_RECORD_BYTES
    this.#files = files
    this.#segments = segments
    this.#floor = floor
    this.#end = end
    this.#batch = this.#nextBatch(end, chain)
  }

  get begin(): Position {
    return this.#floor?.through ?? 0
  }

  /** Behind what is told, not behind what is durable: an index that ends here misses nobody. */
  get end(): Position {
    return this.#told.peek()?.position ?? this.#end
  }

  floor(id: string): SessionState | undefined {
    if (this.#closed) throw closed('journal')
    return this.#floor?.read(id)
  }

  floors(onDamage: (damage: Damage) => void): IterableIterator<IndexEntry> {
    if (this.#closed) throw closed('journal')
    return this.#floor ? this.#floor.entries(onDamage) : none()
  }

  get pending(): number {
    return this.#batch.lines.length + this.#underWay
  }

  append(record: TransitionRecord, waiter: Waiter): Position {
    if (this.#failure || this.#closed) throw this.#refusal()
    const batch = this.#batch
    const json = JSON.stringify(record)
    this.#refuseTooLarge(json)
    const position = batch.start + batch.lines.length
    batch.sizes.push(batch.lines.add(json, batch.head))
    batch.waiters.push(waiter)
    this.#schedule()
    return position
  }

  read(position: Position): TransitionRecord {
    if (this.#closed) throw closed('journal')
    return readIn(this.#segments, position, this.#end)
  }

  *scan(from: Position, onDamage?: (damage: Damage) => void): Generator<JournalEntry> {
    const { begin } = this
    const entries = scanSegments(this.#segments, from, this.#end, onDamage)
    while (true) {
      if (this.#closed) throw closed('journal')
      const next = nextOf(entries, () => this.begin > begin && droppedMeanwhile(this.begin))
      if (next.done) return
      yield next.value
    }
  }

  async compact(options: CompactOptions): Promise<Compacted> {
    const { begin } = this
    if (this.#failure || this.#closed) throw this.#refusal()
    try {
      const count = await countDroppable(this.#segments, options)
      if (count > 0) await this.#drop(count, options)
      return { segments: count, bytes: this.begin - begin, begin: this.begin }
    } catch (error) {
      throw storageError(error, FLOOR)
    }
  }

  /** The floor first: when it is durable, nothing reads the segments below it any more. */
  async #drop(count: number, { pause }: CompactOptions): Promise<void> {
    await raiseFloor(this.#disk, this, this.#segments, count, async () => {
      await pause()
      if (this.#closed) throw closed('journal')
    })
    const old = this.#floor
    this.#floor = openFloor(this.#disk, ({ file, offset }) => {
      throw new HoldfastError(
        'DISK_FAILED',
        `${file} is not what was written, at offset ${offset}; nothing was dropped`,
      )
    })
    old?.close()
    // Closed, none is opened again: it is not among the segments any more.
    for (const { file, path } of this.#segments.splice(0, count)) {
      file.close()
      this.#disk.remove(path)
    }
    this.#disk.syncFolder('journal')
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
    while (!this.#failure && (this.#flushing || this.#told.size > 0 || this.#batch.waiters.length > 0)) {
      if (this.#flushing) await this.#flushing
      else if (this.#told.size > 0) {
        this.#tellAll()
        await Promise.resolve() // for what they append at once
      } else await this.#flushLater()
    }
    if (this.#failure) throw this.#failure
  }

  async close(): Promise<void> {
    if (this.#closed) return
    try {
      if (!this.#failure) await this.flush()
    } finally {
      this.#closed = true
      this.#files.close()
      letGo(this.#segments.at(-1)?.file)
      letGo(this.#floor)
    }
  }

  /** No character takes more than three bytes, so what is far from the limit is not measured. */
  #refuseTooLarge(json: string): void {
    if (json.length * 3 <= this.#recordBytes) return
    const bytes = Buffer.byteLength(json)
    if (bytes > this.#recordBytes) throw recordTooLarge(bytes, this.#recordBytes)
  }

  #schedule(): void {
    // What those do who are still told of the last batch belongs into the same next one: two halves would cost two syncs.
    if (this.#scheduled || this.#flushing || this.#told.size > 0) return
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
        this.#reserve(segment, batch)
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
    this.#underWay = batch.lines.length
    this.#batch = this.#nextBatch(batch.start + batch.lines.length, batch.lines.last, batch)
    return batch
  }

  /** The batch that collects next begins where the last one ends, or behind the header of a new segment. */
  #nextBatch(end: Position, chain: number, before?: Batch): Batch {
    const last = this.#segments[this.#segments.length - 1] as Segment
    // The segment that the batch before begins is not there yet.
    const current = before?.segment === undefined ? last : { number: before.segment, base: before.start - HEADER_BYTES }
    const sealed = end - current.base >= this.#segmentBytes
    const lines = this.#spare ?? new Lines(chain)
    this.#spare = undefined
    lines.clear(chain)
    const start = sealed ? end + HEADER_BYTES : end
    const segment = sealed ? current.number + 1 : undefined
    return { start, segment, lines, head: `{"batch":${start},`, chain, waiters: [], sizes: [] }
  }

  /**
   * Space that is written already, with zeros, makes a sync cheaper: the file's length does not change, so the file system
   * has nothing to commit but the data. Small batches are worth it; a large one pays for its own growth.
   */
  #reserve(segment: Segment, { start, lines }: Batch): void {
    const end = start + lines.length - segment.base
    if (this.#reserved.segment !== segment.number) this.#reserved = { segment: segment.number, end: 0 }
    if (end <= this.#reserved.end || lines.length > this.#reserveBytes / 16) return
    try {
      writeAllSync(segment.file, new Uint8Array(this.#reserveBytes), end)
      this.#reserved.end = end + this.#reserveBytes
    } catch {
      this.#reserveBytes = 0 // No room to spare is no failure: the batch itself may still find its place.
    }
  }

  #segmentOf(batch: Batch): Segment {
    if (batch.segment !== undefined) {
      const header = { holdfast: FORMAT, segment: batch.segment, epoch: this.#epoch, base: batch.start - HEADER_BYTES }
      const sealed = this.#segments.at(-1) as Segment
      this.#segments.push(createSegment(this.#disk, header, batch.chain))
      sealed.file.close()
      sealed.file = this.#files.at(sealed.path)
    }
    return this.#segments[this.#segments.length - 1] as Segment
  }

  #deliver(batch: Batch): void {
    const { start, waiters, sizes, lines } = batch
    this.#end = start + lines.length
    this.#underWay = 0
    this.#flushes++
    this.#records += waiters.length
    this.#bytes += lines.length
    this.#spare = lines
    const first = this.#told.size === 0
    this.#told.push({ waiters, sizes, next: 0, position: start })
    if (first) this.#tell()
  }

  /** Tells some, in the order of their records; the rest when the event loop has turned. */
  #tell(): void {
    const told = this.#told.peek()
    if (told) this.#tellUpTo(told, Math.min(told.next + TOLD_AT_ONCE, told.waiters.length))
    if (this.#told.size > 0) this.#clock.soon(() => this.#tell())
    else if (this.#batch.waiters.length > 0) this.#schedule()
  }

  /** Everybody at once: whoever flushes, or fails what came after, finds nobody waiting for what is durable. */
  #tellAll(): void {
    for (let told = this.#told.peek(); told; told = this.#told.peek()) this.#tellUpTo(told, told.waiters.length)
  }

  #tellUpTo(told: Told, end: number): void {
    while (told.next < end) {
      const { next, position } = told
      const size = told.sizes[next] as number
      told.next++
      told.position += size
      if (told.next === told.waiters.length) this.#told.shift()
      told.waiters[next]?.durable(position, size)
    }
  }

  /** A file whose write or sync failed is never written again: nobody knows what of it is on the disk. */
  #fail(batch: Batch, cause: unknown): void {
    const waiting = this.#batch
    this.#failure = storageError(cause, this.#segments.at(-1)?.path)
    this.#tellAll()
    for (const waiter of batch.waiters) waiter.failed(unknownOutcome(this.#failure))
    for (const waiter of waiting.waiters) waiter.failed(this.#refusal())
  }

  #refusal(): HoldfastError {
    if (!this.#failure) return closed('journal')
    return new HoldfastError(
      'JOURNAL_FAILED',
      `the journal could not be written (${this.#failure.message}); nothing was recorded; mend the cause and reopen`,
      { cause: this.#failure },
    )
  }
}

const unknownOutcome = (cause: Error): HoldfastError =>
  new HoldfastError(
    'OUTCOME_UNKNOWN',
    `the record was written but not confirmed (${cause.message}); reopen and look at the session to learn whether it is there`,
    { cause },
  )
