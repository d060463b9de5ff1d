// Every command that can ask a server, asked both ways: with `--url`, and of the directory itself. What they print and
// their exit codes are the same; so is what they have done. From the table of commands, so that a new one fails here until
// it is declared.
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Runtime } from 'holdfast'
import { type Server, serve } from 'holdfast/http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.js'
import { type Ended, envelopeIn, holdfast, newFolder, start } from './command.js'
import { count, openTroubled, trouble } from './directory.js'

const KINDS = ['counter', 'troubled'].map((name) => fileURLToPath(new URL(`../fixtures/${name}.js`, import.meta.url)))

const folder = newFolder()
/** Two of the same: one that the command opens itself, one that a server has open. */
const [here, there] = [join(folder, 'here'), join(folder, 'there')]
let runtime: Runtime
let server: Server

beforeAll(async () => {
  await trouble(here)
  {
    await using first = await openTroubled(here)
    await count(first, 'apple', 3)
    await (await first.session('odd').fork({ id: 'fork' })).cancel()
  }
  cpSync(here, there, { recursive: true })
  writeFileSync(join(folder, 'notes.json'), '[{"type":"note"},{"type":"note"}]')
  runtime = await openTroubled(there)
  const backups = newFolder()
  server = await serve(runtime, { port: 0, tokenDir: there, place: { dir: there }, backups })
})
afterAll(async () => {
  await server.close()
  await runtime.close()
})

/** What is asked of the same directory both ways: beside its owner, and of its owner. */
const LOOKING: Record<string, string[]> = {
  ls: [
    ...['', '--all', '--quarantined', '--dead-letters', '--parent oa', '--kind tree', '--status stopped'],
    ...['--all --limit 2', '--all --state growing', '--kind nothing', '--since 1h', '--since 0s', '--tag none +kinds'],
  ],
  show: ['bad', 'odd', 'oak', 'od --at 2', 'fork --history', 'o', 'odd --at 99'],
  history: ['odd', 'odd --from 2', 'fork --to 2', 'gone'],
  watch: ['fork --from 1', 'gone'],
  diff: ['odd 1 2', 'odd 2 1', 'odd 1 99'],
  approvals: ['+kinds', '--kind tree +kinds', '--limit 1 +kinds'],
  'dead-letters': ['', 'odd', 'apple', 'gone', '--limit 1'],
  prune: ['--older-than 0s --dry-run', '--older-than 1d --dry-run', '--older-than 0s --status active --dry-run'],
  backup: [join(folder, 'file.backup'), join(folder, 'none', 'file.backup')],
  doctor: ['', `--audit-head 1:${'0'.repeat(64)}`, '--audit-head 1'],
  verify: ['++kinds', '++kinds --active', '--kinds nowhere.js'],
}

/** What is asked of the one and of the other, in this order, and is to leave both the same. */
const CHANGING: [command: string, ...lines: string[]][] = [
  [
    'create',
    ...['gate --id g1 --input {"title":"one"}', 'counter --id c1 --key once', 'counter --key once', 'counter --id c1'],
    ...['gate --input {', 'gate --input @nowhere', 'nothing', 'gate --id g2', 'gate --id g3', 'gate'],
  ],
  [
    'send',
    ...['g1 note', 'g1 {"type":"note"} --event-id e', 'g1 {"type":"note"} --event-id e', `g1 @${folder}/notes.json`],
    ...[
      'g1 nothing',
      'g1 open',
      'g1 note',
      'gone open',
      'g open',
      'g2 {"type":1}',
      'g2 []',
      'g2 {"type":"xstate.stop"}',
    ],
  ],
  ['pause', 'g2 --with {"reason":"lunch"}', 'g2'],
  ['resume', 'g2 --event-id r', 'g2 --event-id r'],
  ['reject', 'g2 --with []', 'g2'],
  ['retry', 'g2'],
  ['deny', 'g3 --with {"reason":"no"}', 'g3'],
  ['approve', 'g2', 'gone', 'c1'],
  ['create', 'gate --id g4'],
  ['fork', 'apple --at 2 --id pear', 'pear', 'g1', 'oak', 'apple --id pear'],
  ['cancel', 'g4 --reason enough', 'g4', 'gone'],
  ['release', 'bad', 'bad', 'gone'],
  ['resend', 'odd 99', 'odd x'],
  ['discard', 'odd 4', 'odd 3', 'odd 2'],
  ['delete', 'pear', 'pear'],
  ['prune', '--older-than 0s --kind gate', '--older-than 0s --kind gate'],
]

