// R6: a small disk that is filled up and freed again and again, under a runtime at work. It starts every time there is room,
// loses nothing that was acknowledged, and serves reads throughout: while the disk is full, after the journal has failed, and
// beside it. On a real tmpfs of one MiB, unless mounting one is refused (then it is skipped, and the other says so), and
// on real files whose disk refuses with ENOSPC beyond a limit. HOLDFAST_FILLS sets how often, HOLDFAST_SEED how far.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineSession, openReader, type Runtime } from 'holdfast'
import { afterEach, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import type { Disk, DiskFile } from '../../src/disk.js'
import { isHoldfastError } from '../../src/errors.js'
import { createFileDisk } from '../../src/files/disk.js'
import { createInlinePool, openFiles, startOn } from '../../src/open.js'
import { systemChance } from '../../src/system/chance.js'
import { systemClock } from '../../src/system/clock.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { systemError } from '../../src/testing/disk-file.js'
import { mountSmallDisk, SMALL_BYTES, sizesIn } from '../small-disk.js'

const FILLS = Number(process.env.HOLDFAST_FILLS ?? 5)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const IDS = ['a', 'b', 'c', 'd']

const note = defineSession({
  kind: 'note',
  version: 1,
  machine: setup({
    types: { context: {} as { count: number; text: string }, events: {} as { type: 'write'; text: string } },
  }).createMachine({
    context: { count: 0, text: '' },
    on: {
      write: { actions: assign({ count: ({ context }) => context.count + 1, text: ({ event }) => event.text }) },
    },
  }),
})

/** A disk of one MiB with a data directory on it. */
interface Small {
  readonly dir: string
  readonly disk: Disk
  /** Leaves so many bytes for the data directory. */
  leave(bytes: number): void
  release(): void
}

let small: Small | undefined
afterEach(() => small?.release())

/** A real file system of one MiB; undefined where mounting one is refused. */
function mounted(): Small | undefined {
  const small = mountSmallDisk()
  const dir = join(small?.root ?? '', 'data')
  return small && { dir, disk: createFileDisk(dir), leave: small.leave, release: small.release }
}

/** Real files that refuse to grow. */
function injected(): Small {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-full-'))
  const dir = join(root, 'data')
  let limit = SMALL_BYTES
  return {
    ...{ dir, disk: limited(createFileDisk(dir), () => limit - bytesIn(dir)) },
    leave(bytes) {
      limit = bytesIn(dir) + bytes
    },
    release: () => rmSync(root, { recursive: true, force: true }),
  }
}

const bytesIn = (dir: string): number => sizesIn(dir).reduce((sum, size) => sum + size, 0)

/** Files that grow only as long as there is room: a write takes what still fits, and then nothing. */
function limited(inner: Disk, room: () => number): Disk {
  const fitting = (file: DiskFile, bytes: Uint8Array, position: number): Uint8Array => {
    const grows = Math.max(0, position + bytes.length - file.size())
    const fits = bytes.length - Math.max(0, grows - Math.max(0, room()))
    if (fits <= 0) throw systemError('ENOSPC', { op: 'write', path: file.path })
    return bytes.subarray(0, fits)
  }
  const wrap = (file: DiskFile): DiskFile => ({
    path: file.path,
    size: () => file.size(),
    readSync: (into, position) => file.readSync(into, position),
    writeSync: (bytes, position) => file.writeSync(fitting(file, bytes, position), position),
    write: async (bytes, position) => file.write(fitting(file, bytes, position), position),
    syncSync: () => file.syncSync(),
    sync: () => file.sync(),
    close: () => file.close(),
  })
  return {
    location: inner.location,
    openRead: (path) => inner.openRead(path),
    create: (path) => wrap(inner.create(path)),
    list: (folder) => inner.list(folder),
    makeFolder: (folder) => inner.makeFolder(folder),
    rename: (from, to) => inner.rename(from, to),
    remove: (path) => inner.remove(path),
    syncFolder: (folder) => inner.syncFolder(folder),
    lock: (path) => inner.lock(path),
  }
}

const quiet = { info: () => {}, warn: () => {}, error: () => {} }

async function open({ disk }: Small): Promise<Runtime> {
  const pool = () => createInlinePool({ clock: systemClock })
  const options = { segmentBytes: 64 * 1024 }
  const files = await openFiles(disk, [note], systemClock, systemChance, quiet, pool, options)
  return startOn(files, { kinds: [note], logger: quiet })
}

/** How many writes of each session were acknowledged, and how many were asked for. */
type Told = Map<string, { acknowledged: number; asked: number }>

/** Every session can be looked at, and has what was acknowledged; its history can be read. */
function mustServe(runtime: Runtime, told: Told): void {
  for (const [id, { acknowledged, asked }] of told) {
    const session = runtime.session(id, note)
    const { count } = session.snapshot().context
    expect(count).toBeGreaterThanOrEqual(acknowledged)
    expect(count).toBeLessThanOrEqual(asked)
    expect(session.can({ type: 'write', text: '' })).toBe(true)
  }
}

/** The same beside the owner, or without one. */
function mustRead(dir: string, told: Told): void {
  const reader = openReader({ dir })
  try {
    for (const [id, { acknowledged }] of told) {
      expect((reader.state(id).context as { count: number }).count).toBeGreaterThanOrEqual(acknowledged)
    }
  } finally {
    reader.close()
  }
}

/** Writes until the disk is full. */
async function fill(runtime: Runtime, told: Told, random: () => number): Promise<unknown> {
  for (;;) {
    mustServe(runtime, told)
    const ids = IDS.filter(() => random() < 0.7)
    const outcomes = await Promise.allSettled(
      ids.map((id) => {
        const tally = told.get(id) as { acknowledged: number; asked: number }
        tally.asked++
        const text = 'x'.repeat(Math.floor(random() * 6000))
        return runtime
          .session(id, note)
          .send({ type: 'write', text })
          .then(() => tally.acknowledged++)
      }),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) return failed.reason
  }
}

async function fillAndFree(what: string, at: Small): Promise<void> {
  small = at
  const { random } = createSeededChance(SEED)
  const told: Told = new Map()
  let [writes, refused] = [0, 0]
  const first = await open(at)
  for (const id of IDS) {
    await first.create(note, undefined, { id })
    told.set(id, { acknowledged: 0, asked: 0 })
  }
  await first.close()
  for (let count = 0; count < FILLS; count++) {
    at.leave(100_000 + Math.floor(random() * 300_000))
    const runtime = await open(at)
    mustServe(runtime, told)
    const reason = await fill(runtime, told, random)
    expect(reason).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(runtime.health()).toMatchObject({
      status: 'read-only',
      failure: { cause: { cause: { code: 'DISK_FULL' } } },
    })
    at.leave(Math.floor(random() * 40) * 4096)
    mustServe(runtime, told)
    mustRead(at.dir, told)
    await expect(runtime.session('a', note).send({ type: 'write', text: '' })).rejects.toMatchObject({
      code: 'READ_ONLY',
    })
    await runtime.close()
    // Full as it is, it opens or says why not, and can be read either way.
    const opened = await open(at).catch((error: unknown) => error)
    if (isHoldfastError(opened)) {
      expect(opened.code).toBe('DISK_FULL')
      refused++
    } else {
      mustServe(opened as Runtime, told)
      await (opened as Runtime).close()
    }
    mustRead(at.dir, told)
    at.leave(600_000)
    const again = await open(at)
    mustServe(again, told)
    // What nobody was told of is known now.
    for (const [id, tally] of told) {
      tally.acknowledged = again.session(id, note).snapshot().context.count
      tally.asked = tally.acknowledged
    }
    writes = [...told.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0)
    await again.compact({ keepBytes: 0 })
    await again.close()
  }
  expect(writes).toBeGreaterThan(FILLS * 8)
  console.log(
    `R6: ${what} filled and freed ${FILLS} times, ${writes} writes; ${refused} openings of a full disk refused`,
  )
}

const tmpfs = mounted()

test.runIf(tmpfs)(`R6: a real disk of one MiB is filled and freed ${FILLS} times`, { timeout: 0 }, () =>
  fillAndFree('a tmpfs of one MiB', tmpfs as Small),
)

test(`R6: a disk that refuses to grow is filled and freed ${FILLS} times`, { timeout: 0 }, () =>
  fillAndFree(`files that refuse with ENOSPC${tmpfs ? '' : ' (mounting a tmpfs is refused here)'}`, injected()),
)
