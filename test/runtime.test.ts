// The promises of the runtime, one by one, on the shipped code.
import {
  defineSession,
  type HoldfastError,
  openRuntime,
  type Runtime,
  type StepContext,
  step,
  type Transition,
} from 'holdfast'
import { expect, test } from 'vitest'
import { assign, createMachine, emit, log, raise, sendTo, setup } from 'xstate'
import { createMemoryDisk } from '../src/memory/disk.js'
import { house } from './house.js'

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: HoldfastError) => error.code ?? String(error),
  )

const firstOf = async (items: AsyncIterable<unknown>): Promise<unknown> => {
  for await (const item of items) return item
  return 'nothing'
}

const counting = setup({
  types: {
    context: {} as { count: number; log: string[]; team: string },
    events: {} as
      | { type: 'add'; by: number }
      | { type: 'throwInGuard' | 'throwInAssign' | 'throwInAction' | 'date' | 'push' | 'finish' | 'hello' | 'greet' },
    input: {} as { team?: string },
  },
}).createMachine({
  id: 'counting',
  context: ({ input }) => ({ count: 0, log: [], team: input.team ?? 'none' }),
  initial: 'open',
  states: {
    open: {
      on: {
        add: {
          guard: ({ event }) => event.by > 0,
          actions: assign({ count: ({ context, event }) => context.count + event.by }),
        },
        throwInGuard: {
          guard: () => {
            throw new Error('no guard')
          },
          target: 'closed',
        },
        throwInAssign: {
          actions: assign({
            count: () => {
              throw new Error('no assign')
            },
          }),
        },
        throwInAction: {
          actions: [
            assign({ count: ({ context }) => context.count + 100 }),
            () => {
              throw new Error('no action')
            },
            emit({ type: 'after' } as never),
          ],
        },
        date: { actions: assign({ log: () => [new Date() as never] }) },
        push: {
          actions: assign({
            log: ({ context }) => {
              context.log.push('x')
              return context.log
            },
          }),
        },
        greet: { actions: sendTo(({ self }) => self, { type: 'hello' }) },
        hello: { actions: assign({ log: ({ context }) => [...context.log, 'hello'] }) },
        finish: 'closed',
      },
    },
    closed: { type: 'final' },
  },
  output: ({ context }) => context.count,
})
const counter = defineSession({
  kind: 'counter',
  version: 1,
  machine: counting,
  index: ({ context }) => ({ team: context.team, even: context.count % 2 === 0 }),
})

test('what was acknowledged is there after closing and opening again', async () => {
  const home = house([counter])
  const runtime = await home.open()
  const session = await runtime.create(counter, { team: 'red' })
  await session.send({ type: 'add', by: 2 })
  const transition = await session.send({ type: 'add', by: 3 })
  expect(transition).toMatchObject({
    seq: 3,
    from: 'open',
    to: 'open',
    event: { type: 'add', by: 3 },
    status: 'active',
  })
  await runtime.close()
  const again = await home.open()
  expect(again.session(session.id, counter).snapshot()).toMatchObject({ seq: 3, value: 'open', context: { count: 5 } })
  await again.close()
})

test('a decision that throws leaves the session as it was, and the sender gets the error', async () => {
  const home = house([counter])
  await using runtime = await home.open()
  const session = await runtime.create(counter, {})
  const before = session.snapshot()
  expect(await codeOf(session.send({ type: 'throwInGuard' }))).toBe('DECISION_FAILED')
  expect(await codeOf(session.send({ type: 'throwInAssign' }))).toBe('DECISION_FAILED')
  expect(await codeOf(session.send({ type: 'date' }))).toBe('NOT_JSON')
  expect(await codeOf(session.send({ type: 'push' }))).toBe('CONTEXT_MUTATED')
  await expect(session.send({ type: 'push' })).rejects.toThrow('context.log[0] was changed in place')
  await expect(session.send({ type: 'date' })).rejects.toThrow('context.log[0] is a Date')
  expect(session.snapshot()).toEqual(before)
  await session.send({ type: 'add', by: 1 })
  expect(session.snapshot().context.count).toBe(1)
})

test('an event that the state does not accept is refused with what it would accept; guards count', async () => {
  await using runtime = await house([counter]).open()
  const session = await runtime.create(counter, {})
  await expect(session.send({ type: 'add', by: 0 })).rejects.toMatchObject({
    code: 'NOT_ACCEPTED',
    details: { state: 'open', accepts: expect.arrayContaining(['add', 'finish']) },
  })
  expect(session.can({ type: 'add', by: 0 })).toBe(false)
  expect(session.can({ type: 'add', by: 1 })).toBe(true)
  expect(() => session.can({ type: 'throwInGuard' })).toThrow(expect.objectContaining({ code: 'DECISION_FAILED' }))
  expect(() => session.can({ type: 'xstate.init' } as never)).toThrow(
    expect.objectContaining({ code: 'INVALID_EVENT' }),
  )
  expect(session.snapshot().seq).toBe(1)
})

