// The pure functions over a session's state: the original's 65 cases by its groups, and the laws behind them.

import fc from 'fast-check'
import {
  SESSION_STATUSES,
  SESSION_TRANSITIONS,
  SessionConfig,
  SessionState,
  type SessionStatus,
} from 'holdfast/machines/agent'
import { describe, expect, test } from 'vitest'

const NOW = new Date('2030-01-02T03:04:05.678Z')
const LATER = new Date('2030-01-02T04:00:00.000Z')

type State = SessionState

/** What a call gave, which must have worked. */
function ok<T extends { readonly ok: boolean }>(result: T): Extract<T, { readonly ok: true }> {
  expect(result).toMatchObject({ ok: true })
  return result as Extract<T, { readonly ok: true }>
}

const created = (options = {}): State => ok(SessionState.new('session-1', options, NOW)).state
const inStatus = (status: SessionStatus): State => {
  const ways: Record<SessionStatus, SessionStatus[]> = {
    initializing: [],
    active: ['active'],
    idle: ['active', 'idle'],
    terminating: ['active', 'terminating'],
    terminated: ['terminated'],
  }
  return ways[status].reduce((state, to) => ok(SessionState.transition(state, to, NOW)).state, created())
}

describe('Config', () => {
  test('has the defaults of the original', () => {
    expect(ok(SessionConfig.new()).config).toEqual({
      max_conversations: 100,
      timeout_minutes: 30,
      persistence_enabled: false,
      features: [],
    })
  })

  test('takes the fields that are given, and refuses what is not valid or not known', () => {
    const own = { max_conversations: 3, timeout_minutes: 0.5, persistence_enabled: true, features: ['shell'] }
    expect(ok(SessionConfig.new(own)).config).toEqual(own)
    const wrong = [
      { max_conversations: 0 },
      { max_conversations: 1.5 },
      { timeout_minutes: 0 },
      { timeout_minutes: '30' },
      { timeout_minutes: Number.NaN },
      { persistence_enabled: 'yes' },
      { features: 'all' },
      { features: [1] },
      { colour: 'red' },
      null,
      [],
    ]
    for (const config of wrong) {
      expect(SessionConfig.new(config as never), JSON.stringify(config)).toMatchObject({
        ok: false,
        error: 'invalid_config',
      })
    }
  })
})

describe('new', () => {
  test('makes a state that is initializing', () => {
    expect(created().status).toBe('initializing')
  })

  test('has the id that is given', () => {
    expect(created().session_id).toBe('session-1')
  })

  test('begins with no tasks, no conversations and no error', () => {
    expect(created()).toMatchObject({
      active_tasks: [],
      conversation_count: 0,
      error: null,
      llm_config: {},
      metadata: {},
    })
  })

  test('stamps created_at and updated_at with the same time', () => {
    expect([created().created_at, created().updated_at]).toEqual([NOW, NOW])
    const before = Date.now()
    const { created_at } = ok(SessionState.new('session-1')).state
    expect(created_at.getTime()).toBeGreaterThanOrEqual(before)
  })

  test('takes a config, filled up with defaults', () => {
    expect(created({ config: { timeout_minutes: 5 } }).config).toMatchObject({
      timeout_minutes: 5,
      max_conversations: 100,
    })
  })

  test('takes llm_config and metadata', () => {
    const options = { llm_config: { model: 'a/b', temperature: 0.2 }, metadata: { project: 'shop', tags: ['x'] } }
    expect(created(options)).toMatchObject(options)
  })

  test.each([
    ['', 'invalid_session_id'],
    ['   ', 'invalid_session_id'],
    [undefined, 'invalid_session_id'],
    [null, 'invalid_session_id'],
    [7, 'invalid_session_id'],
    [{ id: 'x' }, 'invalid_session_id'],
  ])('refuses the id %j', (id, error) => {
    expect(SessionState.new(id as never)).toMatchObject({
      ok: false,
      error,
      message: expect.stringContaining('session_id'),
    })
  })

  test('refuses a config, an llm_config and metadata that are not what they must be', () => {
    const options: [object, string][] = [
      [{ config: { max_conversations: -1 } }, 'invalid_config'],
      [{ config: 'fast' }, 'invalid_config'],
      [{ llm_config: 'gpt' }, 'invalid_llm_config'],
      [{ llm_config: { key: () => 'secret' } }, 'invalid_llm_config'],
      [{ metadata: [] }, 'invalid_metadata'],
      [{ metadata: { at: new Date() } }, 'invalid_metadata'],
      [{ metadata: { n: Number.NaN } }, 'invalid_metadata'],
    ]
    for (const [given, error] of options)
      expect(SessionState.new('s', given as never), error).toMatchObject({ ok: false, error })
    expect(SessionState.new('s', [] as never)).toMatchObject({ ok: false, error: 'invalid_state' })
    expect(SessionState.new('s', {}, new Date(Number.NaN))).toMatchObject({ ok: false, error: 'invalid_created_at' })
  })
})

