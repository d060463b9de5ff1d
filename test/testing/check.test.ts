// checkDurable: sound machines pass, whatever of XState they use; planted bugs are found, shrunk and told.
import fc from 'fast-check'
import { defineSession, isHoldfastError, type StepContext, step } from 'holdfast'
import { type CheckOptions, type CheckReport, checkDurable, eventsOf } from 'holdfast/testing'
import { expect, test, vi } from 'vitest'
import { type AnyActorRef, assign, cancel, raise, sendParent, sendTo, setup, stopChild } from 'xstate'
import { Cast } from '../../src/cast.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 300)

/** Hierarchy, parallel regions, both histories, always, after, raise, guards, tags, delayed events, a final state. */
const sound = defineSession({
  kind: 'sound',
  version: 1,
  machine: setup({
    types: {
      context: {} as { count: number; late: number },
      events: {} as { type: 'add'; by: number } | { type: 'pause' | 'resume' | 'flip' | 'later' | 'never' | 'finish' },
    },
  }).createMachine({
    context: { count: 0, late: 0 },
    initial: 'on',
    states: {
      on: {
        type: 'parallel',
        states: {
          light: {
            initial: 'dark',
            states: {
              dark: { on: { flip: 'lit' } },
              lit: { tags: ['bright'], on: { flip: 'dark' }, after: { 500: 'dark' } },
            },
          },
          tally: {
            initial: 'low',
            states: {
              low: { always: { guard: ({ context }) => context.count > 5, target: 'high' } },
              high: { entry: raise({ type: 'flip' }) },
            },
          },
          memory: { type: 'history', history: 'deep' },
        },
        on: {
          add: { actions: assign({ count: ({ context, event }) => context.count + event.by }) },
          later: { actions: raise({ type: 'add', by: 1 }, { id: 'later', delay: 2_592_000_000 }) },
          never: { actions: cancel('later') },
          pause: 'off',
          finish: { guard: ({ context }) => context.count > 2, target: 'end' },
        },
      },
      off: { on: { resume: 'on.memory' }, after: { 1000: { target: 'on', actions: assign({ late: 1 }) } } },
      end: { type: 'final' },
    },
    output: ({ context }) => context.count,
  }),
})

test(`a sound machine is equal to plain XState in ${RUNS} lives, and the report says what they had`, async () => {
  const by = fc.integer({ min: 0, max: 4 })
  // The machine sets its delayed event again only after it has taken it back.
  const events = eventsOf(sound, { add: fc.record({ by }) }).map((sent) =>
    sent.flatMap((event) => (event.type === 'later' ? [{ type: 'never' as const }, event] : [event])),
  )
  const report = await checkDurable(sound, { runs: RUNS, seed: 1, events })
  expect(report).toMatchObject({ runs: RUNS, seed: 1, skipped: {} })
  expect(report.crashes).toBeGreaterThan(RUNS)
  expect(report.inFlight).toBeGreaterThan(report.crashes / 4)
  expect(report.openingsCut).toBeGreaterThan(RUNS / 4)
  const seen = ['event', 'always', 'raise', 'after', 'guard', 'parallel', 'tags', 'deep history', 'cancel', 'output']
  for (const feature of [...seen, 'overdue timer', 'sent again', 'refused']) {
    expect(report.features[feature] ?? 0, feature).toBeGreaterThan(RUNS / 50)
  }
  console.log(`${report.crashes} crashes, ${report.inFlight} with work in flight; ${JSON.stringify(report.features)}`)
})

const work = async ({ n }: { n: number }, _: StepContext): Promise<number> => n * 2

const counter = setup({
  types: { context: {} as { total: number }, events: {} as { type: 'tell'; n: number } | { type: 'stop' } },
}).createMachine({
  context: { total: 0 },
  initial: 'on',
  states: {
    on: {
      on: {
        tell: {
          actions: [
            assign({ total: ({ context, event }) => context.total + event.n }),
            sendParent(({ event }) => ({ type: 'heard', n: event.n })),
          ],
        },
        stop: 'off',
      },
    },
    off: { type: 'final' },
  },
  output: ({ context }) => context.total,
})

