// Where a database is: its path, the folder that it is in, and the files beside it that belong to it.

import { basename, dirname, resolve } from 'node:path'
import type { Disk } from '../disk.js'
import { HoldfastError } from '../errors.js'
import type { StorageWorld } from '../storage.js'
import { logOf } from './log.js'

export interface Place {
  /** Absolute. */
  readonly path: string
  /** In its folder. */
  readonly name: string
  readonly log: string
  readonly lock: string
  readonly folder: Disk
}

/** What belongs to a database and stands in no row: the audit log, and what its server keeps. */
export const besideOf = ({ path }: Pick<Place, 'path'>, world: StorageWorld): Disk => world.folder(`${path}-http`)

export function placeOf(path: string, world: StorageWorld): Place {
  const whole = resolve(path)
  const name = basename(whole)
  return { path: whole, name, log: logOf(name), lock: `${name}-lock`, folder: world.folder(dirname(whole)) }
}

/** Its name is looked for: the file itself is opened by SQLite alone. */
export const isThere = ({ folder, name }: Place): boolean => folder.list('').includes(name)

/** Throws DIRECTORY_NOT_FOUND. */
export function requireThere(place: Place): void {
  if (isThere(place)) return
  throw new HoldfastError('DIRECTORY_NOT_FOUND', `there is no database ${place.path}; name another file`)
}
