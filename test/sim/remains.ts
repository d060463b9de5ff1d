// What a power cut may leave of a data directory, and what must then be found in it: exactly a beginning of the records that
// were appended, with everything in it that anybody was told of; sessions that are the fold of those records; and a second
// opening that changes nothing. Each of these throws what is wrong.

import type { Clock } from '../../src/clock.js'
import { readAll } from '../../src/disk.js'
import { type OpenedJournal, openFileJournal } from '../../src/files/open-journal.js'
import { HEADER_BYTES } from '../../src/files/segment.js'
import { createInlinePool } from '../../src/inline/pool.js'
import type { JournalEntry } from '../../src/journal.js'
import { openFiles } from '../../src/open.js'
import type { TransitionRecord } from '../../src/record.js'
import { type Folding, fold } from '../../src/rehydrate.js'
import { createRuntime } from '../../src/runtime.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { must, mustEqual } from '../../src/testing/comparison.js'
import type { CrashDisk, DiskCall } from '../../src/testing/disk.js'
import { openWorld, START_MS } from '../../src/testing/world.js'
import { busy, busySteps, everybody } from './busy.js'

const DAY_MS = 86_400_000

/** Time stands still in it, and nothing is ever flushed: what was found can be looked at in peace. */
export const still: Clock = { now: () => START_MS, elapsed: () => 0, setTimeout: () => () => {}, soon: () => {} }

const CHANGES = new Set(['create', 'makeFolder', 'rename', 'remove', 'syncFolder', 'write', 'sync', 'release'])

/** A cut before a call that changes nothing leaves what a cut before the next leaves. */
export const changes = ({ op }: DiskCall): boolean => CHANGES.has(op)

/** Opens the journal of what a cut has left, as its writer does. */
export const openJournal = (disk: CrashDisk): OpenedJournal => openFileJournal(disk, still)

/** The records found are the first of those that were done, each as it was. */
export function mustBegin(found: readonly JournalEntry[], done: readonly JournalEntry[]): void {
  must(found.length <= done.length, `${found.length} records are found, and ${done.length} were appended`)
  for (const [index, entry] of found.entries()) mustBeSame(entry, done[index], index)
}

/** A second opening finds the same, in the same bytes, but for the header that tells its epoch. */
export function mustOpenAgain(disk: CrashDisk, found: readonly JournalEntry[]): void {
  const [epoch, before] = [epochOf(disk), recordBytes(disk)]
  const again = disk.crash()
  const { journal, damage } = openJournal(again)
  mustEqual(damage, [], 'the damage of a second opening')
  const records = [...journal.scan(0)]
  mustEqual(records.length, found.length, 'the records of a second opening')
  for (const [index, entry] of records.entries()) mustBeSame(entry, found[index], index)
  mustEqual(epochOf(again), epoch + 1, 'the epoch of a second opening')
  mustEqual(recordBytes(again.crash()), before, 'the bytes of a second opening')
}

/** What a cut has left can be worked with: every session that may be there is, acts, and is as it was when it is back. */
export async function mustWork(disk: CrashDisk): Promise<void> {
  const world = await openWorld({ disk, kinds: [busy], nowMs: START_MS + DAY_MS, steps: busySteps })
  await everybody(world)
  await world.clock.advance(200)
  await world.runtime.close()
  mustEqual(world.complaints, [], 'what was logged while it was used')
  const records = await openWhole(disk)
  for (const [index, entry] of records.slice(-world.appended.length).entries()) {
    mustBeSame(entry, world.appended[index], index)
  }
}

/** The epoch of the last writer. */
function epochOf(disk: CrashDisk): number {
  const last = disk.list('journal').findLast((name) => name.endsWith('.jsonl'))
  const header = Buffer.from(readAll(disk, `journal/${last}`) ?? []).toString('latin1', 0, HEADER_BYTES)
  return Number(/"epoch":(\d+)/.exec(header)?.[1])
}

/** Every segment without its header. */
const recordBytes = (disk: CrashDisk): string[] =>
  disk.list('journal').map((name) => {
    const bytes = Buffer.from(readAll(disk, `journal/${name}`) ?? [])
    return `${name} ${bytes.toString('latin1', HEADER_BYTES)}`
  })

const complaining = (complaints: string[]) => {
  const complain = (_: object, message: string): void => void (message.includes('torn') || complaints.push(message))
  return { info: () => {}, warn: complain, error: complain }
}

/** Opens the files of a directory as a process does, up to where its sessions begin. */
export function openPorts(disk: CrashDisk, complaints: string[] = []): ReturnType<typeof openFiles> {
  const pool = () => createInlinePool({ clock: still, load: async () => ({}) })
  return openFiles(disk, [busy], still, createSeededChance(1), complaining(complaints), pool)
}

/** Opens a directory as a process does; what its sessions show must be the fold of its records. Gives the records. */
export async function openWhole(disk: CrashDisk): Promise<JournalEntry[]> {
  const complaints: string[] = []
  const { ports, damage } = await openPorts(disk, complaints)
  const runtime = await createRuntime(ports, { kinds: [busy], damage, logger: complaining(complaints) })
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
export function mustBeSame(found: JournalEntry, done: JournalEntry | undefined, index: number): void {
  const same = done && found.position === done.position && textOf(found.record) === textOf(done.record)
  must(same === true, `record ${index} is ${textOf(found.record)} and was ${done && textOf(done.record)}`)
}

/** Records never change, and each is compared many times. */
const texts = new WeakMap<TransitionRecord, string>()

function textOf(record: TransitionRecord): string {
  let text = texts.get(record)
  if (text === undefined) {
    const { batch: _, ...rest } = record as TransitionRecord & { readonly batch?: number }
    text = JSON.stringify(rest)
    texts.set(record, text)
  }
  return text
}
