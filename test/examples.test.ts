// Every example runs as its first lines say, in a directory of its own, and comes to what it promises.
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-example-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const run = promisify(execFile)
const example = (name: string): string => resolve(import.meta.dirname, '../examples', name)

async function node(name: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, HOLDFAST_DIR: join(dir, 'data'), USER: 'ada' }
  const { stdout } = await run(process.execPath, [example(name), ...args], { env, cwd: dir })
  return stdout.trim()
}

test('an approval that is asked for in one process is given in another', async () => {
  const id = await node('approval.js', 'ask', 'A new laptop')
  expect(await node('approval.js', 'approve', id)).toBe('A new laptop: approved')
  expect(await node('approval.js')).toBe(`${id} { what: 'A new laptop', state: 'approved' }`)
  await expect(node('approval.js', 'reject', id)).rejects.toThrow('SESSION_ENDED')
})

test("a session of one's own goes on where a kill -9 has cut it off", async () => {
  const env = { ...process.env, HOLDFAST_DIR: join(dir, 'data'), PAUSE_MS: '400' }
  const child = spawn(process.execPath, [example('own-session.js')], { env, cwd: dir })
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      if (String(data).includes('xstate.done.actor')) resolve()
    })
  })
  const killed = new Promise((resolve) => child.on('exit', (_, signal) => resolve(signal)))
  child.kill('SIGKILL')
  expect(await killed).toBe('SIGKILL')
  const out = await node('own-session.js')
  expect(out).toContain('holdfast.attempt')
  expect(out.split('\n').at(-1)).toBe('words: [ 6, 3, 6 ]')
})

test('a parent with three children ends with all of them', async () => {
  const out = await node('family.js')
  expect(out.split('\n')).toEqual([
    'bread (ada), cheese (cleo), milk (ben) = 12',
    ...['ada', 'ben', 'cleo'].map((name) => `${name}: family.shopper, done`),
  ])
})

test('check-durable: the planted bug is found, as a story of one event', async () => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => {})
  await import('../examples/check-durable.js')
  const [message] = log.mock.calls[0] as [string]
  log.mockRestore()
  expect(message).toContain('session kind "booking" is not durable: record 2 (reserve): context.reserved.0')
  expect(message).toMatch(/ 1\. create\n {3}2\. send {"type":"reserve"}\n\n/)
  expect(message).toMatch(/tell it again: await checkDurable\(kind, .*\)$/)
  console.log(message)
})

test('a document becomes issues, and a second run finds them made', async () => {
  const first = (await node('planning.js')).split('\n')
  expect(first.slice(-4)).toEqual(['5 epics', '14 features', '37 stories', '7 enablers'])
  expect((await node('planning.js')).split('\n')).toEqual(first)
  const { issues } = JSON.parse(readFileSync(join(dir, 'data', 'tracker.json'), 'utf8'))
  expect(issues).toHaveLength(63)
})

test('a day of a team: plans, modifications, who did what; and whoever may not is refused', async () => {
  expect((await node('execution.js')).split('\n')).toEqual([
    '2 plans: Ada SHOP-2 SHOP-1, Ben SHOP-3',
    expect.stringMatching(/^NOT_ALLOWED eve may not modify session session_\w+: team shop is not theirs$/),
    'completed, 2 modifications applied',
    ...['ada: modify', 'ada: modify', 'cleo: confirm', 'cleo: complete'],
  ])
})
