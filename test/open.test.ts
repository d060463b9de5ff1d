// Opening, failing and opening again: real folders, a disk that fails on demand, files that are damaged or gone.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineSession, doctor, HoldfastError, openReader, openRuntime, step } from 'holdfast'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { assign, setup } from 'xstate'
import { readAll } from '../src/disk.js'
import { openFileReader } from '../src/files/reader.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import { createInlinePool, openFiles, openToken } from '../src/open.js'
import { systemChance } from '../src/system/chance.js'
import { systemClock } from '../src/system/clock.js'
import { createCrashDisk, failAt } from '../src/testing/disk.js'
import { house } from './house.js'
import { builtPackage } from './piscina/built.js'

const machine = setup({
  types: { context: {} as { text: string; n: number }, events: {} as { type: 'set'; text: string } },
}).createMachine({
  id: 'text',
  context: { text: '', n: 0 },
  on: { set: { actions: assign({ text: ({ event }) => event.text, n: ({ context }) => context.n + 1 }) } },
})
const kind = defineSession({ kind: 'text', version: 1, machine })
const quiet = { info: () => {}, warn: () => {}, error: () => {} }
const coded = (code: string) => expect.objectContaining({ code })

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-open-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = () => openRuntime({ dir, kinds: [kind], pool: 'inline', logger: quiet })

test('a directory has one owner; a second opener is told who, and may open when the first has closed', async () => {
  const runtime = await open()
  await expect(open()).rejects.toMatchObject({
    code: 'DIRECTORY_LOCKED',
    message: expect.stringMatching(/ is open in this process \(\d+\) already, since .*close it first$/),
    details: { owner: { pid: process.pid } },
  })
  const session = await runtime.create(kind)
  expect(openReader({ dir }).state(session.id).context).toEqual({ text: '', n: 0 })
  await runtime.close()
  await (await open()).close()
})

test('two kinds of one name are refused before anything is made, with what to do', async () => {
  const twice = (kinds: readonly (typeof kind)[], message: RegExp) =>
    expect(openRuntime({ dir, kinds, pool: 'inline' })).rejects.toMatchObject({
      code: 'INVALID_KIND',
      message: expect.stringMatching(message),
    })
  await twice([kind, kind], /text is there twice; leave one out/)
  await twice(
    [kind, defineSession({ kind: 'text', version: 1, machine })],
    /same name: text; rename one, or,.* same object/,
  )
  expect(readdirSync(dir)).toEqual([])
})

test('an opening that fails frees the directory', async () => {
  const opening = openRuntime({ dir, kinds: [kind], pool: 'inline', mailboxLimit: '3' as never })
  await expect(opening).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('not "3"') })
  await (await open()).close()
})

test('steps that are not there are told when the runtime is opened, once a file; nothing is said of those of a pool of its own', async () => {
  const steps = new URL('./nowhere/steps.js', import.meta.url)
  const told: string[] = []
  const logger = { ...quiet, warn: (_: object, message: string) => void told.push(message) }
  const one = setup({ actors: { work: step('work') } }).createMachine({ invoke: { src: 'work' } })
  const family = setup({ actors: { one } }).createMachine({ invoke: { src: 'one' } })
  const kinds = [defineSession({ kind: 'family', version: 1, machine: family, steps })]
  await (await openRuntime({ dir, kinds, logger })).close()
  expect(told).toEqual([
    expect.stringMatching(/"family" are not there: no file .*nowhere\/steps\.js; is it compiled\?/),
  ])
  await (await openRuntime({ dir, kinds, logger, pool: createInlinePool({ clock: systemClock }) })).close()
  expect(told).toHaveLength(1)
})

test('an opening that fails once the journal is open leaves no file open', async () => {
  const disk = createCrashDisk()
  const refused = (): never => {
    throw new HoldfastError('INVALID_ARGUMENT', 'no such pool')
  }
  const opening = openFiles(disk, [kind], systemClock, systemChance, quiet, refused)
  await expect(opening).rejects.toEqual(coded('INVALID_ARGUMENT'))
  expect(disk.openFiles).toEqual([])
  await (await house([kind], {}, disk).open()).close()
})

