// R8: nothing leaves a session before the record that caused it is durable.
// At every exit (acknowledgement, refusal, step, retry, custom action, emitted event, observer of one session and of all,
// result, timer, what is listed and shown) the power is cut in a copy of the world, at its worst: all that is unsynced is
// lost. The record that the exit comes from must be found there. The disk is quick, or slow and off the main thread, and at
// some moment a sync may fail.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { assign, emit, raise, setup } from 'xstate'
import { defineSession } from '../../src/define.js'
import { isHoldfastError } from '../../src/errors.js'
import { openFileJournal } from '../../src/files/open-journal.js'
import type { Session } from '../../src/handle.js'
import type { Pool } from '../../src/pool.js'
import { NOWHERE, type Position, type TransitionRecord } from '../../src/record.js'
import { step } from '../../src/steps.js'
import { createVirtualClock, turn } from '../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk, failAt } from '../../src/testing/disk.js'
import { type Appended, openWorld, settle, type World } from '../../src/testing/world.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 300)

/** Exits so far, by what they are, and those whose record was not durable. */
class Watch {
  readonly counts: Map<string, number> = new Map()
  readonly leaks: string[] = []
  world: World | undefined
  #durable: Position | undefined

  out(what: string, cause: Position): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
    if (cause >= this.#durableEnd())
      this.leaks.push(`${what}, of the record at ${cause}, with ${this.#durable} durable`)
  }

  /** Position of the last record of a session that passes. */
  cause(session: string, passes: (record: TransitionRecord) => boolean): Position {
    const found = this.world?.appended.findLast(({ record }) => record.session === session && passes(record))
    return found?.position ?? Number.POSITIVE_INFINITY
  }

  /** A call to the disk has returned: more may be durable. */
  changed(): void {
    this.#durable = undefined
  }

  #durableEnd(): Position {
    const { disk } = this.world as World
    this.#durable ??= openFileJournal(disk.crash(), createVirtualClock()).journal.end
    return this.#durable
  }
}

/** The watch of the life that is being lived; the machine's custom action speaks to it. */
let watch = new Watch()

type Work = (input: { text: string }) => Promise<string>

const kind = defineSession({
  kind: 'watched',
  version: 1,
  steps: 'sim:steps',
  machine: setup({
    types: {
      context: {} as { id: string; count: number },
      input: {} as { id: string },
      events: {} as { type: 'act'; n: number } | { type: 'work' | 'wait' | 'ring' | 'close' | 'open' | 'finish' },
      emitted: {} as { type: 'acted'; n: number },
    },
    actors: { work: step<Work>('work', { attempts: 3, backoffMs: 5 }) },
  }).createMachine({
    id: 'watched',
    context: ({ input }) => ({ id: input.id, count: 0 }),
    initial: 'open',
    states: {
      open: {
        on: {
          act: {
            actions: [
              assign({ count: ({ context }) => context.count + 1 }),
              ({ context, event }) =>
                watch.out(
                  'action',
                  watch.cause(context.id, (record) => record.event.n === event.n),
                ),
              emit(({ event }) => ({ type: 'acted', n: event.n })),
            ],
          },
          wait: { actions: raise({ type: 'ring' }, { delay: 20 }) },
          ring: {},
          work: 'working',
          close: 'closed',
          finish: 'end',
        },
      },
      working: {
        invoke: { id: 'work', src: 'work', input: { text: 'x' }, onDone: 'open', onError: 'open' },
        on: { close: 'closed' },
      },
      closed: { on: { open: 'open' } },
      end: { type: 'final' },
    },
  }),
})

/** A timer that fires was set by the record that its key names. */
function timer({ record }: Appended): void {
  if (record.event.type !== 'ring') return
  const [setBy] = String(record.cleared?.[0]).split('.')
  watch.out(
    'timer',
    watch.cause(record.session, ({ seq }) => seq === Number(setBy)),
  )
}

/** What can be looked at at any time. */
function look({ runtime }: World): void {
  for (const { id, seq: listed } of runtime.sessions.list().sessions) {
    const { seq: shown } = runtime.session(id).snapshot()
    watch.out(
      'listed',
      watch.cause(id, ({ seq }) => seq === listed),
    )
    watch.out(
      'shown',
      watch.cause(id, ({ seq }) => seq === shown),
    )
  }
}

/** Each start of a step comes from the record that has the attempt. */
function watched(inner: Pool): Pool {
  return {
    run(task, listener) {
      const [session, child, incarnation] = task.idempotencyKey.split('.') as [string, string, string]
      const first = task.attempt === 1
      const isCause = ({ seq, attempt }: TransitionRecord): boolean =>
        first ? seq === Number(incarnation) : attempt?.child === child && attempt.number === task.attempt
      watch.out(first ? 'step' : 'retry', watch.cause(session, isCause))
      return inner.run(task, listener)
    },
    stats: () => inner.stats(),
    close: () => inner.close(),
  }
}

interface Life {
  readonly acts: readonly { readonly what: string; readonly who: number }[]
  readonly offThread: boolean
  /** How many turns of the event loop a call takes off the main thread. */
  readonly turns: number
  /** Which sync of the journal fails. */
  readonly failsAt: number | undefined
}

