// The audit log: an entry is there, whatever happens, once it was said to be; nothing of it can be edited, taken out, put
// elsewhere or cut off without its being told (the very end only by who has kept a head); it stays within its bounds.
// HOLDFAST_RUNS sets how many logs are tampered with, and how many power cuts each life has.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Audit, type AuditOptions, openAudit } from '../src/audit.js'
import { type AuditHead, type AuditReport, linkOf, verifyAudit } from '../src/audit-chain.js'
import { type Disk, readAll, writeAllSync } from '../src/disk.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock } from '../src/testing/clock.js'
import { type CrashDisk, createCrashDisk, failAt } from '../src/testing/disk.js'
import { randomFates } from '../src/testing/world.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 300)
const clock = createVirtualClock(Date.parse('2026-01-01T00:00:00.000Z'))
const SMALL: AuditOptions = { fileBytes: 1024, filesKept: 4 }

const open = (disk: Disk, options?: AuditOptions): Audit => openAudit(disk, clock, 'audit', options)
const files = (disk: Disk): string[] =>
  disk.list('audit').flatMap((name) => (name.endsWith('.jsonl') ? [`audit/${name}`] : []))
const textOf = (disk: Disk, file: string): string => Buffer.from(readAll(disk, file) as Uint8Array).toString()
const lines = (disk: Disk): string[] => files(disk).flatMap((file) => textOf(disk, file).trimEnd().split('\n'))
const entriesOf = (disk: Disk): { n: number; action: string; detail?: unknown }[] =>
  lines(disk)
    .map((line) => JSON.parse(line.slice(65)))
    .filter(({ n }) => n !== undefined)

function put(disk: Disk, file: string, content: string | Uint8Array): void {
  const to = disk.create(file)
  writeAllSync(to, typeof content === 'string' ? Buffer.from(content) : content, 0)
  to.close()
}

/** A closed log of so many entries, in small files that are all kept. */
async function logOf(count: number, disk: Disk = createMemoryDisk()): Promise<{ disk: Disk; heads: AuditHead[] }> {
  const audit = open(disk, { ...SMALL, filesKept: 1000 })
  const heads: AuditHead[] = []
  for (let index = 0; index < count; index++)
    heads.push(
      await audit.append({ actor: `user-${index % 3}`, action: 'send', session: `s${index}`, detail: { index } }),
    )
  await audit.close()
  return { disk, heads }
}

const kinds = ({ faults }: AuditReport): string[] => faults.map(({ kind }) => kind)

test('entries are numbered, with their time and actor, over as many files as it takes, and all of it is one chain', async () => {
  const { disk, heads } = await logOf(20)
  expect(files(disk).length).toBeGreaterThan(2)
  expect(entriesOf(disk).map(({ n }) => n)).toEqual(heads.map(({ n }) => n))
  expect(entriesOf(disk)[4]).toEqual({
    ...{ n: 5, at: '2026-01-01T00:00:00.000Z', actor: 'user-1', action: 'send', session: 's4', detail: { index: 4 } },
  })
  expect(verifyAudit(disk, 'audit')).toEqual({ intact: true, entries: 20, head: heads.at(-1), faults: [] })
  for (const head of heads) expect(verifyAudit(disk, 'audit', head).intact).toBe(true)
})

test('a log that is opened again goes on where it was', async () => {
  const { disk } = await logOf(3)
  const audit = open(disk)
  expect((await audit.append({ actor: 'a', action: 'cancel' })).n).toBe(4)
  expect(await audit.verify()).toMatchObject({ intact: true, entries: 4, head: audit.head() })
})

test('a folder without a log is one without entries', () => {
  expect(verifyAudit(createMemoryDisk(), 'audit')).toMatchObject({ intact: true, entries: 0, head: { n: 0 } })
})

