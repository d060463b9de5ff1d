// Lives many seeds of the simulation: `npm run simulate -- --seeds 10000`; or one again: `npm run simulate -- --seed 17`.
// `--from N` begins elsewhere. It is test/sim/simulation.test.ts and simulation-2 with other numbers, and ends as they do.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const root = join(import.meta.dirname, '..')
const text = { type: 'string' }
const { values } = parseArgs({ options: { seed: text, seeds: text, from: text } })
const { seed, seeds = '10000', from = '1' } = values
const env = { ...process.env, HOLDFAST_SEEDS: seed ? '1' : seeds, HOLDFAST_SEED: seed ?? from }
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const halves = ['test/sim/simulation.test.ts', ...(seed ? [] : ['test/sim/simulation-2.test.ts'])]
const args = [vitest, 'run', ...halves, '-t', 'every invariant holds']
const { status } = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' })
process.exitCode = status ?? 1
