// The audit log: who asked for what, one line each, chained by hash (`audit-chain.ts`). An entry is durable when `append`
// resolves; those that come while the disk is at work go to it together. It is bounded: files of a size, so many of them,
// and that older ones were dropped is an entry itself. What failed is never written again: from then on it takes nothing.
// It belongs to whoever has the directory's lock. It keeps what it is told, so secrets are for the caller to leave out.

import {
  AUDIT_FOLDER,
  type AuditEntry,
  type AuditFault,
  type AuditHead,
  type AuditHeader,
  type AuditRecord,
  type AuditReport,
  DROPPED,
  fileName,
  fileNumbers,
  GENESIS,
  isHeader,
  isTorn,
  type Line,
  linesOf,
  linkOf,
  verifyAudit,
} from './audit-chain.js'
import type { Clock } from './clock.js'
import { type Disk, type DiskFile, readAll, writeAll, writeAllSync } from './disk.js'
import { HoldfastError, messageOf } from './errors.js'
import { copyJson } from './json.js'
import { requireWhole } from './numbers.js'
import { closed } from './refusals.js'

export interface AuditOptions {
  /** A file is closed when it has this many bytes; default 4 MiB. */
  readonly fileBytes?: number
  /** How many files are kept; default 64. */
  readonly filesKept?: number
}

export interface Audit {
  /**
   * Resolves when the entry is durable. A text longer than 256 characters, and a detail of more than 8 Ki of JSON, is cut.
   * Rejects with NOT_JSON, OVERLOADED when too many wait, or AUDIT_FAILED when the disk has failed; then nothing that must
   * be audited should be done.
   */
  append(entry: AuditEntry): Promise<AuditHead>
  /** The last durable entry. */
  head(): AuditHead
  /** Walks all that is durable; with a head that was kept, looks for that, too. Rejects with what the disk throws. */
  verify(kept?: AuditHead): Promise<AuditReport>
  /** Waits for what is on its way, and lets go of the file. */
  close(): Promise<void>
}

const MOST_WAITING = 10_000
const TEXT_CHARS = 256
const DETAIL_CHARS = 8192

/** Who writes what the log says of itself. */
const SELF = 'holdfast'

interface Waiting {
  readonly entry: Omit<AuditRecord, 'n'>
  resolve(head: AuditHead): void
  reject(error: Error): void
}

/**
 * Opens the log in a folder of the data directory, or begins one. What a crash has left of a last line goes to
 * `quarantine/`, and that it did, like a line that is not what was written, is the first entry from here on.
 * Throws INVALID_ARGUMENT or AUDIT_FAILED.
 */
export function openAudit(disk: Disk, clock: Clock, folder: string = AUDIT_FOLDER, options: AuditOptions = {}): Audit {
  const { fileBytes = 4 * 1024 * 1024, filesKept = 64 } = options
  requireWhole('fileBytes', fileBytes, 1024)
  requireWhole('filesKept', filesKept, 2)
  try {
    return new AuditLog(disk, clock, folder, { fileBytes, filesKept })
  } catch (error) {
    throw error instanceof HoldfastError ? error : failed(error)
  }
}

class AuditLog implements Audit {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #folder: string
  readonly #limits: Required<AuditOptions>
  #file: DiskFile
  #number: number
  #size: number
  #head: AuditHead
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #failure: HoldfastError | undefined

