// The commands on a SQLite database: `--dir` names its file. They say what they say of a directory; reading changes nothing.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openRuntime, type Runtime } from 'holdfast'
import { sqlite } from 'holdfast/sqlite'
import { beforeEach, expect, test } from 'vitest'
import { envelopeIn, holdfast, newFolder } from './command.js'
import { count, counter } from './directory.js'

let folder: string
let file: string
const open = (): Promise<Runtime> => openRuntime({ storage: sqlite({ path: file }), kinds: [counter], pool: 'inline' })
beforeEach(async () => {
  folder = newFolder()
  file = join(folder, 'agents.db')
  await using runtime = await open()
  for (const id of ['apple', 'banana']) await count(runtime, id, 3)
})

const dataOf = async (...args: string[]) => envelopeIn(await holdfast([...args, '-o', 'json'])).data
const idsIn = (data: any): string[] => data.sessions.map(({ id }: any) => id)

test('ls, show, history, diff and doctor read it, also beside its owner, who is named', async () => {
  await using runtime = await open()
  await count(runtime, 'cherry', 2)
  expect(idsIn(await dataOf('ls', '--dir', file))).toEqual(['apple', 'banana', 'cherry'])
  const shown = await holdfast(['show', 'cherry', '--dir', file])
  expect(shown.code).toBe(0)
  expect(shown.stderr).toContain(`process ${process.pid}, which runs, opened ${file} last`)
  expect((await holdfast(['history', 'apple', '--dir', file])).stdout).toContain('add')
  expect((await holdfast(['diff', 'apple', '2', '4', '--dir', file])).code).toBe(0)
  expect(await dataOf('doctor', '--dir', file)).toMatchObject({ healthy: true, sessions: 3 })
})

test('fork, prune, backup and restore write it, and leave it to its owner', async () => {
  expect((await holdfast(['fork', 'apple', '--at', '2', '--id', 'pear', '--dir', file])).code).toBe(0)
  const backup = join(folder, 'agents.backup')
  expect(await holdfast(['backup', backup, '--dir', file])).toMatchObject({ code: 0, stdout: `${backup}\n` })
  const back = join(folder, 'back.db')
  expect(await holdfast(['restore', backup, '--dir', back])).toMatchObject({ code: 0, stdout: `${back}\n` })
  expect(idsIn(await dataOf('ls', '--dir', back))).toEqual(['apple', 'banana', 'pear'])
  expect(await dataOf('prune', '--older-than', '0s', '--dir', file)).toMatchObject({ sessions: [] })
  await using runtime = await open()
  const refused = await holdfast(['fork', 'apple', '--dir', file, '-o', 'json'])
  expect([refused.code, envelopeIn(refused).error.code]).toEqual([6, 'DIRECTORY_LOCKED'])
  expect(runtime.sessions.count()).toBe(3)
})

test('a file that is no database is refused by code, and so is a database where only a directory will do', async () => {
  const codeOf = async (...args: string[]) => envelopeIn(await holdfast([...args, '-o', 'json'])).error.code
  const document = join(folder, 'plan.md')
  writeFileSync(document, '# A plan\n\n## One\n\nText.\n')
  expect(await codeOf('ls', '--dir', document)).toBe('JOURNAL_CORRUPT')
  expect(await codeOf('plan', document, '--dir', file)).toBe('DIRECTORY_NOT_WRITABLE')
})
