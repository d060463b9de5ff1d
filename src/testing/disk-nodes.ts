// What may be lost: files and folders as a device holds them, with every operation that no sync has covered yet.
//
// The model is what POSIX promises and no more, with what every journaling file system adds (ext4, xfs, apfs, ntfs):
//   data     a write or truncation is visible at once, durable once a later sync of that file has returned. Until then
//            any part of any of them may be on the device, in any order: dropped, kept, torn after some byte, some of
//            its pages or sectors only, or its length without its bytes (which then read as zeros)
//   names    creating, renaming and removing are visible at once, durable once the folder has been synced (a rename
//            between folders: both). Until then each is there or not, in any order; a rename is atomic, never half.
//            fsync of a file does not cover its name (fsync(2)); a file whose name was lost is lost
//   failure  a sync of a file that failed may have dropped what it should have written: those writes stay readable, and
//            no later sync makes them durable (Linux marks the pages clean; "fsyncgate"). A sync of a folder that failed
//            may be repeated: metadata goes through the file system's own journal, which gives up as a whole
//   locks    vanish. The text of a lock file is for people, so its name and data count as durable at once
// Sources: fsync(2), rename(2), POSIX.1-2017 fsync and rename; Pillai et al., "All File Systems Are Not Created Equal",
// OSDI 2014; Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.

import { Content } from './disk-content.js'

/**
 * What became of one pending operation in a crash. Only a write can be anything but kept or dropped: `zeroed` (its length
 * without its bytes), cut after `bytes`, or with only some of the units of the file that it touches (counted from its
 * first one, each `unitBytes` long).
 */
export type Fate =
  | 'kept'
  | 'dropped'
  | 'zeroed'
  | { readonly bytes: number }
  | { readonly unitBytes: number; readonly units: readonly number[] }

/** An operation that a crash may undo. */
export interface PendingOperation {
  readonly kind: 'write' | 'truncate' | 'name'
  /** For people: `write journal/1.jsonl 0+120`. */
  readonly text: string
  /** Where a write begins, and its length; 0 for others. */
  readonly position: number
  readonly bytes: number
}

export interface DataOperation extends PendingOperation {
  readonly kind: 'write' | 'truncate'
  readonly data: Uint8Array
  durable: boolean
  /** Set by a failed sync: no later one covers it. */
  abandoned: boolean
}

export interface NameOperation extends PendingOperation {
  readonly kind: 'name'
  readonly changes: readonly NameChange[]
  /** Folders that must be synced before it is durable. */
  readonly waitsFor: Set<FolderNode>
  durable: boolean
}

export interface NameChange {
  readonly folder: FolderNode
  readonly name: string
  /** Undefined when the name goes. */
  readonly node: VolumeNode | undefined
}

export type Operation = DataOperation | NameOperation
export type VolumeNode = FileNode | FolderNode

/** `durable` is what is surely on the device; `operations` came after it, in order. */
export class FileNode {
  readonly kind = 'file'
  durable: Content = Content.EMPTY
  content: Content = Content.EMPTY
  operations: DataOperation[] = []
}

export class FolderNode {
  readonly kind = 'folder'
  durable: Map<string, VolumeNode> = new Map()
  names: Map<string, VolumeNode> = new Map()
  operations: NameOperation[] = []
}

/** Does to `names`, which are the folder's, what the operation does to that folder. */
export function applyNames(folder: FolderNode, names: Map<string, VolumeNode>, operation: NameOperation): void {
  for (const change of operation.changes) {
    if (change.folder !== folder) continue
    if (change.node) names.set(change.name, change.node)
    else names.delete(change.name)
  }
}

/** The content after one operation, as far as its fate lets it through. */
export function applyData(content: Content, operation: DataOperation, fate: Fate): Content {
  if (fate === 'dropped') return content
  if (operation.kind === 'truncate') return Content.EMPTY
  const { data, position } = operation
  if (fate === 'kept') return content.write(data, position)
  if (fate === 'zeroed') return content.extend(position + data.length)
  if ('bytes' in fate) return content.write(data.subarray(0, fate.bytes), position)
  let result = content
  const first = Math.floor(position / fate.unitBytes)
  for (const unit of fate.units) {
    const start = Math.max(0, (first + unit) * fate.unitBytes - position)
    const end = Math.min(data.length, (first + unit + 1) * fate.unitBytes - position)
    if (start < end) result = result.write(data.subarray(start, end), position + start)
  }
  return result
}
