// The crash disk: it keeps the contract of the disk, loses what no sync has covered, and never anything else.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Disk, type DiskFile, readAll, replaceFile, writeAllSync } from '../../src/disk.js'
import { createMemoryDisk } from '../../src/memory/disk.js'
import { type CrashDisk, createCrashDisk, failAt } from '../../src/testing/disk.js'
import { fatesOf, subsets } from '../../src/testing/disk-fates.js'
import { recordingDisk } from '../../src/testing/recording-disk.js'
import { diskContract } from '../contract/disk.js'
import { property } from '../property.js'

diskContract('crash disk', () => ({ disk: createCrashDisk() }))

/** A file's text, or its absence. Zeros are shown as dots. */
const show = (disk: Disk, path: string): string => {
  const bytes = readAll(disk, path)
  return bytes ? Buffer.from(bytes).toString('latin1').replaceAll('\0', '.') : 'absent'
}

/** What may be in `paths` after a crash now: each possibility once, sorted. */
const outcomes = (disk: CrashDisk, ...paths: string[]): string[] => {
  const found = new Set<string>()
  for (const state of disk.crashStates()) found.add(paths.map((path) => show(state.disk, path)).join(' '))
  return [...found].sort()
}

const text = (content: string): Uint8Array => Buffer.from(content)

/** A disk with one durable file `a`, open for writing. */
function withFile(content: string): { disk: CrashDisk; file: DiskFile } {
  const disk = createCrashDisk()
  const file = disk.create('a')
  writeAllSync(file, text(content), 0)
  file.syncSync()
  disk.syncFolder('')
  return { disk, file }
}

