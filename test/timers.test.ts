// Deadlines: never early, at once when overdue, in the order of their times, however far away they are and wherever the
// clock jumps. Checked against a list that is searched from end to end.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createVirtualClock, type VirtualClock } from '../src/testing/clock.js'
import { Timers } from '../src/timers.js'

const DAY_MS = 86_400_000
/** The clock is looked at again after this long. */
const LONGEST_WAIT_MS = 60_000
/** As far as a timer of the clock reaches: 24.8 days. */
const REACH_MS = 2 ** 31 - 1
const START_MS = 1_700_000_000_000

/** A virtual clock that refuses a wait which a real one could not keep, or which would sleep through a jump. */
function createClock(): VirtualClock {
  const clock = createVirtualClock(START_MS)
  const setTimeout: VirtualClock['setTimeout'] = (run, ms) => {
    if (!Number.isInteger(ms) || ms < 0 || ms > LONGEST_WAIT_MS) throw new Error(`a timer cannot wait ${ms} ms`)
    return clock.setTimeout(run, ms)
  }
  return { ...clock, setTimeout }
}

function setUp(): { clock: VirtualClock; timers: Timers; called: string[]; call(name: string): () => void } {
  const clock = createClock()
  const called: string[] = []
  return {
    clock,
    timers: new Timers(clock),
    called,
    call: (name) => () => called.push(`${name}@${clock.now() - START_MS}`),
  }
}

test('a deadline is called at its time: not a millisecond early, not one late', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 1000, call('a'))
  await clock.advance(999)
  expect(called).toEqual([])
  await clock.advance(1)
  expect(called).toEqual(['a@1000'])
  await clock.advance(10_000)
  expect(called).toEqual(['a@1000'])
})

test('a deadline that is overdue is called at once, but not before arming it has returned', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS - 5000, call('past'))
  timers.arm(START_MS, call('now'))
  timers.arm(Number.NEGATIVE_INFINITY, call('ever'))
  expect(called).toEqual([])
  await clock.advance(0)
  expect(called).toEqual(['ever@0', 'past@0', 'now@0'])
})

test('deadlines are called in the order of their times, and of arming when the times are equal', async () => {
  const { clock, timers, called, call } = setUp()
  for (const [index, at] of [30, 10, 20, 10, 30, 20, 10].entries()) timers.arm(START_MS + at, call(`${index}`))
  await clock.advance(30)
  expect(called).toEqual(['1@10', '3@10', '6@10', '2@20', '5@20', '0@30', '4@30'])
})

test('a deadline beyond 24.8 days is waited for in stages and called on time', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 30 * DAY_MS, call('far'))
  timers.arm(START_MS + REACH_MS + 1, call('just'))
  await clock.advance(REACH_MS)
  expect(called).toEqual([])
  await clock.advance(1)
  expect(called).toEqual([`just@${REACH_MS + 1}`])
  await clock.advance(30 * DAY_MS - REACH_MS - 2)
  expect(called).toHaveLength(1)
  await clock.advance(1)
  expect(called.at(-1)).toBe(`far@${30 * DAY_MS}`)
})

test('a deadline at the end of time is never called and harms no other', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(8.64e15, call('end'))
  timers.arm(Number.POSITIVE_INFINITY, call('never'))
  timers.arm(START_MS + DAY_MS, call('far'))
  await clock.advance(DAY_MS)
  expect(called).toEqual([`far@${DAY_MS}`])
  expect(timers.size).toBe(2)
})

test('when the clock has jumped back, a deadline still waits for its time', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 1000, call('a'))
  await clock.advance(500)
  clock.set(START_MS - 10_000)
  await clock.advance(10_999)
  expect(called).toEqual([])
  await clock.advance(1)
  expect(called).toEqual(['a@1000'])
})

test('when the clock has jumped past a deadline, it is called at the latest when the wait under way ends', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 1000, call('a'))
  timers.arm(START_MS + 2000, call('b'))
  timers.arm(START_MS + 90_000, call('c'))
  clock.set(START_MS + 60_000)
  await clock.advance(1000)
  expect(called).toEqual(['a@61000', 'b@61000'])
  await clock.advance(29_000)
  expect(called).toEqual(['a@61000', 'b@61000', 'c@90000'])
})

test('a deadline far away that the clock has jumped past is called within a minute', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 30 * DAY_MS, call('far'))
  await clock.advance(150_000)
  clock.set(START_MS + 40 * DAY_MS)
  await clock.advance(29_999)
  expect(called).toEqual([])
  await clock.advance(1)
  expect(called).toEqual([`far@${40 * DAY_MS + 30_000}`])
})

