// The routes of sessions: create and find them, look at them, send to them.

import { z } from 'zod'
import { HoldfastError } from '../errors.js'
import type { SessionEntry, SessionFilter, SessionPage } from '../listing.js'
import { unknownKind } from '../refusals.js'
import type { Owner } from '../state.js'
import { isOfTeam, type Principal } from './principal.js'
import { type Call, type Route, route } from './route.js'
import * as shapes from './shapes.js'

const creation = z.strictObject({
  kind: z.string().describe('The name of a session kind'),
  input: shapes.anyJson.optional(),
  id: shapes.id.optional().describe('A new one by default'),
  team: z.string().optional().describe('Which of the caller’s teams it is of; the first by default'),
})

const filters = z.object({
  kind: z.string().optional(),
  status: shapes.status.optional(),
  parent: shapes.id.optional().describe('The id of the session whose children are asked for'),
  limit: shapes.whole(1, 1000).optional().describe('How many at most; default 100'),
  cursor: z.string().optional().describe('Where the last page said that more begin'),
})

export const sessionRoutes: readonly Route[] = [
  route({
    name: 'session.create',
    method: 'POST',
    path: '/v1/sessions',
    summary:
      'Creates a session and starts it; answers once that is durable. The same Idempotency-Key gives the same session.',
    access: 'write',
    concerns: 'sessions',
    body: creation,
    answers: { 201: { description: 'The session', schema: shapes.snapshot } },
    handle: async ({ runtime, principal, body, idempotencyKey, signal, headers }) => {
      const kind = runtime.kinds.get(body.kind)
      if (!kind) throw unknownKind(body.kind, runtime.kinds)
      const session = await runtime.create(kind, body.input as never, {
        owner: ownerFor(principal, body.team),
        signal,
        ...(body.id !== undefined && { id: body.id }),
        ...(idempotencyKey !== undefined && { idempotencyKey: keyOf(principal, idempotencyKey) }),
      })
      if (!isOfTeam(session.entry(), principal)) {
        throw new HoldfastError('IDEMPOTENCY_CONFLICT', `key "${idempotencyKey}" created a session of another team`)
      }
      headers.set('location', `/v1/sessions/${session.id}`)
      return session.snapshot()
    },
  }),
  route({
    name: 'session.list',
    method: 'GET',
    path: '/v1/sessions',
    summary: 'Lists sessions in the order of their creation.',
    access: 'read',
    concerns: 'sessions',
    query: filters,
    answers: {
      200: {
        description: 'A page of sessions',
        schema: z.object({ sessions: z.array(shapes.entry), cursor: z.string().optional() }),
      },
    },
    handle: ({ query, ...call }) => {
      const { limit, cursor, ...filter } = query
      return pageOf(call, filter, { ...(limit !== undefined && { limit }), ...(cursor !== undefined && { cursor }) })
    },
  }),
  route({
    name: 'session.show',
    method: 'GET',
    path: '/v1/sessions/:id',
    summary: 'Shows a session as it is, durable.',
    access: 'read',
    concerns: 'session',
    params: shapes.sessionParams,
    answers: { 200: { description: 'The session', schema: shapes.snapshot } },
    handle: ({ session }) => session.snapshot(),
  }),
  route({
    name: 'session.send',
    method: 'POST',
    path: '/v1/sessions/:id/events',
    summary:
      'Sends an event, or a list of them that are taken all or none; answers with the transition once it is durable. The same Idempotency-Key does nothing again.',
    access: 'write',
    concerns: 'session',
    params: shapes.sessionParams,
    body: z.union([shapes.event, z.array(shapes.event).min(1).max(10_000)]),
    answers: { 200: { description: 'The transition', schema: shapes.transition } },
    handle: ({ session, body, idempotencyKey, signal }) => {
      const options = { signal, ...(idempotencyKey !== undefined && { id: idempotencyKey }) }
      return Array.isArray(body) ? session.sendBatch(body, options) : session.send(body as never, options)
    },
  }),
]

/** The team that was asked for, or the first of the caller's. Throws NOT_ALLOWED for a team that is not the caller's. */
function ownerFor({ id, organization, teams }: Principal, asked: string | undefined): Owner {
  if (asked !== undefined && (organization === undefined || teams?.includes(asked) === false)) {
    throw new HoldfastError('NOT_ALLOWED', `${id} is not of the team ${JSON.stringify(asked.slice(0, 64))}`)
  }
  const team = asked ?? teams?.[0]
  return { principal: id, ...(organization !== undefined && { organization }), ...(team !== undefined && { team }) }
}

/** A key is the organization's own: the same of two organizations are two. */
const keyOf = ({ organization }: Principal, key: string): string =>
  organization === undefined ? key : `${organization}:${key}`

/** A page of the sessions that the caller may see. */
function pageOf(
  { runtime, principal }: Pick<Call, 'runtime' | 'principal'>,
  asked: SessionFilter,
  page: { readonly cursor?: string; readonly limit?: number },
): SessionPage {
  const { organization } = principal
  const filter = { ...asked, ...(organization !== undefined && { organization }) }
  const { sessions, cursor } = runtime.sessions.list(filter, page)
  const seen: readonly SessionEntry[] = sessions.filter((entry) => isOfTeam(entry, principal))
  return { sessions: seen, ...(cursor !== undefined && { cursor }) }
}
