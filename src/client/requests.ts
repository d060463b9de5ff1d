// Requests to a server, and what they come to: JSON, or the error that the runtime there has thrown, with its code.
// What can be asked twice without harm is asked again while the server cannot be reached, so that it may be killed and
// started meanwhile; whatever else is lost on the way is OUTCOME_UNKNOWN.

import { abortable, refuseAborted } from '../abort.js'
import type { Clock } from '../clock.js'
import { type ErrorCode, HoldfastError } from '../errors.js'
import { type TraceHeaders, traceContextOf } from '../trace-context.js'
import type { Tracing } from '../tracing.js'

export interface Request {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly query?: { readonly [name: string]: string | number | boolean | undefined }
  readonly body?: unknown
  /** With a key, the same request does nothing again. */
  readonly idempotencyKey?: string
  /** The trace that the caller says it belongs to. */
  readonly trace?: TraceHeaders
  readonly signal?: AbortSignal
}

export interface Server {
  /** Without a slash at the end. */
  readonly url: string
  readonly token: string | undefined
  readonly fetch: typeof fetch
  readonly clock: Clock
  /** For how long a server that cannot be reached is tried again. */
  readonly retryMs: number
  /** Knows in which trace whoever calls is. */
  readonly tracing: Pick<Tracing, 'active'> | undefined
  /** Aborts when the client is closed. */
  readonly closing: AbortSignal
}

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2000

/** How long to wait before the next of some tries. */
export const pauseMs = (tries: number): number => Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS)

export class Requests {
  readonly server: Server
  /** Streams that have been asked for, and have not begun: what is asked for later waits for them. */
  readonly #opening: Set<Promise<unknown>> = new Set()

  constructor(server: Server) {
    this.server = server
  }

  /** What a route answers. Rejects with what it refuses, SERVER_UNREACHABLE, OUTCOME_UNKNOWN or ABORTED. */
  async json<T>(request: Request): Promise<T> {
    const { signal } = request
    refuseAborted(signal)
    if (this.#opening.size > 0) await abortable(Promise.allSettled(this.#opening), signal)
    const { clock, retryMs } = this.server
    const began = clock.elapsed()
    const again = request.method === 'GET' || request.idempotencyKey !== undefined
    for (let tries = 0; ; tries++) {
      try {
        const response = await this.fetch(request)
        return (response.status === 204 ? undefined : await response.json()) as T
      } catch (error) {
        const failure = this.#failure(error, request, again)
        if (!again || !isPassing(failure) || clock.elapsed() - began + pauseMs(tries) > retryMs) throw failure
        await this.pause(pauseMs(tries), signal)
      }
    }
  }

  /** A response that is not a refusal. Rejects with the refusal, or with what `fetch` does when there is no answer. */
  async fetch(
    { method, path, query = {}, body, idempotencyKey, trace, signal }: Request,
    accept?: string,
  ): Promise<Response> {
    const { url, token, fetch, tracing, closing } = this.server
    const words = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
    )
    const response = await fetch(`${url}${path}${words.length > 0 ? `?${words.join('&')}` : ''}`, {
      method,
      headers: {
        ...(accept !== undefined && { accept }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
        ...(traceContextOf(trace ?? {}) ?? tracing?.active()),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: signal ? AbortSignal.any([signal, closing]) : closing,
    })
    if (response.ok) return response
    throw await refusalOf(response)
  }

  /** What is asked for from now on waits until this has come to something. */
  open(opening: Promise<unknown>): void {
    this.#opening.add(opening)
    void opening.catch(() => {}).finally(() => this.#opening.delete(opening))
  }

  /** Rejects with ABORTED when the signal aborts, or the client is closed. */
  pause(ms: number, signal?: AbortSignal): Promise<void> {
    const { clock, closing } = this.server
    let cancel = (): void => {}
    const waited = new Promise<void>((resolve) => {
      cancel = clock.setTimeout(resolve, ms)
    })
    return abortable(waited, signal ? AbortSignal.any([signal, closing]) : closing).finally(() => cancel())
  }

  #failure(error: unknown, { method, path, signal }: Request, again: boolean): HoldfastError {
    if (error instanceof HoldfastError) return error
    if (signal?.aborted || this.server.closing.aborted) {
      return new HoldfastError('ABORTED', 'the call was given up; what was sent may still happen', { cause: error })
    }
    const what = `${method} ${path}: ${this.server.url} could not be reached, or did not answer to the end`
    if (again)
      return new HoldfastError('SERVER_UNREACHABLE', `${what}; is \`holdfast serve\` running?`, { cause: error })
    return new HoldfastError('OUTCOME_UNKNOWN', `${what}; look whether it happened before trying again`, {
      cause: error,
    })
  }
}

/** What may be otherwise in a moment. A request that is asked again has its key, so an unknown outcome becomes known. */
const PASSING: readonly ErrorCode[] = [
  'SERVER_UNREACHABLE',
  'RUNTIME_CLOSED',
  'OVERLOADED',
  'RATE_LIMITED',
  'OUTCOME_UNKNOWN',
]

export const isPassing = ({ code }: HoldfastError): boolean => PASSING.includes(code)

/** The error that a problem tells of; SERVER_UNREACHABLE for what something on the way has answered. */
async function refusalOf(response: Response): Promise<HoldfastError> {
  const problem = await response.json().catch(() => undefined)
  return (
    errorOf(problem) ??
    new HoldfastError('SERVER_UNREACHABLE', `something that is not Holdfast answered with ${response.status}`)
  )
}

/** A problem as the error that it was. */
export function errorOf(problem: unknown): HoldfastError | undefined {
  const { code, detail, details } = (problem ?? {}) as {
    code?: ErrorCode
    detail?: string
    details?: Record<string, unknown>
  }
  if (code === undefined || detail === undefined) return undefined
  return new HoldfastError(code, detail, { ...(details && { details }) })
}
