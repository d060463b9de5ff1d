// R4 and R5: one life of a directory, told in steps, in which one call to the disk fails, or all from that call on: each call
// by its index, and each way to fail. Every step then gives what it should or an error of Holdfast that says the disk is to
// blame; nothing is acknowledged that a power cut could take away; afterwards the directory opens with everything that was
// acknowledged and nothing that was surely refused. No open file whose sync has failed is written or synced again, and no
// segment of the journal whose sync has failed is begun anew in the same life.
// HOLDFAST_EVERY=1 tries every combination; by default every 19th, beginning where HOLDFAST_SEED says.

import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { defineSession } from '../../src/define.js'
import type { Disk, DiskFile } from '../../src/disk.js'
import { type HoldfastError, isHoldfastError } from '../../src/errors.js'
import { createInlinePool } from '../../src/inline/pool.js'
import { openFiles, startOn } from '../../src/open.js'
import type { Runtime } from '../../src/runtime.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { createVirtualClock, type VirtualClock } from '../../src/testing/clock.js'
import { must, mustEqual } from '../../src/testing/comparison.js'
import { type CrashDisk, createCrashDisk, type DiskCall, failAt } from '../../src/testing/disk.js'
import { START_MS } from '../../src/testing/world.js'

const EVERY = Number(process.env.HOLDFAST_EVERY ?? 19)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)

const FAULTS = ['EIO', 'ENOSPC', 'EROFS', 'EACCES', 'EMFILE', 'SHORT'] as const
const MODES = ['once', 'from then on'] as const
/** What a step may be refused with when a disk fails. */
const BLAMED = [
  ...['DISK_FULL', 'DISK_FAILED', 'DIRECTORY_NOT_WRITABLE', 'OUTCOME_UNKNOWN', 'JOURNAL_FAILED', 'READ_ONLY'],
] as const
/** Refusals that promise that nothing was recorded. */
const SURELY_NOT = ['JOURNAL_FAILED', 'READ_ONLY', 'SESSION_PARKED'] as const

/** A session that could not be read is parked with that as the cause. */
const isTyped = (error: unknown): error is HoldfastError =>
  isHoldfastError(error, ...BLAMED, 'RUNTIME_CLOSED') ||
  (isHoldfastError(error, 'SESSION_PARKED') && isTyped(error.cause))

const diary = defineSession({
  kind: 'diary',
  version: 1,
  machine: setup({
    types: {
      context: {} as { lines: string[]; bulk: string },
      events: {} as { type: 'write'; line: string; bulk?: string } | { type: 'end' },
    },
  }).createMachine({
    context: { lines: [], bulk: '' },
    initial: 'open',
    states: {
      open: {
        on: {
          write: {
            actions: assign({
              lines: ({ context, event }) => [...context.lines, event.line],
              bulk: ({ context, event }) => event.bulk ?? context.bulk,
            }),
          },
          end: 'over',
        },
      },
      over: { type: 'final' },
    },
  }),
})

/** What the outer world has been told, over all lives of a directory. */
class Told {
  /** Of each session that was asked for, what was written to it, and what came of that. */
  readonly lines = new Map<string, { readonly line: string; readonly outcome: 'durable' | 'refused' | 'unknown' }[]>()
  readonly created = new Set<string>()
  readonly mayBeGone = new Set<string>()
  readonly gone = new Set<string>()
  readonly codes = new Set<string>()
  /** What was said of the disk in vain: steps that failed. */
  failures = 0

  /** Does one step; what it is refused with must be an error that blames the disk. */
  async step<T>(what: string, act: () => Promise<T> | T): Promise<{ result: T } | { error: HoldfastError }> {
    try {
      return { result: await act() }
    } catch (error) {
      if (!isTyped(error)) throw new Error(`${what} is refused with ${String(error)}`, { cause: error })
      this.failures++
      this.codes.add(error.code)
      return { error }
    }
  }
}

/** Opens a directory, as often as it takes after a single failure, and gives up after two. */
async function open(disk: Disk, told: Told, clock: VirtualClock, stallMs: number): Promise<Runtime | undefined> {
  const logger = { info: () => {}, warn: () => {}, error: () => {} }
  const pool = () => createInlinePool({ clock })
  const journal = { segmentBytes: 1200, reserveBytes: 512, stallMs }
  for (let tries = 2; tries > 0; tries--) {
    const opened = await told.step('opening', async () =>
      startOn(await openFiles(disk, [diary], clock, createSeededChance(1), logger, pool, journal), {
        ...{ kinds: [diary], logger, liveLimit: 2 },
      }),
    )
    if ('result' in opened) return opened.result
  }
  return undefined
}

