// The reader beside a writer at work: what it shows is the directory at one moment, and never damage that is none.
import { spawn } from 'node:child_process'
import { readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createRuntime, type Ports } from 'holdfast'
import { describe, expect, test } from 'vitest'
import { createFileDisk } from '../../src/files/disk.js'
import { openFileJournal } from '../../src/files/open-journal.js'
import { openFileReader } from '../../src/files/reader.js'
import { createFileSnapshots } from '../../src/files/snapshots.js'
import { createInlinePool } from '../../src/inline/pool.js'
import { openReader } from '../../src/open.js'
import type { Reader } from '../../src/reader.js'
import { systemChance } from '../../src/system/chance.js'
import { systemClock } from '../../src/system/clock.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { newFolder } from './command.js'
import { count, counter, footprint, openCounters } from './directory.js'

const WRITER = fileURLToPath(new URL('../fixtures/kill-me.js', import.meta.url))

interface Counted {
  readonly count: number
  readonly seen: readonly string[]
}

const contextOf = (reader: Reader, id: string): Counted => reader.state(id).context as Counted

/** A state that is torn between two moments would not fit together. */
function expectWhole({ count, seen }: Counted): void {
  expect(seen.length).toBe(Math.min(count, 20))
  if (count > 0) expect(seen.at(-1)).toMatch(new RegExp(`-${count}$`))
}

/** The writer acknowledges one after the other: two minutes without what is waited for are a writer that hangs. */
async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 120_000
  while (!holds()) {
    if (performance.now() > end) throw new Error(`the writer has not come to it in two minutes: ${holds}`)
    await sleep(1)
  }
}

describe('beside another process that writes as fast as it can', () => {
  test('every look is whole, none goes back, and the writer loses nothing', async () => {
    const dir = newFolder()
    const writer = spawn(process.execPath, [WRITER, dir, '4'], { stdio: ['ignore', 'pipe', 'inherit'] })
    let acknowledged = 0
    writer.stdout.setEncoding('utf8').on('data', (text: string) => {
      acknowledged += text.match(/^ack /gm)?.length ?? 0
    })
    try {
      await until(() => acknowledged >= 20)
      const last = new Map<string, number>()
      for (let looks = 0; looks < 60; looks++) {
        const before = acknowledged
        const reader = openReader({ dir })
        const { sessions } = reader.list()
        expect(sessions).toHaveLength(4)
        expect([reader.damage, reader.unreadable]).toEqual([[], []])
        let total = 0
        for (const { id } of sessions) {
          const context = contextOf(reader, id)
          expectWhole(context)
          expect(context.count).toBeGreaterThanOrEqual(last.get(id) ?? 0)
          last.set(id, context.count)
          total += context.count
          const [first] = reader.history(id)
          expect(first?.seq).toBe(1)
        }
        expect(total).toBeGreaterThanOrEqual(before) // what was acknowledged before the look is in it
        reader.close()
        // It has written more by the next look.
        await until(() => acknowledged > before)
      }
    } finally {
      writer.kill('SIGKILL')
    }
  })

  test('after kill -9, a reader shows what a recovery then finds', async () => {
    const dir = newFolder()
    const { random } = createSeededChance(Number(process.env.HOLDFAST_SEED ?? 1))
    for (let round = 0; round < 3; round++) {
      const writer = spawn(process.execPath, [WRITER, dir, '4'], { stdio: ['ignore', 'pipe', 'inherit'] })
      await new Promise((resolve) => writer.stdout.once('data', resolve))
      await sleep(random() * 200)
      writer.kill('SIGKILL')
      await new Promise((resolve) => writer.on('close', resolve))
      const reader = openReader({ dir })
      const seen = reader.list().sessions.map(({ id }) => reader.state(id))
      reader.close()
      await using runtime = await openCounters(dir)
      for (const { id, seq, context } of seen) {
        expect(runtime.session(id).snapshot()).toMatchObject({ seq, context })
      }
      expect(runtime.sessions.count()).toBe(seen.length)
    }
  })
})

