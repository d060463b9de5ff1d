// The engine alone: a machine decides, everything that it wants done is collected and nothing is done, and a decision
// that throws, or that its caller cannot record, leaves the engine as it was. The cases run on both builds of XState.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type AnyActorRef,
  assign,
  cancel,
  emit,
  enqueueActions,
  fromPromise,
  fromTransition,
  log,
  raise,
  sendTo,
  setup,
  spawnChild,
} from 'xstate'
import type { Decision } from '../src/decision.js'
import { type AnyMachine, defineSession } from '../src/define.js'
import { Engine, type EngineHost } from '../src/durable.js'
import { HoldfastError } from '../src/errors.js'
import { acceptedEvents, childrenOf, historyOf, type Resumable } from '../src/machine-snapshot.js'
import { diffAndSeal } from '../src/patch.js'
import type { RecordedEvent } from '../src/record.js'
import { step } from '../src/steps.js'

// Machines and events of every shape, written as plain JavaScript
type Loose = any

const base = setup({
  types: {} as { context: Loose; events: Loose; emitted: Loose; input: Loose; output: Loose },
  actors: {
    work: step('work'),
    promised: fromPromise(async () => 1) as Loose,
    sums: fromTransition((n: number) => n, 0) as Loose,
  },
  guards: { never: () => false, always: () => true },
})

const machineOf = (config: Loose): AnyMachine => base.createMachine(config)

/** What a session does with an engine: it records each decision, here by sealing its context, and acts later. */
class Session implements EngineHost {
  readonly decisions: Decision[] = []
  readonly posted: RecordedEvent[] = []
  readonly said: [string, RecordedEvent][] = []
  readonly logged: unknown[][] = []
  readonly engine: Engine

  constructor(machine: AnyMachine, input?: unknown, state?: Resumable) {
    if (state) {
      this.engine = Engine.resume(machine, { id: 'session', parent: undefined }, state, this)
    } else {
      const { engine, decision } = Engine.begin(machine, { id: 'session', parent: undefined }, input, this)
      this.engine = engine
      this.#record(decision)
    }
  }

  #record(decision: Decision): this {
    try {
      diffAndSeal(decision.before?.context, decision.after.context, 'context')
    } catch (error) {
      this.engine.undo(decision)
      throw error
    }
    this.decisions.push(decision)
    return this
  }

  get value(): unknown {
    return this.engine.snapshot.value
  }

  get context(): Loose {
    return this.engine.snapshot.context
  }

  get last(): Decision {
    return this.decisions.at(-1) as Decision
  }

  /** An event from outside, which may be refused. */
  send(event: string | RecordedEvent): this {
    return this.#record(this.engine.decide(Object.freeze(typeof event === 'string' ? { type: event } : event), true))
  }

  /** An event of the runtime's own, which is never refused. */
  tell(event: RecordedEvent): this {
    return this.#record(this.engine.decide(Object.freeze(event), false))
  }

  post(event: RecordedEvent): void {
    this.posted.push(event)
  }

  say(to: string, event: RecordedEvent): void {
    this.said.push([to, event])
  }

  get next(): number {
    return this.decisions.length + 1
  }

  childOf(): undefined {}

  log(args: readonly unknown[]): void {
    this.logged.push([...args])
  }

  /** What is durable: here, whatever was recorded. */
  shown(): Loose {
    return this.decisions.at(-1)?.after
  }
}

function thrownBy(act: () => unknown): Loose {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

const boom = (): never => {
  throw new Error('boom')
}

// A decision that leaves something behind would show in the unhandled errors that XState throws from timers.
const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)
beforeEach(() => void process.on('uncaughtException', note))
afterEach(async () => {
  await new Promise((resolve) => setTimeout(resolve, 0))
  process.off('uncaughtException', note)
  expect(unhandled.splice(0)).toEqual([])
})

describe('beginning', () => {
  test('the first decision has the initial state, its actions, timers, messages, emitted events and children', () => {
    const ran: string[] = []
    const { last, engine } = new Session(
      machineOf({
        context: ({ input }: Loose) => ({ title: input.title }),
        entry: [() => ran.push('root'), emit({ type: 'born' })],
        initial: 'a',
        states: {
          a: {
            entry: [
              () => ran.push('a'),
              raise({ type: 'later' }, { delay: 5 }),
              sendTo(({ self }: Loose) => self, { type: 'me' } as Loose),
            ],
            invoke: { src: 'work', id: 'w', input: ({ context }: Loose) => ({ for: context.title }) },
            after: { 1000: {} },
          },
        },
      }),
      { title: 'x' },
    )
    expect(ran).toEqual([])
    expect(last.before).toBeUndefined()
    expect(last.after).toBe(engine.snapshot)
    expect(last.after).toMatchObject({ value: 'a', context: { title: 'x' }, status: 'active' })
    expect(last.emitted).toEqual([{ type: 'born' }])
    expect(last.messages).toEqual([{ type: 'me' }])
    expect(last.timers.map(({ kind }) => kind)).toEqual(['set', 'set'])
    expect(childrenOf(last.after).w).toMatchObject({ id: 'w', src: 'work', options: { input: { for: 'x' } } })
    for (const action of last.actions) action()
    expect(ran).toEqual(['root', 'a'])
  })

  test.each<[string, Loose]>([
    ['the function of its context', { context: boom }],
    ['an assign on entry', { context: {}, entry: assign({ a: boom }) }],
    ['the input of an invoke', { invoke: { src: 'work', input: boom } }],
    ['a guard of an always', { initial: 'a', states: { a: { always: { guard: boom, target: 'b' } }, b: {} } }],
    ['a delay', { entry: raise({ type: 'x' }, { delay: boom }) }],
  ])('a machine that throws while it begins is thrown out: %s', (_, config) => {
    const host = { post: boom, say: boom, log: boom, shown: boom, next: 1, childOf: boom }
    expect(() => Engine.begin(machineOf(config), { id: 's', parent: undefined }, {}, host)).toThrow('boom')
  })

  test('a machine whose initial state is final is done at once, and its decision says so', () => {
    const { last } = new Session(machineOf({ initial: 'a', states: { a: { type: 'final' } }, output: { ok: true } }))
    expect(last.after).toMatchObject({ status: 'done', output: { ok: true } })
  })
})

