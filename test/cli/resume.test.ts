// `holdfast plan`, killed with SIGKILL at random moments and resumed until it is done: the plan and its ids are those of an
// undisturbed run, and every issue exists exactly once. HOLDFAST_PLAN_KILLS sets how many kills (default 6),
// HOLDFAST_SEED which moments.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openReader } from 'holdfast'
import { beforeAll, expect, test } from 'vitest'
import { createSeededChance } from '../../src/testing/chance.js'
import { DOCUMENTS, type Ended, envelopeIn, holdfast, newFolder, type Running, start } from './command.js'

const KILLS = Number(process.env.HOLDFAST_PLAN_KILLS ?? 6)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
const LANES = 3
/** A directory is left alone after so many kills, so that it comes to its end. */
const KILLS_EACH = 6
const DOCUMENT = join(DOCUMENTS, 'outline.md')
const PACE_MS = '40'

interface Undisturbed {
  readonly plan: unknown
  readonly issues: readonly Issue[]
  readonly ms: number
}

interface Issue {
  readonly id: string
  readonly title: string
  readonly parentId?: string
  readonly clientId: string
}

let undisturbed: Undisturbed
beforeAll(async () => {
  const dir = newFolder()
  const begun = performance.now()
  const ended = await plan(dir).ended
  undisturbed = { plan: planIn(ended), issues: issuesIn(dir), ms: performance.now() - begun }
  expect(undisturbed.issues).toHaveLength(12)
})

const plan = (dir: string, ...args: string[]): Running =>
  start(['plan', DOCUMENT, '--pace', PACE_MS, '--dir', dir, '-o', 'json', ...args])

function planIn(ended: Ended): unknown {
  expect(ended.code, ended.stderr + ended.stdout).toBe(0)
  return envelopeIn(ended).data.plan
}

const issuesIn = (dir: string): Issue[] => JSON.parse(readFileSync(join(dir, 'tracker.json'), 'utf8')).issues

/** What is the same in every run: everything but the clientId, which comes from the session's id. */
const shapeOf = (issues: readonly Issue[]): unknown[] => issues.map(({ clientId: _, ...issue }) => issue)

/** Where a session stood when its process was killed. */
const NOTHING = 'no record'

/** Read in this process: a command for each kill would take longer than what was killed. */
function placeOf(dir: string): string {
  if (!existsSync(join(dir, 'holdfast.json'))) return NOTHING
  const reader = openReader({ dir })
  try {
    const [session] = reader.list().sessions
    return session ? JSON.stringify(reader.state(session.id).value).replace(/.*"(\w+)".*/, '$1') : NOTHING
  } finally {
    reader.close()
  }
}

/** At a random moment of a whole life, or of the work on issues. */
async function killSomewhere({ child, said, ended }: Running, random: () => number): Promise<void> {
  if (random() < 0.4) await Promise.race([said(random() < 0.6 ? 'Creating' : 'Linking').catch(() => {}), ended])
  await Promise.race([sleep(random() * undisturbed.ms * 0.7), ended])
  child.kill('SIGKILL')
}

test(`the plan is the same after ${KILLS} kills, each resumed, and every issue exists once`, async () => {
  const places: Record<string, number> = {}
  let [kills, lives] = [0, 0]

  /** One directory from its first run to its end. */
  async function life(): Promise<void> {
    const dir = newFolder()
    const { random } = createSeededChance(SEED * 1000 + lives++)
    let place = NOTHING
    for (let here = 0; ; ) {
      const running = place === NOTHING ? plan(dir) : plan(dir, '--resume')
      if (kills < KILLS && here < KILLS_EACH) await killSomewhere(running, random)
      const ended = await running.ended
      if (ended.code !== null) {
        expect(planIn(ended)).toEqual(undisturbed.plan)
        break
      }
      kills++
      here++
      place = placeOf(dir)
      places[place] = (places[place] ?? 0) + 1
      if (place === NOTHING) {
        const nothing = await plan(dir, '--resume').ended
        expect(nothing.code, nothing.stderr + nothing.stdout).toBe(3)
        expect(envelopeIn(nothing).error).toMatchObject({ code: 'SESSION_NOT_FOUND', hint: expect.any(String) })
      }
    }
    const issues = issuesIn(dir)
    expect(new Set(issues.map(({ clientId }) => clientId)).size).toBe(issues.length)
    expect(shapeOf(issues)).toEqual(shapeOf(undisturbed.issues))
    expect(planIn(await plan(dir, '--resume').ended)).toEqual(undisturbed.plan)
    const { sessions } = envelopeIn(await holdfast(['ls', '--all', '--dir', dir, '-o', 'json'])).data
    expect(sessions).toHaveLength(1)
  }

  const lane = async (): Promise<void> => {
    while (kills < KILLS) await life()
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  console.log(`killed ${kills} times, in: ${JSON.stringify(places)}`)
  expect(kills).toBeGreaterThanOrEqual(KILLS)
  // A test of kills that hit nothing would prove nothing.
  const inTheWork = (places.creatingIssues ?? 0) + (places.linkingHierarchy ?? 0)
  if (KILLS >= 20) expect(inTheWork).toBeGreaterThan(KILLS / 5)
}, 600_000)
