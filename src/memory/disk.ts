// The disk in memory: the same port without a device, for tests and for runs that need not survive the process.
// It promises the same answers as real files for the same calls. Syncs do nothing and nothing ever crashes; locks hold
// among the users of one instance.

import { checkFolder, checkPath, type Disk, type DiskFile, type DiskLock } from '../disk.js'

export function createMemoryDisk(): Disk {
  return new MemoryDisk()
}

class MemoryDisk implements Disk {
  readonly location = 'memory'
  readonly #files = new Map<string, Content>()
  readonly #folders = new Set<string>([''])
  readonly #locked = new Set<string>()

  openRead(path: string): DiskFile | undefined {
    const content = this.#files.get(checkPath(path))
    return content && new MemoryFile(path, content, false)
  }

  create(path: string): DiskFile {
    const content = this.#content(path)
    content.length = 0
    return new MemoryFile(path, content, true)
  }

  list(folder: string): string[] {
    const prefix = checkFolder(folder) === '' ? '' : `${folder}/`
    const names = new Set<string>()
    for (const path of [...this.#files.keys(), ...this.#folders]) {
      if (path.startsWith(prefix) && path !== folder) names.add(path.slice(prefix.length).split('/', 1)[0] as string)
    }
    return [...names].sort()
  }

  makeFolder(folder: string): void {
    if (checkFolder(folder) === '' || this.#folders.has(folder)) return
    if (this.#files.has(folder)) throw failure('EEXIST', 'mkdir', folder)
    this.makeFolder(parentOf(folder))
    this.#folders.add(folder)
  }

  rename(from: string, to: string): void {
    const content = this.#files.get(checkPath(from))
    if (!content || !this.#folders.has(parentOf(checkPath(to)))) throw failure('ENOENT', 'rename', from)
    if (this.#folders.has(to)) throw failure('EISDIR', 'rename', to)
    this.#files.delete(from)
    this.#files.set(to, content)
  }

  remove(path: string): void {
    if (this.#folders.has(checkPath(path))) throw failure('EISDIR', 'unlink', path)
    this.#files.delete(path)
  }

  syncFolder(folder: string): void {
    if (!this.#folders.has(checkFolder(folder))) throw failure('ENOENT', 'open', folder)
  }

  lock(path: string): DiskLock | undefined {
    const content = this.#content(path)
    if (this.#locked.has(path)) return undefined
    this.#locked.add(path)
    let held = true
    return {
      describe: (text) => {
        content.length = 0
        content.write(Buffer.from(text), 0)
      },
      release: () => {
        if (held) this.#locked.delete(path)
        held = false
      },
    }
  }

  #content(path: string): Content {
    if (this.#folders.has(checkPath(path))) throw failure('EISDIR', 'open', path)
    if (!this.#folders.has(parentOf(path))) throw failure('ENOENT', 'open', path)
    const content = this.#files.get(path) ?? new Content()
    this.#files.set(path, content)
    return content
  }
}

/** Bytes that grow by doubling, and are never shared. */
class Content {
  #bytes = new Uint8Array(0)
  #length = 0

  get length(): number {
    return this.#length
  }

  set length(length: number) {
    // What lies behind the end must read as zeros once the file grows over it.
    if (length < this.#length) this.#bytes.fill(0, length, this.#length)
    this.#length = length
  }

  read(into: Uint8Array, position: number): number {
    const part = this.#bytes.subarray(position, Math.min(this.#length, position + into.length))
    into.set(part)
    return part.length
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length))
      grown.set(this.#bytes)
      this.#bytes = grown
    }
    this.#bytes.set(bytes, position)
    this.#length = Math.max(this.#length, end)
  }
}

class MemoryFile implements DiskFile {
  readonly path: string
  readonly #content: Content
  readonly #writable: boolean
  #open = true

  constructor(path: string, content: Content, writable: boolean) {
    this.path = path
    this.#content = content
    this.#writable = writable
  }

  size(): number {
    this.#check('fstat')
    return this.#content.length
  }

  readSync(into: Uint8Array, position: number): number {
    this.#check('read')
    return this.#content.read(into, position)
  }

  writeSync(bytes: Uint8Array, position: number): number {
    this.#check('write', this.#writable)
    this.#content.write(bytes, position)
    return bytes.length
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    return this.writeSync(bytes, position)
  }

  syncSync(): void {
    this.#check('fdatasync')
  }

  async sync(): Promise<void> {
    this.syncSync()
  }

  close(): void {
    this.#open = false
  }

  #check(call: string, allowed = true): void {
    if (!this.#open || !allowed) throw failure('EBADF', call, this.path)
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

const failure = (code: string, call: string, path: string): Error =>
  Object.assign(new Error(`${code}: ${call} '${path}'`), { code, syscall: call, path })
