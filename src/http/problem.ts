// Errors as problem details (RFC 9457): what a caller reads instead of an exception.
// The code is Holdfast's own, its status comes from the one table in `errors.ts`. What went wrong here and has no code is
// told to the log alone: its message may hold anything.

import { type ErrorCode, HoldfastError, isRetryable, statusOf } from '../errors.js'

/** What a caller gets instead of an answer. */
export interface Problem {
  /** `urn:holdfast:problem:SESSION_NOT_FOUND`. */
  readonly type: string
  /** The code in words. */
  readonly title: string
  readonly status: number
  /** What happened, and what to do next. */
  readonly detail: string
  readonly code: ErrorCode
  /** True when the same request may succeed later. */
  readonly retryable: boolean
  /** Facts about it, as JSON. */
  readonly details?: Readonly<Record<string, unknown>>
}

export function problemOf(error: HoldfastError): Problem {
  const { code, message, details } = error
  return {
    type: `urn:holdfast:problem:${code}`,
    title: titleOf(code),
    status: statusOf(code),
    detail: message,
    code,
    retryable: isRetryable(code),
    ...(Object.keys(details).length > 0 && { details }),
  }
}

/** An error as it may be told to whoever called. */
export function tellable(error: unknown, report: (error: unknown) => void): HoldfastError {
  if (error instanceof HoldfastError) return error
  report(error)
  return new HoldfastError('UNEXPECTED', 'something went wrong here that has no code; the log of the server has it')
}

const titleOf = (code: string): string => {
  const words = code.toLowerCase().replaceAll('_', ' ').replace('json', 'JSON')
  return (words[0] as string).toUpperCase() + words.slice(1)
}
