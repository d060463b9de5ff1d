// What is wrong with the index of a directory: it cannot be read, reaches behind the end of the journal, or does not tell
// what the journal holds. Reading only.

import { isAhead } from '../damage.js'
import type { Finding, Repair } from '../diagnosis.js'
import type { Disk } from '../disk.js'
import type { Position } from '../record.js'
import { Registry } from '../registry.js'
import type { IndexFile } from '../state.js'
import type { OpenedForReading } from './foreign-journal.js'
import { atTheEnd, FROM_BACKUP, follow, indexOf, note, type Patient, problem } from './patient.js'
import { recordsEnd } from './segments.js'

export function* indexFindings({ disk, journal, registry, harmed }: Patient): Generator<Finding> {
  const file = 'index.jsonl'
  const { index, reason } = indexOf(disk)
  const repair: Repair = { kind: 'rebuild-index' }
  // An index of what is left would hide that records are lost.
  const more = { file, ...(!harmed && { repair }) }
  if (reason !== undefined) yield problem('index.damaged', reason, more)
  else if (!index) {
    if (registry.stats.get().total > 0) yield note('index.missing', `${file} is not there: openings take longer`, more)
  } else if (isAhead(index, endOfRecords(disk))) {
    const message = `${file} reaches behind the end of the journal: records are lost`
    yield problem('index.ahead', message, { file, advice: FROM_BACKUP })
  } else if (!tells(index, journal, registry)) {
    yield problem('index.wrong', `${file} does not tell what the journal holds`, more)
  }
}

const endOfRecords = (disk: Disk): Position => atTheEnd(disk, (last, floorEnd) => (last ? recordsEnd(last) : floorEnd))

/** True when the index and what came after it give what the journal alone gives. */
function tells(index: IndexFile, journal: OpenedForReading, registry: Registry): boolean {
  if (index.through < journal.begin) return true // of an earlier time: an opening begins at the floor
  const told = new Registry()
  told.load(index.entries)
  follow(told, journal, index.through)
  return textOf(told) === textOf(registry)
}

const textOf = (registry: Registry): string =>
  [...registry.entries()]
    .map((entry) => JSON.stringify(Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))))
    .sort()
    .join('\n')
