// The journal as files: the contract of journals, and what a crash, a bad disk or a flipped bit may do to it. Nothing that
// was acknowledged is lost in silence, and what is lost is named by file and offset and kept aside.

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Disk, readAll, writeAllSync } from '../../src/disk.js'
import { isHoldfastError } from '../../src/errors.js'
import { createFileDisk } from '../../src/files/disk.js'
import { readFileJournal } from '../../src/files/foreign-journal.js'
import type { FileJournalOptions } from '../../src/files/journal.js'
import { openFileJournal } from '../../src/files/open-journal.js'
import { FORMAT, HEADER_BYTES, headerLine, readHeader, segmentName } from '../../src/files/segment.js'
import type { Damage, ReadableJournal } from '../../src/journal.js'
import { createMemoryDisk } from '../../src/memory/disk.js'
import type { Position, TransitionRecord } from '../../src/record.js'
import { createVirtualClock } from '../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk, type DiskCall, failAt, type OnCall } from '../../src/testing/disk.js'
import { systemError } from '../../src/testing/disk-file.js'
import {
  Appender,
  codeOf,
  type Heard,
  journalContract,
  nextTurn,
  plain,
  recordOf,
  records,
  scanned,
  turnsUntil,
} from '../contract/journal.js'

/** Segments of a few records, and a flush that counts as a stall, so that the next ones run off the main thread. */
const SMALL: FileJournalOptions = { segmentBytes: 500 }
const OFF_THREAD: FileJournalOptions = { stallMs: -1, reserveBytes: 0 }

const open = (disk: Disk, options?: FileJournalOptions): ReturnType<typeof openFileJournal> =>
  openFileJournal(disk, createVirtualClock(), options)

function newDisk(): Disk {
  const disk = createMemoryDisk()
  disk.makeFolder('')
  return disk
}

for (const [name, options] of [
  ['on a memory disk', {}],
  ['on a memory disk, off the main thread', OFF_THREAD],
  ['on a memory disk, in small segments', SMALL],
  ['on a memory disk, a segment for each batch, off the main thread', { segmentBytes: 1, stallMs: -1 }],
] as const) {
  journalContract(name, (limits) => open(newDisk(), { ...options, ...limits }))
}

for (const [name, options] of [
  ['on real files', { stallMs: 1000 }],
  ['on real files, off the main thread, in small segments', { ...OFF_THREAD, ...SMALL }],
] as const) {
  journalContract(name, (limits) => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-journal-'))
    const disk = createFileDisk(join(folder, 'data'))
    const { journal } = open(disk, { ...options, ...limits })
    return { journal, close: () => rmSync(folder, { recursive: true, force: true }) }
  })
}

/** Writes batches of so many records each into a new journal and closes it. */
async function fill(disk: Disk, batches: readonly number[], options?: FileJournalOptions): Promise<Position[]> {
  const { journal } = open(disk, options)
  const appender = new Appender(journal)
  let count = 0
  for (const size of batches) {
    await appender.batch(...records(size, count))
    count += size
  }
  await journal.close()
  return appender.positions
}

const FIRST = segmentName(1)

const bytesOf = (disk: Disk, path: string): Uint8Array => new Uint8Array(readAll(disk, path) as Uint8Array)

function put(disk: Disk, path: string, bytes: Uint8Array): void {
  const file = disk.create(path)
  writeAllSync(file, bytes, 0)
  file.syncSync()
  file.close()
  disk.syncFolder('journal')
}

const withFlippedBit = (bytes: Uint8Array, offset: number, bit: number): Uint8Array => {
  const flipped = bytes.slice()
  flipped[offset] = (flipped[offset] as number) ^ (1 << bit)
  return flipped
}

/** Every path and its content, as far as the journal and the quarantine go. */
function contents(disk: Disk): Record<string, string> {
  const all: Record<string, string> = {}
  for (const folder of ['journal', 'quarantine']) {
    for (const name of disk.list(folder)) {
      all[`${folder}/${name}`] = Buffer.from(bytesOf(disk, `${folder}/${name}`)).toString('latin1')
    }
  }
  return all
}

interface Seen {
  readonly records: readonly TransitionRecord[]
  readonly damage: readonly Damage[]
  readonly epoch: number
}

/** What an opening finds, after which the journal is closed again. */
async function look(disk: Disk, options?: FileJournalOptions): Promise<Seen> {
  const { journal, damage, epoch } = open(disk, options)
  const seen = { records: scanned(journal), damage, epoch }
  for (const { position, record } of journal.scan(0)) expect(journal.read(position)).toEqual(record)
  await journal.close()
  return seen
}

