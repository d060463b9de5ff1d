// One life of a simulation, lived as its seed has it: ticks in which users do something and faults are drawn, power cuts and
// openings after them, and a calm end in which everything that is due happens. It gives the trace, and judges nothing.

import type { AnySessionKind } from '../define.js'
import type { Disk } from '../disk.js'
import { encodeError } from '../envelope.js'
import { HoldfastError } from '../errors.js'
import type { Journal, JournalEntry } from '../journal.js'
import type { Outcome, Pool, StepFunction } from '../pool.js'
import type { TransitionRecord } from '../record.js'
import { createSeededChance } from './chance.js'
import { turn, type VirtualClock } from './clock.js'
import { type CrashDisk, type CrashDiskOptions, createCrashDisk, type DiskCall, type OnCall } from './disk.js'
import { FAULTS, type Fault, failing, fatesOfCrash } from './faults.js'
import { anything, type Hand, handOf } from './hand.js'
import { mayBeLost } from './leaks.js'
import type { Rest } from './shrink.js'
import { type Invariant, type Trace, type TraceEntry, Tracer, told } from './trace.js'
import { inFlight, openWorld, START_MS, type World } from './world.js'

export interface SimulateOptions {
  readonly kinds: readonly AnySessionKind[]
  /** The same seed gives the same hash; default 1. */
  readonly seed?: number
  /** Virtual hours; default 1. */
  readonly hours?: number
  /** What may go wrong; default: everything. */
  readonly faults?: readonly Fault[]
  /** One thing that users do; called some hundred times an hour. Default: random sessions get random events. */
  readonly workload?: (hand: Hand) => void | Promise<void>
  /** The functions behind the machines' steps; each takes some time. */
  readonly steps?: { readonly [name: string]: StepFunction }
  /** More that must hold, beside what always must. */
  readonly invariants?: { readonly [name: string]: Invariant }
  /** A line that tells a seed again, for whoever has a command for it. */
  readonly replay?: (seed: number) => string
  /** Puts a disk between: to plant faults that invariants must find. */
  readonly wrapDisk?: (disk: Disk) => Disk
}

export interface SimulationReport {
  readonly seed: number
  /** Of everything that happened, in order. */
  readonly hash: string
  readonly lives: number
  readonly records: number
  readonly acknowledged: number
  /** Of the records, those that compactions have dropped from the journal. */
  readonly dropped: number
  /** How often each fault came. */
  readonly faults: { readonly [fault: string]: number }
}

const HOUR_MS = 3_600_000
const TICK_MS = 60_000
/** Who does not get on in so many turns waits for time to pass. */
const TURNS = 30

export class Simulation {
  /** How many faults were drawn so far, those included that were left out. */
  drawn = 0
  /** Once it was run. */
  trace!: Trace
  readonly options: SimulateOptions
  readonly #rest: Rest
  readonly #faults: ReadonlySet<Fault>
  readonly #random: () => number
  readonly #tracer = new Tracer((session, seq) => mayBeLost(this.#disk, session, seq))
  readonly #counts = new Map<string, number>()
  #world!: World
  #disk!: CrashDisk
  #life = 0
  #calm = false
  /** The power is cut after so many calls to the disk. */
  #cutIn: number | undefined
  #struck: { readonly disk: CrashDisk; readonly nowMs: number } | undefined
  #failing: OnCall | undefined
  #slowCalls = 0
  /** Position behind the last transition that the observer of all has seen. */
  #observed = 0
  /** Records that compactions have dropped from the journal, or may have. */
  #dropped: readonly JournalEntry[] = []
  #droppedCount = 0

  constructor(options: SimulateOptions, rest: Rest) {
    this.options = options
    this.#rest = rest
    this.#faults = new Set(options.faults ?? FAULTS)
    this.#random = createSeededChance(options.seed ?? 1).random
  }

  get entries(): readonly TraceEntry[] {
    return this.#tracer.entries
  }

  /** What has happened, a line each. */
  get tale(): string[] {
    return told(this.entries)
  }

