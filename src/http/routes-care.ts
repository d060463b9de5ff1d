// The routes of whoever looks after it all: sessions in trouble, what is pruned and backed up, the doctor, and whether it
// is up.

import { z } from 'zod'
import type { AuditHead } from '../audit-chain.js'
import { HoldfastError } from '../errors.js'
import { doctor, openBackup } from '../open.js'
import { visiblePage } from './owners.js'
import { mayDo } from './principal.js'
import { type Route, route } from './route.js'
import * as shapes from './shapes.js'

/** What `POST /v1/backup` calls them. */
const BACKUP_NAME = /^holdfast-[0-9TZ-]{24}\.backup$/

const auditHead: z.ZodType<AuditHead> = z
  .string()
  .regex(/^\d{1,15}:[0-9a-f]{64}$/)
  .transform((text) => {
    const [n, hash] = text.split(':') as [string, string]
    return { n: Number(n), hash }
  }) as unknown as z.ZodType<AuditHead>

const letterParams = z.object({ id: shapes.id, letter: shapes.seq.describe('The id of a dead letter') })

export const careRoutes: readonly Route[] = [
  route({
    name: 'session.release',
    method: 'POST',
    path: '/v1/sessions/:id/release',
    summary: 'Lets a session run again that was quarantined; one that was not goes on as it is.',
    access: 'operate',
    concerns: 'session',
    params: shapes.sessionParams,
    answers: { 200: { description: 'The session', schema: shapes.snapshot } },
    handle: async ({ session, signal }) => {
      await session.release({ signal })
      return session.snapshot()
    },
  }),
  route({
    name: 'session.letters',
    method: 'GET',
    path: '/v1/sessions/:id/dead-letters',
    summary: 'Lists the events of a session that were set aside because it crashed on them.',
    access: 'read',
    concerns: 'session',
    params: shapes.sessionParams,
    answers: { 200: { description: 'Its dead letters', schema: z.array(shapes.letterOfSession) } },
    handle: ({ session }) => session.deadLetters(),
  }),
  route({
    name: 'letter.resend',
    method: 'POST',
    path: '/v1/sessions/:id/dead-letters/:letter/resend',
    summary: 'Has a session decide a dead letter after all; answers with the transition once it is durable.',
    access: 'operate',
    concerns: 'session',
    params: letterParams,
    answers: { 200: { description: 'The transition', schema: shapes.transition } },
    handle: ({ session, params, signal }) => session.resend(params.letter, { signal }),
  }),
  route({
    name: 'letter.discard',
    method: 'DELETE',
    path: '/v1/sessions/:id/dead-letters/:letter',
    summary: 'Removes a dead letter for good.',
    access: 'operate',
    concerns: 'session',
    params: letterParams,
    answers: { 204: { description: 'It is gone' } },
    handle: ({ session, params, signal }) => session.discard(params.letter, { signal }),
  }),
  route({
    name: 'letter.list',
    method: 'GET',
    path: '/v1/dead-letters',
    summary: 'Lists events that were set aside because their sessions crashed on them, by session.',
    access: 'read',
    concerns: 'sessions',
    query: shapes.page,
    answers: {
      200: {
        description: 'The dead letters of a page of sessions',
        schema: z.object({ letters: z.array(shapes.letter), cursor: z.string().optional() }),
      },
    },
    handle: (call) => {
      const { sessions, cursor } = visiblePage(call, { deadLetters: true }, call.query)
      const letters = sessions.flatMap(({ id, kind }) =>
        call.runtime
          .session(id)
          .deadLetters()
          .map((letter) => ({ session: id, kind, ...letter })),
      )
      return { letters, ...(cursor !== undefined && { cursor }) }
    },
  }),
  route({
    name: 'quarantine.list',
    method: 'GET',
    path: '/v1/quarantine',
    summary: 'Lists sessions that crashed too often, and wait to be released.',
    access: 'read',
    concerns: 'sessions',
    query: shapes.page,
    answers: { 200: { description: 'A page of sessions', schema: shapes.sessionPage } },
    handle: (call) => visiblePage(call, { quarantined: true }, call.query),
  }),
  route({
    name: 'prune',
    method: 'POST',
    path: '/v1/prune',
    summary: 'Removes sessions that ended long ago, for good; with `dryRun` it only tells which.',
    access: 'admin',
    concerns: 'instance',
    body: z.strictObject({
      olderThanMs: z.number().min(0).describe('How long ago they ended'),
      kind: z.string().optional(),
      status: shapes.status.optional(),
      state: z.string().optional().describe('The state in which they ended, as approved or review.rejected'),
      dryRun: z.boolean().optional(),
    }),
    answers: {
      200: {
        description: 'What was removed, or would be',
        schema: z.object({ sessions: z.array(shapes.entry), bytes: z.int() }),
      },
    },
    handle: ({ runtime, body, signal }) => runtime.prune({ ...body, signal } as Parameters<typeof runtime.prune>[0]),
  }),
  route({
    name: 'backup',
    method: 'POST',
    path: '/v1/backup',
    summary: 'Writes a backup of everything that is durable to a file in the folder that the server was given.',
    access: 'admin',
    concerns: 'instance',
    answers: {
      201: {
        description: 'The backup',
        schema: z.object({ file: z.string(), bytes: z.int(), end: z.int(), damage: z.array(shapes.anyJson) }),
      },
    },
    handle: async ({ runtime, services }) => {
      if (services.backups === undefined) throw notHere('was given no folder for backups')
      const file = `holdfast-${new Date(runtime.clock.now()).toISOString().replaceAll(/[:.]/g, '-')}.backup`
      const { bytes, end, damage } = await runtime.backup(`${services.backups}/${file}`)
      return { file, bytes, end, damage }
    },
  }),
  route({
    name: 'backup.read',
    method: 'GET',
    path: '/v1/backups/:file',
    summary: 'Gives a backup that the server has made, to be kept elsewhere.',
    access: 'admin',
    concerns: 'instance',
    params: z.object({ file: z.string().regex(BACKUP_NAME).describe('As the answer to POST /v1/backup names it') }),
    answers: { 200: { description: 'The file', schema: z.string(), type: 'application/x-tar' } },
    handle: ({ services, params, headers }) => {
      if (services.backups === undefined) throw notHere('was given no folder for backups')
      const { bytes, body } = openBackup(services.backups, params.file)
      headers.set('content-type', 'application/x-tar')
      headers.set('content-length', String(bytes))
      return new Response(body, { headers })
    },
  }),
  route({
    name: 'doctor',
    method: 'GET',
    path: '/v1/doctor',
    summary: 'Reads everything on the disk and says what is wrong.',
    access: 'admin',
    concerns: 'instance',
    query: z.object({
      auditHead: auditHead.optional().describe('An entry that the audit log must still have, as <number>:<hash>'),
    }),
    answers: {
      200: {
        description: 'What was found',
        schema: z.object({
          dir: z.string(),
          healthy: z.boolean(),
          sessions: z.int(),
          findings: z.array(shapes.anyJson),
          audit: z.object({ n: z.int(), hash: z.string() }).optional(),
        }),
      },
    },
    handle: ({ services, query }) => {
      if (!services.place) throw notHere('was not told where its sessions are')
      return doctor({ ...services.place, ...(query.auditHead && { auditHead: query.auditHead }) })
    },
  }),
  route({
    name: 'health',
    method: 'GET',
    path: '/health',
    summary: 'Whether the runtime lives; to those who may see everything, also what it is doing.',
    access: 'public',
    concerns: 'nothing',
    answers: { 200: { description: 'How it is', schema: z.looseObject({ status: z.string() }) } },
    handle: ({ runtime, principal }) => {
      const { status, sessions, live, parked, quarantined, journal, pool } = runtime.health()
      if (principal.organization !== undefined || !mayDo(principal, 'read')) return { status }
      const reasons = parked.map(({ id, kind, code, reason }) => ({ id, kind, code, reason: reason.message }))
      return { status, sessions, live, parked: reasons, quarantined, journal, pool }
    },
  }),
  route({
    name: 'ready',
    method: 'GET',
    path: '/ready',
    summary: 'Whether it takes what changes something; otherwise a problem says why not.',
    access: 'public',
    concerns: 'nothing',
    answers: { 200: { description: 'It is ready', schema: z.object({ ready: z.literal(true) }) } },
    handle: ({ runtime }) => {
      runtime.assertReady()
      return { ready: true }
    },
  }),
  route({
    name: 'openapi',
    method: 'GET',
    path: '/openapi.json',
    summary: 'This description.',
    access: 'read',
    concerns: 'nothing',
    answers: { 200: { description: 'An OpenAPI 3.1 document', schema: shapes.anyJson } },
    handle: ({ services }) => services.openApi(),
  }),
]

const notHere = (why: string): HoldfastError => new HoldfastError('NOT_ALLOWED', `this server ${why}`)
