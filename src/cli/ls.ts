// `holdfast ls`: the sessions of a directory, by default those in flight. Reads beside the owner; changes nothing.

import type { Reader } from '../reader.js'
import type { SessionEntry, SessionFilter } from '../registry.js'
import type { SessionStatus } from '../state.js'
import { readDirectory } from './directory.js'
import { isInFlight } from './kinds.js'
import type { Output } from './output.js'
import { oneLine, printable, type Style } from './style.js'
import { table } from './table.js'
import { attributesText, stateText, timeText } from './values.js'

export interface LsOptions {
  readonly dir: string
  readonly kind?: string
  readonly status?: SessionStatus
  /** As `stateText` has it, or the beginning of that up to a dot: any session in that state, in flight or not. */
  readonly state?: string
  /** Ended ones and those at rest, too. */
  readonly all?: boolean
  readonly limit: number
  readonly cursor?: string
}

export interface Listing {
  readonly sessions: readonly SessionEntry[]
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string
}

export async function ls(options: LsOptions, output: Output): Promise<number> {
  const reader = readDirectory(options.dir, output)
  try {
    const listing = select(reader, options)
    output.list(listing, listing.sessions, () => listingText(listing.sessions, output.style))
    for (const { id, reason } of reader.unreadable) output.warn(`session ${id}: ${reason.message}`)
    tellRest(listing, options, output)
    return 0
  } finally {
    reader.close()
  }
}

/** A page of what was asked for: those at rest are passed over, so it may take several pages of the registry. */
function select(reader: Reader, options: LsOptions): Listing {
  const { kind, status, state, limit, cursor } = options
  const filter: SessionFilter = {
    ...(kind !== undefined && { kind }),
    ...(status !== undefined && { status }),
    ...(!isOfAll(options) && { status: 'active' }),
  }
  const wanted = (entry: SessionEntry): boolean =>
    (isOfAll(options) || isInFlight(entry)) && (state === undefined || isIn(entry, state))
  const sessions: SessionEntry[] = []
  for (let next = cursor; ; ) {
    const page = reader.list(filter, { limit: limit - sessions.length, ...(next !== undefined && { cursor: next }) })
    sessions.push(...page.sessions.filter(wanted))
    next = page.cursor
    if (next === undefined) return { sessions }
    if (sessions.length === limit) return { sessions, cursor: next }
  }
}

/** Whoever names a status or a state means every session that has it. */
const isOfAll = ({ all = false, status, state }: LsOptions): boolean =>
  all || status !== undefined || state !== undefined

const isIn = ({ value }: SessionEntry, state: string): boolean =>
  stateText(value)
    .split(' | ')
    .some((text) => text === state || text.startsWith(`${state}.`))

function listingText(sessions: readonly SessionEntry[], style: Style): string {
  if (sessions.length === 0) return ''
  const rows = sessions.map((session) => [
    printable(session.id),
    printable(session.kind),
    standingText(session, style),
    timeText(session.updatedAt),
    style.dim(attributesText(session.attributes)),
  ])
  const heads = ['ID', 'KIND', 'STATE', 'UPDATED', 'ATTRIBUTES']
  return table([heads.map(style.dim), ...rows]).join('\n')
}

/** The machine's state; with the status, when that is not active. */
function standingText({ value, status }: SessionEntry, { cyan, green, red }: Style): string {
  const state = cyan(printable(stateText(value)))
  if (status === 'active') return state
  return `${state} (${status === 'error' ? red(status) : green(status)})`
}

function tellRest({ sessions, cursor }: Listing, options: LsOptions, output: Output): void {
  if (cursor !== undefined) output.note(`more: add --cursor ${cursor}`)
  if (sessions.length > 0 || options.cursor !== undefined) return
  const { kind, status, state } = options
  const wish = [kind, status, state].some((word) => word !== undefined)
  if (isOfAll(options)) return output.note(wish ? 'no session matches' : 'there are no sessions yet')
  const which = kind === undefined ? '' : ` of kind ${oneLine(kind)}`
  output.note(`no session${which} is in flight; add --all to see those that are over`)
}
