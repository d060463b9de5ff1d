// What happened in a simulation, in order: what invariants look at, and what two runs of one seed must agree on.
// The hash covers every entry, and every call to the disk and its place among them.

import { createHash } from 'node:crypto'
import type { SessionSnapshot } from '../handle.js'
import type { JournalEntry } from '../journal.js'

export type TraceEntry =
  /** A runtime has opened the directory, and shows these sessions. */
  | { readonly what: 'opened'; readonly life: number; readonly sessions: { readonly [id: string]: number } }
  | { readonly what: 'fault'; readonly fault: string; readonly at: string }
  | { readonly what: 'acknowledged'; readonly session: string; readonly seq: number; readonly type: string }
  | { readonly what: 'refused'; readonly session: string; readonly type: string; readonly code: string }
  /** A step has been started; its key is `<session>.<child>.<incarnation>`. */
  | { readonly what: 'step'; readonly key: string; readonly attempt: number }
  | { readonly what: 'observed'; readonly observer: string; readonly session: string; readonly seq: number }

export interface Trace {
  readonly entries: readonly TraceEntry[]
  /** What the journal holds in the end. */
  readonly records: readonly JournalEntry[]
  /** What the sessions show in the end. */
  readonly snapshots: readonly SessionSnapshot[]
  /** When that is, in ms since the epoch. */
  readonly endMs: number
}

/** A named predicate: what is wrong with a trace, or undefined. */
export type Invariant = (trace: Trace) => string | undefined

export class Tracer {
  readonly entries: TraceEntry[] = []
  readonly #hash = createHash('sha1')

  note(entry: TraceEntry): void {
    this.entries.push(entry)
    this.#hash.update(`${JSON.stringify(entry)}\n`)
  }

  /** Part of the hash, and of nothing else. */
  mark(line: string): void {
    this.#hash.update(`${line}\n`)
  }

  digest(): string {
    return this.#hash.copy().digest('hex')
  }
}
