// `holdfast backup` and `holdfast restore`: there and back, beside the owner, and what is refused with which exit code.
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openRuntime } from 'holdfast'
import { sqlite } from 'holdfast/sqlite'
import { beforeEach, expect, test } from 'vitest'
import { envelopeIn, holdfast, newFolder } from './command.js'
import { count, openCounters } from './directory.js'

let folder: string
let dir: string
let file: string
let to: string
beforeEach(async () => {
  folder = newFolder()
  ;[dir, file, to] = [join(folder, 'data'), join(folder, 'b.tar'), join(folder, 'back')]
  await using runtime = await openCounters(dir)
  for (const id of ['apple', 'banana']) await count(runtime, id, 3)
})

test('there and back, as text', async () => {
  const written = await holdfast(['backup', file, '--dir', dir])
  expect(written).toMatchObject({ code: 0, stdout: `${file}\n` })
  expect(written.stderr).toMatch(/^\S+ kB; holdfast restore \S+ --dir \S+ puts it back into an empty one\n$/)
  const restored = await holdfast(['restore', file, '--dir', to])
  expect(restored).toMatchObject({ code: 0, stdout: `${to}\n` })
  expect(restored.stderr).toMatch(/^2 sessions, \S+ kB, as of \S+ \S+Z; holdfast ls --dir \S+ shows them\n$/)
  const { data } = envelopeIn(await holdfast(['ls', '--dir', to, '-o', 'json']))
  expect(data.sessions.map(({ id, seq }: any) => [id, seq])).toEqual([
    ['apple', 4],
    ['banana', 4],
  ])
})

test('as JSON, while a process owns the directory', async () => {
  await using runtime = await openCounters(dir)
  await count(runtime, 'cherry', 2)
  const { data } = envelopeIn(await holdfast(['backup', file, '--dir', dir, '-o', 'json']))
  expect(data).toMatchObject({ path: file, bytes: expect.any(Number), end: expect.any(Number), damage: [] })
  const restored = envelopeIn(await holdfast(['restore', file, '--dir', to, '-o', 'json']))
  expect(restored.data).toMatchObject({ dir: to, sessions: 3, damage: [] })
})

test('an older backup is replaced, a file that is none is not: of a directory, and of a database', async () => {
  const database = join(folder, 'data.db')
  await (await openRuntime({ storage: sqlite({ path: database }), kinds: [] })).close()
  for (const from of [dir, database]) {
    const to = (name: string) => holdfast(['backup', join(folder, name), '--dir', from])
    writeFileSync(join(folder, 'empty'), '')
    for (const name of ['new', 'new', 'empty', 'empty']) expect(await to(name), name).toMatchObject({ code: 0 })
    writeFileSync(join(folder, 'notes.txt'), 'precious')
    expect(await to('notes.txt')).toMatchObject({ code: 2, stderr: expect.stringContaining('is no backup') })
    expect(readFileSync(join(folder, 'notes.txt'), 'utf8')).toBe('precious')
    rmSync(join(folder, 'new'))
    rmSync(join(folder, 'empty'))
  }
})

test('refusals have their codes', async () => {
  await holdfast(['backup', file, '--dir', dir])
  const refused = async (...args: string[]) => {
    const ended = await holdfast([...args, '-o', 'json'])
    return [ended.code, envelopeIn(ended).error.code]
  }
  expect(await refused('restore', file, '--dir', dir)).toEqual([6, 'DIRECTORY_NOT_EMPTY'])
  expect(await refused('restore', join(folder, 'none'), '--dir', to)).toEqual([3, 'FILE_NOT_FOUND'])
  expect(await refused('backup', file, '--dir', to)).toEqual([3, 'DIRECTORY_NOT_FOUND'])
  expect(await refused('backup', join(folder, 'no/b.tar'), '--dir', dir)).toEqual([3, 'FILE_NOT_FOUND'])
  truncateSync(file, 2000)
  expect(await refused('restore', file, '--dir', to)).toEqual([1, 'BACKUP_CORRUPT'])
  expect(existsSync(to)).toBe(false)
})
