// The server as a fetch handler: each request goes through the same stages, in this order, and none is left out for any
// route. Whose name it came by, which route it is, who calls, whether they may, how much they take, what they send, which
// session it is about; then its handler; then the audit; then the answer. What a stage throws is a problem for the caller.

import { Hono } from 'hono'
import type { z } from 'zod'
import type { Audit } from '../audit.js'
import { HoldfastError } from '../errors.js'
import type { Session } from '../handle.js'
import type { SessionEntry } from '../listing.js'
import { consoleLogger, guarded, type Logger } from '../logger.js'
import type { ReadOptions } from '../open.js'
import { admitOptions, type KeysOf } from '../options.js'
import { sessionNotFound } from '../refusals.js'
import type { Runtime } from '../runtime.js'
import { type TraceHeaders, traceContextOf } from '../trace-context.js'
import { jsonOf } from './body.js'
import { type Limits, limitsOf, Meter } from './limits.js'
import { LiveStreams } from './live-streams.js'
import { LOOPBACK, Names } from './names.js'
import { type OpenApi, openApiOf } from './openapi.js'
import { isOfTeam, type KnownPrincipal, mayDo, NOBODY, type Principal, Principals, tokenOf } from './principal.js'
import { problemOf, tellable } from './problem.js'
import type { Call, Fields, Route } from './route.js'
import { ROUTES } from './routes.js'
import { headersFor } from './security.js'
import type { Services } from './services.js'
import { Tickets } from './tickets.js'

export interface HttpOptions {
  /** Who may call, with the digests of their tokens; without any, only public routes answer. */
  readonly principals?: readonly KnownPrincipal[]
  /** Names that this server answers to, `name` or `name:port`; default: those of this machine, with any port. */
  readonly hosts?: readonly string[]
  /** Origins of other pages that may call, as `https://app.example`; default: none. */
  readonly origins?: readonly string[]
  readonly limits?: Partial<Limits>
  /** What tickets for browsers are signed with, at least 32 characters; without it none are given. */
  readonly ticketSecret?: string
  /** Refuses whatever would change something. */
  readonly readOnly?: boolean
  /** Further routes, such as those of a kind. */
  readonly mount?: readonly (readonly Route[])[]
  /** Hears of every call that changes something, before it is done and before it is answered; it waits until that is durable. */
  readonly audit?: Pick<Audit, 'append'>
  readonly logger?: Logger
  /** Where the runtime's sessions are: what the doctor looks at. */
  readonly place?: ReadOptions
  /** The folder that backups are written to; without it none can be made by HTTP. */
  readonly backups?: string
}

export const HTTP_OPTIONS: KeysOf<HttpOptions> = {
  principals: true,
  hosts: true,
  origins: true,
  limits: true,
  ticketSecret: true,
  readOnly: true,
  mount: true,
  audit: true,
  logger: true,
  place: true,
  backups: true,
}

export interface Http {
  /** Answers a request; `env` is what Node has of it. Never rejects. */
  readonly fetch: (request: Request, env?: object) => Promise<Response>
  /** Every route that it answers. */
  readonly routes: readonly Route[]
}

/**
 * The sessions of a runtime over HTTP, as a fetch handler to mount anywhere. Closing the runtime is up to whoever opened it.
 * Throws INVALID_ARGUMENT for options that make no sense, or two routes of one name or path.
 *
 * ```ts
 * const { fetch } = createHttp(runtime, { principals: [{ id: 'ci', roles: ['writer'], sha256: '…' }] })
 * const response = await fetch(new Request('http://localhost/v1/sessions', { headers: { authorization: `Bearer ${token}` } }))
 * ```
 */
export function createHttp(runtime: Runtime, options: HttpOptions = {}): Http {
  admitOptions('options of createHttp', options, HTTP_OPTIONS)
  const server = new Server(runtime, options)
  return { fetch: (request, env) => server.fetch(request, env), routes: server.services.routes }
}

type Bindings = { Bindings: object }

class Server {
  readonly services: Services
  readonly #runtime: Runtime
  readonly #app: Hono<Bindings> = new Hono<Bindings>()
  readonly #names: Names
  readonly #audit: Pick<Audit, 'append'> | undefined

  constructor(runtime: Runtime, options: HttpOptions) {
    const { principals = [], hosts = LOOPBACK, origins = [], limits = {}, mount = [], readOnly = false } = options
    this.#runtime = runtime
    this.#names = new Names(hosts, origins)
    this.#audit = options.audit ?? runtime.audit
    const logger = guarded(options.logger ?? consoleLogger)
    const { place, backups } = options
    const admitted = limitsOf(limits)
    const meter = new Meter(admitted, runtime.clock)
    const known = { principals: new Principals(principals), limits: admitted, meter }
    const tickets = options.ticketSecret === undefined ? undefined : new Tickets(options.ticketSecret)
    const report = (err: unknown): void => logger.error({ err }, 'a stream failed for no reason that has a code')
    const streams = new LiveStreams(runtime, { clock: runtime.clock, report })
    const routes = tableOf(mount)
    let document: OpenApi | undefined
    const openApi = (): OpenApi => {
      document ??= openApiOf(routes)
      return document
    }
    this.services = { routes, openApi, ...known, streams, tickets, logger, readOnly, place, backups }
    this.#register()
  }

