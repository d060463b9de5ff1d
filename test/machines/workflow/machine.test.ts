// The statechart of a workflow session: walked as a table, refused wherever the table says nothing, and held to plain XState
// under crashes. No git, no process: the steps are functions that say what real ones might.

import fc from 'fast-check'
import {
  replay,
  type SessionConfigInput,
  type WorkflowContext,
  type WorkflowEvent,
  workflow,
  workflowMachine,
} from 'holdfast/machines/workflow'
import { checkDurable } from 'holdfast/testing'
import { describe, expect, test } from 'vitest'
import { initialTransition, transition } from 'xstate'
import { house } from '../../house.js'
import {
  type AnyEvent,
  type AnySnapshot,
  routesOf,
  shortestPaths,
  simplePaths,
  stateName,
  type Walk,
} from '../statechart.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 40)
const AT = '2026-01-02T03:04:05.678Z'
const CONFIG: SessionConfigInput = {
  project_path: '/project',
  workflow: ['plain', { shell: 'tried', on_failure: { shell: 'mend', next: 'retry' } }],
  max_iterations: 2,
}
const DRIVEN: SessionConfigInput = { project_path: '/project', workflow: [], max_iterations: 2 }

/** The door fills in what is left out. */
const admitted = (config: SessionConfigInput) =>
  (workflow.input!['~standard'].validate({ config }) as { value: { config: never } }).value

const place = { path: '/project', project: '/project', common: '/project/.git' }
const mark = { head: 'h', tree: 't' }
const said = { text: '', chars: 0 }
const ran = (fields: object) => ({
  command: 'c',
  success: true,
  exit_code: 0,
  duration_ms: 1,
  stdout: said,
  stderr: said,
  at: AT,
  ...fields,
})
const changes = { files_modified: ['a'], lines_added: 1, lines_removed: 0, git_commits: [] }
const OUTPUTS: Record<string, readonly object[]> = {
  prepare: [{ place, mark, at: AT }],
  command: [
    ran({}),
    ran({ success: false, exit_code: 1 }),
    ran({ success: false, exit_code: null, interrupted: true, ask: true }),
  ],
  handler: [ran({}), ran({ success: false, exit_code: 1 })],
  survey: [
    { changes, mark, at: AT },
    { changes: { ...changes, files_modified: [] }, mark, at: AT },
  ],
  finish: [{ at: AT }],
  sweep: [{ ended: 0, at: AT }],
}

const OUTSIDE = [
  { type: 'start', at: AT },
  { type: 'pause', reason: 'lunch', at: AT },
  { type: 'resume', at: AT },
  { type: 'complete', at: AT },
  { type: 'cancel', reason: 'enough', at: AT },
  { type: 'fail', error: 'no', at: AT },
  { type: 'checkpoint', at: AT },
  { type: 'record', event: { type: 'AnalysisCompleted', results: { x: 1 } }, at: AT },
  { type: 'record', event: { type: 'IterationStarted', number: 1 }, at: AT },
  { type: 'record', event: { type: 'IterationStarted', number: 2 }, at: AT },
  { type: 'record', event: { type: 'IterationCompleted', changes: { ...changes, commands_run: [] } }, at: AT },
  { type: 'record', event: { type: 'CommandExecuted', command: 'c', success: true }, at: AT },
] as const satisfies readonly WorkflowEvent[]

const ends = ({ children }: AnySnapshot): AnyEvent[] =>
  Object.entries(OUTPUTS).flatMap(([id, outputs]) =>
    id in children
      ? [
          ...outputs.map((output) => ({ type: `xstate.done.actor.${id}`, output, actorId: id })),
          { type: `xstate.error.actor.${id}`, error: { message: 'no' }, actorId: id },
        ]
      : [],
  )

/** What tells two moments apart: where it is, and what the guards look at. Not the events, which grow without end. */
const moment = ({ value, context }: AnySnapshot): string => {
  const { state, index, retries, wish, ending, log } = context as WorkflowContext
  const last = log.flat().findLast(({ event }) => /^Iteration/.test(event.type))?.event
  return JSON.stringify([value, state, index, retries, wish, ending, last])
}

const walkOf = (config: SessionConfigInput): Walk => ({
  input: admitted(config),
  events: (snapshot) => [...ends(snapshot), ...OUTSIDE],
  identity: moment,
})