test('a lock that is freed with an error is free, and hides nothing of what came before', async () => {
  const disk = createCrashDisk()
  disk.onCall = (_, { op, path }) => {
    if (op === 'release' || op === 'sync') throw Object.assign(new Error(`EIO: ${op} ${path}`), { code: 'EIO' })
    return undefined
  }
  const opening = openFiles(disk, [kind], systemClock, systemChance, quiet, () =>
    createInlinePool({ clock: systemClock }),
  )
  await expect(opening).rejects.toMatchObject({ code: 'DISK_FAILED', message: expect.stringContaining('EIO: sync') })
  disk.onCall = undefined
  await (await house([kind], {}, disk).open()).close()
})

test('a directory that cannot be is an error that says so', async () => {
  writeFileSync(join(dir, 'file'), '')
  const impossible = { dir: join(dir, 'file', 'below'), kinds: [kind] }
  await expect(openRuntime(impossible)).rejects.toEqual(coded('DIRECTORY_NOT_WRITABLE'))
})

test('a file in the place of a directory is told as that, to who writes and to who reads', async () => {
  const file = join(dir, 'file')
  writeFileSync(file, '')
  const message = `${file} is a file, or below one; `
  const error = { code: 'DIRECTORY_NOT_WRITABLE', message: expect.stringContaining(message) }
  await expect(openRuntime({ dir: file, kinds: [kind] })).rejects.toMatchObject(error)
  expect(() => openReader({ dir: file })).toThrow(message)
})

test('a folder of other things is refused, and left as it is; an empty holdfast.json there says that it is meant', async () => {
  for (const name of ['package.json', 'index.ts', 'notes.md', 'lock']) writeFileSync(join(dir, name), 'theirs')
  mkdirSync(join(dir, 'journal'))
  writeFileSync(join(dir, 'journal', 'monday.md'), 'theirs')
  const before = readdirSync(dir, { recursive: true })
  await expect(open()).rejects.toMatchObject({
    code: 'DIRECTORY_NOT_EMPTY',
    message: expect.stringContaining(
      `${dir} holds other files (index.ts, journal, lock and 2 more) and no sessions; name a`,
    ),
    details: { dir },
  })
  expect(readdirSync(dir, { recursive: true })).toEqual(before)
  expect(readFileSync(join(dir, 'lock'), 'utf8')).toBe('theirs')
  rmSync(join(dir, 'lock'))
  writeFileSync(join(dir, 'holdfast.json'), '')
  await (await open()).close()
  expect(readdirSync(dir)).not.toContain('quarantine')
  await (await open()).close()
})

test.each([
  ['lock', 'of a package manager'],
  ['index.jsonl/one', 'theirs'],
  ['index.jsonl', '{"name":"monday"}\n'],
  ['journal', 'a file'],
  ['journal/monday.md', 'theirs'],
  ['sessions', 'a file'],
  ['sessions/monday.md', 'theirs'],
])('a folder with nothing but %s is somebody’s who calls it so, and is refused as it is', async (name, text) => {
  mkdirSync(join(dir, name, '..'), { recursive: true })
  writeFileSync(join(dir, name), text)
  const before = readdirSync(dir, { recursive: true })
  await expect(open()).rejects.toMatchObject({
    code: 'DIRECTORY_NOT_EMPTY',
    message: expect.stringContaining(`${dir} holds other files (${name.split('/')[0]}) and no sessions`),
  })
  expect(() => openReader({ dir })).toThrow(coded('DIRECTORY_NOT_FOUND'))
  await expect(doctor({ dir, repair: true })).rejects.toEqual(coded('DIRECTORY_NOT_FOUND'))
  expect(readdirSync(dir, { recursive: true })).toEqual(before)
  expect(readFileSync(join(dir, name), 'utf8')).toBe(text)
})

test.each([
  [
    'what file systems, desktops and editors leave',
    ['.DS_Store', '.gitkeep', 'lost+found', 'Thumbs.db', 'desktop.ini'],
    '',
  ],
  ['a token that was made first', ['access'], ''],
  ['a lock, where an opening was killed at its beginning', ['lock'], ''],
  ['a journal among other files, though holdfast.json is gone', ['journal/00000001.jsonl', 'tickets.jsonl'], ''],
  ['snapshots among other files, though all else is gone', ['sessions/0a/one.json', 'notes.md'], ''],
  ['other files in a folder that is called as Holdfast calls its own', ['tickets.jsonl'], 'plans.holdfast'],
])('a folder with %s is opened', async (_, names, below) => {
  for (const name of names) {
    mkdirSync(join(dir, below, name, '..'), { recursive: true })
    writeFileSync(join(dir, below, name), name.startsWith('sessions/') ? '{\n  "holdfast": 1,\n' : '')
  }
  if (names[0] === 'access') {
    rmSync(join(dir, 'access'))
    await openToken(dir)
  }
  const runtime = await openRuntime({ dir: join(dir, below), kinds: [kind], pool: 'inline', logger: quiet })
  expect(runtime.health()).toMatchObject({ status: 'ok' })
  await runtime.close()
})

