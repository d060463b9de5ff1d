// R7 for a database: bits of the file and of its log are flipped, both are cut, one is taken away or is an earlier one. Each time
// it is opened and all of it is read. It is refused by code, or every session is as it was after one and the same record, or says
// that it cannot be read. An earlier moment is shown only where the log has lost its end, which nothing can tell from an end
// that was never written. HOLDFAST_EVERY=1 tries every bit and cut; by default every 19,997th, beginning where HOLDFAST_SEED says.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { defineSession, isHoldfastError, type Runtime } from 'holdfast'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { createInlinePool } from '../../src/inline/pool.js'
import type { JournalEntry } from '../../src/journal.js'
import { fold } from '../../src/rehydrate.js'
import { createRuntime } from '../../src/runtime.js'
import { sqliteStorage } from '../../src/sqlite/storage.js'
import { systemChance } from '../../src/system/chance.js'
import { systemClock } from '../../src/system/clock.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { newFolder, quiet, worldOf } from './opened.js'

const EVERY = Number(process.env.HOLDFAST_EVERY ?? 19_997)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const offsetOf = (salt: number): number => Math.floor(createSeededChance(SEED + salt).random() * EVERY)

const diary = defineSession({
  kind: 'diary',
  version: 1,
  machine: setup({
    types: { context: {} as { lines: string[] }, events: {} as { type: 'write'; line: string } },
  }).createMachine({
    context: { lines: [] },
    on: { write: { actions: assign({ lines: ({ context, event }) => [...context.lines, event.line].slice(-4) }) } },
  }),
})

/** The files of a database: its own, and its log where the owner did not close it. */
interface Files {
  readonly db: Buffer
  readonly log: Buffer | undefined
}

interface Corpus {
  readonly name: string
  readonly files: Files
  /** As they were some time before. */
  readonly earlier: Files
  readonly records: readonly JournalEntry[]
  /** Of each session, what it was after so many records of all. */
  readonly states: ReadonlyMap<string, readonly unknown[]>
}

