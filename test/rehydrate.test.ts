// Folding records: what was recorded is what happened. A live machine and the fold of its records tell the same after
// every transition, and a machine resumed from the fold decides as the live one does.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assign, cancel, raise, sendTo, setup, spawnChild, stopChild } from 'xstate'
import type { Decision } from '../src/decision.js'
import { type AnyMachine, defineSession } from '../src/define.js'
import { Engine, type EngineHost } from '../src/durable.js'
import { isHoldfastError } from '../src/errors.js'
import { type Identity, NOTHING, type Point, pointAfter, stateOf } from '../src/point.js'
import { NOWHERE, type Position, type RecordedEvent, type TransitionRecord } from '../src/record.js'
import { childrenAfter, type Folding, fold, messagesAfter, sealed, timersAfter } from '../src/rehydrate.js'
import type { Child, SessionState, Timer } from '../src/state.js'
import { step } from '../src/steps.js'
import { isoTime, recordOf, type Writable } from '../src/write.js'

// Events and states of every shape
type Loose = any

const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

const first = (more: Partial<TransitionRecord> = {}): TransitionRecord => ({
  ...{ session: 's', seq: 1, prev: NOWHERE, at: 'begin', event: { type: 'xstate.init' }, value: 'a' },
  ...{ kind: 'order', version: 2, patch: [[[], { n: 1, list: [1] }]] },
  ...more,
})

const next = (seq: number, prev: Position, more: Partial<TransitionRecord> = {}): TransitionRecord => ({
  ...{ session: 's', seq, prev, at: `at ${seq}`, event: { type: 'go' }, value: 'a' },
  ...more,
})

/** Folds records that stand at 0, 10, 20, … */
function foldAll(...records: readonly TransitionRecord[]): Folding {
  let state: Folding | undefined
  for (const [index, record] of records.entries()) state = fold(state, stored(record), index * 10)
  return state as Folding
}

