// R1, R4 and R5 for a database: the power is cut at any call of SQLite's to its files, and any of these calls fails, once or from
// then on. A process that lives with a database is watched below SQLite (`fixtures/watch.c`, which takes a C compiler: without one
// these are skipped); what a power cut leaves at a moment of its life is opened, and has to hold what it had told by then.
// HOLDFAST_CUTS sets how many moments are looked at, HOLDFAST_EVERY that each so-many-eth call fails, HOLDFAST_SEED the rest.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRuntime } from 'holdfast'
import { sqlite } from 'holdfast/sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSeededChance } from '../../src/testing/chance.js'
import { bundled } from '../kill/bundle.js'
import {
  type Call,
  callsIn,
  compiled,
  type Life,
  live,
  note,
  quiet,
  type Told,
  Volume,
  type Watched,
} from './watched.js'

const CUTS = Number(process.env.HOLDFAST_CUTS ?? 24)
const EVERY = Number(process.env.HOLDFAST_EVERY ?? 300)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const { random } = createSeededChance(SEED)

const library = compiled()
let watched: Watched
let root: string
let remove = (): void => {}
beforeAll(async () => {
  if (!library) return
  const { folder, file } = await bundled(new URL('./watched-life.ts', import.meta.url))
  root = mkdtempSync(join(tmpdir(), 'holdfast-watched-'))
  watched = { script: file, library: library.file }
  remove = () => {
    for (const one of [folder, root]) rmSync(one, { recursive: true, force: true })
    library.remove()
  }
})
afterAll(() => remove())

function lifeOf(rounds: number, strike?: string): Life {
  const folder = mkdtempSync(join(root, 'life-'))
  return { folder, trace: `${folder}.trace`, rounds, ...(strike !== undefined && { strike }) }
}

/** What is there is whole, holds what was told, and goes on. */
async function mustHold(folder: string, told: Told, what: string): Promise<void> {
  const opening = openRuntime({
    ...{ storage: sqlite({ path: join(folder, 'test.db') }), kinds: [note], pool: 'inline', logger: quiet },
  })
  await expect(opening, what).resolves.toBeDefined()
  await using runtime = await opening
  expect(runtime.health(), what).toMatchObject({ status: 'ok', damage: [], parked: [] })
  for (const [id, { acknowledged, asked }] of told) {
    if (acknowledged < 0 && !runtime.sessions.list().sessions.some((entry) => entry.id === id)) continue
    const { count } = runtime.session(id, note).snapshot().context
    expect(count, `${what}: ${id}`).toBeGreaterThanOrEqual(acknowledged)
    expect(count, `${what}: ${id}`).toBeLessThanOrEqual(asked)
    await runtime.session(id, note).send({ type: 'write', text: '' })
  }
}

/** Moments of a trace: of so many of the spans between two syncs one each, and all where something was just told to be there. */
function momentsIn(calls: readonly Call[], count: number, from: number): Set<number> {
  const spans: number[][] = [[]]
  const moments = new Set<number>()
  let found = false
  for (const [index, call] of calls.entries()) {
    if (index < from) continue
    if (call.op === 'said') {
      found ||= call.words[0] === 'found'
      continue
    }
    if (found) moments.add(index)
    found = false
    spans.at(-1)?.push(index)
    if (call.op === 'sync') spans.push([])
  }
  for (const span of spans) {
    const one = span[Math.floor(random() * span.length)]
    if (one !== undefined && random() < count / spans.length) moments.add(one)
  }
  return moments
}

/** The power is cut at moments of a trace, and what is left is opened; gives how many. */
async function cutAt(calls: readonly Call[], count: number, what: string, from = 0): Promise<number> {
  const volume = new Volume()
  const moments = momentsIn(calls, count, from)
  for (const [index, call] of calls.entries()) {
    if (moments.has(index)) {
      const folder = volume.cut(random)
      await mustHold(folder, volume.told, `${what}, cut before call ${index}, a ${call.op}; seed ${SEED}`)
      rmSync(folder, { recursive: true, force: true })
    }
    volume.follow(call)
  }
  return moments.size
}

