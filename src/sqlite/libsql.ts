// The package libsql: SQLite with better-sqlite3's interface, prebuilt. It is an optional peer, so it is loaded when a
// database is first opened, and its absence is an error that says what to install.

import { createRequire } from 'node:module'
import type Libsql from 'libsql'
import { HoldfastError } from '../errors.js'

export type Constructor = typeof Libsql
export type Connection = Libsql.Database
export type Statement = Libsql.Statement<unknown[]>

const load = (): Constructor => createRequire(import.meta.url)('libsql') as Constructor

/** Throws PACKAGE_MISSING when it is not installed, or not for this platform. */
export function loadLibsql(loaded: () => Constructor = load): Constructor {
  try {
    return loaded()
  } catch (cause) {
    const message = 'SQLite needs the package libsql, which is not installed for this platform: npm install libsql'
    throw new HoldfastError('PACKAGE_MISSING', message, { cause, details: { package: 'libsql' } })
  }
}
