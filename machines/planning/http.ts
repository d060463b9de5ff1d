// The original's HTTP API of planning sessions, by its own paths, fields and statuses, as rows of the table of routes:
// `createHttp(runtime, { mount: [planningRoutes()] })`. Who may see what is decided as for all other routes.
// A document is read from an http(s) URL only: whoever calls from outside names no file of this machine.

import { HoldfastError, type Session } from 'holdfast'
import { admitSession, type Call, isOfTeam, ownerFor, type Route, route } from 'holdfast/http'
import { z } from 'zod'
import { planning } from './kind.js'
import type { PlanningMachine } from './machine.js'
import type { PlanningDefaults } from './planning-runtime.js'
import { planningStateOf } from './state.js'

const PAGE = 500

/** How many sessions of an organization are listed at most. */
const MOST_LISTED = 10_000

const params = z.object({ id: z.string().describe('The id of a planning session') })
const note = z.object({
  message: z.string(),
  code: z.string().optional(),
  details: z.unknown().optional(),
  timestamp: z.iso.datetime(),
})
const ids = z.record(z.string(), z.string())
const state = z
  .object({
    id: z.string(),
    organizationId: z.string(),
    confluencePageUrl: z.string(),
    planningTitle: z.string(),
    status: z.enum(['pending', 'processing', 'completed', 'failed']),
    progress: z.number(),
    progressMessage: z.string().optional(),
    errors: z.array(note),
    warnings: z.array(note),
    result: z.object({ epics: ids, features: ids, stories: ids, enablers: ids }).optional(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .describe('A planning session')

const creation = z.object({
  title: z.string().min(1).max(1000),
  confluencePageUrl: z.url({ protocol: /^https?$/ }).max(2000),
  organizationId: z.string().min(1).max(200),
})

/** `defaults`: what sessions created here get, such as a tracker; else the kind's own. */
export const planningRoutes = (defaults: PlanningDefaults = {}): readonly Route[] => [
  route({
    name: 'planning.create',
    method: 'POST',
    path: '/planning/sessions',
    summary: 'Creates a planning session.',
    access: 'write',
    concerns: 'sessions',
    body: creation,
    answers: { 201: { description: 'The session', schema: state } },
    handle: async (call) => {
      const { runtime, principal, body, trace, signal } = call
      admitSession(call)
      const { title, confluencePageUrl: source, organizationId } = body
      const options = { owner: ownerFor(principal, undefined), signal, ...trace }
      const session = await runtime.create(planning, { ...defaults, title, source, organizationId }, options)
      return planningStateOf(session.snapshot())
    },
  }),
  route({
    name: 'planning.list',
    method: 'GET',
    path: '/planning/sessions',
    summary: 'Lists the planning sessions of an organization, in the order of their creation.',
    access: 'read',
    concerns: 'sessions',
    query: z.object({ organizationId: z.string().min(1) }),
    answers: { 200: { description: 'The sessions', schema: z.array(state) } },
    handle: ({ query, ...call }) => [...statesOf(call, query.organizationId)],
  }),
  route({
    name: 'planning.show',
    method: 'GET',
    path: '/planning/sessions/:id',
    summary: 'Shows a planning session.',
    access: 'read',
    concerns: 'session',
    params,
    answers: { 200: { description: 'The session', schema: state } },
    handle: ({ session }) => planningStateOf(planned(session).snapshot()),
  }),
  route({
    name: 'planning.start',
    method: 'POST',
    path: '/planning/sessions/:id/start',
    summary: 'Starts the steps of a planning session that is pending.',
    access: 'write',
    concerns: 'session',
    params,
    answers: { 200: { description: 'It has begun', schema: z.object({ status: z.literal('processing') }) } },
    handle: async ({ session, trace, signal }) => {
      await planned(session)
        .send({ type: 'start' }, { signal, ...trace })
        .catch(notPending)
      return { status: 'processing' }
    },
  }),
  route({
    name: 'planning.delete',
    method: 'DELETE',
    path: '/planning/sessions/:id',
    summary: 'Deletes a planning session for good; issues that it created stay.',
    access: 'write',
    concerns: 'session',
    params,
    answers: { 200: { description: 'It is gone', schema: z.object({ status: z.literal('deleted') }) } },
    handle: async ({ session, signal }) => {
      await planned(session).delete({ signal })
      return { status: 'deleted' }
    },
  }),
]

function* statesOf({ runtime, principal }: Pick<Call, 'runtime' | 'principal'>, organizationId: string) {
  const { organization } = principal
  const filter = { kind: 'planning', where: { organizationId }, ...(organization !== undefined && { organization }) }
  let cursor: string | undefined
  let listed = 0
  do {
    const page = runtime.sessions.list(filter, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const entry of page.sessions)
      if (isOfTeam(entry, principal)) yield planningStateOf(runtime.session(entry.id, planning).snapshot())
    listed += page.sessions.length
    cursor = page.cursor
  } while (cursor !== undefined && listed < MOST_LISTED)
}

/** A session of another kind is not there. */
function planned(session: Session): Session<PlanningMachine> {
  if (session.kind === 'planning') return session as unknown as Session<PlanningMachine>
  throw new HoldfastError('SESSION_NOT_FOUND', `Planning session not found: ${session.id}`)
}

/** The original's status for it is 400. */
function notPending(error: unknown): never {
  if (!(error instanceof HoldfastError) || error.code !== 'NOT_ACCEPTED') throw error
  throw new HoldfastError('INVALID_ARGUMENT', error.message, { cause: error, details: error.details })
}
