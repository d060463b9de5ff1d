// R1, first form: lives after lives on one directory, and the power is cut at every call to the disk of all of them,
// openings and closings included; within a batch that is being synced, at every byte.
// Whatever the disk may then hold, a runtime opens on it and finds exactly a prefix of what was done, with everything
// acknowledged in it: nothing lost, nothing invented, nothing out of order; what sessions show is the fold of their records;
// opening once more changes nothing. HOLDFAST_RUNS sets how many chains of lives there are, HOLDFAST_SEED which.

import { expect, test } from 'vitest'
import type { Clock } from '../../src/clock.js'
import { readAll } from '../../src/disk.js'
import { openFileJournal } from '../../src/files/journal.js'
import { HEADER_BYTES } from '../../src/files/segment.js'
import { createInlinePool } from '../../src/inline/pool.js'
import type { JournalEntry } from '../../src/journal.js'
import { openFiles } from '../../src/open.js'
import { type Folding, fold } from '../../src/rehydrate.js'
import { createRuntime } from '../../src/runtime.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { must, mustEqual } from '../../src/testing/comparison.js'
import { type CrashDisk, createCrashDisk, type DiskCall } from '../../src/testing/disk.js'
import { type Appended, openWorld, randomFates, START_MS, settle, type World } from '../../src/testing/world.js'
import { busy, busySteps, everybody, happen } from './busy.js'

const CHAINS = Number(process.env.HOLDFAST_RUNS ?? 8)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const LIVES = 4
const DAY_MS = 86_400_000

/** How far the combinations of what is pending go at each cut; `test/testing/disk.test.ts` says what they are. */
const LARGE_BYTES = 64 * 1024
const LIMITS = { operations: 6, tornTogether: 2, pieces: 3 }

/** Time stands still in it, and nothing is ever flushed: what was found can be looked at in peace. */
const still: Clock = { now: () => START_MS, elapsed: () => 0, setTimeout: () => () => {}, soon: () => {} }

/** What may be found after a cut: a beginning of `base` and then `appended`, and of that at least `due` records. */
interface Done {
  readonly base: readonly JournalEntry[]
  readonly appended: readonly Appended[]
  readonly due: number
  readonly opening: boolean
}

interface Cut extends Done {
  readonly disk: CrashDisk
  readonly at: string
}

class Explorer {
  states = 0
  /** How many states come from cuts at what kind of place. */
  readonly places = new Map<string, number>()
  /** Distinct states, and how many records each has. */
  readonly #found = new Map<string, number | undefined>()
  #cuts: (Cut & { readonly digest: string })[] = []

  get distinct(): number {
    return this.#found.size
  }

  /** Takes down what a cut now may leave; of some batches that are being synced, every byte. */
  cut(disk: CrashDisk, call: DiskCall, done: Done, random: () => number): void {
    const at = `before ${call.op} ${call.path}`
    const before = this.states
    for (const after of statesAfter(disk, random)) this.#note({ ...done, disk: after, at })
    if (isBatch(call) && random() < (done.opening ? 0.02 : 0.2)) this.#cutInside(disk, at, done)
    const place = placeOf(call, done)
    this.places.set(place, (this.places.get(place) ?? 0) + this.states - before)
  }

  #cutInside(disk: CrashDisk, at: string, done: Done): void {
    const { pending } = disk
    const last = pending.findLastIndex(({ kind }) => kind === 'write')
    for (let bytes = (pending[last]?.bytes ?? 0) - 1; bytes > 0; bytes--) {
      const after = disk.crash((_, index) => (index === last ? { bytes } : 'kept'))
      this.#note({ ...done, disk: after, at: `${at}, torn after byte ${bytes}` })
    }
  }

  /** Looks at what was taken down: each state once, and again only at how much of it is due by now. */
  async examine(): Promise<void> {
    for (const cut of this.#cuts.splice(0)) {
      try {
        let found = this.#found.get(cut.digest)
        if (found === undefined) {
          found = await examine(cut)
          this.#found.set(cut.digest, found)
          if (this.distinct % 50 === 0) await use(cut.disk.crash())
        }
        must(found >= cut.due, `${found} of ${cut.due} acknowledged records are found`)
      } catch (error) {
        throw new Error(`after a cut ${cut.at}: ${(error as Error).message}`, { cause: error })
      }
    }
  }

  #note(cut: Cut): void {
    this.states++
    const digest = cut.disk.digest()
    if (!this.#found.has(digest)) this.#found.set(digest, undefined)
    this.#cuts.push({ ...cut, digest })
  }
}

