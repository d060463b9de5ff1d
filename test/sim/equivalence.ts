// The proof of R12: sessions of generated machines live through power cuts and crashes of their own, beside plain XState that
// never crashed; how often each feature occurred is printed, and must not be rare. The four files `equivalence*.test.ts` live
// a quarter of the runs each, so that they can be lived at the same time.

import fc from 'fast-check'
import { expect, onTestFinished } from 'vitest'
import { XStateFault } from '../../src/testing/reference.js'
import { FEATURES, Generated, type Life, STORIES_EACH, type Told, told } from './lives.js'

/** HOLDFAST_RUNS sets how many sessions are lived in all four files together. */
export const RUNS: number = Number(process.env.HOLDFAST_RUNS ?? 20_000) / 4

/** Of the sessions of each file. */
const LEAST_SHARE = 0.05

/** HOLDFAST_SEED sets which; each further file takes the next one. */
export const SEED: number = Number(process.env.HOLDFAST_SEED ?? 12)

/** A planted fault need not be shrunk to be caught. */
const SHRINKS = process.env.HOLDFAST_SHRINK !== '0'

/** Rejects with the shortest story of a session that is not what plain XState is, or when a feature is too rare. */
export async function proveEqual(seed: number): Promise<void> {
  // Steps fail on purpose, and what is recorded of that need not say where in the test that was.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  onTestFinished(() => {
    Error.stackTraceLimit = stackTraceLimit
  })
  const tally = new Tally()
  const property = fc.asyncProperty(told, async (one) => {
    const generated = new Generated(one)
    for (const story of one.stories) {
      const life = generated.begin(story)
      try {
        await life.live()
      } catch (error) {
        if (!(error instanceof XStateFault)) throw withTale(life, error as Error)
        tally.skip(error)
        fc.pre(false)
      }
      tally.add(life)
    }
  })
  // Shrinking ends some time, too.
  const interruptAfterTimeLimit = 500_000 + 100 * RUNS
  const limits = { interruptAfterTimeLimit, markInterruptAsFailure: true, endOnFailure: !SHRINKS }
  await fc.assert(property, { numRuns: Math.ceil(RUNS / STORIES_EACH), seed, reporter: report, ...limits })
  tally.print()
  for (const feature of FEATURES) expect(tally.share(feature), feature).toBeGreaterThanOrEqual(LEAST_SHARE)
  expect(tally.inFlight / tally.crashes, 'crashes with work in flight').toBeGreaterThanOrEqual(0.5)
}

/** What went wrong, with what had happened until then. */
function withTale(life: Life, error: Error): Error {
  const tale = life.twin.tale.map((line, index) => `  ${String(index + 1).padStart(2)}. ${line}`)
  return new Error([error.message, ...tale].join('\n'), { cause: error })
}

/** The story without what is empty in it. */
const brief = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    item === 'none' || item === false || (Array.isArray(item) && item.length === 0) ? undefined : item,
  )

function report({ failed, seed, counterexamplePath, counterexample, errorInstance }: fc.RunDetails<[Told]>): void {
  if (!failed) return
  const again = `HOLDFAST_SEED=${seed} tells it again (path ${counterexamplePath})`
  throw new Error(`${errorInstance}\n${again}\n${brief(counterexample?.[0])}`, { cause: errorInstance })
}

class Tally {
  runs = 0
  crashes = 0
  inFlight = 0
  records = 0
  readonly #began = process.cpuUsage()
  readonly #features = new Map<string, number>(FEATURES.map((feature) => [feature, 0]))
  readonly #skipped = new Map<string, number>()

  add({ twin, features }: Life): void {
    this.runs++
    this.crashes += twin.crashes
    this.inFlight += twin.crashesInFlight
    this.records += twin.records
    for (const feature of ['assign', ...features]) {
      this.#features.set(feature, (this.#features.get(feature) ?? 0) + 1)
    }
  }

  skip({ message }: XStateFault): void {
    this.#skipped.set(message, (this.#skipped.get(message) ?? 0) + 1)
  }

  share = (feature: string): number => (this.#features.get(feature) ?? 0) / this.runs

  print(): void {
    const percent = (share: number): string => `${(share * 100).toFixed(1).padStart(5)}%`
    const skipped = [...this.#skipped].map(([why, count]) => `${count} where ${why}`).join(', ')
    const rows = [...this.#features.keys()].map((feature) => `${percent(this.share(feature))}  ${feature}`)
    const { user, system } = process.cpuUsage(this.#began)
    const each = ((user + system) / 1000 / this.runs).toFixed(1)
    console.log(
      `R12: ${this.runs} sessions, ${this.records} records, ${this.crashes} crashes, ${this.inFlight} of them with work in flight; ` +
        `${each} ms of processor time each\n` +
        `left out, as XState itself goes wrong: ${skipped || 'none'}\n${rows.join('\n')}`,
    )
  }
}