describe('segments', () => {
  test('a journal of many segments is read across all of them, from every position, and after every reopening', async () => {
    const disk = newDisk()
    const positions = await fill(disk, [1, 3, 2, 1, 4, 1, 1, 2], SMALL)
    expect(disk.list('journal').length).toBeGreaterThan(3)
    for (let reopening = 0; reopening < 3; reopening++) {
      const { journal } = open(disk, SMALL)
      expect(scanned(journal)).toEqual(records(15))
      for (const [index, position] of positions.entries()) {
        expect(plain(journal.read(position))).toEqual(recordOf(index))
        expect(scanned(journal, position)).toEqual(records(15).slice(index))
        expect(scanned(journal, position + 1)).toEqual(records(15).slice(index + 1))
      }
      expect(journal.stats().segments).toBe(disk.list('journal').length)
      await journal.close()
    }
  })

  test('a segment is sealed once it is as large as it may be, and a batch is never cut in two', async () => {
    const disk = newDisk()
    await fill(disk, [40, 1, 1], SMALL)
    expect(disk.list('journal')).toEqual(['00000001.jsonl', '00000002.jsonl'])
    expect(bytesOf(disk, FIRST).length).toBeGreaterThan(40 * 100)
  })

  test('a segment of its own for every batch, while the one before is still being written, holds all of them', async () => {
    const disk = createCrashDisk({ settle: nextTurn })
    const { journal } = open(disk, { ...OFF_THREAD, segmentBytes: 1 })
    const appender = new Appender(journal)
    for (const record of records(12)) {
      appender.append(record)
      await nextTurn()
    }
    await journal.close()
    expect(appender.heard.map(({ n }) => n)).toEqual(records(12).map((_, n) => n))
    expect(await look(disk)).toMatchObject({ records: records(12), damage: [] })
    expect(disk.list('journal').length).toBeGreaterThan(3)
  })

  test('what comes while a batch is on its way off the main thread is written next, without anybody asking', async () => {
    const disk = createCrashDisk({ settle: nextTurn })
    const { journal } = open(disk, OFF_THREAD)
    const appender = new Appender(journal)
    await appender.batch(recordOf(0))
    let syncs = 0
    disk.onCall = (_, { op }) => {
      if (op === 'sync' && ++syncs < 4) appender.append(recordOf(syncs + 1))
      return undefined
    }
    appender.append(recordOf(1))
    await turnsUntil(() => appender.heard.length === 5)
    expect(appender.heard.map(({ n }) => n)).toEqual([0, 1, 2, 3, 4])
    expect(journal.stats().flushes).toBe(5)
    await journal.close()
  })

  test('positions stay the same, and new records come behind the old ones, over reopenings with other segment sizes', async () => {
    const disk = newDisk()
    const positions: Position[] = []
    for (const [round, segmentBytes] of [1, 10_000, 300, 1, 700].entries()) {
      const { journal } = open(disk, { segmentBytes })
      const appender = new Appender(journal)
      await appender.batch(...records(2, round * 2))
      positions.push(...appender.positions)
      expect([...journal.scan(0)].map(({ position }) => position)).toEqual(positions)
      await journal.close()
    }
    expect(scanned(open(disk).journal)).toEqual(records(10))
  })

  test('the epoch of the writer counts up with each opening, and stands in the header of every segment it begins', async () => {
    const disk = newDisk()
    for (const epoch of [1, 2, 3]) {
      const opened = open(disk, { segmentBytes: 1 })
      expect(opened.epoch).toBe(epoch)
      await new Appender(opened.journal).batch(recordOf(epoch))
      await opened.journal.close()
      const last = disk.list('journal').at(-1) as string
      expect(readHeader(bytesOf(disk, `journal/${last}`))?.header).toMatchObject({ holdfast: FORMAT, epoch })
    }
  })

  test('opening never writes to a segment that is there: it makes the last one anew', async () => {
    const disk = createCrashDisk()
    await fill(disk, [1, 1, 1, 1, 1, 1], SMALL)
    const before = contents(disk)
    const last = disk.list('journal').at(-1) as string
    const from = disk.callCount
    const { journal } = open(disk, SMALL)
    const written = disk.calls.slice(from).filter(({ op }) => op === 'write' || op === 'create')
    expect(new Set(written.map(({ path }) => path))).toEqual(new Set([`journal/${last}.tmp`]))
    await journal.close()
    for (const [path, content] of Object.entries(contents(disk))) {
      expect(content.slice(HEADER_BYTES)).toBe((before[path] as string).slice(HEADER_BYTES))
    }
  })

  test('what a crash left of a segment that was being begun is cleared away', async () => {
    const disk = newDisk()
    await fill(disk, [2])
    put(disk, 'journal/00000002.jsonl.tmp', Buffer.from('half'))
    expect(await look(disk)).toMatchObject({ records: records(2), damage: [] })
    expect(disk.list('journal')).toEqual(['00000001.jsonl'])
  })

  test('files that are no segments are left alone', async () => {
    const disk = newDisk()
    await fill(disk, [2])
    put(disk, 'journal/notes.txt', Buffer.from('mine'))
    put(disk, 'journal/1.jsonl', Buffer.from('mine'))
    expect(await look(disk)).toMatchObject({ records: records(2), damage: [] })
    expect(disk.list('journal')).toEqual(['00000001.jsonl', '1.jsonl', 'notes.txt'])
  })

  test('on real files, only their owner can read what the journal writes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-journal-'))
    await fill(createFileDisk(folder), [1, 1, 1], { segmentBytes: 1 })
    const modes = readdirSync(join(folder, 'journal')).map(
      (name) => statSync(join(folder, 'journal', name)).mode & 0o777,
    )
    expect(modes).toEqual([0o600, 0o600, 0o600, 0o600])
    rmSync(folder, { recursive: true })
  })
})

