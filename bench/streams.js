// A thousand clients on one stream: at which rate of transitions the slowest hundredth of what they get is still younger than
// a second, whether anybody misses one at any rate, and what the server holds meanwhile, also for those who do not read.
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
const late = []
const seen = (number, buffer, at) => {
  let decided = decidedAt.get(number)
  if (decided === undefined) {
    decided = Date.parse(/"at":"([^"]+)"/.exec(buffer.toString('latin1', at, at + 250))[1])
    decidedAt.set(number, decided)
  }
  late.push(Date.now() - decided)
}
const all = Array.from({ length: clients }, () => new RawClient(where, last, seen))
await new Promise((resolve) => setTimeout(resolve, 2000))
const before = await memory()
const rows = []
for (const perSecond of RATES) {
  const stalled = all.slice(0, STALLED)
  for (const client of stalled) client.stall()
  late.length = 0
  decidedAt.clear()
  const cpu = (await memory()).cpu
  const count = last + perSecond * seconds
  const began = performance.now()
  child.send({ count, perSecond, pad: 'x'.repeat(100) })
  const done = await said('counted')
  const took = (performance.now() - began) / 1000
  const readers = all.slice(STALLED)
  while (readers.some((client) => client.last < count)) await new Promise((resolve) => setTimeout(resolve, 20))
  const drained = (performance.now() - began) / 1000
  const held = (await memory()).memory
  for (const client of stalled) client.resume()
  while (all.some((client) => client.last < count)) await new Promise((resolve) => setTimeout(resolve, 20))
  late.sort((a, b) => a - b)
  const p99 = late[Math.floor(late.length * 0.99)] ?? 0
  rows.push({
    'asked/s': perSecond,
    'reached/s': Math.round((count - last) / took),
    'delivered/s': Math.round(((count - last) * readers.length) / drained),
    'p50 ms': Math.round(late[Math.floor(late.length / 2)] ?? 0),
    'p99 ms': Math.round(p99),
    gaps: all.reduce((sum, client) => sum + client.gaps, 0),
    duplicates: all.reduce((sum, client) => sum + client.duplicates, 0),
    'server cpu s': Number(((done.cpu.user + done.cpu.system - cpu.user - cpu.system) / 1e6).toFixed(1)),
    'held MB': Number((held.held / 1e6).toFixed(1)),
    'rss MB': Math.round(held.rss / 1e6),
  })
  last = count
  if (p99 > 1000) break
}
console.log(
  `${clients} clients, ${STALLED} of which do not read while it counts; before: ${(before.memory.held / 1e6).toFixed(1)} MB held`,
)
console.table(rows)
for (const client of all) client.close()
child.disconnect()
await new Promise((resolve) => child.on('exit', resolve))
rmSync(dir, { recursive: true, force: true })
