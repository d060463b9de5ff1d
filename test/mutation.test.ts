// Finding a change in place: a traced value reads like the value, and names the place of the first write to it.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HoldfastError } from '../src/errors.js'
import { copyJson, formatPath, type JsonPath } from '../src/json.js'
import { isMutationError, tracePaths } from '../src/mutation.js'

// Values that are written to against their types
type Loose = any

const context = {
  title: 'x',
  items: [
    { id: 1, tags: ['a', 'b'] },
    { id: 2, tags: [] },
  ],
  'two words': { n: 1 },
  nothing: null,
}

const writes: readonly (readonly [what: string, write: (value: Loose) => void, path: string])[] = [
  ['setting a field', (c) => (c.title = 'y'), 'context.title'],
  ['setting a field to what it is', (c) => (c.title = 'x'), 'context.title'],
  ['adding a field', (c) => (c.extra = 1), 'context.extra'],
  ['deleting a field', (c) => delete c.title, 'context.title'],
  ['setting a field of an item', (c) => (c.items[1].id = 3), 'context.items[1].id'],
  ['setting an item', (c) => (c.items[0] = null), 'context.items[0]'],
  ['pushing', (c) => c.items[0].tags.push('c'), 'context.items[0].tags[2]'],
  ['popping', (c) => c.items[0].tags.pop(), 'context.items[0].tags[1]'],
  ['shifting', (c) => c.items.shift(), 'context.items[0]'],
  ['splicing', (c) => c.items.splice(0, 1), 'context.items[0]'],
  ['sorting', (c) => c.items[0].tags.sort().reverse(), 'context.items[0].tags[0]'],
  ['reversing', (c) => c.items.reverse(), 'context.items[0]'],
  ['emptying by length', (c) => (c.items.length = 0), 'context.items.length'],
  ['Object.assign', (c) => Object.assign(c['two words'], { n: 2 }), 'context["two words"].n'],
  ['Object.defineProperty', (c) => Object.defineProperty(c, 'hidden', { value: 1 }), 'context.hidden'],
  [
    'writing to what a loop gives',
    (c) => {
      for (const item of c.items) item.seen = true
    },
    'context.items[0].seen',
  ],
  ['writing to what find gives', (c) => (c.items.find((i: Loose) => i.id === 2).id = 3), 'context.items[1].id'],
  [
    'writing to what destructuring gives',
    ({ items: [, last] }) => (last.tags.length = 1),
    'context.items[1].tags.length',
  ],
]

test.each(writes)(
  '%s throws an error that is recognised, and on a traced value one that names the path',
  (_, write, path) => {
    let plain: unknown
    try {
      write(copyJson(context, 'context'))
    } catch (error) {
      plain = error
    }
    expect(plain).toBeInstanceOf(TypeError)
    expect(isMutationError(plain)).toBe(true)

    let traced: unknown
    try {
      write(tracePaths(copyJson(context, 'context'), 'context'))
    } catch (error) {
      traced = error
    }
    expect(traced).toBeInstanceOf(HoldfastError)
    expect(traced).toMatchObject({ code: 'CONTEXT_MUTATED', details: { path } })
    expect((traced as Error).message).toContain(`${path} was changed in place`)
  },
)

test('a traced value reads as the value does', () => {
  fc.assert(
    fc.property(json(), (value) => {
      const traced = tracePaths(copyJson(value, 'event'), 'event')
      expect(traced).toEqual(value)
      expect(JSON.stringify(traced)).toBe(JSON.stringify(value))
      expect(Array.isArray(traced)).toBe(Array.isArray(value))
    }),
  )
})

test('a traced array works like one: iteration, copying methods and spreads', () => {
  const traced = tracePaths(copyJson(context, 'context'), 'context')
  expect([...traced.items].map(({ id }) => id)).toEqual([1, 2])
  expect(traced.items.toSorted((a, b) => b.id - a.id).map(({ id }) => id)).toEqual([2, 1])
  expect([...traced.items, { id: 3, tags: [] }]).toHaveLength(3)
  expect({ ...traced, title: 'y' }).toEqual({ ...context, title: 'y' })
  expect(traced.items.concat(traced.items)).toHaveLength(4)
  expect('title' in traced && Object.keys(traced)).toEqual(Object.keys(context))
})

test('copies of a traced value may be changed', () => {
  const traced: Loose = tracePaths(copyJson(context, 'context'), 'context')
  const copied = [...traced.items]
  copied.push(1)
  expect(copied).toHaveLength(3)
})

test('a write anywhere in any value names its place', () => {
  fc.assert(
    fc.property(json(), fc.nat(), (value, seed) => {
      const copied = copyJson(value, 'event')
      const places = pathsOf(copied)
      const path = places[seed % Math.max(places.length, 1)]
      if (!path) return
      let parent: Loose = tracePaths(copied, 'event')
      for (const key of path.slice(0, -1)) parent = parent[key]
      expect(() => (parent[path.at(-1) as string] = 'changed')).toThrow(
        expect.objectContaining({ details: { path: formatPath('event', path) } }),
      )
    }),
  )
})

test('errors that have nothing to do with a change in place are not taken for one', () => {
  expect(isMutationError(new TypeError('x is not a function'))).toBe(false)
  expect(isMutationError(new Error('Cannot read properties of undefined'))).toBe(false)
  expect(isMutationError('Cannot assign to read only property')).toBe(false)
})

test('an error whose message XState has wrapped is still recognised', () => {
  const wrapped = "Unable to evaluate guard 'g' in transition for event 'e' in state node 'm.a':\n"
  expect(isMutationError(new Error(`${wrapped}Cannot add property 3, object is not extensible`))).toBe(true)
})

/** Any JSON without the one key that is refused. */
const json = (): fc.Arbitrary<unknown> =>
  fc.jsonValue().filter((value) => !JSON.stringify(value).includes('"__proto__"'))

function pathsOf(value: unknown, path: JsonPath = []): JsonPath[] {
  if (typeof value !== 'object' || value === null) return path.length > 0 ? [path] : []
  const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value)
  const inner = keys.flatMap((key) => pathsOf((value as Record<string | number, unknown>)[key], [...path, key]))
  return path.length > 0 ? [path, ...inner] : inner
}
