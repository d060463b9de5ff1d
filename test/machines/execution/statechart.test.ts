// The statechart of an execution session as a table: which event leads where from every state there is, and that nothing else
// does; every forbidden transition refused; every path lived by sessions that lose their power at any moment.

import fc from 'fast-check'
import { openRuntime, type StepContext } from 'holdfast'
import { type ExecutionEvent, type ExecutionInput, type ExecutionStatus, execution } from 'holdfast/machines/execution'
import { checkDurable } from 'holdfast/testing'
import { expect, test } from 'vitest'
import { initialTransition, transition } from 'xstate'
import { createInlinePool } from '../../../src/inline/pool.js'
import { systemClock } from '../../../src/system/clock.js'
import { type AnyEvent, type AnySnapshot, routesOf, shortestPaths, simplePaths } from '../statechart.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 40)
const AT = '2026-01-02T03:04:05.678Z'
const input: ExecutionInput = {
  ...{ id: 'session_1', adminUserId: 'ada', teamId: 'ENG', generatedAt: AT },
  ...{ tracker: { kind: 'local', file: '/t.jsonl' }, channel: { kind: 'log' } },
}
const modification = { ticketId: 'ENG-1', userId: 'ben', action: 'comment', value: 'Hello', timestamp: AT } as const

const outside = [
  { type: 'modify', modifications: [modification] },
  { type: 'modify', modifications: [modification], process: true },
  { type: 'process' },
  { type: 'markProcessed', number: 1 },
  { type: 'updatePlanCount', planCount: 2 },
  { type: 'confirm' },
  { type: 'complete' },
  { type: 'cancel' },
].map((event) => ({ ...event, at: AT })) as ExecutionEvent[]

const plan = { assignee: { id: 'ben', name: 'Ben' }, tickets: [] }
const ends: Record<string, readonly unknown[]> = {
  gather: [{ plans: [plan] }],
  store: [{ issueIds: ['p-1'], at: AT }],
  look: [
    { marks: [{ number: 1, mark: '' }], results: [] },
    { marks: [], results: [{ number: 1, at: AT, error: 'no such ticket', code: 'SERVICE_NOT_FOUND' }] },
  ],
  apply: [
    { results: [{ number: 1, at: AT, outcome: 'changed' }], waitMs: 0 },
    { results: [], waitMs: 5_000 },
  ],
  announce: [{ where: 'log', text: 'said' }],
}
const limit = { message: 'not now', code: 'SERVICE_RATE_LIMITED', details: { waitMs: 5_000 }, at: AT }
const inside: AnyEvent[] = Object.entries(ends).flatMap(([id, outputs]) => [
  ...outputs.map((output) => ({ type: `xstate.done.actor.${id}`, actorId: id, output })),
  { type: `xstate.error.actor.${id}`, actorId: id, error: { message: 'broken', at: AT } },
  { type: `xstate.error.actor.${id}`, actorId: id, error: limit },
])
const timers: AnyEvent[] = [
  { type: 'xstate.after.ticketsSay.execution.tickets.waiting' },
  { type: 'xstate.after.newsSay.execution.news.waiting' },
]

/** What tells two states apart, as far as any guard looks; there is one modification at most. */
const identity = ({ value, context, status }: AnySnapshot): string =>
  JSON.stringify([
    value,
    status,
    context.modifications.map(({ requested, processed }: any) => [requested, processed]),
    [context.planning, context.current.length, context.news.map(({ kind }: any) => kind)],
  ])
const walk = (plans: boolean) => ({
  input: { ...input, plan: plans },
  identity,
  events: ({ context, status, children }: AnySnapshot) => {
    if (status !== 'active') return []
    const mayModify = !plans && context.modifications.length === 0
    return [
      ...(outside as readonly object[] as readonly AnyEvent[]).filter(({ type }) => type !== 'modify' || mayModify),
      // A step that does not run cannot fail.
      ...inside.filter(({ type, actorId }) => type.includes('.done.') || children[actorId as string] !== undefined),
      ...timers,
    ]
  },
})

