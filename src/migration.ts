// A migration: the record that brings a stored session to the version of today. Pure but for the steps that users wrote,
// which it calls once each. It says what becomes of what the session has under way:
//   a timer of `after` goes on if a state the session is in still has it; one that it does not have yet begins now, unless
//     it has fired in that state already. Delayed events of the machine's own go on.
//   an invoked child goes on if a state the session is in still invokes it, under the same id, from the same actor; one that
//     such a state invokes and that is not there begins now. A spawned child goes on.
//   what a history state remembers of states that are gone is forgotten.
// It runs no entry action and takes no eventless transition: those come with the next event.

import { isDeepStrictEqual } from 'node:util'
import { actorOf } from './actors.js'
import type { AnySessionKind } from './define.js'
import { validate } from './door.js'
import { HoldfastError, isHoldfastError, messageOf } from './errors.js'
import { asTheyAre, copyJson, sealJson, withReferences } from './json.js'
import { type After, type Beginnings, beginningsOf, checkState, hasNode } from './machine-snapshot.js'
import type { Migration, StoredChild, StoredState, StoredTimer } from './migrations.js'
import { diffAndSeal } from './patch.js'
import { PARENT, type RecordedEvent, type SetTimer, type StartedChild, type TransitionRecord } from './record.js'
import type { Child, SessionState, StateValue } from './state.js'
import { checkAttributes, dueTime, isoTime, sameAttributes, type Writable } from './write.js'

export interface MigrationPlan {
  /** ms since the epoch. */
  readonly now: number
  /** Gives the ids of child sessions. */
  readonly newId: () => string
}

/** The type of a migration's record. */
const MIGRATE = 'holdfast.migrate'

/**
 * The record that migrates an active session to the version of its kind. Throws VERSION_NEWER, MIGRATION_MISSING,
 * MIGRATION_FAILED when a step throws or gives what cannot be taken, STATE_UNKNOWN, ACTOR_MISSING or CONTEXT_INVALID.
 */
export const migrationRecord = (kind: AnySessionKind, state: SessionState, plan: MigrationPlan): MigrationRecord =>
  // To a migration actors in a context are the references that records hold.
  withReferences(asTheyAre, () => write(kind, state, plan))

type MigrationRecord = Writable<TransitionRecord>

function write(kind: AnySessionKind, state: SessionState, { now, newId }: MigrationPlan): MigrationRecord {
  const stored = migrated(kind, state)
  const value = json(kind, () => copyJson(stored.value, 'value')) as StateValue
  checkState(kind.machine, value)
  const { version } = kind
  const event = { type: MIGRATE, from: state.version, version }
  const record: Writable<TransitionRecord> = {
    ...{ session: state.id, seq: state.seq + 1, prev: state.position, at: isoTime(now), event, value, version },
  }
  if (!isDeepStrictEqual(value, state.value)) record.from = state.value
  const patch = json(kind, () => diffAndSeal(state.context, stored.context, 'context'))
  if (patch) record.patch = patch
  checkContext(kind, stored.context)
  const beginnings = beginningsOf(kind.machine, value)
  if (beginnings.final)
    throw failed(kind, `${JSON.stringify(value)} is where the machine ends; a migration ends no session`)
  const args = { context: stored.context, event, self: { id: state.id } }
  const under = { kind, state, stored, beginnings, args, now, newId }
  writeHistory(record, under)
  if (state.order && !isDeepStrictEqual([...state.order].sort(), [...beginnings.ids].sort())) record.order = []
  writeChildren(record, under)
  writeTimers(record, under)
  writeAttributes(record, under)
  return record
}

/** Throws CONTEXT_INVALID when a context does not pass the schema of its kind. */
export function checkContext(kind: AnySessionKind, context: unknown): void {
  if (kind.context) validate(kind.context, context, 'CONTEXT_INVALID', `the context of a "${kind.kind}"`)
}

/** What it comes to by the steps of the kind, one version after the other. */
function migrated(kind: AnySessionKind, state: SessionState): StoredState {
  let stored: StoredState = storedOf(state)
  for (const { from, step } of stepsOf(kind, state.version)) {
    const result = applied(kind, from, step, stored)
    const what = `the step from version ${from}`
    if (typeof result !== 'object' || result === null || Array.isArray(result) || result instanceof Promise)
      throw failed(kind, `${what} gives no state; it returns what it was given, changed: { ...old, context: … }`)
    const unknown = Object.keys(result).find((part) => !Object.hasOwn(stored, part))
    if (unknown !== undefined)
      throw failed(kind, `${what} gives "${unknown}", which no stored state has (${Object.keys(stored).join(', ')})`)
    stored = { ...stored, ...result }
    const wrong = wrongIn(stored)
    if (wrong !== undefined) throw failed(kind, `${what}: ${wrong}`)
  }
  return stored
}

