// `holdfast show`: one session, its state, steps, timers and transitions. Reads beside the owner, or asks a
// server; changes nothing.

import { isHoldfastError } from '../errors.js'
import type { SessionEntry } from '../listing.js'
import type { SessionState } from '../state.js'
import { systemClock } from '../system/clock.js'
import type { Transition } from '../transition.js'
import { parkedAmong } from './kind-modules.js'
import { isInFlight, isUnfinishedPlan } from './kinds.js'
import type { Output } from './output.js'
import { livingOwner } from './place.js'
import { type Plan, planOf, planRows, planText } from './plan-view.js'
import { type Relative, sessionText } from './session-view.js'
import { requireReader, type Source, sourceAt, type Where } from './source.js'
import { timeText } from './values.js'

export interface ShowOptions extends Where {
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
  const source = await sourceAt(options, output)
  try {
    const entry = await source.find(prefix)
    const { kinds } = options
    const reason = kinds && (await parkedAmong([entry], requireReader(source, '--kinds'), kinds)).get(entry.id)
    const parked = reason && { code: reason.code, message: reason.message }
    const shown = { ...(await look(source, entry, options)), ...(parked && { parked }) }
    output.data(shown, () => textOf(shown, output))
    const now = options.at === undefined && options.url === undefined
    if (now && isInFlight(shown.session)) tellOwner(shown.session, options.dir, output)
    return 0
  } finally {
    source.close()
  }
}

async function look(
  source: Source,
  { id, kind }: SessionEntry,
  { at, history: all = false }: ShowOptions,
): Promise<ShownSession> {
  const session = await source.state(id, at)
  const first = Math.max(1, session.seq - LAST + 1)
  // A plan stands in the history; for other kinds only what is shown is read.
  const history = await kept(source, id, all || kind === 'planning' ? 1 : first, session.seq)
  const plan = planOf(session, history)
  const transitions = all ? history : history.filter(({ seq }) => seq >= first)
  const family = await relatives(source, id)
  return { session, transitions, family, ...(plan && { plan }) }
}

async function relatives(source: Source, parent: string, depth = 0, found: Relative[] = []): Promise<Relative[]> {
  for (const session of (await source.list({ parent }, { limit: LARGEST_FAMILY })).sessions) {
    if (found.length === LARGEST_FAMILY) break
    found.push({ depth, session })
    await relatives(source, session.id, depth + 1, found)
  }
  return found
}

/** The transitions from a `seq` on, as far as they are kept. */
async function kept(source: Source, id: string, from: number, last: number): Promise<Transition[]> {
  try {
    return await all(source.history(id, from, last))
  } catch (error) {
    if (!isHoldfastError(error, 'HISTORY_UNAVAILABLE')) throw error
    return all(source.history(id, (error.details.first as number | undefined) ?? last + 1, last))
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const every: T[] = []
  for await (const item of items) every.push(item)
  return every
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
