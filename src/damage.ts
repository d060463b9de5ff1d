// Which sessions a damage of the journal touches, as far as anything tells. Pure: it looks at entries and decides.
// A session is touched when its id can be read in the damaged bytes, or its first or last record was there. Where nothing
// can be read and no index reaches behind the damage, every session may be that was active before it and is not seen after
// it: it is not shown at an earlier state as if nothing was. Records lost in the middle are missed when a session is read.

import { HoldfastError } from './errors.js'
import type { Damage } from './journal.js'
import type { Position } from './record.js'
import type { IndexEntry, IndexFile } from './state.js'

/**
 * Adds what was found, unless that place is there already: opening, scanning and reading may each find it. A header that
 * cannot be read says nothing of the records: of an empty file both are told.
 */
export function noteOnce(damage: Damage[], found: Damage): void {
  const isThere = ({ file, offset, kind }: Damage): boolean =>
    file === found.file && offset === found.offset && (kind === 'header') === (found.kind === 'header')
  if (!damage.some(isThere)) damage.push(found)
}

/** A sentence for people. */
export function describeDamage({ file, offset, bytes, kind, kept }: Damage): string {
  const what = {
    torn: `is torn at offset ${offset}: ${bytes} bytes that nobody was told of`,
    corrupt: `is corrupt at offset ${offset}: ${bytes} bytes cannot be read`,
    missing: `lacks ${bytes} bytes at offset ${offset}`,
    header: 'has a first line that cannot be read, or that of another segment; no record is touched by that',
  }
  return `${file} ${what[kind]}${kept === undefined ? '' : `, kept in ${kept}`}`
}

export interface Touched {
  readonly entry: IndexEntry
  readonly reason: HoldfastError
  /** True when the index knows the session as it was, so that it will be found touched the next time, too. */
  readonly indexed: boolean
}

/** `entries` are complete up to `known`: what an index tells; behind it they are what could be read. Each comes once. */
export function touchedBy(damage: readonly Damage[], entries: Iterable<IndexEntry>, known: Position): Touched[] {
  // What is at no position of the journal tells nothing of its records: those whom that touches are found when they are read.
  const harmful = damage.filter((one) => one.position >= 0 && isLoss(one))
  if (harmful.length === 0) return []
  const touched: Touched[] = []
  for (const entry of entries) {
    const sure = harmful.find((one) => surely(one, entry))
    const found = sure ?? harmful.find((one) => perhaps(one, entry, known))
    if (!found) continue
    const indexed = found.position + found.bytes <= known
    touched.push({ entry, reason: reasonOf(found, sure !== undefined), indexed })
  }
  return touched
}

/** Durable records were there, and cannot be read. A torn end was never acknowledged, and a header is no record. */
export const isLoss = ({ kind }: Damage): boolean => kind === 'corrupt' || kind === 'missing'

/** Damage that lies wholly before a session's first record concerns an earlier one of the same id. */
function surely({ position, bytes, sessions }: Damage, { id, birth, position: last }: IndexEntry): boolean {
  const end = position + bytes
  const inside = (place: Position): boolean => place >= position && place < end
  return birth < end && (sessions.includes(id) || inside(birth) || inside(last))
}

function perhaps({ position, bytes, sessions }: Damage, entry: IndexEntry, known: Position): boolean {
  const end = position + bytes
  return sessions.length === 0 && known < end && entry.status === 'active' && entry.position < end
}

function reasonOf({ file, offset, bytes, kind }: Damage, certain: boolean): HoldfastError {
  const place =
    kind === 'missing' ? `${file} lacks ${bytes} bytes at offset ${offset}` : `${file} is corrupt at offset ${offset}`
  const what = certain
    ? 'where records of this session were'
    : 'and nothing tells whether records of this session were there'
  return new HoldfastError(
    'JOURNAL_CORRUPT',
    `${place}, ${what}: restore the file from a backup, or delete the session`,
    {
      details: { file, offset, certain },
    },
  )
}

/** Durable records are gone: an index never reaches behind the end of the journal that it was written for. */
export const isAhead = ({ through, entries }: IndexFile, end: Position): boolean =>
  through > end || entries.some(({ position }) => position >= end)

/** Whom an index proves to be shown too early that is ahead of the journal, of which `entries` are all that is left. */
export function* provedStale(
  { through, entries: indexed }: IndexFile,
  end: Position,
  entries: Iterable<IndexEntry>,
): Generator<{ readonly entry: IndexEntry; readonly reason: HoldfastError }> {
  for (const entry of indexed) if (entry.position >= end) yield { entry, reason: lostRecords(entry) }
  if (through <= end) return
  // An index is complete: whoever is not in it was deleted before it was written.
  const known = new Set(indexed.map(({ id }) => id))
  for (const entry of [...entries]) if (!known.has(entry.id)) yield { entry, reason: lostDeletion() }
}

const lostRecords = ({ seq }: IndexEntry): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `the index knows its transition ${seq}, and the journal ends before that: restore the journal from a backup, or delete it`,
    { details: { seq } },
  )

const lostDeletion = (): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    'the index knows that it was deleted, and the journal ends before that: restore the journal from a backup, or delete it again',
  )