function storedOf({ value, context, history, timers, children }: SessionState): StoredState {
  return Object.freeze({ value, context, history, timers, children })
}

function* stepsOf(kind: AnySessionKind, version: number): Generator<{ from: number; step: Migration }> {
  if (version > kind.version) throw versionNewer(kind, version)
  for (let from = version; from < kind.version; from++) {
    const step = kind.migrate.get(from)
    if (step) yield { from, step }
    else if (!kind.follows) throw missing(kind, version, from)
  }
}

function applied(kind: AnySessionKind, from: number, step: Migration, stored: StoredState): unknown {
  try {
    return step(stored)
  } catch (cause) {
    throw failed(kind, `the step from version ${from} threw: ${messageOf(cause)}`, cause)
  }
}

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a stored state has that no session could have. */
function wrongIn({ value, history, timers, children }: StoredState): string | undefined {
  if (typeof value !== 'string' && !isRecord(value)) return 'value is a state: its name, or an object of regions'
  if (!isRecord(history) || !Object.values(history).every(Array.isArray)) return 'history is a list of states by name'
  if (!Array.isArray(timers) || !timers.every(isTimer)) return 'timers are a list of { id, at (ISO 8601), event }'
  if (!isRecord(children) || !Object.values(children).every((child) => typeof child?.src === 'string'))
    return 'children are { src, input } by their ids'
  return undefined
}

const isTimer = (timer: StoredTimer): boolean =>
  typeof timer?.id === 'string' && typeof timer.event?.type === 'string' && !Number.isNaN(Date.parse(timer.at))

interface UnderWay extends MigrationPlan {
  readonly kind: AnySessionKind
  readonly state: SessionState
  readonly stored: StoredState
  readonly beginnings: Beginnings
  readonly args: { readonly context: unknown; readonly event: RecordedEvent; readonly self: unknown }
}

function writeHistory(record: Writable<TransitionRecord>, { kind, state, stored }: UnderWay): void {
  const isThere = (id: string): boolean => hasNode(kind.machine, id)
  const kept = Object.entries(stored.history).filter(([node, states]) => isThere(node) && states.every(isThere))
  const after: { [node: string]: readonly string[] } = Object.fromEntries(kept)
  const changed = [...new Set([...Object.keys(state.history), ...Object.keys(after)])]
    .map((node) => [node, after[node] ?? null] as const)
    .filter(([node, states]) => !isDeepStrictEqual(states, state.history[node] ?? null))
  if (changed.length > 0) record.history = copyJson(Object.fromEntries(changed), 'history')
}

function writeChildren(record: Writable<TransitionRecord>, under: UnderWay): void {
  const { kind, state, stored, beginnings } = under
  const { invokes } = beginnings
  const started: StartedChild[] = []
  const kept = new Set<string>()
  for (const [id, child] of Object.entries(stored.children)) {
    const invoke = invokes.find((one) => one.id === id)
    const old = state.children[id]
    if (old && isSame(old, child, kind)) {
      // One that is invoked is there as long as the state that invokes it.
      if (old.spawned || invoke?.src === old.src) kept.add(id)
    } else if (!invoke || invoke.src === child.src) started.push(startOf(id, child, !invoke, under))
  }
  for (const { id, src, systemId, sync, input } of invokes) {
    if (kept.has(id) || started.some((child) => child.id === id)) continue
    const given = called(kind, `the input of "${id}"`, () => input(under.args))
    const child = { src, ...(systemId !== undefined && { systemId }), ...(given !== undefined && { input: given }) }
    started.push({ ...startOf(id, child, false, under), ...(sync && { sync }) })
  }
  const stopped = Object.keys(state.children)
    .filter((id) => !kept.has(id))
    .sort()
  if (stopped.length > 0) record.stopped = stopped
  if (started.length > 0) record.started = started
}

/** Whether a child is what it was, and can go on as such. */
function isSame(old: Child, child: StoredChild, { machine }: AnySessionKind): boolean {
  const { src, input, status, session } = old
  if (src !== child.src || !isDeepStrictEqual(input, child.input)) return false
  const type = actorOf(machine.implementations.actors[src])
  return status !== 'active' || (type === 'machine') === (session !== undefined)
}