/** Everything that a directory goes through: two lives. */
async function live(disk: Disk, told: Told, stallMs: number): Promise<void> {
  const clock = createVirtualClock(START_MS)
  const first = await open(disk, told, clock, stallMs)
  if (first) await firstLife(first, told, clock)
  const second = await open(disk, told, clock, stallMs)
  if (second) await secondLife(second, told)
}

async function firstLife(runtime: Runtime, told: Told, clock: VirtualClock): Promise<void> {
  for (const id of ['a', 'b', 'c']) await create(runtime, told, id)
  for (let round = 0; round < 3; round++) {
    await Promise.all(['a', 'b', 'c'].map((id) => write(runtime, told, id, `${round}`)))
    await write(runtime, told, 'a', `more ${round}`, 'x'.repeat(3500))
  }
  if (has(runtime, 'c')) await told.step('ending', () => runtime.session('c', diary).send({ type: 'end' }))
  await remove(runtime, told, 'b')
  await told.step('a turn', () => clock.advance(60_000))
  told.mayBeGone.add('c')
  const pruned = await told.step('pruning', () => runtime.prune({ olderThanMs: 1000 }))
  if ('result' in pruned) for (const { id } of pruned.result.sessions) told.gone.add(id)
  await told.step('compacting', () => runtime.compact({ keepBytes: 1000 }))
  await write(runtime, told, 'a', 'compacted')
  await create(runtime, told, 'd')
  await look(runtime, told)
  await told.step('closing', () => runtime.close())
}

async function secondLife(runtime: Runtime, told: Told): Promise<void> {
  for (const id of ['a', 'd']) await write(runtime, told, id, 'again')
  await told.step('compacting', () => runtime.compact({ keepBytes: 0 }))
  await create(runtime, told, 'e')
  await look(runtime, told)
  await told.step('closing', () => runtime.close())
}

const has = (runtime: Runtime, id: string): boolean => runtime.sessions.list().sessions.some((one) => one.id === id)

async function create(runtime: Runtime, told: Told, id: string): Promise<void> {
  const done = await told.step(`creating ${id}`, () => runtime.create(diary, undefined, { id }))
  if ('result' in done) told.created.add(id)
}

async function write(runtime: Runtime, told: Told, id: string, line: string, bulk?: string): Promise<void> {
  if (!has(runtime, id)) return
  const event = { type: 'write', line, ...(bulk && { bulk }) } as const
  const done = await told.step(`writing to ${id}`, () => runtime.session(id, diary).send(event))
  const outcome = 'result' in done ? 'durable' : isHoldfastError(done.error, ...SURELY_NOT) ? 'refused' : 'unknown'
  told.lines.set(id, [...(told.lines.get(id) ?? []), { line, outcome }])
}

async function remove(runtime: Runtime, told: Told, id: string): Promise<void> {
  if (!has(runtime, id)) return
  told.mayBeGone.add(id)
  const done = await told.step(`deleting ${id}`, () => runtime.session(id).delete())
  if ('result' in done) told.gone.add(id)
}

/** What is shown is at least what was acknowledged, and reads go on after the journal has failed. */
async function look(runtime: Runtime, told: Told): Promise<void> {
  const entries = runtime.sessions.list().sessions
  for (const { id } of entries) {
    const shown = await told.step(`looking at ${id}`, () => runtime.session(id, diary).snapshot())
    if ('result' in shown) mustHold(id, shown.result.context.lines, told)
  }
}

/** The lines of a session are those that were written, in order, but for some of which nobody knows. */
function mustHold(id: string, lines: readonly string[], told: Told): void {
  const written = told.lines.get(id) ?? []
  const expected = written.filter(({ line, outcome }) => outcome === 'durable' || lines.includes(line))
  mustEqual(
    lines,
    expected.map(({ line }) => line),
    `the lines of ${id}`,
  )
  for (const { line, outcome } of expected) must(outcome !== 'refused', `"${line}" of ${id} was refused, and is there`)
}

/** After the fault, whatever was left: it opens, nothing is damaged, and everything acknowledged is there. */
async function mustOpen(disk: CrashDisk, told: Told): Promise<void> {
  const clock = createVirtualClock(START_MS + 1e9)
  const afterwards = new Told()
  const runtime = await open(disk, afterwards, clock, 1)
  must(runtime !== undefined && afterwards.failures === 0, `it does not open: ${[...afterwards.codes]}`)
  const { sessions } = (runtime as Runtime).sessions.list()
  mustEqual(
    (runtime as Runtime).health().damage.filter(({ kind }) => kind !== 'torn'),
    [],
    'the damage',
  )
  const there = sessions.map(({ id }) => id)
  for (const id of told.created) must(there.includes(id) || told.mayBeGone.has(id), `${id} is lost`)
  for (const id of told.gone) must(!there.includes(id), `${id} is back`)
  for (const { id } of sessions) {
    mustHold(id, (runtime as Runtime).session(id, diary).snapshot().context.lines, told)
  }
  await (runtime as Runtime).close()
}

