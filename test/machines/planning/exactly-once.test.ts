// A plan becomes issues in Linear exactly once, whatever crashes when: the shipped runtime on a disk that loses what was not
// synced, under a virtual clock, with the real steps and the real SDK, against a Linear that remembers every call. The power
// is cut at calls to the disk and at calls to Linear, before they act and after; Linear itself fails, limits and loses
// answers meanwhile. HOLDFAST_RUNS sets how many cuts there are at least, HOLDFAST_SEED which.

import { AsyncLocalStorage } from 'node:async_hooks'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { planning } from 'holdfast/machines/planning'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Session } from '../../../src/handle.js'
import { createSeededChance } from '../../../src/testing/chance.js'
import { turn } from '../../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk } from '../../../src/testing/disk.js'
import { openWorld, randomFates, START_MS, type World } from '../../../src/testing/world.js'
import { type Fault, KEY, LinearServer, TEAM } from './linear-server.js'

const CUTS = Number(process.env.HOLDFAST_RUNS ?? 100)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const DOCUMENT = `# Shop

## Epic: Payments

### Feature: Cards

#### Story: Pay by card (5 points)

Labels: mobile, pci

#### Story: Refund

Depends on Pay by card

### Enabler: PCI scope

## Epic: Delivery

### Story: Track a parcel

Priority: high
`
/** Of each item, the title of the one above. */
const PARENTS: Readonly<Record<string, string | undefined>> = {
  Payments: undefined,
  Delivery: undefined,
  Cards: 'Payments',
  'Pay by card': 'Cards',
  Refund: 'Cards',
  'PCI scope': 'Payments',
  'Track a parcel': 'Delivery',
}

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-exactly-once-'))
  writeFileSync(join(dir, 'shop.md'), DOCUMENT)
  vi.stubEnv('LINEAR_API_KEY', KEY)
  vi.stubEnv('LINEAR_TEAM_ID', TEAM)
})
afterAll(() => {
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
  // Otherwise every promise of the files after this one costs twice as much, since they share its process.
  lives.disable()
  rmSync(dir, { recursive: true, force: true })
})

/** A process, from its beginning to its end or to a cut. */
interface Life {
  over: boolean
  /** How many points of it are left before the cut; counted from its first call to Linear on, if `waits`. */
  left: number
  waits: boolean
  cut: (() => void) | undefined
}
const lives = new AsyncLocalStorage<Life>()

/** Counts a point of the life that reaches it; at the last one the power is cut. */
function point(): void {
  const life = lives.getStore()
  if (life === undefined || life.over || life.waits || --life.left > 0) return
  life.over = true
  life.cut?.()
}

const never = new Promise<never>(() => {})

/** Whoever has died makes no call, and hears no answer. */
const fetchOf = (linear: LinearServer) => async (url: unknown, init: RequestInit) => {
  const life = lives.getStore()
  if (life) life.waits = false
  point()
  if (life?.over) return never
  const answer = await linear.fetch(url, init).catch((error: unknown) => error as Error)
  point()
  if (life?.over) return never
  if (answer instanceof Error) throw answer
  return answer
}

interface Ended {
  readonly disk: CrashDisk
  readonly nowMs: number
  readonly session?: Session<typeof planning.machine>
}

async function live(disk: CrashDisk, nowMs: number, cutAfter: number, random: () => number): Promise<Ended> {
  const steps = await import('../../../machines/planning/steps.js')
  const life: Life = { over: false, left: cutAfter, waits: random() < 0.7, cut: undefined }
  let world: World | undefined
  const dying = new Promise<Ended>((resolve) => {
    life.cut = () => resolve({ disk: disk.crash(randomFates(random)), nowMs: world?.clock.now() ?? nowMs })
  })
  const whole = lives.run(life, async (): Promise<Ended> => {
    world = await openWorld({ disk, kinds: [planning], nowMs, steps: () => ({ ...steps }), onPoint: point })
    const input = { title: 'Shop', source: 'shop.md', baseDir: dir, tracker: 'linear' } as const
    const session = await world.runtime.create(planning, input, { idempotencyKey: 'shop' })
    while (!life.over && session.snapshot().value !== 'completed') {
      // Where Linear has failed too often, somebody starts it again, and it goes on.
      if (session.snapshot().value === 'failed') await session.send({ type: 'setStatus', status: 'pending' })
      if (session.snapshot().value === 'pending') await session.send({ type: 'start' })
      await turn()
      await world.clock.advance(20)
    }
    if (life.over) return never
    return { disk, nowMs: world.clock.now(), session }
  })
  whole.catch(() => {}) // of a life that is over, whatever it still says
  return Promise.race([dying, whole])
}

