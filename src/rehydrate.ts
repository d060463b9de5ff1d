// Folds records into state: pure, and without the user's code. What was recorded is what happened.
// A fold owns the state it builds and changes it in place; `sealed` hands it out.

import { freezeJson } from './json.js'
import { applyInPlace } from './patch.js'
import type { Position, TransitionRecord } from './record.js'
import type { Child, Links, Seen, SessionState, Timer } from './state.js'
import { NO_TROUBLE, troubleAfter } from './trouble.js'

/** A state that a fold owns. */
export type Folding = { -readonly [K in keyof SessionState]: SessionState[K] }

/** The state after a record. `state` is undefined before the first. Throws an Error when the record does not follow. */
export function fold(state: Folding | undefined, record: TransitionRecord, position: Position): Folding {
  if (!state) return begin(record, position)
  if (record.seq !== state.seq + 1) throw new Error(`record ${record.seq} does not follow ${state.seq}`)
  if (record.prev !== state.position) throw new Error(`record ${record.seq} does not follow position ${state.position}`)
  state.seq = record.seq
  state.position = position
  apply(state, record)
  return state
}

function begin(record: TransitionRecord, position: Position): Folding {
  if (record.seq !== 1 || record.kind === undefined) throw new Error(`record ${record.seq} has nothing before it`)
  const state: Folding = {
    id: record.session,
    kind: record.kind,
    version: record.version ?? 1,
    seq: 1,
    position,
    createdAt: record.at,
    updatedAt: record.at,
    status: 'active',
    value: record.value,
    context: {},
    history: {},
    children: {},
    timers: [],
    messages: [],
    attributes: {},
  }
  if (record.created) state.created = record.created
  if (record.parent) state.parent = record.parent
  if (record.origin) state.origin = record.origin
  if (record.owner) state.owner = record.owner
  apply(state, record)
  return state
}

function apply(state: Folding, record: TransitionRecord): void {
  state.updatedAt = record.at
  state.value = record.value
  if (record.patch) state.context = applyInPlace(state.context, record.patch)
  if (record.version !== undefined) state.version = record.version
  if (record.history) state.history = remembered({ ...state.history, ...record.history })
  if (record.order) setOrder(state, record.order)
  if (record.attributes) state.attributes = record.attributes
  setLinks(state, record)
  setTrouble(state, record)
  state.children = childrenAfter(state.children, record)
  setFired(state, record)
  state.timers = timersAfter(state.timers, record)
  state.messages = messagesAfter(state.messages, record)
  if (record.trace) state.trace = record.trace
  if (record.sendId !== undefined) state.seen = seenAfter(state.seen ?? [], record, state.position)
  if (record.status) {
    state.status = record.status
    if ('output' in record) state.output = record.output
    if ('error' in record) state.error = record.error
  }
}

function setLinks(state: Folding, record: TransitionRecord): void {
  const links = linksAfter(state.links ?? NO_LINKS, record, state.children)
  if (links === NO_LINKS) delete state.links
  else state.links = links
}

function setTrouble(state: Folding, record: TransitionRecord): void {
  const trouble = troubleAfter(state.trouble ?? NO_TROUBLE, record)
  if (trouble === NO_TROUBLE) delete state.trouble
  else state.trouble = trouble
}

/** Without those that have been forgotten. An empty one stays: XState enters no state by it, and the default one by none. */
function remembered(history: NonNullable<TransitionRecord['history']>): SessionState['history'] {
  return Object.fromEntries(Object.entries(history).flatMap(([node, states]) => (states ? [[node, states]] : [])))
}

function setFired(state: Folding, record: TransitionRecord): void {
  const fired = firedAfter(state.fired ?? NOT_FIRED, record, state.timers)
  if (fired.length === 0) delete state.fired
  else state.fired = fired
}

function setOrder(state: Folding, order: readonly string[]): void {
  if (order.length > 0) state.order = order
  else delete state.order
}