describe('data', () => {
  test('an unsynced write may be whole, absent, torn anywhere it is tried, or length without bytes', () => {
    const { disk, file } = withFile('old')
    file.writeSync(text('WRITE'), 3)
    expect(outcomes(disk, 'a')).toEqual(['old', 'old.....', 'oldW', 'oldWR', 'oldWRIT', 'oldWRITE'])
  })

  test('a synced write is in every crash', () => {
    const { disk, file } = withFile('old')
    file.writeSync(text('WRITE'), 3)
    file.syncSync()
    expect(outcomes(disk, 'a')).toEqual(['oldWRITE'])
    expect(disk.pending).toEqual([])
  })

  test('without a choice a crash drops everything that is pending', () => {
    const { disk, file } = withFile('old')
    file.writeSync(text('WRITE'), 0)
    expect(show(disk.crash(), 'a')).toBe('old')
    expect(
      show(
        disk.crash(() => 'kept'),
        'a',
      ),
    ).toBe('WRITE')
    expect(
      show(
        disk.crash(() => ({ bytes: 2 })),
        'a',
      ),
    ).toBe('WRd')
    expect(show(disk, 'a')).toBe('WRITE')
  })

  test('the bytes of a pending write are those of the call, whatever becomes of the buffer', () => {
    const { disk, file } = withFile('old')
    const bytes = Buffer.from('new')
    file.writeSync(bytes, 0)
    bytes.fill(0)
    file.writeSync(text('!'), 3)
    expect(
      show(
        disk.crash((_, index) => (index === 0 ? 'kept' : 'dropped')),
        'a',
      ),
    ).toBe('new')
  })

  test('a later write may be there without an earlier one', () => {
    const { disk, file } = withFile('')
    file.writeSync(text('A'), 0)
    file.writeSync(text('B'), 1)
    expect(outcomes(disk, 'a')).toEqual(['', '.', '..', '.B', 'A', 'A.', 'AB'])
  })

  test('emptying a file is an operation like a write', () => {
    const { disk } = withFile('old')
    const file = disk.create('a')
    file.writeSync(text('N'), 0)
    expect(outcomes(disk, 'a')).toEqual(['', '.', 'N', 'Nld', 'old'])
    file.syncSync()
    expect(outcomes(disk, 'a')).toEqual(['N'])
  })

  test('a write over several pages may lose any of them', () => {
    const { disk, file } = withFile('')
    const pages = Buffer.concat(['A', 'B', 'C'].map((letter) => Buffer.alloc(4096, letter)))
    file.writeSync(pages, 0)
    const found = new Set<string>()
    for (const { disk: crashed } of disk.crashStates()) {
      const content = readAll(crashed, 'a') ?? new Uint8Array()
      const letters = [0, 4096, 8192].filter((page) => page < content.length).map((page) => content[page] as number)
      const whole = Buffer.concat(letters.map((letter) => Buffer.alloc(4096, letter)))
      if (Buffer.compare(whole, content) === 0) found.add(Buffer.from(letters).toString().replaceAll('\0', '.'))
    }
    expect([...found].sort()).toEqual(['', '...', '..C', '.B', '.BC', 'A', 'A.C', 'AB', 'ABC'])
  })

  test('pages are those of the file, not of the write', () => {
    const { disk, file } = withFile('')
    writeAllSync(file, Buffer.alloc(4000, 'x'), 0)
    file.syncSync()
    file.writeSync(Buffer.alloc(200, 'y'), 4000)
    const lengths = new Set<string>()
    for (const { disk: crashed } of disk.crashStates())
      lengths.add(
        show(crashed, 'a')
          .slice(4000)
          .replace(/(.)\1*/g, (run) => `${run[0]}${run.length}`),
      )
    expect(lengths).toContain('y96')
    expect(lengths).toContain('.96y104')
  })

  test('a sync counts only once it has returned, and does not cover what was written meanwhile', async () => {
    let finish = (): void => {}
    const settle = (): Promise<void> =>
      new Promise((resolve) => {
        finish = resolve
      })
    const disk = createCrashDisk({ settle })
    const file = disk.create('a')
    disk.syncFolder('')
    file.writeSync(text('A'), 0)
    const syncing = file.sync()
    file.writeSync(text('B'), 1)
    expect(outcomes(disk, 'a')).toEqual(['', '.', '..', '.B', 'A', 'A.', 'AB'])
    finish()
    await syncing
    expect(outcomes(disk, 'a')).toEqual(['A', 'A.', 'AB'])
  })

  test('what a failed sync covered stays readable, and no later sync makes it durable', () => {
    const { disk, file } = withFile('')
    file.writeSync(text('A'), 0)
    disk.onCall = failAt(disk.callCount, 'EIO')
    expect(() => file.syncSync()).toThrow(expect.objectContaining({ code: 'EIO' }))
    file.writeSync(text('B'), 1)
    file.syncSync()
    expect(show(disk, 'a')).toBe('AB')
    expect(outcomes(disk, 'a')).toEqual(['.B', 'AB'])
  })

  test('a file written anew after a failed sync is whole again', () => {
    const { disk, file } = withFile('')
    file.writeSync(text('AAA'), 0)
    disk.onCall = failAt(disk.callCount, 'EIO')
    expect(() => file.syncSync()).toThrow()
    const again = disk.create('a')
    again.writeSync(text('B'), 0)
    again.syncSync()
    expect(outcomes(disk, 'a')).toEqual(['B'])
    expect(disk.pending).toEqual([])
  })
})

