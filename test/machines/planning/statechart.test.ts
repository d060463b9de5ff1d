// The statechart of a planning session as a table: which event leads where from every state there is, and that nothing else
// does; every path lived by sessions that lose their power at any moment, and are where they were.

import fc from 'fast-check'
import { openRuntime, type StepContext } from 'holdfast'
import { type PlanningEvent, planning } from 'holdfast/machines/planning'
import { checkDurable } from 'holdfast/testing'
import { expect, test } from 'vitest'
import { createInlinePool } from '../../../src/inline/pool.js'
import { systemClock } from '../../../src/system/clock.js'
import { type AnyEvent, routesOf, shortestPaths, simplePaths, stateName } from '../statechart.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 100)
const AT = '2026-01-02T03:04:05.678Z'
const RESULT = { epics: { 'epic-1': 'L-1' }, features: {}, stories: {}, enablers: {} }
const PLAN = { title: 'T', epics: [], features: [], stories: [], enablers: [], warnings: [] }
const input = { title: 'Shop', source: 'shop.md', baseDir: '/', trackerFile: '/t.json' }

const ends: Record<string, unknown> = {
  fetch: { text: '# Epic: A', format: 'markdown', location: '/shop.md', bytes: 9 },
  parse: { title: '', sections: [] },
  extract: { plan: PLAN, at: AT, key: 'k' },
  createIssues: { result: RESULT, links: [] },
  linkHierarchy: { linked: 0 },
}
const limit = { message: 'not now', code: 'TRACKER_RATE_LIMITED', details: { waitMs: 5_000 }, at: AT }
const outside: AnyEvent[] = [
  { type: 'start' },
  { type: 'setProgress', progress: 50 },
  { type: 'addError', message: 'no' },
  { type: 'addWarning', message: 'hm' },
  { type: 'setResult', result: RESULT },
  { type: 'updateState' },
  ...['pending', 'processing', 'completed', 'failed'].map((status) => ({ type: 'setStatus', status })),
]
const inside: AnyEvent[] = [
  ...Object.entries(ends).map(([id, output]) => ({ type: `xstate.done.actor.${id}`, actorId: id, output })),
  ...Object.keys(ends).map((id) => ({
    type: `xstate.error.actor.${id}`,
    actorId: id,
    error: { message: 'broken', at: AT },
  })),
  ...Object.keys(ends).map((id) => ({ type: `xstate.error.actor.${id}`, actorId: id, error: limit })),
  { type: 'xstate.after.asTold.planning.processing.working.waiting' },
]
const W = 'processing.working'
/** Setters are taken everywhere. */
const setters = (here: string): Record<string, string[]> => ({
  setProgress: [here],
  addWarning: [here],
  updateState: [here],
  addError: ['failed'],
  setResult: ['completed'],
  setStatus: ['completed', 'failed', 'pending', ...(here.startsWith(W) ? [here] : ['processing.driven'])].sort(),
})
const step = (state: string, id: string, next: string): Record<string, Record<string, string[]>> => ({
  [`${W}.${state}`]: {
    ...setters(`${W}.${state}`),
    [`xstate.done.actor.${id}`]: [next],
    [`xstate.error.actor.${id}`]: ['failed', `${W}.waiting`],
  },
})

test('every transition, and no other', () => {
  const walk = {
    input,
    events: [...outside, ...inside],
    identity: (snapshot: { value: unknown; context: { making?: unknown } }) =>
      `${stateName(snapshot.value)} ${snapshot.context.making !== undefined}`,
  }
  expect(routesOf(planning.machine, walk as never)).toEqual({
    pending: { ...setters('pending'), start: [`${W}.creatingIssues`, `${W}.fetching`] },
    'processing.driven': setters('processing.driven'),
    ...step('fetching', 'fetch', `${W}.parsing`),
    ...step('parsing', 'parse', `${W}.extracting`),
    ...step('extracting', 'extract', `${W}.creatingIssues`),
    ...step('creatingIssues', 'createIssues', `${W}.linkingHierarchy`),
    ...step('linkingHierarchy', 'linkHierarchy', 'completed'),
    [`${W}.waiting`]: {
      ...setters(`${W}.waiting`),
      'xstate.after.asTold.planning.processing.working.waiting': [`${W}.creatingIssues`, `${W}.fetching`],
    },
    completed: setters('completed'),
    failed: setters('failed'),
  })
})

