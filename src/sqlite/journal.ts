// The journal in a database: the records of a turn of the event loop are one transaction, and its commit is synced before
// anybody hears of them (a write-ahead log, `synchronous = FULL`). Everything happens on the thread that appends.
// After one commit that failed it takes no further record: nobody knows what of it is on the disk.

import { crc32 } from 'node:zlib'
import type { Clock } from '../clock.js'
import { HoldfastError, isHoldfastError } from '../errors.js'
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
import { closed, recordTooLarge } from '../refusals.js'
import type { IndexEntry, SessionState } from '../state.js'
import { raiseFloor } from './compaction.js'
import type { Database } from './database.js'
import { floorEntries, readFloor } from './floor.js'
import { readRecord, scanRecords, seedOf } from './records.js'
import { type FloorHead, headOf, setHead } from './schema.js'

export interface SqliteJournalOptions {
  /** A record whose JSON is longer is refused with RECORD_TOO_LARGE; default 64 MiB. */
  readonly recordBytes?: number
  /** The least that a compaction drops, in bytes of records; default 16 MiB. */
  readonly portionBytes?: number
}

interface Appended {
  readonly position: Position
  readonly json: string
  readonly bytes: number
  readonly waiter: Waiter
}

/** A commit that takes longer counts as a stall. */
const STALL_MS = 1

export class SqliteJournal implements Journal {
  readonly #db: Database
  readonly #clock: Clock
  readonly #recordBytes: number
  readonly #portionBytes: number
  #floor: FloorHead | undefined
  #batch: Appended[] = []
  #pending = 0
  /** Where the next record will be, and where the durable ones end. */
  #next: Position
  #end: Position
  #failure: HoldfastError | undefined
  #closed = false
  #records = 0
  #flushes = 0
  #flushMs = 0
  #bytes = 0
  #stalls = 0

  /** Throws JOURNAL_CORRUPT. */
  constructor(db: Database, clock: Clock, options: SqliteJournalOptions = {}) {
    this.#db = db
    this.#clock = clock
    this.#recordBytes = options.recordBytes ?? DEFAULT_RECORD_BYTES
    this.#portionBytes = options.portionBytes ?? 16 * 1024 * 1024
    this.#floor = headOf(db, 'floor')
    this.#end = headOf(db, 'end') ?? 0
    this.#next = this.#end
  }

  get begin(): Position {
    return this.#floor?.through ?? 0
  }

  get end(): Position {
    return this.#end
  }

  get pending(): number {
    return this.#pending
  }

  floor(id: string): SessionState | undefined {
    if (this.#closed) throw closed('journal')
    return this.#floor && readFloor(this.#db, this.#floor, id)
  }

  floors(onDamage: (damage: Damage) => void): IterableIterator<IndexEntry> {
    if (this.#closed) throw closed('journal')
    return floorEntries(this.#db, this.#floor, onDamage)
  }

  append(record: TransitionRecord, waiter: Waiter): Position {
    if (this.#failure || this.#closed) throw this.#refusal()
    const json = JSON.stringify(record)
    const bytes = Buffer.byteLength(json)
    if (bytes > this.#recordBytes) throw recordTooLarge(bytes, this.#recordBytes)
    const position = this.#next
    if (this.#batch.length === 0) this.#clock.soon(() => this.#commit())
    this.#batch.push({ position, json, bytes, waiter })
    this.#next += bytes
    this.#pending += bytes
    return position
  }

  read(position: Position): TransitionRecord {
    if (this.#closed) throw closed('journal')
    return readRecord(this.#db, position, this.#end)
  }

  *scan(from: Position, onDamage?: (damage: Damage) => void): Generator<JournalEntry> {
    const entries = scanRecords(this.#db, from, this.#end, () => this.begin, onDamage)
    while (true) {
      if (this.#closed) throw closed('journal')
      const next = entries.next()
      if (next.done) return
      yield next.value
    }
  }

  async compact(options: CompactOptions): Promise<Compacted> {
    if (this.#failure || this.#closed) throw this.#refusal()
    const { begin } = this
    const pause = async (): Promise<void> => {
      await options.pause()
      if (this.#closed) throw closed('journal')
    }
    await raiseFloor(
      { db: this.#db, journal: this, floor: this.#floor, portionBytes: this.#portionBytes },
      { ...options, pause },
      (floor) => {
        this.#floor = floor
      },
    )
    return { segments: this.begin > begin ? 1 : 0, bytes: this.begin - begin, begin: this.begin }
  }

  stats(): JournalStats {
    return {
      records: this.#records,
      flushes: this.#flushes,
      bytes: this.#bytes,
      stalls: this.#stalls,
      segments: 1,
      flushMs: this.#flushMs,
    }
  }

  async flush(): Promise<void> {
    while (!this.#failure && this.#batch.length > 0) this.#commit()
    if (this.#failure) throw this.#failure
  }

  /** Flushes; the database is closed by whoever opened it. */
  async close(): Promise<void> {
    if (this.#closed) return
    try {
      if (!this.#failure) await this.flush()
    } finally {
      this.#closed = true
    }
  }

  #commit(): void {
    const batch = this.#batch
    if (batch.length === 0 || this.#failure || this.#closed) return
    this.#batch = []
    this.#pending = 0
    const start = this.#clock.elapsed()
    try {
      this.#db.transact(() => this.#insert(batch))
    } catch (error) {
      return this.#fail(batch, error as HoldfastError)
    }
    const tookMs = this.#clock.elapsed() - start
    this.#flushMs += tookMs
    if (tookMs > STALL_MS) this.#stalls++
    this.#deliver(batch)
  }

  #insert(batch: readonly Appended[]): void {
    for (let at = 0; at < batch.length; ) {
      const count = ROWS.find((rows) => rows <= batch.length - at) as number
      const values: unknown[] = []
      for (const { position, json } of batch.slice(at, at + count))
        values.push(position, crc32(json, seedOf(position)), json)
      this.#db.run(INSERTS.get(count) as string, ...values)
      at += count
    }
    const last = batch.at(-1) as Appended
    setHead(this.#db, 'end', last.position + last.bytes)
  }

  #deliver(batch: readonly Appended[]): void {
    const last = batch.at(-1) as Appended
    this.#end = last.position + last.bytes
    this.#flushes++
    this.#records += batch.length
    this.#bytes += batch.reduce((sum, { bytes }) => sum + bytes, 0)
    for (const { waiter, position, bytes } of batch) waiter.durable(position, bytes)
  }

  #fail(batch: readonly Appended[], cause: HoldfastError): void {
    const waiting = this.#batch
    this.#failure = cause
    const committing = isHoldfastError(cause) && cause.details.committing === true
    for (const { waiter } of batch) waiter.failed(committing ? unknownOutcome(cause) : this.#refusal())
    for (const { waiter } of waiting) waiter.failed(this.#refusal())
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

/** One statement for many rows costs a quarter of one for each. */
const ROWS: readonly number[] = [64, 16, 4, 1]
const INSERTS: ReadonlyMap<number, string> = new Map(
  ROWS.map((rows) => [rows, `INSERT INTO records VALUES ${Array(rows).fill('(?, ?, ?)').join(', ')}`]),
)

const unknownOutcome = (cause: Error): HoldfastError =>
  new HoldfastError(
    'OUTCOME_UNKNOWN',
    `the record was written but not confirmed (${cause.message}); reopen and look at the session to learn whether it is there`,
    { cause },
  )
