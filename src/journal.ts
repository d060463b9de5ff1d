// The port for the journal: one ordered, durable log of the transitions of all sessions.
// It promises that a waiter hears `durable` only after its record, and every record before it, is on the disk, and
// that waiters hear in the order of the records. After one failed write or sync it refuses every further record.
// Adapters: segments of checksummed lines (`files/`), an array (`memory/`).

import type { Position, TransitionRecord } from './record.js'
import type { IndexEntry, SessionState } from './state.js'

/** A longer record is refused with RECORD_TOO_LARGE, unless an adapter is told otherwise: 64 MiB of JSON. */
export const DEFAULT_RECORD_BYTES: number = 64 * 1024 * 1024

/** Hears what became of one record, once. Must not throw. */
export interface Waiter {
  durable(position: Position, bytes: number): void
  /** `error` is OUTCOME_UNKNOWN when the bytes may be found later, JOURNAL_FAILED when they surely will not. */
  failed(error: Error): void
}

export interface JournalEntry {
  readonly position: Position
  readonly record: TransitionRecord
}

export interface JournalStats {
  readonly records: number
  readonly flushes: number
  readonly bytes: number
  /** Flushes that blocked the event loop for longer than the limit, after which flushing moves off the main thread. */
  readonly stalls: number
  readonly segments: number
  /** How long all flushes took, in ms. */
  readonly flushMs: number
}

/** The part of a journal that reads. */
export interface ReadableJournal {
  /** Where it begins: what came before was dropped on purpose, and only what it had come to is kept. */
  readonly begin: Position
  /** A session as it was where the journal begins; undefined when it was not there. Throws JOURNAL_CORRUPT. */
  floor(id: string): SessionState | undefined
  /** Every session as it was where the journal begins, in the order of their creation; `onDamage` hears of what cannot be read. */
  floors(onDamage: (damage: Damage) => void): IterableIterator<IndexEntry>
  /** Where the durable part ends: every record before it can be read. */
  readonly end: Position
  /** The durable record at a position that `append` or `scan` gave. Throws JOURNAL_CORRUPT naming file and offset,
   * DISK_FAILED, or RUNTIME_CLOSED once it is closed. */
  read(position: Position): TransitionRecord
  /** The durable records from a position on, in order, up to where the durable part ended when the scan began. What is
   * damaged is skipped, and `onDamage` hears of it. Throws DISK_FAILED, or RUNTIME_CLOSED once it is closed. */
  scan(from: Position, onDamage?: (damage: Damage) => void): IterableIterator<JournalEntry>
}

/** How much of a journal's history is given up. */
export interface CompactOptions {
  /** How much of what is complete is kept at least, in bytes. Older parts go, as do those of sessions that are all gone. */
  readonly keepBytes: number
  /** True when the session that had a record at this position is not there any more. */
  isGone(session: string, position: Position): boolean
  /** Lets others have their turn. */
  pause(): Promise<void>
}

/** What a compaction has dropped. */
export interface Compacted {
  readonly segments: number
  /** How much shorter the journal is; what had to be kept of it may take some of that. */
  readonly bytes: number
  /** Where the journal begins now. */
  readonly begin: Position
}

export interface Journal extends ReadableJournal {
  /** Bytes appended and not yet durable. */
  readonly pending: number
  /**
   * Adds a record to the batch that is written next and returns where it will be. Never blocks.
   * Throws RECORD_TOO_LARGE, what `JSON.stringify` throws (either way nothing is added), JOURNAL_FAILED once a write has
   * failed, or RUNTIME_CLOSED after `close`.
   */
  append(record: TransitionRecord, waiter: Waiter): Position
  stats(): JournalStats
  /** Resolves when everything appended so far is durable. Rejects with the failure of the journal. */
  flush(): Promise<void>
  /**
   * Drops the oldest parts of the journal once what they had come to is durable; appending goes on meanwhile. One at a time.
   * Rejects with JOURNAL_CORRUPT when something in them cannot be read, DISK_FULL or DISK_FAILED; nothing is lost then.
   */
  compact(options: CompactOptions): Promise<Compacted>
  /** Flushes, then releases the files. Idempotent. */
  close(): Promise<void>
}

/** What was found damaged while opening, for `health` and `doctor`. */
export interface Damage {
  readonly file: string
  readonly offset: number
  readonly bytes: number
  /** Where that is in the journal: records from here up to `bytes` behind it are touched. NOWHERE for a whole stray file. */
  readonly position: Position
  /**
   * `torn`: the end of the last batch, never acknowledged. `corrupt`: bytes that were durable are not what was written.
   * `missing`: bytes that were durable are in no file. `header`: the first line of a segment, or a file that stands in the
   * place of another: no record is touched by that alone.
   */
  readonly kind: 'torn' | 'corrupt' | 'missing' | 'header'
  /** Where the original was kept. */
  readonly kept?: string
  /** Sessions whose ids can be read in the damaged bytes. */
  readonly sessions: readonly string[]
}
