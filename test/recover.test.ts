// What an opening makes of a damaged journal: sessions whose records are gone, or may be, are parked and say why; all others
// run; and whoever only reads is told the same.
import { type AnySessionKind, defineSession, type Runtime, type SessionKind } from 'holdfast'
import { beforeEach, describe, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { type Disk, readAll, writeAllSync } from '../src/disk.js'
import { openFileJournal } from '../src/files/open-journal.js'
import { openFileReader } from '../src/files/reader.js'
import { segmentName } from '../src/files/segment.js'
import { createFileSnapshots } from '../src/files/snapshots.js'
import { createInlinePool } from '../src/inline/pool.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import { createRuntime } from '../src/runtime.js'
import type { IndexFile } from '../src/state.js'
import { systemChance } from '../src/system/chance.js'
import { systemClock } from '../src/system/clock.js'

const machine = setup({
  types: { context: {} as { n: number }, events: {} as { type: 'add' } | { type: 'end' } },
}).createMachine({
  id: 'adder',
  context: { n: 0 },
  initial: 'on',
  states: {
    on: { on: { add: { actions: assign({ n: ({ context }) => context.n + 1 }) }, end: 'off' } },
    off: { type: 'final' },
  },
})
const kind = defineSession({ kind: 'adder', version: 1, machine })
const quiet = { info: () => {}, warn: () => {}, error: () => {} }

let disk: Disk
beforeEach(() => {
  disk = createMemoryDisk()
  disk.makeFolder('')
})

/** A runtime whose segments hold a few records. */
async function open(kinds: readonly AnySessionKind[] = [kind]): Promise<Runtime> {
  const clock = systemClock
  const { journal, damage } = openFileJournal(disk, clock, { segmentBytes: 1500, reserveBytes: 0 })
  const snapshots = createFileSnapshots(disk, () => {})
  const ports = { journal, snapshots, pool: createInlinePool({ clock }), clock, chance: systemChance }
  return createRuntime(ports, { kinds, logger: quiet, damage })
}

const add = (runtime: Runtime, id: string) => runtime.session(id, kind).send({ type: 'add' })
const create = (runtime: Runtime, id: string) => runtime.create(kind, undefined, { id })

/** Writes records that are of no interest until a new segment has begun. */
async function nextSegment(runtime: Runtime): Promise<void> {
  const { segments } = runtime.health().journal
  while (runtime.health().journal.segments === segments) await add(runtime, 'filler')
}

/**
 * Three segments: `early` and `ended` are in the first, `inside` is in the second only, `left` in the first and second,
 * `across` in all, `around` in the first and third, `late` in the third only. `filler` is everywhere.
 */
async function threeSegments(): Promise<void> {
  await using runtime = await open()
  for (const id of ['filler', 'early', 'ended', 'left', 'across', 'around']) await create(runtime, id)
  await runtime.session('ended', kind).send({ type: 'end' })
  await nextSegment(runtime)
  await create(runtime, 'inside')
  for (const id of ['left', 'across']) await add(runtime, id)
  await nextSegment(runtime)
  await create(runtime, 'late')
  for (const id of ['across', 'around']) await add(runtime, id)
}

/** What becomes of an event for each session: `runs`, or why it does not. */
async function outcomes(): Promise<Record<string, string>> {
  await using runtime = await open()
  const outcome: Record<string, string> = {}
  for (const id of ['early', 'ended', 'inside', 'left', 'across', 'around', 'late']) {
    try {
      await add(runtime, id)
      outcome[id] = 'runs'
    } catch (error) {
      outcome[id] = (error as { code: string }).code
      if (outcome[id] === 'SESSION_PARKED') expect(error).toMatchObject({ details: { reason: 'JOURNAL_CORRUPT' } })
    }
  }
  return outcome
}

function put(path: string, bytes: Uint8Array): void {
  const file = disk.create(path)
  writeAllSync(file, bytes, 0)
  file.close()
}

const bytesOf = (path: string): Uint8Array => new Uint8Array(readAll(disk, path) as Uint8Array)
const SECOND = segmentName(2)

describe('a segment that is gone', () => {
  test('parks the sessions whose records were in it, by name; all others run, at every opening', async () => {
    await threeSegments()
    disk.remove(SECOND)
    for (let opening = 0; opening < 3; opening++) {
      expect(await outcomes()).toEqual({
        ...{ early: 'runs', around: 'runs', late: 'runs', ended: 'SESSION_ENDED' },
        ...{ inside: 'SESSION_PARKED', left: 'SESSION_PARKED', across: 'SESSION_PARKED' },
      })
    }
    await using runtime = await open()
    expect(runtime.health().damage).toMatchObject([{ file: SECOND, offset: 0, kind: 'missing' }])
    const reason = runtime.health().parked.find(({ id }) => id === 'left')?.reason.message
    expect(reason).toMatch(/journal\/00000002\.jsonl lacks \d+ bytes at offset 0, where records of this session were/)
  })

  test('of one bit, also in an id, parks only whose record it is: the checksum tells which bit it was', async () => {
    await threeSegments()
    disk.remove('index.jsonl')
    const bytes = bytesOf(SECOND)
    const at = Buffer.from(bytes).indexOf('"session":"left"') + '"session":"'.length
    bytes[at] = (bytes[at] as number) ^ 1
    put(SECOND, bytes)
    await using runtime = await open()
    expect(runtime.health().parked.map(({ id }) => id)).toEqual(['left'])
  })

  test('together with the index parks what was active before it and is not seen behind it: nothing tells whether it moved on', async () => {
    await threeSegments()
    disk.remove(SECOND)
    disk.remove('index.jsonl')
    for (let opening = 0; opening < 3; opening++) {
      expect(await outcomes()).toEqual({
        ...{ early: 'SESSION_PARKED', around: 'runs', late: 'runs', ended: 'SESSION_ENDED' },
        ...{ inside: 'SESSION_NOT_FOUND', left: 'SESSION_PARKED', across: 'SESSION_PARKED' },
      })
    }
    await using runtime = await open()
    const reason = runtime.health().parked.find(({ id }) => id === 'early')?.reason.message
    expect(reason).toContain('nothing tells whether records of this session were there')
  })

  test('is told to whoever only reads, and the sessions in it cannot be read', async () => {
    await threeSegments()
    disk.remove(SECOND)
    const reader = openFileReader(disk)
    expect(reader.damage).toMatchObject([{ file: SECOND, kind: 'missing' }])
    expect(reader.unreadable.map(({ id }) => id).sort()).toEqual(['inside', 'left'])
    expect(() => reader.state('across')).toThrow(expect.objectContaining({ code: 'JOURNAL_CORRUPT' }))
    for (const id of ['early', 'ended', 'around', 'late']) reader.state(id)
    reader.close()
  })
})

test('segments that were swapped harm no session', async () => {
  await threeSegments()
  const [first, second] = [bytesOf(segmentName(1)), bytesOf(SECOND)]
  put(segmentName(1), second)
  put(SECOND, first)
  expect(new Set(Object.values(await outcomes()))).toEqual(new Set(['runs', 'SESSION_ENDED']))
})

test('a header that cannot be read harms no session', async () => {
  for (const path of [segmentName(1), SECOND, segmentName(3)]) {
    disk = createMemoryDisk()
    disk.makeFolder('')
    await threeSegments()
    disk.remove('index.jsonl')
    const bytes = bytesOf(path)
    bytes[50] = (bytes[50] as number) ^ 1
    put(path, bytes)
    expect(new Set(Object.values(await outcomes()))).toEqual(new Set(['runs', 'SESSION_ENDED']))
  }
})

test('a sealed segment that was cut at a line parks only whose records were behind the cut', async () => {
  await threeSegments()
  const bytes = Buffer.from(bytesOf(SECOND))
  put(SECOND, bytes.subarray(0, bytes.lastIndexOf('\n', bytes.indexOf('"session":"inside"')) + 1))
  expect(await outcomes()).toMatchObject({ early: 'runs', around: 'runs', late: 'runs', inside: 'SESSION_PARKED' })
})

describe('damage that is older than a session', () => {
  const flip = (path: string, text: string): void => {
    const bytes = Buffer.from(bytesOf(path))
    const at = bytes.indexOf(text)
    expect(at).toBeGreaterThan(0)
    bytes[at + text.length + 40] = (bytes[at + text.length + 40] as number) ^ 1
    put(path, bytes)
  }

  test.each(['with', 'without'])('of the same id does not park it, at any opening, %s an index', async (index) => {
    await threeSegments()
    flip(SECOND, '"session":"inside"')
    disk.remove('index.jsonl')
    const parked = { inside: 'SESSION_NOT_FOUND', late: 'runs' }
    expect(await outcomes()).toMatchObject(parked)
    {
      await using runtime = await open()
      await create(runtime, 'inside')
      await add(runtime, 'inside')
    }
    for (let opening = 0; opening < 3; opening++) {
      if (index === 'without') disk.remove('index.jsonl')
      expect(await outcomes()).toMatchObject({ inside: 'runs', late: 'runs' })
      await using runtime = await open()
      if (index === 'without') disk.remove('index.jsonl')
      expect(runtime.health().parked.map(({ id }) => id)).not.toContain('inside')
    }
  })

  test('still parks the one that was there', async () => {
    await threeSegments()
    flip(SECOND, '"session":"left"')
    for (const index of ['with', 'without', 'without', 'as it was left', 'as it was left']) {
      if (index === 'without') disk.remove('index.jsonl')
      expect(await outcomes()).toMatchObject({ left: 'SESSION_PARKED', early: 'runs', late: 'runs' })
    }
    const reader = openFileReader(disk)
    expect(reader.unreadable.map(({ id }) => id)).toEqual(['left'])
    reader.close()
  })
})

test('a session that the index knows further than the journal goes is parked, though the rest of the index is not', async () => {
  await threeSegments()
  const snapshots = createFileSnapshots(disk, () => {})
  const { through, entries } = snapshots.readIndex() as IndexFile
  const further = entries.map((entry) =>
    entry.id === 'late' ? { ...entry, seq: entry.seq + 1, position: through + 100 } : entry,
  )
  await snapshots.writeIndex({ through, entries: further })
  await using runtime = await open()
  expect(runtime.health().parked.map(({ id }) => id)).toEqual(['late'])
  for (const id of ['early', 'across', 'around']) await add(runtime, id)
})

test('a session whose deletion is lost does not come back: the index that knows of it parks it, at every opening', async () => {
  const first = await open()
  for (const id of ['kept', 'deleted']) await create(first, id)
  const stale = new Uint8Array(readAll(disk, segmentName(1)) as Uint8Array)
  await first.session('deleted').delete()
  await first.close()
  for (let opening = 0; opening < 2; opening++) {
    if (opening === 0) put(segmentName(1), stale)
    const reader = openFileReader(disk)
    expect(reader.unreadable.map(({ id }) => id)).toEqual(['deleted'])
    reader.close()
    await using runtime = await open()
    expect(runtime.health().parked.map(({ id }) => id)).toEqual(['deleted'])
    expect(runtime.health().parked[0]?.reason.message).toContain('it was deleted')
    await add(runtime, 'kept')
  }
})

describe('a child whose parent cannot be told to have left it is kept', () => {
  const definition = {
    ...{ kind: 'parent', version: 1 },
    machine: setup({
      types: { events: {} as { type: 'start' } | { type: 'note' } },
      actors: { machine },
    }).createMachine({
      initial: 'alone',
      states: {
        alone: { on: { start: 'with' } },
        with: { invoke: { id: 'child', src: 'machine' }, on: { note: { actions: () => {} } } },
      },
    }),
  }
  const parent = defineSession({ ...definition, children: { machine: { kind } } })

  /** A parent and its child, and records of others behind theirs; then `text` is damaged, and there is no index. */
  async function family(text: string | undefined, parent: SessionKind<typeof definition.machine>): Promise<string> {
    const runtime = await open([parent])
    await create(runtime, 'filler')
    const session = await runtime.create(parent, undefined, { id: 'parent' })
    await session.send({ type: 'start' })
    await session.send({ type: 'note' })
    await nextSegment(runtime)
    const child = runtime.sessions.list({ parent: 'parent' }).sessions[0]?.id as string
    await runtime.close()
    disk.remove('index.jsonl')
    if (text === undefined) return child
    const bytes = Buffer.from(bytesOf(segmentName(1)))
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) bytes[at] = 0x23 // one bit: whose line it was is told
    put(segmentName(1), bytes)
    return child
  }

  test.each([
    ['the record that started it cannot be read', '"session":"parent","seq":2'],
    ['no record of the parent can be read', '"session":"parent","seq":'],
  ])('%s', async (_, text) => {
    const child = await family(text, parent)
    for (let opening = 0; opening < 2; opening++) {
      await using runtime = await open([parent])
      expect(runtime.health().damage[0]?.sessions).toContain('parent')
      await add(runtime, child)
      expect(runtime.session(child).entry().status).toBe('active')
    }
  })

  test('the kind of the parent, which says that it may go on alone, is not there', async () => {
    const lenient = defineSession({ ...definition, children: { machine: { kind, onParentEnd: 'abandon' } } })
    const child = await family(undefined, lenient)
    const runtime = await open([lenient])
    await runtime.session('parent').cancel()
    await runtime.close()
    await using without = await open([kind])
    await add(without, child)
    expect(without.session(child).entry().status).toBe('active')
  })
})
