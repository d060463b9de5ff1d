// R3: real processes, really killed, by themselves at a chosen call to the disk or from outside at any moment: what was
// acknowledged is there afterwards, whole, and nothing that was never sent. HOLDFAST_KILLS sets how many kills.
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundled } from './bundle.js'
import { type Death, Directory, type Ready } from './directory.js'

const KILLS = Number(process.env.HOLDFAST_KILLS ?? 300)
const SESSIONS = 1000
/** A directory is looked at from end to end, and left, after so many kills. */
const KILLS_EACH = 50
/** Two processes at a time, each on a directory of its own. */
const LANES = 2
/** Some come to their end before the call at which they were to die, but never so many in a row that were to die at one place. */
const IN_VAIN = 100
/** The long form takes as long as it takes; else half an hour, so that only what hangs takes it. */
const timeout = KILLS > 300 ? 0 : 1_800_000

let script: { readonly folder: string; readonly file: string }
beforeAll(async () => {
  script = await bundled(new URL('./victim.ts', import.meta.url))
})
afterAll(() => rmSync(script.folder, { recursive: true, force: true }))

const PLACES: readonly Death[] = [
  { place: 'anywhere', calls: 0 },
  { place: 'opening', calls: 0 },
  { place: 'migration', calls: 24 },
  { place: 'append', calls: 80 },
  { place: 'snapshot', calls: 8 },
  { place: 'compaction', calls: 24 },
  { place: 'shutdown', calls: 16 },
]

const inOrder = (ready: readonly Ready[], of: keyof Ready): number[] =>
  ready.map((one) => one[of]).sort((a, b) => a - b)

test(`nothing acknowledged is lost over ${KILLS} kills, and nothing is invented`, { timeout }, async () => {
  const places = new Map<string, number>()
  const counts = new Map<string, number>(PLACES.map(({ place }) => [place, 0]))
  /** Of each place, how many have come to their end since the last that died. */
  const inVain = new Map<string, number>()
  const ready: Ready[] = []
  let [kills, whole, lives, directories] = [0, 0, 0, 0]
  /** Each in turn, but where fewest have died: how many calls there are to die at is up to the machine. */
  const next = (): Death => {
    const turn = PLACES.map((_, n) => PLACES[(lives + n) % PLACES.length] as Death)
    lives++
    const fewest = Math.min(...counts.values())
    return turn.find(({ place }) => (counts.get(place) ?? 0) <= fewest + 1) as Death
  }
  const lane = async (): Promise<void> => {
    while (kills < KILLS) {
      const directory = new Directory({ script: script.file, sessions: SESSIONS, number: directories++ })
      try {
        while (kills < KILLS && directory.kills < KILLS_EACH) {
          const { place, calls } = next()
          const died = await directory.live({ place, calls }, ready)
          if (died === undefined) {
            whole++
            const since = (inVain.get(place) ?? 0) + 1
            inVain.set(place, since)
            expect(since, `processes in a row that were to die at ${place} and came to their end`).toBeLessThan(IN_VAIN)
            continue
          }
          inVain.delete(place)
          kills++
          counts.set(place, (counts.get(place) ?? 0) + 1)
          places.set(died, (places.get(died) ?? 0) + 1)
        }
        await directory.examine()
      } finally {
        directory.remove()
      }
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  const [ms, processorMs] = [inOrder(ready, 'ms'), inOrder(ready, 'processorMs')]
  console.log(
    `R3: ${kills} kills (${[...counts].map(([place, count]) => `${place} ${count}`).join(', ')}), ${whole} processes ended by themselves; ` +
      `after a kill ready with ${SESSIONS} sessions in ${ms[ms.length >> 1]} ms (median), ${ms.at(-1)} ms (longest), ` +
      `of the processor ${processorMs[ms.length >> 1]} and ${processorMs.at(-1)} ms`,
  )
  console.log(
    [...places]
      .sort()
      .map(([what, count]) => `${count} × ${what}`)
      .join('\n'),
  )
})
