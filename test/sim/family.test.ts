// A family of sessions under power cuts: messages both ways, results, endings and cancels are each taken exactly once and
// in order, wherever the power is cut, however often. The undisturbed family is the reference. HOLDFAST_RUNS sets how many.

import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AnyStateMachine, assign, createActor, sendParent, sendTo, setup, spawnChild } from 'xstate'
import { type AnySessionKind, defineSession } from '../../src/define.js'
import { createSeededChance } from '../../src/testing/chance.js'
import { type CrashDisk, createCrashDisk } from '../../src/testing/disk.js'
import { inFlight, openWorld, randomFates, START_MS, settle, type World } from '../../src/testing/world.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 40)

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const CHILDREN = ['a', 'b', 'c'] as const
const ROUNDS = 4

// Machines in plain JavaScript: their types are not what is tested
type Loose = any

/** Answers each number at once and once more a little later, counts what comes, and ends when told to. */
const child = setup({ types: {} as Loose }).createMachine({
  context: ({ input }: Loose) => ({ name: input.name, got: [] }),
  initial: 'on',
  states: {
    on: {
      on: {
        number: {
          actions: [
            assign({ got: ({ context, event }: Loose) => [...context.got, event.n] }),
            sendParent(({ context, event }: Loose) => ({ type: 'echo', from: context.name, n: event.n })),
            sendParent(({ context, event }: Loose) => ({ type: 'later', from: context.name, n: event.n }), {
              delay: 5,
              id: ({ event }: Loose) => `later-${event.n}`,
            } as Loose),
          ],
        },
        stop: { target: 'off', actions: sendParent(({ context }: Loose) => ({ type: 'bye', from: context.name })) },
      },
    },
    off: { type: 'final' },
  },
  output: ({ context }: Loose) => context.got,
} as Loose)

const heard = (type: string): Loose => ({
  actions: assign({
    log: ({ context, event }: Loose) => ({
      ...context.log,
      [event.from]: [...(context.log[event.from] ?? []), `${type} ${event.n ?? ''}`.trim()],
    }),
  } as Loose),
})

const family = (): AnySessionKind => defineSession({ kind: 'family', version: 1, machine: familyMachine() })

const familyMachine = (): AnyStateMachine =>
  setup({ types: {} as Loose, actors: { child, quiet: child } }).createMachine({
    context: { log: {}, results: {}, sent: 0 },
    type: 'parallel',
    states: {
      ...Object.fromEntries(
        CHILDREN.map((name) => [
          name,
          {
            initial: 'running',
            states: {
              running: {
                invoke: {
                  id: name,
                  src: 'child',
                  input: { name },
                  onDone: {
                    target: 'over',
                    actions: assign({
                      results: ({ context, event }: Loose) => ({
                        ...context.results,
                        [name]: [...(context.results[name] ?? []), event.output],
                      }),
                    } as Loose),
                  },
                },
              },
              over: { type: 'final' },
            },
          },
        ]),
      ),
      aside: {
        initial: 'with',
        states: {
          with: { invoke: { id: 'q', src: 'quiet', input: { name: 'q' } }, on: { drop: 'without' } },
          without: { type: 'final' },
        },
      },
    },
    on: {
      round: {
        actions: [
          ...CHILDREN.map((name) => sendTo(name, ({ event }: Loose) => ({ type: 'number', n: event.n }))),
          assign({ sent: ({ event }: Loose) => event.n }),
        ],
      },
      stop: { actions: CHILDREN.map((name) => sendTo(name, { type: 'stop' })) },
      echo: heard('echo'),
      later: heard('later'),
      bye: heard('bye'),
    },
    output: ({ context }: Loose) => context,
  } as Loose)

/** The disk after a power cut, and when that was. */
interface Cut {
  readonly disk: CrashDisk
  readonly nowMs: number
}

class Story {
  crashes = 0
  inFlight = 0
  readonly #kind = family()
  readonly #random: () => number
  readonly #plans: readonly number[]
  #world!: World
  #points: number | undefined
  #cut: Cut | undefined
  #next = 0

  constructor(seed: number, plans: readonly number[]) {
    this.#random = createSeededChance(seed).random
    this.#plans = plans
  }

  async live(): Promise<Loose> {
    await this.#open(createCrashDisk(), START_MS)
    await this.#insist(async ({ runtime }) => {
      if (runtime.sessions.count({ kind: 'family' }) === 0) await runtime.create(this.#kind, undefined, { id: 'root' })
    })
    for (let n = 1; n <= ROUNDS; n++) {
      await this.#insist(({ runtime }) => runtime.session('root').send({ type: 'round', n }, { id: `round ${n}` }))
      await this.#insist(({ clock }) => clock.advance(this.#random() < 0.5 ? 2 : 20))
    }
    await this.#insist(({ clock }) => clock.advance(20))
    await this.#insist(({ runtime }) => runtime.session('root').send({ type: 'stop' }, { id: 'stop' }))
    await this.#insist(({ runtime }) => runtime.session('root').send({ type: 'drop' }, { id: 'drop' }))
    this.#points = undefined
    for (let turns = 0; turns < 200; turns++) await turn()
    const { runtime } = this.#world
    expect(this.#world.complaints).toEqual([])
    const stats = runtime.sessions.stats()
    return { root: runtime.session('root').snapshot(), stats }
  }

