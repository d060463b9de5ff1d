// What is waited for and asked after: the states of XState's `matches`, without XState; and nothing that can never come.
import fc from 'fast-check'
import { defineSession, openRuntime } from 'holdfast'
import { createVirtualClock } from 'holdfast/testing'
import { expect, test } from 'vitest'
import { matchesState, setup } from 'xstate'
import type { Wanted } from '../src/handle.js'
import { isIn } from '../src/wanted.js'
import { property } from './property.js'

const name = fc.constantFrom('a', 'b', 'c')
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, name, fc.dictionary(name, tie('value'), { minKeys: 1, maxKeys: 2 })),
})) as { value: fc.Arbitrary<string | Record<string, never>> }
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('.'))

property([value, fc.oneof(path, value)], { numRuns: 2000 })(
  'a state value is in those states in which XState says it is',
  (stands, asked) => {
    expect(isIn(stands, asked)).toBe(matchesState(asked, stands))
  },
)

const machine = setup({ types: { events: {} as { type: 'go' } } }).createMachine({
  initial: 'waiting',
  states: { waiting: { on: { go: 'on.fast' } }, on: { initial: 'slow', states: { slow: {}, fast: {} } } },
})
const kind = defineSession({ kind: 'lamp', version: 1, machine })

test('to wait for a state that the machine does not have is refused, with those that it has', async () => {
  await using runtime = await openRuntime({ storage: 'memory', kinds: [kind], pool: 'inline' })
  const session = await runtime.create(kind)
  const none: readonly Wanted<typeof machine>[] = ['wating', 'on.fat', { on: 'fat' }, { waiting: 'slow' }]
  for (const wanted of none) {
    await expect(session.until(wanted)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^the machine has no state .*; it has waiting, on$/),
    })
  }
  await session.send({ type: 'go' })
  for (const wanted of ['on', 'on.fast', { on: 'fast' }])
    expect((await session.until(wanted)).value).toEqual({ on: 'fast' })
})

test('who has waited long enough hears for what, and where the session is', async () => {
  const clock = createVirtualClock()
  await using runtime = await openRuntime({ storage: 'memory', kinds: [kind], pool: 'inline', clock })
  const session = await runtime.create(kind)
  const late = session.until('on', { timeoutMs: 300 }).catch((error) => error)
  await clock.advance(300)
  expect(await late).toMatchObject({
    code: 'TIMEOUT',
    message: `session ${session.id} did not come to "on" within 300 ms; it is in "waiting"`,
  })
})
