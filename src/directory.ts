// What a data directory says of itself: its format and kinds in `holdfast.json`, its owner in `lock`.
// Reading only, over the Disk port. A file that cannot be read says nothing; a newer format is refused, untouched.

import { type Disk, readAll } from './disk.js'
import { HoldfastError } from './errors.js'

export const FORMAT = 1
export const DIRECTORY_FILE = 'holdfast.json'
export const LOCK_FILE = 'lock'

/** What `holdfast.json` holds: the format of the directory and every kind that was ever opened with it. */
export interface DirectoryFile {
  readonly holdfast: number
  readonly kinds: { readonly [kind: string]: number }
}

/** What the lock file tells of the owner. */
export interface Owner {
  readonly pid: number
  readonly since: string
}

/** Throws FORMAT_NEWER when a newer Holdfast wrote the directory. Changes nothing. */
export function readDirectoryFile(disk: Disk): DirectoryFile | undefined {
  const bytes = readAll(disk, DIRECTORY_FILE)
  if (!bytes) return undefined
  let directory: DirectoryFile
  try {
    directory = JSON.parse(new TextDecoder().decode(bytes)) as DirectoryFile
  } catch {
    return undefined // It only repeats what the journal knows; it is written anew.
  }
  if (directory.holdfast <= FORMAT) return directory
  throw new HoldfastError(
    'FORMAT_NEWER',
    `${disk.location} has format ${directory.holdfast}, this Holdfast reads ${FORMAT}; install a newer one`,
    { details: { format: directory.holdfast } },
  )
}

/** Who owns a directory, or owned it last, if anybody has said so. */
export function ownerOf(disk: Disk): Owner | undefined {
  const bytes = readAll(disk, LOCK_FILE)
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Owner
  } catch {
    return undefined
  }
}