/** A step that is tried again, and a child session that is told things, answers, and ends. */
const worker = defineSession({
  kind: 'worker',
  version: 1,
  steps: 'none',
  machine: setup({
    types: {
      context: {} as { n: number; heard: number },
      events: {} as { type: 'go' | 'hand' | 'end' | 'again' } | { type: 'heard'; n: number },
    },
    actors: { work: step<typeof work>('work', { attempts: 2, backoffMs: 10 }), counter },
  }).createMachine({
    context: { n: 1, heard: 0 },
    initial: 'calm',
    invoke: {
      id: 'counter',
      src: 'counter',
      onDone: { actions: assign({ heard: ({ event }) => Number(event.output) * 100 }) },
    },
    on: {
      heard: { actions: assign({ heard: ({ context, event }) => context.heard + event.n }) },
      hand: { actions: sendTo('counter', ({ context }) => ({ type: 'tell', n: context.n })) },
      end: { actions: sendTo('counter', { type: 'stop' }) },
    },
    states: {
      calm: { on: { go: 'busy' } },
      busy: {
        invoke: {
          src: 'work',
          input: ({ context }) => ({ n: context.n }),
          onDone: { target: 'calm', actions: assign({ n: ({ event }) => event.output % 1000 }) },
          onError: 'failed',
        },
      },
      failed: { on: { again: 'calm' } },
    },
  }),
})

const workerEvents = eventsOf(worker).map((events) => events.filter(({ type }) => type !== 'heard'))

test('steps and child sessions too: each child session is held to a machine of its own', async () => {
  const report = await checkDurable(worker, { runs: RUNS, seed: 2, events: workerEvents, steps: { work } })
  for (const feature of ['child session', 'child done', 'child failed', 'step tried again']) {
    expect(report.features[feature] ?? 0, feature).toBeGreaterThan(0)
  }
})

const talker = setup({
  types: {
    context: {} as { boss: AnyActorRef; heard: number },
    input: {} as { boss: AnyActorRef },
    events: {} as { type: 'ask'; replyTo?: AnyActorRef },
  },
}).createMachine({
  context: ({ input }) => ({ boss: input.boss, heard: 0 }),
  on: {
    ask: {
      actions: [
        assign({ heard: ({ context }) => context.heard + 1 }),
        sendTo(
          ({ context, event }) => event.replyTo ?? context.boss,
          ({ context, self }) => ({ type: 'answer', by: self, heard: context.heard }),
        ),
      ],
    },
  },
})

/** Keeps its children, of one id, without one, and those of before, in its context, and in events to itself. */
const keeper = defineSession({
  kind: 'keeper',
  version: 1,
  machine: setup({
    types: {
      context: {} as { latest: AnyActorRef | null; kept: AnyActorRef[]; heard: number },
      events: {} as
        | { type: 'hire' | 'name' | 'keep' | 'fire' | 'ask' | 'reply' | 'askKept' | 'askLater' | 'later' }
        | { type: 'put'; ref: AnyActorRef | null }
        | { type: 'answer'; by: AnyActorRef; heard: number },
    },
    actors: { talker },
    guards: { latest: ({ context }) => context.latest !== null, kept: ({ context }) => context.kept.length > 0 },
  }).createMachine({
    context: { latest: null, kept: [], heard: 0 },
    on: {
      hire: { actions: assign({ latest: ({ spawn, self }) => spawn('talker', { input: { boss: self } }) }) },
      name: {
        actions: [
          stopChild('t'),
          assign({ latest: ({ spawn, self }) => spawn('talker', { id: 't', input: { boss: self } }) }),
        ],
      },
      keep: {
        guard: 'latest',
        actions: assign({ kept: ({ context }) => [...context.kept, context.latest as AnyActorRef] }),
      },
      fire: { guard: 'latest', actions: stopChild(({ context }) => context.latest as AnyActorRef) },
      ask: { guard: 'latest', actions: sendTo(({ context }) => context.latest as AnyActorRef, { type: 'ask' }) },
      reply: {
        guard: 'latest',
        actions: sendTo(
          ({ context }) => context.latest as AnyActorRef,
          ({ self }) => ({ type: 'ask', replyTo: self }),
        ),
      },
      askKept: { guard: 'kept', actions: sendTo(({ context }) => context.kept[0] as AnyActorRef, { type: 'ask' }) },
      askLater: {
        guard: 'latest',
        actions: sendTo(({ context }) => context.latest as AnyActorRef, { type: 'ask' }, { delay: 30 }),
      },
      later: { actions: raise(({ context }) => ({ type: 'put', ref: context.kept[0] ?? null }), { delay: 30 }) },
      put: { actions: assign({ latest: ({ event }) => event.ref }) },
      answer: {
        actions: assign({
          latest: ({ event }) => event.by,
          heard: ({ context, event }) => context.heard + event.heard,
        }),
      },
    },
  }),
})

