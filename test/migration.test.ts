// Versions of a kind: stored sessions are migrated when the runtime is opened, once and durably; what does not fit is parked,
// with a typed reason, and nothing is begun afresh.
import { type AnySessionKind, defineSession, type Runtime, type StoredState, step } from 'holdfast'
import { describe, expect, test } from 'vitest'
import { type AnyStateMachine, assign, setup } from 'xstate'
import * as z from 'zod'
import { createVirtualClock } from '../src/testing/clock.js'
import { house } from './house.js'

type Work = (input: { n: number }) => Promise<string>
const HOUR_MS = 3_600_000

/** Version 1: a draft waits for a day, then is late; or it is worked on. */
const first = setup({
  types: {
    context: {} as { title: string; log: string[] },
    events: {} as { type: 'work' | 'remind' | 'end' },
    input: {} as { title: string },
  },
  actors: { work: step<Work>('work') },
}).createMachine({
  id: 'm',
  context: ({ input }) => ({ title: input.title, log: [] }),
  initial: 'draft',
  on: { end: '.over' },
  states: {
    draft: { after: { 86400000: 'late' }, on: { work: 'working' } },
    working: {
      invoke: { src: 'work', input: { n: 1 }, onDone: { target: 'draft', actions: log('worked') } },
    },
    late: { on: { work: 'working' } },
    over: { type: 'final' },
  },
})

function log(word: string) {
  return assign({ log: ({ context }: { context: { log: string[] } }) => [...context.log, word] }) as never
}

/** Version 2: `draft` has become `waiting`, with another deadline; work has another name, and there is a priority. */
const second = setup({
  types: {
    context: {} as { title: string; log: string[]; priority: string },
    events: {} as { type: 'work' | 'end' },
    input: {} as { title: string },
  },
  actors: { act: step<Work>('act') },
}).createMachine({
  id: 'm',
  context: ({ input }) => ({ title: input.title, log: [], priority: 'low' }),
  initial: 'waiting',
  on: { end: '.over' },
  states: {
    waiting: { after: { 3600000: 'late' }, on: { work: 'acting' } },
    acting: {
      invoke: {
        src: 'act',
        input: ({ context }) => ({ n: context.title.length }),
        onDone: { target: 'waiting', actions: log('acted') },
      },
    },
    late: { on: { work: 'acting' } },
    over: { type: 'final' },
  },
})

const NAMES: { [old: string]: string } = { draft: 'waiting', working: 'acting' }
const toSecond = (old: StoredState<{ title: string; log: string[] }, string>): Partial<StoredState> => ({
  value: NAMES[old.value] ?? old.value,
  context: { ...old.context, priority: 'normal' },
})

const one = defineSession({
  kind: 'doc',
  version: 1,
  machine: first,
  steps: 's',
  index: ({ context }) => ({ title: context.title }),
})
const two = defineSession({
  kind: 'doc',
  version: 2,
  machine: second,
  steps: 's',
  index: ({ context, value }) => ({ priority: context.priority, at: value }),
  migrate: { 1: toSecond },
})
const steps = { work: () => new Promise<string>(() => {}), act: async ({ n }: { n: number }) => `did ${n}` }

/** What a directory of `one` becomes with another kind. `begin` leaves it as it is to be found. */
async function upgraded(
  to: AnySessionKind,
  begin: (runtime: Runtime) => Promise<unknown> = (runtime) => runtime.create(one, { title: 'a' }, { id: 's' }),
  from: AnySessionKind = one,
) {
  const clock = createVirtualClock(Date.UTC(2030, 0))
  const before = house([from], steps, undefined, undefined, { clock })
  const runtime = await before.open()
  await begin(runtime)
  await runtime.close()
  const home = house([to], steps, before.disk, undefined, { clock })
  return { home, clock, runtime: await home.open() }
}

const parkedIn = (runtime: Runtime) => runtime.health().parked.map(({ id, code }) => [id, code])

