// Compaction: the journal does not grow for ever, nobody's state changes by it, and no crash or damage makes it lose any.
import { type AnySessionKind, defineSession, type Runtime } from 'holdfast'
import { describe, expect, test } from 'vitest'
import { assign, raise, setup } from 'xstate'
import { type Disk, readAll, writeAllSync } from '../../src/disk.js'
import { writeBackup } from '../../src/files/backup.js'
import { examineFiles } from '../../src/files/doctor.js'
import { FLOOR } from '../../src/files/floor.js'
import { readFileJournal } from '../../src/files/foreign-journal.js'
import { openFileJournal } from '../../src/files/open-journal.js'
import { openFileReader } from '../../src/files/reader.js'
import { unpack } from '../../src/files/restore.js'
import { createFileSnapshots } from '../../src/files/snapshots.js'
import { createInlinePool } from '../../src/inline/pool.js'
import { createMemoryDisk } from '../../src/memory/disk.js'
import { createRuntime } from '../../src/runtime.js'
import { systemChance } from '../../src/system/chance.js'
import { systemClock } from '../../src/system/clock.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { type CrashDisk, createCrashDisk, failAt } from '../../src/testing/disk.js'

const note = defineSession({
  kind: 'note',
  version: 1,
  machine: setup({
    types: {
      context: {} as { words: string[] },
      // What is said beside a word is in the journal alone, in no state.
      events: {} as { type: 'write'; word: string; aside?: string } | { type: 'wait' } | { type: 'end' },
    },
  }).createMachine({
    context: { words: [] },
    initial: 'open',
    states: {
      open: {
        on: {
          write: { actions: assign({ words: ({ context, event }) => [...context.words, event.word].slice(-5) }) },
          wait: 'waiting',
          end: 'over',
        },
      },
      waiting: { after: { 86400000: 'open' } },
      over: { type: 'final' },
    },
  }),
  index: ({ context }) => ({ last: context.words.at(-1) ?? '' }),
})

interface Opened {
  readonly runtime: Runtime
  readonly log: unknown[]
}

async function open(disk: Disk, historyBytes?: number, kinds: readonly AnySessionKind[] = [note]): Promise<Opened> {
  const log: unknown[] = []
  const hear = (fields: object, message: string): void => void log.push(message, fields)
  disk.makeFolder('')
  const { journal, damage } = openFileJournal(disk, systemClock, { segmentBytes: 1500, reserveBytes: 0, stallMs: 1e9 })
  const snapshots = createFileSnapshots(disk, (found) => void log.push(found))
  const ports = {
    journal,
    snapshots,
    pool: createInlinePool({ clock: systemClock }),
    clock: systemClock,
    chance: systemChance,
  }
  const logger = { info: () => {}, warn: hear, error: hear }
  const more = historyBytes === undefined ? {} : { historyBytes }
  return { runtime: await createRuntime(ports, { kinds, logger, damage, ...more }), log }
}

/** Sessions that live, wait, have ended, are gone, and are there anew under an old id; across many segments. */
async function fill(runtime: Runtime): Promise<void> {
  const ids = ['live', 'ended', 'gone', 'late-gone', 'anew', 'waits']
  for (const id of ids) await runtime.create(note, undefined, { id, ...(id === 'live' && { idempotencyKey: 'once' }) })
  for (let round = 0; round < 6; round++) {
    for (const id of ids) await runtime.session(id, note).send({ type: 'write', word: `${id}-${round}` })
    if (round === 1) await runtime.session('gone').delete()
    if (round === 1) ids.splice(ids.indexOf('gone'), 1)
    if (round === 2) await runtime.session('anew').delete()
    if (round === 2) await runtime.create(note, undefined, { id: 'anew' })
  }
  await runtime.session('ended', note).send({ type: 'end' })
  await runtime.session('waits', note).send({ type: 'wait' })
  await runtime.session('late-gone').delete()
}

