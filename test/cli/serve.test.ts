// `holdfast serve` in a process of its own: what it says once it listens, what it answers, what is in the audit log
// afterwards, and that it stops in order. The kind comes from a module, as a user's would.
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openReader, openRuntime } from 'holdfast'
import { sqlite } from 'holdfast/sqlite'
import { expect, test } from 'vitest'
import { fragile, gate } from '../fixtures/troubled.js'
import { sha256 } from '../http/served.js'
import { envelopeIn, holdfast, newFolder, type Running, start } from './command.js'
import { count, counter, openCounters, openTroubled } from './directory.js'

const KINDS = fileURLToPath(new URL('../fixtures/counter.js', import.meta.url))

/** The first line on stdout. */
const readyOf = ({ child, ended }: Running): Promise<any> =>
  new Promise((resolve, reject) => {
    let told = ''
    child.stdout?.on('data', (text: string) => {
      told += text
      if (told.includes('\n')) resolve(JSON.parse(told.split('\n')[0] as string))
    })
    void ended.then(({ stderr }) => reject(new Error(`it ended before it was ready: ${stderr}`)))
  })

test('it says where it listens and what it found, answers, writes an audit log, and stops in order', async () => {
  const home = newFolder()
  const dir = join(home, 'data')
  const runtime = await openCounters(dir)
  await count(runtime, 'c1', 3)
  await runtime.close()
  await using others = await openTroubled(dir)
  await others.create(gate)
  await others.create(fragile)
  await others.close()
  const principals = join(home, 'principals.json')
  writeFileSync(
    principals,
    JSON.stringify([{ id: 'ci', roles: ['reader'], organization: 'acme', sha256: sha256('t-1') }]),
  )

  const args = ['serve', '--dir', dir, '--kinds', KINDS, '--port', '0', '--principals', principals, '-o', 'json']
  const server = start(args)
  const { ok, data } = await readyOf(server)
  expect(ok).toBe(true)
  expect(data).toMatchObject({
    dir,
    sessions: { recovered: 3, active: 1, parked: 2 },
    unserved: ['fragile', 'gate'],
    token: join(dir, 'access', 'token'),
    pid: server.child.pid,
  })
  expect(data.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)

  const token = readFileSync(data.token, 'utf8').trim()
  const ask = async (path: string, as: string, body?: unknown): Promise<{ status: number; body: any }> => {
    const headers = { authorization: `Bearer ${as}`, 'content-type': 'application/json' }
    const method = body === undefined ? 'GET' : 'POST'
    const response = await fetch(data.url + path, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: await response.json() }
  }
  expect((await ask('/v1/sessions/c1', token)).body).toMatchObject({ id: 'c1', seq: 4 })
  expect((await ask('/v1/sessions/c1/events', token, { type: 'add', by: 1, id: 'x' })).body).toMatchObject({ seq: 5 })
  expect((await ask('/v1/sessions/c1', 't-1')).body).toMatchObject({ code: 'SESSION_NOT_FOUND' })
  expect((await ask('/v1/doctor', token)).body).toMatchObject({ healthy: true, sessions: 3 })
  expect(envelopeIn(await holdfast(['ls', '--dir', dir, '-o', 'json'])).data.sessions).toHaveLength(3)

  // Whoever wants the directory for itself is told whom to ask instead.
  const sending = ['send', 'c1', 'finish', '--dir', dir, '--kinds', KINDS, '-o', 'json']
  const refused = await holdfast(sending)
  expect([refused.code, envelopeIn(refused).error.code]).toEqual([6, 'DIRECTORY_LOCKED'])
  expect(envelopeIn(refused).error.hint).toContain(`--url ${data.url}`)
  expect(envelopeIn(await holdfast([...sending, '--url', data.url])).data).toMatchObject({ to: 'finished' })

  server.child.kill('SIGTERM')
  expect((await server.ended).code).toBe(0)
  expect(existsSync(join(dir, 'access', 'server.json'))).toBe(false)
  const reader = openReader({ dir })
  expect(reader.find('c1')).toMatchObject({ seq: 6 })
  reader.close()
  expect(existsSync(join(dir, 'audit'))).toBe(true)
  const { data: found } = envelopeIn(await holdfast(['doctor', '--dir', dir, '-o', 'json']))
  expect(found).toMatchObject({ healthy: true })
})