  async fetch(request: Request, env: object = {}): Promise<Response> {
    let leave: (() => void) | undefined
    try {
      this.#names.check(request)
      if (request.method === 'OPTIONS')
        return new Response(null, { status: 204, headers: [...headersFor(request, this.#names)] })
      leave = this.services.meter.enter()
      return await this.#app.fetch(request, env)
    } catch (error) {
      return this.#refusal(request, error)
    } finally {
      leave?.()
    }
  }

  #register(): void {
    const paths = new Set<string>()
    for (const route of this.services.routes) {
      paths.add(route.path)
      this.#app.on(route.method, route.path, (context) =>
        this.#answer(route, context.req.raw, context.req.param() as Texts, context.env),
      )
    }
    for (const path of paths) {
      const methods = this.services.routes.filter((route) => route.path === path).map(({ method }) => method)
      this.#app.all(path, (context) => {
        const { method, raw } = context.req
        const error = new HoldfastError('METHOD_NOT_ALLOWED', `${path} takes ${methods.join(', ')}, not ${method}`)
        const response = this.#refusal(raw, error)
        response.headers.set('allow', methods.join(', '))
        return response
      })
    }
    this.#app.notFound((context) =>
      this.#refusal(
        context.req.raw,
        new HoldfastError('ROUTE_NOT_FOUND', 'there is nothing at this path; /openapi.json has every path'),
      ),
    )
    this.#app.onError((error, context) => this.#refusal(context.req.raw, error))
  }

  /** The stages of a request whose route is known. */
  async #answer(route: Route, request: Request, texts: Texts, env: object): Promise<Response> {
    const principal = this.#identify(route, request)
    if (principal !== NOBODY || request.method !== 'GET') this.services.meter.take(principal.id)
    this.#authorize(route, principal)
    const params = parsed(route.params, texts, 'the path')
    const session = route.concerns === 'session' ? this.#sessionOf(texts.id ?? '', principal) : undefined
    const query = parsed(route.query, textsOf(new URL(request.url).searchParams), 'the query')
    const body = await this.#bodyOf(route, request)
    const headers = new Headers()
    const ended = route.streams ? this.services.meter.openStream(principal.id) : () => {}
    const call: Call = {
      ...{ runtime: this.#runtime, principal, params: params as never, query: query as never, body: body as never },
      ...{ session: session as Session, request, signal: request.signal, headers, env, services: this.services, ended },
      idempotencyKey: request.headers.get('idempotency-key') ?? undefined,
      trace: this.#runtime.tracing?.active() ?? traceContextOf(traceHeaders(request)),
    }
    try {
      await this.#record(route, principal, session?.id, { asked: new URL(request.url).pathname })
      const answer = await route.handle(call)
      await this.#record(route, principal, session?.id ?? idIn(answer), { outcome: 'done' })
      return this.#respond(route, request, answer, headers)
    } catch (error) {
      ended()
      const refused = tellable(error, (err) => this.#report(err, request))
      await this.#record(route, principal, session?.id, { outcome: 'refused', code: refused.code })
      throw refused
    }
  }

  /** Who calls. Throws TOKEN_REQUIRED. */
  #identify(route: Route, request: Request): Principal {
    const token = tokenOf(request)
    const principal = token === undefined ? this.#byTicket(route, request) : this.services.principals.byToken(token)
    if (principal) return principal
    if (route.access === 'public') return NOBODY
    throw new HoldfastError(
      'TOKEN_REQUIRED',
      token === undefined
        ? 'send the header authorization: Bearer <token>, with a token that this server knows'
        : 'this server does not know the token that came with the request',
    )
  }

  /** Who a stream's ticket was given to: a browser's EventSource can send no token. */
  #byTicket(route: Route, request: Request): Principal | undefined {
    const { tickets } = this.services
    if (!route.streams || !tickets) return undefined
    const { pathname, searchParams } = new URL(request.url)
    const id = tickets.take(searchParams.get('ticket') ?? '', pathname, this.#runtime.clock.now())
    return id === undefined ? undefined : this.services.principals.byId(id)
  }

  /** Throws NOT_ALLOWED. */
  #authorize(route: Route, principal: Principal): void {
    if (route.access !== 'public' && !mayDo(principal, route.access)) {
      throw notAllowed(`${principal.id} may not do this: it needs a role that includes "${route.access}"`)
    }
    if (route.concerns === 'instance' && principal.organization !== undefined) {
      throw notAllowed(`${principal.id} belongs to an organization, and this is about the sessions of all`)
    }
    if (route.mutates && this.services.readOnly)
      throw notAllowed('this server is read-only; it answers what changes nothing')
  }

  /**
   * The session whose id begins so, among those of the caller's organization: one of another organization is not there.
   * Throws SESSION_NOT_FOUND, AMBIGUOUS_ID, or NOT_ALLOWED for one of another team.
   */
  #sessionOf(prefix: string, principal: Principal): Session {
    const { organization } = principal
    const entry = found(prefix, () =>
      this.#runtime.sessions.find(prefix, organization === undefined ? undefined : { organization }),
    )
    if (isOfTeam(entry, principal)) return this.#runtime.session(entry.id)
    throw notAllowed(`session ${entry.id} is of another team`)
  }

  async #bodyOf(route: Route, request: Request): Promise<unknown> {
    const body = await jsonOf(request, this.services.limits)
    if (!route.body) {
      if (body === undefined) return undefined
      throw invalid('this route takes no body')
    }
    return check(route.body, body, 'the body')
  }

  #respond(route: Route, request: Request, answer: unknown, headers: Headers): Response {
    if (answer instanceof Response) {
      for (const [name, value] of headersFor(request, this.#names))
        if (!answer.headers.has(name)) answer.headers.set(name, value)
      return answer
    }
    for (const [name, value] of headersFor(request, this.#names)) headers.set(name, value)
    const status = Number(Object.keys(route.answers)[0])
    if (answer === undefined) return new Response(null, { status, headers })
    headers.set('content-type', 'application/json')
    return new Response(JSON.stringify(answer), { status, headers })
  }

  #refusal(request: Request, cause: unknown): Response {
    const error = tellable(cause, (err) => this.#report(err, request))
    const problem = problemOf(error)
    const headers = new Headers([...headersFor(request, this.#names)])
    headers.set('content-type', 'application/problem+json')
    if (error.code === 'TOKEN_REQUIRED') headers.set('www-authenticate', 'Bearer')
    const { retryAfterSeconds } = error.details
    if (typeof retryAfterSeconds === 'number') headers.set('retry-after', String(retryAfterSeconds))
    return new Response(JSON.stringify(problem), { status: problem.status, headers })
  }

  async #record(route: Route, { id: actor }: Principal, session: string | undefined, detail: object): Promise<void> {
    if (!route.mutates || !this.#audit) return
    await this.#audit.append({ actor, action: route.name, ...(session !== undefined && { session }), detail })
  }

  #report(err: unknown, request: Request): void {
    this.services.logger.error(
      { err, method: request.method, path: new URL(request.url).pathname },
      'a request failed for no reason that has a code',
    )
  }
}

const traceHeaders = ({ headers }: Request): TraceHeaders => ({
  traceparent: headers.get('traceparent'),
  tracestate: headers.get('tracestate'),
})

/** Of a session that was made. */
const idIn = (answer: unknown): string | undefined => (answer as { readonly id?: string } | undefined)?.id

type Texts = { readonly [name: string]: string }

/** Ours and those that were mounted. Throws INVALID_ARGUMENT when two have one name, or one path and method. */
function tableOf(mount: readonly (readonly Route[])[]): readonly Route[] {
  const routes = [...ROUTES, ...mount.flat()]
  const seen = new Set<string>()
  for (const { name, method, path } of routes) {
    for (const key of [name, `${method} ${path}`]) {
      if (seen.has(key)) throw invalid(`there are two routes "${key}"`)
      seen.add(key)
    }
  }
  return routes
}

/** Throws INVALID_ARGUMENT for a name that comes twice: whoever reads the first and who reads the last would disagree. */
function textsOf(query: URLSearchParams): Texts {
  const texts: Record<string, string> = Object.create(null)
  for (const [name, value] of query) {
    if (name in texts) throw invalid(`the query has ${JSON.stringify(name)} twice`)
    texts[name] = value
  }
  return texts
}

function parsed(schema: Fields | undefined, texts: Texts, what: string): unknown {
  if (schema) return check(schema, { ...texts }, what)
  const [name] = Object.keys(texts)
  if (name === undefined || what === 'the path') return texts
  throw invalid(`this route takes no ${JSON.stringify(name)} in ${what}`)
}

function check(schema: z.ZodType, value: unknown, what: string): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issues = result.error.issues.slice(0, 20).map(({ message, path }) => ({ message, path: path.join('.') }))
  const list = issues.map(({ message, path }) => (path ? `${path}: ${message}` : message)).join('; ')
  throw new HoldfastError('INVALID_ARGUMENT', `${what} is not valid: ${list}`, { details: { issues } })
}

function found(prefix: string, find: () => SessionEntry): SessionEntry {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(prefix)) return find()
  throw sessionNotFound(prefix.slice(0, 64))
}

const invalid = (message: string): HoldfastError => new HoldfastError('INVALID_ARGUMENT', message)
const notAllowed = (message: string): HoldfastError => new HoldfastError('NOT_ALLOWED', message)
