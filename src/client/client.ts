// A runtime behind a server, as its users hold it: the same verbs as of the embedded one, over HTTP, in Node and in browsers.

import type { CreateOptions } from '../creation.js'
import type { AnyMachine, AnySessionKind, KindInput, SessionKind } from '../define.js'
import { HoldfastError } from '../errors.js'
import {
  CALL_OPTIONS,
  type CallOptions,
  SEND_OPTIONS,
  type SessionSnapshot,
  type TransitionsOptions,
} from '../handle.js'
import type { SessionEntry, SessionFilter, SessionPage } from '../listing.js'
import { admitOptions, type KeysOf } from '../options.js'
import type { Stream, StreamHost } from '../stream.js'
import type { Tracing } from '../tracing.js'
import type { Transition } from '../transition.js'
import { follow } from './follow.js'
import { newKey, platformClock, tellConsole } from './platform.js'
import { Requests } from './requests.js'
import { RemoteSession } from './session.js'

export interface ClientOptions {
  /** Where the server is: `http://127.0.0.1:4653`. In a browser, the page's own origin is `location.origin`. */
  readonly url: string
  /** What it knows the caller by. */
  readonly token?: string
  /** For how long what can be asked twice is asked again while the server cannot be reached; default 30,000. */
  readonly retryMs?: number
  /** Hears what an observer threw or rejected; default: the console. */
  readonly onObserverError?: (error: unknown) => void
  /** Another `fetch` than the platform's, such as that of a server in the same process. */
  readonly fetch?: typeof fetch
  /** Knows in which trace whoever calls is: what `holdfast/opentelemetry` gives. */
  readonly tracing?: Pick<Tracing, 'active'>
}

/** A kind by its name: what `defineSession` gave is one; `kindOf<typeof review>('review')` is, without its code. */
export interface KindName<TMachine extends AnyMachine> {
  readonly kind: string
  /** For its type alone. */
  readonly machine?: TMachine
}

type MachineOf<TKind> = TKind extends SessionKind<infer TMachine> ? TMachine : never

/** The type of a kind and its name, for code that does not load the kind, such as a page in a browser. */
export const kindOf = <TKind extends AnySessionKind>(kind: string): KindName<MachineOf<TKind>> => ({ kind })

type CreateArguments<TMachine extends AnyMachine> =
  undefined extends KindInput<TMachine>
    ? [input?: KindInput<TMachine>, options?: RemoteCreateOptions]
    : [input: KindInput<TMachine>, options?: RemoteCreateOptions]

export interface RemoteCreateOptions extends Omit<CreateOptions, 'owner'> {
  /** Which of the caller's teams the session is of; the first by default. */
  readonly team?: string
}

const CREATE_OPTIONS: KeysOf<RemoteCreateOptions> = {
  ...SEND_OPTIONS,
  idempotencyKey: true,
  team: true,
}

export interface PostOptions extends CallOptions {
  /** With the same key, the same request is done once, and is asked again while the server cannot be reached. */
  readonly idempotencyKey?: string
}

export interface RemoteSessions {
  list(filter?: SessionFilter, page?: { readonly cursor?: string; readonly limit?: number }): Promise<SessionPage>
  /** The one session whose id begins with `prefix`. Rejects with SESSION_NOT_FOUND or AMBIGUOUS_ID. */
  find(prefix: string): Promise<SessionEntry>
}

const RETRY_MS = 30_000

/**
 * The sessions of a server. Nothing is asked of it yet. Throws INVALID_ARGUMENT.
 *
 * ```ts
 * using client = connect({ url: 'http://127.0.0.1:4653', token })
 * const session = await client.create(review, { title: 'Checkout' })
 * session.transitions$({ from: 1 }).subscribe((transition) => console.log(transition.seq))
 * ```
 */
export function connect(options: ClientOptions): Client {
  admitOptions('options of connect', options, {
    url: true,
    token: true,
    retryMs: true,
    onObserverError: true,
    fetch: true,
    tracing: true,
  })
  return new Client(options)
}

export class Client implements Disposable {
  readonly sessions: RemoteSessions
  readonly #requests: Requests
  readonly #closing: AbortController = new AbortController()
  readonly #host: StreamHost

