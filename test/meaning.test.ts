// What XState says, a session means: a table with one row for each thing that a machine can say. Each row is lived twice, by
// plain XState and as a session whose power is cut, and which is restored from the disk, after each entry of its script;
// after every entry both must show the same state, context, tags, status and output, and in the end have acted, emitted and
// logged the same. What differs on purpose is claimed below the table, and listed in ARCHITECTURE.md.

import { defineSession, isHoldfastError, type Runtime, type Session, type SessionEntry } from 'holdfast'
import { from, of } from 'rxjs'
import { beforeAll, expect, test, vi } from 'vitest'
import {
  type AnyStateMachine,
  and,
  assign,
  cancel,
  createActor,
  emit,
  enqueueActions,
  forwardTo,
  fromCallback,
  fromEventObservable,
  fromObservable,
  fromPromise,
  fromTransition,
  log,
  not,
  or,
  raise,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stateIn,
  stopChild,
} from 'xstate'
import { createVirtualClock, turn, type VirtualClock } from '../src/testing/clock.js'
import { createCrashDisk } from '../src/testing/disk.js'
import { openWorld, START_MS, settle, type World } from '../src/testing/world.js'
import { house } from './house.js'

/** Machines are made of what XState leaves loosely typed. */
type Loose = any

/** An event to send, its type, or how many milliseconds pass. */
type Entry = Loose

/** What custom actions leave. */
type Note = (what: unknown) => void

interface Life {
  readonly seen: unknown[]
  readonly notes: unknown[]
  readonly emitted: unknown[]
}

const eventOf = (entry: Entry): Loose => (typeof entry === 'string' ? { type: entry } : entry)

/** All of JSON but which of several children of one id an actor is, which XState does not tell. */
const plain = (value: unknown): unknown =>
  value === undefined
    ? undefined
    : JSON.parse(JSON.stringify(value), (key, part) => (key === 'incarnation' ? undefined : part))

const show = ({ value, context, tags, status, output }: Loose): unknown => ({
  ...{ value, status },
  context: plain(context),
  output: plain(output),
  tags: [...tags].sort(),
})

async function rest(clock: VirtualClock): Promise<void> {
  for (let turns = 0; turns < 4; turns++) await turn()
  await clock.advance(0)
}

async function livePlainly(
  machine: AnyStateMachine,
  input: unknown,
  script: readonly Entry[],
  notes: unknown[],
): Promise<Life> {
  const clock = createVirtualClock(START_MS)
  const life: Life = { seen: [], notes, emitted: [] }
  const options: Loose = {
    input,
    clock: {
      setTimeout: (run: () => void, ms: number) => clock.setTimeout(run, ms),
      clearTimeout: (stop?: () => void) => stop?.(),
    },
  }
  const actor = createActor(machine, options)
  actor.on('*', (event) => life.emitted.push(plain(event)))
  actor.subscribe({ error: () => {} })
  actor.start()
  for (const entry of [0, ...script]) {
    if (typeof entry === 'number') await clock.advance(entry)
    else if (actor.getSnapshot().status === 'active') actor.send(eventOf(entry))
    await rest(clock)
    life.seen.push(show(actor.getSnapshot()))
  }
  actor.stop()
  return life
}

async function liveDurably(
  machine: AnyStateMachine,
  input: unknown,
  script: readonly Entry[],
  notes: unknown[],
): Promise<Life> {
  const kind = defineSession({ kind: 'meaning', version: 1, machine })
  const life: Life = { seen: [], notes, emitted: [] }
  let seed = 0
  let session!: Session
  const open = (disk = createCrashDisk(), nowMs = START_MS): Promise<World> =>
    openWorld({ disk, kinds: [kind], nowMs, seed: ++seed })
  const listen = (): void => {
    session = world.runtime.session('one') as Session
    session.emitted$().subscribe((event: unknown) => life.emitted.push(plain(event)))
  }
  let world = await open()
  await (world.runtime as Loose).create(kind, input, { id: 'one' })
  listen()
  for (const entry of [0, ...script]) {
    if (typeof entry === 'number') await world.clock.advance(entry)
    else await session.send(eventOf(entry)).catch(passOver)
    await settle(world)
    await rest(world.clock)
    await settle(world)
    life.seen.push(show(session.snapshot()))
    expect(world.complaints).toEqual([])
    // The old world goes on, but nobody listens to it any more.
    const before = world
    const cut = before.disk.crash(() => 'dropped')
    world = await open(cut, before.clock.now())
    await before.runtime.close()
    listen()
    await settle(world)
    await rest(world.clock)
  }
  await world.runtime.close()
  return life
}

/** Plain XState takes no notice of an event that no transition is for, or that comes too late. */
function passOver(error: unknown): void {
  if (!isHoldfastError(error, 'NOT_ACCEPTED', 'SESSION_ENDED')) throw error
}