let folder: string
let corpora: Corpus[]
beforeAll(async () => {
  folder = newFolder()
  corpora = [await makeCorpus('closed', true), await makeCorpus('crashed', false)]
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const path = (): string => join(folder, 'rot.db')

function put({ db, log }: Files): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  writeFileSync(path(), db)
  if (log) writeFileSync(`${path()}-wal`, log)
}

const taken = (): Files => ({ db: readFileSync(path()), log: readFileSync(`${path()}-wal`) })

interface Opened {
  readonly runtime: Runtime
  readonly scanned: readonly JournalEntry[]
}

async function open(onAppend: (entry: JournalEntry) => void = () => {}): Promise<Opened> {
  const world = worldOf(quiet)
  const { ports, damage } = sqliteStorage({ path: path(), portionBytes: 1 }).open(world, {})
  try {
    const scanned = [...ports.journal.scan(ports.journal.begin, () => {})]
    const { append } = ports.journal
    ports.journal.append = (record, waiter) => {
      const position = append.call(ports.journal, record, waiter)
      onAppend({ record, position })
      return position
    }
    const pool = createInlinePool({ clock: systemClock })
    const all = { ...ports, pool, clock: systemClock, chance: systemChance }
    return { runtime: await createRuntime(all, { kinds: [diary], logger: quiet, damage }), scanned }
  } catch (error) {
    ports.release?.()
    throw error
  }
}

async function makeCorpus(name: string, closed: boolean): Promise<Corpus> {
  const records: JournalEntry[] = []
  const { random } = createSeededChance(closed ? 1 : 2)
  put({ db: Buffer.alloc(0), log: undefined })
  const note = (entry: JournalEntry): void => void records.push(entry)
  let { runtime } = await open(note)
  const ids = ['a', 'b', 'c', 'd']
  for (const id of ids) await runtime.create(diary, undefined, { id })
  let earlier: Files | undefined
  for (let round = 0; round < 24; round++) {
    const line = (): string => `${round} ${'x'.repeat(Math.floor(random() ** 4 * 3000))}`
    const some = ids.filter(() => random() < 0.6)
    await Promise.all(some.map((id) => runtime.session(id, diary).send({ type: 'write', line: line() })))
    if (round === 10) await runtime.compact({ keepBytes: 2000 })
    if (round === 14) earlier = taken()
    if (round !== 18) continue
    // What it holds is in the file, and the log begins anew.
    await runtime.close()
    runtime = (await open(note)).runtime
  }
  const files = closed ? undefined : taken()
  await runtime.close()
  const left = files ?? { db: readFileSync(path()), log: undefined }
  return { name, files: left, earlier: earlier as Files, records, states: statesAfter(records, ids) }
}

const shownOf = ({ seq, value, context }: { seq: number; value: unknown; context: unknown }): unknown =>
  JSON.parse(JSON.stringify({ seq, value, context }))

function statesAfter(records: readonly JournalEntry[], ids: readonly string[]): Map<string, unknown[]> {
  const states = new Map<string, unknown[]>(ids.map((id) => [id, [undefined]]))
  const folded = new Map<string, ReturnType<typeof fold>>()
  for (const { record, position } of records) {
    const state = fold(folded.get(record.session), JSON.parse(JSON.stringify(record)), position)
    folded.set(record.session, state)
    for (const [id, list] of states) list.push(id === record.session ? shownOf(state) : list.at(-1))
  }
  return states
}

type Verdict = 'refused' | 'whole' | 'named' | 'earlier'

const REFUSALS = ['JOURNAL_CORRUPT', 'FORMAT_NEWER', 'INVALID_ARGUMENT'] as const // which include: a database of another program

/** Opens changed files, and throws what is unsound about what is shown. */
async function judge({ records, states }: Corpus, files: Files): Promise<Verdict> {
  put(files)
  let opened: Opened
  try {
    opened = await open()
  } catch (error) {
    if (!isHoldfastError(error, ...REFUSALS)) throw new Error(`opening is refused with ${String(error)}`)
    return 'refused'
  }
  const { runtime, scanned } = opened
  try {
    const known = new Map(records.map(({ position, record }) => [position, record]))
    for (const { position, record } of scanned) {
      expect(JSON.parse(JSON.stringify(record)), `at ${position}`).toEqual(
        JSON.parse(JSON.stringify(known.get(position))),
      )
    }
    const shown = new Map<string, unknown>()
    const parked = new Map(runtime.health().parked.map(({ id, reason }) => [id, reason]))
    let named = 0
    for (const id of states.keys()) {
      try {
        if (parked.has(id)) throw parked.get(id)
        shown.set(id, shownOf(runtime.session(id, diary).snapshot()))
      } catch (error) {
        const cause = isHoldfastError(error, 'SESSION_PARKED') ? error.cause : error
        if (isHoldfastError(cause, 'SESSION_NOT_FOUND')) shown.set(id, undefined)
        else if (isHoldfastError(cause, 'JOURNAL_CORRUPT')) named++
        else throw new Error(`session ${id} says ${String(error)}`)
      }
    }
    const at = momentOf(records, states, shown)
    if (named > 0) return 'named'
    return at < records.length ? 'earlier' : 'whole'
  } finally {
    await runtime.close()
  }
}

/** The last record after which all that is shown was so. */
function momentOf(records: readonly JournalEntry[], states: Corpus['states'], shown: Map<string, unknown>): number {
  for (let at = records.length; at >= 0; at--) {
    if ([...shown].every(([id, state]) => isDeepStrictEqual(state, states.get(id)?.[at]))) return at
  }
  throw new Error(`never was it so: ${JSON.stringify([...shown])}`)
}

/** Judges many changes, and says which were unsound. */
async function judged(
  what: string,
  changes: Iterable<{ what: string; corpus: Corpus; files: Files; earlier: boolean }>,
): Promise<void> {
  const tally = new Map<Verdict, number>()
  const wrong: string[] = []
  for (const change of changes) {
    try {
      const verdict = await judge(change.corpus, change.files)
      if (verdict === 'earlier' && !change.earlier) throw new Error('an earlier moment is shown, and nobody is told')
      tally.set(verdict, (tally.get(verdict) ?? 0) + 1)
    } catch (error) {
      wrong.push(`${change.corpus.name}, ${change.what}: ${(error as Error).message}`)
    }
  }
  console.log(`R7: a database, ${what}: ${[...tally].map(([kind, of]) => `${kind} ${of}`).join(', ')}`)
  expect(wrong.slice(0, 10), `${wrong.length} are unsound`).toEqual([])
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const other = Buffer.from(bytes)
  other[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
  return other
}

/** Where the last transaction of a log begins: a log that is cut or changed there is one whose end was never written. */
function lastTransaction(log: Buffer): number {
  const frame = 24 + log.readUInt32BE(8)
  const salt = log.readUInt32BE(16)
  const commits: number[] = []
  for (let at = 32; at + frame <= log.length && log.readUInt32BE(at + 8) === salt; at += frame)
    if (log.readUInt32BE(at + 4) !== 0) commits.push(at + frame)
  return commits.at(-2) ?? 32
}

test(`every bit of the file and of the log is flipped: every ${EVERY}th`, { timeout: 0 }, async () => {
  let bits = 0
  let count = 0
  function* changes() {
    for (const corpus of corpora) {
      for (const part of ['db', 'log'] as const) {
        const bytes = corpus.files[part]
        if (!bytes) continue
        const last = part === 'log' ? lastTransaction(bytes) : Number.POSITIVE_INFINITY
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          if (bits++ % EVERY !== offsetOf(0)) continue
          count++
          const files = { ...corpus.files, [part]: flipped(bytes, bit) }
          yield { what: `bit ${bit & 7} of byte ${bit >> 3} of the ${part}`, corpus, files, earlier: bit >> 3 >= last }
        }
      }
    }
  }
  const all = changes()
  await judged('bits flipped', all)
  console.log(`R7: a database: ${count} of ${bits} bits`)
})

test(`the file and the log are cut at every length: every ${EVERY}th`, { timeout: 0 }, async () => {
  let cuts = 0
  function* changes() {
    for (const corpus of corpora) {
      for (const part of ['db', 'log'] as const) {
        const bytes = corpus.files[part]
        for (let length = 0; bytes && length < bytes.length; length++) {
          if (cuts++ % Math.ceil(EVERY / 8) !== offsetOf(1) % Math.ceil(EVERY / 8)) continue
          const files = { ...corpus.files, [part]: bytes.subarray(0, length) }
          yield { what: `the ${part} cut to ${length}`, corpus, files, earlier: part === 'log' || length === 0 }
        }
      }
    }
  }
  await judged('cuts', changes())
})

test('the log is gone, or it and the file are of different times', async () => {
  const changes = corpora.flatMap((corpus) => [
    { what: 'no log', corpus, files: { ...corpus.files, log: undefined }, earlier: corpus.files.log !== undefined },
    { what: 'an earlier log', corpus, files: { ...corpus.files, log: corpus.earlier.log }, earlier: true },
    { what: 'an earlier file', corpus, files: { ...corpus.files, db: corpus.earlier.db }, earlier: true },
    { what: 'both earlier', corpus, files: corpus.earlier, earlier: true },
  ])
  await judged('files of other times', changes)
})
