// Holds a session's durable records against its reference, one by one.
// Each record is folded; what it was caused by is done to the reference, unless the reference has done it by itself (a
// message it sent to itself); then both must look the same. So nothing may be missing, doubled, early or out of order.

import { isDeepStrictEqual } from 'node:util'
import type { AnySessionKind } from '../define.js'
import { PARENT, type Position, type RecordedEvent, type StartedChild, type TransitionRecord } from '../record.js'
import { type Folding, fold } from '../rehydrate.js'
import type { SessionState, Timer } from '../state.js'
import { messageOf, type Observation, type Sending } from './observation.js'
import { Reference, type ReferenceWatch } from './reference.js'

/** The two lives differ; both sides are JSON. */
export class Difference extends Error {
  readonly session: unknown
  readonly xstate: unknown

  constructor(what: string, session: unknown, xstate: unknown) {
    const { path, left, right } = firstDifference(session, xstate)
    super(`${what}${path && `: ${path}`}: the session has ${show(left)}, plain XState ${show(right)}`)
    this.session = session
    this.xstate = xstate
  }
}

/** The first difference is an error that names the place and shows both sides. */
export function mustEqual(session: unknown, xstate: unknown, what: string): void {
  if (isDeepStrictEqual(session, xstate)) return
  const [left, right] = [asJson(session), asJson(xstate)]
  if (!isDeepStrictEqual(left, right)) throw new Difference(what, left, right)
}

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

export const asJson = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))

export const show = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value))

function firstDifference(left: unknown, right: unknown, path = ''): { path: string; left: unknown; right: unknown } {
  const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
  if (!isObject(left) || !isObject(right) || Array.isArray(left) !== Array.isArray(right)) return { path, left, right }
  const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])]
  const key = keys.find((name) => !isDeepStrictEqual(left[name], right[name]))
  if (key === undefined) return { path, left, right }
  return firstDifference(left[key], right[key], path ? `${path}.${key}` : key)
}

export class Comparison {
  readonly reference: Reference
  #state: Folding | undefined
  #lastRecord: TransitionRecord | undefined
  /** What plain XState was when the last record was compared. */
  #observed: Observation | undefined

  constructor(kind: AnySessionKind, watch: ReferenceWatch) {
    this.reference = new Reference(kind, watch)
  }

  /** The fold of all records so far. */
  get state(): SessionState | undefined {
    return this.#state
  }

  get lastRecord(): TransitionRecord | undefined {
    return this.#lastRecord
  }

  /** The timer whose event a record is, if it is one. */
  fired({ cleared: [key] = [], event, at }: TransitionRecord): Timer | undefined {
    const timer = this.#state?.timers.find((candidate) => candidate.key === key)
    const isEvent = event.type === 'holdfast.sent' || isDeepStrictEqual(timer?.event, event)
    return timer && isEvent && Date.parse(timer.at) <= Date.parse(at) ? timer : undefined
  }

  follow(record: TransitionRecord, position: Position): void {
    const { reference } = this
    const before = this.#state
    const fired = this.fired(record)
    const waiting = before?.messages.length ?? 0
    const cancelled = before?.timers.some(({ key, event }) => isCancelled(record, key, event) && key !== fired?.key)
    if (cancelled) reference.features.add('cancel')
    const state = fold(before && { ...before }, record, position)
    this.#state = state
    this.#lastRecord = record
    const place = `record ${record.seq} (${record.event.type})`
    const sent = (record.sent ?? []).map(({ to, event }) => ({
      to: nameOf(to, state, before, record.started ?? []),
      event,
    }))
    this.#observed = this.#observe(record, fired, waiting, place)
    const { tags: _, ...observed } = this.#observed
    mustEqual(seen(state, sent), observed, place)
  }

  /** What plain XState comes to by what caused the record. */
  #observe(record: TransitionRecord, fired: Timer | undefined, waiting: number, place: string): Observation {
    const { reference } = this
    const { type } = record.event
    // Plain XState has taken its messages to itself by then, and a session that restarts has not.
    if (record.attempt || type === 'holdfast.arrived' || type === 'holdfast.restart')
      return { ...(this.#observed as Observation), sent: [] }
    if (type === 'holdfast.cancel' || record.deleted) {
      reference.stop()
      return reference.look()
    }
    if (record.taken) must(waiting > 0, `${place} takes a message that nobody sent`)
    else this.#cause(record, fired, place)
    // What a timer sends to somebody else is no step of the machine.
    const observation =
      type === 'holdfast.sent' ? reference.lookAfterSending() : reference.take(record.started, record.seq)
    must(observation !== undefined, `${place}: plain XState takes no such step`)
    return observation as Observation
  }

  /** Does to the reference what caused the record. */
  #cause(record: TransitionRecord, fired: Timer | undefined, place: string): void {
    const { reference } = this
    const { event, finished, seq, parent, session } = record
    const at = Date.parse(record.at)
    must(reference.waiting === 0, `${place}: the session still has messages to itself to take first`)
    if (seq === 1) reference.begin(session, parent?.session, event.input, at)
    else if (finished) must(reference.finish(finished, event, at), `${place}: no such child`)
    else if (fired)
      mustEqual(Date.parse(fired.at), reference.fire(at), `${place}: the deadline of the timer that fires`)
    else {
      must(!event.type.startsWith('xstate.after.'), `${place}: a timer fires that was not set, or is early`)
      reference.send(event, at)
    }
  }
}

/** Whether a timer of the machine's own was taken back: those of `after` are when their state is left. */
const isCancelled = ({ cleared = [] }: TransitionRecord, key: string, event: RecordedEvent): boolean =>
  cleared.includes(key) && !event.type.startsWith('xstate.after.')

type Seen = Omit<Observation, 'tags'>

/** What the fold of the records knows; tags are the machine's, see `Twin`. */
const seen = (state: SessionState, sent: readonly Sending[]): Seen => ({
  ...{ value: state.value, context: state.context, status: state.status },
  ...{ output: state.output, error: messageOf(state.error), sent },
  deadlines: state.timers.map(({ at }) => Date.parse(at)).sort((a, b) => a - b),
  history: Object.fromEntries(Object.entries(state.history).map(([node, ids]) => [node, [...ids].sort()])),
  children: Object.keys(state.children)
    .filter((id) => state.children[id]?.status === 'active')
    .sort(),
})

/** What the machine calls a session that it sends to: its parent, or one of its children, now or before. */
function nameOf(
  to: string,
  after: SessionState,
  before: SessionState | undefined,
  started: readonly StartedChild[],
): string {
  if (to === after.parent?.session) return PARENT
  const children = [...Object.entries(after.children), ...Object.entries(before?.children ?? {})]
  const child = children.find(([, { session }]) => session === to)?.[0]
  return child ?? started.find(({ session }) => session === to)?.id ?? to
}