describe('a fold', () => {
  test('of the first record is a whole state', () => {
    expect(foldAll(first({ created: { key: 'k', digest: 'd' }, attributes: { team: 'red' } }))).toEqual({
      ...{ id: 's', kind: 'order', version: 2, seq: 1, position: 0, createdAt: 'begin', updatedAt: 'begin' },
      ...{ status: 'active', value: 'a', context: { n: 1, list: [1] }, history: {}, children: {}, timers: [] },
      ...{ messages: [], attributes: { team: 'red' }, created: { key: 'k', digest: 'd' } },
    })
  })

  test('takes over what a record changes, and keeps what it does not name', () => {
    const state = foldAll(
      first({ attributes: { team: 'red' }, history: { 'm.h': ['m.a'], 'm.i': ['m.b'] } }),
      next(2, 0, { value: { b: 'c' }, patch: [[['n'], 2]], history: { 'm.h': ['m.c'] } }),
      next(3, 10, { value: 'd', attributes: { team: 'blue' } }),
    )
    expect(state).toMatchObject({ seq: 3, position: 20, createdAt: 'begin', updatedAt: 'at 3', value: 'd' })
    expect(state.context).toEqual({ n: 2, list: [1] })
    expect(state.history).toEqual({ 'm.h': ['m.c'], 'm.i': ['m.b'] })
    expect(state.attributes).toEqual({ team: 'blue' })
  })

  test('keeps what a history state remembers, no state included, until that is forgotten', () => {
    const empty = [first({ history: { 'm.h': ['m.a'] } }), next(2, 0, { history: { 'm.h': [] } })]
    expect(foldAll(...empty).history).toEqual({ 'm.h': [] })
    expect(foldAll(...empty, next(3, 10, { history: { 'm.h': null } })).history).toEqual({})
  })

  test.each<[string, TransitionRecord[]]>([
    ['a first record that is not the first', [next(2, 0, { kind: 'order' })]],
    ['a first record without a kind', [first({ kind: undefined })]],
    ['a number that is missing', [first(), next(3, 0)]],
    ['a number that comes twice', [first(), next(2, 0), next(2, 10)]],
    ['a first record that comes again', [first(), first()]],
    ['another predecessor', [first(), next(2, 0), next(3, 0)]],
    ['no predecessor', [first(), next(2, NOWHERE)]],
  ])('refuses %s', (_, records) => {
    expect(() => foldAll(...records)).toThrow(/^record \d .*(does not follow|has nothing before it)/)
  })

  test('that was refused has changed nothing', () => {
    const state = foldAll(first())
    const before = structuredClone(state)
    expect(() => fold(state, next(3, 0, { value: 'z', patch: [[['n'], 9]] }), 10)).toThrow('does not follow')
    expect(state).toEqual(before)
  })

  test('of the end has the status, the output or the error, and nothing that still waits', () => {
    const busy = first({
      started: [{ id: 'w', src: 'work' }],
      timers: [{ key: 't', id: 't', at: 'later', event: { type: 't' } }],
      messages: [{ type: 'm' }],
    })
    const done = foldAll(busy, next(2, 0, { status: 'done', output: { ok: 1 }, value: 'z' }))
    expect(done).toMatchObject({ status: 'done', output: { ok: 1 }, children: {}, timers: [], messages: [] })
    const failed = foldAll(busy, next(2, 0, { status: 'error', error: { name: 'Error', message: 'x' } }))
    expect(failed).toMatchObject({ status: 'error', error: { message: 'x' }, children: {}, timers: [], messages: [] })
    expect('output' in failed).toBe(false)
  })

  test('when it is sealed is frozen all the way down', () => {
    const state = sealed(foldAll(first({ started: [{ id: 'w', src: 'work', input: { a: [1] } }] })))
    const parts: unknown[] = [state, state.context, (state.context as Loose).list, state.children.w, state.timers]
    expect(parts.every(Object.isFrozen)).toBe(true)
    expect(Object.isFrozen((state.children as Loose).w.input.a)).toBe(true)
  })

  test('can be sealed however deep a context was that could be recorded', () => {
    const deep = (levels: number): unknown => (levels === 0 ? {} : { in: deep(levels - 1) })
    const state = sealed(foldAll(first({ patch: [[[], deep(500)]], messages: [{ type: 'm', deep: deep(499) }] })))
    expect(JSON.stringify(state.context)).toBe(JSON.stringify(deep(500)))
  })
})

describe('children after a record', () => {
  const child = (more: Partial<Child> = {}): Child => ({
    ...{ src: 'work', incarnation: 3, status: 'active', attempt: 1, failures: 0 },
    ...more,
  })
  const two = { v: child(), w: child({ attempt: 2, failures: 1, notBefore: 'then' }) }

  test('that says nothing of them are the very same', () => {
    expect(childrenAfter(two, next(9, 0, { patch: [[['n'], 1]] }))).toBe(two)
  })

  test('that starts some have them, with the number of the record as their incarnation', () => {
    const started = [{ id: 'x', src: 'fetch', input: { a: 1 }, systemId: 'sys' }]
    expect(childrenAfter(two, next(9, 0, { started }))).toEqual({
      ...two,
      x: { src: 'fetch', input: { a: 1 }, systemId: 'sys', incarnation: 9, status: 'active', attempt: 1, failures: 0 },
    })
  })

  test('that stops some do not have them; one that is stopped and started at once is a new one', () => {
    expect(childrenAfter(two, next(9, 0, { stopped: ['v'] }))).toEqual({ w: two.w })
    const again = childrenAfter(two, next(9, 0, { stopped: ['w'], started: [{ id: 'w', src: 'work' }] }))
    expect(again).toEqual({ v: two.v, w: child({ incarnation: 9 }) })
  })

  test('that is a result have it done or failed, unless the machine has stopped or started it anew meanwhile', () => {
    const done = { event: { type: 'xstate.done.actor.w' }, finished: 'w' }
    const failed = { event: { type: 'xstate.error.actor.w' }, finished: 'w' }
    expect(childrenAfter(two, next(9, 0, done)).w?.status).toBe('done')
    expect(childrenAfter(two, next(9, 0, failed)).w?.status).toBe('error')
    expect(childrenAfter(two, next(9, 0, { ...done, stopped: ['w'] }))).toEqual({ v: two.v })
    const anew = { ...done, stopped: ['w'], started: [{ id: 'w', src: 'work' }] }
    expect(childrenAfter(two, next(9, 0, anew)).w).toEqual(child({ incarnation: 9 }))
    expect(childrenAfter(two, next(9, 0, { ...done, finished: 'unknown' }))).toEqual(two)
  })

  test('that is a new attempt have its number and when it may begin, and the incarnation they had', () => {
    const waits = { child: 'w', number: 3, failures: 2, notBefore: 'soon' }
    expect(childrenAfter(two, next(9, 0, { attempt: waits })).w).toEqual(
      child({ attempt: 3, failures: 2, notBefore: 'soon' }),
    )
    const atOnce = { child: 'w', number: 3, failures: 1 }
    expect(childrenAfter(two, next(9, 0, { attempt: atOnce })).w).toEqual(child({ attempt: 3, failures: 1 }))
    expect(childrenAfter(two, next(9, 0, { attempt: { ...atOnce, child: 'unknown' } }))).toEqual(two)
  })

  test('that is the end keep only what had finished', () => {
    const some = { v: child(), w: child({ status: 'done' }), x: child({ status: 'error' }) }
    expect(childrenAfter(some, next(9, 0, { status: 'done' }))).toEqual({ w: some.w, x: some.x })
  })
})

