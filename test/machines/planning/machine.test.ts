// The statechart by itself: what it accepts where, and where that leads. Nothing runs; a step's end is an event.

import fc from 'fast-check'
import {
  type PlanningEvent,
  type PlanningInput,
  PlanningSessionStatus,
  planningMachine,
} from 'holdfast/machines/planning'
import { describe, expect, test } from 'vitest'
import { initialTransition, type SnapshotFrom, transition } from 'xstate'
import { property } from '../../property.js'

type Snapshot = SnapshotFrom<typeof planningMachine>
type AnyEvent = PlanningEvent | { type: `xstate.${string}`; output?: unknown; error?: unknown; actorId?: string }

const INPUT: PlanningInput = {
  title: 'Checkout',
  source: 'checkout.md',
  organizationId: 'acme',
  trackerFile: '/t.json',
}
const AT = '2026-01-02T03:04:05.678Z'
const RESULT = { epics: { 'epic-1': 'LOCAL-1' }, features: {}, stories: {}, enablers: {} }
const PLAN = {
  title: 'Checkout',
  epics: [{ id: 'epic-1', title: 'Pay', description: '', acceptanceCriteria: [], labels: [], dependsOn: [] }],
  features: [],
  stories: [],
  enablers: [],
  warnings: [{ code: 'ORPHANED_ITEM', message: 'story-1 stands under nothing', details: { item: 'story-1' } }],
}

const begun = (input = INPUT): Snapshot => initialTransition(planningMachine, input)[0]
const advance = (snapshot: Snapshot, ...events: AnyEvent[]): Snapshot =>
  events.reduce((state, event) => transition(planningMachine, state, event as PlanningEvent)[0], snapshot)
const done = (step: string, output: unknown): AnyEvent => ({ type: `xstate.done.actor.${step}`, output, actorId: step })
const failed = (step: string, error: unknown): AnyEvent => ({
  type: `xstate.error.actor.${step}`,
  error,
  actorId: step,
})

const STEPS: readonly { state: string; step: string; progress: number; end: AnyEvent }[] = [
  {
    state: 'fetching',
    step: 'fetch',
    progress: 10,
    end: done('fetch', { text: '# Pay', location: '/c.md', bytes: 5 }),
  },
  { state: 'parsing', step: 'parse', progress: 20, end: done('parse', { title: '', sections: [[1, 'Pay']] }) },
  {
    state: 'extracting',
    step: 'extract',
    progress: 40,
    end: done('extract', { plan: PLAN, at: AT, key: 's.extract.5' }),
  },
  {
    state: 'creatingIssues',
    step: 'createIssues',
    progress: 60,
    end: done('createIssues', { result: RESULT, links: [] }),
  },
  { state: 'linkingHierarchy', step: 'linkHierarchy', progress: 80, end: done('linkHierarchy', { linked: 0 }) },
]

/** A snapshot of every state there is. */
const states: Record<string, Snapshot> = { pending: begun() }
states.fetching = advance(begun(), { type: 'start' })
for (const [index, { end }] of STEPS.entries()) {
  const last = states[STEPS[index]?.state as string] as Snapshot
  states[STEPS[index + 1]?.state ?? 'completed'] = advance(last, end)
}
states.driven = advance(begun(), { type: 'setStatus', status: 'processing' })
states.failed = advance(begun(), { type: 'addError', message: 'no' })
const everyState = Object.entries(states)
const workingStates = STEPS.map(({ state, step }) => [state, step] as const)

const outer = ({ value }: Snapshot): string => (typeof value === 'string' ? value : 'processing')
const running = ({ children }: Snapshot): string[] => Object.keys(children)

