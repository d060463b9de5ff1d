// Error envelopes: whatever was thrown becomes JSON that tells as much of it as JSON can, and comes back as an Error.
// Encoding never throws, however hostile the thrown value is.

import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeError, type ErrorEnvelope, encodeError } from '../src/envelope.js'
import { HoldfastError } from '../src/errors.js'
import { isJson } from '../src/json.js'

/** Through storage and back. */
const stored = (error: unknown): ErrorEnvelope => JSON.parse(JSON.stringify(encodeError(error))) as ErrorEnvelope

test('an error keeps its name, message, code, stack and own fields through storage', () => {
  const error = Object.assign(new TypeError('no such file'), { code: 'ENOENT', errno: -2, at: { path: ['a', 1] } })
  const back = decodeError(stored(error))
  expect(back).toBeInstanceOf(Error)
  expect(back.name).toBe('TypeError')
  expect(back.message).toBe('no such file')
  expect(back.stack).toBe(error.stack)
  expect(back).toMatchObject({ code: 'ENOENT', errno: -2, at: { path: ['a', 1] } })
  expect(String(back)).toBe('TypeError: no such file')
})

test('an error of this library keeps its code and its details', () => {
  const error = new HoldfastError('NOT_ACCEPTED', 'not now', { details: { accepts: ['go'] } })
  expect(stored(error)).toMatchObject({ name: 'HoldfastError', code: 'NOT_ACCEPTED', details: { accepts: ['go'] } })
  expect(decodeError(stored(error))).toMatchObject({ name: 'HoldfastError', code: 'NOT_ACCEPTED' })
})

test('fields that are not JSON are left out, and the others stay', () => {
  const error = Object.assign(new Error('x'), {
    at: new Date(0),
    run: () => 1,
    self: {},
    size: 1n,
    ok: 1,
    no: undefined,
  })
  error.self = error
  const { stack: _, ...envelope } = encodeError(error)
  expect(envelope).toEqual({ name: 'Error', message: 'x', ok: 1 })
})

test('causes are kept, but not without end', () => {
  const root = Object.assign(new Error('disk'), { code: 'EIO' })
  const back = decodeError(stored(new Error('journal', { cause: root })))
  expect(back.cause).toBeInstanceOf(Error)
  expect(back.cause).toMatchObject({ message: 'disk', code: 'EIO' })

  let chain = new Error('0')
  for (let depth = 1; depth < 100; depth++) chain = new Error(String(depth), { cause: chain })
  const messages: string[] = []
  for (let at: unknown = decodeError(stored(chain)); at instanceof Error; at = at.cause) messages.push(at.message)
  expect(messages).toEqual(['99', '98', '97', '96', '95'])

  const ring = new Error('ring')
  ring.cause = ring
  expect(isJson(encodeError(ring))).toBe(true)
})

test('a cause that is no error becomes one', () => {
  expect(decodeError(stored(new Error('x', { cause: 'a text' }))).cause).toMatchObject({ message: 'a text' })
})

test('what is thrown and is no error keeps its text, and itself when it is JSON', () => {
  expect(encodeError('boom')).toEqual({ name: 'Error', message: 'boom', thrown: 'boom' })
  expect(encodeError({ reason: 'x' })).toEqual({ name: 'Error', message: '{"reason":"x"}', thrown: { reason: 'x' } })
  expect(encodeError(null)).toEqual({ name: 'Error', message: 'null', thrown: null })
  expect(encodeError(undefined)).toEqual({ name: 'Error', message: 'undefined' })
  expect(encodeError(Symbol('s'))).toEqual({ name: 'Error', message: 'Symbol(s)' })
  expect(encodeError(10n)).toEqual({ name: 'Error', message: '10' })
  expect(encodeError(new Map([[1, 2]]))).toEqual({ name: 'Error', message: '{}' })
})

test('an error of another realm, and anything with a name and a message, is an error', () => {
  expect(encodeError(runInNewContext('new RangeError("far")'))).toMatchObject({ name: 'RangeError', message: 'far' })
  expect(encodeError({ name: 'Remote', message: 'said so', code: 7 })).toEqual({
    name: 'Remote',
    message: 'said so',
    code: 7,
  })
})

test('an envelope may be encoded again without a change', () => {
  const once = stored(Object.assign(new Error('x', { cause: new TypeError('y') }), { code: 'E', list: [1] }))
  expect(stored(decodeError(once))).toEqual(once)
})

const hostile: readonly (readonly [what: string, make: () => unknown])[] = [
  ['a cyclic object without a prototype', () => cyclic(Object.create(null))],
  ['an object whose toJSON throws and which has no prototype', () => bomb(Object.create(null), 'toJSON')],
  ['an object whose fields throw when read', () => trap({}, 'field')],
  ['an error whose message throws when read', () => trap(new Error('x'), 'message')],
  ['an error whose name throws when read', () => trap(new Error('x'), 'name')],
  ['an error whose stack throws when read', () => trap(new Error('x'), 'stack')],
  ['an error whose field throws when read', () => trap(new Error('x'), 'field')],
  ['an error whose cause throws when read', () => trap(new Error('x'), 'cause')],
  ['an error whose message cannot be a text', () => Object.assign(new Error('x'), { message: Object.create(null) })],
  ['an error whose name is a symbol', () => Object.assign(new Error('x'), { name: Symbol('n') })],
  ['a revoked proxy', revoked],
  ['a proxy that refuses everything', () => new Proxy({}, { get: explode, has: explode, ownKeys: explode })],
]

test.each(hostile)('encoding never throws and gives JSON: %s', (_, make) => {
  for (const thrown of [make(), new Error('outer', { cause: make() })]) {
    const envelope = encodeError(thrown)
    expect(isJson(envelope)).toBe(true)
    expect(decodeError(envelope)).toBeInstanceOf(Error)
  }
})

test('encoding anything gives JSON that decodes to an error', () => {
  fc.assert(
    fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }), (thrown) => {
      for (const value of [
        thrown,
        Object.assign(new Error('x'), { field: thrown }),
        new Error('x', { cause: thrown }),
      ]) {
        const envelope = encodeError(value)
        expect(isJson(envelope)).toBe(true)
        expect(decodeError(stored(value))).toBeInstanceOf(Error)
      }
    }),
  )
})

function explode(): never {
  throw new Error('touched')
}

function cyclic(object: Record<string, unknown>): unknown {
  object.self = object
  return object
}

function bomb(object: Record<string, unknown>, method: string): unknown {
  object[method] = explode
  return object
}

function trap(object: object, field: string): unknown {
  return Object.defineProperty(object, field, { get: explode, enumerable: true })
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
