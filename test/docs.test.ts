// The pages of docs/ against the code: statecharts as the machines are, and every test that a table of promises names is there.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const pages = ['README.md', 'ARCHITECTURE.md', 'RELIABILITY.md', 'CONTRIBUTING.md']
if (existsSync(join(ROOT, 'docs'))) pages.push(...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`))

test('the statecharts of the docs are those of the machines', () => {
  const script = join(ROOT, 'scripts', 'diagrams.js')
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
  expect(status, stdout + stderr).toBe(0)
})

test.each(pages)('every file that %s names is there', (page) => {
  const text = readFileSync(join(ROOT, page), 'utf8')
  const named = [
    ...text.matchAll(/`((?:test|examples|scripts|docs|bench|machines|src)\/[\w./-]+\.(?:ts|js|md|json))`/g),
  ]
  const absent = named.map(([, path]) => path as string).filter((path) => !existsSync(join(ROOT, path)))
  expect(absent).toEqual([])
})
