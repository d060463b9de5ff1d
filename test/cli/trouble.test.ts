// What went wrong is told on the command line: quarantined sessions, dead letters; and families as trees. A
// server tells the same of it all as the directory does.
import { defineSession, openRuntime } from 'holdfast'
import { serve } from 'holdfast/http'
import { beforeAll, expect, test, vi } from 'vitest'
import { raise, sendTo, setup } from 'xstate'
import { envelopeIn, holdfast, newFolder } from './command.js'

const fragile = defineSession({
  kind: 'fragile',
  version: 1,
  machine: setup({
    types: { events: {} as { type: 'crash' | 'later' | 'poison' } },
    actions: {
      fail: () => {
        throw new Error('an action crashed')
      },
    },
  }).createMachine({
    on: {
      crash: { actions: 'fail' },
      later: { actions: raise({ type: 'poison' }) },
      poison: {
        guard: () => {
          throw new Error('a decision crashed')
        },
      },
    },
  }),
  supervision: { attempts: 1, intensity: 1, periodMs: 60_000, backoffMs: 1, maxBackoffMs: 1 },
})

const letters = defineSession({
  kind: 'letters',
  version: 1,
  machine: setup({ types: { events: {} as { type: 'later' | 'poison' } } }).createMachine({
    on: {
      later: { actions: sendTo(({ self }) => self, { type: 'poison' }) },
      poison: {
        guard: () => {
          throw new Error('a decision crashed')
        },
      },
    },
  }),
  supervision: { attempts: 1, backoffMs: 1, maxBackoffMs: 1 },
})

const leaf = setup({}).createMachine({ initial: 'growing', states: { growing: {} } })
const branch = setup({ actors: { leaf } }).createMachine({ invoke: { id: 'tip', src: 'leaf' } })
const tree = defineSession({
  kind: 'tree',
  version: 1,
  machine: setup({ actors: { branch } }).createMachine({
    invoke: [
      { id: 'left', src: 'branch' },
      { id: 'right', src: 'branch' },
    ],
  }),
})

const WAIT = { timeout: 20_000 }

let dir: string
beforeAll(async () => {
  dir = newFolder()
  const logger = { info: () => {}, warn: () => {}, error: () => {} }
  await using runtime = await openRuntime({ dir, kinds: [fragile, letters, tree], logger })
  const bad = await runtime.create(fragile, undefined, { id: 'bad' })
  for (const _ of [1, 2, 3]) await bad.send({ type: 'crash' }).catch(() => {})
  await vi.waitFor(() => expect(runtime.health().quarantined.map(({ id }) => id)).toEqual(['bad']), WAIT)
  const odd = await runtime.create(letters, undefined, { id: 'odd' })
  await odd.send({ type: 'later' })
  await vi.waitFor(() => expect(runtime.deadLetters().length).toBe(1), WAIT)
  await runtime.create(tree, undefined, { id: 'oak' })
  await vi.waitFor(() => expect(runtime.sessions.count({ kind: 'tree.branch.leaf' })).toBe(2), WAIT)
}, 60_000)

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

test('a server tells by --url what its directory tells: ls, show, history and diff', async () => {
  const logger = { info: () => {}, warn: () => {}, error: () => {} }
  await using runtime = await openRuntime({ dir, kinds: [fragile, letters, tree], logger })
  const fork = await runtime.session('odd').fork({ id: 'fork' })
  await fork.cancel()
  const server = await serve(runtime, { tokenDir: dir })
  try {
    const lines = [
      ...['ls', 'ls --all', 'ls --quarantined', 'ls --dead-letters', 'ls --parent oa', 'ls --kind tree'],
      ...['ls --status stopped', 'ls --all --limit 2', 'ls --all --state growing', 'ls --kind nothing'],
      ...['show bad', 'show odd', 'show oak', 'show od --at 2', 'show fork --history', 'show o', 'show odd --at 99'],
      ...['history odd', 'history odd --from 2', 'history fork --to 2', 'history gone'],
      ...['diff odd 1 2', 'diff odd 2 1', 'diff odd 1 99'],
    ]
    const codes = new Set<number | null>()
    for (const line of lines) {
      const args = [...line.split(' '), '--dir', dir, '-o', 'json']
      const [here, there] = [await holdfast(args), await holdfast([...args, '--url', server.url])]
      // Who holds the directory, only the directory says.
      const stderr = here.stderr.replace(/^process \d+, which runs, opened .*\n/m, '')
      expect({ line, ...there }).toEqual({ line, ...here, stderr })
      codes.add(here.code)
    }
    // Both what is found and what is not was asked for.
    expect(codes.size).toBeGreaterThan(1)
  } finally {
    await server.close()
  }
})
