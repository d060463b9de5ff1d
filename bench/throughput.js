// Durable transitions a second, each acknowledged before the next of the same session: all rivals in one run, their
// rounds interleaved, medians reported. `node bench/throughput.js [rounds] [seconds]`
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as rivals from './rivals.js'

const SESSIONS = [1, 64, 1000]

/** Runs every session's loop for a while; gives transitions a second and latencies in ms. */
async function measure(open, sessions, seconds) {
  const dir = mkdtempSync(join(process.env.HOLDFAST_BENCH_DIR ?? tmpdir(), 'holdfast-bench-'))
  const rival = await open(dir, sessions)
  const latencies = []
  let done = 0
  let running = true
  const loop = async (i) => {
    while (running) {
      const start = performance.now()
      await rival.step(i)
      done++
      if (done % 16 === 0 || sessions === 1) latencies.push(performance.now() - start)
      // Rivals that never leave the microtask queue would keep the clock from being read.
      if (done % 256 === 0 && performance.now() > until) running = false
    }
  }
  const begin = performance.now()
  const until = begin + seconds * 1000
  const timer = setTimeout(() => {
    running = false
  }, seconds * 1000)
  await Promise.all(Array.from({ length: sessions }, (_, i) => loop(i)))
  const rate = done / ((performance.now() - begin) / 1000)
  clearTimeout(timer)
  const stats = rival.stats?.()
  await rival.close()
  rmSync(dir, { recursive: true, force: true })
  latencies.sort((a, b) => a - b)
  return { rate, p50: latencies[latencies.length >> 1], p99: latencies[Math.floor(latencies.length * 0.99)], stats }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]

export async function throughput(rounds = 5, seconds = 2) {
  const results = []
  for (const sessions of SESSIONS) {
    const runs = new Map(Object.keys(rivals).map((name) => [name, []]))
    for (let round = 0; round < rounds; round++) {
      for (const [name, open] of Object.entries(rivals)) {
        globalThis.gc?.()
        runs.get(name).push(await measure(open, sessions, seconds))
      }
    }
    for (const [name, measured] of runs) {
      const rates = measured.map(({ rate }) => rate)
      results.push({
        name,
        sessions,
        rate: Math.round(median(rates)),
        least: Math.round(Math.min(...rates)),
        most: Math.round(Math.max(...rates)),
        p50ms: Number(median(measured.map(({ p50 }) => p50)).toFixed(3)),
        p99ms: Number(median(measured.map(({ p99 }) => p99)).toFixed(3)),
      })
    }
  }
  return results
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.table(await throughput(Number(process.argv[2] ?? 5), Number(process.argv[3] ?? 2)))
}
