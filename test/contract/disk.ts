// The contract of the disk: what every adapter answers to the same calls. Run over real files, memory and the crash disk.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Disk, readAll, replaceFile, writeAll, writeAllSync } from '../../src/disk.js'

export interface DiskUnderTest {
  readonly disk: Disk
  close?(): void
}

const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString()

function put(disk: Disk, path: string, content: string): void {
  const file = disk.create(path)
  writeAllSync(file, Buffer.from(content), 0)
  file.close()
}

const codeOf = (call: () => unknown): string | undefined => {
  try {
    call()
  } catch (error) {
    return (error as { code?: string }).code
  }
  return undefined
}

export function diskContract(name: string, open: () => DiskUnderTest): void {
  describe(`the disk contract: ${name}`, () => {
    let under: DiskUnderTest
    let disk: Disk

    beforeEach(() => {
      under = open()
      disk = under.disk
      disk.makeFolder('')
    })
    afterEach(() => under.close?.())

    test('a file that is not there, or in no folder, opens as undefined', () => {
      expect(disk.openRead('a')).toBeUndefined()
      expect(disk.openRead('no/a')).toBeUndefined()
      expect(readAll(disk, 'a')).toBeUndefined()
    })

    test('what was written is read back, wherever it was written', () => {
      const file = disk.create('a')
      expect(file.writeSync(Buffer.from('hello'), 0)).toBe(5)
      expect(file.writeSync(Buffer.from('J'), 0)).toBe(1)
      expect(file.writeSync(Buffer.from('!'), 7)).toBe(1)
      expect(file.size()).toBe(8)
      expect(text(readAll(disk, 'a'))).toBe('Jello\0\0!')
      file.close()
    })

    test('a gap reads as zeros, however long it is', () => {
      const file = disk.create('a')
      file.writeSync(Buffer.from('a'), 10)
      file.writeSync(Buffer.from('b'), 100_000)
      file.writeSync(Buffer.from('c'), 50_000)
      const expected = Buffer.alloc(100_001)
      expected.write('a', 10)
      expected.write('c', 50_000)
      expected.write('b', 100_000)
      expect(Buffer.compare(readAll(disk, 'a') ?? new Uint8Array(), expected)).toBe(0)
      file.close()
    })

    test('asynchronous calls do the same', async () => {
      const file = disk.create('a')
      expect(await file.write(Buffer.from('hello'), 0)).toBe(5)
      await file.sync()
      await writeAll(file, Buffer.from(' world'), 5)
      file.syncSync()
      file.close()
      expect(text(readAll(disk, 'a'))).toBe('hello world')
    })

    test('a file can be written and read while others have it open', () => {
      const writer = disk.create('a')
      const reader = disk.openRead('a')
      writer.writeSync(Buffer.from('abc'), 0)
      const into = new Uint8Array(2)
      expect(reader?.readSync(into, 1)).toBe(2)
      expect(text(into)).toBe('bc')
      expect(reader?.size()).toBe(3)
      writer.close()
      reader?.close()
    })

    test('reading at the end gives fewer bytes, beyond it none', () => {
      put(disk, 'a', 'abc')
      const file = disk.openRead('a')
      expect(file?.readSync(new Uint8Array(8), 1)).toBe(2)
      expect(file?.readSync(new Uint8Array(8), 3)).toBe(0)
      expect(file?.readSync(new Uint8Array(8), 9)).toBe(0)
      file?.close()
    })

    test('a file opened for reading cannot be written', async () => {
      put(disk, 'a', 'abc')
      const file = disk.openRead('a')!
      expect(codeOf(() => file.writeSync(Buffer.from('x'), 0))).toBe('EBADF')
      await expect(file.write(Buffer.from('x'), 0)).rejects.toMatchObject({ code: 'EBADF' })
      file.close()
      expect(text(readAll(disk, 'a'))).toBe('abc')
    })

    test('a closed file refuses every call but another close', async () => {
      const file = disk.create('a')
      file.close()
      file.close()
      expect(codeOf(() => file.size())).toBe('EBADF')
      expect(codeOf(() => file.readSync(new Uint8Array(1), 0))).toBe('EBADF')
      expect(codeOf(() => file.writeSync(new Uint8Array(1), 0))).toBe('EBADF')
      expect(codeOf(() => file.syncSync())).toBe('EBADF')
      await expect(file.write(new Uint8Array(1), 0)).rejects.toMatchObject({ code: 'EBADF' })
      await expect(file.sync()).rejects.toMatchObject({ code: 'EBADF' })
    })

    test('a file closed while a call is under way still finishes it', async () => {
      const file = disk.create('a')
      const writing = file.write(Buffer.from('abc'), 0)
      const syncing = file.sync()
      file.close()
      expect(await writing).toBe(3)
      await syncing
      expect(text(readAll(disk, 'a'))).toBe('abc')
    })

    test('the bytes of a write may be reused once it has returned', () => {
      const file = disk.create('a')
      const bytes = Buffer.from('abc')
      file.writeSync(bytes, 0)
      bytes.fill(0)
      expect(text(readAll(disk, 'a'))).toBe('abc')
      file.close()
    })

    test('creating a file that is there empties it; what was behind its end never comes back', () => {
      put(disk, 'a', 'abcdef')
      const file = disk.create('a')
      expect(file.size()).toBe(0)
      file.writeSync(Buffer.from('x'), 3)
      expect(text(readAll(disk, 'a'))).toBe('\0\0\0x')
      file.close()
    })

    test('names are listed sorted, files and folders alike; an absent folder is empty', () => {
      put(disk, 'b', '')
      put(disk, 'a', '')
      disk.makeFolder('c/d')
      put(disk, 'c/e', '')
      expect(disk.list('')).toEqual(['a', 'b', 'c'])
      expect(disk.list('c')).toEqual(['d', 'e'])
      expect(disk.list('c/d')).toEqual([])
      expect(disk.list('no')).toEqual([])
    })

    test('making a folder that is there changes nothing; a file in its place is an error', () => {
      disk.makeFolder('c')
      put(disk, 'c/a', 'abc')
      disk.makeFolder('c')
      expect(text(readAll(disk, 'c/a'))).toBe('abc')
      expect(codeOf(() => disk.makeFolder('c/a'))).toBe('EEXIST')
    })

    test('a file can only be created, moved or synced in a folder that is there', () => {
      put(disk, 'a', 'abc')
      expect(codeOf(() => disk.create('no/a'))).toBe('ENOENT')
      expect(codeOf(() => disk.rename('a', 'no/a'))).toBe('ENOENT')
      expect(codeOf(() => disk.lock('no/a'))).toBe('ENOENT')
      expect(codeOf(() => disk.syncFolder('no'))).toBe('ENOENT')
      expect(text(readAll(disk, 'a'))).toBe('abc')
    })

    test('a rename replaces its target, within a folder and between folders', () => {
      disk.makeFolder('c')
      put(disk, 'a', 'first')
      put(disk, 'b', 'second')
      disk.rename('a', 'b')
      expect(disk.list('')).toEqual(['b', 'c'])
      disk.rename('b', 'c/d')
      expect(text(readAll(disk, 'c/d'))).toBe('first')
      expect(disk.list('')).toEqual(['c'])
      expect(codeOf(() => disk.rename('b', 'a'))).toBe('ENOENT')
    })

    test('renaming a file to its own name changes nothing', () => {
      put(disk, 'a', 'abc')
      disk.rename('a', 'a')
      expect(text(readAll(disk, 'a'))).toBe('abc')
    })

    test('an open file stays the same file when it is renamed or removed', () => {
      const file = disk.create('a')
      disk.rename('a', 'b')
      file.writeSync(Buffer.from('abc'), 0)
      expect(text(readAll(disk, 'b'))).toBe('abc')
      disk.remove('b')
      file.writeSync(Buffer.from('d'), 3)
      file.syncSync()
      expect(file.size()).toBe(4)
      file.close()
      expect(disk.list('')).toEqual([])
    })

    test('removing a file that is not there does nothing', () => {
      put(disk, 'a', '')
      disk.remove('a')
      disk.remove('a')
      disk.remove('no/a')
      expect(disk.list('')).toEqual([])
    })

    test('folders can be synced, the data directory too', () => {
      disk.makeFolder('c/d')
      disk.syncFolder('')
      disk.syncFolder('c')
      disk.syncFolder('c/d')
    })

    test('a file is replaced as a whole, and leaves nothing beside it', async () => {
      disk.makeFolder('c')
      await replaceFile(disk, 'c/a', Buffer.from('first'))
      await replaceFile(disk, 'c/a', Buffer.from('2nd'))
      await replaceFile(disk, 'b', (file) => writeAll(file, Buffer.from('streamed'), 0))
      expect(text(readAll(disk, 'c/a'))).toBe('2nd')
      expect(text(readAll(disk, 'b'))).toBe('streamed')
      expect([disk.list(''), disk.list('c')]).toEqual([['b', 'c'], ['a']])
    })

    test('a lock has one owner at a time, and says who', () => {
      const owner = disk.lock('lock')
      expect(disk.lock('lock')).toBeUndefined()
      owner?.describe('process 1, a longer text')
      owner?.describe('process 1')
      expect(text(readAll(disk, 'lock'))).toBe('process 1')
      owner?.release()
      const next = disk.lock('lock')
      expect(next).toBeDefined()
      expect(text(readAll(disk, 'lock'))).toBe('process 1')
      owner?.release()
      expect(disk.lock('lock')).toBeUndefined()
      next?.release()
    })

    const outside = [
      '/a',
      '../a',
      'c/../../a',
      'c/..',
      '..',
      '.',
      './a',
      'c//a',
      'c/',
      'a\0',
      'c\\a',
      'C:a',
      '/',
      '//a',
    ]
    test.each(outside)('the path %j is refused by every call', (path) => {
      disk.makeFolder('c')
      put(disk, 'c/in', '')
      const calls: (() => unknown)[] = [
        () => disk.openRead(path),
        () => disk.create(path),
        () => disk.list(path),
        () => disk.makeFolder(path),
        () => disk.rename(path, 'b'),
        () => disk.rename('c/in', path),
        () => disk.remove(path),
        () => disk.syncFolder(path),
        () => disk.lock(path),
      ]
      expect(calls.map(codeOf)).toEqual(calls.map(() => 'INVALID_ARGUMENT'))
      expect([disk.list(''), disk.list('c')]).toEqual([['c'], ['in']])
    })

    test('only a folder may be named by nothing', () => {
      expect(codeOf(() => disk.create(''))).toBe('INVALID_ARGUMENT')
      expect(codeOf(() => disk.remove(''))).toBe('INVALID_ARGUMENT')
    })
  })
}
