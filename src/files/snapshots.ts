// Snapshots as files: one readable JSON file a session through lowdb, and the index of all as JSON lines.
// It promises that a file is replaced durably or not at all, and that a damaged one is noticed by its checksum, kept whole
// in `quarantine/`, reported and then counts as absent. It never touches a file that a newer Holdfast wrote.
//
//   sessions/<2 hex digits of the id's CRC-32>/<id>.json     { "holdfast": 1, "checksum": …, "state": { … } }
//   index.jsonl                                              see `index-file.ts`
//
// The checksum is the CRC-32 of the state as JSON without any space, continued from the format's number. A file that was
// only re-indented stays good.

import { crc32 } from 'node:zlib'
import { Low, LowSync } from 'lowdb'
import type { Disk, DiskFile } from '../disk.js'
import { HoldfastError, isHoldfastError } from '../errors.js'
import { isId } from '../id.js'
import type { Snapshots } from '../snapshots.js'
import type { Index, IndexFile, SessionState } from '../state.js'
import { DurableFiles, type FileFormat } from './durable-file.js'
import { corrupt, FORMAT, hex, requireFormat } from './format.js'
import { decodeIndex, encodeIndex } from './index-file.js'

/** A file that could not be read. `kept` is where it is now; absent when it could not be moved. */
export interface SnapshotDamage {
  readonly file: string
  readonly reason: string
  readonly kept?: string
}

/** Snapshots on `disk`. `onDamage` hears of each damaged file when it is read; it must not throw. */
export function createFileSnapshots(disk: Disk, onDamage: (damage: SnapshotDamage) => void): Snapshots {
  return new FileSnapshots(new DurableFiles(disk), onDamage)
}

const INDEX = 'index.jsonl'

class FileSnapshots implements Snapshots {
  readonly #files: DurableFiles
  readonly #onDamage: (damage: SnapshotDamage) => void

  constructor(files: DurableFiles, onDamage: (damage: SnapshotDamage) => void) {
    this.#files = files
    this.#onDamage = onDamage
  }

  async write(state: SessionState): Promise<number> {
    const bytes = encodeState(state)
    const { id } = state
    const decode = (stored: Uint8Array, path: string): SessionState => decodeState(stored, path, id)
    await new Low(this.#files.file(pathOf(id), { encode: () => bytes, decode }), state).write()
    return bytes.length
  }

  read(id: string): SessionState | undefined {
    return this.#read(pathOf(id), (bytes, path) => decodeState(bytes, path, id))
  }

  size(id: string): number {
    return this.#files.size(pathOf(id))
  }

  remove(id: string): void {
    this.#files.remove(pathOf(id))
  }

  async writeIndex(index: Index): Promise<number> {
    let bytes = 0
    const write = async (file: DiskFile): Promise<void> => {
      bytes = await encodeIndex(file, index)
    }
    await new Low(this.#files.file<Index>(INDEX, { encode: () => write, decode: decodeIndex }), index).write()
    return bytes
  }

  readIndex(): IndexFile | undefined {
    return this.#read(INDEX, decodeIndex)
  }

  #read<T>(path: string, decode: FileFormat<T>['decode']): T | undefined {
    const file = new LowSync<T | null>(this.#files.reader<T | null>(path, decode), null)
    try {
      file.read()
      return file.data ?? undefined
    } catch (error) {
      if (!isHoldfastError(error, 'SNAPSHOT_CORRUPT')) throw error
      const kept = this.#files.quarantine(path)
      this.#onDamage({ file: path, reason: error.message, ...(kept === undefined ? {} : { kept }) })
      return undefined
    }
  }
}

/** A name that cannot leave its folder; the hash keeps folders small. */
export function pathOf(id: string): string {
  if (!isId(id)) {
    throw new HoldfastError('INVALID_ID', `${JSON.stringify(id)} is not a session id`)
  }
  return `sessions/${hex(crc32(id)).slice(-2)}/${id}.json`
}

/** One line for each part of the state: readable, and the text that is checked need not be made twice. */
function encodeState(state: SessionState): Uint8Array {
  const fields: string[] = []
  for (const [name, value] of Object.entries(state)) {
    if (value !== undefined) fields.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`)
  }
  const checksum = checksumOf(`{${fields.join()}}`)
  const head = `{\n  "holdfast": ${FORMAT},\n  "checksum": "${checksum}",\n  "state": {`
  return Buffer.from(`${head}\n    ${fields.join(',\n    ')}\n  }\n}\n`)
}

function decodeState(bytes: Uint8Array, path: string, id: string): SessionState {
  const file = parse(bytes, path)
  if (checksumOf(JSON.stringify(file.state) ?? '') !== file.checksum) {
    requireFormat(file.holdfast, path)
    throw corrupt(path, 'its checksum is wrong')
  }
  if (file.holdfast !== FORMAT) throw corrupt(path, 'its format is wrong')
  const state = file.state as SessionState
  if (state.id !== id) throw corrupt(path, `it is the snapshot of ${JSON.stringify(state.id)}`)
  return state
}

/** `text` is the state as JSON without any space. */
const checksumOf = (text: string): string => hex(crc32(text, FORMAT))

interface StoredFile {
  readonly holdfast?: unknown
  readonly checksum?: unknown
  readonly state?: unknown
}

function parse(bytes: Uint8Array, path: string): StoredFile {
  let file: unknown
  try {
    file = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
  } catch {
    throw corrupt(path, 'it is not JSON')
  }
  if (typeof file !== 'object' || file === null) throw corrupt(path, 'it is not an object')
  return file
}
