// The lives of a world, one after another: each but the last ends with a power cut at a point of a plan, and the next begins
// on what that has left of the disk, some time later. What has happened in them it tells a line each; whether that was
// right, it does not judge.

import type { AnySessionKind } from '../define.js'
import { createSeededChance } from './chance.js'
import type { VirtualClock } from './clock.js'
import { type CrashDisk, createCrashDisk, type DiskCall, failAt } from './disk.js'
import { family } from './family.js'
import type { CrashPlan, Story } from './story.js'
import { inFlight, messagesOn, openWorld, randomFates, START_MS, settle, type World } from './world.js'

export interface LivesOptions {
  /** The steps, given the clock of a world and whether that world still counts. */
  readonly steps?: (clock: VirtualClock, counts: () => boolean) => Record<string, unknown>
  /** Sessions that crash are restarted, as their kinds have it; they must do so at once. */
  readonly restarts?: boolean
}

/** Who waits longer than this has the clock jump over all but the end. */
const LONGEST_WAIT_MS = 120_000

export class Lives {
  crashes = 0
  crashesInFlight = 0
  /** Crashes while the runtime was being opened after another one. */
  openingsCut = 0
  readonly #kind: AnySessionKind
  readonly #story: Pick<Story, 'segmentBytes' | 'stallMs' | 'seed'>
  readonly #options: LivesOptions
  readonly #tell: (line: string) => void
  readonly #random: () => number
  #world!: World
  #disk!: CrashDisk
  #lives = 0
  #pointsLeft: number | undefined
  #crash: { readonly disk: CrashDisk; readonly nowMs: number } | undefined
  /** What is left of an opening that was cut off. */
  #cutShort: CrashDisk | undefined

  constructor(
    kind: AnySessionKind,
    story: Pick<Story, 'segmentBytes' | 'stallMs' | 'seed'>,
    options: LivesOptions,
    tell: (line: string) => void,
  ) {
    this.#kind = kind
    this.#story = story
    this.#options = options
    this.#tell = tell
    this.#random = createSeededChance(story.seed).random
  }

  /** The world of the present life. */
  get world(): World {
    return this.#world
  }

  /** The power has been cut, and the next life has not begun. */
  get struck(): boolean {
    return this.#crash !== undefined
  }

  /** Begins the first life. */
  async begin(): Promise<void> {
    await this.#open(createCrashDisk(), START_MS)
  }

  /**
   * Does something and waits until it is durable; or the power is cut on the way, and the next life begins: then this gives
   * the time it begins at.
   */
  async during(crash: CrashPlan | undefined, act: () => Promise<unknown>): Promise<number | undefined> {
    this.#pointsLeft = crash?.points
    const acting = act()
    this.#point()
    try {
      await acting
    } catch (error) {
      if (!this.#crash) throw error
    }
    await this.rest()
    if (!crash) return undefined
    this.#strike()
    return await this.#next(crash)
  }

  /** Nothing is on its way any more, and who has crashed is back. */
  async rest(): Promise<void> {
    const { clock, appended } = this.#world
    await settle(this.#world)
    for (let before = -1; this.#options.restarts && before < appended.length; ) {
      before = appended.length
      await clock.advance(0)
      await settle(this.#world)
    }
  }

  /** Lets time pass. */
  async advance(until: number): Promise<void> {
    const { clock } = this.#world
    if (until - clock.now() > LONGEST_WAIT_MS) clock.set(until - LONGEST_WAIT_MS / 2 - 1)
    await clock.advance(Math.max(0, until - clock.now()))
  }

  /** A point of the plan is reached: the crash may be here. */
  #point(phase?: 'before' | 'after', call?: DiskCall): void {
    if (this.#pointsLeft === undefined) return
    if (this.#pointsLeft === 0) this.#strike(call && `${phase} ${call.op} ${call.path}`)
    else this.#pointsLeft--
  }

  /** The power is cut, unless it is already. What the world still does is not seen any more. */
  #strike(where = 'at rest'): void {
    this.#pointsLeft = undefined
    const opening = this.#world.disk !== this.#disk
    if (this.#crash && !opening) return
    const busy = !opening && inFlight(this.#world)
    if (opening) this.openingsCut++
    else this.crashes++
    if (busy) this.crashesInFlight++
    this.#tell(`crash ${where}${opening ? ', while opening' : busy ? ', with work in flight' : ''}`)
    const disk = this.#disk.crash(randomFates(this.#random))
    // Nothing can be read or written any more where the power is cut.
    this.#disk.onCall = failAt(-1, 'EIO', 'from then on')
    if (opening) this.#cutShort = disk
    else this.#crash = { disk, nowMs: this.#world.clock.now() }
  }

  async #next(plan: CrashPlan): Promise<number> {
    const { disk, nowMs } = this.#crash as { disk: CrashDisk; nowMs: number }
    // Plain XState takes its own messages at once; a session that was cut off before takes them when it is back.
    const downtimeMs = plan.downtimeMs > 0 && (await messagesOn(disk, family(this.#kind))) > 0 ? 0 : plan.downtimeMs
    this.#tell(`open again after ${downtimeMs} ms`)
    this.#pointsLeft = plan.again
    await this.#open(disk, nowMs + downtimeMs)
    this.#pointsLeft = undefined
    const rest = this.#cutShort
    this.#cutShort = undefined
    if (rest) await this.#open(rest, nowMs + downtimeMs)
    return nowMs + downtimeMs
  }

  async #open(disk: CrashDisk, nowMs: number): Promise<void> {
    const { segmentBytes, stallMs, seed } = this.#story
    // No reserved space: the states that a cut may leave would only grow by zeros.
    const journal = { segmentBytes, stallMs, reserveBytes: 0 }
    const life = ++this.#lives
    this.#disk = disk
    const counts = (): boolean => this.#lives === life && !this.#crash
    try {
      this.#world = await openWorld({
        ...{ disk, kinds: [this.#kind], nowMs, journal },
        seed: seed + life,
        steps: (clock) => this.#options.steps?.(clock, counts) ?? {},
        onPoint: (phase, call) => this.#lives === life && this.#point(phase, call),
      })
    } catch (error) {
      if (!this.#cutShort) throw error
    }
    if (!this.#cutShort) this.#crash = undefined
  }
}
