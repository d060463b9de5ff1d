// How late the event loop is under full load: a timer of a millisecond that is set again and again, and how much later than
// that it is called; beside it how much of that the process itself was at work, which is what is left of it on a busy
// machine. 1,000 sessions at once, each sending its next event when the last is durable; then with steps in worker
// threads, and with observers. `node bench/lag.js [seconds]`
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { defineSession, openRuntime, step } from 'holdfast'
import { setup } from 'xstate'
import { tick } from './machine.js'

const SESSIONS = 1000

const worker = (steps) =>
  defineSession({
    kind: 'worker',
    version: 1,
    steps,
    machine: setup({ actors: { work: step('work') } }).createMachine({
      initial: 'working',
      states: { working: { invoke: { src: 'work', input: {}, onDone: 'again' } }, again: { always: 'working' } },
    }),
  })

/** A timer of a millisecond, again and again, until it is stopped: gives how late each was, and the work in it, in ms. */
function watch() {
  const lags = []
  const works = []
  let timer
  const next = () => {
    const set = performance.now()
    const before = process.cpuUsage()
    timer = setTimeout(() => {
      lags.push(performance.now() - set - 1)
      const { user, system } = process.cpuUsage(before)
      works.push((user + system) / 1000)
      next()
    }, 1)
  }
  next()
  return () => {
    clearTimeout(timer)
    return { lags, works }
  }
}

const at = (numbers, part) => {
  const sorted = [...numbers].sort((a, b) => a - b)
  return Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(1))
}

const LOADS = {
  'nothing at all': {},
  '1,000 sessions': { sessions: SESSIONS },
  '1,000 sessions, 50 with steps': { sessions: SESSIONS, workers: 50 },
  '1,000 sessions, 100 observers of all': { sessions: SESSIONS, observers: 100 },
}

async function measure({ sessions = 0, workers = 0, observers = 0 }, seconds) {
  const dir = mkdtempSync(join(process.env.HOLDFAST_BENCH_DIR ?? tmpdir(), 'holdfast-lag-'))
  const steps = join(dir, 'steps.mjs')
  writeFileSync(steps, 'export const work = () => new Promise((resolve) => setTimeout(resolve, 5, "done"))\n')
  const kind = worker(pathToFileURL(steps))
  const runtime = await openRuntime({ dir: join(dir, 'data'), kinds: [tick, kind] })
  const all = await Promise.all(Array.from({ length: sessions }, () => runtime.create(tick, {})))
  for (let n = 0; n < workers; n++) await runtime.create(kind)
  let seen = 0
  for (let n = 0; n < observers; n++) runtime.transitions$().subscribe(() => seen++)
  const load = async () => {
    const until = performance.now() + seconds * 1000
    const loop = async (session) => {
      while (performance.now() < until) await session.send({ type: 'tick' })
    }
    await Promise.all([...all.map(loop), new Promise((resolve) => setTimeout(resolve, seconds * 1000))])
  }
  await load() // until the code is compiled
  const before = runtime.health().journal.records
  const stop = watch()
  await load()
  const { lags, works } = stop()
  const records = runtime.health().journal.records - before
  await runtime.close()
  rmSync(dir, { recursive: true, force: true })
  return {
    'transitions/s': Math.round(records / seconds),
    'p50 ms': at(lags, 0.5),
    'p99 ms': at(lags, 0.99),
    'longest ms': at(lags, 1),
    'p99 at work ms': at(works, 0.99),
  }
}

/** Rows of how late the event loop was, by load. */
export async function lag(seconds = 5) {
  const rows = {}
  for (const [name, load] of Object.entries(LOADS)) rows[name] = await measure(load, seconds)
  return rows
}

if (import.meta.filename === process.argv[1]) console.table(await lag(Number(process.argv[2] ?? 5)))
