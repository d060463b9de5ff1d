// The audit log as it stands in its files: how a line is written, and what walking all of it shows. A line is
// `<SHA-256> <JSON>`, its hash being that of the hash before it and its own JSON; a file opens with a header in the same
// chain, so files are chained too. Only reads. Whoever can write the files can also make a chain of other entries: what
// proves that nobody did is a head that was kept elsewhere.

import { createHash } from 'node:crypto'
import { type Disk, readAll } from './disk.js'
import { atOnce, type Turns } from './turns.js'

/** Who did what, to which session. `detail` is JSON. */
export interface AuditEntry {
  readonly actor: string
  readonly action: string
  readonly session?: string
  readonly detail?: unknown
}

/** An entry as it is kept: numbered 1, 2, 3 …, with its time. */
export interface AuditRecord extends AuditEntry {
  readonly n: number
  readonly at: string
}

/** The last entry, by which all before it can be told. Keep it elsewhere: it is what shows that the end was cut off. */
export interface AuditHead {
  readonly n: number
  readonly hash: string
}

export interface AuditFault {
  /**
   * `edited`: a line is not what was written, or not where it was. `missing`: entries, or whole files, are gone. `torn`: the
   * last line is incomplete, as a crash leaves one that nobody was told of. `unexpected`: the head that was kept is not there.
   */
  readonly kind: 'edited' | 'missing' | 'torn' | 'unexpected'
  readonly file: string
  readonly offset: number
  readonly message: string
}

export interface AuditReport {
  readonly intact: boolean
  /** How many entries are there. */
  readonly entries: number
  readonly head: AuditHead
  readonly faults: readonly AuditFault[]
}

/** What the first line of a file says. */
export interface AuditHeader {
  readonly audit: 1
  readonly file: number
  /** How many entries there were before this file, and the hash of the line before it. */
  readonly entries: number
  readonly previous: string
}

/** Where it is in a data directory. */
export const AUDIT_FOLDER = 'audit'

/** The entry by which old files are dropped: it says up to which. */
export const DROPPED = 'audit.dropped'

/** Before the first line. */
export const GENESIS: AuditHead = { n: 0, hash: '0'.repeat(64) }

/** How many faults are told; of a log that is another one, each line would be one. */
const MOST_FAULTS = 1000

const NAME = /^(\d{8})\.jsonl$/
const LINE = /^([0-9a-f]{64}) (\{.*\})$/

export const fileName = (folder: string, number: number): string => `${folder}/${String(number).padStart(8, '0')}.jsonl`

export const linkOf = (previous: string, json: string): string =>
  createHash('sha256').update(previous).update(' ').update(json).digest('hex')

/** The numbers of the files there, in order. */
export const fileNumbers = (disk: Disk, folder: string): number[] =>
  disk.list(folder).flatMap((name) => (NAME.test(name) ? [Number.parseInt(name, 10)] : []))

/** A line as it stands. `value` is undefined where it is none; `ended`: the file does not end within it. */
export interface Line {
  readonly offset: number
  readonly bytes: number
  readonly ended: boolean
  readonly hash: string
  readonly json: string
  readonly value: AuditRecord | AuditHeader | undefined
}

export function* linesOf(bytes: Uint8Array): Generator<Line> {
  // One character a byte, so that no two texts are the same to the hash and none is lost in reading.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let offset = 0; offset < text.length; ) {
    const found = text.indexOf(10, offset)
    const end = found < 0 ? text.length : found
    yield {
      offset,
      bytes: end - offset + (found < 0 ? 0 : 1),
      ended: found >= 0,
      ...partsOf(text.subarray(offset, end)),
    }
    offset = end + 1
  }
}

function partsOf(line: Buffer): Pick<Line, 'hash' | 'json' | 'value'> {
  const text = line.toString('utf8')
  const [, hash, json] = LINE.exec(text) ?? []
  // What is not UTF-8 would not come back as it was.
  if (hash === undefined || json === undefined || Buffer.byteLength(text) !== line.length)
    return { hash: '', json: '', value: undefined }
  try {
    return { hash, json, value: JSON.parse(json) }
  } catch {
    return { hash, json, value: undefined }
  }
}

/** A tail that a crash explains: nothing in it is a line, or pages of it were never written. */
export const isTorn = (tail: Uint8Array): boolean =>
  tail.includes(0) || [...linesOf(tail)].every(({ ended, value }) => !ended || value === undefined)

export const isHeader = (value: AuditRecord | AuditHeader): value is AuditHeader => 'audit' in value

/**
 * Reads every file of the log and says what does not follow. With `kept`, a head of some time before, also whether that
 * entry is still there. Beside a writer, the last line may be on its way. Throws what the disk throws.
 */
export function verifyAudit(disk: Disk, folder: string, kept?: AuditHead): AuditReport {
  return atOnce(verifyingAudit(disk, folder, kept))
}

