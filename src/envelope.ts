// Errors as JSON: what a record, a worker message or an event carries instead of an Error instance.
// A round trip keeps name, message, code, stack and own JSON fields; what is not JSON is left out, never thrown.

import { isJson } from './json.js'

/** An error as plain JSON, with whatever own JSON fields it had. */
export interface ErrorEnvelope {
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly stack?: string
  readonly cause?: ErrorEnvelope
  readonly [field: string]: unknown
}

const CAUSES_KEPT = 4

/** Turns anything that was thrown into an envelope. Never throws. */
export function encodeError(error: unknown, depth = 0): ErrorEnvelope {
  try {
    return error instanceof Error || looksLikeError(error) ? ofError(error, depth) : ofAnything(error)
  } catch {
    return { name: 'Error', message: 'what was thrown cannot be read' }
  }
}

function ofError(error: Error, depth: number): ErrorEnvelope {
  const envelope: Record<string, unknown> = { name: String(error.name ?? 'Error'), message: String(error.message) }
  for (const [field, value] of Object.entries(error)) {
    if (field !== 'cause' && field !== 'stack' && !(field in envelope) && value !== undefined && isJson(value)) {
      envelope[field] = value
    }
  }
  if (typeof error.stack === 'string') envelope.stack = error.stack
  if (error.cause !== undefined && depth < CAUSES_KEPT) envelope.cause = encodeError(error.cause, depth + 1)
  return envelope as unknown as ErrorEnvelope
}

const ofAnything = (thrown: unknown): ErrorEnvelope => ({
  name: 'Error',
  message: describe(thrown),
  ...(thrown !== undefined && isJson(thrown) ? { thrown } : {}),
})

/** Turns an envelope back into an Error with the same name, message, code, stack and fields. */
export function decodeError(envelope: ErrorEnvelope): Error {
  const { name, message, stack, cause, ...fields } = envelope
  const error = new Error(message, cause === undefined ? undefined : { cause: decodeError(cause) })
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true })
  if (stack !== undefined) error.stack = stack
  return Object.assign(error, fields)
}

function looksLikeError(value: unknown): value is Error {
  return typeof value === 'object' && value !== null && 'message' in value && 'name' in value
}

function describe(value: unknown): string {
  try {
    return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))
  } catch {
    return String(value)
  }
}
