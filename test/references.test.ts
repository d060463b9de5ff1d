// References to actors: in a context, an event, an input or an output they are JSON to everybody but the machine, and are
// the same actors after a restart. HOLDFAST_RUNS sets how many lives are juggled with them, HOLDFAST_SEED which.
import * as fc from 'fast-check'
import { defineSession, isHoldfastError, type Runtime, type Session, step } from 'holdfast'
import { expect, test, vi } from 'vitest'
import {
  type AnyActorRef,
  assign,
  createActor,
  emit,
  enqueueActions,
  forwardTo,
  fromCallback,
  fromPromise,
  raise,
  sendParent,
  sendTo,
  setup,
  stopChild,
} from 'xstate'
import type { AnySessionKind } from '../src/define.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock, turn, type VirtualClock } from '../src/testing/clock.js'
import { type CrashDisk, createCrashDisk } from '../src/testing/disk.js'
import { openWorld, randomFates, START_MS, settle, type World } from '../src/testing/world.js'
import { type House, house } from './house.js'

/** Machines are made of what XState leaves loosely typed. */
type Loose = any

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 24)
const SEED = Number(process.env.HOLDFAST_SEED ?? 3)

async function until(what: () => boolean): Promise<void> {
  for (let turns = 0; !what(); turns++) {
    if (turns > 2000) throw new Error('it did not come to pass')
    await turn()
  }
}

/** A session whose runtime is closed and opened again whenever one asks. */
class Restarted {
  readonly home: House
  readonly kind: AnySessionKind
  runtime: Runtime
  id = ''

  private constructor(home: House, kind: AnySessionKind, runtime: Runtime) {
    this.home = home
    this.kind = kind
    this.runtime = runtime
  }

  static async begin(kind: AnySessionKind, steps: Record<string, Loose> = {}): Promise<Restarted> {
    const home = house([kind], steps)
    const life = new Restarted(home, kind, await home.open())
    life.id = (await life.runtime.create(kind)).id
    return life
  }

  get session(): Session<Loose> {
    return this.runtime.session(this.id, this.kind) as Loose
  }

  async restart(): Promise<void> {
    await this.runtime.close()
    this.runtime = await this.home.open()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runtime.close()
  }
}

const kindOf = (machine: Loose, more: Loose = {}): AnySessionKind =>
  defineSession({ kind: 'keeper', version: 1, machine, ...more })

/** Answers each `ask` with how many it has heard, and ends at `stop`. */
const worker = setup({}).createMachine({
  context: { heard: 0 },
  initial: 'on',
  states: {
    on: {
      on: {
        ask: {
          actions: [
            assign({ heard: ({ context }: Loose) => context.heard + 1 }),
            sendParent(({ context }: Loose) => ({ type: 'answer', heard: context.heard })),
          ],
        },
        stop: 'off',
      },
    },
    off: { type: 'final' },
  },
})

const keeper = (spawnOptions: Loose) =>
  setup({ types: {} as Loose, actors: { worker } }).createMachine({
    context: { child: null, list: [], answers: [], n: 0 },
    on: {
      hire: {
        actions: assign({
          child: ({ spawn }: Loose) => spawn('worker', spawnOptions),
          list: ({ context }: Loose) => [...context.list, { at: context.n }],
        }),
      },
      keep: { actions: assign({ list: ({ context }: Loose) => [...context.list, { was: context.child }] }) },
      ask: { actions: sendTo(({ context }: Loose) => context.child, { type: 'ask' }) },
      stop: { actions: sendTo(({ context }: Loose) => context.child, { type: 'stop' }) },
      fire: { actions: stopChild(({ context }: Loose) => context.child) },
      askFirst: {
        actions: sendTo(({ context }: Loose) => context.list.find((one: Loose) => one.was).was, { type: 'ask' }),
      },
      answer: { actions: assign({ answers: ({ context, event }: Loose) => [...context.answers, event.heard] }) },
      count: { actions: assign({ n: ({ context }: Loose) => context.n + 1 }) },
    },
  })

