// What counts as JSON: a value that JSON gives back unchanged passes, and everything else is refused by its path.
// A copy shares nothing with what it was made from; a seal changes nothing but that it freezes.

import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HoldfastError } from '../src/errors.js'
import { copyJson, formatPath, isJson, type Json, type JsonPath, sealJson, sealShell } from '../src/json.js'

class Money {
  amount = 1
}

class Dated {
  toJSON(): string {
    return 'a date'
  }
}

class List extends Array<number> {}

const refused: readonly (readonly [what: string, make: () => unknown, says: string])[] = [
  ['a Date', () => new Date(0), 'is a Date'],
  ['a Map', () => new Map([[1, 2]]), 'is a Map'],
  ['a Set', () => new Set([1]), 'is a Set'],
  ['a frozen Map', () => Object.freeze(new Map()), 'is a Map'],
  ['an Error', () => new TypeError('no'), 'is a TypeError'],
  ['a RegExp', () => /x/, 'is a RegExp'],
  ['a Promise', () => Promise.resolve(1), 'is a Promise'],
  ['a URL', () => new URL('http://a.b/'), 'is a URL'],
  ['a Buffer', () => Buffer.from('abc'), 'is a Buffer'],
  ['a typed array', () => new Float64Array(2), 'is a Float64Array'],
  ['a boxed number', () => Object(1), 'is a Number'],
  ['a boxed string', () => Object('a'), 'is a String'],
  ['NaN', () => Number.NaN, 'is NaN'],
  ['Infinity', () => Number.POSITIVE_INFINITY, 'is Infinity'],
  ['-Infinity', () => Number.NEGATIVE_INFINITY, 'is -Infinity'],
  ['a bigint', () => 1n, 'is a bigint'],
  ['a symbol', () => Symbol('s'), 'is a symbol'],
  ['a function', () => () => 1, 'is a function'],
  ['a class', () => Money, 'is a function'],
  ['a class instance', () => new Money(), 'is a Money'],
  ['an instance of a class with toJSON', () => new Dated(), 'is a Dated'],
  ['an instance of a nameless class', () => new (class {})(), 'is a class instance'],
  ['an object that inherits fields', () => Object.create({ inherited: 1 }), 'is a'],
  ['an object with a toJSON method', () => ({ a: 1, toJSON: () => 'x' }), 'has a toJSON method'],
  ['an own key "__proto__"', () => JSON.parse('{"a":1,"__proto__":{"admin":true}}'), 'has a key "__proto__"'],
  ['an array with a toJSON method', () => Object.assign([1], { toJSON: () => 'x' }), 'has a toJSON method'],
  ['an instance of a subclass of Array', () => List.from([1, 2]), 'is a List'],
  ['an object with a symbol key', () => ({ a: 1, [Symbol('tag')]: 2 }), 'has a symbol as a key, Symbol\\(tag\\)'],
  ['an array with a symbol key', () => Object.assign([1], { [Symbol('tag')]: 2 }), 'has a symbol as a key'],
  ['a Date of another realm', () => runInNewContext('new Date(0)'), 'is a Date'],
  ['a Map of another realm', () => runInNewContext('new Map()'), 'is a Map'],
  ['a class instance of another realm', () => runInNewContext('new (class Foreign { a = 1 })()'), 'is a Foreign'],
]

