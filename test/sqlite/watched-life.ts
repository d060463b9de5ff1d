// A process that lives with a database while `fixtures/watch.c` writes down each call to its files: it opens, says what it finds,
// works (with snapshots, a compaction and a log that comes round), and closes. What it says goes into the same trace, in order:
// `life`, `found <session> <count>`, `sent <session> <count>`, `ack <session> <count>`, `refused <code>`, `closed <status>`.
// Told on the command line: a JSON list of lives, each with its folder, its trace and what is to be struck.

import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { env } from 'node:process'
import { isHoldfastError } from '../../src/errors.js'
import { openRuntime, type Runtime } from '../../src/index.js'
import { sqliteStorage } from '../../src/sqlite/storage.js'
import { IDS, type Life, note, quiet } from './watched.js'

const codeOf = (error: unknown): string => (isHoldfastError(error) ? error.code : String(error))

async function live({ folder, trace, strike, rounds }: Life): Promise<void> {
  const path = join(folder, 'test.db')
  Object.assign(env, { HOLDFAST_WATCHED: path, HOLDFAST_TRACE: trace, HOLDFAST_STRIKE: strike ?? '' })
  const say = (line: string): void => appendFileSync(trace, `${line}\n`)
  say('life')
  let runtime: Runtime
  try {
    runtime = await openRuntime({
      storage: sqliteStorage({ path, portionBytes: 1 }),
      ...{ kinds: [note], pool: 'inline', logger: quiet },
    })
  } catch (error) {
    return say(`refused ${codeOf(error)}`)
  }
  const counts = new Map<string, number>()
  for (const { id } of runtime.sessions.list().sessions) {
    counts.set(id, runtime.session(id, note).snapshot().context.count)
    say(`found ${id} ${counts.get(id)}`)
  }
  for (let round = 0; round < rounds; round++) {
    const outcomes = await Promise.allSettled(
      IDS.map(async (id, index) => {
        const count = counts.get(id)
        if (count === undefined) {
          say(`sent ${id} 0`)
          await runtime.create(note, undefined, { id })
          counts.set(id, 0)
          return say(`ack ${id} 0`)
        }
        counts.set(id, count + 1)
        say(`sent ${id} ${count + 1}`)
        await runtime
          .session(id, note)
          .send({ type: 'write', text: 'x'.repeat(((round * 7 + index) * 9_770) % 60_000) })
        say(`ack ${id} ${count + 1}`)
      }),
    )
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) {
      say(`refused ${codeOf(failed.reason)}`)
      break
    }
    if (round % 5 === 4) await runtime.compact({ keepBytes: 0 }).catch((error) => say(`refused ${codeOf(error)}`))
  }
  const { status } = runtime.health()
  await runtime.close().catch((error) => say(`refused ${codeOf(error)}`))
  say(`closed ${status}`)
}

for (const life of JSON.parse(process.argv[2] as string) as Life[]) await live(life)