describe('transition', () => {
  test.each([
    ['initializing', 'active'],
    ['initializing', 'terminated'],
    ['active', 'idle'],
    ['active', 'terminating'],
    ['idle', 'active'],
    ['idle', 'terminating'],
    ['terminating', 'terminated'],
  ] as const)('leads from %s to %s', (from, to) => {
    const { state } = ok(SessionState.transition(inStatus(from), to, LATER))
    expect(state).toEqual({ ...inStatus(from), status: to, updated_at: LATER })
  })

  test.each([
    ['initializing', 'idle'],
    ['terminated', 'active'],
  ] as const)('does not lead from %s to %s, and says where it would', (from, to) => {
    expect(SessionState.transition(inStatus(from), to)).toMatchObject({
      ok: false,
      error: 'invalid_transition',
      message: expect.stringMatching(from === 'terminated' ? /nothing follows/ : /active or terminated/),
    })
  })

  test('refuses a status that is none', () => {
    for (const status of ['done', '', undefined, 7]) {
      expect(SessionState.transition(created(), status as never)).toMatchObject({ ok: false, error: 'invalid_status' })
    }
  })

  test('moves updated_at and never created_at, and never back when a clock was set back', () => {
    const { state } = ok(SessionState.transition(created(), 'active', LATER))
    expect([state.created_at, state.updated_at]).toEqual([NOW, LATER])
    expect(ok(SessionState.transition(state, 'idle', NOW)).state.updated_at).toEqual(LATER)
  })

  test('refuses what is no state', () => {
    expect(SessionState.transition({} as never, 'active')).toMatchObject({ ok: false, error: 'invalid_session_id' })
    expect(SessionState.transition(null as never, 'active')).toMatchObject({ ok: false, error: 'invalid_state' })
  })
})

describe('validTransition', () => {
  test('is the table of the original, and nothing else', () => {
    const table = Object.fromEntries(
      SESSION_STATUSES.map((from) => [
        from,
        SESSION_STATUSES.filter((to) => SessionState.validTransition(from, to).ok),
      ]),
    )
    expect(table).toEqual({
      initializing: ['active', 'terminated'],
      active: ['idle', 'terminating'],
      idle: ['active', 'terminating'],
      terminating: ['terminated'],
      terminated: [],
    })
    expect(SESSION_TRANSITIONS).toEqual(table)
  })

  test('never leads out of terminated', () => {
    for (const to of SESSION_STATUSES) expect(SessionState.validTransition('terminated', to).ok).toBe(false)
  })

  test('never leads to where it is', () => {
    for (const status of SESSION_STATUSES) expect(SessionState.validTransition(status, status).ok).toBe(false)
  })

  test('refuses statuses that are none, on either side', () => {
    expect(SessionState.validTransition('ready' as never, 'active')).toMatchObject({
      ok: false,
      error: 'invalid_status',
    })
    expect(SessionState.validTransition('active', 'toString' as never)).toMatchObject({
      ok: false,
      error: 'invalid_status',
    })
  })
})

