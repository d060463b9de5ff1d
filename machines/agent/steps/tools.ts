// The user's tools: whether a call needs a person, and one call run to its end. A tool that throws has told the model
// something; only a worker that dies, or a step that is cut off, makes the call run again, under the same key.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { StepContext } from 'holdfast'
import { type JsonObject, jsonCopy } from '../json.js'
import type {
  AgentTool,
  Message,
  ProposedCall,
  ToolContext,
  ToolInput,
  ToolOptions,
  ToolOutput,
  Tools,
} from '../model.js'

interface Surroundings {
  readonly metadata: JsonObject
  readonly messages: readonly Message[]
}

export const contextFor = ({ metadata }: { readonly metadata: JsonObject }, context: StepContext): ToolContext => {
  const { idempotencyKey, attempt, signal } = context
  return {
    ...{ idempotencyKey, attempt, metadata, signal },
    progress: (percent, message) => context.progress(percent, message),
    emit: (chunk) => context.emit(chunk),
  }
}

function optionsFor(id: string, surroundings: Surroundings, context: StepContext): ToolOptions {
  const own = contextFor(surroundings, context)
  const { messages } = surroundings
  return { ...own, toolCallId: id, messages, abortSignal: context.signal, experimental_context: own }
}

const toolOf = (tools: Tools, name: string): AgentTool | undefined =>
  Object.hasOwn(tools, name) ? tools[name] : undefined

const failure = (value: string): ToolOutput => ({ type: 'error-text', value })

/** A call as the session takes it: with what is known of it already, or whether it waits for a person. */
export async function proposed(
  tools: Tools,
  call: ProposedCall,
  surroundings: Surroundings,
  context: StepContext,
): Promise<ProposedCall> {
  if (call.output) return call
  const tool = toolOf(tools, call.tool)
  if (!tool?.execute) return { ...call, output: failure(`there is no tool "${call.tool}" to run`) }
  const wrong = await issuesOf(tool, call.input)
  if (wrong !== undefined) return { ...call, output: failure(`the input of "${call.tool}" is wrong: ${wrong}`) }
  const { needsApproval } = tool
  const needed =
    typeof needsApproval === 'function'
      ? await needsApproval(call.input, optionsFor(call.id, surroundings, context))
      : needsApproval
  return needed ? { ...call, approval: true } : call
}

/** What a tool came to. Rejects only when the step was cut off. */
export async function runTool(tools: Tools, input: ToolInput, context: StepContext): Promise<ToolOutput> {
  const { id, tool: name, input: given } = input.call
  const tool = toolOf(tools, name)
  if (!tool?.execute) return failure(`there is no tool "${name}" to run`)
  try {
    return outputOf(name, await settled(tool.execute(given, optionsFor(id, input, context)), context))
  } catch (error) {
    context.signal.throwIfAborted()
    return failure(error instanceof Error ? error.message : String(error))
  }
}

/** A tool may give one result, or several of which the last counts and the others are shown. */
async function settled(given: unknown, context: StepContext): Promise<unknown> {
  if (typeof given !== 'object' || given === null || !(Symbol.asyncIterator in given)) return await given
  let last: unknown
  for await (const part of given as AsyncIterable<unknown>) {
    context.emit({ type: 'tool-output', output: part })
    last = part
  }
  return last
}

function outputOf(name: string, value: unknown): ToolOutput {
  if (value === undefined) return { type: 'text', value: 'done' }
  if (typeof value === 'string') return { type: 'text', value }
  const copy = jsonCopy(value)
  return copy === undefined ? failure(`"${name}" gave what is not JSON`) : { type: 'json', value: copy }
}

/** What a Standard Schema says of an input; schemas of other kinds are the AI SDK's to check. */
async function issuesOf({ inputSchema }: AgentTool, input: unknown): Promise<string | undefined> {
  const standard = (inputSchema as Partial<StandardSchemaV1> | undefined)?.['~standard']
  if (!standard) return undefined
  const { issues } = await standard.validate(input)
  return issues?.map(({ message }) => message).join('; ')
}
