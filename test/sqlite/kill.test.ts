// R3 for a database: real processes, killed from outside while they open it, migrate, append, take snapshots, compact and close.
// What was acknowledged is there afterwards, whole, and nothing that was never sent. HOLDFAST_KILLS sets how many kills; by
// default 20.
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundled } from '../kill/bundle.js'
import { type Death, Directory, type Ready } from '../kill/directory.js'

const KILLS = Number(process.env.HOLDFAST_KILLS ?? 20)
const KILLS_EACH = 20
const PLACES: readonly Death['place'][] = [
  'append',
  'opening',
  'snapshot',
  'compaction',
  'migration',
  'shutdown',
  'anywhere',
]

let script: { readonly folder: string; readonly file: string }
beforeAll(async () => {
  script = await bundled(new URL('../kill/victim.ts', import.meta.url))
})
afterAll(() => rmSync(script.folder, { recursive: true, force: true }))

test(`nothing acknowledged is lost from a database over ${KILLS} kills, and nothing is invented`, async () => {
  const died = new Map<string, number>()
  const ready: Ready[] = []
  let [kills, whole, lives, directories] = [0, 0, 0, 0]
  while (kills < KILLS) {
    const directory = new Directory({ script: script.file, sessions: 200, number: directories++, database: true })
    try {
      while (kills < KILLS && directory.kills < KILLS_EACH) {
        const place = PLACES[lives++ % PLACES.length] as Death['place']
        const where = await directory.live({ place, calls: 0 }, ready)
        if (where === undefined) whole++
        else kills++
        if (where !== undefined) died.set(where, (died.get(where) ?? 0) + 1)
      }
      await directory.examine()
    } finally {
      directory.remove()
    }
  }
  const told = [...died].sort().map(([where, count]) => `${count} ${where}`)
  console.log(`R3: a database: ${kills} kills (${told.join(', ')}), ${whole} processes ended by themselves`)
  expect(
    [...died.keys()].some((where) => where.endsWith('work')),
    'some die at work',
  ).toBe(true)
  expect(
    [...died.keys()].some((where) => where.endsWith('opening')),
    'some die while they open it',
  ).toBe(true)
}, 600_000)
