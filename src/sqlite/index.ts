// `holdfast/sqlite`: a runtime's sessions in one SQLite database instead of a directory of files. It needs the package libsql.

import { HoldfastError } from '../errors.js'
import { admitOptions } from '../options.js'
import type { Storage } from '../storage.js'
import { sqliteStorage } from './storage.js'

export type { Storage } from '../storage.js'

export interface SqliteOptions {
  /** The database's file; made if it is not there. Beside it are its log (`-wal`, `-shm`) and its lock (`-lock`). */
  readonly path: string
}

/**
 * Sessions in a SQLite database. Nothing is opened, and libsql not loaded, before it is used. Throws INVALID_ARGUMENT.
 *
 * ```ts
 * const storage = sqlite({ path: 'agents.db' })
 * await using runtime = await openRuntime({ storage, kinds: [review] })
 * ```
 */
export function sqlite(options: SqliteOptions): Storage {
  admitOptions('options of sqlite', options, { path: true })
  const { path } = options ?? {}
  if (typeof path !== 'string' || path === '' || path === ':memory:') {
    const what = "sqlite({ path }) takes the path of a file; to keep nothing, openRuntime({ storage: 'memory' })"
    throw new HoldfastError('INVALID_ARGUMENT', what)
  }
  return sqliteStorage({ path })
}
