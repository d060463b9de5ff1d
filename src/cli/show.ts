// `holdfast show`: one session, its state, steps, timers and transitions. Reads beside the owner; changes nothing.

import type { Reader } from '../reader.js'
import type { SessionState } from '../state.js'
import type { Transition } from '../transition.js'
import { livingOwner, readDirectory } from './directory.js'
import type { Output } from './output.js'
import { planOf, planText } from './plan-view.js'
import { sessionText } from './session-view.js'

export interface ShowOptions {
  readonly dir: string
  /** Every transition, not the last few only. */
  readonly history?: boolean
}

/** How many transitions are shown without `--history`. */
const LAST = 10

/** A session as `-o json` shows it. */
export interface ShownSession {
  readonly session: SessionState
  readonly transitions: readonly Transition[]
}

export async function show(prefix: string, options: ShowOptions, output: Output): Promise<number> {
  const reader = readDirectory(options.dir, output)
  try {
    const shown = look(reader, prefix, options.history === true)
    output.data(shown, () => textOf(shown, output))
    if (shown.session.status === 'active') tellOwner(shown.session, options.dir, output)
    return 0
  } finally {
    reader.close()
  }
}

function look(reader: Reader, prefix: string, all: boolean): ShownSession {
  const { id } = reader.find(prefix)
  const session = reader.state(id)
  return { session, transitions: [...reader.history(id, all ? 1 : Math.max(1, session.seq - LAST + 1))] }
}

function textOf({ session, transitions }: ShownSession, output: Output): string {
  const plan = planOf(session)
  const text = sessionText(session, transitions, output.style, plan !== undefined)
  return plan ? `${text}\n\n${planText(plan, output.style)}` : text
}

function tellOwner({ id, kind }: SessionState, dir: string, output: Output): void {
  const owner = livingOwner(dir)
  if (owner) output.note(`process ${owner.pid} has ${dir} open, since ${owner.since}`)
  else if (kind === 'planning') output.note(`no process has ${dir} open; holdfast plan --resume ${id} goes on with it`)
}