test('a record that is too large is refused, and nothing of it is added', async () => {
  const disk = newDisk()
  const { journal } = open(disk, { recordBytes: 1000 })
  const appender = new Appender(journal)
  const large = recordOf(1, { patch: [[[], 'x'.repeat(1000)]] })
  appender.append(recordOf(0))
  expect(codeOf(() => appender.append(large))).toBe('RECORD_TOO_LARGE')
  expect(codeOf(() => appender.append(large))).toBe('RECORD_TOO_LARGE')
  await appender.batch(recordOf(1, { patch: [[[], 'x'.repeat(500)]] }), recordOf(2))
  expect(appender.heard.map(({ kind, n }) => `${kind} ${n}`)).toEqual(['durable 0', 'durable 1', 'durable 2'])
  await journal.close()
  expect((await look(disk)).records.map(({ seq }) => seq)).toEqual([1, 2, 3])
})

test('a waiter hears of a record only when no power cut can take it away any more', async () => {
  for (const options of [{}, OFF_THREAD, { ...SMALL, ...OFF_THREAD }, { segmentBytes: 1 }]) {
    const disk = createCrashDisk({ settle: nextTurn })
    const { journal } = open(disk, options)
    const appender = new Appender(journal)
    const heardAt: [number, CrashDisk][] = []
    appender.onDurable = (n) => heardAt.push([n, disk.crash()])
    for (let n = 0; n < 12; n += 2) {
      appender.append(...records(2, n))
      if (n % 4 === 0) await nextTurn()
    }
    await journal.flush()
    expect(heardAt).toHaveLength(12)
    for (const [n, crashed] of heardAt) {
      const { records: found, damage } = await look(crashed)
      expect(found.slice(0, n + 1)).toEqual(records(n + 1))
      expect(damage).toEqual([])
    }
    await journal.close()
  }
})

describe('a torn end', () => {
  test('cut at any byte of the last batch, it loses only that, keeps it aside, and another opening changes nothing', async () => {
    const whole = newDisk()
    const positions = await fill(whole, [1, 2, 3])
    const bytes = bytesOf(whole, FIRST)
    const lastBatch = positions[3] as Position
    for (let cut = lastBatch; cut < bytes.length; cut++) {
      const disk = newDisk()
      disk.makeFolder('journal')
      put(disk, FIRST, bytes.subarray(0, cut))
      const ends = [...positions.slice(1), bytes.length]
      const kept = ends.filter((end) => end <= cut).length
      const from = ends[kept - 1] as number
      const seen = await look(disk)
      expect(seen.records, `cut at ${cut}`).toEqual(records(kept))
      if (from === cut) expect(seen.damage).toEqual([])
      else {
        const path = `quarantine/00000001.jsonl.${from}.torn`
        expect(seen.damage).toMatchObject([{ file: FIRST, offset: from, bytes: cut - from, kind: 'torn', kept: path }])
        expect(bytesOf(disk, path)).toEqual(bytes.slice(from, cut))
      }
      const aside = contents(disk)
      const again = await look(disk)
      expect(again).toEqual({ records: records(kept), damage: [], epoch: seen.epoch + 1 })
      const { [FIRST]: _, ...quarantined } = contents(disk)
      const { [FIRST]: __, ...before } = aside
      expect(quarantined).toEqual(before)
    }
  })

  test('at the place of an earlier one takes nothing from what was kept then', async () => {
    const disk = newDisk()
    const positions = await fill(disk, [1, 2])
    const whole = bytesOf(disk, FIRST)
    const place = `quarantine/00000001.jsonl.${positions[2]}.torn`
    const kept: Uint8Array[] = []
    for (const [tear, length] of [10, 20, 10, 30].entries()) {
      put(disk, FIRST, whole.subarray(0, (positions[2] as number) + length))
      const { damage } = await look(disk)
      const which = [0, 1, 0, 2][tear] as number // the same bytes are the same damage
      expect(damage).toMatchObject([{ kept: which === 0 ? place : `${place}.${which}` }])
      kept[which] = whole.slice(positions[2] as number, (positions[2] as number) + length)
    }
    expect(disk.list('quarantine')).toHaveLength(3)
    for (const [which, bytes] of kept.entries())
      expect(bytesOf(disk, which === 0 ? place : `${place}.${which}`)).toEqual(bytes)
  })

  test('is followed by new records as if it had never been', async () => {
    const whole = newDisk()
    const positions = await fill(whole, [1, 2])
    const disk = newDisk()
    disk.makeFolder('journal')
    put(disk, FIRST, bytesOf(whole, FIRST).subarray(0, (positions[2] as number) + 10))
    const { journal, damage } = open(disk)
    expect(damage).toHaveLength(1)
    await new Appender(journal).batch(...records(3, 2))
    await journal.close()
    expect(await look(disk)).toMatchObject({ records: records(5), damage: [] })
  })

  test('names the sessions that it can make out', async () => {
    const whole = newDisk()
    const positions = await fill(whole, [1, 3])
    const bytes = bytesOf(whole, FIRST)
    const disk = newDisk()
    disk.makeFolder('journal')
    put(disk, FIRST, withFlippedBit(bytes, (positions[1] as number) + 20, 0))
    expect((await look(disk)).damage).toMatchObject([{ kind: 'torn', sessions: ['s1', 's2', 's0'] }])
  })

  test('that is zeros is space that was reserved: no damage, and nothing is kept aside', async () => {
    for (const zeros of [1, 512, 10_000]) {
      const disk = newDisk()
      await fill(disk, [1, 2])
      put(disk, FIRST, Buffer.concat([bytesOf(disk, FIRST), Buffer.alloc(zeros)]))
      expect(await look(disk)).toMatchObject({ records: records(3), damage: [] })
      expect(disk.list('quarantine')).toEqual([])
      const { journal } = open(disk)
      await new Appender(journal).batch(recordOf(3))
      await journal.close()
      expect(await look(disk)).toMatchObject({ records: records(4), damage: [] })
    }
  })

  test('before zeros is kept aside without them', async () => {
    const disk = newDisk()
    const positions = await fill(disk, [1, 2])
    const cut = (positions[2] as number) + 30
    put(disk, FIRST, Buffer.concat([bytesOf(disk, FIRST).subarray(0, cut), Buffer.alloc(4096)]))
    expect((await look(disk)).damage).toMatchObject([{ offset: positions[2], bytes: 30, kind: 'torn' }])
  })

  test('of a power cut while a batch is written: nothing acknowledged is lost, and what opening shows stays', async () => {
    const disk = createCrashDisk()
    const { journal } = open(disk)
    const appender = new Appender(journal)
    await appender.batch(...records(2))
    await appender.batch(recordOf(2))
    const crashes: CrashDisk[] = []
    disk.onCall = (_, { op, path }) => {
      // The write is done, its sync is not: any part of it may reach the device.
      if (op === 'sync' && path.startsWith('journal/'))
        for (const { disk: left } of disk.crashStates({ pieces: 6 })) crashes.push(left)
      return undefined
    }
    const large = recordOf(4, { patch: [[[], 'x'.repeat(5000)]] })
    await appender.batch(recordOf(3), large, recordOf(5))
    disk.onCall = undefined
    expect(crashes.length).toBeGreaterThan(50)
    const all = [...records(4), large, recordOf(5)]
    for (const left of crashes) {
      const { journal: reopened, damage } = open(left)
      const shown = scanned(reopened)
      expect(shown.length).toBeGreaterThanOrEqual(3)
      expect(shown).toEqual(all.slice(0, shown.length))
      expect(damage.filter(({ kind }) => kind !== 'torn')).toEqual([])
      const { records: after } = await look(left.crash())
      expect(after).toEqual(shown)
      for (const { kept } of damage)
        expect(readAll(left.crash(), kept as string)).toEqual(readAll(left, kept as string))
      await reopened.close()
    }
  })
})

