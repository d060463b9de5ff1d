// Plants faults in the sources, one at a time, and runs the tests that must catch each; a fault that stays green is a hole.
// `node scripts/plant.js` plants all of test/planted.json, `node scripts/plant.js <name>…` some. Works on a copy of the tree.
// A test that only runs out of time has caught nothing, unless hanging is the sign of that fault (`"hangs": true`).
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const planted = JSON.parse(readFileSync(join(root, 'test', 'planted.json'), 'utf8'))
const names = process.argv.slice(2)
const chosen = names.length === 0 ? planted : planted.filter(({ name }) => names.includes(name))
const copy = mkdtempSync(join(tmpdir(), 'holdfast-plant-'))

for (const name of ['src', 'machines', 'test', 'examples', 'package.json', 'tsconfig.json', 'vitest.config.ts']) {
  cpSync(join(root, name), join(copy, name), { recursive: true })
}
// What is built stays as it is: workers and child processes of the tests run without the fault.
for (const name of ['node_modules', 'dist']) symlinkSync(join(root, name), join(copy, name))

/** The tests have long to themselves, for slow machines; what hangs of a fault is to be told soon. */
const HANGS_MS = 60_000
/** Of all tests of a fault; some that compute for minutes have no end of their own. */
const LONGEST_MS = 300_000
/** As vitest says it. */
const TIMEOUT = /(Test|Hook) timed out in \d+ms/

let missed = 0
try {
  for (const fault of chosen) {
    const outcome = plant(fault)
    const isCaught = outcome === 'caught' || (outcome === 'timed out' && fault.hangs === true)
    if (!isCaught) missed++
    console.log(`${outcome.padEnd(9)} ${fault.name}  (${fault.tests.join(', ')})`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(`${chosen.length - missed} of ${chosen.length} planted faults caught`)
process.exitCode = missed === 0 ? 0 : 1

/**
 * Caught when a named test fails; timed out when all that fails does so by taking too long; broken when no test could even
 * run; missed when all pass; unplanted when the text to replace is not there exactly once.
 */
function plant({ file, find, replace, tests }) {
  const path = join(copy, file)
  const source = readFileSync(path, 'utf8')
  if (source.split(find).length !== 2) return 'unplanted'
  writeFileSync(
    path,
    source.replace(find, () => replace),
  )
  try {
    return outcomeOf(tests)
  } finally {
    writeFileSync(path, source)
  }
}

function outcomeOf(tests) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const within = [`--testTimeout=${HANGS_MS}`, `--hookTimeout=${HANGS_MS}`]
  const args = [vitest, 'run', '--bail=1', ...within, '--reporter=json', `--outputFile=${report}`, ...tests]
  const { status, error } = spawnSync(process.execPath, args, { cwd: copy, stdio: 'ignore', timeout: LONGEST_MS })
  if (error?.code === 'ETIMEDOUT') return 'timed out'
  if (status === 0) return 'MISSED'
  const results = JSON.parse(readFileSync(report, 'utf8')).testResults.flatMap((result) => result.assertionResults)
  if (results.length === 0) return 'BROKEN'
  const failures = results.filter((result) => result.status === 'failed').flatMap((result) => result.failureMessages)
  return failures.length > 0 && failures.every((message) => TIMEOUT.test(message)) ? 'timed out' : 'caught'
}