const until = async (holds: () => boolean): Promise<void> => {
  for (let turns = 0; !holds(); turns++) {
    if (turns > 2000) throw new Error('it did not come to pass')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a session of an older version', () => {
  test('is migrated when the runtime is opened, in a record of its own, once', async () => {
    const { runtime, home } = await upgraded(two)
    const session = runtime.session('s', two)
    expect(session.snapshot()).toMatchObject({
      ...{ version: 2, seq: 2, value: 'waiting', attributes: { priority: 'normal', at: 'waiting' } },
      context: { title: 'a', log: [], priority: 'normal' },
    })
    expect([...session.history()].at(-1)).toMatchObject({
      ...{ event: { type: 'holdfast.migrate', from: 1, version: 2 }, from: 'draft', to: 'waiting' },
      patch: [[['priority'], 'normal']],
    })
    await runtime.close()
    await using again = await home.open()
    expect(again.session('s').snapshot()).toMatchObject({ seq: 2, version: 2 })
    await again.session('s', two).send({ type: 'end' })
    expect(again.session('s').snapshot()).toMatchObject({ seq: 3, status: 'done' })
  })

  test('is found by its new attributes without being opened, and not by the old ones', async () => {
    const { runtime } = await upgraded(two)
    expect(runtime.health().live).toBe(0)
    expect(runtime.sessions.list({ where: { priority: 'normal' } }).sessions).toMatchObject([{ id: 's', version: 2 }])
    expect(runtime.sessions.count({ where: { title: 'a' } })).toBe(0)
    await runtime.close()
  })

  test('is what it was at its earlier transitions; streams, history and diff go across', async () => {
    const { runtime } = await upgraded(two, async (old) => {
      const session = await old.create(one, { title: 'a' }, { id: 's' })
      await session.send({ type: 'work' })
    })
    const session = runtime.session('s', two)
    expect(session.at(1)).toMatchObject({ version: 1, value: 'draft', context: { title: 'a', log: [] } })
    expect(session.at(3)).toMatchObject({ version: 2, value: 'acting' })
    expect(session.diff(2, 3)).toMatchObject({
      ...{ patch: [[['priority'], 'normal']], value: { before: 'working', after: 'acting' } },
    })
    const seen: string[] = []
    for await (const { event } of session.transitions$({ from: 1 })) if (seen.push(event.type) === 3) break
    expect(seen).toEqual(['xstate.init', 'work', 'holdfast.migrate'])
    await runtime.close()
  })

  test('goes through every step between, in one record; a step that is missing parks it', async () => {
    const third = (migrate: object) => defineSession({ kind: 'doc', version: 3, machine: second, steps: 's', migrate })
    const upper = (old: StoredState) => ({ context: { ...old.context, title: old.context.title.toUpperCase() } })
    const { runtime } = await upgraded(third({ 1: toSecond, 2: upper }))
    expect(runtime.session('s').snapshot()).toMatchObject({ seq: 2, version: 3, context: { title: 'A' } })
    await runtime.close()
    for (const migrate of [{ 1: toSecond }, { 2: upper }, {}]) {
      const gap = await upgraded(third(migrate))
      expect(parkedIn(gap.runtime)).toEqual([['s', 'MIGRATION_MISSING']])
      expect(gap.runtime.session('s').snapshot()).toMatchObject({ seq: 1, version: 1, value: 'draft' })
      await expect(gap.runtime.session('s').send({ type: 'end' })).rejects.toMatchObject({ code: 'SESSION_PARKED' })
      await gap.runtime.close()
    }
  })

  test('that has ended stays as it ended', async () => {
    const { runtime } = await upgraded(two, async (old) => {
      await (await old.create(one, { title: 'a' }, { id: 's' })).send({ type: 'end' })
    })
    expect(runtime.session('s').snapshot()).toMatchObject({ version: 1, status: 'done', attributes: { title: 'a' } })
    expect(parkedIn(runtime)).toEqual([])
    await runtime.close()
  })

  test('forked at a point before its migration is migrated, too', async () => {
    const { runtime } = await upgraded(two, async (old) => {
      await (await old.create(one, { title: 'a' }, { id: 's' })).send({ type: 'work' })
    })
    const fork = await runtime.session('s', two).fork({ at: 1, id: 'f' })
    expect(fork.snapshot()).toMatchObject({ seq: 1, version: 2, value: 'waiting', context: { priority: 'normal' } })
    expect(fork.entry()).toMatchObject({ origin: { session: 's', seq: 1 }, attributes: { at: 'waiting' } })
    await fork.send({ type: 'end' })
    await runtime.close()
  })

  test('is migrated while it is quarantined, and goes on as what it has become once it is released', async () => {
    const machineOf = (state: string) =>
      setup({ types: { context: {} as object } }).createMachine({
        ...{ id: 'q', context: {}, initial: state },
        states: { [state]: { on: { boom: { actions: boom }, end: 'over' } }, over: { type: 'final' } },
      } as never) as unknown as AnyStateMachine
    const boom = () => {
      throw new Error('boom')
    }
    const old = defineSession({ kind: 'q', version: 1, machine: machineOf('on'), supervision: { intensity: 0 } })
    const migrate = { 1: (): Partial<StoredState> => ({ value: 'up' }) }
    const next = defineSession({ kind: 'q', version: 2, machine: machineOf('up'), migrate })
    const begin = async (was: Runtime) => {
      const session = await was.create(old, undefined, { id: 's' })
      await session.send({ type: 'boom' })
      await until(() => was.sessions.count({ quarantined: true }) === 1)
    }
    const { runtime } = await upgraded(next, begin, old)
    expect(runtime.sessions.list({ quarantined: true }).sessions).toMatchObject([{ version: 2, value: 'up' }])
    await runtime.session('s').release()
    await runtime.session('s').send({ type: 'end' })
    expect(runtime.session('s').snapshot()).toMatchObject({ status: 'done', version: 2 })
    await runtime.close()
  })
})

