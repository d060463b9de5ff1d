// A plan becomes issues in Linear exactly once, whatever crashes when: the shipped runtime on a disk that loses what was not
// synced, under a virtual clock, with the real steps and the real SDK, against a Linear that remembers every call. The power
// is cut at calls to the disk and at calls to Linear, before they act and after; Linear itself fails, limits and loses
// answers meanwhile. HOLDFAST_RUNS sets how many cuts there are at least, HOLDFAST_SEED which.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { planning } from 'holdfast/machines/planning'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import * as steps from '../../../machines/planning/steps.js'
import type { Session } from '../../../src/handle.js'
import { createSeededChance } from '../../../src/testing/chance.js'
import { turn } from '../../../src/testing/clock.js'
import type { World } from '../../../src/testing/world.js'
import { chain } from '../chain.js'
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
  rmSync(dir, { recursive: true, force: true })
})

type Planned = Session<typeof planning.machine>

/** Where Linear has failed too often, somebody starts the plan again, and it goes on. */
async function plan({ runtime, clock }: World, isOver: () => boolean): Promise<Planned> {
  const input = { title: 'Shop', source: 'shop.md', baseDir: dir, tracker: 'linear' } as const
  const session = await runtime.create(planning, input, { idempotencyKey: 'shop' })
  while (!isOver() && session.snapshot().value !== 'completed') {
    if (session.snapshot().value === 'failed') await session.send({ type: 'setStatus', status: 'pending' })
    if (session.snapshot().value === 'pending') await session.send({ type: 'start' })
    await turn()
    await clock.advance(20)
  }
  return session
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
    const session = await chain<Planned>({
      ...{ kinds: [planning], steps, random, work: plan },
      fetch: (url, init) => linear.fetch(url, init),
      called: () => linear.calls.at(-1)?.field ?? '',
      cut: (last) => {
        cuts++
        cutIn.set(last, (cutIn.get(last) ?? 0) + 1)
      },
    })
    waits += linear.calls.filter(({ outcome }) => outcome === 'Rate limit exceeded').length
    expectWhole(linear, session)
  }
  console.log(
    `${cuts} cuts in ${chains} chains, ${faults} failures of Linear, ${waits} limits; cut after ${JSON.stringify(Object.fromEntries(cutIn))}`,
  )
  for (const field of ['no call', 'issueCreate', 'issueUpdate', ...(CUTS < 500 ? [] : ['issues'])])
    expect(cutIn.get(field) ?? 0, field).toBeGreaterThan(0)
})

function expectWhole(linear: LinearServer, session: Planned): void {
  const { value, context } = session.snapshot()
  expect([value, context.errors], JSON.stringify(context.errors)).toEqual(['completed', []])
  const byId = new Map(linear.made.map((issue) => [issue.id, issue]))
  expect(linear.made.map(({ title }) => title).sort()).toEqual(Object.keys(PARENTS).sort())
  for (const { title, parentId } of linear.made) expect(byId.get(parentId ?? '')?.title, title).toBe(PARENTS[title])
  expect(
    [...linear.relations.values()].map(({ issueId, relatedIssueId }) => [
      byId.get(issueId)?.title,
      byId.get(relatedIssueId)?.title,
    ]),
  ).toEqual([['Pay by card', 'Refund']])
  const { epics = {}, features = {}, stories = {}, enablers = {} } = context.result ?? {}
  const ids = [epics, features, stories, enablers].flatMap((map) => Object.values(map))
  expect([...ids].sort()).toEqual([...byId.keys()].sort())
  const names = [...linear.labels.values()].map(({ name }) => name)
  expect(names.length).toBe(new Set(names).size)
  // What Linear acted on, it acted on once; a creation that came again was refused.
  const acted = linear.callsTo('issueCreate').filter(({ outcome }) => outcome === 'ok' || outcome === 'lost answer')
  expect(new Set(acted.map(({ variables }) => variables.input.id)).size).toBe(7)
}