const TABLE: { readonly [S in ExecutionStatus]: Readonly<Record<string, ExecutionStatus>> } = {
  pending: {
    ...{ modify: 'pending', process: 'pending', markProcessed: 'pending', updatePlanCount: 'pending' },
    ...{ confirm: 'confirmed', cancel: 'cancelled' },
  },
  confirmed: {
    ...{ modify: 'confirmed', process: 'confirmed', markProcessed: 'confirmed', updatePlanCount: 'confirmed' },
    ...{ complete: 'completed', cancel: 'cancelled' },
  },
  completed: {},
  cancelled: {},
}
const WORK: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  gathering: {
    'done gather': ['storing', 'looking', 'done'],
    'error gather': ['waiting', 'resting', 'looking', 'done'],
  },
  storing: { 'done store': ['resting', 'looking', 'done'], 'error store': ['waiting', 'resting', 'looking', 'done'] },
  looking: { 'done look': ['applying', 'resting', 'done'], 'error look': ['waiting', 'resting', 'done'] },
  applying: { 'done apply': ['waiting', 'resting', 'done'], 'error apply': ['resting', 'done'] },
  waiting: { 'after ticketsSay': ['gathering', 'storing', 'looking', 'applying', 'resting', 'done'] },
}
const NEWS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  announcing: {
    'done announce': ['resting', 'announcing', 'done'],
    'error announce': ['waiting', 'announcing', 'resting', 'done'],
  },
  waiting: { 'after newsSay': ['announcing'] },
}

/** `status.pending|tickets.resting|news.resting`, in whichever order. */
const region = (state: string, name: string): string => new RegExp(`${name}\\.(\\w+)`).exec(state)?.[1] ?? ''
/** `xstate.done.actor.look` is `done look`. */
const shortOf = (type: string): string => type.replace(/^xstate\.(\w+)\.(?:actor\.)?(\w+).*$/, '$1 $2')

test.each([false, true])('every transition of the table is there and no other (with plans to make: %s)', (plans) => {
  const routes = routesOf(execution.machine, walk(plans))
  const statuses = new Set<string>()
  for (const [state, taken] of Object.entries(routes)) {
    const [status, tickets, news] = ['status', 'tickets', 'news'].map((name) => region(state, name)) as [
      string,
      string,
      string,
    ]
    statuses.add(status)
    for (const [type, to] of Object.entries(taken)) {
      const short = shortOf(type)
      const target = (name: string): string[] => to.map((each) => region(each, name))
      if (type.startsWith('xstate.')) {
        expect(new Set(target('status')), `${state} ${type}`).toEqual(new Set([status]))
        const wanted = WORK[tickets]?.[short] ?? NEWS[news]?.[short]
        expect(wanted, `${state} takes ${type}`).toBeDefined()
        const moved = WORK[tickets]?.[short] ? target('tickets') : target('news')
        expect(wanted, `${state} ${type}`).toEqual(expect.arrayContaining(moved))
      } else {
        const wanted = TABLE[status as ExecutionStatus][type]
        expect(wanted, `${state} takes ${type}`).toBeDefined()
        expect(new Set(target('status')), `${state} ${type}`).toEqual(new Set([wanted]))
      }
    }
    const always = Object.keys(TABLE[status as ExecutionStatus]).filter(
      (type) => !/^(process|markProcessed|modify)$/.test(type),
    )
    if (region(state, 'tickets') === 'done' && region(state, 'news') === 'done') expect(taken).toEqual({})
    expect(Object.keys(taken), state).toEqual(expect.arrayContaining(always))
  }
  expect([...statuses].sort()).toEqual(['cancelled', 'completed', 'confirmed', 'pending'])
  const work = new Set(Object.keys(routes).map((state) => region(state, 'tickets')))
  expect([...work].sort()).toEqual(
    [...(plans ? ['gathering', 'storing'] : ['applying', 'looking']), 'done', 'resting', 'waiting'].sort(),
  )
})

test('there is a path to each status, and no simple path leads out of one that is over', () => {
  const few = {
    ...walk(false),
    events: outside as readonly object[] as readonly AnyEvent[],
    identity: ({ value }: AnySnapshot) => value.status,
  }
  const shortest = shortestPaths(execution.machine, few)
  expect(
    Object.fromEntries(shortest.map(({ end, events }) => [end.value.status, events.map(({ type }) => type)])),
  ).toEqual({
    ...{ pending: [], confirmed: ['confirm'], completed: ['confirm', 'complete'], cancelled: ['cancel'] },
  })
  const paths = simplePaths(execution.machine, few).map(({ states }) => states.map((state) => region(state, 'status')))
  expect(paths.map((path) => path.join(' ')).sort()).toEqual(
    ['', 'cancelled', 'confirmed', 'confirmed cancelled', 'confirmed completed'].sort(),
  )
})

