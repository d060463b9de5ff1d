// Models that need no key and no network: one that says what a script has for each turn, and one that stands in when there
// is no other, which only repeats what it was told.

import type { ScriptedTurn } from '../llm-config.js'
import type { LocalModel, Message, Said } from '../model.js'
import { AgentError } from './module.js'
import { RateLimited } from './rate-limit.js'

/** Turn after turn of the script. */
export const scripted = (script: readonly ScriptedTurn[]): LocalModel =>
  function* ({ turn }) {
    const said = script[turn]
    if (said === undefined) return yield* words('The script is over.')
    if (typeof said === 'string') return yield* words(said)
    if (said.retry_after_ms !== undefined) throw new RateLimited(said.retry_after_ms)
    if (said.error !== undefined) throw new AgentError('MODEL_FAILED', said.error)
    yield* words(said.text ?? '')
    yield* said.calls ?? []
    if (said.used) yield { used: said.used }
  }

/** Says what it was told. */
export const standIn: LocalModel = function* ({ messages }) {
  yield* words(`There is no model: set llm_config.agent, model or script. You said: ${lastTextOf(messages)}`)
}

function* words(text: string): Generator<Said> {
  yield* text.match(/\S+\s*|\s+/g) ?? []
}

const lastTextOf = (messages: readonly Message[]): string => {
  const last = messages.findLast(({ role }) => role === 'user')
  return typeof last?.content === 'string' ? last.content : ''
}
