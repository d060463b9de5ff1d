// The port for the disk: the few calls that durability is made of, each blocking or not as named.
// Paths are relative to the data directory, with forward slashes; an adapter never leaves that directory.
// Every call may throw an error with a system `code` (EIO, ENOSPC, EACCES, …); nothing is retried below this line.
// Adapters: real files (`files/`), memory (`memory/`), a disk that crashes and fails on demand (`testing/`).

import { HoldfastError } from './errors.js'

export interface DiskFile {
  readonly path: string
  /** Length in bytes. */
  size(): number
  /** Reads into `into` from `position`; returns how many bytes it got, fewer at the end of the file. */
  readSync(into: Uint8Array, position: number): number
  /** Writes some of `bytes` at `position`; returns how many, possibly fewer than asked (see `writeAllSync`). */
  writeSync(bytes: Uint8Array, position: number): number
  /** As `writeSync`, off the main thread. */
  write(bytes: Uint8Array, position: number): Promise<number>
  /** fdatasync: when it returns, what was written and the length are durable. When it throws, nobody knows. */
  syncSync(): void
  /** As `syncSync`, off the main thread. */
  sync(): Promise<void>
  close(): void
}

export interface Disk {
  /** Where this is, for people: an absolute path, or a word such as `memory`. */
  readonly location: string
  /** Where a path leads once links are followed, also one of a file that is not there yet; absent where there are no links. */
  realPath?(path: string): string
  /** Opens an existing file for reading, or undefined when there is none. */
  openRead(path: string): DiskFile | undefined
  /** Creates a file (mode 0600) for reading and writing, emptied if it was there. Its name is durable after `syncFolder`. */
  create(path: string): DiskFile
  /** Names in a folder, sorted; empty when the folder does not exist. */
  list(folder: string): string[]
  /** Creates a folder and its parents (mode 0700) if absent. Durable after `syncFolder` of the parents. */
  makeFolder(folder: string): void
  /** Replaces `to` by `from` at once. Durable after `syncFolder`. */
  rename(from: string, to: string): void
  /** Removes a file; nothing happens when there is none. Durable after `syncFolder`. */
  remove(path: string): void
  /** Makes the names in a folder durable. `''` is the data directory itself. */
  syncFolder(folder: string): void
  /** Takes the exclusive lock of the file at `path`, creating it; undefined when another owner holds it. Freed by the
   * returned call, or by the kernel when the owner dies. */
  lock(path: string): DiskLock | undefined
}

export interface DiskLock {
  /** Replaces the text of the lock file, which tells others who the owner is. */
  describe(text: string): void
  release(): void
}

/** Writes all of `bytes`, however short the single writes are. Throws ENOSPC when a write takes nothing. */
export function writeAllSync(file: DiskFile, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += progressed(file.writeSync(done === 0 ? bytes : bytes.subarray(done), position + done))
  }
}

/** As `writeAllSync`, off the main thread. */
export async function writeAll(file: DiskFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += progressed(await file.write(done === 0 ? bytes : bytes.subarray(done), position + done))
  }
}

/** The whole content of a file, or undefined when there is none. */
export function readAll(disk: Disk, path: string): Uint8Array | undefined {
  const file = disk.openRead(path)
  if (!file) return undefined
  try {
    const bytes = new Uint8Array(file.size())
    let done = 0
    while (done < bytes.length) {
      const read = file.readSync(done === 0 ? bytes : bytes.subarray(done), done)
      if (read === 0) break
      done += read
    }
    return bytes.subarray(0, done)
  } finally {
    file.close()
  }
}

/** The bytes of a file from `offset` up to `end`, or fewer when it ends before that. */
export function readFrom(file: DiskFile, offset: number, end: number = Number.POSITIVE_INFINITY): Uint8Array {
  const bytes = new Uint8Array(Math.max(Math.min(file.size(), end) - offset, 0))
  let done = 0
  while (done < bytes.length) {
    const read = file.readSync(done === 0 ? bytes : bytes.subarray(done), offset + done)
    if (read === 0) break
    done += read
  }
  return bytes.subarray(0, done)
}

/**
 * Replaces a file as a whole, durably: a temporary file, its sync, a rename, a sync of the folder. When it rejects, the
 * old file is intact, but for a failure of the last sync, after which a crash may leave the old or the new one.
 * `content` may be a function that writes to the new file.
 */
export async function replaceFile(
  disk: Disk,
  path: string,
  content: Uint8Array | ((file: DiskFile) => Promise<void>),
): Promise<void> {
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
  const temporary = `${path}.tmp`
  try {
    const file = disk.create(temporary)
    try {
      if (typeof content === 'function') await content(file)
      else await writeAll(file, content, 0)
      await file.sync()
    } finally {
      file.close()
    }
    disk.rename(temporary, path)
  } catch (error) {
    discard(disk, temporary)
    throw error
  }
  disk.syncFolder(folder)
}

/** Gives a file's path back, or throws INVALID_ARGUMENT when it could name anything outside the data directory. */
export function checkPath(path: string): string {
  if (!CLIMBING.test(path) && !UNSAFE.test(path) && !path.includes('\0')) return path
  throw new HoldfastError('INVALID_ARGUMENT', `${JSON.stringify(path)} is not a path inside the data directory`)
}

/** As `checkPath`, for a folder: `''` is the data directory itself. */
export const checkFolder = (folder: string): string => (folder === '' ? folder : checkPath(folder))

/** A part that is empty, `.` or `..`. */
const CLIMBING = /(?:^|\/)\.{0,2}(?:\/|$)/
/** A NUL ends a path early; on Windows a backslash separates folders, and a colon names drives and streams. */
const UNSAFE = /[\\:]/

function progressed(written: number): number {
  if (written > 0) return written
  throw Object.assign(new Error('no byte could be written'), { code: 'ENOSPC' })
}

/** Gives back the space of a file that is of no use, as far as the disk still obeys; the error that matters is another. */
function discard(disk: Disk, path: string): void {
  try {
    disk.remove(path)
  } catch {}
}