test('the events of the machine itself are refused at the door', async () => {
  await using runtime = await house([counter]).open()
  const session = await runtime.create(counter, {})
  for (const type of [
    'xstate.done.actor.x',
    'xstate.after.1.a',
    'xstate.stop',
    'xstate.init',
    'holdfast.attempt',
    '*',
    '',
  ]) {
    expect(await codeOf(session.send({ type } as never)), type).toBe('INVALID_EVENT')
  }
  expect(await codeOf(session.send('add' as never))).toBe('INVALID_EVENT')
  expect(await codeOf(session.send({ type: 'add', by: Number.NaN }))).toBe('NOT_JSON')
  await expect(session.send({ type: 'add', by: new Map() } as never)).rejects.toThrow('event.by is a Map')
})

test('an effect that throws is reported, skips nothing, and the session goes on from its durable state', async () => {
  const home = house([counter])
  await using runtime = await home.open()
  const session = await runtime.create(counter, {})
  const emitted: string[] = []
  session.emitted$().subscribe((event) => void emitted.push(event.type))
  const transition = await session.send({ type: 'throwInAction' })
  expect(transition.seq).toBe(2)
  expect(emitted).toEqual(['after'])
  expect(home.log.join()).toContain('an effect of session')
  await session.send({ type: 'add', by: 1 })
  expect(session.snapshot().context.count).toBe(101)
})

test('a message to itself is decided before any later event from outside', async () => {
  await using runtime = await house([counter]).open()
  const session = await runtime.create(counter, {})
  const types: string[] = []
  session.transitions$({ from: 2 }).subscribe(({ event }) => void types.push(event.type))
  await Promise.all([
    session.send({ type: 'greet' }),
    session.send({ type: 'add', by: 1 }),
    session.send({ type: 'greet' }),
  ])
  await session.until(({ context }) => context.log.length === 2)
  expect(types).toEqual(['greet', 'hello', 'add', 'greet', 'hello'])
})

test('when a session ends, its result is there, its streams complete and later events are refused', async () => {
  const home = house([counter])
  const runtime = await home.open()
  const session = await runtime.create(counter, {})
  const seen: Transition['status'][] = []
  const completed = new Promise<void>((complete) => {
    session.transitions$({ from: 1 }).subscribe({ next: ({ status }) => void seen.push(status), complete })
  })
  const [, late] = await Promise.all([
    session.send({ type: 'finish' }),
    codeOf(session.send({ type: 'add', by: 1 })),
    completed,
  ])
  expect(late).toBe('SESSION_ENDED')
  expect(seen).toEqual(['active', 'done'])
  expect(await session.result()).toBe(0)
  await runtime.close()
  await using again = await home.open()
  const found = again.session(session.id, counter)
  expect(await found.result()).toBe(0)
  expect(await codeOf(found.send({ type: 'finish' }))).toBe('SESSION_ENDED')
})

test('sessions are found by kind, status and attributes, page by page', async () => {
  const home = house([counter])
  const runtime = await home.open()
  for (let i = 0; i < 25; i++) await runtime.create(counter, { team: i % 2 ? 'red' : 'blue' })
  const page = runtime.sessions.list({ where: { team: 'red' } }, { limit: 10 })
  expect(page.sessions).toHaveLength(10)
  const rest = runtime.sessions.list({ where: { team: 'red' } }, { limit: 10, cursor: page.cursor as string })
  expect(rest.sessions).toHaveLength(2)
  expect(rest.cursor).toBeUndefined()
  expect(runtime.sessions.count({ kind: 'counter' })).toBe(25)
  expect(runtime.sessions.stats()).toMatchObject({ total: 25, active: 25 })
  await runtime.close()
  await using again = await home.open()
  expect(again.sessions.list({ where: { team: 'red' } }, { limit: 10, cursor: page.cursor as string })).toEqual(rest)
})

