// What goes between a conversation and its model: messages and tools in the form of the AI SDK, so that either a model of
// that SDK or a function of one's own can answer them, and so that nothing has to be translated. Types only.

import type { JsonObject } from './json.js'
import type { LlmConfig, Usage } from './llm-config.js'
import type { SessionConfig } from './session-config.js'

/** The AI SDK's `ModelMessage`, as JSON. */
export type Message = UserMessage | AssistantMessage | ToolMessage

export interface UserMessage {
  readonly role: 'user'
  readonly content: string
}

export interface AssistantMessage {
  readonly role: 'assistant'
  readonly content: string | readonly JsonObject[]
}

export interface ToolMessage {
  readonly role: 'tool'
  readonly content: readonly ToolResult[]
}

export interface ToolResult {
  readonly type: 'tool-result'
  readonly toolCallId: string
  readonly toolName: string
  readonly output: ToolOutput
}

/** The AI SDK's form of what a tool came to. */
export type ToolOutput =
  | { readonly type: 'json'; readonly value: unknown }
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'error-text'; readonly value: string }
  | { readonly type: 'execution-denied'; readonly reason: string }

/** A tool call that a reply proposes. */
export interface ProposedCall {
  readonly id: string
  readonly tool: string
  readonly input: unknown
  /** Waits for a person. */
  readonly approval?: true
  /** Known already: there is no such tool, or its input is not what the tool takes. */
  readonly output?: ToolOutput
}

/** What one call of a model came to. */
export type Answer =
  | {
      readonly kind: 'reply'
      readonly message: AssistantMessage
      readonly calls: readonly ProposedCall[]
      readonly used: Usage
    }
  /** The provider wants to be asked later. */
  | { readonly kind: 'limited'; readonly retry_after_ms: number; readonly until: string }

// ---- what steps are given

export interface HookInput {
  readonly config: SessionConfig
  readonly llm_config: LlmConfig
  readonly metadata: JsonObject
}

export interface RespondInput {
  readonly llm_config: LlmConfig
  readonly metadata: JsonObject
  readonly messages: readonly Message[]
  /** How many answers there were before. */
  readonly turn: number
}

export interface ToolInput {
  readonly llm_config: LlmConfig
  readonly metadata: JsonObject
  readonly messages: readonly Message[]
  readonly call: { readonly id: string; readonly tool: string; readonly input: unknown }
}

export type Tools = { readonly [name: string]: AgentTool }

// ---- what users write

/** A module of the user's, named by `llm_config.agent` and loaded in worker threads. */
export interface AgentModule {
  /** A language model of the AI SDK, the name of one, or a function of one's own. Default: `llm_config.model`. */
  readonly model?: LocalModel | object | string
  readonly tools?: Tools
  /** Called while the session is initializing: what it throws terminates the session. May run again after a crash. */
  readonly start?: (session: HookInput, context: ToolContext) => unknown
  /** Called while the session is terminating. May run again after a crash. */
  readonly stop?: (session: HookInput, context: ToolContext) => unknown
}

/** A tool in the AI SDK's form: what its `tool()` makes is one. */
export interface AgentTool {
  readonly description?: string
  /** A schema of the AI SDK: zod, or what `jsonSchema()` makes. With a function as model, any Standard Schema. */
  readonly inputSchema?: unknown
  /** Whether a person must approve a call, or which of them. Default: none. */
  // biome-ignore lint/suspicious/noExplicitAny: each tool has an input of its own
  readonly needsApproval?: boolean | ((input: any, options: any) => boolean | PromiseLike<boolean>)
  // biome-ignore lint/suspicious/noExplicitAny: each tool has an input of its own, and the AI SDK its own type of options
  readonly execute?: (input: any, options: any) => unknown
}

/** What `execute` gets beside its input: the AI SDK's options, and what a step has. */
export interface ToolOptions extends ToolContext {
  readonly toolCallId: string
  readonly messages: readonly Message[]
  readonly abortSignal: AbortSignal
  /** The same as a `ToolContext`, for tools that are typed by the AI SDK. */
  readonly experimental_context: ToolContext
}

export interface ToolContext {
  /** The same for every attempt at this call, also after a crash: hand it to whatever must happen once. */
  readonly idempotencyKey: string
  /** From 1. */
  readonly attempt: number
  readonly metadata: JsonObject
  readonly signal: AbortSignal
  progress(percent: number, message?: string): void
  /** Sends a JSON value to observers. */
  emit(chunk: unknown): void
}

/** A model that is a function: it says texts and tool calls, one after the other. */
export type LocalModel = (request: ModelRequest) => AsyncIterable<Said> | Iterable<Said>

export interface ModelRequest {
  readonly messages: readonly Message[]
  readonly llm_config: LlmConfig
  /** How many answers this conversation had before, those that asked to be asked later included. */
  readonly turn: number
  /** Names of the tools that there are. */
  readonly tools: readonly string[]
  readonly signal: AbortSignal
  readonly idempotencyKey: string
}

export type Said =
  | string
  | { readonly tool: string; readonly input: unknown; readonly id?: string }
  | { readonly used: Usage }
