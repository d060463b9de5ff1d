// A life of a kind's older version that today's version takes over: random events and waits on the old machine, an end by a
// close or by a power cut at any call to the disk, and an opening with the new kind. It promises to find a session that is
// parked, that is migrated twice, or that is another one when it is opened once more. Steps run, but nothing is compared
// with plain XState here.

import { isDeepStrictEqual } from 'node:util'
import type { Arbitrary } from 'fast-check'
import type { AnySessionKind } from '../define.js'
import { loadState } from '../history.js'
import type { StepFunction } from '../pool.js'
import type { RecordedEvent } from '../record.js'
import type { SessionState } from '../state.js'
import { createSeededChance } from './chance.js'
import type { VirtualClock } from './clock.js'
import { show } from './comparison.js'
import { type CrashDisk, createCrashDisk, type DiskCall, failAt } from './disk.js'
import { withoutRestarts } from './family.js'
import { fc } from './fast-check.js'
import { inFlight, openWorld, randomFates, START_MS, settle, type World } from './world.js'

export interface UpgradeStory {
  readonly seed: number
  readonly input: unknown
  readonly segmentBytes: number
  readonly before: readonly RecordedEvent[]
  /** What passes after the event of the same number: ms, or until the next deadline. */
  readonly waits: readonly (number | 'timer')[]
  /** How the old version ends: by a close, or by a power cut so many calls to the disk after the creation. */
  readonly end: 'close' | number
  readonly after: readonly RecordedEvent[]
}

type Events = Arbitrary<RecordedEvent[]>

export const upgrades = (before: Events, after: Events, input: Arbitrary<unknown>): Arbitrary<UpgradeStory> =>
  fc.record({
    ...{ seed: fc.nat(), input, segmentBytes: fc.constantFrom(1_000_000, 4000, 1000), before },
    waits: fc.array(fc.constantFrom<(number | 'timer')[]>(0, 1, 'timer', 30, 1100), { maxLength: 12 }),
    end: fc.option(fc.nat({ max: 40 }), { nil: 'close' as const, freq: 3 }),
    after,
  })

const ID = 'checked'
/** Who waits longer than this has the clock jump over all but the end. */
const LONGEST_WAIT_MS = 120_000
/** More turns than any answer, rest or close takes. */
const PATIENCE_TURNS = 1000
const MOST_SESSIONS = 1000

export class Upgrade {
  crashes = 0
  crashesInFlight = 0
  readonly openingsCut = 0
  records = 0
  readonly features: Set<string> = new Set()
  /** What has happened, a line each. */
  readonly tale: string[] = []
  readonly #old: AnySessionKind
  readonly #new: AnySessionKind
  readonly #story: UpgradeStory
  readonly #steps: (clock: VirtualClock) => Record<string, StepFunction>
  readonly #random: () => number
  #world!: World
  #pointsLeft: number | undefined
  #cut: CrashDisk | undefined

  constructor(
    from: AnySessionKind,
    kind: AnySessionKind,
    story: UpgradeStory,
    steps: (clock: VirtualClock) => Record<string, StepFunction>,
  ) {
    this.#old = withoutRestarts(from)
    this.#new = withoutRestarts(kind)
    this.#story = story
    this.#steps = steps
    this.#random = createSeededChance(story.seed).random
  }

