// A journal that another process may own, opened for reading only: it shows what is there now, and changes nothing on the
// disk. What the owner drops meanwhile is said to be dropped, and not to be missing.

import type { Disk } from '../disk.js'
import { isHoldfastError } from '../errors.js'
import type { Damage, ReadableJournal } from '../journal.js'
import { droppedMeanwhile } from '../refusals.js'
import { type Found, findSegments, lookAgain, misplaced } from './claims.js'
import { openFloor } from './floor.js'
import { OpenFiles } from './open-files.js'
import { checkSeams } from './seams.js'
import { orClose, readIn, scanSegments } from './segments.js'

/** A journal that another process may own. */
export interface OpenedForReading extends ReadableJournal {
  close(): void
}

/**
 * Opens the journal for reading only, while another process may be writing it: nothing on the disk changes. It shows the
 * journal as it is now. `onDamage` hears of what a scan cannot read; a torn end is none, it may be on its way.
 * Throws FORMAT_NEWER.
 */
export function readFileJournal(disk: Disk, onDamage: (damage: Damage) => void): OpenedForReading {
  return lookAgain(() => {
    const files = new OpenFiles(disk)
    return orClose(files, () => {
      const found = findSegments(disk, files)
      return orClose(found, () => reading(disk, files, found, onDamage))
    })
  })
}

function reading(disk: Disk, files: OpenFiles, found: Found, onDamage: (damage: Damage) => void): OpenedForReading {
  const { segments, floor } = found
  const damage = [...found.damage, ...misplaced(found), ...checkSeams(segments, floor)]
  const last = segments.at(-1)
  const begin = floor?.through ?? 0
  const end = last ? last.base + last.file.size() : begin
  for (const one of damage) onDamage(one)
  /** A segment that is not open and not there any more was dropped by the owner, if its floor is higher now. */
  const dropped = (): Error | false => {
    const now = openFloor(disk, () => {})
    now?.close()
    return now !== undefined && now.through > begin && droppedMeanwhile(now.through)
  }
  return {
    begin,
    end,
    floor: (id) => floor?.read(id),
    floors: (onFloorDamage) => (floor ? floor.entries(onFloorDamage) : none()),
    read: (position) => orSay(() => readIn(segments, position, end), dropped),
    *scan(from) {
      const entries = scanSegments(segments, from, end, onDamage)
      for (let next = nextOf(entries, dropped); !next.done; next = nextOf(entries, dropped)) yield next.value
    },
    close: () => {
      files.close()
      found.close()
    },
  }
}

/** What goes wrong is said with what `why` knows better, if it does. */
function orSay<T>(act: () => T, why: () => Error | false): T {
  try {
    return act()
  } catch (error) {
    const better = isHoldfastError(error, 'DISK_FAILED') && why()
    throw better || error
  }
}

export const nextOf = <T>(entries: Generator<T>, why: () => Error | false): IteratorResult<T, unknown> =>
  orSay(() => entries.next(), why)

export function* none(): Generator<never> {}
