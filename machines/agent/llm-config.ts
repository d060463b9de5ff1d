// What a session's model may do, as `llm_config` tells it: the fields that this kind understands, and their check. Others
// are kept and handed on to the module of the user. Plain JSON: a model and its tools are code, and are named by the URL
// of the module that exports them (`agent`), because they run in worker threads and after restarts.

import { isPlainObject, type JsonObject } from './json.js'
import { type Result, refused } from './result.js'

export interface LlmConfig {
  /** URL of a module that exports `model`, `tools`, `start`, `stop` (see `AgentModule`), each of them if it likes. */
  readonly agent?: string
  /** What the scripted model says, turn by turn, instead of any other model. */
  readonly script?: readonly ScriptedTurn[]
  /** A model's name, where the module exports none: the `ai` package asks its gateway for it. */
  readonly model?: string
  readonly system?: string
  readonly temperature?: number
  readonly max_output_tokens?: number
  /** How many model calls one message of the user may lead to; default 50. */
  readonly max_turns?: number
  /** How many of the latest messages the model is shown; default 200. */
  readonly context_messages?: number
  /** What a million tokens cost. */
  readonly price?: Price
  /** For all conversations of the session together. At 80% a warning, at 100% no further call until it is raised. */
  readonly budget?: Budget
  /** What becomes of a tool call that nobody approves or denies in time. Without it, it waits for ever. */
  readonly approval?: Approval
}

export interface Price {
  readonly input: number
  readonly output: number
}

/** Tokens, of input and output together; money, in the unit of the price. */
export interface Budget {
  readonly tokens?: number
  readonly money?: number
}

export interface Approval {
  readonly expires_minutes: number
  readonly default: 'approve' | 'deny'
}

export interface Usage {
  readonly input_tokens: number
  readonly output_tokens: number
}

/** A turn of the scripted model. */
export type ScriptedTurn =
  | string
  | {
      readonly text?: string
      readonly calls?: readonly { readonly tool: string; readonly input: unknown; readonly id?: string }[]
      readonly used?: Usage
      /** Not a reply, but a rate limit. */
      readonly retry_after_ms?: number
      /** Not a reply, but a failure that another attempt does not mend. */
      readonly error?: string
    }

export const NO_USAGE: Usage = Object.freeze({ input_tokens: 0, output_tokens: 0 })

const DEFAULT_TURNS = 50
const DEFAULT_CONTEXT_MESSAGES = 200
const A_MILLION = 1_000_000
const WARNING_AT = 0.8

export const sumOf = (a: Usage, b: Usage): Usage => ({
  input_tokens: a.input_tokens + b.input_tokens,
  output_tokens: a.output_tokens + b.output_tokens,
})

/** In the unit of the price; 0 without one. Made anew from whole tokens each time, so that no rounding adds up. */
export const moneyOf = ({ input_tokens, output_tokens }: Usage, price: Price | undefined): number =>
  price ? (input_tokens * price.input + output_tokens * price.output) / A_MILLION : 0

/** How much of a budget is used up. */
export type BudgetLevel = 'ok' | 'warning' | 'spent'

export function levelOf(used: Usage, budget: Budget | undefined, price: Price | undefined): BudgetLevel {
  const tokens = used.input_tokens + used.output_tokens
  const shares = [
    budget?.tokens === undefined ? 0 : tokens / budget.tokens,
    budget?.money === undefined ? 0 : moneyOf(used, price) / budget.money,
  ]
  const share = Math.max(...shares)
  return share >= 1 ? 'spent' : share >= WARNING_AT ? 'warning' : 'ok'
}

export const turnsOf = ({ max_turns }: LlmConfig): number => max_turns ?? DEFAULT_TURNS

export const contextMessagesOf = ({ context_messages }: LlmConfig): number =>
  context_messages ?? DEFAULT_CONTEXT_MESSAGES

type Test = (value: unknown) => string | undefined

const text: Test = (value) =>
  typeof value === 'string' && value !== '' ? undefined : 'must be a text that is not empty'
const above0: Test = (value) => (typeof value === 'number' && value > 0 ? undefined : 'must be a number above 0')
const from0: Test = (value) => (typeof value === 'number' && value >= 0 ? undefined : 'must be a number from 0')
const count: Test = (value) =>
  Number.isSafeInteger(value) && (value as number) > 0 ? undefined : 'must be an integer above 0'
const choice: Test = (value) => (value === 'approve' || value === 'deny' ? undefined : 'must be approve or deny')

const url: Test = (value) => {
  if (typeof value !== 'string' || !URL.canParse(value)) return 'must be the URL of a module, such as import.meta.url'
  return undefined
}

/** What is wrong with a part is told with its path. */
const said = (path: string, wrong: string): string => `${path}${/^[.[]/.test(wrong) ? '' : ' '}${wrong}`

const fields =
  (tests: { readonly [name: string]: Test }, required: readonly string[] = []): Test =>
  (value) => {
    if (!isPlainObject(value)) return 'must be an object'
    const missing = required.find((name) => value[name] === undefined)
    if (missing !== undefined) return `.${missing} is missing`
    return Object.entries(tests).flatMap(([name, test]) => {
      const wrong = value[name] === undefined ? undefined : test(value[name])
      return wrong === undefined ? [] : [said(`.${name}`, wrong)]
    })[0]
  }

const turn: Test = (value) =>
  typeof value === 'string' || isPlainObject(value) ? undefined : 'must be a text or an object'

const script: Test = (value) => {
  if (!Array.isArray(value)) return 'must be a list of turns'
  const wrong = value.findIndex((one) => turn(one) !== undefined)
  return wrong < 0 ? undefined : `[${wrong}] ${turn(value[wrong])}`
}

const tests = fields({
  agent: url,
  script,
  model: text,
  system: text,
  temperature: from0,
  max_output_tokens: count,
  max_turns: count,
  context_messages: count,
  price: fields({ input: from0, output: from0 }, ['input', 'output']),
  budget: fields({ tokens: count, money: above0 }),
  approval: fields({ expires_minutes: above0, default: choice }, ['expires_minutes', 'default']),
})

/** The same object, once its known fields are what they must be. */
export function llmConfigOf(value: JsonObject): Result<{ llm_config: LlmConfig }, 'invalid_llm_config'> {
  const wrong = tests(value) ?? (hasUnpricedMoney(value) ? '.budget.money needs a price' : undefined)
  if (wrong !== undefined) return refused('invalid_llm_config', said('llm_config', wrong))
  return { ok: true, llm_config: value as LlmConfig }
}

const hasUnpricedMoney = ({ budget, price }: LlmConfig): boolean => budget?.money !== undefined && price === undefined
