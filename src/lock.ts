// Who owns what is stored: one process at a time, by a lock that the kernel frees when its owner dies. Whoever is refused is
// told who has it. Over the Disk port; nothing but the lock file is touched.

import type { Clock } from './clock.js'
import { epochOf, LOCK_FILE, lockText, type Owner, ownerOf } from './directory.js'
import type { Disk, DiskLock } from './disk.js'
import { HoldfastError } from './errors.js'

/** The directory's lock, held. */
export interface Held {
  /** The last epoch that the lock file told of. */
  readonly epoch: number
  /** Says that a writer of this epoch has begun. */
  began(epoch: number): void
  /** Whoever reads the lock file later is not told of an owner that has gone. */
  free(): void
}

/** Takes the lock of what is at `location`. Throws DIRECTORY_LOCKED naming the owner, DIRECTORY_NOT_WRITABLE, DISK_FULL or DISK_FAILED. */
export function takeLock(disk: Disk, clock: Clock, file: string = LOCK_FILE, location: string = disk.location): Held {
  try {
    disk.makeFolder('')
    const lock = disk.lock(file)
    if (lock) return held(lock, disk, clock, file)
  } catch (error) {
    throw unwritable(disk, error)
  }
  const owner = ownerOf(disk, file)
  const who = owner ? `process ${owner.pid}, since ${owner.since}` : 'another process'
  const what =
    owner?.pid === process.pid
      ? `open in this process (${owner.pid}) already, since ${owner.since}; use that runtime, or close it first`
      : `in use by ${who}; stop it or choose another ${file === LOCK_FILE ? 'directory' : 'file'}`
  throw new HoldfastError('DIRECTORY_LOCKED', `${location} is ${what}`, { details: { owner } })
}

/** Throws what the disk throws; then the lock is free. */
function held(lock: DiskLock, disk: Disk, clock: Clock, file: string): Held {
  try {
    const owner: Owner = { pid: process.pid, since: new Date(clock.now()).toISOString() }
    return holding(lock, owner, epochOf(disk, file))
  } catch (error) {
    letGo(lock)
    throw error
  }
}

function holding(lock: DiskLock, owner: Owner, epoch: number): Held {
  let last = epoch
  // The headers of the journal tell the epoch, too: a disk that has no room for a word about it is no failure.
  const tell = (who: Owner | undefined): void => {
    try {
      lock.describe(lockText(who, last))
    } catch {}
  }
  tell(owner)
  return {
    epoch,
    began: (begun) => {
      last = begun
      tell(owner)
    },
    free: () => {
      tell(undefined)
      letGo(lock)
    },
  }
}

/** A lock whose file is closed with an error is free all the same; what that says must not hide what came before it. */
function letGo(lock: DiskLock): void {
  try {
    lock.release()
  } catch {}
}

/** Who opened it last, if that process still runs: all that can be told without touching the lock. */
export function livingOwnerOf(disk: Disk, file: string = LOCK_FILE): Owner | undefined {
  const owner = ownerOf(disk, file)
  if (!owner || !Number.isSafeInteger(owner.pid)) return undefined
  try {
    process.kill(owner.pid, 0)
    return owner
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? owner : undefined
  }
}

/** What a disk throws, as what a person can do about it. */
export function unwritable(disk: Disk, cause: unknown): unknown {
  const code = (cause as { code?: string }).code ?? ''
  if (cause instanceof HoldfastError) return cause
  if (code === 'ENOTDIR' || code === 'EEXIST') {
    const what = `${disk.location} is a file, or below one; choose a directory`
    return new HoldfastError('DIRECTORY_NOT_WRITABLE', what, { cause })
  }
  if (['EACCES', 'EPERM', 'EROFS', 'ENOENT'].includes(code)) {
    return new HoldfastError(
      'DIRECTORY_NOT_WRITABLE',
      `${disk.location} cannot be written (${code}); make it writable or choose another directory`,
      { cause },
    )
  }
  if (code === 'ENOSPC')
    return new HoldfastError('DISK_FULL', `${disk.location}: the disk is full; free some space`, { cause })
  return new HoldfastError('DISK_FAILED', `${disk.location} cannot be used (${String(cause)})`, { cause })
}
