// From a decision to its record: pure but for freezing what is new.
// Everything that a session must remember is found here by comparing it with the point before, and nothing else is kept.

import type { Chance } from './chance.js'
import type { Decision } from './decision.js'
import type { AnySessionKind } from './define.js'
import { encodeError } from './envelope.js'
import { HoldfastError } from './errors.js'
import { copyJson, freezeJson, nobody, type ReferenceOf, referencesMet, sealJson, withReferences } from './json.js'
import { type ChildRef, childrenOf, contextOf, historyOf, isInvoked, orderOf, setWritten } from './machine-snapshot.js'
import { applyAndSeal, diffAndSeal, type Patch } from './patch.js'
import type { Identity, Point } from './point.js'
import {
  PARENT,
  type RecordedEvent,
  type SentMessage,
  type SetTimer,
  type StartedChild,
  type TransitionRecord,
} from './record.js'
import { type ChildReference, sessionReference } from './references.js'
import type { Attributes, StateValue } from './state.js'
import { stepOf } from './steps.js'

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
export const recordOf = (decided: Decided): Writable<TransitionRecord> =>
  withReferences(decided.decision.referenceOf, () => write(decided))

function write(decided: Decided): Writable<TransitionRecord> {
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
  const patch = patchOf(before, decision)
  if (patch) record.patch = patch
  if (after.historyValue !== decision.before?.historyValue) writeHistory(record, decision)
  if (after !== decision.before) writeOrder(record, decision)
  if (after.children !== decision.before?.children) writeChildren(record, decided)
  if (fired !== undefined) record.cleared = [fired]
  if (decision.timers.length > 0) writeTimers(record, decided)
  if (decision.messages.length > 0) record.messages = decision.messages.map((message) => copyJson(message, 'message'))
  if (decision.sends.length > 0) writeSends(record, decided)
  if (after.status !== 'active') writeEnd(record, decision)
  if (kind.index) {
    const attributes = kind.index({ context: contextOf(after) as never, value, status: after.status })
    if (!sameAttributes(before.attributes, attributes)) record.attributes = checkAttributes(attributes)
  }
  return record
}

/** The change of the context; what records hold of one with actors in it is made of the one before. */
function patchOf(before: Point, decision: Decision): Patch | undefined {
  const { after } = decision
  const old = decision.before?.context
  const met = referencesMet()
  const patch = diffAndSeal(old, after.context, 'context')
  if (met !== referencesMet() || old !== before.context) {
    setWritten(after, patch ? applyAndSeal(before.context, patch) : before.context)
  }
  return patch
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

function writeChildren(record: Writable<TransitionRecord>, decided: Decided): void {
  const { decision, kind, chance } = decided
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
      ...(!isInvoked(after, id) && { spawned: true as const }),
      ...(input !== undefined && { input: inputOf(ref, session, decided) }),
      ...(ref.systemId !== undefined && { systemId: ref.systemId }),
    })
  }
  if (stopped.length > 0) record.stopped = stopped
  if (started.length > 0) record.started = started
}

/** What a child begins with, as far as it can know the actors in it. */
function inputOf({ id, src, options }: ChildRef, session: string | undefined, decided: Decided): unknown {
  const seal = (): unknown => sealJson(options.input, `input of ${id}`)
  const { after } = decided.decision
  if (session !== undefined) return withReferences(between(decided, session, undefined), seal)
  return stepOf(after.machine.implementations.actors[src as string]) ? withReferences(forSteps, seal) : seal()
}

/** To the parent, and to children that are sessions: those of this record, or those that were there before. */
function writeSends(record: Writable<TransitionRecord>, decided: Decided): void {
  const { decision, before, identity } = decided
  const sent: SentMessage[] = []
  for (const { to, event, last } of decision.sends) {
    const session = receiverOf(to, last ? undefined : record.started, before, identity)
    // A child that would begin with its parent's end does not begin.
    if (decision.after.status !== 'active' && record.started?.some((one) => one.session === session)) continue
    if (session !== undefined) sent.push({ to: session, event: messageTo(session, event, decided, record.started) })
  }
  if (sent.length > 0) record.sent = sent
}

const messageTo = (
  session: string,
  event: RecordedEvent,
  decided: Decided,
  started: readonly StartedChild[] | undefined,
): RecordedEvent => withReferences(between(decided, session, started), () => copyJson(event, 'message'))

/** What an actor is in what one session gives another: the two know each other, and nobody else that both know. */
export function between(
  {
    identity,
    before,
    decision,
  }: Pick<Decided, 'identity' | 'before'> & { readonly decision: Pick<Decision, 'referenceOf'> },
  other: string,
  started: readonly StartedChild[] | undefined,
): ReferenceOf {
  const sessionOf = ({ id, incarnation }: ChildReference): string | undefined =>
    incarnation > before.seq
      ? started?.find((child) => child.id === id)?.session
      : before.children[id]?.incarnation === incarnation
        ? before.children[id].session
        : undefined
  return (value) => {
    const reference = decision.referenceOf(value)
    if (typeof reference !== 'object') return reference
    const session = 'session' in reference ? reference.session : sessionOf(reference)
    return session === identity.id || session === other ? sessionReference(session) : UNKNOWN_THERE
  }
}

const UNKNOWN_THERE =
  'is an actor that the session it goes to is not linked to; only the two of them can be told of, so pass its messages on here'

const forSteps: ReferenceOf = (value) => {
  const reference = nobody(value)
  return reference ?? ('sessionId' in value ? UNREACHABLE : undefined)
}

const UNREACHABLE = 'is an actor, which a step in its worker cannot reach; give it plain values'

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
function writeTimers(record: Writable<TransitionRecord>, decided: Decided): void {
  const { before, decision, identity, now } = decided
  const cleared: string[] = [...(record.cleared ?? [])]
  const pending: { readonly key: string; readonly id: string }[] = before.timers.filter(
    ({ key }) => !cleared.includes(key),
  )
  const set: SetTimer[] = []
  for (const request of decision.timers) {
    if (request.kind === 'set') {
      const key = `${record.seq}.${set.length}`
      const { to } = request
      const session = to === undefined ? undefined : receiverOf(to, record.started, before, identity)
      const event =
        session === undefined
          ? copyJson(request.event, 'delayed event')
          : messageTo(session, request.event, decided, record.started)
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

export const dueTime = (now: number, delayMs: number): number =>
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

export function sameAttributes(a: Attributes, b: Attributes): boolean {
  const keys = Object.keys(b)
  return keys.length === Object.keys(a).length && keys.every((key) => Object.hasOwn(a, key) && a[key] === b[key])
}

export function checkAttributes(attributes: Attributes): Attributes {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && !['string', 'number', 'boolean'].includes(typeof value)) {
      throw new HoldfastError('NOT_JSON', `index.${name} must be a string, a number, a boolean or null`, {
        details: { path: `index.${name}` },
      })
    }
  }
  return sealJson(attributes, 'index')
}
