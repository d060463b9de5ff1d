// A coding agent that asks before it writes: give it a task in one process, approve in another, days later if need be.
//   node examples/coding-agent.js ask "Greet the world"     prints the session and what it wants to do, and ends
//   node examples/coding-agent.js inbox                     what waits for a person
//   node examples/coding-agent.js approve <session>         it writes, and says what it did (or: deny <session> <why>)
// Its tools and its model, a script that needs no key, are in coding-agent.tools.js.
import { resolve } from 'node:path'
import { openRuntime } from 'holdfast'
import { agent, Conversations, SessionManager } from 'holdfast/machines/agent'

const [verb = 'inbox', argument, reason] = process.argv.slice(2)
const runtime = await openRuntime({ dir: process.env.HOLDFAST_DIR ?? '.holdfast', kinds: [agent] })
const sessions = new SessionManager(runtime)
const talks = new Conversations(runtime)

const must = (result) => {
  if (result.ok) return result
  throw new Error(`${result.error}: ${result.message}`)
}

/** What the agent said last, and what it waits for. */
function show({ session_id, messages, waiting }) {
  const { content } = messages.findLast(({ role }) => role === 'assistant')
  console.log(`${session_id}: ${content.flatMap(({ text }) => text ?? []).join('')}`)
  for (const { tool, input } of waiting) console.log(`  waits for approval: ${tool} ${JSON.stringify(input)}`)
}

try {
  if (verb === 'ask') {
    const llm_config = {
      agent: new URL('./coding-agent.tools.js', import.meta.url).href,
      approval: { expires_minutes: 7 * 24 * 60, default: 'deny' },
      budget: { tokens: 100_000 },
    }
    const metadata = { workspace: resolve('.') }
    const { session_id } = must(await sessions.createSession({ llm_config, metadata }))
    const { conversation } = must(await talks.start(session_id, argument ?? 'Greet the world'))
    show(must(await talks.settled(session_id, conversation)).info)
  } else if (verb === 'approve' || verb === 'deny') {
    const decision = { by: process.env.USER ?? 'somebody', ...(reason && { reason }) }
    for (const { call } of must(talks.get(argument, 'c1')).info.waiting) {
      must(await talks[verb](argument, 'c1', call, decision))
    }
    show(must(await talks.settled(argument, 'c1')).info)
  } else {
    for (const { session_id, waiting } of talks.inbox()) console.log(`${session_id}: ${waiting} waiting`)
  }
} finally {
  await runtime.close()
}