test('a session and the totals can be watched as atoms, which move when a transition is durable', async () => {
  const home = house([counter])
  await using runtime = await home.open()
  const session = await runtime.create(counter, { team: 'red' })
  const [one, totals] = [runtime.sessions.atom(session.id), runtime.sessions.statsAtom()]
  const heard: unknown[] = []
  one.subscribe((entry) => heard.push(entry && [entry.seq, entry.value]))
  one.subscribe(() => {
    throw new Error('a watcher')
  })
  totals.subscribe(({ total, active, done }) => heard.push({ total, active, done }))
  const sent = session.send({ type: 'add', by: 1 })
  expect(one.get()?.seq).toBe(1)
  await sent
  expect(session.entry()).toMatchObject(one.get() as object)
  await session.send({ type: 'finish' })
  await session.delete()
  expect(heard).toEqual([
    [2, 'open'],
    { total: 1, active: 0, done: 1 },
    [3, 'closed'],
    { total: 0, active: 0, done: 0 },
    undefined,
  ])
  expect([one.get(), totals.get().total, runtime.sessions.stats().total]).toEqual([undefined, 0, 0])
  expect(home.log).toEqual(['an observer failed', 'an observer failed', 'an observer failed'])
  expect(() => runtime.sessions.atom('no id')).toThrow('is not an id')
})

test('the same idempotency key gives the same session, at once and after a restart; another input is a conflict', async () => {
  const home = house([counter])
  const runtime = await home.open()
  const make = (team: string) => runtime.create(counter, { team }, { idempotencyKey: 'one' })
  const [a, b] = await Promise.all([make('red'), make('red')])
  expect(b.id).toBe(a.id)
  expect(await codeOf(make('blue'))).toBe('IDEMPOTENCY_CONFLICT')
  await runtime.close()
  await using again = await home.open()
  expect((await again.create(counter, { team: 'red' }, { idempotencyKey: 'one' })).id).toBe(a.id)
  expect(again.sessions.count()).toBe(1)
})

test('ids of one’s own are kept, checked and not given twice', async () => {
  await using runtime = await house([counter]).open()
  const session = await runtime.create(counter, {}, { id: 'mine' })
  expect(session.id).toBe('mine')
  expect(await codeOf(runtime.create(counter, {}, { id: 'mine' }))).toBe('SESSION_EXISTS')
  expect(await codeOf(runtime.create(counter, {}, { id: '../x' }))).toBe('INVALID_ID')
  expect(() => runtime.session('../x')).toThrow(expect.objectContaining({ code: 'INVALID_ID' }))
  expect(() => runtime.session('other')).toThrow(expect.objectContaining({ code: 'SESSION_NOT_FOUND' }))
  expect(runtime.sessions.find('mi').id).toBe('mine')
})

test('a deleted session is gone, for good, and its id can be used again', async () => {
  const home = house([counter])
  const runtime = await home.open()
  const session = await runtime.create(counter, {}, { id: 'x' })
  await session.send({ type: 'add', by: 7 })
  await session.delete()
  expect(() => session.snapshot()).toThrow(expect.objectContaining({ code: 'SESSION_NOT_FOUND' }))
  const next = await runtime.create(counter, {}, { id: 'x' })
  expect(next.snapshot()).toMatchObject({ seq: 1, context: { count: 0 } })
  await runtime.close()
  await using again = await home.open()
  expect(again.sessions.count()).toBe(1)
  expect(again.session('x', counter).snapshot().seq).toBe(1)
})

test('what is overdue when a session is restored comes before whatever is sent to it then, in the order of its times', async () => {
  const machine = setup({ types: { context: {} as { log: string[] } } }).createMachine({
    context: { log: [] },
    initial: 'waiting',
    states: {
      waiting: {
        after: { 20: { actions: note('reminder') }, 40: { target: 'expired', actions: note('expiry') } },
        on: { approve: 'approved' },
      },
      approved: {},
      expired: {},
    },
  })
  const approval = defineSession({ kind: 'approval', version: 1, machine })
  const home = house([approval])
  let runtime = await home.open()
  const { id } = await runtime.create(approval)
  await runtime.close()
  await new Promise((resolve) => setTimeout(resolve, 60))
  runtime = await home.open()
  // At once, in the same turn: the deadline has passed, whether or not anybody was there to see it.
  await expect(runtime.session(id).send({ type: 'approve' } as never)).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
  expect(runtime.session(id).snapshot()).toMatchObject({ value: 'expired', context: { log: ['reminder', 'expiry'] } })
  await runtime.close()
})

const note = (entry: string) =>
  assign({ log: ({ context }: { context: { log: string[] } }) => [...context.log, entry] }) as never