describe('a decision that throws', () => {
  const faulty: readonly (readonly [what: string, transition: Loose, states?: Loose])[] = [
    ['a guard', { guard: boom, target: 'b' }],
    [
      'a guard after one that refused',
      [
        { guard: 'never', target: 'b' },
        { guard: boom, target: 'b' },
      ],
    ],
    ['an assign', { target: 'b', actions: assign({ n: boom }) }],
    ['an assign after one that worked', { target: 'b', actions: [assign({ n: 7 }), assign(boom)] }],
    ['params', { target: 'b', actions: { type: 'act', params: boom } }],
    ['a delay', { target: 'b', actions: raise({ type: 'later' }, { delay: boom }) }],
    ['an event to raise', { target: 'b', actions: raise(boom) }],
    ['an event to emit', { target: 'b', actions: emit(boom) }],
    ['an id to cancel', { target: 'b', actions: cancel(boom) }],
    ['a receiver', { target: 'b', actions: sendTo(boom, { type: 'x' } as Loose) }],
    ['a text to log', { target: 'b', actions: log(boom) }],
    ['enqueued actions', { target: 'b', actions: enqueueActions(boom) }],
    ['an assign on exit', 'b', { a: { exit: assign(boom) } }],
    ['an assign on entry', 'b', { b: { entry: assign(boom) } }],
    ['the delay of a state', 'b', { b: { after: { boom: {} } } }],
    ['the input of an invoke', 'b', { b: { invoke: { src: 'work', input: boom } } }],
    ['a guard of an always', 'b', { b: { always: { guard: boom, target: 'a' } } }],
    ['the output of a final state', 'b', { b: { type: 'final' } }],
    ['a second region', 'b', { b: { type: 'parallel', states: { x: {}, y: { entry: assign(boom) } } } }],
  ]

  test.each(faulty)('leaves the engine as it was, and comes out: %s', (_, transition, states = {}) => {
    const machine = base
      .createMachine({
        context: { n: 1, list: [1] },
        initial: 'a',
        output: boom,
        states: {
          a: {
            on: { fault: transition, fine: { actions: assign({ n: ({ context }) => context.n + 1 }) } },
            ...states.a,
          },
          b: { ...states.b },
        },
      } as Loose)
      .provide({ delays: { boom }, actions: { act: () => {} } } as Loose)
    const session = new Session(machine)
    const { snapshot } = session.engine
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(thrownBy(() => session.send('fault')).message).toContain('boom')
      expect(session.engine.snapshot).toBe(snapshot)
      expect(session.decisions).toHaveLength(1)
    }
    session.send('fine')
    expect(session.value).toBe('a')
    expect(session.context).toEqual({ n: 2, list: [1] })
    expect(session.last).toMatchObject({ before: snapshot, actions: [], timers: [], messages: [], emitted: [] })
  })

  test("an event that is none of the machine's own throws as well, and leaves the engine as it was", () => {
    const session = new Session(
      machineOf({
        initial: 'a',
        states: { a: { invoke: { src: 'work', id: 'w', onDone: { actions: assign(boom) } } } },
      }),
    )
    const { snapshot } = session.engine
    expect(() => session.tell({ type: 'xstate.done.actor.w', output: 1, actorId: 'w' })).toThrow('boom')
    expect(session.engine.snapshot).toBe(snapshot)
  })

  test('a decision that its caller cannot record is undone, and can be made again', () => {
    const ran: string[] = []
    const session = new Session(
      machineOf({ initial: 'a', states: { a: { on: { go: { target: 'b', actions: () => ran.push('go') } } }, b: {} } }),
    )
    session.engine.undo(session.engine.decide({ type: 'go' }, true))
    expect(session.value).toBe('a')
    session.send('go')
    expect(session.value).toBe('b')
    expect(session.last.actions).toHaveLength(1)
    expect(ran).toEqual([])
  })
})

