// One code, one voice: what several files refuse with is built in one place, and says the same at every door.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineSession, type HoldfastError } from 'holdfast'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { house } from './house.js'

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: readFileSync(join('src', path), 'utf8') }))

/** Every file in which a pattern is found, as often as it is. */
const placesOf = (pattern: RegExp): string[] =>
  sources.flatMap(({ path, text }) => [...text.matchAll(pattern)].map(() => path))

test.each([
  'SESSION_NOT_FOUND',
  'AMBIGUOUS_ID',
  'UNKNOWN_KIND',
  'RUNTIME_CLOSED',
  'RECORD_TOO_LARGE',
  'DECISION_FAILED',
])('%s is built in one place', (code) => {
  expect(placesOf(new RegExp(`new HoldfastError\\(\\s*'${code}'`, 'g'))).toEqual(['refusals.ts'])
})

test('what an id looks like is written down in one place', () => {
  // The names of principals may have more in them.
  expect(placesOf(/(?<!\.@-\])\{0,63\}(?!\$\/\.test\(kind)/g)).toEqual(['id.ts'])
})

const machine = setup({}).createMachine({ context: {}, on: { go: {} } })
const known = defineSession({ kind: 'known', version: 1, machine })
const foreign = defineSession({ kind: 'foreign', version: 1, machine })

const messageOf = async (act: () => unknown): Promise<string> => {
  try {
    await act()
  } catch (error) {
    return (error as HoldfastError).message
  }
  throw new Error('nothing was thrown')
}

test('a session that is not there, and a kind that is not, are told alike wherever they are met', async () => {
  const home = house([known, foreign])
  const before = await home.open()
  const session = await before.create(foreign)
  const gone = await before.create(known)
  await gone.delete()
  const absent = await Promise.all([
    messageOf(() => before.session(gone.id)),
    messageOf(() => before.sessions.find(gone.id)),
    messageOf(() => gone.snapshot()),
    messageOf(() => gone.send({ type: 'go' })),
  ])
  expect(new Set(absent)).toEqual(new Set([`there is no session ${gone.id}; list the sessions to see their ids`]))
  await before.close()
  await using runtime = await house([known], {}, home.disk).open()
  const why = 'kind "foreign" is not among those this runtime was opened with (known); add it to kinds'
  expect(await messageOf(() => runtime.create(foreign))).toBe(why)
  expect(await messageOf(() => runtime.session(session.id).send({ type: 'go' }))).toContain(why)
})
