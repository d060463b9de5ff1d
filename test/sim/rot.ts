// Directories at rest, what their sessions were after each of their records, and the judgement of one in which bytes are not
// what was written. A sound one shows every session as it was after one and the same record, or names what it cannot read:
// by file and offset, touching no session that has nothing there. It is never shown at an earlier state that an index or a
// snapshot beside it proves stale. What no session needs may be left for the doctor to name.

import { isDeepStrictEqual } from 'node:util'
import { type Disk, readAll, writeAllSync } from '../../src/disk.js'
import { isHoldfastError } from '../../src/errors.js'
import { examineFiles } from '../../src/files/doctor.js'
import { FLOOR } from '../../src/files/floor.js'
import { repairFiles } from '../../src/files/repair.js'
import { createFileSnapshots } from '../../src/files/snapshots.js'
import type { Damage, JournalEntry } from '../../src/journal.js'
import { createInlinePool, openFiles } from '../../src/open.js'
import { fold } from '../../src/rehydrate.js'
import { createRuntime, type Runtime } from '../../src/runtime.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { must, mustEqual } from '../../src/testing/comparison.js'
import { type CrashDisk, createCrashDisk } from '../../src/testing/disk.js'
import { openWorld, settle } from '../../src/testing/world.js'
import { busy, busySteps, happen } from './busy.js'
import { mustBeSame, still } from './remains.js'

/** What a session shows; undefined when it is not there. */
type Shown = { readonly seq: number; readonly value: unknown; readonly context: unknown } | undefined

export interface Corpus {
  readonly disk: CrashDisk
  /** The same directory at the end of each life before. */
  readonly earlier: readonly CrashDisk[]
  readonly records: readonly JournalEntry[]
  readonly ids: readonly string[]
  /** Of each session, what it was after so many records of all. */
  readonly states: ReadonlyMap<string, readonly Shown[]>
  /** After how many records the index was written, and the snapshot of each session. */
  readonly indexed: number
  readonly snapped: ReadonlyMap<string, number>
}

/** Some lives in a new directory, until it has `bytes`: some end in order, some do not; some have dropped what is old. */
export async function makeCorpus(seed: number, bytes: number): Promise<Corpus> {
  const { random } = createSeededChance(seed)
  const records: JournalEntry[] = []
  const earlier: CrashDisk[] = []
  let disk = createCrashDisk()
  const journal = { segmentBytes: [700, 1500, 4000][seed % 3] as number, reserveBytes: seed % 2 === 0 ? 256 : 0 }
  for (let life = 0; life < 3 || sizeOf(disk) < bytes; life++) {
    const onAppend = (entry: JournalEntry): void => void records.push(entry)
    const world = await openWorld({ disk, kinds: [busy], seed, steps: busySteps, journal, onAppend })
    for (let count = 2; count > 0; count--) await happen(world, random)
    await settle(world)
    if (life === 1 && seed % 4 === 0) await world.runtime.compact({ keepBytes: 0 })
    if ((seed + life) % 3 !== 0) await world.runtime.close()
    disk = disk.crash()
    earlier.push(disk)
  }
  const ids = [...new Set(records.map(({ record }) => record.session))]
  const snapshots = createFileSnapshots(disk.crash(), () => {})
  return {
    ...{ disk, earlier: earlier.slice(0, -1), records, ids, states: statesAfter(records, ids) },
    indexed: recordsBefore(records, snapshots.readIndex()?.through ?? 0),
    snapped: new Map(
      ids
        .flatMap((id) => snapshots.read(id) ?? [])
        .map(({ id, position }) => [id, recordsBefore(records, position + 1)]),
    ),
  }
}

export const recordsBefore = (records: readonly JournalEntry[], place: number): number =>
  records.filter(({ position }) => position < place).length

function statesAfter(records: readonly JournalEntry[], ids: readonly string[]): Map<string, Shown[]> {
  const states = new Map<string, Shown[]>(ids.map((id) => [id, [undefined]]))
  const folded = new Map<string, ReturnType<typeof fold>>()
  for (const { record, position } of records) {
    const state = fold(folded.get(record.session), JSON.parse(JSON.stringify(record)), position)
    folded.set(record.session, state)
    if (record.deleted) folded.delete(record.session)
    for (const [id, list] of states) {
      list.push(id === record.session ? (record.deleted ? undefined : shownOf(state)) : list.at(-1))
    }
  }
  return states
}

/** As JSON: what is folded and what is shown are compared as they would be stored. */
const shownOf = (state: object): Shown => {
  const { seq, value, context, status, output } = state as Record<string, unknown>
  return JSON.parse(JSON.stringify({ seq, value, context, status, output })) as Shown
}

