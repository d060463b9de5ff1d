// The device behind the crash disk: files, folders and the operations on them, by the model of `disk-nodes.ts`.
// It promises to know at any time what is surely durable and what is pending, and to give the volume after a crash or
// a copy of itself without sharing anything that changes. It knows no paths, open files or faults.

import { Content, sha1 } from './disk-content.js'
import { Copies, Survivors } from './disk-copies.js'
import {
  applyData,
  applyNames,
  type DataOperation,
  type Fate,
  type FileNode,
  FolderNode,
  type NameChange,
  type NameOperation,
  type Operation,
  type PendingOperation,
} from './disk-nodes.js'

/** So that a long run which never crashes does not keep what its removed files once held. */
const PRUNE_EVERY = 1024

export class Volume {
  root: FolderNode = new FolderNode()
  #pending: Operation[] = []

  write(file: FileNode, path: string, bytes: Uint8Array, position: number): void {
    file.content = file.content.write(bytes, position)
    this.#addData(file, `write ${path} ${position}+${bytes.length}`, 'write', new Uint8Array(bytes), position)
  }

  truncate(file: FileNode, path: string): void {
    if (file.content.length === 0 && file.operations.length === 0) return
    file.content = Content.EMPTY
    this.#addData(file, `truncate ${path}`, 'truncate', new Uint8Array(), 0)
  }

  /** Makes durable what stands in the file now, once the returned call is made; `failed` if the sync fails instead. */
  beginSync(file: FileNode): { done(): void; failed(): void } {
    const covered = [...file.operations]
    return {
      done: () => {
        for (const operation of covered) if (!operation.abandoned) operation.durable = true
        this.#settleFile(file)
      },
      failed: () => {
        for (const operation of covered) if (!operation.durable) operation.abandoned = true
      },
    }
  }

  /** Makes a file's text durable outside the model: for lock files. */
  replaceDurably(file: FileNode, bytes: Uint8Array): void {
    file.content = Content.EMPTY.write(bytes, 0)
    file.durable = file.content
  }

  /** Sets or removes names, as one operation that is atomic even across folders. */
  change(text: string, ...changes: NameChange[]): void {
    const waitsFor = new Set(changes.map((change) => change.folder))
    const operation: NameOperation = { kind: 'name', text, position: 0, bytes: 0, changes, waitsFor, durable: false }
    for (const folder of waitsFor) {
      folder.operations.push(operation)
      applyNames(folder, folder.names, operation)
    }
    this.#add(operation)
  }

  syncFolder(folder: FolderNode): void {
    const touched = new Set<FolderNode>()
    for (const operation of folder.operations) {
      operation.waitsFor.delete(folder)
      if (operation.waitsFor.size > 0) continue
      operation.durable = true
      for (const change of operation.changes) touched.add(change.folder)
    }
    for (const each of touched) {
      while (each.operations[0]?.durable) applyNames(each, each.durable, each.operations.shift() as NameOperation)
    }
    this.#pending = this.#pending.filter((operation) => !operation.durable)
  }

  /** Operations that a crash may undo and whose outcome can be seen, oldest first. */
  pending(): readonly PendingOperation[] {
    if (this.#pending.length === 0) return []
    const reachable = new Set<Operation>()
    const visit = (folder: FolderNode): void => {
      for (const operation of folder.operations) reachable.add(operation)
      const nodes = new Set([...folder.durable.values(), ...folder.names.values()])
      for (const operation of folder.operations) for (const { node } of operation.changes) if (node) nodes.add(node)
      for (const node of nodes) {
        if (node.kind === 'folder') visit(node)
        else for (const operation of node.operations) reachable.add(operation)
      }
    }
    visit(this.root)
    // What nobody can reach again never counts again.
    this.#pending = this.#pending.filter((operation) => reachable.has(operation))
    return [...this.#pending]
  }

  /** What is on the device after a crash in which `fates` came true; what is not named was dropped. */
  crash(fates: ReadonlyMap<PendingOperation, Fate>): Volume {
    const volume = new Volume()
    volume.root = new Survivors(fates).folder(this.root)
    return volume
  }

  /** The same volume, with everything that is pending. */
  clone(): Volume {
    const volume = new Volume()
    const copies = new Copies()
    volume.root = copies.folder(this.root)
    volume.#pending = this.#pending.map((operation) => copies.operation(operation))
    return volume
  }

  /** Every file that can be read now, with its content; folders have none. */
  *entries(folder: FolderNode = this.root, prefix = ''): Generator<[path: string, content: Content | undefined]> {
    for (const [name, node] of folder.names) {
      const path = `${prefix}${name}`
      yield [path, node.kind === 'file' ? node.content : undefined]
      if (node.kind === 'folder') yield* this.entries(node, `${path}/`)
    }
  }

  /** A digest of everything that can be read now, or of what `select` names. */
  digest(select: (path: string) => boolean = () => true): string {
    const lines: string[] = []
    for (const [path, content] of this.entries()) {
      if (select(path)) lines.push(`${path}\0${content?.digest() ?? ''}\n`)
    }
    return sha1(lines.sort().join(''))
  }

  #addData(file: FileNode, text: string, kind: 'write' | 'truncate', data: Uint8Array, position: number): void {
    const bytes = data.length
    const operation: DataOperation = { kind, text, position, bytes, data, durable: false, abandoned: false }
    file.operations.push(operation)
    this.#add(operation)
  }

  #add(operation: Operation): void {
    this.#pending.push(operation)
    if (this.#pending.length % PRUNE_EVERY === 0) this.pending()
  }

  #settleFile(file: FileNode): void {
    if (file.operations.every((operation) => operation.durable)) {
      file.durable = file.content
      file.operations = []
    }
    const emptied = file.operations.findLastIndex((operation) => operation.kind === 'truncate' && operation.durable)
    for (const operation of file.operations.slice(0, emptied + 1)) operation.durable = true
    while (file.operations[0]?.durable) {
      file.durable = applyData(file.durable, file.operations.shift() as DataOperation, 'kept')
    }
    this.#pending = this.#pending.filter((operation) => !operation.durable)
  }
}
