// Snapshots as files: the contract over real files, memory and the crash disk; then what a crash, a fault of the disk,
// a flipped bit and a newer format do to them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Disk, readAll, writeAllSync } from '../../src/disk.js'
import { HoldfastError } from '../../src/errors.js'
import { createFileDisk } from '../../src/files/disk.js'
import { createFileSnapshots, type SnapshotDamage } from '../../src/files/snapshots.js'
import { createMemoryDisk } from '../../src/memory/disk.js'
import type { Snapshots } from '../../src/snapshots.js'
import { type CrashDisk, createCrashDisk, failAt } from '../../src/testing/disk.js'
import { entryOf, snapshotsContract, stateOf } from '../contract/snapshots.js'

const undamaged = ({ file, reason }: SnapshotDamage): never => expect.unreachable(`${file}: ${reason}`)

snapshotsContract('real files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-snapshots-'))
  return {
    snapshots: createFileSnapshots(createFileDisk(folder), undamaged),
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
})
snapshotsContract('files on the memory disk', () => ({ snapshots: createFileSnapshots(createMemoryDisk(), undamaged) }))
snapshotsContract('files on the crash disk', () => ({ snapshots: createFileSnapshots(createCrashDisk(), undamaged) }))

const reopen = (disk: Disk): Snapshots => createFileSnapshots(disk, undamaged)
const FILE = 'sessions/43/a.json'

function put(disk: Disk, path: string, content: Uint8Array | string): void {
  const file = disk.create(path)
  writeAllSync(file, Buffer.from(content), 0)
  file.syncSync()
  file.close()
}

const textOf = (disk: Disk, path: string): string =>
  Buffer.from(readAll(disk, path) ?? expect.unreachable(path)).toString()

/** A disk with a durable snapshot of `a` at 1 and a durable index through 1. */
async function stored(): Promise<CrashDisk> {
  const disk = createCrashDisk()
  const snapshots = reopen(disk)
  await snapshots.write(stateOf('a', 1))
  await snapshots.writeIndex({ through: 1, entries: [entryOf('a', 1)] })
  return disk.crash()
}

describe('the files', () => {
  test('a snapshot is readable JSON with its format and checksum, one part of the state a line', async () => {
    const disk = createMemoryDisk()
    await reopen(disk).write(stateOf('a', 1))
    const text = textOf(disk, FILE)
    expect(JSON.parse(text)).toEqual({
      holdfast: 1,
      checksum: expect.stringMatching(/^[0-9a-f]{8}$/),
      state: stateOf('a', 1),
    })
    expect(text.split('\n').slice(0, 5)).toEqual([
      '{',
      '  "holdfast": 1,',
      expect.stringMatching(/^ {2}"checksum": "[0-9a-f]{8}",$/),
      '  "state": {',
      '    "id":"a",',
    ])
  })

  test('a snapshot that somebody re-indented is still good', async () => {
    const disk = createMemoryDisk()
    await reopen(disk).write(stateOf('a', 1, { 10: 'x', 2: 'y', text: 'ä\u2028' }))
    put(disk, FILE, JSON.stringify(JSON.parse(textOf(disk, FILE)), null, 8))
    expect(reopen(disk).read('a')?.context).toEqual({ 10: 'x', 2: 'y', text: 'ä\u2028' })
  })

  test('the index is a header line and one line a session', async () => {
    const disk = createMemoryDisk()
    await reopen(disk).writeIndex({ through: 9, entries: [entryOf('a', 1), entryOf('b', 2)] })
    const [header, ...lines] = textOf(disk, 'index.jsonl').trimEnd().split('\n')
    expect(JSON.parse(header ?? '')).toMatchObject({ holdfast: 1, through: 9, count: 2 })
    expect(lines.map((line) => JSON.parse(line))).toEqual([entryOf('a', 1), entryOf('b', 2)])
  })

  test('an id that is none cannot name a file', async () => {
    const snapshots = reopen(createMemoryDisk())
    for (const id of ['', '../a', 'a/b', '.a', 'a'.repeat(65), 'a\0', 'ä']) {
      expect(() => snapshots.read(id)).toThrow(expect.objectContaining({ code: 'INVALID_ID' }))
      expect(() => snapshots.remove(id)).toThrow(expect.objectContaining({ code: 'INVALID_ID' }))
      await expect(snapshots.write(stateOf(id, 1))).rejects.toMatchObject({ code: 'INVALID_ID' })
    }
  })
})