// XState warns of what it is sent when it has ended.
beforeAll(() => void vi.spyOn(console, 'warn').mockImplementation(() => {}))

interface Claim {
  readonly machine: (note: Note) => Loose
  readonly script: readonly Entry[]
  readonly input?: unknown
}

const count = assign({ n: ({ context }: Loose) => context.n + 1 } as Loose) as Loose
const add = (text: Loose): Loose =>
  assign({ log: (args: Loose) => [...args.context.log, typeof text === 'function' ? text(args) : text] } as Loose)
const withLog = { context: { log: [] as unknown[] } }

const machineOf = (config: Loose, implementations: Loose = {}): Loose =>
  setup({ types: {} as Loose, ...implementations }).createMachine(config)

/** Answers with what it has heard, also a little later, and ends at `stop`. */
const echo = machineOf({
  context: ({ input }: Loose) => ({ name: input?.name ?? 'echo', heard: [] }),
  initial: 'on',
  states: {
    on: {
      on: {
        say: {
          actions: [
            assign({ heard: ({ context, event }: Loose) => [...context.heard, event.what] } as Loose),
            sendParent(({ context, event }: Loose) => ({
              type: 'heard',
              by: context.name,
              what: event.what,
              all: context.heard,
            })),
          ],
        },
        later: {
          actions: sendParent(({ event }: Loose) => ({ type: 'heard', by: 'late', what: event.what }), { delay: 30 }),
        },
        stop: 'off',
      },
    },
    off: { type: 'final' },
  },
  output: ({ context }: Loose) => context.heard,
})

const heard = { actions: add(({ event }: Loose) => [event.by, event.what, event.all ?? null]) }

const lifts = (note: Note, kind: 'deep' | 'shallow', more: Loose = {}): Loose =>
  machineOf({
    initial: 'on',
    states: {
      on: {
        initial: 'low',
        entry: () => note('on'),
        states: {
          low: { on: { up: 'high' } },
          high: {
            initial: 'one',
            states: { one: { entry: () => note('one'), on: { up: 'two' } }, two: { entry: () => note('two') } },
          },
          past: { type: 'history', history: kind, ...more },
        },
        on: { off: 'off' },
      },
      off: { on: { back: 'on.past' } },
    },
  })