  async run(): Promise<void> {
    await this.#open(createCrashDisk(this.#diskOptions()), START_MS)
    const ticks = Math.ceil((this.#rest.hours * HOUR_MS) / TICK_MS)
    for (let tick = 0; tick < ticks; tick++) await this.#tick()
    this.trace = await this.#end()
  }

  report(): SimulationReport {
    const { records } = this.trace
    const acknowledged = this.#tracer.entries.filter(({ what }) => what === 'acknowledged').length
    const { seed = 1 } = this.options
    const faults = Object.fromEntries([...this.#counts].sort())
    const counts = { lives: this.#life, records: records.length, acknowledged, dropped: this.#droppedCount }
    return { seed, hash: this.#tracer.digest(), ...counts, faults }
  }

  async #tick(): Promise<void> {
    this.#draw()
    const { kinds, workload = anything(kinds, this.#tracer) } = this.options
    const life = this.#life
    const acting = workload(handOf(this.#world.runtime, this.#random, this.#tracer, () => this.#isNow(life)))
    await this.#patiently(Promise.resolve(acting))
    await this.#world.clock.advance(Math.floor(this.#random() * 2 * TICK_MS))
    if (this.#cutIn !== undefined && this.#world.disk.pending.length > 0) this.#strike('at rest')
    if (this.#struck) await this.#reopen(this.#struck.disk, this.#struck.nowMs)
    else if (this.#world.runtime.health().status !== 'ok') await this.#restart()
  }

  /** No faults any more: everything that is due happens, and what is there is looked at. */
  async #end(): Promise<Trace> {
    this.#calm = true
    this.#cutIn = undefined
    this.#failing = undefined
    await this.#restart()
    for (let minutes = 0; minutes < 5; minutes++) await this.#world.clock.advance(60_000)
    await this.#patiently(this.#world.runtime.close())
    await this.#open(this.#world.disk.clone(this.#diskOptions()), this.#world.clock.now())
    for (let turns = 0; turns < TURNS; turns++) await turn()
    const { runtime, journal, clock } = this.#world
    const { sessions } = runtime.sessions.list({}, { limit: 1000 })
    const snapshots = sessions.map(({ id }) => runtime.session(id).snapshot())
    const records = this.#recordsOf(journal)
    this.#droppedCount = records.findIndex(({ position }) => position >= journal.begin)
    return { entries: this.#tracer.entries, records, snapshots, endMs: clock.now() - 60_000 }
  }

  /** What the journal holds, and what it held before compactions: what they drop is durable and stays as it was. */
  #recordsOf(journal: Journal): JournalEntry[] {
    const { begin } = journal
    return [...this.#dropped.filter(({ position }) => position < begin), ...journal.scan(begin)]
  }

  // ---- faults

  #has(fault: Fault, probability: number): boolean {
    // Drawn in any case: a fault more or less leaves the rest of the life as it was, for as long as it can.
    const draw = this.#random() < probability
    if (!draw || this.#calm || !this.#faults.has(fault)) return false
    return !this.#rest.left.has(this.drawn++)
  }

  #count(fault: Fault, at = ''): void {
    this.#counts.set(fault, (this.#counts.get(fault) ?? 0) + 1)
    this.#tracer.note({ what: 'fault', fault, at })
  }

  /** What goes wrong in the next tick. */
  #draw(): void {
    const upTo = (most: number): number => Math.floor(this.#random() * most)
    if (this.#has('crash', 0.1)) this.#cutIn = upTo(10)
    if (this.#has('kill', 0.04)) this.#kill()
    if (this.#has('EIO', 0.03)) this.#fail('EIO', upTo(4))
    if (this.#has('ENOSPC', 0.03)) this.#fail('ENOSPC', upTo(4))
    if (this.#has('slow disk', 0.2)) this.#slowCalls = 1 + upTo(4)
    if (this.#has('clock jump', 0.15)) this.#jump()
    if (this.#has('throwing observer', 0.2)) this.#throwing()
    if (this.#has('slow observer', 0.2)) this.#slow()
  }

  /** The process dies: what it had written can be read, synced or not. */
  #kill(): void {
    if (this.#struck) return
    this.#count('kill')
    this.#struck = { disk: this.#world.disk.clone(this.#diskOptions()), nowMs: this.#world.clock.now() }
  }

  #fail(fault: 'EIO' | 'ENOSPC', afterCalls: number): void {
    const fails = failing(fault, afterCalls, this.#random)
    this.#failing = (index, call) => {
      try {
        const cut = fails(index, call)
        if (cut !== undefined) this.#count(fault, `${call.op} ${call.path}, cut short`)
        return cut
      } catch (error) {
        this.#count(fault, `${call.op} ${call.path}`)
        throw error
      }
    }
  }

  #jump(): void {
    this.#count('clock jump')
    const { clock } = this.#world
    clock.set(Math.max(START_MS, clock.now() + Math.floor((this.#random() - 0.4) * 1_200_000)))
  }

  #throwing(): void {
    const life = this.#life
    this.#world.runtime.transitions$().subscribe(() => {
      if (this.#isNow(life)) this.#count('throwing observer')
      throw new Error('a planted failure')
    })
  }

  #slow(): void {
    this.#count('slow observer')
    const { runtime, clock } = this.#world
    const life = this.#life
    const observer = `slow observer ${this.#tracer.entries.length}`
    const next = async ({ session, seq }: { session: string; seq: number }): Promise<void> => {
      if (this.#isNow(life)) this.#tracer.note({ what: 'observed', observer, session, seq })
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 10_000))
    }
    // Whoever is too slow is cut off, and hears so.
    runtime.transitions$({ queueLimit: 4 }).subscribe({ next: next as never, error: () => {} })
  }

  #strike(at: string): void {
    this.#cutIn = undefined
    if (this.#struck) return
    this.#count('crash', at)
    const disk = this.#disk
    const fates = fatesOfCrash(disk.pending, this.#faults, this.#random)
    // While a runtime opens, the clock of the one before stands still.
    const nowMs = this.#world?.clock.now() ?? START_MS
    this.#struck = { disk: disk.crash(fates, this.#diskOptions()), nowMs }
  }

  /** Every call to the disk of a life passes here. */
  #point(life: number, phase: 'before' | 'after', call: DiskCall): number | undefined {
    if (life !== this.#life || this.#struck) return undefined
    this.#tracer.mark(`${phase} ${call.op} ${call.path}`)
    if (this.#cutIn !== undefined && this.#cutIn-- === 0) this.#strike(`${phase} ${call.op} ${call.path}`)
    return phase === 'before' ? this.#failing?.(0, call) : undefined
  }

  #diskOptions(): CrashDiskOptions {
    return {
      callsKept: 10,
      settle: async () => {
        if (this.#slowCalls <= 0) return
        this.#slowCalls--
        this.#count('slow disk')
        const ms = Math.floor(this.#random() * 500)
        await new Promise<void>((resolve) => this.#world.clock.setTimeout(resolve, ms))
      },
    }
  }

  #dying(inner: Pool, clock: VirtualClock, life: number): Pool {
    const run: Pool['run'] = (task, listener) => {
      if (!this.#isNow(life)) return inner.run(task, listener)
      this.#tracer.note({ what: 'step', key: task.idempotencyKey, attempt: task.attempt })
      const running = inner.run(task, listener)
      if (!this.#has('worker death', 0.3)) return running
      this.#count('worker death', task.idempotencyKey)
      const error = encodeError(new HoldfastError('STEP_CRASHED', 'the worker has died'))
      const died = new Promise<Outcome>((resolve) => {
        clock.setTimeout(() => resolve({ kind: 'failed', error, retry: true }), Math.floor(this.#random() * 1000))
      })
      return { outcome: Promise.race([running.outcome, died]), cancel: (reason) => running.cancel(reason) }
    }
    return { run, stats: () => inner.stats(), close: () => inner.close() }
  }

  // ---- lives

  /** Closes as a process does that ends in order; a runtime that failed is closed, too. */
  async #restart(): Promise<void> {
    const { runtime, disk, clock } = this.#world
    this.#failing = undefined
    await this.#patiently(runtime.close())
    if (this.#struck) return this.#reopen(this.#struck.disk, this.#struck.nowMs)
    await this.#reopen(disk.clone(this.#diskOptions()), clock.now())
  }

  /** Opening may be cut off as well, or fail; then it is tried again. */
  async #reopen(disk: CrashDisk, nowMs: number): Promise<void> {
    this.#failing = undefined
    if (this.#has('crash', 0.2)) this.#cutIn = Math.floor(this.#random() * 30)
    if (this.#has('EIO', 0.05)) this.#fail('EIO', Math.floor(this.#random() * 10))
    try {
      await this.#open(disk, nowMs + Math.floor(this.#random() * 60_000))
    } catch (error) {
      if (!this.#failing || this.#struck) throw error
      return this.#reopen(disk.clone(this.#diskOptions()), nowMs)
    }
    this.#failing = undefined
    if (this.#struck) await this.#reopen(this.#struck.disk, this.#struck.nowMs)
  }

  async #open(disk: CrashDisk, nowMs: number): Promise<void> {
    const life = ++this.#life
    const { kinds, seed = 1, wrapDisk } = this.options
    this.#disk = disk
    this.#struck = undefined
    // Time cannot pass before there is a world, so nothing may wait for it.
    this.#slowCalls = 0
    const { steps = {} } = this.options
    this.#world = await openWorld({
      ...{ disk, kinds, nowMs, seed: seed + life, ...(wrapDisk && { wrapDisk }) },
      journal: {
        stallMs: this.#random() < 0.5 ? -1 : 1,
        segmentBytes: this.#random() < 0.5 ? 4000 : 20_000,
        reserveBytes: 0,
      },
      steps: (clock) => this.#slowSteps(steps, clock),
      onPoint: (phase, call) => this.#point(life, phase, call),
      turnsOf: () => (this.#calm ? 1 : 1 + Math.floor(this.#random() * 3)),
      wrapPool: (pool, clock) => this.#dying(pool, clock, life),
      onAppend: ({ record }) => this.#isNow(life) && this.#follows(record),
      onCompact: (journal) => {
        if (this.#isNow(life)) this.#dropped = this.#recordsOf(journal)
      },
      passivation: { idleMs: this.#random() < 0.5 ? 120_000 : 600_000, liveLimit: this.#random() < 0.2 ? 2 : 100 },
    })
    if (this.#isNow(life)) this.#watch(life)
  }

  /** A record that comes of another one, which must be durable by then: a message, a child's beginning, a timer. */
  #follows({ session, seq, received, parent, cleared: [key] = [], event }: TransitionRecord): void {
    if (received) this.#tracer.left('a message', received.from, Number.parseInt(received.key, 10))
    if (parent && seq === 1) this.#tracer.left('a child session', parent.session, parent.incarnation)
    if (key && event.type.startsWith('xstate.after.')) this.#tracer.left('a timer', session, Number.parseInt(key, 10))
  }

  #watch(life: number): void {
    const { runtime } = this.#world
    const { sessions } = runtime.sessions.list({}, { limit: 1000 })
    const known = Object.fromEntries(sessions.map(({ id, seq }) => [id, seq]))
    this.#tracer.note({ what: 'opened', life, sessions: known })
    runtime.transitions$({ from: this.#observed }).subscribe(({ session, seq, position }) => {
      if (!this.#isNow(life)) return
      this.#observed = position + 1
      this.#tracer.note({ what: 'observed', observer: 'observer of all', session, seq })
    })
  }

  #slowSteps(steps: { readonly [name: string]: StepFunction }, clock: VirtualClock): Record<string, StepFunction> {
    const slow =
      (given: StepFunction): StepFunction =>
      async (input, context) => {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, Math.floor(this.#random() * 2000)))
        return given(input, context)
      }
    return Object.fromEntries(Object.entries(steps).map(([name, given]) => [name, slow(given)]))
  }

  /** Whether what happens in a life still counts: it is the last, and the power is on. */
  #isNow(life: number): boolean {
    return life === this.#life && !this.#struck
  }

  /** Waits for something; when nothing more happens by itself, time passes. */
  async #patiently<T>(acting: Promise<T>): Promise<void> {
    let waiting = true
    const done = (): void => {
      waiting = false
    }
    acting.then(done, done)
    for (let turns = 0; waiting; turns++) {
      if (turns > 100 * TURNS) throw new Error('something does not end')
      if (turns > TURNS) await this.#world.clock.advance(1000)
      else await turn()
    }
    await acting
    for (let turns = 0; turns < TURNS && inFlight(this.#world); turns++) await turn()
  }
}