test('a child in the context is the same child after a restart, and takes messages', async () => {
  await using life = await Restarted.begin(kindOf(keeper({ id: 'w' })))
  await life.session.send({ type: 'hire' })
  for (let round = 1; round <= 3; round++) {
    await life.restart()
    await life.session.send({ type: 'ask' })
    await life.session.until(({ context }) => context.answers.length === round)
  }
  expect(life.session.snapshot().context.answers).toEqual([1, 2, 3])
  expect(life.runtime.sessions.count({ parent: life.id })).toBe(1)
  expect(life.home.log).toEqual([])
})

test('whoever looks sees a plain frozen reference, and never an actor', async () => {
  const attributes: unknown[] = []
  const index = ({ context }: Loose): Loose => {
    attributes.push(context.child)
    return { hired: context.child !== null }
  }
  const machine = keeper({ id: 'w' })
  const kind = kindOf(machine, { index })
  await using life = await Restarted.begin(kind)
  const reference = { xstate$$type: 1, id: 'w', incarnation: 2 }
  const patches: unknown[] = []
  life.session.transitions$({ from: 2 }).subscribe(({ patch }) => patches.push(patch))
  await life.session.send({ type: 'hire' })
  await life.session.send({ type: 'count' })
  await life.session.send({ type: 'keep' })
  const { session } = life
  const { context } = session.snapshot()
  expect(context).toEqual({ child: reference, list: [{ at: 0 }, { was: reference }], answers: [], n: 1 })
  for (const part of [context, context.child, context.list, context.list[1], context.list[1].was]) {
    expect(Object.isFrozen(part)).toBe(true)
    expect([Object.prototype, Array.prototype]).toContain(Object.getPrototypeOf(part))
  }
  await turn()
  expect(patches).toEqual([
    [
      [['child'], reference],
      [['list'], 0, 0, { at: 0 }],
    ],
    [[['n'], 1]],
    [[['list'], 1, 0, { was: reference }]],
  ])
  expect(attributes).toEqual([null, reference, reference, reference])
  expect((await session.at(2)).context).toEqual({ child: reference, list: [{ at: 0 }], answers: [], n: 0 })
  expect((await session.diff(1, 2)).patch).toEqual(patches[0])
  expect((await session.diff(2, 1)).patch).toEqual([
    [['child'], null],
    [['list'], 0, 1],
  ])
})

test('a child without an id has the same one after a restart, and no other child gets it', async () => {
  await using life = await Restarted.begin(kindOf(keeper({})))
  const ids = new Set<string>()
  for (let round = 1; round <= 4; round++) {
    await life.session.send({ type: 'hire' })
    const { child } = life.session.snapshot().context
    ids.add(child.id)
    await life.restart()
    expect(life.session.snapshot().context.child).toEqual(child)
    await life.session.send({ type: 'ask' })
    await life.session.until(({ context }) => context.answers.length === round)
  }
  expect(ids.size).toBe(4)
  expect(life.session.snapshot().context.answers).toEqual([1, 1, 1, 1])
  expect(life.runtime.sessions.count({ parent: life.id, status: 'active' })).toBe(4)
})

test.each(['stop', 'fire'])(
  'a child that is gone (%s) takes no messages, nor does a later one of its id for it',
  async (how) => {
    await using life = await Restarted.begin(kindOf(keeper({ id: 'w' })))
    await life.session.send({ type: 'hire' })
    await life.session.send({ type: 'keep' })
    await life.session.send({ type: how })
    await until(() => life.runtime.sessions.count({ parent: life.id, status: 'active' }) === 0)
    if (how === 'stop') await life.session.until(({ seq }) => seq >= 5)
    for (const restart of [false, true]) {
      if (restart) await life.restart()
      await life.session.send({ type: 'askFirst' })
    }
    await life.session.send({ type: 'hire' })
    await life.session.send({ type: 'ask' })
    await life.session.until(({ context }) => context.answers.length === 1)
    for (const restart of [false, true]) {
      if (restart) await life.restart()
      await life.session.send({ type: 'askFirst' })
      await turn()
    }
    await life.session.send({ type: 'ask' })
    await life.session.until(({ context }) => context.answers.length === 2)
    expect(life.session.snapshot().context.answers).toEqual([1, 2])
  },
)

