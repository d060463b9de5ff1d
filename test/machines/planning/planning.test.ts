// From a document to issues by the built package: real worker threads, real files, and real kills in the middle.

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { PlanningContext } from '../../../machines/planning/machine.js'
import type { Issue } from '../../../machines/planning/tracker.js'
import { createSeededChance } from '../../../src/testing/chance.js'
import { builtPackage } from '../../piscina/built.js'
import { KEY, LinearServer, TEAM } from './linear-server.js'

const SCRIPT = fileURLToPath(new URL('fixtures/run-plan.js', import.meta.url))
const KILLS = Number(process.env.HOLDFAST_PLANNING_KILLS ?? 4)
const LINEAR_KILLS = Number(process.env.HOLDFAST_LINEAR_KILLS ?? 4)
/** The calls that the kills aim at in turn; undefined is whichever comes. */
const AIMS = ['issueCreate', 'issueUpdate', undefined]

/** 2 epics, 4 features, 12 stories, 2 enablers. */
const DOCUMENT = [1, 2]
  .map((epic) => {
    const features = [1, 2].map((feature) => {
      const stories = [1, 2, 3].map((story) => `#### Story: Story ${epic}.${feature}.${story} (3 points)\n`)
      return `### Feature: Feature ${epic}.${feature}\n\n${stories.join('\n')}`
    })
    return `## Epic: Epic ${epic}\n\n${features.join('\n')}\n### Enabler: Enabler ${epic}\n`
  })
  .join('\n')
const ITEMS = 20

let dir: string
beforeEach(() => {
  builtPackage()
  dir = mkdtempSync(join(tmpdir(), 'holdfast-planning-'))
  writeFileSync(join(dir, 'plan.md'), `# Plan\n\n${DOCUMENT}`)
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

interface Outcome {
  ends: { value: unknown; context: PlanningContext; events: string[]; made: number }[]
  issues: Issue[]
}

interface Life {
  /** What it said before it ended. */
  lines: string[]
  /** Undefined when it was killed before. */
  outcome: Outcome | undefined
}

/** Runs the process, and kills it as soon as it has said a line that `kill` is waiting for. */
function live(args: readonly (string | number)[], kill: (line: string, count: number) => boolean): Promise<Life> {
  const child = spawn(process.execPath, [SCRIPT, dir, ...args.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const life: Life = { lines: [], outcome: undefined }
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('end ')) life.outcome = JSON.parse(line.slice(4)) as Outcome
    else if (kill(line, life.lines.push(line))) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.stdout.on('close', () => resolve(life))
  })
}

const never = (): boolean => false

/** Every item of the document is one issue of this session, under the right parent. */
function expectWholePlan({ ends, issues }: Outcome): void {
  expect(issues.map(({ id }) => id)).toEqual(issues.map((_, index) => `LOCAL-${index + 1}`))
  expect(issues).toHaveLength(ITEMS * ends.length)
  const byId = new Map(issues.map((issue) => [issue.id, issue]))
  const titles = new Set<string>()
  for (const [index, { value, context }] of ends.entries()) {
    expect([value, context.progress, context.errors]).toEqual(['completed', 100, []])
    const { epics, features, stories, enablers } = context.result as NonNullable<PlanningContext['result']>
    const ids = [epics, features, stories, enablers].map((map) => Object.values(map))
    expect(ids.map(({ length }) => length)).toEqual([2, 4, 12, 2])
    for (const id of ids.flat()) {
      const { title, parentId } = byId.get(id) as Issue
      titles.add(`${index} ${title}`)
      const number = title.split(' ')[1] as string
      const above = title.startsWith('Enabler')
        ? `Epic ${number}`
        : { 1: undefined, 2: `Epic ${number[0]}`, 3: `Feature ${number.slice(0, 3)}` }[number.split('.').length]
      expect(parentId && byId.get(parentId)?.title, title).toBe(above)
    }
  }
  expect(titles.size).toBe(ITEMS * ends.length)
}

test('a document becomes issues under their parents, step by step', async () => {
  const { lines, outcome } = await live([1, 0], never)
  expectWholePlan(outcome as Outcome)
  expect(outcome?.ends[0]?.events).toEqual([
    'xstate.init',
    'start',
    ...['fetch', 'parse', 'extract', 'createIssues', 'linkHierarchy'].map((step) => `xstate.done.actor.${step}`),
  ])
  expect(lines).toContain('progress createIssues 100')
  expect(lines).toContain('progress linkHierarchy 100')
})

test('several sessions at a time share the tracker, and each has issues of its own', async () => {
  const { outcome } = await live([4, 0], never)
  expectWholePlan(outcome as Outcome)
})

test(`killed up to ${KILLS} times while it creates and links, it makes each issue once, and repeats no step that had ended`, async () => {
  let outcome: Outcome | undefined
  const killedIn = new Set<string>()
  for (let life = 1; outcome === undefined; life++) {
    // After a dozen lines, or two, or three: sometimes that is in one step, sometimes in another.
    let killedAt = ''
    const ended = await live([2, 8], (line, count) => {
      const kills = life <= KILLS && count > (life * 13) % 40
      if (kills) killedAt ||= line
      return kills
    })
    outcome = ended.outcome
    if (!outcome) killedIn.add(killedAt.split(' ')[1] ?? '')
    expect(life).toBeLessThan(KILLS + 5)
  }
  expect(killedIn).toContain('createIssues')
  expectWholePlan(outcome)
  for (const { events } of outcome.ends) {
    const finished = events.filter((type) => type.startsWith('xstate.done'))
    expect(finished).toEqual([...new Set(finished)])
  }
})

test(`killed ${LINEAR_KILLS} times at calls to Linear, which remembers every call, it makes each issue once and loses none`, async () => {
  const { random } = createSeededChance(Number(process.env.HOLDFAST_SEED ?? 1))
  const fields = new Map<string, number>()
  for (let kills = 0, chain = 0; kills < LINEAR_KILLS; chain++) {
    const linear = new LinearServer()
    const url = await linear.listen()
    const folder = join(dir, `chain-${chain}`)
    mkdirSync(folder)
    writeFileSync(join(folder, 'plan.md'), `# Plan\n\n${DOCUMENT}`)
    let end: string | undefined
    for (let here = 0; end === undefined; here++) {
      const env = { ...process.env, LINEAR_API_URL: url, LINEAR_API_KEY: KEY, LINEAR_TEAM_ID: TEAM }
      const child = spawn(process.execPath, [SCRIPT, folder, '1', '0'], { stdio: ['ignore', 'pipe', 'inherit'], env })
      // At a call of each mutation, and at any call, in turn; before Linear acts on it, or after it did, but before anybody
      // has heard of it.
      const aim = AIMS[kills % AIMS.length]
      let left = here < 6 && kills < LINEAR_KILLS ? 1 + Math.floor(random() * (aim ? 8 : 30)) : Number.POSITIVE_INFINITY
      const before = random() < 0.5
      linear.faultOf = ({ field }) => {
        if (left > 0 && aim && field !== aim) return undefined
        if (--left > 0) return undefined
        if (left === 0) {
          kills++
          fields.set(field, (fields.get(field) ?? 0) + 1)
          child.kill('SIGKILL')
        }
        return before ? 'cut off' : 'lost answer'
      }
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (line.startsWith('end ')) end = line.slice(4)
      })
      await new Promise((resolve) => child.stdout.on('close', resolve))
      expect(here).toBeLessThan(12)
    }
    const [{ value, context }] = JSON.parse(end).ends as [Outcome['ends'][number]]
    expect([value, context.errors]).toEqual(['completed', []])
    const byId = new Map(linear.made.map((issue) => [issue.id, issue]))
    expect(linear.made).toHaveLength(ITEMS)
    expect(new Set(linear.made.map(({ title }) => title)).size).toBe(ITEMS)
    for (const { title, parentId = '' } of linear.made) {
      const number = title.split(' ')[1] as string
      const above =
        number.length === 1
          ? `Epic ${number}`
          : number.length === 3
            ? `Epic ${number[0]}`
            : `Feature ${number.slice(0, 3)}`
      expect(byId.get(parentId)?.title, title).toBe(title.startsWith('Epic') ? undefined : above)
    }
    const ids = Object.values(context.result as object).flatMap((map: object) => Object.values(map))
    expect(ids.sort()).toEqual([...byId.keys()].sort())
    await linear.close()
  }
  expect([...fields.keys()]).toEqual(expect.arrayContaining(AIMS.filter((aim) => aim !== undefined)))
}, 600_000)