test('a delayed event waits across a restart and comes at its time, at once when overdue', async () => {
  const machine = setup({ types: { context: {} as { rung: number } } }).createMachine({
    id: 'alarm',
    context: { rung: 0 },
    initial: 'waiting',
    entry: raise({ type: 'ring' }, { delay: 60, id: 'ring' }),
    states: {
      waiting: {
        on: { ring: { actions: assign({ rung: ({ context }) => context.rung + 1 }) } },
        after: { 120: 'late' },
      },
      late: { type: 'final' },
    },
  })
  const alarm = defineSession({ kind: 'alarm', version: 1, machine })
  const home = house([alarm])
  const runtime = await home.open()
  const session = await runtime.create(alarm)
  await runtime.close()
  await new Promise((resolve) => setTimeout(resolve, 150))
  await using again = await home.open()
  const found = again.session(session.id, alarm)
  await found.result()
  expect(found.snapshot().context).toEqual({ rung: 1 })
})

test('a session of a kind that is not registered is parked by name and can be looked at; the others run', async () => {
  const other = defineSession({ kind: 'other', version: 1, machine: counting })
  const home = house([counter, other])
  const runtime = await home.open()
  const lost = await runtime.create(other, { team: 'lost' })
  const kept = await runtime.create(counter, {})
  await runtime.close()
  const partial = house([counter], {}, home.disk)
  await using again = await partial.open()
  expect(again.session(lost.id).snapshot()).toMatchObject({ kind: 'other', context: { team: 'lost' } })
  await expect(again.session(lost.id).send({ type: 'add', by: 1 } as never)).rejects.toMatchObject({
    code: 'SESSION_PARKED',
    details: { reason: 'UNKNOWN_KIND' },
  })
  expect(again.health().parked.map(({ id }) => id)).toEqual([lost.id])
  await again.session(kept.id, counter).send({ type: 'add', by: 1 })
})

test('looking at a session parks nothing, whatever its kind; one that has ended needs no machine at all', async () => {
  const other = defineSession({ kind: 'other', version: 1, machine: counting })
  const home = house([counter, other])
  const runtime = await home.open()
  const [ended, active, aged] = await Promise.all([
    runtime.create(other, { team: 'red' }),
    runtime.create(other, { team: 'blue' }),
    runtime.create(counter, { team: 'old' }),
  ])
  await ended.send({ type: 'add', by: 2 })
  await ended.send({ type: 'finish' })
  await runtime.close()
  const next = defineSession({ kind: 'counter', version: 2, machine: counting })
  const partial = house([next], {}, home.disk)
  await using again = await partial.open()
  const [over, waiting, old] = [ended, active, aged].map(({ id }) => again.session(id))
  expect(over?.snapshot()).toMatchObject({ status: 'done', output: 2, context: { count: 2, team: 'red' } })
  expect(await over?.result()).toBe(2)
  expect(over?.can({ type: 'add', by: 1 })).toBe(false)
  expect(waiting?.snapshot()).toMatchObject({ status: 'active', context: { team: 'blue' } })
  expect(old?.snapshot()).toMatchObject({ status: 'active', version: 1, context: { team: 'old' } })
  expect([waiting, old].map((session) => session?.can({ type: 'add', by: 1 }))).toEqual([false, false])
  expect(await codeOf(over?.send({ type: 'add', by: 1 }) as Promise<unknown>)).toBe('SESSION_ENDED')
  expect(await codeOf(over?.until(({ status }) => status === 'active') as Promise<unknown>)).toBe('SESSION_ENDED')
  // What cannot be migrated is known from the opening on.
  expect(again.health().parked).toMatchObject([{ id: aged.id, code: 'MIGRATION_MISSING' }])
  expect(partial.log).toHaveLength(1)
  // Whoever waits for one to go on is told that it cannot.
  expect(await codeOf(waiting?.result() as Promise<unknown>)).toBe('SESSION_PARKED')
  expect(await codeOf(old?.result() as Promise<unknown>)).toBe('SESSION_PARKED')
  expect(again.health().parked.map(({ id }) => id)).toEqual([aged.id, active.id])
  await over?.delete()
  expect(again.sessions.count()).toBe(2)
})

test('a session whose state the machine no longer has is parked, not lost and not started afresh', async () => {
  const home = house([counter])
  const runtime = await home.open()
  const session = await runtime.create(counter, {})
  await runtime.close()
  const renamed = setup({}).createMachine({ id: 'counting', context: {}, initial: 'shut', states: { shut: {} } })
  const changed = defineSession({ kind: 'counter', version: 1, machine: renamed })
  await using again = await house([changed], {}, home.disk).open()
  expect(await codeOf(again.session(session.id).send({ type: 'add' } as never))).toBe('SESSION_PARKED')
  await again.session(session.id).delete()
  expect(again.sessions.count()).toBe(0)
})