/** The files of a directory; the lock is none of what it keeps. */
export function filesOf(disk: Disk): string[] {
  const folders = ['', 'journal', ...disk.list('sessions').map((folder) => `sessions/${folder}`)]
  const paths = folders.flatMap((folder) => disk.list(folder).map((name) => (folder ? `${folder}/${name}` : name)))
  return paths.filter((path) => path.includes('.'))
}

export const bytesOf = (disk: Disk, path: string): Uint8Array => readAll(disk, path) ?? new Uint8Array()

export const sizeOf = (disk: Disk): number => filesOf(disk).reduce((sum, path) => sum + bytesOf(disk, path).length, 0)

/** Files that are other than they were, or gone. */
export type Changes = ReadonlyMap<string, Uint8Array | undefined>

export function changed({ disk }: Corpus, changes: Changes): CrashDisk {
  const other = disk.crash()
  for (const [path, bytes] of changes) {
    other.remove(path)
    if (!bytes) continue
    const file = other.create(path)
    writeAllSync(file, bytes, 0)
    file.close()
  }
  return other.crash(() => 'kept')
}

/** What was said about a file, by whoever opened, scanned or read. */
interface Said extends Partial<Damage> {
  readonly file: string
}

interface Outcome {
  /** `whole`: all is shown as it was; `earlier`: as of an earlier record; `named`: some sessions are not shown. */
  readonly kind: 'whole' | 'earlier' | 'named' | 'refused'
  readonly said: readonly Said[]
  /** After how many records it is shown. */
  readonly at: number
  readonly unshown: readonly string[]
}

/** Opens a changed directory, and throws what is unsound about what it shows. */
export async function judge(corpus: Corpus, disk: CrashDisk, changes: Changes): Promise<Outcome> {
  const said: Said[] = []
  const hear = (fields: object): void => {
    if ('file' in fields) said.push(fields as Said)
  }
  const logger = { info: () => {}, warn: hear, error: hear }
  const opened = await open(disk, logger).catch((error: unknown) => error)
  if (!isRuntime(opened)) {
    must(isHoldfastError(opened, 'FORMAT_NEWER'), `opening is refused with ${String(opened)}`)
    const file = (opened as { details: { file?: string } }).details.file
    must(file !== undefined && changes.has(file), `opening is refused for ${file}`)
    return { kind: 'refused', said: [{ file: file as string }], at: corpus.records.length, unshown: corpus.ids }
  }
  const { runtime, journal } = opened
  said.push(...runtime.health().damage)
  const known = new Map(corpus.records.map((entry) => [entry.position, entry]))
  let index = 0
  for (const entry of journal.scan(journal.begin, (damage) => said.push(damage))) {
    mustBeSame(entry, known.get(entry.position), index++)
  }
  const { shown, unshown } = lookAt(runtime, corpus, said)
  const harmed = harmedBy(corpus, said, journal.end)
  for (const [id, state] of shown) if (!state && harmed.whole.has(id)) shown.delete(id)
  const at = momentOf(corpus, shown)
  mustNotBeStale(corpus, shown, at, changes)
  for (const id of unshown) {
    must(
      harmed.all || harmed.some.has(id),
      `${id} is not shown, and has nothing in what is damaged: ${JSON.stringify(said)}`,
    )
  }
  const kind = unshown.length > 0 ? 'named' : at < corpus.records.length ? 'earlier' : 'whole'
  return { kind, said, at, unshown }
}

interface Opened {
  readonly runtime: Runtime
  readonly journal: Awaited<ReturnType<typeof openFiles>>['ports']['journal']
}

const isRuntime = (opened: unknown): opened is Opened =>
  typeof opened === 'object' && opened !== null && 'runtime' in opened

async function open(disk: CrashDisk, logger: Parameters<typeof openFiles>[4]): Promise<Opened> {
  const pool = () => createInlinePool({ clock: still, load: async () => ({}) })
  const { ports, damage } = await openFiles(disk, [busy], still, createSeededChance(1), logger, pool)
  return { runtime: await createRuntime(ports, { kinds: [busy], damage, logger }), journal: ports.journal }
}

/** Every session that is shown, and those that say why they are not. */
function lookAt(
  runtime: Runtime,
  { ids, disk }: Corpus,
  said: Said[],
): { shown: Map<string, Shown>; unshown: string[] } {
  const shown = new Map<string, Shown>(ids.map((id) => [id, undefined]))
  const unshown: string[] = []
  const parked = new Map(runtime.health().parked.map(({ id, reason }) => [id, reason]))
  for (const { id } of runtime.sessions.list({}, { limit: 1000 }).sessions) {
    try {
      const reason = parked.get(id)
      if (reason) throw reason
      shown.set(id, shownOf(runtime.session(id).snapshot()))
    } catch (error) {
      must(namesDamage(error), `session ${id} says ${String(error)}`)
      shown.delete(id)
      unshown.push(id)
      said.push(...floorLine(disk, id, error))
    }
  }
  for (const [id, reason] of parked) {
    if (unshown.includes(id)) continue
    must(namesDamage(reason), `session ${id} is parked with ${String(reason)}`)
    shown.delete(id)
    unshown.push(id)
  }
  return { shown, unshown }
}

