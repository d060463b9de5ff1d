// The rules of pools over made-up seats that break, die, give tasks back and ignore aborts, on a virtual clock.

import { expect, test } from 'vitest'
import type { Chance } from '../src/chance.js'
import type { Clock } from '../src/clock.js'
import { createDispatch, type Seat, type SeatEnd, type Sitting } from '../src/dispatch.js'
import type { Outcome, TaskListener } from '../src/pool.js'
import { createSeededChance } from '../src/testing/chance.js'
import { createVirtualClock } from '../src/testing/clock.js'

const BROKEN = { name: 'Error', message: 'broken' }

/** A seat whose every turn is drawn; `faults` collects what the dispatch must never do to it. */
function drawnSeat(clock: Clock, chance: Chance, faults: string[], onRested: () => void): Seat {
  let standing: 'up' | 'cold' | 'resting' = 'cold'
  let busy = false
  const draw = (below: number): number => Math.floor(chance.random() * below)
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.setTimeout(resolve, ms))

  async function rested(): Promise<void> {
    await wait(draw(20))
    if (standing === 'resting') standing = 'cold'
    onRested()
  }

  async function open(): Promise<typeof BROKEN | undefined> {
    if (busy || standing === 'resting') faults.push(`opened while ${busy ? 'busy' : standing}`)
    if (standing === 'up') return undefined
    await wait(draw(10))
    standing = draw(8) === 0 ? 'resting' : 'up'
    return standing === 'up' ? undefined : BROKEN
  }

  function run(_task: unknown, _deadline: number | undefined, listener: TaskListener): Sitting {
    if (standing !== 'up' || busy) faults.push(`was handed a task while ${busy ? 'busy' : standing}`)
    busy = true
    let taken = false
    let withdrawn = false
    let settle: (end: SeatEnd) => void = () => {}
    const ended = new Promise<SeatEnd>((resolve) => {
      settle = (end) => {
        busy = false
        if (end.kind === 'crashed' || end.kind === 'terminated') standing = draw(2) ? 'resting' : 'cold'
        resolve(end)
      }
    })
    async function live(): Promise<void> {
      await wait(draw(2) * draw(10))
      if (withdrawn || draw(6) === 0) return settle({ kind: 'untouched' })
      taken = true
      await wait(draw(10)) // until it is noticed
      listener.started()
      await wait(draw(draw(8) === 0 ? 500 : 30))
      if (draw(5) === 0) settle({ kind: 'crashed', error: BROKEN })
      else settle({ kind: 'ended', outcome: { kind: 'done', output: 1 } })
    }
    void live()
    return {
      ended,
      withdraw() {
        withdrawn ||= !taken
        return withdrawn
      },
      abort: () => draw(2) && settle({ kind: 'ended', outcome: { kind: 'cancelled' } }),
      terminate: () => void clock.setTimeout(() => settle({ kind: 'terminated' }), draw(5)),
    }
  }

  return { standing: () => standing, rested, open, run, close: () => Promise.resolve() }
}

test.each(Array.from({ length: 60 }, (_, seed) => seed))(
  'every task settles once, whatever its seat does: seed %i',
  async (seed) => {
    const clock = createVirtualClock()
    const chance = createSeededChance(seed)
    const faults: string[] = []
    const seats = Array.from({ length: 1 + (seed % 3) }, () => drawnSeat(clock, chance, faults, () => startSoon(4)))
    const pool = createDispatch({ clock, seats, queueLimit: 10 })
    const outcomes: Outcome[] = []
    let tasks = 0

    function start(): void {
      let settled = false
      let cancelled = false
      const started = (): void => void (settled && faults.push('started after its end'))
      const quiet = { started, progress() {}, chunk() {}, log() {} }
      const limits = { queueTimeoutMs: 1 + Math.floor(chance.random() * 60), runTimeoutMs: 45 }
      const task = { module: 'm', name: 'n', input: null, idempotencyKey: 'k', attempt: 1, graceMs: 5 }
      const running = pool.run(chance.random() < 0.5 ? { ...task, ...limits } : task, quiet)
      tasks++
      void running.outcome.then((outcome) => {
        settled = true
        outcomes.push(outcome)
        const code = outcome.kind === 'failed' ? outcome.error.code : undefined
        if (cancelled && outcome.kind !== 'cancelled' && code !== 'STEP_TIMEOUT') faults.push('was cancelled in vain')
        if (chance.random() < 0.3) void startSoon(12)
      })
      const cancel = (): void => {
        cancelled = !settled
        running.cancel('drawn')
      }
      if (chance.random() < 0.3) clock.setTimeout(cancel, Math.floor(chance.random() * 60))
    }

    /** In the gaps between the microtasks of the pool itself. */
    async function startSoon(most: number): Promise<void> {
      for (let gaps = Math.floor(chance.random() * most); gaps > 0; gaps--) await undefined
      start()
    }

    for (let turn = 0; turn < 200; turn++) {
      start()
      await clock.advance(Math.floor(chance.random() * 25))
    }
    await clock.advance(60_000)

    expect(faults).toEqual([])
    expect(outcomes).toHaveLength(tasks)
    expect(pool.stats()).toMatchObject({ running: 0, queued: 0 })
    expect(new Set(outcomes.map((outcome) => outcome.kind))).toContain('done')
  },
)
