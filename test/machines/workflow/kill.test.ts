// Real kills at random moments of a workflow of ten commands and three iterations in a worktree: the repository ends as
// in an undisturbed run, no process is left, and no command is told to be done that was not. HOLDFAST_WORKFLOW_KILLS sets
// how many kills, HOLDFAST_SEED which moments.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openReader } from 'holdfast'
import type { SessionConfigInput, WorkflowContext } from 'holdfast/machines/workflow'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSeededChance } from '../../../src/testing/chance.js'
import { builtPackage } from '../../piscina/built.js'
import { gitIn, processesLeft, repositoryWith, subjects } from './repository.js'

const RUN = fileURLToPath(new URL('fixtures/run-workflow.js', import.meta.url))
const KILLS = Number(process.env.HOLDFAST_WORKFLOW_KILLS ?? 2)
const SEED = Number(process.env.HOLDFAST_SEED ?? 1)
/** A run is left alone after so many kills, so that it comes to an end. */
const KILLS_EACH = 12

let folder: string
beforeAll(() => {
  builtPackage()
  folder = mkdtempSync(join(tmpdir(), 'holdfast-workflow-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Each says when it begins and ends, in a file outside of the repository; none could run twice without that being seen. */
const COMMANDS = [
  'echo "line $HOLDFAST_ITERATION" >> notes.txt; sleep 0.2; echo "more $HOLDFAST_ITERATION" >> notes.txt',
  'tail -1 notes.txt >> "log.txt"; git add log.txt',
  'git commit --quiet -m "log $HOLDFAST_ITERATION"',
  'sleep 30 & sleep 0.15; wc -l < notes.txt >> counts.txt',
  'trap "" TERM; sleep 0.25; mkdir -p parts; echo "$HOLDFAST_ITERATION" > "parts/$HOLDFAST_ITERATION"',
  'git add --all; sleep 0.1; git commit --quiet -m "counts and parts $HOLDFAST_ITERATION"',
  'sed "s/^/>/" counts.txt > quoted.txt; sleep 0.1; cat quoted.txt >> counts.txt',
  'rm -f "parts/$((HOLDFAST_ITERATION - 1))"; sleep 0.1; git mv -f log.txt log.txt.old 2>/dev/null || true',
  'test ! -e log.txt.old || git mv log.txt.old log.txt; ls parts >> listing.txt',
  'sleep 0.1; git add --all; git commit --quiet -m "end of $HOLDFAST_ITERATION"',
]

interface Place {
  readonly dir: string
  readonly project: string
  readonly ledger: string
  readonly config: string
}

function newPlace(): Place {
  const root = mkdtempSync(join(folder, 'run-'))
  const project = repositoryWith(join(root, 'project'))
  const ledger = join(root, 'ledger')
  const note = (what: string, index: number): string => `echo "${what} $HOLDFAST_ITERATION.${index} $$" >> '${ledger}'`
  const config: SessionConfigInput = {
    project_path: project,
    workflow: COMMANDS.map((shell, index) => ({
      shell: `${note('begin', index)}; ${shell}; ${note('end', index)}`,
      name: `c${index}`,
      kill_grace_ms: 200,
    })),
    execution_mode: { type: 'worktree', name: 'work' },
    max_iterations: 3,
    options: { auto_merge: true },
  }
  mkdirSync(join(root, 'data'))
  return { dir: join(root, 'data'), project, ledger, config: JSON.stringify(config) }
}

interface End {
  readonly value: string
  readonly state: { readonly type: string; readonly summary?: unknown }
  readonly events: readonly { readonly type: string; readonly command?: string; readonly number?: number }[]
}

/** A life of the process; ends by itself, or by SIGKILL so many ms after it is ready, or after it was started. */
function live(
  { dir, config }: Place,
  kill?: { readonly ms: number; readonly ready: boolean },
): Promise<End | undefined> {
  const child = spawn(process.execPath, [RUN, dir, config], { stdio: ['ignore', 'pipe', 'inherit'] })
  let end: End | undefined
  const strike = (): void => void setTimeout(() => child.kill('SIGKILL'), kill?.ms)
  if (kill && !kill.ready) strike()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('ready ') && kill?.ready) strike()
    if (line.startsWith('end ')) end = JSON.parse(line.slice(4)) as End
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.stdout.on('close', () => resolve(end))
  })
}

const linesOf = (path: string): string[] => readFileSync(path, { encoding: 'utf8', flag: 'a+' }).trim().split('\n')

/** Of the commands that are told, each has come to its end before; and no two runs of one were there at once. */
async function expectHonest(place: Place): Promise<string> {
  if (!existsSync(join(place.dir, 'holdfast.json'))) return ''
  const reader = await openReader({ dir: place.dir })
  const [entry] = reader.list().sessions
  const { log } = (entry ? reader.state(entry.id).context : { log: [] }) as unknown as WorkflowContext
  const ended = linesOf(place.ledger).filter((line) => line.startsWith('end'))
  let iteration = 0
  for (const { event } of log.flat()) {
    if (event.type === 'IterationStarted') iteration = event.number
    if (event.type !== 'CommandExecuted') continue
    const id = `${iteration}.${event.command.slice(1)}`
    expect(
      ended.some((line) => line.split(' ')[1] === id),
      `${id} is told to be done`,
    ).toBe(true)
  }
  return entry?.id ?? ''
}

function expectNoOverlap({ ledger }: Place): void {
  let running = ''
  for (const line of linesOf(ledger)) {
    const [what = '', id = '', pid = ''] = line.split(' ')
    if (what === 'begin') running = `${id} ${pid}`
    else expect(`${id} ${pid}`, 'whoever ends is who began last').toBe(running)
  }
}

const contentOf = ({ project }: Place) => ({
  tree: gitIn(project, 'rev-parse', 'HEAD^{tree}'),
  subjects: subjects(project),
  status: gitIn(project, 'status', '--porcelain'),
  worktrees: gitIn(project, 'worktree', 'list', '--porcelain')
    .split('\n')
    .filter((line) => line.startsWith('worktree ')).length,
  branches: gitIn(project, 'branch', '--format=%(refname:short)'),
  rescued: gitIn(project, 'for-each-ref', 'refs/holdfast'),
})

const told = ({ value, state, events }: End) => ({
  value,
  files: (state.summary as { files_changed: number }).files_changed,
  lines: (state.summary as { lines_added: number }).lines_added,
  events: events.map(({ type, command = '', number = '' }) => `${type} ${command}${number}`),
})

test(`after ${KILLS} kills a workflow ends as one that was left alone`, { timeout: 3_600_000 }, async () => {
  const chance = createSeededChance(SEED)
  const undisturbed = newPlace()
  const expected = await live(undisturbed)
  expect(expected?.value).toBe('completed')
  expect(contentOf(undisturbed).subjects).toContain('counts and parts 3')
  let [kills, runs, again] = [0, 0, 0]
  const at = new Map<string, number>()
  for (; kills < KILLS; runs++) {
    const place = newPlace()
    let end: End | undefined
    let session = ''
    for (let lives = 0; !end; lives++) {
      const isLast = lives >= KILLS_EACH || kills >= KILLS
      const ready = chance.random() < 0.85
      end = await live(place, isLast ? undefined : { ms: chance.random() * (ready ? 2_000 : 700), ready })
      if (!end) kills++
      session = await expectHonest(place)
      if (end) continue
      const last = linesOf(place.ledger).at(-1) ?? ''
      const where =
        last === '' ? 'before the first command' : last.startsWith('begin') ? 'within a command' : 'between commands'
      at.set(where, (at.get(where) ?? 0) + 1)
    }
    expect(processesLeft(session), 'processes left').toEqual([])
    expect(contentOf(place), `seed ${SEED}`).toEqual(contentOf(undisturbed))
    expect(told(end)).toEqual(told(expected as End))
    expectNoOverlap(place)
    again += linesOf(place.ledger).filter((line) => line.startsWith('begin')).length - 30
  }
  const places = [...at].map(([where, count]) => `${count} ${where}`).join(', ')
  console.log(`workflow: ${kills} kills in ${runs} runs (${places}), ${again} commands run again; seed ${SEED}`)
  expect(kills).toBeGreaterThanOrEqual(KILLS)
})