const pick = (runtime: Runtime, id: string): unknown => {
  const { tags: _, ...snapshot } = runtime.session(id).snapshot()
  return snapshot
}
const stateOf = (runtime: Runtime): unknown =>
  runtime.sessions.list().sessions.map((entry) => [entry, pick(runtime, entry.id)])
const segmentsOf = (disk: Disk): string[] => disk.list('journal').filter((name) => /^\d/.test(name))
const bytesOf = (disk: Disk): number =>
  disk.list('journal').reduce((sum, name) => sum + (readAll(disk, `journal/${name}`)?.length ?? 0), 0)

async function filled(disk: Disk): Promise<unknown> {
  const { runtime } = await open(disk)
  await fill(runtime)
  const state = stateOf(runtime)
  await runtime.close()
  return state
}

describe('what it drops', () => {
  test('everything that is sealed, if nothing is to be kept; every session is as it was, and goes on', async () => {
    const disk = createMemoryDisk()
    const before = await filled(disk)
    const { runtime, log } = await open(disk)
    const bytes = bytesOf(disk)
    const { segments, begin } = await runtime.compact({ keepBytes: 0 })
    expect(segments).toBeGreaterThan(4)
    expect(begin).toBeGreaterThan(5000)
    expect(segmentsOf(disk)).toHaveLength(1)
    expect(bytesOf(disk)).toBeLessThan(bytes / 2)
    expect(stateOf(runtime)).toEqual(before)
    await runtime.session('live', note).send({ type: 'write', word: 'more' })
    await runtime.close()
    const again = await open(disk)
    expect(again.runtime.session('live', note).snapshot()).toMatchObject({
      seq: 8,
      context: { words: expect.arrayContaining(['more']) },
    })
    expect(again.runtime.health().damage).toEqual([])
    await again.runtime.close()
    expect([...log, ...again.log]).toEqual([])
  })

  test('without an index and without snapshots it is all the same: sessions, timers, keys and attributes', async () => {
    const disk = createMemoryDisk()
    const before = await filled(disk)
    const first = await open(disk)
    await first.runtime.compact({ keepBytes: 0 })
    await first.runtime.close()
    disk.remove('index.jsonl')
    const { runtime, log } = await open(disk)
    expect(stateOf(runtime)).toEqual(before)
    expect(runtime.sessions.list({ where: { last: 'waits-5' } }).sessions.map(({ id }) => id)).toEqual(['waits'])
    const same = await runtime.create(note, undefined, { idempotencyKey: 'once' })
    expect(same.id).toBe('live')
    await runtime.close()
    expect(log).toEqual([])
    // These runtimes write no directory file.
    const codes = examineFiles(disk, undefined).findings.map(({ code }) => code)
    expect(codes).toEqual(['directory-file.damaged', 'index.missing'])
  })

  test('again and again: the floor takes over what the floor before it had', async () => {
    const disk = createMemoryDisk()
    await filled(disk)
    let expected: unknown
    for (let round = 0; round < 4; round++) {
      const { runtime, log } = await open(disk)
      for (let n = 0; n < 12; n++) await runtime.session('live', note).send({ type: 'write', word: `r${round}-${n}` })
      await runtime.compact({ keepBytes: 0 })
      if (expected) expect(pick(runtime, 'ended')).toEqual(expected)
      expected = pick(runtime, 'ended')
      await runtime.close()
      if (round % 2) disk.remove('index.jsonl')
      expect(log).toEqual([])
    }
    const { runtime } = await open(disk)
    expect(runtime.session('live', note).snapshot()).toMatchObject({ seq: 7 + 48 })
    await runtime.close()
    expect(segmentsOf(disk).length).toBeLessThan(3)
  })

  test('what is to be kept stays; what belongs to sessions that are all gone goes all the same', async () => {
    const disk = createMemoryDisk()
    const { runtime } = await open(disk)
    for (let n = 0; n < 20; n++) {
      await runtime.create(note, undefined, { id: `n${n}` })
      await runtime.session(`n${n}`, note).send({ type: 'end' })
    }
    const sealed = segmentsOf(disk).length - 1
    expect(await runtime.compact()).toMatchObject({ segments: 0 })
    const some = await runtime.compact({ keepBytes: 3000 })
    expect(some.segments).toBeGreaterThan(0)
    expect(some.segments).toBeLessThan(sealed)
    const { sessions } = await runtime.prune({ olderThanMs: 0 })
    expect(sessions).toHaveLength(20)
    // What is left tells that they are gone.
    expect(segmentsOf(disk)).toHaveLength(1)
    await runtime.close()
    disk.remove('index.jsonl')
    const again = await open(disk)
    expect(again.runtime.sessions.count()).toBe(0)
    expect(again.log).toEqual([])
    await again.runtime.close()
  })

  test('by itself once there is enough, while sessions are at work: the disk does not fill', async () => {
    const disk = createMemoryDisk()
    const { runtime, log } = await open(disk, 0)
    await runtime.create(note, undefined, { id: 'live' })
    const aside = 'x'.repeat(500_000)
    for (let n = 0; n < 220; n++) await runtime.session('live', note).send({ type: 'write', word: `${n}`, aside })
    await expect.poll(() => bytesOf(disk)).toBeLessThan(100_000_000)
    expect(runtime.session('live', note).snapshot().context.words).toEqual(['215', '216', '217', '218', '219'])
    await runtime.close()
    expect(log).toEqual([])
  })
})

