// The one word that a value of a statechart stands for.

import type { ConversationValue } from './conversation.js'
import type { AgentValue } from './machine.js'
import type { SessionStatus } from './session-state.js'

/** What a session is at within its status: `paused` by its budget, `parked` by a rate limit. */
export type SessionPhase = 'working' | 'quiet' | 'paused' | 'parked' | 'closing' | 'stopping' | null

export type ConversationStatusWord =
  | 'asking'
  | 'responding'
  | 'deciding'
  | 'waiting'
  | 'acting'
  | 'ready'
  | 'failed'
  | 'ended'

const wordOf = (value: object): string => Object.keys(value)[0] as string

export const statusOf = (value: AgentValue): SessionStatus =>
  typeof value === 'string' ? value : (wordOf(value) as SessionStatus)

export const phaseOf = (value: AgentValue): SessionPhase =>
  typeof value === 'string' ? null : (Object.values(value)[0] as SessionPhase)

export const conversationStatusOf = (value: ConversationValue): ConversationStatusWord =>
  typeof value === 'string' ? value : (wordOf(value) as ConversationStatusWord)
