// The one package that SQLite needs: what it is like to be without it.

import { expect, test } from 'vitest'
import { loadLibsql } from '../../src/sqlite/libsql.js'

test('libsql opens a database', async () => {
  const db = new (await loadLibsql())(':memory:')
  expect(db.prepare('SELECT 1 + 1').raw().get()).toEqual([2])
  db.close()
})

test('without libsql, opening a database names the package to install', async () => {
  await expect(loadLibsql(() => import('libsql-that-is-not-there' as 'libsql'))).rejects.toMatchObject({
    code: 'PACKAGE_MISSING',
    message: expect.stringContaining('npm install libsql'),
    details: { package: 'libsql' },
  })
})
