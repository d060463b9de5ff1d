// A model of the AI SDK (`ai`, an optional package): one streamed call, whose tools are proposed and never executed here,
// so that approval, keys and records are the session's. The SDK's own retries are off: a step has its own.

import type { StepContext } from 'holdfast'
import { type JsonObject, jsonCopy } from '../json.js'
import type { Usage } from '../llm-config.js'
import type { Answer, AssistantMessage, ProposedCall, RespondInput, Tools } from '../model.js'
import { AgentError } from './module.js'
import { limitOf } from './rate-limit.js'
import { proposed } from './tools.js'

type Sdk = typeof import('ai')

/** Throws PACKAGE_MISSING. */
export async function loadSdk(): Promise<Sdk> {
  try {
    return await import('ai')
  } catch (cause) {
    const message = 'a model of the AI SDK takes the package "ai", which cannot be loaded: npm install ai@6'
    throw new AgentError('PACKAGE_MISSING', message, { cause })
  }
}

/** Asks it once. Throws what it throws, but for a rate limit; `retry: false` when another attempt cannot help. */
export async function askSdk(
  sdk: Sdk,
  model: unknown,
  input: RespondInput,
  tools: Tools,
  context: StepContext,
): Promise<Answer> {
  const { llm_config: llm, messages } = input
  const result = sdk.streamText({
    model: model as Parameters<Sdk['streamText']>[0]['model'],
    messages: messages as Parameters<Sdk['streamText']>[0]['messages'] & object,
    tools: declared(tools),
    ...{ maxRetries: 0, abortSignal: context.signal, onError: () => {} },
    ...(llm.system !== undefined && { system: llm.system }),
    ...(llm.temperature !== undefined && { temperature: llm.temperature }),
    ...(llm.max_output_tokens !== undefined && { maxOutputTokens: llm.max_output_tokens }),
  })
  try {
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') context.emit({ type: 'text', text: part.text })
      else if (part.type === 'reasoning-delta') context.emit({ type: 'reasoning', text: part.text })
      else if (part.type === 'tool-call') context.emit({ type: 'tool-call', id: part.toolCallId, tool: part.toolName })
      else if (part.type === 'error') throw part.error
      else if (part.type === 'abort') context.signal.throwIfAborted()
    }
  } catch (error) {
    const limit = limitOf(error, Date.now())
    if (limit) return limit
    throw final(error)
  }
  const calls = (await result.toolCalls).map((call): ProposedCall => {
    const proposal = { id: call.toolCallId, tool: call.toolName, input: jsonCopy(call.input) ?? null }
    if (!('invalid' in call) || !call.invalid) return proposal
    return { ...proposal, output: { type: 'error-text', value: String((call.error as Error)?.message ?? call.error) } }
  })
  return {
    kind: 'reply',
    message: messageIn((await result.response).messages),
    calls: await Promise.all(calls.map((call) => proposed(tools, call, input, context))),
    used: usageOf(await result.totalUsage),
  }
}

/** What the model is told of the tools: how to call them, and nothing that could run them. */
const declared = (tools: Tools): NonNullable<Parameters<Sdk['streamText']>[0]['tools']> =>
  Object.fromEntries(
    Object.entries(tools).map(([name, { execute: _, needsApproval: __, ...rest }]) => [name, rest]),
  ) as never

/** The assistant's part: what tools came to is the session's to say. */
function messageIn(messages: readonly { readonly role: string }[]): AssistantMessage {
  const message = messages.find(({ role }) => role === 'assistant')
  // Through text: what is undefined in it is absent in JSON.
  if (message) return JSON.parse(JSON.stringify(message)) as AssistantMessage
  return { role: 'assistant', content: [] as readonly JsonObject[] }
}

const usageOf = ({ inputTokens = 0, outputTokens = 0 }: { inputTokens?: number; outputTokens?: number }): Usage => ({
  input_tokens: inputTokens,
  output_tokens: outputTokens,
})

/** The SDK knows which errors may pass. */
function final(error: unknown): unknown {
  if (error instanceof Error && (error as { isRetryable?: unknown }).isRetryable === false) {
    return new AgentError('MODEL_FAILED', `the model refused: ${error.message}`, { cause: error })
  }
  return error
}
