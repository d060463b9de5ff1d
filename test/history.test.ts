// Reading back: a history comes in order and in pages, whatever is known of it; what is lost is told with where to go on.
import { expect, test } from 'vitest'
import { openFileJournal } from '../src/files/open-journal.js'
import { segmentName } from '../src/files/segment.js'
import { recordsFrom, wholeFrom } from '../src/history.js'
import type { Damage, ReadableJournal } from '../src/journal.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import { createMemoryJournal } from '../src/memory/journal.js'
import { Milestones, PAGE } from '../src/milestones.js'
import { NOWHERE, type Position } from '../src/record.js'
import { systemClock } from '../src/system/clock.js'
import { Appender, recordOf, records } from './contract/journal.js'

/** The seqs that are given from a position on, and what stops them. */
function read(journal: ReadableJournal, from: Position, known?: readonly Damage[]) {
  const given: number[] = []
  try {
    for (const { record } of wholeFrom(journal, from, known)) given.push(record.seq)
    return { given }
  } catch (error) {
    const { code, details } = error as { code: string; details: { file: string; resumeFrom: Position } }
    return { given, code, file: details.file, resumeFrom: details.resumeFrom }
  }
}

/** A journal with a record in each of its segments but the first, and the positions of the records. */
async function written(count: number) {
  const disk = createMemoryDisk()
  const open = () => openFileJournal(disk, systemClock, { segmentBytes: 1 })
  const { journal } = open()
  const appender = new Appender(journal)
  for (const record of records(count)) await appender.batch(record)
  await journal.close()
  return { disk, open, positions: appender.positions }
}

test('records that cannot be read end a replay of all sessions, which goes on behind them', async () => {
  const { disk, open, positions } = await written(6)
  const file = disk.openRead(segmentName(4))
  const bytes = new Uint8Array(file?.size() ?? 0)
  file?.readSync(bytes, 0)
  bytes[bytes.length - 4] = (bytes.at(-4) ?? 0) ^ 1
  disk.create(segmentName(4)).writeSync(bytes, 0)
  const { journal, damage } = open()
  for (const known of [undefined, damage]) {
    const broken = { code: 'JOURNAL_CORRUPT', file: segmentName(4), resumeFrom: positions[3] }
    expect(read(journal, 0, known)).toEqual({ given: [1, 2], ...broken })
    expect(read(journal, positions[2] as Position, known)).toEqual({ given: [], ...broken })
    expect(read(journal, positions[3] as Position, known)).toEqual({ given: [4, 5, 6] })
  }
})

test('so do those of a segment that is gone, which only the opening has missed', async () => {
  const { disk, open, positions } = await written(6)
  disk.remove(segmentName(4))
  const { journal, damage } = open()
  const broken = { code: 'JOURNAL_CORRUPT', file: segmentName(4), resumeFrom: positions[3] }
  expect(read(journal, 0, damage)).toEqual({ given: [1, 2], ...broken })
  expect(read(journal, positions[3] as Position, damage)).toEqual({ given: [4, 5, 6] })
})

/** A journal of two sessions in turns, one of which has `count` transitions, that counts what is read. */
async function history(count: number) {
  const journal = createMemoryJournal(systemClock)
  const appender = new Appender(journal)
  const milestones = new Milestones()
  let position = NOWHERE
  for (let seq = 1; seq <= count; seq++) {
    appender.append(recordOf(seq, { session: 'other', seq }))
    const record = recordOf(seq, { session: 'one', seq, prev: position })
    position = journal.append(record, appender.waiter(seq))
    milestones.note(record, position)
  }
  await journal.flush()
  let reads = 0
  const counting: ReadableJournal = {
    begin: journal.begin,
    floor: (id) => journal.floor(id),
    floors: (onDamage) => journal.floors(onDamage),
    end: journal.end,
    read: (at) => {
      reads++
      return journal.read(at)
    },
    scan: (from) => journal.scan(from),
  }
  const replay = (from: number, known?: Milestones) => {
    reads = 0
    const given: number[] = []
    let pause = 0
    let longest = 0
    for (const placed of recordsFrom(counting, { id: 'one', seq: count, position }, from, known)) {
      longest = Math.max(longest, reads - pause)
      pause = reads
      if (placed) given.push(placed.record.seq)
    }
    return { given, reads, longest }
  }
  return { replay, milestones }
}

const span = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(to - from + 1, 0) }, (_, index) => from + index)

test.each([1, 2, PAGE - 1, PAGE, PAGE + 1, 5 * PAGE, 5 * PAGE + 7])(
  'of %i transitions those from any one on come in order, each read once where the milestones are known',
  async (count) => {
    const { replay, milestones } = await history(count)
    for (const from of [-3, 0, 1, 2, PAGE, PAGE + 1, PAGE + 2, count - 1, count, count + 1, count + 1000]) {
      const given = span(Math.max(from, 1), count)
      expect(replay(from, milestones), `from ${from}`).toMatchObject({ given, reads: given.length })
      const unknown = replay(from)
      expect(unknown.given, `from ${from}`).toEqual(given)
      expect(unknown.reads).toBeLessThanOrEqual(2 * given.length)
      expect(unknown.longest).toBeLessThanOrEqual(PAGE)
    }
  },
)

test('what a first reading has to walk back for is remembered for the next', async () => {
  const { replay } = await history(10 * PAGE)
  const found = new Milestones()
  expect(replay(1, found).reads).toBe(19 * PAGE)
  expect(replay(1, found)).toMatchObject({ given: span(1, 10 * PAGE), reads: 10 * PAGE })
})

test('the milestones of a session that was deleted are not those of one of the same id', () => {
  const milestones = new Milestones()
  const before = milestones.of('one')
  milestones.note(recordOf(0, { session: 'one', seq: PAGE }), 7)
  expect(before).toEqual([7])
  milestones.note(recordOf(0, { session: 'one', seq: PAGE + 1, deleted: true }), 8)
  expect(milestones.of('one')).toEqual([])
})

test('a chain that does not lead where it should is an error', async () => {
  const journal = createMemoryJournal(systemClock)
  const appender = await new Appender(journal).batch(
    recordOf(0, { session: 'one', seq: 1 }),
    recordOf(1, { session: 'one', seq: 3, prev: 0 }),
  )
  const position = appender.positions[1] as Position
  expect(() => [...recordsFrom(journal, { id: 'one', seq: 3, position }, 1)]).toThrow(
    expect.objectContaining({ code: 'JOURNAL_CORRUPT' }),
  )
})
