// The tracker in a file: each issue exactly once, whoever asks for it, however often, and whoever dies meanwhile.

import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openLocalTracker } from '../../../machines/planning/steps/local-tracker.js'
import { STAGES, type Stage } from '../../../machines/planning/steps/tracker-file.js'
import type { Issue, NewIssue, Tracker } from '../../../machines/planning/tracker.js'
import { builtPackage } from '../../piscina/built.js'
import { property } from '../../property.js'

const SCRIPT = new URL('fixtures/create-issues.js', import.meta.url)
const MODULE = new URL('machines/planning/steps/local-tracker.js', builtPackage()).href

let dir: string
let file: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-tracker-'))
  file = join(dir, 'tracker.json')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const issue = (clientId: string): NewIssue => ({
  clientId,
  type: 'story',
  title: clientId,
  description: '',
  labels: [],
})
const content = (path = file) => JSON.parse(readFileSync(path, 'utf8')) as { next: number; issues: Issue[] }

/** Every clientId once, every id once, numbered in order. */
function expectConsistent(issues: readonly Issue[]): void {
  expect(new Set(issues.map(({ clientId }) => clientId)).size).toBe(issues.length)
  expect(issues.map(({ id }) => id)).toEqual(issues.map((_, index) => `LOCAL-${index + 1}`))
}

describe('a tracker', () => {
  test('numbers issues in the order of their creation, and lists them so', async () => {
    const tracker = openLocalTracker(file)
    const ids = await Promise.all(['a', 'b', 'c'].map((name) => tracker.create(issue(name))))
    expect(ids).toEqual([{ id: 'LOCAL-1' }, { id: 'LOCAL-2' }, { id: 'LOCAL-3' }])
    expect(await tracker.list()).toEqual(ids.map(({ id }, index) => ({ id, ...issue('abc'[index] as string) })))
  })

  test('gives the issue that is there for a clientId it knows, and leaves that as it is', async () => {
    const tracker = openLocalTracker(file)
    await tracker.create(issue('a'))
    expect(await tracker.create({ ...issue('a'), title: 'another' })).toEqual({ id: 'LOCAL-1' })
    expect(await openLocalTracker(file).create(issue('a'))).toEqual({ id: 'LOCAL-1' })
    expect(content().issues).toEqual([{ id: 'LOCAL-1', ...issue('a') }])
  })

  test('makes one issue of two calls for the same clientId at a time', async () => {
    const tracker = openLocalTracker(file)
    const [one, two] = await Promise.all([tracker.create(issue('a')), tracker.create(issue('a'))])
    expect(one).toEqual(two)
    expect(content().issues).toHaveLength(1)
  })

  test('puts issues under others, which can be changed and done again', async () => {
    const tracker = openLocalTracker(file)
    await Promise.all(['a', 'b', 'c'].map((name) => tracker.create(issue(name))))
    await tracker.link('LOCAL-2', 'LOCAL-1')
    await tracker.link('LOCAL-2', 'LOCAL-1')
    await tracker.link('LOCAL-3', 'LOCAL-1')
    await tracker.link('LOCAL-3', 'LOCAL-2')
    expect(content().issues.map(({ parentId }) => parentId)).toEqual([undefined, 'LOCAL-1', 'LOCAL-2'])
  })

  test('refuses a circle with INVALID_LINK, and an issue that is not there with UNKNOWN_ISSUE', async () => {
    const tracker = openLocalTracker(file)
    await Promise.all(['a', 'b', 'c'].map((name) => tracker.create(issue(name))))
    await tracker.link('LOCAL-2', 'LOCAL-1')
    await tracker.link('LOCAL-3', 'LOCAL-2')
    const before = readFileSync(file, 'utf8')
    await expect(tracker.link('LOCAL-1', 'LOCAL-3')).rejects.toMatchObject({ code: 'INVALID_LINK' })
    await expect(tracker.link('LOCAL-1', 'LOCAL-1')).rejects.toMatchObject({ code: 'INVALID_LINK' })
    await expect(tracker.link('LOCAL-1', 'LOCAL-4')).rejects.toMatchObject({ code: 'UNKNOWN_ISSUE' })
    await expect(tracker.link('LOCAL-4', 'LOCAL-1')).rejects.toMatchObject({ code: 'UNKNOWN_ISSUE' })
    expect(readFileSync(file, 'utf8')).toBe(before)
  })

  test('a refused call does not keep those beside it from happening', async () => {
    const tracker = openLocalTracker(file)
    const calls = [tracker.create(issue('a')), tracker.link('LOCAL-1', 'LOCAL-9'), tracker.create(issue('b'))]
    const ends = await Promise.allSettled(calls)
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(content().issues).toHaveLength(2)
  })

  test('is empty, and makes no file, until its first issue; the folders are made then', async () => {
    const deep = join(dir, 'a', 'b', 'tracker.json')
    const tracker = openLocalTracker(deep)
    expect(await tracker.list()).toEqual([])
    expect(existsSync(join(dir, 'a'))).toBe(false)
    await tracker.create(issue('a'))
    expect(content(deep).issues).toHaveLength(1)
  })

  test('calls that come together share one writing of the file', async () => {
    let written = 0
    const tracker = openLocalTracker(file, { reached: (stage) => void (stage === 'renamed' && written++) })
    await Promise.all(Array.from({ length: 100 }, (_, number) => tracker.create(issue(`${number}`))))
    expect(written).toBeLessThan(4)
    expectConsistent(content().issues)
  })

  test('syncs the file before it takes its name, the folder after, and new folders too, before it says a word', async () => {
    const happened: string[] = []
    const handle = await open(join(dir, 'probe'), 'w')
    const sync = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'sync').mockImplementation(async () => {
      happened.push('sync')
    })
    const deep = join(dir, 'a', 'b', 'tracker.json')
    await openLocalTracker(deep, { reached: (stage) => void happened.push(stage) }).create(issue('a'))
    happened.push('acknowledged')
    sync.mockRestore()
    await handle.close()
    const folders = ['sync', 'sync']
    const file = ['locked', 'read', 'written', 'sync', 'synced', 'renamed', 'sync', 'durable', 'acknowledged']
    expect(happened).toEqual([...folders, ...file])
  })

  test('a number is not given again when its issue was removed by hand', async () => {
    const tracker = openLocalTracker(file)
    await Promise.all(['a', 'b'].map((name) => tracker.create(issue(name))))
    const book = content()
    writeFileSync(file, JSON.stringify({ ...book, issues: book.issues.slice(0, 1) }))
    expect(await tracker.create(issue('c'))).toEqual({ id: 'LOCAL-3' })
  })
})

