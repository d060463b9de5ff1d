// An agent by the built package: the user's module in real worker threads, real files, and real kills in the middle.

import { execFile, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { builtPackage } from '../../piscina/built.js'

const RUN = fileURLToPath(new URL('fixtures/run-agent.js', import.meta.url))
const KILLS = Number(process.env.HOLDFAST_AGENT_KILLS ?? 3)

let dir: string
beforeEach(() => {
  builtPackage()
  dir = mkdtempSync(join(tmpdir(), 'holdfast-agent-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

interface Note {
  readonly what: string
  readonly key: string
  readonly attempt: number
}

const notesIn = (place: string): Note[] =>
  readFileSync(join(place, 'notes'), { encoding: 'utf8', flag: 'a+' })
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Note)

interface End {
  readonly status: string
  readonly messages: { readonly role: string; readonly content: unknown }[]
  readonly used: unknown
}

/** Runs the process in a place, and kills it as soon as it has said the line of a number; undefined when it was. */
function live(place: string, script: unknown, killAt = Number.POSITIVE_INFINITY): Promise<End | undefined> {
  const args = [RUN, join(place, 'data'), join(place, 'notes'), JSON.stringify(script)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let end: End | undefined
  let lines = 0
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('end ')) end = JSON.parse(line.slice(4)) as End
    else if (++lines === killAt) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.stdout.on('close', () => resolve(end))
  })
}

const call = (id: string, tool: string, input = {}) => ({ id, tool, input })

test('a tool that takes its worker with it is run again, under the same key, and the conversation goes on', async () => {
  const end = await live(dir, [{ calls: [call('k1', 'exit'), call('k2', 'read', { path: 'x' })] }, 'done'])
  expect(end).toMatchObject({ status: 'terminated' })
  expect(end?.messages.at(-1)).toMatchObject({ content: [{ text: 'done' }] })
  const exits = notesIn(dir).filter(({ what }) => what === 'exit')
  expect(exits.map(({ attempt }) => attempt)).toEqual([1, 2])
  expect(new Set(exits.map(({ key }) => key)).size).toBe(1)
})

test(`a process killed ${KILLS} times, at a transition each, ends as one that was not; each tool under one key`, async () => {
  const script = [
    { text: 'I write.', calls: [call('k1', 'write', { path: 'a.js' }), call('k2', 'read', { path: 'a.js' })] },
    { calls: [call('k3', 'write', { path: 'b.js' })] },
    'done',
  ]
  const undisturbed = await live(dir, script)
  expect(undisturbed?.status).toBe('terminated')
  for (let kills = 0; kills < KILLS; ) {
    const place = mkdtempSync(join(dir, 'killed-'))
    let end: End | undefined
    // What is there already is not said again: each life gets a little further than the one before.
    for (let lives = 0; !end; lives++) {
      end = await live(place, script, kills < KILLS && lives < 20 ? 3 + ((5 * kills) % 12) : undefined)
      if (!end) kills++
    }
    expect(end).toEqual(undisturbed)
    const notes = notesIn(place)
    for (const what of ['write a.js', 'read a.js', 'write b.js']) {
      expect(new Set(notes.filter((note) => note.what === what).map(({ key }) => key)).size, what).toBe(1)
    }
  }
})

test('without the package `ai` a session with a model of it cannot start, and says what to install; the scripted one can', async () => {
  const modules = join(dir, 'node_modules')
  const root = fileURLToPath(new URL('..', builtPackage()))
  mkdirSync(join(modules, 'holdfast'), { recursive: true })
  cpSync(join(root, 'dist'), join(modules, 'holdfast', 'dist'), { recursive: true })
  cpSync(join(root, 'package.json'), join(modules, 'holdfast', 'package.json'))
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object }
  for (const name of [...Object.keys(dependencies), 'xstate']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  const program = `
    import { openRuntime } from 'holdfast'
    import { agent, SessionManager } from 'holdfast/machines/agent'
    const runtime = await openRuntime({ dir: 'data', kinds: [agent] })
    const sessions = new SessionManager(runtime)
    for (const llm_config of [{ model: 'some/model' }, { script: ['hi'] }]) console.log(JSON.stringify(await sessions.createSession({ llm_config })))
    await runtime.close()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: dir })
  const [first, second] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(first).toMatchObject({
    ok: false,
    error: 'start_failed',
    message: expect.stringContaining('npm install ai@6'),
  })
  expect(second).toMatchObject({ ok: true })
})