/** The error that `act` throws, which must be a HoldfastError. */
function thrownBy(act: () => unknown): HoldfastError {
  try {
    act()
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const walks = [
  ['sealJson', (value: unknown) => sealJson(value, 'context')],
  ['copyJson', (value: unknown) => copyJson(value, 'context')],
] as const

/** Properties that JSON would drop, or that are no data: what makes a value have one, its path, and what is said. */
const hidden: readonly (readonly [what: string, make: () => object, path: string, says: string])[] = [
  ['a property that is not enumerable', () => defined({}, { value: 1, enumerable: false }), '.x', 'is not enumerable'],
  ['one that is undefined, too', () => defined({ a: 1 }, { enumerable: false }), '.x', 'is not enumerable'],
  ['a getter', () => defined({ a: 1 }, { get: () => 1, enumerable: true }), '.x', 'is an accessor'],
  ['a setter', () => defined({}, { set: () => {}, enumerable: true }), '.x', 'is an accessor'],
  ['a getter that is not enumerable', () => defined({}, { get: () => 1 }), '.x', 'is an accessor'],
  ['a getter that throws', () => defined({}, { get: () => expect.fail('it was run') }), '.x', 'is an accessor'],
  ['a named property of an array', () => Object.assign([1, 2], { x: 1 }), '.x', 'is a named property of an array'],
  ['one that is undefined, of an array', () => Object.assign([], { x: undefined }), '.x', 'is a named property'],
  ['a match of a pattern', () => 'ab'.match(/a/) as object, '.index', 'is a named property of an array'],
  // biome-ignore lint/suspicious/noSparseArray: a hole is what is refused
  ['a hole in an array that a name makes up for', () => Object.assign([1, , 3], { x: 1 }), '[1]', 'is undefined'],
  [
    'a named property of a long array',
    () => Object.assign(new Array(1000).fill(0), { x: 1 }),
    '.x',
    'is a named property of an array',
  ],
]

const defined = (value: object, property: PropertyDescriptor): object => Object.defineProperty(value, 'x', property)

for (const [name, walk] of walks) {
  test.each(hidden)(`${name} refuses %s by its path`, (_, make, path, says) => {
    for (const [value, root] of [
      [make(), 'context'],
      [{ a: [1, make()] }, 'context.a[1]'],
    ] as const) {
      const error = thrownBy(() => walk(value))
      expect(error).toMatchObject({ code: 'NOT_JSON', details: { path: `${root}${path}` } })
      expect(error.message).toContain(`${root}${path} ${says}`)
      expect(isJson(value)).toBe(false)
    }
  })

  test.each(refused)(
    `${name} refuses %s, at the root, in an object and in an array, and names the place`,
    (_, make, says) => {
      for (const [value, path] of [
        [make(), 'context'],
        [{ a: 1, b: { c: make() } }, 'context.b.c'],
        [{ list: [0, [1, make()]] }, 'context.list[1][1]'],
        [{ 'two words': { '1': make() } }, 'context["two words"]["1"]'],
      ] as const) {
        const error = thrownBy(() => walk(value))
        expect(error.code).toBe('NOT_JSON')
        expect(error.details).toEqual({ path })
        expect(error.message).toMatch(new RegExp(`^${path.replace(/[[\].]/g, '\\$&')} ${says}`))
      }
    },
  )

  test(`${name} refuses undefined where JSON would turn it into null or nothing at all`, () => {
    expect(thrownBy(() => walk(undefined)).details).toEqual({ path: 'context' })
    expect(thrownBy(() => walk({ a: [1, undefined] })).details).toEqual({ path: 'context.a[1]' })
    // biome-ignore lint/suspicious/noSparseArray: a hole is what is refused
    expect(thrownBy(() => walk([1, , 3])).details).toEqual({ path: 'context[1]' })
    expect(thrownBy(() => walk(new Array(3))).details).toEqual({ path: 'context[0]' })
  })

  test(`${name} takes an undefined property, which is the same as an absent one`, () => {
    expect(walk({ a: undefined, b: 1 })).toEqual({ b: 1 })
  })

  test(`${name} refuses a value that contains itself, and does not hang or exhaust the stack`, () => {
    const ring: Record<string, unknown> = { a: 1 }
    ring.self = ring
    const list: unknown[] = []
    list.push({ list })
    for (const cycle of [ring, list]) {
      const error = thrownBy(() => walk(cycle))
      expect(error.code).toBe('NOT_JSON')
      expect(error.message).toContain('(or contains itself)')
    }
  })

  test(`${name} takes 500 levels below the root and refuses the 501st`, () => {
    for (const wrap of [(inner: unknown) => ({ in: inner }), (inner: unknown) => [inner]]) {
      expect(() => walk(nested(500, wrap))).not.toThrow()
      expect(thrownBy(() => walk(nested(501, wrap))).message).toContain('deeper than 500 levels')
      expect(thrownBy(() => walk(nested(100_000, wrap))).message).toContain('deeper than 500 levels')
    }
  })

  test(`${name} takes objects and arrays of another realm, and those without a prototype`, () => {
    const foreign = runInNewContext('({ list: [1, { a: "b" }], nothing: null, yes: true })')
    expect(Object.getPrototypeOf(foreign)).not.toBe(Object.prototype)
    expect(JSON.stringify(walk(foreign))).toBe('{"list":[1,{"a":"b"}],"nothing":null,"yes":true}')
    expect(JSON.stringify(walk(Object.assign(Object.create(null), { a: [1] })))).toBe('{"a":[1]}')
  })

  test(`${name} names the very place of whatever is wrong, wherever that is`, () => {
    fc.assert(
      fc.property(json(), fc.nat(), fc.nat(refused.length - 1), (generated, seed, kind) => {
        const value = structuredClone(generated)
        const make = refused[kind]?.[1] as () => unknown
        const places = containers(value)
        const place = places[seed % places.length]
        if (!place) return
        const { container, path } = place
        const key = Array.isArray(container) ? container.length : 'planted'
        Object.defineProperty(container, key, { value: make(), enumerable: true, configurable: true, writable: true })
        expect(thrownBy(() => walk(value)).details).toEqual({ path: formatPath('context', [...path, key]) })
        expect(isJson(value)).toBe(false)
      }),
    )
  })

  test(`${name} keeps what JSON keeps: its result equals the round trip, and is frozen all the way down`, () => {
    fc.assert(
      fc.property(json(), (value) => {
        const roundTrip = JSON.parse(JSON.stringify(value))
        const walked = walk(value)
        expect(walked).toEqual(roundTrip)
        expect(JSON.stringify(walked)).toBe(JSON.stringify(value))
        expect(containers(walked as Json).every(({ container }) => Object.isFrozen(container))).toBe(true)
        expect(isJson(value)).toBe(true)
      }),
    )
  })
}

test('what a copy takes equals the round trip through JSON; whatever has more to it than that is refused', () => {
  const odd = fc.record({
    key: fc.oneof(fc.constantFrom('x', 'length of it', '0'), fc.constant(Symbol('s'))),
    property: fc.constantFrom<PropertyDescriptor>(
      { value: 1, enumerable: true },
      { value: undefined, enumerable: true },
      { value: 1 },
      { get: () => 1, enumerable: true },
      { get: () => 1 },
      { set: () => {}, enumerable: true },
    ),
  })
  fc.assert(
    fc.property(json(), fc.option(odd), fc.nat(), (generated, planted, seed) => {
      const value = structuredClone(generated)
      const places = containers(value)
      const place = places[seed % Math.max(places.length, 1)]
      const at = place && !Array.isArray(place.container) ? place.container : undefined
      if (planted && at) Object.defineProperty(at, planted.key, { ...planted.property, configurable: true })
      if (planted && place && !at) Object.assign(place.container, { named: 1 })
      // As it stands now: a property that was there already keeps what the planted one does not say.
      const { enumerable, get, set } = (planted && at && Object.getOwnPropertyDescriptor(at, planted.key)) ?? {}
      const plain = !planted || !place || (at && typeof planted.key === 'string' && enumerable && !get && !set)
      expect(isJson(value)).toBe(plain === true)
      if (plain) expect(copyJson(value, 'event')).toStrictEqual(JSON.parse(JSON.stringify(value)))
      else expect(thrownBy(() => copyJson(value, 'event')).code).toBe('NOT_JSON')
    }),
    { numRuns: 500 },
  )
})

test('a copy shares nothing with the original, which stays as it was and unfrozen', () => {
  fc.assert(
    fc.property(json(), (value) => {
      const before = structuredClone(value)
      const originals = new Set(containers(value).map(({ container }) => container))
      const copied = copyJson(value, 'event')
      expect(containers(copied).some(({ container }) => originals.has(container))).toBe(false)
      expect([...originals].some(Object.isFrozen)).toBe(false)
      expect(value).toEqual(before)
    }),
  )
})

test('a copy leaves out properties that are undefined', () => {
  expect(Object.keys(copyJson({ a: undefined, b: 1 }, 'event'))).toEqual(['b'])
})

test('a seal gives the same value back, frozen in place', () => {
  const value = { list: [{ a: 1 }], at: { b: { c: null } } }
  expect(sealJson(value, 'context')).toBe(value)
  expect([value, value.list, value.list[0], value.at, value.at.b].every(Object.isFrozen)).toBe(true)
})

test('a part that is shared by two places is no cycle', () => {
  const shared = { a: [1] }
  expect(copyJson({ x: shared, y: [shared, shared] }, 'event')).toEqual({ x: shared, y: [shared, shared] })
  expect(() => sealJson({ x: shared, y: [shared, shared] }, 'context')).not.toThrow()
})

test('a seal that begins deep inside a value counts the levels above it', () => {
  const path = Array.from({ length: 499 }, (_, level) => `k${level}`)
  expect(() => sealJson({ a: 1 }, 'context', [...path, 'last'])).not.toThrow()
  expect(thrownBy(() => sealJson({ a: { b: 1 } }, 'context', [...path, 'last'])).message).toContain('deeper than 500')
})

test('the path of a refusal begins where the value stands', () => {
  expect(thrownBy(() => sealJson({ at: new Date(0) }, 'context', ['items', 3])).details).toEqual({
    path: 'context.items[3].at',
  })
})

test('a shell is frozen without a look at its fields, and refused when it is not plain', () => {
  const shell = { inner: { a: 1 } }
  expect(sealShell(shell)).toBe(true)
  expect(Object.isFrozen(shell)).toBe(true)
  expect(Object.isFrozen(shell.inner)).toBe(false)
  for (const odd of [new Map(), ...hidden.filter(([what]) => !/long|hole/.test(what)).map(([, make]) => make())]) {
    expect(sealShell(odd)).toBe(false)
    expect(Object.isFrozen(odd)).toBe(false)
  }
})

test('a path is written as it would be in code', () => {
  expect(formatPath('context', [])).toBe('context')
  expect(formatPath('context', ['a', 0, '$b_1', 'two words', '1', ''])).toBe('context.a[0].$b_1["two words"]["1"][""]')
})

function nested(levels: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 'end'
  for (let level = 0; level <= levels; level++) value = wrap(value)
  return value
}

/** Every object and array in a value, with its path. */
function containers(value: Json, path: JsonPath = []): { container: object; path: JsonPath }[] {
  if (typeof value !== 'object' || value === null) return []
  const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value)
  const inner = keys.flatMap((key) => containers((value as Record<string | number, Json>)[key] as Json, [...path, key]))
  return [{ container: value, path }, ...inner]
}

/** Any JSON value that may be changed; `-0` is left out, because JSON writes it as `0`. */
function json(): fc.Arbitrary<Json> {
  const key = fc.string().filter((text) => text !== '__proto__' && text !== 'toJSON')
  const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n))
  return fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.oneof(
        fc.string({ unit: fc.constantFrom('a', ' ', 'ä', '\n', '\0', '\u2028', '\ud800', '😀') }),
        number,
        fc.boolean(),
        fc.constant(null),
      ),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value
}

test('what contains itself is told with the two ends of its path; the details have all of it', () => {
  const event: { type: string; self?: unknown } = { type: 'go' }
  event.self = event
  const error = thrownBy(() => copyJson(event, 'event')) as HoldfastError
  expect(error.message.length).toBeLessThan(300)
  expect(error.message).toMatch(/^event\.self\.self.* … .*\.self\.self is nested deeper than 500 levels/)
  expect(error.details.path).toBe(`event${'.self'.repeat(501)}`)
})
