// From a decision to its record: pure but for freezing what is new.
// Everything that a session must remember is found here by comparing it with the point before, and nothing else is kept.

import type { Chance } from './chance.js'
import type { AnySessionKind } from './define.js'
import type { Decision, TimerRequest } from './durable.js'
import { encodeError } from './envelope.js'
import { HoldfastError } from './errors.js'
import { copyJson, freezeJson, sealJson } from './json.js'
import { childrenOf, historyOf, orderOf } from './machine-snapshot.js'
import { diffAndSeal } from './patch.js'
import type { Identity, Point } from './point.js'
import {
  PARENT,
  type RecordedEvent,
  type SentMessage,
  type SetTimer,
  type StartedChild,
  type TransitionRecord,
} from './record.js'
import type { Attributes, StateValue } from './state.js'

export type Writable<T> = { -readonly [K in keyof T]: T[K] }

export interface Decided {
  readonly identity: Pick<Identity, 'id' | 'parent'>
  readonly kind: Pick<AnySessionKind, 'index' | 'children'>
  readonly event: RecordedEvent
  readonly before: Point
  readonly decision: Decision
  /** The timer whose event this is. */
  readonly fired: string | undefined
  /** ms since the epoch. */
  readonly now: number
  /** Gives the ids of child sessions. */
  readonly chance: Pick<Chance, 'id'>
}

/** The record of a decision. Throws NOT_JSON naming the path, or what the kind's `index` throws. */
export function recordOf(decided: Decided): Writable<TransitionRecord> {
  const { identity, kind, event, before, decision, fired, now } = decided
  const { after } = decision
  const seq = before.seq + 1
  const value = valueAfter(after.value as StateValue, before.value)
  const record: Writable<TransitionRecord> = {
    session: identity.id,
    seq,
    prev: before.position,
    at: isoTime(now),
    event,
    value,
  }
  if (seq > 1 && value !== before.value) record.from = before.value
  const patch = diffAndSeal(before.context, after.context, 'context')
  if (patch) record.patch = patch
  if (after.historyValue !== decision.before?.historyValue) writeHistory(record, decision)
  if (after !== decision.before) writeOrder(record, decision)
  if (after.children !== decision.before?.children) writeChildren(record, decided)
  if (fired !== undefined) record.cleared = [fired]
  if (decision.timers.length > 0) writeTimers(record, before, decision.timers, now)
  if (decision.messages.length > 0) record.messages = decision.messages.map((message) => copyJson(message, 'message'))
  if (decision.sends.length > 0) writeSends(record, decided)
  if (after.status !== 'active') writeEnd(record, decision)
  if (kind.index) {
    const attributes = kind.index({ context: after.context, value, status: after.status })
    if (!sameAttributes(before.attributes, attributes)) record.attributes = checkAttributes(attributes)
  }
  return record
}

function writeHistory(record: Writable<TransitionRecord>, { before, after }: Decision): void {
  const old = before ? historyOf(before) : {}
  const changed = Object.entries(historyOf(after)).filter(([node, states]) => String(old[node]) !== String(states))
  if (changed.length > 0) record.history = Object.fromEntries(changed)
}

function writeOrder(record: Writable<TransitionRecord>, { before, after }: Decision): void {
  const old = before && orderOf(before)
  const order = orderOf(after)
  if (String(old) !== String(order)) record.order = order ?? []
}

function writeChildren(record: Writable<TransitionRecord>, { decision, kind, chance }: Decided): void {
  const { before, after } = decision
  const old = childrenOf(before)
  const now = childrenOf(after)
  // In an order of its own: that of a snapshot's children depends on whether it was restored.
  const stopped = Object.keys(old)
    .filter((id) => old[id] !== now[id])
    .sort()
  const started: StartedChild[] = []
  for (const [id, ref] of Object.entries(now)) {
    if (ref === old[id]) continue
    const { input } = ref.options
    const session = kind.children.has(ref.src as string) ? chance.id() : undefined
    started.push({
      id,
      src: ref.src as string,
      ...(session !== undefined && { session }),
      ...(ref._syncSnapshot && { sync: true as const }),
      ...(input !== undefined && { input: sealJson(input, `input of ${id}`) }),
      ...(ref.systemId !== undefined && { systemId: ref.systemId }),
    })
  }
  if (stopped.length > 0) record.stopped = stopped
  if (started.length > 0) record.started = started
}

