// Which lines of src/ the tests run (or of another folder: `--of machines/workflow`), whether in the process of the test, from
// the sources, or in a child process or a worker thread, from dist/. Prints a table, writes coverage/lcov.info, fails below 95%
// of the lines or with a failed test. `node scripts/coverage.js <filter>…` takes what `vitest run` takes. A process that is
// killed takes its counts with it.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { mergeProcessCovs } from '@bcoe/v8-coverage'
import { convert } from 'ast-v8-to-istanbul'
import { parseAstAsync, parseCLI, startVitest } from 'vitest/node'

const FLOOR_PERCENT = 95
const root = join(import.meta.dirname, '..')
const args = process.argv.slice(2)
const [, of = 'src'] = args.includes('--of') ? args.splice(args.indexOf('--of'), 2) : []
const folder = join(root, 'coverage')
const children = join(folder, 'children')
const inProcess = join(folder, 'coverage-final.json')
const built = pathToFileURL(join(root, 'dist', `${of}/`)).href

rmSync(folder, { recursive: true, force: true })
mkdirSync(children, { recursive: true })
const testsPass = await runTests()
const lines = new Map()
count(JSON.parse(readFileSync(inProcess, 'utf8')))
for (const script of scriptsOfChildren()) count(await converted(script))
for (const part of [inProcess, children]) rmSync(part, { recursive: true })
const passes = report()
process.exit(testsPass && passes ? 0 : 1)

/** The processes of the tests are counted by vitest. What they start writes its own counts into `children`. */
async function runTests() {
  process.env.HOLDFAST_CHILDREN_COVERAGE = children
  const { filter, options } = parseCLI(['vitest', 'run', ...args])
  const vitest = await startVitest('test', filter, {
    ...options,
    watch: false,
    setupFiles: [join(root, 'scripts', 'coverage-of-children.js')],
    coverage: { ...options.coverage, include: [`${of}/**/*.ts`], exclude: ['test/**'], enabled: true, clean: false },
  })
  await vitest.close()
  return !process.exitCode
}

function scriptsOfChildren() {
  let merged = { result: [] }
  for (const name of readdirSync(children)) {
    const ours = resultIn(readFileSync(join(children, name), 'utf8')).filter(({ url }) => url.startsWith(built))
    if (ours.length > 0) merged = mergeProcessCovs([merged, { result: ours }])
  }
  return merged.result
}

/** Nothing when the process was killed while it wrote. */
function resultIn(text) {
  try {
    return JSON.parse(text).result
  } catch {
    return []
  }
}

async function converted(coverage) {
  const file = fileURLToPath(coverage.url)
  const code = readFileSync(file, 'utf8')
  const sourceMap = JSON.parse(readFileSync(`${file}.map`, 'utf8'))
  sourceMap.sourcesContent = sourceMap.sources.map((source) => readFileSync(join(file, '..', source), 'utf8'))
  return convert({ code, coverage, sourceMap, ast: parseAstAsync(code) })
}

/** A line counts where a statement begins on it, and as often as the statement of it that ran most often. */
function count(files) {
  for (const { path, statementMap, s } of Object.values(files)) {
    const counts = lines.get(path) ?? new Map()
    lines.set(path, counts)
    for (const [id, { start }] of Object.entries(statementMap)) {
      counts.set(start.line, Math.max(counts.get(start.line) ?? 0, s[id]))
    }
  }
}

function report() {
  const rows = [...lines]
    .map(([path, counts]) =>
      rowOf(
        relative(root, path),
        [...counts].sort(([a], [b]) => a - b),
      ),
    )
    .filter(({ found }) => found > 0)
    .sort((a, b) => a.name.localeCompare(b.name, 'en'))
  const total = { name: `${of}/`, found: sum(rows, 'found'), hit: sum(rows, 'hit'), missed: [] }
  const width = Math.max(...rows.map(({ name }) => name.length))
  for (const { name, hit, found, missed } of [...rows, total]) {
    const percent = ((100 * hit) / found).toFixed(1)
    console.log(
      `${name.padEnd(width)}  ${`${hit}/${found}`.padStart(9)}  ${percent.padStart(5)}%  ${spans(missed)}`.trimEnd(),
    )
  }
  writeFileSync(join(folder, 'lcov.info'), rows.map(({ lcov }) => lcov).join(''))
  const enough = 100 * total.hit >= FLOOR_PERCENT * total.found
  if (!enough) console.log(`fewer than ${FLOOR_PERCENT}% of the lines of ${of}/ run`)
  return enough
}

function rowOf(name, counts) {
  const missed = counts.filter(([, times]) => times === 0).map(([line]) => line)
  const [found, hit] = [counts.length, counts.length - missed.length]
  const data = counts.map(([line, times]) => `DA:${line},${times}\n`).join('')
  return { name, found, hit, missed, lcov: `TN:\nSF:${name}\n${data}LF:${found}\nLH:${hit}\nend_of_record\n` }
}

/** `3-5,9`: lines that follow each other as one span. */
function spans(numbers) {
  const spans = []
  for (const number of numbers) {
    const last = spans.at(-1)
    if (last?.[1] === number - 1) last[1] = number
    else spans.push([number, number])
  }
  return spans.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(',')
}

function sum(rows, key) {
  return rows.reduce((total, row) => total + row[key], 0)
}
