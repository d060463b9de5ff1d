// A machine with a bug that no test of one process shows: it numbers its reservations from a variable of its module, which
// begins again at 1 after each restart. `checkDurable` finds it, shrinks it, and says how to see it again.

import { defineSession, isHoldfastError } from 'holdfast'
import { checkDurable } from 'holdfast/testing'
import { assign, setup } from 'xstate'

let lastNumber = 0

const machine = setup({
  types: {
    context: {} as { reserved: readonly number[] },
    events: {} as { type: 'reserve' | 'release' | 'pay' },
  },
}).createMachine({
  context: { reserved: [] },
  initial: 'open',
  states: {
    open: {
      on: {
        // The bug: a number that is not in the context.
        reserve: { actions: assign({ reserved: ({ context }) => [...context.reserved, ++lastNumber] }) },
        release: { actions: assign({ reserved: ({ context }) => context.reserved.slice(1) }) },
        pay: { guard: ({ context }) => context.reserved.length > 0, target: 'paid' },
      },
      after: { 600000: { actions: assign({ reserved: [] }) } },
    },
    paid: { type: 'final' },
  },
})

const booking = defineSession({ kind: 'booking', version: 1, machine })

try {
  await checkDurable(booking, { runs: 200, seed: 1 })
  console.log('no difference was found')
} catch (error) {
  if (!isHoldfastError(error, 'CHECK_FAILED')) throw error
  console.log(error.message)
}