/** The children after a record: shared with the live session, so that both tell the same. */
export function childrenAfter(children: SessionState['children'], record: TransitionRecord): SessionState['children'] {
  const { started, stopped, finished, attempt, status, trace } = record
  if (!started && !stopped && !finished && !attempt && !status) return children
  const after: Record<string, Child> = { ...children }
  if (finished && after[finished]) {
    const { type } = record.trouble?.kind === 'letter' ? record.trouble.letter.event : record.event
    const failed = type.startsWith('xstate.error.')
    after[finished] = { ...(after[finished] as Child), status: failed ? 'error' : 'done' }
  }
  for (const id of stopped ?? []) delete after[id]
  for (const { id, ...child } of started ?? []) {
    const begun: Child = { status: 'active', attempt: 1, ...child, incarnation: record.seq, failures: 0 }
    after[id] = trace ? { ...begun, trace } : begun
  }
  if (attempt && after[attempt.child]) {
    const { child, number, failures, notBefore } = attempt
    const { notBefore: _, ...rest } = after[child] as Child
    after[child] = { ...rest, attempt: number, failures, ...(notBefore ? { notBefore } : {}) }
  }
  return status ? Object.fromEntries(Object.entries(after).filter(([, child]) => child.status !== 'active')) : after
}

/** The timers after a record. Once the session has ended there are none. */
export function timersAfter(timers: readonly Timer[], record: TransitionRecord): readonly Timer[] {
  if (record.status) return []
  if (!record.timers && !record.cleared) return timers
  let kept = timers
  for (const key of record.cleared ?? []) {
    const index = kept.findIndex((timer) => timer.key === key)
    if (index >= 0) kept = kept.toSpliced(index, 1)
  }
  return record.timers ? kept.concat(record.timers) : kept
}

export const NOT_FIRED: readonly string[] = Object.freeze([])

/**
 * The event types of `after` that have fired and were not set again; `timers` are those before the record. A migration
 * tells by them which deadlines of a state are over, and which are new.
 */
export function firedAfter(
  fired: readonly string[],
  { cleared, timers, event, status, fired: forked }: TransitionRecord,
  pending: readonly Timer[],
): readonly string[] {
  if (status) return NOT_FIRED
  if (forked) return forked
  if (!cleared && (!timers || fired.length === 0)) return fired
  const { type } = event
  const fires = type.startsWith('xstate.after.') && cleared?.some((key) => isTimer(pending, key, type))
  const kept = fired.filter((one) => one !== type && !timers?.some((timer) => timer.event.type === one))
  return fires && !timers?.some((timer) => timer.event.type === type) ? [...kept, type] : kept
}

const isTimer = (timers: readonly Timer[], key: string, type: string): boolean =>
  timers.some((timer) => timer.key === key && timer.event.type === type)

/** The waiting messages after a record. Once the session has ended there are none. */
export function messagesAfter(messages: SessionState['messages'], record: TransitionRecord): SessionState['messages'] {
  if (record.status) return []
  if (!record.taken && !record.messages) return messages
  return [...messages.slice(record.taken ? 1 : 0), ...(record.messages ?? [])]
}

/** How many event ids a session remembers: the window in which sending an event again does nothing. */
const SEEN_EVENTS = 256

/** The remembered events after a record. */
export function seenAfter(
  seen: readonly Seen[],
  { sendId: id }: TransitionRecord,
  position: Position,
): readonly Seen[] {
  return id === undefined ? seen : [...seen.slice(1 - SEEN_EVENTS), { id, position }]
}

export const NO_LINKS: Links = Object.freeze({ outbox: [], received: {} })

/**
 * The links after a record; `children` are those before it. Of a child that is gone nothing is remembered: what it still
 * sends is not for this session any more. What a session has sent stays on its way also when it has ended.
 */
export function linksAfter(links: Links, record: TransitionRecord, children: SessionState['children']): Links {
  const { sent, delivered, received, stopped = [], finished, status, trace } = record
  const gone = (finished === undefined ? stopped : [...stopped, finished]).map((id) => children[id]?.session)
  if (!sent && !delivered && !received && (links === NO_LINKS || (gone.length === 0 && !status))) return links
  const outbox = delivered ? links.outbox.filter(({ key }) => !delivered.includes(key)) : [...links.outbox]
  for (const [n, { to, event }] of (sent ?? []).entries())
    outbox.push({ key: `${record.seq}.${n}`, to, event, ...(trace && { trace }) })
  const marks = received ? { ...links.received, [received.from]: received.key } : links.received
  const kept = status ? [] : Object.entries(marks).filter(([session]) => !gone.includes(session))
  return outbox.length + kept.length === 0 ? NO_LINKS : { outbox, received: Object.fromEntries(kept) }
}

/** Freezes a folded state: from here on it is shared and never changed. */
export const sealed = (state: Folding): SessionState => freezeJson(state)