describe('names', () => {
  test('syncing a file does not make its name durable; syncing its folder does', () => {
    const disk = createCrashDisk()
    const file = disk.create('a')
    file.writeSync(text('A'), 0)
    file.syncSync()
    expect(outcomes(disk, 'a')).toEqual(['A', 'absent'])
    disk.syncFolder('')
    expect(outcomes(disk, 'a')).toEqual(['A'])
  })

  test('syncing a folder does not make the data of its files durable', () => {
    const disk = createCrashDisk()
    const file = disk.create('a')
    disk.syncFolder('')
    file.writeSync(text('AB'), 0)
    expect(outcomes(disk, 'a')).toEqual(['', '..', 'A', 'AB'])
  })

  test('an unsynced rename may vanish but is never half done', () => {
    const { disk } = withFile('new')
    const target = disk.create('b')
    target.writeSync(text('old'), 0)
    target.syncSync()
    disk.syncFolder('')
    disk.rename('a', 'b')
    expect(outcomes(disk, 'a', 'b')).toEqual(['absent new', 'new old'])
    disk.syncFolder('')
    expect(outcomes(disk, 'a', 'b')).toEqual(['absent new'])
  })

  test('a rename between folders is durable only once both are synced', () => {
    const { disk } = withFile('A')
    disk.makeFolder('c')
    disk.syncFolder('')
    disk.rename('a', 'c/a')
    disk.syncFolder('c')
    expect(outcomes(disk, 'a', 'c/a')).toEqual(['A absent', 'absent A'])
    disk.syncFolder('')
    expect(outcomes(disk, 'a', 'c/a')).toEqual(['absent A'])
  })

  test('a rename of a file that was never synced may give an empty or torn file its name', () => {
    const { disk } = withFile('old')
    const file = disk.create('a.tmp')
    file.writeSync(text('new'), 0)
    disk.rename('a.tmp', 'a')
    expect(outcomes(disk, 'a')).toEqual(['', '...', 'n', 'ne', 'new', 'old'])
  })

  test('a removal may vanish until its folder is synced', () => {
    const { disk } = withFile('A')
    disk.remove('a')
    expect(outcomes(disk, 'a')).toEqual(['A', 'absent'])
    disk.syncFolder('')
    expect(outcomes(disk, 'a')).toEqual(['absent'])
  })

  test('a file is lost with the folder above it whose name was not synced', () => {
    const disk = createCrashDisk()
    disk.makeFolder('c/d')
    const file = disk.create('c/d/a')
    file.syncSync()
    disk.syncFolder('c/d')
    disk.syncFolder('c')
    expect(outcomes(disk, 'c/d/a')).toEqual(['', 'absent'])
    disk.syncFolder('')
    expect(outcomes(disk, 'c/d/a')).toEqual([''])
  })

  test('a lock does not survive, its file does, and its text adds nothing to what may happen', () => {
    const disk = createCrashDisk()
    disk.lock('lock')?.describe('process 1')
    expect(disk.pending).toEqual([])
    const crashed = disk.crash()
    expect(show(crashed, 'lock')).toBe('process 1')
    expect(crashed.lock('lock')).toBeDefined()
    expect(disk.lock('lock')).toBeUndefined()
  })

  test('replaceFile gives the old or the new content at every crash, at every call of it', async () => {
    const { disk } = withFile('old')
    const found = new Set<string>()
    disk.onCall = () => {
      for (const outcome of outcomes(disk, 'a')) found.add(outcome)
      return undefined
    }
    await replaceFile(disk, 'a', text('new'))
    expect([...found].sort()).toEqual(['new', 'old'])
    expect(outcomes(disk, 'a')).toEqual(['new'])
  })
})

