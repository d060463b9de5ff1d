// Reading back: what is lost is told with where to go on.
import { expect, test } from 'vitest'
import { openFileJournal } from '../src/files/journal.js'
import { segmentName } from '../src/files/segment.js'
import { wholeFrom } from '../src/history.js'
import type { Damage, ReadableJournal } from '../src/journal.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import type { Position } from '../src/record.js'
import { systemClock } from '../src/system/clock.js'
import { Appender, records } from './contract/journal.js'

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
