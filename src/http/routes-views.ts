// The routes of a session as clients of the runtime's own language look at it: its entry, its whole state, what it would take.

import { z } from 'zod'
import { type Route, route } from './route.js'
import * as shapes from './shapes.js'

export const viewRoutes: readonly Route[] = [
  route({
    name: 'session.entry',
    method: 'GET',
    path: '/v1/sessions/:id/entry',
    summary: 'Shows a session as it is listed.',
    access: 'read',
    concerns: 'session',
    params: shapes.sessionParams,
    answers: { 200: { description: 'The entry', schema: shapes.entry } },
    handle: ({ session }) => session.entry(),
  }),
  route({
    name: 'session.state',
    method: 'GET',
    path: '/v1/sessions/:id/state',
    summary:
      'Shows everything that is durable of a session, children, timers and trouble included; after a transition, or now.',
    access: 'read',
    concerns: 'session',
    params: shapes.sessionParams,
    query: z.object({ at: shapes.seq.optional() }),
    answers: { 200: { description: 'The state', schema: z.looseObject({ id: shapes.id }) } },
    handle: ({ session, query }) => session.state(query.at),
  }),
  route({
    name: 'session.can',
    method: 'POST',
    path: '/v1/sessions/:id/can',
    summary: 'Says whether a session would take an event now. Nothing happens.',
    access: 'read',
    concerns: 'session',
    mutates: false,
    params: shapes.sessionParams,
    body: shapes.event,
    answers: { 200: { description: 'Whether it would', schema: z.object({ can: z.boolean() }) } },
    handle: ({ session, body }) => ({ can: session.can(body as never) }),
  }),
]
