// A runtime on a database does what one on files does: it goes on where it was, has one owner, is read and backed up beside it,
// drops what is old, is looked at by the doctor; and what it refuses, it refuses by code.

import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  backupDirectory,
  defineSession,
  doctor,
  openReader,
  openRuntime,
  type Runtime,
  restoreBackup,
  verify,
} from 'holdfast'
import { sqlite } from 'holdfast/sqlite'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { assign, setup } from 'xstate'
import { Database } from '../../src/sqlite/database.js'
import { sqliteStorage } from '../../src/sqlite/storage.js'
import type { Storage } from '../../src/storage.js'
import { newFolder, quiet } from './opened.js'

const note = defineSession({
  kind: 'note',
  version: 1,
  machine: setup({
    types: { context: {} as { words: string[] }, events: {} as { type: 'write'; word: string } | { type: 'end' } },
    delays: { day: 86_400_000 },
  }).createMachine({
    context: { words: [] },
    initial: 'open',
    states: {
      open: {
        on: {
          write: { actions: assign({ words: ({ context, event }) => [...context.words, event.word].slice(-5) }) },
          end: 'over',
        },
        after: { day: 'over' },
      },
      over: { type: 'final' },
    },
  }),
  index: ({ context }) => ({ last: context.words.at(-1) ?? '' }),
})

