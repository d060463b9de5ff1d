// R1: lives after lives on one directory, and the power is cut at every call to the disk of all of them, openings and
// closings included: every subset of up to 8 pending operations, each write torn at its first, middle and last byte, and
// some batches at every byte. How the states are looked at:
//   each distinct one     its journal is opened as a writer does; what that leaves is durable, and ends where a record ends
//   each journal left     all its records are a beginning of what was done; a second opening finds the same bytes
//   each combination      of a journal found and all other files: a whole runtime opens, its sessions are the fold
//   one in 1000           a whole runtime opens on it, whatever was looked at before, and is worked with
// So of states that one opening makes the same, what follows is looked at once. HOLDFAST_RUNS sets how many chains of lives
// there are, HOLDFAST_SEED which.

import { expect, test } from 'vitest'
import type { JournalEntry } from '../../src/journal.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { must, mustEqual } from '../../src/testing/comparison.js'
import { type CrashDisk, createCrashDisk, type DiskCall, type Fate } from '../../src/testing/disk.js'
import { fatesOf } from '../../src/testing/disk-fates.js'
import { openWorld, randomFates, START_MS, settle, type World } from '../../src/testing/world.js'
import { busy, busySteps, happen } from './busy.js'
import { changes, mustBegin, mustOpenAgain, mustWork, openJournal, openWhole } from './remains.js'

const GATE = 52
const CHAINS = Number(process.env.HOLDFAST_RUNS ?? GATE)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const LIVES = 3
const HAPPENINGS = 5

/** How far the combinations of what is pending go at each cut; `test/testing/disk.test.ts` says what they are. */
const LARGE_BYTES = 64 * 1024
const LIMITS = { operations: 8, tornTogether: 3, pieces: 4 }
/** Of so many distinct states, one is opened as a whole and worked with. */
const SAMPLE = 1000

const isJournal = (path: string): boolean => path.startsWith('journal/')
const isOther = (path: string): boolean => !isJournal(path) && !path.startsWith('quarantine/')

/** What was done up to a cut, and how much of it somebody was told of. */
interface Done {
  readonly records: readonly JournalEntry[]
  readonly due: number
  readonly opening: boolean
}

class Explorer {
  states = 0
  openings = 0
  /** How many states come from cuts at what kind of place. */
  readonly places = new Map<string, number>()
  /** Distinct states, and how many records each has. */
  readonly #found = new Map<string, number>()
  /** Journals that an opening has left in this life, and their records. */
  readonly #journals = new Map<string, readonly JournalEntry[]>()
  readonly #combinations = new Set<string>()
  #waiting: { readonly disk: CrashDisk; readonly at: string; readonly found: readonly JournalEntry[] }[] = []

  get distinct(): number {
    return this.#found.size
  }

  /** Takes in what a cut now may leave; of some batches that are being synced, every byte. */
  cut(disk: CrashDisk, call: DiskCall, done: Done, random: () => number): void {
    const at = `before ${call.op} ${call.path}`
    const before = this.states
    for (const after of statesAfter(disk, random)) this.#take(() => disk.crash(after), at, done)
    if (isBatch(call) && random() < (done.opening ? 0.05 : 0.6)) this.#cutInside(disk, at, done)
    const place = placeOf(call, done)
    this.places.set(place, (this.places.get(place) ?? 0) + this.states - before)
  }

  /** Opens as a whole what was taken in and is not like what was opened before. */
  async openAll(): Promise<void> {
    for (const { disk, at, found } of this.#waiting.splice(0)) {
      await saying(at, async () => {
        const sampled = ++this.openings % 50 === 0
        const records = await openWhole(sampled ? disk.crash() : disk)
        mustEqual(records.length, found.length, 'the records that a runtime finds')
        mustBegin(records, found)
        if (sampled) await mustWork(disk)
      })
    }
  }

  /** What one opening makes the same is the same only within a life. */
  async beginLife(): Promise<void> {
    await this.openAll()
    this.#journals.clear()
    this.#combinations.clear()
  }

  #cutInside(disk: CrashDisk, at: string, done: Done): void {
    const { pending } = disk
    const last = pending.findLastIndex(({ kind }) => kind === 'write')
    for (let bytes = (pending[last]?.bytes ?? 0) - 1; bytes > 0; bytes--) {
      const after = () => disk.crash((_, index) => (index === last ? { bytes } : 'kept'))
      this.#take(after, `${at}, torn after byte ${bytes}`, done)
    }
  }

  #take(after: () => CrashDisk, at: string, done: Done): void {
    this.states++
    const disk = after()
    const digest = disk.digest().slice(0, 12)
    saying(at, () => {
      const found = this.#found.get(digest) ?? this.#recover(disk, after, at, done)
      this.#found.set(digest, found)
      must(found >= done.due, `${found} of ${done.due} acknowledged records are found`)
    })
  }

  /** Opens the journal on `disk`, which `after` makes again; gives how many records there are. */
  #recover(disk: CrashDisk, after: () => CrashDisk, at: string, { records }: Done): number {
    const others = disk.digest(isOther)
    const { journal, damage } = openJournal(disk)
    must(
      damage.every(({ kind }) => kind === 'torn'),
      `a torn end is taken for ${JSON.stringify(damage)}`,
    )
    must(!disk.pending.some(({ text }) => text.includes(' journal/')), 'an opening shows what is not durable')
    const key = disk.digest(isJournal)
    let found = this.#journals.get(key)
    if (!found) {
      found = [...journal.scan(0)]
      mustBegin(found, records)
      mustOpenAgain(disk.crash(), found)
      this.#journals.set(key, found)
    }
    const combination = `${found.length} ${journal.end} ${others}`
    if (!this.#combinations.has(combination) || this.distinct % SAMPLE === 0) {
      this.#combinations.add(combination)
      this.#waiting.push({ disk: after(), at, found })
    }
    return found.length
  }
}

