// The session kinds of an agent: its session, and the conversations that are children of it. Each with its door, and what
// it is found by, so that no query opens a session.
// Give both to `openRuntime({ kinds: [agent] })`: the conversations come with the session that starts them.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { defineSession, type SessionKind } from 'holdfast'
import { waitsForPerson } from './calls.js'
import { type ConversationMachine, conversationMachine } from './conversation.js'
import { agentEventSchema, conversationEventSchema } from './events.js'
import { isPlainObject, type JsonObject } from './json.js'
import { llmConfigOf, moneyOf } from './llm-config.js'
import { type AgentInput, type AgentMachine, agentMachine, budgetLevelOf, busyOf } from './machine.js'
import { SessionConfig } from './session-config.js'
import { conversationStatusOf, phaseOf, statusOf } from './status.js'

const steps = new URL('./steps.js', import.meta.url)

/** What is left out is filled in, and recorded. */
const inputSchema: StandardSchemaV1<unknown, AgentInput> = {
  '~standard': {
    version: 1,
    vendor: 'holdfast',
    validate: (value) => {
      const input = value ?? {}
      if (!isPlainObject(input)) return { issues: [{ message: 'must be an object' }] }
      const { config, llm_config = {}, metadata = {} } = input
      const checked = SessionConfig.new(config as Partial<SessionConfig>)
      if (!checked.ok) return { issues: [{ message: checked.message }] }
      for (const [name, field] of Object.entries({ llm_config, metadata })) {
        if (!isPlainObject(field)) return { issues: [{ message: 'must be an object', path: [name] }] }
      }
      const llm = llmConfigOf(llm_config as JsonObject)
      if (!llm.ok) return { issues: [{ message: llm.message }] }
      return { value: { config: checked.config, llm_config: llm.llm_config, metadata: metadata as JsonObject } }
    },
  },
}

/** A conversation: always a child of an agent's session. */
export const conversation: SessionKind<ConversationMachine> = defineSession({
  kind: 'agent-conversation',
  version: 1,
  machine: conversationMachine,
  steps,
  events: conversationEventSchema,
  index: ({ context, value }) => ({
    conversation: context.conversation,
    status: conversationStatusOf(value),
    waiting: context.calls.filter(waitsForPerson).length,
    inbox: context.calls.some(waitsForPerson),
    tokens: context.used.input_tokens + context.used.output_tokens,
    error: context.error ?? null,
  }),
})

/**
 * A coding agent's session.
 *
 *     const session = await runtime.create(agent, { metadata: { project: 'shop' } })
 *     await session.until('active')
 *     await session.send({ type: 'converse', text: 'Fix the build' })
 */
export const agent: SessionKind<AgentMachine> = defineSession({
  kind: 'agent',
  version: 1,
  machine: agentMachine,
  steps,
  input: inputSchema,
  events: agentEventSchema,
  children: { conversation: { kind: conversation } },
  index: ({ context, value }) => ({
    status: statusOf(value),
    phase: phaseOf(value),
    conversation_count: Object.keys(context.conversations).length,
    active_tasks: busyOf(context).join(' '),
    budget: budgetLevelOf(context),
    parked_until: context.limit?.until ?? null,
    tokens: context.used.input_tokens + context.used.output_tokens,
    money: moneyOf(context.used, context.llm_config.price),
    error: context.error ?? null,
  }),
})
