// A session kind that has everything a record can hold, and lives that are lived with it: sessions come and go, steps fail
// and are tried again, timers fire, histories are entered, a large event now and then. The same seed is the same life.

import { assign, emit, raise, sendTo, setup } from 'xstate'
import { defineSession } from '../../src/define.js'
import { loadState } from '../../src/history.js'
import { step } from '../../src/steps.js'
import type { VirtualClock } from '../../src/testing/clock.js'
import { settle, type World } from '../../src/testing/world.js'

type Shout = (input: { text: string }) => Promise<string>

export const busy = defineSession({
  kind: 'busy',
  version: 1,
  steps: 'sim:steps',
  machine: setup({
    types: {
      context: {} as { count: number; said: string[]; note: string },
      events: {} as
        | { type: 'add' | 'work' | 'pause' | 'resume' | 'finish' | 'echo' | 'heard' | 'later' | 'late' | 'fail' }
        | { type: 'note'; text: string },
      emitted: {} as { type: 'counted'; count: number },
    },
    actors: { shout: step<Shout>('shout', { attempts: 2, backoffMs: 10 }) },
  }).createMachine({
    id: 'busy',
    context: { count: 0, said: [], note: '' },
    initial: 'on',
    states: {
      on: {
        initial: 'calm',
        states: {
          calm: { on: { work: 'working' }, after: { 50: { actions: assign({ count: plus(100) }) } } },
          working: {
            invoke: {
              id: 'shout',
              src: 'shout',
              input: ({ context }) => ({ text: `n${context.count}` }),
              onDone: {
                target: 'calm',
                actions: assign({ said: ({ context, event }) => [...context.said.slice(-3), event.output] }),
              },
              onError: 'calm',
            },
          },
          memory: { type: 'history' },
        },
        on: {
          add: {
            actions: [assign({ count: plus(1) }), emit(({ context }) => ({ type: 'counted', count: context.count }))],
          },
          note: { actions: assign({ note: ({ event }) => event.text }) },
          echo: { actions: sendTo(({ self }) => self, { type: 'heard' }) },
          heard: { actions: assign({ count: plus(10) }) },
          later: { actions: raise({ type: 'late' }, { id: 'late', delay: 20 }) },
          late: { actions: assign({ count: plus(1000) }) },
          fail: { guard: ({ context }) => context.count > 500, target: 'end' },
          pause: 'off',
          finish: 'end',
        },
      },
      off: { on: { resume: 'on.memory' } },
      end: { type: 'final' },
    },
    output: ({ context }) => context.count,
  }),
  index: ({ context }) => ({ many: context.count > 100 }),
})

function plus(more: number) {
  return ({ context }: { context: { count: number } }): number => context.count + more
}

/** Every third call fails; each takes some time. */
export const busySteps = (clock: VirtualClock): Record<string, unknown> => {
  let calls = 0
  const shout = ({ text }: { text: string }, { signal }: { signal: AbortSignal }): Promise<string> =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      const fails = ++calls % 3 === 1
      clock.setTimeout(() => (fails ? reject(new Error('hoarse')) : resolve(text.toUpperCase())), (calls % 4) * 5)
    })
  return { shout }
}

const IDS = ['s0', 's1', 's2', 's3']
const TYPES = [
  'add',
  'add',
  'work',
  'work',
  'pause',
  'resume',
  'resume',
  'echo',
  'later',
  'late',
  'fail',
  'note',
] as const

/** One thing that happens, drawn by `random`. What goes wrong for a sender is its own affair here. */
export async function happen(world: World, random: () => number): Promise<void> {
  const draw = random()
  if (draw < 0.5) void burst(world, random)
  else if (draw < 0.75) await world.clock.advance([5, 15, 60][Math.floor(random() * 3)] as number)
  else if (draw < 0.95) await settle(world)
  else await snapshot(world, random)
}

/** Several events to several sessions in one turn: one batch. Sessions that are not there are created. */
async function burst({ runtime }: World, random: () => number): Promise<void> {
  const calls: Promise<unknown>[] = []
  for (let left = 1 + Math.floor(random() * 4); left > 0; left--) {
    const id = IDS[Math.floor(random() * IDS.length)] as string
    const type = TYPES[Math.floor(random() * TYPES.length)] as 'add'
    const text = 'x'.repeat(random() < 0.2 ? 3000 : 5)
    if (!runtime.sessions.list().sessions.some((entry) => entry.id === id)) {
      calls.push(runtime.create(busy, undefined, { id }))
    } else if (random() < 0.07) calls.push(runtime.session(id).delete())
    else if (random() < 0.03) calls.push(runtime.session(id).send({ type: 'finish' }))
    else calls.push(runtime.session(id).send({ type, ...((type as string) === 'note' && { text }) }))
  }
  await Promise.allSettled(calls)
}

/** Creates every session that is not there, and sends each of them something. */
export async function everybody({ runtime }: World): Promise<void> {
  const there = runtime.sessions.list().sessions.map(({ id }) => id)
  for (const id of IDS) if (!there.includes(id)) await runtime.create(busy, undefined, { id })
  await Promise.allSettled(IDS.map((id) => runtime.session(id).send({ type: 'work' })))
}

/** Sooner than the runtime itself would: its records are never so many here. */
async function snapshot({ runtime, journal, snapshots }: World, random: () => number): Promise<void> {
  const { sessions } = runtime.sessions.list()
  const one = sessions[Math.floor(random() * sessions.length)]
  if (one) await snapshots.write(loadState(journal, snapshots, runtime.session(one.id).entry() as never))
}