test('entries that come while the disk is at work go to it together: a hundred of one turn cost one sync', async () => {
  const disk = createCrashDisk()
  const audit = open(disk)
  const syncs = (): number => disk.calls.filter(({ op }) => op === 'sync').length
  const before = syncs()
  const heads = await Promise.all(Array.from({ length: 100 }, () => audit.append({ actor: 'a', action: 'send' })))
  expect(heads.map(({ n }) => n)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
  expect(syncs() - before).toBe(1)
})

test('it stays within its bounds: old files go, an entry says so first, and what is left is a whole chain', async () => {
  const disk = createMemoryDisk()
  const audit = open(disk, SMALL)
  for (let index = 0; index < 200; index++) {
    await audit.append({ actor: 'a', action: 'send', detail: { index } })
    expect(files(disk).length).toBeLessThanOrEqual(4)
  }
  expect(await audit.verify()).toMatchObject({ intact: true, head: audit.head() })
  expect(entriesOf(disk).some(({ action }) => action === 'audit.dropped')).toBe(true)
  expect(entriesOf(disk)[0]?.n).toBeGreaterThan(100)
  disk.remove(files(disk)[0] as string)
  expect(kinds(await audit.verify())).toEqual(['missing'])
})

test('what is long is cut, what is no JSON is refused, and neither touches the entry beside it', async () => {
  const disk = createMemoryDisk()
  const audit = open(disk)
  const refused = audit.append({ actor: 'a', action: 'x', detail: { at: new Date(0) } }).catch((error) => error.code)
  const taken = audit.append({ actor: 'a'.repeat(1000), action: 'x', detail: 'd'.repeat(10_000) })
  expect(await refused).toBe('NOT_JSON')
  expect((await taken).n).toBe(1)
  expect(entriesOf(disk)[0]).toMatchObject({ actor: `${'a'.repeat(255)}…`, detail: { cut: 10_002 } })
})

describe('what is done to it shows', () => {
  const change = (disk: Disk, file: string, by: (lines: string[]) => string[]): void =>
    put(disk, file, by(textOf(disk, file).split('\n')).join('\n'))
  const FILE = 'audit/00000002.jsonl'

  test('an edited entry, where it stands', async () => {
    const { disk } = await logOf(20)
    const offset = textOf(disk, FILE).indexOf('\n') + 1
    change(disk, FILE, (all) => all.map((line, index) => (index === 1 ? line.replace('user-', 'User-') : line)))
    const { faults } = verifyAudit(disk, 'audit')
    expect(faults).toMatchObject([{ kind: 'edited', file: FILE, offset }])
  })

  test('an entry that is taken out, that comes twice, or that has changed places', async () => {
    const taken = (await logOf(20)).disk
    change(taken, FILE, (all) => all.toSpliced(2, 1))
    expect(kinds(verifyAudit(taken, 'audit'))).toContain('missing')
    const twice = (await logOf(20)).disk
    change(twice, FILE, (all) => all.toSpliced(2, 0, all[2] as string))
    expect(kinds(verifyAudit(twice, 'audit'))).toContain('missing')
    const swapped = (await logOf(20)).disk
    change(swapped, FILE, (all) => all.with(1, all[2] as string).with(2, all[1] as string))
    expect(kinds(verifyAudit(swapped, 'audit'))).toContain('missing')
  })

  test('a file that is gone, the first one included, and two that have changed places', async () => {
    for (const file of ['audit/00000001.jsonl', FILE]) {
      const { disk } = await logOf(20)
      disk.remove(file)
      expect(kinds(verifyAudit(disk, 'audit'))).toContain('missing')
    }
    const { disk } = await logOf(20)
    const [first, second] = [textOf(disk, 'audit/00000001.jsonl'), textOf(disk, FILE)]
    put(disk, 'audit/00000001.jsonl', second)
    put(disk, FILE, first)
    expect(kinds(verifyAudit(disk, 'audit'))).toContain('edited')
  })

  test('a forged entry, although its hash is right: what comes after does not follow it', async () => {
    const { disk } = await logOf(20)
    change(disk, FILE, (all) => {
      const json = (all[2] as string).slice(65).replace('user-', 'root-')
      return all.with(2, `${linkOf((all[1] as string).slice(0, 64), json)} ${json}`)
    })
    expect(kinds(verifyAudit(disk, 'audit'))).toEqual(['edited'])
  })

  test('an end that is cut off between two lines, or with whole files: only to who has kept a head', async () => {
    const { disk, heads } = await logOf(20)
    const kept = heads.at(-1) as AuditHead
    const last = files(disk).at(-1) as string
    change(disk, last, (all) => all.toSpliced(-2, 1))
    expect(verifyAudit(disk, 'audit').intact).toBe(true)
    expect(kinds(verifyAudit(disk, 'audit', kept))).toEqual(['unexpected'])
    disk.remove(last)
    expect(verifyAudit(disk, 'audit').intact).toBe(true)
    expect(kinds(verifyAudit(disk, 'audit', kept))).toEqual(['unexpected'])
    for (const file of files(disk)) disk.remove(file)
    expect(kinds(verifyAudit(disk, 'audit', kept))).toEqual(['unexpected'])
  })

  test('a whole chain of other entries: only to who has kept a head', async () => {
    const { heads } = await logOf(20)
    const other = createMemoryDisk()
    const audit = open(other)
    for (let index = 0; index < 20; index++) await audit.append({ actor: 'nobody', action: 'nothing' })
    expect(await audit.verify()).toMatchObject({ intact: true })
    expect(kinds(await audit.verify(heads.at(-1)))).toEqual(['unexpected'])
  })

  test('any byte changed, any line taken out, doubled or moved, any file gone, any end cut off', async () => {
    const { disk: whole, heads } = await logOf(24)
    const names = files(whole)
    const contents = new Map(names.map((name) => [name, Buffer.from(readAll(whole, name) as Uint8Array)]))
    const kept = heads.at(-1)
    const place = { file: fc.nat(names.length - 1), a: fc.nat(), b: fc.integer({ min: 1, max: 255 }), how: fc.nat(4) }
    fc.assert(
      fc.property(fc.record(place), ({ file, a, b, how }) => {
        const name = names[file] as string
        const bytes = contents.get(name) as Buffer
        const changed = tampered(bytes, how, a, b)
        if (changed?.equals(bytes)) return
        const disk = createMemoryDisk()
        disk.makeFolder('audit')
        for (const [other, content] of contents) if (other !== name) put(disk, other, content)
        if (changed) put(disk, name, changed)
        expect(verifyAudit(disk, 'audit', kept).intact).toBe(false)
      }),
      { numRuns: RUNS },
    )
  })

  function tampered(bytes: Buffer, how: number, a: number, b: number): Buffer | undefined {
    const all = bytes.toString('latin1').split(/(?<=\n)/)
    const [one, other] = [a % all.length, b % all.length]
    switch (how) {
      case 0: {
        const copy = Buffer.from(bytes)
        const at = a % bytes.length
        copy[at] = (copy[at] as number) ^ b
        return copy
      }
      case 1:
        return Buffer.from(all.toSpliced(one, 1).join(''), 'latin1')
      case 2:
        return Buffer.from(all.toSpliced(other, 0, all[one] as string).join(''), 'latin1')
      case 3:
        return bytes.subarray(0, a % bytes.length)
      default:
        return undefined
    }
  }
})

describe('after a crash', () => {
  test('a last line that is torn was told to nobody: it is kept aside, and that it was there is the next entry', async () => {
    const { disk } = await logOf(5)
    const last = files(disk).at(-1) as string
    const before = textOf(disk, last)
    put(disk, last, `${before}0123 {"n":6,"at`)
    expect(kinds(verifyAudit(disk, 'audit'))).toEqual(['torn'])
    const audit = open(disk)
    expect(await audit.verify()).toMatchObject({ intact: true, entries: 6 })
    const kept = 'quarantine/audit-00000001.jsonl'
    expect(entriesOf(disk).at(-1)).toMatchObject({ action: 'audit.torn', detail: { offset: before.length, kept } })
    expect(textOf(disk, kept)).toBe('0123 {"n":6,"at')
  })

  test('a last line that was edited is no torn one: it stays, and the log goes on in a file of its own', async () => {
    const { disk } = await logOf(5)
    const last = files(disk).at(-1) as string
    put(disk, last, textOf(disk, last).replace('"index":4', '"index":5'))
    const edited = textOf(disk, last)
    const audit = open(disk)
    await audit.append({ actor: 'a', action: 'send' })
    expect(textOf(disk, last)).toBe(edited)
    expect(kinds(await audit.verify())).toEqual(['edited'])
    expect(entriesOf(disk).slice(-2)).toMatchObject([{ n: 6, action: 'audit.damaged' }, { n: 7 }])
  })

  test('every entry that was said to be durable is there, after a power cut at any call to the disk', async () => {
    const { random } = createSeededChance(Number(process.env.HOLDFAST_SEED ?? 1))
    let cuts = 0
    for (let life = 0; life < Math.ceil(RUNS / 100); life++) {
      const disk: CrashDisk = createCrashDisk()
      const told: number[] = []
      disk.onCall = () => {
        const left = disk.crash(randomFates(random))
        const due = [...told]
        const again = open(left, SMALL)
        const found = entriesOf(left).map(({ n }) => n)
        expect(found).toEqual(expect.arrayContaining(due.filter((n) => n >= (found[0] as number))))
        expect(verifyAudit(left, 'audit')).toMatchObject({ intact: true, head: again.head() })
        cuts++
        return undefined
      }
      const audit = open(disk, SMALL)
      for (let turn = 0; turn < 20; turn++) {
        const size = 1 + Math.floor(random() * 4)
        const batch = Array.from({ length: size }, () => audit.append({ actor: 'a', action: 'send', session: 's' }))
        for (const { n } of await Promise.all(batch)) told.push(n)
      }
    }
    expect(cuts).toBeGreaterThan(100)
  })

  test('what the disk refused is not there for anybody: AUDIT_FAILED from then on, until it is opened again', async () => {
    const disk = createCrashDisk()
    const audit = open(disk)
    const first = await audit.append({ actor: 'a', action: 'send' })
    disk.onCall = failAt(disk.callCount + 1, 'EIO')
    const codes = await Promise.all(
      [1, 2].map(() => audit.append({ actor: 'a', action: 'send' }).catch((error) => error.code)),
    )
    expect(codes).toEqual(['AUDIT_FAILED', 'AUDIT_FAILED'])
    await expect(audit.append({ actor: 'a', action: 'send' })).rejects.toMatchObject({ code: 'AUDIT_FAILED' })
    expect(audit.head()).toEqual(first)
    disk.onCall = undefined
    const after = disk.crash()
    expect(open(after).head()).toEqual(first)
    expect(verifyAudit(after, 'audit', first).intact).toBe(true)
  })
})