function startOf(id: string, child: StoredChild, spawned: boolean, { kind, newId }: UnderWay): StartedChild {
  const { src, input, systemId } = child
  const type = actorOf(kind.machine.implementations.actors[src])
  if (!type)
    throw new HoldfastError('ACTOR_MISSING', `"${src}", which "${id}" is to run, is not an actor of the machine`)
  return {
    ...{ id, src },
    ...(type === 'machine' && { session: newId() }),
    ...(spawned && { spawned }),
    ...(type === 'step' && { attempt: 0 as const }),
    ...(input !== undefined && { input: json(kind, () => sealJson(input, `input of ${id}`)) }),
    ...(systemId !== undefined && { systemId }),
  }
}

function writeTimers(
  record: Writable<TransitionRecord>,
  { kind, state, stored, beginnings, args, now }: UnderWay,
): void {
  const { afters } = beginnings
  const { stopped = [], started = [] } = record
  const hears = (to: string): boolean =>
    to === PARENT || started.some(({ id }) => id === to) || (to in state.children && !stopped.includes(to))
  const isWanted = ({ event: { type }, to }: StoredTimer): boolean => {
    if (to !== undefined) return hears(to)
    return !type.startsWith('xstate.after.') || afters.some((after) => after.type === type)
  }
  const wanted = stored.timers.filter(isWanted)
  const isNew = ({ type, path }: After): boolean =>
    !wanted.some(({ event }) => event.type === type) && !(state.fired?.includes(type) && isIn(state.value, path))
  const begun = afters.filter(isNew).map((after) => {
    const delayMs = called(kind, `the delay of "${after.type}"`, () => after.delayMs(args))
    return { id: after.type, at: isoTime(dueTime(now, delayMs)), event: { type: after.type } }
  })
  const goesOn = (timer: StoredTimer): boolean => state.timers.some((old) => isDeepStrictEqual(old, timer))
  const set = [...wanted.filter((timer) => !goesOn(timer)), ...begun].map(
    (timer, n): SetTimer => ({ ...json(kind, () => copyJson(timer, 'timer')), key: `${record.seq}.${n}` }),
  )
  const cleared = state.timers.filter((old) => !wanted.some((timer) => isDeepStrictEqual(old, timer)))
  if (set.length > 0) record.timers = set
  if (cleared.length > 0) record.cleared = cleared.map(({ key }) => key)
}

/** Whether a value is in the state at the end of a path. */
function isIn(value: StateValue, [name, ...below]: readonly string[]): boolean {
  if (name === undefined) return true
  if (typeof value === 'string') return value === name && below.length === 0
  return name in value && isIn(value[name] as StateValue, below)
}

function writeAttributes(record: Writable<TransitionRecord>, { kind, state, stored }: UnderWay): void {
  if (!kind.index) return
  const { index } = kind
  const view = { context: stored.context, value: record.value, status: 'active' as const }
  const attributes = called(kind, 'index', () => checkAttributes(index(view)))
  if (!sameAttributes(state.attributes, attributes)) record.attributes = attributes
}

/** Something of the user's, called with what has been migrated. */
function called<T>(kind: AnySessionKind, what: string, call: () => T): T {
  try {
    return call()
  } catch (cause) {
    throw failed(kind, `${what} cannot be computed for what was migrated: ${messageOf(cause)}`, cause)
  }
}

/** What is not JSON is no result of a migration. */
function json<T>(kind: AnySessionKind, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    if (isHoldfastError(cause, 'NOT_JSON')) throw failed(kind, cause.message, cause)
    throw cause
  }
}

const failed = ({ kind, version }: AnySessionKind, what: string, cause?: unknown): HoldfastError =>
  new HoldfastError('MIGRATION_FAILED', `"${kind}" cannot be migrated to version ${version}: ${what}`, { cause })

const missing = ({ kind, version }: AnySessionKind, recorded: number, from: number): HoldfastError =>
  new HoldfastError(
    'MIGRATION_MISSING',
    `version ${recorded} of "${kind}" recorded it, and there is no way to version ${version}: add a step ${from} to migrate`,
    { details: { recorded, present: version, step: from } },
  )

const versionNewer = ({ kind, version }: AnySessionKind, recorded: number): HoldfastError =>
  new HoldfastError(
    'VERSION_NEWER',
    `version ${recorded} of "${kind}" recorded it, and this is version ${version}: run the newer code`,
    { details: { recorded, present: version } },
  )