describe('timers and messages after a record', () => {
  const timer = (key: string): Timer => ({ key, id: `id ${key}`, at: 'later', event: { type: key } })
  const timers = [timer('1'), timer('2')]
  const messages = [{ type: 'a' }, { type: 'b' }]

  test('that says nothing of them are the very same', () => {
    expect(timersAfter(timers, next(2, 0))).toBe(timers)
    expect(messagesAfter(messages, next(2, 0))).toBe(messages)
  })

  test('lose what is cleared, by key, and get what is set, in order', () => {
    expect(timersAfter(timers, next(2, 0, { cleared: ['1', 'unknown'] }))).toEqual([timer('2')])
    expect(timersAfter(timers, next(2, 0, { timers: [timer('3')] }))).toEqual([...timers, timer('3')])
    expect(timersAfter(timers, next(2, 0, { cleared: ['2'], timers: [timer('3')] }))).toEqual([timer('1'), timer('3')])
  })

  test('lose the oldest message when it is taken, and get new ones at the end', () => {
    expect(messagesAfter(messages, next(2, 0, { taken: true }))).toEqual([{ type: 'b' }])
    expect(messagesAfter(messages, next(2, 0, { messages: [{ type: 'c' }] }))).toEqual([...messages, { type: 'c' }])
    expect(messagesAfter(messages, next(2, 0, { taken: true, messages: [{ type: 'c' }] }))).toEqual([
      { type: 'b' },
      { type: 'c' },
    ])
  })

  test('are none at the end', () => {
    expect(timersAfter(timers, next(2, 0, { status: 'done', timers: [timer('3')] }))).toEqual([])
    expect(messagesAfter(messages, next(2, 0, { status: 'error', messages: [{ type: 'c' }] }))).toEqual([])
  })
})

const logged = (what: string): Loose =>
  assign(({ context }: Loose) => ({ n: context.n + (what === 'p' ? 0 : 1), log: [...context.log, what] }))

