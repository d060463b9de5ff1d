// The disk as real files below one folder, over node:fs. System errors pass through with their `code`, none is retried.
// It promises that files are 0600 and folders 0700, that a sync has reached the device when it returns (fdatasync;
// F_FULLFSYNC on macOS), and that nothing outside the folder is ever opened: paths that climb are refused, and a last
// part that is a symbolic link is not followed (ELOOP). On Windows folders cannot be synced: there `syncFolder` does nothing.

import * as fs from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve, sep } from 'node:path'
import { checkFolder, checkPath, type Disk, type DiskFile, type DiskLock, writeAllSync } from '../disk.js'
import { HoldfastError } from '../errors.js'
import { realPath } from './real-path.js'

const { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC } = fs.constants
/** Absent on Windows. */
const O_NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** One byte far behind the text of a lock file: Windows forbids others to read what is locked. */
const LOCKED_OFFSET = 2 ** 40

/** A disk over the folder `root`, which `makeFolder('')` creates. Opens nothing by itself. */
export function createFileDisk(root: string): Disk {
  return new FileDisk(resolve(root))
}

class FileDisk implements Disk {
  readonly location: string

  constructor(root: string) {
    this.location = root
  }

  realPath(path: string): string {
    return realPath(this.#file(path))
  }

  openRead(path: string): DiskFile | undefined {
    const place = this.#file(path)
    const fd = unlessMissing(() => fs.openSync(place, O_RDONLY | O_NOFOLLOW))
    return fd === undefined ? undefined : new OpenFile(path, fd)
  }

  create(path: string): DiskFile {
    return new OpenFile(path, fs.openSync(this.#file(path), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, FILE_MODE))
  }

  list(folder: string): string[] {
    const place = this.#folder(folder)
    return unlessMissing(() => fs.readdirSync(place).sort()) ?? []
  }

  makeFolder(folder: string): void {
    const first = makeFolders(this.#folder(folder))
    // The port has no name for what is above the data directory, so its own name is made durable here.
    if (first !== undefined && !isBelow(this.location, first)) {
      for (let above = dirname(this.location); ; above = dirname(above)) {
        syncFolder(above)
        if (above === dirname(first) || above === dirname(above)) break
      }
    }
  }

  rename(from: string, to: string): void {
    fs.renameSync(this.#file(from), this.#file(to))
  }

  remove(path: string): void {
    const place = this.#file(path)
    unlessMissing(() => fs.unlinkSync(place))
  }

  syncFolder(folder: string): void {
    syncFolder(this.#folder(folder))
  }

  lock(path: string): DiskLock | undefined {
    const { tryLock } = loadLocks()
    const file = new OpenFile(path, fs.openSync(this.#file(path), O_RDWR | O_CREAT | O_NOFOLLOW, FILE_MODE))
    try {
      if (tryLock(file.fd, LOCKED_OFFSET, 1)) return new FileLock(file)
    } catch (error) {
      file.close()
      throw error
    }
    file.close()
    return undefined
  }

  #file(path: string): string {
    return join(this.location, checkPath(path))
  }

  #folder(folder: string): string {
    return join(this.location, checkFolder(folder))
  }
}

class OpenFile implements DiskFile {
  readonly path: string
  #fd: number | undefined
  /** Calls under way in the thread pool. The descriptor lives until they return, or they could hit another file. */
  #busy = 0
  #closed = false

  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  get fd(): number {
    if (this.#fd !== undefined && !this.#closed) return this.#fd
    throw Object.assign(new Error(`EBADF: ${this.path} is closed`), { code: 'EBADF' })
  }

  size(): number {
    return fs.fstatSync(this.fd).size
  }

  readSync(into: Uint8Array, position: number): number {
    return fs.readSync(this.fd, into, 0, into.length, position)
  }

  writeSync(bytes: Uint8Array, position: number): number {
    return fs.writeSync(this.fd, bytes, 0, bytes.length, position)
  }

  write(bytes: Uint8Array, position: number): Promise<number> {
    return this.#inPool((fd, done) => fs.write(fd, bytes, 0, bytes.length, position, done))
  }

  syncSync(): void {
    fs.fdatasyncSync(this.fd)
  }

  sync(): Promise<void> {
    return this.#inPool((fd, done) => fs.fdatasync(fd, (error) => done(error, undefined)))
  }

  close(): void {
    this.#closed = true
    if (this.#busy > 0 || this.#fd === undefined) return
    const fd = this.#fd
    this.#fd = undefined
    fs.closeSync(fd)
  }

  #inPool<T>(start: (fd: number, done: (error: Error | null, result: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const fd = this.fd
      start(fd, (error, result) => {
        this.#busy--
        try {
          if (this.#closed) this.close()
        } catch (failure) {
          error ??= failure as Error
        }
        if (error) reject(error)
        else resolve(result)
      })
      this.#busy++
    })
  }
}

/** Owned by the open descriptor, so the kernel frees it when the process dies, however it dies. */
class FileLock implements DiskLock {
  readonly #file: OpenFile

  constructor(file: OpenFile) {
    this.#file = file
  }

  describe(text: string): void {
    fs.ftruncateSync(this.#file.fd, 0)
    writeAllSync(this.#file, Buffer.from(text), 0)
  }

  release(): void {
    this.#file.close()
  }
}

interface NativeLocks {
  /** False when another open descriptor holds the lock. */
  tryLock(fd: number, offset: number, length: number): boolean
}

let locks: NativeLocks | undefined

/** Loaded when first needed: a platform without the addon can still read, and is told what it lacks. */
function loadLocks(): NativeLocks {
  try {
    locks ??= createRequire(import.meta.url)('fs-native-extensions') as NativeLocks
    return locks
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`
    throw new HoldfastError(
      'DISK_FAILED',
      `a data directory cannot be locked here: fs-native-extensions has no working addon for ${platform}; ` +
        'use a platform that it supports, or keep the state in memory',
      { cause },
    )
  }
}

/** As mkdir -p; gives the first folder that it made. Node's own never returns where a folder refuses with ENOENT. */
function makeFolders(place: string): string | undefined {
  try {
    fs.mkdirSync(place, { mode: FOLDER_MODE })
    return place
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && fs.statSync(place).isDirectory()) return undefined
    if (code !== 'ENOENT' || fs.existsSync(dirname(place))) throw error
  }
  const first = makeFolders(dirname(place))
  fs.mkdirSync(place, { mode: FOLDER_MODE })
  return first ?? place
}

function syncFolder(place: string): void {
  if (process.platform === 'win32') return
  const fd = fs.openSync(place, O_RDONLY)
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** True when `place` is strictly below `root`. */
const isBelow = (root: string, place: string): boolean => place.startsWith(join(root, sep))

function unlessMissing<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