test('of what was cancelled nothing is begun: neither what was being looked at, nor what waits and was not tried', () => {
  const after = (...events: readonly object[]): AnySnapshot =>
    events.reduce(
      (snapshot: AnySnapshot, event) => transition(execution.machine, snapshot as never, event as never)[0],
      initialTransition(execution.machine, input)[0] as AnySnapshot,
    )
  const other = { ...modification, ticketId: 'ENG-2' }
  const modify = { type: 'modify', modifications: [modification, other], process: true, at: AT }
  const cancel = { type: 'cancel', at: AT }
  const done = (id: string, output: object) => ({ type: `xstate.done.actor.${id}`, actorId: id, output })
  const marks = [1, 2].map((number) => ({ number, mark: '' }))
  const looked = after(modify, cancel, done('look', { marks, results: [] }))
  expect(looked.value.tickets).toBe('done')
  expect(looked.context.current).toEqual([])
  const limited = done('apply', { results: [], waitMs: 5_000, untried: [2] })
  const waited = after(modify, done('look', { marks, results: [] }), limited, cancel, timers[0] as AnyEvent)
  expect(waited.value.tickets).toBe('applying')
  expect(waited.context.current).toEqual([{ number: 1, mark: '', again: true }])
})

/** Sessions whose steps hang, so that whatever is over still works; or end, so that it has ended. */
const runtimeOf = (hanging: boolean) => {
  const steps = Object.entries(ends).map(([name, [output]]) => [
    name,
    (_: unknown, { signal }: StepContext) =>
      hanging ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) : output,
  ])
  return openRuntime({
    kinds: [execution],
    storage: 'memory',
    pool: createInlinePool({ clock: systemClock, load: async () => Object.fromEntries(steps) }),
  })
}

test('whatever a status does not take is refused, naming the state and what it takes, and changes nothing', async () => {
  const to: { readonly [S in ExecutionStatus]: readonly ExecutionEvent['type'][] } = {
    ...{ pending: [], confirmed: ['confirm'], completed: ['confirm', 'complete'], cancelled: ['cancel'] },
  }
  let refused = 0
  for (const hanging of [true, false]) {
    await using runtime = await runtimeOf(hanging)
    for (const [status, types] of Object.entries(to)) {
      const session = await runtime.create(execution, input)
      await session.send(outside[0] as ExecutionEvent)
      for (const type of types) await session.send({ type, at: AT } as ExecutionEvent)
      const isOver = status === 'completed' || status === 'cancelled'
      if (isOver && !hanging) await session.result()
      for (const event of outside) {
        const { seq } = session.snapshot()
        if (Object.hasOwn(TABLE[status as ExecutionStatus], event.type)) {
          expect(session.can(event), `${status} ${event.type}`).toBe(true)
          continue
        }
        refused++
        expect(session.can(event)).toBe(false)
        const error = await session.send(event).catch((thrown: unknown) => thrown)
        expect(error, `${status} ${event.type}`).toMatchObject({
          code: isOver && !hanging ? 'SESSION_ENDED' : 'NOT_ACCEPTED',
        })
        if (!(isOver && !hanging)) expect((error as Error).message).toContain(status)
        expect(session.snapshot().seq).toBe(seq)
      }
      await expect(session.send({ type: 'xstate.done.actor.apply' } as never)).rejects.toMatchObject({
        code: expect.stringMatching(/NOT_ACCEPTED|INVALID|RESERVED|SESSION_ENDED/),
      })
    }
  }
  expect(refused).toBe(2 * (1 + 1 + 8 + 8))
})

test(`${RUNS} lives with power cuts anywhere are as plain XState, in every state`, async () => {
  const event = fc.constantFrom(...outside, ...outside.slice(0, 3), outside[5] as ExecutionEvent)
  let turn = 0
  const sometimes = (outputs: readonly unknown[]) => {
    turn++
    if (turn % 7 === 0) throw Object.assign(new Error('not now'), { ...limit, retry: false })
    if (turn % 11 === 0) throw Object.assign(new Error('broken'), { at: AT, retry: false })
    return outputs[turn % outputs.length]
  }
  const { crashes, records } = await checkDurable(execution, {
    runs: RUNS,
    input: fc.boolean().map((plan): ExecutionInput => ({ ...input, plan })),
    events: fc.array(event, { maxLength: 8 }),
    steps: Object.fromEntries(Object.entries(ends).map(([name, outputs]) => [name, () => sometimes(outputs)])) as never,
  })
  expect(crashes).toBeGreaterThan(RUNS / 2)
  expect(records).toBeGreaterThan(RUNS * 3)
})
