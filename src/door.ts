// The public door: what comes from outside is checked here, once, before it reaches a session.
// It lets in JSON of the right shape, copied and frozen, without what its kind says is secret, and nothing that pretends to be
// the machine's own.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AnySessionKind } from './define.js'
import { type ErrorCode, HoldfastError } from './errors.js'
import { isId, isOwnerName } from './id.js'
import { copyJson } from './json.js'
import { admitOptions } from './options.js'
import type { RecordedEvent } from './record.js'
import { secretEvent, secretInput } from './secrets.js'
import type { Owner } from './state.js'

const LONGEST_KEY = 256
const MOST_EVENTS = 10_000

/** XState's one event for whoever is outside: a state with a `route` is entered by its id. */
const ROUTE = 'xstate.route'

/** Event types that only the machine and the runtime may use. */
const isReserved = (type: string): boolean =>
  type === '*' || type.startsWith('holdfast.') || (type.startsWith('xstate.') && type !== ROUTE)

/** An event from outside, checked, copied and frozen. Throws INVALID_EVENT or NOT_JSON. Who has ended may have no kind. */
export function admitEvent(kind: AnySessionKind | undefined, event: unknown): RecordedEvent {
  const copied = copyEvent(event)
  if (!kind?.events) return secretEvent(kind, copied)
  const valid = copyEvent(validate(kind.events, copied, 'INVALID_EVENT', `event "${copied.type}"`))
  return secretEvent(kind, valid)
}

/** The type is looked at in the copy, which cannot change any more. */
function copyEvent(event: unknown): RecordedEvent {
  const copied = typeof event === 'object' && event !== null ? (copyJson(event, 'event') as { type?: unknown }) : {}
  const { type } = copied
  if (typeof type !== 'string' || type === '') {
    throw invalid('INVALID_EVENT', 'an event is an object with a type, such as { type: "start" }')
  }
  if (isReserved(type)) {
    throw invalid('INVALID_EVENT', `events of type "${type}" come from the runtime only; send one of the machine's own`)
  }
  return copied as RecordedEvent
}

/** The input of a new session, checked, copied and frozen. Throws INVALID_INPUT or NOT_JSON. */
export function admitInput(kind: AnySessionKind, input: unknown): unknown {
  const copied = input === undefined ? undefined : copyJson(input, 'input')
  if (!kind.input) return secretInput(kind, copied)
  const valid = validate(kind.input, copied, 'INVALID_INPUT', `input of "${kind.kind}"`)
  return valid === undefined ? undefined : secretInput(kind, copyJson(valid, 'input'))
}

/** A session id from outside. Throws INVALID_ID. */
export function admitId(id: unknown): string {
  if (isId(id)) return id
  throw invalid(
    'INVALID_ID',
    `${JSON.stringify(id)} is not an id: letters, digits, "-" and "_", at most 64, no leading sign`,
  )
}

/** Whose a new session is, copied and frozen. Throws INVALID_ARGUMENT. */
export function admitOwner(owner: Owner): Owner {
  admitOptions('an owner', owner, { principal: true, organization: true, team: true })
  for (const name of Object.values(owner) as unknown[]) {
    if (name !== undefined && !isOwnerName(name)) {
      throw invalid(
        'INVALID_ARGUMENT',
        `${JSON.stringify(name)} is no name of an owner: letters, digits, "-", "_", "." and "@", at most 64`,
      )
    }
  }
  return Object.freeze(Object.fromEntries(Object.entries(owner).filter(([, name]) => name !== undefined)))
}

/** Events from outside that are sent as one. Throws INVALID_EVENT, NOT_JSON or INVALID_ARGUMENT. */
export function admitEvents(kind: AnySessionKind | undefined, events: unknown): readonly RecordedEvent[] {
  if (!Array.isArray(events) || events.length === 0 || events.length > MOST_EVENTS) {
    throw invalid('INVALID_ARGUMENT', `a batch is an array of 1 to ${MOST_EVENTS} events`)
  }
  return events.map((event) => admitEvent(kind, event))
}

/** An idempotency key from outside. Throws INVALID_ARGUMENT. */
export function admitKey(key: unknown): string {
  if (typeof key === 'string' && key.length > 0 && key.length <= LONGEST_KEY) return key
  throw invalid('INVALID_ARGUMENT', `an idempotency key is a text of 1 to ${LONGEST_KEY} characters`)
}

export function validate(schema: StandardSchemaV1, value: unknown, code: ErrorCode, what: string): unknown {
  const result = schema['~standard'].validate(value)
  if (result instanceof Promise) {
    result.catch(() => {}) // nobody waits for it, and its failure must not end the process
    throw invalid('INVALID_KIND', `the schema for ${what} validates asynchronously; a transition cannot wait for it`)
  }
  if (!result.issues) return result.value
  const issues = result.issues.map(({ message, path }) => ({
    message,
    path: (path ?? []).map((part) => (typeof part === 'object' ? part.key : part)).join('.'),
  }))
  const list = issues.map(({ message, path }) => (path ? `${path}: ${message}` : message)).join('; ')
  throw new HoldfastError(code, `${what} is not valid: ${list}`, { details: { issues } })
}

const invalid = (code: ErrorCode, message: string): HoldfastError => new HoldfastError(code, message)
