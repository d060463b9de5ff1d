// A point: a session right after a transition, decided or durable. Immutable; one small object per transition.
// The live session holds two: the last decided, which runs ahead of the disk, and the last durable, which may be shown.

import { contextOf, historyOf, type MachineSnapshot, orderOf } from './machine-snapshot.js'
import { NOWHERE, type Position, type TransitionRecord } from './record.js'
import {
  childrenAfter,
  firedAfter,
  linksAfter,
  messagesAfter,
  NO_LINKS,
  NOT_FIRED,
  seenAfter,
  timersAfter,
} from './rehydrate.js'
import type {
  Attributes,
  CreationKey,
  ForkOrigin,
  IndexEntry,
  Links,
  Owner,
  Parent,
  Seen,
  SessionState,
  SessionStatus,
  StateValue,
} from './state.js'
import type { TraceContext } from './trace-context.js'
import { NO_TROUBLE, type Trouble, troubleAfter } from './trouble.js'

export interface Point {
  readonly seq: number
  readonly position: Position
  readonly at: string
  readonly status: SessionStatus
  readonly value: StateValue
  readonly context: unknown
  readonly output: unknown
  readonly error: unknown
  readonly children: SessionState['children']
  readonly timers: SessionState['timers']
  readonly fired: readonly string[]
  readonly messages: SessionState['messages']
  readonly attributes: Attributes
  readonly links: Links
  readonly seen: readonly Seen[]
  readonly trouble: Trouble
  readonly trace: TraceContext | undefined
  /** The machine's own snapshot; undefined for a session that could not be restored. */
  readonly snapshot: MachineSnapshot | undefined
  /** As stored, for a session whose machine snapshot does not tell it. */
  readonly history: SessionState['history'] | undefined
}

/** Before the first record. */
export const NOTHING: Point = {
  seq: 0,
  position: NOWHERE,
  at: '',
  status: 'active',
  value: '',
  context: undefined,
  output: undefined,
  error: undefined,
  children: {},
  timers: [],
  fired: NOT_FIRED,
  messages: [],
  attributes: {},
  links: NO_LINKS,
  seen: [],
  trouble: NO_TROUBLE,
  trace: undefined,
  snapshot: undefined,
  history: undefined,
}

/** What a session keeps the same all its life. */
export interface Identity {
  readonly id: string
  readonly kind: string
  readonly version: number
  readonly createdAt: string
  readonly created: CreationKey | undefined
  readonly parent: Parent | undefined
  readonly origin: ForkOrigin | undefined
  readonly owner: Owner | undefined
}

export const identityOf = ({
  id,
  kind,
  version,
  createdAt,
  created,
  parent,
  origin,
  owner,
}: SessionState | IndexEntry): Identity => ({
  ...{ id, kind, version, createdAt, created, parent, origin, owner },
})

/** The point that a stored state stands for. */
export function pointOf(state: SessionState, snapshot: MachineSnapshot | undefined): Point {
  const { seq, position, updatedAt, status, value, context, children, timers, messages, attributes, history } = state
  const { output, error, links = NO_LINKS, seen = [], trouble = NO_TROUBLE, fired = NOT_FIRED, trace } = state
  const common = { seq, position, at: updatedAt, status, value, context, output, error }
  return { ...common, children, timers, fired, messages, attributes, links, seen, trouble, trace, snapshot, history }
}

/** The point after a record, in the same terms as the fold of `rehydrate.ts`. */
export function pointAfter(
  before: Point,
  record: TransitionRecord,
  position: Position,
  snapshot: MachineSnapshot | undefined,
): Point {
  const { status } = record
  return {
    seq: record.seq,
    position,
    at: record.at,
    status: status ?? before.status,
    value: record.value,
    context: snapshot ? contextOf(snapshot) : before.context,
    output: status ? record.output : before.output,
    error: status ? record.error : before.error,
    children: childrenAfter(before.children, record),
    timers: timersAfter(before.timers, record),
    fired: firedAfter(before.fired, record, before.timers),
    messages: messagesAfter(before.messages, record),
    attributes: record.attributes ?? before.attributes,
    links: linksAfter(before.links, record, before.children),
    seen: record.sendId === undefined ? before.seen : seenAfter(before.seen, record, position),
    trouble: troubleAfter(before.trouble, record),
    trace: record.trace ?? before.trace,
    snapshot,
    history: before.history,
  }
}

/** The state to store for a point. */
export function stateOf(identity: Identity, point: Point): SessionState {
  const { seq, position, at, status, value, context, output, error, children, timers, messages, attributes } = point
  const { links, seen, fired, trace } = point
  const { id, kind, version, createdAt, created, parent, origin, owner } = identity
  const history = point.snapshot ? historyOf(point.snapshot) : (point.history ?? {})
  const order = point.snapshot && orderOf(point.snapshot)
  return {
    ...{ id, kind, version, seq, position, createdAt, updatedAt: at, status, value, context },
    ...(output !== undefined && { output }),
    ...(error !== undefined && { error }),
    ...{ history, children, timers, messages, attributes },
    ...(order && { order }),
    ...(fired.length > 0 && { fired }),
    ...(links !== NO_LINKS && { links }),
    ...(seen.length > 0 && { seen }),
    ...(point.trouble !== NO_TROUBLE && { trouble: point.trouble }),
    ...(trace && { trace }),
    ...(parent && { parent }),
    ...(origin && { origin }),
    ...(owner && { owner }),
    ...(created && { created }),
  }
}
