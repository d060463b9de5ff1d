// A kind for simulated hours that has what `busy` has not: child sessions that are told things and answer, and sessions that
// stumble, over an action or over what nobody waits for, and are restarted. When is decided by chance of its own.

import { assign, sendParent, sendTo, setup } from 'xstate'
import { defineSession } from '../../src/define.js'
import { createSeededChance } from '../../src/testing/chance.js'

let random: () => number = createSeededChance(1).random

/** From here on sessions stumble as this seed has it. */
export function stumbleBy(seed: number): void {
  random = createSeededChance(~seed).random
}

function stumble(): void {
  if (random() < 0.1) throw new Error('it stumbles')
}

const guest = setup({
  types: {
    context: {} as { heard: number },
    events: {} as { type: 'hello'; n: number } | { type: 'goodbye' },
    input: {} as { n: number },
  },
}).createMachine({
  context: ({ input }) => ({ heard: input.n }),
  initial: 'here',
  states: {
    here: {
      on: {
        hello: {
          actions: [
            assign({
              heard: ({ context, event }) => {
                stumble()
                return context.heard + event.n
              },
            }),
            sendParent(({ context }) => ({ type: 'thanks', heard: context.heard })),
          ],
        },
        goodbye: 'gone',
      },
      after: { 600000: 'gone' },
    },
    gone: { type: 'final' },
  },
  output: ({ context }) => context.heard,
})

export const household = defineSession({
  kind: 'household',
  version: 1,
  supervision: { restart: 'transient', intensity: 1000, attempts: 10, backoffMs: 100 },
  machine: setup({
    types: {
      context: {} as { said: number; thanked: number; guests: number },
      events: {} as
        | { type: 'invite' | 'say' | 'wave' | 'leave' | 'back' | 'close' }
        | { type: 'thanks'; heard: number },
    },
    actors: { guest },
    actions: { stumble },
  }).createMachine({
    context: { said: 0, thanked: 0, guests: 0 },
    initial: 'quiet',
    states: {
      quiet: { on: { invite: 'company', close: 'closed' } },
      company: {
        invoke: {
          id: 'guest',
          src: 'guest',
          input: ({ context }) => ({ n: context.guests }),
          onDone: {
            target: 'quiet',
            actions: assign({
              guests: ({ context }) => {
                stumble()
                return context.guests + 1
              },
            }),
          },
        },
        exit: sendTo('guest', { type: 'hello', n: 100 }),
        on: {
          say: {
            actions: [
              assign({ said: ({ context }) => context.said + 1 }),
              sendTo('guest', ({ context }) => ({ type: 'hello', n: context.said })),
              'stumble',
            ],
          },
          wave: { actions: sendTo('guest', { type: 'goodbye' }) },
          leave: 'away',
        },
        after: { 300000: 'away' },
      },
      away: { on: { back: 'company', invite: 'quiet' } },
      closed: { type: 'final' },
    },
    on: {
      thanks: {
        actions: assign({
          thanked: ({ context }) => {
            stumble()
            return context.thanked + 1
          },
        }),
      },
    },
  }),
})
