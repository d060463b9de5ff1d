// Databases whose every call to the disk is known: processes that live with one under `fixtures/watch.c`, what they have told,
// and what a power cut would have left at any moment. What was synced is there; of the rest each page may be there, or not, or a
// part of it. A sync that failed has synced nothing, and no later one makes up for it, as Linux has it.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assign, setup } from 'xstate'
import { defineSession } from '../../src/define.js'
import type { Logger } from '../../src/logger.js'

export const IDS: readonly string[] = ['a', 'b', 'c', 'd']
export const quiet: Logger = { info: () => {}, warn: () => {}, error: () => {} }

export const note = defineSession({
  kind: 'note',
  version: 1,
  machine: setup({
    types: { context: {} as { count: number; text: string }, events: {} as { type: 'write'; text: string } },
  }).createMachine({
    context: { count: 0, text: '' },
    on: {
      write: { actions: assign({ count: ({ context }) => context.count + 1, text: ({ event }) => event.text }) },
    },
  }),
})

export interface Life {
  readonly folder: string
  /** Where it is written down; a later life of the same database goes on in the same file. */
  readonly trace: string
  /** See `fixtures/watch.c`. */
  readonly strike?: string
  readonly rounds: number
}

/** The library that is put before the C library; undefined where there is no compiler, or none of those that libsql is made for. */
export function compiled(): { readonly file: string; remove(): void } | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-watch-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const file = join(folder, 'watch.so')
  const source = fileURLToPath(new URL('fixtures/watch.c', import.meta.url))
  if (process.platform === 'linux' && spawnSync('cc', ['-shared', '-fPIC', '-o', file, source, '-ldl']).status === 0)
    return { file, remove }
  remove()
  return undefined
}

export interface Watched {
  readonly script: string
  readonly library: string
}

/** Lives one after the other in one process; gives the signal that ended it, if one did. */
export function live({ script, library }: Watched, lives: readonly Life[]): NodeJS.Signals | null {
  const env = { ...process.env, LD_PRELOAD: library }
  const { status, signal, stderr } = spawnSync(process.execPath, [script, JSON.stringify(lives)], {
    ...{ env, encoding: 'utf8' as const, stdio: ['ignore', 'ignore', 'pipe'] as const },
  })
  if (status !== 0 && signal === null) throw new Error(stderr)
  return signal
}

export type Call =
  | { readonly op: 'write'; readonly file: string; readonly at: number; readonly bytes: Buffer }
  | { readonly op: 'truncate'; readonly file: string; readonly length: number }
  | { readonly op: 'sync' | 'remove'; readonly file: string }
  | { readonly op: 'failed'; readonly what: string; readonly file: string }
  | { readonly op: 'said'; readonly words: readonly string[] }

/** What was written down, in order. */
export function callsIn(trace: string): Call[] {
  const all = readFileSync(trace)
  const calls: Call[] = []
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf('\n', at)
    const [op = '', file = '', ...rest] = all.toString('latin1', at, end).split(' ')
    at = end + 1
    if (op === 'write') {
      const [offset, length] = rest.map(Number) as [number, number]
      calls.push({ op, file, at: offset, bytes: all.subarray(at, at + length) })
      at += length
    } else if (op === 'truncate') calls.push({ op, file, length: Number(rest[0]) })
    else if (op === 'sync' || op === 'remove') calls.push({ op, file })
    else if (op === 'failed') calls.push({ op, what: file, file: rest[0] ?? '' })
    else calls.push({ op: 'said', words: [op, file, ...rest] })
  }
  return calls
}

type Write = Extract<Call, { op: 'write' }>
type Change = Write | Extract<Call, { op: 'truncate' }>

/** As the page cache has them. */
const PAGE_BYTES = 4096
const SECTOR_BYTES = 512

/** A file as far as it is durable, and what may be on the disk beside that. */
class Pages {
  readonly #durable = new Bytes()
  /** Written, each within a page, and not synced since, in order. */
  #pending: Change[] = []
  /** What a sync has failed to bring to the disk: clean pages, which nothing but another write makes durable. */
  #doubtful: Write[] = []

  add(change: Change): void {
    if (change.op === 'truncate') this.#pending.push(change)
    else this.#pending.push(...piecesOf(change))
  }

