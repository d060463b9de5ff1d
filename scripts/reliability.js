// The long forms of the named gates: `npm run reliability` runs all of them, one after the other, `npm run reliability -- R1 R7`
// some. `--runs N` takes another number than the long one, `--seed N` other chance, `--list` only says what there is.
// A gate is a test that `npm test` runs with a small number; this runs the same test with a large one, and prints one line.
// The line is what the test itself printed behind its name, such as `R1: 5,000,000 states …`; if it fails, all that it said.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs, stripVTControlCharacters } from 'node:util'

/** `runs` names the variable that holds the number, `long` the number; `tests` are files, `only` a part of their tests. */
const GATES = {
  R1: { says: 'power cuts at every call', tests: ['test/sim/crash.test.ts'], runs: 'HOLDFAST_RUNS', long: 1000 },
  R2: { says: 'power cuts in openings', tests: ['test/sim/recovery.test.ts'], runs: 'HOLDFAST_RUNS', long: 20_000 },
  R3: { says: 'kill -9 under load', tests: ['test/kill/kill.test.ts'], runs: 'HOLDFAST_KILLS', long: 10_000 },
  R4: { says: 'calls to the disk that fail', tests: ['test/sim/faults.test.ts'], runs: 'HOLDFAST_EVERY', long: 1 },
  R5: { says: 'syncs that fail', tests: ['test/sim/faults.test.ts'], runs: 'HOLDFAST_EVERY', long: 1 },
  R6: {
    says: 'a full disk',
    tests: ['test/files/disk-full.test.ts', 'test/sqlite/full.test.ts'],
    runs: 'HOLDFAST_FILLS',
    long: 100,
  },
  R7: { says: 'bit rot', tests: ['test/sim/rot.test.ts'], runs: 'HOLDFAST_EVERY', long: 1 },
  R8: { says: 'output commit', tests: ['test/sim/output-commit.test.ts'], runs: 'HOLDFAST_RUNS', long: 20_000 },
  R9: {
    says: 'one writer',
    tests: ['test/files/lock.test.ts', 'test/kill/one-writer.test.ts'],
    runs: 'HOLDFAST_RACES',
    long: 1000,
  },
  R10: {
    says: 'simulated hours',
    tests: ['test/sim/simulation.test.ts', 'test/sim/simulation-2.test.ts'],
    runs: 'HOLDFAST_SEEDS',
    long: 10_000,
  },
  R11: { says: 'timers rehydrated', tests: ['test/sim/timers.test.ts'], runs: 'HOLDFAST_RUNS', long: 10_000 },
  R12: {
    says: 'equal to XState',
    tests: ['', '-2', '-3', '-4'].map((part) => `test/sim/equivalence${part}.test.ts`),
    runs: 'HOLDFAST_RUNS',
    long: 100_000,
  },
  R17: { says: 'hostile steps', tests: ['test/piscina/hostile.test.ts'], runs: 'HOLDFAST_HOSTILE', long: 1000 },
  R18: { says: 'recorded results', tests: ['test/sim/results.test.ts'], runs: 'HOLDFAST_RUNS', long: 10_000 },
  'R1-sqlite': {
    says: 'power cuts under a database',
    ...{ tests: ['test/sqlite/cuts.test.ts'], only: 'a power cut' },
    ...{ runs: 'HOLDFAST_CUTS', long: 5000 },
  },
  'R3-sqlite': {
    says: 'kill -9 of a database',
    tests: ['test/sqlite/kill.test.ts'],
    ...{ runs: 'HOLDFAST_KILLS', long: 1000 },
  },
  'R4-sqlite': {
    says: 'calls of a database that fail',
    ...{ tests: ['test/sqlite/cuts.test.ts'], only: 'that fails' },
    ...{ runs: 'HOLDFAST_EVERY', long: 10 },
  },
  'R7-sqlite': {
    says: 'bit rot in a database',
    tests: ['test/sqlite/rot.test.ts'],
    ...{ runs: 'HOLDFAST_EVERY', long: 997 },
  },
  planning: {
    says: 'power cuts of planning sessions',
    tests: ['test/machines/planning/exactly-once.test.ts'],
    ...{ runs: 'HOLDFAST_RUNS', long: 500 },
  },
  'planning-kills': {
    says: 'kill -9 of planning sessions',
    ...{ tests: ['test/machines/planning/planning.test.ts'], only: 'calls to Linear' },
    ...{ runs: 'HOLDFAST_LINEAR_KILLS', long: 30 },
  },
  plans: {
    says: 'kill -9 of plans from the command line',
    tests: ['test/cli/resume.test.ts'],
    ...{ runs: 'HOLDFAST_PLAN_KILLS', long: 50 },
  },
  agent: {
    says: 'power cuts of conversations',
    tests: ['test/machines/agent/crash.test.ts'],
    ...{ runs: 'HOLDFAST_CUTS', long: 300 },
  },
  execution: {
    says: 'power cuts of execution sessions',
    tests: ['test/machines/execution/exactly-once.test.ts'],
    ...{ runs: 'HOLDFAST_RUNS', long: 500 },
  },
  'execution-kills': {
    says: 'kill -9 of execution sessions',
    tests: ['test/machines/execution/kills.test.ts'],
    ...{ runs: 'HOLDFAST_EXECUTION_KILLS', long: 30 },
  },
  workflow: {
    says: 'kill -9 of workflows',
    tests: ['test/machines/workflow/kill.test.ts'],
    runs: 'HOLDFAST_WORKFLOW_KILLS',
    long: 100,
  },
  delivery: {
    says: 'kill -9 of a tree of sessions',
    tests: ['test/examples/delivery.test.ts'],
    runs: 'HOLDFAST_CRASHES',
    long: 50,
  },
  R24: {
    says: 'requests that nobody would send',
    tests: ['test/http/fuzz.test.ts'],
    runs: 'HOLDFAST_FUZZ',
    long: 1_000_000,
  },
  follow: {
    says: 'kill -9 of a server that is followed',
    tests: ['test/http/follow.test.ts'],
    runs: 'HOLDFAST_FOLLOW_KILLS',
    long: 20,
  },
  R20: {
    says: 'clients that stall, throw, lose their connections and their server',
    tests: ['test/http/observers.test.ts'],
    ...{ runs: 'HOLDFAST_EVENTS', long: 1_000_000 },
  },
  R21: { says: 'hostile observers', tests: ['test/observers.test.ts'], runs: 'HOLDFAST_OBSERVERS', long: 100_000 },
}