describe('by its steps', () => {
  test('a session begins in pending, with nothing done', () => {
    expect(begun().value).toBe('pending')
    expect(begun().context).toEqual({
      title: 'Checkout',
      source: 'checkout.md',
      organizationId: 'acme',
      baseDir: '.',
      tracker: { kind: 'local', file: '/t.json' },
      pace: null,
      progress: 0,
      errors: [],
      warnings: [],
    })
  })

  test.each(STEPS)('$state shows $progress % and runs $step alone', ({ state, step, progress }) => {
    const snapshot = states[state] as Snapshot
    expect(snapshot.value).toEqual({ processing: { working: state } })
    expect(snapshot.context.progress).toBe(progress)
    expect(snapshot.context.progressMessage).toBeTruthy()
    expect(running(snapshot)).toEqual([step])
  })

  test('the end of the last step completes it at 100 %, with the result, and nothing runs any more', () => {
    const { value, context, status } = states.completed as Snapshot
    expect([value, context.progress, context.result]).toEqual(['completed', 100, RESULT])
    expect(running(states.completed as Snapshot)).toEqual([])
    expect(status).toBe('active')
  })

  test.each(workingStates)(
    'an error in %s fails the session, with the code, the details and the step',
    (state, step) => {
      const error = {
        name: 'E',
        message: 'it broke',
        code: 'BROKEN',
        details: { path: '/c.md' },
        at: AT,
        stack: 'at …',
      }
      const snapshot = advance(states[state] as Snapshot, failed(step, error))
      expect(snapshot.value).toBe('failed')
      expect(snapshot.context.errors).toEqual([
        { message: 'it broke', code: 'BROKEN', details: { path: '/c.md', step }, timestamp: AT },
      ])
      expect(running(snapshot)).toEqual([])
    },
  )

  test('an error that has nothing but a message is kept as that', () => {
    const snapshot = advance(states.parsing as Snapshot, failed('parse', { name: 'Error', message: 'gone' }))
    expect(snapshot.context.errors).toEqual([{ message: 'gone', details: { step: 'parse' } }])
  })

  test('a failure after the issues were created still shows which they are', () => {
    const snapshot = advance(states.linkingHierarchy as Snapshot, failed('linkHierarchy', { message: 'no' }))
    expect([snapshot.value, snapshot.context.result]).toEqual(['failed', RESULT])
  })

  test('what the extraction doubts becomes warnings, with the time of the extraction', () => {
    expect(states.creatingIssues?.context.warnings).toEqual([{ ...PLAN.warnings[0], timestamp: AT }])
  })

  test('no document ever stands in the context, and the plan only while it is made', () => {
    for (const [name, { context }] of everyState) {
      expect(JSON.stringify(context)).not.toMatch(/# Pay|sections/)
      const isMaking = ['creatingIssues', 'linkingHierarchy'].includes(name)
      expect(/acceptanceCriteria/.test(JSON.stringify(context)), name).toBe(isMaking)
    }
  })

  test('each step gets what the one before it gave', () => {
    const inputs = workingStates.map(([state, step]) => {
      const child = states[state]?.children[step] as unknown as { options: { input: unknown } }
      return child.options.input
    })
    const tracker = { kind: 'local', file: '/t.json' }
    expect(inputs).toEqual([
      { source: 'checkout.md', baseDir: '.', allowHosts: [] },
      { text: '# Pay', format: 'markdown' },
      { document: { title: '', sections: [[1, 'Pay']] } },
      { plan: { ...PLAN, warnings: [] }, key: 's.extract.5', tracker, pace: null },
      { links: [], linked: 0, tracker, pace: null },
    ])
  })
})

describe('the title', () => {
  const found = (title?: string): AnyEvent =>
    done('extract', { plan: PLAN, at: AT, key: 'k', ...(title !== undefined && { title }) })
  const titleOf = (input: PlanningInput, end: AnyEvent): string =>
    advance(begun(input), { type: 'start' }, ...STEPS.slice(0, 2).map((step) => step.end), end).context.title
  const { title: _, ...untitled } = INPUT

  test('that was given stays; without one it is that of the document, or else the name of its file', () => {
    expect(titleOf(INPUT, found('The shop'))).toBe('Checkout')
    expect(begun({ ...untitled, source: 'docs/till.v2.md' }).context.title).toBe('till.v2')
    expect(titleOf({ ...untitled, source: 'docs/till.md' }, found('The shop'))).toBe('The shop')
    expect(titleOf({ ...untitled, source: 'docs/till.md' }, found())).toBe('till')
  })
})

describe('start', () => {
  test.each(everyState)('in %s is accepted only if that is pending', (name, snapshot) => {
    expect(snapshot.can({ type: 'start' })).toBe(name === 'pending')
    const next = advance(snapshot, { type: 'start' })
    if (name !== 'pending') expect(next.value).toEqual(snapshot.value)
  })

  test('begins anew after the session was put back to pending: no old progress, no old result, the warnings stay', () => {
    const again = advance(states.completed as Snapshot, { type: 'setStatus', status: 'pending' }, { type: 'start' })
    expect(again.value).toEqual({ processing: { working: 'fetching' } })
    expect(again.context.progress).toBe(10)
    expect(again.context.result).toBeUndefined()
    expect(again.context.warnings).toHaveLength(1)
  })

  test.each(['createIssues', 'linkHierarchy'])(
    'after a failure of %s and a way back to pending, it goes on with the same plan under the same key',
    (step) => {
      const before = states[step === 'createIssues' ? 'creatingIssues' : 'linkingHierarchy'] as Snapshot
      const lost = advance(before, failed(step, { message: 'the tracker is away' }))
      const again = advance(lost, { type: 'setStatus', status: 'pending' }, { type: 'start' })
      expect(again.value).toEqual({ processing: { working: 'creatingIssues' } })
      expect(again.context.making).toEqual(before.context.making)
      expect([again.context.errors, again.context.warnings]).toEqual([[], lost.context.warnings])
    },
  )

  test('after a failure to read the document and a way back to pending, it reads the document again', () => {
    const lost = advance(states.fetching as Snapshot, failed('fetch', { message: 'no such file' }))
    const again = advance(lost, { type: 'setStatus', status: 'pending' }, { type: 'start' })
    expect(again.value).toEqual({ processing: { working: 'fetching' } })
    expect(again.context.errors).toEqual([])
  })
})

describe('the setters', () => {
  const note = { message: 'hm', code: 'HM', details: { a: [1] }, at: AT }
  const kept = { message: 'hm', code: 'HM', details: { a: [1] }, timestamp: AT }

  test.each(everyState)('setProgress in %s sets the progress and its message, and moves nothing', (_, snapshot) => {
    const next = advance(snapshot, { type: 'setProgress', progress: 33, message: 'a third' })
    expect([next.context.progress, next.context.progressMessage]).toEqual([33, 'a third'])
    expect(next.value).toEqual(snapshot.value)
    expect(running(next)).toEqual(running(snapshot))
  })

  test('a progress without a message drops the one of the progress before', () => {
    const next = advance(
      begun(),
      { type: 'setProgress', progress: 1, message: 'one' },
      { type: 'setProgress', progress: 2 },
    )
    expect(next.context.progressMessage).toBeUndefined()
  })

  test.each(everyState)('addWarning in %s adds one, and moves nothing', (_, snapshot) => {
    const next = advance(snapshot, { type: 'addWarning', ...note })
    expect(next.context.warnings).toEqual([...snapshot.context.warnings, kept])
    expect(next.value).toEqual(snapshot.value)
    expect(running(next)).toEqual(running(snapshot))
  })

  test.each(everyState)('addError in %s adds one, fails the session and stops the step', (_, snapshot) => {
    const next = advance(snapshot, { type: 'addError', ...note })
    expect(next.context.errors).toEqual([...snapshot.context.errors, kept])
    expect(next.value).toBe('failed')
    expect(running(next)).toEqual([])
  })

  test.each(everyState)('setResult in %s completes the session and stops the step', (_, snapshot) => {
    const next = advance(snapshot, { type: 'setResult', result: RESULT })
    expect([next.value, next.context.progress, next.context.result]).toEqual(['completed', 100, RESULT])
    expect(running(next)).toEqual([])
  })

  describe.each(['setStatus', 'updateState'] as const)('%s', (type) => {
    test.each(everyState)('in %s leads to each status', (_, snapshot) => {
      for (const status of Object.values(PlanningSessionStatus)) {
        expect(outer(advance(snapshot, { type, status })), status).toBe(status)
      }
    })

    test.each(everyState)('of processing in %s starts no step, and stops none', (name, snapshot) => {
      const next = advance(snapshot, { type, status: 'processing' })
      expect(running(next)).toEqual(running(snapshot))
      if (outer(snapshot) === 'processing') expect(next.value).toEqual(snapshot.value)
      else expect(next.value, name).toEqual({ processing: 'driven' })
      expect(snapshot.can({ type, status: 'processing' })).toBe(true)
    })

    test.each(workingStates)('that leaves processing from %s stops the step', (state) => {
      for (const status of ['pending', 'completed', 'failed'] as const) {
        expect(running(advance(states[state] as Snapshot, { type, status }))).toEqual([])
      }
    })
  })

  test.each(everyState)('updateState in %s sets exactly the fields that it has', (_, snapshot) => {
    const fields = { progress: 7, progressMessage: 'm', errors: [{ message: 'e' }], warnings: [], result: RESULT }
    const next = advance(snapshot, { type: 'updateState', ...fields, at: AT })
    expect(next.context).toEqual({ ...snapshot.context, ...fields, errors: [{ message: 'e', timestamp: AT }] })
    expect(next.value).toEqual(snapshot.value)
    expect(advance(snapshot, { type: 'updateState' }).context).toEqual(snapshot.context)
  })

  test('a note keeps the time that it came with', () => {
    const timestamp = '2020-01-01T00:00:00.000Z'
    const next = advance(begun(), { type: 'updateState', warnings: [{ message: 'old', timestamp }], at: AT })
    expect(next.context.warnings).toEqual([{ message: 'old', timestamp }])
  })
})

describe('always', () => {
  const result = fc.constant(RESULT)
  const status = fc.constantFrom(...Object.values(PlanningSessionStatus))
  const event: fc.Arbitrary<AnyEvent> = fc.oneof(
    fc.constant({ type: 'start' } as const),
    fc.record({ type: fc.constant('setProgress' as const), progress: fc.integer({ min: 0, max: 100 }) }),
    fc.record({ type: fc.constant('setStatus' as const), status }),
    fc.record({ type: fc.constantFrom('addError' as const, 'addWarning' as const), message: fc.string() }),
    fc.record({ type: fc.constant('setResult' as const), result }),
    fc.record(
      { type: fc.constant('updateState' as const), status, progress: fc.constant(5) },
      { requiredKeys: ['type'] },
    ),
    fc.constantFrom(...STEPS.map(({ end }) => end)),
    fc.constantFrom(...STEPS.map(({ step }) => failed(step, { message: 'no' }))),
  )
  /** From a state to those that one event may lead to by itself, the setters apart. */
  const ROUTE = ['pending', 'fetching', 'parsing', 'extracting', 'creatingIssues', 'linkingHierarchy', 'completed']
  /** The runtime lets the end of a step through only while it runs. */
  const isStale = (event: AnyEvent, snapshot: Snapshot): boolean =>
    'actorId' in event && !running(snapshot).includes(event.actorId as string)
  const place = ({ value }: Snapshot): string => {
    const inner = typeof value === 'string' ? value : (value as { processing: string | { working: string } }).processing
    return typeof inner === 'string' ? inner : inner.working
  }

  property([fc.array(event, { maxLength: 60 })])('a step runs in its own state only, and none runs twice', (events) => {
    let snapshot = begun()
    for (const next of events) {
      const before = snapshot
      if (isStale(next, before)) continue
      snapshot = advance(before, next)
      const step = STEPS.find(({ state }) => state === place(snapshot))
      expect(running(snapshot)).toEqual(step ? [step.step] : [])
      expect(snapshot.status).toBe('active')
      expect(JSON.parse(JSON.stringify(snapshot.context))).toEqual(
        Object.fromEntries(Object.entries(snapshot.context).filter(([, value]) => value !== undefined)),
      )
      if (!step || place(before) === place(snapshot)) continue
      // Issues that were being made are made on.
      const goesOn = place(before) === 'pending' && before.context.making !== undefined
      expect(place(before)).toBe(goesOn ? 'pending' : ROUTE[ROUTE.indexOf(step.state) - 1])
      if (goesOn) expect(step.state).toBe('creatingIssues')
      expect(next.type).toBe(
        place(before) === 'pending' ? 'start' : `xstate.done.actor.${STEPS[STEPS.indexOf(step) - 1]?.step}`,
      )
    }
  })

  property([fc.array(event, { maxLength: 60 })])(
    'no event changes what was there: an old snapshot stays as it was',
    (events) => {
      let snapshot = begun()
      for (const next of events) {
        if (isStale(next, snapshot)) continue
        const before = JSON.stringify(snapshot.context)
        const old = snapshot
        snapshot = advance(snapshot, next)
        expect(JSON.stringify(old.context)).toBe(before)
      }
    },
  )
})
