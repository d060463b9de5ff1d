// `holdfast ls`: the sessions of a directory, by default those in flight. Reads beside the owner, or
// asks a server; changes nothing.

import type { HoldfastError } from '../errors.js'
import { type SessionEntry, type SessionFilter, WAITS_FOR_PERSON } from '../listing.js'
import type { SessionStatus } from '../state.js'
import { systemClock } from '../system/clock.js'
import { isIn } from '../wanted.js'
import { parkedAmong, tagsIn } from './kind-modules.js'
import { isInFlight } from './kinds.js'
import type { Output } from './output.js'
import { requireReader, type Source, sourceAt, type Where } from './source.js'
import { oneLine, printable, type Style } from './style.js'
import { table } from './table.js'
import { attributesText, stateText, timeText } from './values.js'

export interface LsOptions extends Where {
  readonly kind?: string
  readonly status?: SessionStatus
  /** As `a` or `a.b`: any session in that state, in flight or not. */
  readonly state?: string
  /** Any session in a state with this tag, in flight or not. */
  readonly tag?: string
  /** Any session that has changed within so many milliseconds. */
  readonly since?: number
  /** The beginning of the id of the session whose children are asked for. */
  readonly parent?: string
  /** Only those that crashed too often, in flight or not. */
  readonly quarantined?: boolean
  /** Only those that have set an event aside, in flight or not. */
  readonly deadLetters?: boolean
  /** Ended ones and those at rest, too. */
  readonly all?: boolean
  /** Modules whose session kinds say which of the listed would be parked. */
  readonly kinds?: readonly string[]
  readonly limit: number
  readonly cursor?: string
}

export interface Listing {
  readonly sessions: readonly ListedSession[]
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string
}

/** `parked`: why it cannot run. */
export type ListedSession = SessionEntry & { readonly parked?: { readonly code: string; readonly message: string } }

/** Those that wait for a person, children included. */
export const approvals = (options: LsOptions, output: Output): Promise<number> =>
  ls({ ...options, tag: WAITS_FOR_PERSON, status: 'active' }, output)

export async function ls(options: LsOptions, output: Output): Promise<number> {
  const source = await sourceAt(options, output, await tagsFor(options))
  try {
    const { parent, kinds } = options
    if (kinds && options.tag === undefined) requireReader(source, '--kinds')
    const found = await select(
      source,
      parent === undefined ? options : { ...options, parent: (await source.find(parent)).id },
    )
    const { reader } = source
    const parked = reader ? await parkedAmong(found.sessions, reader, kinds) : new Map<string, HoldfastError>()
    const unreadable = reader?.unreadable ?? []
    const listing = { ...found, sessions: found.sessions.map((session) => listed(session, parked)) }
    output.list(listing, listing.sessions, () => listingText(listing.sessions, output.style))
    for (const { id, reason } of unreadable) output.warn(`session ${id}: ${reason.message}`)
    await tellRest(listing, source, options, output)
    await tellTrouble(source, output)
    tellParked(parked.size - unreadable.length, output)
    return 0
  } finally {
    source.close()
  }
}

/** Tags are their states', so a directory's are known from the kinds alone. */
const tagsFor = ({ tag, url, kinds }: LsOptions): ReturnType<typeof tagsIn> | undefined =>
  tag === undefined || url !== undefined || !kinds ? undefined : tagsIn(kinds)

function listed(session: SessionEntry, parked: ReadonlyMap<string, HoldfastError>): ListedSession {
  const reason = parked.get(session.id)
  return reason ? { ...session, parked: { code: reason.code, message: reason.message } } : session
}

/** A page of what was asked for: those at rest are passed over, so it may take several pages of the registry. */
async function select(source: Source, options: LsOptions): Promise<Listing> {
  const { kind, status, state, tag, since, parent, quarantined, deadLetters, limit, cursor } = options
  const after = since === undefined ? undefined : systemClock.now() - since
  const filter: SessionFilter = {
    ...(kind !== undefined && { kind }),
    ...(parent !== undefined && { parent }),
    ...(tag !== undefined && { tag }),
    ...(quarantined && { quarantined }),
    ...(deadLetters && { deadLetters }),
    ...(status !== undefined && { status }),
    ...(!isOfAll(options) && { status: 'active' }),
  }
  const wanted = (entry: SessionEntry): boolean =>
    (isOfAll(options) || isInFlight(entry)) &&
    (state === undefined || isIn(entry.value, state)) &&
    (after === undefined || Date.parse(entry.updatedAt) >= after)
  const sessions: SessionEntry[] = []
  for (let next = cursor; ; ) {
    const rest = { limit: limit - sessions.length, ...(next !== undefined && { cursor: next }) }
    const page = await source.list(filter, rest)
    sessions.push(...page.sessions.filter(wanted))
    next = page.cursor
    if (next === undefined) return { sessions }
    if (sessions.length === limit) return { sessions, cursor: next }
  }
}

