// Which model answers: the script, the module's, one by name, or the one that stands in when nobody has any.

import type { StepContext } from 'holdfast'
import type { LlmConfig } from '../llm-config.js'
import type { AgentModule, Answer, LocalModel, RespondInput, Tools } from '../model.js'
import { askLocal } from './local-model.js'
import { scripted, standIn } from './scripted.js'
import { askSdk, loadSdk } from './sdk-model.js'

/** Asks a model once. */
export type Ask = (input: RespondInput, tools: Tools, context: StepContext) => Promise<Answer>

/** Throws PACKAGE_MISSING when it takes the `ai` package and that is not installed. */
export async function modelOf(module: AgentModule, llm: LlmConfig): Promise<Ask> {
  if (llm.script) return local(scripted(llm.script))
  const model = module.model ?? llm.model
  if (model === undefined) return local(standIn)
  if (typeof model === 'function') return local(model as LocalModel)
  const sdk = await loadSdk()
  return (input, tools, context) => askSdk(sdk, model, input, tools, context)
}

const local =
  (model: LocalModel): Ask =>
  (input, tools, context) =>
    askLocal(model, input, tools, context)
