// Patches: what a record keeps of a context. Applying the change from one value to the next gives the next, whatever the
// two are; the size of a patch follows the size of the change; what is not JSON is refused by its path.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HoldfastError } from '../src/errors.js'
import { type Json, sealJson } from '../src/json.js'
import { applyInPlace, applyPatch, diffAndSeal, type Patch } from '../src/patch.js'

type Changeable = null | boolean | number | string | Changeable[] | { [key: string]: Changeable | undefined }

/** As the journal gives it back: a copy that shares nothing, without what JSON leaves out. */
const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

/** Seals `before`, as the context of a session is, and takes the patch to `after` through storage and back. */
function follow(before: Json, after: unknown): { result: unknown; patch: Patch | undefined } {
  sealJson(before, 'context')
  const patch = diffAndSeal(before, after, 'context')
  const result = patch ? applyPatch(structuredClone(before), stored(patch)) : structuredClone(before)
  return { result, patch }
}

function refusal(before: Json, after: unknown): HoldfastError {
  try {
    follow(before, after)
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test('the patch from any JSON to any other, stored and applied, gives the other', () => {
  fc.assert(
    fc.property(json(), json(), (before, after) => {
      const { result } = follow(before as Json, after)
      expect(stored(result)).toEqual(stored(after))
    }),
    { numRuns: 500 },
  )
})

test('the patch for any change of any JSON, which shares the parts that stay, gives the changed value', () => {
  fc.assert(
    fc.property(json(), changes(), (start, all) => {
      sealJson(start, 'context')
      const after = all.reduce(change, start)
      expect(stored(follow(start as Json, after).result)).toEqual(stored(after))
    }),
    { numRuns: 500 },
  )
})

test('folding the patches of any sequence of changes gives the last value, at every point of the sequence', () => {
  fc.assert(
    fc.property(json(), changes(), (start, all) => {
      sealJson(start, 'context')
      let now = start
      let folded: unknown = structuredClone(start)
      for (const one of all) {
        const next = change(now, one)
        const patch = diffAndSeal(now, next, 'context')
        if (patch) folded = applyInPlace(folded, stored(patch))
        expect(folded).toEqual(stored(next))
        now = next
      }
    }),
    { numRuns: 300 },
  )
})

test('live patches, whose values are sealed and shared, apply as stored ones do, and nothing is written to by that', () => {
  fc.assert(
    fc.property(json(), changes(), (start, all) => {
      sealJson(start, 'context')
      const first = diffAndSeal(undefined, start, 'context') as Patch
      let now = start
      let live: unknown = applyPatch(undefined, first)
      let replayed: unknown = applyPatch(undefined, stored(first))
      for (const one of all) {
        const next = change(now, one)
        const patch = diffAndSeal(now, next, 'context')
        now = next
        if (!patch) continue
        const told = stored(patch)
        const kept = [stored(live), stored(patch), stored(replayed)]
        const results = [applyPatch(live, patch), applyPatch(replayed, told)]
        expect([stored(live), told, stored(replayed)]).toEqual(kept)
        expect(results.map(stored)).toEqual([stored(next), stored(next)])
        ;[live, replayed] = results
      }
    }),
    { numRuns: 300 },
  )
})

test('a patch that sets a part and then changes it can be applied again: the part is its own', () => {
  const patch: Patch = [
    [['list'], [1]],
    [['list'], 1, 0, 2],
    [['list', 0], 3],
  ]
  for (let time = 0; time < 2; time++) expect(applyPatch({ a: 1 }, patch)).toEqual({ a: 1, list: [3, 2] })
  expect(patch[0]).toEqual([['list'], [1]])
})

test('what is copied to apply a patch is copied once, however many operations write to it', () => {
  let copies = 0
  /** What is copied of it is one, too. */
  class Counted extends Array<{ readonly id: number }> {
    constructor(length = 0) {
      super(length)
      copies++
    }
  }
  const items = Array.from({ length: 1000 }, (_, id) => ({ id }))
  const after = { items: items.map(({ id }) => ({ id: id + 1 })) }
  const patch = diffAndSeal({ items }, after, 'context') as Patch
  expect(patch).toHaveLength(1000)
  const before = { items: Counted.from(items) }
  copies = 0
  expect(applyPatch(before, patch)).toEqual(after)
  expect(copies).toBe(1)
})

test('equal values give no patch: by reference, by content, and when they differ in undefined properties only', () => {
  fc.assert(
    fc.property(json(), (value) => {
      sealJson(value, 'context')
      expect(diffAndSeal(value, value, 'context')).toBeUndefined()
      expect(diffAndSeal(value, structuredClone(value), 'context')).toBeUndefined()
    }),
  )
  expect(follow({ a: 1 }, { a: 1, b: undefined }).patch).toBeUndefined()
  expect(follow({ a: 1, b: undefined } as unknown as Json, { a: 1 }).patch).toBeUndefined()
})

test('an undefined property is a removed one', () => {
  expect(follow({ a: 1, b: { c: 2, d: 3 } }, { a: undefined, b: { c: undefined, d: 3 } })).toEqual({
    result: { b: { d: 3 } },
    patch: [[['a']], [['b', 'c']]],
  })
})

test('a diff seals all of the new value and leaves the old one as it was', () => {
  fc.assert(
    fc.property(json(), changes(), (start, all) => {
      const kept = structuredClone(start)
      sealJson(start, 'context')
      const after = all.reduce(change, start)
      diffAndSeal(start, after, 'context')
      expect(everyPart(after, Object.isFrozen)).toBe(true)
      expect(start).toEqual(kept)
    }),
  )
})

test('parts that are equal by reference are not looked into', () => {
  const touched: PropertyKey[] = []
  const watched = new Proxy(Object.freeze({ a: 1 }), {
    ownKeys: (target) => {
      touched.push('ownKeys')
      return Reflect.ownKeys(target)
    },
    get: (target, key) => {
      touched.push(key)
      return Reflect.get(target, key)
    },
  })
  const before = { same: watched, list: [watched, watched], n: 1 }
  const patch = diffAndSeal(before, { ...before, n: 2, list: [watched, 0, watched] }, 'context')
  expect(patch).toEqual([
    [['list'], 1, 0, 0],
    [['n'], 2],
  ])
  expect(touched).toEqual([])
})

test('a change inside one item of a big array gives one operation on the place of the change', () => {
  const items = Array.from({ length: 10_000 }, (_, id) => ({ id, title: `item ${id}`, done: false }))
  const before = { items, other: { deep: items.slice(0, 10) } }
  const after = { ...before, items: items.map((item) => (item.id === 7_777 ? { ...item, done: true } : item)) }
  const { patch, result } = follow(before, after)
  expect(patch).toEqual([[['items', 7_777, 'done'], true]])
  expect(result).toEqual(after)
})

test.each<[string, (items: readonly number[]) => number[], Patch]>([
  ['appending', (items) => [...items, -1], [[['items'], 10_000, 0, -1]]],
  ['prepending', (items) => [-1, ...items], [[['items'], 0, 0, -1]]],
  ['inserting', (items) => items.toSpliced(5_000, 0, -1, -2), [[['items'], 5_000, 0, -1, -2]]],
  ['removing the first', (items) => items.slice(1), [[['items'], 0, 1]]],
  ['removing the last', (items) => items.slice(0, -1), [[['items'], 9_999, 1]]],
  ['removing from the middle', (items) => items.toSpliced(5_000, 3), [[['items'], 5_000, 3]]],
  ['replacing one by two', (items) => items.toSpliced(5_000, 1, -1, -2), [[['items'], 5_000, 1, -1, -2]]],
  ['emptying', () => [], [[['items'], 0, 10_000]]],
])('%s in a big array gives one splice of what has changed', (_, edit, expected) => {
  const before = { items: Array.from({ length: 10_000 }, (_, index) => index) }
  const after = { items: edit(before.items) }
  const { patch, result } = follow(before, after)
  expect(patch).toEqual(expected)
  expect(result).toEqual(after)
})

test('more items than a call takes arguments can be inserted at once', () => {
  const before = { items: ['first', 'last'] as (string | number)[] }
  const many = Array.from({ length: 300_000 }, (_, index) => index)
  const after = { items: ['first', ...many, 'last'] }
  const { result } = follow(before, after)
  expect((result as typeof after).items.length).toBe(300_002)
  expect(JSON.stringify(result)).toBe(JSON.stringify(after))
})

test('a change of one of many fields gives one operation', () => {
  const before = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`field ${index}`, { index }]))
  expect(follow(before, { ...before, 'field 7': { index: 8 } }).patch).toEqual([[['field 7', 'index'], 8]])
})