let folder: string
let path: string
beforeEach(() => {
  folder = newFolder()
  path = join(folder, 'agents.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const open = (storage: Storage = sqlite({ path }), more: object = {}): Promise<Runtime> =>
  openRuntime({ storage, kinds: [note], pool: 'inline', logger: quiet, ...more })

async function fill(runtime: Runtime, rounds = 4): Promise<void> {
  const ids = ['a', 'b', 'gone', 'over']
  for (const id of ids) await runtime.create(note, undefined, { id })
  for (let round = 0; round < rounds; round++) {
    await Promise.all(ids.map((id) => runtime.session(id, note).send({ type: 'write', word: `${id}-${round}` })))
  }
  await runtime.session('gone').delete()
  await runtime.session('over', note).send({ type: 'end' })
}

const shown = (runtime: Runtime): unknown =>
  runtime.sessions.list().sessions.map((entry) => {
    const { tags: _, ...snapshot } = runtime.session(entry.id).snapshot()
    return [entry, snapshot]
  })

/** What a session shows, and its transitions one by one. */
const storyOf = (runtime: Runtime): unknown =>
  runtime.sessions
    .list()
    .sessions.map(({ id }) => [...runtime.session(id).history()].map(({ seq, event, to }) => [seq, event, to]))

test('what was there is there again after a reopening, from the index and without it; nobody else can read the file', async () => {
  const first = await open()
  await fill(first)
  const [before, story] = [shown(first), storyOf(first)]
  await first.close()
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const second = await open()
  expect([shown(second), storyOf(second)]).toEqual([before, story])
  expect(second.sessions.list({ where: { last: 'a-3' } }).sessions.map(({ id }) => id)).toEqual(['a'])
  await second.close()
  const db = new Database(path, 'rw')
  db.execute("DELETE FROM directory; DELETE FROM holdfast WHERE key = 'index'")
  db.close()
  await using third = await open()
  expect([shown(third), storyOf(third)]).toEqual([before, story])
  await third.session('a', note).send({ type: 'write', word: 'on' })
  expect(third.health()).toMatchObject({ status: 'ok', damage: [], parked: [] })
})

test('a database has one owner; the second is told who, and gets it when the first has gone', async () => {
  const first = await open()
  await expect(open()).rejects.toMatchObject({
    code: 'DIRECTORY_LOCKED',
    message: expect.stringContaining(path),
    details: { owner: { pid: process.pid } },
  })
  await first.close()
  await (await open()).close()
})

test('it is read beside its owner, at one moment until it is looked at again', async () => {
  await using runtime = await open()
  await fill(runtime)
  const reader = openReader({ storage: sqlite({ path }) })
  const before = reader.state('a')
  expect(before.context).toEqual({ words: ['a-0', 'a-1', 'a-2', 'a-3'] })
  expect([...reader.history('a')]).toHaveLength(5)
  await runtime.session('a', note).send({ type: 'write', word: 'more' })
  expect(reader.state('a')).toEqual(before)
  reader.refresh()
  expect(reader.state('a').context).toMatchObject({ words: expect.arrayContaining(['more']) })
  expect(reader.stats()).toMatchObject({ total: 3, active: 2, done: 1 })
  expect([reader.damage, reader.unreadable]).toEqual([[], []])
  reader.close()
  const verified = await verify({ storage: sqlite({ path }), kinds: [note] })
  expect(verified).toMatchObject({ sessions: 3, unfit: [] })
})

test('a transaction that fails on the way leaves nothing of what it had done', async () => {
  await (await open()).close()
  const db = new Database(path, 'rw')
  const failing = (): void =>
    db.transact(() => {
      db.run("INSERT INTO snapshots VALUES ('half', 1, '{}')")
      db.run('INSERT INTO nowhere VALUES (1)')
    })
  expect(failing).toThrowError()
  expect(db.all('SELECT count(*) FROM snapshots')).toEqual([[0]])
  db.close()
})

test('from outside its transitions are a view', async () => {
  await using runtime = await open()
  await fill(runtime)
  const db = new Database(path, 'ro')
  const rows = db.all("SELECT CAST(event AS BLOB) FROM transitions WHERE session = 'over' AND CAST(seq AS INTEGER) > 4")
  db.close()
  expect(rows.map(([event]) => String(event))).toEqual(['write', 'end'])
})

describe('what is old', () => {
  const small = (): Storage => sqliteStorage({ path, portionBytes: 1 })

  test('is dropped again and again, and every session is as it was, and goes on; with the index and without', async () => {
    const runtime = await open(small())
    await fill(runtime)
    for (let round = 0; round < 3; round++) {
      const [before, { begin }] = [shown(runtime), await runtime.compact({ keepBytes: 0 })]
      expect(begin).toBeGreaterThan(0)
      expect(shown(runtime)).toEqual(before)
      await runtime.session('b', note).send({ type: 'write', word: `again-${round}` })
    }
    expect(() => [...runtime.session('a').history()]).toThrowError(
      expect.objectContaining({ code: 'HISTORY_UNAVAILABLE' }),
    )
    const before = shown(runtime)
    await runtime.close()
    const db = new Database(path, 'rw')
    expect(db.get('SELECT count(*) FROM records')).toEqual([1])
    expect(db.get('SELECT count(*) FROM floor')).toEqual([3])
    db.execute("DELETE FROM directory; DELETE FROM holdfast WHERE key = 'index'")
    db.close()
    await using again = await open(small())
    expect(shown(again)).toEqual(before)
  })

  test('stays as long as it is within what is to be kept, and goes when all its sessions are gone', async () => {
    await using runtime = await open(small())
    await fill(runtime)
    expect(await runtime.compact({ keepBytes: 1e9 })).toMatchObject({ bytes: 0 })
    expect([...runtime.session('a').history()]).toHaveLength(5)
    for (const id of ['a', 'b', 'over']) await runtime.session(id).delete()
    await runtime.create(note, undefined, { id: 'new' })
    expect((await runtime.compact({ keepBytes: 1e9 })).bytes).toBeGreaterThan(1000)
    expect(runtime.session('new').snapshot().seq).toBe(1)
  })

  test('stays where something in it cannot be read', async () => {
    const runtime = await open(small())
    await fill(runtime)
    await runtime.close()
    const db = new Database(path, 'rw')
    // The last of its session: without it the session would be there again.
    db.execute("UPDATE records SET checksum = checksum + 1 WHERE record ->> '$.deleted'")
    const [before] = db.all('SELECT count(*) FROM records')
    db.close()
    const again = await open(small())
    await expect(again.compact({ keepBytes: 0 })).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' })
    await again.close()
    const after = new Database(path, 'ro')
    expect(after.all('SELECT count(*) FROM records')).toEqual([before])
    after.close()
  })

  test('sessions that ended are pruned', async () => {
    await using runtime = await open(small())
    await fill(runtime)
    expect((await runtime.prune({ olderThanMs: 0 })).sessions.map(({ id }) => id)).toEqual(['over'])
    expect(runtime.sessions.count()).toBe(2)
  })
})

test('where a reader keeps the log from being emptied, an opening syncs the log before it goes on', async () => {
  const first = await open()
  await fill(first)
  const reader = new Database(path, 'ro')
  reader.freeze()
  await first.session('a', note).send({ type: 'write', word: 'more' })
  const owner = new Database(path, 'rw')
  owner.all('PRAGMA busy_timeout = 1')
  expect(owner.checkpoint('FULL')).toBe(false)
  reader.close()
  expect(owner.checkpoint('FULL')).toBe(true)
  owner.close()
  await first.close()
  const checkpoint = vi.spyOn(Database.prototype, 'checkpoint').mockReturnValue(false)
  const transact = vi.spyOn(Database.prototype, 'transact')
  try {
    const second = await open()
    expect(transact).toHaveBeenCalled()
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0)
    await second.close()
  } finally {
    checkpoint.mockRestore()
    transact.mockRestore()
  }
})

describe('a backup', () => {
  test('of a running database is one file; put back it is what the database was; it is never put over anything', async () => {
    const copy = join(folder, 'copy.backup')
    const runtime = await open()
    await fill(runtime)
    const before = shown(runtime)
    const { bytes, end } = await runtime.backup(copy)
    await runtime.session('a', note).send({ type: 'write', word: 'later' })
    expect(statSync(copy)).toMatchObject({ size: bytes })
    expect(statSync(copy).mode & 0o777).toBe(0o600)
    const beside = await backupDirectory(join(folder, 'beside.backup'), { storage: sqlite({ path }) })
    expect(beside.end).toBeGreaterThan(end)
    await runtime.close()
    const target = sqlite({ path: join(folder, 'new', 'restored.db') })
    expect(await restoreBackup(copy, target)).toMatchObject({ dir: target.location, sessions: 3, damage: [] })
    await using restored = await open(target)
    expect(shown(restored)).toEqual(before)
    await restored.session('a', note).send({ type: 'write', word: 'on' })
    await expect(restoreBackup(copy, target)).rejects.toMatchObject({ code: 'DIRECTORY_NOT_EMPTY' })
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('is never written over the database itself, nor over what belongs to it, whatever leads there', async () => {
    const runtime = await open()
    await fill(runtime)
    const before = shown(runtime)
    symlinkSync(folder, join(folder, 'link'))
    symlinkSync(path, join(folder, 'alias.db'))
    const own = ['', '-wal', '-shm', '-lock'].map((end) => `${path}${end}`)
    for (const name of [...own, join(folder, 'link', 'agents.db'), join(folder, 'alias.db')]) {
      await expect(runtime.backup(name), name).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      const beside = backupDirectory(name, { storage: sqlite({ path }) })
      await expect(beside, name).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    await runtime.close()
    const again = await open()
    expect(shown(again)).toEqual(before)
    const old = join(folder, 'old.db')
    for (const end of ['', '-wal', '-shm']) writeFileSync(`${old}${end}`, 'of another database')
    await again.backup(old)
    expect([existsSync(`${old}-wal`), existsSync(`${old}-shm`)]).toEqual([false, false])
    await again.close()
    // What is written first has the name of the database.
    const named = join(folder, 'b.tmp')
    const other = await open(sqlite({ path: named }))
    await expect(other.backup(join(folder, 'b'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await other.close()
  })

  test('that is not whole, or none, is not put back', async () => {
    const copy = join(folder, 'copy.backup')
    const runtime = await open()
    await fill(runtime)
    await runtime.backup(copy)
    await runtime.close()
    const to = (): Storage => sqlite({ path: join(folder, 'restored.db') })
    writeFileSync(join(folder, 'none'), 'not a database')
    for (const [file, code] of [
      ['none', 'BACKUP_CORRUPT'],
      ['nowhere', 'FILE_NOT_FOUND'],
      ['agents.db', 'BACKUP_CORRUPT'],
    ] as const) {
      await expect(restoreBackup(join(folder, file), to()), file).rejects.toMatchObject({ code })
    }
    const db = new Database(copy, 'rw')
    db.execute("UPDATE records SET record = replace(record, 'a-1', 'a-2')")
    db.close()
    await expect(restoreBackup(copy, to())).rejects.toMatchObject({ code: 'BACKUP_CORRUPT' })
    expect(existsSync(to().location)).toBe(false)
    await expect(backupDirectory(join(folder, 'no', 'x'), { storage: sqlite({ path }) })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    })
  })
})

describe('the doctor', () => {
  const look = (repair = false) => doctor({ storage: sqlite({ path }), repair })

  test('finds nothing wrong with a database at rest, nor beside its owner, whom it names', async () => {
    const runtime = await open()
    await fill(runtime)
    expect((await look()).findings.map(({ code }) => code)).toEqual(['lock', 'index.missing'])
    await expect(look(true)).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' })
    await runtime.close()
    expect(await look()).toMatchObject({ healthy: true, sessions: 3, findings: [] })
  })

  test('names a record that is not what was written, and its session, which the others do not notice', async () => {
    const runtime = await open()
    await fill(runtime)
    await runtime.close()
    const db = new Database(path, 'rw')
    db.execute('UPDATE records SET record = replace(record, \'"a-1"\', \'"a-9"\')')
    db.close()
    const { healthy, findings } = await look()
    expect(healthy).toBe(false)
    expect(findings.map(({ code, session }) => [code, session])).toEqual([
      ['journal.corrupt', undefined],
      ['session.unreadable', 'a'],
    ])
    const reader = openReader({ storage: sqlite({ path }) })
    expect(() => reader.state('a')).toThrowError(expect.objectContaining({ code: 'JOURNAL_CORRUPT' }))
    expect(reader.state('b').context).toEqual({ words: ['b-0', 'b-1', 'b-2', 'b-3'] })
    reader.close()
  })

  test('takes no record for another one, whose place it has', async () => {
    const runtime = await open()
    await fill(runtime)
    await runtime.close()
    const db = new Database(path, 'rw')
    const rows = db.all<[number, number, Buffer]>(
      "SELECT position, checksum, CAST(record AS BLOB) FROM records WHERE record LIKE '%-2\"%' ORDER BY position LIMIT 2",
    )
    const [[one, itsSum, its], [other, otherSum, others]] = rows as [(typeof rows)[0], (typeof rows)[0]]
    expect(its).toHaveLength(others.length)
    const put = 'UPDATE records SET checksum = ?, record = CAST(? AS TEXT) WHERE position = ?'
    db.run(put, otherSum, others, one)
    db.run(put, itsSum, its, other)
    db.close()
    const found = (await look()).findings.filter(({ code }) => code === 'journal.corrupt')
    expect(found).toHaveLength(2)
  })

  test('misses a record that is gone from the middle, and what could have been its session is named', async () => {
    const runtime = await open()
    await fill(runtime)
    await runtime.close()
    const db = new Database(path, 'rw')
    db.execute('DELETE FROM records WHERE record LIKE \'%"b-1"%\'')
    db.close()
    const { findings } = await look()
    expect(findings.map(({ code, session }) => [code, session])).toEqual(
      expect.arrayContaining([
        ['journal.missing', undefined],
        ['session.unreadable', 'b'],
      ]),
    )
  })

  test('moves a damaged snapshot to the quarantine and writes the index anew, and then all is well', async () => {
    const runtime = await open()
    await fill(runtime)
    await runtime.create(note, undefined, { id: 'long' })
    await runtime.session('long', note).send({ type: 'write', word: 'x'.repeat(5000) })
    await runtime.close()
    const db = new Database(path, 'rw')
    db.execute("UPDATE snapshots SET state = replace(state, 'xx', 'xy'); UPDATE directory SET checksum = checksum + 1")
    db.close()
    expect((await look()).findings.map(({ code }) => code)).toEqual(['index.damaged', 'snapshot.damaged'])
    expect(await look(true)).toMatchObject({ healthy: true, findings: [{ done: true }, { done: true }] })
    expect((await look()).findings.map(({ code }) => code)).toEqual(['quarantine'])
    await using again = await open()
    expect(again.session('long', note).snapshot().context.words[0]).toHaveLength(5000)
  })
})

describe('the doctor of a log that is damaged', () => {
  const FRAME_BYTES = 24 + 4096
  /** A database as a process that was killed has left it, with a bit of its log turned; gives what there was before it. */
  async function harmed(): Promise<{ readonly log: Buffer; readonly acknowledged: number }> {
    const from = join(folder, 'living.db')
    const runtime = await open(sqlite({ path: from }))
    await runtime.create(note, undefined, { id: 'a' })
    const before = statSync(`${from}-wal`).size
    for (let n = 0; n < 20; n++) await runtime.session('a', note).send({ type: 'write', word: `${n}` })
    for (const end of ['', '-wal']) copyFileSync(`${from}${end}`, `${path}${end}`)
    await runtime.close()
    const log = readFileSync(`${path}-wal`)
    const frames = (log.length - 32) / FRAME_BYTES
    const at = 32 + Math.floor(((before - 32) / FRAME_BYTES + frames) / 2) * FRAME_BYTES + 1000
    log[at] = (log[at] as number) ^ 1
    writeFileSync(`${path}-wal`, log)
    return { log, acknowledged: 21 }
  }

  test('names it, changes nothing unless told to, and then keeps it, and goes on with what stands before the damage', async () => {
    const { log, acknowledged } = await harmed()
    await expect(open()).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' })
    const found = await doctor({ storage: sqlite({ path }) })
    expect(found).toMatchObject({ healthy: false })
    expect(found.findings.map(({ code, file, done }) => [code, file, done])).toContainEqual([
      'database.log',
      'agents.db-wal',
      undefined,
    ])
    expect(readFileSync(`${path}-wal`)).toEqual(log)
    const repaired = await doctor({ storage: sqlite({ path }), repair: true })
    expect(repaired.findings.find(({ code }) => code === 'database.log')).toMatchObject({ done: true })
    const [kept = ''] = readdirSync(folder).filter((name) => name.endsWith('.corrupt'))
    expect(readFileSync(join(folder, kept))).toEqual(log)
    await using runtime = await open()
    const { seq } = runtime.session('a').snapshot()
    expect(seq).toBeGreaterThan(1)
    expect(seq).toBeLessThan(acknowledged)
    expect([...runtime.session('a').history()].map((transition) => transition.seq)).toHaveLength(seq)
    await runtime.session('a', note).send({ type: 'write', word: 'on' })
    expect((await doctor({ storage: sqlite({ path }) })).findings.map(({ code }) => code)).not.toContain('database.log')
  })
})

describe('what is refused', () => {
  test('a path that is none, a directory beside a storage, a misspelt option', async () => {
    for (const options of [{}, { path: '' }, { path: ':memory:' }, { path: 7 }, undefined]) {
      expect(() => sqlite(options as never)).toThrowError(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
    expect(() => sqlite({ pth: 'x' } as never)).toThrowError(/"path" may be meant/)
    await expect(open(sqlite({ path }), { dir: folder })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(() => openReader({ storage: sqlite({ path }), dir: folder })).toThrowError(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  })

  test('a size that is no number of pages', async () => {
    for (const maxPages of [0, -1, 1.5, Number.NaN, '7; DROP TABLE records']) {
      await expect(open(sqliteStorage({ path, maxPages } as never))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
  })

  test('a database that is not there is not made by reading it', async () => {
    expect(() => openReader({ storage: sqlite({ path }) })).toThrowError(
      expect.objectContaining({ code: 'DIRECTORY_NOT_FOUND' }),
    )
    await expect(doctor({ storage: sqlite({ path }) })).rejects.toMatchObject({ code: 'DIRECTORY_NOT_FOUND' })
    expect(readdirSync(folder)).toEqual([])
  })

  test('a file that is no database, one of another program, one of a newer Holdfast: each is untouched', async () => {
    writeFileSync(path, 'x'.repeat(8192))
    await expect(open()).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' })
    rmSync(path)
    writeFileSync(path, '')
    const other = new Database(path, 'rw')
    other.execute('CREATE TABLE t (a)')
    other.close()
    await expect(open()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    rmSync(path)
    await (await open()).close()
    const newer = new Database(path, 'rw')
    newer.execute('PRAGMA user_version = 2')
    newer.close()
    await expect(open()).rejects.toMatchObject({ code: 'FORMAT_NEWER' })
    expect(() => openReader({ storage: sqlite({ path }) })).toThrowError(
      expect.objectContaining({ code: 'FORMAT_NEWER' }),
    )
  })

  test('a database that was emptied is not begun anew', async () => {
    const runtime = await open()
    await fill(runtime)
    await runtime.close()
    writeFileSync(path, '')
    await expect(open()).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      message: expect.stringContaining('is empty'),
    })
  })

  test('the core and this subpath load without libsql: only opening a database asks for it', () => {
    const script = `import { sqlite } from 'holdfast/sqlite'; import { openRuntime } from 'holdfast'; sqlite({ path: 'x' })
      const loaded = Object.keys((await import('node:module')).default._cache ?? {}).filter((name) => name.includes('libsql'))
      console.log(loaded.length)`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    expect(stdout.trim()).toBe('0')
  })
})
