// A process that opens a directory, works in it, closes it, and dies of SIGKILL on the way: by its own hand before, within or
// after a certain call to the disk, or by somebody else's. It says on stdout what it promises before it promises it:
//   found <session> <count> <whole>   what there is of a session when the directory is open
//   ready <ms> <calls> <sessions> <processor ms>   open, so long after the process began, after so many calls that change the disk
//   sent <session> <n>, ack <session> <n>
//   closing, closed                   it has begun to close the runtime, and has closed it
//   refused <pid>                     the directory is that process's
//   dies <phase> <op> <path>          by its own hand, now
import { writeSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { Owner } from '../../src/directory.js'
import type { Disk, DiskFile } from '../../src/disk.js'
import { isHoldfastError } from '../../src/errors.js'
import { createFileDisk } from '../../src/files/disk.js'
import type { Runtime } from '../../src/index.js'
import type { Logger } from '../../src/logger.js'
import { createInlinePool, openFiles, startOn } from '../../src/open.js'
import type { Pool } from '../../src/pool.js'
import { sqliteStorage } from '../../src/sqlite/storage.js'
import { systemChance } from '../../src/system/chance.js'
import { systemClock } from '../../src/system/clock.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { entryOf, ledgerAfter, ledgerAt } from './ledger.js'
import { databaseIn, type Orders } from './orders.js'

const orders = JSON.parse(process.argv[2] as string) as Orders
const say = (line: string): void => void writeSync(1, `${line}\n`)
const ledger = ledgerAt(orders.version)
const { random } = createSeededChance(orders.seed)
let phase: 'opening' | 'start' | 'work' | 'shutdown' = 'opening'
let calls = 0
let inPlace = 0
/** A compaction has begun to write. */
let flooring = false

function die(op: string, path: string): never {
  say(`dies ${phase} ${op} ${path}`)
  process.kill(process.pid, 'SIGKILL')
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

/** Calls after which the disk is another. */
const CHANGES: ReadonlySet<string> = new Set('create write sync makeFolder rename remove syncFolder lock'.split(' '))

/** Whether a call belongs to the place where this process is to die. */
function isThere(op: string, path: string): boolean {
  const { place } = orders
  if (!CHANGES.has(op)) return false
  if (place === 'opening' || place === 'shutdown') return phase === place
  if (place === 'migration') return phase === 'start' && path.startsWith('journal')
  if (phase !== 'work') return false
  if (place === 'snapshot') return path.startsWith('sessions/')
  if (place === 'append') return /^journal\/\d/.test(path) && op !== 'remove'
  flooring ||= path.startsWith('journal/floor')
  return flooring && (path.startsWith('journal/floor') || op === 'remove' || path === 'journal')
}

/** Runs a call to the disk, or dies of it. `half` does a part of it. */
function strike<T>(op: string, path: string, call: () => T, half?: () => unknown): T {
  if (CHANGES.has(op)) calls++
  const { strike: planned } = orders
  if (!planned || !isThere(op, path) || inPlace++ !== planned.call) return call()
  if (planned.how === 'half') half?.()
  if (planned.how !== 'after') die(op, path)
  const result = call()
  if (result instanceof Promise) return result.then(() => die(op, path)) as T
  return die(op, path)
}

function struckFile(file: DiskFile): DiskFile {
  const { path } = file
  const write = (bytes: Uint8Array, position: number) => () =>
    file.writeSync(bytes.subarray(0, bytes.length >> 1), position)
  return {
    path,
    size: () => strike('size', path, () => file.size()),
    readSync: (into, at) => strike('read', path, () => file.readSync(into, at)),
    writeSync: (bytes, at) => strike('write', path, () => file.writeSync(bytes, at), write(bytes, at)),
    write: (bytes, at) => strike('write', path, () => file.write(bytes, at), write(bytes, at)),
    syncSync: () => strike('sync', path, () => file.syncSync()),
    sync: () => strike('sync', path, () => file.sync()),
    close: () => file.close(),
  }
}

function struck(disk: Disk): Disk {
  return {
    location: disk.location,
    openRead: (path) => {
      const file = strike('openRead', path, () => disk.openRead(path))
      return file && struckFile(file)
    },
    create: (path) => struckFile(strike('create', path, () => disk.create(path))),
    list: (folder) => strike('list', folder, () => disk.list(folder)),
    makeFolder: (folder) => strike('makeFolder', folder, () => disk.makeFolder(folder)),
    rename: (from, to) => strike('rename', to, () => disk.rename(from, to)),
    remove: (path) => strike('remove', path, () => disk.remove(path)),
    syncFolder: (folder) => strike('syncFolder', folder, () => disk.syncFolder(folder)),
    lock: (path) => strike('lock', path, () => disk.lock(path)),
  }
}

async function open(): Promise<Runtime> {
  const quiet = { info: () => {}, warn: () => {}, error: (_: object, what: string) => say(`error ${what}`) }
  const pool = (): ReturnType<typeof createInlinePool> => createInlinePool({ clock: systemClock })
  const files = orders.database
    ? openDatabase(quiet, pool())
    : await openFiles(struck(createFileDisk(orders.dir)), [ledger], systemClock, systemChance, quiet, pool, {
        segmentBytes: 48 * 1024,
      })
  phase = 'start'
  // So few may be live that they become passive, and get their snapshots, all the time.
  return startOn(files, { kinds: [ledger], logger: quiet, liveLimit: Math.max(1, orders.active >> 1) })
}

function openDatabase(logger: Logger, pool: Pool): Parameters<typeof startOn>[0] {
  const world = { clock: systemClock, logger, folder: createFileDisk }
  const storage = sqliteStorage({ path: databaseIn(orders.dir), portionBytes: 48 * 1024 })
  const { ports, damage } = storage.open(world, { ledger: orders.version })
  return { ports: { ...ports, pool, clock: systemClock, chance: systemChance }, damage }
}

const idOf = (index: number): string => `ledger-${index}`

/** What there is of the sessions at work. */
function find(runtime: Runtime): number[] {
  const counts: number[] = []
  for (let index = 0; index < orders.active; index++) {
    const { context } = runtime.session(idOf(index), ledger).snapshot()
    const whole = isDeepStrictEqual(context, ledgerAfter(index, context.count, orders.version))
    say(`found ${index} ${context.count} ${whole}`)
    counts.push(context.count)
  }
  return counts
}

let left = orders.entries

/** Enters one after the other, some of them before the last is acknowledged. */
async function work(runtime: Runtime, index: number, found: number): Promise<void> {
  for (let n = found; left > 0; ) {
    const burst = 1 + Math.floor(random() * 4)
    left -= burst
    say(`sent ${index} ${n + burst}`)
    const one = async (entry: number): Promise<void> => {
      await runtime.session(idOf(index), ledger).send({ type: 'enter', entry: entryOf(index, entry) })
      say(`ack ${index} ${entry}`)
    }
    await Promise.all(Array.from({ length: burst }, (_, at) => one(n + at + 1)))
    n += burst
  }
}

/** Drops what is old as long as there is work. */
async function tidy(runtime: Runtime): Promise<void> {
  while (orders.place === 'compaction' && left > 0) {
    await runtime.compact({ keepBytes: 100_000 })
    flooring = false
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const runtime = await open().catch((error: unknown) => {
  if (!isHoldfastError(error, 'DIRECTORY_LOCKED')) throw error
  say(`refused ${(error.details.owner as Owner | undefined)?.pid}`)
  process.exit()
})
if (runtime.sessions.count() === 0) {
  await Promise.all(
    Array.from({ length: orders.sessions }, (_, index) => runtime.create(ledger, undefined, { id: idOf(index) })),
  )
}
const { parked, quarantined, damage } = runtime.health()
const corrupt = damage.filter(({ kind }) => kind !== 'torn')
for (const trouble of [...parked, ...quarantined, ...corrupt]) say(`error ${JSON.stringify(trouble)}`)
const { user, system } = process.cpuUsage()
say(`ready ${Math.round(performance.now())} ${calls} ${runtime.sessions.count()} ${Math.round((user + system) / 1000)}`)
const counts = find(runtime)
phase = 'work'
await Promise.all([...counts.map((count, index) => work(runtime, index, count)), tidy(runtime)])
phase = 'shutdown'
say('closing')
await runtime.close()
say('closed')