test('a value that changes its type as a whole is set as a whole', () => {
  expect(follow({ a: { b: 1 } }, { a: [1] }).patch).toEqual([[['a'], [1]]])
  expect(follow({ a: [1] }, { a: { 0: 1 } }).patch).toEqual([[['a'], { 0: 1 }]])
  expect(follow({ a: [1] }, { a: null }).patch).toEqual([[['a'], null]])
  expect(follow({ a: 1 }, [1]).patch).toEqual([[[], [1]]])
  expect(follow('a', 'b').patch).toEqual([[[], 'b']])
})

test('keys that look like indices, paths or inherited names are keys like any other', () => {
  const before = { '0': 'a', 'a.b': 1, '': 2 }
  const after = { '0': 'b', 'a.b': 2, '': 3, constructor: { name: 'x' }, hasOwnProperty: null, valueOf: 1 }
  expect(follow(before, after).result).toEqual(after)
  expect(follow(after as unknown as Json, before).result).toEqual(before)
})

class Cart {
  items = [1]
}

test.each<[string, Json, unknown, string]>([
  ['a new field', {}, { cart: new Cart() }, 'context.cart'],
  ['an object that becomes a class instance', { cart: { items: [1] } }, { cart: new Cart() }, 'context.cart'],
  ['an array that becomes a class instance', { cart: [1] }, { cart: new Cart() }, 'context.cart'],
  ['an object that becomes a frozen Map', { cart: { a: 1 } }, { cart: Object.freeze(new Map()) }, 'context.cart'],
  ['an object that becomes a Date', { at: {} }, { at: new Date(0) }, 'context.at'],
  ['the whole', { a: 1 }, new Cart(), 'context'],
  ['the whole, gone', { a: 1 }, undefined, 'context'],
  ['an item of the same place', { list: [{}, {}] }, { list: [{}, new Cart()] }, 'context.list[1]'],
  ['an item that is added', { list: [0, 1, 2] }, { list: [0, 1, { a: [new Cart()] }, 2] }, 'context.list[2].a[0]'],
  ['a field of an item', { list: [{ a: 1 }] }, { list: [{ a: Number.NaN }] }, 'context.list[0].a'],
  ['an item that becomes undefined', { list: [1, 2] }, { list: [1, undefined] }, 'context.list[1]'],
  ['an item that becomes a hole', { list: [1, 2] }, { list: Object.assign(new Array(2), [1]) }, 'context.list[1]'],
  ['a function', { run: null }, { run: () => 1 }, 'context.run'],
  ['a key "__proto__"', { a: { b: 1 } }, { a: JSON.parse('{"b":1,"__proto__":{}}') }, 'context.a'],
  ['an array that becomes one with a toJSON', { a: [1] }, { a: Object.assign([2], { toJSON: String }) }, 'context.a'],
  ['an array of a subclass', { a: [1] }, { a: class List extends Array {}.from([1, 2]) }, 'context.a'],
])('what JSON cannot hold is refused by its path: %s', (_, before, after, path) => {
  const error = refusal(before, after)
  expect(error.code).toBe('NOT_JSON')
  expect(error.details).toEqual({ path })
})

