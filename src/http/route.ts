// What a route is: one row of the table from which the server, its OpenAPI document, its authorisation and its tests come.
// A route says what it needs and what it takes; whoever may not, or sends something else, never reaches its handler.

import type { z } from 'zod'
import type { Session } from '../handle.js'
import type { Runtime } from '../runtime.js'
import type { TraceContext } from '../trace-context.js'
import type { Principal } from './principal.js'
import type { Services } from './services.js'

/** What a caller must be allowed to do, each including those before it; `public` needs no token. */
export type Access = 'public' | 'read' | 'write' | 'operate' | 'admin'

/**
 * What a route is about. `session`: the one that its path names as `:id`, which the caller must be allowed to see.
 * `sessions`: those that the caller may see; its handler leaves out the others. `instance`: all of them, whosever they
 * are, so it is for those only who belong to no organization. `nothing`: no session at all.
 */
export type Concern = 'session' | 'sessions' | 'instance' | 'nothing'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Values of a path or of a query by name: texts, and what a schema makes of them. */
export type Fields = z.ZodObject

export interface Route {
  /** Unique: the operation in the OpenAPI document, and the action in the audit log. */
  readonly name: string
  readonly method: Method
  /** As `/v1/sessions/:id`. */
  readonly path: string
  readonly summary: string
  readonly access: Access
  readonly concerns: Concern
  /** It changes something: refused in read-only mode, and told in the audit log. */
  readonly mutates: boolean
  /** Its answer goes on until somebody ends it: counted as a stream. */
  readonly streams: boolean
  readonly params: Fields | undefined
  readonly query: Fields | undefined
  /** Undefined for a route that takes no body. */
  readonly body: z.ZodType | undefined
  /** Status -> what is answered with it, and what that means; the first is what a handler's value is sent with. */
  readonly answers: Answers
  handle(call: Call): unknown
}

export interface Answers {
  readonly [status: number]: Answer
}

export interface Answer {
  readonly description: string
  /** Absent when there is no body. */
  readonly schema?: z.ZodType
  /** `application/json` unless told otherwise. */
  readonly type?: string
}

/** One request that has come as far as a handler. */
export interface Call<TParams = never, TQuery = never, TBody = never> {
  readonly runtime: Runtime
  /** Who calls; of a public route, whoever it is. */
  readonly principal: Principal
  /** The session that the path names, of a route that concerns one. */
  readonly session: Session
  readonly params: TParams
  readonly query: TQuery
  readonly body: TBody
  /** The header `Idempotency-Key`. */
  readonly idempotencyKey: string | undefined
  /** That of the headers `traceparent` and `tracestate`, or of the span that the server has made of the request. */
  readonly trace: TraceContext | undefined
  readonly request: Request
  /** Aborts when the caller has left. */
  readonly signal: AbortSignal
  /** Headers to send with the answer. */
  readonly headers: Headers
  /** Of a route that streams: to be called once its stream is over. Harmless when it was called before. */
  readonly ended: () => void
  /** What Node had of the request and its connection; empty elsewhere. */
  readonly env: object
  readonly services: Services
}

interface Definition<TParams extends Fields, TQuery extends Fields, TBody extends z.ZodType> {
  readonly name: string
  readonly method: Method
  readonly path: string
  readonly summary: string
  readonly access: Access
  readonly concerns: Concern
  readonly mutates?: boolean
  readonly streams?: boolean
  readonly params?: TParams
  readonly query?: TQuery
  readonly body?: TBody
  readonly answers: Answers
  /** Gives what to answer, a `Response` of its own, or a promise of either; undefined is no body. */
  readonly handle: (call: Call<z.output<TParams>, z.output<TQuery>, z.output<TBody>>) => unknown
}

/** Declares a route; the types of what its handler is given follow from the schemas. */
export function route<
  TParams extends Fields = z.ZodObject<Record<never, never>>,
  TQuery extends Fields = z.ZodObject<Record<never, never>>,
  TBody extends z.ZodType = z.ZodUndefined,
>(definition: Definition<TParams, TQuery, TBody>): Route {
  const { mutates = definition.method !== 'GET', streams = false, params, query, body, handle } = definition
  const strict = { params: params?.strict(), query: query?.strict() }
  return { ...definition, ...strict, mutates, streams, body, handle: handle as Route['handle'] }
}