const keeperTypes = ['hire', 'name', 'keep', 'fire', 'ask', 'reply', 'askKept', 'askLater', 'later'] as const
const keeperEvents = fc.array(fc.constantFrom(...keeperTypes.map((type) => ({ type }))), {
  minLength: 3,
  maxLength: 12,
})

test('a machine that keeps actors in its context, tells of them and is told of them is held to the same ones', async () => {
  const report = await checkDurable(keeper, { runs: Math.ceil(RUNS / 3), seed: 4, events: keeperEvents })
  expect(report.skipped).toEqual({})
  for (const feature of ['child session', 'told by child', 'told by parent', 'context']) {
    expect(report.features[feature] ?? 0, feature).toBeGreaterThan(report.runs / 10)
  }
})

const { introduce, revive } = Cast.prototype

test.each([
  [
    'a restored child is a later one of its id',
    'introduce',
    function (this: Cast, id: string, child: object, incarnation?: number) {
      introduce.call(this, id, child, incarnation && incarnation + 1)
    },
  ],
  [
    'whoever a session is told of is nobody there',
    'revive',
    function (this: Cast, value: unknown) {
      return revive.call(this, value, {})
    },
  ],
] as const)('a fault in references is found: %s', async (_, method, faulty) => {
  const planted = vi.spyOn(Cast.prototype, method).mockImplementation(faulty as never)
  try {
    const message = await failureOf(keeper, { seed: 5, events: keeperEvents })
    expect(message).toMatch(/record \d+ .*: the session has/)
  } finally {
    planted.mockRestore()
  }
})

test('a machine with steps is not checked without functions for them', async () => {
  const checked = checkDurable(worker)
  await expect(checked).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('"work"') })
})

test('asked to, it finds a step that is not idempotent', async () => {
  let calls = 0
  const counting = async (): Promise<number> => ++calls
  const options = { runs: 2000, seed: 12, events: workerEvents, steps: { work: counting } }
  const message = await failureOf(worker, { ...options, idempotent: true })
  expect(message).toContain('step "work" ran again with the key')
  // It ran again because of a power cut, which the story names.
  expect(message).toMatch(/\n +\d+\. crash .*\n +\d+\. open again after \d+ ms\n/)
})

/** A machine whose event `note` assigns what `read` gives. */
const reading = (read: () => unknown) =>
  defineSession({
    kind: 'reading',
    version: 1,
    machine: setup({
      types: { context: {} as { noted: unknown }, events: {} as { type: 'note' | 'other' } },
    }).createMachine({ context: { noted: null }, on: { note: { actions: assign({ noted: read }) }, other: {} } }),
  })