  /** Does something, with a power cut on the way if one is planned, until it is done. */
  async #insist(act: (world: World) => Promise<unknown>): Promise<void> {
    for (;;) {
      this.#points = this.#plans[this.#next++]
      const world = this.#world
      const acting = Promise.resolve(act(world)).catch((error: unknown) => {
        if (!this.#cut) throw error
      })
      await Promise.race([acting, this.#struck(world)])
      if (!this.#cut) await settle(world)
      for (let turns = 0; turns < 3 && !this.#cut; turns++) await turn()
      const cut = this.#cut as Cut | undefined
      if (!cut) return
      await this.#open(cut.disk, cut.nowMs)
    }
  }

  async #struck(world: World): Promise<void> {
    while (!this.#cut && this.#world === world) await turn()
  }

  async #open(disk: CrashDisk, nowMs: number): Promise<void> {
    this.#cut = undefined
    this.#points = undefined
    const onPoint = (): void => this.#point()
    this.#world = await openWorld({ disk, kinds: [this.#kind], nowMs, seed: this.#next + 1, onPoint })
  }

  #point(): void {
    if (this.#points === undefined || this.#cut || !this.#world) return
    if (this.#points-- > 0) return
    this.crashes++
    if (inFlight(this.#world)) this.inFlight++
    this.#cut = { disk: this.#world.disk.crash(randomFates(this.#random)), nowMs: this.#world.clock.now() }
  }
}

/** What every child's part of the log must be, whatever happened: all of it, once, in order. */
function check({ root, stats }: Loose): void {
  checkRoot(root)
  // Nobody is left behind: three children are done, the one that was dropped is stopped.
  expect(stats).toEqual({ total: 5, active: 0, done: 4, error: 0, stopped: 1 })
}

function checkRoot(root: Loose): void {
  expect(root).toMatchObject({ status: 'done' })
  const numbers = Array.from({ length: ROUNDS }, (_, i) => i + 1)
  for (const name of CHILDREN) {
    const log: string[] = root.context.log[name]
    expect(root.context.results[name]).toEqual([numbers])
    expect(log.filter((entry) => entry.startsWith('echo'))).toEqual(numbers.map((n) => `echo ${n}`))
    expect(log.filter((entry) => entry.startsWith('later')).sort()).toEqual(numbers.map((n) => `later ${n}`))
    expect(log.at(-1)).toBe('bye')
  }
}

test('an undisturbed family comes to its end, every message taken once and in order', async () => {
  check(await new Story(1, []).live())
})

test('so does the same machine in plain XState, with its children in memory', () => {
  const timers: { readonly due: number; readonly run: () => void }[] = []
  let now = 0
  const clock = {
    setTimeout: (run: () => void, ms: number) => timers.push({ due: now + ms, run }),
    clearTimeout: () => {},
  }
  const advance = (ms: number): void => {
    now += ms
    for (const { run } of timers.splice(0).sort((a, b) => a.due - b.due)) run()
  }
  const actor = createActor(familyMachine(), { clock } as Loose).start()
  for (let n = 1; n <= ROUNDS; n++) {
    actor.send({ type: 'round', n })
    advance(20)
  }
  actor.send({ type: 'stop' })
  actor.send({ type: 'drop' })
  checkRoot(actor.getSnapshot())
})

test('a family of sessions comes to the same end through any power cuts', async () => {
  let crashes = 0
  let under = 0
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.array(fc.nat(24), { minLength: 3, maxLength: 14 }), async (seed, plans) => {
      const story = new Story(seed, plans)
      check(await story.live())
      crashes += story.crashes
      under += story.inFlight
    }),
    { numRuns: RUNS },
  )
  console.log(`family: ${crashes} power cuts, ${under} with records in flight`)
  expect(crashes).toBeGreaterThan(3 * RUNS)
  expect(under).toBeGreaterThan(RUNS)
})

/** It starts its child, and tells it something, in one transition. */
const teller = defineSession({
  kind: 'teller',
  version: 1,
  machine: setup({ types: {} as Loose, actors: { child } }).createMachine({
    context: {},
    on: {
      go: {
        actions: [
          spawnChild('child', { id: 'c', input: { name: 'c' } } as Loose),
          sendTo('c', { type: 'number', n: 1 }),
        ],
      },
      echo: {},
      later: {},
    },
  } as Loose),
})

test('a child that a power cut has kept from beginning hears what it was told, once it has begun', async () => {
  let cuts = 0
  for (let point = 0; ; point++) {
    const disk = createCrashDisk()
    let left = Number.POSITIVE_INFINITY
    let cut: CrashDisk | undefined
    const onPoint = (): void => {
      if (left-- === 0) cut = disk.crash(() => 'kept')
    }
    let world = await openWorld({ disk, kinds: [teller], onPoint })
    await world.runtime.create(teller, undefined, { id: 'root' })
    left = point
    await world.runtime.session('root').send({ type: 'go' }, { id: 'go' })
    await settle(world)
    if (!cut) break
    cuts++
    world = await openWorld({ disk: cut, kinds: [teller] })
    await world.runtime.session('root').send({ type: 'go' }, { id: 'go' })
    await settle(world)
    const [born] = world.runtime.sessions.list({ parent: 'root' }).sessions
    expect(world.runtime.session(born?.id as string).snapshot().context, `cut at ${point}`).toMatchObject({ got: [1] })
  }
  expect(cuts).toBeGreaterThan(5)
})