  /** Pages that were written since the last sync are durable, with all that is in them. */
  synced(): void {
    const touched = new Set(this.#pending.flatMap((change) => (change.op === 'write' ? [pageOf(change)] : [])))
    const [rewritten, left] = [true, false].map((is) =>
      this.#doubtful.filter((change) => touched.has(pageOf(change)) === is),
    ) as [Write[], Write[]]
    for (const change of [...rewritten, ...this.#pending]) this.#durable.apply(change)
    this.#doubtful = left
    this.#pending = []
  }

  unsynced(): void {
    this.#doubtful.push(...this.#pending.filter((change) => change.op === 'write'))
    this.#pending = this.#pending.filter((change) => change.op === 'truncate')
  }

  /** As a power cut leaves it. */
  left(random: () => number): Buffer {
    const bytes = new Bytes(this.#durable.all)
    for (const change of [...this.#doubtful, ...this.#pending]) {
      const fate = random()
      if (fate < 0.5) bytes.apply(change)
      else if (fate < 0.7 && change.op === 'write') {
        const length = Math.floor(random() * (change.bytes.length / SECTOR_BYTES)) * SECTOR_BYTES
        bytes.apply({ ...change, bytes: change.bytes.subarray(0, length) })
      }
    }
    return bytes.all
  }
}

const pageOf = ({ at }: Write): number => Math.floor(at / PAGE_BYTES)

function piecesOf({ bytes, ...write }: Write): Write[] {
  const pieces: Write[] = []
  for (let done = 0; done < bytes.length; ) {
    const at = write.at + done
    const length = Math.min(bytes.length - done, PAGE_BYTES - (at % PAGE_BYTES))
    pieces.push({ ...write, at, bytes: bytes.subarray(done, done + length) })
    done += length
  }
  return pieces
}

/** The bytes of a file, as long as they are, with room to grow. */
class Bytes {
  #room: Buffer
  #length: number

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#room = Buffer.from(bytes)
    this.#length = bytes.length
  }

  get all(): Buffer {
    return this.#room.subarray(0, this.#length)
  }

  apply(change: Change): void {
    if (change.op === 'truncate') return this.#cut(change.length)
    const { at, bytes } = change
    if (bytes.length === 0) return
    if (at + bytes.length > this.#length) this.#cut(at + bytes.length)
    bytes.copy(this.#room, at)
  }

  #cut(length: number): void {
    if (length > this.#room.length) this.#room = Buffer.concat([this.all], 2 * length)
    if (length > this.#length) this.#room.fill(0, this.#length, length)
    this.#length = length
  }
}

const ENDS: Readonly<Record<string, string>> = { database: '', log: '-wal', rollback: '-journal' }

/** What has been told of each session: at least this, at most that. */
export type Told = Map<string, { acknowledged: number; asked: number }>

/** The disk as the calls have made it, one after the other. */
export class Volume {
  readonly told: Told = new Map()
  readonly #files: Map<string, Pages> = new Map()
  /** Taken away, and not synced so far: they may be there again. */
  readonly #gone: Map<string, Pages> = new Map()

  follow(call: Call): void {
    if (call.op === 'said') return this.#hear(call.words)
    const { file } = call
    if (file === 'folder') {
      if (call.op === 'sync') this.#gone.clear()
      return
    }
    const pages = this.#files.get(file) ?? new Pages()
    this.#files.set(file, pages)
    if (call.op === 'write' || call.op === 'truncate') pages.add(call)
    else if (call.op === 'sync') pages.synced()
    else if (call.op === 'failed' && call.what === 'sync') pages.unsynced()
    else if (call.op === 'remove') {
      this.#files.delete(file)
      this.#gone.set(file, pages)
    }
  }

  /** Writes what a power cut would leave into a new folder, and gives that. */
  cut(random: () => number): string {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-cut-'))
    for (const [file, pages] of this.#gone) if (random() < 0.5) this.#write(folder, file, pages, random)
    for (const [file, pages] of this.#files) this.#write(folder, file, pages, random)
    return folder
  }

  #write(folder: string, file: string, pages: Pages, random: () => number): void {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `test.db${ENDS[file]}`), pages.left(random))
  }

  #hear([what, id = '', count]: readonly string[]): void {
    const told = this.told.get(id) ?? { acknowledged: -1, asked: -1 }
    if (what === 'sent') told.asked = Math.max(told.asked, Number(count))
    else if (what === 'ack' || what === 'found') told.acknowledged = Math.max(told.acknowledged, Number(count))
    else return
    told.asked = Math.max(told.asked, told.acknowledged)
    this.told.set(id, told)
  }
}
