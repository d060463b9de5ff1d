// The data directory, or the database, as the reading commands see it: opened beside its owner, without a lock, and told what is damaged.

import { describeDamage } from '../damage.js'
import { isHoldfastError } from '../errors.js'
import { createFileDisk } from '../files/disk.js'
import { openFileReader } from '../files/reader.js'
import type { SessionEntry } from '../listing.js'
import type { Reader } from '../reader.js'
import type { Output } from './output.js'
import { databaseAt, worldOf } from './place.js'
import { printable } from './style.js'
import { table } from './table.js'
import { attributesText, stateText, timeText } from './values.js'

/** Opens a directory for reading; what of it cannot be read is told on stderr. */
export function readDirectory(dir: string, output: Output): Reader {
  const reader =
    databaseAt(dir)?.read(worldOf(output)) ??
    openFileReader(createFileDisk(dir), ({ file, reason }) =>
      output.warn(`${file} cannot be read (${printable(reason)}); the journal stands in for it`),
    )
  for (const damage of reader.damage) output.warn(describeDamage(damage))
  return reader
}

/** The one session whose id begins so. Throws INVALID_ID, SESSION_NOT_FOUND, or AMBIGUOUS_ID; then it has told which. */
export function findSession(reader: Reader, prefix: string, output: Output): SessionEntry {
  try {
    return reader.find(prefix)
  } catch (error) {
    if (isHoldfastError(error, 'AMBIGUOUS_ID')) {
      tellCandidates(
        (error.details.ids as string[]).map((id) => reader.find(id)),
        output,
      )
    }
    throw error
  }
}

/** Ids made within a minute of each other begin alike, so which was meant is told by what they are. */
export function tellCandidates(candidates: readonly SessionEntry[], output: Output): void {
  for (const line of table(candidates.map(candidateRow))) output.note(line)
}

const candidateRow = ({ id, kind, value, updatedAt, attributes }: SessionEntry): string[] => [
  ...[printable(id), printable(kind), printable(stateText(value)), timeText(updatedAt)],
  attributesText(attributes),
]
