// The runtime behind managers that were not given one: one for all of them in this process, opened when first needed, in
// `HOLDFAST_DIR` or `.holdfast`. It holds a runtime, never anything of a session.

import { openRuntime, type Runtime } from 'holdfast'
import { workflow } from './kind.js'

let opening: Promise<Runtime> | undefined

/** The shared runtime, opened if there is none. Rejects with what `openRuntime` throws; the next call tries again. */
export function sharedRuntime(): Promise<Runtime> {
  if (opening) return opening
  // biome-ignore lint/style/noProcessEnv: the directory is chosen as the command line chooses it
  const mine = openRuntime({ dir: process.env.HOLDFAST_DIR || '.holdfast', kinds: [workflow] })
  opening = mine
  mine.catch(() => {
    if (opening === mine) opening = undefined
  })
  return mine
}

/** Closes the shared runtime, if there is one; the next call opens it again. */
export async function closeWorkflows(): Promise<void> {
  const closing = opening
  opening = undefined
  const runtime = await closing?.catch(() => undefined)
  await runtime?.close()
}