describe('what is accepted', () => {
  const machine = machineOf({
    context: { n: 0 },
    initial: 'a',
    on: { atRoot: { target: '.b' }, forbiddenBelow: { target: '.b' }, 'wild.*': { target: '.b' } },
    states: {
      a: {
        on: {
          target: 'b',
          self: 'a',
          selfAgain: { target: 'a', reenter: true },
          reenterNothing: { reenter: true },
          nothing: {},
          forbidden: undefined,
          forbiddenBelow: {},
          guardNo: { guard: 'never', target: 'b' },
          guardYes: { guard: 'always', target: 'b' },
          guardNoAction: { guard: 'never', actions: () => {} },
          guardByEvent: { guard: ({ event }: Loose) => event.open === true, target: 'b' },
          secondGuard: [
            { guard: 'never', target: 'b' },
            { guard: 'always', target: 'b' },
          ],
          secondNothing: [{ guard: 'never', target: 'b' }, {}],
          assignNothing: { actions: assign({}) },
          action: { actions: () => {} },
          emits: { actions: emit({ type: 'e' }) },
          raises: { actions: raise({ type: 'unknown' }) },
          cancels: { actions: cancel('none') },
          logs: { actions: log('x') },
          messages: { actions: sendTo(({ self }) => self, { type: 'x' }) },
        },
      },
      b: {},
    },
  })
  const events: RecordedEvent[] = [
    ...[
      'target',
      'self',
      'selfAgain',
      'reenterNothing',
      'nothing',
      'forbidden',
      'forbiddenBelow',
      'guardNo',
      'guardYes',
    ],
    ...['guardNoAction', 'guardByEvent', 'secondGuard', 'secondNothing', 'assignNothing', 'action', 'emits', 'raises'],
    ...['cancels', 'logs', 'messages', 'atRoot', 'wild.life', 'wild', 'unknown', 'target.x'],
  ].map((type) => ({ type }))
  events.push({ type: 'guardByEvent', open: true })

  test.each(events)(
    'an event from outside is accepted exactly when the snapshot says that it can be: $type',
    (event) => {
      const session = new Session(machine)
      const before = session.engine.snapshot
      const can: boolean = before.can(event as Loose)
      if (can) {
        session.send(event)
        expect(session.decisions).toHaveLength(2)
      } else {
        expect(thrownBy(() => session.send(event))).toMatchObject({ code: 'NOT_ACCEPTED' })
        expect(session.decisions).toHaveLength(1)
        expect(session.engine.snapshot).toBe(before)
      }
    },
  )

  test('both kinds are among these events', () => {
    const { snapshot } = new Session(machine).engine
    const accepted = events.filter((event) => snapshot.can(event as Loose)).map(({ type }) => type)
    expect(accepted).toEqual(
      expect.arrayContaining(['self', 'selfAgain', 'action', 'assignNothing', 'wild.life', 'atRoot', 'guardByEvent']),
    )
    const refused = events.filter((event) => !snapshot.can(event as Loose)).map(({ type }) => type)
    expect(refused).toEqual(expect.arrayContaining(['nothing', 'forbidden', 'guardNo', 'unknown', 'forbiddenBelow']))
  })

  test('in parallel regions an event is accepted when one of them takes it', () => {
    const regions = machineOf({
      type: 'parallel',
      states: {
        x: { initial: 'a', states: { a: { on: { go: 'b', both: {} } }, b: { on: { back: 'a' } } } },
        y: { initial: 'a', states: { a: { on: { both: 'b', go: {} } }, b: {} } },
      },
    })
    const session = new Session(regions).send('go').send('both')
    expect(session.value).toEqual({ x: 'b', y: 'b' })
    expect(thrownBy(() => session.send('go'))).toMatchObject({
      code: 'NOT_ACCEPTED',
      details: { event: 'go', state: { x: 'b', y: 'b' }, accepts: ['back'] },
    })
  })

  test("a refusal lists what there are transitions for in this state, sorted, without the runtime's own events", () => {
    const session = new Session(
      machineOf({
        initial: 'a',
        on: { stop: { target: '.b' } },
        states: {
          a: {
            on: { pay: { guard: 'never', target: 'b' }, go: 'b', no: {} },
            after: { 10: 'b' },
            invoke: { src: 'work', onDone: 'b' },
          },
          b: {},
        },
      }),
    )
    const error = thrownBy(() => session.send('unknown'))
    expect(error.message).toBe('"unknown" is not accepted in state a; it has transitions for: go, pay, stop')
    expect(error.details).toEqual({ event: 'unknown', state: 'a', accepts: ['go', 'pay', 'stop'] })
    expect(acceptedEvents(session.engine.snapshot)).toEqual(['go', 'pay', 'stop'])
    expect(thrownBy(() => session.send('pay'))).toMatchObject({ code: 'NOT_ACCEPTED', details: { event: 'pay' } })
  })

  test('an event that no transition takes is accepted when it lets an always through: the machine has moved', () => {
    const session = new Session(
      machineOf({
        initial: 'a',
        states: {
          a: {
            always: [
              { guard: ({ event }: Loose) => event.type === 'key', target: 'b' },
              { guard: ({ event }: Loose) => event.type === 'bell', actions: emit({ type: 'rang' }) },
            ],
          },
          b: {},
        },
      }),
    )
    for (const type of ['key', 'bell']) expect(session.engine.snapshot.can({ type } as Loose)).toBe(false)
    expect(session.send('bell').last).toMatchObject({ emitted: [{ type: 'rang' }] })
    expect(session.send('key').value).toBe('b')
    expect(thrownBy(() => session.send('key')).code).toBe('NOT_ACCEPTED')
  })

  test('a state that takes nothing from outside says so', () => {
    const session = new Session(machineOf({ initial: 'a', states: { a: { after: { 10: {} } } } }))
    expect(thrownBy(() => session.send('x')).message).toBe(
      '"x" is not accepted in state a; it takes no events from outside',
    )
  })

  test("an event of the runtime's own is never refused, also when no transition takes it", () => {
    const session = new Session(machineOf({ initial: 'a', states: { a: {} } }))
    session.tell({ type: 'xstate.after.10.session.gone' })
    expect(session.decisions).toHaveLength(2)
    expect(session.last.after).toBe(session.last.before)
  })
})

