// R21: observers that throw, reject or act on what they see, on every stream of a runtime at work: the process hears nothing,
// and nobody else notices. HOLDFAST_OBSERVERS sets how many.
import { defineSession, type Runtime, type Session } from 'holdfast'
import { Observable } from 'rxjs'
import { map, mergeMap } from 'rxjs/operators'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { assign, emit, setup } from 'xstate'
import { house } from './house.js'

const COUNT = Number(process.env.HOLDFAST_OBSERVERS ?? 1000)
const SESSIONS = 20
const EVENTS = 10

const kind = defineSession({
  kind: 'tally',
  version: 1,
  machine: setup({
    types: { context: {} as { sum: number }, events: {} as { type: 'add'; by: number } | { type: 'poke' } },
  }).createMachine({
    context: { sum: 0 },
    on: {
      add: {
        actions: [assign({ sum: ({ context, event }) => context.sum + event.by }), emit({ type: 'added' } as never)],
      },
      poke: {},
    },
  }),
})

type Tally = Session<typeof kind.machine>

const heard: unknown[] = []
const hear = (error: unknown): void => void heard.push(error)
beforeEach(() => {
  heard.length = 0
  process.on('uncaughtException', hear)
  process.on('unhandledRejection', hear)
})
afterEach(() => {
  process.off('uncaughtException', hear)
  process.off('unhandledRejection', hear)
})

const fail = (): never => {
  throw new Error('an observer threw')
}

/** What an observer may do; the last parameter is one that it may do it to. */
type Harm = (runtime: Runtime, session: Tally, other: Tally) => unknown

/** What observers do that takes its time: a runtime that is closed meanwhile would refuse it. */
const acts: Promise<unknown>[] = []

const HARMS: { readonly [name: string]: Harm } = {
  throws: (_, session) => session.transitions$({ from: 1 }).subscribe(fail),
  'throws nothing': (_, session) =>
    session.transitions$().subscribe(() => {
      // biome-ignore lint/style/useThrowOnlyError: an observer may
      throw undefined
    }),
  rejects: (_, session) => session.transitions$({ from: 1 }).subscribe(async () => fail()),
  'is a thenable that throws': (_, session) =>
    // biome-ignore lint/suspicious/noThenProperty: that is the point
    session.transitions$().subscribe((() => ({ then: fail })) as never),
  'throws in its end': (_, session) => session.transitions$().subscribe({ next: fail, error: fail, complete: fail }),
  'rejects in its end': (_, session) =>
    session.transitions$().subscribe({ complete: (async () => fail()) as () => void }),
  'throws in an operator': (_, session) => session.transitions$().pipe(map(fail)).subscribe(),
  'fails in an inner stream': (_, session) =>
    session
      .transitions$()
      .pipe(mergeMap(() => new Observable<never>((subscriber) => subscriber.error(new Error('inner')))))
      .subscribe({ error: fail }),
  'throws at what all sessions do': (runtime) => runtime.transitions$({ from: 0 }).subscribe(fail),
  'throws at what is emitted': (_, session) => session.emitted$().subscribe(fail),
  'throws in its teardown': (_, session) =>
    session
      .transitions$()
      .subscribe(() => {})
      .add(fail),
  'throws in its loop': (_, session) =>
    (async () => {
      for await (const _transition of session.transitions$({ from: 1 })) fail()
    })().catch(() => {}),
  'throws in its condition': (_, session) => session.until(fail).catch(() => {}),
  'throws at an atom': (runtime, session) => runtime.sessions.atom(session.id)?.subscribe(fail),
  'throws at the totals': (runtime) => runtime.sessions.statsAtom().subscribe(fail),
  'rejects at an atom': (runtime, session) =>
    runtime.sessions.atom(session.id)?.subscribe((async () => fail()) as () => void),
  'rejects at the totals': (runtime) => runtime.sessions.statsAtom().subscribe((async () => fail()) as () => void),
  'rejects at what is emitted': (_, session) => session.emitted$().subscribe(async () => fail()),
  'rejects as its condition': (_, session) => session.until((async () => fail()) as never).catch(() => {}),
  sends: (_, session, other) => {
    let left = 2
    session.transitions$().subscribe(() => {
      if (left-- > 0) for (const to of [session, other]) to.send({ type: 'poke' }).catch(() => {})
    })
  },
  subscribes: (_, session, other) => {
    let left = 2
    session.transitions$().subscribe(() => {
      if (left-- > 0) for (const to of [session, other]) to.transitions$({ from: 1 }).subscribe(fail)
    })
  },
  leaves: (_, session) => {
    const subscription = session.transitions$({ from: 1 }).subscribe(() => {
      subscription?.unsubscribe()
      fail()
    })
  },
  'deletes another': (runtime, session) => {
    let done = false
    session.transitions$().subscribe(() => {
      if (done) return
      done = true
      acts.push(runtime.create(kind).then((made) => made.delete()))
    })
  },
}

test('until refuses a promise for an answer, which it would have taken for a yes', async () => {
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind)
  await expect(session.until((async () => fail()) as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

test(`${COUNT} observers throw, reject and act on what they see: the process hears nothing, and nobody else notices`, async () => {
  const { open } = house([kind], {}, undefined, { info: () => {}, warn: () => {}, error: () => {} })
  await using runtime = await open()
  const sessions: Tally[] = []
  for (let n = 0; n < SESSIONS; n++) sessions.push(await runtime.create(kind, undefined, { id: `s${n}` }))
  const seen = sessions.map((session) => {
    const seqs: number[] = []
    session.transitions$({ from: 1 }).subscribe(({ seq }) => void seqs.push(seq))
    return seqs
  })
  const positions: number[] = []
  runtime.transitions$({ from: 0 }).subscribe(({ position }) => void positions.push(position))
  const harms = Object.values(HARMS)
  const at = (n: number): Tally => sessions[n % SESSIONS] as Tally
  for (let event = 0, n = 0; event < EVENTS; event++) {
    for (const until = ((event + 1) * COUNT) / EVENTS; n < until; n++)
      harms[n % harms.length]?.(runtime, at(Math.floor(n / harms.length)), at(n))
    await Promise.all(sessions.map((session) => session.send({ type: 'add', by: event + 1 })))
  }
  await new Promise((resolve) => setTimeout(resolve, 20))
  await Promise.all(acts)
  for (const [n, session] of sessions.entries()) {
    expect(session.snapshot().context.sum).toBe((EVENTS * (EVENTS + 1)) / 2)
    expect(seen[n]).toEqual(Array.from({ length: session.entry().seq }, (_, before) => before + 1))
  }
  expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b))
  expect(runtime.health()).toMatchObject({ status: 'ok', parked: [], quarantined: [] })
  await runtime.close()
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(heard).toEqual([])
  console.log(
    `R21: ${COUNT} observers of ${harms.length} kinds; ${positions.length} transitions seen by all others, no uncaught exception`,
  )
})
