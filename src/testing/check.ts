// A user's machine, crashed anywhere: random events, waits and power cuts on the shipped runtime, held record by record
// against plain XState that never crashed. It promises to find, shrink and tell as a story what differs, and one line that
// tells it again. It touches no real disk and no real time, and runs no step that it was not given.

import type { Arbitrary, RunDetails } from 'fast-check'
import type { AnyMachine, AnySessionKind, KindEvent, KindInput, SessionKind } from '../define.js'
import { HoldfastError } from '../errors.js'
import type { StepContext, StepFunction } from '../pool.js'
import type { RecordedEvent } from '../record.js'
import { stepOf } from '../steps.js'
import { createSeededChance } from './chance.js'
import type { VirtualClock } from './clock.js'
import { Difference, show } from './comparison.js'
import { eventsOf } from './events.js'
import { family } from './family.js'
import { fc } from './fast-check.js'
import { TimerFault, XStateFault } from './reference.js'
import type { CrashPlan, Operation, Story } from './story.js'
import { Twin } from './twin.js'
import { Upgrade, upgrades } from './upgrade.js'

export interface CheckOptions<TMachine extends AnyMachine = AnyMachine> {
  /** How many lives are lived; default 1,000. */
  readonly runs?: number
  /** The same seed gives the same lives; default: drawn by fast-check. */
  readonly seed?: number
  /** Which of them to live again, as a failure names it. */
  readonly path?: string
  /** Default: `eventsOf(kind)`. */
  readonly events?: Arbitrary<KindEvent<TMachine>[]>
  /** What sessions are created with; default: nothing. */
  readonly input?: Arbitrary<KindInput<TMachine>>
  /** The functions behind the machine's steps. They are given time to pass, and fail now and then. */
  readonly steps?: { readonly [name: string]: StepFunction }
  /** Also finds steps that give another output when they run again with the same idempotency key. */
  readonly idempotent?: boolean
  /**
   * An older version of the kind. Lives random events of that one, ends by a close or a power cut, and opens with `kind`: finds
   * states that no migration covers, and nothing else. `events`, where given, go to both versions, `input` to the older one.
   */
  readonly from?: AnySessionKind
}

export interface CheckReport {
  readonly runs: number
  readonly seed: number
  /** Durable transitions. */
  readonly records: number
  readonly crashes: number
  /** Crashes while a record was on its way to the disk. */
  readonly inFlight: number
  /** Crashes beside these, while the runtime was being opened again. */
  readonly openingsCut: number
  /** Runs left out, as plain XState itself goes wrong in them: why -> how many. */
  readonly skipped: { readonly [reason: string]: number }
  /** In how many runs each of XState's features, and each kind of misfortune, occurred. */
  readonly features: { readonly [feature: string]: number }
}

/**
 * Holds a kind to plain XState under crashes. Resolves with what was covered.
 * Rejects with CHECK_FAILED, its message the shortest story that shows the difference and how to tell it again; with
 * INVALID_ARGUMENT when the machine has steps that `steps` lacks, or `from` is no older version of the kind.
 *
 *     await checkDurable(review, { runs: 1000 })
 */
export async function checkDurable<TMachine extends AnyMachine>(
  kind: SessionKind<TMachine>,
  options: CheckOptions<TMachine> = {},
): Promise<CheckReport> {
  const { from } = options
  if (from) checkFrom(kind, from)
  for (const one of from ? [from, kind] : [kind]) checkSteps(one, options)
  const tally = new Tally()
  let failed: { readonly life: Life; readonly error: unknown } | undefined
  const property = fc.asyncProperty(lives(kind, options), async ({ seed, begin }) => {
    const steps = new Steps(seed, options)
    const life = begin(steps.in)
    try {
      await life.live()
      for (const problem of steps.problems) throw new Error(problem)
    } catch (error) {
      if (error instanceof XStateFault && !(error instanceof TimerFault)) {
        tally.skip(error)
        fc.pre(false)
      }
      failed = { life, error }
      throw error
    }
    tally.add(life)
  })
  const { runs = 1000, seed, path } = options
  const details = await fc.check(property, {
    numRuns: runs,
    ...(seed !== undefined && { seed }),
    ...(path !== undefined && { path, endOnFailure: true }),
  })
  if (!details.failed) return tally.report(details.seed)
  if (!failed) throw details.errorInstance
  throw failure(headline(kind, from), failed.life, failed.error, replay(details, options as CheckOptions))
}

