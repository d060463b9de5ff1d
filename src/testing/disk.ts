// A disk that crashes and fails on demand, in memory: what `disk-nodes.ts` models, behind the port of `disk.ts`.
// It promises that whatever a power cut may leave under that model can be had from `crash` or is among `crashStates`,
// that every call is numbered, traced and offered to `onCall`, and that a crashed or cloned disk shares nothing that
// changes with the one it came from. It never reads a clock and never fails by itself.

import { checkFolder, checkPath, type Disk, type DiskFile, type DiskLock } from '../disk.js'
import { type FateLimits, fatesOf } from './disk-fates.js'
import { CrashFile, type DiskCall, type DiskCallName, type Offered, systemError } from './disk-file.js'
import { type Fate, FileNode, FolderNode, type PendingOperation, type VolumeNode } from './disk-nodes.js'
import { Volume } from './disk-volume.js'

export type { DiskCall, DiskCallName } from './disk-file.js'
export type { Fate, PendingOperation } from './disk-nodes.js'

/** Hears of a call before it has any effect, and may throw to make it fail. A number cuts a write to so many bytes. */
export type OnCall = (index: number, call: DiskCall) => number | undefined

export interface CrashDiskOptions {
  readonly onCall?: OnCall
  /** How long an asynchronous call takes: it returns when this resolves. A sync counts only then. Default: at once. */
  readonly settle?: (call: DiskCall) => Promise<void>
  /** How many of the last calls `calls` keeps; default 100,000. */
  readonly callsKept?: number
}

export interface CrashLimits extends FateLimits {
  /** Digests of states to leave out; those yielded are added. Share it to explore each state once over many crashes. */
  readonly seen?: Set<string>
}

export interface CrashState {
  readonly disk: CrashDisk
  readonly digest: string
  /** What became of each pending operation, in order: what `crash` needs to make this state again. */
  readonly fates: readonly Fate[]
}

/** An empty disk. Its root exists; everything else must be made. */
export function createCrashDisk(options: CrashDiskOptions = {}): CrashDisk {
  return new CrashDisk(new Volume(), options)
}

/**
 * A hook that makes call `index` fail with `code`, or with `'SHORT'` take half of what a write offers.
 * `'once'`: that call only. `'from then on'`: that call and all later ones.
 */
export function failAt(index: number, code: string, when: 'once' | 'from then on' = 'once'): OnCall {
  return (at, call) => {
    if (at !== index && !(when === 'from then on' && at > index)) return undefined
    if (code !== 'SHORT') throw systemError(code, call)
    return Math.max(1, call.size >> 1)
  }
}

export class CrashDisk implements Disk {
  readonly location: string = 'crash disk'
  /** May be set, changed and taken away at any time. */
  onCall: OnCall | undefined
  readonly #volume: Volume
  readonly #options: CrashDiskOptions
  readonly #locked = new Set<string>()
  readonly #open = new Map<DiskFile, string>()
  #calls: DiskCall[] = []
  #callCount = 0

  constructor(volume: Volume, options: CrashDiskOptions) {
    this.#volume = volume
    this.#options = options
    this.onCall = options.onCall
  }

  /** The last calls, oldest first. */
  get calls(): readonly DiskCall[] {
    return this.#calls
  }

  /** How many calls there were: the index of the next one. */
  get callCount(): number {
    return this.#callCount
  }

