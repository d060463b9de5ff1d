// The one error class: every code leads to one HTTP status and one exit code, all of them documented ones.

import { expect, test } from 'vitest'
import { type ErrorCode, exitCodeOf, HoldfastError, isHoldfastError, statusOf } from '../src/errors.js'

/** Every code: the compiler refuses a list that lacks one or has one too many. */
const codes = Object.keys({
  NOT_ACCEPTED: 0,
  NOT_ALLOWED: 0,
  INVALID_EVENT: 0,
  INVALID_INPUT: 0,
  NOT_JSON: 0,
  CONTEXT_MUTATED: 0,
  DECISION_FAILED: 0,
  DECISION_ENDLESS: 0,
  INVALID_ID: 0,
  AMBIGUOUS_ID: 0,
  INVALID_ARGUMENT: 0,
  INVALID_KIND: 0,
  ACTOR_NOT_DURABLE: 0,
  CHILD_ID_REQUIRED: 0,
  UNKNOWN_KIND: 0,
  KIND_MISMATCH: 0,
  SESSION_NOT_FOUND: 0,
  TRANSITION_NOT_FOUND: 0,
  FORK_HAS_CHILDREN: 0,
  SESSION_EXISTS: 0,
  SESSION_ENDED: 0,
  SESSION_FAILED: 0,
  SESSION_DELETED: 0,
  SESSION_CANCELLED: 0,
  SESSION_PARKED: 0,
  SESSION_QUARANTINED: 0,
  DEAD_LETTER_NOT_FOUND: 0,
  IDEMPOTENCY_CONFLICT: 0,
  MAILBOX_FULL: 0,
  OVERLOADED: 0,
  ABORTED: 0,
  TIMEOUT: 0,
  VERSION_NEWER: 0,
  MIGRATION_MISSING: 0,
  MIGRATION_FAILED: 0,
  STATE_UNKNOWN: 0,
  CONTEXT_INVALID: 0,
  ACTOR_MISSING: 0,
  REPLAY_DIFFERS: 0,
  NOT_DETERMINISTIC: 0,
  STEP_NOT_FOUND: 0,
  STEP_MODULE_FAILED: 0,
  STEP_TIMEOUT: 0,
  STEP_QUEUE_TIMEOUT: 0,
  STEP_CRASHED: 0,
  STEP_OUTPUT_NOT_JSON: 0,
  SECRET_UNKNOWN: 0,
  POOL_CLOSED: 0,
  POOL_FULL: 0,
  OBSERVER_OVERFLOW: 0,
  HISTORY_UNAVAILABLE: 0,
  RUNTIME_CLOSED: 0,
  READ_ONLY: 0,
  OUTCOME_UNKNOWN: 0,
  JOURNAL_FAILED: 0,
  AUDIT_FAILED: 0,
  JOURNAL_CORRUPT: 0,
  RECORD_TOO_LARGE: 0,
  SECRET_EXPOSED: 0,
  SNAPSHOT_CORRUPT: 0,
  BACKUP_CORRUPT: 0,
  DIRECTORY_NOT_EMPTY: 0,
  FORMAT_NEWER: 0,
  DIRECTORY_LOCKED: 0,
  DIRECTORY_NOT_FOUND: 0,
  DIRECTORY_NOT_READABLE: 0,
  DIRECTORY_NOT_WRITABLE: 0,
  DISK_FULL: 0,
  DISK_FAILED: 0,
  FILE_NOT_FOUND: 0,
  PORT_IN_USE: 0,
  PACKAGE_MISSING: 0,
  TOKEN_REQUIRED: 0,
  HOST_REFUSED: 0,
  ORIGIN_REFUSED: 0,
  ROUTE_NOT_FOUND: 0,
  METHOD_NOT_ALLOWED: 0,
  REQUEST_TOO_LARGE: 0,
  REQUEST_TOO_DEEP: 0,
  MEDIA_TYPE_REFUSED: 0,
  RATE_LIMITED: 0,
  TOO_MANY_SESSIONS: 0,
  TOO_MANY_STREAMS: 0,
  UNEXPECTED: 0,
  SERVER_UNREACHABLE: 0,
  CHECK_FAILED: 0,
  SIMULATION_FAILED: 0,
} satisfies Record<ErrorCode, 0>) as ErrorCode[]

test('every code has an HTTP status of an error', () => {
  for (const code of codes) {
    expect(Number.isInteger(statusOf(code)), code).toBe(true)
    expect(statusOf(code), code).toBeGreaterThanOrEqual(400)
    expect(statusOf(code), code).toBeLessThan(600)
  }
})

test('every code has one of the documented exit codes of failure', () => {
  for (const code of codes) expect([1, 2, 3, 4, 5, 6, 7, 130], code).toContain(exitCodeOf(code))
})

test('what a caller did wrong is a 4xx, what went wrong here a 5xx, and no exit code says otherwise', () => {
  for (const code of codes) {
    const fault = statusOf(code) < 500 ? 'caller' : 'here'
    if (fault === 'here') expect(exitCodeOf(code), code).toBe(1)
  }
})

test('bad usage exits with 2, what is missing with 3, a conflict with 6, an abort with 7', () => {
  const expected: readonly (readonly [number, number])[] = [
    [400, 2],
    [404, 3],
    [410, 3],
    [409, 6],
    [499, 7],
  ]
  for (const code of codes) {
    const row = expected.find(([status]) => status === statusOf(code))
    if (row) expect(exitCodeOf(code), code).toBe(row[1])
  }
})

test('an error carries its code, its message, its details and its cause', () => {
  const cause = new Error('EIO')
  const error = new HoldfastError('DISK_FAILED', 'mend it', { cause, details: { file: 'a' } })
  expect(error).toBeInstanceOf(Error)
  expect(error).toMatchObject({
    name: 'HoldfastError',
    code: 'DISK_FAILED',
    message: 'mend it',
    details: { file: 'a' },
  })
  expect(error.cause).toBe(cause)
  expect(String(error)).toBe('HoldfastError: mend it')
})

test('an error without details has empty ones, and one without a cause has no such property', () => {
  const error = new HoldfastError('ABORTED', 'x')
  expect(error.details).toEqual({})
  expect(Object.hasOwn(error, 'cause')).toBe(false)
  expect(Object.hasOwn(new HoldfastError('ABORTED', 'x', { cause: undefined }), 'cause')).toBe(true)
})

test('an error is told by its codes, and other errors are not ours, whatever they carry', () => {
  const error = new HoldfastError('SESSION_ENDED', 'x')
  expect(isHoldfastError(error)).toBe(true)
  expect(isHoldfastError(error, 'SESSION_ENDED')).toBe(true)
  expect(isHoldfastError(error, 'ABORTED', 'SESSION_ENDED')).toBe(true)
  expect(isHoldfastError(error, 'ABORTED')).toBe(false)
  expect(isHoldfastError(Object.assign(new Error('x'), { code: 'SESSION_ENDED' }))).toBe(false)
  expect(isHoldfastError(undefined)).toBe(false)
})
