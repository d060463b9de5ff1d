// How the façade asks the runtime: every entry of a filter, page by page, and refusals as values. What is nobody's answer
// (a disk that failed, a runtime that is closed) stays an error and is thrown.

import { type ErrorCode, isHoldfastError, type Runtime, type SessionEntry, type SessionFilter } from 'holdfast'
import { type Refused, refused } from './result.js'

/** Why a call was refused. */
export type AgentRefusal =
  /** There is no such session, it has terminated, or there is no such conversation. */
  | 'not_found'
  | 'already_exists'
  /** What was given is not valid: `message` names the field. */
  | 'invalid'
  /** The session could not start: `message` says why. */
  | 'start_failed'
  /** The session has as many conversations as it may. */
  | 'max_conversations'
  /** What it is at does not allow it: `message` names that, and what it would accept. */
  | 'not_accepted'

const refusals: { readonly [code in ErrorCode]?: AgentRefusal } = {
  SESSION_NOT_FOUND: 'not_found',
  SESSION_DELETED: 'not_found',
  KIND_MISMATCH: 'not_found',
  SESSION_ENDED: 'not_found',
  SESSION_EXISTS: 'already_exists',
  INVALID_ID: 'invalid',
  INVALID_INPUT: 'invalid',
  INVALID_EVENT: 'invalid',
  NOT_JSON: 'invalid',
  NOT_ACCEPTED: 'not_accepted',
}

/** Runs a call; what the runtime refuses becomes a value. */
export async function answered<T>(call: () => Promise<T>): Promise<T | Refused<AgentRefusal>> {
  try {
    return await call()
  } catch (error) {
    const why = isHoldfastError(error) ? refusals[error.code] : undefined
    if (why === undefined) throw error
    return refused(why, (error as Error).message)
  }
}

/** An id that names no session of the kind, whatever it is. */
export const isAbsent = (error: unknown): boolean =>
  isHoldfastError(error, 'SESSION_NOT_FOUND', 'SESSION_DELETED', 'KIND_MISMATCH', 'INVALID_ID')

const PAGE = 1_000

/** Every session that matches, in the order of creation. */
export function* entriesOf(runtime: Runtime, filter: SessionFilter): Generator<SessionEntry> {
  let cursor: string | undefined
  do {
    const page = runtime.sessions.list(filter, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    yield* page.sessions
    cursor = page.cursor
  } while (cursor !== undefined)
}