describe('history', () => {
  test('from before what is kept is HISTORY_UNAVAILABLE, naming the first that is there; from there on it is gapless', async () => {
    const disk = createMemoryDisk()
    await filled(disk)
    const { runtime } = await open(disk)
    await runtime.compact({ keepBytes: 2500 })
    const first = await firstOf(runtime.session('live', note).transitions$({ from: 1 }))
    expect(first).toBeGreaterThan(2)
    await runtime.session('live', note).send({ type: 'end' })
    const seqs: number[] = []
    for await (const { seq } of runtime.session('live', note).transitions$({ from: first })) seqs.push(seq)
    expect(seqs).toEqual(Array.from({ length: 9 - first }, (_, index) => first + index))
    const begin = await firstOf(runtime.transitions$({ from: 0 }))
    const [one] = await take(runtime.transitions$({ from: begin }), 1)
    expect(one?.position).toBeGreaterThan(begin)
    await runtime.compact({ keepBytes: 0 })
    const reader = openFileReader(disk)
    expect(reader.state('ended')).toMatchObject({ status: 'done' })
    expect(() => [...reader.history('gone')]).toThrow(/no session gone/)
    expect(() => [...reader.history('ended')]).toThrow(expect.objectContaining({ code: 'HISTORY_UNAVAILABLE' }))
    expect([...reader.history('ended', 100)]).toEqual([])
    reader.close()
    await runtime.close()
  })

  test('of all sessions it is read from the first that is kept, or from one position to another; what is no position is refused at once', async () => {
    const disk = createMemoryDisk()
    await filled(disk)
    const { runtime } = await open(disk)
    const all = [...runtime.history()].map(({ position }) => position)
    await runtime.compact({ keepBytes: 2500 })
    const kept = [...runtime.history()].map(({ position }) => position)
    expect(kept.length).toBeGreaterThan(2)
    expect(kept).toEqual(all.slice(-kept.length))
    expect(all.length).toBeGreaterThan(kept.length)
    const [, from, , to] = kept
    expect([...runtime.history({ from, to })].map(({ position }) => position)).toEqual(kept.slice(1, 4))
    expect(() => runtime.history({ from: 0 }).next()).toThrow(expect.objectContaining({ code: 'HISTORY_UNAVAILABLE' }))
    for (const options of [{ from: Number.NaN }, { to: 1.5 }, { form: 1 }])
      expect(() => runtime.history(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await runtime.close()
    expect(() => runtime.history()).toThrow(expect.objectContaining({ code: 'RUNTIME_CLOSED' }))
  })

  test('a replay that is under way when its part is dropped is told so', async () => {
    const disk = createMemoryDisk()
    await filled(disk)
    const { journal } = openFileJournal(disk, systemClock, { segmentBytes: 1500 })
    const scan = journal.scan(0)
    scan.next()
    await journal.compact({ keepBytes: 0, isGone: () => false, pause: async () => {} })
    expect(() => [...scan]).toThrow(expect.objectContaining({ code: 'HISTORY_UNAVAILABLE' }))
    await journal.close()
  })

  test('whoever read the directory before sees it as it was; a backup has the floor', async () => {
    const disk = createMemoryDisk()
    const before = await filled(disk)
    const { runtime } = await open(disk)
    await runtime.compact({ keepBytes: 0 })
    await runtime.close()
    const target = createMemoryDisk()
    await writeBackup({ source: disk, end: undefined, target, name: 'b.tar', at: '2026-01-01T00:00:00Z' })
    const back = createMemoryDisk()
    const file = target.openRead('b.tar')
    await unpack(file as NonNullable<typeof file>, 'b.tar', back)
    const restored = await open(back)
    expect(stateOf(restored.runtime)).toEqual(before)
    expect(restored.log).toEqual([])
    await restored.runtime.close()
  })
})

describe('crashes and bad disks', () => {
  test('a power cut at any call to the disk, with and without the index: every session is as it was', async () => {
    const whole = createCrashDisk()
    const before = await filled(whole)
    const seen = new Set<string>()
    const { random } = createSeededChance(1)
    let [states, withoutIndex] = [0, 0]
    // From a journal without a floor, and from one that has one.
    for (const keepBytes of [4000, 0]) {
      const cuts: CrashDisk[] = []
      const { runtime } = await open(whole)
      whole.onCall = () => {
        for (const { disk } of whole.crashStates({ operations: 5, tornTogether: 2, pieces: 3, seen })) cuts.push(disk)
        return undefined
      }
      const { segments } = await runtime.compact({ keepBytes })
      expect(segments).toBeGreaterThan(1)
      whole.onCall = undefined
      cuts.push(whole.crash())
      await runtime.close()
      for (const disk of cuts) {
        // Drawn, not in turn: the states come in an order in which the first of the calls under way is kept in every other one.
        if (random() < 0.5) {
          disk.remove('index.jsonl')
          withoutIndex++
        }
        states++
        const reader = openFileReader(disk)
        expect(reader.damage).toEqual([])
        expect(reader.unreadable).toEqual([])
        reader.close()
        const opened = await open(disk)
        expect(stateOf(opened.runtime)).toEqual(before)
        expect(opened.runtime.health()).toMatchObject({ damage: [], parked: [] })
        await opened.runtime.close()
        expect(opened.log).toEqual([])
        const numbers = segmentsOf(disk).map((name) => Number.parseInt(name, 10))
        expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] as number) + index))
      }
    }
    expect(states).toBeGreaterThan(1000)
    expect(withoutIndex / states).toBeCloseTo(0.5, 1)
  })

  test('a disk that fails at any call: nothing is lost, sessions go on, and the next opening has them all', async () => {
    const whole = createCrashDisk()
    await filled(whole)
    for (let call = 0; call < 60; call++) {
      const disk = whole.clone()
      const { runtime } = await open(disk)
      const before = stateOf(runtime)
      const from = disk.callCount
      disk.onCall = failAt(from + call, call % 2 ? 'EIO' : 'ENOSPC')
      const error = await runtime.compact({ keepBytes: 0 }).then(
        () => undefined,
        ({ code }) => code as string,
      )
      const done = disk.callCount - from <= call
      disk.onCall = undefined
      if (error) expect(['DISK_FULL', 'DISK_FAILED']).toContain(error)
      expect(stateOf(runtime)).toEqual(before)
      await runtime.close()
      disk.remove('index.jsonl')
      const again = await open(disk)
      expect(stateOf(again.runtime)).toEqual(before)
      expect(again.runtime.health().damage).toEqual([])
      await again.runtime.close()
      if (done) return
    }
  })
})

