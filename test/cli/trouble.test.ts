// What went wrong is told on the command line: quarantined sessions, dead letters; and families as trees.
import { beforeAll, expect, test } from 'vitest'
import { envelopeIn, holdfast, newFolder } from './command.js'
import { trouble } from './directory.js'

let dir: string
beforeAll(async () => {
  dir = newFolder()
  await trouble(dir)
})

const idsOf = (envelope: any): string[] => envelope.data.sessions.map((session: any) => session.id)

test('ls marks what is in trouble, and says so whatever was asked for', async () => {
  const { stdout, stderr } = await holdfast(['ls', '--dir', dir])
  expect(stdout).toMatch(/^bad .*\(quarantined\)/m)
  expect(stdout).toMatch(/^odd .*\(1 dead letter\)/m)
  expect(stderr).toContain('1 session has crashed too often, so nothing runs there until a release: ls --quarantined')
  const other = await holdfast(['ls', '--dir', dir, '--kind', 'tree'])
  expect(other.stderr).toContain('1 session has set aside events that crashed: ls --dead-letters')
})

test('ls lists those alone that are quarantined, or that have dead letters', async () => {
  const ls = async (flag: string) => envelopeIn(await holdfast(['ls', '--dir', dir, flag, '-o', 'json']))
  expect(idsOf(await ls('--quarantined'))).toEqual(['bad'])
  expect(idsOf(await ls('--dead-letters'))).toEqual(['odd'])
})

test('show tells why a session is quarantined, and what it has set aside', async () => {
  expect((await holdfast(['show', 'bad', '--dir', dir])).stdout).toMatch(/^quarantined {2}.*an action crashed/m)
  expect((await holdfast(['show', 'odd', '--dir', dir])).stdout).toMatch(
    /^dead letters\n {2}\d+ .* poison {2}1 attempt: .*a decision crashed$/m,
  )
})

test('show draws the family of a session as a tree; ls --parent lists its children', async () => {
  const { stdout } = await holdfast(['show', 'oak', '--dir', dir])
  const [, family] = /^child sessions\n((?: {2}.*\n)+)/m.exec(stdout) ?? []
  expect(family?.match(/^ +\w+/gm)).toEqual(['  left', '    tip', '  right', '    tip'])
  const children = envelopeIn(await holdfast(['ls', '--dir', dir, '--parent', 'oa', '-o', 'json'])).data.sessions
  expect(children.map(({ parent }: any) => parent.child)).toEqual(['left', 'right'])
  expect((await holdfast(['show', children[0].id, '--dir', dir])).stdout).toMatch(/^child {4}\s*left of oak$/m)
})
