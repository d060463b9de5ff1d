// Reads one session back from the journal: every record carries the position of the session's previous one.
// Pure reading; a record that cannot be read, or does not follow, is an error that names the place.

import { isLoss } from './damage.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import type { Damage, JournalEntry, ReadableJournal } from './journal.js'
import { Milestones, PAGE } from './milestones.js'
import { NOWHERE, type Position, type TransitionRecord } from './record.js'
import { historyUnavailable, transitionNotFound } from './refusals.js'
import { type Folding, fold, sealed } from './rehydrate.js'
import type { Snapshots } from './snapshots.js'
import type { IndexEntry, SessionState } from './state.js'
import { type Transition, transitionOf } from './transition.js'

export interface Placed {
  readonly position: Position
  readonly record: TransitionRecord
}

/**
 * The records of a session with `seq` from `from` to `to`, in order. `undefined` between them says that it is still on its way back to
 * where they begin, so that whoever reads may let others have their turn. Records are read a page at a time, once each, and
 * once more the first time if `milestones` do not know where the pages end. Throws HISTORY_UNAVAILABLE, naming the first
 * that is kept, when the journal begins behind `from`.
 */
export function* recordsFrom(
  journal: ReadableJournal,
  { id, seq, position }: Placement & Pick<IndexEntry, 'id'>,
  from: number,
  milestones: Milestones = new Milestones(),
  to: number = seq,
): Generator<Placed | undefined> {
  const last = Math.min(to, seq)
  if (last < Math.max(from, 1)) return
  const newest = pageOf(seq)
  const oldest = pageOf(Math.max(from, 1))
  const marks = newest > oldest ? milestones.of(id) : []
  const ends: Placement[] = []
  ends[newest] = { seq, position }
  for (let page = newest - 1; page >= oldest; page--) {
    let mark = marks[page]
    if (mark === undefined || mark < journal.begin) {
      for (const { record } of back(journal, id, ends[page + 1] as Placement, firstOf(page + 1), seq)) {
        mark = record.prev
        yield undefined
      }
      marks[page] = mark
    }
    ends[page] = { seq: firstOf(page + 1) - 1, position: mark as Position }
  }
  for (let page = oldest; page <= pageOf(last); page++) {
    const placed = [...back(journal, id, ends[page] as Placement, Math.max(from, firstOf(page)), seq)].reverse()
    for (const one of placed) if (one.record.seq <= last) yield one
  }
}

type Placement = Pick<IndexEntry, 'seq' | 'position'>

const pageOf = (seq: number): number => Math.ceil(seq / PAGE) - 1

const firstOf = (page: number): number => page * PAGE + 1

/** A session's records from a last one back to the one of number `first`; the newest of all is of number `newest`. */
function* back(
  journal: ReadableJournal,
  id: string,
  last: Placement,
  first: number,
  newest: number,
): Generator<Placed> {
  let { position } = last
  for (let { seq } = last; seq >= first; seq--) {
    if (position < journal.begin) throw historyUnavailable(`session ${id}`, seq < newest ? seq + 1 : undefined)
    const record = readOf(journal, id, position)
    if (record.seq !== seq) {
      const message = `position ${position} holds transition ${record.seq} of session ${id}, not ${seq}`
      throw new HoldfastError('JOURNAL_CORRUPT', message)
    }
    yield { position, record }
    position = record.prev
  }
}

/**
 * Tells a session from the earliest that is kept: `begin` is given what it was there, nothing when that is its beginning, and
 * makes who then hears of each record. Throws JOURNAL_CORRUPT when one cannot be read.
 */
export function retold<T extends { follow(placed: Placed): void }>(
  journal: ReadableJournal,
  entry: IndexEntry,
  begin: (base: SessionState | undefined) => T,
): T {
  const base = entry.birth < journal.begin ? journal.floor(entry.id) : undefined
  const teller = begin(base)
  for (const placed of recordsFrom(journal, entry, (base?.seq ?? 0) + 1)) if (placed) teller.follow(placed)
  return teller
}

/** The transitions of a session from one `seq` to another, read as they are asked for. */
export function* transitionsOf(
  journal: ReadableJournal,
  entry: Placement & Pick<IndexEntry, 'id'>,
  from = 1,
  to?: number,
  milestones?: Milestones,
): Generator<Transition> {
  for (const placed of recordsFrom(journal, entry, from, milestones, to)) {
    if (placed) yield transitionOf(placed.record, placed.position)
  }
}

/**
 * The records of all sessions from a position on. Where some are lost, which the scan finds or `known` tells, throws
 * JOURNAL_CORRUPT with `details.resumeFrom`, the position of the next that is there. Throws HISTORY_UNAVAILABLE, naming
 * where the journal begins, when that is behind `from`.
 */