/** A machine with a bit of everything that a record can hold. */
const rich: AnyMachine = defineSession({
  kind: 'rich',
  version: 3,
  steps: 'file:///steps.js',
  machine: setup({
    types: {} as { context: Loose; events: Loose; input: Loose; output: Loose },
    actors: { work: step('work') as Loose },
  }).createMachine({
    id: 'rich',
    context: ({ input }: Loose) => ({ n: input.n, log: [], byId: {}, last: null }),
    type: 'parallel',
    output: ({ context }: Loose) => ({ n: context.n }),
    states: {
      flow: {
        initial: 'idle',
        states: {
          idle: { on: { start: 'busy' } },
          busy: {
            initial: 'fetch',
            states: {
              fetch: {
                invoke: {
                  ...{
                    src: 'work',
                    id: 'fetch',
                    systemId: 'fetcher',
                    input: ({ context }: Loose) => ({ n: context.n }),
                  },
                  onDone: { target: 'review', actions: assign({ last: ({ event }: Loose) => event.output }) },
                  onError: '#rich.flow.idle',
                },
                on: { redo: { target: 'fetch', reenter: true } },
              },
              review: { after: { 1000: 'fetch' }, on: { redo: 'fetch' } },
              deep: { type: 'history', history: 'deep' },
            },
            on: { pause: 'paused', stop: 'idle' },
          },
          paused: { on: { resume: 'busy.deep', stop: 'idle' } },
          end: { type: 'final' },
        },
        on: { finish: '.end' },
      },
      // Both regions may be on the move at once, so it matters which of them XState asks first.
      third: {
        initial: 'p',
        states: {
          p: { always: { guard: ({ context }: Loose) => context.n % 3 === 0, target: 'q', actions: logged('p') } },
          q: { always: { guard: ({ context }: Loose) => context.n % 3 === 1, target: 'p', actions: logged('q') } },
          end: { type: 'final' },
        },
        on: { finish: '.end', redo: '.q' },
      },
      other: {
        initial: 'open',
        states: {
          open: {
            on: {
              add: {
                actions: assign(({ context, event }) => ({ n: context.n + 1, log: [...context.log, event.what] })),
              },
              put: {
                actions: assign(({ context, event }) => ({
                  byId: { ...context.byId, [event.key]: { at: context.n } },
                })),
              },
              drop: { actions: assign(({ context }) => ({ log: context.log.slice(1), last: undefined })) },
              spawn: {
                actions: spawnChild('work', {
                  id: ({ event }: Loose) => `s${event.key}`,
                  input: ({ event }: Loose) => event.key,
                } as Loose),
              },
              kill: { actions: stopChild(({ event }: Loose) => `s${event.key}`) },
              later: { actions: raise({ type: 'tick' }, { delay: ({ event }: Loose) => event.ms, id: 'tick' }) },
              twice: {
                actions: [raise({ type: 'tick' }, { delay: 5 }), raise({ type: 'tick' }, { delay: 5, id: 'tick' })],
              },
              cancel: { actions: cancel('tick') },
              tick: { actions: assign({ n: ({ context }) => context.n + 10 }) },
              tell: {
                actions: [
                  sendTo(({ self }) => self, { type: 'note', left: 2 }),
                  sendTo(({ self }) => self, { type: 'add', what: 'told' }),
                ],
              },
              note: [
                {
                  guard: ({ event }) => event.left > 0,
                  actions: sendTo(
                    ({ self }) => self,
                    ({ event }: Loose) => ({ type: 'note', left: event.left - 1 }),
                  ),
                },
                { actions: assign({ log: ({ context }) => [...context.log, 'noted'] }) },
              ],
              close: 'closed',
            },
          },
          closed: {
            always: { guard: ({ context }: Loose) => context.n % 3 === 1, target: 'open', actions: logged('open') },
            on: { open: 'open' },
          },
          end: { type: 'final' },
        },
        on: { finish: '.end' },
      },
    },
  }) as Loose,
}).machine

const identity: Identity = {
  id: 's',
  kind: 'rich',
  version: 3,
  createdAt: isoTime(1000),
  created: undefined,
  parent: undefined,
  origin: undefined,
  owner: undefined,
}
const self = { id: 's', parent: undefined }

interface Placed {
  readonly record: TransitionRecord
  readonly position: Position
}

/** A live session in as much as it decides and records; nothing waits for a disk. */
class Live implements EngineHost {
  readonly placed: Placed[] = []
  readonly index = ({ context }: Loose): Loose => ({ n: context.n ?? 0, some: context.log?.length > 0 })
  point: Point
  #engine: Engine
  #now = 1000
  #position = 0

