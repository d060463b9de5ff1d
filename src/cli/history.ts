// `holdfast history`: the transitions of one session. Reads beside the owner; changes nothing.

import { findSession, readDirectory } from './directory.js'
import type { Output } from './output.js'
import { transitionRows } from './session-view.js'
import { table } from './table.js'

export interface HistoryOptions {
  readonly dir: string
  readonly from: number
  readonly to?: number
}

export async function history(prefix: string, { dir, from, to }: HistoryOptions, output: Output): Promise<number> {
  const reader = readDirectory(dir, output)
  try {
    const { id, seq } = findSession(reader, prefix, output)
    const transitions = [...reader.history(id, from, to)]
    output.list({ session: id, transitions }, transitions, () => table(transitionRows(transitions)).join('\n'))
    if (transitions.length === 0) output.note(`session ${id} has transitions 1 to ${seq}, and none of those`)
    return 0
  } finally {
    reader.close()
  }
}