describe('a power cut', () => {
  /** Runs `change` and gives what `look` finds on every disk that a power cut at any of its calls may leave. */
  async function crashing(
    disk: CrashDisk,
    change: (disk: CrashDisk) => unknown,
    look: (disk: CrashDisk) => unknown,
  ): Promise<Set<unknown>> {
    const found = new Set<unknown>()
    const seen = new Set<string>()
    disk.onCall = () => {
      for (const state of disk.crashStates({ seen })) found.add(look(state.disk))
      return undefined
    }
    await change(disk)
    disk.onCall = undefined
    return found
  }

  const seqOf = (disk: Disk): number | undefined => reopen(disk).read('a')?.seq

  test('during a write leaves the old snapshot or the new one; after it the new one', async () => {
    const disk = await stored()
    const found = await crashing(disk, (on) => reopen(on).write(stateOf('a', 2, { text: 'x'.repeat(9000) })), seqOf)
    expect(found).toEqual(new Set([1, 2]))
    expect([...disk.crashStates()].map((state) => seqOf(state.disk))).toEqual([2])
  })

  test('during the first write of all leaves none or the new one; after it the new one', async () => {
    const disk = createCrashDisk()
    const found = await crashing(disk, (on) => reopen(on).write(stateOf('a', 1)), seqOf)
    expect(found).toEqual(new Set([undefined, 1]))
    expect([...disk.crashStates()].map((state) => seqOf(state.disk))).toEqual([1])
  })

  test('after a write that followed a process that died while writing leaves the new one', async () => {
    const dying = await stored()
    const states: CrashDisk[] = []
    dying.onCall = () => {
      states.push(dying.clone())
      return undefined
    }
    await reopen(dying).write(stateOf('a', 2))
    for (const disk of states) {
      await reopen(disk).write(stateOf('a', 3))
      expect([...disk.crashStates()].map((state) => seqOf(state.disk))).toEqual([3])
    }
    expect(states.length).toBeGreaterThan(5)
  })

  test('during a removal leaves the snapshot or none; after it none', async () => {
    const disk = await stored()
    expect(await crashing(disk, (on) => reopen(on).remove('a'), seqOf)).toEqual(new Set([1, undefined]))
    expect([...disk.crashStates()].map((state) => seqOf(state.disk))).toEqual([undefined])
  })

  test('after a removal never brings back what was being written', async () => {
    for (let turns = 0; turns < 30; turns++) {
      const disk = await stored()
      const snapshots = reopen(disk)
      const writing = snapshots.write(stateOf('a', 2))
      for (let turn = 0; turn < turns; turn++) await undefined
      snapshots.remove('a')
      const found = await crashing(disk, () => writing, seqOf)
      for (const state of disk.crashStates()) found.add(seqOf(state.disk))
      expect(found).toEqual(new Set([undefined]))
      expect(disk.list('sessions/43')).toEqual([])
    }
  })

  test('during the writing of the index leaves the old or the new one', async () => {
    const disk = await stored()
    const entries = Array.from({ length: 30 }, (_, seq) => entryOf(`s${seq}`, seq))
    const through = (on: Disk): unknown => reopen(on).readIndex()?.through
    const found = await crashing(disk, (on) => reopen(on).writeIndex({ through: 2, entries }), through)
    expect(found).toEqual(new Set([1, 2]))
    expect([...disk.crashStates()].map((state) => through(state.disk))).toEqual([2])
  })

  test('while a damaged file is moved to quarantine leaves it whole, in one place or the other', async () => {
    const disk = await stored()
    put(disk, FILE, 'damaged')
    const places = (on: CrashDisk): string =>
      [FILE, 'quarantine/a.json'].filter((path) => on.openRead(path) && textOf(on, path) === 'damaged').join()
    const found = await crashing(disk, (on) => createFileSnapshots(on, () => {}).read('a'), places)
    expect(found).toEqual(new Set([FILE, 'quarantine/a.json']))
    expect([...disk.crashStates()].map((state) => places(state.disk))).toEqual(['quarantine/a.json'])
  })
})

