// The rule of the rooms and the rule of the ports, on planted files: each wrong arrow and each way around a port is found,
// what only looks like one is not, and the real tree passes.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const project = join(import.meta.dirname, '..')
const planted: string[] = []

afterAll(() => {
  for (const folder of planted.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** Writes files into a new folder and returns it. */
function plant(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'arrows-'))
  planted.push(folder)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return folder
}

/** Runs the check: its exit code and its lines, faults first. */
function check(folder: string, ...flags: string[]): { code: number | null; faults: string[]; out: string } {
  const run = spawnSync(process.execPath, [join(project, 'scripts', 'arrows.js'), ...flags, folder], {
    encoding: 'utf8',
  })
  return { code: run.status, faults: run.stderr.split('\n').filter(Boolean), out: run.stdout.trim() }
}

describe('the rule of the rooms', () => {
  test('the real tree passes', () => {
    const { code, faults, out } = check(project)
    expect(faults).toEqual([])
    expect(out).toMatch(/^arrows: \d+ files, \d+ imports, 0 wrong$/)
    expect(code).toBe(0)
  })

  test('the ways that are open: root, own folder, wiring in open.ts and cli/, machines by name', () => {
    const folder = plant({
      'src/index.ts': `export { openRuntime } from './open.js'\nexport type { Clock } from './clock.js'\n`,
      'src/clock.ts': `export interface Clock { now(): number }\n`,
      'src/open.ts': `import { disk } from './files/disk.js'\nimport './piscina/pool.js'\nexport const openRuntime = disk\n`,
      'src/files/disk.ts': `import type { Clock } from '../clock.js'\nimport { b } from './b.js'\nimport { Low } from 'lowdb'\n`,
      'src/files/b.ts': `import { readFileSync } from 'node:fs'\nexport const b = readFileSync\n`,
      'src/piscina/pool.ts': `import { Piscina } from 'piscina'\nconst worker = new URL('./worker.js', import.meta.url)\n`,
      'src/durable.ts': `import { createActor } from 'xstate'\n`,
      'src/session.ts': `import type { Observable } from 'rxjs'\n`,
      'src/cli/main.ts': `import '../files/disk.js'\nimport 'commander'\nawait import('holdfast/machines/planning')\n`,
      'machines/planning/index.ts': `import { defineSession } from 'holdfast'\nimport { setup } from 'xstate'\nimport './machine.js'\n`,
      'machines/planning/machine.ts': `type Steps = typeof import('./steps.js')\n`,
    })
    expect(check(folder)).toMatchObject({ code: 0, faults: [] })
  })

  /** Each in a line of its own: they are looked at together, in one process. */
  const wrong: readonly (readonly [claim: string, file: string, line: string, says: string])[] = [
    [
      'a folder imports another',
      'src/files/a.ts',
      `import { m } from '../memory/m.js'`,
      'folders of src/ do not import',
    ],
    [
      'testing/ is no exception',
      'src/testing/a.ts',
      `export { m } from '../memory/m.js'`,
      'folders of src/ do not import',
    ],
    ['the root imports a folder', 'src/runtime.ts', `import '../src/files/a.js'`, 'the root of src/ imports no folder'],
    ['even a type', 'src/runtime.ts', `import type { A } from './files/a.js'`, 'the root of src/ imports no folder'],
    ['even when lazy', 'src/runtime.ts', `await import('./files/a.js')`, 'the root of src/ imports no folder'],
    [
      'even as a URL',
      'src/runtime.ts',
      `new URL('./files/a.js', import.meta.url)`,
      'the root of src/ imports no folder',
    ],
    [
      'even as the type of a module',
      'src/runtime.ts',
      `let a: typeof import('./files/a.js')`,
      'the root of src/ imports',
    ],
    ['an import ends in .ts', 'src/runtime.ts', `import './clock.ts'`, 'ends with `.js`'],
    ['an import ends in nothing', 'src/runtime.ts', `import './clock'`, 'ends with `.js`'],
    ['an import leaves src/', 'src/cli/main.ts', `import '../../scripts/build.js'`, 'leaves src/'],
    ['src/ imports a machine', 'src/open.ts', `import '../machines/planning/index.js'`, 'src/ never imports machines/'],
    ['src/ imports one by name', 'src/open.ts', `import 'holdfast/machines/planning'`, 'only cli/ may'],
    ['cli/ imports one by path', 'src/cli/main.ts', `import '../../machines/planning/index.js'`, 'src/ never imports'],
    ['src/ imports itself by name', 'src/cli/main.ts', `import { openRuntime } from 'holdfast'`, 'by path'],
    [
      'a machine imports src/',
      'machines/planning/index.ts',
      `import '../../src/define.js'`,
      'a machine imports its own',
    ],
    [
      'a machine imports another',
      'machines/planning/index.ts',
      `import '../agent/index.js'`,
      'a machine imports its own',
    ],
    [
      'by name, too',
      'machines/planning/index.ts',
      `import 'holdfast/machines/agent'`,
      'machines do not import each other',
    ],
    [
      'xstate elsewhere',
      'src/runtime.ts',
      `import type { AnyActor } from 'xstate'`,
      'xstate is imported by src/define.ts',
    ],
    ['a subpath of it', 'src/files/a.ts', `import { getNextSnapshot } from 'xstate/graph'`, 'xstate is imported by'],
    ['rxjs elsewhere', 'src/registry.ts', `import { map } from 'rxjs/operators'`, 'rxjs is imported by src/stream.ts'],
    ['a value of rxjs', 'src/session.ts', `import { Observable } from 'rxjs'`, 'only its types'],
    ['lowdb elsewhere', 'src/memory/a.ts', `import { Low } from 'lowdb'`, 'lowdb is imported by src/files/'],
    [
      'the lock elsewhere',
      'src/open.ts',
      `import { tryLock } from 'fs-native-extensions'`,
      'fs-native-extensions is imported by src/files/',
    ],
    [
      'piscina elsewhere',
      'src/pool.ts',
      `import Piscina, { move } from 'piscina'`,
      'piscina is imported by src/piscina/',
    ],
    [
      'by require',
      'src/open.ts',
      `createRequire(import.meta.url)('fs-native-extensions')`,
      'fs-native-extensions is imported by src/files/',
    ],
    ['the store elsewhere', 'src/session.ts', `import { createAtom } from '@xstate/store'`, 'by src/watched.ts only'],
    [
      'commander elsewhere',
      'src/open.ts',
      `import * as commander from 'commander'`,
      'commander is imported by src/cli/',
    ],
    ['ids elsewhere', 'src/runtime.ts', `import { uuidv7 } from 'uuidv7'`, 'uuidv7 is imported by src/system/'],
  ]
  let checked: ReturnType<typeof check>

  beforeAll(() => {
    const files: Record<string, string> = {}
    for (const [, file, line] of wrong) files[file] = `${files[file] ?? '// A planted file.\n\n'}${line}\n`
    checked = check(plant(files))
  })

  test.each(wrong)('%s', (_, file, line, says) => {
    const number = 3 + wrong.filter(([, other]) => other === file).findIndex(([, , other]) => other === line)
    const faults = checked.faults.filter((fault) => fault.startsWith(`${file}:${number}: `))
    expect(faults).toHaveLength(1)
    expect(faults[0]).toContain(says)
  })

  test('each of these is one fault, and a check that found any fails', () => {
    expect(checked.faults).toHaveLength(wrong.length)
    expect(checked.code).toBe(1)
  })

  test('an import that spans lines is found at the line of its name', () => {
    const { faults } = check(plant({ 'src/runtime.ts': `import {\n  type A,\n  b,\n} from\n  './files/a.js'\n` }))
    expect(faults[0]).toMatch(/^src\/runtime\.ts:5: /)
  })

  test('a circle is told once, in order; one of types, or through a lazy import, is none', () => {
    const folder = plant({
      'src/a.ts': `import { b } from './b.js'\nexport const a = b\n`,
      'src/b.ts': `import type { a } from './a.js'\nexport { c as b } from './c.js'\n`,
      'src/c.ts': `export const c = 1\nimport './a.js'\n`,
      'src/d.ts': `import type { E } from './e.js'\nexport const load = () => import('./e.js')\n`,
      'src/e.ts': `import './d.js'\n`,
    })
    expect(check(folder)).toEqual({
      code: 1,
      faults: ['src/c.ts:2: ./a.js: a circle: src/a.ts → src/b.ts → src/c.ts → src/a.ts'],
      out: 'arrows: 5 files, 7 imports, 1 wrong',
    })
  })

  test('what only looks like an import is none, and hides none that follows', () => {
    const text = [
      `// import 'lowdb'`,
      `/* import 'lowdb'`,
      `import 'lowdb' */`,
      'const template = `',
      "import 'lowdb'",
      "${x ? `it's ${'`'} import 'lowdb'` : { a: '}' }.a} import 'lowdb'",
      '`',
      `const quote = /['"\`/]/, path = a / b, more = "import 'lowdb'", escaped = 'it\\'s import "lowdb"'`,
      `const from = { import: from('lowdb') }, text = loader.import('lowdb')`,
      `import type from 'piscina'`,
    ]
    const { faults } = check(plant({ 'src/runtime.ts': text.join('\n') }))
    expect(faults).toEqual([expect.stringMatching(/^src\/runtime\.ts:10: piscina: /)])
  })

  test('--draw prints who imports whom, a room a line', () => {
    const folder = plant({
      'src/open.ts': `import './files/disk.js'\nimport './clock.js'\n`,
      'src/clock.ts': `import 'node:events'\n`,
      'src/files/disk.ts': `import 'lowdb'\nimport '../clock.js'\n`,
      'machines/planning/index.ts': `import { setup } from 'xstate'\nimport 'holdfast'\n`,
    })
    expect(check(folder, '--draw').out.split('\n')).toEqual([
      'machines/planning  →  holdfast, xstate',
      'src/files          →  src, lowdb',
      'src/open.ts        →  src, src/files',
    ])
  })
})

describe('the rule of the ports', () => {
  const ways: [expression: string, says: string, adapter: string][] = [
    ['Date.now()', 'clock.now', 'src/system'],
    ['new Date()', 'clock.now', 'src/system'],
    ['process.hrtime.bigint()', 'clock.now', 'src/system'],
    ['performance.now()', 'clock.now', 'src/system'],
    ['setTimeout(run, 5)', 'clock.setTimeout', 'src/system'],
    ['setInterval(run, 5)', 'clock.setTimeout', 'src/system'],
    ['setImmediate(run)', 'clock.soon', 'src/system'],
    ['AbortSignal.timeout(5)', 'clock.setTimeout', 'src/system'],
    ['globalThis.setTimeout(run, 5)', 'Name the global', 'src/system'],
    [`import('node:timers/promises')`, 'clock.setTimeout', 'src/system'],
    ['Math.random()', 'chance.random', 'src/system'],
    ['crypto.randomUUID()', 'chance.id', 'src/system'],
    [`import('node:crypto')`, 'chance.id', 'src/system'],
    [`import('node:fs')`, 'Disk port', 'src/files'],
    [`import('node:fs/promises')`, 'Disk port', 'src/files'],
    [`import('node:worker_threads')`, 'Pool port', 'src/piscina'],
    [`import('node:child_process')`, 'Pool port', 'src/piscina'],
  ]
  const inside = ['src', 'src/memory', 'machines/planning']
  let said: string[] = []

  beforeAll(() => {
    const folder = plant(
      Object.fromEntries(
        ways.flatMap(([expression, , adapter], way) =>
          [...inside, adapter].map((place) => [
            `${place}/way${way}.ts`,
            `export const planted = (run: () => void): unknown => [run, ${expression}]\n`,
          ]),
        ),
      ),
    )
    for (const settings of ['biome.json', 'lint', '.gitignore']) {
      cpSync(join(project, settings), join(folder, settings), { recursive: true })
    }
    const biome = join(project, 'node_modules', '@biomejs', 'biome', 'bin', 'biome')
    const flags = ['lint', '--max-diagnostics=none', '--colors=off']
    const run = spawnSync(process.execPath, [biome, ...flags], { cwd: folder, encoding: 'utf8' })
    said = (run.stdout + run.stderr).split(/^(?=(?:src|machines)\/)/m)
  })

  test.each(ways.map((way, index) => [...way, index] as const))(
    '%s is an error that says what to use instead, but in its adapter',
    (_, says, adapter, way) => {
      const about = (place: string): string =>
        said.filter((part) => part.startsWith(`${place}/way${way}.ts:1:`)).join('')
      for (const place of inside) expect(about(place)).toContain(says)
      expect(about(adapter)).toBe('')
    },
  )
})