/** A disk that notes whoever writes on after a sync that failed. */
function strictDisk(inner: Disk, violations: string[]): Disk {
  const spoiled = new Set<string>()
  const strict = (file: DiskFile): DiskFile => {
    let failed = false
    const noting = <T>(act: () => T, sync: boolean): T => {
      if (failed) violations.push(`${file.path} is ${sync ? 'synced' : 'written'} after a sync of it failed`)
      const note = (error: unknown): never => {
        failed ||= sync
        if (sync && file.path.startsWith('journal/0')) spoiled.add(file.path)
        throw error
      }
      try {
        const result = act()
        return result instanceof Promise ? (result.catch(note) as T) : result
      } catch (error) {
        return note(error)
      }
    }
    return {
      path: file.path,
      size: () => file.size(),
      readSync: (into, position) => file.readSync(into, position),
      writeSync: (bytes, position) => noting(() => file.writeSync(bytes, position), false),
      write: (bytes, position) => noting(() => file.write(bytes, position), false),
      syncSync: () => noting(() => file.syncSync(), true),
      sync: () => noting(() => file.sync(), true),
      close: () => file.close(),
    }
  }
  return {
    location: inner.location,
    openRead: (path) => inner.openRead(path),
    create: (path) => {
      if (spoiled.has(path)) violations.push(`${path} is begun anew after a sync of it failed`)
      return strict(inner.create(path))
    },
    list: (folder) => inner.list(folder),
    makeFolder: (folder) => inner.makeFolder(folder),
    rename: (from, to) => inner.rename(from, to),
    remove: (path) => inner.remove(path),
    syncFolder: (folder) => inner.syncFolder(folder),
    lock(path) {
      spoiled.clear() // another life begins
      return inner.lock(path)
    },
  }
}

interface Attempt {
  readonly index: number
  readonly call: DiskCall
  readonly fault: (typeof FAULTS)[number]
  readonly mode: (typeof MODES)[number]
  readonly stallMs: number
}

/** Every call of a life without faults, with every way to fail; only what takes bytes can take fewer. */
async function* attempts(): AsyncGenerator<Attempt> {
  for (const stallMs of [1, -1]) {
    const disk = createCrashDisk()
    await live(disk, new Told(), stallMs)
    for (const [index, call] of disk.calls.entries()) {
      for (const fault of FAULTS) {
        if (fault === 'SHORT' && call.op !== 'write') continue
        for (const mode of MODES) yield { index, call, fault, mode, stallMs }
      }
    }
  }
}

test(`R4, R5: each call to the disk fails in each way: every ${EVERY}th combination`, { timeout: 0 }, async () => {
  let [tried, all, failures] = [0, 0, 0]
  const calls = new Set<string>()
  const codes = new Set<string>()
  const wrong: Error[] = []
  const offset = Math.floor(createSeededChance(SEED).random() * EVERY)
  for await (const attempt of attempts()) {
    if (all++ % EVERY !== offset) continue
    tried++
    const { index, call, fault, mode, stallMs } = attempt
    const told = new Told()
    const violations: string[] = []
    try {
      const disk = createCrashDisk({ onCall: failAt(index, fault, mode) })
      await live(strictDisk(disk, violations), told, stallMs)
      disk.onCall = undefined
      mustEqual(violations, [], 'syncs that failed')
      mustEqual(disk.openFiles, [], 'files that stay open')
      for (const left of [disk.crash(), disk]) await mustOpen(left, told)
    } catch (cause) {
      const where = `${fault} ${mode} at call ${index}, ${call.op} ${call.path} (stallMs ${stallMs})`
      wrong.push(new Error(`${where}: ${(cause as Error).message}`, { cause }))
    }
    if (told.failures > 0) failures++
    calls.add(call.op)
    for (const code of told.codes) codes.add(code)
  }
  const sentences = wrong.map(({ message }) => message).join('\n')
  if (wrong[0]) throw new Error(`${wrong.length} of ${tried} go wrong:\n${sentences}`, { cause: wrong[0] })
  console.log(
    `R4: ${tried} of ${all} combinations of call and fault, ${failures} of which somebody was told: ${[...codes]}`,
  )
  console.log(`R5: no file was written again after its sync had failed, in ${tried} lives`)
  expect([...calls].sort()).toEqual(expect.arrayContaining(['create', 'read', 'rename', 'sync', 'syncFolder', 'write']))
  expect([...codes].sort()).toEqual(
    expect.arrayContaining(['DISK_FAILED', 'DISK_FULL', 'OUTCOME_UNKNOWN', 'READ_ONLY']),
  )
})
