// The tools and the model of coding-agent.js: loaded in worker threads, by its URL. Tools have the form of the AI SDK.
// For a real model, export one of that SDK instead: `export const model = anthropic('claude-sonnet-4-5')`.
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export const tools = {
  read: {
    description: 'Reads a file of the workspace.',
    execute: async ({ path }, { metadata }) => {
      return { text: await readFile(join(metadata.workspace, path), 'utf8').catch(() => '') }
    },
  },
  write: {
    description: 'Writes a file of the workspace.',
    needsApproval: true,
    // A crash in the middle has it run again, under the same key: it comes to the same file.
    execute: async ({ path, text }, { metadata, idempotencyKey }) => {
      const place = join(metadata.workspace, path)
      await writeFile(`${place}.${idempotencyKey}`, text)
      await rename(`${place}.${idempotencyKey}`, place)
      return `wrote ${text.length} characters to ${path}`
    },
  },
}

const outputOf = ({ content }) => content[0].output

/** A model that is a script: it looks first, then writes, then says what came of it. */
export async function* model({ messages }) {
  const [task] = messages
  const last = messages.at(-1)
  if (last.role === 'user') {
    yield 'Let me look. '
    yield { tool: 'read', input: { path: 'greeting.txt' } }
  } else if (messages.filter(({ role }) => role === 'tool').length === 1) {
    const { text } = outputOf(last).value
    yield text === '' ? 'There is no greeting yet. ' : 'There is a greeting. '
    yield { tool: 'write', input: { path: 'greeting.txt', text: `${text}${task.content}!\n` } }
  } else {
    const output = outputOf(last)
    yield output.type === 'execution-denied' ? `I did not write it: ${output.reason}.` : `Done: ${output.value}.`
  }
}