async function failureOf(kind: Parameters<typeof checkDurable>[0], options: CheckOptions<any> = {}): Promise<string> {
  const checked: CheckReport | unknown = await checkDurable(kind, { runs: 200, seed: 7, ...options }).catch(
    (error: unknown) => error,
  )
  if (!isHoldfastError(checked, 'CHECK_FAILED'))
    throw new Error(`not found: ${JSON.stringify(checked)}`, { cause: checked })
  return checked.message
}

let variable = 0

test.each([
  ['the time', () => Date.now()],
  ['the day', () => new Date().toDateString()],
  ['chance', () => Math.random()],
  ['a variable of its module', () => ++variable],
])('an assign that reads %s is found, and shrunk to the one event that it takes', async (_, read) => {
  const message = await failureOf(reading(read))
  expect(message).toContain('session kind "reading" is not durable: record 2 (note): context.noted: the session has')
  expect(message).toContain('\n   1. create\n   2. send {"type":"note"}\n\n')
  expect(message).toContain('No crash was needed')
  const again = /tell it again: await checkDurable\(kind, { seed: (-?\d+), path: '([\d:]+)' }\)$/.exec(message)
  const [, seed, path] = again as unknown as [string, string, string]
  expect(await failureOf(reading(read), { seed: Number(seed), path })).toContain('2. send {"type":"note"}')
})

test('a context that is not JSON is found, naming the path', async () => {
  const message = await failureOf(reading(() => new Map()))
  expect(message).toMatch(/NOT_JSON: .*noted/)
  expect(message).toContain('\n   1. create\n   2. send {"type":"note"}\n')
})

test('two timers of one id, of which plain XState loses one, are found', async () => {
  const kind = defineSession({
    kind: 'twice',
    version: 1,
    machine: setup({ types: { events: {} as { type: 'remind' | 'ring' } } }).createMachine({
      on: { remind: { actions: raise({ type: 'ring' }, { id: 'x', delay: 100 }) }, ring: {} },
    }),
  })
  const message = await failureOf(kind)
  expect(message).toContain('two timers have one id, "x"')
  expect(message.match(/remind/g)).toHaveLength(2)
})

test('as they come: events of a kind as a property of fast-check, and a check with nothing but a number of runs', async () => {
  fc.assert(fc.property(eventsOf(sound), (events) => events.every(({ type }) => sound.machine.events.includes(type))))
  const review = reading(() => 'seen')
  expect(await checkDurable(review, { runs: 100 })).toMatchObject({ runs: 100, skipped: {} })
})

test('events are derived: the types of the machine, payloads from a map, from a schema, or none', () => {
  const [sample] = fc.sample(eventsOf(sound), { numRuns: 50, seed: 1 }).filter(({ length }) => length > 3)
  const types = new Set(
    fc.sample(eventsOf(sound), { numRuns: 200, seed: 1 }).flatMap((all) => all.map(({ type }) => type)),
  )
  expect([...types].sort()).toEqual(['add', 'finish', 'flip', 'later', 'never', 'pause', 'resume'])
  expect(sample?.every((event) => Object.keys(event).length === 1)).toBe(true)

  const jsonSchema = {
    anyOf: [
      {
        type: 'object',
        properties: { type: { const: 'note' }, n: { type: 'integer', minimum: 3 } },
        required: ['type', 'n'],
      },
      { type: 'object', properties: { type: { const: 'other' } }, required: ['type'] },
    ],
  }
  const validate = (value: unknown): { value: never } => ({ value: value as never })
  const standard = { version: 1 as const, vendor: 'test', validate, jsonSchema: { input: () => jsonSchema } }
  const schema = { '~standard': standard }
  const { machine } = reading(() => 1)
  const events = eventsOf(defineSession({ kind: 'typed', version: 1, machine, events: schema }))
  const drawn = fc.sample(events, { numRuns: 100, seed: 1 }).flat() as { type: string; n?: number }[]
  expect(drawn.filter(({ type }) => type === 'note').every(({ n = 0 }) => Number.isInteger(n) && n >= 3)).toBe(true)
  expect(drawn.filter(({ type }) => type === 'other').every(({ n }) => n === undefined)).toBe(true)
})