/** Whoever names a status, a state, a tag, a time or a trouble means every session that has it. */
const isOfAll = ({ all = false, status, state, tag, since, quarantined, deadLetters }: LsOptions): boolean =>
  all || [status, state, tag, since].some((word) => word !== undefined) || quarantined === true || deadLetters === true

function listingText(sessions: readonly ListedSession[], style: Style): string {
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

/** The machine's state; with the status, when that is not active, and with what is wrong. */
function standingText({ value, status, quarantine, deadLetters, parked }: ListedSession, style: Style): string {
  const { cyan, green, red } = style
  const notes: string[] = []
  if (status !== 'active') notes.push(status === 'error' ? red(status) : green(status))
  if (parked) notes.push(red(`parked: ${parked.code}`))
  if (quarantine) notes.push(red('quarantined'))
  if (deadLetters) notes.push(red(counted(deadLetters, 'dead letter')))
  const state = cyan(printable(stateText(value)))
  return notes.length === 0 ? state : `${state} (${notes.join(', ')})`
}

/** Whatever was asked for: nobody should have to ask for trouble to hear of it. */
async function tellTrouble(source: Source, output: Output): Promise<void> {
  const { quarantined, withLetters } = await source.trouble()
  const advice = (count: number, what: string, flag: string): void => {
    if (count > 0) output.warn(`${count} ${count === 1 ? 'session has' : 'sessions have'} ${what}: ls ${flag}`)
  }
  advice(quarantined, 'crashed too often, so nothing runs there until a release', '--quarantined')
  advice(withLetters, 'set aside events that crashed', '--dead-letters')
}

function tellParked(count: number, output: Output): void {
  if (count > 0)
    output.warn(`${counted(count, 'session')} would be parked by these kinds: show <id> --kinds … says why`)
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

async function tellRest(
  { sessions, cursor }: Listing,
  source: Source,
  options: LsOptions,
  output: Output,
): Promise<void> {
  if (cursor !== undefined) output.note(`more: add --cursor ${cursor}`)
  if (sessions.length > 0 || options.cursor !== undefined) return
  const nowhere = await inNoSession(source, options)
  if (nowhere !== undefined) return output.note(nowhere)
  const { kind, status, state, tag, since, parent, quarantined, deadLetters } = options
  const wish = [kind, status, state, tag, since, parent, quarantined, deadLetters].some((word) => word !== undefined)
  if (isOfAll(options)) return output.note(wish ? 'no session matches' : 'there are no sessions yet')
  output.note(`no session${ofKind(kind)} is in flight; add --all to see those that are over`)
}

const ofKind = (kind: string | undefined): string => (kind === undefined ? '' : ` of kind ${oneLine(kind)}`)

/** How many sessions are looked at for what may have been meant. */
const LOOK = 1000

/** A kind, or a state, that no session has at all may be a slip of the pen: what there is instead. */
async function inNoSession(source: Source, { kind, state }: LsOptions): Promise<string | undefined> {
  if (kind === undefined && state === undefined) return undefined
  const { sessions, cursor } = await source.list(kind === undefined ? {} : { kind }, { limit: LOOK })
  if (kind !== undefined && sessions.length === 0) {
    const all = await source.list({}, { limit: LOOK })
    if (all.sessions.length === 0) return 'there are no sessions yet'
    return `no session of kind ${oneLine(kind)} is stored at all; there are: ${namesOf(all.sessions.map((entry) => entry.kind))}`
  }
  if (state === undefined || cursor !== undefined || sessions.some((entry) => isIn(entry.value, state)))
    return undefined
  const states = sessions.flatMap(({ value }) => stateText(value).split(' | '))
  return `no session${ofKind(kind)} is in a state ${oneLine(state)}; there are: ${namesOf(states)}`
}

const namesOf = (words: readonly string[]): string => {
  const names = [...new Set(words)].sort()
  return oneLine(names.length > 20 ? `${names.slice(0, 20).join(', ')}, …` : names.join(', ') || 'none')
}
