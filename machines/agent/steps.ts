// The steps of an agent, as the worker pool loads them: what touches the user's module, its model and its tools.
// `respond` is one call of a model, `useTool` one call of a tool: what either came to is recorded once, and a crash before
// that runs it again with the same idempotency key. `start` and `stop` are hooks of the module.
// The façade and the machines are never loaded with them, nor they with those.

import type { StepContext } from 'holdfast'
import type { Answer, HookInput, RespondInput, ToolInput, ToolOutput } from './model.js'
import { modelOf } from './steps/models.js'
import { agentModule } from './steps/module.js'
import { contextFor, runTool } from './steps/tools.js'

/** Sees to it that there is a model, and calls the module's `start`. Throws AGENT_MODULE_FAILED or PACKAGE_MISSING. */
export async function start(session: HookInput, context: StepContext): Promise<null> {
  const module = await agentModule(session.llm_config)
  await modelOf(module, session.llm_config)
  await module.start?.(session, contextFor(session, context))
  return null
}

/** Calls the module's `stop`. */
export async function stop(session: HookInput, context: StepContext): Promise<null> {
  const module = await agentModule(session.llm_config)
  await module.stop?.(session, contextFor(session, context))
  return null
}

/** Asks the model once, and emits what it says as it says it: `{ type: 'text', text }`. */
export async function respond(input: RespondInput, context: StepContext): Promise<Answer> {
  const module = await agentModule(input.llm_config)
  const model = await modelOf(module, input.llm_config)
  return model(input, module.tools ?? {}, context)
}

/** Runs a tool; what it throws is what the model is told. */
export async function useTool(input: ToolInput, context: StepContext): Promise<ToolOutput> {
  const { tools = {} } = await agentModule(input.llm_config)
  return runTool(tools, input, context)
}
