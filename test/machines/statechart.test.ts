import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { routesOf, shortestPaths, simplePaths, stateName } from './statechart.js'

const door = setup({ types: { context: {} as { opened: number } } }).createMachine({
  context: { opened: 0 },
  initial: 'closed',
  states: {
    closed: { on: { open: 'opened', lock: 'locked' } },
    opened: {
      entry: assign({ opened: ({ context }) => context.opened + 1 }),
      on: { close: 'closed', knock: { actions: () => {} } },
    },
    locked: { on: { unlock: { guard: ({ event }) => event.key === 1, target: 'closed' }, destroy: 'gone' } },
    gone: { type: 'final' },
  },
})
const events = [
  ...['open', 'lock', 'close', 'knock', 'destroy'].map((type) => ({ type })),
  { type: 'unlock', key: 1 },
  { type: 'unlock', key: 2 },
]

test('a machine is drawn as what leads where, and nothing else', () => {
  expect(routesOf(door, { events })).toEqual({
    closed: { open: ['opened'], lock: ['locked'] },
    opened: { close: ['closed'], knock: ['opened'] },
    locked: { unlock: ['closed'], destroy: ['gone'] },
    gone: {},
  })
})

test('every state has a shortest path, and simple paths visit none twice', () => {
  expect(
    shortestPaths(door, { events })
      .map(({ end }) => end.value)
      .sort(),
  ).toEqual(['closed', 'gone', 'locked', 'opened'])
  for (const { states } of simplePaths(door, { events })) expect(new Set(states).size).toBe(states.length)
  expect(simplePaths(door, { events }).map(({ states }) => states.join(' '))).toContain('locked gone')
})

test('a state is named by its path, regions beside each other', () => {
  expect(stateName('a')).toBe('a')
  expect(stateName({ a: { b: 'c' } })).toBe('a.b.c')
  expect(stateName({ a: { x: 'on', y: {} } })).toBe('a.x.on|y')
})
