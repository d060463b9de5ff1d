// The routes of sessions: create and find them, look at them, send to them.

import { z } from 'zod'
import { HoldfastError } from '../errors.js'
import type { SessionEntry } from '../listing.js'
import { tagsOf } from '../machine-snapshot.js'
import { unservedKind } from '../refusals.js'
import type { Runtime } from '../runtime.js'
import { isIn } from '../wanted.js'
import { admitSession, isCreated, keyOf, ownerFor, visiblePage } from './owners.js'
import { isOfTeam } from './principal.js'
import { type Route, route } from './route.js'
import * as shapes from './shapes.js'

const creation = z.strictObject({
  kind: z.string().describe('The name of a session kind'),
  input: shapes.anyJson.optional(),
  id: shapes.id.optional().describe('A new one by default'),
  team: z.string().optional().describe('Which of the caller’s teams it is of; the first by default'),
})

const filters = shapes.page.extend({
  kind: z.string().optional(),
  status: shapes.status.optional(),
  state: z.string().optional().describe('The state of its machine, as open or review.waiting'),
  tag: z.string().optional().describe('A tag of the state that it is in'),
  parent: shapes.id.optional().describe('The id of the session whose children are asked for'),
  origin: shapes.id.optional().describe('The id of the session whose forks are asked for'),
  organization: z.string().max(200).optional().describe('Whose they are; others than the caller’s own have none'),
  quarantined: shapes.flag.optional().describe('Only those that are quarantined'),
  deadLetters: shapes.flag.optional().describe('Only those that have dead letters'),
  where: shapes.attributesInQuery.optional().describe('Attributes that are equal, as JSON: {"title":"Checkout"}'),
  since: z.iso.datetime({ offset: true }).optional().describe('Only those that have changed since'),
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
    handle: async (call) => {
      const { runtime, principal, body, idempotencyKey, trace, signal, headers } = call
      if (!isCreated(call, body.kind)) admitSession(call)
      const kind = runtime.kinds.get(body.kind)
      if (!kind) throw unservedKind(body.kind, runtime.kinds)
      const session = await runtime.create(kind, body.input as never, {
        owner: ownerFor(principal, body.team),
        signal,
        ...trace,
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
    answers: { 200: { description: 'A page of sessions', schema: shapes.sessionPage } },
    handle: (call) => {
      const { limit, cursor, tag, state, since, ...filter } = call.query
      const own = call.principal.organization
      if (own !== undefined && filter.organization !== undefined && filter.organization !== own) return { sessions: [] }
      const after = since === undefined ? undefined : Date.parse(since)
      return visiblePage(call, filter, { limit, cursor }, (entry) => {
        if (after !== undefined && Date.parse(entry.updatedAt) < after) return false
        if (state !== undefined && !isIn(entry.value, state)) return false
        return tag === undefined || hasTag(call.runtime, entry, tag)
      })
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
    body: z.union([shapes.event, z.array(shapes.event).min(1).max(10_000)], {
      error: 'it is an event, as {"type":"start"}, or a list of 1 to 10,000 events, as [{"type":"start"}]',
    }),
    answers: { 200: { description: 'The transition', schema: shapes.transition } },
    handle: ({ session, body, idempotencyKey, trace, signal }) => {
      const options = { signal, ...trace, ...(idempotencyKey !== undefined && { id: idempotencyKey }) }
      return Array.isArray(body) ? session.sendBatch(body, options) : session.send(body as never, options)
    },
  }),
  route({
    name: 'session.cancel',
    method: 'POST',
    path: '/v1/sessions/:id/cancel',
    summary:
      'Ends a session as `stopped`, with its steps and its child sessions; answers when nothing of it runs any more.',
    access: 'write',
    concerns: 'session',
    params: shapes.sessionParams,
    body: z.strictObject({ reason: z.string().max(1000).optional() }).optional(),
    answers: { 200: { description: 'The session', schema: shapes.snapshot } },
    handle: async ({ session, body, signal }) => {
      await session.cancel({ signal, ...(body?.reason !== undefined && { reason: body.reason }) })
      return session.snapshot()
    },
  }),
  route({
    name: 'session.delete',
    method: 'DELETE',
    path: '/v1/sessions/:id',
    summary: 'Stops a session and removes it for good.',
    access: 'operate',
    concerns: 'session',
    params: shapes.sessionParams,
    answers: { 204: { description: 'It is gone' } },
    handle: ({ session, signal }) => session.delete({ signal }),
  }),
]

const hasTag = (runtime: Runtime, { kind, value }: SessionEntry, tag: string): boolean =>
  tagsOf(runtime.kinds.get(kind)?.machine, value).includes(tag)
