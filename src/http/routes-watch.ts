// The routes for whoever watches over all sessions: what waits for a person, and the metrics.

import { z } from 'zod'
import { WAITS_FOR_PERSON } from '../listing.js'
import { prometheusText } from '../metrics.js'
import { visiblePage } from './owners.js'
import { type Route, route } from './route.js'
import * as shapes from './shapes.js'

export const watchRoutes: readonly Route[] = [
  route({
    name: 'approvals.list',
    method: 'GET',
    path: '/v1/approvals',
    summary: 'Lists sessions, children included, that wait for a person: those in a state tagged waits-for-person.',
    access: 'read',
    concerns: 'sessions',
    query: z.object({
      kind: z.string().optional(),
      limit: shapes.whole(1, 1000).optional(),
      cursor: z.string().optional(),
    }),
    answers: {
      200: {
        description: 'A page of sessions',
        schema: z.object({ sessions: z.array(shapes.entry), cursor: z.string().optional() }),
      },
    },
    handle: ({ query: { kind, ...page }, ...call }) =>
      visiblePage(call, { status: 'active', tag: WAITS_FOR_PERSON, ...(kind !== undefined && { kind }) }, page),
  }),
  route({
    name: 'metrics',
    method: 'GET',
    path: '/metrics',
    summary: 'The metrics in the text format of Prometheus.',
    access: 'operate',
    concerns: 'instance',
    answers: { 200: { description: 'The metrics', schema: z.string(), type: 'text/plain' } },
    handle: ({ runtime }) =>
      new Response(prometheusText(runtime.metrics()), {
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
      }),
  }),
]