const CLAIMS: { readonly [name: string]: Claim } = {
  'assign: an object, a function, params': {
    machine: () =>
      machineOf(
        {
          context: { n: 0, by: 0, log: [] },
          on: {
            one: { actions: assign({ n: ({ context }: Loose) => context.n + 1, by: 7 }) },
            two: { actions: assign(({ context, event }: Loose) => ({ log: [...context.log, event.what] })) },
            three: { actions: { type: 'plus', params: { by: 3 } } },
            four: { actions: { type: 'plus', params: ({ event }: Loose) => ({ by: event.by }) } },
          },
        },
        { actions: { plus: assign({ n: ({ context }: Loose, { by }: Loose) => context.n + by }) } },
      ),
    script: ['one', { type: 'two', what: { a: [1] } }, 'three', { type: 'four', by: 10 }],
  },
  'custom actions in the order of exit, transition and entry, with params': {
    machine: (note) =>
      machineOf(
        {
          initial: 'a',
          states: {
            a: {
              exit: ({ event }: Loose) => note(['exit a', event.type]),
              on: { go: { target: 'b', actions: { type: 'note', params: 1 } } },
            },
            b: {
              entry: { type: 'note', params: ({ event }: Loose) => event.type },
            },
          },
        },
        { actions: { note: (_: Loose, params: unknown) => note(['note', params]) } },
      ),
    script: ['go'],
  },
  'raise, and raise with a delay, by number, name and function': {
    machine: () =>
      machineOf(
        {
          ...withLog,
          on: {
            go: { actions: [add('go'), raise({ type: 'next' }), add('after raise')] },
            next: { actions: [add('next'), raise({ type: 'late' }, { delay: 50 })] },
            late: { actions: [add('late'), raise({ type: 'named' }, { delay: 'short' } as Loose)] },
            named: {
              actions: [
                add('named'),
                raise({ type: 'computed' }, { delay: ({ context }: Loose) => context.log.length }),
              ],
            },
            computed: { actions: add('computed') },
          },
        },
        { delays: { short: 20 } },
      ),
    script: ['go', 49, 1, 20, 3, 10],
  },
  'cancel, by id and by function, and of the same id again': {
    machine: () =>
      machineOf({
        ...withLog,
        on: {
          set: { actions: raise({ type: 'rings' }, { id: 'alarm', delay: 100 }) },
          other: { actions: sendTo(({ self }: Loose) => self, { type: 'rings' }, { id: 'other', delay: 100 }) },
          stop: { actions: cancel('alarm') },
          stopOf: { actions: cancel(({ event }: Loose) => event.id) },
          rings: { actions: add('rings') },
        },
      }),
    script: ['set', 50, 'stop', 100, 'set', 99, 1, 'other', 'set', { type: 'stopOf', id: 'other' }, 200],
  },
  'sendTo itself comes after everything that is raised, and before the next event': {
    machine: () =>
      machineOf({
        ...withLog,
        on: {
          go: { actions: [sendTo(({ self }: Loose) => self, { type: 'sent' }), raise({ type: 'raised' }), add('go')] },
          raised: { actions: [add('raised'), raise({ type: 'again' })] },
          again: { actions: add('again') },
          sent: { actions: add('sent') },
        },
      }),
    script: ['go', 'go'],
  },
  'an action may send an event by itself, and read the snapshot': {
    machine: (note) =>
      machineOf({
        context: { n: 0 },
        on: {
          go: { actions: [count, ({ self, context }: Loose) => self.send({ type: 'come', n: note(context.n) })] },
          come: { actions: [count, ({ self }: Loose) => note(self.getSnapshot().status)] },
        },
      }),
    script: ['go'],
  },
  emit: {
    machine: () =>
      machineOf({
        context: { n: 0 },
        on: {
          one: { actions: emit({ type: 'fixed', a: 1 }) },
          two: { actions: [count, emit(({ context }: Loose) => ({ type: 'computed', n: context.n })), count] },
        },
      }),
    script: ['one', 'two'],
  },
  'enqueueActions, and check': {
    machine: (note) =>
      machineOf(
        {
          context: { n: 0, log: [] },
          on: {
            go: {
              actions: enqueueActions(({ enqueue, check, context }: Loose, params: unknown) => {
                enqueue.assign({ n: context.n + 1 })
                enqueue(({ context }: Loose) => note([context.n, params ?? null]))
                if (check({ type: 'atLeast', params: 1 })) enqueue.raise({ type: 'enough' })
                enqueue.emit({ type: 'told' })
                enqueue.sendTo(({ self }: Loose) => self, { type: 'sent' })
                enqueue({ type: 'named', params: 5 })
                enqueue.raise({ type: 'late' }, { id: 'l', delay: 10 })
                if (check('atLeast' as Loose) || context.n > 1) enqueue.cancel('l')
              }),
            },
            enough: { actions: add('enough') },
            sent: { actions: add('sent') },
            late: { actions: add('late') },
          },
        },
        {
          guards: { atLeast: ({ context }: Loose, least: number | undefined) => context.n >= (least ?? 100) },
          actions: { named: (_: Loose, params: unknown) => note(['named', params]) },
        },
      ),
    script: ['go', 10, 'go', 10, 'go', 10],
  },
  'guards: named, inline, with params, and, or, not, stateIn': {
    machine: () =>
      machineOf(
        {
          context: { n: 0, log: [] },
          type: 'parallel',
          states: {
            light: {
              id: 'light',
              initial: 'off',
              states: { off: { on: { flip: 'on' } }, on: { id: 'lit', on: { flip: 'off' } } },
            },
            door: {
              on: {
                count: { actions: count },
                named: { guard: 'positive', actions: add('named') },
                params: {
                  guard: { type: 'over', params: ({ context }: Loose) => context.n - 1 },
                  actions: add('params'),
                },
                and: { guard: and(['positive', stateIn({ light: 'on' })]), actions: add('and') },
                or: { guard: or(['positive', stateIn('#lit')]), actions: add('or') },
                not: { guard: not(and(['positive', stateIn('light.on')])), actions: add('not') },
                first: [{ guard: 'positive', actions: add('one') }, { actions: add('else') }],
              },
            },
          },
        },
        {
          guards: {
            positive: ({ context }: Loose) => context.n > 0,
            over: ({ context }: Loose, least: number) => context.n > least,
          },
        },
      ),
    script: [
      'named',
      'and',
      'or',
      'not',
      'first',
      'flip',
      'or',
      'and',
      'count',
      'named',
      'params',
      'and',
      'not',
      'first',
      'flip',
      'and',
      'not',
    ],
  },
  'wildcards, whole and partial, and transitions that are forbidden': {
    machine: () =>
      machineOf({
        ...withLog,
        initial: 'a',
        on: { '*': { actions: add(({ event }: Loose) => `* ${event.type}`) }, 'mouse.*': { actions: add('mouse') } },
        states: {
          a: {
            on: {
              'mouse.click.*': { actions: add('click') },
              'mouse.click.left': { actions: add('left') },
              quiet: undefined,
              silent: {},
            },
          },
        },
      }),
    script: ['mouse', 'mouse.move', 'mouse.click.left', 'mouse.click.right.up', 'other', 'quiet', 'silent'],
  },
  'reenter, and targets that do not': {
    machine: (note) =>
      machineOf({
        initial: 'a',
        states: {
          a: {
            entry: () => note('in a'),
            exit: () => note('out a'),
            initial: 'x',
            states: { x: { entry: () => note('in x'), on: { y: 'y' } }, y: { entry: () => note('in y') } },
            on: {
              self: 'a',
              again: { target: 'a', reenter: true },
              inner: '.x',
              innerAgain: { target: '.x', reenter: true },
              targetless: { actions: () => note('stays') },
            },
          },
        },
      }),
    script: ['y', 'self', 'y', 'again', 'y', 'inner', 'y', 'innerAgain', 'y', 'targetless'],
  },
  'always, one after the other, and guarded': {
    machine: () =>
      machineOf({
        context: { n: 0, log: [] },
        initial: 'idle',
        states: {
          idle: { on: { go: { target: 'a', actions: count } } },
          a: {
            entry: add('a'),
            always: [{ guard: ({ context }: Loose) => context.n > 1, target: 'c' }, { target: 'b' }],
          },
          b: { entry: add('b'), always: { target: 'idle', actions: add('home') } },
          c: { entry: add('c') },
        },
      }),
    script: ['go', 'go'],
  },
  'after, by number, name and function; left before; several; with a guard': {
    machine: () =>
      machineOf(
        {
          context: { n: 3, log: [] },
          initial: 'a',
          states: {
            a: { after: { 100: { target: 'b', actions: add('100') }, 40: { actions: add('40') } }, on: { leave: 'c' } },
            b: {
              after: { short: 'c', computed: { guard: ({ context }: Loose) => context.n > 5, actions: add('no') } },
            },
            c: { after: { computed: { target: 'a', actions: [add('computed'), count] } } },
          },
        },
        { delays: { short: 20, computed: ({ context }: Loose) => context.n * 10 } },
      ),
    script: [40, 59, 1, 20, 30, 50, 'leave', 39, 1, 200],
  },
  'history, shallow': {
    machine: (note) => lifts(note, 'shallow'),
    script: ['up', 'up', 'off', 'back', 'off', 'back'],
  },
  'history, deep': {
    machine: (note) => lifts(note, 'deep'),
    script: ['up', 'up', 'off', 'back', 'off', 'back'],
  },
  'history that remembers nothing yet, with and without a default target': {
    machine: (note) =>
      machineOf({
        initial: 'off',
        states: {
          off: { on: { plain: 'a.past', deep: 'b.past' } },
          a: {
            initial: 'x',
            states: { x: { entry: () => note('x') }, y: {}, past: { type: 'history' } },
            on: { off: 'off' },
          },
          b: {
            initial: 'x',
            states: {
              x: {},
              y: { initial: 'z', states: { z: { entry: () => note('z') } } },
              past: { type: 'history', history: 'deep', target: 'y' },
            },
            on: { off: 'off' },
          },
        },
      }),
    script: ['plain', 'off', 'deep', 'off', 'deep'],
  },
  'parallel regions, transitions of both at once, targets in several': {
    machine: (note) =>
      machineOf({
        type: 'parallel',
        states: {
          a: { initial: 'one', states: { one: { on: { both: 'two' }, exit: () => note('a') }, two: { id: 'a2' } } },
          b: {
            initial: 'one',
            states: { one: { on: { both: 'two' }, exit: () => note('b') }, two: {}, three: { id: 'b3' } },
          },
        },
        on: { reset: { target: ['.a.one', '.b.three'] }, ids: { target: ['#a2', '#b3'] } },
      }),
    script: ['both', 'reset', 'ids'],
  },
  'onDone of states, of parallel ones too, with the output of a final state': {
    machine: () =>
      machineOf({
        ...withLog,
        initial: 'work',
        states: {
          work: {
            initial: 'a',
            states: { a: { on: { end: 'z' } }, z: { type: 'final', output: ({ event }: Loose) => event.with } },
            onDone: { target: 'both', actions: add(({ event }: Loose) => [event.type, event.output]) },
          },
          both: {
            type: 'parallel',
            states: {
              x: { initial: 'a', states: { a: { on: { x: 'z' } }, z: { type: 'final' } } },
              y: { initial: 'a', states: { a: { on: { y: 'z' } }, z: { type: 'final' } } },
            },
            onDone: { target: 'end', actions: add(({ event }: Loose) => event.type) },
          },
          end: {},
        },
      }),
    script: [{ type: 'end', with: { a: 1 } }, 'x', 'y'],
  },
  'a final state, its exit actions and the output of the machine': {
    machine: (note) =>
      machineOf({
        context: ({ input }: Loose) => ({ n: input.n }),
        initial: 'a',
        exit: () => note('out'),
        states: {
          a: { on: { end: { target: 'z', actions: count } } },
          z: {
            type: 'final',
            entry: () => note('in z'),
            exit: () => note('out z'),
            output: ({ context }: Loose) => context.n * 2,
          },
        },
        output: ({ context, event }: Loose) => ({ n: context.n, by: event.output ?? null }),
      }),
    input: { n: 20 },
    script: ['end', 'end'],
  },
  'a machine that is done as it begins': {
    machine: (note) =>
      machineOf({ initial: 'z', states: { z: { type: 'final', entry: () => note('in') } }, output: 5 }),
    script: [1],
  },
  'initial with actions, deep targets, ids and tags': {
    machine: (note) =>
      machineOf({
        initial: { target: 'a', actions: () => note('initial') } as Loose,
        tags: 'whole',
        states: {
          a: { tags: ['one', 'two'], on: { deep: 'b.c.e', id: '#there' } },
          b: {
            tags: 'b',
            initial: 'c',
            states: { c: { initial: 'd', states: { d: {}, e: { tags: 'deep', on: { out: '#there' } } } } },
          },
          f: { id: 'there', tags: [] },
        },
      }),
    script: ['deep', 'out'],
  },
  'route: a state is entered by its id from anywhere': {
    machine: (note) =>
      machineOf({
        context: { ok: false },
        initial: 'a',
        states: {
          a: { on: { allow: { actions: assign({ ok: true }) } } },
          b: { id: 'b', route: {}, entry: () => note('b') },
          c: { id: 'c', route: { guard: ({ context }: Loose) => context.ok, actions: () => note('to c') } },
          d: { id: 'd' },
        },
      }),
    script: [
      { type: 'xstate.route', to: '#c' },
      'allow',
      { type: 'xstate.route', to: '#c' },
      { type: 'xstate.route', to: '#b' },
      { type: 'xstate.route', to: '#d' },
    ],
  },
  'an invoked promise: its output, its error, and one that is left': {
    machine: () =>
      machineOf(
        {
          ...withLog,
          initial: 'a',
          states: {
            a: { on: { go: 'gives' } },
            gives: {
              invoke: {
                src: 'twice',
                input: ({ event }: Loose) => event.n,
                onDone: { target: 'fails', actions: add(({ event }: Loose) => event.output) },
              },
            },
            fails: {
              invoke: {
                id: 'f',
                src: 'fails',
                onError: { target: 'waits', actions: add(({ event }: Loose) => event.error.message) },
              },
            },
            waits: { invoke: { src: 'never', onDone: 'a' }, on: { go: 'a' } },
          },
        },
        {
          actors: {
            twice: fromPromise(async ({ input }: Loose) => input * 2),
            fails: fromPromise(async () => Promise.reject(new Error('no'))),
            never: fromPromise(() => new Promise(() => {})),
          },
        },
      ),
    script: [{ type: 'go', n: 21 }, 'go'],
  },
  'a failure that nobody handles ends it in error': {
    machine: () =>
      machineOf(
        { ...withLog, initial: 'a', states: { a: { on: { go: 'b' } }, b: { invoke: { src: 'fails' } } } },
        { actors: { fails: fromPromise(async () => Promise.reject(new Error('no'))) } },
      ),
    script: ['go', 'go'],
  },
  'observables: onSnapshot, onDone, and events of one': {
    machine: () =>
      machineOf(
        {
          ...withLog,
          initial: 'a',
          states: {
            a: { on: { go: 'b' } },
            b: {
              invoke: {
                src: 'numbers',
                onSnapshot: {
                  guard: ({ event }: Loose) => event.snapshot.context !== undefined,
                  actions: add(({ event }: Loose) => [event.snapshot.status, event.snapshot.context]),
                },
                onDone: 'c',
              },
            },
            c: { invoke: { src: 'events', onDone: 'd' } },
            d: {},
          },
          on: { tick: { actions: add(({ event }: Loose) => event.n) } },
        },
        {
          actors: {
            numbers: fromObservable(() => from([1, 2])),
            events: fromEventObservable(() => of({ type: 'tick', n: 1 }, { type: 'tick', n: 2 })),
          },
        },
      ),
    script: ['go'],
  },
  'callbacks: sendBack, receive, and what is left when it is stopped': {
    machine: () =>
      machineOf(
        {
          ...withLog,
          initial: 'a',
          states: {
            a: { on: { go: 'b' } },
            b: {
              invoke: { id: 'c', src: 'callback', input: { by: 2 } },
              on: { ask: { actions: forwardTo('c') }, leave: 'a' },
            },
          },
          on: { answer: { actions: add(({ event }: Loose) => event.n) } },
        },
        {
          actors: {
            callback: fromCallback(({ sendBack, receive, input }: Loose) => {
              receive((event: Loose) => sendBack({ type: 'answer', n: event.n * input.by }))
            }),
          },
        },
      ),
    script: ['go', { type: 'ask', n: 1 }, { type: 'ask', n: 2 }, 'leave'],
  },
  'a machine that is invoked: input, events both ways, output': {
    machine: () =>
      machineOf(
        {
          ...withLog,
          initial: 'a',
          states: {
            a: { on: { go: 'b' } },
            b: {
              invoke: {
                id: 'e',
                src: 'echo',
                input: { name: 'eve' },
                onDone: { target: 'c', actions: add(({ event }: Loose) => event.output) },
              },
              on: {
                say: { actions: forwardTo('e') },
                later: { actions: sendTo('e', ({ event }: Loose) => event) },
                slow: { actions: sendTo('e', { type: 'say', what: 'slow' }, { delay: 25 }) },
                stop: { actions: sendTo(({ system }: Loose) => system.get('nobody') ?? 'e', { type: 'stop' }) },
              },
            },
            c: {},
          },
          on: { heard },
        },
        { actors: { echo } },
      ),
    script: [
      'go',
      { type: 'say', what: 1 },
      { type: 'later', what: 2 },
      'slow',
      24,
      1,
      30,
      { type: 'say', what: 3 },
      'stop',
    ],
  },
  'children that are spawned: by id, by reference, without an id; stopped by each': {
    machine: () =>
      machineOf(
        {
          context: { log: [], refs: {} },
          on: {
            child: { actions: spawnChild('echo', { id: 'c', input: { name: 'child' } }) },
            ref: {
              actions: assign({
                refs: ({ context, event, spawn }: Loose) => ({
                  ...context.refs,
                  [event.key]: spawn('echo', { id: event.key, input: { name: event.key } }),
                }),
              }),
            },
            say: { actions: sendTo('c', ({ event }: Loose) => event) },
            sayTo: {
              actions: sendTo(
                ({ context, event }: Loose) => context.refs[event.key],
                ({ event }: Loose) => ({ type: 'say', what: event.what }),
              ),
            },
            stop: { actions: stopChild('c') },
            stopOf: { actions: stopChild(({ context, event }: Loose) => context.refs[event.key]) },
            forget: { actions: assign({ refs: {} }) },
            heard,
          },
        },
        { actors: { echo } },
      ),
    script: [
      'child',
      { type: 'say', what: 1 },
      { type: 'ref', key: 'x' },
      { type: 'ref', key: 'y' },
      { type: 'sayTo', key: 'x', what: 2 },
      { type: 'stopOf', key: 'x' },
      { type: 'sayTo', key: 'x', what: 3 },
      { type: 'sayTo', key: 'y', what: 4 },
      'stop',
      { type: 'ref', key: 'x' },
      { type: 'sayTo', key: 'x', what: 5 },
      'forget',
      { type: 'ref', key: 'z' },
      { type: 'sayTo', key: 'z', what: 6 },
    ],
  },
  'a child that is spawned as the machine begins, and its end by a wildcard': {
    machine: () =>
      machineOf(
        {
          context: ({ spawn, input }: Loose) => ({ log: [], one: spawn('echo', { id: 'one', input }) }),
          on: {
            say: {
              actions: sendTo(
                ({ context }: Loose) => context.one,
                ({ event }: Loose) => event,
              ),
            },
            stop: {
              actions: enqueueActions(({ enqueue, context }: Loose) => enqueue.sendTo(context.one, { type: 'stop' })),
            },
            'xstate.done.actor.*': { actions: add(({ event }: Loose) => [event.type, event.output]) },
            heard,
          },
        },
        { actors: { echo } },
      ),
    input: { name: 'first' },
    script: [{ type: 'say', what: 1 }, 'stop', { type: 'say', what: 2 }],
  },
  'systemId and system.get, in sendTo, in an assign and after the child is gone': {
    machine: () =>
      machineOf(
        {
          context: { log: [], there: null },
          initial: 'a',
          states: {
            a: { on: { go: 'b' } },
            b: { invoke: { src: 'echo', systemId: 'voice', input: { name: 'v' } }, on: { leave: 'a' } },
          },
          on: {
            say: {
              actions: sendTo(
                ({ system }: Loose) => system.get('voice'),
                ({ event }: Loose) => event,
              ),
            },
            look: { actions: assign({ there: ({ system }: Loose) => system.get('voice') !== undefined }) },
            heard,
          },
        },
        { actors: { echo } },
      ),
    script: ['look', 'go', 'look', { type: 'say', what: 1 }, 'leave', 'look', 'go', { type: 'say', what: 2 }],
  },
  'a delayed message is for the child that was there when it was sent': {
    machine: () =>
      machineOf(
        {
          ...withLog,
          initial: 'a',
          states: {
            a: { on: { go: 'b' } },
            b: {
              invoke: { id: 'e', src: 'echo', input: { name: 'e' } },
              on: {
                leave: 'a',
                slow: { actions: sendTo('e', ({ event }: Loose) => ({ ...event, type: 'say' }), { delay: 40 }) },
              },
            },
          },
          on: { heard },
        },
        { actors: { echo } },
      ),
    script: ['go', { type: 'slow', what: 1 }, 'leave', 'go', 40, { type: 'slow', what: 2 }, 40],
  },
  'what an action sends to a child by its own send': {
    machine: () =>
      machineOf(
        {
          context: ({ spawn }: Loose) => ({ log: [], one: spawn('echo', { id: 'one', systemId: 'sys' }) }),
          on: {
            ref: { actions: ({ context }: Loose) => context.one.send({ type: 'say', what: 'ref' }) },
            system: { actions: ({ system }: Loose) => system.get('sys').send({ type: 'say', what: 'system' }) },
            child: {
              actions: ({ self }: Loose) => self.getSnapshot().children.one.send({ type: 'say', what: 'child' }),
            },
            heard,
          },
        },
        { actors: { echo } },
      ),
    script: ['ref', 'system', 'child'],
  },
}