describe('while the journal rolls over', () => {
  /** A runtime whose segments are tiny; snapshots and the index are written by hand. */
  async function tiny(dir: string) {
    const disk = createFileDisk(dir)
    const { journal } = openFileJournal(disk, systemClock, { segmentBytes: 2048 })
    const snapshots = createFileSnapshots(disk, () => {})
    const ports: Ports = {
      ...{ journal, snapshots, clock: systemClock, chance: systemChance },
      pool: createInlinePool({ clock: systemClock }),
    }
    return createRuntime(ports, { kinds: [counter] })
  }

  test('a reader that was opened before shows its moment; a refreshed one shows the present', async () => {
    const dir = newFolder()
    await using runtime = await tiny(dir)
    await count(runtime, 'apple', 5)
    const reader = openFileReader(createFileDisk(dir))
    const session = runtime.session('apple', counter)
    for (let number = 6; number <= 60; number++) await session.send({ type: 'add', by: 1, id: `apple-${number}` })
    expect(readdirSync(join(dir, 'journal')).length).toBeGreaterThan(3)
    expect(contextOf(reader, 'apple').count).toBe(5)
    reader.refresh()
    expect(contextOf(reader, 'apple').count).toBe(60)
    expect([...reader.history('apple')].map(({ seq }) => seq)).toEqual(Array.from({ length: 61 }, (_, i) => i + 1))
    expect([...reader.history('apple', 60)].map(({ seq }) => seq)).toEqual([60, 61])
    reader.close()
  })

  test('a new owner that renews the last segment takes nothing away from who reads it', async () => {
    const dir = newFolder()
    {
      await using runtime = await tiny(dir)
      await count(runtime, 'apple', 30)
    }
    const reader = openFileReader(createFileDisk(dir))
    await using runtime = await tiny(dir)
    await runtime.session('apple', counter).send({ type: 'add', by: 1, id: 'apple-31' })
    expect(contextOf(reader, 'apple').count).toBe(30)
    reader.close()
  })

  test('a snapshot that is newer than the look: it looks again', async () => {
    const dir = newFolder()
    {
      await using runtime = await tiny(dir)
      await count(runtime, 'apple', 10)
    }
    const reader = openFileReader(createFileDisk(dir))
    {
      await using runtime = await tiny(dir)
      const session = runtime.session('apple', counter)
      for (let number = 11; number <= 60; number++) await session.send({ type: 'add', by: 1, id: `apple-${number}` })
    }
    expect(Object.keys(footprint(dir)).some((path) => path.endsWith('apple.json'))).toBe(true)
    expect(contextOf(reader, 'apple').count).toBe(60)
    reader.close()
  })

  test('a sealed segment whose end is gone is damage, and is told', async () => {
    const dir = newFolder()
    {
      await using runtime = await tiny(dir)
      await count(runtime, 'apple', 60)
    }
    truncateSync(join(dir, 'index.jsonl'), 0)
    truncateSync(join(dir, 'journal', '00000002.jsonl'), 1000)
    const reader = openFileReader(createFileDisk(dir))
    expect(reader.damage).toMatchObject([
      { file: 'journal/00000002.jsonl', kind: 'corrupt' },
      { file: 'journal/00000002.jsonl', kind: 'missing', offset: 1000 },
    ])
    expect(reader.unreadable).toMatchObject([{ id: 'apple', reason: { code: 'JOURNAL_CORRUPT' } }])
    expect(() => reader.state('apple')).toThrow(expect.objectContaining({ code: 'JOURNAL_CORRUPT' }))
    reader.close()
  })
})

test('a session that is deleted and made anew is the new one', async () => {
  const dir = newFolder()
  await using runtime = await openCounters(dir)
  await count(runtime, 'apple', 9)
  const reader = openReader({ dir })
  await runtime.session('apple').delete()
  reader.refresh()
  expect(() => reader.find('apple')).toThrow(expect.objectContaining({ code: 'SESSION_NOT_FOUND' }))
  await count(runtime, 'apple', 2)
  reader.refresh()
  expect(contextOf(reader, 'apple').count).toBe(2)
  expect([...reader.history('apple')]).toHaveLength(3)
  reader.close()
})
