// The contract of the Clock port, run over every adapter.

import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/clock.js'

export interface ClockFixture {
  readonly clock: Clock
  /** Lets that much of the clock's time pass. */
  pass(ms: number): Promise<void>
}

export function clockContract(name: string, create: () => ClockFixture): void {
  describe(`the clock contract: ${name}`, () => {
    test('time passes, in milliseconds', async () => {
      const { clock, pass } = create()
      const [now, elapsed] = [clock.now(), clock.elapsed()]
      await pass(20)
      expect(clock.now() - now).toBeGreaterThanOrEqual(19)
      expect(clock.elapsed() - elapsed).toBeGreaterThanOrEqual(19)
    })

    test('a timer runs once, when its time has come and not before', async () => {
      const { clock, pass } = create()
      let runs = 0
      clock.setTimeout(() => runs++, 40)
      await pass(5)
      expect(runs).toBe(0)
      await pass(60)
      await pass(60)
      expect(runs).toBe(1)
    })

    test('a timer of no time at all never runs synchronously', async () => {
      const { clock, pass } = create()
      let runs = 0
      clock.setTimeout(() => runs++, 0)
      expect(runs).toBe(0)
      await pass(5)
      expect(runs).toBe(1)
    })

    test('timers run in the order of their time; of equal ones the first set is first', async () => {
      const { clock, pass } = create()
      const ran: string[] = []
      clock.setTimeout(() => ran.push('late'), 60)
      clock.setTimeout(() => ran.push('first'), 20)
      clock.setTimeout(() => ran.push('second'), 20)
      await pass(100)
      expect(ran).toEqual(['first', 'second', 'late'])
    })

    test('a timer that is taken back does not run; taking it back again, or later, is harmless', async () => {
      const { clock, pass } = create()
      const ran: string[] = []
      const cancel = clock.setTimeout(() => ran.push('cancelled'), 10)
      const cancelTooLate = clock.setTimeout(() => ran.push('ran'), 10)
      cancel()
      cancel()
      await pass(40)
      cancelTooLate()
      expect(ran).toEqual(['ran'])
    })

    test('a timer may set another, and take one back', async () => {
      const { clock, pass } = create()
      const ran: string[] = []
      clock.setTimeout(() => {
        cancel()
        clock.setTimeout(() => ran.push('inner'), 10)
      }, 10)
      const cancel = clock.setTimeout(() => ran.push('cancelled'), 60)
      // In parts: a machine that is held up for all of one has let no time pass between the two timers.
      for (let part = 0; part < 5; part++) await pass(20)
      expect(ran).toEqual(['inner'])
    })

    test('soon is after this turn and its microtasks, in order, and needs no time to pass', async () => {
      const { clock } = create()
      const ran: string[] = []
      const both = new Promise<void>((resolve) => {
        clock.soon(() => ran.push('soon'))
        clock.soon(() => {
          ran.push('soon too')
          resolve()
        })
      })
      void Promise.resolve().then(() => ran.push('microtask'))
      ran.push('now')
      await both
      expect(ran).toEqual(['now', 'microtask', 'soon', 'soon too'])
    })

    test('a wait out of range is brought into it: none fires early', async () => {
      const { clock, pass } = create()
      const ran: string[] = []
      clock.setTimeout(() => ran.push('negative'), -5)
      const cancel = clock.setTimeout(() => ran.push('too long'), 2 ** 40)
      const cancelMax = clock.setTimeout(() => ran.push('longest'), 2 ** 31 - 1)
      await pass(20)
      expect(ran).toEqual(['negative'])
      cancel()
      cancelMax()
    })
  })
}
