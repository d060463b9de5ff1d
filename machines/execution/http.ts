// The original's HTTP API of execution sessions, by its own path, fields and statuses, as rows of the table of routes:
// `createHttp(runtime, { mount: [executionRoutes(integrationOf)] })`. Whoever calls acts as themselves, so what they may not do
// is refused as everywhere; only a caller that belongs to no organization and may do everything speaks for others, and names them:
// somebody whom `people` knows has to stand behind every decision.

import { HoldfastError } from 'holdfast'
import { admitSession, type Call, type Route, route } from 'holdfast/http'
import { z } from 'zod'
import type { ExecutionSessionIntegration } from './integration.js'

/** The integration of an organization; undefined: that organization has none here. */
export type IntegrationOf = (organization: string | undefined) => ExecutionSessionIntegration | undefined

const text = z.string().min(1).max(1000)
const sessionId = text.describe('The id of an execution session')
const answer = z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]).describe('As the original answers')

const userId = text
  .describe('In whose name: whoever speaks for others says so; of all others it is themselves')
  .optional()

const query = z.object({ action: z.enum(['status', 'active', 'stats']), sessionId: sessionId.optional(), userId })

// A field that nobody reads is refused: left alone, a misspelt `userId` would decide in somebody else's name.
const body = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('create'), adminUserId: text, teamId: text }),
  z.strictObject({
    action: z.literal('modify'),
    sessionId,
    userId: text,
    ticketId: text,
    actionType: z.enum(['status_change', 'reassign', 'comment']),
    value: z.string().min(1).max(10_000),
  }),
  z.strictObject({ action: z.literal('confirm'), sessionId, userId }),
  z.strictObject({ action: z.literal('complete'), sessionId, userId }),
  z.strictObject({ action: z.literal('cancel'), sessionId, reason: z.string().max(1000).optional(), userId }),
  z.strictObject({ action: z.literal('cleanup'), daysOld: z.number().min(0).max(36_500).optional(), userId }),
])

export const executionRoutes = (integrationOf: IntegrationOf): readonly Route[] => [
  route({
    name: 'execution.query',
    method: 'GET',
    path: '/api/sessions',
    summary: 'Tells of an execution session (action=status), of those that are active, or their statistics.',
    access: 'read',
    concerns: 'sessions',
    query,
    answers: { 200: { description: 'The result, the sessions or the statistics', schema: answer } },
    handle: (call) => {
      const { action, sessionId: id } = call.query
      const integration = integrationFor(call, integrationOf, call.query.userId)
      if (action === 'active') return integration.getActiveSessions()
      if (action === 'stats') return integration.getSessionStats()
      if (id !== undefined) return integration.getSessionStatus(id)
      throw new HoldfastError('INVALID_ARGUMENT', 'the query is not valid: sessionId: it is missing')
    },
  }),
  route({
    name: 'execution.act',
    method: 'POST',
    path: '/api/sessions',
    summary: 'Creates, modifies, confirms, completes or cancels an execution session, or cleans up old ones.',
    access: 'write',
    concerns: 'sessions',
    body,
    answers: { 200: { description: 'What it came to', schema: answer } },
    handle: (call) => {
      const { body: asked, signal } = call
      const integration = integrationFor(call, integrationOf, nameIn(asked))
      switch (asked.action) {
        case 'create':
          admitSession(call)
          return integration.createExecutionSession(asked.adminUserId, asked.teamId, { signal })
        case 'modify': {
          const { sessionId: id, userId, ticketId, actionType, value } = asked
          return integration.processUserModification(id, userId, ticketId, actionType, value, { signal })
        }
        case 'confirm':
          return integration.confirmSession(asked.sessionId, { signal })
        case 'complete':
          return integration.completeSession(asked.sessionId, { signal })
        case 'cancel':
          return integration.cancelSession(asked.sessionId, asked.reason, { signal })
        case 'cleanup':
          return integration.cleanupOldSessions(asked.daysOld)
      }
    },
  }),
]

/** In whose name something is asked for, if that is said. */
const nameIn = (asked: z.infer<typeof body>): string | undefined =>
  asked.action === 'create' ? asked.adminUserId : asked.userId

/** Throws NOT_ALLOWED for a caller whose organization has no sessions here, or who speaks for others and may not. */
function integrationFor(
  { principal, trace }: Pick<Call, 'principal' | 'trace'>,
  integrationOf: IntegrationOf,
  userId: string | undefined,
): ExecutionSessionIntegration {
  const { id, organization, roles } = principal
  const integration = integrationOf(organization)?.within(trace)
  if (!integration) throw new HoldfastError('NOT_ALLOWED', `${id} is of an organization that has no sessions here`)
  const speaksForOthers = organization === undefined && roles.includes('admin')
  if (speaksForOthers) return userId === undefined ? integration : integration.as(userId)
  if (userId === undefined || userId === id) return integration.as(id)
  throw new HoldfastError('NOT_ALLOWED', `${id} may not speak for ${userId}`, { details: { user: id } })
}