test('another version of the kind parks its sessions until there is a migration', async () => {
  const home = house([counter])
  const runtime = await home.open()
  const session = await runtime.create(counter, {})
  await runtime.close()
  const next = defineSession({ kind: 'counter', version: 2, machine: counting })
  await using again = await house([next], {}, home.disk).open()
  await expect(again.session(session.id).send({ type: 'add', by: 1 } as never)).rejects.toThrow(
    /version 1 .* version 2/,
  )
})

test('a call can be given up by its signal', async () => {
  await using runtime = await house([counter]).open()
  const session = await runtime.create(counter, {})
  const waiting = session.result({ signal: AbortSignal.timeout(10) })
  expect(await codeOf(waiting)).toBe('ABORTED')
  expect(await codeOf(session.send({ type: 'add', by: 1 }, { signal: AbortSignal.abort() }))).toBe('ABORTED')
})

test('after closing, every call says so', async () => {
  const home = house([counter])
  const first = await home.open()
  const { id } = await first.create(counter, {})
  await first.close()
  const runtime = await home.open()
  const [session, passive] = [await runtime.create(counter, {}), runtime.session(id, counter)]
  const waiting = codeOf(session.result())
  const closed = runtime.close()
  expect(passive.snapshot().seq).toBe(1) // what is read on the way may be read
  await closed
  expect(await waiting).toBe('RUNTIME_CLOSED')
  const all: { [call: string]: () => unknown } = {
    create: () => runtime.create(counter, {}),
    session: () => runtime.session(id),
    transitions: () => firstOf(runtime.transitions$()),
    replayed: () => firstOf(runtime.transitions$({ from: 0 })),
    list: () => runtime.sessions.list(),
    count: () => runtime.sessions.count(),
    stats: () => runtime.sessions.stats(),
    find: () => runtime.sessions.find(id),
    atom: () => runtime.sessions.atom(id),
  }
  for (const one of [session, passive]) {
    Object.assign(all, {
      [`send ${one.id}`]: () => one.send({ type: 'add', by: 1 }),
      [`delete ${one.id}`]: () => one.delete(),
      [`snapshot ${one.id}`]: () => one.snapshot(),
      [`can ${one.id}`]: () => one.can({ type: 'add', by: 1 }),
      [`until ${one.id}`]: () => one.until(() => true),
      [`result ${one.id}`]: () => one.result(),
      [`entry ${one.id}`]: () => one.entry(),
      [`transitions ${one.id}`]: () => firstOf(one.transitions$()),
      [`replayed ${one.id}`]: () => firstOf(one.transitions$({ from: 1 })),
      [`emitted ${one.id}`]: () => firstOf(one.emitted$()),
      [`progress ${one.id}`]: () => firstOf(one.progress$()),
    })
  }
  const codes = Object.entries(all).map(async ([call, act]) => [call, await codeOf((async () => act())())])
  const said = Object.fromEntries(await Promise.all(codes))
  expect(said).toEqual(Object.fromEntries(Object.keys(all).map((call) => [call, 'RUNTIME_CLOSED'])))
  expect(runtime.health().parked).toEqual([])
  await runtime.close()
})

test('a replay that closing overtakes says so', async () => {
  const runtime = await house([counter]).open()
  const session = await runtime.create(counter, {})
  await Promise.all(Array.from({ length: 300 }, () => session.send({ type: 'add', by: 1 })))
  const replays = [runtime.transitions$({ from: 0 }), session.transitions$({ from: 1 })].map(async (stream) => {
    for await (const { seq } of stream) if (seq === 1) await runtime.close()
  })
  expect(await Promise.all(replays.map(codeOf))).toEqual(['RUNTIME_CLOSED', 'RUNTIME_CLOSED'])
})

test('the transitions of all sessions are replayed from a position in the order of the journal, then come live', async () => {
  await using runtime = await house([counter]).open()
  const [a, b] = [await runtime.create(counter, {}), await runtime.create(counter, {})]
  await a.send({ type: 'add', by: 1 })
  const seen: string[] = []
  runtime
    .transitions$({ from: 0 })
    .subscribe(({ session, seq }) => void seen.push(`${session === a.id ? 'a' : 'b'}${seq}`))
  await b.send({ type: 'add', by: 1 })
  await a.send({ type: 'add', by: 1 })
  await expect.poll(() => seen).toEqual(['a1', 'b1', 'a2', 'b2', 'a3'])
})

