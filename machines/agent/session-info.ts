// What a session and a conversation look like from outside: made anew from a durable snapshot, or from what the registry
// knows, whenever somebody asks. Times are Dates here, and ISO 8601 strings in the session.

import type { SessionEntry, SessionSnapshot } from 'holdfast'
import { type Decision, waitsForPerson } from './calls.js'
import type { ConversationMachine } from './conversation.js'
import { type Budget, type BudgetLevel, moneyOf, type Usage } from './llm-config.js'
import { type AgentMachine, budgetLevelOf, busyOf } from './machine.js'
import type { Message } from './model.js'
import type { SessionState, SessionStatus } from './session-state.js'
import { type ConversationStatusWord, conversationStatusOf, phaseOf, type SessionPhase, statusOf } from './status.js'

/** The original's state, and more: what the session is at, and what it has used. */
export interface SessionInfo extends SessionState {
  /** Where the session is: its address in the runtime, which stays the same across restarts. */
  readonly pid: string
  readonly phase: SessionPhase
  readonly used: Usage
  /** In the unit of `llm_config.price`. */
  readonly money: number
  readonly budget: Budget | null
  readonly budget_level: BudgetLevel
  /** When its provider may be asked again, while it is parked. */
  readonly parked_until: Date | null
}

/** What is known of a session without opening it. */
export interface SessionSummary
  extends Omit<SessionInfo, 'config' | 'llm_config' | 'metadata' | 'used' | 'budget' | 'pid'> {
  /** Of input and output. */
  readonly tokens: number
}

export interface ConversationInfo {
  readonly session_id: string
  readonly conversation: string
  readonly pid: string
  readonly status: ConversationStatusWord
  readonly messages: readonly Message[]
  /** Tool calls that wait for a person. */
  readonly waiting: readonly { readonly call: string; readonly tool: string; readonly input: unknown }[]
  readonly decided: { readonly [call: string]: Decision }
  readonly used: Usage
  readonly money: number
  readonly error: string | null
}

/** What is known of a conversation without opening it. */
export interface ConversationSummary {
  readonly session_id: string
  readonly conversation: string
  readonly pid: string
  readonly status: ConversationStatusWord
  /** How many tool calls wait for a person. */
  readonly waiting: number
  readonly tokens: number
  readonly error: string | null
  readonly updated_at: Date
}

/** A session that was ended from outside (cancelled, say) has terminated, wherever its machine stood. */
const statusIn = ({ status, value }: Pick<SessionSnapshot<AgentMachine>, 'status' | 'value'>): SessionStatus =>
  status === 'active' ? statusOf(value) : 'terminated'

export function sessionInfoOf(snapshot: SessionSnapshot<AgentMachine>): SessionInfo {
  const { id, value, context, createdAt, updatedAt } = snapshot
  const { config, llm_config, metadata, used, budget, limit, error } = context
  const living = snapshot.status === 'active'
  return Object.freeze({
    session_id: id,
    status: statusIn(snapshot),
    ...{ config, metadata },
    llm_config: { ...llm_config },
    created_at: new Date(createdAt),
    updated_at: new Date(updatedAt),
    active_tasks: living ? busyOf(context) : [],
    conversation_count: Object.keys(context.conversations).length,
    error: error ?? null,
    pid: id,
    phase: living ? phaseOf(value) : null,
    used,
    money: moneyOf(used, llm_config.price),
    budget: budget ?? null,
    budget_level: budgetLevelOf(context),
    parked_until: limit ? new Date(limit.until) : null,
  })
}

export function sessionSummaryOf({ id, status, attributes, createdAt, updatedAt }: SessionEntry): SessionSummary {
  const { active_tasks, parked_until, conversation_count, error, budget, tokens, money } = attributes
  const living = status === 'active'
  return Object.freeze({
    session_id: id,
    status: living ? (attributes.status as SessionStatus) : 'terminated',
    phase: living ? (attributes.phase as SessionPhase) : null,
    created_at: new Date(createdAt),
    updated_at: new Date(updatedAt),
    active_tasks: living && active_tasks ? (active_tasks as string).split(' ') : [],
    conversation_count: conversation_count as number,
    error: error as string | null,
    tokens: tokens as number,
    money: money as number,
    budget_level: budget as BudgetLevel,
    parked_until: parked_until ? new Date(parked_until as string) : null,
  })
}

export function conversationInfoOf(
  session_id: string,
  snapshot: SessionSnapshot<ConversationMachine>,
): ConversationInfo {
  const { id, status, value, context } = snapshot
  const { conversation, messages, calls, decided, used, llm_config, error } = context
  const waiting = status === 'active' ? calls.filter(waitsForPerson) : []
  return Object.freeze({
    ...{ session_id, conversation, pid: id },
    status: status === 'active' ? conversationStatusOf(value) : 'ended',
    ...{ messages, decided, used },
    waiting: waiting.map((call) => ({ call: call.id, tool: call.tool, input: call.input })),
    money: moneyOf(used, llm_config.price),
    error: error ?? null,
  })
}

export function conversationSummaryOf({
  id,
  status,
  attributes,
  parent,
  updatedAt,
}: SessionEntry): ConversationSummary {
  const living = status === 'active'
  return Object.freeze({
    session_id: parent?.session ?? '',
    conversation: attributes.conversation as string,
    pid: id,
    status: living ? (attributes.status as ConversationStatusWord) : 'ended',
    waiting: living ? (attributes.waiting as number) : 0,
    tokens: attributes.tokens as number,
    error: attributes.error as string | null,
    updated_at: new Date(updatedAt),
  })
}
