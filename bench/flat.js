// Whether a transition costs the same as everything around it grows: history, sessions, context. Processor time, not
// wall time, so that the disk does not blur it; each pair of sizes measured in turns, medians.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openRuntime } from 'holdfast'
import { tick } from './machine.js'

const EVENT = { type: 'tick' }
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]

/** µs of processor time a transition, over `count` transitions of sessions taken in turn, 64 at once. */
async function cost(sessions, count) {
  const start = process.cpuUsage()
  for (let done = 0; done < count; done += 64) {
    await Promise.all(Array.from({ length: 64 }, (_, i) => sessions[(done + i) % sessions.length].send(EVENT)))
  }
  const { user, system } = process.cpuUsage(start)
  return (user + system) / count
}

async function withRuntime(run) {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-flat-'))
  const runtime = await openRuntime({ dir, kinds: [tick], pool: 'inline' })
  try {
    return await run(runtime)
  } finally {
    await runtime.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

const create = (runtime, count, input = {}) =>
  Promise.all(Array.from({ length: count }, () => runtime.create(tick, input)))

/** Measures two set-ups in turns; gives both medians and their ratio. */
async function compare(what, small, large, rounds = 9, count = 6400) {
  const costs = { small: [], large: [] }
  await cost(small, count)
  await cost(large, count)
  for (let round = 0; round < rounds; round++) {
    globalThis.gc?.()
    costs.small.push(await cost(small, count))
    globalThis.gc?.()
    costs.large.push(await cost(large, count))
  }
  const [a, b] = [median(costs.small), median(costs.large)]
  return { what, small: `${a.toFixed(1)} µs`, large: `${b.toFixed(1)} µs`, ratio: Number((b / a).toFixed(2)) }
}

/** A context of many parts, `bytes` in all, of which a transition changes one number. */
const contextOf = (bytes) => ({
  parts: Array.from({ length: Math.ceil(bytes / 1024) }, (_, i) => ({ i, text: 'x'.repeat(1000) })),
})

export const flat = () =>
  withRuntime(async (runtime) => {
    const results = []
    const young = await create(runtime, 64)
    const old = await create(runtime, 64)
    while (old[0].snapshot().seq < 10_000) await Promise.all(old.map((session) => session.send(EVENT)))
    results.push(await compare('history: 10 against 10,000 transitions', young, old))
    const few = await create(runtime, 10)
    results.push(
      await compare(
        'context: 1 KB against 1 MB',
        await create(runtime, 8, contextOf(1024)),
        await create(runtime, 8, contextOf(1024 * 1024)),
      ),
    )
    const alone = await withRuntime(async (other) => {
      const ten = await create(other, 10)
      await create(runtime, 10_000)
      return compare('sessions: 10 against 10,000 in the runtime, ten driven', ten, few)
    })
    results.push(alone)
    return results
  })

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.table(await flat())
