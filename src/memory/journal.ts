// The journal in memory: the same port without a disk, for tests and for runs that need not survive the process.
// Records are kept as text, so that nobody shares them. Positions are indices.

import type { Clock } from '../clock.js'
import { HoldfastError } from '../errors.js'
import {
  type Compacted,
  DEFAULT_RECORD_BYTES,
  type Journal,
  type JournalEntry,
  type JournalStats,
  type Waiter,
} from '../journal.js'
import type { Position, TransitionRecord } from '../record.js'
import { closed, recordTooLarge } from '../refusals.js'

export interface MemoryJournalOptions {
  /** A record whose JSON is longer is refused with RECORD_TOO_LARGE; default 64 MiB. */
  readonly recordBytes?: number
}

export function createMemoryJournal(clock: Clock, options: MemoryJournalOptions = {}): Journal {
  return new MemoryJournal(clock, options.recordBytes ?? DEFAULT_RECORD_BYTES)
}

class MemoryJournal implements Journal {
  readonly #clock: Clock
  readonly #recordBytes: number
  readonly #lines: string[] = []
  #waiting: Waiter[] = []
  #pending = 0
  #end = 0
  #flushes = 0
  #bytes = 0
  #closed = false

  constructor(clock: Clock, recordBytes: number) {
    this.#clock = clock
    this.#recordBytes = recordBytes
  }

  /** Nothing is ever dropped. */
  get begin(): Position {
    return 0
  }

  floor(): undefined {
    return undefined
  }

  *floors(): Generator<never> {}

  async compact(): Promise<Compacted> {
    return { segments: 0, bytes: 0, begin: 0 }
  }

  get end(): Position {
    return this.#end
  }

  get pending(): number {
    return this.#pending
  }

  append(record: TransitionRecord, waiter: Waiter): Position {
    if (this.#closed) throw closed('journal')
    const line = JSON.stringify(record)
    const bytes = Buffer.byteLength(line)
    if (bytes > this.#recordBytes) throw recordTooLarge(bytes, this.#recordBytes)
    if (this.#waiting.length === 0) this.#clock.soon(() => this.#commit())
    this.#waiting.push(waiter)
    this.#pending += bytes
    return this.#lines.push(line) - 1
  }

  read(position: Position): TransitionRecord {
    if (this.#closed) throw closed('journal')
    const line = position < this.#end ? this.#lines[position] : undefined
    if (line === undefined) throw new HoldfastError('JOURNAL_CORRUPT', `the journal has no record at ${position}`)
    return JSON.parse(line) as TransitionRecord
  }

  *scan(from: Position): Generator<JournalEntry> {
    const end = this.#end
    for (let position = Math.max(from, 0); position < end; position++) yield { position, record: this.read(position) }
  }

  stats(): JournalStats {
    return { records: this.#end, flushes: this.#flushes, bytes: this.#bytes, stalls: 0, segments: 1, flushMs: 0 }
  }

  async flush(): Promise<void> {
    this.#commit()
  }

  async close(): Promise<void> {
    this.#commit()
    this.#closed = true
  }

  #commit(): void {
    const waiters = this.#waiting
    if (waiters.length === 0) return
    this.#waiting = []
    const start = this.#end
    this.#pending = 0
    this.#end += waiters.length
    this.#flushes++
    for (const [index, waiter] of waiters.entries()) {
      const bytes = Buffer.byteLength(this.#lines[start + index] as string)
      this.#bytes += bytes
      waiter.durable(start + index, bytes)
    }
  }
}
