// The public door: JSON of the right shape comes in, as a frozen copy; what pretends to be the machine's own does not.

import type { StandardSchemaV1 } from '@standard-schema/spec'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMachine } from 'xstate'
import { type AnySessionKind, defineSession } from '../src/define.js'
import { admitEvent, admitId, admitInput, admitKey } from '../src/door.js'
import { HoldfastError } from '../src/errors.js'

// What comes from outside has no type
type Loose = any

/** A kind with schemas; a schema is its validate function. */
function kindWith(schemas: { input?: Loose; events?: Loose } = {}): AnySessionKind {
  const schema = (validate: Loose): StandardSchemaV1 => ({ '~standard': { version: 1, vendor: 'hand', validate } })
  return defineSession({
    kind: 'order',
    version: 1,
    machine: createMachine({}),
    ...(schemas.input && { input: schema(schemas.input) as Loose }),
    ...(schemas.events && { events: schema(schemas.events) as Loose }),
  })
}

const plain = kindWith()

function refusal(act: () => unknown): HoldfastError {
  try {
    act()
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

test('an event is admitted as a frozen copy that shares nothing with what was given', () => {
  const event = { type: 'go', list: [{ a: 1 }] }
  const admitted = admitEvent(plain, event) as typeof event
  expect(admitted).toEqual(event)
  expect(admitted.list).not.toBe(event.list)
  expect(Object.isFrozen(admitted) && Object.isFrozen(admitted.list[0])).toBe(true)
  expect(Object.isFrozen(event)).toBe(false)
})

test.each([
  undefined,
  null,
  'go',
  7,
  true,
  [],
  ['go'],
  {},
  { type: undefined },
  { type: '' },
  { type: 7 },
  { type: ['go'] },
  () => 1,
])('what is no event is refused: %j', (event) => {
  const error = refusal(() => admitEvent(plain, event))
  expect(error.code).toBe('INVALID_EVENT')
  expect(error.message).toContain('{ type: "start" }')
})

test.each([
  'xstate.init',
  'xstate.stop',
  'xstate.done.actor.w',
  'xstate.error.actor.w',
  'xstate.after.10.m.a',
  'xstate.',
  'holdfast.attempt',
  'holdfast.',
  '*',
])('an event that only the runtime may send is refused: %s', (type) => {
  const error = refusal(() => admitEvent(plain, { type }))
  expect(error.code).toBe('INVALID_EVENT')
  expect(error.message).toContain(`"${type}"`)
})

test.each(['xstate', 'xstates.go', 'my.xstate.go', 'holdfasts', 'a.*', ' ', 'XSTATE.stop', 'constructor', '__proto__'])(
  'an event whose type only looks reserved is admitted: %s',
  (type) => {
    expect(admitEvent(plain, { type })).toEqual({ type })
  },
)

test('an event that JSON cannot hold is refused, naming the path', () => {
  expect(refusal(() => admitEvent(plain, { type: 'go', at: { when: new Date(0) } }))).toMatchObject({
    code: 'NOT_JSON',
    details: { path: 'event.at.when' },
  })
  class Go {
    type = 'go'
  }
  expect(refusal(() => admitEvent(plain, new Go())).code).toBe('NOT_JSON')
  expect(refusal(() => admitEvent(plain, JSON.parse('{"type":"go","__proto__":{"x":1}}'))).code).toBe('NOT_JSON')
})

test('an event cannot change its type between the look at it and the copy', () => {
  let looks = 0
  const event = {
    get type() {
      return looks++ === 0 ? 'go' : 'xstate.stop'
    },
  }
  const admitted = (() => {
    try {
      return admitEvent(plain, event).type
    } catch {
      return 'refused'
    }
  })()
  expect(admitted).not.toBe('xstate.stop')
})

test('any JSON object with a type of its own is admitted unchanged', () => {
  const key = fc.string().filter((name) => name !== '__proto__' && name !== 'toJSON')
  const type = fc.string({ minLength: 1 }).filter((text) => !/^(xstate|holdfast)\.|^\*$/.test(text))
  const fields = fc.dictionary(key, fc.constantFrom(0, 'a', null, true, [1, { b: [] }]), { noNullPrototype: true })
  fc.assert(
    fc.property(type, fields, (name, rest) => {
      expect(admitEvent(plain, { ...rest, type: name })).toEqual({ ...rest, type: name })
    }),
  )
})

test('the schema of the events decides, and says what is wrong where', () => {
  const kind = kindWith({
    events: (event: Loose) =>
      event.qty > 0
        ? { value: event }
        : {
            issues: [
              { message: 'must be positive', path: ['qty'] },
              { message: 'is odd', path: [{ key: 'a' }, 0, 'b'] },
              { message: 'all wrong' },
            ],
          },
  })
  expect(admitEvent(kind, { type: 'add', qty: 1 })).toEqual({ type: 'add', qty: 1 })
  const error = refusal(() => admitEvent(kind, { type: 'add', qty: 0 }))
  expect(error.code).toBe('INVALID_EVENT')
  expect(error.message).toBe('event "add" is not valid: qty: must be positive; a.0.b: is odd; all wrong')
  expect(error.details).toEqual({
    issues: [
      { message: 'must be positive', path: 'qty' },
      { message: 'is odd', path: 'a.0.b' },
      { message: 'all wrong', path: '' },
    ],
  })
})

test('what a schema makes of an event is admitted, frozen, and checked like the event itself', () => {
  const shared = { by: 'schema' }
  const kind = kindWith({ events: (event: Loose) => ({ value: { ...event, qty: Number(event.qty), shared } }) })
  const admitted = admitEvent(kind, { type: 'add', qty: '3' })
  expect(admitted).toEqual({ type: 'add', qty: 3, shared: { by: 'schema' } })
  expect(Object.isFrozen(shared)).toBe(false)
  expect(Object.isFrozen(admitted)).toBe(true)
  const dated = kindWith({ events: (event: Loose) => ({ value: { ...event, at: new Date(0) } }) })
  expect(refusal(() => admitEvent(dated, { type: 'add' }))).toMatchObject({
    code: 'NOT_JSON',
    details: { path: 'event.at' },
  })
})

test.each([{ type: 'xstate.stop' }, { type: '' }, {}, undefined, 'text'])(
  'a schema cannot smuggle in what the door refuses: %j',
  (value) => {
    const kind = kindWith({ events: () => ({ value }) })
    expect(refusal(() => admitEvent(kind, { type: 'go' })).code).toMatch(/INVALID_EVENT|NOT_JSON/)
  },
)

test('a schema sees a copy, so it cannot change what was given', () => {
  const event = { type: 'go', list: [1] }
  const kind = kindWith({
    events: (seen: Loose) => {
      expect(Object.isFrozen(seen)).toBe(true)
      expect(seen).not.toBe(event)
      return { value: seen }
    },
  })
  admitEvent(kind, event)
  expect(event).toEqual({ type: 'go', list: [1] })
})

test('a reserved event does not even reach the schema', () => {
  const kind = kindWith({
    events: () => {
      throw new Error('reached')
    },
  })
  expect(refusal(() => admitEvent(kind, { type: 'xstate.stop' })).code).toBe('INVALID_EVENT')
})

test('a schema that validates asynchronously is a fault of the kind, also when it fails later', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  const kind = kindWith({
    events: () => Promise.reject(new Error('later')),
    input: async (value: unknown) => ({ value }),
  })
  expect(refusal(() => admitEvent(kind, { type: 'go' })).code).toBe('INVALID_KIND')
  expect(refusal(() => admitInput(kind, 1)).message).toContain('validates asynchronously')
  await new Promise((resolve) => setTimeout(resolve, 5))
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

test('an input may be absent, or any JSON, and is admitted as a frozen copy', () => {
  const input = { list: [1] }
  expect(admitInput(plain, undefined)).toBeUndefined()
  expect(admitInput(plain, null)).toBeNull()
  expect(admitInput(plain, 'text')).toBe('text')
  const admitted = admitInput(plain, input) as typeof input
  expect(admitted).toEqual(input)
  expect(admitted.list).not.toBe(input.list)
  expect(Object.isFrozen(admitted.list)).toBe(true)
  expect(refusal(() => admitInput(plain, { at: new Date(0) }))).toMatchObject({
    code: 'NOT_JSON',
    details: { path: 'input.at' },
  })
})

test('the schema of the input decides, also about an absent one, and may give a default', () => {
  const kind = kindWith({
    input: (value: Loose) => (value?.bad ? { issues: [{ message: 'bad' }] } : { value: value ?? { title: 'none' } }),
  })
  expect(admitInput(kind, undefined)).toEqual({ title: 'none' })
  const error = refusal(() => admitInput(kind, { bad: true }))
  expect(error.code).toBe('INVALID_INPUT')
  expect(error.message).toBe('input of "order" is not valid: bad')
  expect(admitInput(kindWith({ input: () => ({ value: undefined }) }), 1)).toBeUndefined()
  expect(refusal(() => admitInput(kindWith({ input: () => ({ value: new Map() }) }), 1)).code).toBe('NOT_JSON')
})

test.each(['a', 'A', '0', 'a-b_c', '0190b8a2-7c1e-7d3e-8000-0123456789ab', 'x'.repeat(64)])('%s is an id', (id) => {
  expect(admitId(id)).toBe(id)
})

test.each([
  ...[
    '',
    '.',
    '..',
    '../x',
    '..\\x',
    'a/b',
    'a\\b',
    '/etc/passwd',
    'a.json',
    '-a',
    '_a',
    'a b',
    ' a',
    'a\n',
    '\na',
    'a\0',
    'ä',
    'C:',
  ],
  ...['a%2fb', '~', '*', 'x'.repeat(65), undefined, null, 7, {}, ['a'], { toString: () => 'a' }],
])('%j is not an id', (id) => {
  expect(refusal(() => admitId(id)).code).toBe('INVALID_ID')
})

test('whatever is an id names a file in its folder and no other', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('a', '.', '/', '\\', '-', '_', '\0', ':') })),
      (text) => {
        try {
          admitId(text)
        } catch {
          return
        }
        expect(text).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
      },
    ),
  )
})

test('an idempotency key is any text of 1 to 256 characters', () => {
  for (const key of ['a', '../x', ' ', 'ä'.repeat(256)]) expect(admitKey(key)).toBe(key)
  for (const key of ['', 'a'.repeat(257), undefined, null, 7, ['a'], {}]) {
    expect(refusal(() => admitKey(key)).code).toBe('INVALID_ARGUMENT')
  }
})