describe('a flipped bit', () => {
  test('in an earlier batch is corruption, named by file and offset and kept aside; all other records still read', async () => {
    const whole = newDisk()
    const positions = await fill(whole, [1, 2, 1, 2])
    const bytes = bytesOf(whole, FIRST)
    const ends = [...positions.slice(1), bytes.length]
    for (let offset = HEADER_BYTES; offset < (positions[4] as number); offset++) {
      const disk = newDisk()
      disk.makeFolder('journal')
      const hit = positions.findLastIndex((position) => position <= offset)
      // Without its newline a line runs into the next one, and both cannot be read.
      const newline = offset === (ends[hit] as number) - 1
      const lost = newline ? [hit, hit + 1] : [hit]
      const from = positions[hit] as number
      const until = ends[lost.at(-1) as number] as number
      put(disk, FIRST, withFlippedBit(bytes, offset, offset % 7))
      const { journal, damage } = open(disk)
      const where = `bit ${offset % 7} of byte ${offset}`
      expect(damage, where).toMatchObject([{ file: FIRST, offset: from, bytes: until - from, kind: 'corrupt' }])
      expect(bytesOf(disk, damage[0]?.kept as string)).toEqual(
        withFlippedBit(bytes, offset, offset % 7).slice(from, until),
      )
      expect(scanned(journal), where).toEqual(records(6).filter((_, index) => !lost.includes(index)))
      for (const [index, position] of positions.entries()) {
        if (index === hit) expect(codeOf(() => journal.read(position))).toBe('JOURNAL_CORRUPT')
        else expect(plain(journal.read(position))).toEqual(recordOf(index))
      }
      await journal.close()
    }
  })

  test('makes the error of a read name the file and the offset', async () => {
    const disk = newDisk()
    const positions = await fill(disk, [1, 1, 1], { segmentBytes: 1 })
    // The first segment has nothing but its header: it was as large as it may be from the beginning.
    const path = segmentName(3)
    put(disk, path, withFlippedBit(bytesOf(disk, path), HEADER_BYTES + 30, 0))
    const { journal } = open(disk)
    try {
      journal.read(positions[1] as Position)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'JOURNAL_CORRUPT', details: { file: path, offset: HEADER_BYTES } })
    }
    expect(scanned(journal)).toEqual([recordOf(0), recordOf(2)])
  })

  test('is named by its file in the last segment too, which an opening has made anew', async () => {
    const disk = newDisk()
    const positions = await fill(disk, [1, 1, 1])
    put(disk, FIRST, withFlippedBit(bytesOf(disk, FIRST), (positions[1] as number) + 30, 0))
    const { journal } = open(disk)
    try {
      journal.read(positions[1] as Position)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'JOURNAL_CORRUPT', details: { file: FIRST, offset: positions[1] } })
    }
  })

  test('in the last batch counts as torn: what is before it in that batch stays, the rest was perhaps never there', async () => {
    const whole = newDisk()
    const positions = await fill(whole, [2, 3])
    const bytes = bytesOf(whole, FIRST)
    for (let offset = positions[2] as number; offset < bytes.length; offset++) {
      const disk = newDisk()
      disk.makeFolder('journal')
      put(disk, FIRST, withFlippedBit(bytes, offset, offset % 8))
      const hit = positions.findLastIndex((position) => position <= offset)
      const { records: found, damage } = await look(disk)
      expect(found).toEqual(records(hit))
      expect(damage).toMatchObject([{ offset: positions[hit], kind: 'torn' }])
    }
  })

  test('stays reported at every opening until somebody mends it, and new records go on behind it', async () => {
    const disk = newDisk()
    const positions = await fill(disk, [1, 1, 1])
    put(disk, FIRST, withFlippedBit(bytesOf(disk, FIRST), (positions[1] as number) + 60, 1))
    for (let opening = 0; opening < 3; opening++) {
      const { journal, damage } = open(disk)
      expect(damage).toMatchObject([{ offset: positions[1], kind: 'corrupt', sessions: ['s1'] }])
      await new Appender(journal).batch(recordOf(3 + opening))
      await journal.close()
    }
    expect((await look(disk)).records.map(({ seq }) => seq - 1)).toEqual([0, 2, 3, 4, 5])
    expect(disk.list('quarantine')).toEqual([`00000001.jsonl.${positions[1]}.corrupt`])
  })

  test('in a sealed segment hides no other record', async () => {
    const whole = newDisk()
    const positions = await fill(whole, [1, 1, 2, 1, 1, 1, 1, 1], SMALL)
    const sealed = whole
      .list('journal')
      .slice(0, -1)
      .map((name) => `journal/${name}`)
    expect(sealed.length).toBeGreaterThan(1)
    for (const path of sealed) {
      const bytes = bytesOf(whole, path)
      for (let offset = 0; offset < bytes.length; offset += 3) {
        const disk = newDisk()
        disk.makeFolder('journal')
        for (const name of whole.list('journal')) put(disk, `journal/${name}`, bytesOf(whole, `journal/${name}`))
        put(disk, path, withFlippedBit(bytes, offset, offset % 7))
        const { journal } = open(disk, SMALL)
        const found = scanned(journal).map(({ seq }) => seq - 1)
        expect(found).toEqual(found.toSorted((a, b) => a - b))
        expect(9 - found.length, `${path} ${offset}`).toBeLessThanOrEqual(2)
        for (const n of found) expect(plain(journal.read(positions[n] as Position))).toEqual(recordOf(n))
        await journal.close()
      }
    }
  })
})

