// Copies of a volume's nodes: what survives a crash, and what a clone needs.
// It promises that a node with two names is copied once, and that a copy shares only contents, which never change.

import type { Content } from './disk-content.js'
import {
  applyData,
  applyNames,
  type DataOperation,
  type Fate,
  FileNode,
  FolderNode,
  type NameChange,
  type NameOperation,
  type Operation,
  type PendingOperation,
  type VolumeNode,
} from './disk-nodes.js'

/** Copies what is on the device after a crash in which the given fates came true; nothing is pending there. */
export class Survivors {
  readonly #fates: ReadonlyMap<PendingOperation, Fate>
  readonly #copies = new Map<VolumeNode, VolumeNode>()

  constructor(fates: ReadonlyMap<PendingOperation, Fate>) {
    this.#fates = fates
  }

  folder(folder: FolderNode): FolderNode {
    const copy = new FolderNode()
    this.#copies.set(folder, copy)
    const names = new Map(folder.durable)
    for (const operation of folder.operations) {
      if (this.#fate(operation) !== 'dropped') applyNames(folder, names, operation)
    }
    for (const [name, node] of names) copy.durable.set(name, this.#copies.get(node) ?? this.#node(node))
    copy.names = new Map(copy.durable)
    return copy
  }

  #node(node: VolumeNode): VolumeNode {
    return node.kind === 'folder' ? this.folder(node) : this.#file(node)
  }

  #file(file: FileNode): FileNode {
    const copy = new FileNode()
    this.#copies.set(file, copy)
    const whole = file.operations.every((operation) => this.#fate(operation) === 'kept')
    copy.durable = whole ? file.content : this.#apply(file)
    copy.content = copy.durable
    return copy
  }

  #apply(file: FileNode): Content {
    return file.operations.reduce((content, each) => applyData(content, each, this.#fate(each)), file.durable)
  }

  #fate(operation: Operation): Fate {
    return operation.durable ? 'kept' : (this.#fates.get(operation) ?? 'dropped')
  }
}

/** Copies everything, pending operations too: they refer to nodes and to each other's nodes, each copied once. */
export class Copies {
  readonly #nodes = new Map<VolumeNode, VolumeNode>()
  readonly #operations = new Map<Operation, Operation>()

  folder(folder: FolderNode): FolderNode {
    const known = this.#nodes.get(folder)
    if (known) return known as FolderNode
    const copy = new FolderNode()
    this.#nodes.set(folder, copy)
    for (const [name, node] of folder.durable) copy.durable.set(name, this.node(node))
    for (const [name, node] of folder.names) copy.names.set(name, this.node(node))
    copy.operations = folder.operations.map((operation) => this.operation(operation) as NameOperation)
    return copy
  }

  node(node: VolumeNode): VolumeNode {
    return node.kind === 'folder' ? this.folder(node) : this.#file(node)
  }

  operation(operation: Operation): Operation {
    const known = this.#operations.get(operation)
    if (known) return known
    if (operation.kind !== 'name') return this.#keep(operation, { ...operation })
    const changes: NameChange[] = []
    const waitsFor = new Set<FolderNode>()
    const copy = this.#keep(operation, { ...operation, changes, waitsFor })
    for (const { folder, name, node } of operation.changes) {
      changes.push({ folder: this.folder(folder), name, node: node && this.node(node) })
    }
    for (const folder of operation.waitsFor) waitsFor.add(this.folder(folder))
    return copy
  }

  #file(file: FileNode): FileNode {
    const known = this.#nodes.get(file)
    if (known) return known as FileNode
    const copy = new FileNode()
    this.#nodes.set(file, copy)
    copy.durable = file.durable
    copy.content = file.content
    copy.operations = file.operations.map((operation) => this.operation(operation) as DataOperation)
    return copy
  }

  #keep(original: Operation, copy: Operation): Operation {
    this.#operations.set(original, copy)
    return copy
  }
}
