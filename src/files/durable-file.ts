// Files that are replaced as a whole and durably, behind lowdb's adapter interface (its own adapter never syncs).
// It promises that a file holds its old or its new content at any time, power cuts included, that writes of one file
// take turns in the order of the calls, and that the data written is the data as it was when `write` was called.
// It never retries: a failed write is DISK_FULL or DISK_FAILED, and its temporary file is removed if the disk obeys.

import type { Adapter, SyncAdapter } from 'lowdb'
import { type Disk, type DiskFile, readAll, replaceFile } from '../disk.js'
import { HoldfastError } from '../errors.js'
import { storageError } from './storage-error.js'

/** The whole content of a file, or what writes it piece by piece. */
export type FileContent = Uint8Array | ((file: DiskFile) => Promise<void>)

/** How a value is kept in a file. */
export interface FileFormat<T> {
  /** Called when `write` is; pieces are written when it is this write's turn. */
  encode(data: T): FileContent
  /** Throws SNAPSHOT_CORRUPT when the bytes are damaged, FORMAT_NEWER when a newer Holdfast wrote them. */
  decode(bytes: Uint8Array, path: string): T
}

/** The writes of one file: they take turns, and a removal undoes those that came before it. */
interface Lane {
  tail: Promise<void>
  waiting: number
  removals: number
}

export class DurableFiles {
  readonly #disk: Disk
  readonly #lanes = new Map<string, Lane>()
  /** Folders whose names are known to be durable. */
  readonly #folders = new Set<string>([''])

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** The adapter of one file for lowdb's `Low`. */
  file<T>(path: string, format: FileFormat<T>): Adapter<T> {
    return {
      read: async () => this.#read(path, format.decode),
      write: (data) => this.#inTurn(path, format.encode(data)),
    }
  }

  /** What is in a file, for lowdb's `LowSync`. It only reads: a sync that blocks has no place beside writes that wait. */
  reader<T>(path: string, decode: FileFormat<T>['decode']): SyncAdapter<T> {
    return {
      read: () => this.#read(path, decode),
      write: () => {
        throw new HoldfastError('READ_ONLY', `${path} is open for reading; write it through its own adapter`)
      },
    }
  }

  /** The length of a file; 0 when there is none. Throws DISK_FAILED. */
  size(path: string): number {
    return translating(path, () => {
      const file = this.#disk.openRead(path)
      if (!file) return 0
      try {
        return file.size()
      } finally {
        file.close()
      }
    })
  }

  /** Removes a file durably, and undoes the writes of it that are still under way. Throws DISK_FAILED. */
  remove(path: string): void {
    const lane = this.#lanes.get(path)
    if (lane) lane.removals++
    translating(path, () => this.#removeNow(path))
  }

  /** Moves a file to `quarantine/`, durably and whole. Gives its new path, or undefined when the disk refuses. */
  quarantine(path: string): string | undefined {
    let kept: string | undefined
    try {
      this.#makeFolder('quarantine')
      const name = freeName(path.slice(path.lastIndexOf('/') + 1), this.#disk.list('quarantine'))
      this.#disk.rename(path, `quarantine/${name}`)
      kept = `quarantine/${name}`
      this.#disk.syncFolder('quarantine')
      this.#disk.syncFolder(parentOf(path))
    } catch {}
    return kept
  }

  #read<T>(path: string, decode: FileFormat<T>['decode']): T | null {
    const bytes = translating(path, () => readAll(this.#disk, path))
    return bytes ? decode(bytes, path) : null
  }

  #inTurn(path: string, content: FileContent): Promise<void> {
    const lane = this.#lanes.get(path) ?? { tail: Promise.resolve(), waiting: 0, removals: 0 }
    this.#lanes.set(path, lane)
    lane.waiting++
    const { removals } = lane
    const turn = lane.tail.then(async () => {
      try {
        if (lane.removals === removals) await this.#replace(path, content)
      } catch (error) {
        // A removal takes away the temporary file of a write that is under way, which then cannot be renamed.
        if (lane.removals === removals) throw storageError(error, path)
      } finally {
        if (--lane.waiting === 0) this.#lanes.delete(path)
      }
    })
    lane.tail = turn.catch(() => {})
    return turn
  }

  async #replace(path: string, content: FileContent): Promise<void> {
    this.#makeFolder(parentOf(path))
    await replaceFile(this.#disk, path, content)
  }

  #removeNow(path: string): void {
    this.#disk.remove(`${path}.tmp`)
    const file = this.#disk.openRead(path)
    if (!file) return
    file.close()
    this.#disk.remove(path)
    this.#disk.syncFolder(parentOf(path))
  }

  /** Makes a folder and its name durable, once: a file is lost with the name of any folder above it. */
  #makeFolder(folder: string): void {
    if (this.#folders.has(folder)) return
    this.#makeFolder(parentOf(folder))
    this.#disk.makeFolder(folder)
    this.#disk.syncFolder(parentOf(folder))
    this.#folders.add(folder)
  }
}

function translating<T>(path: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw storageError(error, path)
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

function freeName(name: string, taken: readonly string[]): string {
  for (let number = 0; ; number++) {
    const free = number === 0 ? name : `${name}.${number}`
    if (!taken.includes(free)) return free
  }
}
