// Files that are read now and then, of which only so many are open at a time: one that is not is opened again by its path
// when it is read. A journal has as many segments as it likes, and a process has few descriptors.

import type { Disk, DiskFile } from '../disk.js'

/** How many files are open at most. */
const MOST = 64

export class OpenFiles {
  readonly #disk: Disk
  readonly #most: number
  /** The one that was read longest ago first. */
  readonly #open: Map<DiskFile, DiskFile> = new Map()
  #closed = false

  constructor(disk: Disk, most: number = MOST) {
    this.#disk = disk
    this.#most = most
  }

  /** An existing file for reading, or undefined when there is none. Throws what the disk throws. */
  find(path: string): DiskFile | undefined {
    const opened = this.#disk.openRead(path)
    if (!opened) return undefined
    const file = this.at(path)
    this.#keep(file, opened)
    return file
  }

  /** The file at a path, opened when it is first read; reading throws ENOENT when there is none then. */
  at(path: string): DiskFile {
    const refuse = (): never => {
      throw badFile(`${path} is open for reading only`)
    }
    const file: DiskFile = {
      path,
      size: () => this.#opened(file).size(),
      readSync: (into, position) => this.#opened(file).readSync(into, position),
      writeSync: refuse,
      write: refuse,
      syncSync: refuse,
      sync: refuse,
      close: () => this.#release(file),
    }
    return file
  }

  /** Closes all; none can be read any more. */
  close(): void {
    this.#closed = true
    for (const file of [...this.#open.keys()]) this.#release(file)
  }

  #opened(file: DiskFile): DiskFile {
    if (this.#closed) throw badFile(`${file.path} is closed`)
    const opened = this.#open.get(file) ?? this.#disk.openRead(file.path)
    if (!opened) throw Object.assign(new Error(`ENOENT: there is no file ${file.path} any more`), { code: 'ENOENT' })
    this.#keep(file, opened)
    return opened
  }

  #keep(file: DiskFile, opened: DiskFile): void {
    this.#open.delete(file)
    this.#open.set(file, opened)
    if (this.#open.size > this.#most) this.#release(this.#open.keys().next().value as DiskFile)
  }

  #release(file: DiskFile): void {
    const opened = this.#open.get(file)
    this.#open.delete(file)
    letGo(opened)
  }
}

/** Closes what needs no more of its disk: a file whose closing fails is closed all the same, and holds up no other. */
export function letGo(file: { close(): void } | undefined): void {
  try {
    file?.close()
  } catch {}
}

const badFile = (why: string): Error => Object.assign(new Error(`EBADF: ${why}`), { code: 'EBADF' })