test.each(Object.entries(CLAIMS))('%s', async (_, { machine, script, input }) => {
  const [plainly, durably]: [unknown[], unknown[]] = [[], []]
  const expected = await livePlainly(
    machine((what) => plainly.push(plain(what))),
    input,
    script,
    plainly,
  )
  const session = await liveDurably(
    machine((what) => durably.push(plain(what))),
    input,
    script,
    durably,
  )
  for (const [index, seen] of expected.seen.entries()) {
    const entry = index === 0 ? 'the beginning' : JSON.stringify(script[index - 1])
    expect(session.seen[index], `after ${entry} (${index})`).toEqual(seen)
  }
  expect(session).toEqual(expected)
})

test('log says what it says, with its label', async () => {
  const heardBy = async (
    live: (machine: Loose, hear: (...args: unknown[]) => void) => Promise<void>,
  ): Promise<unknown[]> => {
    const lines: unknown[] = []
    const machine = machineOf({
      context: { n: 3 },
      on: { go: { actions: [log('text'), log(({ context, event }: Loose) => [context.n, event.type], 'label')] } },
    })
    await live(machine, (...args) => lines.push(args))
    return lines
  }
  const plainly = await heardBy(async (machine, hear) => {
    createActor(machine, { logger: hear }).start().send({ type: 'go' })
  })
  const durably = await heardBy(async (machine, hear) => {
    const kind = defineSession({ kind: 'logs', version: 1, machine })
    const info = ({ args }: Loose): void => args && hear(...args)
    const home = house([kind], {}, undefined, { info, warn: info, error: info } as Loose)
    await using runtime = await home.open()
    await (await (runtime as Loose).create(kind)).send({ type: 'go' })
  })
  expect(plainly).toEqual([['text'], ['label', [3, 'go']]])
  expect(durably).toEqual(plainly)
})

