// Why a document cannot be had: one error class, a stable code for each reason.
// `retry` is false where a further attempt finds the same; `details.waitMs` is there where somebody said how long to wait.

/** A stable code for why a document cannot be had. */
export type SourceErrorCode =
  /** there is nothing at that place */
  | 'FILE_NOT_FOUND'
  | 'FILE_IS_DIRECTORY'
  /** a device, a pipe or a socket */
  | 'NOT_A_FILE'
  /** it is there, but may not be read, or the disk fails */
  | 'FILE_NOT_READABLE'
  | 'DOCUMENT_TOO_LARGE'
  /** it is not text, or not in the encoding that it says */
  | 'DOCUMENT_NOT_TEXT'
  /** a kind of source that cannot be read */
  | 'SOURCE_NOT_SUPPORTED'
  /** a page of another content type than HTML, Markdown or plain text */
  | 'CONTENT_TYPE_NOT_SUPPORTED'
  /** the host has a private, loopback or link-local address, and is not among those allowed */
  | 'ADDRESS_NOT_ALLOWED'
  /** it leads from page to page without end, or away from https */
  | 'REDIRECT_REFUSED'
  | 'PAGE_NOT_FOUND'
  /** it asks for a password, or refuses the one that it was given */
  | 'ACCESS_DENIED'
  /** too many requests: `details.waitMs` says how long to wait */
  | 'SOURCE_RATE_LIMITED'
  /** no connection, no answer in time, or a failure over there */
  | 'SOURCE_UNAVAILABLE'
  /** an answer that is not what the interface promises */
  | 'SOURCE_UNREADABLE'
  /** an environment variable is missing: `details.variable` names it */
  | 'SOURCE_NOT_CONFIGURED'

type Details = Readonly<Record<string, string | number>>

const WORTH_ANOTHER_TRY: readonly SourceErrorCode[] = ['SOURCE_UNAVAILABLE', 'FILE_NOT_READABLE']

export class SourceError extends Error {
  override readonly name = 'SourceError'
  readonly code: SourceErrorCode
  readonly details: Details
  readonly retry: boolean

  constructor(code: SourceErrorCode, message: string, details: Details, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
    this.retry = WORTH_ANOTHER_TRY.includes(code)
  }
}

/** Larger documents are refused, in bytes. */
export const LARGEST_DOCUMENT_BYTES: number = 10 * 1024 * 1024

export const tooLarge = (place: string, bytes: number): SourceError =>
  new SourceError(
    'DOCUMENT_TOO_LARGE',
    `${place} has ${bytes} bytes or more, and ${LARGEST_DOCUMENT_BYTES} is the limit: split the document`,
    { path: place, bytes, limit: LARGEST_DOCUMENT_BYTES },
  )

export const notSupported = (source: string, what: string, cause?: unknown): SourceError =>
  new SourceError('SOURCE_NOT_SUPPORTED', what, { source }, cause)