describe('faults and traces', () => {
  test('every call is numbered and traced, reads and closes too', () => {
    const disk = createCrashDisk()
    const heard: string[] = []
    disk.onCall = (index, { op }) => {
      heard.push(`${index} ${op}`)
      return undefined
    }
    const file = disk.create('a')
    file.writeSync(text('abc'), 0)
    file.readSync(new Uint8Array(2), 0)
    file.size()
    file.syncSync()
    file.close()
    const lock = disk.lock('lock')
    lock?.describe('me')
    lock?.release()
    const ops = ['create', 'write', 'read', 'size', 'sync', 'close', 'lock', 'describe', 'release']
    expect(heard).toEqual(ops.map((op, index) => `${index} ${op}`))
    expect(disk.calls.map(({ op }) => op)).toEqual(ops)
    expect(disk.calls[1]).toEqual({ op: 'write', path: 'a', size: 3 })
    expect(disk.callCount).toBe(9)
  })

  test('a call that is made to fail has no effect, once or from then on', () => {
    const { disk, file } = withFile('old')
    disk.onCall = failAt(disk.callCount, 'ENOSPC')
    expect(() => file.writeSync(text('new'), 0)).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
    expect(show(disk, 'a')).toBe('old')
    file.writeSync(text('new'), 0)
    disk.onCall = failAt(disk.callCount, 'EIO', 'from then on')
    expect(() => disk.rename('a', 'b')).toThrow(expect.objectContaining({ code: 'EIO' }))
    expect(() => disk.list('')).toThrow(expect.objectContaining({ code: 'EIO' }))
    disk.onCall = undefined
    expect(disk.list('')).toEqual(['a'])
  })

  test('a short write takes half of what it is offered, and writeAll goes on with the rest', async () => {
    const { disk, file } = withFile('')
    disk.onCall = failAt(0, 'SHORT', 'from then on')
    expect(file.writeSync(text('abcd'), 0)).toBe(2)
    expect(await file.write(text('x'), 2)).toBe(1)
    writeAllSync(file, text('0123456789'), 0)
    disk.onCall = undefined
    expect(show(disk, 'a')).toBe('0123456789')
  })

  test('asynchronous calls reject instead of throwing', async () => {
    const { disk, file } = withFile('')
    disk.onCall = failAt(0, 'EIO', 'from then on')
    const calls = [file.write(text('a'), 0), file.sync()]
    expect((await Promise.allSettled(calls)).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })

  test('the trace keeps the last calls only', () => {
    const disk = createCrashDisk({ callsKept: 10 })
    for (let index = 0; index < 1000; index++) disk.list('')
    expect(disk.calls.length).toBeLessThanOrEqual(20)
    expect(disk.callCount).toBe(1000)
  })

  test('open files are named until they are closed, even when closing fails', () => {
    const disk = createCrashDisk()
    const file = disk.create('a')
    disk.create('b')
    disk.onCall = failAt(0, 'EIO', 'from then on')
    expect(() => file.close()).toThrow('EIO')
    expect(disk.openFiles).toEqual(['b'])
  })

  test('a recording disk logs what has happened, in the order in which it returned', async () => {
    const events: string[] = []
    const disk = recordingDisk(createCrashDisk(), ({ op, path }) => events.push(`${op} ${path}`))
    const file = disk.create('a')
    const syncing = file.sync().then(() => events.push('acknowledged'))
    disk.list('')
    await syncing
    file.close()
    expect(() => file.syncSync()).toThrow()
    expect(events).toEqual(['create a', 'list ', 'sync a', 'acknowledged', 'close a'])
  })

  diskContract('a recording disk', () => ({ disk: recordingDisk(createMemoryDisk(), () => {}) }))
})

describe('copies', () => {
  test('a clone is what the next process finds: all that was written, nothing more durable than before', () => {
    const { disk, file } = withFile('old')
    file.writeSync(text('new'), 0)
    disk.lock('lock')
    const clone = disk.clone()
    expect(show(clone, 'a')).toBe('new')
    expect(show(clone.crash(), 'a')).toBe('old')
    expect(clone.lock('lock')).toBeDefined()
    const again = clone.openRead('a')
    again?.syncSync()
    expect(show(clone.crash(), 'a')).toBe('new')
    expect(show(disk.crash(), 'a')).toBe('old')
  })

  test('a clone waits for the same syncs as the disk it came from', () => {
    const { disk } = withFile('A')
    disk.makeFolder('c')
    disk.syncFolder('')
    disk.rename('a', 'c/a')
    disk.syncFolder('c')
    const clone = disk.clone()
    clone.syncFolder('c')
    expect(outcomes(clone, 'a', 'c/a')).toEqual(['A absent', 'absent A'])
    clone.syncFolder('')
    expect(outcomes(clone, 'a', 'c/a')).toEqual(['absent A'])
  })

  test('a crashed disk and the one it came from do not see each other', () => {
    const { disk, file } = withFile('old')
    const crashed = disk.crash()
    file.writeSync(text('1'), 3)
    const other = crashed.create('b')
    other.writeSync(text('2'), 0)
    crashed.remove('a')
    expect([show(disk, 'a'), show(disk, 'b')]).toEqual(['old1', 'absent'])
    expect([show(crashed, 'a'), show(crashed, 'b')]).toEqual(['absent', '2'])
  })

  test('the digest is that of names and contents, however they came about', () => {
    const one = withFile('abc').disk
    const { disk: other, file } = withFile('a')
    expect(other.digest()).not.toBe(one.digest())
    file.writeSync(text('bc'), 1)
    expect(other.digest()).toBe(one.digest())
    other.makeFolder('c')
    expect(other.digest()).not.toBe(one.digest())
  })
})

describe('enumeration', () => {
  test('each state comes once, in the same order every time, and its fates make it again', () => {
    const { disk, file } = withFile('old')
    file.writeSync(text('WRITE'), 1)
    disk.create('b').writeSync(text('more'), 0)
    disk.rename('b', 'c')
    const states = [...disk.crashStates()]
    expect(new Set(states.map(({ digest }) => digest)).size).toBe(states.length)
    expect([...disk.crashStates()].map(({ digest }) => digest)).toEqual(states.map(({ digest }) => digest))
    for (const { disk: crashed, digest, fates } of states) {
      expect(crashed.digest()).toBe(digest)
      expect(disk.crash((_, index) => fates[index] ?? 'dropped').digest()).toBe(digest)
    }
  })

  test('states seen before are left out, over as many crashes as share the set', () => {
    const { disk, file } = withFile('old')
    const seen = new Set<string>()
    file.writeSync(text('x'), 0)
    expect([...disk.crashStates({ seen })].length).toBe(2)
    file.writeSync(text('y'), 1)
    expect([...disk.crashStates({ seen })].length).toBe(2)
    expect([...disk.crashStates({ seen })].length).toBe(0)
  })

  test('of up to 8 pending operations every subset is tried', () => {
    const { disk, file } = withFile('........')
    for (let index = 0; index < 8; index++) file.writeSync(text('x'), index)
    expect(outcomes(disk, 'a').length).toBe(256)
  })

  test('beyond the limit: every subset of the last ones, each prefix, each one alone lost or kept', () => {
    expect([...subsets(3, 8)].length).toBe(8)
    const many = new Set([...subsets(20, 4)].map((kept) => kept.map(Number).join('')))
    expect(many).toContain(`${'1'.repeat(16)}0101`)
    expect(many).toContain('1'.repeat(7) + '0'.repeat(13))
    expect(many).toContain(`${'1'.repeat(3)}0${'1'.repeat(16)}`)
    expect(many).toContain(`${'0'.repeat(3)}1${'0'.repeat(16)}`)
    expect(many.size).toBeLessThanOrEqual(16 + 3 * 20)
  })

  test('torn writes are combined when few operations are pending, and tried one at a time when many are', () => {
    const operation = { kind: 'write', text: '', position: 0, bytes: 10 } as const
    const torn = (count: number): number =>
      [...fatesOf(Array(count).fill(operation))].filter(
        (fates) => fates.filter((fate) => typeof fate === 'object').length > 1,
      ).length
    expect(torn(2)).toBe(9)
    expect(torn(5)).toBe(0)
  })

  test('nothing that cannot be seen is tried: writes to a file whose removal is durable', () => {
    const { disk, file } = withFile('a')
    file.writeSync(text('b'), 0)
    disk.remove('a')
    disk.syncFolder('')
    expect(disk.pending).toEqual([])
    expect([...disk.crashStates()].length).toBe(1)
  })

  test('5,000 states of a disk with a long file are explored, each readable', () => {
    const { disk, file } = withFile('')
    writeAllSync(file, Buffer.alloc(1_000_000, 1), 0)
    file.syncSync()
    const seen = new Set<string>()
    let states = 0
    for (let round = 0; states < 5_000; round++) {
      file.writeSync(Buffer.alloc(9000, round), file.size())
      disk.create('b.tmp').writeSync(Buffer.alloc(3000, round), 0)
      disk.rename('b.tmp', 'b')
      for (const { disk: crashed } of disk.crashStates({ seen })) {
        states++
        if (!crashed.openRead('a')) expect.unreachable('a durable file is gone')
      }
      file.syncSync()
      disk.syncFolder('')
    }
    expect(states).toBe(seen.size)
  })
})

type Operation =
  | { readonly op: 'write'; readonly file: number; readonly position: number; readonly length: number }
  | { readonly op: 'create' | 'remove' | 'sync'; readonly file: number }
  | { readonly op: 'rename'; readonly file: number; readonly to: number }
  | { readonly op: 'syncFolder' }

const FILES = 3
const file = fc.nat({ max: FILES - 1 })
const operations = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        op: fc.constant('write' as const),
        file,
        position: fc.nat({ max: 20 }),
        length: fc.integer({ min: 1, max: 12 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ op: fc.constantFrom('create' as const, 'remove' as const, 'sync' as const), file }),
    },
    fc.record({ op: fc.constant('rename' as const), file, to: file }),
    fc.record({ op: fc.constant('syncFolder' as const) }),
  ),
  { maxLength: 14 },
) as fc.Arbitrary<Operation[]>

