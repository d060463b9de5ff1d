// The doctor on real files: each thing that can be wrong is named; what it says it would do is what it does; what is taken
// away is kept; nothing that cannot be read becomes a fresh session; looking changes nothing.
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Diagnosis, doctor, type Finding, openRuntime, type Runtime } from 'holdfast'
import { beforeEach, describe, expect, test } from 'vitest'
import { openAudit } from '../../src/audit.js'
import { directoryText } from '../../src/directory.js'
import { type Disk, readAll, writeAllSync } from '../../src/disk.js'
import { createFileDisk } from '../../src/files/disk.js'
import { examineFiles, examining } from '../../src/files/doctor.js'
import { repairFiles } from '../../src/files/repair.js'
import { contentEnd } from '../../src/files/segment.js'
import { systemClock } from '../../src/system/clock.js'
import { type CrashDisk, createCrashDisk } from '../../src/testing/disk.js'
import { newFolder } from '../cli/command.js'
import { count, counter, footprint } from '../cli/directory.js'
import { house } from '../house.js'

let dir: string
const silent = { info: () => {}, warn: () => {}, error: () => {} }
const open = (): Promise<Runtime> => openRuntime({ dir, kinds: [counter], pool: 'inline', logger: silent })
const path = (file: string): string => join(dir, file)
const SEGMENT = 'journal/00000001.jsonl'
const snapshotFiles = (): string[] =>
  readdirSync(path('sessions'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.json'))
    .map((file) => `sessions/${file}`)

beforeEach(async () => {
  dir = newFolder()
  await using runtime = await open()
  for (const id of ['apple', 'banana', 'cherry']) await count(runtime, id, 30)
})

const codes = ({ findings }: Diagnosis): string[] => findings.map(({ code }) => code)
const found = ({ findings }: Diagnosis, code: string): Finding | undefined =>
  findings.find((finding) => finding.code === code)

/** Looks, which changes nothing; repairs, which does what was said; looks again. */
async function treat(): Promise<{ before: Diagnosis; repaired: Diagnosis; after: Diagnosis }> {
  const untouched = footprint(dir)
  const before = await doctor({ dir })
  expect(footprint(dir)).toEqual(untouched)
  const repaired = await doctor({ dir, repair: true })
  expect(repaired.findings.map(({ done: _, ...finding }) => finding)).toEqual(before.findings)
  for (const { repair, done } of repaired.findings) expect(done).toBe(repair ? true : undefined)
  return { before, repaired, after: await doctor({ dir }) }
}

/** Turns one byte round. */
function spoil(file: string, offset: number): Buffer {
  const whole = readFileSync(path(file))
  const bytes = Buffer.from(whole)
  bytes[offset] = (bytes[offset] as number) ^ 1
  writeFileSync(path(file), bytes)
  return whole
}

async function counts(): Promise<Record<string, number>> {
  await using runtime = await open()
  const { sessions } = runtime.sessions.list()
  return Object.fromEntries(sessions.map(({ id }) => [id, runtime.session(id, counter).snapshot().context.count]))
}
const ALL = { apple: 30, banana: 30, cherry: 30 }

test('a directory as it should be: nothing is wrong, and a repair changes nothing but who opened it last', async () => {
  const { before, after } = await treat()
  expect(before).toEqual({ dir, healthy: true, sessions: 3, findings: [] })
  expect(after).toEqual(before)
})

test('beside its owner: it says who that is, and takes nothing under way for wrong; repairing is refused', async () => {
  await using runtime = await open()
  await count(runtime, 'date', 3)
  appendFileSync(path(SEGMENT), 'under way')
  writeFileSync(path('journal/00000002.jsonl.tmp'), '')
  const diagnosis = await doctor({ dir })
  expect(codes(diagnosis)).toEqual(['lock'])
  expect(diagnosis).toMatchObject({ healthy: true, sessions: 4 })
  await expect(doctor({ dir, repair: true })).rejects.toMatchObject({ code: 'DIRECTORY_LOCKED' })
})

test('a directory that is none is not made', async () => {
  await expect(doctor({ dir: path('none'), repair: true })).rejects.toMatchObject({ code: 'DIRECTORY_NOT_FOUND' })
  expect(existsSync(path('none'))).toBe(false)
})

describe('what it repairs', () => {
  test('a torn end is cut off and kept', async () => {
    appendFileSync(path(SEGMENT), '00000000 12345678 {"batch":1,"sess')
    const { before, after } = await treat()
    expect(before.healthy).toBe(true) // nobody was told of it
    expect(codes(before)).toEqual(['journal.torn'])
    expect(codes(after)).toEqual(['quarantine'])
    expect(readFileSync(path(found(after, 'quarantine')?.file as string), 'utf8')).toContain('{"batch":1,"sess')
    expect(await counts()).toEqual(ALL)
  })

  test('a header that cannot be read is written anew', async () => {
    spoil(SEGMENT, 40)
    const { before, after } = await treat()
    expect(codes(before)).toEqual(['journal.header'])
    expect(after.healthy).toBe(true)
    expect(await counts()).toEqual(ALL)
  })

  test('a damaged index, and one that is not there', async () => {
    const whole = spoil('index.jsonl', 200)
    const { before, after } = await treat()
    expect(codes(before)).toEqual(['index.damaged'])
    expect(before.healthy).toBe(false)
    expect(codes(after)).toEqual(['quarantine'])
    expect(readFileSync(path('quarantine/index.jsonl')).length).toBe(whole.length)
    rmSync(path('index.jsonl'))
    const again = await treat()
    expect(codes(again.before)).toEqual(['index.missing', 'quarantine'])
    expect(again.before.healthy).toBe(true)
    expect(existsSync(path('index.jsonl'))).toBe(true)
    expect(await counts()).toEqual(ALL)
  })

  test('an index that is whole and wrong', async () => {
    const first = newFolder()
    await using other = await openRuntime({ dir: first, kinds: [counter], pool: 'inline', logger: silent })
    await count(other, 'other', 1)
    await other.close()
    writeFileSync(path('index.jsonl'), readFileSync(join(first, 'index.jsonl')))
    const { before, after } = await treat()
    expect(codes(before)).toEqual(['index.wrong'])
    expect(after.healthy).toBe(true)
    expect(await counts()).toEqual(ALL)
  })

  test('a damaged snapshot is set aside: the journal has everything', async () => {
    const [file = ''] = snapshotFiles()
    const whole = spoil(file, 120)
    const { before, after } = await treat()
    expect(found(before, 'snapshot.damaged')).toMatchObject({ severity: 'problem', file, repair: { file } })
    expect(after.healthy).toBe(true)
    expect(existsSync(path(file))).toBe(false)
    expect(readFileSync(path(found(after, 'quarantine')?.file as string)).length).toBe(whole.length)
    expect(await counts()).toEqual(ALL)
  })

  test('a snapshot of a session that is gone', async () => {
    const file = snapshotFiles().find((one) => one.includes('banana')) as string
    const bytes = readFileSync(path(file))
    await using again = await open()
    await again.session('banana').delete()
    await again.close()
    mkdirSync(dirname(path(file)), { recursive: true })
    writeFileSync(path(file), bytes)
    const { before, after } = await treat()
    expect(found(before, 'snapshot.orphaned')).toMatchObject({ severity: 'note', session: 'banana' })
    expect(found(after, 'snapshot.orphaned')).toBeUndefined()
    expect(await counts()).toEqual({ apple: 30, cherry: 30 })
  })

  test('what was being written when a process died', async () => {
    for (const file of ['index.jsonl.tmp', 'journal/00000002.jsonl.tmp']) writeFileSync(path(file), 'half')
    const { before, after } = await treat()
    expect(codes(before)).toEqual(['leftover', 'leftover'])
    expect(codes(after)).toEqual(['quarantine', 'quarantine'])
  })

  test('a directory file that cannot be read, or is not there', async () => {
    writeFileSync(path('holdfast.json'), '{')
    const { before, after } = await treat()
    expect(codes(before)).toEqual(['directory-file.damaged'])
    expect(codes(after)).toEqual(['quarantine'])
    expect(readFileSync(path('holdfast.json'), 'utf8')).toBe(directoryText({ counter: 1 }))
    rmSync(path('holdfast.json'))
    expect(codes((await treat()).before)).toEqual(['directory-file.damaged', 'quarantine'])
  })
})

describe('what it does not repair', () => {
  test('damage in the journal: it names the place and the sessions, moves nothing, and begins none anew', async () => {
    for (const file of snapshotFiles()) rmSync(path(file))
    rmSync(path('index.jsonl'))
    const bytes = readFileSync(path(SEGMENT))
    const at = bytes.indexOf('"session":"banana"') + 200
    spoil(SEGMENT, at)
    const { before, after } = await treat()
    expect(codes(before)).toEqual(['journal.corrupt', 'index.missing', 'session.unreadable'])
    expect(before.findings[0]).toMatchObject({ severity: 'problem', file: SEGMENT, advice: expect.any(String) })
    expect(found(before, 'session.unreadable')).toMatchObject({ session: 'banana' })
    expect(before.findings.every(({ repair }) => repair === undefined)).toBe(true)
    expect(after).toEqual(before)
    expect(existsSync(path('index.jsonl'))).toBe(false)
    await using runtime = await open()
    expect(runtime.session('apple', counter).snapshot().context.count).toBe(30)
    await expect(runtime.session('banana', counter).send({ type: 'add', by: 1, id: 'x' })).rejects.toMatchObject({
      code: 'SESSION_PARKED',
    })
  })

  test('a journal that ends before the index and a snapshot do: a stale copy', async () => {
    const stale = readFileSync(path(SEGMENT))
    await using runtime = await open()
    for (let n = 0; n < 30; n++) await runtime.session('apple', counter).send({ type: 'add', by: 1, id: `more-${n}` })
    await runtime.close()
    writeFileSync(path(SEGMENT), stale)
    const { before, after } = await treat()
    expect(codes(before)).toEqual(['index.ahead', 'snapshot.ahead', 'session.unreadable'])
    expect(after).toEqual(before)
  })

  test('a last batch that cannot be read and the index knows: no index of what is left hides that', async () => {
    spoil(SEGMENT, contentEnd(readFileSync(path(SEGMENT))) - 20)
    const { before, after } = await treat()
    expect(codes(before)).toContain('index.ahead')
    expect(codes(after)).toContain('index.ahead')
  })

  test('a snapshot that a newer Holdfast wrote, and files of others', async () => {
    const [file = ''] = snapshotFiles()
    writeFileSync(
      path(file),
      readFileSync(path(file), 'utf8')
        .replace('"holdfast": 1', '"holdfast": 9')
        .replace(/"checksum": ".{8}"/, '"checksum": "00000000"'),
    )
    writeFileSync(path('journal/notes.txt'), 'mine')
    const { before, after } = await treat()
    expect(codes(before)).toEqual(['snapshot.newer', 'stranger'])
    expect(after).toEqual(before)
  })

  test('versions: active sessions that the directory was not opened with last', async () => {
    writeFileSync(path('holdfast.json'), directoryText({ counter: 2 }))
    const { before } = await treat()
    expect(codes(before)).toEqual(['session.other-version'])
    expect(before.findings[0]?.message).toMatch(
      /^3 active sessions are .*, version 1; it was .* version 2, which has parked/,
    )
    writeFileSync(path('holdfast.json'), directoryText({ counter: 0 }))
    const { before: newer } = await treat()
    expect(newer.findings[0]?.message).toContain('version 0, which is older and parks them')
    expect(newer.findings[0]?.advice).toContain('holdfast verify --kinds')
  })
})

test('a power cut anywhere in a repair loses no byte of what it sets aside, and no session', async () => {
  const { disk, open: openHouse } = house([counter], {}, createCrashDisk())
  const first = await openHouse()
  for (const id of ['apple', 'banana', 'cherry']) await count(first, id, 30)
  await first.close()
  const crash = disk as CrashDisk
  const snapshots = crash.list('sessions').flatMap((f) => crash.list(`sessions/${f}`).map((n) => `sessions/${f}/${n}`))
  const damaged = ['index.jsonl', snapshots[0] as string, 'holdfast.json']
  for (const file of damaged) rewrite(crash, file, (bytes) => bytes.subarray(0, bytes.length - 9))
  const torn = Buffer.from('00000000 12345678 {"batch":')
  rewrite(crash, SEGMENT, (bytes) => Buffer.concat([bytes.subarray(0, contentEnd(bytes)), torn]))
  const originals = damaged.map((file) => digestOf(readAll(crash, file)))
  const mended = crash.clone()
  let states = 0
  const check = async (after: CrashDisk): Promise<void> => {
    states++
    const kept = ['', 'sessions', 'quarantine'].flatMap((folder) => filesIn(after, folder))
    const there = kept.map((file) => digestOf(readAll(after, file)))
    for (const original of originals) expect(there).toContain(original)
    const inTail = [SEGMENT, ...kept].some((file) => Buffer.from(readAll(after, file) ?? []).includes(torn))
    expect(inTail).toBe(true)
    await using runtime = await house([counter], {}, after).open()
    const { sessions } = runtime.sessions.list()
    expect(sessions.map(({ id, seq }) => [id, seq])).toEqual(['apple', 'banana', 'cherry'].map((id) => [id, 31]))
  }
  const cuts: CrashDisk[] = []
  const seen = new Set<string>()
  mended.onCall = () => {
    for (const state of mended.crashStates({ operations: 4, tornTogether: 1, pieces: 2, seen })) cuts.push(state.disk)
    return undefined
  }
  const ports = { disk: mended, clock: systemClock, epoch: 9, began: () => {} }
  const repaired = await repairFiles(ports, examineFiles(mended, undefined))
  mended.onCall = undefined
  expect(codes(repaired)).toEqual(['directory-file.damaged', 'journal.torn', 'index.damaged', 'snapshot.damaged'])
  expect(repaired.healthy).toBe(true)
  for (const cut of [...cuts, mended.crash()]) await check(cut)
  expect(states).toBeGreaterThan(30)
})

test('an audit log that was edited or cut off: told, and left as it is, since it is evidence', async () => {
  const disk = createFileDisk(dir)
  const audit = openAudit(disk, systemClock)
  for (const session of ['apple', 'banana']) await audit.append({ actor: 'root', action: 'cancel', session })
  const auditHead = audit.head()
  await audit.close()
  expect(await doctor({ dir, auditHead })).toMatchObject({ healthy: true, findings: [], audit: auditHead })
  const file = 'audit/00000001.jsonl'
  const whole = readFileSync(path(file), 'utf8')
  writeFileSync(path(file), whole.replace('apple', 'mango'))
  const { before, after } = await treat()
  expect(found(before, 'audit.edited')).toMatchObject({ severity: 'problem', file })
  expect(after.healthy).toBe(false)
  writeFileSync(path(file), whole.split('\n').slice(0, 2).join('\n').concat('\n'))
  expect(codes(await doctor({ dir }))).toEqual([])
  expect(codes(await doctor({ dir, auditHead }))).toEqual(['audit.unexpected'])
  writeFileSync(path(file), whole.slice(0, -20))
  expect(found(await doctor({ dir }), 'audit.torn')).toMatchObject({ severity: 'note' })
})

function rewrite(disk: Disk, file: string, change: (bytes: Buffer) => Uint8Array): void {
  const bytes = change(Buffer.from(readAll(disk, file) as Uint8Array))
  const opened = disk.create(file)
  writeAllSync(opened, bytes, 0)
  opened.syncSync()
  opened.close()
}

const filesIn = (disk: Disk, folder: string): string[] =>
  disk.list(folder).flatMap((name) => {
    const file = folder === '' ? name : `${folder}/${name}`
    return /\.(json|jsonl|torn|tmp)/.test(name) ? [file] : folder === 'sessions' ? filesIn(disk, file) : []
  })

const digestOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('base64')

describe('in turns, while its owner, in the same process, goes on', () => {
  const owner = { pid: process.pid, since: '2026-01-01T00:00:00.000Z' }

  /** What the owner does at a turn: it moves on, begins and removes sessions, writes snapshots and the index anew. */
  async function step(turn: number, runtime: { current: Runtime }): Promise<void> {
    const { current } = runtime
    await current.session('apple').send({ type: 'add', by: 1, id: turn, pad: 'x'.repeat(40_000) } as never)
    if (turn % 3 === 0) await current.create(counter, undefined, { id: `new-${turn}` })
    if (turn % 5 === 0)
      await current
        .session(`new-${turn - (turn % 3 || 0)}`)
        .delete()
        .catch(() => {})
    if (turn === 4) await current.session('banana').delete()
    if (turn === 6) await count(current, 'banana', 3)
    if (turn % 8 !== 0) return
    await current.close()
    runtime.current = await open()
  }

  test('it finds nothing wrong that was never wrong', async () => {
    const runtime = { current: await open() }
    try {
      const work = examining(createFileDisk(dir), owner)
      let turns = 0
      for (let next = work.next(); ; next = work.next()) {
        if (!next.done) await step(turns++, runtime)
        else {
          expect(next.value.findings.map(({ code }) => code)).toEqual(['lock'])
          expect(next.value.healthy).toBe(true)
          break
        }
      }
      expect(turns).toBeGreaterThan(8)
    } finally {
      await runtime.current.close()
    }
  })

  test('others have their turn at least once for every 64 records, sessions and lines of the audit log', async () => {
    const audit = openAudit(createFileDisk(dir), systemClock)
    for (let n = 0; n < 200; n++) await audit.append({ actor: 'a', action: 'b' })
    await audit.close()
    const turnsOf = (): number => [...examining(createFileDisk(dir), undefined)].length
    const before = turnsOf()
    {
      await using runtime = await open()
      for (let n = 0; n < 20; n++) await count(runtime, `more-${n}`, 30)
    }
    // 620 records and 20 sessions more.
    expect(before).toBeGreaterThan(3 + 200 / 64)
    expect(turnsOf() - before).toBeGreaterThan(620 / 64 + 20)
  })
})
