// Whatever story is lived on a database, reopened and compacted on the way, is the one that is lived in memory without a pause:
// the same answers, the same sessions, the same transitions at the same times. HOLDFAST_RUNS sets how many stories.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { isHoldfastError, type Runtime } from 'holdfast'
import { expect, test } from 'vitest'
import { createInlinePool } from '../../src/inline/pool.js'
import { createMemoryJournal } from '../../src/memory/journal.js'
import { createMemorySnapshots } from '../../src/memory/snapshots.js'
import { createRuntime } from '../../src/runtime.js'
import { sqliteStorage } from '../../src/sqlite/storage.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { createVirtualClock, type VirtualClock } from '../../src/testing/clock.js'
import { busy } from '../sim/busy.js'
import { newFolder, quiet, worldOf } from './opened.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 25)

const EVENTS = ['add', 'pause', 'resume', 'finish', 'echo', 'later', 'fail', 'nonsense'] as const

const id = fc.constantFrom('a', 'b', 'c')
const act = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('create' as const), id }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('send' as const), id, type: fc.constantFrom(...EVENTS) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('note' as const), id, text: fc.string({ maxLength: 3000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('together' as const), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reopen' as const), compacted: fc.boolean() }) },
)
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never

const said = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => (typeof value === 'object' && value !== null && 'seq' in value ? value.seq : 'done'),
    (error: unknown) => (isHoldfastError(error) ? error.code : String(error)),
  )

/** One act, and what it was answered. */
async function live(runtime: Runtime, clock: VirtualClock, one: Act): Promise<unknown> {
  const session = (name: string) => runtime.session(name, busy)
  const attempt = async (run: () => Promise<unknown>): Promise<unknown> => said((async () => run())())
  if (one.do === 'create') return attempt(() => runtime.create(busy, undefined, { id: one.id }))
  if (one.do === 'send') return attempt(() => session(one.id).send({ type: one.type } as never))
  if (one.do === 'note') return attempt(() => session(one.id).send({ type: 'note', text: one.text }))
  if (one.do === 'delete') return attempt(() => session(one.id).delete())
  if (one.do === 'together')
    return Promise.all(['add', 'echo', 'add'].map((type) => attempt(() => session(one.id).send({ type } as never))))
  if (one.do === 'advance') await clock.advance(one.ms)
  return undefined
}

/** All that can be seen of what is there; where a record is, and how far back they are kept, is each storage's own. */
function seen(runtime: Runtime): unknown {
  return runtime.sessions.list().sessions.map((entry) => {
    const { position: _, birth: __, ...rest } = entry as unknown as Record<string, unknown>
    const { position: ___, ...snapshot } = runtime.session(entry.id).snapshot() as unknown as Record<string, unknown>
    return JSON.parse(JSON.stringify([rest, snapshot]))
  })
}

function transitions(runtime: Runtime): Map<string, unknown[]> {
  const all = new Map<string, unknown[]>()
  for (const { id: name } of runtime.sessions.list().sessions) {
    try {
      const history = [...runtime.session(name).history()]
      all.set(
        name,
        history.map(({ seq, at, event, from, to }) => JSON.parse(JSON.stringify({ seq, at, event, from, to }))),
      )
    } catch (error) {
      if (!isHoldfastError(error, 'HISTORY_UNAVAILABLE')) throw error
      const { first } = error.details as { first?: number }
      const history = first === undefined ? [] : [...runtime.session(name).history({ from: first })]
      all.set(
        name,
        history.map(({ seq, at, event, from, to }) => JSON.parse(JSON.stringify({ seq, at, event, from, to }))),
      )
    }
  }
  return all
}

test(`a story on a database is the story in memory: ${RUNS} of them`, { timeout: 0 }, async () => {
  let [acts, reopenings, records] = [0, 0, 0]
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 10, maxLength: 60, size: 'max' }), async (acted) => {
      const story: Act[] = [{ do: 'create', id: 'a' }, { do: 'create', id: 'b' }, ...acted]
      const folder = newFolder()
      const begin = (clock: VirtualClock) => ({
        clock,
        chance: createSeededChance(1),
        pool: createInlinePool({ clock }),
      })
      const [one, two] = [createVirtualClock(), createVirtualClock()]
      const options = { kinds: [busy], logger: quiet }
      const open = (): Promise<Runtime> => {
        const storage = sqliteStorage({ path: join(folder, 'story.db'), portionBytes: 1 })
        const { ports, damage } = storage.open(worldOf(quiet, one), {})
        return createRuntime({ ...begin(one), ...ports }, { ...options, damage })
      }
      let stored = await open()
      const inMemory = { journal: createMemoryJournal(two), snapshots: createMemorySnapshots() }
      const remembered = await createRuntime({ ...begin(two), ...inMemory }, options)
      try {
        for (const step of story) {
          acts++
          expect(await live(stored, one, step)).toEqual(await live(remembered, two, step))
          if (step.do !== 'reopen') continue
          reopenings++
          if (step.compacted) await stored.compact({ keepBytes: 0 })
          records += stored.health().journal.records
          await stored.close()
          stored = await open()
          expect(stored.health()).toMatchObject({ parked: [], damage: [] })
        }
        expect(seen(stored)).toEqual(seen(remembered))
        const all = transitions(remembered)
        for (const [name, kept] of transitions(stored)) {
          const whole = all.get(name) ?? []
          expect(kept).toEqual(whole.slice(whole.length - kept.length))
        }
        records += stored.health().journal.records
      } finally {
        await Promise.all([stored.close(), remembered.close()])
        rmSync(folder, { recursive: true, force: true })
      }
    }),
    { numRuns: RUNS, ...(process.env.HOLDFAST_SEED && { seed: Number(process.env.HOLDFAST_SEED) }) },
  )
  console.log(
    `a database and memory: ${RUNS} stories, ${acts} acts, ${records} records, ${reopenings} reopenings: the same`,
  )
  expect(records).toBeGreaterThan(RUNS * 5)
})