  constructor(from?: { readonly state: SessionState; readonly now: number }, machine: AnyMachine = rich) {
    if (!from) {
      this.point = NOTHING
      const event = { type: 'xstate.init', input: { n: 1 } }
      const { engine, decision } = Engine.begin(machine, self, event.input, this)
      this.#engine = engine
      this.#record(event, decision, { kind: 'rich', version: 3 })
      return
    }
    this.#now = from.now
    this.#position = from.state.position
    this.#engine = Engine.resume(machine, self, from.state, this)
    const { updatedAt: at, id: _, kind: __, version: ___, createdAt: ____, ...rest } = from.state
    this.point = { ...NOTHING, ...rest, at, snapshot: this.#engine.snapshot }
  }

  get now(): number {
    return this.#now
  }

  get state(): SessionState {
    return stateOf(identity, this.point)
  }

  /** An event from outside; gives its record. */
  send(type: string, fields: Record<string, unknown> = {}): TransitionRecord {
    this.#decide({ type, ...fields }, true, {})
    return (this.placed.at(-1) as Placed).record
  }

  /** The event of a timer. */
  fire({ key, event }: Timer): TransitionRecord {
    this.#decide(event, false, {}, key)
    return (this.placed.at(-1) as Placed).record
  }

  /** Lets something happen that can happen in this state; numbers choose what. Returns the records of it. */
  live(choices: readonly number[]): readonly TransitionRecord[] {
    const before = this.placed.length
    this.#now += 1 + (choices[3] ?? 0)
    if (this.point.status === 'active') this.#happen(choices)
    while (this.point.status === 'active' && this.point.messages[0]) {
      this.#decide(this.point.messages[0], false, { taken: true })
    }
    return this.placed.slice(before).map(({ record }) => record)
  }

  #happen([kind = 0, a = 0, b = 0]: readonly number[]): void {
    const active = Object.entries(this.point.children).filter(([, child]) => child.status === 'active')
    const [id, child] = active[a % Math.max(active.length, 1)] ?? []
    const timer = this.point.timers[a % Math.max(this.point.timers.length, 1)]
    if (kind % 6 === 1 && timer) this.fire(timer)
    else if (kind % 6 === 2 && id !== undefined) this.#decide(resultOf(id, b), false, { finished: id })
    else if (kind % 6 === 3 && id !== undefined) this.#tryAgain(id, child as Child, b)
    else {
      const types = ['start', 'pause', 'resume', 'stop', 'redo', 'add', 'put', 'drop', 'spawn', 'kill', 'later']
      const rare = ['twice', 'cancel', 'tick', 'tell', 'close', 'open', b % 10 === 0 ? 'finish' : 'add', 'unknown']
      const type = [...types, ...rare][a % 19] as string
      this.#decide({ type, what: `w${b}`, key: b % 3, ms: b % 50 }, true, {})
    }
  }

