// Sessions and modifications as callers see them: the original's names, `Date`s, and ids that say where a modification is.

import { HoldfastError, type SessionEntry, type SessionSnapshot } from 'holdfast'
import type { KeptModification } from './context.js'
import type { ModificationAction } from './fields.js'
import type { ExecutionMachine, ExecutionStatus, ExecutionValue } from './machine.js'

export interface ExecutionSession {
  readonly id: string
  readonly organizationId: string
  readonly generatedAt: Date
  readonly status: ExecutionStatus
  readonly adminUserId: string
  readonly teamId: string
  readonly planCount: number
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly confirmedAt?: Date
  readonly completedAt?: Date
  readonly cancelledAt?: Date
}

export interface PlanModification {
  readonly id: string
  readonly sessionId: string
  readonly ticketId: string
  readonly userId: string
  readonly action: ModificationAction
  readonly value: string
  readonly timestamp: Date
  readonly processed: boolean
  readonly processedAt?: Date
  readonly error?: string
}

/** What the index has of every session. */
interface Indexed {
  readonly status: ExecutionStatus
  readonly adminUserId: string
  readonly teamId: string
  readonly organizationId: string
  readonly planCount: number
  readonly generatedAt: string
  readonly confirmedAt: string | null
  readonly completedAt: string | null
  readonly cancelledAt: string | null
  readonly modifications: number
  readonly processed: number
  readonly errors: number
  readonly queued: number
  readonly problems: number
}

/** An entry's attributes, typed. */
export const indexed = ({ attributes }: Pick<SessionEntry, 'attributes'>): Indexed => attributes as unknown as Indexed

/** From the index alone: no session is opened. */
export function sessionOf(
  entry: Pick<SessionEntry, 'id' | 'attributes' | 'createdAt' | 'updatedAt'>,
): ExecutionSession {
  const { organizationId, status, adminUserId, teamId, planCount, ...times } = indexed(entry)
  return {
    ...{ id: entry.id, organizationId, status, adminUserId, teamId, planCount },
    generatedAt: new Date(times.generatedAt),
    createdAt: new Date(entry.createdAt),
    updatedAt: new Date(entry.updatedAt),
    ...(times.confirmedAt !== null && { confirmedAt: new Date(times.confirmedAt) }),
    ...(times.completedAt !== null && { completedAt: new Date(times.completedAt) }),
    ...(times.cancelledAt !== null && { cancelledAt: new Date(times.cancelledAt) }),
  }
}

export const statusOf = ({ value }: SessionSnapshot<ExecutionMachine>): ExecutionStatus =>
  (value as ExecutionValue).status

export function modificationOf(sessionId: string, number: number, kept: KeptModification): PlanModification {
  const { ticketId, userId, action, value, timestamp, processed, processedAt, error } = kept
  return {
    ...{ id: modificationId(sessionId, number), sessionId, ticketId, userId, action, value, processed },
    timestamp: new Date(timestamp),
    ...(processedAt !== undefined && { processedAt: new Date(processedAt) }),
    ...(error !== undefined && { error }),
  }
}

const SESSION = 'session_'

/** `mod_<session>_<number>`: from it alone the session is found. */
const modificationId = (sessionId: string, number: number): string =>
  `mod_${sessionId.startsWith(SESSION) ? sessionId.slice(SESSION.length) : `-${sessionId}`}_${number}`

/** Throws SESSION_NOT_FOUND for what is no id of a modification. */
export function placeOf(id: string): { readonly sessionId: string; readonly number: number } {
  const [, session = '', number = '0'] = /^mod_(.+)_([1-9]\d{0,8})$/.exec(id) ?? []
  if (session === '') throw modificationNotFound(id)
  return { sessionId: session.startsWith('-') ? session.slice(1) : `${SESSION}${session}`, number: Number(number) }
}

export const sessionNotFound = (id: string, cause?: unknown): HoldfastError =>
  new HoldfastError('SESSION_NOT_FOUND', `there is no execution session ${id}`, { cause, details: { id } })

export const modificationNotFound = (id: string): HoldfastError =>
  new HoldfastError('SESSION_NOT_FOUND', `there is no modification ${id}`, { details: { id } })
