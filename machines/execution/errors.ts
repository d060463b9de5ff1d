// The errors of the services outside: each has a stable code, a message that says what to do next, and the facts.

/** A stable code for what a service refuses. */
export type ServiceErrorCode =
  /** it needs a package that is not installed: `details.package` names it */
  | 'SERVICE_NOT_INSTALLED'
  /** an environment variable is missing: `details.variable` names it */
  | 'SERVICE_NOT_CONFIGURED'
  /** its key is wrong, or gone */
  | 'SERVICE_UNAUTHORIZED'
  /** too many requests: `details.waitMs` says how long to wait */
  | 'SERVICE_RATE_LIMITED'
  /** no connection, no answer in time, or a failure over there: nobody knows whether the call has acted */
  | 'SERVICE_UNAVAILABLE'
  /** it does not take what it was given */
  | 'SERVICE_REFUSED'
  /** it has no such ticket, state or person: `details` names it */
  | 'SERVICE_NOT_FOUND'
  /** its data cannot be read as what it was written as; nothing is overwritten */
  | 'SERVICE_CORRUPT'

/** What a service throws. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
  readonly code: ServiceErrorCode
  /** Facts as JSON. */
  readonly details: Readonly<Record<string, string | number>>
  /** False when a further attempt would find the same. */
  readonly retry: boolean

  constructor(
    code: ServiceErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, string | number> } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
    this.retry = code === 'SERVICE_UNAVAILABLE'
  }
}

/** True for an error that is about what was asked for, and would be the same at any time. */
export const isAboutRequest = (error: unknown): error is ServiceError =>
  error instanceof ServiceError && (error.code === 'SERVICE_REFUSED' || error.code === 'SERVICE_NOT_FOUND')

/** How long a service says to wait, in ms. */
export function waitIn(error: unknown): number | undefined {
  const { code, details } = (error ?? {}) as Partial<ServiceError>
  return code === 'SERVICE_RATE_LIMITED' && typeof details?.waitMs === 'number' ? details.waitMs : undefined
}