describe('a change in place', () => {
  const context = { n: 1, items: [{ id: 1, tags: ['y', 'x'] }], byId: { a: { done: false } } }
  const push = ({ context: c }: Loose): void => c.items.push({ id: 2 })
  const cases: readonly (readonly [what: string, transition: Loose, path: string, states?: Loose])[] = [
    [
      'in an assign',
      {
        actions: assign(({ context: c }: Loose) => {
          c.n = 2
          return {}
        }),
      },
      'context.n',
    ],
    [
      'in an assigned field',
      {
        actions: assign({
          items: ({ context: c }: Loose) => {
            c.items[0].id = 9
            return c.items
          },
        }),
      },
      'context.items[0].id',
    ],
    [
      'by pushing to an array',
      {
        actions: assign((args: Loose) => {
          push(args)
          return {}
        }),
      },
      'context.items[1]',
    ],
    [
      'by sorting an array',
      {
        actions: assign(({ context: c }: Loose) => {
          c.items[0].tags.sort()
          return {}
        }),
      },
      'context.items[0].tags[0]',
    ],
    [
      'by deleting a field',
      {
        actions: assign(({ context: c }: Loose) => {
          delete c.byId.a
          return {}
        }),
      },
      'context.byId.a',
    ],
    [
      'by adding a field',
      {
        actions: assign(({ context: c }: Loose) => {
          c.byId.b = {}
          return {}
        }),
      },
      'context.byId.b',
    ],
    [
      'in a second assign, of what the first has kept',
      {
        actions: [
          assign({ n: 2 }),
          assign(({ context: c }: Loose) => {
            c.items[0].id = 9
            return {}
          }),
        ],
      },
      'context.items[0].id',
    ],
    [
      'in a guard',
      {
        guard: (args: Loose) => {
          push(args)
          return true
        },
        target: 'b',
      },
      'context.items[1]',
    ],
    ['in params', { actions: { type: 'act', params: push } }, 'context.items[1]'],
    [
      'in a delay',
      {
        actions: raise(
          { type: 'x' },
          {
            delay: (args: Loose) => {
              push(args)
              return 1
            },
          },
        ),
      },
      'context.items[1]',
    ],
    ['in enqueued actions', { actions: enqueueActions(push) }, 'context.items[1]'],
    [
      'in an assign on entry',
      'b',
      'context.items[1]',
      {
        entry: assign((args: Loose) => {
          push(args)
          return {}
        }),
      },
    ],
    [
      'in a guard of an always',
      'b',
      'context.items[1]',
      {
        always: {
          guard: (args: Loose) => {
            push(args)
            return true
          },
          target: 'a',
        },
      },
    ],
    [
      'in the input of an invoke',
      'b',
      'context.items[1]',
      {
        invoke: {
          src: 'work',
          input: (args: Loose) => {
            push(args)
            return 1
          },
        },
      },
    ],
    [
      'of the event',
      {
        actions: assign(({ event }: Loose) => {
          event.order.lines.push(1)
          return {}
        }),
      },
      'event.order.lines[0]',
    ],
    [
      'of the event, in a guard',
      {
        guard: ({ event }: Loose) => {
          event.order.seen = true
          return true
        },
        target: 'b',
      },
      'event.order.seen',
    ],
    [
      'of the type of the event',
      {
        actions: assign(({ event }: Loose) => {
          event.type = 'x'
          return {}
        }),
      },
      'event.type',
    ],
  ]

  test.each(cases)('%s is refused, names the path, and leaves everything as it was', (_, transition, path, b = {}) => {
    const machine = machineOf({ context, initial: 'a', states: { a: { on: { go: transition, fine: 'b' } }, b } })
    const fine = machineOf({ context, initial: 'a', states: { a: { on: { fine: { actions: assign({ n: 3 }) } } } } })
    const session = new Session(machine)
    const { snapshot } = session.engine
    const order = Object.freeze({ lines: Object.freeze([]) })
    const error = thrownBy(() => session.send({ type: 'go', order }))
    expect(error).toBeInstanceOf(HoldfastError)
    expect(error).toMatchObject({ code: 'CONTEXT_MUTATED', details: { path } })
    expect(error.message).toContain(`${path} was changed in place`)
    expect(session.engine.snapshot).toBe(snapshot)
    expect(session.decisions).toHaveLength(1)
    expect(session.context).toEqual({ n: 1, items: [{ id: 1, tags: ['y', 'x'] }], byId: { a: { done: false } } })
    expect(new Session(fine).send('fine').context.n).toBe(3)
  })

  test('of what the same decision has just made is no fault: nobody else has seen it', () => {
    const session = new Session(
      machineOf({
        context: { list: [1] },
        on: {
          go: {
            actions: [
              assign({ list: ({ context: c }: Loose) => [...c.list] }),
              assign(({ context: c }: Loose) => {
                c.list.push(2)
                return {}
              }),
            ],
          },
        },
      }),
    )
    expect(session.send('go').context).toEqual({ list: [1, 2] })
  })

  test('a decision that has spawned something before it changed the context in place leaves nothing of it', () => {
    const session = new Session(
      machineOf({
        context: { list: [] },
        on: {
          bad: {
            actions: [
              assign(({ spawn }: Loose) => {
                spawn('work', { id: 'w', systemId: 'the one' })
                return {}
              }),
              assign(({ context: c }: Loose) => {
                c.list.push(1)
                return {}
              }),
            ],
          },
          good: {
            actions: assign(({ spawn }: Loose) => {
              spawn('work', { id: 'w', systemId: 'the one' })
              return {}
            }),
          },
        },
      }),
    )
    expect(thrownBy(() => session.send('bad')).code).toBe('CONTEXT_MUTATED')
    session.send('good')
    expect(Object.keys(childrenOf(session.engine.snapshot))).toEqual(['w'])
  })

  test("an error of the user's own that only looks like it comes out as it is", () => {
    const own = Object.freeze({ n: 1 }) as Loose
    const session = new Session(
      machineOf({
        on: {
          go: {
            actions: assign(() => {
              own.n = 2
              return {}
            }),
          },
        },
      }),
    )
    const error = thrownBy(() => session.send('go'))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain('Cannot assign to read only property')
  })

  test('what only fails on the traced copy does not hide the fault', () => {
    const session = new Session(
      machineOf({
        context: { list: [1] },
        on: {
          go: {
            actions: assign(({ context: c }: Loose) => {
              structuredClone(c)
              c.list.push(2)
              return {}
            }),
          },
        },
      }),
    )
    expect(thrownBy(() => session.send('go')).message).toContain('Cannot add property 1')
  })
})

describe('a machine that never comes to rest', () => {
  const loops: readonly (readonly [string, Loose])[] = [
    [
      'two always that lead to each other',
      { initial: 'idle', states: { idle: { on: { go: 'a' } }, a: { always: 'b' }, b: { always: 'a' } } },
    ],
    ['an event that raises itself', { on: { go: { actions: raise({ type: 'go' }) } } }],
    [
      'an always that changes the context',
      {
        context: { n: 0 },
        initial: 'idle',
        states: {
          idle: { on: { go: 'a' } },
          a: { always: { actions: assign({ n: ({ context: c }: Loose) => c.n + 1 }) } },
        },
      },
    ],
  ]

  test.each(loops)('is an error instead of a hang, and the engine is as it was: %s', (_, config) => {
    const { machine } = defineSession({ kind: 'loop', version: 1, machine: machineOf(config) })
    const session = new Session(machine)
    const { snapshot } = session.engine
    expect(() => session.send('go')).toThrow(/Infinite loop detected: .* 10000 microsteps/)
    expect(session.engine.snapshot).toBe(snapshot)
  })

  test('at its beginning is an error too', () => {
    const config = { initial: 'a', states: { a: { always: 'b' }, b: { always: 'a' } } }
    const { machine } = defineSession({ kind: 'loop', version: 1, machine: machineOf(config) })
    expect(() => new Session(machine)).toThrow('Infinite loop detected')
  })
})