test('local actors in a context are started anew and take messages, also by forwardTo and enqueueActions', async () => {
  const heard: string[] = []
  const machine = setup({
    types: {} as Loose,
    actors: {
      listener: fromCallback(({ receive, input }: Loose) => {
        heard.push(`begins ${input.name}`)
        receive((event: Loose) => heard.push(event.type))
      }),
    },
  }).createMachine({
    context: ({ spawn }: Loose) => ({ log: spawn('listener', { id: 'log', input: { name: 'log' } }) }),
    on: {
      a: { actions: forwardTo(({ context }: Loose) => context.log) },
      b: { actions: enqueueActions(({ enqueue, context }: Loose) => enqueue.sendTo(context.log, { type: 'b' })) },
      c: { actions: ({ context }: Loose) => context.log.send({ type: 'c' }) },
    },
  })
  await using life = await Restarted.begin(kindOf(machine))
  for (const type of ['a', 'b', 'c']) await life.session.send({ type })
  await life.restart()
  await life.session.send({ type: 'a' })
  expect(heard).toEqual(['begins log', 'a', 'b', 'c', 'begins log', 'a'])
  expect(life.session.snapshot().context.log).toEqual({ xstate$$type: 1, id: 'log', incarnation: 1 })
})

test('a step in a context is done as any other, and takes no messages', async () => {
  const machine = setup({
    types: {} as Loose,
    actors: { work: step('work') as Loose },
  }).createMachine({
    context: ({ spawn }: Loose) => ({ job: spawn('work', { id: 'job' }), got: null }),
    on: {
      poke: { actions: sendTo(({ context }: Loose) => context.job, { type: 'poke' }) },
      'xstate.done.actor.job': { actions: assign({ got: ({ event }: Loose) => event.output }) },
    },
  })
  await using life = await Restarted.begin(kindOf(machine, { steps: 'test:steps' }), { work: async () => 7 })
  await life.session.until(({ context }) => context.got === 7)
  await life.restart()
  await life.session.send({ type: 'poke' })
  expect(life.session.snapshot().context.job).toEqual({ xstate$$type: 1, id: 'job', incarnation: 1 })
})

const asker = setup({ types: {} as Loose }).createMachine({
  context: ({ input }: Loose) => ({ boss: input?.boss ?? null, asked: null, told: 0 }),
  on: {
    hello: {
      actions: [
        assign({ asked: ({ event }: Loose) => event.replyTo }),
        sendTo(({ event }: Loose) => event.replyTo, { type: 'hi' }),
      ],
    },
    again: { actions: sendTo(({ context }: Loose) => context.asked, { type: 'hi' }) },
    boss: {
      actions: sendTo(
        ({ context }: Loose) => context.boss,
        ({ self }: Loose) => ({ type: 'mine', who: self }),
      ),
    },
  },
})

const greeter = (more: Loose = {}) =>
  setup({ types: {} as Loose, actors: { asker } }).createMachine({
    context: ({ spawn, self }: Loose) => ({
      me: self,
      one: spawn('asker', { id: 'one', input: { boss: self } }),
      two: spawn('asker', { id: 'two' }),
      hi: 0,
      who: null,
    }),
    on: {
      greet: {
        actions: sendTo(
          ({ context }: Loose) => context.one,
          ({ self }: Loose) => ({ type: 'hello', replyTo: self }),
        ),
      },
      later: {
        actions: sendTo(
          ({ context }: Loose) => context.one,
          ({ self }: Loose) => ({ type: 'hello', replyTo: self }),
          { delay: 20 },
        ),
      },
      again: { actions: sendTo('one', { type: 'again' }) },
      boss: { actions: sendTo('one', { type: 'boss' }) },
      hi: { actions: assign({ hi: ({ context }: Loose) => context.hi + 1 }) },
      mine: { actions: assign({ who: ({ event }: Loose) => event.who }) },
      toWho: {
        actions: sendTo(
          ({ context }: Loose) => context.who,
          ({ context }: Loose) => ({ type: 'hello', replyTo: context.me }),
        ),
      },
      note: {
        actions: sendTo(
          ({ self }: Loose) => self,
          ({ context }: Loose) => ({ type: 'mine', who: context.two }),
        ),
      },
      introduce: { actions: sendTo('one', ({ context }: Loose) => ({ type: 'hello', replyTo: context.two })) },
      act: { actions: ({ context, self }: Loose) => context.one.send({ type: 'hello', replyTo: self }) },
      tell: { actions: emit(({ context }: Loose) => ({ type: 'told', who: context.one, since: new Date(0) })) },
      ...more,
    },
  })

