// R2: the power is cut in the middle of an opening, and again in the opening after it, and once more: whatever is left each
// time opens in the end, with everything that anybody was told of, and nothing else.
// Each chain begins with a cut in the middle of a life, and draws at each depth the call before which the power goes, or that
// the opening is done and has shown what it found. HOLDFAST_RUNS sets how many chains, HOLDFAST_SEED which.

import { expect, test } from 'vitest'
import type { JournalEntry } from '../../src/journal.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { must } from '../../src/testing/comparison.js'
import { type CrashDisk, createCrashDisk, type DiskCall } from '../../src/testing/disk.js'
import { openWorld, randomFates, type World } from '../../src/testing/world.js'
import { busy, busySteps, happen } from './busy.js'
import { changes, mustBegin, mustOpenAgain, openPorts, openWhole } from './remains.js'

const GATE = 1000
const CHAINS = Number(process.env.HOLDFAST_RUNS ?? GATE)
const SEED = Number(process.env.HOLDFAST_SEED ?? 2)
const DEPTH = 3
/** How many chains begin in one life. */
const BEGINNINGS = 20

/** What a cut has left: how many of `records` there were then, and how many of them somebody was told of. */
interface Remains {
  readonly disk: CrashDisk
  readonly records: readonly JournalEntry[]
  readonly due: number
}

/** A life of a new directory, and what cuts drawn from all over it have left. */
async function beginnings(seed: number, random: () => number): Promise<Remains[]> {
  const disk = createCrashDisk()
  const records: JournalEntry[] = []
  const drawn: Remains[] = []
  let world: World | undefined
  let calls = 0
  const onPoint = (phase: string, call: DiskCall): void => {
    if (phase === 'after' || !changes(call)) return
    const place = calls++ < BEGINNINGS ? calls - 1 : Math.floor(random() * calls)
    if (place >= BEGINNINGS) return
    const due = (world?.appended.findLastIndex(({ settled }) => settled) ?? -1) + 1
    drawn[place] = { disk: disk.crash(randomFates(random)), records: records.slice(), due }
  }
  const onAppend = (entry: JournalEntry): void => void records.push(entry)
  const journal = { segmentBytes: 2000, reserveBytes: seed % 2 === 0 ? 4096 : 0, stallMs: seed % 3 === 0 ? -1 : 1 }
  world = await openWorld({ disk, kinds: [busy], seed, steps: busySteps, journal, onPoint, onAppend })
  for (let count = 12; count > 0; count--) await happen(world, random)
  if (random() < 0.5) await world.runtime.close()
  return drawn
}

/** Opens what a cut has left, and cuts again: before any call that changes the disk, or when all is shown. */
async function cutAgain({ disk, records, due }: Remains, random: () => number, places: Set<string>): Promise<Remains> {
  let left: { disk: CrashDisk; at: string } | undefined
  let calls = 0
  const perhaps = (at: string): void => {
    if (random() * ++calls < 1) left = { disk: disk.crash(randomFates(random)), at }
  }
  disk.onCall = (_, call) => {
    if (changes(call)) perhaps(`${call.op} ${call.path.split('/')[0]}`)
    return undefined
  }
  const { ports } = await openPorts(disk)
  disk.onCall = undefined
  const found = [...ports.journal.scan(0)].length
  must(found >= due, `${found} of ${due} acknowledged records are found`)
  perhaps('shown')
  const { at, disk: next } = left as { disk: CrashDisk; at: string }
  places.add(at)
  return { disk: next, records, due: at === 'shown' ? found : due }
}

async function chain(remains: Remains, random: () => number, places: Set<string>): Promise<void> {
  let now = remains
  for (let depth = 0; depth < DEPTH; depth++) now = await cutAgain(now, random, places)
  const { disk, records, due } = now
  const found = await openWhole(disk)
  mustBegin(found, records)
  must(found.length >= due, `${found.length} of ${due} acknowledged records are found`)
  mustOpenAgain(disk.crash(), found)
}

test(`R2: the power is cut three times in a row while a directory is opened: ${CHAINS} chains`, {
  timeout: 0,
}, async () => {
  const places = new Set<string>()
  for (let seed = SEED, left = CHAINS; left > 0; seed++) {
    const { random } = createSeededChance(seed)
    const drawn = (await beginnings(seed, random)).slice(0, left)
    left -= drawn.length
    for (const [index, remains] of drawn.entries()) {
      const say = `seed ${seed}, beginning ${index}`
      await chain(remains, random, places).catch((cause) => {
        throw new Error(`${say}: ${(cause as Error).message}`, { cause })
      })
    }
  }
  console.log(`R2: ${CHAINS} chains, each cut ${DEPTH} times, in ${places.size} kinds of place`)
  if (CHAINS < GATE) return
  for (const place of ['sync journal', 'rename journal', 'syncFolder journal', 'create quarantine', 'shown']) {
    expect(places).toContain(place)
  }
})
