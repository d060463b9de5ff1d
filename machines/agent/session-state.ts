// A session's state as a value, and the pure functions over it that the original lists: each answers `{ ok: true, … }` or
// `{ ok: false, error, message }`, throws nothing, and leaves what it was given as it was. Every state it gives is frozen.
// The statechart (`machine.ts`) goes the same ways; `test/machines/agent/machine.test.ts` holds the two to one another.

import { isPlainObject, type JsonObject, jsonCopy } from './json.js'
import { type Ok, type Refused, type Result, refused } from './result.js'
import { SessionConfig } from './session-config.js'

export const SESSION_STATUSES = ['initializing', 'active', 'idle', 'terminating', 'terminated'] as const

export type SessionStatus = (typeof SESSION_STATUSES)[number]

export interface SessionState {
  readonly session_id: string
  readonly status: SessionStatus
  readonly config: SessionConfig
  readonly llm_config: JsonObject
  readonly metadata: JsonObject
  readonly created_at: Date
  readonly updated_at: Date
  /** Ids of what is under way. */
  readonly active_tasks: readonly string[]
  readonly conversation_count: number
  /** The last error's message. */
  readonly error: string | null
}

/** As `serialize` writes it: JSON, times in ISO 8601. */
export interface SerializedState extends Omit<SessionState, 'created_at' | 'updated_at'> {
  readonly created_at: string
  readonly updated_at: string
}

export interface StateOptions {
  readonly config?: Partial<SessionConfig>
  readonly llm_config?: JsonObject
  readonly metadata?: JsonObject
}

export interface StateUpdate extends StateOptions {
  readonly active_tasks?: readonly string[]
  readonly conversation_count?: number
  readonly error?: string | null
}

export type StateErrorCode =
  | 'invalid_session_id'
  | 'invalid_status'
  | 'invalid_transition'
  | 'invalid_config'
  | 'invalid_llm_config'
  | 'invalid_metadata'
  | 'invalid_active_tasks'
  | 'invalid_conversation_count'
  | 'invalid_error'
  | 'invalid_created_at'
  | 'invalid_updated_at'
  | 'invalid_state'
  /** A status moves by `transition` alone. */
  | 'status_not_updatable'
  /** `update` cannot set it, or there is no such field. */
  | 'field_not_updatable'

type StateResult<T = object> = Result<T, StateErrorCode>

/** Where each status may lead. Nothing leads out of `terminated`. */
export const SESSION_TRANSITIONS: { readonly [from in SessionStatus]: readonly SessionStatus[] } = Object.freeze({
  initializing: ['active', 'terminated'],
  active: ['idle', 'terminating'],
  idle: ['active', 'terminating'],
  terminating: ['terminated'],
  terminated: [],
})

const UPDATABLE = ['config', 'llm_config', 'metadata', 'active_tasks', 'conversation_count', 'error'] as const

function newState(
  sessionId: string,
  options: StateOptions = {},
  now: Date = present(),
): StateResult<{ state: SessionState }> {
  if (!isPlainObject(options as unknown)) return refused('invalid_state', 'the options must be an object')
  const config = SessionConfig.new(options.config)
  if (!config.ok) return config
  return made({
    session_id: sessionId,
    status: 'initializing',
    config: config.config,
    llm_config: options.llm_config ?? {},
    metadata: options.metadata ?? {},
    created_at: now,
    updated_at: now,
    active_tasks: [],
    conversation_count: 0,
    error: null,
  })
}

function transition(
  state: SessionState,
  status: SessionStatus,
  now: Date = present(),
): StateResult<{ state: SessionState }> {
  const before = made(state)
  if (!before.ok) return before
  const may = validTransition(before.state.status, status)
  return may.ok ? made({ ...before.state, status, updated_at: laterOf(before.state, now) }) : may
}

function validTransition(from: SessionStatus, to: SessionStatus): StateResult {
  for (const status of [from, to]) if (!isStatus(status)) return unknownStatus(status)
  const ways = SESSION_TRANSITIONS[from]
  if (ways.includes(to)) return { ok: true }
  const advice = ways.length > 0 ? `it may become ${ways.join(' or ')}` : 'nothing follows it'
  return refused('invalid_transition', `a session that is ${from} cannot become ${to}: ${advice}`)
}

function update(state: SessionState, fields: StateUpdate, now: Date = present()): StateResult<{ state: SessionState }> {
  const before = made(state)
  if (!before.ok) return before
  if (!isPlainObject(fields as unknown)) return refused('invalid_state', 'what is to be updated must be an object')
  if (Object.hasOwn(fields, 'status')) {
    return refused('status_not_updatable', 'a status is changed by transition, not by update')
  }
  const other = Object.keys(fields).find((name) => !UPDATABLE.includes(name as (typeof UPDATABLE)[number]))
  if (other !== undefined)
    return refused('field_not_updatable', `${other} cannot be updated: ${UPDATABLE.join(', ')} can`)
  const config = SessionConfig.new(fields.config, before.state.config)
  if (!config.ok) return config
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return made({ ...before.state, ...given, config: config.config, updated_at: laterOf(before.state, now) })
}

