// `holdfast show`: one session, its state, steps, timers and transitions. Reads beside the owner; changes nothing.

import { isHoldfastError } from '../errors.js'
import type { SessionEntry } from '../listing.js'
import type { Reader } from '../reader.js'
import type { SessionState } from '../state.js'
import { systemClock } from '../system/clock.js'
import type { Transition } from '../transition.js'
import { findSession, readDirectory } from './directory.js'
import { parkedAmong } from './kind-modules.js'
import { isInFlight, isUnfinishedPlan } from './kinds.js'
import type { Output } from './output.js'
import { livingOwner } from './place.js'
import { type Plan, planOf, planRows, planText } from './plan-view.js'
import { type Relative, sessionText } from './session-view.js'
import { timeText } from './values.js'

export interface ShowOptions {
  readonly dir: string
  /** Every transition, not the last few only. */
  readonly history?: boolean
  /** As it was after this transition. */
  readonly at?: number
  /** Modules whose session kinds say whether it would be parked. */
  readonly kinds?: readonly string[]
}

/** How many transitions are shown without `--history`. */
const LAST = 10
/** Of more child sessions the first are shown; `ls --parent` has them all. */
const LARGEST_FAMILY = 1000

/** A session as `-o json` shows it. */
export interface ShownSession {
  readonly session: SessionState
  readonly transitions: readonly Transition[]
  /** Its child sessions and theirs, each after the one that started it; as they are now, whatever `at` says. */
  readonly family: readonly Relative[]
  /** For planning sessions. */
  readonly plan?: Plan
  /** Why it cannot run now, with the kinds that were named. */
  readonly parked?: { readonly code: string; readonly message: string }
}

export async function show(prefix: string, options: ShowOptions, output: Output): Promise<number> {
  const reader = readDirectory(options.dir, output)
  try {
    const entry = findSession(reader, prefix, output)
    const reason = options.kinds && (await parkedAmong([entry], reader, options.kinds)).get(entry.id)
    const parked = reason && { code: reason.code, message: reason.message }
    const shown = { ...look(reader, entry, options), ...(parked && { parked }) }
    output.data(shown, () => textOf(shown, output))
    if (options.at === undefined && isInFlight(shown.session)) tellOwner(shown.session, options.dir, output)
    return 0
  } finally {
    reader.close()
  }
}

function look(reader: Reader, { id, kind }: SessionEntry, { at, history: all = false }: ShowOptions): ShownSession {
  const session = at === undefined ? reader.state(id) : reader.at(id, at)
  const first = Math.max(1, session.seq - LAST + 1)
  // A plan stands in the history; for other kinds only what is shown is read.
  const history = kept(reader, id, all || kind === 'planning' ? 1 : first, session.seq)
  const plan = planOf(session, history)
  const transitions = all ? history : history.filter(({ seq }) => seq >= first)
  return { session, transitions, family: firstOf(LARGEST_FAMILY, relatives(reader, id)), ...(plan && { plan }) }
}

function* relatives(reader: Reader, parent: string, depth = 0): Generator<Relative> {
  for (const session of reader.list({ parent }, { limit: LARGEST_FAMILY }).sessions) {
    yield { depth, session }
    yield* relatives(reader, session.id, depth + 1)
  }
}

/** The transitions from a `seq` on, as far as they are kept. */
function kept(reader: Reader, id: string, from: number, last: number): Transition[] {
  try {
    return [...reader.history(id, from, last)]
  } catch (error) {
    if (!isHoldfastError(error, 'HISTORY_UNAVAILABLE')) throw error
    return [...reader.history(id, (error.details.first as number | undefined) ?? last + 1, last)]
  }
}

function textOf({ session, transitions, family, plan, parked }: ShownSession, { style }: Output): string {
  const nowMs = systemClock.now()
  const text = sessionText(session, { transitions, family, nowMs, parked, own: plan && planRows(plan) }, style)
  return plan ? `${text}\n\n${planText(plan, style)}` : text
}

function tellOwner(session: SessionState, dir: string, output: Output): void {
  const owner = livingOwner(dir)
  if (owner) return output.note(`process ${owner.pid}, which runs, opened ${dir} last (${timeText(owner.since)})`)
  const resume = isUnfinishedPlan(session) ? `; ${output.next(`plan --resume ${session.id}`)} goes on with it` : ''
  output.note(`no process has ${dir} open${resume}`)
}

function firstOf<T>(most: number, items: Iterable<T>): T[] {
  const first: T[] = []
  for (const item of items) if (first.push(item) === most) break
  return first
}