const asking = COMMANDS.filter(({ server }) => server === true).map(({ name }) => name)

test('every command that can ask a server is declared here', () => {
  const declared = new Set([...Object.keys(LOOKING), ...CHANGING.map(([name]) => name)])
  expect([...declared].sort()).toEqual([...asking].sort())
})

test.each(COMMANDS.filter(({ server }) => server !== true))(
  '$name cannot, and says why: wrong usage',
  async ({ name, server: why }) => {
    const { code, stderr } = await holdfast([name, '--url', 'http://127.0.0.1:1'])
    expect(code).toBe(2)
    expect(stderr).toContain((why as string).replace(/\.$/, ''))
  },
)

/** The words of a line; `+kinds` are named where no server knows them, `++kinds` anyway. */
const words = (line: string, withKinds: boolean): string[] =>
  line
    .trim()
    .split(/ +/)
    .filter(Boolean)
    .flatMap((word) => (word === '++kinds' || (word === '+kinds' && withKinds) ? ['--kinds', ...KINDS] : [word]))
    .filter((word) => word !== '+kinds')

async function bothWays(line: string, dir: string, format: string): Promise<[Ended, Ended]> {
  const asked = [...words(line, true), '--dir', dir, '-o', format]
  const there_ = [...words(line, false), '--dir', there, '-o', format, '--url', server.url]
  return [await holdfast(asked), await holdfast(there_)]
}

/** Without what must be otherwise: where it is, when it was, whose it is, what to do about a kind, and ids that were drawn. */
const alike = ({ code, stdout, stderr }: Ended): Ended => ({
  code,
  stdout: masked(stdout),
  stderr: masked(stderr).replace(/^(process \d+, which runs|no process has).*\n/m, ''),
})

const masked = (text: string): string =>
  text
    .replaceAll(there, here)
    .replaceAll(` --url ${server.url}`, '')
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z/g, '<time>')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/g, '<id>')
    .replace(/,?"owner":\{[^}]*\}/g, '')
    .replace(/"position":\d+/g, '"position":0')
    .replace(
      /kind \S+ is not among .*; add it to kinds|this server has no kind .* \(GET \/v1\/kinds\)/,
      '<no such kind>',
    )

test.each(Object.keys(LOOKING))('%s tells the same of a directory and of its server', async (command) => {
  const codes = new Set<number | null>()
  for (const [index, line] of (LOOKING[command] as string[]).entries()) {
    const [one, other] = await bothWays(`${command} ${line}`, there, ['json', 'text', 'jsonl'][index % 3] as string)
    expect({ line, ...alike(other) }).toEqual({ line, ...alike(one) })
    codes.add(one.code)
  }
  expect(codes).toContain(0)
})

test.each(CHANGING)(
  '%s does the same in a directory and at a server, and leaves both the same',
  async (command, ...lines) => {
    const needsKinds = !['fork', 'prune'].includes(command)
    const codes = new Set<number | null>()
    for (const [index, line] of lines.entries()) {
      const asked = `${command} ${line}${needsKinds ? ' +kinds' : ''}`
      const [one, other] = await bothWays(asked, here, ['json', 'text'][index % 2] as string)
      // What an owner takes on the disk is not the same.
      const [a, b] = [one, other].map((ended) =>
        JSON.stringify(alike(ended)).replace(/"bytes\\":\d+|\d+(\.\d)? k?B/g, ''),
      )
      expect({ line, told: b }).toEqual({ line, told: a })
      codes.add(one.code)
    }
    if (command !== 'resend') expect(codes).toContain(0)
    const [left, right] = await bothWays('ls --all', here, 'json')
    expect(alike(right)).toEqual(alike(left))
  },
)

test('a session is created and sent to from a pipe', async () => {
  const ask = async (input: string, ...args: string[]): Promise<any> => {
    const running = start([...args, '-', '--dir', there, '--url', server.url, '-o', 'json'])
    running.child.stdin?.end(input)
    return envelopeIn(await running.ended).data
  }
  const { id } = await ask('{"title":"piped"}', 'create', 'gate', '--input')
  expect(runtime.session(id).snapshot()).toMatchObject({ context: { title: 'piped' } })
  expect(await ask('{"type":"open"}', 'send', id)).toMatchObject({ to: 'opened', status: 'done' })
})
