// The runtime behind the façade: one's own, or one opened when first needed, in `HOLDFAST_DIR` or `.holdfast`.
// It holds a runtime and where its sessions keep things, never anything of a session. A runtime that was brought is never
// closed here.

import { HoldfastError, openRuntime, type Runtime, type Session } from 'holdfast'
import type { PlanningEvent } from './events.js'
import type { PlanningInput } from './input.js'
import { planning } from './kind.js'
import type { PlanningMachine } from './machine.js'
import { defaultDirectory, trackerFileIn } from './places.js'

/** What sessions made through the façade get, unless the kind's own defaults are meant. */
export type PlanningDefaults = Pick<
  PlanningInput,
  'baseDir' | 'tracker' | 'trackerFile' | 'teamId' | 'extractor' | 'allowHosts'
>

export interface Hosting {
  readonly runtime: Runtime
  readonly defaults: PlanningDefaults
  readonly owned: boolean
}

/** The runtime in use: on its way, and once it is open. Both change together, but for the time between. */
let opening: Promise<Hosting> | undefined
let open: Hosting | undefined

/**
 * Has the façade use this runtime, which must have been opened with the kind `planning`; its owner closes it.
 * Throws INVALID_ARGUMENT when the façade has opened one of its own.
 */
export function usePlanningRuntime(runtime: Runtime, defaults: PlanningDefaults = {}): void {
  if (opening && open?.owned !== false) {
    throw new HoldfastError('INVALID_ARGUMENT', 'planning has opened a runtime of its own: await closePlanning() first')
  }
  open = { runtime, defaults, owned: false }
  opening = Promise.resolve(open)
}

/** Closes the runtime that the façade opened, or lets go of the one it was given. The next call opens one again. */
export async function closePlanning(): Promise<void> {
  const closing = opening
  opening = undefined
  open = undefined
  const hosting = await closing?.catch(() => undefined)
  if (hosting?.owned) await hosting.runtime.close()
}

/** The runtime in use, opened if there is none. Rejects with what `openRuntime` throws; the next call tries again. */
export function hosting(): Promise<Hosting> {
  opening ??= opened()
  return opening
}

function opened(): Promise<Hosting> {
  const mine = openDefault()
  mine.then(
    (hosting) => {
      if (opening === mine) open = hosting
    },
    () => {
      if (opening === mine) opening = undefined
    },
  )
  return mine
}

async function openDefault(): Promise<Hosting> {
  const dir = defaultDirectory()
  const runtime = await openRuntime({ dir, kinds: [planning] })
  return { runtime, defaults: { trackerFile: trackerFileIn(dir) }, owned: true }
}

/** The runtime that is open now. Throws RUNTIME_CLOSED when none is. */
function openNow(): Runtime {
  if (open) return open.runtime
  throw new HoldfastError('RUNTIME_CLOSED', 'no planning runtime is open: await initialize() first')
}

/** A planning session of a runtime. Throws `Planning session not found: <id>` for any id that is not one's. */
export function sessionOf(id: string, runtime: Runtime = openNow()): Session<PlanningMachine> {
  try {
    return runtime.session(id, planning)
  } catch (error) {
    throw isAbsent(error) ? notFound(id, error) : error
  }
}

/** Sends a session an event; resolves when it is durable. Rejects as `sessionOf` throws, and as `Session.send` does. */
export async function sendTo(id: string, event: PlanningEvent): Promise<void> {
  const { runtime } = await hosting()
  try {
    await sessionOf(id, runtime).send(event)
  } catch (error) {
    throw isAbsent(error) ? notFound(id, error) : error
  }
}

const ABSENT: readonly string[] = ['SESSION_NOT_FOUND', 'SESSION_DELETED', 'INVALID_ID', 'KIND_MISMATCH']

/** True for an error that says that there is no such planning session. */
export const isAbsent = (error: unknown): boolean => error instanceof HoldfastError && ABSENT.includes(error.code)

const notFound = (id: string, cause: unknown): HoldfastError =>
  new HoldfastError('SESSION_NOT_FOUND', `Planning session not found: ${id}`, { cause, details: { id } })
