// Child sessions and local actors: linked durably both ways, exactly once, across restarts.
import { defineSession, type Runtime, step } from 'holdfast'
import { from } from 'rxjs'
import { expect, test } from 'vitest'
import { assign, fromCallback, fromObservable, fromPromise, fromTransition, sendParent, sendTo, setup } from 'xstate'
import { createVirtualClock } from '../src/testing/clock.js'
import { house } from './house.js'

const until = async (test: () => boolean): Promise<void> => {
  for (let turns = 0; !test(); turns++) {
    if (turns > 2000) throw new Error('it did not come to pass')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A child that counts what it is told, answers each with the count, and ends at `stop`. */
const counter = setup({
  types: {
    context: {} as { count: number },
    events: {} as { type: 'add'; by: number } | { type: 'stop' },
    input: {} as { from: number },
  },
}).createMachine({
  context: ({ input }) => ({ count: input.from }),
  initial: 'on',
  states: {
    on: {
      on: {
        add: {
          actions: [
            assign({ count: ({ context, event }) => context.count + event.by }),
            sendParent(({ context }) => ({ type: 'counted', count: context.count })),
          ],
        },
        stop: 'off',
      },
    },
    off: { type: 'final' },
  },
  output: ({ context }) => ({ total: context.count }),
})

const parentMachine = setup({
  types: {
    context: {} as { seen: number[]; total: number; error: string },
    events: {} as
      | { type: 'tell'; by: number }
      | { type: 'end' }
      | { type: 'leave' }
      | { type: 'counted'; count: number },
  },
  actors: { counter },
}).createMachine({
  context: { seen: [], total: -1, error: '' },
  initial: 'running',
  states: {
    running: {
      invoke: {
        id: 'child',
        src: 'counter',
        input: { from: 10 },
        onDone: {
          target: 'done',
          actions: assign({ total: ({ event }) => (event.output as { total: number }).total }),
        },
        onError: {
          target: 'failed',
          actions: assign({ error: ({ event }) => (event.error as { code: string }).code }),
        },
      },
      on: {
        tell: { actions: sendTo('child', ({ event }) => ({ type: 'add', by: event.by })) },
        end: { actions: sendTo('child', { type: 'stop' }) },
        counted: { actions: assign({ seen: ({ context, event }) => [...context.seen, event.count] }) },
        leave: 'left',
      },
    },
    left: {},
    failed: {},
    done: { type: 'final' },
  },
  output: ({ context }) => context.total,
})

const parent = defineSession({ kind: 'parent', version: 1, machine: parentMachine })

const childOf = (runtime: Runtime, id: string): string => {
  const [child] = runtime.sessions.list({ parent: id }).sessions
  return (child as { id: string }).id
}

test('a machine that invokes a machine gets a session of its own, with messages both ways and its output', async () => {
  await using runtime = await house([parent]).open()
  const session = await runtime.create(parent)
  await session.send({ type: 'tell', by: 1 })
  await session.send({ type: 'tell', by: 2 })
  await session.until(({ context }) => context.seen.length === 2)
  const child = runtime.session(childOf(runtime, session.id))
  expect(child.kind).toBe('parent.counter')
  expect(child.entry().parent).toEqual({ session: session.id, child: 'child', incarnation: 1 })
  expect(session.snapshot().context.seen).toEqual([11, 13])
  await session.send({ type: 'end' })
  expect(await session.result()).toBe(13)
  expect(child.snapshot()).toMatchObject({ status: 'done', output: { total: 13 } })
})

test('what was on its way when the runtime closed arrives when it opens again, once', async () => {
  const home = house([parent])
  let runtime = await home.open()
  const { id } = await runtime.create(parent)
  for (let round = 1; round <= 5; round++) {
    const session = runtime.session(id, parent)
    // Closed as soon as the parent's own record is durable: the child may or may not have recorded its part.
    await session.send({ type: 'tell', by: 1 })
    await runtime.close()
    runtime = await home.open()
    await runtime.session(id, parent).until(({ context }) => context.seen.length === round)
  }
  expect(runtime.session(id, parent).snapshot().context.seen).toEqual([11, 12, 13, 14, 15])
  await runtime.session(id, parent).send({ type: 'end' })
  expect(await runtime.session(id, parent).result()).toBe(15)
  await runtime.close()
  expect(home.log).toEqual([])
})

test('a child that is left is cancelled, and its end is no news to the parent', async () => {
  await using runtime = await house([parent]).open()
  const session = await runtime.create(parent)
  await until(() => runtime.sessions.count({ parent: session.id }) === 1)
  const child = runtime.session(childOf(runtime, session.id))
  await session.send({ type: 'leave' })
  await until(() => child.entry().status === 'stopped')
  expect(session.snapshot()).toMatchObject({ value: 'left', status: 'active' })
})

/** Tells its child goodbye whenever it leaves the state that runs it, and sends it a delayed event. */
const leaver = defineSession({
  kind: 'leaver',
  version: 1,
  machine: setup({
    types: {
      context: {} as { heard: number[] },
      events: {} as { type: 'again' | 'leave' | 'later' } | { type: 'counted'; count: number },
    },
    actors: { counter },
  }).createMachine({
    context: { heard: [] },
    initial: 'with',
    states: {
      with: {
        invoke: { id: 'child', src: 'counter', input: { from: 10 } },
        exit: sendTo('child', { type: 'add', by: 7 }),
        on: { again: { target: 'with', reenter: true }, leave: 'without' },
      },
      without: {},
    },
    on: { later: { actions: sendTo('child', { type: 'add', by: 1 }, { delay: 50 }) }, counted: {} },
  }),
})

const countsOf = (runtime: Runtime, id: string): unknown[] =>
  runtime.sessions.list({ parent: id }).sessions.map((child) => runtime.session(child.id).snapshot().context)

test('what a child is told when its state is left it hears before it is cancelled; the one that takes its place does not', async () => {
  await using runtime = await house([leaver]).open()
  const session = await runtime.create(leaver)
  await session.send({ type: 'again' })
  await session.send({ type: 'leave' })
  await until(() => runtime.sessions.count({ parent: session.id, status: 'stopped' }) === 2)
  expect(countsOf(runtime, session.id)).toEqual([{ count: 17 }, { count: 17 }])
})

test('a delayed event for a child goes to no other that has its id by then', async () => {
  const clock = createVirtualClock()
  await using runtime = await house([leaver], {}, undefined, undefined, { clock }).open()
  const acting = (async () => {
    const session = await runtime.create(leaver)
    await session.send({ type: 'later' })
    await session.send({ type: 'again' })
    return session.id
  })()
  await clock.advance(0)
  const id = await acting
  await clock.advance(100)
  expect(countsOf(runtime, id)).toEqual([{ count: 17 }, { count: 10 }])
})

test('cancelling a session cancels its children, and says so when all are gone', async () => {
  await using runtime = await house([parent]).open()
  const session = await runtime.create(parent)
  await until(() => runtime.sessions.count({ parent: session.id }) === 1)
  const child = runtime.session(childOf(runtime, session.id))
  await session.cancel({ reason: 'enough' })
  expect(session.entry().status).toBe('stopped')
  expect(child.entry().status).toBe('stopped')
  const events: unknown[] = []
  for await (const { event } of session.transitions$({ from: 2 })) events.push(event)
  expect(events).toEqual([{ type: 'holdfast.cancel', reason: 'enough' }])
  await expect(session.cancel()).rejects.toMatchObject({ code: 'SESSION_ENDED' })
})

test('a child that is cancelled from outside has failed, and its parent can handle that', async () => {
  await using runtime = await house([parent]).open()
  const session = await runtime.create(parent)
  await until(() => runtime.sessions.count({ parent: session.id }) === 1)
  await runtime.session(childOf(runtime, session.id)).cancel()
  const failed = await session.until(({ value }) => value === 'failed')
  expect(failed.context.error).toBe('SESSION_CANCELLED')
})

test('a child that may go on alone does', async () => {
  const kept = defineSession({
    kind: 'parent',
    version: 1,
    machine: parentMachine,
    children: { counter: { onParentEnd: 'abandon' } },
  })
  await using runtime = await house([kept]).open()
  const session = await runtime.create(kept)
  await until(() => runtime.sessions.count({ parent: session.id }) === 1)
  const child = runtime.session(childOf(runtime, session.id))
  await session.cancel()
  await child.send({ type: 'add', by: 5 } as never)
  expect(child.snapshot()).toMatchObject({ status: 'active', context: { count: 15 } })
})

test('a child that may go on alone does so after its parent is deleted, and when the runtime is opened again', async () => {
  const kept = defineSession({
    ...{ kind: 'parent', version: 1, machine: parentMachine },
    children: { counter: { onParentEnd: 'abandon' } },
  })
  const home = house([kept])
  const runtime = await home.open()
  const session = await runtime.create(kept)
  await until(() => runtime.sessions.count({ parent: session.id }) === 1)
  const child = childOf(runtime, session.id)
  await session.delete()
  await runtime.close()
  await using again = await home.open()
  await again.session(child).send({ type: 'add', by: 5 } as never)
  expect(again.session(child).snapshot()).toMatchObject({ status: 'active', context: { count: 15 } })
})

test('promises, callbacks and observables run in this process, and again from their beginning after a restart', async () => {
  let promises = 0
  let callbacks = 0
  const kind = defineSession({
    kind: 'locals',
    version: 1,
    machine: setup({
      types: { context: {} as { heard: unknown[] }, events: {} as { type: 'hello'; n: number } | { type: 'poke' } },
      actors: {
        promise: fromPromise(async ({ input }: { input: { n: number } }) => {
          promises++
          return input.n * 2
        }),
        never: fromPromise(() => {
          promises++
          return new Promise(() => {})
        }),
        callback: fromCallback(({ sendBack, receive }) => {
          callbacks++
          sendBack({ type: 'hello', n: 1 })
          receive(() => sendBack({ type: 'hello', n: 2 }))
        }),
        observable: fromObservable(() => from([1, 2, 3])),
      },
    }).createMachine({
      context: { heard: [] },
      type: 'parallel',
      invoke: [
        {
          id: 'p',
          src: 'promise',
          input: { n: 21 },
          onDone: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.output] }) },
        },
        { id: 'n', src: 'never' },
        { id: 'c', src: 'callback' },
        {
          id: 'o',
          src: 'observable',
          onSnapshot: {
            actions: assign({
              heard: ({ context, event }) =>
                event.snapshot.context === undefined ? context.heard : [...context.heard, `o${event.snapshot.context}`],
            }),
          },
          onDone: { actions: assign({ heard: ({ context }) => [...context.heard, 'complete'] }) },
        },
      ],
      on: {
        hello: { actions: assign({ heard: ({ context, event }) => [...context.heard, `c${event.n}`] }) },
        poke: { actions: sendTo('c', { type: 'anything' }) },
      },
    }),
  })
  const home = house([kind])
  const runtime = await home.open()
  const session = await runtime.create(kind)
  await session.until(({ context }) => context.heard.length >= 6)
  await session.send({ type: 'poke' })
  const all = await session.until(({ context }) => context.heard.length === 7)
  expect([...all.context.heard].sort()).toEqual([42, 'c1', 'c2', 'complete', 'o1', 'o2', 'o3'].sort())
  expect([promises, callbacks]).toEqual([2, 1])
  await runtime.close()

  await using again = await home.open()
  const heard = await again.session(session.id, kind).until(({ context }) => context.heard.length === 8)
  expect(heard.context.heard.at(-1)).toBe('c1')
  expect([promises, callbacks]).toEqual([3, 2]) // the promise that had ended did not run again
  expect(home.log).toEqual([])
})

