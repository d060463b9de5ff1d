// R11: timers survive. Sessions with delayed events, `after`s that are set anew, cancels, delays of months, on a clock that
// jumps; they become passive, are closed and opened, killed, and lose their power, again and again. What a session's history
// says in the end is held against a model of ten lines: each timer fires once, never early, never after its cancel, at once
// when it is overdue, and otherwise on the millisecond, but for the minute in which a jump of the clock is noticed.
// HOLDFAST_RUNS sets how many rehydrations of a session with a timer.
import { defineSession, type Runtime, type Transition } from 'holdfast'
import { expect, test } from 'vitest'
import { assign, cancel, enqueueActions, setup } from 'xstate'
import { createSeededChance } from '../../src/testing/chance.js'
import { createVirtualClock, type VirtualClock } from '../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk } from '../../src/testing/disk.js'
import { randomFates, START_MS } from '../../src/testing/world.js'
import { house } from '../house.js'

const REHYDRATIONS = Number(process.env.HOLDFAST_RUNS ?? 1000)
const SEED = Number(process.env.HOLDFAST_SEED ?? 11)
const SESSIONS = 12
/** A jump of the clock is noticed within that time. */
const NOTICED_MS = 60_000
const DAY_MS = 86_400_000
const DELAYS_MS = [0, 1, 40, 1000, 59_999, 61_000, 3_600_000, DAY_MS, 30 * DAY_MS, 100 * DAY_MS]
const IDS = ['x', 'y', 'z']

const kind = defineSession({
  kind: 'alarm',
  version: 1,
  machine: setup({
    types: {
      context: {} as { period: number },
      input: {} as { period: number },
      events: {} as
        | { type: 'later'; id: string; n: number; ms: number }
        | { type: 'drop'; id: string }
        | { type: 'rung'; id: string; n: number }
        | { type: 'again' | 'stop' },
    },
    delays: { period: ({ context }) => context.period },
  }).createMachine({
    context: ({ input }) => input,
    initial: 'on',
    states: {
      on: {
        after: { period: { target: 'on', reenter: true } },
        on: { again: { target: 'on', reenter: true }, stop: 'off' },
      },
      off: {},
    },
    on: {
      // Of two with one id the last counts.
      later: {
        actions: enqueueActions(({ enqueue, event: { id, n, ms } }) => {
          enqueue.cancel(id)
          enqueue.raise({ type: 'rung', id, n }, { id, delay: ms })
        }),
      },
      drop: { actions: cancel(({ event }) => event.id) },
      rung: { actions: assign({}) },
    },
  }),
})

interface Jump {
  readonly from: number
  readonly to: number
}

/** From an opening to its end. */
interface Life {
  readonly openedMs: number
  jump?: Jump
  /** The last transition of each session at the end of it. */
  readonly seqs: Map<string, number>
}

interface Armed {
  readonly due: number
  readonly life: number
}

/** What a history should have been: faults, and how many timers fired. */
class Model {
  readonly faults: string[] = []
  fired = 0
  cancelled = 0
  readonly #lives: readonly Life[]
  readonly #rings = new Map<string, Armed & { readonly n: number }>()
  #after: Armed | undefined

  constructor(lives: readonly Life[]) {
    this.#lives = lives
  }

  /** Gives the timers that are still to fire. */
  replay(id: string, period: number, history: readonly Transition[]): number {
    let life = 0
    for (const { seq, event, at } of history) {
      while ((this.#lives[life]?.seqs.get(id) ?? Number.POSITIVE_INFINITY) < seq) life++
      const now = Date.parse(at)
      const { type, id: timer = '', n = 0, ms = 0 } = event as { type: string; id?: string; n?: number; ms?: number }
      if (type === 'later') this.#set(timer, { n, due: now + ms, life })
      else if (type === 'drop') this.#drop(timer)
      else if (type === 'rung') {
        const armed = this.#rings.get(timer)
        if (armed?.n === n) this.#fires(`${id}: ring ${n}`, armed, now, life)
        else this.faults.push(`${id}: ring ${n} at ${seq} is not armed`)
        this.#rings.delete(timer)
      } else if (type.startsWith('xstate.after')) {
        if (this.#after) this.#fires(`${id}: after at ${seq}`, this.#after, now, life)
        else this.faults.push(`${id}: an after at ${seq} of a state that was left`)
        this.#after = { due: now + period, life }
      } else if (type === 'stop') this.#after = undefined
      else this.#after = { due: now + period, life }
    }
    return this.#rings.size + (this.#after ? 1 : 0)
  }

  #set(timer: string, armed: Armed & { n: number }): void {
    this.#drop(timer)
    this.#rings.set(timer, armed)
  }

  #drop(timer: string): void {
    if (this.#rings.delete(timer)) this.cancelled++
  }

  #fires(what: string, { due, life: armedIn }: Armed, now: number, life: number): void {
    this.fired++
    const { openedMs, jump } = this.#lives[life] as Life
    const from = armedIn === life ? due : Math.max(due, openedMs)
    if (now < due) this.faults.push(`${what} fired ${due - now} ms early`)
    if (now === from) return
    const noticed = jump !== undefined && jump.to > jump.from && now <= Math.max(from, jump.to) + NOTICED_MS
    if (!noticed) this.faults.push(`${what} fired ${now - from} ms late`)
  }
}

/** Sessions on one disk, through some lives. */
class World {
  readonly lives: Life[] = []
  rehydrated = 0
  readonly #random: () => number
  readonly #periods: readonly number[]
  #disk: CrashDisk = createCrashDisk()
  #clock: VirtualClock = createVirtualClock(START_MS)
  #runtime: Runtime | undefined
  #n = 0

