// R10: the shipped runtime under seeded faults of every kind, an hour of virtual time a seed; every invariant holds.
// Two files live half of the seeds each, side by side. HOLDFAST_SEEDS sets how many are lived in all, HOLDFAST_SEED the first;
// `npm run simulate` does both.

import { expect, onTestFinished } from 'vitest'
import { simulate } from '../../src/testing/simulate.js'
import { busy } from './busy.js'
import { household, stumbleBy } from './household.js'

const HALF = Math.ceil(Number(process.env.HOLDFAST_SEEDS ?? 2000) / 2)
const FIRST = Number(process.env.HOLDFAST_SEED ?? 1)

const replay = (seed: number): string => `npm run simulate -- --seed ${seed}`

export function live(seed: number, more: Partial<Parameters<typeof simulate>[0]> = {}): ReturnType<typeof simulate> {
  stumbleBy(seed)
  return simulate({
    kinds: [busy, household],
    seed,
    steps: { shout: ({ text }: { text: string }) => text.toUpperCase() },
    replay,
    ...more,
  })
}

/** Lives the first or the second half of the seeds, and tells what that was. */
export async function liveHalf(half: 0 | 1): Promise<void> {
  // What fails here fails on purpose, and need not say where in the code that was.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  onTestFinished(() => {
    Error.stackTraceLimit = stackTraceLimit
  })
  const began = performance.now()
  const before = process.cpuUsage()
  const totals = { lives: 0, records: 0, acknowledged: 0, dropped: 0 }
  const faults = new Map<string, number>()
  const first = FIRST + half * HALF
  for (let seed = first; seed < first + HALF; seed++) {
    const report = await live(seed)
    for (const name of ['lives', 'records', 'acknowledged', 'dropped'] as const) totals[name] += report[name]
    for (const [fault, count] of Object.entries(report.faults)) faults.set(fault, (faults.get(fault) ?? 0) + count)
  }
  const all = [...faults.values()].reduce((sum, count) => sum + count, 0)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  const { user, system } = process.cpuUsage(before)
  const each = ((user + system) / 1000 / HALF).toFixed(0)
  console.log(
    `R10: ${HALF} seeds from ${first} on in ${seconds} s, ${each} ms of processor time each: ${JSON.stringify(totals)}, ` +
      `${all} faults: ${JSON.stringify([...faults])}`,
  )
  if (HALF < 20) return
  expect(totals.dropped, 'records that compactions have dropped').toBeGreaterThan(0)
  const kinds = ['EIO', 'ENOSPC', 'clock jump', 'crash', 'kill', 'slow disk', 'slow observer', 'throwing observer']
  expect([...faults.keys()].sort()).toEqual([...kinds, 'worker death'])
}
