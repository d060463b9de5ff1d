// The disk as real files: the contract of the disk, and what only real files have: modes, links, a root of its own.
import fs, { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Disk, readAll } from '../../src/disk.js'
import { createFileDisk } from '../../src/files/disk.js'
import { diskContract } from '../contract/disk.js'

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'holdfast-disk-'))

diskContract('real files', () => {
  const folder = newFolder()
  return { disk: createFileDisk(join(folder, 'data')), close: () => rmSync(folder, { recursive: true, force: true }) }
})

describe('real files', () => {
  let folder: string
  let disk: Disk

  beforeEach(() => {
    folder = newFolder()
    disk = createFileDisk(join(folder, 'above', 'data'))
    disk.makeFolder('')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const mode = (path: string): number => statSync(join(disk.location, path)).mode & 0o777

  test('making a disk touches nothing: its folder comes with makeFolder', () => {
    const absent = createFileDisk(join(folder, 'absent'))
    expect(absent.list('')).toEqual([])
    expect(absent.openRead('a')).toBeUndefined()
    expect(() => statSync(absent.location)).toThrow('ENOENT')
  })

  test('the location is an absolute path', () => {
    expect(createFileDisk('here').location).toBe(join(process.cwd(), 'here'))
  })

  test('files are 0600 and folders 0700, whatever the umask allows', () => {
    const umask = process.umask(0)
    try {
      disk.makeFolder('c/d')
      disk.create('c/a').close()
      disk.lock('lock')?.release()
      expect([mode('c'), mode('c/d'), mode('c/a'), mode('lock')]).toEqual([0o700, 0o700, 0o600, 0o600])
    } finally {
      process.umask(umask)
    }
    expect([mode(''), mode('..')]).toEqual([0o700, 0o700])
  })

  /** Names of the sync calls that reach the system while `run` runs. */
  async function syncs(run: () => unknown): Promise<string[]> {
    const { fdatasyncSync, fdatasync, fsyncSync } = fs
    const heard: string[] = []
    const heed = <F extends (...args: never[]) => unknown>(name: string, call: F): F =>
      ((...args: Parameters<F>) => {
        heard.push(name)
        return call(...args)
      }) as F
    Object.assign(fs, {
      fdatasyncSync: heed('fdatasyncSync', fdatasyncSync),
      fdatasync: heed('fdatasync', fdatasync as (...args: never[]) => unknown),
      fsyncSync: heed('fsyncSync', fsyncSync),
    })
    syncBuiltinESMExports()
    try {
      await run()
    } finally {
      Object.assign(fs, { fdatasyncSync, fdatasync, fsyncSync })
      syncBuiltinESMExports()
    }
    return heard
  }

  test('each sync reaches the system, of folders too', async () => {
    const file = disk.create('a')
    expect(await syncs(() => file.syncSync())).toEqual(['fdatasyncSync'])
    expect(await syncs(() => file.sync())).toEqual(['fdatasync'])
    expect(await syncs(() => disk.syncFolder(''))).toEqual(['fsyncSync'])
    file.close()
  })

  test('making the data directory makes its own name durable: each new folder is synced into the one above', async () => {
    const deep = createFileDisk(join(folder, 'x', 'y', 'data'))
    expect(await syncs(() => deep.makeFolder('c'))).toEqual(['fsyncSync', 'fsyncSync', 'fsyncSync'])
    expect(await syncs(() => deep.makeFolder('d'))).toEqual([])
  })

  test('a link in the place of a file is not followed', () => {
    const secret = join(folder, 'secret')
    writeFileSync(secret, 'untouched')
    symlinkSync(secret, join(disk.location, 'link'))
    expect(() => disk.openRead('link')).toThrow(expect.objectContaining({ code: 'ELOOP' }))
    expect(() => disk.create('link')).toThrow(expect.objectContaining({ code: 'ELOOP' }))
    expect(() => disk.lock('link')).toThrow(expect.objectContaining({ code: 'ELOOP' }))
    disk.remove('link')
    expect(readFileSync(secret, 'utf8')).toBe('untouched')
  })

  test('system errors pass through with their code', () => {
    disk.makeFolder('c')
    expect(() => disk.create('c')).toThrow(expect.objectContaining({ code: 'EISDIR', syscall: 'open' }))
    disk.create('a').close()
    expect(() => disk.openRead('a/b')).toThrow(expect.objectContaining({ code: 'ENOTDIR' }))
  })

  test('no descriptor outlives its file, nor a lock that was refused', () => {
    const before = readdirSync('/dev/fd').length
    const owner = disk.lock('lock')
    for (let index = 0; index < 1000; index++) {
      disk.create('a').close()
      readAll(disk, 'a')
      disk.syncFolder('')
      expect(disk.lock('lock')).toBeUndefined()
    }
    owner?.release()
    expect(readdirSync('/dev/fd').length).toBe(before)
  })

  test('a descriptor is closed once the call that was under way on it has returned', async () => {
    const before = readdirSync('/dev/fd').length
    const file = disk.create('a')
    const writing = file.write(Buffer.from('abc'), 0)
    file.close()
    await expect(file.sync()).rejects.toMatchObject({ code: 'EBADF' })
    await writing
    expect(readdirSync('/dev/fd').length).toBe(before)
  })
})

test.runIf(process.platform === 'linux')(
  'a folder that cannot be made where its parent refuses is an error, not a hang',
  () => {
    expect(() => createFileDisk('/proc/holdfast/data').makeFolder('')).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    )
  },
)