test('an error from outside stops the step that runs: no issue is made after it', async () => {
  const { outcome } = await live([1, 60, 25], never)
  const { ends, issues } = outcome as Outcome
  expect(ends[0]?.value).toBe('failed')
  expect(ends[0]?.context.errors).toMatchObject([{ message: 'enough', timestamp: expect.any(String) }])
  expect(issues.length).toBeGreaterThanOrEqual(5)
  // One may be under way.
  expect(issues.length).toBeLessThanOrEqual((ends[0]?.made ?? 0) + 1)
  expect(issues.length).toBeLessThan(ITEMS)
})

test('a document that is not there fails the session with FILE_NOT_FOUND, from the worker to the context', async () => {
  rmSync(join(dir, 'plan.md'))
  const { outcome } = await live([1, 0], never)
  expect(outcome?.ends[0]).toMatchObject({
    value: 'failed',
    context: { errors: [{ code: 'FILE_NOT_FOUND', details: { step: 'fetch' }, timestamp: expect.any(String) }] },
  })
  expect(outcome?.issues).toEqual([])
})

test('importing the kind loads no parser, no tracker and none of its steps', async () => {
  const hooks = `
    import { writeSync } from 'node:fs'
    export async function load(url, context, next) {
      writeSync(1, url + '\\n')
      return next(url, context)
    }`
  const main = `
    import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}))
    await import('holdfast/machines/planning')`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', main], {
    cwd: fileURLToPath(new URL('../', builtPackage())),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  for await (const chunk of child.stdout) said += chunk
  const urls = said.split('\n').filter((url) => url !== '')
  expect(urls.some((url) => url.endsWith('machines/planning/machine.js'))).toBe(true)
  expect(
    urls.filter((url) =>
      /mdast|micromark|htmlparser2|linear|zod|node_modules\/ai\/|planning\/(steps|parse|extract|blocks|html)|machines\/(?!planning\/)/.test(
        url,
      ),
    ),
  ).toEqual([])
})