/** Every combination within the limits; of space reserved by the hundred kilobytes, some. */
function* statesAfter(disk: CrashDisk, random: () => number): Generator<CrashDisk> {
  if (disk.pending.some(({ bytes }) => bytes > LARGE_BYTES)) {
    for (let count = 16; count > 0; count--) yield disk.crash(randomFates(random))
  } else {
    for (const { disk: after } of disk.crashStates(LIMITS)) yield after
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

/** Opens what a cut has left, twice; gives how many records there are. */
async function examine({ disk, base, appended }: Cut): Promise<number> {
  const found = await openWhole(disk)
  must(
    found.length <= base.length + appended.length,
    `${found.length - base.length} of ${appended.length} records are found`,
  )
  for (const [index, entry] of found.entries()) mustBeSame(entry, base[index] ?? appended[index - base.length], index)
  const epoch = epochOf(disk)
  const again = disk.crash()
  const { journal } = openFileJournal(again, still)
  const records = [...journal.scan(0)]
  mustEqual(records.length, found.length, 'the records of a second opening')
  for (const [index, entry] of records.entries()) mustBeSame(entry, found[index], index)
  mustEqual(epochOf(again), epoch + 1, 'the epoch of a second opening')
  return found.length
}

/** What a cut has left can be worked with: every session that may be there is, acts, and is as it was when it is back. */
async function use(disk: CrashDisk): Promise<void> {
  const world = await openWorld({ disk, kinds: [busy], nowMs: START_MS + DAY_MS, steps: busySteps })
  await everybody(world)
  await world.clock.advance(200)
  await world.runtime.close()
  mustEqual(world.complaints, [], 'what was logged while it was used')
  const durable = [...(await openWhole(disk)).slice(-world.appended.length)]
  for (const [index, entry] of durable.entries()) mustBeSame(entry, world.appended[index], index)
}

/** The epoch of the last writer. */
function epochOf(disk: CrashDisk): number {
  const last = disk.list('journal').findLast((name) => name.endsWith('.jsonl'))
  const header = Buffer.from(readAll(disk, `journal/${last}`) ?? []).toString('latin1', 0, HEADER_BYTES)
  return Number(/"epoch":(\d+)/.exec(header)?.[1])
}

/** Opens a directory as a process does; what its sessions show must be the fold of its records. Gives the records. */
async function openWhole(disk: CrashDisk): Promise<JournalEntry[]> {
  const complaints: string[] = []
  const complain = (_: object, message: string): void => void (message.includes('torn') || complaints.push(message))
  const logger = { info: () => {}, warn: complain, error: complain }
  const chance = createSeededChance(1)
  const pool = () => createInlinePool({ clock: still, load: async () => ({}) })
  const { ports, damage } = await openFiles(disk, [busy], still, chance, logger, pool)
  const runtime = await createRuntime(ports, { kinds: [busy], damage, logger })
  const records = [...ports.journal.scan(0)]
  const { sessions } = runtime.sessions.list({}, { limit: 1000 })
  const states = foldAll(records)
  mustEqual(sessions.map(({ id }) => id).sort(), [...states.keys()].sort(), 'the sessions')
  for (const [id, state] of states) {
    const { seq, value, context, status, output } = runtime.session(id).snapshot()
    mustEqual(
      { seq, value, context, status, output },
      { seq: state.seq, value: state.value, context: state.context, status: state.status, output: state.output },
      `session ${id}`,
    )
  }
  mustEqual(complaints, [], 'what was logged')
  return records
}

/** The state of every session that is not deleted. Throws when a session's records do not follow each other. */
function foldAll(records: readonly JournalEntry[]): Map<string, Folding> {
  const states = new Map<string, Folding>()
  for (const { record, position } of records) {
    const state = fold(states.get(record.session), JSON.parse(JSON.stringify(record)), position)
    if (record.deleted) states.delete(record.session)
    else states.set(record.session, state)
  }
  return states
}

/** As stored, a record also has its batch, which only the journal knows. */
function mustBeSame(found: JournalEntry, done: JournalEntry | undefined, index: number): void {
  const same = done && found.position === done.position && text(found) === text(done)
  must(same === true, `record ${index} is ${text(found)} and was ${done && text(done)}`)
}

function text({ record }: JournalEntry): string {
  const { batch: _, ...rest } = record as JournalEntry['record'] & { readonly batch?: number }
  return JSON.stringify(rest)
}

const recordsOf = (disk: CrashDisk): JournalEntry[] => [...openFileJournal(disk, still).journal.scan(0)]

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
  const base = recordsOf(disk.clone())
  const closes = random() < 0.4
  let world: World | undefined
  let remains: Remains | undefined
  let ending = false
  const onPoint = (phase: string, call: DiskCall): void => {
    if (phase === 'after' || remains) return
    const appended = world?.appended.slice() ?? []
    // Whoever opens shows all that it finds.
    const due = world ? base.length + appended.findLastIndex(({ settled }) => settled) + 1 : carried
    explorer.cut(disk, call, { base, appended, due, opening: !world }, random)
    if (!ending || !isBatch(call)) return
    remains = {
      disk: random() < 0.5 ? cutLast(disk, random) : disk.clone(),
      due,
      nowMs: (world?.clock.now() ?? nowMs) + 1,
    }
  }
  // Every fourth directory has a journal as a process opens it: it reserves space by the hundred kilobytes, and never rolls.
  const options = { kinds: [busy], seed, steps: busySteps }
  const journal =
    seed % 4 === 0
      ? {}
      : { segmentBytes: 3000, stallMs: seed % 2 === 0 ? -1 : 1, reserveBytes: seed % 4 === 1 ? 4096 : 0 }
  world = await openWorld({ ...options, disk, nowMs, journal, onPoint })
  for (let count = 10; count > 0; count--) {
    await happen(world, random)
    await explorer.examine()
  }
  if (closes) await world.runtime.close()
  for (ending = true; !closes && !remains; ) {
    await happen(world, random)
    await settle(world)
  }
  await explorer.examine()
  return remains ?? { disk: disk.crash(), due: base.length + world.appended.length, nowMs: world.clock.now() + 1 }
}

/** What stays when the power is cut within the last write. */
function cutLast(disk: CrashDisk, random: () => number): CrashDisk {
  const { pending } = disk
  const last = pending.findLastIndex(({ kind }) => kind === 'write')
  return disk.crash((operation, index) => (index === last ? { bytes: Math.floor(random() * operation.bytes) } : 'kept'))
}

const isBatch = ({ op, path }: DiskCall): boolean => op === 'sync' && path.startsWith('journal/')

test(`the power is cut anywhere in ${CHAINS} chains of ${LIVES} lives`, { timeout: 600_000 }, async () => {
  const explorer = new Explorer()
  for (let seed = SEED; seed < SEED + CHAINS; seed++) await chain(seed, explorer)
  const places = [...explorer.places].map(([place, states]) => `${place} ${states}`).join(', ')
  console.log(`${explorer.states} states after a cut, ${explorer.distinct} of them distinct: ${places}`)
  expect(explorer.distinct).toBeGreaterThanOrEqual(20_000)
  expect([...explorer.places.keys()].sort()).toEqual(PLACES.toSorted())
})