test('there is a path to each state, and none without a step or a setter', () => {
  const paths = simplePaths(planning.machine, { input, events: [...outside, ...inside] })
  const shortest = new Map(
    shortestPaths(planning.machine, { input, events: [...outside, ...inside] }).map(({ states, end }) => [
      stateName(end.value),
      states.length,
    ]),
  )
  expect([...shortest.keys()].sort()).toEqual(
    [
      'pending',
      'completed',
      'failed',
      'processing.driven',
      ...['fetching', 'parsing', 'extracting', 'creatingIssues', 'linkingHierarchy', 'waiting'].map(
        (state) => `${W}.${state}`,
      ),
    ].sort(),
  )
  expect(shortest.get(`${W}.linkingHierarchy`)).toBe(5)
  expect(paths.length).toBeGreaterThan(100)
  for (const { states } of paths) expect(new Set(['pending', ...states]).size).toBe(states.length + 1)
})

test('in every state but pending, start is refused: the error names the state and what it takes, and nothing changes', async () => {
  const hanging = (stopAt: string) => {
    const steps = Object.entries(ends).map(([name, output]) => [
      name,
      (_: unknown, { signal }: StepContext) =>
        name === stopAt
          ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
          : stopAt === 'told to wait'
            ? Promise.reject(Object.assign(new Error('not now'), limit, { retry: false }))
            : output,
    ])
    return createInlinePool({ clock: systemClock, load: async () => Object.fromEntries(steps) })
  }
  const started = { type: 'start' } as const
  for (const [name, stopAt, setUp] of [
    [`${W}.fetching`, 'fetch', started],
    [`${W}.parsing`, 'parse', started],
    [`${W}.extracting`, 'extract', started],
    [`${W}.creatingIssues`, 'createIssues', started],
    [`${W}.linkingHierarchy`, 'linkHierarchy', started],
    [`${W}.waiting`, 'told to wait', started],
    ['completed', '', { type: 'setResult', result: RESULT }],
    ['failed', '', { type: 'addError', message: 'no' }],
    ['processing.driven', '', { type: 'setStatus', status: 'processing' }],
  ] as const) {
    await using runtime = await openRuntime({ kinds: [planning], pool: hanging(stopAt) })
    const session = await runtime.create(planning, input)
    await session.send(setUp as PlanningEvent)
    await session.until(({ value }) => stateName(value) === name, { timeoutMs: 60_000 })
    const before = session.snapshot()
    const error = await session.send({ type: 'start' }).catch((thrown: unknown) => thrown)
    expect(error, name).toMatchObject({ code: 'NOT_ACCEPTED' })
    expect((error as Error).message).toContain(name.split('.').at(-1))
    expect((error as Error).message).toContain('setProgress')
    expect(session.can({ type: 'start' })).toBe(false)
    expect(session.snapshot().seq).toBe(before.seq)
    await expect(session.send({ type: 'xstate.done.actor.fetch' } as never)).rejects.toMatchObject({
      code: expect.stringMatching(/NOT_ACCEPTED|INVALID|RESERVED/),
    })
  }
})

test(`${RUNS} lives with power cuts anywhere are as plain XState, in every state`, async () => {
  const event = fc
    .constantFrom(...outside, { type: 'start' }, { type: 'start' })
    .map((each) => ({ ...each, at: AT }) as PlanningEvent)
  let turn = 0
  const sometimes = (output: unknown) => {
    if (++turn % 7 === 0)
      throw Object.assign(new Error('not now'), {
        code: 'TRACKER_RATE_LIMITED',
        details: { waitMs: 1_000 },
        at: AT,
        retry: false,
      })
    return output
  }
  const { crashes, records } = await checkDurable(planning, {
    runs: RUNS,
    input: fc.constant(input),
    events: fc.array(event, { maxLength: 8 }),
    steps: Object.fromEntries(Object.entries(ends).map(([name, output]) => [name, () => sometimes(output)])) as never,
  })
  expect(crashes).toBeGreaterThan(RUNS / 2)
  expect(records).toBeGreaterThan(RUNS * 3)
})
