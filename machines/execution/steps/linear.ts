// Linear's own SDK, loaded when first needed: it is an optional peer. Here is how it is called (each call with a time limit
// of its own) and what its errors mean: whether another attempt may help, and how long Linear says to wait.
// Keys are read where they are used; they are never part of a message or of a record.

import type { LinearClient } from '@linear/sdk'
import { keysOf } from '../connections.js'
import { ServiceError, type ServiceErrorCode } from '../errors.js'
import { waitOf } from './waiting.js'

type Sdk = typeof import('@linear/sdk')

export interface LinearOptions {
  /** Ends every call. */
  readonly signal?: AbortSignal
  /** Of one call, in ms. Default 30,000. */
  readonly timeoutMs?: number
  /** For tests: how the SDK is loaded. */
  readonly load?: () => Promise<Sdk>
}

const TIMEOUT_MS = 30_000

export class Linear {
  readonly #sdk: Sdk
  readonly #access: { readonly apiKey: string; readonly apiUrl?: string }
  readonly #options: LinearOptions

  constructor(sdk: Sdk, access: { readonly apiKey: string; readonly apiUrl?: string }, options: LinearOptions) {
    this.#sdk = sdk
    this.#access = access
    this.#options = options
  }

  /** One call. Rejects with a ServiceError, or with the reason of `signal`. */
  async call<T>(work: (client: LinearClient) => Promise<T>): Promise<T> {
    const { signal, timeoutMs = TIMEOUT_MS } = this.#options
    signal?.throwIfAborted()
    const deadline = AbortSignal.timeout(timeoutMs)
    const both = signal ? AbortSignal.any([signal, deadline]) : deadline
    try {
      return await work(new this.#sdk.LinearClient({ ...this.#access, signal: both }))
    } catch (error) {
      signal?.throwIfAborted()
      throw failureOf(this.#sdk.parseLinearError(error as Error), error, deadline.aborted)
    }
  }

  /** A query of our own, where the SDK's asks for far more than is needed. */
  query<T>(query: string, variables: Record<string, unknown>): Promise<T> {
    return this.call((client) => client.client.request<T, Record<string, unknown>>(query, variables))
  }
}

/** Rejects with SERVICE_NOT_INSTALLED or SERVICE_NOT_CONFIGURED. */
export async function openLinear(connection: string, options: LinearOptions): Promise<Linear> {
  const { LINEAR_API_KEY: apiKey, LINEAR_API_URL: apiUrl } = keysOf(connection, process.env)
  if (!apiKey) {
    const message = 'LINEAR_API_KEY is not set: make a key in Linear under Settings, API, and set it'
    throw new ServiceError('SERVICE_NOT_CONFIGURED', message, { details: { variable: 'LINEAR_API_KEY' } })
  }
  const sdk = await loaded(options.load ?? (() => import('@linear/sdk')))
  return new Linear(sdk, { apiKey, ...(apiUrl && { apiUrl }) }, options)
}

async function loaded(load: () => Promise<Sdk>): Promise<Sdk> {
  try {
    return await load()
  } catch (cause) {
    const message = 'tickets in Linear need the package @linear/sdk: npm install @linear/sdk'
    throw new ServiceError('SERVICE_NOT_INSTALLED', message, { cause, details: { package: '@linear/sdk' } })
  }
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

function failureOf(failure: Failure, cause: unknown, late: boolean): ServiceError {
  const { message, status, raw } = failure
  const code = codeOf(failure)
  const details = { service: 'linear', ...(status !== undefined && { status }) }
  switch (code) {
    case 'SERVICE_RATE_LIMITED': {
      const waitMs = waitOf((raw as RawError | undefined)?.response?.headers)
      const text = `Linear asks to wait for ${Math.ceil(waitMs / 1000)} s`
      return new ServiceError(code, text, { cause, details: { ...details, waitMs } })
    }
    case 'SERVICE_UNAUTHORIZED':
      return new ServiceError(code, 'Linear does not accept LINEAR_API_KEY: make a new one', { cause, details })
    case 'SERVICE_UNAVAILABLE': {
      const why = late
        ? 'no answer in time'
        : (raw as { cause?: { code?: string } } | undefined)?.cause?.code || message
      return new ServiceError(code, `Linear cannot be reached (${why})`, { cause, details })
    }
    default:
      return new ServiceError(code, `Linear has refused a call: ${message}`, { cause, details })
  }
}

/** Linear limits with HTTP 400 and a code of its own; the SDK takes any 4xx without a type for a matter of the key. */
function codeOf({ type = 'Unknown', status, raw }: Failure): ServiceErrorCode {
  const { code, type: given } = (raw as RawError | undefined)?.response?.errors?.[0]?.extensions ?? {}
  if (code === 'RATELIMITED' || status === 429) return 'SERVICE_RATE_LIMITED'
  if (status === undefined || status >= 500) return 'SERVICE_UNAVAILABLE'
  if (type === 'AuthenticationError') {
    return status !== 401 && given === undefined ? 'SERVICE_REFUSED' : 'SERVICE_UNAUTHORIZED'
  }
  // An answer that is no answer of Linear's comes from something in between.
  const isForeign = type === 'Unknown' && status < 400
  return isForeign || UNAVAILABLE.includes(type) ? 'SERVICE_UNAVAILABLE' : 'SERVICE_REFUSED'
}
