// The floor of a journal: what came before its first segment was dropped on purpose, and this is what it had come to.
// One file, replaced as a whole and durable before anything is dropped. Each line can be verified alone, and the lines
// stand in the order of the ids, so that one session is found without reading the others.
//
//   {"holdfast":1,"segment":3,"through":50331648,"chain":"…","count":…,"bytes":…,"checksum":"…"}     padded to HEADER_BYTES
//   <CRC-32 of the JSON, continued from `through`> {"id":"…","birth":…,"work":…,"state":{…}}         `count` times
//
// `segment` is the last that was dropped, `through` where it ended, `chain` the checksum of its last record.

import { crc32 } from 'node:zlib'
import { type Disk, type DiskFile, readFrom, writeAll } from '../disk.js'
import { HoldfastError } from '../errors.js'
import { type FloorLine, floorEntryOf, floorLineOf } from '../floored.js'
import { ID_SHAPE } from '../id.js'
import type { Damage } from '../journal.js'
import { NOWHERE, type Position } from '../record.js'
import type { IndexEntry, SessionState } from '../state.js'
import { FORMAT, hex, requireFormat } from './format.js'
import { letGo } from './open-files.js'

export const FLOOR = 'journal/floor.jsonl'
const HEADER_BYTES = 192
const NEWLINE = 0x0a
/** Enough of a line to tell its id. */
const HEAD_BYTES = 96
const CHUNK_BYTES = 8 * 1024

export interface FloorHeader {
  readonly segment: number
  readonly through: Position
  readonly chain: number
}

export class Floor {
  readonly segment: number
  readonly through: Position
  readonly chain: number
  readonly count: number
  readonly #file: DiskFile
  readonly #end: number

  constructor({ segment, through, chain }: FloorHeader, count: number, bytes: number, file: DiskFile) {
    this.segment = segment
    this.through = through
    this.chain = chain
    this.count = count
    this.#file = file
    this.#end = HEADER_BYTES + bytes
  }

  /** A session as it was there; undefined when it was not. Throws JOURNAL_CORRUPT. */
  read(id: string): SessionState | undefined {
    const line = this.#search(id) ?? this.#lookThrough(id)
    return line?.state
  }

  /** Finds no line when the order misleads: an id on the way may be damaged. */
  #search(id: string): FloorLine | undefined {
    let [low, high] = [HEADER_BYTES, this.#end]
    while (low < high) {
      const start = this.#lineStart(Math.floor((low + high) / 2), low)
      const found = this.#idAt(start)
      if (found === undefined) return undefined
      if (found === id) return this.#lineAt(start)
      if (found < id) low = this.#lineEnd(start)
      else high = start
    }
    return undefined
  }