/** As the kind is described, and nothing else. The end of a step is its name, with `!` when it failed. */
const WISHES = ['pause', 'complete'] as const
const RUNNING: Record<string, Record<string, readonly string[]>> = {
  created: { start: ['running.working.preparing'], cancel: ['cancelled'], checkpoint: ['created'] },
  'running.working.preparing': {
    prepare: ['paused', 'running.working.command', 'running.working.finishing', 'running.working.surveying'],
    'prepare!': ['stopping'],
  },
  'running.working.command': {
    command: ['paused', 'running.working.command', 'running.working.handling', 'running.working.surveying', 'stopping'],
    'command!': ['stopping'],
  },
  'running.working.handling': {
    handler: ['paused', 'running.working.command', 'running.working.surveying', 'stopping'],
    'handler!': ['stopping'],
  },
  'running.working.surveying': { survey: ['running.working.preparing'], 'survey!': ['stopping'] },
  'running.working.finishing': {
    finish: ['completed', 'stopping'],
    'finish!': ['stopping'],
    cancel: ['running.working.finishing'],
    fail: ['running.working.finishing'],
  },
  paused: {
    resume: ['running.working.preparing'],
    complete: ['running.working.preparing'],
    cancel: ['stopping'],
    fail: ['stopping'],
    checkpoint: ['paused'],
    record: ['paused'],
  },
  stopping: { sweep: ['cancelled', 'failed'], 'sweep!': ['cancelled', 'failed'] },
  completed: {},
  failed: {},
  cancelled: {},
}
for (const [state, leads] of Object.entries(RUNNING)) {
  if (!state.startsWith('running')) continue
  Object.assign(leads, { checkpoint: [state], record: [state] })
  if (state.endsWith('finishing')) continue
  Object.assign(
    leads,
    { cancel: ['stopping'], fail: ['stopping'] },
    Object.fromEntries(WISHES.map((type) => [type, [state]])),
  )
}
const DRIVEN_ROUTES = {
  created: { start: ['running.driven'], cancel: ['cancelled'], checkpoint: ['created'] },
  'running.driven': {
    record: ['running.driven'],
    pause: ['paused'],
    complete: ['completed'],
    cancel: ['cancelled'],
    fail: ['failed'],
    checkpoint: ['running.driven'],
  },
  paused: {
    resume: ['running.driven'],
    complete: ['completed'],
    cancel: ['cancelled'],
    fail: ['failed'],
    checkpoint: ['paused'],
    record: ['paused'],
  },
  completed: {},
  failed: {},
  cancelled: {},
}

const named = (type: string): string =>
  type.replace(/^xstate\.done\.actor\./, '').replace(/^xstate\.error\.actor\.(.*)$/, '$1!')

describe.each([
  ['with commands', CONFIG, RUNNING],
  ['without commands', DRIVEN, DRIVEN_ROUTES],
] as const)('a session %s', (_, config, table) => {
  const walk = walkOf(config)

  test('goes from state to state as the table says, and no other way', () => {
    const routes = Object.entries(routesOf(workflowMachine, walk)).map(([state, leads]) => [
      state,
      Object.fromEntries(Object.entries(leads).map(([type, to]) => [named(type), to])),
    ])
    expect(Object.fromEntries(routes)).toEqual(table)
  })

  test('refuses every other event, in every state, and stays as it is', async () => {
    const paths = new Map(shortestPaths(workflowMachine, walk).map((path) => [stateName(path.end.value), path]))
    expect([...paths.keys()].sort()).toEqual(Object.keys(table).sort())
    let refused = 0
    for (const [state, { end }] of paths) {
      const leads = table[state as keyof typeof table] as object
      for (const event of OUTSIDE) {
        if (event.type in leads) continue
        refused++
        expect(end.can(event), `${event.type} in ${state}`).toBe(false)
        const [after, actions] = transition(workflowMachine, end, event as never)
        expect([after.value, after.context, actions]).toEqual([end.value, end.context, []])
      }
    }
    expect(refused).toBeGreaterThan(20)
  })

  test('on every path through the machine its state is what its events add up to', () => {
    const paths = simplePaths(workflowMachine, {
      ...walk,
      events: (snapshot) => [...ends(snapshot), ...OUTSIDE.filter(({ type }) => type !== 'checkpoint')],
      identity: ({ value, context }) => JSON.stringify([value, (context as WorkflowContext).index]),
    })
    expect(paths.length).toBeGreaterThanOrEqual(10)
    for (const { end } of paths) {
      const { state, log } = end.context as WorkflowContext
      expect(replay(log.flat()).state).toEqual(state)
    }
  })
})