  constructor(disk: Disk, clock: Clock, folder: string, limits: Required<AuditOptions>) {
    this.#disk = disk
    this.#clock = clock
    this.#folder = folder
    this.#limits = limits
    disk.makeFolder(folder)
    disk.syncFolder('')
    const found = lastOf(disk, folder)
    const { number, whole, head, remark } = found
    this.#head = head
    const remarks = remark === undefined ? [] : [remark]
    if (whole) {
      // Never appended to as it is: what a crash has left readable need not be durable.
      this.#number = number
      const lines = remarks.map((one) => this.#line(this.#stamped(one)))
      const bytes = Buffer.concat([whole, ...lines])
      this.#file = this.#begin(number, bytes)
      this.#size = bytes.length
    } else {
      this.#number = number + 1
      ;({ file: this.#file, size: this.#size } = this.#next(remarks))
    }
  }

  append(entry: AuditEntry): Promise<AuditHead> {
    return new Promise((resolve, reject) => {
      if (this.#failure) throw this.#failure
      if (this.#waiting.length >= MOST_WAITING)
        throw new HoldfastError('OVERLOADED', `${MOST_WAITING} entries wait for the audit log; try again later`)
      this.#waiting.push({ entry: this.#stamped(entry), resolve, reject })
      this.#writing ??= this.#write()
    })
  }

  head(): AuditHead {
    return this.#head
  }

  async verify(kept?: AuditHead): Promise<AuditReport> {
    while (this.#writing) await this.#writing
    return verifyAudit(this.#disk, this.#folder, kept)
  }

  async close(): Promise<void> {
    while (this.#writing) await this.#writing
    this.#failure ??= closed('audit log')
    this.#file.close()
  }

  /** Writes what waits, batch by batch, until nothing does. Never rejects. */
  async #write(): Promise<void> {
    await undefined // those of one turn are one batch
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
      this.#waiting = []
      const before = this.#head
      try {
        const heads = await this.#writeBatch(batch)
        for (const [index, { resolve }] of batch.entries()) resolve(heads[index] as AuditHead)
      } catch (error) {
        this.#head = before
        this.#failure = failed(error)
        for (const { reject } of [...batch, ...this.#waiting]) reject(this.#failure)
        this.#waiting = []
      }
    }
    // In the same turn as the last look: what comes after it begins another.
    this.#writing = undefined
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<AuditHead[]> {
    if (this.#size >= this.#limits.fileBytes) this.#rotate()
    const durable = this.#head
    const heads: AuditHead[] = []
    const lines = batch.map(({ entry }) => {
      const line = this.#line(entry)
      heads.push(this.#head)
      return line
    })
    const reached = this.#head
    // Nobody is shown what is not durable.
    this.#head = durable
    const bytes = Buffer.concat(lines)
    await writeAll(this.#file, bytes, this.#size)
    await this.#file.sync()
    this.#size += bytes.length
    this.#head = reached
    return heads
  }

  #rotate(): void {
    const old = this.#file
    this.#number++
    ;({ file: this.#file, size: this.#size } = this.#next([]))
    old.close()
  }

  /** The next file: its header, the remarks, and that the oldest files are dropped, before they are. */
  #next(remarks: readonly AuditEntry[]): { file: DiskFile; size: number } {
    const header: AuditHeader = { audit: 1, file: this.#number, entries: this.#head.n, previous: this.#head.hash }
    const json = JSON.stringify(header)
    const hash = linkOf(header.previous, json)
    this.#head = { n: header.entries, hash }
    const old = this.#old()
    const dropped = old.length > 0 ? [{ actor: SELF, action: DROPPED, detail: { upTo: old.at(-1) } }] : []
    const lines = [...remarks, ...dropped].map((entry) => this.#line(this.#stamped(entry)))
    const bytes = Buffer.concat([Buffer.from(`${hash} ${json}\n`), ...lines])
    const file = this.#begin(this.#number, bytes)
    for (const number of old) this.#disk.remove(fileName(this.#folder, number))
    if (old.length > 0) this.#disk.syncFolder(this.#folder)
    return { file, size: bytes.length }
  }

  /** The files that are too many once there is one more. */
  #old(): number[] {
    const numbers = fileNumbers(this.#disk, this.#folder)
    return numbers.slice(0, Math.max(0, numbers.length + 1 - this.#limits.filesKept))
  }

  /** A file with this content, durably in its place, to be written on. */
  #begin(number: number, bytes: Uint8Array): DiskFile {
    const path = fileName(this.#folder, number)
    const file = this.#disk.create(`${path}.tmp`)
    try {
      writeAllSync(file, bytes, 0)
      file.syncSync()
      this.#disk.rename(`${path}.tmp`, path)
      this.#disk.syncFolder(this.#folder)
      return file
    } catch (error) {
      file.close()
      throw error
    }
  }

  #stamped({ actor, action, session, detail }: AuditEntry): Omit<AuditRecord, 'n'> {
    return {
      at: new Date(this.#clock.now()).toISOString(),
      actor: shortened(actor),
      action: shortened(action),
      ...(session !== undefined && { session: shortened(session) }),
      ...(detail !== undefined && { detail: bounded(detail) }),
    }
  }

  /** The next line of the chain, which goes on from it. */
  #line(entry: Omit<AuditRecord, 'n'>): Buffer {
    const n = this.#head.n + 1
    const json = JSON.stringify({ n, ...entry })
    const hash = linkOf(this.#head.hash, json)
    this.#head = { n, hash }
    return Buffer.from(`${hash} ${json}\n`)
  }
}

interface Last {
  readonly number: number
  /** What is written on, when everything in the last file is as it was written, or torn. */
  readonly whole?: Uint8Array
  readonly head: AuditHead
  /** What is to be said about it. */
  readonly remark?: AuditEntry
}

/** The last file: what of it is whole, and what the chain goes on from. */
function lastOf(disk: Disk, folder: string): Last {
  const number = fileNumbers(disk, folder).at(-1)
  if (number === undefined) return { number: 0, head: GENESIS }
  const file = fileName(folder, number)
  const bytes = readAll(disk, file) ?? new Uint8Array()
  let head = GENESIS
  let good = true
  let end = 0
  for (const line of linesOf(bytes)) {
    const hash = good ? hashOf(line, head, number) : undefined
    if (hash !== undefined) end = line.offset + line.bytes
    else if (good && line.offset > 0 && isTorn(bytes.subarray(line.offset))) {
      const kept = setAside(disk, file, bytes.subarray(line.offset))
      const detail = { file, offset: end, bytes: bytes.length - end, kept }
      return { number, whole: bytes.subarray(0, end), head, remark: { actor: SELF, action: 'audit.torn', detail } }
    } else good = false
    head = { n: nOf(line, head), hash: hash ?? line.hash }
  }
  if (good && end > 0) return { number, whole: bytes, head }
  const detail: Pick<AuditFault, 'file' | 'offset'> = { file, offset: end }
  return { number, head, remark: { actor: SELF, action: 'audit.damaged', detail } }
}

/** The hash of a line that is what it should be after `head`; the header is taken at its word. */
function hashOf({ offset, value, hash, json, ended }: Line, head: AuditHead, number: number): string | undefined {
  if (!value || !ended || isHeader(value) !== (offset === 0)) return undefined
  if (isHeader(value)) return value.file === number && hash === linkOf(value.previous, json) ? hash : undefined
  return value.n === head.n + 1 && hash === linkOf(head.hash, json) ? hash : undefined
}

const nOf = ({ value }: Line, { n }: AuditHead): number =>
  value === undefined ? n + 1 : isHeader(value) ? value.entries : value.n

/** Keeps what is cut off; gives its path, or undefined when the disk has no room for it. */
function setAside(disk: Disk, path: string, bytes: Uint8Array): string | undefined {
  const name = path.replaceAll('/', '-')
  try {
    disk.makeFolder('quarantine')
    const taken = disk.list('quarantine')
    let free = name
    for (let number = 1; taken.includes(free); number++) free = `${name}.${number}`
    const file = disk.create(`quarantine/${free}`)
    try {
      writeAllSync(file, bytes, 0)
      file.syncSync()
    } finally {
      file.close()
    }
    disk.syncFolder('quarantine')
    disk.syncFolder('')
    return `quarantine/${free}`
  } catch {
    return undefined
  }
}

const shortened = (text: string): string => (text.length <= TEXT_CHARS ? text : `${text.slice(0, TEXT_CHARS - 1)}…`)

function bounded(detail: unknown): unknown {
  const copied = copyJson(detail, 'detail')
  const { length } = JSON.stringify(copied)
  return length <= DETAIL_CHARS ? copied : { cut: length }
}

const failed = (cause: unknown): HoldfastError =>
  new HoldfastError(
    'AUDIT_FAILED',
    `the audit log takes nothing more (${messageOf(cause)}); mend the disk, open again`,
    {
      cause,
    },
  )