describe('a fault of the disk', () => {
  const CODES = ['EIO', 'ENOSPC', 'EROFS', 'EACCES', 'EMFILE', 'EDQUOT', 'SHORT']
  const cases = CODES.flatMap((code) => (['once', 'from then on'] as const).map((when) => [code, when] as const))
  const full = (code: string): boolean => code === 'ENOSPC' || code === 'EDQUOT'

  type Change = (snapshots: Snapshots) => Promise<unknown>
  const changes: [string, Change, (disk: Disk) => number | undefined][] = [
    ['a write', (snapshots) => snapshots.write(stateOf('a', 2)), (disk) => reopen(disk).read('a')?.seq],
    [
      'a write of the index',
      (snapshots) => snapshots.writeIndex({ through: 2, entries: [entryOf('b', 2)] }),
      (disk) => reopen(disk).readIndex()?.through,
    ],
  ]

  for (const [name, change, look] of changes) {
    test.each(cases)(
      `${name}: %s %s, at every call: a typed error and the old state, or success and the new one`,
      async (code, when) => {
        const calls = await countCalls(change)
        expect(calls).toBeGreaterThan(6)
        for (let index = 0; index < calls; index++) {
          const disk = await stored()
          disk.onCall = failAt(index, code, when)
          const outcome = await change(reopen(disk)).then(
            () => 'written',
            (error: unknown) => error,
          )
          disk.onCall = undefined
          expect(disk.openFiles).toEqual([])
          if (outcome === 'written') {
            expect([code, look(disk)]).toEqual(['SHORT', 2])
          } else {
            expect(outcome).toBeInstanceOf(HoldfastError)
            expect(outcome).toMatchObject({ code: full(code) ? 'DISK_FULL' : 'DISK_FAILED', cause: { code } })
            // When the very last sync fails, the rename is done: the new one is there, and a crash may leave either.
            const renamed = disk.calls.at(-2)?.op === 'rename' && disk.calls.at(-1)?.op === 'syncFolder'
            expect(look(disk)).toBe(renamed ? 2 : 1)
            if (when === 'once') expect(temporaries(disk)).toEqual([])
          }
          for (const state of disk.crashStates()) expect([1, 2]).toContain(look(state.disk))
          await change(reopen(disk))
          for (const state of disk.crashStates()) expect(look(state.disk)).toBe(2)
        }
      },
    )
  }

  async function countCalls(change: Change): Promise<number> {
    const disk = await stored()
    await change(reopen(disk))
    return disk.callCount
  }

  const temporaries = (disk: Disk): string[] =>
    [...disk.list(''), ...disk.list('sessions/43')].filter((path) => path.endsWith('.tmp'))

  test.each(['EIO', 'ENOSPC', 'EACCES'])(
    'reading and removing with %s at every call: a typed error, and nothing changes',
    async (code) => {
      const calls: ((snapshots: Snapshots) => unknown)[] = [
        (snapshots) => snapshots.read('a'),
        (snapshots) => snapshots.readIndex(),
        (snapshots) => snapshots.remove('a'),
      ]
      for (const call of calls) {
        const counted = await stored()
        call(reopen(counted))
        for (let index = 0; index < counted.callCount; index++) {
          const disk = await stored()
          disk.onCall = failAt(index, code)
          expect(() => call(reopen(disk))).toThrow(
            expect.objectContaining({ name: 'HoldfastError', cause: expect.objectContaining({ code }) }),
          )
          expect(disk.openFiles).toEqual([])
        }
      }
    },
  )

  test('a file that cannot be read is an error, never a fresh session', async () => {
    const disk = await stored()
    disk.onCall = (_, { op, path }) => {
      if (op === 'read' && path === FILE) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      return undefined
    }
    expect(() => reopen(disk).read('a')).toThrow(expect.objectContaining({ code: 'DISK_FAILED' }))
    expect(disk.list('quarantine')).toEqual([])
  })

  test('a write that failed does not hold up the next of the same session', async () => {
    const disk = await stored()
    const snapshots = reopen(disk)
    disk.onCall = failAt(0, 'ENOSPC')
    const writes = [snapshots.write(stateOf('a', 2)), snapshots.write(stateOf('a', 3))]
    expect((await Promise.allSettled(writes)).map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(snapshots.read('a')?.seq).toBe(3)
  })
})

describe('damage', () => {
  function reading(disk: Disk): { snapshots: Snapshots; damage: SnapshotDamage[] } {
    const damage: SnapshotDamage[] = []
    return { snapshots: createFileSnapshots(disk, (found) => damage.push(found)), damage }
  }

  const cases: [string, (text: string) => string, RegExp][] = [
    ['is empty', () => '', /not JSON/],
    ['was cut off', (text) => text.slice(0, -10), /not JSON/],
    ['is another JSON value', () => 'null', /not an object/],
    ['has no state', () => '{"holdfast":1,"checksum":"00000000"}', /checksum/],
    ['has a changed state', (text) => text.replace('"seq":1', '"seq":2'), /checksum/],
    ['has a changed checksum', (text) => text.replace(/"checksum": "./, '"checksum": "g'), /checksum/],
    ['has a changed format', (text) => text.replace('"holdfast": 1', '"holdfast": 3'), /format/],
    ['belongs to another session', () => '', /snapshot of "b"/],
  ]
  test.each(cases)(
    'a snapshot that %s is kept whole in quarantine, reported, and counts as none',
    async (what, spoil, reason) => {
      const disk = await stored()
      await reopen(disk).write(stateOf('b', 1))
      const other = disk
        .list('sessions')
        .map((folder) => `sessions/${folder}/b.json`)
        .find((path) => disk.openRead(path))
      const spoilt = what === 'belongs to another session' ? textOf(disk, other ?? '') : spoil(textOf(disk, FILE))
      put(disk, FILE, spoilt)
      const { snapshots, damage } = reading(disk)
      expect(snapshots.read('a')).toBeUndefined()
      expect(damage).toEqual([{ file: FILE, reason: expect.stringMatching(reason), kept: 'quarantine/a.json' }])
      expect(textOf(disk, 'quarantine/a.json')).toBe(spoilt)
      expect(disk.list('sessions/43')).toEqual([])
      expect(snapshots.read('b')?.seq).toBe(1)
      await snapshots.write(stateOf('a', 5))
      expect(snapshots.read('a')?.seq).toBe(5)
      expect(damage.length).toBe(1)
    },
  )

  test('each damaged file keeps a name of its own', async () => {
    const disk = await stored()
    const { snapshots, damage } = reading(disk)
    for (const content of ['one', 'two', 'three']) {
      put(disk, FILE, content)
      snapshots.read('a')
    }
    expect(damage.map(({ kept }) => kept)).toEqual(['quarantine/a.json', 'quarantine/a.json.1', 'quarantine/a.json.2'])
    expect(damage.map(({ kept }) => textOf(disk, kept ?? ''))).toEqual(['one', 'two', 'three'])
  })

  test('a damaged file that cannot be moved stays where it is, and is reported without a place', async () => {
    const disk = await stored()
    put(disk, FILE, 'damaged')
    const { snapshots, damage } = reading(disk)
    disk.onCall = (_, { op }) => {
      if (op === 'rename' || op === 'makeFolder') throw Object.assign(new Error('EROFS'), { code: 'EROFS' })
      return undefined
    }
    expect(snapshots.read('a')).toBeUndefined()
    expect(damage).toEqual([{ file: FILE, reason: expect.stringMatching(/not JSON/) }])
    expect(textOf(disk, FILE)).toBe('damaged')
  })

  /** Every flipped bit and every truncation of a file: each is noticed, or changes nothing that is read. */
  async function everyDamage(
    path: string,
    read: (snapshots: Snapshots) => unknown,
  ): Promise<{ noticed: number; harmless: string[] }> {
    const disk = await stored()
    const good = readAll(disk, path) ?? expect.unreachable(path)
    const whole = JSON.stringify(read(reopen(disk)))
    let noticed = 0
    const harmless: string[] = []
    const variants: Uint8Array[] = [...good.keys()].map((length) => good.subarray(0, length))
    for (let bit = 0; bit < good.length * 8; bit++) {
      const flipped = good.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      variants.push(flipped)
    }
    for (const variant of variants) {
      const spoilt = disk.crash()
      put(spoilt, path, variant)
      const { snapshots, damage } = reading(spoilt)
      const found = read(snapshots)
      if (found === undefined) {
        noticed++
        const kept = readAll(spoilt, damage[0]?.kept ?? '')
        if (damage[0]?.file !== path || !kept || Buffer.compare(kept, variant) !== 0)
          expect.unreachable('not kept whole')
      } else {
        if (JSON.stringify(found) !== whole) expect.unreachable(`accepted: ${Buffer.from(variant)}`)
        harmless.push(Buffer.from(variant).toString())
      }
    }
    expect(noticed + harmless.length).toBe(good.length * 9)
    return { noticed, harmless }
  }

  test('every flipped bit and every truncation of a snapshot is noticed, but for space that means nothing', async () => {
    const { harmless } = await everyDamage(FILE, (snapshots) => snapshots.read('a'))
    const parsed = new Set(harmless.map((text) => JSON.stringify(JSON.parse(text))))
    expect(parsed.size).toBe(1)
  })

  test('every flipped bit and every truncation of an index is noticed', async () => {
    const { harmless } = await everyDamage('index.jsonl', (snapshots) => snapshots.readIndex())
    expect(harmless).toEqual([])
  })

  test('an index with a line too few, too many or out of place is noticed', async () => {
    const disk = await stored()
    await reopen(disk).writeIndex({ through: 3, entries: [entryOf('a', 1), entryOf('b', 1), entryOf('c', 1)] })
    const [header, a, b, c] = textOf(disk, 'index.jsonl').trimEnd().split('\n')
    for (const lines of [[header, a, b], [header, a, b, c, c], [header, b, a, c], [a, b, c], [header]]) {
      put(disk, 'index.jsonl', `${lines.join('\n')}\n`)
      const { snapshots, damage } = reading(disk)
      expect(snapshots.readIndex()).toBeUndefined()
      expect(damage.length).toBe(1)
    }
  })

  test('a file of a newer format is refused by name and left untouched', async () => {
    const disk = await stored()
    const newer: [string, string, (snapshots: Snapshots) => unknown][] = [
      [FILE, '{"holdfast":2,"checksum":"12345678","state":{"id":"a"}}', (snapshots) => snapshots.read('a')],
      ['index.jsonl', '{"holdfast":2,"anything":"else"}'.padEnd(200), (snapshots) => snapshots.readIndex()],
    ]
    for (const [path, content, read] of newer) {
      put(disk, path, content)
      expect(() => read(reopen(disk))).toThrow(
        expect.objectContaining({ code: 'FORMAT_NEWER', message: expect.stringContaining(path) }),
      )
      expect(textOf(disk, path)).toBe(content)
    }
    expect(disk.list('quarantine')).toEqual([])
  })
})
