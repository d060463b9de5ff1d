// What must hold of every simulation, whatever went wrong in it: named predicates over its trace.

import { isDeepStrictEqual } from 'node:util'
import type { JournalEntry } from '../journal.js'
import type { TransitionRecord } from '../record.js'
import { type Folding, fold } from '../rehydrate.js'
import type { Timer } from '../state.js'
import { asJson } from './comparison.js'
import { Mail } from './mail.js'
import type { Invariant, Trace, TraceEntry } from './trace.js'

export const NO_LEAK = 'nothing leaves before its record is durable'

/** What a power cut could have undone when something came of it. */
export function leakIn(entries: readonly TraceEntry[]): string | undefined {
  const leak = entries.find((entry) => entry.what === 'leak')
  return leak?.what === 'leak' ? `${leak.exit} of ${place(leak)}, which a power cut could have undone` : undefined
}

export const INVARIANTS: { readonly [name: string]: Invariant } = {
  [NO_LEAK]: ({ entries }) => leakIn(entries),

  'nothing acknowledged is lost': ({ entries, records }) => {
    const deleted = new Set(records.flatMap(({ record }) => (record.deleted ? [record.session] : [])))
    const types = new Map(records.map(({ record }) => [place(record), record.event.type]))
    const last = new Map<string, number>()
    for (const entry of entries) {
      if (entry.what === 'acknowledged') {
        last.set(entry.session, Math.max(last.get(entry.session) ?? 0, entry.seq))
        const found = types.get(place(entry))
        if (found !== entry.type) return `${entry.type} was acknowledged as ${place(entry)}; there is ${found}`
      }
      if (entry.what !== 'opened') continue
      const lost = [...last].find(([id, seq]) => (entry.sessions[id] ?? 0) < seq && !deleted.has(id))
      if (lost) return `life ${entry.life} does not know transition ${lost.join('.')}, which was acknowledged`
    }
    return undefined
  },

  'a session is the fold of its records': ({ records, snapshots }) => {
    const states = foldAll(records)
    for (const { id, seq, value, context, status, output } of snapshots) {
      const state = states.get(id)
      const folded = { seq: state?.seq, value: state?.value, context: state?.context, status: state?.status }
      const shown = { seq, value, context, status, output }
      if (!isDeepStrictEqual(asJson(shown), asJson({ ...folded, output: state?.output }))) {
        return `${id} shows ${JSON.stringify(shown)}, its records say ${JSON.stringify(folded)}`
      }
    }
    return states.size === snapshots.length ? undefined : `${snapshots.length} of ${states.size} sessions are shown`
  },

  'transitions are numbered without a gap': ({ records }) => {
    const last = new Map<string, number>()
    for (const { record } of records) {
      const before = last.get(record.session) ?? 0
      if (record.seq !== before + 1) return `${place(record)} follows ${before}`
      last.set(record.session, record.deleted ? 0 : record.seq)
    }
    return undefined
  },

  'messages between sessions are taken once, as they were sent': mailFault,

  'timers fire once, never early, and are not forgotten': timersFault,

  'streams have no gap and no duplicate': ({ entries }) => {
    const last = new Map<string, number>()
    for (const entry of entries) {
      if (entry.what !== 'observed') continue
      const key = `${entry.observer} ${entry.session}`
      const before = last.get(key)
      if (before !== undefined && entry.seq !== before + 1) return `${key}: ${entry.seq} follows ${before}`
      last.set(key, entry.seq)
    }
    return undefined
  },

  'a recorded result is never run again': ({ entries, records }) => {
    const finished = new Map(finishedSteps(records))
    const over = new Set<string>()
    for (const entry of entries) {
      if (entry.what === 'step' && over.has(entry.key)) return `${entry.key} ran again (attempt ${entry.attempt})`
      const key = entry.what === 'observed' ? finished.get(place(entry)) : undefined
      if (key !== undefined) over.add(key)
    }
    return undefined
  },
}

const place = ({ session, seq }: { readonly session: string; readonly seq: number }): string => `${session}.${seq}`

/** The state of every session that is not deleted. */
function foldAll(records: readonly JournalEntry[]): Map<string, Folding> {
  const states = new Map<string, Folding>()
  for (const { record, position } of records) {
    const state = fold(states.get(record.session), record, position)
    if (record.deleted) states.delete(record.session)
    else states.set(record.session, state)
  }
  return states
}

/** Place of the record of a step's end -> the step's key. */
function* finishedSteps(records: readonly JournalEntry[]): Generator<[string, string]> {
  const begun = new Map<string, number>()
  for (const { record } of records) {
    const { session, seq, finished, started = [] } = record
    if (finished !== undefined) yield [place(record), `${session}.${finished}.${begun.get(`${session}.${finished}`)}`]
    for (const { id } of started) begun.set(`${session}.${id}`, seq)
  }
}

function mailFault({ records }: Trace): string | undefined {
  const states = new Map<string, Folding>()
  const mail = new Mail(new Map(), (session) => states.get(session))
  try {
    for (const { record, position } of records) {
      const before = states.get(record.session)
      mail.follow(record, before)
      states.set(record.session, fold(before && { ...before }, record, position))
    }
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

function timersFault({ records, entries, endMs }: Trace): string | undefined {
  const sent = new Set(entries.flatMap((entry) => (entry.what === 'acknowledged' ? [place(entry)] : [])))
  const pending = new Map<string, Map<string, Timer>>()
  for (const { record } of records) {
    const timers = pending.get(record.session) ?? new Map<string, Timer>()
    pending.set(record.session, timers)
    for (const key of record.cleared ?? []) {
      const timer = timers.get(key)
      if (!timer) return `${place(record)}: timer ${key} fires or is cancelled for the second time`
      timers.delete(key)
      if (!sent.has(place(record)) && isEarly(record, timer))
        return `${place(record)}: ${timer.at} fires at ${record.at}`
    }
    for (const timer of record.timers ?? []) timers.set(timer.key, timer)
    if (record.status) timers.clear()
  }
  const late = [...pending].find(([, timers]) => [...timers.values()].some(({ at }) => Date.parse(at) < endMs))
  return late && `${late[0]}: a timer that is due has not fired`
}

const isEarly = ({ event, at }: TransitionRecord, timer: Timer): boolean =>
  isDeepStrictEqual(event, timer.event) && Date.parse(at) < Date.parse(timer.at)