describe('children', () => {
  const systemOf = (session: Session, id: string): Loose => (session.engine.snapshot.children[id] as AnyActorRef).system

  const named = (more: Loose = {}): AnyMachine =>
    machineOf({
      context: { n: 0 },
      initial: 'off',
      states: {
        off: { on: { on: 'on', broken: { target: 'on', actions: [assign({ n: 1 })] } } },
        on: {
          invoke: { src: 'work', id: 'w', systemId: 'worker', input: { a: 1 } },
          on: {
            off: 'off',
            again: { target: 'on', reenter: true },
            faulty: { target: 'off', actions: assign(boom) },
            faultyAgain: { target: 'on', reenter: true, actions: assign(boom) },
          },
        },
      },
      ...more,
    })

  test('an invoke with a systemId can be left and entered again, and re-entered, any number of times', () => {
    const session = new Session(named()).send('on')
    const seen = new Set<unknown>()
    for (let round = 0; round < 5; round++) {
      session.send('again')
      const child = session.engine.snapshot.children.w
      expect(systemOf(session, 'w').get('worker')).toBe(child)
      expect(seen.has(child)).toBe(false)
      seen.add(child)
      session.send('off').send('on')
    }
    session.send('off')
    expect(Object.keys(session.engine.snapshot.children)).toEqual([])
  })

  test('a systemId is given back to the child that an undone decision has stopped', () => {
    const session = new Session(named()).send('on')
    const child = session.engine.snapshot.children.w as AnyActorRef
    for (const type of ['faulty', 'faultyAgain', 'faulty']) {
      expect(() => session.send(type)).toThrow('boom')
      expect(child.system.get('worker' as never)).toBe(child)
      expect(session.engine.snapshot.children.w).toBe(child)
    }
    session.engine.undo(session.engine.decide({ type: 'again' }, true))
    expect(child.system.get('worker' as never)).toBe(child)
    session.send('again')
    expect(child.system.get('worker' as never)).toBe(session.engine.snapshot.children.w)
    session.send('off').send('on')
  })

  test('a systemId that an undone decision has taken is free again: of an invoke, and of a spawn in an assign', () => {
    const session = new Session(named())
    session.engine.undo(session.engine.decide({ type: 'on' }, true))
    session.send('on')
    expect(systemOf(session, 'w').get('worker')).toBe(session.engine.snapshot.children.w)

    const spawner = (then: Loose): Loose => ({
      actions: [
        assign(({ spawn }: Loose) => {
          spawn('work', { id: 's', systemId: 'spawned' })
          return {}
        }),
        then,
      ],
    })
    const other = new Session(machineOf({ context: {}, on: { bad: spawner(assign(boom)), good: spawner(assign({})) } }))
    for (let attempt = 0; attempt < 3; attempt++) expect(() => other.send('bad')).toThrow('boom')
    other.send('good')
    expect(systemOf(other, 's').get('spawned')).toBe(other.engine.snapshot.children.s)
  })

  test('two children cannot have one systemId at a time; the decision that tries is undone', () => {
    const two = machineOf({
      initial: 'a',
      invoke: { src: 'work', id: 'first', systemId: 'same' },
      states: { a: { on: { go: 'b' } }, b: { invoke: { src: 'work', id: 'second', systemId: 'same' } } },
    })
    const session = new Session(two)
    expect(() => session.send('go')).toThrow('already exists')
    expect(session.value).toBe('a')
    expect(systemOf(session, 'first').get('same')).toBe(session.engine.snapshot.children.first)
  })

  test('a systemId is free as soon as its child has ended, for whoever the machine starts on its result', () => {
    const machine = machineOf({
      initial: 'a',
      invoke: { src: 'work', id: 'first', systemId: 'same', onDone: '.b', onError: '.b' },
      states: { a: {}, b: { invoke: { src: 'work', id: 'second', systemId: 'same' } } },
    })
    for (const kind of ['done', 'error']) {
      const session = new Session(machine)
      session.tell({ type: `xstate.${kind}.actor.first`, output: 1, error: 'no', actorId: 'first' })
      expect(session.value).toBe('b')
      expect(systemOf(session, 'second').get('same')).toBe(session.engine.snapshot.children.second)
    }
    const stored = { status: 'active', value: 'b', context: {}, history: {} } as const
    const ended = { src: 'work', systemId: 'same', status: 'done', incarnation: 1 } as const
    const resumed = new Session(machine, undefined, {
      ...stored,
      children: { first: ended, second: { ...ended, status: 'active' } },
    })
    expect(systemOf(resumed, 'second').get('same')).toBe(resumed.engine.snapshot.children.second)
  })

  test.each<[string, Loose]>([
    ['in an assign', assign(({ spawn }: Loose) => ({ ref: spawn('work') && null }))],
    ['by spawnChild', spawnChild('work')],
    ['by spawnChild among enqueued actions', enqueueActions(({ enqueue }: Loose) => enqueue.spawnChild('work'))],
  ])('a child without an id gets one of its transition, the same whenever that is decided: %s', (_, action) => {
    const machine = machineOf({ context: {}, on: { go: { actions: action }, no: { guard: boom } } })
    const session = new Session(machine).send('go')
    thrownBy(() => session.send('no'))
    session.engine.undo(session.send('go').last)
    session.decisions.pop()
    session.send('go')
    expect(Object.keys(session.engine.snapshot.children)).toEqual(['x:2.0', 'x:3.0'])
    expect(session.last.after.children['x:3.0']?.id).toBe('x:3.0')
  })

  test('several children without ids are all there', () => {
    const actions = [
      spawnChild('work'),
      spawnChild('work'),
      assign(({ spawn }: Loose) => ({ ref: spawn('work') && null })),
    ]
    const session = new Session(machineOf({ context: {}, on: { go: { actions } } })).send('go').send('go')
    expect(Object.keys(session.engine.snapshot.children).sort()).toEqual([
      'x:2.0',
      'x:2.1',
      'x:2.2',
      'x:3.0',
      'x:3.1',
      'x:3.2',
    ])
  })

  const inline = fromPromise(async () => 1)
  test.each<[string, Loose, string]>([
    [
      'inline, in an assign',
      assign(({ spawn }: Loose) => ({ ref: spawn(inline, { id: 'i' }) && null })),
      'an inline actor',
    ],
    [
      'inline, an inline step',
      assign(({ spawn }: Loose) => ({ ref: spawn(step('work'), { id: 'i' }) && null })),
      'an inline actor',
    ],
    ['inline, by spawnChild', spawnChild(inline, { id: 'i' }), 'an inline actor'],
    [
      'a transition function, by name',
      assign(({ spawn }: Loose) => ({ ref: spawn('sums', { id: 'i' }) && null })),
      '"sums"',
    ],
  ])('a spawn that could not be restored is refused: %s', (_, action, name) => {
    const session = new Session(machineOf({ context: {}, on: { go: { actions: action } } }))
    const error = thrownBy(() => session.send('go'))
    expect(error).toMatchObject({ code: 'ACTOR_NOT_DURABLE' })
    expect(error.message).toContain(name)
    expect(Object.keys(session.engine.snapshot.children)).toEqual([])
  })

  test('a spawn at the beginning is checked like any other', () => {
    const config = { context: ({ spawn }: Loose) => ({ ref: spawn('work', { id: '#parent' }) && null }) }
    expect(thrownBy(() => new Session(machineOf(config)))).toMatchObject({ code: 'CHILD_ID_REQUIRED' })
  })

  test('a child that is spawned, or invoked, is in the decision, and is not started', () => {
    const session = new Session(
      machineOf({
        context: {},
        on: { go: { actions: spawnChild('work', { id: 's', input: { n: 1 }, systemId: 'sys' }) } },
      }),
    ).send('go')
    expect(childrenOf(session.last.after).s).toMatchObject({
      id: 's',
      src: 'work',
      systemId: 'sys',
      options: { input: { n: 1 } },
    })
    expect(childrenOf(session.last.before)).toEqual({})
    expect(session.last.actions).toEqual([])
  })

  test('an invoke that an always leaves in the same decision is not there after it', () => {
    const session = new Session(
      machineOf({
        initial: 'a',
        states: {
          a: { on: { go: 'b' } },
          b: { invoke: { src: 'work', id: 'w', systemId: 's' }, always: 'c' },
          c: { on: { back: 'b' } },
        },
      }),
    )
    session.send('go').send('back').send('back')
    expect(session.value).toBe('c')
    expect(session.last.after.children).toEqual({})
  })

  test('a result that the machine does not handle ends it in error, as plain XState ends', () => {
    const session = new Session(named()).send('on')
    session.tell({ type: 'xstate.error.actor.w', error: { name: 'Error', message: 'no' }, actorId: 'w' })
    expect(session.last.after).toMatchObject({ status: 'error', error: { message: 'no' } })
  })
})