test('a directory that may not be read: DIRECTORY_NOT_READABLE', () => {
  const disk = createMemoryDisk()
  disk.openRead = () => {
    throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
  }
  expect(() => openFileReader(disk)).toThrow(coded('DIRECTORY_NOT_READABLE'))
})

test.each([
  ['no kinds', () => openRuntime({ dir } as never), /^kinds is the list/],
  ['no options', () => openRuntime(undefined as never), /^kinds is the list/],
  ['kinds that are none', () => openRuntime({ dir, kinds: [machine] } as never), /^kinds is the list/],
  ['an option that is none', () => openRuntime({ dri: dir, kinds: [kind] } as never), /no "dri"; "dir" may be meant/],
])('opening with %s: INVALID_ARGUMENT, and nothing is made', async (_, opening, message) => {
  await expect(opening()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) })
  expect(readdirSync(dir)).toEqual([])
})

test('a key that no filter, page or creation has is refused, naming the nearest', async () => {
  await using runtime = await open()
  const list = (filter: object, page?: object) => () => runtime.sessions.list(filter as never, page as never)
  const refused = (message: string) => expect.objectContaining({ code: 'INVALID_ARGUMENT', message })
  const known =
    '"kind" may be meant (they are kind, status, parent, origin, organization, quarantined, deadLetters, tag, where)'
  expect(list({ knd: 'x' })).toThrow(refused(`filters have no "knd"; ${known}`))
  expect(() => runtime.sessions.count({ knd: 'x' } as never)).toThrow(refused(`filters have no "knd"; ${known}`))
  expect(list({}, { limt: 1 })).toThrow(/no "limt"; "limit" may be meant/)
  const creating = runtime.create(kind, undefined, { idempotencykey: 'k' } as never)
  await expect(creating).rejects.toThrow(/no "idempotencykey"; "idempotencyKey" may be meant/)
  for (const none of ['text', {}, null, undefined])
    await expect(runtime.create(none as never)).rejects.toThrow(
      /^give what defineSession\(…\) gave, .* not ("text"|object|null|undefined)$/,
    )
  expect(runtime.sessions.count()).toBe(0)
  const session = await runtime.create(kind)
  expect(() => runtime.session(session.id, 'text' as never)).toThrow(/^give what defineSession/)
  const event = { type: 'set', text: 'a' } as const
  await expect(session.send(event, { Id: 'a' } as never)).rejects.toThrow(/no "Id"; "id" may be meant/)
  await expect(session.sendBatch([event], { idd: 'a' } as never)).rejects.toThrow(/no "idd"; "id" may be meant/)
  expect(session.snapshot().context.n).toBe(0)
})

test('what a newer Holdfast wrote is refused, untouched', async () => {
  await (await open()).close()
  const file = join(dir, 'holdfast.json')
  writeFileSync(file, '{"holdfast":2,"kinds":{}}')
  await expect(open()).rejects.toEqual(coded('FORMAT_NEWER'))
  expect(readFileSync(file, 'utf8')).toBe('{"holdfast":2,"kinds":{}}')
})

test('in memory on purpose: nothing is left, and everything else is the same', async () => {
  // Where files would be by default; whoever works here may have some.
  const files = () => (existsSync('.holdfast') ? readdirSync('.holdfast', { recursive: true }) : 'no directory')
  const before = files()
  const openInMemory = () => openRuntime({ storage: 'memory', kinds: [kind], pool: 'inline' })
  const runtime = await openInMemory()
  const session = await runtime.create(kind)
  await session.send({ type: 'set', text: 'a' })
  expect(session.snapshot().context).toEqual({ text: 'a', n: 1 })
  expect(files()).toEqual(before)
  await runtime.close()
  expect(files()).toEqual(before)
  await using again = await openInMemory()
  expect(again.sessions.count()).toBe(0)
})