test('what a promise rejects with, or gives that is not JSON, is an error that the machine handles', async () => {
  const failing = defineSession({
    kind: 'failing',
    version: 1,
    machine: setup({
      types: { context: {} as { errors: string[] } },
      actors: {
        rejects: fromPromise(async (): Promise<void> => {
          throw Object.assign(new Error('no'), { code: 'E_NO' })
        }),
        odd: fromPromise(async () => new Map() as unknown),
      },
    }).createMachine({
      context: { errors: [] },
      initial: 'a',
      states: {
        a: { invoke: { src: 'rejects', onError: { target: 'b', actions: note() } } },
        b: { invoke: { src: 'odd', onError: { target: 'c', actions: note() } } },
        c: { type: 'final' },
      },
      output: ({ context }) => context.errors,
    }),
  })
  await using runtime = await house([failing]).open()
  const session = await runtime.create(failing)
  expect(await session.result()).toEqual(['E_NO', 'NOT_JSON'])
})

function note(): never {
  return assign({
    errors: ({ context, event }: never) => [
      ...(context as { errors: string[] }).errors,
      (event as { error: { code: string } }).error.code,
    ],
  } as never) as never
}

test('an actor with a state of its own that a restart would lose is refused, naming the state', () => {
  const machine = setup({ actors: { sums: fromTransition((sum: number) => sum + 1, 0) } }).createMachine({
    id: 'm',
    initial: 'adding',
    states: { adding: { invoke: { src: 'sums' } } },
  })
  expect(() => defineSession({ kind: 'm', version: 1, machine })).toThrow(
    expect.objectContaining({ code: 'ACTOR_NOT_DURABLE', details: { state: 'm.adding' } }),
  )
})

