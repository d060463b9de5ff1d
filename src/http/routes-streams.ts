// The routes of streams: the transitions of one session, or of all, as Server-Sent Events, from wherever the client was.
// (`sockets.ts` makes WebSockets of the same answers.)

import { z } from 'zod'
import { HoldfastError, isHoldfastError } from '../errors.js'
import type { Session } from '../handle.js'
import type { Follower } from './follower.js'
import type { LiveStreams, Scope, Told } from './live-streams.js'
import { isOfOrganization, isOfTeam, type Principal } from './principal.js'
import { type Call, type Route, route } from './route.js'
import * as shapes from './shapes.js'
import { TICKET_MS } from './tickets.js'

/** The first position is 0, so what is before all of them is -1. */
const NUMBER = /^(-1|\d{1,16})$/

const after = z
  .string()
  .regex(NUMBER)
  .transform(Number)
  .pipe(z.int())
  .optional()
  .describe(
    'The number of the last transition that is known, -1 or 0 for none; without it, what comes from now on. Last-Event-ID beats it',
  )

const TOLD: readonly Told[] = ['transition', 'emitted', 'step']

const events = z
  .string()
  .regex(/^(transition|emitted|step)(,(transition|emitted|step)){0,2}$/)
  .optional()
  .describe('What is told, of transition, emitted and step, with commas; default all of them')

const ticket = z.string().max(512).optional().describe('Instead of a token, for a browser: what /ticket has given')

const given = z.object({
  ticket: z.string(),
  path: z.string().describe('Where it is good for'),
  expiresAt: z.string().describe('ISO 8601'),
})

const stream = { description: 'Server-Sent Events', schema: z.string(), type: 'text/event-stream' }

export const streamRoutes: readonly Route[] = [
  route({
    name: 'session.stream',
    method: 'GET',
    path: '/v1/sessions/:id/stream',
    summary:
      'Follows a session: `transition` events, whose ids are what Last-Event-ID resumes from, `emitted` and `step` events, `end` when it is over. 410 with its present state when what came behind is not kept.',
    access: 'read',
    concerns: 'session',
    streams: true,
    params: shapes.sessionParams,
    query: z.object({ after, events, ticket }),
    answers: { 200: stream, 204: { description: 'It is over, and the client knows all of it' } },
    handle: async ({ session, query, ...call }) => {
      const known = lastEventId(call.request) ?? query.after
      const told = new Set(query.events === undefined ? TOLD : (query.events.split(',') as Told[]))
      if (isAllKnown(session, call.request)) return finished(call)
      const cut = cutter(call)
      try {
        const follower = await call.services.streams.session(session, told, known, cut)
        return answer(follower, call.services.streams, call)
      } catch (error) {
        throw isHoldfastError(error, 'HISTORY_UNAVAILABLE') ? withState(error, session) : error
      }
    },
  }),
  route({
    name: 'stream.all',
    method: 'GET',
    path: '/v1/stream',
    summary: 'Follows all sessions that the caller may see. The ids of its events are positions, to be resumed from.',
    access: 'read',
    concerns: 'sessions',
    streams: true,
    query: z.object({ after, ticket }),
    answers: { 200: stream },
    handle: ({ query, ...call }) => {
      const known = lastEventId(call.request) ?? query.after
      const { streams } = call.services
      return answer(streams.all(scopeOf(call), known, cutter(call)), streams, call)
    },
  }),
  route({
    name: 'session.ticket',
    method: 'POST',
    path: '/v1/sessions/:id/ticket',
    summary:
      'Gives a ticket with which a browser’s EventSource can follow the session for an hour, as ?ticket= of the path that is named. It is good for nothing else.',
    access: 'read',
    concerns: 'session',
    mutates: false,
    params: shapes.sessionParams,
    answers: { 200: { description: 'The ticket', schema: given } },
    handle: ({ session, ...call }) => ticketFor(`/v1/sessions/${session.id}/stream`, call),
  }),
  route({
    name: 'stream.ticket',
    method: 'POST',
    path: '/v1/stream/ticket',
    summary: 'Gives a ticket with which a browser’s EventSource can follow all sessions that the caller may see.',
    access: 'read',
    concerns: 'nothing',
    mutates: false,
    answers: { 200: { description: 'The ticket', schema: given } },
    handle: (call) => ticketFor('/v1/stream', call),
  }),
]

function ticketFor(
  path: string,
  { services, principal, runtime }: Pick<Call, 'services' | 'principal' | 'runtime'>,
): unknown {
  if (!services.tickets) {
    throw new HoldfastError('NOT_ALLOWED', 'this server gives no tickets: it was started without a ticketSecret')
  }
  const expires = runtime.clock.now() + TICKET_MS
  const ticket = services.tickets.give({ principal: principal.id, expires }, path)
  return { ticket, path, expiresAt: new Date(expires).toISOString() }
}

type Streaming = Pick<Call, 'request' | 'signal' | 'env' | 'ended' | 'runtime' | 'principal'>

/** What a browser sends when it comes again by itself. Throws INVALID_ARGUMENT. */
function lastEventId({ headers }: Request): number | undefined {
  const id = headers.get('last-event-id')
  if (id === null || id === '') return undefined
  if (NUMBER.test(id) && Number.isSafeInteger(Number(id))) return Number(id)
  throw new HoldfastError('INVALID_ARGUMENT', 'Last-Event-ID is the id of an event of this stream: a whole number')
}

/** A browser comes again for ever, but for this answer. */
function isAllKnown(session: Session, request: Request): boolean {
  const { status, seq } = session.entry()
  return status !== 'active' && lastEventId(request) === seq
}

function finished({ ended }: Streaming): Response {
  ended()
  return new Response(null, { status: 204 })
}

/** What is not there any more cannot be told, but what it came to can. */
const withState = (error: HoldfastError, session: Session): HoldfastError =>
  new HoldfastError(error.code, error.message, { details: { ...error.details, session: session.snapshot() } })

/** Those of the caller's organization and teams. */
function scopeOf({ principal, runtime }: Streaming): Scope | undefined {
  const { organization, teams } = principal
  if (organization === undefined) return undefined
  return { name: JSON.stringify([organization, teams]), sees: (id) => maySee(principal, id, runtime) }
}

function maySee(principal: Principal, id: string, { sessions }: Call['runtime']): boolean {
  const entry = sessions.atom(id).get()
  return entry !== undefined && isOfOrganization(entry, principal) && isOfTeam(entry, principal)
}

/** How long a client that does not read has to hear that it was cut off. */
const CUT_GRACE_MS = 10_000

/** Ends the connection of a client that does not read, so that what waits for it in the socket is given up, too. */
function cutter({ env, runtime }: Streaming): () => void {
  const { outgoing } = env as { outgoing?: { destroy(): void } }
  return () => void runtime.clock.setTimeout(() => outgoing?.destroy(), CUT_GRACE_MS)
}

function answer(follower: Follower, streams: LiveStreams, { signal, ended }: Streaming): Response {
  const leave = (): void => {
    signal.removeEventListener('abort', leave)
    streams.leave(follower)
    ended()
  }
  signal.addEventListener('abort', leave)
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const bytes = await follower.next()
        if (bytes) return controller.enqueue(bytes)
        leave()
        controller.close()
      },
      cancel: leave,
    },
    // Nothing is taken before it is asked for: what waits, waits in the tail that all share.
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' } })
}