// What differs on purpose.

const durableOf = async (machine: Loose): Promise<AsyncDisposable & { session: Session<Loose>; runtime: Runtime }> => {
  const kind = defineSession({ kind: 'differs', version: 1, machine })
  const runtime = await house([kind]).open()
  const session = (await (runtime as Loose).create(kind)) as Session<Loose>
  return { session, runtime, [Symbol.asyncDispose]: () => runtime.close() }
}

test('differs: a decision that throws is refused and leaves the session as it was; XState ends in error', async () => {
  const machine = machineOf({
    context: { n: 0 },
    on: {
      bad: {
        actions: assign({
          n: () => {
            throw new Error('no')
          },
        }),
      },
      good: { actions: count },
    },
  })
  await using life = await durableOf(machine)
  await expect(life.session.send({ type: 'bad' })).rejects.toMatchObject({ code: 'DECISION_FAILED' })
  await life.session.send({ type: 'good' })
  expect(life.session.snapshot()).toMatchObject({ status: 'active', context: { n: 1 } })
  const actor = createActor(machine)
  actor.subscribe({ error: () => {} })
  actor.start().send({ type: 'bad' })
  expect(actor.getSnapshot().status).toBe('error')
})

test('differs: an event that nothing is for is refused; XState takes no notice', async () => {
  await using life = await durableOf(machineOf({ on: { known: {} } }))
  await expect(life.session.send({ type: 'unknown' })).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
})