const life: fc.Arbitrary<Life> = fc.record({
  acts: fc.array(
    fc.record({
      what: fc.oneof(
        { weight: 4, arbitrary: fc.constant('act') },
        { weight: 7, arbitrary: fc.constantFrom('work', 'wait', 'close', 'open', 'finish', 'turn', 'time') },
        { weight: 1, arbitrary: fc.constant('delete') },
      ),
      who: fc.nat({ max: 2 }),
    }),
    { minLength: 5, maxLength: 40 },
  ),
  offThread: fc.boolean(),
  turns: fc.nat({ max: 3 }),
  failsAt: fc.option(fc.nat({ max: 15 }), { nil: undefined, freq: 2 }),
})

/** Watches everything that a session lets out. */
function follow(session: Session): void {
  const { id } = session
  session.transitions$({ from: 1 }).subscribe(({ position }) => watch.out('observer', position))
  session.emitted$().subscribe(({ n }) =>
    watch.out(
      'emitted',
      watch.cause(id, ({ event }) => event.n === n),
    ),
  )
  const ended = (): void =>
    watch.out(
      'result',
      watch.cause(id, ({ status, deleted }) => status === 'done' && !deleted),
    )
  session.result().then(ended, () => {})
  session
    .until(({ value }) => value === 'closed')
    .then(
      ({ seq: closed }) =>
        watch.out(
          'until',
          watch.cause(id, ({ seq }) => seq === closed),
        ),
      () => {},
    )
}

function remove(session: Session): void {
  const removed = (): void =>
    watch.out(
      'deleted',
      watch.cause(session.id, ({ deleted }) => deleted === true),
    )
  session.delete().then(removed, () => {})
}

/** From now on the `failsAt`th sync of the journal fails, and no other. */
function failLater(disk: CrashDisk, failsAt: number | undefined): void {
  let syncs = 0
  disk.onCall = (index, call) =>
    call.op === 'sync' && call.path.startsWith('journal/') && syncs++ === failsAt
      ? failAt(index, 'EIO')(index, call)
      : undefined
}

function send(session: Session, what: string, n: number): void {
  const sent = session.send({ type: what, ...(what === 'act' && { n }) })
  // A refusal tells what had been decided by then.
  const decided = watch.world?.appended.findLast(({ record }) => record.session === session.id)?.position ?? NOWHERE
  sent.then(
    ({ position }) => watch.out('acknowledged', position),
    (error: unknown) => {
      if (isHoldfastError(error, 'NOT_ACCEPTED', 'SESSION_ENDED')) watch.out('refused', decided)
    },
  )
}

/** Lives one life; gives what leaked. */
async function live({ acts, offThread, turns, failsAt }: Life): Promise<Watch> {
  watch = new Watch()
  let calls = 0
  const work = async (): Promise<string> => {
    if (++calls % 2 === 1) throw new Error('once more')
    return 'done'
  }
  const slow = async (): Promise<void> => {
    for (let left = turns; left > 0; left--) await turn()
  }
  const disk = createCrashDisk({ settle: slow })
  const world = await openWorld({
    disk,
    kinds: [kind],
    steps: () => ({ work }),
    // A limit below zero makes every blocking flush a stall, so that flushing moves off the main thread.
    journal: { stallMs: offThread ? -1 : 1, segmentBytes: 3000 },
    wrapPool: watched,
    onAppend: timer,
    onPoint: (phase) => phase === 'after' && watch.changed(),
  })
  watch.world = world
  world.runtime.transitions$({ from: 0 }).subscribe(({ position }) => watch.out('observer of all', position))
  const sessions = await Promise.all([0, 1, 2].map((n) => world.runtime.create(kind, { id: `s${n}` }, { id: `s${n}` })))
  for (const session of sessions) {
    watch.out(
      'created',
      watch.cause(session.id, ({ seq }) => seq === 1),
    )
    follow(session as unknown as Session)
  }
  failLater(disk, failsAt)
  for (const [n, { what, who }] of acts.entries()) {
    const session = sessions[who] as unknown as Session
    if (what === 'turn') await settle(world)
    else if (what === 'time') await world.clock.advance(25)
    else if (what === 'delete') remove(session)
    else send(session, what, n)
    look(world)
  }
  await settle(world)
  await world.clock.advance(200)
  await settle(world)
  await world.runtime.close()
  return watch
}

test(`in ${RUNS} lives nothing leaves a session before its record is durable`, async () => {
  const totals = new Map<string, number>()
  const property = fc.asyncProperty(life, async (told) => {
    const { leaks, counts } = await live(told)
    for (const [what, count] of counts) totals.set(what, (totals.get(what) ?? 0) + count)
    expect(leaks).toEqual([])
  })
  await fc.assert(property, { numRuns: RUNS, seed: Number(process.env.HOLDFAST_SEED ?? 8) })
  console.log(`exits: ${[...totals].map(([what, count]) => `${what} ${count}`).join(', ')}`)
  const kinds = [
    'acknowledged',
    'refused',
    'created',
    'step',
    'retry',
    'timer',
    'action',
    'emitted',
    'observer',
    'observer of all',
    'result',
    'until',
    'deleted',
    'listed',
    'shown',
  ]
  for (const what of kinds) expect(totals.get(what) ?? 0, what).toBeGreaterThan(RUNS / 10)
})
