// `holdfast ls`: the sessions of a directory, by default those in flight. Reads beside the owner; changes nothing.

import type { Reader } from '../reader.js'
import type { SessionEntry, SessionFilter } from '../registry.js'
import type { SessionStatus } from '../state.js'
import { readDirectory } from './directory.js'
import { usage } from './failure.js'
import { isInFlight } from './kinds.js'
import type { Output } from './output.js'
import { printable, type Style } from './style.js'
import { table } from './table.js'
import { attributesText, stateText, timeText } from './values.js'

export interface LsOptions {
  readonly dir: string
  readonly kind?: string
  readonly status?: SessionStatus
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
  if (options.all && options.status !== undefined) {
    throw usage('--all and --status exclude each other', 'leave one of them out')
  }
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
function select(reader: Reader, { kind, status, all = false, limit, cursor }: LsOptions): Listing {
  const filter: SessionFilter = {
    ...(kind !== undefined && { kind }),
    ...(!all && { status: status ?? 'active' }),
  }
  const wanted = (entry: SessionEntry): boolean => all || status !== undefined || isInFlight(entry)
  const sessions: SessionEntry[] = []
  for (let next = cursor; ; ) {
    const page = reader.list(filter, { limit: limit - sessions.length, ...(next !== undefined && { cursor: next }) })
    sessions.push(...page.sessions.filter(wanted))
    next = page.cursor
    if (next === undefined) return { sessions }
    if (sessions.length === limit) return { sessions, cursor: next }
  }
}

function listingText(sessions: readonly SessionEntry[], style: Style): string {
  if (sessions.length === 0) return ''
  const rows = sessions.map((session) => [
    printable(session.id),
    printable(session.kind),
    style.cyan(printable(stateText(session.value))),
    statusText(session.status, style),
    timeText(session.updatedAt),
    style.dim(attributesText(session.attributes)),
  ])
  const heads = ['ID', 'KIND', 'STATE', 'STATUS', 'UPDATED', 'ATTRIBUTES']
  return table([heads.map(style.dim), ...rows]).join('\n')
}

function statusText(status: SessionStatus, style: Style): string {
  if (status === 'error') return style.red(status)
  return status === 'done' ? style.green(status) : status
}

function tellRest({ sessions, cursor }: Listing, options: LsOptions, output: Output): void {
  if (cursor !== undefined) output.note(`more: add --cursor ${cursor}`)
  if (sessions.length > 0 || options.cursor !== undefined) return
  const narrowed = options.kind !== undefined || options.status !== undefined
  if (options.all) output.note(narrowed ? 'no session matches' : 'there are no sessions yet')
  else output.note(`no session ${narrowed ? 'that matches ' : ''}is in flight; add --all to see those that are over`)
}