/** What the check needs of a life, whether it is held to plain XState or goes through an upgrade. */
type Life = Pick<Twin, 'live' | 'tale' | 'records' | 'crashes' | 'crashesInFlight' | 'openingsCut' | 'features'>

interface Birth {
  readonly seed: number
  readonly begin: (steps: Steps['in']) => Life
}

function lives<TMachine extends AnyMachine>(
  kind: SessionKind<TMachine>,
  options: CheckOptions<TMachine>,
): Arbitrary<Birth> {
  const { from, events, input = fc.constant(undefined) } = options
  if (!from) {
    const begin = (story: Story) => (steps: Steps['in']) => new Twin(kind, story, { steps })
    return stories(kind, options).map((story) => ({ seed: story.seed, begin: begin(story) }))
  }
  const of = (one: AnySessionKind) => (events ?? eventsOf(one)) as Arbitrary<RecordedEvent[]>
  return upgrades(of(from), of(kind), input).map((story) => ({
    seed: story.seed,
    begin: (steps) => new Upgrade(from, kind, story, (clock) => steps(clock, () => false)),
  }))
}

function stories<TMachine extends AnyMachine>(
  kind: SessionKind<TMachine>,
  { events, input }: CheckOptions<TMachine>,
): Arbitrary<Story> {
  const send = fc.record({
    do: fc.constant('send' as const),
    count: fc.integer({ min: 1, max: 3 }),
    crash: crashes(4),
  })
  const wait = fc.record({
    do: fc.constant('wait' as const),
    ms: fc.constantFrom<(number | 'timer')[]>('timer', 1, 'timer', 30, 1100),
    crash: crashes(6),
  })
  const operations: Arbitrary<Operation> = fc.oneof({ weight: 3, arbitrary: send }, { weight: 2, arbitrary: wait })
  return fc.record({
    seed: fc.nat(),
    input: input ?? fc.constant(undefined),
    segmentBytes: fc.constantFrom(1_000_000, 4000, 1000),
    stallMs: fc.constantFrom(1, -1),
    begin: crashes(4),
    events: (events ?? eventsOf(kind)) as unknown as Arbitrary<RecordedEvent[]>,
    operations: fc.array(operations, { maxLength: 10 }),
  })
}

const crashes = (max: number): Arbitrary<CrashPlan | undefined> => {
  const again = fc.option(fc.nat({ max: 40 }), { nil: undefined, freq: 4 })
  const plan = fc.record({ points: fc.nat({ max }), downtimeMs: fc.constantFrom(0, 30, 700), again })
  return fc.option(plan, { nil: undefined, freq: 2 })
}

function checkFrom({ kind, version }: Pick<SessionKind, 'kind' | 'version'>, from: AnySessionKind): void {
  if (from.kind === kind && from.version < version) return
  const what = `version ${from.version} of "${from.kind}"`
  const advice = 'give the kind as it was before'
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `from: ${what} is not older than version ${version} of "${kind}"; ${advice}`,
  )
}

function checkSteps(kind: AnySessionKind, { steps = {} }: Pick<CheckOptions, 'steps'>): void {
  const logics: unknown[] = family(kind).flatMap(({ machine }) => Object.values(machine.implementations.actors))
  const missing = logics.map((logic) => stepOf(logic)?.name).find((name) => name !== undefined && !steps[name])
  if (missing === undefined) return
  const advice = `give a function in its place: { steps: { ${missing}: async (input) => … } }`
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `the machine has a step "${missing}", which a check does not run; ${advice}`,
  )
}

/** The steps of one run, and what was found about them. */
class Steps {
  readonly problems: string[] = []
  readonly #options: Pick<CheckOptions, 'steps' | 'idempotent'>
  readonly #random: () => number
  readonly #outputs = new Map<string, string>()

