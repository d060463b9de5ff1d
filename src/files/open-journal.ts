// Opens the journal of a data directory for its only writer. It never goes on with a segment of somebody else: the readable
// part of the last one is copied into a new file and synced, because what a crashed process left in the page cache may be
// readable and yet not durable. What it finds damaged it tells, and leaves as it is.

import type { Clock } from '../clock.js'
import type { Disk } from '../disk.js'
import type { Damage } from '../journal.js'
import { type Found, findSegments, putRight, unheaded } from './claims.js'
import { FileJournal, type FileJournalOptions } from './journal.js'
import { OpenFiles } from './open-files.js'
import { chainBefore, checkSeams } from './seams.js'
import { first, orClose, renew } from './segments.js'

export interface OpenedJournal {
  readonly journal: FileJournal
  /** The writer's epoch: one more than the highest that is known. */
  readonly epoch: number
  /** What was found unreadable in the last segment, and what does not fit between the others. */
  readonly damage: readonly Damage[]
}

/**
 * Opens the journal of a data directory for its only writer.
 * Throws FORMAT_NEWER (nothing is touched), DISK_FULL or DISK_FAILED.
 */
export function openFileJournal(disk: Disk, clock: Clock, options: FileJournalOptions = {}): OpenedJournal {
  const files = new OpenFiles(disk)
  return orClose(files, () => {
    const found = findSegments(disk, files)
    return orClose(found, () => writing(disk, clock, options, files, found))
  })
}

function writing(disk: Disk, clock: Clock, options: FileJournalOptions, files: OpenFiles, found: Found): OpenedJournal {
  const { floor } = found
  disk.makeFolder('journal')
  for (const name of disk.list('journal')) if (name.endsWith('.tmp')) disk.remove(`journal/${name}`)
  const epoch = Math.max(found.epoch, options.epoch ?? 0) + 1
  for (const path of found.dropped) disk.remove(path)
  const { segments, damage } = putRight(disk, found, files)
  damage.push(...found.damage, ...unheaded(segments.slice(0, -1)), ...checkSeams(segments, floor))
  const last = segments.pop()
  const start = last ? renew(disk, last, epoch, chainBefore(segments.at(-1), last, floor)) : first(disk, epoch, floor)
  segments.push(start.segment)
  const journal = new FileJournal(disk, clock, options, files, segments, floor, start.chain, start.end, epoch)
  return { journal, epoch, damage: [...damage, ...start.damage] }
}