const root = join(import.meta.dirname, '..')
const text = { type: 'string' }
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: text, seed: text, list: { type: 'boolean' } },
})
const unknown = positionals.filter((name) => !(name in GATES))
if (unknown.length > 0) {
  console.error(`${unknown.join(', ')}: no such gate; there are ${Object.keys(GATES).join(', ')}`)
  process.exit(2)
}

for (const [name, gate] of Object.entries(GATES)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  if (values.list) console.log(`${name.padEnd(15)} ${gate.says}: ${gate.runs}=${gate.long}  ${gate.tests.join(' ')}`)
  else if (!(await held(name, gate))) process.exitCode = 1
}

/** Runs one gate; tells whether it held. */
async function held(name, { says, tests, only, runs, long }) {
  const env = { ...process.env, [runs]: values.runs ?? String(long) }
  if (values.seed) env.HOLDFAST_SEED = values.seed
  const args = ['run', '--disable-console-intercept', '--reporter=dot', '--testTimeout=0', ...tests]
  const began = Date.now()
  const { code, output } = await vitest(only ? [...args, '-t', only] : args, env)
  const seconds = Math.round((Date.now() - began) / 1000)
  const [claim] = name.split('-')
  // The reporter's dots may stand before it.
  const lines = output.split('\n').map((line) => stripVTControlCharacters(line).replace(/^[·\s]+/, ''))
  const figures = lines.filter((line) => line.startsWith(`${claim}: `)).map((line) => line.slice(claim.length + 2))
  const what = figures.join('; ') || says
  console.log(`${name.padEnd(15)} ${code === 0 ? 'holds ' : 'FAILED'} ${runs}=${env[runs]}, ${seconds} s: ${what}`)
  if (code !== 0) console.log(output)
  return code === 0
}

function vitest(args, env) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(root, 'node_modules', 'vitest', 'vitest.mjs'), ...args], {
      ...{ cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        output += chunk
      })
    }
    child.on('close', (code) => resolve({ code, output }))
  })
}