const counted = async (life: Restarted, hi: number): Promise<void> =>
  void (await life.session.until(({ context }) => context.hi === hi))

test('sessions that are linked tell each other of themselves: in messages, delayed too, and in an input', async () => {
  await using life = await Restarted.begin(kindOf(greeter()))
  await life.session.send({ type: 'greet' })
  await counted(life, 1)
  await life.restart()
  await life.session.send({ type: 'again' }) // the child kept it
  await counted(life, 2)
  await life.session.send({ type: 'later' })
  await life.restart()
  await counted(life, 3)
  await life.session.send({ type: 'boss' }) // the child has it from its input
  await life.session.until(({ context }) => context.who !== null)
  const { context } = life.session.snapshot()
  // The child that told of itself is to its parent what it is in its own context.
  expect(context.who).toEqual({ xstate$$type: 1, id: 'one', incarnation: 1 })
  expect(context.who).toEqual(context.one)
  expect(context.me).toEqual({ xstate$$type: 1, session: life.id })
  await life.restart()
  await life.session.send({ type: 'toWho' })
  await counted(life, 4)
  await life.session.send({ type: 'act' })
  await counted(life, 5)
  const one = life.runtime.sessions
    .list({ parent: life.id })
    .sessions.map(({ id }) => life.runtime.session(id).snapshot())
  expect(one.map(({ context }: Loose) => [context.boss, context.asked])).toContainEqual([context.me, context.me])
  expect(life.home.log).toEqual([])
})

test('a message to itself, and an emitted event, may tell of a child', async () => {
  await using life = await Restarted.begin(kindOf(greeter()))
  const { one, two } = life.session.snapshot().context
  const told: unknown[] = []
  life.session.emitted$().subscribe((event: unknown) => told.push(event))
  await life.session.send({ type: 'tell' })
  await life.session.send({ type: 'note' })
  await life.session.until(({ context }) => context.who !== null)
  expect(life.session.snapshot().context.who).toEqual(two)
  expect(told).toEqual([{ type: 'told', who: one, since: new Date(0) }])
})

