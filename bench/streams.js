// A thousand clients on one stream: at which rate of transitions the slowest hundredth of what they get is still younger than
// a second, whether anybody misses one at any rate, and what the server holds meanwhile, also for those who do not read.
// The server is a process of its own; so many sockets may need `ulimit -n 4096`.
//   node bench/streams.js [clients] [seconds]
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RawClient } from '../test/fixtures/raw-client.js'

const [clients = 1000, seconds = 5] = process.argv.slice(2).map(Number)
const RATES = [100, 250, 500, 1000, 2000, 4000, 8000]
const STALLED = 20

const dir = mkdtempSync(join(tmpdir(), 'holdfast-streams-'))
const child = fork(join(import.meta.dirname, '../test/fixtures/stream-me.js'), [JSON.stringify({ dir, port: 0 })], {
  execArgv: ['--expose-gc'],
})
const said = (name) =>
  new Promise((resolve) => {
    const hear = (message) => {
      if (message[name] === undefined) return
      child.off('message', hear)
      resolve(message)
    }
    child.on('message', hear)
  })
const memory = async () => {
  const answer = said('memory')
  child.send('memory')
  return await answer
}

const { url, token, seq } = await said('ready')
const where = { port: Number(new URL(url).port), path: '/v1/sessions/followed/stream?events=transition', token }
let last = seq
/** When each transition was decided, as it says itself: read once, by the first client that has it. */
const decidedAt = new Map()
/** How many came so many ms late, to those who read all the time. */
const LATEST_MS = 100_000
let late = new Uint32Array(LATEST_MS + 1)
const seenBy = (n) => (number, buffer, at) => {
  if (n < STALLED) return
  let decided = decidedAt.get(number)
  if (decided === undefined) {
    decided = Date.parse(/"at":"([^"]+)"/.exec(buffer.toString('latin1', at, at + 250))[1])
    decidedAt.set(number, decided)
  }
  late[Math.min(Math.max(Date.now() - decided, 0), LATEST_MS)]++
}
/** The lateness that a part of all deliveries does not go beyond. */
const quantile = (part) => {
  let left = late.reduce((sum, count) => sum + count, 0) * part
  return late.findIndex((count) => {
    left -= count
    return left <= 0
  })
}
const all = Array.from({ length: clients }, (_, n) => new RawClient(where, last, seenBy(n)))
while (all.some(({ connections }) => connections === 0)) await new Promise((resolve) => setTimeout(resolve, 100))
await new Promise((resolve) => setTimeout(resolve, 2000))
const before = await memory()
const rows = []
let over = 0
for (const perSecond of RATES) {
  const stalled = all.slice(0, STALLED)
  for (const client of stalled) client.stall()
  late = new Uint32Array(LATEST_MS + 1)
  decidedAt.clear()
  const cpu = (await memory()).cpu
  const count = last + perSecond * seconds
  const began = performance.now()
  child.send({ count, perSecond, pad: 'x'.repeat(100) })
  const answer = said('counted')
  const counted = { done: undefined }
  void answer.then((message) => (counted.done = message))
  const samples = []
  while (!counted.done) {
    await new Promise((resolve) => setTimeout(resolve, 1000))
    samples.push((await memory()).memory.held / 1e6)
  }
  const { done } = counted
  const took = (performance.now() - began) / 1000
  const readers = all.slice(STALLED)
  while (readers.some((client) => client.last < count)) await new Promise((resolve) => setTimeout(resolve, 20))
  const drained = (performance.now() - began) / 1000
  const held = (await memory()).memory
  for (const client of stalled) client.resume()
  while (all.some((client) => client.last < count)) await new Promise((resolve) => setTimeout(resolve, 20))
  const p99 = quantile(0.99)
  rows.push({
    'asked/s': perSecond,
    'reached/s': Math.round((count - last) / took),
    'delivered/s': Math.round(((count - last) * readers.length) / drained),
    'p50 ms': quantile(0.5),
    'p99 ms': p99,
    gaps: all.reduce((sum, client) => sum + client.gaps, 0),
    duplicates: all.reduce((sum, client) => sum + client.duplicates, 0),
    'server cpu s': Number(((done.cpu.user + done.cpu.system - cpu.user - cpu.system) / 1e6).toFixed(1)),
    'held MB, by the second': samples.map((mb) => mb.toFixed(0)).join(' '),
    'then MB': Number((held.held / 1e6).toFixed(1)),
    'rss MB': Math.round(held.rss / 1e6),
  })
  last = count
  // One may be the machine's; two are too many for it.
  if (p99 > 1000 && ++over === 2) break
}
console.log(
  `${clients} clients, ${STALLED} of which do not read while it counts; before: ${(before.memory.held / 1e6).toFixed(1)} MB held`,
)
console.table(rows)
for (const client of all) client.close()
child.disconnect()
await new Promise((resolve) => child.on('exit', resolve))
rmSync(dir, { recursive: true, force: true })