const toDisk = (calls: readonly Call[]): number => calls.filter(({ op }) => op !== 'said').length
const countOf = (calls: readonly Call[], op: string, file: string): number =>
  calls.filter((call) => call.op === op && call.op !== 'said' && call.file === file).length

test.runIf(library)(
  'a power cut at any call to a database leaves what was told, whatever of the rest',
  { timeout: 0 },
  async () => {
    const calm = lifeOf(16)
    expect(live(watched, [calm])).toBe(null)
    const calls = callsIn(calm.trace)
    expect(calls).toContainEqual({ op: 'said', words: ['closed', 'ok'] })
    // The log has come round: it was written from its beginning more than once.
    const begun = calls.filter((call) => call.op === 'write' && call.file === 'log' && call.at === 0).length
    expect(begun).toBeGreaterThan(1)
    let cuts = await cutAt(calls, CUTS / 2, 'a calm life')
    // A process that is killed leaves what is not synced to be read by the next one, which tells what it finds.
    const syncs = countOf(calls, 'sync', 'log')
    const KILLS = 2
    for (let kill = 0; kill < KILLS; kill++) {
      const nth = Math.ceil(random() * syncs)
      const life = lifeOf(16, `sync log ${nth} die 0`)
      expect(live(watched, [life])).toBe('SIGKILL')
      const before = callsIn(life.trace).length
      expect(live(watched, [{ ...life, strike: '', rounds: 4 }])).toBe(null)
      const both = callsIn(life.trace)
      cuts += await cutAt(both, CUTS / 2 / KILLS, `killed at sync ${nth}`, before)
    }
    console.log(
      `R1: a database: ${cuts} power cuts in lives of ${toDisk(calls)} calls, ${syncs} syncs of the log; each held what was told`,
    )
    expect(cuts).toBeGreaterThan(CUTS / 3)
  },
)

const EIO = 5
const ENOSPC = 28

test.runIf(library)(
  'a call to a database that fails is told by a code, and nothing is lost; in a power cut, neither',
  { timeout: 0 },
  async () => {
    const calm = lifeOf(8)
    live(watched, [calm])
    const calls = callsIn(calm.trace)
    const lives: Life[] = []
    let [met, tried] = [0, 0]
    for (const op of ['write', 'truncate', 'sync', 'remove'] as const) {
      for (const file of ['database', 'log']) {
        for (let nth = 1; nth <= countOf(calls, op, file); nth++) {
          for (const how of ['once', 'on']) {
            for (const code of op === 'write' ? [EIO, ENOSPC] : [EIO]) {
              // Syncs are few, and what fails there matters most.
              if (tried++ % (op === 'sync' ? Math.ceil(EVERY / 30) : EVERY) === 0)
                lives.push(lifeOf(8, `${op} ${file} ${nth} ${how} ${code}`))
            }
          }
        }
      }
    }
    expect(live(watched, lives)).toBe(null)
    const codes = new Map<string, number>()
    for (const { folder, trace, strike } of lives) {
      const done = callsIn(trace)
      const failed = done.findIndex(({ op }) => op === 'failed')
      if (failed < 0) continue
      met++
      const refusals = done.flatMap((call) =>
        call.op === 'said' && call.words[0] === 'refused' ? [call.words[1] ?? ''] : [],
      )
      for (const code of refusals) codes.set(code, (codes.get(code) ?? 0) + 1)
      for (const code of refusals)
        expect(code, strike).toMatch(/^(OUTCOME_UNKNOWN|JOURNAL_FAILED|READ_ONLY|DISK_FAILED|DISK_FULL)$/)
      const volume = new Volume()
      for (const call of done) volume.follow(call)
      await mustHold(folder, volume.told, `${strike}`)
      const cut = volume.cut(random)
      await mustHold(cut, volume.told, `${strike}, and then a power cut; seed ${SEED}`)
      rmSync(cut, { recursive: true, force: true })
    }
    const said = [...codes]
      .sort()
      .map(([code, count]) => `${count} ${code}`)
      .join(', ')
    console.log(
      `R4: a database: ${met} of ${tried} failing calls tried, ${said}; each held what was told, after a power cut too`,
    )
    expect(met).toBeGreaterThan(lives.length / 2)
    expect(codes.get('OUTCOME_UNKNOWN')).toBeGreaterThan(0)
  },
)