const FAULTS: readonly Fault[] = ['unavailable', 'lost answer', 'rate limit', 'cut off']

const name = `over ${CUTS} cuts and a Linear that fails, every item is one issue, under its parent, and none is lost`
test(name, { timeout: 3_600_000 }, async () => {
  const chance = createSeededChance(SEED)
  const random = (): number => chance.random()
  let [cuts, faults, waits, chains] = [0, 0, 0, 0]
  const cutIn = new Map<string, number>()
  for (; cuts < CUTS; chains++) {
    const linear = new LinearServer()
    linear.resetMs = 5_000
    linear.faultOf = () => {
      if (random() > 0.06) return undefined
      faults++
      return FAULTS[Math.floor(random() * FAULTS.length)]
    }
    vi.stubGlobal('fetch', fetchOf(linear))
    let ended: Ended = { disk: createCrashDisk(), nowMs: START_MS }
    for (let life = 0; ended.session === undefined; life++) {
      expect(life, 'lives of one chain').toBeLessThan(40)
      const calls = linear.calls.length
      const cutAfter = life < 6 ? 1 + Math.floor(random() * 70) : Number.POSITIVE_INFINITY
      ended = await live(ended.disk, ended.nowMs, cutAfter, random)
      if (ended.session !== undefined) break
      cuts++
      const last = linear.calls.length > calls ? (linear.calls.at(-1)?.field ?? '') : 'no call'
      cutIn.set(last, (cutIn.get(last) ?? 0) + 1)
    }
    waits += linear.calls.filter(({ outcome }) => outcome === 'Rate limit exceeded').length
    expectWhole(linear, ended.session)
  }
  console.log(
    `${cuts} cuts in ${chains} chains, ${faults} failures of Linear, ${waits} limits; cut after ${JSON.stringify(Object.fromEntries(cutIn))}`,
  )
  for (const field of ['no call', 'issues', 'issueCreate', 'issueUpdate'])
    expect(cutIn.get(field) ?? 0, field).toBeGreaterThan(0)
})

function expectWhole(linear: LinearServer, session: Ended['session']): void {
  const { value, context } = session?.snapshot() ?? {}
  expect([value, context?.errors], JSON.stringify(context?.errors)).toEqual(['completed', []])
  const byId = new Map(linear.made.map((issue) => [issue.id, issue]))
  expect(linear.made.map(({ title }) => title).sort()).toEqual(Object.keys(PARENTS).sort())
  for (const { title, parentId } of linear.made) expect(byId.get(parentId ?? '')?.title, title).toBe(PARENTS[title])
  expect(
    [...linear.relations.values()].map(({ issueId, relatedIssueId }) => [
      byId.get(issueId)?.title,
      byId.get(relatedIssueId)?.title,
    ]),
  ).toEqual([['Pay by card', 'Refund']])
  const { epics = {}, features = {}, stories = {}, enablers = {} } = context?.result ?? {}
  const ids = [epics, features, stories, enablers].flatMap((map) => Object.values(map))
  expect([...ids].sort()).toEqual([...byId.keys()].sort())
  const names = [...linear.labels.values()].map(({ name }) => name)
  expect(names.length).toBe(new Set(names).size)
  // What Linear acted on, it acted on once; a creation that came again was refused.
  const acted = linear.callsTo('issueCreate').filter(({ outcome }) => outcome === 'ok' || outcome === 'lost answer')
  expect(new Set(acted.map(({ variables }) => variables.input.id)).size).toBe(7)
}
