// Clients that are slow on purpose: a body that comes byte by byte, an answer that nobody reads. Neither keeps others waiting, and
// what they cost is bounded.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { openRuntime, type Runtime } from 'holdfast'
import { type Server, serve } from 'holdfast/http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { counter } from '../fixtures/counter.js'
import { PRINCIPALS, review, tokenOf } from './served.js'

let runtime: Runtime
let server: Server
const sockets: Socket[] = []
const complaints: string[] = []
const logger = { info() {}, warn() {}, error: (_: object, message: string) => void complaints.push(message) }
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

beforeEach(async () => {
  runtime = await openRuntime({ storage: 'memory', pool: 'inline', kinds: [counter, review] })
  server = await serve(runtime, { port: 0, principals: PRINCIPALS, limits: { concurrent: 60 }, logger })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await server.close()
  await runtime.close()
})

const authorization = `Bearer ${tokenOf('root')}`
const head = (line: string, more = ''): string =>
  `${line} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nAuthorization: ${authorization}\r\n${more}\r\n`

async function open(): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

const ask = (path: string): Promise<Response> => fetch(`${server.url}${path}`, { headers: { authorization } })

test('a body that trickles keeps nobody waiting, and is answered when it is whole; so many at once, and no more', async () => {
  const body = JSON.stringify({ kind: 'review', input: { title: 'slowly' } })
  const type = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
  const slow = await Promise.all(Array.from({ length: 50 }, open))
  for (const socket of slow) socket.write(head('POST /v1/sessions', type))
  for (const byte of body.slice(0, -1)) {
    for (const socket of slow) socket.write(byte)
    expect((await ask('/v1/kinds')).status).toBe(200)
  }
  expect(runtime.sessions.count()).toBe(0)
  const more = await Promise.all(Array.from({ length: 10 }, open))
  for (const socket of more) socket.write(head('POST /v1/sessions', type))
  let refused = 200
  while (refused === 200) ({ status: refused } = await ask('/v1/kinds'))
  expect(refused).toBe(503)
  const answers = slow.map(async (socket) => String((await once(socket, 'data'))[0]).slice(9, 12))
  for (const socket of slow) socket.write(body.slice(-1))
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['201']))
  expect(runtime.sessions.count()).toBe(50)
  expect((await ask('/v1/kinds')).status).toBe(200)
})

test('a body that is cut off is nobody’s fault here: it does nothing, and the log is not filled with it', async () => {
  const slow = await Promise.all(Array.from({ length: 20 }, open))
  for (const socket of slow)
    socket.write(head('POST /v1/sessions', 'Content-Type: application/json\r\nContent-Length: 99\r\n'))
  for (const socket of slow) socket.write('{"kind":"review",')
  await ask('/v1/kinds')
  for (const socket of slow) socket.destroy()
  // As many as may be under way are there again.
  const answers = await Promise.all(Array.from({ length: 55 }, () => ask('/v1/kinds')))
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  expect(runtime.sessions.count()).toBe(0)
  expect(complaints).toEqual([])
})

test('a body in chunks of one byte takes no more than its bytes', async () => {
  const socket = await open()
  socket.write(head('POST /v1/sessions', 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n'))
  collect()
  const before = held()
  const chunks = '1\r\nx\r\n'.repeat(10_000)
  for (let n = 0; n < 20; n++) {
    socket.write(chunks)
    await ask('/v1/kinds')
  }
  collect()
  expect((held() - before) / 2 ** 20).toBeLessThan(12)
  socket.write('0\r\n\r\n')
  expect(String((await once(socket, 'data'))[0]).slice(9, 12)).toBe('400')
})

test('answers that nobody reads are not made: what was asked for waits as it was asked', async () => {
  const session = await runtime.create(counter)
  await session.send({ type: 'add', by: 1, id: 'x'.repeat(200_000) } as never)
  const path = `/v1/sessions/${session.id}`
  collect()
  const before = held()
  const socket = await open()
  socket.pause()
  // 400 MB, if they were made.
  socket.write(head(`GET ${path}`).repeat(2000))
  for (let n = 0; n < 50; n++) expect((await ask(path)).status).toBe(200)
  collect()
  const grown = (held() - before) / 2 ** 20
  expect(grown).toBeLessThan(64)
  console.log(`R25: 2,000 answers of 200 KB that nobody reads: ${Math.max(0, Math.round(grown))} MiB`)
  socket.destroy()
  expect((await ask('/v1/kinds')).status).toBe(200)
})

function held(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
