// Snapshots and the index in a database, each replaced in one transaction. A row whose checksum is wrong is noticed, and counts
// as absent: the journal has everything. The owner moves it to `quarantine`; a reader leaves it where it is.

import { crc32 } from 'node:zlib'
import { type HoldfastError, isHoldfastError } from '../errors.js'
import type { Snapshots } from '../snapshots.js'
import type { Index, IndexEntry, IndexFile, SessionState } from '../state.js'
import type { Database } from './database.js'
import { headOf, type IndexHead, quarantine, setHead } from './schema.js'

/** A row that could not be read. */
export interface SnapshotDamage {
  readonly file: string
  readonly reason: string
  readonly kept?: string
}

export interface SnapshotHost {
  /** Hears of each row that is found damaged. Must not throw. */
  onDamage(damage: SnapshotDamage): void
  /** The time, ISO 8601, for what is moved; absent: nothing is. */
  readonly now?: () => string
  /** Lets others have their turn. */
  readonly pause?: () => Promise<void>
}

/** Lines of a part of the index. */
const PART = 1024

export class SqliteSnapshots implements Snapshots {
  readonly #db: Database
  readonly #host: SnapshotHost
  #generation: number | undefined

  constructor(db: Database, host: SnapshotHost) {
    this.#db = db
    this.#host = host
  }

  async write(state: SessionState): Promise<number> {
    const text = JSON.stringify(state)
    const sql =
      'INSERT INTO snapshots VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET checksum = excluded.checksum, state = excluded.state'
    this.#db.transact(() => this.#db.run(sql, state.id, crc32(text, crc32(state.id)), text))
    return Buffer.byteLength(text)
  }

  read(id: string): SessionState | undefined {
    return this.#sound(`snapshots/${id}`, () => {
      const row = this.#db.get<[number, Buffer]>(
        'SELECT CAST(checksum AS INTEGER), CAST(state AS BLOB) FROM snapshots WHERE session = ?',
        id,
      )
      if (!row) return undefined
      const [checksum, text] = row
      if (crc32(text, crc32(id)) === checksum) return JSON.parse(text.toString()) as SessionState
      this.#tell(`snapshots/${id}`, 'its checksum is wrong', this.setAside(id))
      return undefined
    })
  }

  size(id: string): number {
    const sql = 'SELECT length(CAST(state AS BLOB)) FROM snapshots WHERE session = ?'
    return this.#db.get<[number]>(sql, id)?.[0] ?? 0
  }

  remove(id: string): void {
    if (!this.#db.get('SELECT 1 FROM snapshots WHERE session = ?', id)) return
    this.#db.transact(() => this.#db.run('DELETE FROM snapshots WHERE session = ?', id))
  }

  async writeIndex({ through, entries }: Index): Promise<number> {
    const db = this.#db
    const generation = this.#nextGeneration()
    let [parts, count, bytes] = [0, 0, 0]
    const write = (lines: readonly string[]): void => {
      const text = `[${lines.join(',\n')}]`
      const checksum = crc32(text, crc32(`${generation} ${parts}`))
      db.transact(() => db.run('INSERT INTO directory VALUES (?, ?, ?, ?)', generation, parts, checksum, text))
      parts++
      count += lines.length
      bytes += Buffer.byteLength(text)
    }
    let lines: string[] = []
    for (const entry of entries) {
      if (lines.push(JSON.stringify(entry)) < PART) continue
      write(lines)
      lines = []
      await this.#host.pause?.()
    }
    if (lines.length > 0) write(lines)
    db.transact(() => {
      setHead(db, 'index', { generation, through, parts, count, bytes })
      db.run('DELETE FROM directory WHERE generation <> ?', generation)
    })
    return bytes
  }

  readIndex(): IndexFile | undefined {
    return this.#sound('directory', () => {
      const head = headOf(this.#db, 'index')
      if (!head) return undefined
      const entries = this.#entries(head)
      if (entries) return { through: head.through, entries }
      this.#tell('directory', 'a part of the index is missing or its checksum is wrong')
      return undefined
    })
  }

  /** Ids of all sessions that have one. */
  ids(): string[] {
    return this.#db
      .all<[Buffer]>('SELECT CAST(session AS BLOB) FROM snapshots ORDER BY session')
      .map(([id]) => id.toString('latin1'))
  }

  /** A new one each time: what was begun and not finished is not in its way. */
  #nextGeneration(): number {
    const [largest] = this.#db.get<[number | null]>('SELECT max(generation) FROM directory') ?? [0]
    this.#generation = Math.max(this.#generation ?? 0, largest ?? 0) + 1
    return this.#generation
  }

  #entries({ generation, parts, count }: IndexHead): IndexEntry[] | undefined {
    const rows = this.#db.all<[number, number, Buffer]>(
      'SELECT CAST(part AS INTEGER), CAST(checksum AS INTEGER), CAST(lines AS BLOB) FROM directory WHERE generation = ? ORDER BY part',
      generation,
    )
    if (rows.length !== parts) return undefined
    const entries: IndexEntry[] = []
    for (const [part, checksum, text] of rows) {
      if (crc32(text, crc32(`${generation} ${part}`)) !== checksum) return undefined
      for (const entry of JSON.parse(text.toString()) as IndexEntry[]) entries.push(entry)
    }
    return entries.length === count ? entries : undefined
  }

  /** Where the order of the table itself is damaged, nothing of it is relied on. */
  #sound<T>(what: string, read: () => T | undefined): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!isHoldfastError(error, 'JOURNAL_CORRUPT')) throw error
      this.#tell(what, (error as HoldfastError).message)
      return undefined
    }
  }

  /** Moves a row to `quarantine`; gives where it is then, undefined where it stays. */
  setAside(id: string): string | undefined {
    const { now } = this.#host
    if (!now) return undefined
    try {
      const sql = 'SELECT CAST(state AS BLOB) FROM snapshots WHERE session = ?'
      const [text] = this.#db.get<[Buffer]>(sql, id) ?? []
      if (!text) return undefined
      this.#db.transact(() => {
        quarantine(this.#db, `snapshots/${id}`, now(), text)
        this.#db.run('DELETE FROM snapshots WHERE session = ?', id)
      })
      return `${this.#db.name}/quarantine`
    } catch {
      return undefined // The disk has no room for it: it stays, and counts as absent.
    }
  }

  #tell(what: string, reason: string, kept?: string): void {
    this.#host.onDamage({ file: `${this.#db.name}/${what}`, reason, ...(kept !== undefined && { kept }) })
  }
}