test('what the receiver could not reach is refused, naming the place and what to do', async () => {
  const machine = setup({
    types: {} as Loose,
    actors: { asker, work: step('work') as Loose, local: fromPromise(async () => 1) },
  }).createMachine({
    context: ({ spawn, self }: Loose) => ({
      self,
      one: spawn('asker', { id: 'one' }),
      two: spawn('asker', { id: 'two' }),
      n: 0,
    }),
    on: {
      sibling: { actions: sendTo('one', ({ context }: Loose) => ({ type: 'hello', to: [context.two] })) },
      input: {
        actions: assign(({ spawn, context }: Loose) => ({ three: spawn('asker', { input: { boss: context.one } }) })),
      },
      step: { actions: assign(({ spawn, self }: Loose) => ({ job: spawn('work', { input: { of: { self } } }) })) },
      inline: { actions: assign(({ spawn }: Loose) => ({ job: spawn(fromPromise(async () => 1)) })) },
      ok: { actions: assign({ n: ({ context }: Loose) => context.n + 1 }) },
    },
  })
  await using life = await Restarted.begin(kindOf(machine, { steps: 'test:steps' }))
  const before = life.session.snapshot()
  const refused = (type: string): Promise<Loose> =>
    life.session.send({ type }).then(
      () => 'taken',
      (error: Loose) => error,
    )
  expect(await refused('sibling')).toMatchObject({ code: 'NOT_JSON', details: { path: 'message.to[0]' } })
  expect((await refused('sibling')).message).toContain('pass its messages on')
  expect(await refused('input')).toMatchObject({ code: 'NOT_JSON' })
  expect(await refused('step')).toMatchObject({
    code: 'NOT_JSON',
    message: expect.stringContaining('a step in its worker'),
  })
  expect(await refused('inline')).toMatchObject({
    code: 'ACTOR_NOT_DURABLE',
    details: { event: 'inline', state: {} },
  })
  // Rolled back: nothing of it is there.
  expect(life.session.snapshot()).toEqual(before)
  await life.session.send({ type: 'ok' })
  expect(life.session.snapshot().context).toEqual({ ...before.context, n: 1 })
  // Outsiders cannot make one.
  for (const who of [before.context.one, before.context.self]) {
    await expect(life.session.send({ type: 'ok', who } as never)).rejects.toMatchObject({
      code: 'NOT_JSON',
      details: { path: 'event.who' },
    })
  }
})

test('a fork has references to its own children and to itself, and children that begin anew', async () => {
  await using life = await Restarted.begin(kindOf(greeter()))
  await life.session.send({ type: 'greet' })
  await counted(life, 1)
  const fork = await life.session.fork({ children: 'restart' })
  life.id = fork.id
  expect(life.session.snapshot().context).toMatchObject({
    me: { xstate$$type: 1, session: fork.id },
    one: { xstate$$type: 1, id: 'one', incarnation: 1 },
  })
  await life.session.send({ type: 'greet' })
  await counted(life, 2)
  await life.restart()
  await life.session.send({ type: 'boss' })
  await life.session.until(({ context }) => context.who !== null)
  expect(life.session.snapshot().context.who).toEqual(life.session.snapshot().context.one)
})

test('a change in place beside a reference is found, and named', async () => {
  const machine = setup({ types: {} as Loose, actors: { worker } }).createMachine({
    context: ({ spawn }: Loose) => ({ team: { lead: spawn('worker', { id: 'w' }), names: ['ada'] } }),
    on: {
      bad: { actions: assign(({ context }: Loose) => ({ n: context.team.names.push(context.team.lead.id) })) },
      good: { actions: assign(({ context }: Loose) => ({ team: { ...context.team, names: ['eve'] } })) },
    },
  })
  await using life = await Restarted.begin(kindOf(machine))
  for (const restart of [false, true]) {
    if (restart) await life.restart()
    await expect(life.session.send({ type: 'bad' })).rejects.toMatchObject({
      code: 'CONTEXT_MUTATED',
      details: { path: 'context.team.names[1]' },
    })
  }
  await life.session.send({ type: 'good' })
  const { team } = life.session.snapshot().context
  expect(team).toEqual({ lead: { xstate$$type: 1, id: 'w', incarnation: 1 }, names: ['eve'] })
})

test('an output may be the whole context, to an observer and to the parent', async () => {
  const child = setup({ types: {} as Loose, actors: { worker } }).createMachine({
    context: ({ spawn, self }: Loose) => ({ self, own: spawn('worker', { id: 'own' }) }),
    initial: 'a',
    states: { a: { on: { end: 'b' } }, b: { type: 'final' } },
    output: ({ context }: Loose) => context,
  })
  const machine = setup({ types: {} as Loose, actors: { child } }).createMachine({
    context: { got: null },
    invoke: { src: 'child', id: 'c', onDone: { actions: assign({ got: ({ event }: Loose) => event.output }) } },
    on: {
      end: { actions: sendTo('c', { type: 'end' }) },
      use: { actions: sendTo(({ context }: Loose) => context.got.own as AnyActorRef, { type: 'x' }) },
    },
  })
  await using life = await Restarted.begin(kindOf(machine))
  await life.session.send({ type: 'end' })
  const { context } = await life.session.until(({ context }) => context.got !== null)
  expect(context.got).toEqual({
    self: { xstate$$type: 1, id: 'c', incarnation: 1 },
    own: { xstate$$type: 1, id: 'own', incarnation: 0 },
  })
  await life.restart()
  await life.session.send({ type: 'use' }) // it is gone, and nobody hears it
  expect(life.home.log).toEqual([])
})

