// Backup and restore on real files: of a directory that is at work, whole or not at all, and refused when damaged.
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { backupDirectory, openReader, openRuntime, type Runtime, restoreBackup } from 'holdfast'
import { beforeEach, describe, expect, test } from 'vitest'
import { readAll } from '../../src/disk.js'
import { writeBackup } from '../../src/files/backup.js'
import { createFileDisk } from '../../src/files/disk.js'
import { openFileJournal } from '../../src/files/open-journal.js'
import { unpack } from '../../src/files/restore.js'
import { createMemoryDisk } from '../../src/memory/disk.js'
import { systemClock } from '../../src/system/clock.js'
import { type CrashDisk, createCrashDisk, failAt } from '../../src/testing/disk.js'
import { newFolder } from '../cli/command.js'
import { count, counter, footprint } from '../cli/directory.js'
import { house } from '../house.js'

let folder: string
let dir: string
let file: string
let target: string
beforeEach(() => {
  folder = newFolder()
  dir = join(folder, 'data')
  file = join(folder, 'backup.tar')
  target = join(folder, 'restored')
})

const silent = { info: () => {}, warn: () => {}, error: () => {} }
const open = (where = dir): Promise<Runtime> =>
  openRuntime({ dir: where, kinds: [counter], pool: 'inline', logger: silent })

/** Every transition of every session. */
function historyOf(where: string): Record<string, unknown> {
  const reader = openReader({ dir: where })
  try {
    const { sessions } = reader.list()
    return Object.fromEntries(sessions.map(({ id }) => [id, [...reader.history(id)]]))
  } finally {
    reader.close()
  }
}

async function filled(): Promise<void> {
  await using runtime = await open()
  for (const id of ['apple', 'banana']) await count(runtime, id, 50)
}

const AT = '2026-01-01T00:00:00.000Z'

