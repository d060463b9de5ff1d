// The public names of the agent kind, listed one by one. Importing them loads no model and no package of one: what asks
// models and runs tools is loaded where the steps run.

export type { AgentRefusal } from './asking.js'
export type { Decision, ToolCall } from './calls.js'
export {
  type ConversationContext,
  type ConversationInput,
  type ConversationMachine,
  type ConversationOutput,
  type ConversationValue,
  conversationMachine,
} from './conversation.js'
export { Conversations, type DecideOptions, type SayOptions } from './conversations.js'
export type { AgentEvent, ConversationEvent, DecisionEvent } from './events.js'
export type { JsonObject } from './json.js'
export { agent, conversation } from './kind.js'
export type { Approval, Budget, BudgetLevel, LlmConfig, Price, ScriptedTurn, Usage } from './llm-config.js'
export {
  type AgentContext,
  type AgentInput,
  type AgentMachine,
  type AgentOutput,
  type AgentValue,
  agentMachine,
  type BudgetEmitted,
  type ConversationStatus,
} from './machine.js'
export type {
  AgentModule,
  AgentTool,
  AssistantMessage,
  HookInput,
  LocalModel,
  Message,
  ModelRequest,
  Said,
  ToolContext,
  ToolMessage,
  ToolOptions,
  ToolOutput,
  ToolResult,
  Tools,
  UserMessage,
} from './model.js'
export type { Ok, Refused, Result } from './result.js'
export { type ConfigError, SessionConfig } from './session-config.js'
export type { ConversationInfo, ConversationSummary, SessionInfo, SessionSummary } from './session-info.js'
export { SessionManager, type SessionOptions, type SessionQuery } from './session-manager.js'
export {
  SESSION_STATUSES,
  SESSION_TRANSITIONS,
  type SerializedState,
  SessionState,
  type SessionStatus,
  type StateErrorCode,
  type StateOptions,
  type StateUpdate,
} from './session-state.js'
export type { ConversationStatusWord, SessionPhase } from './status.js'
export type { StatusEvent, TopicOptions } from './status-events.js'
export type { AgentErrorCode } from './steps/module.js'
