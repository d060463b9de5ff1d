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
  /** Something came of a transition that a power cut at that moment could have undone. */
  | { readonly what: 'leak'; readonly exit: string; readonly session: string; readonly seq: number }

export interface Trace {
  readonly entries: readonly TraceEntry[]
  /** What the journal holds in the end, behind what was dropped of it. */
  readonly records: readonly JournalEntry[]
  /** What the sessions show in the end. */
  readonly snapshots: readonly SessionSnapshot[]
  /** When that is, in ms since the epoch. */
  readonly endMs: number
}

/** A named predicate: what is wrong with a trace, or undefined. */
export type Invariant = (trace: Trace) => string | undefined

/** What happened, a line each, without what observers saw. */
export const told = (entries: readonly TraceEntry[]): string[] => entries.flatMap((entry) => tell(entry) ?? [])

function tell(entry: TraceEntry): string | undefined {
  switch (entry.what) {
    case 'opened': {
      const sessions = Object.entries(entry.sessions).map(([id, seq]) => `${id} at ${seq}`)
      return `life ${entry.life} opens${sessions.length > 0 ? `, with ${sessions.join(', ')}` : ''}`
    }
    case 'fault':
      return `  ${entry.fault}${entry.at && ` ${entry.at}`}`
    case 'acknowledged':
      return `  ${entry.type} is transition ${entry.seq} of ${entry.session}`
    case 'refused':
      return `  ${entry.type} is refused by ${entry.session || 'the runtime'}: ${entry.code}`
    case 'step':
      return `  step ${entry.key} runs, attempt ${entry.attempt}`
    case 'leak':
      return `  ${entry.exit} of transition ${entry.seq} of ${entry.session}, which a power cut could undo`
    case 'observed':
      return undefined
  }
}

const HASHED_CHARACTERS = 64 * 1024

export class Tracer {
  readonly entries: TraceEntry[] = []
  readonly #mayBeLost: (session: string, seq: number) => boolean
  readonly #hash = createHash('sha1')
  /** What is still to be hashed: a call costs more than many lines. */
  #text = ''

  /** `mayBeLost`: whether a power cut now could undo a transition. */
  constructor(mayBeLost: (session: string, seq: number) => boolean) {
    this.#mayBeLost = mayBeLost
  }

  note(entry: TraceEntry): void {
    this.entries.push(entry)
    this.mark(JSON.stringify(entry))
    if (entry.what === 'acknowledged' || entry.what === 'observed') this.left(entry.what, entry.session, entry.seq)
    // A further attempt has a record of its own, which its key does not tell.
    if (entry.what !== 'step' || entry.attempt > 1) return
    const [session = '', , incarnation] = entry.key.split('.')
    this.left('a step', session, Number(incarnation))
  }

  /** Something comes of a transition: it must be durable by then. */
  left(exit: string, session: string, seq: number): void {
    if (this.#mayBeLost(session, seq)) this.note({ what: 'leak', exit, session, seq })
  }

  /** Part of the hash, and of nothing else. */
  mark(line: string): void {
    this.#text += `${line}\n`
    if (this.#text.length > HASHED_CHARACTERS) this.#digestText()
  }

  digest(): string {
    this.#digestText()
    return this.#hash.copy().digest('hex')
  }

  #digestText(): void {
    this.#hash.update(this.#text)
    this.#text = ''
  }
}
