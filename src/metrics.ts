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

/** One metric: what it is called, what it counts, and its values; with labels, one for each. */
export interface Family {
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels: { readonly [name: string]: string }
  readonly value: number
}

/** The metrics one by one, for whoever tells them on. */
export function familiesOf(metrics: Metrics): readonly Family[] {
  const { sessions, journal, steps } = metrics
  const bySession = Object.entries(sessions).flatMap(([kind, counts]) =>
    Object.entries(counts).map(([status, value]) => ({ labels: { kind, status }, value })),
  )
  const gauge = (name: string, help: string, value: number): Family => one(name, 'gauge', help, value)
  const counter = (name: string, help: string, value: number): Family => one(name, 'counter', help, value)
  return [
    { name: 'holdfast_sessions', type: 'gauge', help: 'Sessions by kind and status.', samples: bySession },
    gauge('holdfast_sessions_live', 'Sessions that are in memory.', metrics.live),
    gauge('holdfast_sessions_parked', 'Sessions that cannot go on until somebody acts.', metrics.parked),
    gauge('holdfast_sessions_quarantined', 'Sessions that crashed too often.', metrics.quarantined),
    gauge('holdfast_sessions_waiting', 'Sessions that wait for a person.', metrics.waiting),
    gauge('holdfast_dead_letters', 'Events that were set aside.', metrics.deadLetters),
    counter('holdfast_transitions_total', 'Durable transitions.', metrics.transitions),
    counter('holdfast_steps_started_total', 'Steps and local actors begun.', steps.started),
    counter('holdfast_steps_finished_total', 'Actors whose end was recorded.', steps.finished),
    counter('holdfast_step_attempts_total', 'Further attempts at steps.', steps.retried),
    gauge('holdfast_steps_running', 'Steps that run now.', steps.running),
    gauge('holdfast_steps_queued', 'Steps that wait for a worker.', steps.queued),
    gauge('holdfast_workers', 'Workers that are up.', steps.workers),
    counter('holdfast_commits_total', 'Batches made durable.', journal.flushes),
    counter('holdfast_commit_seconds_total', 'How long they took.', journal.flushMs / 1000),
    counter('holdfast_commit_bytes_total', 'Bytes made durable.', journal.bytes),
    counter('holdfast_commit_stalls_total', 'Commits that held the event loop.', journal.stalls),
    gauge('holdfast_journal_pending_bytes', 'Bytes on their way to the disk.', journal.pendingBytes),
    gauge('holdfast_read_only', '1 when nothing more can be recorded.', metrics.readOnly ? 1 : 0),
  ]
}

const one = (name: string, type: Family['type'], help: string, value: number): Family => ({
  ...{ name, type, help },
  samples: [{ labels: {}, value }],
})

/** The metrics in the text format of Prometheus, version 0.0.4. */
export const prometheusText = (metrics: Metrics): string => familiesOf(metrics).map(textOf).join('')

const textOf = ({ name, type, help, samples }: Family): string =>
  [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples.map((sample) => lineOf(name, sample)), ''].join('\n')

/** Kinds need no escaping: their names are letters, digits, `-`, `_` and `.`. */
function lineOf(name: string, { labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`
}
