// `holdfast watch`: the transitions of one session as they come, until it ends or somebody has seen enough. Of a directory it
// reads beside the owner; of a server it goes on through restarts of it. Changes nothing.

import { listenForInterrupts } from './interrupt.js'
import type { Output } from './output.js'
import { transitionRows } from './session-view.js'
import { sourceAt, type Where } from './source.js'
import { table } from './table.js'

export interface WatchOptions extends Where {
  /** The first transition; without it, what comes from now on. */
  readonly from?: number
}

export async function watch(prefix: string, { from, ...where }: WatchOptions, output: Output): Promise<number> {
  using interrupts = listenForInterrupts(() => {})
  const source = await sourceAt(where, output)
  try {
    const { id, seq } = await source.find(prefix)
    for await (const transition of source.follow(id, from ?? seq + 1, interrupts.signal)) {
      output.data(transition, () => table(transitionRows([transition])).join('\n'))
    }
    if (interrupts.signal.aborted) return 0
    const { status } = await source.find(id)
    output.note(`session ${id} has ended: ${status}`)
    return 0
  } finally {
    source.close()
  }
}
