// What is wrong with the index of a directory: it cannot be read, reaches behind the end of the journal, or does not tell
// what the journal holds. Reading only.

import { isAhead } from '../damage.js'
import type { Finding, Repair } from '../diagnosis.js'
import type { Disk } from '../disk.js'
import type { Position } from '../record.js'
import { Registry } from '../registry.js'
import type { IndexEntry, IndexFile } from '../state.js'
import { lots, type Turns } from '../turns.js'
import type { OpenedForReading } from './foreign-journal.js'
import { atTheEnd, FROM_BACKUP, following, note, type Patient, problem } from './patient.js'
import { recordsEnd } from './segments.js'

export function* indexFindings(patient: Patient): Generator<Finding | undefined> {
  const { disk, journal, registry, harmed } = patient
  const file = 'index.jsonl'
  const { index, reason } = patient.index
  const repair: Repair = { kind: 'rebuild-index' }
  // An index of what is left would hide that records are lost.
  const more = { file, ...(!harmed && { repair }) }
  if (reason !== undefined) yield problem('index.damaged', reason, more)
  else if (!index) {
    if (registry.stats.get().total > 0) yield note('index.missing', `${file} is not there: openings take longer`, more)
  } else if (isAhead(index, endOfRecords(disk))) {
    const message = `${file} reaches behind the end of the journal: records are lost`
    yield problem('index.ahead', message, { file, advice: FROM_BACKUP })
  } else if (!(yield* tells(index, journal, registry))) {
    yield problem('index.wrong', `${file} does not tell what the journal holds`, more)
  }
}

const endOfRecords = (disk: Disk): Position => atTheEnd(disk, (last, floorEnd) => (last ? recordsEnd(last) : floorEnd))

/** True when the index and what came after it give what the journal alone gives. */
function* tells(index: IndexFile, journal: OpenedForReading, registry: Registry): Turns<boolean> {
  if (index.through < journal.begin) return true // of an earlier time: an opening begins at the floor
  const told = new Registry()
  yield* lots(index.entries, (lot) => told.load(lot))
  yield* following(told, journal, index.through)
  const texts = new Map<string, string>()
  yield* lots(told.entries(), (lot) => {
    for (const entry of lot) texts.set(entry.id, textOf(entry))
  })
  let same = true
  yield* lots(registry.entries(), (lot) => {
    for (const entry of lot) {
      if (texts.get(entry.id) !== textOf(entry)) same = false
      texts.delete(entry.id)
    }
  })
  return same && texts.size === 0
}

const textOf = (entry: IndexEntry): string =>
  JSON.stringify(Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1))))
