// Declaring a kind: what would make a session lose its way after a crash is refused at once, by name of the state.

import { expect, test } from 'vitest'
import {
  assign,
  createMachine,
  emit,
  fromCallback,
  fromObservable,
  fromPromise,
  fromTransition,
  log,
  raise,
  setup,
  spawnChild,
} from 'xstate'
import { type AnyMachine, defineSession } from '../src/define.js'
import { HoldfastError } from '../src/errors.js'
import { backoff, type StepOptions, step, stepOf } from '../src/steps.js'
import { house } from './house.js'

// Machines of every shape, also of shapes that types forbid
type Loose = any

const promised = fromPromise(async () => 1)

const base = setup({
  actors: {
    work: step('work'),
    promised: promised as Loose,
    called: fromCallback(() => {}) as Loose,
    sums: fromTransition((n: number) => n, 0) as Loose,
    seen: fromObservable(() => ({ subscribe: () => ({ unsubscribe() {} }) }) as Loose) as Loose,
  },
})

const machineOf = (config: Loose): AnyMachine => base.createMachine({ id: 'm', ...config })

const define = (machine: AnyMachine, more: Loose = {}): ReturnType<typeof defineSession> =>
  defineSession({ kind: 'order', version: 1, machine, steps: 'file:///steps.js', ...more })