test('a line that was taken out, put in twice, moved or swapped is noticed', async () => {
  const whole = newDisk()
  const positions = await fill(whole, [1, 1, 1, 1, 1])
  const bytes = bytesOf(whole, FIRST)
  const header = bytes.subarray(0, HEADER_BYTES)
  const lines = positions.map((position, index) => bytes.subarray(position, positions[index + 1] ?? bytes.length))
  const line = (index: number): Uint8Array => lines[index] as Uint8Array
  const edits: readonly (readonly [string, readonly number[]])[] = [
    ['the first taken out', [1, 2, 3, 4]],
    ['one in the middle taken out', [0, 1, 3, 4]],
    ['the last but one taken out', [0, 1, 2, 4]],
    ['two swapped', [0, 2, 1, 3, 4]],
    ['the last two swapped', [0, 1, 2, 4, 3]],
    ['one twice', [0, 1, 1, 2, 3, 4]],
    ['one moved to the front', [3, 0, 1, 2, 4]],
    ['the last twice', [0, 1, 2, 3, 4, 4]],
  ]
  for (const [what, order] of edits) {
    const disk = newDisk()
    disk.makeFolder('journal')
    put(disk, FIRST, Buffer.concat([header, ...order.map(line)]))
    expect((await look(disk)).damage.length, what).toBeGreaterThan(0)
  }
})

describe('a damaged header', () => {
  test('at any byte hides no record, now or later, and takes nothing from what is written since', async () => {
    const whole = newDisk()
    const positions = await fill(whole, [2, 1])
    for (let offset = 0; offset < HEADER_BYTES; offset++) {
      const disk = newDisk()
      disk.makeFolder('journal')
      put(disk, FIRST, withFlippedBit(bytesOf(whole, FIRST), offset, offset % 7))
      const { journal, damage } = open(disk)
      const kept = 'quarantine/00000001.jsonl.0.header'
      const named = { file: FIRST, offset: 0, bytes: HEADER_BYTES, position: 0, kind: 'header', kept }
      expect(damage, `byte ${offset}`).toMatchObject([{ ...named, sessions: [] }])
      const original = withFlippedBit(bytesOf(whole, FIRST), offset, offset % 7).subarray(0, HEADER_BYTES)
      expect(bytesOf(disk, kept)).toEqual(original)
      expect([...journal.scan(0)].map(({ position }) => position)).toEqual(positions)
      await journal.close()
      expect((await look(disk)).records).toEqual(records(3))
      const again = open(disk)
      await new Appender(again.journal).batch(recordOf(3))
      await again.journal.close()
      expect(await look(disk)).toMatchObject({ records: records(4), damage: [] })
    }
  })

  test.each([0, 1, 2, 3, 4])(
    'of one of several segments hides no record and moves no position: segment %i',
    async (which) => {
      const whole = newDisk()
      const positions = await fill(whole, [1, 1, 1, 1], { segmentBytes: 1 })
      const path = segmentName(which + 1)
      for (let offset = 0; offset < HEADER_BYTES; offset += 1) {
        const disk = newDisk()
        disk.makeFolder('journal')
        for (const name of whole.list('journal')) put(disk, `journal/${name}`, bytesOf(whole, `journal/${name}`))
        put(disk, path, withFlippedBit(bytesOf(whole, path), offset, offset % 7))
        for (let opening = 0; opening < 3; opening++) {
          const { journal, damage } = open(disk)
          // The last one's is written anew, and what it was kept; the others stay as they are.
          const named =
            which === 4 && opening > 0 ? [] : [{ file: path, offset: 0, bytes: HEADER_BYTES, kind: 'header' }]
          expect(damage, `byte ${offset}, opening ${opening}`).toMatchObject(named)
          expect([...journal.scan(0)].map(({ position }) => position)).toEqual(positions)
          expect(scanned(journal)).toEqual(records(4))
          for (const [n, position] of positions.entries()) expect(plain(journal.read(position))).toEqual(recordOf(n))
          await journal.close()
        }
      }
    },
  )

  test('of a segment that is nothing but a piece of one makes an empty journal', async () => {
    for (const length of [0, 1, HEADER_BYTES - 1]) {
      const disk = newDisk()
      disk.makeFolder('journal')
      put(disk, FIRST, headerLine({ holdfast: FORMAT, segment: 1, epoch: 1, base: 0 }, 0).subarray(0, length))
      const { journal, damage } = open(disk)
      expect(damage).toMatchObject([{ file: FIRST, offset: 0, bytes: length, kind: 'header' }])
      expect(scanned(journal)).toEqual([])
      await new Appender(journal).batch(recordOf(0))
      await journal.close()
      expect(await look(disk)).toMatchObject({ records: records(1), damage: [] })
    }
  })
})