describe('the end', () => {
  const ending = machineOf({
    context: { n: 3 },
    initial: 'a',
    states: { a: { on: { end: 'z' } }, z: { type: 'final', entry: (args: Loose) => selves.push(args.self) } },
    exit: () => selves.push('exit'),
    output: ({ context }: Loose) => ({ n: context.n }),
  })
  const selves: Loose[] = []

  test('a final state is in the decision, and its actions see it through self', () => {
    selves.length = 0
    const session = new Session(ending).send('end')
    expect(session.last.after).toMatchObject({ status: 'done', output: { n: 3 }, value: 'z' })
    expect(session.engine.snapshot.status).toBe('done')
    expect(session.last.actions).toHaveLength(2)
    for (const action of session.last.actions) action()
    expect(selves[1]).toBe('exit')
    expect(selves[0].getSnapshot()).toMatchObject({ status: 'done', value: 'z' })
  })

  test('an end that cannot be recorded has not happened', () => {
    const session = new Session(ending)
    session.engine.undo(session.engine.decide({ type: 'end' }, true))
    expect(session.engine.snapshot).toMatchObject({ status: 'active', value: 'a' })
    expect(session.send('end').last.after.status).toBe('done')
  })

  test('what is sent to an actor whose machine has ended still reaches the session, which decides what becomes of it', () => {
    const session = new Session(
      machineOf({ invoke: { src: 'work', id: 'w' }, entry: ({ self }: Loose) => selves.push(self) }),
    )
    selves.length = 0
    for (const action of session.last.actions) action()
    session.tell({ type: 'xstate.error.actor.w', error: 'no', actorId: 'w' })
    expect(session.engine.snapshot.status).toBe('error')
    selves[0].send({ type: 'late' })
    expect(session.posted).toEqual([{ type: 'late' }])
  })
})

