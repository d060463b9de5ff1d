// R10, the first half of the seeds (see `hours.ts`), and what the simulation promises of itself: the same seed is the same hour,
// what is broken on purpose is found, and told by the least that shows it.

import { expect, test } from 'vitest'
import type { Disk, DiskFile } from '../../src/disk.js'
import { isHoldfastError } from '../../src/errors.js'
import type { simulate } from '../../src/testing/simulate.js'
import { live, liveHalf } from './hours.js'

test('in the first half of the simulated hours every invariant holds, whatever fails', { timeout: 0 }, () =>
  liveHalf(0),
)

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
