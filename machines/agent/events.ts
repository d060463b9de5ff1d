// The events of an agent's session and of its conversations, and which of them may come from outside: people talk to the
// session, which passes it on; only decisions on tool calls, and `stop`, go to a conversation itself. What the two say to
// each other is refused at the door. Unknown types pass: the machine refuses them better, naming what it would accept.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { DoneActorEvent, ErrorActorEvent } from 'xstate'
import type { Budget, Usage } from './llm-config.js'

/** What may be sent to a session. */
export type AgentEvent =
  /** Begins a conversation; `conversation` is its id, by default `c1`, `c2` … in the order of their beginning. */
  | { readonly type: 'converse'; readonly text: string; readonly conversation?: string }
  | { readonly type: 'message'; readonly conversation: string; readonly text: string }
  /** Another try, after a conversation has failed. */
  | { readonly type: 'retry'; readonly conversation: string }
  /** Ends a conversation; what it runs is stopped. */
  | { readonly type: 'close'; readonly conversation: string }
  /** New limits for the session, none below the one before. */
  | ({ readonly type: 'raiseBudget' } & Budget)
  | { readonly type: 'terminate'; readonly reason?: string }

/** What a session's conversations tell it. */
export type ConversationReport =
  | { readonly type: 'conversation.ask'; readonly conversation: string }
  | ({ readonly type: 'conversation.used'; readonly conversation: string } & Usage)
  | {
      readonly type: 'conversation.limited'
      readonly conversation: string
      readonly retry_after_ms: number
      readonly until: string
    }
  | { readonly type: 'conversation.ready'; readonly conversation: string }
  | { readonly type: 'conversation.failed'; readonly conversation: string; readonly error: string }

/** How a conversation ends: its id is what comes behind the prefix. */
export type ConversationEnd =
  | DoneActorEvent<unknown, string>
  | ErrorActorEvent<unknown, string>
  | { readonly type: 'xstate.done.actor.conversation' }
  | { readonly type: 'xstate.error.actor.conversation' }

/** A person decides on a tool call. The same decision may come twice. */
export interface DecisionEvent {
  readonly type: 'approve' | 'deny'
  /** The tool call's id. */
  readonly call: string
  readonly by?: string
  readonly reason?: string
}

/** What may be sent to a conversation; everything else goes through its session. `stop` cuts the answer short. */
export type ConversationEvent =
  | (DecisionEvent & { readonly type: 'approve' })
  | (DecisionEvent & { readonly type: 'deny' })
  | { readonly type: 'stop' }

/** What a session tells its conversations. */
export type SessionOrder =
  | { readonly type: 'message'; readonly text: string }
  | { readonly type: 'retry' }
  | { readonly type: 'go' }
  | { readonly type: 'end' }

const LONGEST_TEXT = 1_000_000
const LONGEST_NAME = 64
const LONGEST_REASON = 10_000

type Check = (value: unknown) => string | undefined

const text =
  (longest: number): Check =>
  (value) =>
    typeof value === 'string' && value.trim() !== '' && value.length <= longest
      ? undefined
      : `must be a text that is not empty, of at most ${longest} characters`

const id: Check = (value) =>
  typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(value)
    ? undefined
    : `must be 1 to ${LONGEST_NAME} letters, digits, "-" or "_"`

const above0: Check = (value) =>
  typeof value === 'number' && value > 0 && Number.isFinite(value) ? undefined : 'must be a number above 0'

/** Field -> its check; `!` marks one that must be there. */
type Shape = { readonly [field: string]: Check }

const agentEvents: { readonly [type in AgentEvent['type']]: Shape } = {
  converse: { 'text!': text(LONGEST_TEXT), conversation: id },
  message: { 'conversation!': id, 'text!': text(LONGEST_TEXT) },
  retry: { 'conversation!': id },
  close: { 'conversation!': id },
  raiseBudget: { tokens: above0, money: above0 },
  terminate: { reason: text(LONGEST_REASON) },
}

const decision: Shape = { 'call!': text(LONGEST_REASON), by: text(LONGEST_REASON), reason: text(LONGEST_REASON) }

const conversationEvents: { readonly [type: string]: Shape } = { approve: decision, deny: decision, stop: {} }

/** What the two say to each other, and the machine's own. */
const inner = /^(conversation\..*|message|retry|go|end)$/

function schemaOf<T>(shapes: { readonly [type: string]: Shape }): StandardSchemaV1<unknown, T> {
  const validate = (value: unknown): StandardSchemaV1.Result<T> => {
    const event = value as Record<string, unknown> & { type: string }
    const shape = Object.hasOwn(shapes, event.type) ? shapes[event.type] : undefined
    if (shape) return issuesOf(event, shape) ?? { value: event as T }
    if (!inner.test(event.type)) return { value: event as T }
    return {
      issues: [{ message: `"${event.type}" does not come from outside; send ${Object.keys(shapes).join(', ')}` }],
    }
  }
  return { '~standard': { version: 1, vendor: 'holdfast', validate } }
}

function issuesOf(event: Record<string, unknown>, shape: Shape): { issues: StandardSchemaV1.Issue[] } | undefined {
  const issues = Object.entries(shape).flatMap(([key, check]) => {
    const field = key.replace('!', '')
    if (event[field] === undefined) return field === key ? [] : [{ message: 'is missing', path: [field] }]
    const wrong = check(event[field])
    return wrong === undefined ? [] : [{ message: wrong, path: [field] }]
  })
  return issues.length > 0 ? { issues } : undefined
}

export const agentEventSchema: StandardSchemaV1<unknown, AgentEvent> = schemaOf(agentEvents)

/** Every event from outside to a conversation passes here. */
export const conversationEventSchema: StandardSchemaV1<unknown, ConversationEvent> = schemaOf(conversationEvents)