/** As `verifyAudit`, in turns. */
export function* verifyingAudit(disk: Disk, folder: string, kept?: AuditHead): Turns<AuditReport> {
  const walk = new Walk(disk, folder, kept)
  const numbers = fileNumbers(disk, folder)
  for (const number of numbers) yield* walk.file(number, number === numbers.at(-1))
  return walk.report()
}

/** Lines after which others have their turn. */
const LINES = 64

/** Goes over the files in order. What does not follow is told once: behind it, what a line says of itself counts. */
class Walk {
  readonly #disk: Disk
  readonly #folder: string
  readonly #kept: AuditHead | undefined
  readonly #faults: AuditFault[] = []
  #head: AuditHead = GENESIS
  #entries = 0
  /** The file before. */
  #number = 0
  #met: boolean
  /** Number of the first entry that can be there. */
  #first: number | undefined
  /** The first file's number when it is not 1, until an entry says that those before it were dropped. */
  #start: number | undefined

  constructor(disk: Disk, folder: string, kept: AuditHead | undefined) {
    this.#disk = disk
    this.#folder = folder
    this.#kept = kept
    this.#met = kept === undefined || kept.n === 0
  }

  *file(number: number, last: boolean): Turns<void> {
    const file = fileName(this.#folder, number)
    if (this.#number === 0 && number > 1) this.#start = number
    else if (number !== this.#number + 1) this.#fault('missing', file, 0, 'the file before it is gone')
    const bytes = readAll(this.#disk, file) ?? new Uint8Array()
    if (bytes.length === 0) this.#fault('edited', file, 0, 'it is empty')
    let looked = 0
    for (const line of linesOf(bytes)) {
      if (++looked % LINES === 0) yield
      const wrong = line.offset === 0 ? this.#wrongHeader(line, number) : this.#wrongEntry(line)
      if (wrong && last && line.offset > 0 && isTorn(bytes.subarray(line.offset))) {
        this.#fault('torn', file, line.offset, `its last ${bytes.length - line.offset} bytes are no whole entry`)
        break
      }
      if (wrong) this.#fault(wrong.kind, file, line.offset, wrong.message)
      this.#pass(line)
    }
    this.#number = number
  }

  report(): AuditReport {
    if (this.#start !== undefined) {
      const message = 'the files before it are gone, and no entry says that they were dropped'
      this.#fault('missing', fileName(this.#folder, this.#start), 0, message)
    }
    if (!this.#met) {
      const { n, hash } = this.#kept as AuditHead
      const why = n < (this.#first ?? 1) ? 'its file was dropped' : 'the end was cut off, or the chain is another one'
      const message = `entry ${n} with the hash ${hash} is not there: ${why}`
      this.#fault('unexpected', fileName(this.#folder, Math.max(this.#number, 1)), 0, message)
    }
    const faults = this.#faults
    return { intact: faults.length === 0, entries: this.#entries, head: this.#head, faults }
  }

  #wrongHeader({ value, ended, hash, json }: Line, number: number): Wrong | undefined {
    if (!value || !isHeader(value) || !ended) return { kind: 'edited', message: 'its first line is no header' }
    const before = number === this.#start ? { n: value.entries, hash: value.previous } : this.#head
    const follows = value.file === number && value.entries === before.n && value.previous === before.hash
    if (follows && hash === linkOf(before.hash, json)) return undefined
    return { kind: 'edited', message: 'its header does not follow the file before it' }
  }

  #wrongEntry({ value, ended, hash, json }: Line): Wrong | undefined {
    const { n, hash: before } = this.#head
    if (!value || isHeader(value) || !ended) return { kind: 'edited', message: 'what stands here is no entry' }
    if (value.n !== n + 1) return { kind: 'missing', message: `entry ${value.n} stands where ${n + 1} should be` }
    if (hash === linkOf(before, json)) return undefined
    return { kind: 'edited', message: `entry ${value.n}, or the one before it, is not what was written` }
  }

  #pass({ value, hash }: Line): void {
    const n = !value ? this.#head.n + 1 : isHeader(value) ? value.entries : value.n
    this.#head = { n, hash }
    if (n === this.#kept?.n && hash === this.#kept.hash) this.#met = true
    if (!value) return
    if (isHeader(value)) {
      this.#first ??= n + 1
      return
    }
    this.#entries++
    const upTo = value.action === DROPPED ? (value.detail as { upTo?: number } | undefined)?.upTo : undefined
    if (upTo !== undefined && upTo + 1 === this.#start) this.#start = undefined
  }

  #fault(kind: AuditFault['kind'], file: string, offset: number, message: string): void {
    if (this.#faults.length < MOST_FAULTS) this.#faults.push({ kind, file, offset, message })
  }
}

type Wrong = Pick<AuditFault, 'kind' | 'message'>