describe('effects are collected, and nothing is done', () => {
  test('actions come in the order in which XState runs them, with the context and params of their moment', () => {
    const ran: string[] = []
    const note = (name: string) => (args: Loose, params?: Loose) =>
      ran.push(`${name}:${args.context.n}${params ? `:${params.p}` : ''}`)
    const machine = setup({ actions: { noted: note('noted') } } as Loose).createMachine({
      context: { n: 0 },
      initial: 'a',
      states: {
        a: {
          exit: [note('exit a'), assign({ n: 1 })],
          on: {
            go: {
              target: 'b',
              actions: [
                note('go'),
                assign({ n: 2 }),
                { type: 'noted', params: ({ context }: Loose) => ({ p: context.n }) },
              ],
            },
          },
        },
        b: { entry: [assign({ n: 3 }), note('enter b')], always: { target: 'c', actions: note('always') } },
        c: { entry: note('enter c') },
      },
    } as Loose)
    const session = new Session(machine).send('go')
    expect(ran).toEqual([])
    for (const action of session.last.actions) action()
    expect(ran).toEqual(['exit a:0', 'go:1', 'noted:2:2', 'enter b:3', 'always:3', 'enter c:3'])
  })

  test('an action that the machine names and does not have does nothing', () => {
    const session = new Session(machineOf({ on: { go: { actions: 'missing' } } })).send('go')
    expect(session.last.actions).toEqual([])
  })

  test('logs are actions that reach the host, with their label', () => {
    const session = new Session(
      machineOf({
        context: { n: 1 },
        on: { go: { actions: [log('a'), log(({ context }: Loose) => context.n, 'n')] } },
      }),
    )
    session.send('go')
    expect(session.logged).toEqual([])
    for (const action of session.last.actions) action()
    expect(session.logged).toEqual([['a'], ['n', 1]])
  })

  test('emitted events are collected in order', () => {
    const machine = machineOf({
      context: { n: 7 },
      on: { go: { actions: [emit({ type: 'a' }), emit(({ context }: Loose) => ({ type: 'b', n: context.n }))] } },
    })
    expect(new Session(machine).send('go').last.emitted).toEqual([{ type: 'a' }, { type: 'b', n: 7 }])
  })

  test('a raised event without a delay is taken in the same decision and leaves nothing to do', () => {
    const session = new Session(
      machineOf({ initial: 'a', states: { a: { on: { go: { actions: raise({ type: 'on' }) }, on: 'b' } }, b: {} } }),
    )
    session.send('go')
    expect(session.value).toBe('b')
    expect(session.last).toMatchObject({ timers: [], messages: [], emitted: [], actions: [] })
  })

  test('delayed events to the session itself are timers, and cancel is a request of its own, all in their order', () => {
    const session = new Session(
      base
        .createMachine({
          context: { ms: 40 },
          initial: 'a',
          states: {
            a: {
              after: { 1000: 'b', named: 'b' },
              on: {
                go: {
                  actions: [
                    raise({ type: 'r1' }, { delay: 10, id: 'mine' }),
                    raise({ type: 'r2' }, { delay: ({ context }) => context.ms }),
                    cancel('mine'),
                    sendTo(({ self }) => self, { type: 's1' }, { delay: 30, id: 'sent' }),
                    raise({ type: 'r0' }, { delay: 0 }),
                  ],
                },
              },
            },
            b: {},
          },
        } as Loose)
        .provide({ delays: { named: 2000 } } as Loose),
    )
    expect(session.last.timers).toEqual([
      {
        kind: 'set',
        id: 'xstate.after.1000.(machine).a',
        delayMs: 1000,
        event: { type: 'xstate.after.1000.(machine).a' },
      },
      {
        kind: 'set',
        id: 'xstate.after.named.(machine).a',
        delayMs: 2000,
        event: { type: 'xstate.after.named.(machine).a' },
      },
    ])
    session.send('go')
    expect(session.last.timers).toEqual([
      { kind: 'set', id: 'mine', delayMs: 10, event: { type: 'r1' } },
      { kind: 'set', id: undefined, delayMs: 40, event: { type: 'r2' } },
      { kind: 'cancel', id: 'mine' },
      { kind: 'set', id: 'sent', delayMs: 30, event: { type: 's1' } },
      { kind: 'set', id: undefined, delayMs: 0, event: { type: 'r0' } },
    ])
    session.tell({ type: 'xstate.after.1000.(machine).a' })
    expect(session.value).toBe('b')
    expect(session.last.timers).toEqual([
      { kind: 'cancel', id: 'xstate.after.1000.(machine).a' },
      { kind: 'cancel', id: 'xstate.after.named.(machine).a' },
    ])
  })

  test('undelayed events to the session itself are messages, in order; what goes to a child goes nowhere', () => {
    const session = new Session(
      machineOf({
        invoke: { src: 'work', id: 'w' },
        on: {
          go: {
            actions: [
              sendTo(({ self }) => self, { type: 'm1' }),
              sendTo('w', { type: 'to child' }),
              sendTo('w', { type: 'later to child' }, { delay: 5 }),
              sendTo(({ self }: Loose) => self, { type: 'm2', n: 1 } as Loose),
            ],
          },
        },
      }),
    ).send('go')
    expect(session.last.messages).toEqual([{ type: 'm1' }, { type: 'm2', n: 1 }])
    expect(session.last.timers).toEqual([])
    expect(session.decisions).toHaveLength(2)
  })

  test('what a custom action sends to its self reaches the host, and is not decided behind its back', () => {
    const session = new Session(
      machineOf({ on: { go: { actions: ({ self }: Loose) => self.send({ type: 'from action' }) } } }),
    )
    session.send('go')
    const { snapshot } = session.engine
    for (const action of session.last.actions) action()
    expect(session.posted).toEqual([{ type: 'from action' }])
    expect(session.engine.snapshot).toBe(snapshot)
    expect(session.decisions).toHaveLength(2)
  })

  test('each decision has its own effects only', () => {
    const session = new Session(
      machineOf({ on: { loud: { actions: [emit({ type: 'e' }), () => {}] }, quiet: { actions: assign({}) } } }),
    )
    session.send('loud').send('quiet')
    expect(session.last).toMatchObject({ actions: [], emitted: [], timers: [], messages: [] })
    session.send('loud')
    expect(session.last.emitted).toEqual([{ type: 'e' }])
    expect(session.last.actions).toHaveLength(1)
  })
})

