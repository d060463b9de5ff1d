// The coding agent of the examples: it asks before it writes, in one process, and writes in another one.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

const EXAMPLE = resolve(import.meta.dirname, '../../examples/coding-agent.js')

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-coding-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const options = () => ({ cwd: dir, env: { ...process.env, HOLDFAST_DIR: join(dir, 'data'), USER: 'ada' } })

async function run(...args: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [EXAMPLE, ...args], options())
  return stdout.trim().split('\n')
}

test('an approval that is asked for in one process, which is then killed, is given in another', async () => {
  const asking = spawn(process.execPath, [EXAMPLE, 'ask', 'Hello, world'], options())
  let said = ''
  await new Promise<void>((done) => {
    asking.stdout.on('data', (data: Buffer) => {
      said += String(data)
      if (said.includes('waits for approval')) done()
    })
  })
  asking.kill('SIGKILL')
  await new Promise((done) => asking.on('close', done))
  const [, id = ''] = /^(\S+): There is no greeting yet\./.exec(said) ?? []
  expect(said).toContain('write {"path":"greeting.txt","text":"Hello, world!\\n"}')
  expect(existsSync(join(dir, 'greeting.txt'))).toBe(false)
  expect(await run('inbox')).toEqual([`${id}: 1 waiting`])
  expect(await run('approve', id)).toEqual([`${id}: Done: wrote 14 characters to greeting.txt.`])
  expect(readFileSync(join(dir, 'greeting.txt'), 'utf8')).toBe('Hello, world!\n')
  expect(await run('approve', id)).toEqual([`${id}: Done: wrote 14 characters to greeting.txt.`])
  expect(await run('inbox')).toEqual([''])
  expect(readdirSync(dir).sort()).toEqual(['data', 'greeting.txt'])
})