// Whatever is done with references, and wherever the power is cut: the same answers come as in plain XState.

const IDS = ['p', 'q', undefined] as const
const SLOTS = ['a', 'b', 'c'] as const

const talker = setup({ types: {} as Loose }).createMachine({
  context: ({ input }: Loose) => ({ name: input.name, heard: 0, boss: input.boss }),
  initial: 'on',
  states: {
    on: {
      on: {
        ask: {
          actions: [
            assign({ heard: ({ context }: Loose) => context.heard + 1 }),
            sendTo(
              ({ context, event }: Loose) => event.replyTo ?? context.boss,
              ({ context }: Loose) => ({ type: 'answer', name: context.name, heard: context.heard }),
            ),
          ],
        },
        stop: 'off',
      },
    },
    off: { type: 'final' },
  },
})

const slotOf = ({ context, event }: Loose): Loose => context.slots[event.slot]
const keptOf = ({ context, event }: Loose): Loose => context.list[event.index % context.list.length]?.deep.ref
const put =
  (slot: string, ref: (args: Loose) => Loose): Loose =>
  (args: Loose) => ({ type: 'put', slot, ref: ref(args) })

const juggler = setup({
  types: {} as Loose,
  actors: { talker },
  guards: { slot: slotOf, kept: (args: Loose) => keptOf(args) } as Loose,
}).createMachine({
  context: { slots: { a: null, b: null, c: null }, list: [], made: 0, n: 0, answers: [] },
  on: {
    make: {
      actions: [
        stopChild(({ context, event }: Loose) => (event.id && context.slots ? event.id : undefined)),
        assign(({ context, event, spawn, self }: Loose) => ({
          made: context.made + 1,
          slots: {
            ...context.slots,
            [event.slot]: spawn('talker', { id: event.id, input: { name: `t${context.made}`, boss: self } }),
          },
        })),
      ],
    },
    fire: { guard: 'slot', actions: stopChild(slotOf) },
    end: { guard: 'slot', actions: sendTo(slotOf, { type: 'stop' }) },
    keep: {
      actions: assign({
        list: ({ context, event }: Loose) => [...context.list, { deep: { ref: context.slots[event.slot] } }],
      }),
    },
    drop: { actions: assign({ list: ({ context }: Loose) => context.list.slice(1) }) },
    restore: {
      actions: assign({ slots: (args: Loose) => ({ ...args.context.slots, [args.event.slot]: keptOf(args) ?? null }) }),
    },
    ask: { guard: 'slot', actions: sendTo(slotOf, { type: 'ask' }) },
    askKept: { guard: 'kept', actions: sendTo(keptOf, { type: 'ask' }) },
    reply: { guard: 'slot', actions: sendTo(slotOf, ({ self }: Loose) => ({ type: 'ask', replyTo: self })) },
    pass: { actions: sendTo(({ self }: Loose) => self, put('c', slotOf)) },
    later: { actions: raise(put('b', slotOf), { delay: 5 }) },
    askLater: { guard: 'slot', actions: sendTo(slotOf, { type: 'ask' }, { delay: 5 }) },
    put: {
      actions: assign({
        slots: ({ context, event }: Loose) => ({ ...context.slots, [event.slot]: event.ref ?? null }),
      }),
    },
    answer: {
      actions: assign({ answers: ({ context, event }: Loose) => [...context.answers, `${event.name} ${event.heard}`] }),
    },
    count: { actions: assign({ n: ({ context }: Loose) => context.n + 1 }) },
  },
} as Loose)

