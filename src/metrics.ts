// What a runtime counts, as data and as Prometheus text. Everything is counted anyway or read when somebody asks, so it
// costs a transition a few additions; one look goes over the registry once. Counters are since the opening.

import type { JournalStats } from './journal.js'
import type { SessionStats } from './listing.js'
import type { Pool } from './pool.js'
import type { TransitionRecord } from './record.js'

export interface Metrics {
  /** By kind. */
  readonly sessions: { readonly [kind: string]: Omit<SessionStats, 'total'> }
  readonly live: number
  readonly parked: number
  readonly quarantined: number
  /** Events that were set aside and wait for somebody. */
  readonly deadLetters: number
  /** Sessions in a state with the tag `waits-for-person`. */
  readonly waiting: number
  readonly transitions: number
  readonly steps: Readonly<StepCounts> & ReturnType<Pool['stats']>
  readonly journal: JournalStats & { readonly pendingBytes: number }
  /** True when nothing more can be recorded. */
  readonly readOnly: boolean
}

interface StepCounts {
  started: number
  finished: number
  retried: number
}

/** What is counted as records become durable. */
export class Counts {
  transitions = 0
  readonly steps: StepCounts = { started: 0, finished: 0, retried: 0 }

  note({ started, finished, attempt }: TransitionRecord): void {
    this.transitions++
    if (started) for (const { session } of started) if (session === undefined) this.steps.started++
    if (finished !== undefined) this.steps.finished++
    if (attempt) this.steps.retried++
  }
}

/** The metrics in the text format of Prometheus, version 0.0.4. */
export function prometheusText(metrics: Metrics): string {
  const { sessions, journal, steps } = metrics
  const bySession = Object.entries(sessions).flatMap(([kind, counts]) =>
    Object.entries(counts).map(([status, count]) => [`{kind="${kind}",status="${status}"}`, count] as const),
  )
  return [
    family('holdfast_sessions', 'gauge', 'Sessions by kind and status.', bySession),
    family('holdfast_sessions_live', 'gauge', 'Sessions that are in memory.', metrics.live),
    family('holdfast_sessions_parked', 'gauge', 'Sessions that cannot go on until somebody acts.', metrics.parked),
    family('holdfast_sessions_quarantined', 'gauge', 'Sessions that crashed too often.', metrics.quarantined),
    family('holdfast_sessions_waiting', 'gauge', 'Sessions that wait for a person.', metrics.waiting),
    family('holdfast_dead_letters', 'gauge', 'Events that were set aside.', metrics.deadLetters),
    family('holdfast_transitions_total', 'counter', 'Durable transitions.', metrics.transitions),
    family('holdfast_steps_started_total', 'counter', 'Steps and local actors begun.', steps.started),
    family('holdfast_steps_finished_total', 'counter', 'Actors whose end was recorded.', steps.finished),
    family('holdfast_step_attempts_total', 'counter', 'Further attempts at steps.', steps.retried),
    family('holdfast_steps_running', 'gauge', 'Steps that run now.', steps.running),
    family('holdfast_steps_queued', 'gauge', 'Steps that wait for a worker.', steps.queued),
    family('holdfast_workers', 'gauge', 'Workers that are up.', steps.workers),
    family('holdfast_commits_total', 'counter', 'Batches made durable.', journal.flushes),
    family('holdfast_commit_seconds_total', 'counter', 'How long they took.', journal.flushMs / 1000),
    family('holdfast_commit_bytes_total', 'counter', 'Bytes made durable.', journal.bytes),
    family('holdfast_commit_stalls_total', 'counter', 'Commits that held the event loop.', journal.stalls),
    family('holdfast_journal_pending_bytes', 'gauge', 'Bytes on their way to the disk.', journal.pendingBytes),
    family('holdfast_read_only', 'gauge', '1 when nothing more can be recorded.', metrics.readOnly ? 1 : 0),
  ].join('')
}

type Samples = number | readonly (readonly [labels: string, value: number])[]

/** Kinds need no escaping: their names are letters, digits, `-`, `_` and `.`. */
function family(name: string, type: 'gauge' | 'counter', help: string, samples: Samples): string {
  const lines = typeof samples === 'number' ? [['', samples] as const] : samples
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.map(([labels, value]) => `${name}${labels} ${value}\n`).join('')}`
}
