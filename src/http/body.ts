// The body of a request as JSON: read only as far as is allowed, and looked at before anything walks it.

import { HoldfastError } from '../errors.js'

export interface BodyLimits {
  /** Bytes that a body may have. */
  readonly bodyBytes: number
  /** How many objects and arrays may be inside each other. */
  readonly bodyDepth: number
}

const FIRST_BYTES = 4096

/** Undefined for no body. Throws MEDIA_TYPE_REFUSED, REQUEST_TOO_LARGE, REQUEST_TOO_DEEP, NOT_JSON or ABORTED. */
export async function jsonOf(request: Request, limits: BodyLimits): Promise<unknown> {
  const bytes = await bytesOf(request, limits.bodyBytes)
  if (bytes.length === 0) return undefined
  if (!/^application\/json *(;|$)/i.test(request.headers.get('content-type') ?? '')) {
    throw new HoldfastError('MEDIA_TYPE_REFUSED', 'a body is JSON, with the header content-type: application/json')
  }
  const text = textOf(bytes)
  if (isDeeper(text, limits.bodyDepth)) {
    throw new HoldfastError(
      'REQUEST_TOO_DEEP',
      `a body has at most ${limits.bodyDepth} objects and arrays inside each other`,
    )
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new HoldfastError('NOT_JSON', `the body is not JSON: ${(cause as Error).message}`, { cause })
  }
}

async function bytesOf(request: Request, limit: number): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length')) > limit) throw tooLarge(limit)
  if (!request.body) return new Uint8Array()
  let bytes = new Uint8Array(FIRST_BYTES)
  let size = 0
  try {
    for await (const chunk of request.body) {
      const needed = size + chunk.length
      if (needed > limit) throw tooLarge(limit) // leaving the loop cancels the rest
      // Copied together as they come: a chunk of one byte, kept, would take a hundred.
      if (needed > bytes.length) bytes = grown(bytes, Math.max(needed, Math.min(bytes.length * 2, limit)))
      bytes.set(chunk, size)
      size = needed
    }
  } catch (cause) {
    if (cause instanceof HoldfastError) throw cause
    throw new HoldfastError('ABORTED', 'the body ended before it was whole', { cause })
  }
  return bytes.subarray(0, size)
}

function grown(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length)
  larger.set(bytes)
  return larger
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new HoldfastError('NOT_JSON', 'the body is not UTF-8', { cause })
  }
}

/** Told by its brackets alone: whoever parses it, or walks what comes out, is spared. */
function isDeeper(text: string, limit: number): boolean {
  let depth = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (quoted) {
      if (unit === BACKSLASH) at++
      else if (unit === QUOTE) quoted = false
    } else if (unit === QUOTE) quoted = true
    else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      if (++depth > limit) return true
    } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth--
  }
  return false
}

const [QUOTE, BACKSLASH, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [34, 92, 91, 93, 123, 125]

const tooLarge = (limit: number): HoldfastError =>
  new HoldfastError('REQUEST_TOO_LARGE', `a body has at most ${limit} bytes`, { details: { limit } })