function saying<T>(at: string, act: () => T): T {
  const say = (error: unknown): never => {
    throw new Error(`after a cut ${at}: ${(error as Error).message}`, { cause: error })
  }
  try {
    const result = act()
    return result instanceof Promise ? (result.catch(say) as T) : result
  } catch (error) {
    return say(error)
  }
}

type Fates = Parameters<CrashDisk['crash']>[0]

/** Every combination within the limits; of space reserved by the hundred kilobytes, some. */
function* statesAfter(disk: CrashDisk, random: () => number): Generator<Fates> {
  const { pending } = disk
  if (pending.some(({ bytes }) => bytes > LARGE_BYTES)) {
    for (let count = 16; count > 0; count--) {
      const fates = pending.map(randomFates(random))
      yield (_, index) => fates[index] as Fate
    }
  } else {
    for (const fates of fatesOf(pending, LIMITS)) yield (_, index) => fates[index] as Fate
  }
}

const PLACES = ['opening', 'batch', 'segment', 'snapshot', 'removal', 'index', 'quarantine', 'directory file']

function placeOf({ op, path }: DiskCall, { opening }: Done): string {
  if (path.startsWith('quarantine')) return 'quarantine'
  if (path.startsWith('holdfast.json')) return 'directory file'
  if (opening) return 'opening'
  if (path.startsWith('index')) return 'index'
  if (path.startsWith('sessions')) return op === 'remove' ? 'removal' : 'snapshot'
  return op === 'write' || op === 'sync' ? 'batch' : 'segment'
}

/** A directory after a life, and how many of its records have been seen by anybody. */
interface Remains {
  readonly disk: CrashDisk
  readonly due: number
  readonly nowMs: number
}

/** One directory through several lives. */
async function chain(seed: number, explorer: Explorer): Promise<void> {
  const { random } = createSeededChance(seed)
  let remains: Remains = { disk: createCrashDisk(), due: 0, nowMs: START_MS }
  for (let life = 0; life < LIVES; life++) remains = await live(remains, seed, random, explorer)
}

/** A life is ended by closing, by a cut within a batch, or by the death of its process, which leaves what it had written. */
async function live({ disk, due: carried, nowMs }: Remains, seed: number, random: () => number, explorer: Explorer) {
  await explorer.beginLife()
  const records: JournalEntry[] = [...openJournal(disk.clone()).journal.scan(0)]
  const before = records.length
  const closes = random() < 0.4
  let world: World | undefined
  let remains: Remains | undefined
  let ending = false
  // Whoever opens shows all that it finds.
  const dueNow = (): number => (world ? before + world.appended.findLastIndex(({ settled }) => settled) + 1 : carried)
  const onPoint = (phase: string, call: DiskCall): void => {
    if (phase === 'after' || remains || !changes(call)) return
    const due = dueNow()
    explorer.cut(disk, call, { records, due, opening: !world }, random)
    if (!ending || !isBatch(call)) return
    remains = {
      disk: random() < 0.5 ? cutLast(disk, random) : disk.clone(),
      due,
      nowMs: (world?.clock.now() ?? nowMs) + 1,
    }
  }
  // Every sixteenth directory has a journal as a process opens it: it reserves space by the hundred kilobytes, and never rolls.
  const options = { kinds: [busy], seed, steps: busySteps, onAppend: (entry: JournalEntry) => void records.push(entry) }
  const journal =
    seed % 16 === 0
      ? {}
      : {
          segmentBytes: [1500, 3000, 5000][seed % 3] as number,
          stallMs: seed % 2 === 0 ? -1 : 1,
          reserveBytes: seed % 4 === 1 ? 4096 : 0,
        }
  world = await openWorld({ ...options, disk, nowMs, journal, onPoint })
  for (let count = HAPPENINGS; count > 0; count--) {
    await happen(world, random)
    await explorer.openAll()
  }
  if (closes) await world.runtime.close()
  for (ending = true; !closes && !remains; ) {
    await happen(world, random)
    await settle(world)
  }
  await explorer.openAll()
  return remains ?? { disk: disk.crash(), due: before + world.appended.length, nowMs: world.clock.now() + 1 }
}

/** What stays when the power is cut within the last write. */
function cutLast(disk: CrashDisk, random: () => number): CrashDisk {
  const { pending } = disk
  const last = pending.findLastIndex(({ kind }) => kind === 'write')
  return disk.crash((operation, index) => (index === last ? { bytes: Math.floor(random() * operation.bytes) } : 'kept'))
}

const isBatch = ({ op, path }: DiskCall): boolean => op === 'sync' && path.startsWith('journal/')

test(`R1: the power is cut anywhere in ${CHAINS} chains of ${LIVES} lives`, { timeout: 0 }, async () => {
  const explorer = new Explorer()
  for (let seed = SEED; seed < SEED + CHAINS; seed++) await chain(seed, explorer)
  await explorer.openAll()
  const { states, distinct, openings } = explorer
  const places = [...explorer.places].map(([place, count]) => `${place} ${count}`).join(', ')
  console.log(
    `R1: ${states} states after a cut, ${distinct} of them distinct, ${openings} opened as a whole (${places})`,
  )
  if (CHAINS < GATE) return
  expect(states).toBeGreaterThanOrEqual(250_000)
  expect([...explorer.places.keys()].sort()).toEqual(PLACES.toSorted())
})