test('what an action sends to its own session is an event of its own; refused, it harms nothing', async () => {
  const machine = setup({
    types: { events: {} as { type: 'go' | 'unknown' | 'boom' | 'next' }, context: {} as { seen: number } },
  }).createMachine({
    id: 'selfish',
    context: { seen: 0 },
    initial: 'a',
    states: {
      a: {
        on: {
          go: {
            target: 'b',
            actions: ({ self }) => {
              for (const type of ['unknown', 'boom', 'next'] as const) self.send({ type })
            },
          },
        },
      },
      b: {
        on: {
          boom: {
            guard: () => {
              throw new Error('boom')
            },
          },
          next: { actions: assign({ seen: ({ context }) => context.seen + 1 }) },
        },
        after: { 30: 'c' },
      },
      c: {},
    },
  })
  const selfish = defineSession({ kind: 'selfish', version: 1, machine })
  const home = house([selfish])
  await using runtime = await home.open()
  const session = await runtime.create(selfish)
  await session.send({ type: 'go' })
  await session.until(({ value }) => value === 'c')
  expect(session.snapshot()).toMatchObject({ status: 'active', seq: 4, context: { seen: 1 } })
  expect(home.log.join()).toContain('an event from within could not be taken')
})

test('a session that ends while it waits for a restart refuses what waits, and what comes', async () => {
  await using runtime = await house([counter]).open()
  const session = await runtime.create(counter, {})
  const sends = [{ type: 'throwInAction' }, { type: 'finish' }, { type: 'add', by: 1 }] as const
  expect(await Promise.all(sends.map((event) => codeOf(session.send(event))))).toEqual([
    'resolved',
    'resolved',
    'SESSION_ENDED',
  ])
  expect(await codeOf(session.send({ type: 'add', by: 1 }))).toBe('SESSION_ENDED')
  await session.delete()
})

test('whoever waits for a session that is parked is told so', async () => {
  const home = house([counter])
  const runtime = await home.open()
  const session = await runtime.create(counter, {})
  await runtime.close()
  const next = defineSession({ kind: 'counter', version: 2, machine: counting })
  await using again = await house([next], {}, home.disk).open()
  expect(await codeOf(again.session(session.id).result())).toBe('SESSION_PARKED')
})

test('a call whose signal is aborted already sends nothing', async () => {
  await using runtime = await house([counter]).open()
  const session = await runtime.create(counter, {})
  const signal = AbortSignal.abort()
  expect(await codeOf(session.send({ type: 'add', by: 1 }, { signal }))).toBe('ABORTED')
  expect(await codeOf(session.send({ type: 'add', by: 0 }, { signal }))).toBe('ABORTED')
  expect(session.snapshot().seq).toBe(1)
})

test.each([Number.NaN, 0, -1, 1.5, Number.POSITIVE_INFINITY])(
  'a mailbox limit of %s is refused',
  async (mailboxLimit) => {
    const opening = openRuntime({ storage: 'memory', pool: 'inline', kinds: [counter], mailboxLimit })
    expect(await codeOf(opening)).toBe('INVALID_ARGUMENT')
  },
)

test('a mailbox that is full refuses, and what is in it still happens', async () => {
  const home = house([counter])
  await using runtime = await home.open()
  const session = await runtime.create(counter, {})
  const sends = Array.from({ length: 10_050 }, () => codeOf(session.send({ type: 'add', by: 1 })))
  const outcomes = await Promise.all(sends)
  expect(outcomes.filter((code) => code === 'MAILBOX_FULL')).toHaveLength(50)
  expect(session.snapshot().context.count).toBe(10_000)
})

test('a kind that the runtime does not have is refused; a session is not handed out as one of another kind', async () => {
  const other = defineSession({ kind: 'other', version: 1, machine: counting })
  await using runtime = await house([counter]).open()
  const session = await runtime.create(counter, {})
  expect(await codeOf(runtime.create(other, {}))).toBe('UNKNOWN_KIND')
  expect(() => runtime.session(session.id, other)).toThrow(
    expect.objectContaining({ code: 'KIND_MISMATCH', message: expect.stringContaining('; take it with its own kind') }),
  )
  expect(runtime.session(session.id).kind).toBe('counter')
})

test('a session whose machine throws as it begins is none: its id and its key are free for one that does not', async () => {
  const machine = setup({ types: { context: {} as { n: number }, input: {} as { n: number } } }).createMachine({
    context: ({ input }) => {
      if (input.n < 0) throw new Error('negative')
      return { n: input.n }
    },
  })
  const picky = defineSession({ kind: 'picky', version: 1, machine })
  await using runtime = await house([picky]).open()
  const names = { id: 'p', idempotencyKey: 'k' }
  expect(await codeOf(runtime.create(picky, { n: -1 }, names))).toBe('DECISION_FAILED')
  expect(runtime.sessions.count()).toBe(0)
  expect((await runtime.create(picky, { n: 1 }, names)).snapshot().context).toEqual({ n: 1 })
})