test('a value that contains itself is refused, also below parts that are compared', () => {
  const ring: Record<string, unknown> = { a: { b: {} } }
  ;(ring.a as Record<string, unknown>).b = ring
  expect(refusal({ a: { b: {} } }, ring).message).toContain('contains itself')
})

test('a context cannot grow deeper than a reader takes, however small the steps', () => {
  const deepen = (value: Json, levels: number): Json => (levels === 0 ? value : { in: deepen(value, levels - 1) })
  const grow = (value: Json): Json =>
    typeof value === 'object' && value !== null && 'in' in value ? { in: grow(value.in as Json) } : deepen('end', 100)
  let now: Json = deepen('end', 401)
  sealJson(now, 'context')
  const next: Json = grow(now)
  expect(diffAndSeal(now, next, 'context')).toHaveLength(1)
  now = next
  expect(refusal(now, grow(now)).message).toContain('nested deeper than 500 levels')
})

function everyPart(value: unknown, holds: (part: object) => boolean): boolean {
  if (typeof value !== 'object' || value === null) return true
  return holds(value) && Object.values(value).every((part) => everyPart(part, holds))
}

/** One change somewhere in a value; numbers choose the place and what happens there. */
interface Change {
  readonly path: readonly number[]
  readonly action: number
  readonly value: Changeable
}

