// checkDurable with `from`: a state that no migration covers is found, and shrunk to the one event that leads there; an
// upgrade that covers all passes, whether the old version was closed or lost its power.
import { defineSession, isHoldfastError, type SessionKind, step } from 'holdfast'
import { type CheckReport, checkDurable } from 'holdfast/testing'
import { expect, test } from 'vitest'
import { type AnyActorLogic, assign, setup } from 'xstate'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 50)

const childOf = (state: string) =>
  setup({}).createMachine({ initial: state, states: { [state]: { after: { 700: 'over' } }, over: { type: 'final' } } })

/** An order with a child session and a step, whose held state and whose child's state are named by the version. */
const machineOf = (held: string, packing: string) =>
  setup({
    types: {
      context: {} as { adds: number; note?: string },
      events: {} as { type: 'add' | 'hold' | 'go' | 'pack' | 'end' },
    },
    actors: { packer: childOf(packing), charge: step('charge') as AnyActorLogic },
  }).createMachine({
    context: { adds: 0 },
    initial: 'open',
    states: {
      open: {
        on: {
          add: { actions: assign({ adds: ({ context }) => context.adds + 1 }) },
          hold: held,
          pack: 'packed',
          end: 'over',
        },
      },
      [held]: { on: { go: 'open' }, after: { 86400000: 'over' } },
      packed: { invoke: { id: 'p', src: 'packer', onDone: 'charging' }, on: { go: 'open' } },
      charging: { invoke: { id: 'c', src: 'charge', onDone: 'over', onError: 'open' } },
      over: { type: 'final' },
    },
  })

const old = defineSession({ kind: 'order', version: 1, machine: machineOf('held', 'packing'), steps: 's' })

const upgraded = (mapped: { readonly [state: string]: string }, childMapped: { readonly [state: string]: string }) =>
  defineSession({
    ...{ kind: 'order', version: 2, machine: machineOf('onHold', 'wrapping'), steps: 's' },
    migrate: {
      1: ({ value, context }) => ({
        value: mapped[value as string] ?? value,
        context: { ...context, note: `${(context as { adds: number }).adds} before` },
      }),
    },
    children: {
      packer: { migrate: { 1: ({ value }) => ({ value: childMapped[value as string] ?? (value as string) }) } },
    },
  })

const steps = { charge: async () => 'charged' }

async function checkOf(kind: SessionKind<any>, replay: object = { seed: 7 }): Promise<CheckReport | string> {
  try {
    return await checkDurable(kind, { from: old, steps, runs: RUNS, ...replay })
  } catch (error) {
    if (isHoldfastError(error, 'CHECK_FAILED')) return error.message
    throw error
  }
}

test(`an upgrade that covers every state passes ${RUNS} runs, of which some end by a close, others by a power cut`, async () => {
  const report = await checkOf(upgraded({ held: 'onHold' }, { packing: 'wrapping' }))
  expect(report).toMatchObject({ runs: RUNS })
  const { features, crashes, inFlight, records } = report as CheckReport
  console.log(`${records} records, ${crashes} power cuts, ${inFlight} in flight, ${JSON.stringify(features)}`)
  for (const feature of ['closed', 'power cut', 'migrated']) expect(features[feature]).toBeGreaterThan(RUNS / 10)
  expect(inFlight).toBeGreaterThan(0)
})

test('a state that the new machine lacks and no migration maps is found, shrunk to its event, and told again', async () => {
  const message = await checkOf(upgraded({}, { packing: 'wrapping' }))
  expect(message).toContain('version 2 of session kind "order" does not take over version 1: ')
  expect(message).toMatch(/a session of "order" in the state "held" is parked: STATE_UNKNOWN: .*held/)
  const story = '\n   1. create with version 1\n   2. send {"type":"hold"}\n   3. close\n   4. open with version 2\n\n'
  expect(message).toContain(story)
  const again = /tell it again: await checkDurable\(kind, { \.\.\.options, seed: (-?\d+), path: '([\d:]+)' }\)$/
  const [, seed, path] = again.exec(message as string) as unknown as [string, string, string]
  expect(await checkOf(upgraded({}, { packing: 'wrapping' }), { seed: Number(seed), path })).toBe(message)
})

test('a state of a child session that no migration maps is found', async () => {
  const message = await checkOf(upgraded({ held: 'onHold' }, {}))
  expect(message).toMatch(/a session of "order\.packer" in the state "packing" is parked: STATE_UNKNOWN: /)
  expect(message).toContain('\n   2. send {"type":"pack"}\n   3. close\n')
})

test('a version without a step to it is found with no event at all', async () => {
  const message = await checkOf(
    defineSession({ ...{ kind: 'order', version: 2, steps: 's' }, machine: machineOf('held', 'packing') }),
  )
  expect(message).toMatch(/in the state "open" is parked: MIGRATION_MISSING: /)
  expect(message).toContain('\n   1. create with version 1\n   2. close\n   3. open with version 2\n')
})

test('what is no older version of the kind is refused', async () => {
  await expect(checkDurable(old, { from: old, steps })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})