  /** Tells the whole story. Throws at the first thing that is wrong. */
  async live(): Promise<void> {
    const opening = `open with version ${this.#new.version}`
    const left = await this.#oldLife()
    this.tale.push(opening)
    await this.#open(left, this.#new)
    this.#check()
    const migrated = this.#migrated()
    if (new Set(migrated).size < migrated.length) throw new Error(`a session is migrated twice: ${show(migrated)}`)
    if (migrated.length > 0) this.features.add('migrated')
    for (const event of this.#story.after) await this.#send(event)
    this.#check()
    const before = this.#states()
    this.records += this.#world.appended.length
    this.tale.push(`kill, ${opening}`)
    await this.#open(this.#world.disk.clone(), this.#new)
    this.#check()
    if (this.#migrated().length > 0) throw new Error(`a session is migrated again: ${show(this.#migrated())}`)
    const after = this.#states()
    for (const [id, was] of before) {
      const is = after.get(id)
      // Who has taken a step since, such as one that waited for the next life, is another.
      if (is && is.seq > was.seq) continue
      if (!isDeepStrictEqual(is, was)) throw new Error(`opened once more, ${id} is ${show(is)}; it was ${show(was)}`)
    }
  }

  /** The life of the old version; gives what it leaves behind. */
  async #oldLife(): Promise<CrashDisk> {
    const { input, before, waits, end } = this.#story
    await this.#open(createCrashDisk(), this.#old)
    this.tale.push(`create with version ${this.#old.version}${input === undefined ? '' : `: ${show(input)}`}`)
    await this.#world.runtime.create(this.#old, input as never, { id: ID })
    await this.#rest()
    if (end !== 'close') this.#pointsLeft = end
    for (const [index, event] of before.entries()) {
      if (!this.#cut) await this.#send(event)
      if (!this.#cut) await this.#wait(waits[index] ?? 0)
    }
    if (end === 'close') await this.#close()
    else this.#strike('at rest')
    return this.#cut ?? this.#world.disk.clone()
  }

  async #open(disk: CrashDisk, kind: AnySessionKind): Promise<void> {
    const { segmentBytes, seed } = this.#story
    const nowMs = this.#world?.clock.now() ?? START_MS
    const journal = { segmentBytes, stallMs: 1, reserveBytes: 0 }
    this.#cut = undefined
    const onPoint = (phase: string, { op, path }: DiskCall): void => {
      if (this.#pointsLeft === 0) this.#strike(`${phase} ${op} ${path}`)
      else if (this.#pointsLeft !== undefined) this.#pointsLeft--
    }
    this.#world = await openWorld({ disk, kinds: [kind], nowMs, journal, seed, steps: this.#steps, onPoint })
    await this.#rest()
  }

  async #send(event: RecordedEvent): Promise<void> {
    this.tale.push(`send ${show(event)}`)
    const refused = (error: Error): void => {
      if (!this.#cut) this.tale.push(`  refused: ${error.message}`)
    }
    const sending = this.#world.runtime.session(ID).send(event as never)
    await this.#answered(
      sending.then(() => {}, refused),
      0,
    )
    await this.#rest()
  }

  async #wait(wait: number | 'timer'): Promise<void> {
    const { clock } = this.#world
    const ms = wait === 'timer' ? this.#untilTimer() : wait
    if (ms === 0) return
    this.tale.push(`wait ${ms} ms`)
    const until = clock.now() + ms
    if (ms > LONGEST_WAIT_MS) clock.set(until - LONGEST_WAIT_MS / 2 - 1)
    await clock.advance(until - clock.now())
    await this.#rest()
  }

  #untilTimer(): number {
    const now = this.#world.clock.now()
    // Looking is no part of the life: no cut falls there.
    const points = this.#pointsLeft
    this.#pointsLeft = undefined
    const waits = [...this.#states().values()].flatMap(({ timers }) => timers.map(({ at }) => Date.parse(at) - now))
    this.#pointsLeft = points
    const next = Math.min(...waits.filter((ms) => ms > 0))
    return Number.isFinite(next) ? next : 1
  }

  async #close(): Promise<void> {
    this.tale.push('close')
    this.features.add('closed')
    await this.#answered(this.#world.runtime.close(), 100)
    this.records += this.#world.appended.length
  }

  /** The power is cut, unless it is already. What the world still does is not seen any more. */
  #strike(where: string): void {
    this.#pointsLeft = undefined
    if (this.#cut) return
    const { disk, appended } = this.#world
    const busy = inFlight(this.#world)
    this.tale.push(`power cut ${where}${busy ? ', with work in flight' : ''}`)
    this.features.add('power cut')
    this.crashes++
    if (busy) this.crashesInFlight++
    this.records += appended.length
    this.#cut = disk.crash(randomFates(this.#random))
    // Nothing can be read or written any more where the power is cut.
    disk.onCall = failAt(-1, 'EIO', 'from then on')
  }

  /** Waits for an answer, or for the power cut; in each turn so much time passes. */
  async #answered(answer: Promise<void>, ms: number): Promise<void> {
    let waits = true
    const over = (): void => {
      waits = false
    }
    answer.then(over, over)
    for (let turns = 0; waits && !this.#cut; turns++) {
      if (turns > PATIENCE_TURNS) throw new Error(`nobody answers; what was logged: ${show(this.#world.complaints)}`)
      await this.#world.clock.advance(ms)
    }
    if (!this.#cut) await answer
  }

  /** Nothing is on its way any more, nor due. */
  async #rest(): Promise<void> {
    const { clock, appended } = this.#world
    let before = -1
    for (let turns = 0; before < appended.length && turns < PATIENCE_TURNS && !this.#cut; turns++) {
      before = appended.length
      await clock.advance(0)
      if (!this.#cut) await settle(this.#world)
    }
  }

  /** Nobody is parked, and nothing was logged but what effects of the machine's own threw. */
  #check(): void {
    const { runtime, complaints } = this.#world
    for (const { id, kind, code, reason } of runtime.health().parked) {
      const value = show(this.#states().get(id)?.value)
      throw new Error(`a session of "${kind}" in the state ${value} is parked: ${code}: ${reason.message}`)
    }
    const told = complaints.filter((line) => !line.startsWith('an effect of session '))
    if (told.length > 0) throw new Error(`the runtime complains: ${told.join('; ')}`)
  }

  /** The sessions that this life has migrated, once for each time. */
  #migrated(): string[] {
    const migrations = this.#world.appended.filter(({ record }) => record.event.type === 'holdfast.migrate')
    return migrations.map(({ record }) => record.session)
  }

  /** What is stored of each session. */
  #states(): Map<string, Pick<SessionState, 'seq' | 'version' | 'status' | 'value' | 'context' | 'timers'>> {
    const { runtime, journal, snapshots } = this.#world
    const { sessions } = runtime.sessions.list({}, { limit: MOST_SESSIONS })
    return new Map(
      sessions.map(({ id }) => {
        const state = loadState(journal, snapshots, runtime.session(id).entry() as never)
        const { seq, version, status, value, context, timers } = state
        return [id, { seq, version, status, value, context, timers }]
      }),
    )
  }
}
