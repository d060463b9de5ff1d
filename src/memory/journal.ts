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
    return this.#lines.length - this.#end
  }

  append(record: TransitionRecord, waiter: Waiter): Position {
    if (this.#closed) throw closed('journal')
    if (this.#waiting.length === 0) this.#clock.soon(() => this.#commit())
    this.#waiting.push(waiter)
    return this.#lines.push(JSON.stringify(record)) - 1
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
    this.#end += waiters.length
    this.#flushes++
    for (const [index, waiter] of waiters.entries()) {
      const bytes = (this.#lines[start + index] as string).length
      this.#bytes += bytes
      waiter.durable(start + index, bytes)
    }
  }
}
