// The original's two tables in SQLite, for whoever asks with a tool of their own: what the sessions are, written after each of their
// transitions is durable. The sessions are the truth. It promises that what a call of the façade has changed is in the tables
// when the call resolves, that a transition counts once, by its `seq`, and that whatever a crash kept from them is there after
// the next opening. A database that is busy or full harms no session: what it lacks is written when it can be.

import {
  HoldfastError,
  isHoldfastError,
  type Logger,
  type Patch,
  type Runtime,
  type SessionEntry,
  type Transition,
} from 'holdfast'
import type Libsql from 'libsql'
import { prepareFile } from './database-file.js'
import { execution } from './kind.js'
import { modificationOf, sessionOf } from './session.js'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS execution_sessions (
  id TEXT PRIMARY KEY,
  generated_at DATETIME NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('pending', 'confirmed', 'completed', 'cancelled')),
  admin_user_id TEXT NOT NULL,
  team_id TEXT NOT NULL,
  plan_count INTEGER DEFAULT 0,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
  updated_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS plan_modifications (
  id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL,
  ticket_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  action TEXT NOT NULL CHECK (action IN ('status_change', 'reassign', 'comment')),
  value TEXT NOT NULL,
  timestamp DATETIME NOT NULL,
  processed BOOLEAN DEFAULT FALSE,
  error TEXT,
  created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
  FOREIGN KEY (session_id) REFERENCES execution_sessions(id) ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS holdfast_seqs (
  session_id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  position INTEGER NOT NULL,
  FOREIGN KEY (session_id) REFERENCES execution_sessions(id) ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS execution_sessions_status ON execution_sessions (status);
CREATE INDEX IF NOT EXISTS execution_sessions_admin ON execution_sessions (admin_user_id);
CREATE INDEX IF NOT EXISTS execution_sessions_team ON execution_sessions (team_id);
CREATE INDEX IF NOT EXISTS execution_sessions_generated ON execution_sessions (generated_at);
CREATE INDEX IF NOT EXISTS plan_modifications_session ON plan_modifications (session_id);
CREATE INDEX IF NOT EXISTS plan_modifications_ticket ON plan_modifications (ticket_id);
CREATE INDEX IF NOT EXISTS plan_modifications_user ON plan_modifications (user_id);
CREATE INDEX IF NOT EXISTS plan_modifications_processed ON plan_modifications (processed);
`
const PUT_SESSION = `
INSERT INTO execution_sessions (id, generated_at, status, admin_user_id, team_id, plan_count, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  generated_at = excluded.generated_at, status = excluded.status, admin_user_id = excluded.admin_user_id,
  team_id = excluded.team_id, plan_count = excluded.plan_count, created_at = excluded.created_at, updated_at = excluded.updated_at`
const PUT_MODIFICATION = `
INSERT INTO plan_modifications (id, session_id, ticket_id, user_id, action, value, timestamp, processed, error, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
  ticket_id = excluded.ticket_id, user_id = excluded.user_id, action = excluded.action, value = excluded.value,
  timestamp = excluded.timestamp, processed = excluded.processed, error = excluded.error`
const PUT_SEQ = `
INSERT INTO holdfast_seqs (session_id, organization_id, seq, position) VALUES (?, ?, ?, ?)
ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq, position = excluded.position`

/** How long it waits for another process that writes, which holds up everything: whatever is not written then comes later. */
const BUSY_MS = 200
const AT_A_TIME = 500

interface Known {
  readonly seq: number
  readonly position: number
}

export interface TablesState {
  /** How many sessions could not be written yet. */
  readonly behind: number
  readonly failure: string | undefined
  readonly writes: number
  readonly totalMs: number
  readonly longestMs: number
}

export class Tables {
  readonly path: string
  readonly #database: Libsql.Database
  readonly #runtime: Runtime
  readonly #logger: Logger
  readonly #statements: ReturnType<typeof statementsOf>
  /** Sessions that could not be written. */
  readonly #behind: Set<string> = new Set()
  #arrived: Transition[] = []
  readonly #closing: AbortController = new AbortController()
  /** What a crash kept from the tables is there: begun at the opening, and again with every write until it is done. */
  #reconciled = false
  #timings = { writes: 0, totalMs: 0, longestMs: 0 }
  #failure: string | undefined

  private constructor(path: string, database: Libsql.Database, runtime: Runtime, logger: Logger) {
    this.path = path
    this.#database = database
    this.#runtime = runtime
    this.#logger = logger
    database.pragma('journal_mode = WAL')
    // What a power cut takes from the tables the next opening gives back.
    database.pragma('synchronous = NORMAL')
    database.pragma('foreign_keys = ON')
    database.pragma(`busy_timeout = ${BUSY_MS}`)
    database.exec(SCHEMA)
    this.#statements = statementsOf(database)
  }

  /** Rejects with PACKAGE_MISSING naming libsql, or DISK_FAILED when the file is none of SQLite's or cannot be written. */
  static async open(path: string, runtime: Runtime, logger: Logger): Promise<Tables> {
    const Database = await loadLibsql()
    let tables: Tables
    try {
      const file = await prepareFile(path)
      tables = new Tables(file, new Database(file), runtime, logger)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new HoldfastError('DISK_FAILED', `the tables in ${path} cannot be opened (${why})`, { cause })
    }
    tables.#begin()
    return tables
  }

  /** Writes what one transition has changed, unless it is there. */
  take(transition: Transition): void {
    this.#attempt(() => this.#write([transition]))
  }

  /** What could not be written yet and why, and how long writing took. */
  state(): TablesState {
    return { behind: this.#behind.size, failure: this.#failure, ...this.#timings }
  }

  close(): void {
    this.#closing.abort()
    this.#attempt(() => this.#write(this.#arrived.splice(0)))
    this.#database.close()
  }

  #begin(): void {
    this.#listen()
    this.#attempt(() => this.#reconcile())
  }

  #listen(from?: number): void {
    const { signal } = this.#closing
    const stream = this.#runtime.transitions$({ queueLimit: 100_000, signal, ...(from !== undefined && { from }) })
    stream.subscribe({
      next: (transition) => {
        if (!transition.deleted && !this.#entry(transition.session)) return
        if (this.#arrived.push(transition) === 1) queueMicrotask(() => this.#flush())
      },
      // What came too fast is in the journal: it goes on there.
      error: (err: unknown) => {
        const { resumeFrom } = isHoldfastError(err) ? (err.details as { resumeFrom?: number }) : {}
        if (resumeFrom === undefined) this.#logger.error({ err }, 'the tables hear of no more transitions')
        else this.#listen(resumeFrom)
      },
    })
  }

  #flush(): void {
    this.#attempt(() => this.#write(this.#arrived.splice(0)))
  }

  /** Whatever fails leaves the sessions of these transitions behind, and is tried again with the next. */
  #attempt(work: () => void): void {
    // biome-ignore lint/plugin/clock: how long SQLite takes is measured outside of every session
    const began = Date.now()
    try {
      work()
      this.#failure = undefined
    } catch (err) {
      this.#failure = err instanceof Error ? err.message : String(err)
      this.#logger.warn({ err }, 'the tables could not be written; it is tried again')
    }
    // biome-ignore lint/plugin/clock: as above
    const ms = Date.now() - began
    const { writes, totalMs, longestMs } = this.#timings
    this.#timings = { writes: writes + 1, totalMs: totalMs + ms, longestMs: Math.max(longestMs, ms) }
  }

  #write(transitions: readonly Transition[]): void {
    // Remembered first: what a failure takes back is then written whole.
    for (const { session } of transitions) this.#behind.add(session)
    this.#reconcile()
    this.#database.transaction(() => {
      const whole = new Set(this.#behind)
      for (const transition of transitions) if (this.#follow(transition)) whole.delete(transition.session)
      for (const id of whole) this.#rewrite(id)
    })()
    this.#behind.clear()
  }

  /** True when the tables have the transition then. */
  #follow({ session: id, seq, position, patch, deleted }: Transition): boolean {
    const known = this.#statements.seqOf.get(id) as Known | undefined
    if (known && known.seq >= seq && known.position >= position) return true
    const entry = deleted ? undefined : this.#entry(id)
    if (!entry || known?.seq !== seq - 1) return false
    const { context } = this.#runtime.session(id, execution).snapshot()
    this.#putSession(entry)
    for (const number of numbersIn(patch, context.modifications.length)) {
      this.#putModification(id, number, context.modifications[number - 1])
    }
    this.#statements.putSeq.run(id, context.organizationId, seq, position)
    return true
  }

  /** A session as it is, whole. */
  #rewrite(id: string): void {
    const entry = this.#entry(id)
    if (!entry) return void this.#statements.remove.run(id)
    const { context } = this.#runtime.session(id, execution).snapshot()
    this.#putSession(entry)
    this.#statements.empty.run(id)
    for (const [index, kept] of context.modifications.entries()) this.#putModification(id, index + 1, kept)
    this.#statements.putSeq.run(id, context.organizationId, entry.seq, entry.position)
  }

  /** After an opening: what a crash kept from the tables, and what is in them of sessions that are gone. */
  #reconcile(): void {
    if (this.#reconciled) return
    const known = new Map(
      (this.#statements.all.all() as (Known & { id: string })[]).map(({ id, ...each }) => [id, each]),
    )
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = this.#runtime.sessions.list(
        { kind: execution.kind },
        { limit: AT_A_TIME, ...(cursor !== undefined && { cursor }) },
      )
      const stale = page.sessions.filter(({ id, seq, position }) => {
        const has = known.get(id)
        known.delete(id)
        return has?.seq !== seq || has.position !== position
      })
      if (stale.length > 0) this.#rewriteAll(stale)
      cursor = page.cursor
    }
    this.#database.transaction(() => {
      for (const id of known.keys()) this.#statements.remove.run(id)
      this.#statements.strays.run()
    })()
    this.#reconciled = true
  }

  #rewriteAll(entries: readonly SessionEntry[]): void {
    this.#database.transaction(() => {
      for (const { id } of entries) this.#rewrite(id)
    })()
  }

  #putSession(entry: SessionEntry): void {
    const { id, generatedAt, status, adminUserId, teamId, planCount } = sessionOf(entry)
    const times = [entry.createdAt, entry.updatedAt]
    this.#statements.putSession.run(id, generatedAt.toISOString(), status, adminUserId, teamId, planCount, ...times)
  }

  #putModification(sessionId: string, number: number, kept: Parameters<typeof modificationOf>[2] | undefined): void {
    if (!kept) return
    const {
      id,
      ticketId,
      userId,
      action,
      value,
      timestamp,
      processed,
      error = null,
    } = modificationOf(sessionId, number, kept)
    const at = timestamp.toISOString()
    const row = [id, sessionId, ticketId, userId, action, value, at, processed ? 1 : 0, error, at]
    this.#statements.putModification.run(...row)
  }

  #entry(id: string): SessionEntry | undefined {
    try {
      return this.#runtime.session(id, execution).entry()
    } catch (error) {
      if (isHoldfastError(error, 'SESSION_NOT_FOUND', 'SESSION_DELETED', 'KIND_MISMATCH')) return undefined
      throw error
    }
  }
}

function statementsOf(database: Libsql.Database) {
  return {
    putSession: database.prepare(PUT_SESSION),
    putModification: database.prepare(PUT_MODIFICATION),
    putSeq: database.prepare(PUT_SEQ),
    seqOf: database.prepare('SELECT seq, position FROM holdfast_seqs WHERE session_id = ?'),
    all: database.prepare('SELECT session_id AS id, seq, position FROM holdfast_seqs'),
    remove: database.prepare('DELETE FROM execution_sessions WHERE id = ?'),
    strays: database.prepare('DELETE FROM execution_sessions WHERE id NOT IN (SELECT session_id FROM holdfast_seqs)'),
    empty: database.prepare('DELETE FROM plan_modifications WHERE session_id = ?'),
  } as const
}

/** The modifications that a patch of the context is about, by number. */
export function numbersIn(patch: Patch | undefined, length: number): number[] {
  const numbers = new Set<number>()
  for (const operation of patch ?? []) {
    const [[field, index], ...change] = operation
    if (field !== undefined && field !== 'modifications') continue
    const [at, removed, ...items] = change as [unknown, number, ...unknown[]]
    if (typeof index === 'number') numbers.add(index + 1)
    else if (change.length > 1 && removed <= items.length) for (const n of items.keys()) numbers.add(Number(at) + n + 1)
    else for (let number = 1; number <= length; number++) numbers.add(number)
  }
  return [...numbers]
}

/** Throws PACKAGE_MISSING when it is not installed, or not for this platform. */
export async function loadLibsql(
  load: () => Promise<{ readonly default: typeof Libsql }> = () => import('libsql'),
): Promise<typeof Libsql> {
  try {
    return (await load()).default
  } catch (cause) {
    const message = 'the tables in SQLite need the package libsql: npm install libsql'
    throw new HoldfastError('PACKAGE_MISSING', message, { cause, details: { package: 'libsql' } })
  }
}
