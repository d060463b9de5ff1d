// The refusals that several files give, each built here and nowhere else, so that a code says the same wherever it is met.

import { HoldfastError, isHoldfastError, messageOf } from './errors.js'
import type { SessionStatus } from './state.js'

export const sessionNotFound = (id: string): HoldfastError =>
  new HoldfastError('SESSION_NOT_FOUND', `there is no session ${id}; list the sessions to see their ids`)

/** A session has the transitions 1 to `last`. */
export const transitionNotFound = (id: string, seq: unknown, last: number): HoldfastError =>
  new HoldfastError(
    'TRANSITION_NOT_FOUND',
    `session ${id} has transitions 1 to ${last}, and no ${typeof seq === 'number' ? seq : JSON.stringify(seq)}`,
    { details: { session: id, seq, last } },
  )

export const sessionExists = (id: string): HoldfastError =>
  new HoldfastError('SESSION_EXISTS', `there is a session ${id} already; choose another id or leave it out`)

/** `ids` are some of them, and with `more` not all. */
export const ambiguousId = (prefix: string, ids: readonly string[], more: boolean): HoldfastError =>
  new HoldfastError(
    'AMBIGUOUS_ID',
    `"${prefix}" begins several ids: ${ids.join(', ')}${more ? ' and others' : ''}; give more of it`,
    { details: { ids, ...(more && { more }) } },
  )

/** `known` are the kinds by name; a kind is known by its object, as another one of the same name may be of another machine. */
export function unknownKind(kind: string, known: ReadonlyMap<string, unknown>): HoldfastError {
  const why = known.has(kind)
    ? `this is not the session kind "${kind}" that this runtime was opened with, but another of the same name; use the one in kinds`
    : `kind "${kind}" is not among those this runtime was opened with (${namesOf(known)}); add it to kinds`
  return noSuchKind(why)
}

/** The same for whoever calls from outside, and cannot add one. */
export const unservedKind = (kind: string, known: ReadonlyMap<string, unknown>): HoldfastError =>
  noSuchKind(
    `this server has no kind ${JSON.stringify(kind.slice(0, 64))}; it serves ${namesOf(known)} (GET /v1/kinds)`,
  )

const noSuchKind = (why: string): HoldfastError => new HoldfastError('UNKNOWN_KIND', why)

const namesOf = (known: ReadonlyMap<string, unknown>): string => [...known.keys()].join(', ') || 'none'

export const sessionEnded = (id: string, status: SessionStatus): HoldfastError =>
  new HoldfastError(
    'SESSION_ENDED',
    `session ${id} has ended (${status}) and takes no more events; read its snapshot, or create another session`,
    {
      details: { status },
    },
  )

export const sessionDeleted = (id: string): HoldfastError =>
  new HoldfastError('SESSION_DELETED', `session ${id} has been deleted`)

/** `limit` events of the session wait already. */
export const mailboxFull = (id: string, limit: number): HoldfastError =>
  new HoldfastError('MAILBOX_FULL', `${limit} events of session ${id} are waiting already; await your sends`)

/** `reason` is why it was quarantined. */
export const sessionQuarantined = (id: string, reason: string): HoldfastError =>
  new HoldfastError(
    'SESSION_QUARANTINED',
    `session ${id} is quarantined (${reason}); mend the cause, then release it`,
    {
      details: { id, reason },
    },
  )

/** `outcome` is what holds after it. */
export const decisionFailed = (cause: unknown, outcome = 'the session is as it was'): HoldfastError =>
  new HoldfastError('DECISION_FAILED', `the machine threw while it decided (${messageOf(cause)}); ${outcome}`, {
    cause,
  })

const tooLarge = (message: string, details: Record<string, unknown> = {}): HoldfastError =>
  new HoldfastError('RECORD_TOO_LARGE', message, { details })

export const recordTooLarge = (bytes: number, limit: number): HoldfastError =>
  tooLarge(`the record has ${bytes} bytes, more than ${limit}; keep large data outside the context`)

export const changeTooLarge = (limit: number): HoldfastError =>
  tooLarge(
    `what came or changed is larger than ${limit} characters of JSON; keep large data outside and its address in the context`,
    { limit },
  )

export const closed = (what: 'runtime' | 'journal' | 'audit log'): HoldfastError =>
  new HoldfastError('RUNTIME_CLOSED', `the ${what} is closed; open the runtime again`)

/** `first` is what is left from: a `seq` of a session, or a position of the journal; undefined when nothing is. */
export const historyUnavailable = (what: string, first: number | undefined): HoldfastError =>
  new HoldfastError(
    'HISTORY_UNAVAILABLE',
    first === undefined
      ? `no transition of ${what} is kept any more, only its state`
      : `${what} is kept from ${first} on; what came before has been dropped: ask from there`,
    { details: { first } },
  )

/** What was about to be read has been dropped since; the journal begins at `begin` now. */
export const droppedMeanwhile = (begin: number): HoldfastError =>
  new HoldfastError('HISTORY_UNAVAILABLE', historyUnavailable('the journal', begin).message, {
    details: { first: begin, begin },
  })

export const isDroppedMeanwhile = (error: unknown): boolean =>
  isHoldfastError(error, 'HISTORY_UNAVAILABLE') && error.details.begin !== undefined