function refusal(act: () => unknown): HoldfastError {
  try {
    act()
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

const inState = (state: Loose): Loose => ({
  initial: 'a',
  states: { a: { initial: 'b', states: { b: state, c: {} } } },
})

const places: readonly (readonly [place: string, config: (action: Loose) => Loose, state: string])[] = [
  ['on entry', (action) => inState({ entry: action }), 'm.a.b'],
  ['on exit', (action) => inState({ exit: [() => {}, action] }), 'm.a.b'],
  ['in a transition', (action) => inState({ on: { go: { target: 'c', actions: action } } }), 'm.a.b'],
  [
    'in a second candidate',
    (action) => inState({ on: { go: [{ guard: () => false }, { actions: action }] } }),
    'm.a.b',
  ],
  ['in an always', (action) => inState({ always: { target: 'c', actions: [action] } }), 'm.a.b'],
  ['in an after', (action) => inState({ after: { 10: { actions: action } } }), 'm.a.b'],
  ['in a wildcard', (action) => inState({ on: { '*': { actions: action } } }), 'm.a.b'],
  ['when a step is done', (action) => inState({ invoke: { src: 'work', onDone: { actions: action } } }), 'm.a.b'],
  ['when a step has failed', (action) => inState({ invoke: { src: 'work', onError: { actions: action } } }), 'm.a.b'],
  [
    'in an initial transition',
    (actions) => ({ initial: 'a', states: { a: { initial: { target: 'b', actions }, states: { b: {} } } } }),
    'm.a',
  ],
  [
    'when inner states are done',
    (action) => ({
      initial: 'a',
      states: { a: { onDone: { actions: action }, initial: 'z', states: { z: { type: 'final' } } } },
    }),
    'm.a',
  ],
  ['at the root', (action) => ({ entry: action }), 'm'],
  ['in a transition of the root', (action) => ({ on: { go: { actions: action } } }), 'm'],
]

test.each(places)('an inline spawnChild %s is refused, naming the state', (_, config, state) => {
  const error = refusal(() => define(machineOf(config(spawnChild(promised, { id: 'x' })))))
  expect(error.code).toBe('ACTOR_NOT_DURABLE')
  expect(error.details).toEqual({ state })
  expect(error.message).toContain(`"${state}" is written inline`)
  expect(error.message).toContain('setup({ actors })')
})

test.each(places)('a named step may be spawned %s', (_, config) => {
  expect(define(machineOf(config(spawnChild('work', { id: 'x' })))).kind).toBe('order')
})

const faultyActors: readonly (readonly [what: string, src: Loose, says: string])[] = [
  ['an inline promise', promised, 'is written inline'],
  ['an inline step', step('work'), 'is written inline'],
  ['an inline machine', createMachine({}), 'is written inline'],
  ['an actor that setup does not have', 'missing', '"missing" is not in setup({ actors })'],
  ['a transition function', 'sums', '"sums" has a state of its own'],
]

test.each(faultyActors)('an invoke of %s is refused, naming the state', (_, src, says) => {
  const error = refusal(() => define(machineOf(inState({ invoke: [{ src: 'work' }, { src, id: 'x' }] }))))
  expect(error.code).toBe('ACTOR_NOT_DURABLE')
  expect(error.details).toEqual({ state: 'm.a.b' })
  expect(error.message).toContain(says)
  expect(error.message).toContain('"m.a.b"')
})

test.each(faultyActors.filter(([, src]) => src !== 'missing'))('a spawnChild of %s is refused', (_, src, says) => {
  const error = refusal(() => define(machineOf(inState({ entry: spawnChild(src, { id: 'x' }) }))))
  expect(error.code).toBe('ACTOR_NOT_DURABLE')
  expect(error.message).toContain(says)
})

test('a machine that was made without setup, and has no actors, is as good as any', () => {
  expect(define(createMachine({ initial: 'a', states: { a: {} } })).machine.id).toBe('(machine)')
})

test.each(['promised', 'called', 'seen'])(
  'a named promise, callback or observable may be invoked and spawned: %s',
  (src) => {
    expect(define(machineOf(inState({ invoke: [{ src, id: 'x', onSnapshot: {} }] }))).kind).toBe('order')
    expect(define(machineOf(inState({ entry: spawnChild(src, { id: 'x' }) }))).kind).toBe('order')
  },
)

const nested = createMachine({ initial: 'in', states: { in: {} } })
const withNested = setup({ actors: { nested: nested as Loose } })

test('a machine among the actors is a kind of its own, of the same version, and stands there as a child session', () => {
  const kind = define(withNested.createMachine({ invoke: { src: 'nested' } }))
  const child = kind.children.get('nested')
  expect(child).toMatchObject({ onParentEnd: 'cancel', kind: { kind: 'order.nested', version: 1 } })
  expect(child?.kind.machine.root.initial.target[0]?.key).toBe('in')
  expect(kind.machine.implementations.actors.nested).not.toBe(nested)
})

test('a child may be of a kind that was declared before, and go on when its parent ends', () => {
  const own = define(nested, { kind: 'own' })
  const children = { nested: { kind: own, onParentEnd: 'abandon' } }
  const kind = define(withNested.createMachine({ invoke: { src: 'nested' } }), { children })
  expect(kind.children.get('nested')).toEqual({ kind: own, onParentEnd: 'abandon' })
})

test('what is said of children that are none, or already are sessions, is refused', () => {
  const machine = withNested.createMachine({ invoke: { src: 'nested' } })
  expect(refusal(() => define(machine, { children: { other: {} } })).message).toContain(
    'children.other is not a machine',
  )
  expect(refusal(() => define(define(machine).machine)).message).toContain('is that of a kind already')
})

test('the snapshots of a child session are not sent to its parent: onSnapshot is refused, naming the state', () => {
  const machine = withNested.createMachine({ id: 'm', invoke: { src: 'nested', onSnapshot: {} } })
  expect(refusal(() => define(machine))).toMatchObject({ code: 'ACTOR_NOT_DURABLE', details: { state: 'm' } })
})

test('an actor that was given with provide counts', () => {
  const machine = setup({ actors: { work: fromTransition((n: number) => n, 0) as Loose } }).createMachine({
    invoke: { src: 'work' },
  })
  expect(refusal(() => define(machine)).code).toBe('ACTOR_NOT_DURABLE')
  expect(define(machine.provide({ actors: { work: step('work') as Loose } })).version).toBe(1)
})

test('a machine that uses a step needs the module that has it', () => {
  const error = refusal(() => define(machineOf(inState({ invoke: { src: 'work' } })), { steps: undefined }))
  expect(error.code).toBe('INVALID_KIND')
  expect(error.details).toEqual({ kind: 'order' })
  expect(error.message).toContain('"work": set steps to the URL')
  expect(define(machineOf({}), { steps: undefined }).steps).toBeUndefined()
})

test('the module may be given as a URL or as its text', () => {
  expect(define(machineOf({}), { steps: new URL('file:///a/steps.js') }).steps).toBe('file:///a/steps.js')
  expect(define(machineOf({}), { steps: 'file:///a/steps.js' }).steps).toBe('file:///a/steps.js')
})

test.each(['', '1a', '-a', '_a', 'a b', 'a/b', '../x', 'a.b', 'ä', 'a'.repeat(65), 'a\n', undefined, null, 7])(
  'a kind cannot be called %j',
  (kind) => {
    const error = refusal(() => define(machineOf({}), { kind }))
    expect(error.code).toBe('INVALID_KIND')
    expect(error.message).toContain('a name is a letter, then')
  },
)

test.each(['a', 'Order', 'order-2_x', 'a'.repeat(64)])('a kind can be called %s', (kind) => {
  expect(define(machineOf({}), { kind }).kind).toBe(kind)
})

test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', undefined])(
  'a version cannot be %j',
  (version) => {
    const error = refusal(() => define(machineOf({}), { version }))
    expect(error.code).toBe('INVALID_KIND')
    expect(error.message).toContain('version must be an integer from 1')
  },
)

test('a machine without a limit of its own gets one, and is not changed itself', () => {
  const machine = machineOf({ entry: [log('x'), raise({ type: 'x' })] })
  const { machine: bounded } = define(machine)
  expect(bounded.options.maxIterations).toBe(10_000)
  expect(bounded.implementations.actors).toEqual(machine.implementations.actors)
  expect(machine.options.maxIterations).toBe(Number.POSITIVE_INFINITY)
  expect(define(machineOf({ options: {} })).machine.options.maxIterations).toBe(10_000)
  expect(
    define(machineOf({ options: { maxIterations: Number.POSITIVE_INFINITY } })).machine.options.maxIterations,
  ).toBe(10_000)
})

test('a machine with a limit of its own keeps it, and is used as it is', () => {
  const machine = machineOf({ options: { maxIterations: 7 } })
  expect(define(machine).machine).toBe(machine)
})

test('everything else of a definition is kept', () => {
  const schema = { '~standard': { version: 1, vendor: 'hand', validate: (value: unknown) => ({ value }) } } as Loose
  const index = (): Record<string, string> => ({ a: 'b' })
  const machine = machineOf({ entry: [assign({}), emit({ type: 'x' })] })
  expect(define(machine, { version: 3, input: schema, events: schema, index })).toMatchObject({
    ...{ kind: 'order', version: 3, steps: 'file:///steps.js', input: schema, events: schema, index },
  })
})

test('a step has the documented defaults, and what was set instead', () => {
  expect(stepOf(step('work'))).toEqual({
    name: 'work',
    policy: {
      ...{ attempts: 1, backoffMs: 200, maxBackoffMs: 30_000, graceMs: 2000 },
      ...{ timeoutMs: undefined, queueTimeoutMs: undefined },
    },
  })
  const options = { attempts: 5, backoffMs: 1, maxBackoffMs: 2, timeoutMs: 3, queueTimeoutMs: 4, graceMs: 5 }
  expect(stepOf(step('work', options))?.policy).toEqual(options)
  expect(stepOf(promised)).toBeUndefined()
  expect(stepOf(undefined)).toBeUndefined()
})

test('a step without an end to its time has no limit, however that is said', () => {
  const endless = { timeoutMs: Number.POSITIVE_INFINITY, queueTimeoutMs: Number.POSITIVE_INFINITY }
  expect(stepOf(step('work', endless))?.policy).toMatchObject({ timeoutMs: undefined, queueTimeoutMs: undefined })
  expect(stepOf(step('work', { attempts: Number.POSITIVE_INFINITY }))?.policy.attempts).toBe(Number.POSITIVE_INFINITY)
})

const TOO_LONG_MS = 2 ** 31

test.each([
  ...[0, 1.5, -1, Number.NaN, '3'].map((attempts) => ({ attempts })),
  ...[-1, Number.NaN, TOO_LONG_MS, '5'].map((timeoutMs) => ({ timeoutMs })),
  ...[-1, Number.NaN, TOO_LONG_MS].map((queueTimeoutMs) => ({ queueTimeoutMs })),
  ...[-1, Number.NaN, TOO_LONG_MS, Number.POSITIVE_INFINITY].map((graceMs) => ({ graceMs })),
  ...[-1, Number.NaN, TOO_LONG_MS].flatMap((ms) => [{ backoffMs: ms }, { maxBackoffMs: ms }]),
] as StepOptions[])('a step is refused that no attempt could keep to: %o', (options) => {
  const [field] = Object.keys(options)
  const message = expect.stringContaining(`${field} of step "work" must be`)
  expect(() => step('work', options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message }))
})

