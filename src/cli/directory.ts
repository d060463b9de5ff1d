// The data directory, or the database, as the reading commands see it: opened beside its owner, without a lock, and told what is damaged.

import { describeDamage } from '../damage.js'
import { type HoldfastError, isHoldfastError } from '../errors.js'
import { createFileDisk } from '../files/disk.js'
import { openFileReader } from '../files/reader.js'
import type { SessionEntry } from '../listing.js'
import type { Reader } from '../reader.js'
import { CommandError, failureOf } from './failure.js'
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
export function findSession(reader: Pick<Reader, 'find'>, prefix: string, output: Output): SessionEntry {
  try {
    return reader.find(prefix)
  } catch (error) {
    const ids = idsToTell(error, output)
    throw ids
      ? ambiguity(
          error,
          prefix,
          ids.map((id) => reader.find(id)),
          output,
        )
      : error
  }
}

/** The ids that an AMBIGUOUS_ID names, for a person; a program has them in the message. */
export const idsToTell = (error: unknown, { format }: Output): readonly string[] | undefined =>
  format === 'text' && isHoldfastError(error, 'AMBIGUOUS_ID') ? (error.details.ids as string[]) : undefined

/** Ids made within a minute of each other begin alike, so which was meant is told by what they are; the error says no more of them. */
export function ambiguity(
  error: unknown,
  prefix: string,
  candidates: readonly SessionEntry[],
  output: Output,
): CommandError {
  for (const line of table(candidates.map(candidateRow))) output.note(line)
  const { failure, exitCode } = failureOf(error, output.next)
  const others = (error as HoldfastError).details.more ? ' and others' : ''
  const message = `${JSON.stringify(prefix)} begins these ids${others}; give more of it`
  return new CommandError(failure.code, exitCode, message, failure.hint, error)
}

const candidateRow = ({ id, kind, value, updatedAt, attributes }: SessionEntry): string[] => [
  ...[printable(id), printable(kind), printable(stateText(value)), timeText(updatedAt)],
  attributesText(attributes),
]