  #decide(event: RecordedEvent, refusable: boolean, more: Partial<TransitionRecord>, fired?: string): void {
    try {
      const decision = this.#engine.decide(event, refusable)
      try {
        this.#record(event, decision, more, fired)
      } catch (error) {
        this.#engine.undo(decision)
        throw error
      }
    } catch (error) {
      if (!isHoldfastError(error, 'NOT_ACCEPTED')) throw error
    }
  }

  #record(event: RecordedEvent, decision: Decision, more: Partial<TransitionRecord>, fired?: string): void {
    const kind = { index: this.index, children: new Map() }
    const chance = { id: () => `child${this.#position}` }
    const about = { identity, kind, event, before: this.point, decision, fired, now: this.#now, chance }
    this.#append(Object.assign(recordOf(about), more), decision.after)
  }

  #tryAgain(id: string, { attempt, failures }: Child, choice: number): void {
    const { seq, position, value } = this.point
    const record: Writable<TransitionRecord> = {
      ...{
        session: 's',
        seq: seq + 1,
        prev: position,
        at: isoTime(this.#now),
        event: { type: 'holdfast.attempt' },
        value,
      },
      attempt: {
        child: id,
        number: attempt + 1,
        failures: failures + 1,
        ...(choice % 2 && { notBefore: isoTime(9e9) }),
      },
    }
    this.#append(record, this.point.snapshot)
  }

  #append(record: TransitionRecord, snapshot: Point['snapshot']): void {
    this.#position += 7
    this.placed.push({ record: stored(record), position: this.#position })
    this.point = pointAfter(this.point, record, this.#position, snapshot)
  }

  post(): void {}
  say(): void {}

  get next(): number {
    return (this.point?.seq ?? 0) + 1
  }

  childOf(): undefined {}

  log(): void {}

  shown(): Point['snapshot'] {
    return this.point.snapshot
  }
}

const resultOf = (id: string, choice: number): RecordedEvent =>
  choice % 4 === 0
    ? { type: `xstate.error.actor.${id}`, error: { name: 'Error', message: 'no' }, actorId: id }
    : { type: `xstate.done.actor.${id}`, output: { result: choice }, actorId: id }

const lives = (): fc.Arbitrary<number[][]> =>
  fc.array(fc.array(fc.nat(2000), { minLength: 4, maxLength: 4 }), { minLength: 10, maxLength: 60, size: 'max' })

describe('a live machine', () => {
  test('and the fold of its stored records tell the same after every transition', () => {
    fc.assert(
      fc.property(lives(), (choices) => {
        const live = new Live()
        let folded: Folding | undefined
        let done = 0
        for (const choice of [[], ...choices]) {
          if (choice.length > 0) live.live(choice)
          for (; done < live.placed.length; done++) {
            const { record, position } = live.placed[done] as Placed
            folded = fold(folded, stored(record), position)
          }
          expect(folded).toEqual(stored(live.state))
        }
      }),
      { numRuns: 100 },
    )
  })

  test('that is resumed from the fold at any point decides and records from there on what it would have anyway', () => {
    fc.assert(
      fc.property(lives(), fc.nat(), (choices, seed) => {
        const live = new Live()
        const cut = seed % choices.length
        for (const choice of choices.slice(0, cut)) live.live(choice)
        let folded: Folding | undefined
        for (const { record, position } of live.placed) folded = fold(folded, stored(record), position)
        if (live.point.status !== 'active') return
        const resumed = new Live({ state: sealed(folded as Folding), now: live.now })
        for (const choice of choices.slice(cut)) expect(resumed.live(choice)).toEqual(live.live(choice))
        expect(stored(resumed.state)).toEqual(stored(live.state))
      }),
      { numRuns: 100 },
    )
  })

  test('comes, in these lives, by everything that a record can hold', () => {
    const seen = new Set<string>()
    const note = (choices: readonly number[][]): void => {
      const live = new Live()
      for (const choice of choices) live.live(choice)
      for (const { record } of live.placed) for (const field of Object.keys(record)) seen.add(field)
    }
    for (const choices of fc.sample(lives(), { numRuns: 200, seed: 1 })) note(choices)
    const fields =
      'at attempt attributes cleared error event finished from history kind messages order output patch prev seq ' +
      'session started status stopped taken timers value version'
    expect([...seen].sort().join(' ')).toBe(fields)
  })
})

describe('the record of a decision', () => {
  const machine = setup({ types: {} as { context: Loose; events: Loose } }).createMachine({
    context: { n: 0, log: [] },
    on: {
      set: { actions: raise({ type: 'tick' }, { delay: ({ event }: Loose) => event.ms, id: 'tick' }) },
      cancel: { actions: cancel('tick') },
      brief: { actions: [raise({ type: 'tick' }, { delay: 5, id: 'tick' }), cancel('tick')] },
      swap: { actions: [cancel('tick'), raise({ type: 'tick' }, { delay: 5, id: 'tick' })] },
      tick: { actions: cancel('tick') },
      tell: {
        actions: sendTo(
          ({ self }: Loose) => self,
          ({ event }: Loose) => ({ type: 'x', what: event.what }),
        ),
      },
      put: { actions: assign(({ event }: Loose) => ({ put: event.what })) },
      nothing: { actions: assign({}) },
    },
  } as Loose) as AnyMachine
  const live = (): Live => new Live(undefined, machine)
  const keysOf = (timers: readonly Timer[]): string[] => timers.map(({ key }) => key)

  test('has nothing that did not change', () => {
    const { record } = (() => {
      const session = live()
      session.send('nothing')
      return session.placed.at(-1) as Placed
    })()
    expect(Object.keys(record).sort()).toEqual(['at', 'event', 'prev', 'seq', 'session', 'value'])
  })

  test('cancels the latest timer of an id; an earlier one of the same id still fires, as in plain XState', () => {
    const session = live()
    const [first] = keysOf(session.send('set', { ms: 10 }).timers ?? [])
    const [second] = keysOf(session.send('set', { ms: 20 }).timers ?? [])
    expect(session.send('cancel').cleared).toEqual([second])
    expect(keysOf(session.point.timers)).toEqual([first])
    expect(session.send('cancel').cleared).toEqual([first])
    expect(session.send('cancel').cleared).toBeUndefined()
  })

  test('has no trace of a timer that is set and cancelled at once, and both sides of one that is replaced', () => {
    const session = live()
    expect(session.send('brief')).not.toHaveProperty('timers')
    const [old] = keysOf(session.send('set', { ms: 10 }).timers ?? [])
    const { timers = [], cleared } = session.send('swap')
    expect(cleared).toEqual([old])
    expect(timers).toHaveLength(1)
    expect(keysOf(session.point.timers)).toEqual(keysOf(timers))
  })

  test('clears the timer whose event it is, and no other of the same id when that event cancels the id', () => {
    const session = live()
    session.send('set', { ms: 10 })
    session.send('set', { ms: 20 })
    const [first, second] = session.point.timers as [Timer, Timer]
    expect(session.fire(second).cleared).toEqual([second.key, first.key])
    expect(session.point.timers).toEqual([])
  })

  test('has the time when a timer is due: now and the delay, never before now, at most the last time there is', () => {
    const due = (ms: number): string | undefined => live().send('set', { ms }).timers?.[0]?.at
    expect(due(500)).toBe(isoTime(1500))
    expect(due(-500)).toBe(isoTime(1000))
    expect(due(Number.NaN)).toBe(isoTime(1000))
    expect(due(Number.POSITIVE_INFINITY)).toBe(isoTime(8.64e15))
    expect(due(8.64e15)).toBe(isoTime(8.64e15))
  })

  test.each<[string, string, unknown, string]>([
    ['a context', 'put', new Date(0), 'context.put'],
    ['a message', 'tell', new Map(), 'message.what'],
  ])('is refused, with the decision, when %s is not JSON', (_, type, what, path) => {
    const session = live()
    const before = session.point
    expect(() => session.send(type, { what })).toThrow(expect.objectContaining({ code: 'NOT_JSON', details: { path } }))
    expect(session.point).toBe(before)
    expect(session.send('put', { what: 1 }).patch).toEqual([[['put'], 1]])
  })

  test('is refused, with the decision, when the index throws or gives what is no attribute', () => {
    const session = live()
    const index = (result: () => unknown): Live => Object.assign(session, { index: result })
    const boom = (): never => {
      throw new Error('boom')
    }
    expect(() => index(boom).send('nothing')).toThrow('boom')
    for (const value of [{}, [], undefined, () => 1, 1n]) {
      expect(() => index(() => ({ a: value })).send('nothing')).toThrow('index.a must be')
    }
    expect(() => index(() => ({ a: Number.NaN })).send('nothing')).toThrow('index.a is NaN')
    expect(index(() => ({ a: null, b: 'x' })).send('nothing').attributes).toEqual({ a: null, b: 'x' })
    expect(session.placed).toHaveLength(2)
  })
})