test('a journal of many segments needs few descriptors, to be written, read, opened and shown to others', async () => {
  const disk = createCrashDisk()
  const few = (): void => expect(disk.openFiles.length).toBeLessThan(70)
  const { journal } = open(disk, { segmentBytes: 1 })
  const appender = new Appender(journal)
  for (let number = 0; number < 150; number++) {
    await appender.batch(recordOf(number))
    few()
  }
  const readBy = (read: ReadableJournal): void => {
    const entries = [...read.scan(0)]
    expect(entries.map(({ record }) => record.seq)).toEqual(records(150).map(({ seq }) => seq))
    for (const { position, record } of entries.reverse()) {
      expect(read.read(position)).toEqual(record)
      few()
    }
  }
  readBy(journal)
  await journal.close()
  expect(disk.openFiles).toEqual([])
  const reader = readFileJournal(disk, () => {})
  readBy(reader)
  reader.close()
  expect(disk.openFiles).toEqual([])
  const again = open(disk)
  few()
  await again.journal.close()
  expect(disk.openFiles).toEqual([])
})

test('a scan that has begun goes on over segments that are sealed meanwhile', async () => {
  const disk = createCrashDisk()
  const { journal } = open(disk, { segmentBytes: 1 })
  const appender = new Appender(journal)
  for (let number = 0; number < 3; number++) await appender.batch(recordOf(number))
  const scan = journal.scan(0)
  scan.next()
  for (let number = 3; number < 6; number++) await appender.batch(recordOf(number))
  expect([...scan]).toHaveLength(2)
  await journal.close()
})

describe('a newer format', () => {
  async function newer(): Promise<CrashDisk> {
    const disk = createCrashDisk()
    await fill(disk, [2, 1, 1], { segmentBytes: 1 })
    const path = segmentName(2)
    const { header, chain } = readHeader(bytesOf(disk, path)) as NonNullable<ReturnType<typeof readHeader>>
    const line = headerLine({ ...header, holdfast: 2 }, chain)
    put(disk, path, Buffer.concat([line, bytesOf(disk, path).subarray(HEADER_BYTES)]))
    put(disk, 'journal/00000009.jsonl.tmp', Buffer.from('of somebody newer'))
    return disk
  }

  test('in any segment is refused by name, changes nothing, and leaves no file open', async () => {
    const disk = await newer()
    const before = disk.digest()
    try {
      open(disk)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'FORMAT_NEWER', details: { file: segmentName(2), format: 2 } })
      expect((error as Error).message).toContain('install')
    }
    expect(disk.digest()).toBe(before)
    expect(disk.openFiles).toEqual([])
  })

  test('is refused by a reader too', async () => {
    const disk = await newer()
    expect(codeOf(() => readFileJournal(disk, () => {}))).toBe('FORMAT_NEWER')
    expect(disk.openFiles).toEqual([])
  })
})

