// Where the segments of a journal meet: one that was deleted, swapped, replaced, copied or cut is named by file and offset
// when the journal is opened, whether or not the opening scans it; what can be read of the others is read.

import { describe, expect, test } from 'vitest'
import { type Disk, readAll, writeAllSync } from '../../src/disk.js'
import { readFileJournal } from '../../src/files/foreign-journal.js'
import type { FileJournalOptions } from '../../src/files/journal.js'
import { openFileJournal } from '../../src/files/open-journal.js'
import { HEADER_BYTES, headerLine, NEWLINE, readHeader, segmentName } from '../../src/files/segment.js'
import type { Damage } from '../../src/journal.js'
import { createMemoryDisk } from '../../src/memory/disk.js'
import type { TransitionRecord } from '../../src/record.js'
import { createVirtualClock } from '../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk, failAt } from '../../src/testing/disk.js'
import { Appender, nextTurn, recordOf, records, scanned } from '../contract/journal.js'

const SMALL: FileJournalOptions = { segmentBytes: 600 }
const COUNT = 24

const open = (disk: Disk, options: FileJournalOptions = SMALL): ReturnType<typeof openFileJournal> =>
  openFileJournal(disk, createVirtualClock(), options)

function newDisk(): Disk {
  const disk = createMemoryDisk()
  disk.makeFolder('journal')
  return disk
}

/** Writes records in batches of one and two. */
async function fill(disk: Disk, made: readonly TransitionRecord[], options?: FileJournalOptions): Promise<void> {
  const { journal } = open(disk, options)
  const appender = new Appender(journal)
  for (let index = 0; index < made.length; index += 1 + (index % 2))
    await appender.batch(...made.slice(index, index + 1 + (index % 2)))
  await journal.close()
}

const bytesOf = (disk: Disk, path: string): Uint8Array => new Uint8Array(readAll(disk, path) as Uint8Array)
const sealedOf = (disk: Disk): number => disk.list('journal').length - 1
const numbers = (found: readonly TransitionRecord[]): number[] => found.map(({ seq }) => seq - 1)
const kept = (disk: Disk): string[] => disk.list('quarantine').map((name) => `quarantine/${name}`)
const baseOf = (bytes: Uint8Array): number => readHeader(bytes)?.header.base ?? Number.NaN

function put(disk: Disk, path: string, bytes: Uint8Array): void {
  const file = disk.create(path)
  writeAllSync(file, bytes, 0)
  file.syncSync()
  file.close()
  disk.syncFolder('journal')
}

/** A copy of a journal in which some files are others, or gone. */
function changed(whole: Disk, changes: Record<string, Uint8Array | undefined>): Disk {
  const disk = newDisk()
  for (const name of whole.list('journal')) {
    const path = `journal/${name}`
    const bytes = path in changes ? changes[path] : bytesOf(whole, path)
    if (bytes) put(disk, path, bytes)
  }
  return disk
}

async function made(more: Partial<TransitionRecord> = {}, count = COUNT): Promise<Disk> {
  const disk = newDisk()
  await fill(
    disk,
    Array.from({ length: count }, (_, n) => recordOf(n, more)),
  )
  expect(sealedOf(disk)).toBeGreaterThan(3)
  return disk
}

interface Seen {
  readonly damage: readonly Damage[]
  readonly found: number[]
}

/** What a reader says, which changes nothing; then what a writer says, twice. The reader and the first writer agree. */
async function look(disk: Disk): Promise<Seen & { readonly again: readonly Damage[] }> {
  const before = contents(disk)
  const read: Damage[] = []
  const reader = readFileJournal(disk, (damage) => read.push(damage))
  const seenByReader = numbers(scanned(reader))
  reader.close()
  expect(contents(disk)).toEqual(before)
  const { journal, damage } = open(disk)
  const found = numbers(scanned(journal))
  await journal.close()
  expect(seenByReader).toEqual(found)
  for (const { file, offset } of damage) expect(read).toContainEqual(expect.objectContaining({ file, offset }))
  const second = open(disk)
  expect(numbers(scanned(second.journal))).toEqual(found)
  await second.journal.close()
  return { damage, found, again: second.damage }
}

