// The machine that all rivals run: one event, two states, a counter. As small as a transition gets.
import { defineSession } from 'holdfast'
import { assign, setup } from 'xstate'

const count = assign({ count: ({ context }) => context.count + 1 })

export const machine = setup({}).createMachine({
  id: 'tick',
  context: ({ input }) => ({ count: 0, ...input }),
  initial: 'even',
  states: {
    even: { on: { tick: { target: 'odd', actions: count } } },
    odd: { on: { tick: { target: 'even', actions: count } } },
  },
})

export const tick = defineSession({ kind: 'tick', version: 1, machine })

/** The line that the journal writes for one transition of it, for rivals that only write. */
export const LINE = Buffer.from(
  '0b1fe1ab 5f13a2c4 {"batch":1234567,"session":"01932c07-6b7e-7c1a-9d3f-2b8f6d1c9a10","seq":1234,"prev":1234321,' +
    '"at":"2026-01-01T00:00:00.000Z","event":{"type":"tick"},"value":"odd","from":"even","patch":[[["count"],1234]]}\n',
)