test('a large session is snapshotted while it runs, and found whole afterwards', async () => {
  const runtime = await open()
  const session = await runtime.create(kind)
  const snapshots = () =>
    readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith(`${session.id}.json`))
  expect(snapshots()).toEqual([])
  for (let n = 0; n < 12; n++) await session.send({ type: 'set', text: `${n}`.repeat(40_000) })
  await vi.waitFor(() => expect(snapshots()).toHaveLength(1), 60_000)
  await runtime.close()
  await using again = await open()
  expect(again.session(session.id, kind).snapshot().context).toEqual({ text: '11'.repeat(40_000), n: 12 })
})

test('a session that is restored again and again gets its snapshot: what was folded back counts', async () => {
  const disk = createCrashDisk()
  const { id } = await (await house([kind], {}, disk).open()).create(kind)
  let left = disk.crash()
  for (let life = 0; life < 12; life++) {
    expect(left.list('sessions')).toEqual([])
    const runtime = await house([kind], {}, left).open()
    await runtime.session(id, kind).send({ type: 'set', text: `${life % 10}`.repeat(30_000) })
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
    left = left.crash()
    if (left.list('sessions').length > 0) return expect(life).toBe(4) // event and patch: 60 KB a life
  }
  expect.unreachable('no snapshot after twelve lives')
})

