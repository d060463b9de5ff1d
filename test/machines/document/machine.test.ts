// The statechart of a document as a table: what leads where, and nothing else; the same refusals from a session.

import fc from 'fast-check'
import { type DocumentEvent, document, documentMachine } from 'holdfast/machines/document'
import { checkDurable } from 'holdfast/testing'
import { describe, expect, test } from 'vitest'
import { house } from '../../house.js'
import { routesOf, shortestPaths, simplePaths } from '../statechart.js'

const AT = '2026-01-02T03:04:05.678Z'
const INPUT = { title: 'Checkout', initial_content: '# Checkout\n', created_at: AT }
const EVENTS = [
  { type: 'update', content: { base: 1, edit: [[0, 1, '# Pay\n']] }, at: AT },
  { type: 'pause', reason: 'waiting', at: AT },
  { type: 'resume', at: AT },
  { type: 'convert', project_id: 'p', work_item_ids: ['wi-1'], at: AT },
  { type: 'finishWorkItem', work_item_id: 'wi-1', at: AT },
  { type: 'archive', at: AT },
] as const satisfies readonly DocumentEvent[]
const walk = { input: INPUT, events: EVENTS }

/** As the kind is described, and nothing else. */
const ROUTES: Record<string, Record<string, string[]>> = {
  active: { update: ['active'], pause: ['paused'], convert: ['converted'], archive: ['archived'] },
  paused: { resume: ['active'], archive: ['archived'] },
  converted: { finishWorkItem: ['converted'], archive: ['archived'] },
  archived: {},
}

test('the machine is the table, and nothing else', () => {
  expect(routesOf(documentMachine, walk)).toEqual(ROUTES)
})

test('every simple path ends in a state of the table', () => {
  const paths = simplePaths(documentMachine, walk)
  expect(new Set(paths.map(({ states }) => states.join(' ')))).toEqual(
    new Set(['', 'paused', 'paused archived', 'converted', 'converted archived', 'archived']),
  )
})

describe.each(shortestPaths(documentMachine, walk))('a session that took $events.length events', ({ events, end }) => {
  const state = String(end.value)
  const refused = EVENTS.filter(({ type }) => !(type in (ROUTES[state] ?? {})))

  test(`in ${state} refuses ${refused.map(({ type }) => type).join(', ')}, and stays as it is`, async () => {
    await using runtime = await house([document]).open()
    const session = await runtime.create(document, INPUT)
    for (const event of events) await session.send(event as DocumentEvent)
    const before = session.snapshot()
    expect(before.value).toBe(state)
    for (const event of refused) {
      const code = state === 'archived' ? 'SESSION_ENDED' : 'NOT_ACCEPTED'
      await expect(session.send(event)).rejects.toMatchObject({ code })
    }
    expect(session.snapshot()).toEqual(before)
  })
})

describe('an update of the content', () => {
  const open = async () => {
    const runtime = await house([document]).open()
    return { runtime, session: await runtime.create(document, INPUT) }
  }

  test.each([
    ['from another revision', { base: 0, edit: [[0, 1, 'x']] }],
    ['by an edit that does not fit', { base: 1, edit: [[5, 1, 'x']] }],
  ] as const)('%s is refused', async (_, content) => {
    const { runtime, session } = await open()
    await using _runtime = runtime
    await expect(session.send({ type: 'update', content })).rejects.toMatchObject({ code: 'NOT_ACCEPTED' })
  })

  test.each([
    ['a negative place', { base: 1, edit: [[-1, 1, 'x']] }],
    ['no splice', { base: 1, edit: [] }],
    ['a text that is none', { base: 1, edit: [[0, 1, 7]] }],
  ])('with %s is INVALID_EVENT', async (_, content) => {
    const { runtime, session } = await open()
    await using _runtime = runtime
    await expect(session.send({ type: 'update', content } as never)).rejects.toMatchObject({ code: 'INVALID_EVENT' })
  })
})

test('it survives crashes anywhere, in every state, as if there had been none', async () => {
  const piece = fc.constantFrom('', 'a. ', 'line\n', 'more\n')
  const splice = fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 1 }), piece)
  const content = fc.record({ base: fc.integer({ min: 1, max: 3 }), edit: fc.tuple(splice) })
  const fields = fc.record({ title: fc.constantFrom('A', 'B'), content, at: fc.constant(AT) }, { requiredKeys: ['at'] })
  const update = fields.map((given): DocumentEvent => ({ type: 'update', ...given }))
  const event = fc.oneof(update, update, fc.constantFrom<DocumentEvent>(...EVENTS))
  const { crashes, runs } = await checkDurable(document, {
    runs: Number(process.env.HOLDFAST_RUNS ?? 60),
    input: fc.constant(INPUT),
    events: fc.array(event, { minLength: 1, maxLength: 12 }),
  })
  expect(crashes).toBeGreaterThan(runs / 4)
})