/** To the parent, and to children that are sessions: those of this record, or those that were there before. */
function writeSends(record: Writable<TransitionRecord>, { decision, before, identity }: Decided): void {
  const sent: SentMessage[] = []
  for (const { to, event } of decision.sends) {
    const session = receiverOf(to, record.started, before, identity)
    if (session !== undefined) sent.push({ to: session, event: copyJson(event, 'message') })
  }
  if (sent.length > 0) record.sent = sent
}

/** The session that a child's id, or PARENT, stands for; undefined when there is none. */
export function receiverOf(
  to: string,
  started: readonly StartedChild[] | undefined,
  { children }: Point,
  { parent }: Pick<Identity, 'parent'>,
): string | undefined {
  if (to === PARENT) return parent?.session
  const begun = started?.find(({ id }) => id === to)
  if (begun) return begun.session
  return children[to]?.status === 'active' ? children[to].session : undefined
}

/** Requests in their order: a timer that is set and cancelled at once leaves no trace; `cancel` takes the latest. */
function writeTimers(
  record: Writable<TransitionRecord>,
  before: Point,
  requests: readonly TimerRequest[],
  now: number,
): void {
  const cleared: string[] = [...(record.cleared ?? [])]
  const pending: { readonly key: string; readonly id: string }[] = before.timers.filter(
    ({ key }) => !cleared.includes(key),
  )
  const set: SetTimer[] = []
  for (const request of requests) {
    if (request.kind === 'set') {
      const key = `${record.seq}.${set.length}`
      const event = copyJson(request.event, 'delayed event')
      const { to } = request
      const at = isoTime(dueTime(now, request.delayMs))
      const timer = { key, id: request.id ?? key, at, event, ...(to !== undefined && { to }) }
      pending.push(timer)
      set.push(timer)
      continue
    }
    const last = pending.findLastIndex((timer) => timer.id === request.id)
    if (last < 0) continue
    const [cancelled] = pending.splice(last, 1)
    cleared.push((cancelled as { key: string }).key)
  }
  const kept = set.filter((timer) => !cleared.includes(timer.key))
  const old = cleared.filter((key) => !set.some((timer) => timer.key === key))
  if (kept.length > 0) record.timers = kept
  if (old.length > 0) record.cleared = old
}

function writeEnd(record: Writable<TransitionRecord>, { after }: Decision): void {
  record.status = after.status
  if (after.output !== undefined) record.output = sealJson(after.output, 'output')
  if (after.status === 'error') record.error = freezeJson(encodeError(after.error))
}

/** The latest time that a Date can hold; whoever waits longer waits for ever. */
const LAST_TIME_MS = 8.64e15

const dueTime = (now: number, delayMs: number): number =>
  Math.min(now + (Number.isNaN(delayMs) ? 0 : Math.max(delayMs, 0)), LAST_TIME_MS)

let lastMs = Number.NaN
let lastIso = ''

/** ISO 8601. Remembers the last: most transitions share their millisecond with the one before. */
export function isoTime(ms: number): string {
  if (ms === lastMs) return lastIso
  lastMs = ms
  lastIso = new Date(ms).toISOString()
  return lastIso
}

/** The value to record: the one before when it is the same, else a copy, since XState goes on with its own. */
function valueAfter(value: StateValue, before: StateValue): StateValue {
  if (sameValue(before, value)) return before
  return typeof value === 'string' ? value : copyJson(value, 'value')
}

/** Equality of XState state values. */
function sameValue(a: StateValue, b: StateValue): boolean {
  if (a === b) return true
  if (typeof a === 'string' || typeof b === 'string') return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => b[key] !== undefined && sameValue(a[key] as StateValue, b[key]))
  )
}

function sameAttributes(a: Attributes, b: Attributes): boolean {
  const keys = Object.keys(b)
  return keys.length === Object.keys(a).length && keys.every((key) => Object.hasOwn(a, key) && a[key] === b[key])
}

function checkAttributes(attributes: Attributes): Attributes {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && !['string', 'number', 'boolean'].includes(typeof value)) {
      throw new HoldfastError('NOT_JSON', `index.${name} must be a string, a number, a boolean or null`, {
        details: { path: `index.${name}` },
      })
    }
  }
  return sealJson(attributes, 'index')
}
