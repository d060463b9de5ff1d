// An open file of the crash disk, and what one call to that disk is.
// It promises that a call is offered to its disk before it has any effect, that a sync counts only when it returns, and
// that a closed file refuses every call (EBADF) but another close.

import type { DiskFile } from '../disk.js'
import type { FileNode } from './disk-nodes.js'
import type { Volume } from './disk-volume.js'

export type DiskCallName =
  | 'openRead'
  | 'create'
  | 'list'
  | 'makeFolder'
  | 'rename'
  | 'remove'
  | 'syncFolder'
  | 'lock'
  | 'describe'
  | 'release'
  | 'size'
  | 'read'
  | 'write'
  | 'sync'
  | 'close'

/** One call to the disk. `size` is the length that a read or write asks for, else 0. */
export interface DiskCall {
  readonly op: DiskCallName
  readonly path: string
  readonly size: number
}

/** An error as the system throws it: with `code`, `syscall` and `path`. */
export function systemError(code: string, { op, path }: Pick<DiskCall, 'op' | 'path'>): Error {
  return Object.assign(new Error(`${code}: ${op} '${path}'`), { code, syscall: op, path })
}

export interface Offered {
  readonly call: DiskCall
  /** How much of a write goes through. */
  readonly taken: number
}

/** What an open file needs of its disk. */
export interface FileSide {
  readonly volume: Volume
  enter(op: DiskCallName, size?: number): DiskCall
  offered(op: DiskCallName, size: number): Offered
  settle(call: DiskCall): Promise<void>
  closed(): void
}

export class CrashFile implements DiskFile {
  readonly path: string
  readonly #node: FileNode
  readonly #writable: boolean
  readonly #side: FileSide
  #open = true

  constructor(path: string, node: FileNode, writable: boolean, side: FileSide) {
    this.path = path
    this.#node = node
    this.#writable = writable
    this.#side = side
  }

  size(): number {
    this.#check('size')
    this.#side.enter('size')
    return this.#node.content.length
  }

  readSync(into: Uint8Array, position: number): number {
    this.#check('read')
    this.#side.enter('read', into.length)
    return this.#node.content.read(into, position)
  }

  writeSync(bytes: Uint8Array, position: number): number {
    return this.#write(bytes, position).taken
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    const { call, taken } = this.#write(bytes, position)
    await this.#side.settle(call)
    return taken
  }

  syncSync(): void {
    this.#beginSync().done()
  }

  async sync(): Promise<void> {
    const { call, done } = this.#beginSync()
    await this.#side.settle(call)
    done()
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#side.closed()
    this.#side.enter('close')
  }

  #write(bytes: Uint8Array, position: number): Offered {
    this.#check('write', this.#writable)
    const offered = this.#side.offered('write', bytes.length)
    if (offered.taken > 0) {
      this.#side.volume.write(this.#node, this.path, bytes.subarray(0, offered.taken), position)
    }
    return offered
  }

  #beginSync(): { call: DiskCall; done(): void } {
    this.#check('sync')
    const { done, failed } = this.#side.volume.beginSync(this.#node)
    try {
      return { call: this.#side.enter('sync'), done }
    } catch (error) {
      failed()
      throw error
    }
  }

  #check(op: DiskCallName, allowed = true): void {
    if (!this.#open || !allowed) throw systemError('EBADF', { op, path: this.path })
  }
}
