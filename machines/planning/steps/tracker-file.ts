// The file of the local tracker, shared by threads and processes: read, then replaced as a whole, by one at a time.
// It promises that the file holds its old or its new content at any time, power cuts included, and that the new one is
// durable when `change` resolves. Whoever dies while changing it leaves the old or the new content, and no lock: the
// kernel frees that with the descriptor. It never waits for the lock in the thread pool, which the owner needs to finish.

import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { TrackerError } from '../tracker.js'

/** The stages of a change, in order. Tests stop a change after one of them, as a crash would. */
export const STAGES = ['locked', 'read', 'written', 'synced', 'renamed', 'durable'] as const
export type Stage = (typeof STAGES)[number]

export interface TrackerFileOptions {
  /** Ends a wait for the lock. */
  readonly signal?: AbortSignal | undefined
  /** Default 30,000. */
  readonly lockTimeoutMs?: number
  /** For tests: hears of each stage; what it throws ends the change there, with nothing cleaned up. */
  readonly reached?: (stage: Stage) => void
}

const LOCK_TIMEOUT_MS = 30_000
const FIRST_LOOK_MS = 1
const LONGEST_LOOK_MS = 20

export class TrackerFile {
  readonly path: string
  readonly #options: TrackerFileOptions

  constructor(path: string, options: TrackerFileOptions = {}) {
    this.path = path
    this.#options = options
  }

  /** The content, or undefined when there is no file. Throws TRACKER_FAILED. */
  async read(): Promise<string | undefined> {
    try {
      return await readFile(this.path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw failed(this.path, error)
    }
  }

  /**
   * Gives `next` the content and puts what it returns in its place; nothing is written when it returns undefined.
   * Rejects with TRACKER_BUSY, TRACKER_FAILED, or what `next` throws; then the old content stays, but for a failure of
   * the very last sync, after which either may be found.
   */
  async change(next: (content: string | undefined) => string | undefined): Promise<void> {
    const lock = await this.#lock()
    try {
      this.#reached('locked')
      const content = await this.read()
      this.#reached('read')
      const replacement = next(content)
      if (replacement !== undefined) await this.#replace(replacement)
    } finally {
      await lock.close()
    }
  }

  /** A temporary file that was left behind by somebody who died is written over. */
  async #replace(content: string): Promise<void> {
    const temporary = `${this.path}.tmp`
    await this.#translating(() => this.#write(temporary, content))
    this.#reached('synced')
    await this.#translating(() => rename(temporary, this.path))
    this.#reached('renamed')
    await this.#translating(() => syncFolder(dirname(this.path)))
    this.#reached('durable')
  }

  async #write(path: string, content: string): Promise<void> {
    const file = await open(path, 'w', 0o600)
    try {
      await file.writeFile(content)
      this.#reached('written')
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** The lock is on a file beside, since the file itself is replaced. */
  async #lock(): Promise<FileHandle> {
    const { signal, lockTimeoutMs = LOCK_TIMEOUT_MS } = this.#options
    const file = await this.#translating(() => openLockFile(this.path))
    try {
      for (let waitedMs = 0, lookMs = FIRST_LOOK_MS; !loadLocks().tryLock(file.fd); waitedMs += lookMs) {
        if (waitedMs >= lockTimeoutMs) throw busy(this.path, waitedMs)
        lookMs = Math.min(lookMs * 2, LONGEST_LOOK_MS)
        await pause(lookMs, undefined, { signal })
      }
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  #reached(stage: Stage): void {
    this.#options.reached?.(stage)
  }

  async #translating<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw (error as { syscall?: unknown }).syscall === undefined ? error : failed(this.path, error)
    }
  }
}

async function openLockFile(path: string): Promise<FileHandle> {
  await makeFolder(dirname(path))
  return open(`${path}.lock`, 'a+', 0o600)
}

/** A file is lost with the name of any folder above it, so those that are new are made durable too. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = folder; ; made = dirname(made)) {
    await syncFolder(dirname(made))
    if (made === first || made === dirname(made)) return
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

interface NativeLocks {
  /** False when another open descriptor holds the lock. */
  tryLock(fd: number): boolean
}

let locks: NativeLocks | undefined

/** Loaded when first needed: a platform without the addon can still list the issues. */
function loadLocks(): NativeLocks {
  try {
    locks ??= createRequire(import.meta.url)('fs-native-extensions') as NativeLocks
    return locks
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`
    const message = `the local tracker cannot be locked here: fs-native-extensions has no working addon for ${platform}`
    throw new TrackerError('TRACKER_FAILED', message, { cause, details: { platform } })
  }
}

const busy = (file: string, waitedMs: number): TrackerError =>
  new TrackerError('TRACKER_BUSY', `${file} was in use by others for ${waitedMs} ms: try again`, { details: { file } })

function failed(file: string, cause: unknown): TrackerError {
  const { code = '', message = String(cause) } = cause as { code?: string; message?: string }
  const why = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full: free some space' : code || message
  return new TrackerError('TRACKER_FAILED', `${file} cannot be read or written (${why})`, {
    cause,
    details: { file, reason: code },
  })
}
