// Holds a session's durable records against its reference, one by one.
// Each record is folded; what it was caused by is done to the reference, unless the reference has done it by itself (a
// message it sent to itself); then both must look the same. So nothing may be missing, doubled, early or out of order.

import { isDeepStrictEqual } from 'node:util'
import type { Position, TransitionRecord } from '../../src/record.js'
import { type Folding, fold } from '../../src/rehydrate.js'
import type { SessionState } from '../../src/state.js'
import { type AnyEvent, isOutside } from './build.js'
import { IDS } from './machines.js'
import { messageOf, type Observation, type Reference } from './reference.js'

/** The first difference is an error that names the place and shows both sides. */
export function mustEqual(session: unknown, xstate: unknown, what: string): void {
  if (isDeepStrictEqual(session, xstate)) return
  throw new Error(`${what}: the session has ${JSON.stringify(session)}, plain XState ${JSON.stringify(xstate)}`)
}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

export class Comparison {
  readonly #reference: Reference
  #state: Folding | undefined
  #lastRecord: TransitionRecord | undefined

  constructor(reference: Reference) {
    this.#reference = reference
  }

  /** The fold of all records so far. */
  get state(): SessionState | undefined {
    return this.#state
  }

  get lastRecord(): TransitionRecord | undefined {
    return this.#lastRecord
  }

  follow(record: TransitionRecord, position: Position): void {
    const before = this.#state
    const due = before?.timers.find(({ key }) => key === record.cleared?.[0])
    const waiting = before?.messages.length ?? 0
    const state = fold(before && { ...before }, record, position)
    this.#state = state
    this.#lastRecord = record
    if (cancelled(before, record)) this.#reference.features.add('cancel')
    const place = `record ${record.seq} (${record.event.type})`
    if (record.attempt) return mustEqual(seen(state), seenOf(this.#reference.look()), place)
    if (record.taken) must(waiting > 0, `${place} takes a message that nobody sent`)
    else this.#cause(record, due && Date.parse(due.at), place)
    const expected = this.#reference.take()
    must(expected !== undefined, `${place}: plain XState takes no such step`)
    mustEqual(seen(state), seenOf(expected as Observation), place)
  }

  /** Does to the reference what caused the record. */
  #cause(record: TransitionRecord, dueMs: number | undefined, place: string): void {
    const event = record.event as AnyEvent
    const at = Date.parse(record.at)
    must(this.#reference.waiting === 0, `${place}: the session still has messages to itself to take first`)
    if (record.seq === 1) this.#reference.begin((event as { input?: unknown }).input, at)
    else if (record.finished) must(this.#reference.finish(record.finished, event, at), `${place}: no such step`)
    else if (isOutside(event)) this.#reference.send(event, at)
    else {
      mustEqual(dueMs, this.#reference.fire(at), `${place}: the deadline of the timer that fires`)
      must((dueMs as number) <= at, `${place}: a timer fired early`)
    }
  }
}

/** Whether an event that the machine had named and delayed was taken back. */
function cancelled(before: SessionState | undefined, { cleared = [], event }: TransitionRecord): boolean {
  const gone = before?.timers.filter(({ key, id }) => cleared.includes(key) && (IDS as readonly string[]).includes(id))
  const fired = String(event.via).startsWith('delayed') ? 1 : 0
  return (gone?.length ?? 0) > fired
}

/** What the fold of the records knows; tags are the machine's, see `Twin`. */
const seen = (state: SessionState): Omit<Observation, 'tags'> => ({
  ...{ value: state.value, context: state.context, status: state.status },
  ...{ output: state.output, error: messageOf(state.error) },
  deadlines: state.timers.map(({ at }) => Date.parse(at)).sort((a, b) => a - b),
  history: Object.fromEntries(Object.entries(state.history).map(([node, ids]) => [node, [...ids].sort()])),
  steps: Object.keys(state.children)
    .filter((id) => state.children[id]?.status === 'active')
    .sort(),
})

function seenOf({ tags: _, ...rest }: Observation): Omit<Observation, 'tags'> {
  return rest
}
