// Real processes, really killed: what was acknowledged is there afterwards, and nothing else is.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openRuntime } from 'holdfast'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { counter } from '../fixtures/counter.js'

const SCRIPT = fileURLToPath(new URL('../fixtures/kill-me.js', import.meta.url))
const SESSIONS = 4
const KILLS = Number(process.env.HOLDFAST_KILLS ?? 100)

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-kill-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

interface Life {
  /** Last acknowledged event of each session. */
  readonly acknowledged: number[]
  /** What each session had when the process came up. */
  readonly found: (number | undefined)[]
  /** How many events were acknowledged. */
  acknowledgements: number
  /** What it died of; null when it ended by itself. */
  signal: NodeJS.Signals | null
}

/** Runs the process until `acks` events are acknowledged, then kills it at once. */
function live(acks: number, delayMs: number): Promise<Life> {
  const life: Life = {
    acknowledged: Array(SESSIONS).fill(0),
    found: Array(SESSIONS).fill(undefined),
    acknowledgements: 0,
    signal: null,
  }
  const child = spawn(process.execPath, [SCRIPT, dir, String(SESSIONS)], { stdio: ['ignore', 'pipe', 'inherit'] })
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [word, index, number] = line.split(' ') as [string, number, number]
    if (word === 'ready') life.found[Number(index)] = Number(number)
    if (word !== 'ack') return
    life.acknowledged[Number(index)] = Number(number)
    if (++life.acknowledgements === acks) setTimeout(() => child.kill('SIGKILL'), delayMs)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (_, signal) => resolve({ ...life, signal }))
  })
}

test(`no acknowledged event is lost over ${KILLS} kills under load, and none is invented`, async () => {
  let acknowledged: number[] = Array(SESSIONS).fill(0)
  for (let kill = 0; kill < KILLS; kill++) {
    const life = await live(1 + Math.floor(Math.random() * 200), Math.random() * 5)
    expect(life.signal, `what ended life ${kill}`).toBe('SIGKILL')
    expect(life.acknowledgements, `acknowledgements of life ${kill}`).toBeGreaterThan(0)
    for (const [index, found] of life.found.entries()) {
      if (found === undefined) continue
      const before = acknowledged[index] as number
      expect(found, `session ${index} after kill ${kill}`).toBeGreaterThanOrEqual(before)
      // One event of a session is under way at a time: at most that one may be there unacknowledged.
      expect(found, `session ${index} after kill ${kill}`).toBeLessThanOrEqual(before + 1)
    }
    acknowledged = life.acknowledged.map((last, index) =>
      Math.max(last, life.found[index] ?? 0, acknowledged[index] as number),
    )
  }
  await using runtime = await openRuntime({ dir, kinds: [counter] })
  for (const [index, last] of acknowledged.entries()) {
    const session = await runtime.create(counter, undefined, { idempotencyKey: `session-${index}` })
    const context = session.snapshot().context as unknown as { count: number; seen: string[] }
    expect(context.count).toBeGreaterThanOrEqual(last)
    expect(context.seen.at(-1)).toBe(`${index}-${context.count}`)
  }
}, 300_000)