describe('a backup', () => {
  test('of a directory at work has every transition that was acknowledged before it, and is the journal at one moment', async () => {
    await using runtime = await open()
    await count(runtime, 'apple', 5)
    let [sent, stop] = [5, false]
    const busy = (async () => {
      while (!stop) await runtime.session('apple', counter).send({ type: 'add', by: 1, id: `b${++sent}` })
    })()
    for (let round = 0; round < 5; round++) {
      const before = sent - 1
      const { end, bytes, damage, path } = await runtime.backup(file)
      expect({ bytes, damage, path }).toEqual({ bytes: statSync(file).size, damage: [], path: file })
      const to = `${target}-${round}`
      const restored = await restoreBackup(file, to)
      expect(restored).toMatchObject({ dir: to, sessions: 1, damage: [] })
      const [history = []] = Object.values(historyOf(to)) as { seq: number; position: number }[][]
      expect(history.length).toBeGreaterThan(before)
      expect(history.map(({ seq }) => seq)).toEqual(history.map((_, index) => index + 1))
      expect(history.at(-1)?.position).toBeLessThan(end)
    }
    stop = true
    await busy
    expect(sent).toBeGreaterThan(20)
  })

  test('beside the owner, without a lock and without a trace; what is torn at the end is not in it', async () => {
    await filled()
    const { writeFileSync: write } = await import('node:fs')
    write(join(dir, 'journal/00000001.jsonl'), 'half a line', { flag: 'a' })
    const before = footprint(dir)
    const { damage } = await backupDirectory(file, { dir })
    expect(footprint(dir)).toEqual(before)
    expect(damage).toEqual([])
    await restoreBackup(file, target)
    expect(readFileSync(join(target, 'journal/00000001.jsonl'), 'utf8')).not.toContain('half a line')
    expect(historyOf(target)).toEqual(historyOf(dir))
  })

  test('of many segments, some of them large with space reserved behind them', async () => {
    mkdirSync(dir)
    const disk = createFileDisk(dir)
    const { journal } = openFileJournal(disk, systemClock, { segmentBytes: 3_000_000 })
    const waiter = { durable: () => {}, failed: () => {} }
    let prev = -1
    for (let seq = 1; seq <= 40; seq++) {
      const more = seq === 1 ? { kind: 'counter', version: 1 } : {}
      const event = { type: 'add', text: 'x'.repeat(250_000) }
      prev = journal.append({ session: 'big', seq, prev, at: AT, event, value: 'a', ...more }, waiter)
      await journal.flush()
    }
    await journal.close()
    expect(disk.list('journal').length).toBeGreaterThan(3)
    const { bytes } = await backupDirectory(file, { dir })
    expect(bytes).toBeGreaterThan(10_000_000)
    expect(await restoreBackup(file, target)).toMatchObject({ sessions: 1, damage: [] })
    expect(historyOf(target)).toEqual(historyOf(dir))
  })

  test('is a tar file that any tar unpacks to a directory that opens', async () => {
    await filled()
    await backupDirectory(file, { dir })
    mkdirSync(target)
    execFileSync('tar', ['xf', file, '-C', target])
    expect(readdirSync(target).sort()).toEqual(['backup.json', 'holdfast.json', 'journal'])
    await using runtime = await open(target)
    expect(runtime.session('banana', counter).snapshot().context.count).toBe(50)
  })

  test('tells what is damaged, and has it as it is', async () => {
    await filled()
    const disk = createFileDisk(dir)
    for (let n = 0; n < 2; n++) await openFileJournal(disk, systemClock, { segmentBytes: 1 }).journal.close()
    const bytes = readFileSync(join(dir, 'journal/00000001.jsonl'))
    writeFileSync(join(dir, 'journal/00000003.jsonl'), bytes) // a copy in a place that is none
    const { damage } = await backupDirectory(file, { dir })
    expect(damage.map(({ kind }) => kind)).toEqual(['header'])
  })

  test('is never written into the directory that it is of', async () => {
    await filled()
    const before = footprint(dir)
    symlinkSync(dir, join(folder, 'link'))
    for (const name of ['journal/00000001.jsonl', 'holdfast.json', 'backup.tar']) {
      for (const where of [dir, join(folder, 'link')]) {
        await expect(backupDirectory(join(where, name), { dir })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      }
    }
    expect(footprint(dir)).toEqual(before)
  })

  test('where it cannot be written: nothing is left, and what was there is as it was', async () => {
    await filled()
    await expect(backupDirectory(join(folder, 'none/backup.tar'), { dir })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    })
    await expect(backupDirectory(file, { dir: join(folder, 'none') })).rejects.toMatchObject({
      code: 'DIRECTORY_NOT_FOUND',
    })
    const source = createFileDisk(dir)
    const good = createMemoryDisk()
    await writeBackup({ source, end: undefined, target: good, name: 'b.tar', at: AT })
    const whole = Buffer.from(readAll(good, 'b.tar') as Uint8Array)
    expect(whole.toString('latin1', 136, 147)).toBe((Date.parse(AT) / 1000).toString(8).padStart(11, '0'))
    for (const code of ['ENOSPC', 'EIO']) {
      for (let call = 0; call < 8; call++) {
        const disk = createCrashDisk()
        await writeBackup({ source, end: undefined, target: disk, name: 'b.tar', at: AT })
        disk.onCall = failAt(disk.callCount + call, code, 'from then on')
        const failed = await writeBackup({ source, end: undefined, target: disk, name: 'b.tar', at: AT }).then(
          () => undefined,
          (error) => error.code as string,
        )
        disk.onCall = undefined
        if (!failed) break
        expect(failed).toBe(code === 'EIO' ? 'DISK_FAILED' : 'DISK_FULL')
        const after = Buffer.from(readAll(disk, 'b.tar') as Uint8Array)
        expect(after.equals(whole)).toBe(true)
      }
    }
  })

  test('a power cut anywhere while it is written leaves the old one or the new one', async () => {
    const { disk: source, open: openHouse } = house([counter])
    const first = await openHouse()
    await count(first, 'apple', 3)
    await first.close()
    const job = { source, end: undefined, name: 'b.tar' }
    const disk = createCrashDisk()
    await writeBackup({ ...job, target: disk, at: AT })
    const old = readAll(disk, 'b.tar')
    const cuts: CrashDisk[] = []
    const seen = new Set<string>()
    disk.onCall = () => {
      for (const { disk: cut } of disk.crashStates({ seen })) cuts.push(cut)
      return undefined
    }
    await writeBackup({ ...job, target: disk, at: '2026-02-02T00:00:00.000Z' })
    disk.onCall = undefined
    const fresh = readAll(disk, 'b.tar')
    expect(fresh).not.toEqual(old)
    for (const cut of cuts) expect([old, fresh]).toContainEqual(readAll(cut, 'b.tar'))
    expect(readAll(disk.crash(), 'b.tar')).toEqual(fresh)
    expect(cuts.length).toBeGreaterThan(4)
  })

  test('a runtime in memory has no files to back up; a closed one does nothing', async () => {
    const runtime = await openRuntime({ kinds: [counter], storage: 'memory', pool: 'inline' })
    await expect(runtime.backup(file)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await runtime.close()
    await expect(runtime.backup(file)).rejects.toMatchObject({ code: 'RUNTIME_CLOSED' })
  })
})

describe('restoring', () => {
  test('gives the sessions back as they were, and they go on', async () => {
    await filled()
    const before = historyOf(dir)
    await backupDirectory(file, { dir })
    mkdirSync(target) // an empty one will do
    expect(await restoreBackup(file, target)).toMatchObject({ sessions: 2, at: expect.stringMatching(/Z$/) })
    expect(historyOf(target)).toEqual(before)
    await using runtime = await open(target)
    expect(runtime.health().damage).toEqual([])
    expect(await runtime.session('apple', counter).send({ type: 'add', by: 1, id: 'more' })).toMatchObject({ seq: 52 })
    expect(readdirSync(folder).sort()).toEqual(['backup.tar', 'data', 'restored'])
  })

  test('is refused where anything is', async () => {
    await filled()
    await backupDirectory(file, { dir })
    const before = footprint(dir)
    for (const place of [dir, file]) {
      await expect(restoreBackup(file, place)).rejects.toMatchObject({ code: 'DIRECTORY_NOT_EMPTY' })
    }
    expect(footprint(dir)).toEqual(before)
    await expect(restoreBackup(join(folder, 'none'), target)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })

  test('is refused for every truncation, and for a changed bit of every byte that says anything', async () => {
    await filled()
    await backupDirectory(file, { dir })
    const whole = readFileSync(file)
    const changed = join(folder, 'changed.tar')
    const memory = createFileDisk(folder)
    const attempt = async (bytes: Uint8Array): Promise<string | undefined> => {
      writeFileSync(changed, bytes)
      const opened = memory.openRead('changed.tar')
      try {
        await unpack(opened as NonNullable<typeof opened>, changed, createMemoryDisk())
        return undefined
      } catch (error) {
        return (error as { code: string }).code
      } finally {
        opened?.close()
      }
    }
    expect(await attempt(whole)).toBeUndefined()
    const manifestEnd = whole.lastIndexOf('}\n') + 2
    // And where the content of the first file ends, and its padding is missing.
    const first = 512 + readFileSync(join(dir, 'holdfast.json')).length
    for (const length of [first, ...Array.from({ length: Math.ceil(manifestEnd / 97) }, (_, index) => index * 97)]) {
      expect([length, await attempt(whole.subarray(0, length))]).toEqual([length, 'BACKUP_CORRUPT'])
    }
    let refused = 0
    for (let offset = 0; offset < whole.length; offset += 31) {
      const bytes = Buffer.from(whole)
      bytes[offset] = (bytes[offset] as number) ^ (1 << (offset % 8))
      const code = await attempt(bytes)
      if (code !== undefined) refused++
      // Only padding may be anything: it is not unpacked.
      if (code === undefined) expect([offset, whole[offset]]).toEqual([offset, expect.toBeOneOf([0, 0x20, 0x0a])])
      else expect(['BACKUP_CORRUPT', 'FORMAT_NEWER']).toContain(code)
    }
    expect(refused).toBeGreaterThan(300)
    truncateSync(changed, 1000)
    await expect(restoreBackup(changed, target)).rejects.toMatchObject({
      code: 'BACKUP_CORRUPT',
      message: expect.stringContaining('nothing was restored'),
    })
    expect(existsSync(target)).toBe(false)
    expect(readdirSync(folder).sort()).toEqual(['backup.tar', 'changed.tar', 'data'])
  })

  test('is refused for a tar file with anything else in it: nothing is written outside', async () => {
    await filled()
    await backupDirectory(file, { dir })
    writeFileSync(join(folder, 'evil.txt'), 'x')
    for (const name of ['../evil.txt', 'sessions/x.json']) {
      const { packTar, unpackTar } = await import('modern-tar')
      const entries = await unpackTar(new Uint8Array(readFileSync(file)))
      const bytes = await packTar([{ header: { name, size: 1, type: 'file' }, body: 'y' }, ...entries])
      writeFileSync(file, bytes)
      await expect(restoreBackup(file, target)).rejects.toMatchObject({ code: 'BACKUP_CORRUPT' })
    }
    expect(readFileSync(join(folder, 'evil.txt'), 'utf8')).toBe('x')
  })

  test('what it has unpacked is durable before it gets its name', async () => {
    await filled()
    await backupDirectory(file, { dir })
    const opened = createFileDisk(folder).openRead('backup.tar') as NonNullable<
      ReturnType<ReturnType<typeof createFileDisk>['openRead']>
    >
    const disk = createCrashDisk()
    await unpack(opened, file, disk)
    opened.close()
    const after = disk.crash()
    for (const name of ['holdfast.json', 'journal/00000001.jsonl']) {
      expect(Buffer.from(readAll(after, name) ?? []).length).toBeGreaterThan(0)
      expect(readAll(after, name)).toEqual(readAll(disk, name))
    }
  })
})