describe('resuming', () => {
  const machine = (): AnyMachine =>
    machineOf({
      id: 'm',
      context: { n: 0 },
      initial: 'idle',
      states: {
        idle: { on: { go: 'work' } },
        work: {
          initial: 'one',
          states: { one: { on: { next: 'two' } }, two: {}, past: { type: 'history' } },
          invoke: { src: 'work', id: 'w', systemId: 'worker', onDone: 'idle' },
          on: { pause: 'paused' },
        },
        paused: { on: { back: 'work.past' } },
        both: { type: 'parallel', states: { x: { initial: 'a', states: { a: {}, b: {} } }, y: {} } },
      },
    })

  const state = (more: Partial<Resumable> = {}): Resumable => ({
    ...{ status: 'active', value: 'idle', context: Object.freeze({ n: 1 }), history: {}, children: {} },
    ...more,
  })

  const child = { src: 'work', status: 'active', input: { a: 1 }, systemId: 'worker', incarnation: 1 } as const

  test('a session goes on where it was, and nothing is decided or done on the way', () => {
    const stored = state({ value: { work: 'two' }, children: { w: child } })
    const session = new Session(machine(), undefined, stored)
    expect(session.decisions).toEqual([])
    expect(session.engine.snapshot).toMatchObject({ value: { work: 'two' }, context: { n: 1 }, status: 'active' })
    session.tell({ type: 'xstate.done.actor.w', output: 1, actorId: 'w' })
    expect(session.value).toBe('idle')
    expect(childrenOf(session.last.before).w).toMatchObject({ src: 'work' })
    expect(session.last.after.children).toEqual({})
  })

  test('the stored state is not changed, however it is used', () => {
    const stored = state({ value: { work: 'two' }, children: { w: child }, history: { 'm.work.past': ['m.work.two'] } })
    const copy = structuredClone(stored)
    new Session(machine(), undefined, stored).send('pause').send('back')
    expect(stored).toEqual(copy)
  })

  test('what a history state remembers is remembered', () => {
    const stored = state({ value: 'paused', history: { 'm.work.past': ['m.work.two'] } })
    const session = new Session(machine(), undefined, stored)
    expect(historyOf(session.engine.snapshot)).toEqual(stored.history)
    expect(session.send('back').value).toEqual({ work: 'two' })
  })

  test('a systemId is taken while its child is there, and free once it has been stopped', () => {
    const session = new Session(machine(), undefined, state({ value: { work: 'one' }, children: { w: child } }))
    const ref = session.engine.snapshot.children.w as AnyActorRef
    expect(ref.system.get('worker' as never)).toBe(ref)
    session.send('pause').send('back')
    expect(session.engine.snapshot.children.w).not.toBe(ref)
  })

  test('history works for machines and states whose ids have dots', () => {
    const dotted = machineOf({
      id: 'my.machine',
      initial: 'a.b',
      states: {
        'a.b': {
          initial: 'x',
          states: { x: { on: { next: 'y\\.z' } }, 'y.z': {}, past: { type: 'history' } },
          on: { pause: 'p' },
        },
        p: { on: { back: { target: '#hist' } } },
        c: { initial: 'i', states: { i: {}, j: {}, h: { type: 'history', id: 'hist' } }, on: { pause: 'p' } },
      },
    })
    const session = new Session(dotted).send('next').send('pause')
    const remembered = historyOf(session.engine.snapshot)
    expect(Object.keys(remembered)).toEqual(['my.machine.a.b.past'])
    const resumed = new Session(dotted, undefined, state({ value: 'p', history: remembered }))
    expect(historyOf(resumed.engine.snapshot)).toEqual(remembered)
  })

  test("a context that looks like XState's own marks is a context like any other", () => {
    const context = Object.freeze({ from: Object.freeze({ xstate$$type: 1, id: 'w' }) })
    const stored = state({ value: { work: 'two' }, context, children: { w: child } })
    const session = new Session(machine(), undefined, stored)
    expect(session.context).toEqual(context)
    expect(session.send('pause').value).toBe('paused')
    expect(session.context).toEqual(context)
  })

  test.each<[string, Partial<Resumable>, string]>([
    ['a state that is gone', { value: 'gone' }, 'gone'],
    ['a state inside that is gone', { value: { work: 'three' } }, 'three'],
    ['a state that is no longer compound', { value: { idle: 'inner' } }, 'inner'],
    ['a state that has become compound', { value: 'work' }, 'has become {"work":"one"}'],
    ['a state that has become parallel', { value: 'both' }, 'has become {"both":{"x":"a","y":{}}}'],
    [
      'a parallel state that has a region more',
      { value: { both: { x: 'b' } } },
      'has become {"both":{"x":"b","y":{}}}',
    ],
    ['a parallel state that has a region less', { value: { both: { x: 'b', y: {}, z: {} } } }, 'z'],
    ['a history state that is gone', { history: { 'm.work.was': ['m.work.two'] } }, '"m.work.was"'],
    ['a remembered state that is gone', { history: { 'm.work.past': ['m.work.three'] } }, '"m.work.three"'],
    [
      'a child whose step is gone',
      { value: { work: 'one' }, children: { w: { src: 'fetch', status: 'active', incarnation: 1 } } },
      '"fetch"',
    ],
    ['a child that would be lost', { children: { w: { src: 'sums', status: 'active', incarnation: 1 } } }, '"sums"'],
    [
      'a finished child whose step is gone',
      { children: { w: { src: 'fetch', status: 'done', incarnation: 1 } } },
      '"fetch"',
    ],
    [
      'a child that no state invokes any more',
      { value: 'paused', children: { w: { src: 'work', status: 'active', incarnation: 1 } } },
      'no state that it is in invokes',
    ],
    [
      'two children of one systemId',
      { children: { v: { ...child, spawned: true }, w: { ...child, spawned: true } } },
      'already exists',
    ],
  ])('is refused, saying why, when the machine has changed under it: %s', (_, more, why) => {
    expect(thrownBy(() => new Session(machine(), undefined, state(more))).message).toContain(why)
  })

  test('the order of the regions does not matter', () => {
    const value = { both: { y: {}, x: 'b' } }
    expect(new Session(machine(), undefined, state({ value })).value).toEqual(value)
  })
})

test('these cases run on the build of XState that they were asked to run on', () => {
  const loaded = Object.keys(createRequire(import.meta.url).cache).filter((path) =>
    /xstate\.(\w+\.)?cjs\.js$/.test(path),
  )
  const production = process.env.NODE_ENV === 'production'
  expect(loaded.map((path) => path.endsWith('development.cjs.js'))).toEqual([!production])
})

// Tests run on XState's production build, as users do; whoever bundles for development has the other one, whose paths differ.
test.runIf(process.env.NODE_ENV !== 'development')(
  'all of these cases hold on the development build of XState too',
  () => {
    const vitest = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs')
    const run = spawnSync(process.execPath, [vitest, 'run', import.meta.filename, '--reporter=dot'], {
      encoding: 'utf8',
      cwd: join(import.meta.dirname, '..'),
      env: { ...process.env, NODE_ENV: 'development', VITEST: undefined, NO_COLOR: '1' },
    })
    expect(`${run.stdout}${run.stderr}`).toMatch(/Tests +\d+ passed/)
    expect(run.status).toBe(0)
  },
)