/** Runs operations on a disk; every write uses a byte of its own. Calls `after` behind each. */
function run(
  disk: Disk,
  list: readonly Operation[],
  after: (operation: Operation, index: number) => void = () => {},
): void {
  const open = new Map<string, DiskFile>()
  for (const [index, operation] of list.entries()) {
    const path = 'file' in operation ? `f${operation.file}` : ''
    const handle = open.get(path)
    if (operation.op === 'create') open.set(path, disk.create(path))
    else if (operation.op === 'write') handle?.writeSync(Buffer.alloc(operation.length, index + 1), operation.position)
    else if (operation.op === 'sync') handle?.syncSync()
    else if (operation.op === 'remove') {
      disk.remove(path)
      open.delete(path)
    } else if (operation.op === 'rename' && handle && operation.to !== operation.file) {
      disk.rename(path, `f${operation.to}`)
      open.set(`f${operation.to}`, handle)
      open.delete(path)
    } else if (operation.op === 'syncFolder') disk.syncFolder('')
    after(operation, index)
  }
}

const covers = ({ position, length }: { position: number; length: number }, offset: number): boolean =>
  position <= offset && offset < position + length

const contents = (disk: Disk): string[] => disk.list('').map((path) => `${path}=${show(disk, path)}`)

describe('over random operations', () => {
  property([operations])('a disk that does not crash is the disk in memory', (list) => {
    const crash = createCrashDisk()
    const memory = createMemoryDisk()
    run(crash, list)
    run(memory, list)
    expect(contents(crash)).toEqual(contents(memory))
    expect(contents(crash.clone())).toEqual(contents(memory))
    expect(contents(crash.crash(() => 'kept'))).toEqual(contents(memory))
  })

  property([operations])('once everything is synced no crash changes anything', (list) => {
    const disk = createCrashDisk()
    run(disk, list)
    for (const path of disk.list('')) disk.openRead(path)?.syncSync()
    disk.syncFolder('')
    expect([...disk.crashStates()].map((state) => contents(state.disk))).toEqual([contents(disk)])
  })

  property([operations], { numRuns: 200 })(
    'every byte found was synced last or written since, or is a zero behind the synced end',
    (list) => {
      const disk = createCrashDisk()
      // One file, so that what each byte may be can be said without the model: everything goes to f0.
      const single = list.filter(({ op }) => op === 'write' || op === 'sync').map((each) => ({ ...each, file: 0 }))
      let synced: Uint8Array = new Uint8Array()
      let since: { position: number; length: number; byte: number }[] = []
      disk.create('f0').close()
      disk.syncFolder('')
      run(disk, [{ op: 'create', file: 0 }, { op: 'syncFolder' }, ...single], (operation, index) => {
        if (operation.op === 'write')
          since.push({ position: operation.position, length: operation.length, byte: index + 1 })
        if (operation.op !== 'sync') return
        synced = readAll(disk, 'f0') ?? new Uint8Array()
        since = []
      })
      let states = 0
      for (const { disk: crashed } of disk.crashStates()) {
        const found = readAll(crashed, 'f0') ?? expect.unreachable('f0 is durable')
        expect(found.length).toBeGreaterThanOrEqual(synced.length)
        const wrong = found.findIndex((byte, offset) => {
          const durable = offset < synced.length ? synced[offset] : 0
          return byte !== durable && !since.some((write) => write.byte === byte && covers(write, offset))
        })
        expect(wrong).toBe(-1)
        if (++states > 500) break
      }
    },
  )

  property([operations], { numRuns: 200 })(
    'a name is found with a file that had it when last synced or since, or absent if it was',
    (list) => {
      const disk = createCrashDisk()
      // Data is synced at once, so that only names can be lost.
      const possible = new Map<string, Set<string>>()
      const now = (path: string): string => (disk.list('').includes(path) ? 'there' : 'absent')
      const paths = Array.from({ length: FILES }, (_, index) => `f${index}`)
      for (const path of paths) possible.set(path, new Set(['absent']))
      run(disk, list, ({ op }) => {
        for (const path of paths) {
          if (op === 'syncFolder') possible.set(path, new Set())
          possible.get(path)?.add(now(path))
        }
      })
      let states = 0
      for (const { disk: crashed } of disk.crashStates()) {
        for (const path of paths)
          expect(possible.get(path)).toContain(crashed.list('').includes(path) ? 'there' : 'absent')
        if (++states > 500) break
      }
    },
  )
})