  constructor(seed: number, options: Pick<CheckOptions, 'steps' | 'idempotent'>) {
    this.#options = options
    // Other numbers than those that the crashes are drawn by.
    this.#random = createSeededChance(~seed).random
  }

  /** The given functions for one life, each taking some time, and failing once in eight attempts. */
  readonly in = (clock: VirtualClock, counts: () => boolean): Record<string, StepFunction> => {
    const run = async (name: string, given: StepFunction, input: unknown, context: StepContext): Promise<unknown> => {
      const delayMs = [0, 5, 20][Math.floor(this.#random() * 3)] as number
      const fails = this.#random() < 0.125
      await new Promise<void>((resolve) => clock.setTimeout(resolve, delayMs))
      if (fails) throw new Error('a planted failure')
      const output = await given(input as never, context)
      if (counts()) this.#heard(name, context.idempotencyKey, show(output))
      return output
    }
    const { steps = {} } = this.#options
    return Object.fromEntries(
      Object.entries(steps).map(([name, given]) => [name, (input, context) => run(name, given, input, context)]),
    )
  }

  #heard(name: string, key: string, output: string): void {
    const first = this.#outputs.get(key) ?? output
    this.#outputs.set(key, first)
    if (!this.#options.idempotent || first === output) return
    this.problems.push(`step "${name}" ran again with the key ${key} and gave ${output}; before the crash, ${first}`)
  }
}

class Tally {
  #runs = 0
  #records = 0
  #crashes = 0
  #inFlight = 0
  #openingsCut = 0
  readonly #features = new Map<string, number>()
  readonly #skipped = new Map<string, number>()

  add({ records, crashes, crashesInFlight, openingsCut, features }: Life): void {
    this.#openingsCut += openingsCut
    this.#runs++
    this.#records += records
    this.#crashes += crashes
    this.#inFlight += crashesInFlight
    for (const feature of features) this.#features.set(feature, (this.#features.get(feature) ?? 0) + 1)
  }

  skip({ message }: XStateFault): void {
    this.#skipped.set(message, (this.#skipped.get(message) ?? 0) + 1)
  }

  report(seed: number): CheckReport {
    return {
      ...{ runs: this.#runs, seed, records: this.#records, crashes: this.#crashes, inFlight: this.#inFlight },
      openingsCut: this.#openingsCut,
      skipped: Object.fromEntries(this.#skipped),
      features: Object.fromEntries([...this.#features].sort(([, a], [, b]) => b - a)),
    }
  }
}

const headline = (
  { kind, version }: Pick<SessionKind, 'kind' | 'version'>,
  from: AnySessionKind | undefined,
): string =>
  from
    ? `version ${version} of session kind "${kind}" does not take over version ${from.version}`
    : `session kind "${kind}" is not durable`

/** The story of a failure, what differs, and how to tell it again. */
function failure(headline: string, { tale, crashes }: Life, cause: unknown, again: string): HoldfastError {
  const story = tale.map((line, index) => `  ${String(index + 1).padStart(2)}. ${line}`)
  const what = cause instanceof HoldfastError ? `${cause.code}: ${cause.message}` : (cause as Error).message
  const sides = cause instanceof Difference ? sidesOf(cause) : []
  const hint = crashes === 0 && cause instanceof Difference ? [NO_CRASH] : []
  const message = [`${headline}: ${what}`, ...['', ...story, '', ...sides, ...hint], `tell it again: ${again}`].join(
    '\n',
  )
  return new HoldfastError('CHECK_FAILED', message, { cause, details: { story: tale, again } })
}

const NO_CRASH =
  'No crash was needed: the machine reads something beside its context and its event, such as the time, chance or a variable.'

const sidesOf = ({ session, xstate }: Difference): string[] => [
  `the session:  ${show(session)}`,
  `plain XState: ${show(xstate)}`,
  '',
]

/** A line of code that lives the one failing life again. */
function replay({ seed, counterexamplePath }: RunDetails<[Birth]>, options: CheckOptions): string {
  const own = options.events ?? options.input ?? options.steps ?? options.from
  return `await checkDurable(kind, { ${own ? '...options, ' : ''}seed: ${seed}, path: '${counterexamplePath}' })`
}