/** Whether something is a whole state. */
function valid(state: unknown): StateResult {
  const result = made(state)
  return result.ok ? { ok: true } : result
}

function serialize(state: SessionState): StateResult<{ data: SerializedState }> {
  const whole = made(state)
  if (!whole.ok) return whole
  const { created_at, updated_at } = whole.state
  const data = { ...whole.state, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() }
  return { ok: true, data: Object.freeze(data) }
}

function deserialize(data: unknown): StateResult<{ state: SessionState }> {
  if (!isPlainObject(data)) return refused('invalid_state', 'a serialized state is an object')
  return made({ ...data, created_at: dateIn(data.created_at), updated_at: dateIn(data.updated_at) })
}

const isSessionId = (id: unknown): id is string => typeof id === 'string' && id.trim() !== ''

const isStatus = (status: unknown): status is SessionStatus => SESSION_STATUSES.includes(status as SessionStatus)

const unknownStatus = (status: unknown): Refused<'invalid_status'> =>
  refused('invalid_status', `${JSON.stringify(status)} is no status: ${SESSION_STATUSES.join(', ')} are`)

const isDate = (value: unknown): value is Date => value instanceof Date && !Number.isNaN(value.getTime())

/** The fields, in the order in which a fault is told: what makes each good, and what to say otherwise. */
const checks: readonly (readonly [
  field: keyof SessionState,
  error: StateErrorCode,
  test: (value: unknown) => boolean,
  must: string,
])[] = [
  ['session_id', 'invalid_session_id', isSessionId, 'must be a text that is not empty'],
  ['created_at', 'invalid_created_at', isDate, 'must be a time that can be read'],
  ['updated_at', 'invalid_updated_at', isDate, 'must be a time that can be read'],
  ['llm_config', 'invalid_llm_config', isPlainObject, 'must be an object of JSON'],
  ['metadata', 'invalid_metadata', isPlainObject, 'must be an object of JSON'],
  [
    'active_tasks',
    'invalid_active_tasks',
    (value) => Array.isArray(value) && value.every((task) => typeof task === 'string'),
    'must be a list of texts',
  ],
  [
    'conversation_count',
    'invalid_conversation_count',
    (value) => Number.isSafeInteger(value) && (value as number) >= 0,
    'must be an integer from 0',
  ],
  ['error', 'invalid_error', (value) => value === null || typeof value === 'string', 'must be a text, or null'],
]

/** The state that some fields make up, copied and frozen. */
function made(fields: unknown): StateResult<{ state: SessionState }> {
  if (!isPlainObject(fields)) return refused('invalid_state', 'a state is an object')
  for (const [field, error, test, must] of checks) {
    if (!test(fields[field])) return refused(error, `${field} ${must}`)
  }
  if (!isStatus(fields.status)) return unknownStatus(fields.status)
  const config = SessionConfig.new(fields.config as Partial<SessionConfig>)
  if (!config.ok) return config
  const llm = jsonCopy(fields.llm_config)
  if (llm === undefined) return refused('invalid_llm_config', 'llm_config must be an object of JSON')
  const metadata = jsonCopy(fields.metadata)
  if (metadata === undefined) return refused('invalid_metadata', 'metadata must be an object of JSON')
  return frozen(fields as unknown as SessionState, config.config, llm as JsonObject, metadata as JsonObject)
}

function frozen(
  { session_id, status, created_at, updated_at, active_tasks, conversation_count, error }: SessionState,
  config: SessionConfig,
  llm_config: JsonObject,
  metadata: JsonObject,
): Ok<{ state: SessionState }> {
  const state: SessionState = {
    ...{ session_id, status, config, llm_config, metadata },
    created_at: new Date(created_at),
    updated_at: new Date(updated_at),
    active_tasks: Object.freeze([...active_tasks]),
    ...{ conversation_count, error },
  }
  return { ok: true, state: Object.freeze(state) }
}

/** ISO 8601 with a date and a time, and nothing looser. */
const ISO = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/

/** The time that a text tells; anything else stays, and is refused. */
const dateIn = (value: unknown): unknown => (typeof value === 'string' && ISO.test(value) ? new Date(value) : undefined)

/** A clock that was set back does not make an update older than the one before. */
const laterOf = ({ updated_at }: SessionState, now: Date): Date => (isDate(now) && now < updated_at ? updated_at : now)

// biome-ignore lint/plugin/clock: the default of a parameter: whoever wants a time of their own gives it
const present = (): Date => new Date()

/** The original's functions by its names. */
export const SessionState: {
  readonly new: typeof newState
  readonly transition: typeof transition
  readonly validTransition: typeof validTransition
  readonly update: typeof update
  readonly valid: typeof valid
  readonly serialize: typeof serialize
  readonly deserialize: typeof deserialize
} = Object.freeze({ new: newState, transition, validTransition, update, valid, serialize, deserialize })