test('children of children are a tree: all of it is cancelled from its root', async () => {
  const leaf = setup({}).createMachine({ initial: 'a', states: { a: {} } })
  const middle = setup({ actors: { leaf } }).createMachine({
    invoke: [
      { src: 'leaf', id: 'l1' },
      { src: 'leaf', id: 'l2' },
    ],
  })
  const kind = defineSession({
    kind: 'root',
    version: 1,
    machine: setup({ actors: { middle } }).createMachine({ invoke: { src: 'middle', id: 'm' } }),
  })
  const home = house([kind])
  const runtime = await home.open()
  const session = await runtime.create(kind)
  await until(() => runtime.sessions.count() === 4)
  await runtime.close()
  await using again = await home.open()
  await again.session(session.id).cancel()
  expect(again.sessions.stats()).toMatchObject({ total: 4, active: 0, stopped: 4 })
  expect(again.sessions.list({ kind: 'root.middle.leaf' }).sessions).toHaveLength(2)
})

test('a step and a child session live side by side', async () => {
  const leaf = setup({}).createMachine({ initial: 'a', states: { a: { type: 'final' } }, output: 7 })
  const kind = defineSession({
    kind: 'both',
    version: 1,
    steps: 'test:steps',
    machine: setup({
      types: { context: {} as { sum: number } },
      actors: { leaf, work: step<(input: undefined) => Promise<number>>('work') },
    }).createMachine({
      context: { sum: 0 },
      type: 'parallel',
      states: {
        a: {
          initial: 'x',
          states: {
            x: {
              invoke: {
                src: 'leaf',
                onDone: {
                  target: 'y',
                  actions: assign({ sum: ({ context, event }) => context.sum + (event.output as number) }),
                },
              },
            },
            y: { type: 'final' },
          },
        },
        b: {
          initial: 'x',
          states: {
            x: {
              invoke: {
                src: 'work',
                onDone: { target: 'y', actions: assign({ sum: ({ context, event }) => context.sum + event.output }) },
              },
            },
            y: { type: 'final' },
          },
        },
      },
      output: ({ context }) => context.sum,
    }),
  })
  await using runtime = await house([kind], { work: async () => 35 }).open()
  expect(await (await runtime.create(kind)).result()).toBe(42)
})