describe('a damaged file', () => {
  const good = { tracker: 'holdfast-local', version: 1, next: 3 }
  const [one, two] = [
    { id: 'LOCAL-1', ...issue('a') },
    { id: 'LOCAL-2', ...issue('b') },
  ]

  test.each<[string, string]>([
    ['that is empty', ''],
    ['that is cut short', JSON.stringify({ ...good, issues: [one, two] }).slice(0, -20)],
    ['that holds zeros', '\0'.repeat(100)],
    ['that holds null', 'null'],
    ['that is of something else', '{"name":"holdfast"}'],
    ['without a version', JSON.stringify({ ...good, version: undefined, issues: [] })],
    ['without the next number', JSON.stringify({ ...good, next: undefined, issues: [] })],
    ['whose next number was given already', JSON.stringify({ ...good, next: 2, issues: [one, two] })],
    ['without its issues', JSON.stringify(good)],
    ['with an issue that is none', JSON.stringify({ ...good, issues: [one, null] })],
    ['with an issue without an id', JSON.stringify({ ...good, issues: [{ ...one, id: undefined }] })],
    ['with an issue without a clientId', JSON.stringify({ ...good, issues: [{ ...one, clientId: '' }] })],
    ['with a parent that is no id', JSON.stringify({ ...good, issues: [{ ...one, parentId: 1 }] })],
    ['with an id twice', JSON.stringify({ ...good, issues: [one, { ...two, id: 'LOCAL-1' }] })],
    ['with a clientId twice', JSON.stringify({ ...good, issues: [one, { ...two, clientId: 'a' }] })],
  ])('%s is refused with TRACKER_CORRUPT, and not written over', async (_, text) => {
    writeFileSync(file, text)
    const tracker = openLocalTracker(file)
    const error = { code: 'TRACKER_CORRUPT', details: { file }, message: expect.stringContaining(file) }
    await expect(tracker.create(issue('c'))).rejects.toMatchObject(error)
    await expect(tracker.list()).rejects.toMatchObject(error)
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  test('of a newer version is refused with TRACKER_NEWER, and not written over', async () => {
    const text = JSON.stringify({ ...good, version: 2, issues: 'elsewhere' })
    writeFileSync(file, text)
    await expect(openLocalTracker(file).create(issue('c'))).rejects.toMatchObject({ code: 'TRACKER_NEWER' })
    expect(readFileSync(file, 'utf8')).toBe(text)
  })
})

describe('a tracker that cannot write', () => {
  test('says TRACKER_FAILED and why, keeps what it had, and goes on when it can', async () => {
    const tracker = openLocalTracker(file)
    await tracker.create(issue('a'))
    mkdirSync(`${file}.tmp`)
    const failing = Promise.allSettled([tracker.create(issue('b')), tracker.create(issue('c'))])
    for (const end of await failing) {
      expect(end).toMatchObject({
        status: 'rejected',
        reason: { code: 'TRACKER_FAILED', details: { reason: 'EISDIR' } },
      })
    }
    expect(content().issues).toHaveLength(1)
    rmSync(`${file}.tmp`, { recursive: true })
    expect(await tracker.create(issue('b'))).toEqual({ id: 'LOCAL-2' })
  })

  test('says TRACKER_FAILED when its folder cannot be made', async () => {
    writeFileSync(join(dir, 'a'), '')
    await expect(openLocalTracker(join(dir, 'a', 'b', 't.json')).create(issue('a'))).rejects.toMatchObject({
      code: 'TRACKER_FAILED',
    })
  })
})

describe('the lock', () => {
  const native = createRequire(import.meta.url)('fs-native-extensions') as { tryLock(fd: number): boolean }
  let fd: number
  beforeEach(() => {
    fd = openSync(`${file}.lock`, 'a+')
    expect(native.tryLock(fd)).toBe(true)
  })
  afterEach(() => {
    try {
      closeSync(fd)
    } catch {}
  })

  test('that another holds for too long is TRACKER_BUSY; listing does not wait for it', async () => {
    const tracker = openLocalTracker(file, { lockTimeoutMs: 30 })
    await expect(tracker.create(issue('a'))).rejects.toMatchObject({ code: 'TRACKER_BUSY' })
    expect(await tracker.list()).toEqual([])
  })

  test('is waited for, and free when its owner lets go', async () => {
    const creating = openLocalTracker(file).create(issue('a'))
    setTimeout(() => closeSync(fd), 30)
    expect(await creating).toEqual({ id: 'LOCAL-1' })
  })

  test('is no longer waited for once the step is cancelled', async () => {
    const cancel = new AbortController()
    const creating = openLocalTracker(file, { signal: cancel.signal }).create(issue('a'))
    setTimeout(() => cancel.abort(), 10)
    await expect(creating).rejects.toThrow(/abort/i)
  })
})

describe('after a crash', () => {
  class Crash extends Error {}

  /** A tracker of a process that dies right after a stage. */
  const dying = (at: Stage): Tracker =>
    openLocalTracker(file, {
      reached(stage) {
        if (stage === at) throw new Crash()
      },
    })

  test.each(STAGES)('right after the stage "%s", the same call gives the same one issue', async (stage) => {
    await openLocalTracker(file).create(issue('before'))
    await expect(dying(stage).create(issue('a'))).rejects.toThrow(Crash)
    const done = stage === 'renamed' || stage === 'durable'
    expect(content().issues).toHaveLength(done ? 2 : 1)
    expect(await openLocalTracker(file).create(issue('a'))).toEqual({ id: 'LOCAL-2' })
    expectConsistent(content().issues)
  })

  const attempt = fc.record({
    names: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
    crash: fc.option(fc.constantFrom(...STAGES), { freq: 1 }),
  })

  property([fc.array(attempt, { maxLength: 12 })], { numRuns: 150 })(
    'at any points of any calls, nothing acknowledged is lost and nothing is there twice',
    async (attempts) => {
      rmSync(file, { force: true })
      const acknowledged = new Map<string, string>()
      for (const { names, crash } of [...attempts, { names: [1, 2, 3, 4, 5, 6, 7, 8, 9], crash: null }]) {
        const tracker = crash ? dying(crash) : openLocalTracker(file)
        const ends = await Promise.allSettled(names.map((name) => tracker.create(issue(`${name}`))))
        for (const [index, end] of ends.entries()) {
          const name = `${names[index]}`
          if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(Crash)
          else expect(end.value.id).toBe(acknowledged.get(name) ?? end.value.id)
          if (end.status === 'fulfilled') acknowledged.set(name, end.value.id)
        }
        const issues = await openLocalTracker(file).list()
        expectConsistent(issues)
        for (const [name, id] of acknowledged) expect(issues.find((found) => found.id === id)?.clientId).toBe(name)
      }
      expect(acknowledged.size).toBe(9)
    },
  )
})

describe('shared', () => {
  property([fc.array(fc.array(fc.integer({ min: 1, max: 12 })), { minLength: 2, maxLength: 5 })], { numRuns: 50 })(
    'by several trackers at a time, it has each issue once',
    async (lists) => {
      rmSync(file, { force: true })
      const ids = await Promise.all(
        lists.map(async (names) => {
          const tracker = openLocalTracker(file)
          const found: [string, string][] = []
          for (const name of names) found.push([`${name}`, (await tracker.create(issue(`${name}`))).id])
          return found
        }),
      )
      const issues = await openLocalTracker(file).list()
      expectConsistent(issues)
      expect(new Set(issues.map(({ clientId }) => clientId))).toEqual(new Set(lists.flat().map(String)))
      for (const [name, id] of ids.flat()) expect(issues.find((found) => found.id === id)?.clientId).toBe(name)
    },
  )

  /** Runs the script and ends it after so many acknowledgements; gives what was acknowledged. */
  type Run = (name: string, count: number, endAfter: number) => Promise<string[]>

  const inProcess: Run = (name, count, endAfter) => {
    const args = [fileURLToPath(SCRIPT), MODULE, file, name, String(count)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const said: string[] = []
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (said.push(line) === endAfter) child.kill('SIGKILL')
    })
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.stdout.on('close', () => resolve(said))
    })
  }

  const inThread: Run = (name, count, endAfter) => {
    const worker = new Worker(SCRIPT, { workerData: [MODULE, file, name, count] })
    const said: string[] = []
    worker.on('message', (line: string) => {
      if (said.push(line) === endAfter) void worker.terminate()
    })
    return new Promise((resolve, reject) => {
      worker.on('error', reject)
      worker.on('exit', () => resolve(said))
    })
  }

  test.each([
    ['processes, some killed', inProcess],
    ['threads, some terminated', inThread],
  ])('by %s in the middle, it loses and doubles nothing, and stays free', async (_, run) => {
    const acknowledged: string[] = []
    for (let round = 0; round < 4; round++) {
      // The same names again each round: what was made is found, what was cut off is made.
      const ends = [3 + 7 * round, 5 + 7 * round, Number.POSITIVE_INFINITY]
      const said = await Promise.all(ends.map((end, index) => run(`writer-${index}`, 30, end)))
      acknowledged.push(...said.flat())
      const issues = content().issues
      expectConsistent(issues)
      for (const line of acknowledged) {
        const [clientId, id] = line.split(' ')
        expect(issues.find((found) => found.id === id)?.clientId).toBe(clientId)
      }
    }
    await openLocalTracker(file).create(issue('last'))
    expect(readdirSync(dir).filter((name) => !/^tracker\.json(\.tmp|\.lock)?$/.test(name))).toEqual([])
  })
})