test('a session is found by the beginning of its id, as long as that is the beginning of one id only', async () => {
  await using runtime = await house([counter]).open()
  for (const id of ['a', 'apple', 'apricot', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6'])
    await runtime.create(counter, {}, { id })
  const find = (prefix: string): string => {
    try {
      return runtime.sessions.find(prefix).id
    } catch (error) {
      const { code, details } = error as HoldfastError
      return [code, ...((details.ids as string[] | undefined) ?? [])].join(' ')
    }
  }
  expect(find('app')).toBe('apple')
  expect(find('a')).toBe('a')
  expect(find('ap')).toBe('AMBIGUOUS_ID apple apricot')
  expect(find('b')).toBe('AMBIGUOUS_ID b1 b2 b3 b4 b5')
  expect(find('x')).toBe('SESSION_NOT_FOUND')
})

test('the transitions of a session that has ended are replayed, and are all', async () => {
  const home = house([counter])
  const runtime = await home.open()
  const { id } = await runtime.create(counter, {})
  await runtime.session(id).send({ type: 'finish' })
  const history = async (from: Runtime): Promise<unknown[]> => {
    const seen: unknown[] = []
    for await (const { seq, to } of from.session(id).transitions$({ from: 1 })) seen.push([seq, to])
    return seen
  }
  const all = [
    [1, 'open'],
    [2, 'closed'],
  ]
  expect(await history(runtime)).toEqual(all)
  await runtime.close()
  await using again = await home.open()
  expect(await history(again)).toEqual(all)
})

test('what a step logs is heard while it runs; what a machine logs goes to the logger', async () => {
  const machine = setup({
    types: { events: {} as { type: 'go' } },
    actors: { work: step('work') },
  }).createMachine({
    initial: 'idle',
    states: {
      idle: { on: { go: { target: 'working', actions: log('off we go') } } },
      working: { invoke: { id: 'work', src: 'work', onDone: 'done' } },
      done: { type: 'final' },
    },
  })
  const talker = defineSession({ kind: 'talker', version: 1, machine, steps: 'memory:steps' })
  const steps = {
    work: (_: unknown, context: StepContext) => {
      context.log('half', { of: 'it' })
      context.log('plain')
    },
  }
  const said: unknown[] = []
  const ignore = (): void => {}
  const logger = { info: (fields: object) => void said.push(fields), warn: ignore, error: ignore }
  const home = house([talker], steps, createMemoryDisk(), logger)
  await using runtime = await home.open()
  const session = await runtime.create(talker)
  const heard: unknown[] = []
  session.progress$().subscribe((update) => heard.push(update))
  await session.send({ type: 'go' })
  await session.result()
  expect(said).toEqual([{ session: session.id, args: ['off we go'] }])
  expect(heard).toMatchObject([
    { kind: 'log', step: 'work', message: 'half', data: { of: 'it' } },
    { kind: 'log', step: 'work', message: 'plain' },
  ])
  expect(heard[1]).not.toHaveProperty('data')
})

test('an output that is too deep to be an event is an error that the machine can handle', async () => {
  const nested = (depth: number): unknown => (depth === 0 ? 'bottom' : [nested(depth - 1)])
  const machine = setup({ actors: { work: step('work') } }).createMachine({
    context: { code: '' },
    initial: 'working',
    states: {
      working: {
        invoke: {
          src: 'work',
          id: 'work',
          onDone: 'taken',
          onError: {
            target: 'refused',
            actions: assign({ code: ({ event }) => (event.error as { code: string }).code }),
          },
        },
      },
      taken: { type: 'final' },
      refused: { type: 'final' },
    },
  })
  const deep = defineSession({ kind: 'deep', version: 1, machine, steps: 'memory:steps' })
  const ends: unknown[] = []
  for (const depth of [500, 501]) {
    await using runtime = await house([deep], { work: () => nested(depth) as never }).open()
    const session = await runtime.create(deep)
    const { value, context } = await session.until(({ status }) => status === 'done')
    ends.push([value, context])
  }
  expect(ends).toEqual([
    ['taken', { code: '' }],
    ['refused', { code: 'NOT_JSON' }],
  ])
})

test('what an action sends to its own session and no record can hold is reported, and harms nothing', async () => {
  const machine = setup({ types: { events: {} as { type: 'go' } | { type: 'hello'; at: unknown } } }).createMachine({
    on: { go: { actions: ({ self }) => self.send({ type: 'hello', at: new Date() }) }, hello: {} },
  })
  const careless = defineSession({ kind: 'careless', version: 1, machine })
  const home = house([careless])
  await using runtime = await home.open()
  const session = await runtime.create(careless)
  await session.send({ type: 'go' })
  await session.send({ type: 'go' })
  expect(session.snapshot()).toMatchObject({ seq: 3, status: 'active' })
  expect(home.log).toEqual(Array(2).fill('an event from within could not be taken'))
})

test('what an action sees through self is durable, however far the session has run ahead', async () => {
  const seen: unknown[] = []
  const machine = setup({ types: { context: {} as { n: number }, events: {} as { type: 'add' } } }).createMachine({
    context: { n: 0 },
    on: {
      add: {
        actions: [
          assign({ n: ({ context }) => context.n + 1 }),
          ({ self, context }) => seen.push([context.n, self.getSnapshot().context.n]),
        ],
      },
    },
  })
  const counts = defineSession({ kind: 'counts', version: 1, machine })
  await using runtime = await house([counts]).open()
  const session = await runtime.create(counts)
  await Promise.all([1, 2, 3].map(() => session.send({ type: 'add' })))
  expect(seen).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
  ])
})