describe('a disk that fails', () => {
  const isJournal = ({ path }: DiskCall): boolean => path.startsWith('journal/')

  /** Fails a kind of call to the journal's files. */
  const failing =
    (op: DiskCall['op'], code: string): OnCall =>
    (_, call) => {
      if (call.op === op && isJournal(call)) throw systemError(code, call)
      return undefined
    }

  const faults: readonly (readonly [string, DiskCall['op'], string, string])[] = [
    ['a write', 'write', 'EIO', 'DISK_FAILED'],
    ['a write on a full disk', 'write', 'ENOSPC', 'DISK_FULL'],
    ['a write over the quota', 'write', 'EDQUOT', 'DISK_FULL'],
    ['a sync', 'sync', 'EIO', 'DISK_FAILED'],
    ['a sync on a full disk', 'sync', 'ENOSPC', 'DISK_FULL'],
  ]

  for (const [where, options] of [
    ['on the main thread', {}],
    ['off it', OFF_THREAD],
  ] as const) {
    test.each(faults)(
      `%s, ${where}: waiters hear OUTCOME_UNKNOWN, later appends are refused, the file is let alone`,
      async (_, op, code, expected) => {
        const disk = createCrashDisk({ settle: nextTurn })
        const { journal } = open(disk, options)
        const appender = new Appender(journal)
        await appender.batch(...records(2))
        disk.onCall = failing(op, code)
        appender.append(recordOf(2), recordOf(3))
        await turnsUntil(() => appender.heard.length === 4)
        disk.onCall = undefined
        const [failed] = appender.heard.slice(2) as Extract<Heard, { kind: 'failed' }>[]
        expect(appender.heard.slice(2).map(({ kind, n }) => `${kind} ${n}`)).toEqual(['failed 2', 'failed 3'])
        expect(failed?.code).toBe('OUTCOME_UNKNOWN')
        expect(failed?.error.cause).toMatchObject({ code: expected, details: { file: FIRST } })

        const from = disk.callCount
        expect(codeOf(() => appender.append(recordOf(4)))).toBe('JOURNAL_FAILED')
        await expect(journal.flush()).rejects.toMatchObject({ code: expected })
        await nextTurn()
        expect(scanned(journal)).toEqual(records(2))
        expect(plain(journal.read(appender.positions[0] as Position))).toEqual(recordOf(0))
        await journal.close()
        expect(
          disk.calls.slice(from).filter((call) => ['write', 'sync', 'create', 'rename'].includes(call.op)),
        ).toEqual([])
        expect(disk.openFiles).toEqual([])
        expect(appender.heard).toHaveLength(4)

        const { records: found } = await look(disk.crash())
        expect(found).toEqual(records(found.length))
        expect(found.length).toBeGreaterThanOrEqual(2)
      },
    )
  }

  test('off the main thread, records that wait behind the failed batch surely are not there: JOURNAL_FAILED', async () => {
    const disk = createCrashDisk({ settle: nextTurn })
    const { journal } = open(disk, OFF_THREAD)
    const appender = new Appender(journal)
    await appender.batch(recordOf(0))
    disk.onCall = (index, call) => {
      if (call.op === 'write' && isJournal(call)) appender.append(recordOf(2), recordOf(3))
      return failing('sync', 'EIO')(index, call)
    }
    appender.append(recordOf(1))
    await turnsUntil(() => appender.heard.length === 4)
    disk.onCall = undefined
    const outcomes = appender.heard.map((heard) => (heard.kind === 'failed' ? `${heard.n} ${heard.code}` : heard.n))
    expect(outcomes).toEqual([0, '1 OUTCOME_UNKNOWN', '2 JOURNAL_FAILED', '3 JOURNAL_FAILED'])
    await journal.close()
    const { records: found } = await look(disk)
    expect(found.map(({ seq }) => seq - 1)).not.toContain(2)
  })

  test('what was appended while a flush was failing is not written by the flush that was to come', async () => {
    const disk = createCrashDisk()
    const { journal } = open(disk)
    const appender = new Appender(journal)
    disk.onCall = failing('sync', 'EIO')
    const flushed = journal.flush()
    appender.append(recordOf(0))
    const failed = journal.flush()
    appender.append(recordOf(1))
    await flushed
    await expect(failed).rejects.toMatchObject({ code: 'DISK_FAILED' })
    disk.onCall = undefined
    const from = disk.callCount
    for (let turn = 0; turn < 5; turn++) await nextTurn()
    expect(disk.calls.slice(from)).toEqual([])
    const outcomes = appender.heard.map((heard) => (heard.kind === 'failed' ? `${heard.n} ${heard.code}` : heard.n))
    expect(outcomes).toEqual(['0 OUTCOME_UNKNOWN', '1 JOURNAL_FAILED'])
    await journal.close()
    expect((await look(disk)).records).toEqual(records(1))
  })

  test('short writes are gone on with, and a disk that takes not a byte is full', async () => {
    const disk = createCrashDisk()
    const { journal } = open(disk)
    const appender = new Appender(journal)
    disk.onCall = (_, { op, size }) => (op === 'write' ? Math.min(size, 7) : undefined)
    await appender.batch(...records(3))
    expect(scanned(journal)).toEqual(records(3))
    disk.onCall = (_, { op }) => (op === 'write' ? 0 : undefined)
    appender.append(recordOf(3))
    await turnsUntil(() => appender.heard.length === 4)
    expect((appender.heard[3] as Extract<Heard, { kind: 'failed' }>).error.cause).toMatchObject({ code: 'DISK_FULL' })
    disk.onCall = undefined
    await journal.close()
    expect((await look(disk)).records).toEqual(records(3))
  })

  test.each(['create', 'write', 'sync', 'rename', 'syncFolder'] as const)(
    'a segment that cannot be begun (%s) fails the journal, and no record before it is lost',
    async (op) => {
      const disk = createCrashDisk()
      const { journal } = open(disk, { segmentBytes: 1 })
      const appender = new Appender(journal)
      await appender.batch(...records(2))
      disk.onCall = (_, call) => {
        if (call.op === op && (call.path.endsWith('.tmp') || op === 'syncFolder')) throw systemError('EIO', call)
        return undefined
      }
      appender.append(recordOf(2))
      await turnsUntil(() => appender.heard.length === 3)
      disk.onCall = undefined
      expect(appender.heard[2]).toMatchObject({ kind: 'failed', code: 'OUTCOME_UNKNOWN' })
      expect(codeOf(() => appender.append(recordOf(3)))).toBe('JOURNAL_FAILED')
      await journal.close()
      expect(disk.openFiles).toEqual([])
      for (const left of [disk, disk.crash()]) {
        const { records: found, damage } = await look(left)
        expect(found).toEqual(records(2))
        expect(damage).toEqual([])
        expect(left.list('journal').filter((name) => name.endsWith('.tmp'))).toEqual([])
      }
    },
  )

  test('whatever call of an opening fails, nothing is lost, no file stays open, and the next opening finds all', async () => {
    const whole = createCrashDisk()
    const positions = await fill(whole, [1, 2, 1, 2, 1], SMALL)
    const last = `journal/${whole.list('journal').at(-1)}`
    const torn = bytesOf(whole, last)
    put(whole, last, torn.subarray(0, torn.length - 5))
    const expected = (await look(whole.clone(), SMALL)).records
    expect(expected.length).toBe(positions.length - 1)
    const trial = whole.clone()
    const first = trial.callCount
    open(trial, SMALL)
    const calls = trial.calls.slice(first)
    expect(calls.length).toBeGreaterThan(15)
    for (const [index, { op }] of calls.entries()) {
      if (op === 'close') continue
      const disk = whole.clone()
      disk.onCall = failAt(disk.callCount + index, 'EIO')
      expect(() => open(disk, SMALL), `call ${index}: ${op}`).toThrow()
      disk.onCall = undefined
      expect(disk.openFiles, `call ${index}: ${op}`).toEqual([])
      for (const left of [disk, disk.crash()]) expect((await look(left, SMALL)).records).toEqual(expected)
    }
  })

  test('a read that fails says so, and names the file as it is called now', async () => {
    const disk = createCrashDisk()
    const { journal } = open(disk)
    const { positions } = await new Appender(journal).batch(...records(2))
    disk.onCall = failing('read', 'EIO')
    for (const read of [() => journal.read(positions[0] as Position), () => [...journal.scan(0)]]) {
      expect(read).toThrow(expect.objectContaining({ code: 'DISK_FAILED', details: { file: FIRST } }))
      expect(read).toThrow(/^journal\/00000001\.jsonl: the disk failed/)
    }
    disk.onCall = undefined
    await journal.close()
  })

  test('an opening that fails says whether the disk is full or has failed', () => {
    for (const [code, expected] of [
      ['ENOSPC', 'DISK_FULL'],
      ['EIO', 'DISK_FAILED'],
    ] as const) {
      const disk = createCrashDisk()
      disk.onCall = failing('write', code)
      try {
        open(disk)
        expect.unreachable()
      } catch (error) {
        expect(isHoldfastError(error, expected)).toBe(true)
      }
    }
  })
})

