// The module that a user hands over: loaded where steps run, by its URL, once a thread.

import type { LlmConfig } from '../llm-config.js'
import type { AgentModule } from '../model.js'

export type AgentErrorCode = 'AGENT_MODULE_FAILED' | 'PACKAGE_MISSING' | 'MODEL_FAILED'

/** What a step of an agent throws. `retry: false` says that another attempt cannot help. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: AgentErrorCode
  readonly retry: boolean

  constructor(code: AgentErrorCode, message: string, options: { cause?: unknown; retry?: boolean } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retry = options.retry ?? false
  }
}

const NONE: AgentModule = Object.freeze({})

/** The exports of the user's module; of nothing, if none is named. Throws AGENT_MODULE_FAILED. */
export async function agentModule({ agent }: LlmConfig): Promise<AgentModule> {
  if (agent === undefined) return NONE
  try {
    return (await import(agent)) as AgentModule
  } catch (cause) {
    const message = `the agent's module ${agent} cannot be loaded: ${(cause as Error).message}`
    throw new AgentError('AGENT_MODULE_FAILED', message, { cause })
  }
}
