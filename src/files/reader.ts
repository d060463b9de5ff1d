// The reader on a directory of files. It opens files for reading only: the disk it hands on refuses every change, so that
// not even a damaged file is moved aside. No lock is taken.

import { isOurs, readDirectoryFile } from '../directory.js'
import type { Disk } from '../disk.js'
import { HoldfastError } from '../errors.js'
import { Reader } from '../reader.js'
import { readFileJournal } from './foreign-journal.js'
import { createFileSnapshots, type SnapshotDamage } from './snapshots.js'

/**
 * Opens a directory for reading. `onDamage` hears of snapshots that cannot be read; the journal stands in for them.
 * Throws DIRECTORY_NOT_FOUND, DIRECTORY_NOT_READABLE, FORMAT_NEWER or DISK_FAILED.
 */
export function openFileReader(disk: Disk, onDamage: (damage: SnapshotDamage) => void = () => {}): Reader {
  const unwritable = readOnly(disk)
  try {
    requireDirectory(unwritable)
    return new Reader({
      snapshots: createFileSnapshots(unwritable, onDamage),
      openJournal: (onJournalDamage) => readFileJournal(unwritable, onJournalDamage),
    })
  } catch (error) {
    throw readError(disk, error)
  }
}

/** Throws DIRECTORY_NOT_FOUND, also for a folder of other things, or FORMAT_NEWER. */
export function requireDirectory(disk: Disk): void {
  readDirectoryFile(disk)
  if (!isOurs(disk)) throw notFound(disk)
}

/** The same disk, on which nothing can be changed. */
export function readOnly(disk: Disk): Disk {
  const refuse = (): never => {
    throw Object.assign(new Error(`EROFS: ${disk.location} is open for reading only`), { code: 'EROFS' })
  }
  return {
    location: disk.location,
    openRead: (path) => disk.openRead(path),
    list: (folder) => disk.list(folder),
    create: refuse,
    makeFolder: refuse,
    rename: refuse,
    remove: refuse,
    syncFolder: refuse,
    lock: refuse,
  }
}

function readError(disk: Disk, cause: unknown): HoldfastError {
  if (cause instanceof HoldfastError) return cause
  const { code, message = String(cause) } = cause as { code?: string; message?: string }
  if (code === 'ENOTDIR') return notFound(disk, cause)
  if (code === 'EACCES' || code === 'EPERM') {
    const what = `${disk.location} cannot be read (${code}); ask for the right to, or name another directory`
    return new HoldfastError('DIRECTORY_NOT_READABLE', what, { cause })
  }
  return new HoldfastError('DISK_FAILED', `${disk.location} cannot be read (${message}); mend that and try again`, {
    cause,
  })
}

const notFound = (disk: Disk, cause?: unknown): HoldfastError =>
  new HoldfastError(
    'DIRECTORY_NOT_FOUND',
    cause === undefined
      ? `there are no Holdfast sessions in ${disk.location}; name another directory`
      : `${disk.location} is a file, or below one; name a directory`,
    {
      ...(cause !== undefined && { cause }),
    },
  )
