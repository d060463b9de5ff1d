// References to actors: in a context, an event, an input or an output they are JSON to everybody but the machine, and are
// the same actors after a restart.
import { defineSession, type Runtime, type Session, step } from 'holdfast'
import { expect, test } from 'vitest'
import {
  type AnyActorRef,
  assign,
  emit,
  enqueueActions,
  forwardTo,
  fromCallback,
  fromPromise,
  sendParent,
  sendTo,
  setup,
  stopChild,
} from 'xstate'
import type { AnySessionKind } from '../src/define.js'
import { type House, house } from './house.js'

/** Machines are made of what XState leaves loosely typed. */
type Loose = any

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

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