/** An actor is told by its id; those without one have ids of their own on either side. */
const named = (context: unknown): unknown =>
  JSON.parse(JSON.stringify(context), (key, part) => {
    if (key === 'incarnation') return undefined
    return typeof part === 'string' && part.startsWith('x:') ? 'x' : part
  })

type Move = Loose

const rest = async (clock: VirtualClock): Promise<void> => {
  for (let turns = 0; turns < 4; turns++) await turn()
  await clock.advance(0)
}

async function playedPlainly(moves: readonly Move[]): Promise<unknown[]> {
  const clock = createVirtualClock(START_MS)
  const options: Loose = {
    clock: {
      setTimeout: (run: () => void, ms: number) => clock.setTimeout(run, ms),
      clearTimeout: (stop?: () => void) => stop?.(),
    },
  }
  const actor = createActor(juggler, options).start()
  const seen: unknown[] = []
  for (const move of moves) {
    if (typeof move === 'number') await clock.advance(move)
    else actor.send(move)
    await rest(clock)
    seen.push(named(actor.getSnapshot().context))
  }
  return seen
}

/** The same as a session; `cuts` says at which call to the disk, in each move, the power is cut. */
async function playedDurably(
  moves: readonly Move[],
  cuts: readonly number[],
  seed: number,
): Promise<{ seen: unknown[]; crashes: number }> {
  const kind = kindOf(juggler)
  const { random } = createSeededChance(seed)
  let lives = 0
  let points: number | undefined
  let cut: { disk: CrashDisk; nowMs: number } | undefined
  let world: World
  const onPoint = (): void => {
    if (points === undefined || cut || points-- > 0) return
    cut = { disk: world.disk.crash(randomFates(random)), nowMs: world.clock.now() }
  }
  const open = (disk: CrashDisk, nowMs: number): Promise<World> =>
    openWorld({ disk, kinds: [kind], nowMs, seed: seed * 1000 + ++lives, onPoint })
  world = await open(createCrashDisk(), START_MS)
  await (world.runtime as Loose).create(kind, undefined, { id: 'one' })
  const seen: unknown[] = []
  for (const [index, move] of moves.entries()) {
    const dueMs = world.clock.now() + (typeof move === 'number' ? move : 0)
    points = cuts[index % cuts.length]
    for (;;) {
      const { runtime, clock } = world
      const act = async (): Promise<void> => {
        if (typeof move === 'number') await clock.advance(dueMs - clock.now())
        else
          await runtime
            .session('one')
            .send(move, { id: `${index}` })
            .catch((error: unknown) => {
              if (!cut && !isHoldfastError(error, 'NOT_ACCEPTED')) throw error
            })
      }
      const struck = async (): Promise<void> => {
        while (!cut && points !== undefined) await turn()
      }
      await Promise.race([act(), struck()])
      if (!cut) {
        await settle(world)
        await rest(clock)
        await settle(world)
      }
      points = undefined
      if (!cut) break
      const { disk, nowMs } = cut
      cut = undefined
      world = await open(disk, nowMs)
    }
    const snapshot = world.runtime.session('one').snapshot()
    seen.push(named(snapshot.context))
    expect(JSON.parse(JSON.stringify(snapshot.context))).toStrictEqual(snapshot.context)
    expect(world.complaints).toEqual([])
  }
  const session = world.runtime.session('one')
  const { seq, context } = session.snapshot()
  expect((await session.at(seq)).context).toStrictEqual(context)
  await world.runtime.close()
  return { seen, crashes: lives - 1 }
}

const slot = fc.constantFrom(...SLOTS)
/** So that there is somebody to talk to. */
const FIRST: readonly Move[] = [
  { type: 'make', slot: 'a', id: 'p' },
  { type: 'make', slot: 'b' },
  { type: 'keep', slot: 'a' },
]

const moves = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ type: fc.constant('make'), slot, id: fc.constantFrom(...IDS) }) },
    { weight: 8, arbitrary: fc.record({ type: fc.constantFrom('ask', 'reply', 'askLater'), slot }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constantFrom('fire', 'end', 'keep', 'pass', 'later'), slot }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constantFrom('askKept', 'restore'), slot, index: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('drop', 'count') }) },
    { weight: 2, arbitrary: fc.constantFrom(1, 6) },
  ),
  { minLength: 6, maxLength: 24 },
)