describe('update', () => {
  const updated = (fields: object): State => ok(SessionState.update(created(), fields, LATER)).state

  test('sets the active tasks', () => {
    expect(updated({ active_tasks: ['a', 'b'] }).active_tasks).toEqual(['a', 'b'])
  })

  test('sets the conversation count', () => {
    expect(updated({ conversation_count: 3 }).conversation_count).toBe(3)
  })

  test('sets the error, and takes it away', () => {
    const failed = updated({ error: 'boom' })
    expect(failed.error).toBe('boom')
    expect(ok(SessionState.update(failed, { error: null })).state.error).toBeNull()
  })

  test('sets metadata and llm_config as a whole', () => {
    expect(updated({ metadata: { a: 1 }, llm_config: { model: 'm' } })).toMatchObject({
      metadata: { a: 1 },
      llm_config: { model: 'm' },
    })
  })

  test('sets the fields of the config that are given, and keeps the others', () => {
    const state = created({ config: { max_conversations: 7 } })
    expect(ok(SessionState.update(state, { config: { timeout_minutes: 1 } })).state.config).toMatchObject({
      max_conversations: 7,
      timeout_minutes: 1,
    })
  })

  test('moves updated_at, and leaves all else', () => {
    expect(updated({ conversation_count: 1 })).toEqual({ ...created(), conversation_count: 1, updated_at: LATER })
  })

  test('refuses a status', () => {
    for (const status of ['active', 'initializing', undefined]) {
      expect(SessionState.update(created(), { status } as never)).toMatchObject({
        ok: false,
        error: 'status_not_updatable',
      })
    }
  })

  test.each([
    [{ conversation_count: -1 }, 'invalid_conversation_count'],
    [{ conversation_count: 1.5 }, 'invalid_conversation_count'],
    [{ conversation_count: '3' }, 'invalid_conversation_count'],
    [{ conversation_count: Number.POSITIVE_INFINITY }, 'invalid_conversation_count'],
    [{ active_tasks: ['a', 1] }, 'invalid_active_tasks'],
    [{ active_tasks: 'a' }, 'invalid_active_tasks'],
    [{ error: 7 }, 'invalid_error'],
    [{ metadata: 'x' }, 'invalid_metadata'],
    [{ llm_config: null }, 'invalid_llm_config'],
    [{ config: { timeout_minutes: -1 } }, 'invalid_config'],
  ])('refuses %j', (fields, error) => {
    expect(SessionState.update(created(), fields as never)).toMatchObject({ ok: false, error })
  })

  test('refuses fields that are not there to be set, and what is no object', () => {
    for (const fields of [{ session_id: 'x' }, { created_at: LATER }, { updated_at: LATER }, { colour: 'red' }]) {
      expect(SessionState.update(created(), fields as never)).toMatchObject({ ok: false, error: 'field_not_updatable' })
    }
    expect(SessionState.update(created(), null as never)).toMatchObject({ ok: false, error: 'invalid_state' })
  })
})

describe('valid', () => {
  const with_ = (fields: object) => SessionState.valid({ ...created(), ...fields })

  test('is a new state, and each that transitions give', () => {
    for (const status of SESSION_STATUSES) expect(SessionState.valid(inStatus(status))).toEqual({ ok: true })
  })

  test('is not one without an id, or with an empty one', () => {
    expect(with_({ session_id: '' })).toMatchObject({ ok: false, error: 'invalid_session_id' })
    expect(with_({ session_id: undefined })).toMatchObject({ ok: false, error: 'invalid_session_id' })
  })

  test('is not one with a status that is none', () => {
    expect(with_({ status: 'running' })).toMatchObject({ ok: false, error: 'invalid_status' })
  })

  test('is not one whose times are missing or unreadable', () => {
    for (const time of [undefined, null, '2030-01-01T00:00:00Z', new Date('soon')]) {
      expect(with_({ created_at: time })).toMatchObject({ ok: false, error: 'invalid_created_at' })
      expect(with_({ updated_at: time })).toMatchObject({ ok: false, error: 'invalid_updated_at' })
    }
  })

  test('is not one with a count, tasks or a config that are not what they must be, nor anything that is no object', () => {
    expect(with_({ conversation_count: -1 })).toMatchObject({ ok: false, error: 'invalid_conversation_count' })
    expect(with_({ active_tasks: [1] })).toMatchObject({ ok: false, error: 'invalid_active_tasks' })
    expect(with_({ config: { max_conversations: 'many' } })).toMatchObject({ ok: false, error: 'invalid_config' })
    for (const other of [undefined, null, 7, 'state', [], new Date()]) {
      expect(SessionState.valid(other)).toMatchObject({ ok: false, error: 'invalid_state' })
    }
  })
})