const contents = (disk: Disk): unknown =>
  disk.list('journal').map((name) => [name, Buffer.from(bytesOf(disk, `journal/${name}`)).toString('latin1')])

/** Numbers of the records in a segment. */
function numbersIn(bytes: Uint8Array): number[] {
  const lines = Buffer.from(bytes.subarray(HEADER_BYTES)).toString().split('\n').slice(0, -1)
  return lines.map((line) => (JSON.parse(line.slice(18)) as TransitionRecord).seq - 1)
}

const without = (gone: readonly number[]): number[] => numbers(records(COUNT)).filter((n) => !gone.includes(n))

describe('a whole journal', () => {
  test('has no damage, also where space was reserved behind the end of a sealed segment', async () => {
    for (const reserveBytes of [0, 4096, 100_000]) {
      const disk = newDisk()
      const { journal } = open(disk, { ...SMALL, reserveBytes, stallMs: 1e9 })
      const appender = new Appender(journal)
      for (const record of records(COUNT)) {
        appender.append(record)
        await nextTurn() // not `flush`: on the main thread, where space is reserved
        await nextTurn()
      }
      await journal.close()
      expect(bytesOf(disk, segmentName(2)).length > 4096).toBe(reserveBytes > 0)
      expect(await look(disk)).toEqual({ damage: [], again: [], found: without([]) })
    }
  })

  test('is looked at with one small read of each segment, however large', async () => {
    const disk = createCrashDisk()
    await fill(
      disk,
      Array.from({ length: 20 }, (_, n) => recordOf(n, { patch: [[[], 'x'.repeat(2000)]] })),
      { segmentBytes: 15_000 },
    )
    expect(sealedOf(disk)).toBeGreaterThan(0)
    const from = disk.callCount
    await open(disk).journal.close()
    const sealed = disk.calls
      .slice(from)
      .filter(({ op, path }) => op === 'read' && path !== segmentName(sealedOf(disk) + 1))
    expect(sealed.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(sealedOf(disk) * (HEADER_BYTES + 4096))
  })

  test('may have a last record of any length before a seam', async () => {
    for (const length of [3900, 4000, 4096, 16_384, 70_000]) {
      const disk = newDisk()
      await fill(disk, [recordOf(0), recordOf(1, { patch: [[[], 'x'.repeat(length)]] }), recordOf(2)])
      expect((await look(disk)).damage).toEqual([])
    }
  })
})

describe('a sealed segment', () => {
  test('that is gone is missing, by name and length, at every opening; all other records are read', async () => {
    const whole = await made()
    for (let number = 1; number <= sealedOf(whole); number++) {
      const path = segmentName(number)
      const bytes = bytesOf(whole, path)
      const { damage, again, found } = await look(changed(whole, { [path]: undefined }))
      const named = {
        file: path,
        offset: 0,
        bytes: bytes.length,
        position: baseOf(bytes),
        kind: 'missing',
        sessions: [],
      }
      expect(damage).toEqual([named])
      expect(again).toEqual(damage)
      expect(found).toEqual(without(numbersIn(bytes)))
    }
  })

  test('that is gone with its neighbours is one hole', async () => {
    const whole = await made()
    const [two, three] = [bytesOf(whole, segmentName(2)), bytesOf(whole, segmentName(3))]
    const disk = changed(whole, { [segmentName(2)]: undefined, [segmentName(3)]: undefined })
    const { damage } = await look(disk)
    expect(damage).toMatchObject([{ file: segmentName(2), bytes: two.length + three.length, kind: 'missing' }])
  })

  test('that was cut anywhere is named with what is missing, to the byte', async () => {
    const whole = await made()
    const path = segmentName(2)
    const bytes = bytesOf(whole, path)
    const base = baseOf(bytes)
    for (let cut = HEADER_BYTES; cut < bytes.length; cut++) {
      for (const tail of [0, 50]) {
        const disk = changed(whole, { [path]: Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(tail)]) })
        const { damage, found } = await look(disk)
        const lines = bytes.subarray(0, cut).lastIndexOf(NEWLINE) + 1
        const rest = { file: path, offset: cut, bytes: bytes.length - cut, position: base + cut, kind: 'missing' }
        const torn = { file: path, offset: lines, bytes: cut - lines, position: base + lines, kind: 'corrupt' }
        expect(damage, `cut at ${cut}`).toMatchObject(cut === lines ? [rest] : [torn, rest])
        expect(found).toEqual(without(numbersIn(bytes).slice(numbersIn(bytes.subarray(0, lines)).length)))
      }
    }
  })

  test('that was cut within its header is named, and every other record keeps its position', async () => {
    const whole = await made()
    const path = segmentName(2)
    const bytes = bytesOf(whole, path)
    for (const cut of [0, 1, HEADER_BYTES - 1]) {
      const { damage, found } = await look(changed(whole, { [path]: bytes.subarray(0, cut) }))
      expect(damage).toMatchObject([
        { file: path, offset: 0, bytes: cut, kind: 'header' },
        { file: path, offset: cut, bytes: bytes.length - cut, position: baseOf(bytes) + cut, kind: 'missing' },
      ])
      expect(found).toEqual(without(numbersIn(bytes)))
    }
  })

  test('without its last line, or with one line less in the middle, is named', async () => {
    const whole = await made()
    const path = segmentName(3)
    const bytes = bytesOf(whole, path)
    const lines = Buffer.from(bytes.subarray(HEADER_BYTES)).toString().split('\n').slice(0, -1)
    for (let gone = 0; gone < lines.length; gone++) {
      const left = lines.filter((_, index) => index !== gone).map((line) => `${line}\n`)
      const disk = changed(whole, {
        [path]: Buffer.concat([bytes.subarray(0, HEADER_BYTES), Buffer.from(left.join(''))]),
      })
      const { damage } = await look(disk)
      expect(damage.at(-1)).toMatchObject({ file: path, bytes: (lines[gone]?.length ?? 0) + 1, kind: 'missing' })
      expect(damage.every(({ file }) => file === path)).toBe(true)
    }
  })

  test('with any bit flipped in its last line is named when the journal is opened', async () => {
    const whole = await made()
    const path = segmentName(2)
    const bytes = bytesOf(whole, path)
    const last = bytes.lastIndexOf(NEWLINE, -2) + 1
    for (let offset = last; offset < bytes.length; offset++) {
      const flipped = bytes.slice()
      flipped[offset] = (flipped[offset] as number) ^ (1 << (offset % 7))
      const { journal, damage } = open(changed(whole, { [path]: flipped }))
      expect(damage, `byte ${offset}`).toMatchObject([{ file: path, offset: last, kind: 'corrupt' }])
      await journal.close()
    }
  })

  test('of the same length and another history is corrupt as a whole, and names the sessions in it', async () => {
    const [whole, other] = [await made(), await made({ at: '2025-01-01T00:00:00.000Z' })]
    const path = segmentName(2)
    const bytes = bytesOf(other, path)
    const { damage, again } = await look(changed(whole, { [path]: bytes }))
    const named = { file: path, offset: HEADER_BYTES, bytes: bytes.length - HEADER_BYTES, kind: 'corrupt' }
    expect(damage).toMatchObject([{ ...named, sessions: expect.arrayContaining(['s0', 's1', 's2']) }])
    expect(again).toEqual(damage)
  })
})