test('a deadline that the clock has come back from is not called early, and on time by the clock as it is', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 90_000, call('a'))
  await clock.advance(30_000)
  clock.set(START_MS - DAY_MS)
  await clock.advance(DAY_MS + 89_999)
  expect(called).toEqual([])
  await clock.advance(1)
  expect(called).toEqual(['a@90000'])
})

test('the clock is asked for one wake-up a minute while a deadline is far away, and for none when nothing waits', async () => {
  const clock = createClock()
  let waits = 0
  const counting: VirtualClock['setTimeout'] = (run, ms) => {
    waits++
    return clock.setTimeout(run, ms)
  }
  const timers = new Timers({ ...clock, setTimeout: counting })
  await clock.advance(10 * LONGEST_WAIT_MS)
  expect(waits).toBe(0)
  const cancel = timers.arm(clock.now() + DAY_MS, () => {})
  await clock.advance(10 * LONGEST_WAIT_MS)
  expect(waits).toBe(11)
  cancel()
  await clock.advance(10 * LONGEST_WAIT_MS)
  expect(waits).toBe(11)
  expect(clock.pending()).toBe(0)
})

test('after a jump forward an earlier deadline armed since is called on time, and what is overdue with it', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + DAY_MS, call('day'))
  clock.set(START_MS + 2 * DAY_MS)
  timers.arm(START_MS + 5, call('new'))
  await clock.advance(0)
  expect(called).toEqual([`new@${2 * DAY_MS}`, `day@${2 * DAY_MS}`])
})

test('a cancelled deadline is never called, and cancelling is harmless at any time and any number of times', async () => {
  const { clock, timers, called, call } = setUp()
  const cancelA = timers.arm(START_MS + 10, call('a'))
  const cancelB = timers.arm(START_MS + 10, call('b'))
  timers.arm(START_MS + 20, call('c'))
  cancelA()
  cancelA()
  expect(timers.size).toBe(2)
  await clock.advance(10)
  expect(called).toEqual(['b@10'])
  cancelB()
  cancelB()
  cancelA()
  expect(timers.size).toBe(1)
  await clock.advance(10)
  expect(called).toEqual(['b@10', 'c@20'])
  expect(timers.size).toBe(0)
})

test('a deadline may cancel itself, others that are due with it, and those to come', async () => {
  const { clock, timers, called, call } = setUp()
  const cancels: (() => void)[] = []
  cancels.push(
    timers.arm(START_MS + 10, () => {
      call('a')()
      for (const cancel of cancels) cancel()
    }),
  )
  cancels.push(timers.arm(START_MS + 10, call('with it')), timers.arm(START_MS + 20, call('later')))
  timers.arm(START_MS + 30, call('kept'))
  await clock.advance(100)
  expect(called).toEqual(['a@10', 'kept@30'])
  expect(timers.size).toBe(0)
})

test('a deadline may arm others, overdue ones too, which are called after it', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 10, () => {
    call('first')()
    timers.arm(START_MS, call('overdue'))
    timers.arm(START_MS + 15, call('later'))
    called.push('returns')
  })
  timers.arm(START_MS + 12, call('second'))
  await clock.advance(20)
  expect(called).toEqual(['first@10', 'returns', 'overdue@10', 'second@12', 'later@15'])
})

test('a deadline that throws takes no other with it', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 10, () => {
    throw new Error('boom')
  })
  timers.arm(START_MS + 10, call('with it'))
  timers.arm(START_MS + 20, call('later'))
  await expect(clock.advance(100)).rejects.toThrow('boom')
  await clock.advance(100)
  expect(called.map((text) => text.split('@')[0])).toEqual(['with it', 'later'])
})

test('once stopped, nothing is called any more, nothing waits, and cancelling is still harmless', async () => {
  const { clock, timers, called, call } = setUp()
  const cancels = [10, 20, 30].map((at) => timers.arm(START_MS + at, call(`${at}`)))
  cancels[0]?.()
  timers.stop()
  expect(timers.size).toBe(0)
  expect(clock.pending()).toBe(0)
  for (const cancel of cancels) cancel()
  timers.arm(START_MS, call('after'))()
  timers.arm(START_MS, call('after'))
  expect(timers.size).toBe(0)
  await clock.advance(100)
  expect(called).toEqual([])
})

test('stopping from within a deadline ends what is due with it', async () => {
  const { clock, timers, called, call } = setUp()
  timers.arm(START_MS + 10, () => timers.stop())
  timers.arm(START_MS + 10, call('with it'))
  await clock.advance(100)
  expect(called).toEqual([])
})

test('however many deadlines wait, one timer of the clock waits for them, and cancelled ones do not count', async () => {
  const { clock, timers } = setUp()
  const far = timers.arm(START_MS + DAY_MS, () => {})
  for (let round = 0; round < 20_000; round++) timers.arm(START_MS + 2 * DAY_MS + round, () => {})()
  expect(timers.size).toBe(1)
  expect(clock.pending()).toBe(1)
  far()
  expect(timers.size).toBe(0)
})