test('the pause before an attempt stays a number, however many have failed', () => {
  const policyOf = (backoffMs: number) => stepOf(step('work', { backoffMs, maxBackoffMs: 1000 }))!.policy
  for (const failed of [1, 5, 1025, 1e9]) expect(backoff(policyOf(0), failed, 0.5)).toBe(0)
  expect([1, 2, 4, 1025].map((failed) => backoff(policyOf(200), failed, 1))).toEqual([200, 400, 1000, 1000])
})

test.each([{}, undefined, { config: {}, transition: () => {} }, { idMap: new Map() }])(
  'what is no machine of XState 5 is refused as a kind: %j',
  (machine) => {
    const { code, message } = refusal(() => define(machine as Loose))
    expect([code, message]).toEqual(['INVALID_KIND', expect.stringContaining('setup({…}).createMachine(…)')])
  },
)

test('a machine of a second copy of XState is one, and is run like any other', async () => {
  const copy = new URL('../node_modules/xstate/dist/xstate.esm.js', import.meta.url)
  const second = (await import(copy.href)) as { setup: typeof setup; assign: typeof assign }
  expect(second.setup).not.toBe(setup)
  const counted = second.assign({ n: ({ context }: Loose) => context.n + 1 }) as Loose
  const machine = second.setup({ types: { context: {} as { n: number } } }).createMachine({
    context: { n: 0 },
    initial: 'on',
    states: { on: { on: { add: { actions: counted } }, after: { 20: 'off' } }, off: { type: 'final' } },
    output: ({ context }) => context.n,
  })
  const kind = defineSession({ kind: 'copied', version: 1, machine })
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind)
  await session.send({ type: 'add' })
  expect(await session.result()).toBe(1)
})

test('an option that nobody reads is refused, naming the nearest: of a definition, a child, a step, and supervision', () => {
  const machine = base.createMachine({})
  const { code, message } = refusal(() => define(machine, { idx: () => ({}) }))
  expect([code, message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('no "idx"; "index" may be meant')])
  const parent = setup({ actors: { clerk: machine } }).createMachine({ invoke: { src: 'clerk' } })
  const child = refusal(() => define(parent, { children: { clerk: { onParentEnds: 'abandon' } } }))
  expect(child.message).toContain('options of children.clerk have no "onParentEnds"; "onParentEnd" may be meant')
  const tried = refusal(() => step('read', { attemps: 3 } as never))
  expect([tried.code, tried.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('"attempts" may be meant')])
  expect(refusal(() => define(machine, { supervision: { intensty: 3 } })).message).toContain('"intensity" may be meant')
})
