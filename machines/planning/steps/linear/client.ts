// Linear's own SDK, loaded when first needed: it is an optional peer. Here is how it is called (each call with a time limit
// of its own) and what its errors mean: whether another attempt may help, and how long Linear says to wait.
// Keys stand in the environment, and are read where they are used; they are never part of a message or of a record.

import type { LinearClient } from '@linear/sdk'
import { TrackerError, type TrackerErrorCode } from '../../tracker.js'

type Sdk = typeof import('@linear/sdk')

export interface LinearOptions {
  /** Ends every call. */
  readonly signal?: AbortSignal | undefined
  /** Of one call, in ms. Default 30,000. */
  readonly timeoutMs?: number
  /** Default: the environment of the process. */
  readonly env?: NodeJS.ProcessEnv
  /** For tests: how the SDK is loaded. */
  readonly load?: () => Promise<Sdk>
}

export class Linear {
  readonly #sdk: Sdk
  readonly #access: { readonly apiKey: string; readonly apiUrl?: string }
  readonly #options: LinearOptions

  constructor(sdk: Sdk, access: { readonly apiKey: string; readonly apiUrl?: string }, options: LinearOptions) {
    this.#sdk = sdk
    this.#access = access
    this.#options = options
  }

  /** One call. Rejects with a TrackerError, or with the reason of `signal`. */
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

const TIMEOUT_MS = 30_000

/** Rejects with TRACKER_NOT_INSTALLED or TRACKER_NOT_CONFIGURED. */
export async function openLinear(options: LinearOptions): Promise<Linear> {
  const { LINEAR_API_KEY: apiKey, LINEAR_API_URL: apiUrl } = options.env ?? process.env
  if (!apiKey) {
    const message = 'LINEAR_API_KEY is not set: make a key in Linear under Settings, API, and set it'
    throw new TrackerError('TRACKER_NOT_CONFIGURED', message, { details: { variable: 'LINEAR_API_KEY' } })
  }
  const sdk = await loaded(options.load ?? (() => import('@linear/sdk')))
  return new Linear(sdk, { apiKey, ...(apiUrl && { apiUrl }) }, options)
}

async function loaded(load: () => Promise<Sdk>): Promise<Sdk> {
  try {
    return await load()
  } catch (cause) {
    const message = 'the tracker "linear" needs the package @linear/sdk: npm install @linear/sdk'
    throw new TrackerError('TRACKER_NOT_INSTALLED', message, { cause, details: { package: '@linear/sdk' } })
  }
}

/** What the SDK tells of a failure; an error that it does not know has the type `Unknown`. */
interface Failure {
  readonly message: string
  readonly type?: string | undefined
  readonly status?: number | undefined
  readonly raw?: unknown
}

const CODES: Readonly<Record<string, TrackerErrorCode>> = {
  AuthenticationError: 'TRACKER_UNAUTHORIZED',
  Ratelimited: 'TRACKER_RATE_LIMITED',
  NetworkError: 'TRACKER_UNAVAILABLE',
  InternalError: 'TRACKER_UNAVAILABLE',
  LockTimeout: 'TRACKER_UNAVAILABLE',
  BootstrapError: 'TRACKER_UNAVAILABLE',
  FeatureNotAccessible: 'TRACKER_REFUSED',
  Forbidden: 'TRACKER_REFUSED',
  GraphqlError: 'TRACKER_REFUSED',
  InvalidInput: 'TRACKER_REFUSED',
  UsageLimitExceeded: 'TRACKER_REFUSED',
  UserError: 'TRACKER_REFUSED',
}

function failureOf(failure: Failure, cause: unknown, late: boolean): TrackerError {
  const { message, status, raw } = failure
  const code = codeOf(failure)
  const details = { ...(status !== undefined && { status }) }
  switch (code) {
    case 'TRACKER_RATE_LIMITED': {
      const waitMs = waitOf(failure)
      const text = `Linear asks to wait for ${Math.ceil(waitMs / 1000)} s`
      return new TrackerError(code, text, { cause, details: { ...details, waitMs } })
    }
    case 'TRACKER_UNAUTHORIZED':
      return new TrackerError(code, 'Linear does not accept LINEAR_API_KEY: make a new one', { cause, details })
    case 'TRACKER_UNAVAILABLE':
      return new TrackerError(
        code,
        `Linear cannot be reached (${late ? 'no answer in time' : reasonOf(raw) || message})`,
        { cause, details },
      )
    default:
      return new TrackerError(code, `Linear has refused a call: ${message}`, { cause, details })
  }
}

/** Linear limits with HTTP 400 and a code of its own; the SDK takes any 4xx without a type for a matter of the key. */
function codeOf({ type = 'Unknown', status, raw }: Failure): TrackerErrorCode {
  if (graphqlCodeIn(raw) === 'RATELIMITED') return 'TRACKER_RATE_LIMITED'
  if (status === undefined) return 'TRACKER_UNAVAILABLE' // no answer at all
  if (status >= 500) return 'TRACKER_UNAVAILABLE'
  if (type === 'AuthenticationError' && status !== 401 && graphqlTypeIn(raw) === undefined) return 'TRACKER_REFUSED'
  return CODES[type] ?? 'TRACKER_FAILED'
}

interface RawError {
  readonly response?: {
    readonly headers?: Headers
    readonly errors?: readonly { readonly extensions?: { readonly code?: string; readonly type?: string } }[]
  }
}

const firstIn = (raw: unknown) => (raw as RawError | undefined)?.response?.errors?.[0]?.extensions
const graphqlCodeIn = (raw: unknown): string | undefined => firstIn(raw)?.code
const graphqlTypeIn = (raw: unknown): string | undefined => firstIn(raw)?.type

/** `fetch failed` says nothing; what it hides does. */
const reasonOf = (raw: unknown): string => (raw as { cause?: { code?: string } } | undefined)?.cause?.code ?? ''

const SHORTEST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 3_600_000
const DEFAULT_WAIT_MS = 60_000
const LIMITS = ['requests', 'complexity', 'endpoint-requests'] as const

/** Until the limit that is used up is reset: `X-RateLimit-*-Reset` is in ms since the epoch, `Retry-After` in seconds. */
function waitOf({ raw }: Failure): number {
  const headers = (raw as RawError | undefined)?.response?.headers
  const number = (name: string): number | undefined => {
    const text = headers?.get(name)
    return text ? Number(text) : undefined
  }
  const after = number('retry-after')
  const resets = LIMITS.filter((limit) => number(`x-ratelimit-${limit}-remaining`) === 0).map(
    (limit) => number(`x-ratelimit-${limit}-reset`) ?? 0,
  )
  const waits = [...(after === undefined ? [] : [after * 1000]), ...resets.map((at) => at - Date.now())]
  const waitMs = Math.max(...waits)
  return waits.length > 0 && Number.isFinite(waitMs)
    ? Math.min(Math.max(Math.ceil(waitMs), SHORTEST_WAIT_MS), LONGEST_WAIT_MS)
    : DEFAULT_WAIT_MS
}