describe('serialize', () => {
  const data = (state = created()) => ok(SessionState.serialize(state)).data

  test('writes times in ISO 8601', () => {
    expect([data().created_at, data().updated_at]).toEqual(['2030-01-02T03:04:05.678Z', '2030-01-02T03:04:05.678Z'])
  })

  test('writes the status as a text', () => {
    expect(data(inStatus('idle')).status).toBe('idle')
  })

  test('writes the config with its names', () => {
    expect(data().config).toEqual({
      max_conversations: 100,
      timeout_minutes: 30,
      persistence_enabled: false,
      features: [],
    })
  })

  test('writes llm_config and metadata as they are', () => {
    const options = { llm_config: { model: 'm' }, metadata: { deep: [{ er: null }] } }
    expect(data(created(options))).toMatchObject(options)
  })

  test('writes tasks and count', () => {
    const { state } = ok(SessionState.update(created(), { active_tasks: ['t'], conversation_count: 2 }))
    expect(data(state)).toMatchObject({ active_tasks: ['t'], conversation_count: 2 })
  })

  test('writes the error, and null when there is none', () => {
    expect(data().error).toBeNull()
    expect(data(ok(SessionState.update(created(), { error: 'boom' })).state).error).toBe('boom')
  })

  test('writes exactly the fields of the original, as JSON', () => {
    expect(Object.keys(data()).sort()).toEqual(
      [
        'session_id',
        'status',
        'config',
        'llm_config',
        'metadata',
        'created_at',
        'updated_at',
        'active_tasks',
        'conversation_count',
        'error',
      ].sort(),
    )
    expect(JSON.parse(JSON.stringify(data()))).toEqual(data())
  })

  test('refuses a state that is not valid', () => {
    expect(SessionState.serialize({ ...created(), conversation_count: -1 })).toMatchObject({
      ok: false,
      error: 'invalid_conversation_count',
    })
    expect(SessionState.serialize({ ...created(), metadata: { f() {} } })).toMatchObject({
      ok: false,
      error: 'invalid_metadata',
    })
  })
})

describe('deserialize', () => {
  const data = { ...ok(SessionState.serialize(inStatus('active'))).data } as Record<string, unknown>
  const without = (field: string) => Object.fromEntries(Object.entries(data).filter(([name]) => name !== field))

  test('gives the state that was serialized', () => {
    expect(ok(SessionState.deserialize(data)).state).toEqual(inStatus('active'))
  })

  test('gives times as Dates', () => {
    expect(ok(SessionState.deserialize(data)).state.created_at).toEqual(NOW)
  })

  test('takes times with an offset', () => {
    const { state } = ok(SessionState.deserialize({ ...data, created_at: '2030-01-02T05:04:05.678+02:00' }))
    expect(state.created_at).toEqual(NOW)
  })

  test('fills up a config that lacks fields, and one that is missing', () => {
    expect(ok(SessionState.deserialize({ ...data, config: {} })).state.config.timeout_minutes).toBe(30)
    expect(ok(SessionState.deserialize(without('config'))).state.config.timeout_minutes).toBe(30)
  })

  test.each(['session_id', 'status', 'created_at', 'updated_at'])('refuses one without %s', (field) => {
    expect(SessionState.deserialize(without(field))).toMatchObject({ ok: false, error: `invalid_${field}` })
  })

  test.each(['yesterday', '2030-13-01T00:00:00Z', '2030-01-02', '', 7, null])('refuses the time %j', (time) => {
    expect(SessionState.deserialize({ ...data, created_at: time })).toMatchObject({
      ok: false,
      error: 'invalid_created_at',
    })
    expect(SessionState.deserialize({ ...data, updated_at: time })).toMatchObject({
      ok: false,
      error: 'invalid_updated_at',
    })
  })

  test('refuses a status that is none', () => {
    expect(SessionState.deserialize({ ...data, status: 'ACTIVE' })).toMatchObject({
      ok: false,
      error: 'invalid_status',
    })
  })

  test('refuses a count and tasks that are not what they must be', () => {
    expect(SessionState.deserialize({ ...data, conversation_count: 0.5 })).toMatchObject({
      ok: false,
      error: 'invalid_conversation_count',
    })
    expect(SessionState.deserialize({ ...data, active_tasks: null })).toMatchObject({
      ok: false,
      error: 'invalid_active_tasks',
    })
  })

  test('refuses what is no object', () => {
    for (const other of [undefined, null, 'state', 7, [data]]) {
      expect(SessionState.deserialize(other)).toMatchObject({ ok: false, error: 'invalid_state' })
    }
  })
})

describe('together', () => {
  test('a session lives from its beginning to its end, and comes back from disk at each status', () => {
    let state = created({ metadata: { project: 'shop' } })
    for (const status of ['active', 'idle', 'active', 'terminating', 'terminated'] as const) {
      state = ok(SessionState.transition(state, status, LATER)).state
      const stored: unknown = JSON.parse(JSON.stringify(ok(SessionState.serialize(state)).data))
      expect(ok(SessionState.deserialize(stored)).state).toEqual(state)
    }
  })

  test('a session that cannot start goes from initializing to terminated, with its error', () => {
    const failed = ok(SessionState.update(created(), { error: 'no model' })).state
    const { state } = ok(SessionState.transition(failed, 'terminated'))
    expect(state).toMatchObject({ status: 'terminated', error: 'no model' })
    expect(SessionState.transition(state, 'active').ok).toBe(false)
  })
})

