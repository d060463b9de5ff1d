// `holdfast create`: a new session of a kind, in a directory or at a server.

import { jsonIn } from './json-argument.js'
import type { Output } from './output.js'
import { printable } from './style.js'
import { at, type ChangeWhere } from './target.js'

export interface CreateCommand extends ChangeWhere {
  /** JSON, `@file`, or `-`. */
  readonly input?: string
  readonly id?: string
  readonly key?: string
}

export async function create(kind: string, command: CreateCommand, output: Output): Promise<number> {
  const { input, id, key } = command
  const given = input === undefined ? undefined : await jsonIn(input, '--input')
  const options = { ...(id !== undefined && { id }), ...(key !== undefined && { idempotencyKey: key }) }
  const snapshot = await at(command, output, async (target) => (await target.create(kind, given, options)).snapshot())
  output.data(snapshot, () => printable(snapshot.id))
  output.note(output.next(`show ${snapshot.id}`))
  return 0
}
