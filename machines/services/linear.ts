// Linear's own SDK, loaded when first needed: it is an optional peer. Here is how it is called (each call with a time limit
// of its own) and what its errors mean: whether another attempt may help, and how long Linear says to wait. Which error of its own
// a kind throws then, it says itself. Keys are never part of a message or of a record.

import type { LinearClient } from '@linear/sdk'
import { waitOf } from './waiting.js'

type Sdk = typeof import('@linear/sdk')

export interface LinearKeys {
  readonly LINEAR_API_KEY?: string | undefined
  readonly LINEAR_API_URL?: string | undefined
}

/** What has gone wrong, in words that kinds have in common. */
export type LinearFailing =
  | 'NOT_INSTALLED'
  | 'NOT_CONFIGURED'
  | 'UNAUTHORIZED'
  | 'RATE_LIMITED'
  | 'UNAVAILABLE'
  | 'REFUSED'

/** As an error of the kind: `details` has the package, the variable, the status, or `waitMs`. */
export type LinearRefusal = (
  failing: LinearFailing,
  message: string,
  options: { readonly cause?: unknown; readonly details: Record<string, string | number> },
) => Error

export interface LinearOptions {
  /** Ends every call. */
  readonly signal?: AbortSignal | undefined
  /** Of one call, in ms. Default 30,000. */
  readonly timeoutMs?: number
  /** For tests: how the SDK is loaded. */
  readonly load?: () => Promise<Sdk>
}

const TIMEOUT_MS = 30_000

export class Linear {
  readonly #sdk: Sdk
  readonly #access: { readonly apiKey: string; readonly apiUrl?: string }
  readonly #refusal: LinearRefusal
  readonly #options: LinearOptions

  constructor(
    sdk: Sdk,
    access: { readonly apiKey: string; readonly apiUrl?: string },
    refusal: LinearRefusal,
    options: LinearOptions,
  ) {
    this.#sdk = sdk
    this.#access = access
    this.#refusal = refusal
    this.#options = options
  }

  /** One call. Rejects with what the refusal makes of it, or with the reason of `signal`. */
  async call<T>(work: (client: LinearClient) => Promise<T>): Promise<T> {
    const { signal, timeoutMs = TIMEOUT_MS } = this.#options
    signal?.throwIfAborted()
    const deadline = AbortSignal.timeout(timeoutMs)
    const both = signal ? AbortSignal.any([signal, deadline]) : deadline
    try {
      return await work(new this.#sdk.LinearClient({ ...this.#access, signal: both }))
    } catch (error) {
      signal?.throwIfAborted()
      throw refused(this.#refusal, this.#sdk.parseLinearError(error as Error), error, deadline.aborted)
    }
  }

  /** A query of our own, where the SDK's asks for far more than is needed. */
  query<T>(query: string, variables: Record<string, unknown>): Promise<T> {
    return this.call((client) => client.client.request<T, Record<string, unknown>>(query, variables))
  }
}

/** Rejects where there is no key, or no SDK. */
export async function openLinear(keys: LinearKeys, refusal: LinearRefusal, options: LinearOptions): Promise<Linear> {
  const { LINEAR_API_KEY: apiKey, LINEAR_API_URL: apiUrl } = keys
  if (!apiKey) {
    const message = 'LINEAR_API_KEY is not set: make a key in Linear under Settings, API, and set it'
    throw refusal('NOT_CONFIGURED', message, { details: { variable: 'LINEAR_API_KEY' } })
  }
  const sdk = await (options.load ?? (() => import('@linear/sdk')))().catch((cause: unknown) => {
    const message = 'Linear needs the package @linear/sdk: npm install @linear/sdk'
    throw refusal('NOT_INSTALLED', message, { cause, details: { package: '@linear/sdk' } })
  })
  return new Linear(sdk, { apiKey, ...(apiUrl && { apiUrl }) }, refusal, options)
}

/** What the SDK tells of a failure; an error that it does not know has the type `Unknown`. */
interface Failure {
  readonly message: string
  readonly type?: string | undefined
  readonly status?: number | undefined
  readonly raw?: unknown
}

interface RawError {
  readonly response?: {
    readonly headers?: Headers
    readonly errors?: readonly { readonly extensions?: { readonly code?: string; readonly type?: string } }[]
  }
}

const UNAVAILABLE: readonly string[] = ['NetworkError', 'InternalError', 'LockTimeout', 'BootstrapError']

function refused(refusal: LinearRefusal, failure: Failure, cause: unknown, late: boolean): Error {
  const { message, status, raw } = failure
  const failing = failingIn(failure)
  const details = { ...(status !== undefined && { status }) }
  switch (failing) {
    case 'RATE_LIMITED': {
      const waitMs = waitOf((raw as RawError | undefined)?.response?.headers)
      const text = `Linear asks to wait for ${Math.ceil(waitMs / 1000)} s`
      return refusal(failing, text, { cause, details: { ...details, waitMs } })
    }
    case 'UNAUTHORIZED':
      return refusal(failing, 'Linear does not accept LINEAR_API_KEY: make a new one', { cause, details })
    case 'UNAVAILABLE': {
      // `fetch failed` says nothing; what it hides does.
      const hidden = (raw as { cause?: { code?: string } } | undefined)?.cause?.code
      const why = late ? 'no answer in time' : hidden || message
      return refusal(failing, `Linear cannot be reached (${why})`, { cause, details })
    }
    default:
      return refusal(failing, `Linear has refused a call: ${message}`, { cause, details })
  }
}

/** Linear limits with HTTP 400 and a code of its own; the SDK takes any 4xx without a type for a matter of the key. */
function failingIn({ type = 'Unknown', status, raw }: Failure): LinearFailing {
  const { code, type: given } = (raw as RawError | undefined)?.response?.errors?.[0]?.extensions ?? {}
  if (code === 'RATELIMITED' || status === 429) return 'RATE_LIMITED'
  if (status === undefined || status >= 500) return 'UNAVAILABLE'
  if (type === 'AuthenticationError') {
    return status !== 401 && given === undefined ? 'REFUSED' : 'UNAUTHORIZED'
  }
  // An answer that is no answer of Linear's comes from something in between.
  const isForeign = type === 'Unknown' && status < 400
  return isForeign || UNAVAILABLE.includes(type) ? 'UNAVAILABLE' : 'REFUSED'
}