  /** Reads all lines; one that cannot be read may be the one that is asked for. */
  #lookThrough(id: string): FloorLine | undefined {
    let unreadable: number | undefined
    for (let start = HEADER_BYTES; start < this.#end; start = this.#lineEnd(start)) {
      const line = this.#lineAt(start)
      if (line?.id === id) return line
      if (!line) unreadable ??= start
    }
    if (unreadable !== undefined) throw damaged(unreadable)
    return undefined
  }

  /** Every session that was there, in the order of their creation; `onDamage` hears of lines that cannot be read. */
  entries(onDamage: (damage: Damage) => void): IterableIterator<IndexEntry> {
    return [...this.#entries(onDamage)].sort((a, b) => a.birth - b.birth).values()
  }

  *#entries(onDamage: (damage: Damage) => void): Generator<IndexEntry> {
    let count = 0
    for (let start = HEADER_BYTES; start < this.#end; ) {
      const end = this.#lineEnd(start)
      const bytes = readFrom(this.#file, start, end)
      const line = parse(bytes, this.through)
      if (line) yield floorEntryOf(line)
      else onDamage(damageOf(start, bytes))
      count++
      start = end
    }
    if (count < this.count) onDamage(damageOf(this.#end, new Uint8Array()))
  }

  close(): void {
    this.#file.close()
  }

  #lineAt(start: number): FloorLine | undefined {
    return parse(readFrom(this.#file, start, this.#lineEnd(start)), this.through)
  }

  #idAt(start: number): string | undefined {
    const head = Buffer.from(readFrom(this.#file, start, Math.min(start + HEAD_BYTES, this.#end)))
    return /^[0-9a-f]{8} \{"id":"([^"]{1,64})",/.exec(head.toString('latin1'))?.[1]
  }

  /** Where the line begins in which `offset` is. */
  #lineStart(offset: number, least: number): number {
    for (let end = offset; end > least; ) {
      const from = Math.max(least, end - CHUNK_BYTES)
      const newline = readFrom(this.#file, from, end).lastIndexOf(NEWLINE)
      if (newline >= 0) return from + newline + 1
      end = from
    }
    return least
  }

  #lineEnd(start: number): number {
    for (let from = start; from < this.#end; from += CHUNK_BYTES) {
      const newline = readFrom(this.#file, from, Math.min(from + CHUNK_BYTES, this.#end)).indexOf(NEWLINE)
      if (newline >= 0) return from + newline + 1
    }
    return this.#end
  }
}

/** The floor of a directory, if there is one. `onDamage` hears of one that cannot be read. Throws FORMAT_NEWER. */
export function openFloor(disk: Disk, onDamage: (damage: Damage) => void): Floor | undefined {
  const file = disk.openRead(FLOOR)
  if (!file) return undefined
  try {
    const head = Buffer.from(readFrom(file, 0, HEADER_BYTES))
    const floor = floorOf(head, file)
    if (floor) return floor
    onDamage(damageOf(0, head))
  } catch (error) {
    letGo(file)
    throw error
  }
  letGo(file)
  return undefined
}

/** Undefined when the head cannot be read. */
function floorOf(head: Buffer, file: DiskFile): Floor | undefined {
  const found = headerOf(head)
  const { segment = 0, through = 0, count = 0, bytes = 0 } = found as Record<string, number>
  const chain = Number.parseInt(String(found.chain), 16)
  if (head.equals(headerBytes({ segment, through, chain }, count, bytes))) {
    return new Floor({ segment, through, chain }, count, bytes, file)
  }
  requireFormat(found.holdfast, FLOOR)
  return undefined
}

function headerOf(head: Buffer): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(head.toString())
    return typeof header === 'object' && header !== null ? (header as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** Where the journal begins and what had come before: for whoever replaces the floor. Lines come in the order of the ids. */
export async function writeFloor(
  file: DiskFile,
  header: FloorHeader,
  lines: AsyncIterable<{ readonly entry: IndexEntry; readonly state: SessionState }>,
): Promise<void> {
  let [position, count] = [HEADER_BYTES, 0]
  for await (const { entry, state } of lines) {
    const json = Buffer.from(JSON.stringify(floorLineOf(entry, state)))
    const bytes = Buffer.concat([Buffer.from(`${hex(crc32(json, seedOf(header.through)))} `), json, Buffer.from('\n')])
    await writeAll(file, bytes, position)
    position += bytes.length
    count++
  }
  await writeAll(file, headerBytes(header, count, position - HEADER_BYTES), 0)
}

function headerBytes({ segment, through, chain }: FloorHeader, count: number, bytes: number): Buffer {
  const checksum = hex(crc32(`${FORMAT} ${segment} ${through} ${chain} ${count} ${bytes}`))
  const header = { holdfast: FORMAT, segment, through, chain: hex(chain), count, bytes, checksum }
  return Buffer.from(`${JSON.stringify(header).padEnd(HEADER_BYTES - 1)}\n`)
}

const seedOf = (through: Position): number => crc32(String(through))

function parse(bytes: Uint8Array, through: Position): FloorLine | undefined {
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const json = line.subarray(9, -1)
  if (line.at(-1) !== NEWLINE || line.toString('latin1', 0, 9) !== `${hex(crc32(json, seedOf(through)))} `)
    return undefined
  return JSON.parse(json.toString()) as FloorLine
}

function damageOf(offset: number, bytes: Uint8Array): Damage {
  const id = new RegExp(`"id":"(${ID_SHAPE})"`).exec(Buffer.from(bytes).toString('latin1'))?.[1]
  const sessions = id === undefined ? [] : [id]
  return { file: FLOOR, offset, bytes: bytes.length, position: NOWHERE, kind: 'corrupt', sessions }
}

const damaged = (offset: number): HoldfastError =>
  new HoldfastError('JOURNAL_CORRUPT', `${FLOOR} cannot be read at offset ${offset}: restore it from a backup`, {
    details: { file: FLOOR, offset },
  })