/** A session is parked with the damage as the cause. */
const namesDamage = (error: unknown): boolean =>
  isHoldfastError(error, 'JOURNAL_CORRUPT') || (isHoldfastError(error, 'SESSION_PARKED') && namesDamage(error.cause))

/** The last record after which all that is shown was so. */
function momentOf({ records, states }: Corpus, shown: ReadonlyMap<string, Shown>): number {
  for (let at = records.length; at >= 0; at--) {
    if ([...shown].every(([id, state]) => isDeepStrictEqual(state, states.get(id)?.[at]))) return at
  }
  throw new Error(`never was it so: ${JSON.stringify([...shown])}`)
}

/** What is beside it, and was not changed, knows nothing of a later moment. */
function mustNotBeStale(corpus: Corpus, shown: ReadonlyMap<string, Shown>, at: number, changes: Changes): void {
  const { records, indexed, snapped } = corpus
  if (at === records.length) return
  must(changes.has('index.jsonl') || at >= indexed, `it is shown as of record ${at}, and the index knows ${indexed}`)
  for (const [id, state] of shown) {
    const known = [...changes.keys()].some((path) => path.endsWith(`/${id}.json`)) ? 0 : (snapped.get(id) ?? 0)
    must(!state || at >= known, `${id} is shown as of record ${at}, and its snapshot knows ${known}`)
  }
}

/** A line of the floor that a session could not be read from, if it is the session's own. */
function floorLine(disk: Disk, id: string, error: unknown): Said[] {
  const { file, offset } = (error as { details: { file?: string; offset?: number } }).details
  if (file !== FLOOR || offset === undefined) return []
  const line = Buffer.from(bytesOf(disk, FLOOR).subarray(offset, offset + 100)).toString('latin1')
  return line.includes(`"id":"${id}"`) ? [{ file, offset, kind: 'corrupt', sessions: [id], position: -1 }] : []
}

/** Who has records in what is said to be damaged or lost: `some` or all of them; `all`: nothing tells who. */
function harmedBy(
  { records, states }: Corpus,
  said: readonly Said[],
  end: number,
): { readonly some: Set<string>; readonly whole: Set<string>; readonly all: boolean } {
  const harmful = said.filter(({ kind }) => kind === 'corrupt' || kind === 'missing' || kind === 'torn')
  const inside = (place: number): boolean =>
    place >= end || harmful.some(({ position = 0, bytes = 0 }) => place >= position && place < position + bytes)
  const some = new Set(harmful.flatMap(({ sessions = [] }) => sessions))
  const whole = new Set(states.keys())
  for (const { record, position } of records) {
    if (inside(position)) some.add(record.session)
    else whole.delete(record.session)
  }
  return { some, whole, all: harmful.some(({ sessions = [] }) => sessions.length === 0) }
}

/** What the doctor says is wrong. */
export const diagnosed = (disk: CrashDisk): string[] =>
  examineFiles(disk, undefined).findings.flatMap(({ file }) => file ?? [])

/** A repair keeps what it takes away, and afterwards everything is shown that was shown before it. */
export async function mustRepair(corpus: Corpus, before: CrashDisk, changes: Changes): Promise<void> {
  const outcome = await judge(corpus, before.crash(), changes)
  if (outcome.kind === 'refused') return
  const disk = before.crash()
  const { findings } = await repairFiles(
    { disk, clock: still, epoch: 0, began: () => {} },
    examineFiles(disk, undefined),
  )
  const kept = [...disk.list('quarantine').map((name) => `quarantine/${name}`), ...filesOf(disk)]
  for (const { file, repair } of findings) {
    const bytes = file === undefined ? undefined : changes.get(file)
    if (!repair || repair.kind === 'renew-journal' || !bytes) continue
    must(
      kept.some((path) => Buffer.compare(bytesOf(disk, path), bytes) === 0),
      `${file} is not kept as it was`,
    )
  }
  const after = await judge(corpus, disk.crash(), changes)
  must(after.at >= outcome.at, `after a repair it is shown as of record ${after.at}, and was as of ${outcome.at}`)
  mustEqual(
    after.unshown.filter((id) => !outcome.unshown.includes(id)),
    [],
    'who is not shown after a repair',
  )
}
