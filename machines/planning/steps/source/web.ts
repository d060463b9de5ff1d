// One HTTP request for a document, within limits: of size, time, redirects and content, and of where it may go
// (`addresses.ts`). Each hop is checked as the first is; credentials go to the origin that they are for, and nowhere else.

import { type IncomingMessage, type RequestOptions, request as requestPlain } from 'node:http'
import { request as requestSecure } from 'node:https'
import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { guardedLookup, type Resolve } from './addresses.js'
import { LARGEST_DOCUMENT_BYTES, SourceError, tooLarge } from './errors.js'

export interface Access {
  /** Hosts that may have private addresses. */
  readonly allowHosts: readonly string[]
  /** Ends the request. */
  readonly signal?: AbortSignal | undefined
  /** For one's own origin only: no redirect is followed with it. */
  readonly authorization?: string
  readonly accept?: string
  /** In ms, for the whole of it. Default 30,000. */
  readonly timeoutMs?: number
  /** For tests: how names are resolved. */
  readonly resolve?: Resolve
}

export interface Answer {
  /** Where it came from, after redirects. */
  readonly url: URL
  /** Lower case, without parameters; empty when the server did not say. */
  readonly contentType: string
  readonly charset: string | undefined
  readonly body: Uint8Array
}

const TIMEOUT_MS = 30_000
const MOST_REDIRECTS = 5
const LONGEST_WAIT_MS = 3_600_000
const DEFAULT_WAIT_MS = 60_000
const ACCEPT = 'text/html, application/xhtml+xml, text/markdown, text/plain;q=0.9'

/** Gets a page. Throws SourceError, or the reason of `signal`. */
export async function get(source: URL, access: Access): Promise<Answer> {
  const deadline = AbortSignal.timeout(access.timeoutMs ?? TIMEOUT_MS)
  const signal = access.signal ? AbortSignal.any([access.signal, deadline]) : deadline
  let url = source
  try {
    for (let hops = 0; ; hops++) {
      const response = await open(url, access, signal)
      const next = redirectOf(response, url)
      if (next === undefined) return await read(response, url)
      response.destroy()
      if (hops === MOST_REDIRECTS) throw refused(source, `leads on more than ${MOST_REDIRECTS} times`)
      if (access.authorization !== undefined) throw refused(url, `leads to ${next.host}, and its token must not`)
      if (url.protocol === 'https:' && next.protocol !== 'https:')
        throw refused(url, `leads away from https to ${next}`)
      url = next
    }
  } catch (error) {
    access.signal?.throwIfAborted()
    throw failureOf(url, error, deadline)
  }
}

function open(url: URL, access: Access, signal: AbortSignal): Promise<IncomingMessage> {
  if (!/^https?:$/.test(url.protocol)) throw refused(url, 'is not an http or https URL')
  const { allowHosts, authorization, accept = ACCEPT, resolve } = access
  const options: RequestOptions = {
    agent: false, // a connection of its own, to an address that was checked for it
    lookup: guardedLookup(url, allowHosts, resolve),
    signal,
    headers: {
      accept,
      'accept-encoding': 'identity',
      'user-agent': 'holdfast-planning',
      ...(authorization !== undefined && { authorization }),
    },
  }
  return new Promise((answered, reject) => {
    const sent =
      url.protocol === 'https:' ? requestSecure(url, options, answered) : requestPlain(url, options, answered)
    sent.on('error', reject).end()
  })
}

function redirectOf({ statusCode = 0, headers }: IncomingMessage, url: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) return undefined
  if (!URL.canParse(headers.location, url.href)) throw refused(url, 'leads to a place that is not a URL')
  return new URL(headers.location, url)
}

async function read(response: IncomingMessage, url: URL): Promise<Answer> {
  const { statusCode = 0, headers } = response
  if (statusCode !== 200) {
    response.destroy()
    throw statusFailure(url, statusCode, headers['retry-after'])
  }
  const [type = '', ...parameters] = (headers['content-type'] ?? '').split(';')
  const charset = parameters.map((each) => /^\s*charset\s*=\s*"?([^"\s]+)/i.exec(each)?.[1]).find((each) => each)
  return { url, contentType: type.trim().toLowerCase(), charset, body: await bodyOf(response, url) }
}

async function bodyOf(response: IncomingMessage, url: URL): Promise<Uint8Array> {
  const promised = Number(response.headers['content-length'] ?? 0)
  if (promised > LARGEST_DOCUMENT_BYTES) {
    response.destroy()
    throw tooLarge(url.href, promised)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of unpacked(response) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > LARGEST_DOCUMENT_BYTES) {
      response.destroy()
      throw tooLarge(url.href, bytes)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Some servers pack what nobody asked them to. */
function unpacked(response: IncomingMessage): Readable {
  const unpack = { gzip: createGunzip, 'x-gzip': createGunzip, deflate: createInflate, br: createBrotliDecompress }[
    (response.headers['content-encoding'] ?? '').toLowerCase()
  ]
  if (unpack === undefined) return response
  const stream = unpack()
  response.on('error', (error) => stream.destroy(error))
  return response.pipe(stream)
}

const refused = (url: URL, what: string): SourceError =>
  new SourceError('REDIRECT_REFUSED', `${url.href} ${what}: give the URL of the document itself`, { url: url.href })

function statusFailure(url: URL, status: number, retryAfter: string | undefined): SourceError {
  const details = { url: url.href, status }
  if (status === 404 || status === 410) {
    return new SourceError(
      'PAGE_NOT_FOUND',
      `There is no page at ${url.href}: check the source of the session`,
      details,
    )
  }
  if (status === 401 || status === 403 || status === 407) {
    const text = `${url.host} does not give ${url.pathname} to us (${status}): check the token and what it may read`
    return new SourceError('ACCESS_DENIED', text, details)
  }
  if (status === 429) {
    const waitMs = waitOf(retryAfter)
    const text = `${url.host} asks to wait for ${Math.ceil(waitMs / 1000)} s`
    return new SourceError('SOURCE_RATE_LIMITED', text, { ...details, waitMs })
  }
  if (status >= 500) return new SourceError('SOURCE_UNAVAILABLE', `${url.host} has failed with ${status}`, details)
  return new SourceError('SOURCE_UNREADABLE', `${url.host} has answered with ${status}, and no document`, details)
}

/** `Retry-After` is seconds, or a date. */
function waitOf(header: string | undefined): number {
  if (header === undefined) return DEFAULT_WAIT_MS
  const ms = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 1_000), LONGEST_WAIT_MS) : DEFAULT_WAIT_MS
}

function failureOf(url: URL, error: unknown, deadline: AbortSignal): unknown {
  if (error instanceof SourceError) return error
  const { code = '', message = String(error) } = error as { code?: string; message?: string }
  const why = deadline.aborted ? 'no answer in time' : code || message
  return new SourceError(
    'SOURCE_UNAVAILABLE',
    `${url.host} cannot be reached (${why})`,
    { url: url.href, reason: why },
    error,
  )
}
