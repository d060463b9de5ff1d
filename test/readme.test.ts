// Every TypeScript snippet of the README and of docs/ compiles under strict settings against the built package, and runs.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
// Inside the project, so that the package finds itself by its own name, as a user's does in node_modules.
const PLACE = join(ROOT, '.readme')
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
/** While it waits for a process, this one cannot be told that its time is over. */
const LONGEST_MS = 600_000

interface Snippet {
  readonly page: string
  readonly group: string
  readonly file: string
  readonly code: string
}

const pages = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)]

/** Snippets, by the comment in front of them; the first line of one may name its file. */
const snippets: readonly Snippet[] = pages.flatMap((page) => {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(/(?:<!-- test: ([\w ]+) -->\n)?```ts\n([\s\S]*?)```/g)].map(([, group, code]) => ({
    page,
    group: (group ?? '').replaceAll(' ', '-'),
    file: /^\/\/ ([\w-]+\.ts)$/m.exec((code as string).split('\n')[0] as string)?.[1] ?? 'index.ts',
    code: code as string,
  }))
})

beforeAll(() => {
  rmSync(PLACE, { recursive: true, force: true })
  const written: string[] = []
  const write = (group: string, file: string, code: string): void => {
    mkdirSync(join(PLACE, group), { recursive: true })
    writeFileSync(join(PLACE, group, file), code)
    written.push(join(group, file))
  }
  for (const { group, file, code } of snippets) write(group, file, code)
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    types: ['node'],
  }
  writeFileSync(join(PLACE, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: written }))
  execFileSync(process.execPath, [tsc, '-p', PLACE], { stdio: 'pipe', encoding: 'utf8', timeout: LONGEST_MS })
})
afterAll(() => rmSync(PLACE, { recursive: true, force: true }))

const run = (group: string): string =>
  execFileSync(process.execPath, ['index.js'], { cwd: join(PLACE, group), encoding: 'utf8', timeout: LONGEST_MS })

const groupsOf = (kind: 'README' | 'docs'): string[] => [
  ...new Set(snippets.filter(({ page }) => page.startsWith(kind)).map(({ group }) => group)),
]

test('every TypeScript snippet belongs to a group that is run', () => {
  expect(groupsOf('README').sort()).toEqual(['children', 'quick-start', 'references', 'steps', 'testing', 'versions'])
  expect(groupsOf('docs')).not.toContain('')
})

/** What a snippet says that it prints, behind its `console.log`. */
const said = (group: string): string[] =>
  snippets
    .filter((snippet) => snippet.group === group)
    .flatMap(({ code }) =>
      [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, comment]) => comment as string),
    )

test.each(groupsOf('docs'))('of docs/, the snippet of %s prints what its comments say', (group) => {
  expect(said(group)).not.toEqual([])
  expect(run(group).trim().split('\n')).toEqual(said(group))
})

test('the quick start prints what its comments say', () => {
  const printed = run('quick-start')
  expect(printed).toContain("{ approvals: [ 'ada', 'grace' ] }")
  expect(printed.split('\n')[0]).toBe('1 xstate.init waiting → waiting')
})

test('the child session takes each message once, and its output comes to the parent', () => {
  expect(run('children').trim()).toBe('bank.teller 3')
})

test('a child without an id is in the context, and answers whoever asks it', () => {
  expect(run('references').trim()).toBe('[{"xstate$$type":1,"id":"x:2.0","incarnation":2}]')
})

test('the step runs in a worker thread and gives its result', () => {
  expect(run('steps').trim()).toBe('First')
})

test('the check of a kind passes, and tells what it had', () => {
  expect(run('testing')).toMatch(/^200 lives, \d+ crashes, \d+ of them with work in flight\n$/)
})

test('holdfast itself does not load fast-check', () => {
  const without = (thrown: string): string => `import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(\`export function resolve(name, context, next) {
      if (name === 'fast-check') throw Object.assign(new Error('fast-check is loaded'), { code: '${thrown}' })
      return next(name, context)
    }\`))
    await import('holdfast')
    const failed = await import('holdfast/testing').then(() => false, (error) => error.message)
    console.log(failed)`
  const node = (code: string): string =>
    execFileSync(process.execPath, ['--input-type=module', '-e', code], {
      cwd: ROOT,
      encoding: 'utf8',
      timeout: LONGEST_MS,
    })
  expect(node(without('HOOK')).trim()).toBe('fast-check is loaded')
  expect(node(without('ERR_MODULE_NOT_FOUND')).trim()).toBe(
    'holdfast/testing needs the package fast-check: npm install --save-dev fast-check',
  )
})

test('versions', () => {
  expect(run('versions')).toBe('[]\n')
})