describe('and besides', () => {
  test('every state is frozen, to its depth', () => {
    const state = created({ metadata: { deep: { er: [1] } } })
    expect(() => Object.assign(state, { status: 'idle' })).toThrow(TypeError)
    expect(() => (state.metadata as any).deep.er.push(2)).toThrow(TypeError)
    expect(() => (state.config.features as string[]).push('x')).toThrow(TypeError)
  })

  test('a state shares nothing with what it was made from', () => {
    const metadata = { deep: { n: 1 } }
    const at = new Date(NOW)
    const { state } = ok(SessionState.new('s', { metadata }, at))
    metadata.deep.n = 2
    at.setTime(0)
    expect(state).toMatchObject({ metadata: { deep: { n: 1 } }, created_at: NOW })
  })

  test('fields that are undefined are absent', () => {
    expect(
      ok(SessionState.update(created(), { conversation_count: undefined, metadata: undefined })).state,
    ).toMatchObject({
      conversation_count: 0,
      metadata: {},
    })
    expect(created({ metadata: { a: undefined } }).metadata).toEqual({})
  })

  test('an object that only looks like one of JSON is refused', () => {
    expect(SessionState.new('s', { metadata: new Map() as never })).toMatchObject({
      ok: false,
      error: 'invalid_metadata',
    })
    const circle: Record<string, unknown> = {}
    circle.self = circle
    expect(SessionState.new('s', { metadata: circle })).toMatchObject({ ok: false, error: 'invalid_metadata' })
  })

  test('names from the prototype are no fields', () => {
    expect(SessionConfig.new(JSON.parse('{"__proto__": 1}'))).toMatchObject({ ok: false })
    const { state } = ok(SessionState.new('s', { metadata: JSON.parse('{"__proto__": {"polluted": true}}') }))
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(state.metadata)).toBe(Object.prototype)
  })

  const json = fc.dictionary(
    fc.string(),
    fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value))),
  )
  const config = fc.record(
    {
      max_conversations: fc.integer({ min: 1, max: 10_000 }),
      timeout_minutes: fc.double({ min: 0.001, max: 1e6, noNaN: true }),
      persistence_enabled: fc.boolean(),
      features: fc.array(fc.string()),
    },
    { requiredKeys: [] },
  )
  const time = fc.date({ min: new Date('1970-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  const anyState = fc
    .record({
      id: fc.string({ minLength: 1 }).filter((id) => id.trim() !== ''),
      options: fc.record({ config, llm_config: json, metadata: json }, { requiredKeys: [] }),
      at: time,
      tasks: fc.array(fc.string()),
      count: fc.nat(),
      error: fc.option(fc.string()),
      way: fc.array(fc.constantFrom(...SESSION_STATUSES), { maxLength: 6 }),
    })
    .map(({ id, options, at, tasks, count, error, way }) => {
      const begun = ok(SessionState.new(id, options, at)).state
      const state = ok(SessionState.update(begun, { active_tasks: tasks, conversation_count: count, error }, at)).state
      return way.reduce((so, to) => {
        const next = SessionState.transition(so, to, at)
        return next.ok ? next.state : so
      }, state)
    })

  test('whatever a state holds, it comes back from JSON as it was', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        const text = JSON.stringify(ok(SessionState.serialize(state)).data)
        expect(ok(SessionState.deserialize(JSON.parse(text))).state).toEqual(state)
      }),
    )
  })

  test('whatever is done to a state, it stays as it was, and what comes out is valid', () => {
    const act = fc.oneof(
      fc.constantFrom(...SESSION_STATUSES).map((to) => (state: State) => SessionState.transition(state, to)),
      fc
        .record(
          { config, metadata: json, active_tasks: fc.array(fc.string()), conversation_count: fc.integer() },
          { requiredKeys: [] },
        )
        .map((fields) => (state: State) => SessionState.update(state, fields)),
    )
    fc.assert(
      fc.property(anyState, act, (state, doing) => {
        const before = structuredClone(state)
        const result = doing(state)
        expect(state).toEqual(before)
        if (result.ok) expect(SessionState.valid(result.state)).toEqual({ ok: true })
      }),
    )
  })

  test('whatever is given, each function answers, and none throws', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (one, other) => {
        for (const act of Object.values(SessionState) as ((a: unknown, b: unknown) => { ok: boolean })[]) {
          expect(typeof act(one, other).ok).toBe('boolean')
        }
      }),
    )
  })
})