describe('what it has under way', () => {
  test('a deadline of a state that is gone goes with it, and that of the state it is in now begins', async () => {
    const { runtime, clock } = await upgraded(two)
    await clock.advance(HOUR_MS - 1)
    expect(runtime.session('s').snapshot().value).toBe('waiting')
    await clock.advance(1)
    expect(runtime.session('s').snapshot().value).toBe('late')
    await runtime.close()
  })

  test('a deadline that the state still has goes on as it was', async () => {
    const same = defineSession({ kind: 'doc', version: 2, machine: first, steps: 's', migrate: { 1: (old) => old } })
    const clock = createVirtualClock(Date.UTC(2030, 0))
    const before = house([one], steps, undefined, undefined, { clock })
    const old = await before.open()
    await old.create(one, { title: 'a' }, { id: 's' })
    await old.close()
    clock.set(clock.now() + 20 * HOUR_MS)
    const runtime = await house([same], steps, before.disk, undefined, { clock }).open()
    await clock.advance(4 * HOUR_MS - 1)
    expect(runtime.session('s').snapshot().value).toBe('draft')
    await clock.advance(1)
    expect(runtime.session('s').snapshot().value).toBe('late')
    await runtime.close()
  })

  test('one that has fired without leaving its state does not begin again, and a new one does', async () => {
    const machineOf = (after: object) =>
      setup({ types: { context: {} as { log: string[] } } }).createMachine({
        id: 'r',
        context: { log: [] },
        after: after as never,
      })
    const reminds = { 1000: { actions: log('reminded') } }
    const old = defineSession({ kind: 'doc', version: 1, machine: machineOf(reminds) })
    const machine = machineOf({ ...reminds, 5000: { actions: log('new') } })
    const next = defineSession({ kind: 'doc', version: 2, machine, migrate: { 1: (state) => state } })
    const clock = createVirtualClock(Date.UTC(2030, 0))
    const before = house([old], {}, undefined, undefined, { clock })
    const was = await before.open()
    await was.create(old, undefined, { id: 's' })
    await clock.advance(2000)
    expect(was.session('s').snapshot().context).toEqual({ log: ['reminded'] })
    await (await was.session('s').fork({ id: 'f' })).until(() => true)
    await was.close()
    const runtime = await house([next], {}, before.disk, undefined, { clock }).open()
    await clock.advance(60_000)
    for (const id of ['s', 'f']) expect(runtime.session(id).snapshot().context).toEqual({ log: ['reminded', 'new'] })
    await runtime.close()
  })

  test('a step of a state that is gone stops, and that of the state it is in now begins, with input of its own', async () => {
    const { runtime } = await upgraded(two, async (old) => {
      await (await old.create(one, { title: 'abc' }, { id: 's' })).send({ type: 'work' })
    })
    const session = runtime.session('s', two)
    const { context } = await session.until('waiting', { timeoutMs: 60_000 })
    expect(context.log).toEqual(['acted'])
    expect([...session.history()].map(({ event }) => event.type)).toEqual([
      ...['xstate.init', 'work', 'holdfast.migrate', 'holdfast.attempt', 'xstate.done.actor.0.m.acting'],
    ])
    await runtime.close()
  })

  test('a step that a migration starts begins with attempt 1, which is on disk before; cut off, it goes on with 2', async () => {
    const clock = createVirtualClock(Date.UTC(2030, 0))
    const attempts: number[] = []
    const act = (_: object, { attempt, signal }: { attempt: number; signal: AbortSignal }): Promise<never> => {
      attempts.push(attempt)
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const before = house([one], steps, undefined, undefined, { clock })
    const old = await before.open()
    await (await old.create(one, { title: 'abc' }, { id: 's' })).send({ type: 'work' })
    await old.close()
    for (const attempt of [1, 2]) {
      const runtime = await house([two], { act }, before.disk, undefined, { clock }).open()
      await until(() => attempts.length === attempt)
      expect([...runtime.session('s').history()].at(-1)?.event).toMatchObject({ type: 'holdfast.attempt', attempt })
      await runtime.close()
    }
    expect(attempts).toEqual([1, 2])
  })

  test('a step may change timers and children: what it leaves out is gone, what it adds begins', async () => {
    const machine = setup({
      types: { context: {} as { log: string[] } },
      actors: { work: step<Work>('work'), act: step<Work>('act') },
    }).createMachine({
      id: 'm',
      context: { log: [] },
      on: { ring: { actions: log('rang') }, 'xstate.done.actor.extra': { actions: log('extra') } },
      initial: 'draft',
      states: { draft: {} },
    } as never)
    const kind = defineSession({
      ...{ kind: 'doc', version: 2, machine: machine as unknown as AnyStateMachine, steps: 's' },
      migrate: {
        1: ({ timers, context }: StoredState) => ({
          context: { log: context.log },
          timers: [{ ...timers[0], event: { type: 'ring' }, id: 'bell' } as never],
          children: { extra: { src: 'act', input: { n: 7 } } },
        }),
      },
    })
    const { runtime, clock } = await upgraded(kind)
    await runtime
      .session('s')
      .until(({ context }) => (context as { log: string[] }).log.length > 0, { timeoutMs: 60_000 })
    await clock.advance(24 * HOUR_MS)
    expect(runtime.session('s').snapshot().context).toEqual({ log: ['extra', 'rang'] })
    await runtime.close()
  })

  test('what a history state remembers of a state that is gone is forgotten', async () => {
    const machineOf = (inner: string) =>
      setup({ types: { context: {} as object } }).createMachine({
        id: 'h',
        context: {},
        initial: 'on',
        states: {
          on: {
            initial: 'a',
            states: { a: { on: { next: inner } }, [inner]: {}, back: { type: 'history' } },
            on: { off: 'off' },
          },
          off: { on: { on: 'on.back' } },
        },
      } as never) as unknown as AnyStateMachine
    const old = defineSession({ kind: 'doc', version: 1, machine: machineOf('b') })
    const next = defineSession({
      kind: 'doc',
      version: 2,
      machine: machineOf('c'),
      migrate: { 1: (state: StoredState) => state },
    })
    const { runtime, home } = await upgraded(
      next,
      async (was) => {
        const session = await was.create(old, undefined, { id: 's' })
        for (const type of ['next', 'off']) await session.send({ type } as never)
      },
      old,
    )
    await runtime.close()
    await using again = await home.open()
    await again.session('s').send({ type: 'on' })
    expect(again.session('s').snapshot().value).toEqual({ on: 'a' })
  })
})

describe('children that are sessions', () => {
  const childOf = (state: string) =>
    setup({ types: { context: {} as { n: number; more?: string } } }).createMachine({
      id: 'c',
      context: { n: 1 },
      initial: state,
      states: { [state]: { on: { stop: 'off' } }, off: { type: 'final' } },
    } as never) as unknown as AnyStateMachine
  const parentOf = (child: AnyStateMachine, src: string) =>
    setup({ actors: { [src]: child } as never }).createMachine({
      id: 'p',
      initial: 'on',
      states: { on: { invoke: { id: 'child', src, onDone: 'off' } as never }, off: { type: 'final' } },
    } as never) as unknown as AnyStateMachine
  const old = defineSession({ kind: 'p', version: 1, machine: parentOf(childOf('open'), 'clerk') })
  const begin = async (was: Runtime) => {
    await was.create(old, undefined, { id: 's' })
    await until(() => was.sessions.count() === 2)
  }

  test('have the version of their parent, and are taken over as they are unless a migration says otherwise', async () => {
    const same = defineSession({
      kind: 'p',
      version: 2,
      machine: parentOf(childOf('open'), 'clerk'),
      migrate: { 1: (state: StoredState) => state },
    })
    const { runtime } = await upgraded(same, begin, old)
    const [child] = runtime.sessions.list({ parent: 's' }).sessions
    expect(child).toMatchObject({ kind: 'p.clerk', version: 2, value: 'open', status: 'active' })
    await runtime.session(child?.id as string).send({ type: 'stop' })
    expect(await runtime.session('s').until('off', { timeoutMs: 60_000 })).toMatchObject({ status: 'done' })
    await runtime.close()
  })

  test('are migrated by a step of their own, and parked when they do not fit', async () => {
    const next = (children: object) =>
      defineSession({
        ...{ kind: 'p', version: 2, machine: parentOf(childOf('busy'), 'clerk'), children: children as never },
        migrate: { 1: (state: StoredState) => state },
      })
    const migrate = { 1: ({ context }: StoredState) => ({ value: 'busy', context: { ...context, more: 'x' } }) }
    const { runtime } = await upgraded(next({ clerk: { migrate } }), begin, old)
    const [child] = runtime.sessions.list({ parent: 's' }).sessions
    expect(child).toMatchObject({ version: 2, value: 'busy' })
    expect(runtime.session(child?.id as string).snapshot().context).toEqual({ n: 1, more: 'x' })
    await runtime.close()
    const unfit = await upgraded(next({}), begin, old)
    expect(unfit.runtime.health().parked).toMatchObject([{ kind: 'p.clerk', code: 'STATE_UNKNOWN' }])
    await unfit.runtime.close()
  })

  test('whose actor is gone are parked, as their kind is, and those of the new one begin', async () => {
    const next = defineSession({
      ...{ kind: 'p', version: 2, machine: parentOf(childOf('open'), 'teller') },
      migrate: { 1: (state: StoredState) => state },
    })
    const { runtime } = await upgraded(next, begin, old)
    await until(() => runtime.sessions.count({ kind: 'p.teller' }) === 1)
    await until(
      () => runtime.sessions.count({ kind: 'p.clerk', status: 'stopped' }) === 1 || parkedIn(runtime).length > 0,
    )
    expect(parkedIn(runtime)).toMatchObject([[expect.any(String), 'UNKNOWN_KIND']])
    const teller = runtime.sessions.list({ kind: 'p.teller' }).sessions[0]
    expect(teller).toMatchObject({ status: 'active', parent: { session: 's', child: 'child' } })
    await runtime.session(teller?.id as string).send({ type: 'stop' })
    expect(await runtime.session('s').until('off', { timeoutMs: 60_000 })).toMatchObject({ status: 'done' })
    await runtime.close()
  })
})

describe('what no longer fits is parked, as it was', () => {
  const migrating = (migrate: unknown, more: object = {}): AnySessionKind =>
    defineSession({ kind: 'doc', version: 2, machine: second, steps: 's', migrate: { 1: migrate as never }, ...more })
  const schema = z.object({ title: z.string().min(2), log: z.array(z.string()), priority: z.string() })

  test.each<[string, AnySessionKind, string, string]>([
    ['a step that throws', migrating(() => { throw new Error('boom') }), 'MIGRATION_FAILED', 'version 1 threw: boom'], // biome-ignore format: a table
    ['a step that gives nothing', migrating(() => undefined), 'MIGRATION_FAILED', 'gives no state'],
    ['a step that is asynchronous', migrating(async (old: object) => old), 'MIGRATION_FAILED', 'gives no state'],
    ['a step that gives what no state has', migrating(() => ({ contxt: {} })), 'MIGRATION_FAILED', '"contxt"'],
    ['a value that is none', migrating(() => ({ value: 7 })), 'MIGRATION_FAILED', 'value is a state'],
    ['timers that are none', migrating(() => ({ timers: [{ id: 'x' }] })), 'MIGRATION_FAILED', 'timers are'],
    ['a context that is not JSON', migrating(() => ({ value: 'waiting', context: { at: new Date() } })), 'MIGRATION_FAILED', 'context.at'], // biome-ignore format: a table
    ['a step that writes to what it is given', migrating((old: StoredState) => { old.context.priority = 'x' }), 'MIGRATION_FAILED', 'threw'], // biome-ignore format: a table
    ['a state that the machine does not have', migrating((old: StoredState) => old), 'STATE_UNKNOWN', '"draft"'],
    ['a state that is final', migrating(() => ({ value: 'over' })), 'MIGRATION_FAILED', 'ends no session'],
    ['a child of an actor that is not there', migrating(() => ({ value: 'late', children: { w: { src: 'gone' } } })), 'ACTOR_MISSING', '"gone"'], // biome-ignore format: a table
    ['a context that the schema refuses', migrating(toSecond, { context: schema }), 'CONTEXT_INVALID', 'title'],
    ['an index that cannot be computed', migrating(toSecond, { index: () => { throw new Error('no index') } }), 'MIGRATION_FAILED', 'no index'], // biome-ignore format: a table
  ])('%s', async (_, kind, code, why) => {
    const { runtime, home } = await upgraded(kind)
    expect(runtime.health().parked).toMatchObject([{ id: 's', kind: 'doc', code }])
    expect(runtime.health().parked[0]?.reason.message).toContain(why)
    expect(runtime.session('s').snapshot()).toMatchObject({ version: 1, seq: 1, value: 'draft' })
    expect(await codeOf(runtime.session('s').send({ type: 'end' }))).toBe('SESSION_PARKED')
    await runtime.close()
    // With the cause mended it goes on.
    await using mended = await house([two], steps, home.disk).open()
    expect(mended.session('s').snapshot()).toMatchObject({ version: 2, value: 'waiting', seq: 2 })
  })

  test('a session of a newer version than the code', async () => {
    const { runtime } = await upgraded(one, (newer) => newer.create(two, { title: 'a' }, { id: 's' }), two)
    expect(parkedIn(runtime)).toEqual([['s', 'VERSION_NEWER']])
    expect(runtime.session('s').snapshot()).toMatchObject({ version: 2, seq: 1 })
    await runtime.close()
  })

  test.each<[string, AnySessionKind, string]>([
    ['a state that is gone', defineSession({ kind: 'doc', version: 1, machine: second, steps: 's' }), 'STATE_UNKNOWN'],
    ['an actor that has another name', renamed('labour', 'labour'), 'ACTOR_MISSING'],
    ['an actor that no state invokes any more', renamed('work', 'labour'), 'ACTOR_MISSING'],
    [
      'a context that the schema refuses',
      defineSession({
        kind: 'doc',
        version: 1,
        machine: first,
        steps: 's',
        context: z.object({ n: z.number() }) as never,
      }),
      'CONTEXT_INVALID',
    ],
  ])('the same version of another machine: %s', async (_, kind, code) => {
    const { runtime } = await upgraded(kind, async (old) => {
      await (await old.create(one, { title: 'a' }, { id: 's' })).send({ type: 'work' })
    })
    expect(await codeOf(runtime.session('s').send({ type: 'end' }))).toBe('SESSION_PARKED')
    expect(parkedIn(runtime)).toEqual([['s', code]])
    expect(runtime.session('s').snapshot()).toMatchObject({ seq: 2, value: 'working' })
    await runtime.close()
  })

  test('is deleted like any other session', async () => {
    const { runtime } = await upgraded(migrating(() => undefined))
    await runtime.session('s').delete()
    expect([runtime.sessions.count(), parkedIn(runtime)]).toEqual([0, []])
    await runtime.close()
  })
})

/** Version 1 as it would be with other actors: `has` is one of them, `invokes` the one that the state runs. */
function renamed(has: string, invokes: string): AnySessionKind {
  const actors = { [has]: step<Work>('work'), [invokes]: step<Work>('work') }
  const machine = setup({ types: { context: {} as object }, actors } as never).createMachine({
    ...(first.config as object),
    states: {
      ...(first.config.states as object),
      working: { invoke: { src: invokes, onDone: 'draft' } },
    },
  } as never) as unknown as AnyStateMachine
  return defineSession({ kind: 'doc', version: 1, machine, steps: 's' })
}

const codeOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'done',
    (error: { code: string }) => error.code,
  )

