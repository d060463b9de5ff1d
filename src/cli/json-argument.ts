// JSON from the command line: as it is, from a file by `@file`, or from stdin by `-`.

import { readFileSync } from 'node:fs'
import { messageOf } from '../errors.js'
import { usage } from './failure.js'

/** `name` is what the help calls it. Rejects with INVALID_ARGUMENT for what is no JSON, or the system's error for a file. */
export async function jsonIn(argument: string, name: string): Promise<unknown> {
  const text = await textOf(argument)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw usage(`${name} is not JSON (${messageOf(error)})`, 'give JSON, @file for a file with it, or - for stdin')
  }
}

async function textOf(argument: string): Promise<string> {
  if (argument.startsWith('@')) return readFileSync(argument.slice(1), 'utf8')
  if (argument !== '-') return argument
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk
  return text
}
