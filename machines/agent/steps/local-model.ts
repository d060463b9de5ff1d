// A model that is a function: what it says becomes a reply of the same form as one of the AI SDK's models.

import type { StepContext } from 'holdfast'
import { jsonCopy } from '../json.js'
import type { Usage } from '../llm-config.js'
import type { Answer, LocalModel, ProposedCall, RespondInput, Said, Tools } from '../model.js'
import { AgentError } from './module.js'
import { limitOf } from './rate-limit.js'
import { proposed } from './tools.js'

/** A token of most models is about so many characters: for models that do not count. */
const CHARACTERS_PER_TOKEN = 4

/** Asks it once. Throws what it throws, but for a rate limit. */
export async function askLocal(
  model: LocalModel,
  input: RespondInput,
  tools: Tools,
  context: StepContext,
): Promise<Answer> {
  const { messages, llm_config, turn } = input
  const { signal, idempotencyKey } = context
  const request = { messages, llm_config, turn, tools: Object.keys(tools), signal, idempotencyKey }
  const reply = new Reply(context)
  try {
    for await (const said of model(request)) {
      signal.throwIfAborted()
      reply.hear(said)
    }
  } catch (error) {
    const limit = limitOf(error, Date.now())
    if (limit) return limit
    throw error
  }
  const calls = await Promise.all(reply.calls.map((call) => proposed(tools, call, input, context)))
  return { kind: 'reply', message: reply.message(), calls, used: reply.used ?? estimate(messages, reply.text) }
}

class Reply {
  text = ''
  used: Usage | undefined
  readonly calls: ProposedCall[] = []
  readonly #context: StepContext

  constructor(context: StepContext) {
    this.#context = context
  }

  hear(said: Said): void {
    if (typeof said === 'string') {
      this.text += said
      this.#context.emit({ type: 'text', text: said })
    } else if ('used' in said) this.used = said.used
    else {
      const { tool, id = `${this.#context.idempotencyKey}.${this.calls.length + 1}` } = said
      const input = jsonCopy(said.input)
      if (input === undefined) throw new AgentError('MODEL_FAILED', `the model called ${tool} with what is not JSON`)
      this.calls.push({ id, tool, input })
      this.#context.emit({ type: 'tool-call', id, tool })
    }
  }

  message() {
    const text = this.text === '' ? [] : [{ type: 'text', text: this.text }]
    const calls = this.calls.map(({ id, tool, input }) => ({
      ...{ type: 'tool-call', toolCallId: id, toolName: tool, input },
    }))
    return { role: 'assistant' as const, content: [...text, ...calls] }
  }
}

const tokensOf = (characters: number): number => Math.ceil(characters / CHARACTERS_PER_TOKEN)

const estimate = (messages: RespondInput['messages'], text: string): Usage => ({
  input_tokens: tokensOf(JSON.stringify(messages).length),
  output_tokens: tokensOf(text.length),
})
