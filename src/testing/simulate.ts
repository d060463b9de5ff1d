// A simulation: the shipped runtime on a seeded clock, disk, scheduler, pool and source of chance, with faults drawn by the
// seed, lived for hours of virtual time in milliseconds. The same seed is the same life to the last call to the disk, which
// its hash shows. In the end its trace is held to invariants, by name. It never touches a real disk, clock or thread.

import { HoldfastError } from '../errors.js'
import { INVARIANTS, leakIn, NO_LEAK } from './invariants.js'
import { type Fault as Found, type Rest, shrink } from './shrink.js'
import { type SimulateOptions, Simulation, type SimulationReport } from './simulation.js'

/**
 * Lives one seed. Rejects with SIMULATION_FAILED: the invariant, what is wrong, the shortest life with the fewest faults that
 * was found in which it is, and how to live it again.
 */
export async function simulate(options: SimulateOptions): Promise<SimulationReport> {
  const whole: Rest = { hours: options.hours ?? 1, left: new Set() }
  const simulation = new Simulation(options, whole)
  const first = await wrongIn(simulation)
  if (!first) return simulation.report()
  const { found, rest } = await shrink(first, whole, (less) => wrongIn(new Simulation(options, less)))
  throw failure(options, first, found, rest)
}

interface Wrong {
  readonly what: string
  readonly cause: unknown
  readonly tale: readonly string[]
}

/** Lives a simulation, and gives what was wrong, if anything was. */
async function wrongIn(simulation: Simulation): Promise<Found<Wrong> | undefined> {
  const found = (name: string, what: string, cause?: unknown): Found<Wrong> => {
    return { name, drawn: simulation.drawn, life: { what, cause, tale: simulation.tale } }
  }
  try {
    await simulation.run()
  } catch (error) {
    // What has left too early may be why.
    const leak = leakIn(simulation.entries)
    if (leak !== undefined) return found(NO_LEAK, leak, error)
    return found('the runtime works', (error as Error).message, error)
  }
  for (const [name, invariant] of Object.entries({ ...INVARIANTS, ...simulation.options.invariants })) {
    const wrong = invariant(simulation.trace)
    if (wrong !== undefined) return found(name, wrong)
  }
  return undefined
}

/** Of a long story the end is told, where it goes wrong. */
const LONGEST_TALE = 40

function failure(options: SimulateOptions, first: Found<Wrong>, found: Found<Wrong>, rest: Rest): HoldfastError {
  const { seed = 1, hours = 1, replay = (n) => `await simulate({ ...options, seed: ${n} })` } = options
  const { what, cause, tale } = found.life
  const shown = tale.slice(-LONGEST_TALE)
  const message = [
    `seed ${seed}: ${found.name}: ${what}`,
    '',
    `the least that was found: ${Number((rest.hours * 60).toFixed(1))} of ${hours * 60} minutes, ${first.drawn} faults drawn, ${rest.left.size} of them left out`,
    ...(shown.length < tale.length ? [`  … ${tale.length - shown.length} lines before`] : []),
    ...shown.map((line) => `  ${line}`),
    '',
    `live it again: ${replay(seed)}`,
  ].join('\n')
  return new HoldfastError('SIMULATION_FAILED', message, { cause, details: { seed, invariant: found.name, tale } })
}