describe('files that stand in the place of others', () => {
  const pairs = [1, 2, 3, 4].flatMap((a) => [1, 2, 3, 4, 5].filter((b) => b > a).map((b) => [a, b] as const))

  /** Segments a and b swapped; b may be the last. */
  const swap = (whole: Disk, a: number, b: number): Disk =>
    changed(whole, {
      [segmentName(a)]: bytesOf(whole, segmentName(b)),
      [segmentName(b)]: bytesOf(whole, segmentName(a)),
    })

  test.each(pairs)('swapped, %i and %i: both are named and put right, and nothing is lost', async (a, b) => {
    const whole = await made({}, COUNT)
    const last = sealedOf(whole) + 1
    const disk = swap(whole, Math.min(a, last), b === 5 ? last : b)
    const { damage, again, found } = await look(disk)
    const files = [segmentName(a), segmentName(b === 5 ? last : b)]
    expect(damage.map(({ file, kind }) => [file, kind]).sort()).toEqual(files.map((file) => [file, 'header']))
    expect(found).toEqual(without([]))
    expect(again).toEqual([])
    const { journal } = open(disk)
    await new Appender(journal).batch(...records(3, COUNT))
    await journal.close()
    expect(numbers(scanned(open(disk).journal))).toEqual(numbers(records(COUNT + 3)))
  })

  /** The same files on a disk that crashes: every state that a power cut at any moment of an opening may leave. */
  async function cutWhileOpening(files: Disk): Promise<CrashDisk[]> {
    const disk = createCrashDisk()
    disk.makeFolder('')
    disk.makeFolder('journal')
    disk.syncFolder('')
    for (const name of files.list('journal')) put(disk, `journal/${name}`, bytesOf(files, `journal/${name}`))
    const states: CrashDisk[] = []
    const cut = (): undefined => {
      for (const state of disk.crashStates()) states.push(state.disk)
    }
    disk.onCall = cut
    await open(disk).journal.close()
    disk.onCall = undefined
    cut()
    expect(states.length).toBeGreaterThan(10)
    return states
  }

  test('are put right so that a power cut at any moment loses nothing', async () => {
    const whole = await made()
    for (const state of await cutWhileOpening(swap(whole, 2, 3))) {
      const { journal } = open(state)
      expect(numbers(scanned(journal))).toEqual(without([]))
      await journal.close()
      expect(state.list('journal')).toEqual(whole.list('journal'))
    }
  })

  test('are kept, too, however the power is cut', async () => {
    const whole = await made()
    const copy = bytesOf(whole, segmentName(2))
    for (const state of await cutWhileOpening(changed(whole, { [segmentName(3)]: copy }))) {
      const crashed = state.crash()
      const places = [...crashed.list('journal').map((name) => `journal/${name}`), ...kept(crashed)]
      const copies = places.filter((path) => Buffer.compare(bytesOf(crashed, path), copy) === 0)
      expect(copies.length).toBeGreaterThanOrEqual(2)
    }
  })

  test('may meet a disk that fails at any call: nothing is lost, no file stays open, and the next opening finds all', async () => {
    const whole = await made()
    const files = swap(changed(whole, { [segmentName(2)]: bytesOf(whole, segmentName(1)) }), 3, 4)
    const expected = (await look(changed(files, {}))).found
    const disk = createCrashDisk()
    for (const folder of ['', 'journal']) disk.makeFolder(folder)
    for (const name of files.list('journal')) put(disk, `journal/${name}`, bytesOf(files, `journal/${name}`))
    disk.syncFolder('')
    const trial = disk.clone()
    const from = trial.callCount
    await open(trial).journal.close()
    const calls = trial.calls.slice(from)
    expect(calls.filter(({ op }) => op === 'rename').length).toBeGreaterThan(4)
    for (const [index, { op }] of calls.entries()) {
      if (op === 'close') continue
      const failing = disk.clone()
      failing.onCall = failAt(failing.callCount + index, 'EIO')
      expect(() => open(failing), `call ${index}: ${op}`).toThrow()
      failing.onCall = undefined
      expect(failing.openFiles, `call ${index}: ${op}`).toEqual([])
      for (const left of [failing, failing.crash()]) {
        const { journal } = open(left)
        expect(numbers(scanned(journal)), `call ${index}: ${op}`).toEqual(expected)
        await journal.close()
      }
    }
  })

  test('are named in quarantine, durably, before their old names are gone for good', async () => {
    const whole = await made()
    const disk = createCrashDisk()
    for (const folder of ['', 'journal']) disk.makeFolder(folder)
    const files = changed(whole, { [segmentName(3)]: bytesOf(whole, segmentName(2)) })
    for (const name of files.list('journal')) put(disk, `journal/${name}`, bytesOf(files, `journal/${name}`))
    const from = disk.callCount
    await open(disk).journal.close()
    const calls = disk.calls.slice(from).map(({ op, path }) => `${op} ${path}`)
    const moved = calls.indexOf(`rename ${segmentName(3)}`)
    expect(moved).toBeGreaterThan(0)
    const synced = calls.slice(moved).filter((call) => call.startsWith('syncFolder'))
    expect(synced.slice(0, 2)).toEqual(['syncFolder quarantine', 'syncFolder journal'])
  })

  test('a copy of another is kept aside, and what it stands for is missing', async () => {
    const whole = await made()
    const copy = bytesOf(whole, segmentName(2))
    for (const number of [1, 3, 4]) {
      const path = segmentName(number)
      const gone = bytesOf(whole, path)
      const disk = changed(whole, { [path]: copy })
      const { damage, again, found } = await look(disk)
      const kept = `quarantine/${path.slice('journal/'.length)}.stray`
      expect(damage).toMatchObject([
        { file: path, offset: 0, bytes: copy.length, kind: 'header', kept },
        { file: path, offset: 0, bytes: gone.length, kind: 'missing' },
      ])
      expect(bytesOf(disk, kept)).toEqual(copy)
      expect(again).toEqual(damage.slice(1))
      expect(found).toEqual(without(numbersIn(gone)))
    }
  })

  test.each([
    [2, 0],
    [2, 1e9],
    [3, 1],
    [3, 1e9],
    [4, 170],
    ['last but one', 1e9],
    ['last', 170],
    ['last', 'that of the one before'],
  ] as const)('one of another journal, %s with base %s, harms no other', async (which, where) => {
    const whole = await made()
    const last = sealedOf(whole) + 1
    const number = which === 'last' ? last : which === 'last but one' ? last - 1 : which
    const path = segmentName(number)
    const gone = bytesOf(whole, path)
    const base = typeof where === 'number' ? where : baseOf(bytesOf(whole, segmentName(number - 1)))
    const foreign = headerLine({ holdfast: 1, segment: number, epoch: 1, base }, 7).slice()
    const disk = changed(whole, { [path]: foreign })
    const { damage, found } = await look(disk)
    const kept = `quarantine/${path.slice('journal/'.length)}.stray`
    expect(damage[0]).toMatchObject({ file: path, offset: 0, bytes: HEADER_BYTES, kind: 'header', kept })
    expect(damage.slice(1)).toMatchObject(number === last ? [] : [{ file: path, bytes: gone.length, kind: 'missing' }])
    expect(found).toEqual(without(numbersIn(gone)))
  })

  test('an older copy of the last segment, when it has gone on in another since, lacks its end', async () => {
    const disk = newDisk()
    await fill(disk, records(3))
    const stale = bytesOf(disk, segmentName(1))
    await fill(disk, records(COUNT - 3, 3))
    const bytes = bytesOf(disk, segmentName(1))
    put(disk, segmentName(1), stale)
    const { damage } = await look(disk)
    const left = { offset: stale.length, bytes: bytes.length - stale.length }
    expect(damage).toMatchObject([{ file: segmentName(1), ...left, kind: 'missing' }])
  })
})

describe('the epoch', () => {
  const flipHeader = (disk: Disk, path: string): void => {
    const bytes = bytesOf(disk, path)
    bytes[70] = (bytes[70] as number) ^ 1
    put(disk, path, bytes)
  }

  test('goes on from the highest that any header tells, when the last one cannot be read', async () => {
    const disk = newDisk()
    for (let n = 0; n < 12; n += 3) await fill(disk, records(3, n))
    const { journal, epoch } = open(disk)
    expect(epoch).toBe(5)
    await journal.close()
    flipHeader(disk, segmentName(sealedOf(disk) + 1))
    const again = open(disk)
    // The header with epoch 5 is gone; the segment before was begun by the writer of epoch 4, or before it.
    expect(again.epoch).toBeGreaterThan(3)
    await again.journal.close()
  })

  test('goes on from what is known from elsewhere, when no header can be read', async () => {
    const disk = newDisk()
    await fill(disk, records(3), {})
    flipHeader(disk, segmentName(1))
    const { journal, epoch, damage } = open(disk, { epoch: 41 })
    expect(epoch).toBe(42)
    expect(damage).toMatchObject([{ kind: 'header', kept: 'quarantine/00000001.jsonl.0.header' }])
    await journal.close()
  })
})