test('differs: a custom action runs when its transition is durable, and self shows that; in XState, the state before', async () => {
  const seen: unknown[] = []
  const look = ({ self }: Loose): unknown => seen.push(self.getSnapshot().getMeta()['m.b']?.about)
  const machine = machineOf({
    id: 'm',
    initial: 'a',
    states: { a: { on: { go: 'b' } }, b: { meta: { about: 'b' }, entry: look } },
  })
  createActor(machine).start().send({ type: 'go' })
  await using life = await durableOf(machine)
  await life.session.send({ type: 'go' })
  expect(seen).toEqual([undefined, 'b'])
})

test('differs: an error is plain JSON in an event, so that it may go into the context', async () => {
  const actors = { fails: fromPromise(async () => Promise.reject(Object.assign(new RangeError('no'), { at: 3 }))) }
  const machine = machineOf(
    {
      context: { error: null },
      invoke: { src: 'fails', onError: { actions: assign({ error: ({ event }: Loose) => event.error }) } },
    },
    { actors },
  )
  await using life = await durableOf(machine)
  const { context } = await life.session.until(({ context }) => context.error !== null)
  expect(context.error).toMatchObject({ name: 'RangeError', message: 'no', at: 3 })
  expect(context.error instanceof Error).toBe(false)
})