const TYPES: Record<string, string[]> = {
  created: ['Created'],
  running: ['Running'],
  paused: ['Paused'],
  completed: ['Completed'],
  failed: ['Failed'],
  cancelled: ['Cancelled'],
  // It is what it was until no process of it is left.
  stopping: ['Running', 'Paused'],
}

test('every transition between states is told by an event, and terminal states are final', () => {
  const paths = shortestPaths(workflowMachine, walkOf(CONFIG))
  for (const { end } of paths) {
    const { state } = end.context as WorkflowContext
    expect(TYPES[stateName(end.value).split('.')[0] as string]).toContain(state.type)
    if (['Completed', 'Failed', 'Cancelled'].includes(state.type)) expect(end.status).toBe('done')
  }
})

test('running is entered from created or paused only', () => {
  for (const table of [RUNNING, DRIVEN_ROUTES]) {
    const into = Object.entries(table).filter(([state, leads]) => {
      return (
        !state.startsWith('running') &&
        Object.values(leads as object)
          .flat()
          .some((to) => String(to).startsWith('running'))
      )
    })
    expect(into.map(([state]) => state).sort()).toEqual(['created', 'paused'])
  }
  const [snapshot] = initialTransition(workflowMachine, admitted(CONFIG))
  expect(snapshot.value).toBe('created')
})

test('an event that a session refuses is named, with the state and what it would take', async () => {
  await using runtime = await house([workflow]).open()
  const session = await runtime.create(workflow, { config: DRIVEN })
  await expect(session.send({ type: 'resume' })).rejects.toMatchObject({
    code: 'NOT_ACCEPTED',
    details: { state: 'created', accepts: ['cancel', 'checkpoint', 'start'] },
  })
})

test.each([
  ['a relative path', { ...CONFIG, project_path: 'project' }, 'project_path'],
  ['no iterations', { ...CONFIG, max_iterations: 0 }, 'max_iterations'],
  ['a worktree that leads out', { ...CONFIG, execution_mode: { type: 'worktree', name: '../x' } }, 'execution_mode'],
  ['an empty command', { ...CONFIG, workflow: ['  '] }, 'workflow'],
  [
    'more runs than there may be',
    { ...CONFIG, workflow: Array(1000).fill('x'), max_iterations: 10_000 },
    'max_iterations',
  ],
])('a config with %s is refused, and the field is named', async (_, config, field) => {
  await using runtime = await house([workflow]).open()
  await expect(runtime.create(workflow, { config } as never)).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining(field),
  })
})

/** Steps that say now this and now that, the same for the same key. */
const steps = Object.fromEntries(
  [
    ['prepare', 'prepare'],
    ['runCommand', 'command'],
    ['survey', 'survey'],
    ['finish', 'finish'],
    ['sweep', 'sweep'],
  ].map(([name, id]) => [
    name as string,
    async (_: unknown, { idempotencyKey }: { idempotencyKey: string }) => {
      const outputs = OUTPUTS[id as string] as readonly object[]
      const sum = [...idempotencyKey].reduce((all, char) => (all * 31 + char.charCodeAt(0)) % 9973, 7)
      return outputs[sum % 5 === 0 ? sum % outputs.length : 0]
    },
  ]),
)

test('it survives crashes anywhere, in every state, as if there had been none', async () => {
  const event = fc.constantFrom<WorkflowEvent>(...OUTSIDE)
  const { crashes, runs } = await checkDurable(workflow, {
    runs: RUNS,
    steps: steps as never,
    input: fc.constantFrom({ config: CONFIG }, { config: DRIVEN }),
    events: fc.array(fc.oneof(event, fc.constant<WorkflowEvent>({ type: 'start', at: AT })), {
      minLength: 1,
      maxLength: 10,
    }),
  })
  expect(crashes).toBeGreaterThan(runs / 4)
})