/** The value after a change, made as an `assign` makes it: what does not change is shared. */
function change(value: Changeable, { path, action, value: put }: Change): Changeable {
  if (typeof value !== 'object' || value === null) return put
  const keys = Object.keys(value)
  const [first = 0, ...rest] = path
  const key = keys[first % Math.max(keys.length, 1)]
  if (rest.length > 0 && key !== undefined) {
    const inner = change((value as Record<string, Changeable>)[key] ?? null, { path: rest, action, value: put })
    return Array.isArray(value) ? value.with(Number(key), inner) : { ...value, [key]: inner }
  }
  if (Array.isArray(value)) {
    const at = first % (value.length + 1)
    const edits = [
      () => value.toSpliced(at, 0, put),
      () => value.toSpliced(at, 2),
      () => value.toSpliced(at, 1, put),
      () => value.toReversed(),
      () => [...value, put, put],
      () => put,
    ]
    return (edits[action % edits.length] as () => Changeable)()
  }
  const edits = [
    () => ({ ...value, [`k${first % 5}`]: put }),
    () => Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)),
    () => (key === undefined ? value : { ...value, [key]: undefined }),
    () => (key === undefined ? value : { ...value, [key]: put }),
    () => put,
  ]
  return (edits[action % edits.length] as () => Changeable)()
}

function changes(): fc.Arbitrary<Change[]> {
  const path = fc.array(fc.nat(9), { minLength: 1, maxLength: 4 })
  return fc.array(fc.record({ path, action: fc.nat(20), value: json() }), { minLength: 1, maxLength: 12 })
}

/** JSON with few keys and scalars, so that two of them have much in common. */
function json(): fc.Arbitrary<Changeable> {
  return fc.letrec<{ value: Changeable }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom<Changeable>(0, 1, 2, '', 'a', true, null, 1e21, '\ud800'),
      fc.array(tie('value'), { maxLength: 5 }),
      fc.dictionary(fc.constantFrom('k0', 'k1', 'k2', '0', 'a.b', ''), tie('value'), {
        maxKeys: 5,
        noNullPrototype: true,
      }),
    ),
  })).value
}

test('a window that slides gives a patch of what has left and what has come, whatever its length', () => {
  const before = Object.freeze(Array.from({ length: 1000 }, (_, index) => Object.freeze({ index })))
  const after = [...before.slice(2), { index: 1000 }, { index: 1001 }]
  expect(diffAndSeal(before, after, 'context')).toEqual([
    [[], 0, 2],
    [[], 998, 0, { index: 1000 }, { index: 1001 }],
  ])
})