test('whatever call of an opening fails, no file stays open, neither the floor nor any other', async () => {
  const whole = createCrashDisk()
  await filled(whole)
  const { runtime } = await open(whole)
  await runtime.compact({ keepBytes: 1000 })
  await runtime.close()
  const disk = whole.clone()
  await openFileJournal(disk, systemClock).journal.close()
  expect(disk.callCount).toBeGreaterThan(15)
  for (let call = 0; call < disk.callCount; call++) {
    for (const when of ['once', 'from then on'] as const) {
      const failing = whole.clone({ onCall: failAt(call, 'EIO', when) })
      try {
        await openFileJournal(failing, systemClock).journal.close()
      } catch {}
      expect(failing.openFiles, `call ${call}, ${when}`).toEqual([])
    }
  }
})

describe('damage', () => {
  async function compacted(): Promise<Disk> {
    const disk = createMemoryDisk()
    await filled(disk)
    const { runtime } = await open(disk)
    await runtime.compact({ keepBytes: 0 })
    await runtime.close()
    return disk
  }

  const copyOf = (disk: Disk, change: (file: string, bytes: Buffer) => Uint8Array | undefined): Disk => {
    const copy = createMemoryDisk()
    copy.makeFolder('journal')
    for (const name of disk.list('journal')) {
      const bytes = change(`journal/${name}`, Buffer.from(readAll(disk, `journal/${name}`) as Uint8Array))
      if (!bytes) continue
      const file = copy.create(`journal/${name}`)
      writeAllSync(file, bytes, 0)
      file.close()
    }
    return copy
  }

  test('of any byte of the floor is noticed; no session begins anew, and those that can be read are as they were', async () => {
    const disk = await compacted()
    const size = readAll(disk, FLOOR)?.length as number
    const reader = openFileReader(disk)
    const states = new Map(reader.list().sessions.map(({ id }) => [id, reader.state(id)]))
    reader.close()
    const whole = readFileJournal(disk, () => {})
    const count = [...whole.floors(() => {})].length
    whole.close()
    expect([...states.keys()].sort()).toEqual(['anew', 'ended', 'live', 'waits'])
    for (let offset = 0; offset < size; offset += 3) {
      const bad = copyOf(disk, (file, bytes) => {
        if (file === FLOOR) bytes[offset] = (bytes[offset] as number) ^ (1 << (offset % 8))
        return bytes
      })
      const damage: unknown[] = []
      const journal = readFileJournal(bad, (found) => damage.push(found))
      const read = [...journal.floors((found) => damage.push(found))].map(({ id }) => id)
      expect([offset, damage.length > 0]).toEqual([offset, true])
      journal.close()
      const looking = openFileReader(bad)
      for (const { id } of looking.list().sessions) {
        let state: unknown
        try {
          state = looking.state(id)
        } catch (error) {
          expect((error as { code: string }).code).toBe('JOURNAL_CORRUPT')
          continue
        }
        expect([offset, state]).toEqual([offset, states.get(id)])
      }
      looking.close()
      expect(read.length).toBeLessThan(count)
    }
  })

  test('a floor that is gone, or of an earlier time, is told as what is missing; nobody is shown as if nothing was', async () => {
    const disk = createMemoryDisk()
    await filled(disk)
    const { runtime } = await open(disk)
    await runtime.compact({ keepBytes: 4000 })
    const early = readAll(disk, FLOOR) as Uint8Array
    await runtime.compact({ keepBytes: 0 })
    await runtime.close()
    for (const change of [undefined, early]) {
      const bad = copyOf(disk, (file, bytes) => (file === FLOOR ? change : bytes))
      const reader = openFileReader(bad)
      expect(reader.damage).toMatchObject([{ kind: 'missing' }])
      for (const { id } of reader.list({ status: 'active' }).sessions)
        expect(() => reader.state(id)).toThrow(/JOURNAL|lacks/)
      reader.close()
      const opened = await open(bad)
      expect(opened.runtime.health().damage).toMatchObject([{ kind: 'missing' }])
      await opened.runtime.close()
    }
  })

  test('in what is to be dropped ends it: nothing is touched', async () => {
    const disk = createMemoryDisk()
    await filled(disk)
    const bad = copyOf(disk, (file, bytes) => {
      if (file === 'journal/00000002.jsonl') bytes[400] = (bytes[400] as number) ^ 1
      return bytes
    })
    const { runtime } = await open(bad)
    const files = segmentsOf(bad)
    await expect(runtime.compact({ keepBytes: 0 })).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      details: { file: 'journal/00000002.jsonl' },
    })
    expect(segmentsOf(bad)).toEqual(files)
    await runtime.close()
  })
})