test.each([
  [{ 0: toSecond }, 'migrate.0'],
  [{ 2: toSecond }, 'migrate.2'],
  [{ '1.5': toSecond }, 'migrate.1.5'],
  [{ 1: 'no' }, 'must be a function'],
])('a step that starts from no earlier version is refused: %o', (migrate, why) => {
  const define = () =>
    defineSession({ kind: 'doc', version: 2, machine: second, steps: 's', migrate: migrate as never })
  expect(define).toThrow(expect.objectContaining({ code: 'INVALID_KIND', message: expect.stringContaining(why) }))
})

test('many sessions are migrated in few batches, and what cannot be is no reason to leave out the others', async () => {
  const picky = defineSession({
    ...{ kind: 'doc', version: 2, machine: second, steps: 's' },
    migrate: {
      1: (old: StoredState) => {
        if (old.context.title.endsWith('7')) throw new Error('seven')
        return toSecond(old)
      },
    },
  })
  const { runtime } = await upgraded(picky, async (old) => {
    await Promise.all(Array.from({ length: 700 }, (_, n) => old.create(one, { title: `t${n}` })))
  })
  const versions = runtime.sessions.list({}, { limit: 1000 }).sessions.map(({ version }) => version)
  expect([versions.filter((version) => version === 2).length, runtime.health().parked.length]).toEqual([630, 70])
  expect(runtime.health().journal.flushes).toBeLessThanOrEqual(4)
  await runtime.close()
})
