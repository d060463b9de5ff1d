// The package as it is published, in a project of somebody's own: what `npm pack` puts into it type-checks and runs there,
// with the settings that the README names. Its dependencies are those of this project: nothing is downloaded.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

const APP = `
import { type Session, defineSession, openReader, openRuntime } from 'holdfast'
import { planning } from 'holdfast/machines/planning'
import { setup } from 'xstate'

const machine = setup({ types: { events: {} as { type: 'go'; by: string } } }).createMachine({
  initial: 'a',
  states: { a: { on: { go: 'b' } }, b: { type: 'final' } },
})
const kind = defineSession({ kind: 'k', version: 1, machine })
await using runtime = await openRuntime({ dir: 'data', kinds: [kind, planning] })
const session: Session<typeof machine> = await runtime.create(kind)
session.transitions$().subscribe(({ event }) => { if (event.type === 'go') console.log(event.by.toUpperCase()) })
await session.send({ type: 'go', by: 'ada' })
await session.result()
console.log(openReader({ dir: 'data' }).stats().done)
`

let home: string
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-package-'))
  const packing = ['pack', '--ignore-scripts', '--silent', '--pack-destination', home]
  const tarball = execFileSync('npm', packing, { cwd: ROOT, encoding: 'utf8' }).trim().split('\n').at(-1) as string
  const modules = join(home, 'node_modules')
  mkdirSync(join(modules, 'holdfast'), { recursive: true })
  execFileSync('tar', ['xzf', join(home, tarball), '-C', join(modules, 'holdfast'), '--strip-components=1'])
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(modules, 'holdfast', 'package.json'), 'utf8'))
  for (const name of [...Object.keys({ ...dependencies, ...peerDependencies }), '@types/node']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  writeFileSync(join(home, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(home, 'app.ts'), APP)
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

/** What the compiler says; empty when it has nothing to say. */
function compile(compilerOptions: object): string {
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['app.ts'] }))
  try {
    return execFileSync(process.execPath, [tsc, '-p', home], { encoding: 'utf8' })
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

/** The files that an import loads, in a process of its own: modules as a hook hears of them, and CommonJS, which it does not. */
function modulesOf(name: string): string[] {
  const hooks = `export async function load(url, context, next) { process._rawDebug(url); return next(url, context) }`
  const script = `
    import { createRequire, register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hooks)}))
    await import(${JSON.stringify(name)})
    process._rawDebug(Object.keys(createRequire(import.meta.url).cache).join('\\n'))`
  const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: home,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return [...new Set(stderr.split('\n').map((line) => line.replace(/^file:\/\//, '')))]
}

test('with the settings of the README, and every declaration checked, it compiles; and what comes out runs', () => {
  const [, text = ''] = /`tsconfig\.json`:\n\n```json\n([\s\S]*?)```/.exec(README) ?? []
  const { compilerOptions } = JSON.parse(text)
  expect(compilerOptions).toMatchObject({ target: 'es2022', module: 'nodenext', strict: true })
  expect(compile({ ...compilerOptions, skipLibCheck: false })).toBe('')
  expect(execFileSync(process.execPath, ['app.js'], { cwd: home, encoding: 'utf8' })).toBe('ADA\n1\n')
})

test('a fresh project that names no types and no library but the target compiles as well', () => {
  const bare = { target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false }
  expect(compile(bare)).toBe('')
})

test.each([
  ['holdfast', 30],
  ['holdfast/machines/agent', 60],
])('an import of %s loads fewer than %i of the two hundred modules of rxjs', (name, fewer) => {
  const loaded = modulesOf(name).filter((file) => file.includes('node_modules/rxjs/'))
  expect(loaded.length).toBeGreaterThan(0)
  expect(loaded.length, loaded.join('\n')).toBeLessThan(fewer)
})

test('what a worker thread loads for the steps of a workflow has no schemas, and no other package', () => {
  const steps = join(ROOT, 'dist/machines/workflow/steps.js')
  const loaded = modulesOf(steps)
  expect(loaded).toContain(steps)
  expect(loaded.filter((file) => file.includes('node_modules'))).toEqual([])
})

test('an import of holdfast loads at most eight packages of others', () => {
  const packageOf = (file: string) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []
  const packages = new Set(modulesOf('holdfast').flatMap(packageOf))
  packages.delete('holdfast')
  expect(packages).toContain('xstate')
  expect(packages.size, [...packages].join()).toBeLessThanOrEqual(8)
})

test('no dependency runs anything when it is installed', () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { hasInstallScript?: boolean }>
  }
  expect(Object.keys(packages).length).toBeGreaterThan(100)
  expect(Object.keys(packages).filter((name) => packages[name]?.hasInstallScript)).toEqual([])
})