export function* wholeFrom(
  journal: ReadableJournal,
  from: Position,
  known: readonly Damage[] = [],
): Generator<JournalEntry> {
  const { begin, end } = journal
  if (from < begin) throw historyUnavailable('the journal', begin)
  const found: Damage[] = []
  let last = from
  const lostBefore = (next: Position): Damage | undefined =>
    found[0] ?? known.find((one) => isLoss(one) && one.position >= last && one.position < next)
  for (const entry of journal.scan(from, (damage) => found.push(damage))) {
    const lost = lostBefore(entry.position)
    if (lost) throw gap(lost, entry.position)
    last = entry.position
    yield entry
  }
  const lost = lostBefore(end)
  if (lost) throw gap(lost, end)
}

const gap = ({ file, offset, bytes }: Damage, resumeFrom: Position): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `${file} cannot be read at offset ${offset}; what is there of any session is missed; go on with { from: ${resumeFrom} }`,
    { details: { file, offset, bytes, resumeFrom } },
  )

/**
 * The durable state of a session: its snapshot, if there is one that belongs to its history, and the records since,
 * each of which `onFold` hears of. Throws JOURNAL_CORRUPT when a record is missing or unreadable, or when the snapshot is
 * newer than the journal.
 */
export function loadState(
  journal: ReadableJournal,
  snapshots: Pick<Snapshots, 'read'>,
  entry: IndexEntry,
  onFold: (record: TransitionRecord) => void = () => {},
): SessionState {
  return foldTo(entry.seq, journal, snapshots, entry, onFold)
}

/**
 * The state of a session as it was after its transition `seq`. Throws TRANSITION_NOT_FOUND when it has no such transition,
 * else as `loadState`.
 */
export function stateAt(
  seq: number,
  journal: ReadableJournal,
  snapshots: Pick<Snapshots, 'read'>,
  entry: IndexEntry,
): SessionState {
  if (Number.isSafeInteger(seq) && seq >= 1 && seq <= entry.seq) return foldTo(seq, journal, snapshots, entry)
  throw transitionNotFound(entry.id, seq, entry.seq)
}

function foldTo(
  seq: number,
  journal: ReadableJournal,
  snapshots: Pick<Snapshots, 'read'>,
  entry: IndexEntry,
  onFold: (record: TransitionRecord) => void = () => {},
): SessionState {
  const found = snapshots.read(entry.id)
  // One of an earlier session of the same id, deleted since, says nothing about this one.
  const latest = found?.createdAt === entry.createdAt ? found : undefined
  if (latest && latest.seq > entry.seq) throw stale(entry, latest)
  const snapshot = latest && latest.seq <= seq ? latest : undefined
  const records: Placed[] = []
  let state: Folding | undefined
  for (let position = entry.position; position !== NOWHERE; ) {
    if (snapshot && position === snapshot.position) {
      state = snapshot
      break
    }
    if (position < journal.begin) {
      state = floorOf(journal, entry, position)
      if (state.seq > seq) throw historyUnavailable(`session ${entry.id}`, state.seq)
      break
    }
    const record = readOf(journal, entry.id, position)
    if (record.seq <= seq) records.push({ position, record })
    position = record.prev
  }
  for (const { record, position } of records.reverse()) {
    onFold(record)
    state = follow(entry, state, record, position)
  }
  return sealed(state as Folding)
}

/** What a session had come to where the journal begins; its last record before that is at `position`. */
function floorOf(journal: ReadableJournal, entry: IndexEntry, position: Position): Folding {
  const state = journal.floor(entry.id)
  if (state?.position === position && state.createdAt === entry.createdAt) return state
  throw new HoldfastError(
    'JOURNAL_CORRUPT',
    `session ${entry.id} is not among those that were kept where the journal begins: restore it from a backup`,
    { details: { session: entry.id, position } },
  )
}

function follow(entry: IndexEntry, state: Folding | undefined, record: TransitionRecord, position: Position): Folding {
  try {
    return fold(state, record, position)
  } catch (cause) {
    if (isHoldfastError(cause)) throw cause
    throw new HoldfastError('JOURNAL_CORRUPT', `session ${entry.id} cannot be read at position ${position}`, { cause })
  }
}

function readOf(journal: ReadableJournal, id: string, position: Position): TransitionRecord {
  const record = journal.read(position)
  if (record.session === id) return record
  throw new HoldfastError('JOURNAL_CORRUPT', `position ${position} holds a record of ${record.session}, not of ${id}`)
}

const stale = (entry: IndexEntry, snapshot: SessionState): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `session ${entry.id} has a snapshot of transition ${snapshot.seq}, but the journal ends at ${entry.seq}: records are lost`,
    { details: { session: entry.id, snapshot: snapshot.seq, journal: entry.seq } },
  )
