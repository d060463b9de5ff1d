// `holdfast history`: the transitions of one session. Reads beside the owner, or asks a server; changes nothing.

import type { Transition } from '../transition.js'
import type { Output } from './output.js'
import { transitionRows } from './session-view.js'
import { sourceAt, type Where } from './source.js'
import { table } from './table.js'

export interface HistoryOptions extends Where {
  readonly from: number
  readonly to?: number
}

export async function history(prefix: string, { from, to, ...where }: HistoryOptions, output: Output): Promise<number> {
  const source = await sourceAt(where, output)
  try {
    const { id, seq } = await source.find(prefix)
    const transitions: Transition[] = []
    for await (const transition of source.history(id, from, to)) transitions.push(transition)
    output.list({ session: id, transitions }, transitions, () => table(transitionRows(transitions)).join('\n'))
    if (transitions.length === 0) output.note(`session ${id} has transitions 1 to ${seq}, and none of those`)
    return 0
  } finally {
    source.close()
  }
}