type Action =
  | { readonly kind: 'arm'; readonly inMs: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'advance'; readonly byMs: number }
  | { readonly kind: 'jump'; readonly byMs: number }

interface Naive {
  readonly name: number
  readonly at: number
  readonly armedAt: number
  state: 'waits' | 'cancelled' | 'called'
}

const waitMs = (): fc.Arbitrary<number> =>
  fc.oneof(
    fc.integer({ min: -50, max: 300 }),
    fc.constantFrom(0, 1, LONGEST_WAIT_MS, LONGEST_WAIT_MS + 1, 9 * LONGEST_WAIT_MS),
  )

const steadily = (): fc.Arbitrary<Action>[] => [
  fc.record({ kind: fc.constant('arm' as const), inMs: waitMs() }),
  fc.record({ kind: fc.constant('arm' as const), inMs: fc.nat(200) }),
  fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(10_000) }),
  fc.record({ kind: fc.constant('advance' as const), byMs: waitMs().map((ms) => Math.max(ms, 0)) }),
]

const many = (actions: fc.Arbitrary<Action>[]): fc.Arbitrary<Action[]> =>
  fc.array(fc.oneof(...actions), { minLength: 20, maxLength: 120 })

const jumps = (): fc.Arbitrary<Action> =>
  fc.record({
    kind: fc.constant('jump' as const),
    byMs: fc.constantFrom(-9 * LONGEST_WAIT_MS, -150, -1, 1, 150, 100 * DAY_MS),
  })

test('on a steady clock every deadline is called at its time or on arming, in order, as in a naive model', async () => {
  await fc.assert(
    fc.asyncProperty(many(steadily()), async (actions) => {
      const clock = createClock()
      const timers = new Timers(clock)
      const model: Naive[] = []
      const cancels: (() => void)[] = []
      const called: string[] = []
      for (const action of actions) {
        if (action.kind === 'arm') {
          const name = model.length
          const at = clock.now() + action.inMs
          model.push({ name, at, armedAt: clock.now(), state: 'waits' })
          cancels.push(timers.arm(at, () => called.push(`${name}@${clock.now()}`)))
        } else if (action.kind === 'cancel') {
          const which = action.which % Math.max(model.length, 1)
          cancels[which]?.()
          const entry = model[which]
          if (entry?.state === 'waits') entry.state = 'cancelled'
        } else {
          called.length = 0
          await clock.advance(action.byMs)
          const due = model.filter(({ state, at }) => state === 'waits' && at <= clock.now())
          const when = ({ at, armedAt }: Naive): number => Math.max(at, armedAt)
          due.sort((a, b) => when(a) - when(b) || a.at - b.at || a.name - b.name)
          for (const entry of due) entry.state = 'called'
          expect(called).toEqual(due.map((entry) => `${entry.name}@${when(entry)}`))
        }
        expect(timers.size).toBe(model.filter(({ state }) => state === 'waits').length)
      }
    }),
    { numRuns: 60 },
  )
})

test('on a clock that jumps every deadline is called once, never early, never after its cancel, and in the end', async () => {
  await fc.assert(
    fc.asyncProperty(many([...steadily(), jumps()]), async (actions) => {
      const clock = createClock()
      const timers = new Timers(clock)
      const model: Naive[] = []
      const cancels: (() => void)[] = []
      const faults: string[] = []
      const arm = (at: number): void => {
        const entry: Naive = { name: model.length, at, armedAt: clock.now(), state: 'waits' }
        model.push(entry)
        const due = (): void => {
          if (entry.state !== 'waits') faults.push(`${entry.name} is called though ${entry.state}`)
          if (clock.now() < at) faults.push(`${entry.name} is called ${at - clock.now()} ms early`)
          entry.state = 'called'
        }
        cancels.push(timers.arm(at, due))
      }
      for (const action of actions) {
        if (action.kind === 'arm') arm(clock.now() + action.inMs)
        else if (action.kind === 'advance') await clock.advance(action.byMs)
        else if (action.kind === 'jump') clock.set(clock.now() + action.byMs)
        else {
          const which = action.which % Math.max(model.length, 1)
          cancels[which]?.()
          const entry = model[which]
          if (entry?.state === 'waits') entry.state = 'cancelled'
        }
        expect(timers.size).toBe(model.filter(({ state }) => state === 'waits').length)
      }
      const last = Math.max(clock.now(), ...model.map(({ at }) => at))
      await clock.advance(last - clock.now() + LONGEST_WAIT_MS)
      expect(faults).toEqual([])
      expect(model.filter(({ state }) => state === 'waits')).toEqual([])
      expect(timers.size).toBe(0)
    }),
    { numRuns: 60 },
  )
})