test('the epoch outlives every header: the lock file tells it, and no owner that has gone', async () => {
  for (let opening = 0; opening < 3; opening++) await (await open()).close()
  expect(JSON.parse(readFileSync(join(dir, 'lock'), 'utf8'))).toEqual({ epoch: 3 })
  const journal = join(dir, 'journal', '00000001.jsonl')
  writeFileSync(journal, readFileSync(journal, 'latin1').replace('"epoch":3', '"epoch":1'), 'latin1')
  {
    await using runtime = await open()
    expect(runtime.health().damage).toMatchObject([{ kind: 'header', kept: 'quarantine/00000001.jsonl.0.header' }])
    expect(readFileSync(journal, 'latin1')).toContain('"epoch":4')
    expect(JSON.parse(readFileSync(join(dir, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid, epoch: 4 })
    await expect(open()).rejects.toMatchObject({ details: { owner: { pid: process.pid } } })
  }
  expect(readFileSync(join(dir, 'quarantine', '00000001.jsonl.0.header'), 'latin1')).toContain('"epoch":1')
})

test('when the disk fails, the sender does not know the outcome, writes are refused, reads go on, and waiting ends', async () => {
  const disk = createCrashDisk()
  const home = house([kind], {}, disk)
  const runtime = await home.open()
  const session = await runtime.create(kind)
  const waiting = session.until(({ context }) => context.n > 5)
  const told = expect(waiting).rejects.toEqual(coded('READ_ONLY'))
  disk.onCall = failAt(disk.callCount, 'ENOSPC', 'from then on')
  await expect(session.send({ type: 'set', text: 'lost' })).rejects.toEqual(coded('OUTCOME_UNKNOWN'))
  await told
  await expect(session.send({ type: 'set', text: 'no' })).rejects.toEqual(coded('READ_ONLY'))
  await expect(runtime.create(kind)).rejects.toEqual(coded('READ_ONLY'))
  expect(session.snapshot().context).toEqual({ text: '', n: 0 })
  const { status, failure } = runtime.health()
  expect([status, failure?.code]).toEqual(['read-only', 'READ_ONLY'])
  expect((((failure as HoldfastError).cause as Error).cause as HoldfastError).code).toBe('DISK_FULL')
  disk.onCall = undefined
  await runtime.close()
  await using again = await home.open()
  await again.session(session.id, kind).send({ type: 'set', text: 'yes' })
})

test('a journal that ends before its index parks the sessions whose records are gone, at every opening', async () => {
  const runtime = await open()
  const session = await runtime.create(kind)
  const other = await runtime.create(kind)
  await session.send({ type: 'set', text: 'gone' })
  await runtime.close()
  const journal = join(dir, 'journal', '00000001.jsonl')
  const lines = readFileSync(journal, 'utf8').split('\n')
  writeFileSync(journal, `${lines.slice(0, 3).join('\n')}\n`)
  for (let opening = 0; opening < 2; opening++) {
    await using again = await open()
    const lost = again.session(session.id, kind).send({ type: 'set', text: 'x' })
    await expect(lost).rejects.toMatchObject({ code: 'SESSION_PARKED', details: { reason: 'JOURNAL_CORRUPT' } })
    await again.session(other.id, kind).send({ type: 'set', text: 'fine' })
  }
})

test('a corrupt record parks its session by name, is kept and reported; the others run', async () => {
  const runtime = await open()
  const session = await runtime.create(kind)
  await session.send({ type: 'set', text: 'here' })
  const other = await runtime.create(kind)
  await runtime.close()
  rmSync(join(dir, 'index.jsonl'))
  const journal = join(dir, 'journal', '00000001.jsonl')
  const text = readFileSync(journal, 'latin1')
  writeFileSync(journal, text.replace('"here"', '"hexe"'), 'latin1')
  await using again = await open()
  expect(again.health().damage).toMatchObject([
    { file: 'journal/00000001.jsonl', kind: 'corrupt', sessions: [session.id] },
  ])
  await expect(again.session(session.id, kind).send({ type: 'set', text: 'x' })).rejects.toEqual(
    coded('SESSION_PARKED'),
  )
  await again.session(other.id, kind).send({ type: 'set', text: 'fine' })
})

test('a replay of all sessions leaves no gap where the journal is damaged: it says so, and from where to go on', async () => {
  const runtime = await open()
  const [a, b] = [await runtime.create(kind), await runtime.create(kind)]
  for (const text of ['one', 'here', 'two']) {
    await a.send({ type: 'set', text })
    await b.send({ type: 'set', text: 'fine' })
  }
  await runtime.close()
  const journal = join(dir, 'journal', '00000001.jsonl')
  writeFileSync(journal, readFileSync(journal, 'latin1').replace('"here"', '"hexe"'), 'latin1')
  await using again = await open()
  const seen: number[] = []
  const replay = async (from: number) => {
    for await (const { seq } of again.transitions$({ from })) if (seen.push(seq) === 7) return
  }
  const error: HoldfastError = await replay(0).then(
    () => expect.unreachable(),
    (reason) => reason,
  )
  expect([error.code, seen]).toEqual(['JOURNAL_CORRUPT', [1, 1, 2, 2]])
  await replay(error.details.resumeFrom as number)
  expect(seen).toEqual([1, 1, 2, 2, 3, 4, 4])
})

test('a directory file that cannot be read is written anew: it only repeats what the journal knows', async () => {
  const runtime = await open()
  const { id } = await runtime.create(kind)
  await runtime.close()
  const file = join(dir, 'holdfast.json')
  const whole = readFileSync(file, 'utf8')
  for (const damaged of [whole.slice(0, 10), whole.replace('"text"', '"texu"'), 'null']) {
    writeFileSync(file, damaged)
    const warn = vi.fn()
    const again = await openRuntime({ dir, kinds: [kind], pool: 'inline', logger: { ...quiet, warn } })
    expect(again.session(id, kind).snapshot().seq).toBe(1)
    await again.close()
    expect(readFileSync(file, 'utf8')).toBe(whole)
    const kept: unknown = warn.mock.calls[0]?.[0].kept
    expect(readFileSync(join(dir, String(kept)), 'utf8')).toBe(damaged)
  }
})

test('a snapshot that cannot be read is kept and told of, on the console unless there is a logger; nothing is lost', async () => {
  const text = 'x'.repeat(400_000)
  const runtime = await open()
  const { id } = await runtime.create(kind)
  await runtime.session(id).send({ type: 'set', text })
  await runtime.close()
  const folder = join(dir, 'sessions')
  const [name] = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.json'))
  const file = join(folder, name as string)
  writeFileSync(file, readFileSync(file, 'utf8').replace('xxx', 'xyx'))
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  try {
    await using again = await openRuntime({ dir, kinds: [kind], pool: 'inline' })
    expect(again.session(id, kind).snapshot().context).toEqual({ text, n: 1 })
    const kept = expect.stringMatching(/^quarantine\//)
    expect(warn.mock.calls).toEqual([
      [expect.stringMatching(/^holdfast: sessions\/.* cannot be read .*checksum/), expect.objectContaining({ kept })],
    ])
  } finally {
    warn.mockRestore()
  }
})

test.each([
  ['ENOSPC', 'DISK_FULL'],
  ['EIO', 'DISK_FAILED'],
])(
  'wherever an opening meets %s, it says %s or does without, and the next one finds everything',
  async (system, code) => {
    const outcomes = new Set<unknown>()
    for (let at = 0; ; at++) {
      const disk = createCrashDisk()
      const home = house([kind], {}, disk)
      const first = await home.open()
      const { id } = await first.create(kind)
      await first.close()
      disk.onCall = failAt(disk.callCount + at, system)
      const before = disk.callCount
      const outcome = await home.open().then(
        async (runtime) => {
          const calls = disk.callCount - before
          disk.onCall = undefined
          await runtime.close()
          return calls
        },
        (error: HoldfastError) => error.code,
      )
      disk.onCall = undefined
      outcomes.add(typeof outcome === 'string' ? outcome : 'opened')
      await using again = await home.open()
      expect(again.session(id, kind).snapshot().seq, `after a failure of call ${at}`).toBe(1)
      if (typeof outcome === 'number' && at > outcome) break
    }
    expect(outcomes).toEqual(new Set([code, 'opened']))
  },
)

test('a snapshot and an index that cannot be written are told of, and nothing is lost', async () => {
  const disk = createCrashDisk()
  const home = house([kind], {}, disk)
  const runtime = await home.open()
  const { id } = await runtime.create(kind)
  disk.onCall = (_, { op, path }) => {
    if (/^(?:sessions|index)/.test(path)) throw Object.assign(new Error(`EIO: ${op}`), { code: 'EIO', syscall: op })
    return undefined
  }
  const text = 'x'.repeat(400_000)
  await runtime.session(id).send({ type: 'set', text })
  await runtime.close()
  expect(home.log).toEqual(Array(2).fill('a snapshot could not be written; the journal has everything'))
  disk.onCall = undefined
  await using again = await home.open()
  expect(again.session(id, kind).snapshot().context).toEqual({ text, n: 1 })
})

test('the index is written while the runtime runs, too, so that opening after a crash stays quick', async () => {
  const disk = createMemoryDisk()
  await using runtime = await house([kind], {}, disk).open()
  const session = await runtime.create(kind)
  const send = (): Promise<unknown> => session.send({ type: 'set', text: 'x'.repeat(1024 * 1024) })
  for (let megabytes = 0; megabytes < 4; megabytes++) await send()
  expect(readAll(disk, 'index.jsonl')).toBeUndefined()
  for (let megabytes = 4; megabytes < 10; megabytes++) await send()
  await vi.waitFor(() => expect(readAll(disk, 'index.jsonl')?.length).toBeGreaterThan(0), 60_000)
})

test('a reader that meets a file it cannot read says which, and that the disk failed', async () => {
  await (await open()).close()
  rmSync(join(dir, 'index.jsonl'), { force: true })
  mkdirSync(join(dir, 'index.jsonl'))
  expect(() => openReader({ dir })).toThrow(expect.objectContaining({ code: 'DISK_FAILED' }))
  expect(() => openReader({ dir })).toThrow('index.jsonl: the disk failed (EISDIR')
})

test('what goes wrong in a worker thread outside of any step is in the log', async () => {
  const { openRuntime: openBuilt } = (await import(
    new URL('src/index.js', builtPackage()).href
  )) as typeof import('holdfast')
  const leaving = setup({ actors: { leave: step<(ms: number) => string>('leavesATimer') } }).createMachine({
    initial: 'a',
    states: { a: { invoke: { src: 'leave', id: 'leave', input: 20, onDone: 'b' } }, b: { type: 'final' } },
  })
  const steps = new URL('./fixtures/steps/hostile.js', import.meta.url)
  const leaver = defineSession({ kind: 'leaver', version: 1, machine: leaving, steps })
  const warned: unknown[] = []
  const logger = { ...quiet, warn: ({ err }: { err?: Error }) => void warned.push(err?.message) }
  await using runtime = await openBuilt({ storage: 'memory', kinds: [leaver], workers: 1, logger })
  await (await runtime.create(leaver)).result()
  await expect.poll(() => warned).toEqual(['a timer left behind'])
})
