// The journal in memory: the same port without a disk, for tests and for runs that need not survive the process.
// Records are kept as text, so that nobody shares them. Positions are indices.

import type { Clock } from '../clock.js'
import { HoldfastError } from '../errors.js'
import type { Journal, JournalEntry, JournalStats, Waiter } from '../journal.js'
import type { Position, TransitionRecord } from '../record.js'
import { closed } from '../refusals.js'

export function createMemoryJournal(clock: Clock): Journal {
  return new MemoryJournal(clock)
}

class MemoryJournal implements Journal {
  readonly #clock: Clock
  readonly #lines: string[] = []
  #waiting: Waiter[] = []
  #pending = 0
  #end = 0
  #flushes = 0
  #bytes = 0
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get end(): Position {
    return this.#end
  }

  get pending(): number {
    return this.#pending
  }

  append(record: TransitionRecord, waiter: Waiter): Position {
    if (this.#closed) throw closed('journal')
    if (this.#waiting.length === 0) this.#clock.soon(() => this.#commit())
    this.#waiting.push(waiter)
    const line = JSON.stringify(record)
    this.#pending += Buffer.byteLength(line)
    return this.#lines.push(line) - 1
  }

  read(position: Position): TransitionRecord {
    const line = position < this.#end ? this.#lines[position] : undefined
    if (line === undefined) throw new HoldfastError('JOURNAL_CORRUPT', `the journal has no record at ${position}`)
    return JSON.parse(line) as TransitionRecord
  }

  *scan(from: Position): Generator<JournalEntry> {
    const end = this.#end
    for (let position = Math.max(from, 0); position < end; position++) yield { position, record: this.read(position) }
  }

  stats(): JournalStats {
    return { records: this.#end, flushes: this.#flushes, bytes: this.#bytes, stalls: 0, segments: 1 }
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