  /** Paths of the files that are open now, to find leaks. */
  get openFiles(): readonly string[] {
    return [...this.#open.values()]
  }

  /** Operations that a crash now may undo, oldest first. */
  get pending(): readonly PendingOperation[] {
    return this.#volume.pending()
  }

  /** A digest of all that can be read now: names, folders and contents; with `select`, of the paths that it names. */
  digest(select?: (path: string) => boolean): string {
    return this.#volume.digest(select)
  }

  /** The disk after a power cut now. `choose` says what became of each pending operation; default: all are dropped. */
  crash(
    choose: (operation: PendingOperation, index: number) => Fate = () => 'dropped',
    options: CrashDiskOptions = {},
  ): CrashDisk {
    const fates = this.pending.map((operation, index) => [operation, choose(operation, index)] as const)
    return new CrashDisk(this.#volume.crash(new Map(fates)), options)
  }

  /** The disk after the death of the process now: everything written can be read, synced or not; locks are free. */
  clone(options: CrashDiskOptions = {}): CrashDisk {
    return new CrashDisk(this.#volume.clone(), options)
  }

  /** Every distinct disk that a power cut now may leave, lazily, within the limits of `fatesOf`. */
  *crashStates(limits: CrashLimits = {}): Generator<CrashState> {
    const { seen = new Set() } = limits
    const { pending } = this
    for (const fates of fatesOf(pending, limits)) {
      const volume = this.#volume.crash(new Map(pending.map((operation, index) => [operation, fates[index] as Fate])))
      const digest = volume.digest()
      if (seen.has(digest)) continue
      seen.add(digest)
      yield { disk: new CrashDisk(volume, {}), digest, fates }
    }
  }

  openRead(path: string): DiskFile | undefined {
    this.#enter('openRead', checkPath(path))
    const node = this.#find(path)
    if (node?.kind === 'folder') throw systemError('EISDIR', { op: 'openRead', path })
    return node && this.#openFile(path, node, false)
  }

  create(path: string): DiskFile {
    const call = this.#enter('create', checkPath(path))
    const node = this.#find(path)
    if (node?.kind === 'folder') throw systemError('EISDIR', call)
    const file = node ?? new FileNode()
    if (node) this.#volume.truncate(node, path)
    else this.#volume.change(`create ${path}`, { ...this.#place(call), node: file })
    return this.#openFile(path, file, true)
  }

  list(folder: string): string[] {
    this.#enter('list', checkFolder(folder))
    const node = this.#find(folder)
    return node?.kind === 'folder' ? [...node.names.keys()].sort() : []
  }

  makeFolder(folder: string): void {
    const call = this.#enter('makeFolder', checkFolder(folder))
    let parent = this.#volume.root
    for (const name of folder.split('/')) {
      if (name === '') return
      let node = parent.names.get(name)
      if (node?.kind === 'file') throw systemError('EEXIST', call)
      if (!node) {
        node = new FolderNode()
        this.#volume.change(`folder ${folder}`, { folder: parent, name, node })
      }
      parent = node
    }
  }

  rename(from: string, to: string): void {
    const call = this.#enter('rename', checkPath(from))
    const node = this.#find(from)
    if (!node) throw systemError('ENOENT', call)
    const target = this.#place({ op: 'rename', path: checkPath(to) })
    const replaced = target.folder.names.get(target.name)
    if (replaced?.kind === 'folder') throw systemError('EISDIR', call)
    if (replaced === node) return
    this.#volume.change(`rename ${from} ${to}`, { ...this.#place(call), node: undefined }, { ...target, node })
  }

  remove(path: string): void {
    const call = this.#enter('remove', checkPath(path))
    const node = this.#find(path)
    if (node?.kind === 'folder') throw systemError('EISDIR', call)
    if (node) this.#volume.change(`remove ${path}`, { ...this.#place(call), node: undefined })
  }

  syncFolder(folder: string): void {
    const call = this.#enter('syncFolder', checkFolder(folder))
    const node = this.#find(folder)
    if (!node) throw systemError('ENOENT', call)
    if (node.kind === 'folder') this.#volume.syncFolder(node)
  }

  lock(path: string): DiskLock | undefined {
    const call = this.#enter('lock', checkPath(path))
    const { folder, name } = this.#place(call)
    const node = folder.names.get(name) ?? new FileNode()
    if (node.kind === 'folder') throw systemError('EISDIR', call)
    folder.names.set(name, node)
    folder.durable.set(name, node)
    if (this.#locked.has(path)) return undefined
    this.#locked.add(path)
    let held = true
    return {
      describe: (text) => {
        this.#enter('describe', path, text.length)
        this.#volume.replaceDurably(node, Buffer.from(text))
      },
      release: () => {
        // As with a file: it is closed, whatever closing it says.
        if (held) this.#locked.delete(path)
        held = false
        this.#enter('release', path)
      },
    }
  }

  #find(path: string): VolumeNode | undefined {
    let node: VolumeNode | undefined = this.#volume.root
    if (path === '') return node
    for (const name of path.split('/')) node = node?.kind === 'folder' ? node.names.get(name) : undefined
    return node
  }

  /** The folder that holds `path`, and its name there. */
  #place({ op, path }: Pick<DiskCall, 'op' | 'path'>): { folder: FolderNode; name: string } {
    const slash = path.lastIndexOf('/')
    const folder = this.#find(path.slice(0, Math.max(0, slash)))
    if (folder?.kind !== 'folder') throw systemError('ENOENT', { op, path })
    return { folder, name: path.slice(slash + 1) }
  }

  #openFile(path: string, node: FileNode, writable: boolean): DiskFile {
    const file = new CrashFile(path, node, writable, {
      volume: this.#volume,
      enter: (op, size) => this.#enter(op, path, size),
      offered: (op, size) => this.#offered(op, path, size),
      settle: async (call) => this.#options.settle?.(call),
      closed: () => this.#open.delete(file),
    })
    this.#open.set(file, path)
    return file
  }

  #enter(op: DiskCallName, path: string, size = 0): DiskCall {
    return this.#offered(op, path, size).call
  }

  /** Numbers and traces a call and lets the hook fail or cut it. */
  #offered(op: DiskCallName, path: string, size: number): Offered {
    const call = { op, path, size }
    const kept = this.#options.callsKept ?? 100_000
    if (this.#calls.length >= 2 * kept) this.#calls = this.#calls.slice(-kept)
    this.#calls.push(call)
    const index = this.#callCount++
    return { call, taken: Math.min(size, this.onCall?.(index, call) ?? size) }
  }
}
