// The tree of sessions of the examples, from a document to commits: left alone with tickets in a file, then beside a Linear on the
// loopback interface killed at random moments and at random calls to it, and cancelled in the middle. HOLDFAST_CRASHES sets how many kills, HOLDFAST_SEED which moments.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { openReader } from 'holdfast'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSeededChance } from '../../src/testing/chance.js'
import { KEY, TEAM, TicketServer } from '../machines/execution/linear-server.js'
import { gitIn, processesLeft, repositoryWith, subjects } from '../machines/workflow/repository.js'
import { builtPackage } from '../piscina/built.js'

const EXAMPLE = resolve(import.meta.dirname, '../../examples/delivery.js')
const CRASHES = Number(process.env.HOLDFAST_CRASHES ?? 2)
const SEED = Number(process.env.HOLDFAST_SEED ?? 25)
/** A delivery is left alone after so many kills, so that it comes to an end. */
const CRASHES_EACH = 10
const STORIES = ['story-1', 'story-2', 'story-3']

let folder: string
beforeAll(() => {
  builtPackage()
  folder = mkdtempSync(join(tmpdir(), 'holdfast-delivery-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Place {
  readonly dir: string
  readonly project: string
  readonly linear: TicketServer
  readonly url: string
}

async function newPlace(): Promise<Place> {
  const root = mkdtempSync(join(folder, 'run-'))
  const linear = new TicketServer()
  const url = await linear.listen()
  return { dir: join(root, 'data'), project: repositoryWith(join(root, 'project')), linear, url }
}

interface Life {
  readonly code: number | null
  readonly lines: readonly string[]
}

/** A life of the process; `meanwhile` may end it. */
function live({ dir, project, url }: Place, meanwhile?: (child: ChildProcess, line: string) => void): Promise<Life> {
  const env = { ...process.env, HOLDFAST_DIR: dir, LINEAR_API_URL: url, LINEAR_API_KEY: KEY, LINEAR_TEAM_ID: TEAM }
  const child = spawn(process.execPath, [EXAMPLE, project], { stdio: ['ignore', 'pipe', 'inherit'], env })
  const lines: string[] = []
  meanwhile?.(child, '')
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    meanwhile?.(child, line)
  })
  return new Promise((ended, failed) => {
    child.on('error', failed)
    child.on('close', (code) => ended({ code, lines }))
  })
}

async function sessionsOf({ dir }: Place) {
  if (!existsSync(join(dir, 'holdfast.json'))) return []
  const reader = await openReader({ dir })
  return reader.list().sessions.map((entry) => ({ ...entry, state: reader.state(entry.id) }))
}

/** What there is at the end, told without ids, which are other ones each time. */
async function contentOf(place: Place) {
  const { project, linear } = place
  const sessions = await sessionsOf(place)
  const titles = new Map(linear.made.map(({ id, title }) => [id, title]))
  return {
    sessions: sessions.map(({ kind, parent, status, value }) => [kind, parent?.child, status, value]).sort(),
    issues: linear.made.map(({ title, parentId = '' }) => [title, titles.get(parentId)]).sort(),
    modifications: sessions.flatMap(({ kind, state }) =>
      kind === 'execution' ? [(state.context as { counts: unknown }).counts] : [],
    ),
    branches: gitIn(project, 'branch', '--format=%(refname:short)'),
    worktrees: STORIES.map((name) => ({
      subjects: subjects(project, `holdfast/${name}`),
      tree: gitIn(project, 'rev-parse', `holdfast/${name}^{tree}`),
      status: gitIn(`${project}-worktrees/${name}`, 'status', '--porcelain'),
      ticket: titles.get(gitIn(project, 'log', '-1', '--format=%(trailers:key=Ticket,valueonly)', `holdfast/${name}`)),
    })),
    rescued: gitIn(project, 'for-each-ref', 'refs/holdfast'),
  }
}

async function expectNothingRuns(place: Place): Promise<void> {
  for (const { id, kind } of await sessionsOf(place)) expect(processesLeft(id), `processes of a ${kind}`).toEqual([])
}

/** The stories of the document, each through its states once. */
function expectDelivered({ linear }: Place, { code, lines }: Life): void {
  expect(code).toBe(0)
  expect(lines.filter((line) => line.includes(': Completed on '))).toHaveLength(3)
  const stories = linear.made.filter(({ parentId }) => linear.issues.get(parentId ?? '')?.parentId !== undefined)
  expect(stories).toHaveLength(3)
  for (const { identifier } of stories) {
    const acts = ['state state-progress', 'state state-done'].map((act) => `${identifier} ${act}`)
    expect(linear.acts.filter((act) => act.startsWith(identifier))).toEqual(acts)
  }
  expect(linear.acts).toHaveLength(6)
  for (const { id } of stories) expect(linear.ticket(id)?.stateId).toBe('state-done')
}

test('without an account, a document becomes tickets in a file, and each a commit on a branch', async () => {
  const cwd = mkdtempSync(join(folder, 'local-'))
  const env = { ...process.env, LINEAR_API_KEY: '', HOLDFAST_DIR: '.holdfast' }
  const { stdout } = await promisify(execFile)(process.execPath, [EXAMPLE], { cwd, env })
  const lines = stdout.trim().split('\n')
  expect(lines.slice(-3)).toEqual(
    [3, 4, 5].map((id, n) => `LOCAL-${id}: Completed on holdfast/${STORIES[n]}, 1 commits`),
  )
  for (const name of STORIES)
    expect(subjects(join(cwd, 'delivery-example'), `holdfast/${name}`)).toEqual(['A beginning', name])
  const changes = readFileSync(join(cwd, '.holdfast/tickets.jsonl'), 'utf8').trim().split('\n')
  expect(
    changes
      .map((line) => JSON.parse(line))
      .map(({ of, to }) => `${of} ${to}`)
      .sort(),
  ).toEqual(['LOCAL-3', 'LOCAL-4', 'LOCAL-5'].flatMap((id) => [`${id} done`, `${id} in_progress`]))
})

test(`after ${CRASHES} kills a delivery ends as one that was left alone`, { timeout: 3_600_000 }, async () => {
  const chance = createSeededChance(SEED)
  const undisturbed = await newPlace()
  const began = performance.now()
  expectDelivered(undisturbed, await live(undisturbed))
  const lifeMs = performance.now() - began
  const calls = undisturbed.linear.calls.length
  const expected = await contentOf(undisturbed)
  expect(expected.issues).toHaveLength(5)
  expect(expected.sessions).toHaveLength(6)
  await undisturbed.linear.close()

  const at = new Map<string, number>()
  let [kills, runs] = [0, 0]
  for (; kills < CRASHES; runs++) {
    const place = await newPlace()
    let life: Life
    let lives = 0
    do {
      const isLast = lives >= CRASHES_EACH || kills >= CRASHES
      const [ms, call] = [chance.random() * lifeMs, Math.ceil(chance.random() * calls)]
      const [byTime, unheard] = [chance.random() < 0.5, chance.random() < 0.5]
      lives++
      life = await live(place, (child, line) => {
        if (line !== '' || isLast) return
        if (byTime) return void setTimeout(() => child.kill('SIGKILL'), ms)
        let left = call
        place.linear.faultOf = () => {
          if (--left !== 0) return undefined
          child.kill('SIGKILL')
          return unheard ? 'cut off' : 'lost answer'
        }
      })
      place.linear.faultOf = () => undefined
      if (life.code === null) {
        kills++
        const root = (await sessionsOf(place)).find(({ kind }) => kind === 'delivery')
        const where = JSON.stringify(root?.value ?? 'before it began')
        at.set(where, (at.get(where) ?? 0) + 1)
      }
    } while (life.code === null)
    expectDelivered(place, life)
    expect(await contentOf(place), `seed ${SEED}`).toEqual(expected)
    await expectNothingRuns(place)
    await place.linear.close()
  }
  const places = [...at].map(([where, count]) => `${count} ${where}`).join(', ')
  console.log(`delivery: ${kills} kills in ${runs} runs (${places}), each as undisturbed; seed ${SEED}`)
  expect(kills).toBeGreaterThanOrEqual(CRASHES)
})

test('cancelled in the middle, in a life after a kill, all of its tree ends, and no process is left', async () => {
  const place = await newPlace()
  const hook = join(place.project, '.git/hooks/pre-commit')
  const begun = `${place.dir}-begun`
  writeFileSync(hook, `#!/bin/sh\necho $$ >> '${begun}'\nsleep 600\n`)
  chmodSync(hook, 0o755)
  const commits = (): number => readFileSync(begun, { encoding: 'utf8', flag: 'a+' }).split('\n').length - 1
  /** As soon as a commit is under way, one more than before, in a process that hears of it. */
  const strike = async (signal: NodeJS.Signals): Promise<Life> => {
    const before = commits()
    return live(place, (child, line) => {
      if (!line.startsWith('delivery ')) return
      const watch = setInterval(() => {
        if (commits() === before) return
        clearInterval(watch)
        child.kill(signal)
      }, 20)
      child.on('exit', () => clearInterval(watch))
    })
  }
  expect((await strike('SIGKILL')).code).toBe(null)
  const { code, lines } = await strike('SIGINT')
  expect(code).toBe(0)
  expect(lines.at(-1)).toBe('cancelled')
  const sessions = await sessionsOf(place)
  expect(sessions.map(({ kind, status }) => `${kind} ${status}`).sort()).toEqual([
    'delivery stopped',
    'execution stopped',
    'planning stopped',
    ...STORIES.map(() => 'workflow stopped'),
  ])
  await expectNothingRuns(place)
  for (const name of STORIES) expect(subjects(place.project, `holdfast/${name}`)).toEqual(['begin'])
  expect(place.linear.acts.some((act) => act.endsWith('state-done'))).toBe(false)
  await place.linear.close()
})