describe('a reader', () => {
  test('sees what is there, changes nothing, and takes a torn end for one that is on its way', async () => {
    const disk = createCrashDisk()
    await fill(disk, [1, 2, 1], SMALL)
    const last = `journal/${disk.list('journal').at(-1)}`
    put(disk, last, Buffer.concat([bytesOf(disk, last), Buffer.from('0000')]))
    const before = disk.digest()
    const damage: Damage[] = []
    const reader = readFileJournal(disk, (one) => damage.push(one))
    expect(scanned(reader)).toEqual(records(4))
    for (const { position, record } of reader.scan(0)) expect(reader.read(position)).toEqual(record)
    reader.close()
    expect(damage).toEqual([])
    expect(disk.digest()).toBe(before)
    expect(disk.openFiles).toEqual([])
  })

  test('reports what is corrupt, by file and offset, each time it scans over it', async () => {
    const disk = newDisk()
    const positions = await fill(disk, [1, 1, 1, 1, 1, 1], SMALL)
    put(disk, FIRST, withFlippedBit(bytesOf(disk, FIRST), (positions[1] as number) + 60, 1))
    const damage: Damage[] = []
    const reader = readFileJournal(disk, (one) => damage.push(one))
    expect(scanned(reader).map(({ seq }) => seq - 1)).toEqual([0, 2, 3, 4, 5])
    expect(damage).toEqual([
      expect.objectContaining({ file: FIRST, offset: positions[1], kind: 'corrupt', sessions: ['s1'] }),
    ])
    reader.close()
  })

  test('of a directory without a journal finds nothing', () => {
    const reader = readFileJournal(newDisk(), () => {})
    expect(scanned(reader)).toEqual([])
    expect(reader.end).toBe(0)
    reader.close()
  })
})

test.each([
  ['on the main thread', {}],
  ['off it', OFF_THREAD],
])(
  'a large batch is told in parts, in order; the journal ends behind what is told, and flushing tells the rest: %s',
  async (_, options) => {
    const { journal } = open(newDisk(), options)
    const told: Position[] = []
    const ends: Position[] = []
    const behind: Position[] = []
    const positions = records(1_000).map((record) =>
      journal.append(record, {
        durable: (position, bytes) => {
          told.push(position)
          ends.push(journal.end)
          behind.push(position + bytes)
        },
        failed: (error) => expect.fail(error.message),
      }),
    )
    while (told.length === 0) await nextTurn()
    expect(told.length).toBeLessThan(1_000)
    await journal.flush()
    expect(told).toEqual(positions)
    expect(ends).toEqual(behind)
    await journal.close()
  },
)