test('differs: a child that is a session is an address to its parent; its state is not read by getSnapshot', async () => {
  const seen: Loose[] = []
  const machine = machineOf(
    {
      invoke: { id: 'e', src: 'echo', input: { name: 'e' } },
      on: { look: { actions: ({ self }: Loose) => seen.push(self.getSnapshot().children.e.getSnapshot()) } },
    },
    { actors: { echo } },
  )
  await using life = await durableOf(machine)
  await life.session.send({ type: 'look' })
  expect(seen[0]).toMatchObject({ status: 'active' })
  expect(seen[0].context).toBeUndefined()
  const [child] = life.runtime.sessions.list({ parent: life.session.id }).sessions
  expect(life.runtime.session(child?.id as string).snapshot().context).toEqual({ name: 'e', heard: [] })
})

test.each<[string, Loose]>([
  ['onSnapshot of an invoked machine', { invoke: { src: 'echo', onSnapshot: {} } }],
  ['a transition function', { invoke: { src: 'sums' } }],
  ['an inline actor, invoked', { invoke: { src: fromPromise(async () => 1) } }],
  [
    'an inline actor, by spawnChild',
    {
      entry: spawnChild(
        fromPromise(async () => 1),
        { id: 'i' },
      ),
    },
  ],
])('differs: what a crash would lose is refused when the kind is defined, naming the state: %s', (_, config) => {
  const sums = fromTransition((sum: number) => sum + 1, 0)
  const machine = machineOf({ id: 'm', initial: 'a', states: { a: config } }, { actors: { echo, sums } })
  expect(() => defineSession({ kind: 'lost', version: 1, machine })).toThrow(
    expect.objectContaining({ code: 'ACTOR_NOT_DURABLE', details: { state: 'm.a' } }),
  )
})