test('what cannot be served is refused before anything is made: usage, a kind twice, a port that is taken', async () => {
  const cwd = newFolder()
  const refused = async (args: readonly string[]): Promise<{ code: string; message: string; hint?: string }> => {
    const ended = await holdfast(['serve', ...args, '-o', 'json'], { cwd, env: { SHORT: 'abc', EMPTY: '' } })
    const { error } = envelopeIn(ended)
    expect([ended.code, readdirSync(cwd).includes('.holdfast')]).toEqual([error.code === 'PORT_IN_USE' ? 6 : 2, false])
    return error
  }
  const usages: [args: string[], said: string][] = [
    [[], 'kinds'],
    [['--kinds', KINDS, '--port', '70000'], '65535'],
    [['--kinds', KINDS, '--host', '192.0.2.1'], 'cannot listen on port 4653 of 192.0.2.1'],
    [['--kinds', KINDS, '--allow-host', 'a b'], '"a b"'],
    [['--kinds', KINDS, '--secret', 'ABSENT'], '--secret ABSENT: the environment has no ABSENT'],
    [['--kinds', KINDS, '--secret', 'EMPTY'], 'the environment has no EMPTY'],
    [['--kinds', KINDS, '--secret', 'SHORT'], 'secret "SHORT" must be a text of at least 8'],
    [['--kinds', './nokind.js'], '--kinds ./nokind.js is not there: no file nokind.js'],
    [['--kinds', 'nokind'], '--kinds nokind is no file nokind, and no package'],
  ]
  for (const [args, said] of usages) expect((await refused(args)).message).toContain(said)
  const told = await refused(['--kinds', KINDS, '--secret', 'KEY=hunter2hunter2'])
  expect(JSON.stringify(told)).not.toContain('hunter2')
  writeFileSync(join(cwd, 'nokind.ts'), '')
  expect((await refused(['--kinds', './nokind.js'])).message).toContain('nokind.ts is: compile it (npx tsc)')

  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const { code, message, hint } = await refused(['--kinds', KINDS, '--port', `${port}`, '--strict-port'])
  expect([code, message, hint]).toEqual([
    'PORT_IN_USE',
    expect.stringContaining(`port ${port} of 127.0.0.1 is in use`),
    expect.stringContaining('without --strict-port'),
  ])
  taken.close()
})

test('on a database it keeps its audit log beside it, where the doctor finds it; backups are fetched from its folder', async () => {
  const home = newFolder()
  const dir = join(home, 'agents.db')
  const open = () => openRuntime({ storage: sqlite({ path: dir }), kinds: [counter], pool: 'inline' })
  const runtime = await open()
  await count(runtime, 'c1', 3)
  await runtime.close()
  const args = ['serve', '--dir', dir, '--kinds', KINDS, '--port', '0', '--backups', home, '-o', 'json']
  const server = start(args)
  const { data } = await readyOf(server)
  expect(data).toMatchObject({ dir, token: join(`${dir}-http`, 'access', 'token'), sessions: { recovered: 1 } })
  const at = ['--dir', dir, '--url', data.url, '-o', 'json']
  const run = async (...words: string[]): Promise<any> => envelopeIn(await holdfast([...words, ...at])).data
  expect(await run('send', 'c1', 'finish')).toMatchObject({ to: 'finished' })
  const file = join(home, 'fetched.backup')
  expect(await run('backup', file)).toMatchObject({ path: file, bytes: statSync(file).size })
  expect(readdirSync(home).filter((name) => /^holdfast-.*\.backup$/.test(name))).toHaveLength(1)
  const { audit, healthy } = await run('doctor')
  expect([healthy, audit.n]).toEqual([true, 4]) // asked and done, of each call that changes something
  server.child.kill('SIGTERM')
  expect((await server.ended).code).toBe(0)

  const doctor = (...words: string[]) => holdfast(['doctor', '--dir', dir, '-o', 'json', ...words])
  expect((await doctor('--audit-head', `${audit.n}:${audit.hash}`)).code).toBe(0)
  const log = join(`${dir}-http`, 'audit', '00000001.jsonl')
  writeFileSync(log, readFileSync(log, 'utf8').replace('session.send', 'session.show'))
  const edited = await doctor()
  expect(edited.code).toBe(1)
  expect(envelopeIn(edited).data.findings).toMatchObject([
    { code: 'audit.edited', file: 'agents.db-http/audit/00000001.jsonl' },
  ])
  const restored = ['restore', file, '--dir', join(home, 'back.db'), '-o', 'json']
  expect(envelopeIn(await holdfast(restored)).data).toMatchObject({ sessions: 1 })
})
