// R10: the shipped runtime under seeded faults of every kind, an hour of virtual time a seed; every invariant holds.
// HOLDFAST_SEEDS sets how many seeds are lived, HOLDFAST_SEED the first; `npm run simulate` does both.

import { expect, test } from 'vitest'
import type { Disk, DiskFile } from '../../src/disk.js'
import { isHoldfastError } from '../../src/errors.js'
import { simulate } from '../../src/testing/simulate.js'
import { busy } from './busy.js'
import { household, stumbleBy } from './household.js'

const SEEDS = Number(process.env.HOLDFAST_SEEDS ?? 1000)
const FIRST = Number(process.env.HOLDFAST_SEED ?? 1)

const replay = (seed: number): string => `npm run simulate -- --seed ${seed}`

function live(seed: number, more: Partial<Parameters<typeof simulate>[0]> = {}): ReturnType<typeof simulate> {
  stumbleBy(seed)
  return simulate({
    kinds: [busy, household],
    seed,
    steps: { shout: ({ text }: { text: string }) => text.toUpperCase() },
    replay,
    ...more,
  })
}

test(`in ${SEEDS} simulated hours with faults every invariant holds`, { timeout: 0 }, async () => {
  // What fails here fails on purpose, and need not say where in the code that was.
  Error.stackTraceLimit = 0
  const began = performance.now()
  const before = process.cpuUsage()
  const totals = { lives: 0, records: 0, acknowledged: 0, dropped: 0 }
  const faults = new Map<string, number>()
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const report = await live(seed)
    for (const name of ['lives', 'records', 'acknowledged', 'dropped'] as const) totals[name] += report[name]
    for (const [fault, count] of Object.entries(report.faults)) faults.set(fault, (faults.get(fault) ?? 0) + count)
  }
  const all = [...faults.values()].reduce((sum, count) => sum + count, 0)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  const { user, system } = process.cpuUsage(before)
  const each = ((user + system) / 1000 / SEEDS).toFixed(0)
  console.log(
    `R10: ${SEEDS} seeds in ${seconds} s, ${each} ms of processor time each: ${JSON.stringify(totals)}, ` +
      `${all} faults: ${JSON.stringify([...faults])}`,
  )
  if (SEEDS < 20) return
  expect(totals.dropped, 'records that compactions have dropped').toBeGreaterThan(0)
  const kinds = ['EIO', 'ENOSPC', 'clock jump', 'crash', 'kill', 'slow disk', 'slow observer', 'throwing observer']
  expect([...faults.keys()].sort()).toEqual([...kinds, 'worker death'])
})

test('the same seed is the same hour to the last call to the disk, and another is another', async () => {
  const [one, again, other] = [await live(7), await live(7), await live(8)]
  expect(again).toEqual(one)
  expect(other.hash).not.toBe(one.hash)
})

/** A disk whose files say that they are synced, and are not. */
const lying = (disk: Disk): Disk => {
  const lie = (file: DiskFile): DiskFile => ({
    ...{ path: file.path, size: () => file.size(), close: () => file.close() },
    readSync: (into, position) => file.readSync(into, position),
    writeSync: (bytes, position) => file.writeSync(bytes, position),
    write: (bytes, position) => file.write(bytes, position),
    syncSync: () => {},
    sync: () => Promise.resolve(),
  })
  const openRead = (path: string): DiskFile | undefined => {
    const file = disk.openRead(path)
    return file && lie(file)
  }
  return {
    ...{ location: disk.location, openRead, create: (path) => lie(disk.create(path)) },
    list: (folder) => disk.list(folder),
    makeFolder: (folder) => disk.makeFolder(folder),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncFolder: (folder) => disk.syncFolder(folder),
    lock: (path) => disk.lock(path),
  }
}

const failureOf = async (more: Partial<Parameters<typeof simulate>[0]>): Promise<string> => {
  for (let seed = 1; seed <= 20; seed++) {
    const failed = await live(seed, more).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (isHoldfastError(failed, 'SIMULATION_FAILED')) return failed.message
    if (failed) throw failed
  }
  return 'nothing was found'
}

test('syncs that are missing are found; the least that shows it is told as a story, with the command that lives it again', async () => {
  const message = await failureOf({ wrapDisk: lying })
  expect(message).toMatch(
    /^seed \d+: nothing leaves before its record is durable: .*, which a power cut could have undone\n/,
  )
  expect(message).toMatch(/\nthe least that was found: [\d.]+ of 60 minutes, \d+ faults drawn, \d+ of them left out\n/)
  expect(message).toMatch(/\n {2}life 1 opens\n/)
  expect(message).toMatch(/\nlive it again: npm run simulate -- --seed \d+$/)
})

test('an invariant of one’s own is held, too, and what it takes to break it is little', async () => {
  const message = await failureOf({
    invariants: {
      'nobody counts to three': ({ snapshots }) => snapshots.find(({ context }) => context.count >= 3)?.id,
    },
  })
  expect(message).toMatch(/^seed \d+: nobody counts to three: s\d+/)
  const [, minutes] = /found: ([\d.]+) of 60 minutes/.exec(message) ?? []
  expect(Number(minutes)).toBeLessThan(60)
})

test('faults that are not needed are left out, as far as that is tried', async () => {
  const crash = 'crash'
  const message = await failureOf({
    invariants: {
      'no power cut': ({ entries }) => entries.find((one) => one.what === 'fault' && one.fault === crash) && crash,
    },
  })
  expect(message).toContain('no power cut: crash')
  const faults = message.match(
    /\n +(crash|kill|EIO|ENOSPC|slow disk|clock jump|throwing observer|slow observer|worker death)\b/g,
  )
  expect(faults?.length).toBeLessThanOrEqual(4)
})
