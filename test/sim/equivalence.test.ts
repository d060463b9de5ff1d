// R12, first form: a session that is crashed and rehydrated anywhere behaves as the same machine in plain XState that
// never crashed. HOLDFAST_RUNS sets how many stories are told, HOLDFAST_SEED which.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { machineSpec, sometimes } from './machines.js'
import { CannotBegin } from './reference.js'
import { type CrashPlan, type Operation, type Story, Twin } from './twin.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 2000)
const SEED = Number(process.env.HOLDFAST_SEED ?? 12)

const crash: fc.Arbitrary<CrashPlan> = fc.record({
  points: fc.nat({ max: 6 }),
  downtimeMs: fc.constantFrom(0, 0, 30, 700),
})
const maybeCrash = sometimes(crash)

const sent = fc.record({
  type: fc.nat({ max: 11 }),
  n: fc.nat({ max: 9 }),
  boom: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
})

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('send' as const), events: fc.array(sent, { minLength: 1, maxLength: 3 }), crash: maybeCrash }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 5, 30, 150, 1100), crash: maybeCrash }) },
)

const story: fc.Arbitrary<Story> = fc.record({
  machine: machineSpec,
  seed: fc.nat(),
  segmentBytes: fc.constantFrom(1000, 4000, 1_000_000),
  stallMs: fc.constantFrom(-1, 1),
  begin: sometimes(crash, 1, 3),
  operations: fc.array(operation, { minLength: 3, maxLength: 12 }),
})

/** The story without what is empty in it. */
const brief = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    item === 'none' || item === false || (Array.isArray(item) && item.length === 0) ? undefined : item,
  )

function reporter({ failed, seed, counterexamplePath, counterexample, errorInstance, numRuns }: any): void {
  if (!failed) return
  const again = `HOLDFAST_SEED=${seed} (path ${counterexamplePath}, run ${numRuns})`
  throw new Error(`${again}\n${brief(counterexample?.[0])}\n${errorInstance?.stack ?? errorInstance}`)
}

test(`${RUNS} sessions crash and behave as plain XState that never did`, async () => {
  const seen = new Map<string, number>()
  let [crashes, inFlight, records] = [0, 0, 0]
  const property = fc.asyncProperty(story, async (told) => {
    const twin = new Twin(told)
    try {
      await twin.live()
    } catch (error) {
      fc.pre(!(error instanceof CannotBegin))
      throw error
    }
    crashes += twin.crashes
    inFlight += twin.crashesInFlight
    records += twin.records
    for (const feature of twin.features) seen.set(feature, (seen.get(feature) ?? 0) + 1)
  })
  const started = performance.now()
  await fc.assert(property, { numRuns: RUNS, seed: SEED, reporter, interruptAfterTimeLimit: 300_000, markInterruptAsFailure: true })
  console.log(records, crashes, inFlight, performance.now() - started)
  console.table([...seen].map(([f, n]) => [f, n / RUNS]))
  expect(inFlight / crashes).toBeGreaterThan(0.5)
}, 400_000)
