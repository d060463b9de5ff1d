// The routes of what a session was: its transitions, itself at one of them, what changed between two, and a new session
// that goes on from one.

import { z } from 'zod'
import type { Transition } from '../transition.js'
import { admitSession, isCreated, keyOf } from './owners.js'
import { type Route, route } from './route.js'
import * as shapes from './shapes.js'

const stretch = z.object({
  from: shapes.seq.optional().describe('The first transition; default 1'),
  to: shapes.seq.optional().describe('The last transition; default the last that is durable'),
  limit: shapes.whole(1, 1000).optional().describe('How many at most; default 100'),
})

/** A page ends when it has so many characters of JSON, whatever its limit. */
const PAGE_CHARS = 4 * 1024 * 1024

export const pastRoutes: readonly Route[] = [
  route({
    name: 'session.history',
    method: 'GET',
    path: '/v1/sessions/:id/history',
    summary: 'Lists the transitions of a session, oldest first; `next` is the first of the next page.',
    access: 'read',
    concerns: 'session',
    params: shapes.sessionParams,
    query: stretch,
    answers: {
      200: {
        description: 'A page of transitions',
        schema: z.object({ transitions: z.array(shapes.transition), next: z.int().optional() }),
      },
    },
    handle: ({ session, query: { from, to, limit = 100 } }) =>
      pageOf(session.history({ ...(from !== undefined && { from }), ...(to !== undefined && { to }) }), limit),
  }),
  route({
    name: 'session.at',
    method: 'GET',
    path: '/v1/sessions/:id/at/:seq',
    summary: 'Shows a session as it was right after one of its transitions.',
    access: 'read',
    concerns: 'session',
    params: z.object({ id: shapes.id, seq: shapes.seq }),
    answers: { 200: { description: 'The session as it was', schema: shapes.snapshot } },
    handle: ({ session, params }) => session.at(params.seq),
  }),
  route({
    name: 'session.diff',
    method: 'GET',
    path: '/v1/sessions/:id/diff',
    summary: 'Shows what changed in a session between two of its transitions, in either direction.',
    access: 'read',
    concerns: 'session',
    params: shapes.sessionParams,
    query: z.object({ from: shapes.seq, to: shapes.seq }),
    answers: { 200: { description: 'What changed', schema: shapes.diff } },
    handle: ({ session, query }) => session.diff(query.from, query.to),
  }),
  route({
    name: 'session.fork',
    method: 'POST',
    path: '/v1/sessions/:id/fork',
    summary: 'Makes a new session that goes on from an earlier point of this one. It is whose this one is.',
    access: 'write',
    concerns: 'session',
    params: shapes.sessionParams,
    body: z
      .strictObject({
        at: z.int().min(1).optional().describe('The transition after which it goes on; default the last'),
        id: shapes.id.optional().describe('A new one by default'),
        children: z.literal('restart').optional().describe('Begins child sessions that were active anew'),
      })
      .optional(),
    answers: { 201: { description: 'The new session', schema: shapes.snapshot } },
    handle: async (call) => {
      const { session, principal, body, idempotencyKey, signal, headers } = call
      if (!isCreated(call, session.kind)) admitSession(call)
      const key = idempotencyKey === undefined ? {} : { idempotencyKey: keyOf(principal, idempotencyKey) }
      const fork = await session.fork({ ...body, ...key, signal })
      headers.set('location', `/v1/sessions/${fork.id}`)
      return fork.snapshot()
    },
  }),
]

function pageOf(history: Iterable<Transition>, limit: number): { transitions: Transition[]; next?: number } {
  const transitions: Transition[] = []
  let room = PAGE_CHARS
  for (const transition of history) {
    if (transitions.length === limit || room <= 0) return { transitions, next: transition.seq }
    transitions.push(transition)
    room -= JSON.stringify(transition).length
  }
  return { transitions }
}
