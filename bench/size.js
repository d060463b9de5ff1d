// What sessions cost in memory, and how long it takes to open a directory of many: closed in order, killed, and without an
// index. Each figure comes from a process of its own, as an opening does in life, and is the median of rounds; bytes are
// the difference between two populations, after the collector has settled, so that what the process itself holds is not
// counted. `node bench/size.js [sessions]`
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { openRuntime } from 'holdfast'
import { createActor } from 'xstate'
import { machine, tick } from './machine.js'

const ROUNDS = 3
/** Live sessions are fewer: nobody has 100,000 of them at a time. */
const LIVE = 20_000
/** Passive sessions that are asked, from all over the directory. */
const ANSWERS = 1_000

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]
const open = (dir, more = {}) => openRuntime({ dir, kinds: [tick], pool: 'inline', ...more })

/** Bytes in use, once they do not become fewer any more. */
async function heap() {
  let least = Number.POSITIVE_INFINITY
  for (let quiet = 0; quiet < 3; quiet++) {
    globalThis.gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const used = process.memoryUsage().heapUsed
    if (used < least - 10_000) quiet = 0
    least = Math.min(least, used)
  }
  return least
}

/** Sessions that have made one transition, created a thousand at a time. */
async function populate(runtime, count) {
  for (let made = 0; made < count; made += 1000) {
    const page = Array.from({ length: Math.min(1000, count - made) }, () => runtime.create(tick, {}))
    await Promise.all((await Promise.all(page)).map((session) => session.send({ type: 'tick' })))
  }
}

/** What a process of its own is asked for; each prints its answer. */
const tasks = {
  async actors(count) {
    const before = await heap()
    const actors = Array.from({ length: count }, () => createActor(machine, { input: {} }).start())
    for (const actor of actors) actor.send({ type: 'tick' })
    return { bytes: (await heap()) - before, count: actors.length }
  },

  async live(count, dir) {
    const runtime = await open(dir, { liveLimit: count })
    const before = await heap()
    await populate(runtime, count)
    const bytes = (await heap()) - before
    await runtime.close()
    return { bytes }
  },

  async fill(count, dir) {
    const runtime = await open(dir, { liveLimit: 1000 })
    await populate(runtime, count)
    cpSync(dir, `${dir}-killed`, { recursive: true, filter: (path) => !path.endsWith('lock') })
    await runtime.close()
    const unindexed = (path) => !path.endsWith('lock') && !path.endsWith('index.jsonl')
    cpSync(dir, `${dir}-unindexed`, { recursive: true, filter: unindexed })
    return {}
  },

  async opened(count, dir) {
    const before = await heap()
    const start = performance.now()
    const runtime = await open(dir)
    const ms = performance.now() - start
    const bytes = (await heap()) - before
    const ids = []
    for (let cursor = '0'; cursor !== undefined; ) {
      const page = runtime.sessions.list({}, { limit: 1000, cursor })
      for (const { id } of page.sessions) ids.push(id)
      cursor = page.cursor
    }
    const answers = Array.from({ length: ANSWERS }, (_, n) => {
      const asked = performance.now()
      runtime.session(ids[(n * 7919) % ids.length]).snapshot()
      return performance.now() - asked
    })
    answers.sort((a, b) => a - b)
    // It is not closed: the directory stays as it was found, but for its last segment, which an opening renews.
    return { ms, bytes, count, answer: median(answers), slowest: answers[Math.floor(answers.length * 0.99)] }
  },
}

function inProcess(task, count, dir = '') {
  const args = ['--expose-gc', fileURLToPath(import.meta.url), task, String(count), dir]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${task}: ${stderr}`)
  return JSON.parse(stdout)
}

const rounds = (run) => Array.from({ length: ROUNDS }, run)

/** Bytes each, of two populations of which the one is a quarter of the other. */
const bytesEach = (count, bytesOf) =>
  Math.round(median(rounds(() => (bytesOf(count) - bytesOf(count / 4)) / (count - count / 4))))

export function size(count = 100_000) {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-size-'))
  const fresh = () => mkdtempSync(join(root, 'live-'))
  const results = []
  const tell = (what, value) => results.push({ what, value })
  try {
    tell(
      'heap of a live session, bytes',
      bytesEach(LIVE, (n) => inProcess('live', n, fresh()).bytes),
    )
    tell(
      'heap of a bare XState actor, bytes',
      bytesEach(LIVE, (n) => inProcess('actors', n).bytes),
    )
    for (const n of [count, count / 4]) inProcess('fill', n, join(root, String(n)))
    const named = count.toLocaleString('en')
    for (const [how, suffix] of Object.entries({
      'closed in order': '',
      killed: '-killed',
      'no index': '-unindexed',
    })) {
      const opened = (n) => inProcess('opened', n, join(root, `${n}${suffix}`))
      const all = rounds(() => opened(count))
      tell(`open ${named} sessions, ${how}, ms`, Math.round(median(all.map(({ ms }) => ms))))
      const fewer = median(rounds(() => opened(count / 4).bytes))
      const bytes = (median(all.map((one) => one.bytes)) - fewer) / (count - count / 4)
      tell('heap of a passive session after it, bytes', Math.round(bytes))
      tell('first answer of a passive session, ms', Number(median(all.map(({ answer }) => answer)).toFixed(2)))
      tell('the slowest of a hundred such, ms', Number(median(all.map(({ slowest }) => slowest)).toFixed(2)))
    }
    return results
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [task, count, dir] = process.argv.slice(2)
  if (Object.hasOwn(tasks, task)) {
    console.log(JSON.stringify(await tasks[task](Number(count), dir)))
    process.exit(0)
  }
  console.table(size(Number(task ?? 100_000)))
}
