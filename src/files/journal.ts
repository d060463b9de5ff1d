// The journal as files: segments of checksummed lines (see `segment.ts`), written in batches of all sessions at once.
// A batch is one write and one fdatasync; while it is on its way the next one collects. It never writes to a segment that
// it did not create itself (see `open-journal.ts`), nor to a file again of which a write or a sync has failed.

import type { Clock } from '../clock.js'
import { type Disk, writeAll, writeAllSync } from '../disk.js'
import { HoldfastError } from '../errors.js'
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
import { Batch } from './batch.js'
import { countDroppable, raiseFloor } from './compaction.js'
import { FLOOR, type Floor, openFloor } from './floor.js'
import { FlushMode } from './flush-mode.js'
import { nextOf, none } from './foreign-journal.js'
import { letGo, type OpenFiles } from './open-files.js'
import { ReservedRoom } from './reserved-room.js'
import { FORMAT, HEADER_BYTES, Lines } from './segment.js'
import { createSegment, readIn, type Segment, scanSegments } from './segments.js'
import { storageError } from './storage-error.js'
import { Telling } from './telling.js'

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

export class FileJournal implements Journal {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #mode: FlushMode
  readonly #epoch: number
  readonly #segmentBytes: number
  readonly #recordBytes: number
  readonly #room: ReservedRoom
  readonly #files: OpenFiles
  /** The last is open for writing; those that are sealed are opened when they are read. */
  readonly #segments: Segment[]
  #floor: Floor | undefined
  /** The buffers of the batch that collects and the one that is written take turns. */
  #spare: Lines | undefined
  #batch: Batch
  /** Bytes of the batch that is being written. */
  #underWay = 0
  readonly #telling: Telling
  #end: Position
  #scheduled = false
  #flushing: Promise<void> | undefined
  #failure: Error | undefined
  #closed = false
  #records = 0
  #flushes = 0
  #flushMs = 0
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
    this.#room = new ReservedRoom(options.reserveBytes ?? 256 * 1024)
    this.#recordBytes = options.recordBytes ?? DEFAULT_RECORD_BYTES
    this.#files = files
    this.#segments = segments
    this.#floor = floor
    this.#end = end
    this.#telling = new Telling(clock, () => this.#schedule())
    this.#batch = this.#nextBatch(end, chain)
  }

  get begin(): Position {
    return this.#floor?.through ?? 0
  }

  /** Behind what is told, not behind what is durable: an index that ends here misses nobody. */
  get end(): Position {
    return this.#telling.position ?? this.#end
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
    const position = batch.add(json, waiter)
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
      flushMs: this.#flushMs,
    }
  }

  async flush(): Promise<void> {
    while (!this.#failure && (this.#flushing || this.#telling.underWay || this.#batch.waiters.length > 0)) {
      if (this.#flushing) await this.#flushing
      else if (this.#telling.underWay) {
        this.#telling.tellAll()
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
    if (this.#scheduled || this.#flushing || this.#telling.underWay || this.#batch.waiters.length === 0) return
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
    const began = this.#clock.elapsed()
    try {
      const segment = this.#segmentOf(batch)
      this.#mode.measure(() => {
        this.#room.reserve(segment, batch)
        writeAllSync(segment.file, batch.lines.view(), batch.start - segment.base)
        segment.file.syncSync()
      })
    } catch (error) {
      return this.#fail(batch, error)
    }
    this.#flushMs += this.#clock.elapsed() - began
    this.#deliver(batch)
  }

  /** The same off the main thread; records that come meanwhile collect in the next batch. */
  #flushLater(): Promise<void> {
    const batch = this.#takeBatch()
    const began = this.#clock.elapsed()
    const flush = async (): Promise<void> => {
      try {
        const segment = this.#segmentOf(batch)
        await writeAll(segment.file, batch.lines.view(), batch.start - segment.base)
        await segment.file.sync()
        this.#flushMs += this.#clock.elapsed() - began
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
    this.#batch = this.#nextBatch(batch.end, batch.lines.last, batch)
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
    return new Batch(start, segment, lines, chain)
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
    this.#end = batch.end
    this.#underWay = 0
    this.#flushes++
    this.#records += batch.waiters.length
    this.#bytes += batch.lines.length
    this.#spare = batch.lines
    this.#telling.tell(batch)
  }

  /** A file whose write or sync failed is never written again: nobody knows what of it is on the disk. */
  #fail(batch: Batch, cause: unknown): void {
    const waiting = this.#batch
    this.#failure = storageError(cause, this.#segments.at(-1)?.path)
    this.#telling.tellAll()
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