test('whatever is done with references, and wherever the power is cut, the same answers come as in plain XState', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  let crashes = 0
  let answers = 0
  await fc.assert(
    fc.asyncProperty(
      moves,
      fc.array(fc.nat(16), { minLength: 3, maxLength: 9 }),
      fc.nat(1000),
      async (made, cuts, seed) => {
        const moved = [...FIRST, ...made].map((move: Move) => JSON.parse(JSON.stringify(move)))
        const plainly = await playedPlainly(moved)
        const durably = await playedDurably(moved, cuts, seed)
        for (const [index, context] of plainly.entries())
          expect(durably.seen[index], `after ${JSON.stringify(moved[index])} (${index})`).toEqual(context)
        crashes += durably.crashes
        answers += (plainly.at(-1) as Loose).answers.length
      },
    ),
    { numRuns: RUNS, seed: SEED },
  )
  warn.mockRestore()
  console.log(`references: ${RUNS} lives, ${crashes} power cuts, ${answers} answers`)
  expect(crashes).toBeGreaterThan(RUNS * 3)
  expect(answers).toBeGreaterThan(RUNS * 2)
}, 600_000)

/** Restarts its child at `again`; what it is asked to keep, tell or ask later of a child, it does. */
const foreman = setup({ types: {} as Loose, actors: { worker } }).createMachine({
  context: { kept: null, emitted: 0 },
  initial: 'on',
  on: {
    keep: { actions: assign({ kept: ({ self }: Loose) => self.getSnapshot().children.w }) },
    tell: {
      actions: [
        sendTo('w', { type: 'ask' }),
        emit(({ self }: Loose) => ({ type: 'told', who: self.getSnapshot().children.w })),
      ],
    },
    later: { actions: sendTo('w', { type: 'ask' }, { delay: 10, id: 'later' }) },
    tellKept: { actions: sendTo(({ context }: Loose) => context.kept, { type: 'ask' }) },
  },
  states: { on: { invoke: { id: 'w', src: 'worker' }, on: { again: { target: 'on', reenter: true } } } },
} as Loose)

test('of two children of one id in one batch, the first is nobody: the second hears nothing that was for it', async () => {
  const clock = createVirtualClock(START_MS)
  const kind = kindOf(foreman)
  const home = house([kind], {}, undefined, undefined, { clock })
  await using runtime = await home.open()
  const session = (await runtime.create(kind)) as Session<Loose>
  const childrenOf = () => runtime.sessions.list({ parent: session.id }).sessions
  const heard = (id: string) => [...runtime.session(id).history()].map(({ event }) => event.type)
  await until(() => childrenOf().length === 1)
  const [first] = childrenOf()
  const emitted: Loose[] = []
  session.emitted$().subscribe((event: Loose) => emitted.push(event))
  const batch = ['tell', 'later', 'again', 'keep', 'tell', 'later', 'again']
  await session.sendBatch(batch.map((type) => ({ type })))
  const nobody = { xstate$$type: 1, id: 'w', incarnation: 0 }
  expect(session.snapshot().context.kept).toEqual(nobody)
  await until(() => emitted.length === 2)
  expect(emitted.map(({ who }) => who)).toEqual([{ ...nobody, incarnation: 1 }, nobody])
  await until(() => childrenOf().length === 2 && childrenOf()[0]?.status === 'stopped')
  await session.send({ type: 'tellKept' })
  await clock.advance(1000)
  // Once the session has told one of its own, whatever it told before would have come.
  await session.send({ type: 'tell' })
  const second = childrenOf()[1]?.id as string
  await until(() => heard(second).includes('ask'))
  expect(heard(first?.id as string)).toEqual(['xstate.init', 'ask', 'holdfast.cancel'])
  expect(heard(second)).toEqual(['xstate.init', 'ask'])
})
