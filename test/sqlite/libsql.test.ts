// The one package that SQLite needs: what it is like to be without it.

import { expect, test } from 'vitest'
import { loadLibsql } from '../../src/sqlite/libsql.js'

test('libsql opens a database', () => {
  const db = new (loadLibsql())(':memory:')
  expect(db.prepare('SELECT 1 + 1').raw().get()).toEqual([2])
  db.close()
})

test('without libsql, opening a database names the package to install', () => {
  const absent = (): never => {
    throw Object.assign(new Error("Cannot find module 'libsql'"), { code: 'MODULE_NOT_FOUND' })
  }
  expect(() => loadLibsql(absent)).toThrowError(
    expect.objectContaining({
      code: 'PACKAGE_MISSING',
      message: expect.stringContaining('npm install libsql'),
      details: { package: 'libsql' },
    }),
  )
})