  constructor({ url, token, retryMs = RETRY_MS, onObserverError = tellConsole, fetch: own, tracing }: ClientOptions) {
    const server = {
      ...{ url: addressOf(url), token, retryMs, clock: platformClock, tracing, closing: this.#closing.signal },
      // By name, at each call: a page may replace it, and it is not to be called on another object.
      fetch: own ?? ((...asked: Parameters<typeof fetch>) => fetch(...asked)),
    }
    this.#requests = new Requests(server)
    this.#host = { clock: platformClock, onObserverError }
    this.sessions = {
      list: (filter = {}, page = {}) =>
        this.#requests.json({ method: 'GET', path: '/v1/sessions', query: { ...queryOf(filter), ...page } }),
      find: (prefix) =>
        this.#requests.json({ method: 'GET', path: `/v1/sessions/${encodeURIComponent(prefix)}/entry` }),
    }
  }

  /**
   * Creates a session; resolves when its first record is durable. Without a key it is given one, so that it is asked for
   * again while the server cannot be reached, and made once.
   */
  async create<TMachine extends AnyMachine>(
    { kind }: KindName<TMachine>,
    ...[input, options = {}]: CreateArguments<TMachine>
  ): Promise<RemoteSession<TMachine>> {
    admitOptions('options of create', options, CREATE_OPTIONS)
    const { idempotencyKey = newKey(), signal, id, team, ...trace } = options
    const body = { kind, input, id, team }
    const request = { method: 'POST', path: '/v1/sessions', body, idempotencyKey, trace, signal } as const
    const snapshot = await this.#requests.json<SessionSnapshot>(request)
    return new RemoteSession(this.#requests, this.#host, snapshot.id, snapshot.kind)
  }

  /** A session by its id or the beginning of it; with `kind`, typed. Rejects with SESSION_NOT_FOUND or KIND_MISMATCH. */
  session(id: string): Promise<RemoteSession>
  session<TMachine extends AnyMachine>(id: string, kind: KindName<TMachine>): Promise<RemoteSession<TMachine>>
  async session(id: string, kind?: KindName<AnyMachine>): Promise<RemoteSession> {
    const entry = await this.sessions.find(id)
    if (kind && entry.kind !== kind.kind) {
      throw new HoldfastError('KIND_MISMATCH', `session ${entry.id} is of kind "${entry.kind}", not "${kind.kind}"`)
    }
    return new RemoteSession(this.#requests, this.#host, entry.id, entry.kind)
  }

  /** Durable transitions of all sessions that the caller may see: replayed from a `position`, then live. */
  transitions$(options: TransitionsOptions = {}): Stream<Transition> {
    const feed = { path: '/v1/stream', event: 'transition', ofSession: false } as const
    return follow<Transition>(this.#requests, feed, options, this.#host)
  }

  /** What any route answers: `get('/v1/approvals')`. Rejects with what it refuses. */
  async get<T = unknown>(path: string, options: CallOptions = {}): Promise<T> {
    admitOptions('options of get', options, CALL_OPTIONS)
    return this.#requests.json<T>({ method: 'GET', path, ...options })
  }

  /** As `get`, for a route that takes a body. */
  async post<T = unknown>(path: string, body?: unknown, options: PostOptions = {}): Promise<T> {
    admitOptions('options of post', options, { idempotencyKey: true, signal: true })
    return this.#requests.json<T>({ method: 'POST', path, body, ...options })
  }

  /** The body of what a route answers, as it comes: a backup. Rejects with what it refuses. */
  async read(path: string, options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    admitOptions('options of read', options, CALL_OPTIONS)
    const { body } = await this.#requests.fetch({ method: 'GET', path, signal: options.signal })
    return body ?? new ReadableStream({ start: (controller) => controller.close() })
  }

  /** Gives up what is under way; streams complete. Sessions go on. */
  close(): void {
    this.#closing.abort()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function queryOf({ where, ...filter }: SessionFilter): Record<string, string | boolean | undefined> {
  return { ...filter, ...(where && { where: JSON.stringify(where) }) }
}

function addressOf(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url.replace(/\/+$/, '')
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `url is where the server is, as http://127.0.0.1:4653, not ${JSON.stringify(url)}`,
  )
}