test('an asynchronous action that rejects is a crash of its session, and of nothing else', async () => {
  const machine = setup({ types: { events: {} as { type: 'go' } } }).createMachine({
    on: {
      go: {
        actions: async () => {
          throw new Error('late')
        },
      },
    },
  })
  const kind = defineSession({ kind: 'late', version: 1, machine })
  const home = house([kind])
  await using runtime = await home.open()
  const session = await runtime.create(kind)
  await session.send({ type: 'go' })
  await expect.poll(() => home.log).toEqual([`an effect of session ${session.id} threw`])
  // The restart is recorded too.
  expect((await session.send({ type: 'go' })).seq).toBe(4)
})

test('what is shown of a session cannot be written to: state, transitions, patches and errors', async () => {
  const grow = assign({ list: ({ context }: { context: { list: number[] } }) => [...context.list, 1] }) as never
  const machine = setup({
    types: { context: {} as { list: number[] }, events: {} as { type: 'go' } | { type: 'fail' } },
  }).createMachine({
    context: { list: [] },
    type: 'parallel',
    states: {
      p: { initial: 'a', states: { a: { on: { go: { target: 'b', actions: grow } } }, b: { on: { go: 'a' } } } },
      q: {},
    },
  })
  const kind = defineSession({ kind: 'frozen', version: 1, machine })
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind)
  const observed: Transition[] = []
  session.transitions$().subscribe((transition) => void observed.push(transition as Transition))
  await session.send({ type: 'go' })
  const [entry] = runtime.sessions.list().sessions
  const [transition] = observed
  for (const part of [
    entry?.value,
    session.snapshot().value,
    transition,
    transition?.from,
    transition?.to,
    transition?.patch?.[0]?.[0],
  ]) {
    expect(part).toBeTypeOf('object')
    expect(Object.isFrozen(part)).toBe(true)
  }
})

test('a parked session that is deleted twice and made anew meanwhile is one session', async () => {
  const one = defineSession({ kind: 'one', version: 1, machine: createMachine({ context: { n: 0 } }) })
  const two = defineSession({ kind: 'one', version: 2, machine: createMachine({ context: { n: 0 } }) })
  const home = house([one])
  const before = await home.open()
  await before.create(one, undefined, { id: 'x' })
  await before.close()
  await using runtime = await house([two], {}, home.disk).open()
  const session = runtime.session('x')
  await expect(session.send({ type: 'any' } as never)).rejects.toMatchObject({ code: 'SESSION_PARKED' })
  const first = session.delete()
  const second = session.delete()
  await first
  const created = runtime.create(two, undefined, { id: 'x' })
  await expect(second).rejects.toMatchObject({ code: 'SESSION_DELETED' })
  await created
  expect(runtime.session('x').snapshot()).toMatchObject({ version: 2, seq: 1, status: 'active' })
  expect(runtime.health()).toMatchObject({ parked: [], live: 1, sessions: { total: 1 } })
})

test('the last transition of a session that had ended and is deleted says how it had ended', async () => {
  const done = defineSession({
    kind: 'done',
    version: 1,
    machine: createMachine({ initial: 'a', states: { a: { type: 'final' } } }),
  })
  await using runtime = await house([done]).open()
  const session = await runtime.create(done)
  const seen: unknown[] = []
  runtime.transitions$({ from: 0 }).subscribe(({ status, deleted }) => void seen.push({ status, deleted }))
  await session.delete()
  await expect
    .poll(() => seen)
    .toEqual([
      { status: 'done', deleted: undefined },
      { status: 'done', deleted: true },
    ])
})
