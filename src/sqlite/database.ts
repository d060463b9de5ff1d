// One connection to a database: statements kept prepared, transactions, and every failure in the terms of Holdfast.
// Text is never read as text: where a page is damaged it may not be UTF-8 any more, and then libsql ends the process. So
// whoever selects casts: `CAST(x AS BLOB)`, `CAST(n AS INTEGER)`.
//
// The file itself is opened by SQLite alone. A process that opens and closes it in any other way loses SQLite's locks on
// it (POSIX), and another process may then take the write-ahead log for abandoned.

import { basename } from 'node:path'
import { pathToFileURL } from 'node:url'
import { HoldfastError } from '../errors.js'
import { type Connection, loadLibsql, type Statement } from './libsql.js'

/** How long SQLite waits for another program that has the database locked. */
const BUSY_MS = 5000

export class Database {
  readonly path: string
  /** The file's name, for messages. */
  readonly name: string
  readonly #connection: Connection
  readonly #statements: Map<string, Statement> = new Map()
  #open = true

  /** Throws PACKAGE_MISSING, or as any call here. The file must be there. */
  constructor(path: string, mode: 'rw' | 'ro') {
    this.path = path
    this.name = basename(path)
    const Libsql = loadLibsql()
    const uri = `${pathToFileURL(path).href}?mode=${mode}`
    this.#connection = this.#said(() => new Libsql(uri, { timeout: BUSY_MS }))
  }

  /** The rows of a query, each a list of its columns. Throws JOURNAL_CORRUPT where the file is damaged, DISK_FULL or DISK_FAILED. */
  all<Row extends readonly unknown[]>(sql: string, ...values: readonly unknown[]): Row[] {
    return this.#said(() => this.#statement(sql).all(values) as unknown as Row[])
  }

  get<Row extends readonly unknown[]>(sql: string, ...values: readonly unknown[]): Row | undefined {
    return this.all<Row>(sql, ...values)[0]
  }

  run(sql: string, ...values: readonly unknown[]): void {
    this.#said(() => this.#statement(sql).run(values))
  }

  /** Statements that are not kept: a schema, a pragma. */
  execute(sql: string): void {
    this.#said(() => this.#connection.exec(sql))
  }

  /**
   * All or nothing, and durable when it returns. What `act` throws, or what is thrown before SQLite was told to commit, left
   * nothing behind; an error with `details.committing` may have.
   */
  transact(act: () => void): void {
    this.run('BEGIN IMMEDIATE')
    try {
      act()
    } catch (error) {
      this.#rollBack()
      throw error
    }
    try {
      this.#statement('COMMIT').run([])
    } catch (error) {
      this.#rollBack()
      throw databaseError(error, this.name, { committing: true })
    }
  }

  /** Until it is closed, this connection sees the database as it is now. */
  freeze(): void {
    this.run('BEGIN')
    this.all('SELECT 1 FROM sqlite_master LIMIT 1')
  }

  /** What is only in the log goes into the file, and is synced there; false when somebody was in the way of some of it. */
  checkpoint(how: 'FULL' | 'TRUNCATE'): boolean {
    const [busy] = this.get<[busy: number | bigint]>(`PRAGMA wal_checkpoint(${how})`) ?? []
    return Number(busy) === 0
  }

  /** Idempotent; it does not throw. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#rollBack()
    this.#statements.clear()
    try {
      this.#connection.close()
    } catch {}
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#connection.prepare(sql)
      // What gives no rows cannot be told to give them as lists.
      if (statement.reader) statement.raw()
      this.#statements.set(sql, statement)
    }
    return statement
  }

  /** SQLite has done it already after some errors. */
  #rollBack(): void {
    try {
      if (this.#connection.inTransaction) this.#connection.exec('ROLLBACK')
    } catch {}
  }

  #said<T>(act: () => T): T {
    try {
      return act()
    } catch (error) {
      throw databaseError(error, this.name)
    }
  }
}

/** What SQLite says, in the terms of Holdfast. Our own errors pass through. */
export function databaseError(cause: unknown, file: string, more: Record<string, unknown> = {}): HoldfastError {
  if (cause instanceof HoldfastError) return cause
  const { code: told = '', message = String(cause) } = cause as { code?: string; message?: string }
  const sqlite = /^SQLITE_(?!ERROR$)/.test(told) ? told : codeIn(message)
  const options = { cause, details: { file, sqlite, ...more } }
  if (sqlite === 'SQLITE_FULL')
    return new HoldfastError(
      'DISK_FULL',
      `${file}: the disk is full (${message}); free some space and open again`,
      options,
    )
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(sqlite)) {
    const what = `${file} is damaged (${message}): run holdfast doctor on it, and restore it from a backup`
    return new HoldfastError('JOURNAL_CORRUPT', what, options)
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM|AUTH)/.test(sqlite)) {
    const what = `${file} cannot be opened or written (${message}); make it so, or name another file`
    return new HoldfastError('DIRECTORY_NOT_WRITABLE', what, options)
  }
  if (/^SQLITE_(BUSY|LOCKED)/.test(sqlite)) {
    const what = `${file} is locked by another program (${message}); end that and open again`
    return new HoldfastError('DISK_FAILED', what, options)
  }
  return new HoldfastError('DISK_FAILED', `${file}: the disk failed (${message}); mend it and open again`, options)
}

/** libsql tells the code of some errors in the text alone: that of opening, by SQLite's number, and those of a query's first row. */
function codeIn(message: string): string {
  if (/: 14"?\)?$/.test(message)) return 'SQLITE_CANTOPEN'
  return TEXTS.find(([text]) => text.test(message))?.[1] ?? ''
}

const TEXTS: readonly (readonly [RegExp, string])[] = [
  // What we ask is always the same: a column or table that is not there is one whose name has changed.
  [/malformed|invalid rootpage|no such (column|table)|has no column|values were supplied/, 'SQLITE_CORRUPT'],
  [/not a database/, 'SQLITE_NOTADB'],
  [/is full/, 'SQLITE_FULL'],
  [/readonly/, 'SQLITE_READONLY'],
  [/is locked/, 'SQLITE_BUSY'],
]
