// A directory under examination: everything that its journal tells, whatever the index says, and what cannot be read.
// Reading only.

import { isLoss, noteOnce, touchedBy } from '../damage.js'
import type { Finding, FindingCode } from '../diagnosis.js'
import type { Owner } from '../directory.js'
import type { Disk } from '../disk.js'
import type { Damage } from '../journal.js'
import type { Position } from '../record.js'
import { Registry } from '../registry.js'
import type { IndexFile } from '../state.js'
import { lots, type Turns } from '../turns.js'
import { findSegments } from './claims.js'
import { type OpenedForReading, readFileJournal } from './foreign-journal.js'
import { OpenFiles } from './open-files.js'
import type { Segment } from './segments.js'
import { createFileSnapshots } from './snapshots.js'

/** What an examination knows of a directory. */
export interface Patient {
  readonly disk: Disk
  readonly journal: OpenedForReading
  /** The index as it was before the journal was opened. */
  readonly index: ReadIndex
  readonly damage: readonly Damage[]
  /** What the journal alone tells. */
  readonly registry: Registry
  readonly unreadable: ReadonlyMap<string, Error>
  /** A process that has the directory open: what looks unfinished may be under way. */
  readonly owner: Owner | undefined
  /** Records that were durable are gone: nothing that may be the last trace of a session is moved. */
  readonly harmed: boolean
}

/** Reads the whole journal, whatever the index says. What the index tells, the journal holds, since it is opened after it. */
export function* admit(disk: Disk, owner: Owner | undefined): Turns<Patient> {
  const index = indexOf(disk)
  yield
  const damage: Damage[] = []
  const journal = readFileJournal(disk, (found) => noteOnce(damage, found))
  const registry = new Registry()
  const unreadable = new Map<string, Error>()
  try {
    yield* lots(
      journal.floors((found) => noteOnce(damage, found)),
      (lot) => registry.load(lot),
    )
    yield* following(registry, journal, journal.begin, (id, error) => unreadable.set(id, error))
    const known = index.index?.through ?? journal.begin
    for (const { entry, reason } of touchedBy(damage, registry.entries(), known)) unreadable.set(entry.id, reason)
    const harmed = unreadable.size > 0 || damage.some(isLoss)
    return { disk, journal, index, damage, registry, unreadable, owner, harmed }
  } catch (error) {
    journal.close()
    throw error
  }
}

/** Records after which others have their turn. */
const RECORDS = 16

/** Gives the place behind the beginning of the last record: from there on nothing is left to follow. */
export function* following(
  registry: Registry,
  journal: OpenedForReading,
  from: Position,
  failed: (id: string, error: Error) => void = () => {},
): Turns<Position> {
  let through = from
  let looked = 0
  for (const { record, position } of journal.scan(from)) {
    if (++looked % RECORDS === 0) yield
    through = position + 1
    try {
      registry.follow(record, position)
    } catch (error) {
      failed(record.session, error as Error)
    }
  }
  return through
}

/** Looks at the last segment, and at where the floor ends, as they are now: the journal was opened some time ago. */
export function atTheEnd<T>(disk: Disk, look: (last: Segment | undefined, floorEnd: Position) => T): T {
  const files = new OpenFiles(disk)
  try {
    const { segments, floor } = findSegments(disk, files)
    floor?.close()
    return look(segments.at(-1), floor?.through ?? 0)
  } finally {
    files.close()
  }
}

interface ReadIndex {
  readonly index?: IndexFile
  /** Why it cannot be read. */
  readonly reason?: string
}

/** An index that cannot be read is not moved by looking at it. */
function indexOf(disk: Disk): ReadIndex {
  let reason: string | undefined
  const index = createFileSnapshots(disk, (damage) => {
    reason = damage.reason
  }).readIndex()
  return { ...(index && { index }), ...(reason !== undefined && { reason }) }
}

export const problem = (code: FindingCode, message: string, more: Partial<Finding> = {}): Finding => ({
  ...{ code, severity: 'problem', message },
  ...more,
})

export const note = (code: FindingCode, message: string, more: Partial<Finding> = {}): Finding => ({
  ...{ code, severity: 'note', message },
  ...more,
})

export const FROM_BACKUP = 'restore it from a backup; without one, the sessions that are named can only be deleted'
