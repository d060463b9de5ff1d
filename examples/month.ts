// A durable timer of a month, in a moment: the runtime is given a clock that only this example moves. The process "ends" for ten
// days on the way; a timer is an absolute time on the disk, so it fires when the month is over, to the millisecond.

import { defineSession, openRuntime, type Runtime } from 'holdfast'
import { createVirtualClock } from 'holdfast/testing'
import { setup } from 'xstate'

const DAY_MS = 86_400_000

const machine = setup({ types: { events: {} as { type: 'pay' } } }).createMachine({
  initial: 'trial',
  states: {
    trial: { on: { pay: 'paid' }, after: { [30 * DAY_MS]: 'lapsed' } },
    paid: { type: 'final' },
    lapsed: { type: 'final' },
  },
})

const trial = defineSession({ kind: 'trial', version: 1, machine })

export async function aMonth(dir: string, say: (line: string) => void = console.log): Promise<void> {
  const clock = createVirtualClock(Date.parse('2026-01-01'))
  const open = (): Promise<Runtime> => openRuntime({ dir, kinds: [trial], clock })
  const today = (): string => new Date(clock.now()).toISOString()

  const first = await open()
  const { id } = await first.create(trial)
  await clock.advance(10 * DAY_MS)
  await first.close()
  say(`closed at ${today()}`)

  await clock.advance(10 * DAY_MS)
  await using runtime = await open()
  await clock.advance(10 * DAY_MS - 1)
  say(`${runtime.session(id, trial).snapshot().value} at ${today()}`)
  await clock.advance(1)
  const { value } = await runtime.session(id, trial).until('lapsed')
  say(`${value} at ${today()}`)
}