  constructor(random: () => number) {
    this.#random = random
    this.#periods = Array.from({ length: SESSIONS }, () => this.#one([20_000, 90_000, DAY_MS, 31 * DAY_MS]))
  }

  get #open(): Runtime {
    return this.#runtime as Runtime
  }

  #one<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)] as T
  }

  async live(last: boolean): Promise<void> {
    const first = this.lives.length === 0
    this.lives.push({ openedMs: this.#clock.now(), seqs: new Map() })
    const limits = { liveLimit: this.#one([0, 3, 1000]), idleMs: this.#one([1, 500, 30_000]) }
    this.#runtime = await house([kind], {}, this.#disk, undefined, { clock: this.#clock, ...limits }).open()
    if (first) {
      for (const [at, period] of this.#periods.entries()) await this.#open.create(kind, { period }, { id: `s${at}` })
    } else this.rehydrated += this.#open.sessions.count({ status: 'active' })
    await this.#clock.advance(0)
    for (let round = 0; round < 3; round++) {
      await this.#act()
      await this.#clock.advance(this.#one([0, 1, 60, 2000, 20_000, 70_000]))
      if (this.#random() < 0.1) await this.#jump()
    }
    await (last ? this.#finish() : this.#end())
  }

  /** Some events in one turn. */
  async #act(): Promise<void> {
    const sent: Promise<unknown>[] = []
    for (let left = Math.floor(this.#random() * SESSIONS); left > 0; left--) {
      const session = this.#open.session(`s${Math.floor(this.#random() * SESSIONS)}`, kind)
      const id = this.#one(IDS)
      const draw = this.#random()
      if (draw < 0.6) sent.push(session.send({ type: 'later', id, n: ++this.#n, ms: this.#one(DELAYS_MS) }))
      else if (draw < 0.8) sent.push(session.send({ type: 'drop', id }))
      else sent.push(session.send({ type: 'again' }))
    }
    await Promise.all(sent)
  }

  /** The clock is set to another time, once a life. */
  async #jump(): Promise<void> {
    const life = this.lives.at(-1) as Life
    if (life.jump) return
    const from = this.#clock.now()
    const to = from + this.#one([-DAY_MS, -5000, 5000, DAY_MS, 200 * DAY_MS])
    this.#clock.set(to)
    life.jump = { from, to }
    await this.#clock.advance(NOTICED_MS)
  }

  /** The next life is begun some time later on what this one has left. */
  async #end(): Promise<void> {
    const draw = this.#random()
    if (draw < 0.4) await this.#open.close()
    else if (draw < 0.6) this.#disk = this.#disk.clone()
    else {
      // With something under way, as often as not a timer that has just fired.
      const under = this.#clock.advance(this.#one([0, 40, 1000]))
      for (let turns = Math.floor(this.#random() * 4); turns > 0; turns--)
        await new Promise<void>((resolve) => setImmediate(resolve))
      this.#disk = this.#disk.crash(randomFates(this.#random))
      const now = this.#clock.now()
      await under
      this.#clock = createVirtualClock(now)
    }
    const life = this.lives.at(-1) as Life
    this.#clock = createVirtualClock(this.#clock.now() + this.#one([0, 1, 30, 3_600_000, 40 * DAY_MS]))
    const left = await house([kind], {}, this.#disk.clone(), undefined, { clock: createVirtualClock() }).open()
    for (const { id, seq } of left.sessions.list({}, { limit: SESSIONS }).sessions) life.seqs.set(id, seq)
    await left.close()
  }

  /** Nothing new is set, and the last life begins when all that is set is overdue. */
  async #finish(): Promise<void> {
    await Promise.all(this.#periods.map((_, at) => this.#open.session(`s${at}`, kind).send({ type: 'stop' })))
    await this.#end()
    this.#clock = createVirtualClock(this.#clock.now() + 400 * DAY_MS)
    this.lives.push({ openedMs: this.#clock.now(), seqs: new Map() })
    this.#runtime = await house([kind], {}, this.#disk, undefined, { clock: this.#clock }).open()
    await this.#clock.advance(0)
  }

  /** Holds every history against the model. */
  async judge(totals: { fired: number; cancelled: number }): Promise<void> {
    for (const [at, period] of this.#periods.entries()) {
      const session = this.#open.session(`s${at}`, kind)
      const model = new Model(this.lives)
      const left = model.replay(session.id, period, [...session.history()])
      expect(model.faults).toEqual([])
      expect(left, `timers of ${session.id} that never fired`).toBe(0)
      totals.fired += model.fired
      totals.cancelled += model.cancelled
    }
    await this.#open.close()
  }
}

test(`over ${REHYDRATIONS} rehydrations each timer fires once, never early, and at once when it is overdue`, async () => {
  const { random } = createSeededChance(SEED)
  const totals = { fired: 0, cancelled: 0 }
  let [rehydrated, lives] = [0, 0]
  while (rehydrated < REHYDRATIONS) {
    const world = new World(random)
    for (let life = 0; life < 15; life++) await world.live(life === 14)
    await world.judge(totals)
    rehydrated += world.rehydrated
    lives += world.lives.length
  }
  console.log(
    `R11: ${rehydrated} rehydrations in ${lives} lives; ${totals.fired} timers fired once, on time, ${totals.cancelled} were cancelled and did not`,
  )
  expect(Math.min(totals.fired, totals.cancelled)).toBeGreaterThan(REHYDRATIONS / 100)
}, 600_000)