/** What HISTORY_UNAVAILABLE names. */
async function firstOf(stream: AsyncIterable<unknown>): Promise<number> {
  try {
    for await (const _ of stream) throw new Error('something came')
  } catch (error) {
    expect((error as { code?: string }).code).toBe('HISTORY_UNAVAILABLE')
    return (error as { details: { first: number } }).details.first
  }
  throw new Error('it ended')
}

async function take<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = []
  for await (const item of stream) if (taken.push(item) === count) break
  return taken
}

describe('what the floor keeps beside a state', () => {
  const fragile = defineSession({
    kind: 'fragile',
    version: 1,
    machine: setup({
      types: { events: {} as { type: 'crash' | 'later' | 'poison' } },
      actions: {
        crash: () => {
          throw new Error('an action crashed')
        },
      },
    }).createMachine({
      on: {
        crash: { actions: 'crash' },
        later: { actions: raise({ type: 'poison' }, { delay: 1 }) },
        poison: {
          guard: () => {
            throw new Error('a decision crashed')
          },
        },
      },
    }),
    supervision: { attempts: 1, intensity: 2, periodMs: 60_000, backoffMs: 1, maxBackoffMs: 1 },
  })

  test('quarantine, dead letters and what a session was forked from are found by an opening without an index', async () => {
    const disk = createMemoryDisk()
    const kinds = [note, fragile]
    const { runtime } = await open(disk, undefined, kinds)
    const bad = await runtime.create(fragile, undefined, { id: 'bad' })
    for (let count = 0; count < 4; count++) await bad.send({ type: 'crash' }).catch(() => {})
    await expect.poll(() => runtime.health().quarantined.map(({ id }) => id)).toEqual(['bad'])
    await (await runtime.create(fragile, undefined, { id: 'odd' })).send({ type: 'later' })
    await expect.poll(() => runtime.deadLetters().length).toBe(1)
    const first = await runtime.create(note, undefined, { id: 'first' })
    await first.fork({ id: 'second' })
    await fill(runtime)
    await runtime.compact({ keepBytes: 0 })
    const shown = (of: Runtime): unknown[] => [
      of.sessions.list({ quarantined: true }).sessions,
      of.sessions.list({ deadLetters: true }).sessions,
      of.sessions.list({ origin: 'first' }).sessions,
    ]
    const before = shown(runtime)
    await runtime.close()
    disk.remove('index.jsonl')
    const again = await open(disk, undefined, kinds)
    expect(shown(again.runtime)).toEqual(before)
    await again.runtime.session('bad').release()
    expect(again.runtime.health().quarantined).toEqual([])
    await again.runtime.close()
  })
})