test.each<[string, Loose]>([
  ['spawn', assign({ ref: ({ spawn }: Loose) => spawn(fromPromise(async () => 1)) })],
  [
    'spawn, with an id',
    assign({
      ref: ({ spawn }: Loose) =>
        spawn(
          fromPromise(async () => 1),
          { id: 'i' },
        ),
    }),
  ],
  [
    'enqueue.spawnChild',
    enqueueActions(({ enqueue }: Loose) =>
      enqueue.spawnChild(
        fromPromise(async () => 1),
        { id: 'i' },
      ),
    ),
  ],
  [
    'spawn of a machine whose snapshots are wanted',
    assign({ ref: ({ spawn }: Loose) => spawn('echo', { syncSnapshot: true }) }),
  ],
])('differs: what only a function shows is refused at the transition, naming it: %s', async (_, actions) => {
  const machine = machineOf(
    { context: { ref: null }, initial: 'a', states: { a: { on: { go: { actions } } } } },
    { actors: { echo } },
  )
  await using life = await durableOf(machine)
  await expect(life.session.send({ type: 'go' })).rejects.toMatchObject({
    code: 'ACTOR_NOT_DURABLE',
    details: { event: 'go', state: 'a' },
    message: expect.stringContaining('on "go" in state "a"'),
  })
  expect(life.session.snapshot()).toMatchObject({ seq: 1, context: { ref: null } })
})

test('differs: the ids of children without one tell the transition that started them', async () => {
  const machine = machineOf({ on: { go: { actions: [spawnChild('echo'), spawnChild('echo')] } } }, { actors: { echo } })
  await using life = await durableOf(machine)
  await life.session.send({ type: 'go' })
  const childrenOf = (): readonly SessionEntry[] => life.runtime.sessions.list({ parent: life.session.id }).sessions
  while (childrenOf().length < 2) await turn()
  const children = childrenOf()
  expect(children.map(({ parent }) => parent?.child).sort()).toEqual(['x:2.0', 'x:2.1'])
})
