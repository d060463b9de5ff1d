// The one error class of Holdfast, and the one table of its codes.
// A code is stable and says what kind of thing went wrong; the message says what to do next; `cause` keeps the original.
// Exit codes (CLI) and statuses (HTTP) are columns of the same table, so the doors never disagree; what may be tried again
// is a list beside it.

/** code -> [HTTP status, exit code] */
const table = {
  // what a caller asked for
  NOT_ACCEPTED: [409, 6],
  NOT_ALLOWED: [403, 1],
  INVALID_EVENT: [400, 2],
  INVALID_INPUT: [400, 2],
  NOT_JSON: [400, 2],
  CONTEXT_MUTATED: [500, 1],
  DECISION_FAILED: [500, 1],
  DECISION_ENDLESS: [500, 1],
  INVALID_ID: [400, 2],
  AMBIGUOUS_ID: [400, 2],
  INVALID_ARGUMENT: [400, 2],
  INVALID_KIND: [500, 1],
  ACTOR_NOT_DURABLE: [500, 1],
  CHILD_ID_REQUIRED: [500, 1],
  UNKNOWN_KIND: [404, 3],
  KIND_MISMATCH: [409, 6],
  SESSION_NOT_FOUND: [404, 3],
  TRANSITION_NOT_FOUND: [404, 3],
  FORK_HAS_CHILDREN: [409, 6],
  SESSION_EXISTS: [409, 6],
  SESSION_ENDED: [409, 6],
  SESSION_FAILED: [500, 1],
  SESSION_DELETED: [404, 3],
  SESSION_CANCELLED: [499, 7],
  SESSION_PARKED: [409, 6],
  SESSION_QUARANTINED: [409, 6],
  DEAD_LETTER_NOT_FOUND: [404, 3],
  IDEMPOTENCY_CONFLICT: [409, 6],
  MAILBOX_FULL: [429, 1],
  OVERLOADED: [503, 1],
  ABORTED: [499, 7],
  TIMEOUT: [504, 1],
  // what is stored, and the code of today
  VERSION_NEWER: [409, 6],
  MIGRATION_MISSING: [409, 6],
  MIGRATION_FAILED: [500, 1],
  STATE_UNKNOWN: [409, 6],
  CONTEXT_INVALID: [409, 6],
  ACTOR_MISSING: [409, 6],
  REPLAY_DIFFERS: [500, 1],
  NOT_DETERMINISTIC: [500, 1],
  // steps
  STEP_NOT_FOUND: [500, 1],
  STEP_MODULE_FAILED: [500, 1],
  STEP_TIMEOUT: [504, 1],
  STEP_QUEUE_TIMEOUT: [504, 1],
  STEP_CRASHED: [500, 1],
  STEP_OUTPUT_NOT_JSON: [500, 1],
  SECRET_UNKNOWN: [500, 1],
  POOL_CLOSED: [503, 1],
  POOL_FULL: [503, 1],
  // observers
  OBSERVER_OVERFLOW: [503, 1],
  HISTORY_UNAVAILABLE: [410, 3],
  // storage and the runtime
  RUNTIME_CLOSED: [503, 1],
  READ_ONLY: [503, 1],
  OUTCOME_UNKNOWN: [503, 1],
  JOURNAL_FAILED: [503, 1],
  AUDIT_FAILED: [503, 1],
  JOURNAL_CORRUPT: [500, 1],
  RECORD_TOO_LARGE: [413, 1],
  SECRET_EXPOSED: [500, 1],
  SNAPSHOT_CORRUPT: [500, 1],
  BACKUP_CORRUPT: [500, 1],
  FORMAT_NEWER: [500, 1],
  DIRECTORY_LOCKED: [409, 6],
  DIRECTORY_NOT_FOUND: [404, 3],
  DIRECTORY_NOT_READABLE: [500, 1],
  DIRECTORY_NOT_EMPTY: [409, 6],
  DIRECTORY_NOT_WRITABLE: [500, 1],
  DISK_FULL: [507, 1],
  DISK_FAILED: [500, 1],
  FILE_NOT_FOUND: [404, 3],
  PORT_IN_USE: [409, 6],
  PACKAGE_MISSING: [500, 1],
  // what only HTTP refuses
  TOKEN_REQUIRED: [401, 1],
  HOST_REFUSED: [421, 1],
  ORIGIN_REFUSED: [403, 1],
  ROUTE_NOT_FOUND: [404, 3],
  METHOD_NOT_ALLOWED: [405, 2],
  REQUEST_TOO_LARGE: [413, 1],
  REQUEST_TOO_DEEP: [413, 1],
  MEDIA_TYPE_REFUSED: [415, 2],
  RATE_LIMITED: [429, 1],
  TOO_MANY_SESSIONS: [429, 1],
  TOO_MANY_STREAMS: [429, 1],
  UNEXPECTED: [500, 1],
  // what only a client meets
  SERVER_UNREACHABLE: [503, 1],
  // checks of a kind, and simulations
  CHECK_FAILED: [500, 1],
  SIMULATION_FAILED: [500, 1],
} as const

/** The same call may succeed later without anybody changing what it asks for. */
const retryable: ReadonlySet<string> = new Set<keyof typeof table>([
  'DIRECTORY_LOCKED',
  'DISK_FULL',
  'DISK_FAILED',
  'JOURNAL_FAILED',
  'MAILBOX_FULL',
  'OUTCOME_UNKNOWN',
  'OVERLOADED',
  'POOL_FULL',
  'PORT_IN_USE',
  'RATE_LIMITED',
  'READ_ONLY',
  'RUNTIME_CLOSED',
  'SERVER_UNREACHABLE',
  'STEP_CRASHED',
  'STEP_QUEUE_TIMEOUT',
  'STEP_TIMEOUT',
  'TOO_MANY_SESSIONS',
  'TOO_MANY_STREAMS',
])

/** A stable error code; see the table in `errors.ts`. */
export type ErrorCode = keyof typeof table

/** Every error that Holdfast throws on purpose. `code` is stable; `message` says what to do next. */
export class HoldfastError extends Error {
  override readonly name = 'HoldfastError'
  readonly code: ErrorCode
  /** Facts about the error as JSON: the path that is not JSON, the events that would be accepted, … */
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
  }
}

/** What was thrown, in words. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The HTTP status for a code. */
export const statusOf = (code: ErrorCode): number => table[code][0]

/** The process exit code for a code. */
export const exitCodeOf = (code: ErrorCode): number => table[code][1]

/** True for a code whose call may succeed later without anybody changing what it asks for. */
export const isRetryable = (code: string): boolean => retryable.has(code)

/** True for a HoldfastError, with one of the given codes if any are given. */
export const isHoldfastError = (error: unknown, ...codes: ErrorCode[]): error is HoldfastError =>
  error instanceof HoldfastError && (codes.length === 0 || codes.includes(error.code))
