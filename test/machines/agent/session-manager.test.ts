// The original's SessionManager on a runtime: its 19 cases, and what durability adds. Virtual time; steps from their sources.

import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Runtime, StepContext } from 'holdfast'
import {
  agent,
  Conversations,
  conversation,
  SessionManager,
  SessionState,
  type StatusEvent,
} from 'holdfast/machines/agent'
import { createVirtualClock, type VirtualClock } from 'holdfast/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as steps from '../../../machines/agent/steps.js'
import { type House, house } from '../../house.js'
import { stateName } from '../statechart.js'
import { Desk } from './desk.js'

const coder = new URL('./fixtures/coder.js', import.meta.url).href
const MINUTE = 60_000

let home: House
let clock: VirtualClock
let runtime: Runtime
let sessions: SessionManager
let talks: Conversations

const open = async (): Promise<void> => {
  runtime = await home.open()
  sessions = new SessionManager(runtime)
  talks = new Conversations(runtime)
}
beforeEach(async () => {
  clock = createVirtualClock()
  home = house([agent], steps as never, undefined, undefined, { clock })
  await open()
})
afterEach(() => runtime.close())

/** What a call gave, which must have worked. */
const good = async <T extends { readonly ok: boolean }>(
  call: T | Promise<T>,
): Promise<Extract<T, { readonly ok: true }>> => {
  const result = await call
  expect(result).toMatchObject({ ok: true })
  return result as Extract<T, { readonly ok: true }>
}

/** The kind, when its machine is not the shipped one. */
const createOf = async (kind: typeof agent, options = {}): Promise<string> => {
  const session = await runtime.create(kind, options)
  await session.until('active')
  return session.id
}
const create = async (options = {}): Promise<string> => (await good(sessions.createSession(options))).session_id
const statusOf = async (id: string) => (await good(sessions.getSessionInfo(id))).info.status

describe('createSession', () => {
  test('makes a session with an id of its own', async () => {
    const [a, b] = [await create(), await create()]
    expect(a).toMatch(/^[\w-]+$/)
    expect(b).not.toBe(a)
  })

  test('takes an id that is given', async () => {
    expect(await create({ session_id: 'mine' })).toBe('mine')
  })

  test('refuses an id that is there already, and changes nothing', async () => {
    await create({ session_id: 'mine', metadata: { n: 1 } })
    expect(await sessions.createSession({ session_id: 'mine', metadata: { n: 2 } })).toMatchObject({
      ok: false,
      error: 'already_exists',
    })
    expect((await good(sessions.getSessionInfo('mine'))).info.metadata).toEqual({ n: 1 })
  })

  test('resolves when the session is active', async () => {
    const { info } = await good(sessions.createSession())
    expect(info).toMatchObject({ status: 'active', active_tasks: [], conversation_count: 0, error: null })
  })

  test('takes config, llm_config and metadata, and fills up the config', async () => {
    const id = await create({
      config: { timeout_minutes: 5 },
      llm_config: { system: 'Be brief.' },
      metadata: { project: 'shop' },
    })
    expect((await good(sessions.getSessionInfo(id))).info).toMatchObject({
      config: { max_conversations: 100, timeout_minutes: 5, persistence_enabled: false, features: [] },
      llm_config: { system: 'Be brief.' },
      metadata: { project: 'shop' },
    })
  })

  test.each([
    [{ session_id: 'no spaces' }, /id/],
    [{ session_id: '' }, /id/],
    [{ config: { max_conversations: 0 } }, /config.max_conversations/],
    [{ metadata: 'x' }, /metadata: must be an object/],
    [{ llm_config: { budget: { money: 1 } } }, /money needs a price/],
    [{ llm_config: { agent: './coder.js' } }, /llm_config.agent must be the URL of a module/],
    [{ llm_config: { script: 'hi' } }, /llm_config.script must be a list/],
    [{ llm_config: { approval: { expires_minutes: 1 } } }, /approval.default is missing/],
  ])('refuses %j, naming what is wrong', async (options, message) => {
    expect(await sessions.createSession(options as never)).toMatchObject({
      ok: false,
      error: 'invalid',
      message: expect.stringMatching(message),
    })
    expect(sessions.listSessions()).toEqual([])
  })

  test('that cannot start terminates, and says why', async () => {
    const created = await afterPauses(
      sessions.createSession({ session_id: 's', llm_config: { agent: coder }, metadata: { failing: true } }),
    )
    expect(created).toMatchObject({
      ok: false,
      error: 'start_failed',
      message: expect.stringContaining('the workspace is gone'),
    })
    expect((await good(sessions.getSessionInfo('s'))).info).toMatchObject({
      status: 'terminated',
      error: 'the workspace is gone',
    })
    expect(await sessions.createSession({ llm_config: { agent: 'file:///nowhere.js' } })).toMatchObject({
      error: 'start_failed',
    })
  })
})

/** Steps are tried again after a pause: time passes meanwhile, and modules are loaded in real time. */
async function afterPauses<T>(call: Promise<T>): Promise<T> {
  let over = false
  const passing = async (): Promise<void> => {
    for (let turns = 0; !over && turns < 2_000; turns++) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      await clock.advance(100)
    }
  }
  const [result] = await Promise.all([
    call.finally(() => {
      over = true
    }),
    passing(),
  ])
  return result
}

describe('terminateSession', () => {
  test('terminates a session, and keeps its last state', async () => {
    const id = await create()
    const { info } = await good(sessions.terminateSession(id))
    expect(info).toMatchObject({ session_id: id, status: 'terminated', error: null })
    expect(await statusOf(id)).toBe('terminated')
  })

  test('answers not_found for a session that is not there, or has terminated', async () => {
    const id = await create()
    await sessions.terminateSession(id)
    for (const gone of ['nobody', 'not an id', '', id]) {
      expect(await sessions.terminateSession(gone), gone).toMatchObject({ ok: false, error: 'not_found' })
    }
  })

  test('ends what is under way, with all conversations, and calls the stop of the module last', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'holdfast-agent-'))
    const notes = join(dir, 'notes')
    const script = [{ calls: [{ tool: 'wait', input: {} }] }]
    const id = await create({ llm_config: { agent: coder, script }, metadata: { notes } })
    const { conversation: name } = await good(talks.start(id, 'wait'))
    await runtime.session((await good(sessions.getSession(id))).session.id, agent).until({ active: 'working' })
    const said = await firstOf(talks, id, name)
    expect(said).toMatchObject({ kind: 'chunk', chunk: { waiting: true } })
    await good(sessions.terminateSession(id, { reason: 'enough' }))
    expect(talks.list(id)).toMatchObject([{ conversation: name, status: 'ended', waiting: 0 }])
    const told = () =>
      readFileSync(notes, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).what)
    expect(told().slice(0, 3)).toEqual(['start', 'wait', 'aborted'])
    expect(told()).toEqual(['start', 'wait', 'aborted', 'stop'])
    await rm(dir, { recursive: true })
  })

  test('asked for by two at a time is one termination', async () => {
    const id = await create()
    const both = await Promise.all([sessions.terminateSession(id), sessions.terminateSession(id)])
    expect(both).toMatchObject([{ ok: true }, { ok: true }])
  })
})

/** The first thing that a conversation's steps say. */
async function firstOf(talk: Conversations, id: string, name: string) {
  for (let turns = 0; turns < 500; turns++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (talk.list(id).length > 0) break
  }
  for await (const update of talk.updates$(id, name))
    if (update.kind === 'chunk' && !('type' in (update.chunk as object))) return update
}

describe('listSessions', () => {
  test('is empty at first', () => {
    expect(sessions.listSessions()).toEqual([])
  })

  test('has every session that lives, in the order of creation, and not those that have terminated', async () => {
    const [a, b, c] = [await create(), await create(), await create()]
    await sessions.terminateSession(b)
    expect(sessions.listSessions().map(({ session_id }) => session_id)).toEqual([a, c])
    expect(sessions.countSessions()).toBe(2)
  })

  test('by status finds exactly those, and opens none', async () => {
    const [a, b, c] = [await create(), await create(), await create()]
    await sessions.terminateSession(b)
    await clock.advance(2 * MINUTE)
    const woken = await good(talks.start(c, 'hello'))
    await talks.settled(c, woken.conversation)
    await runtime.session(a).cancel()
    const ids = (status?: any) => sessions.listSessions({ status }).map(({ session_id }) => session_id)
    expect({ idle: ids('idle'), active: ids('active'), terminated: ids('terminated') }).toEqual({
      idle: [],
      active: [c],
      terminated: [b, a],
    })
    await runtime.close()
    await open()
    const { live } = runtime.health()
    expect(sessions.listSessions({ status: 'active' })).toMatchObject([
      { session_id: c, phase: 'quiet', conversation_count: 1 },
    ])
    expect(sessions.listSessions({ status: 'terminated' })).toMatchObject([
      { status: 'terminated' },
      { status: 'terminated' },
    ])
    expect(await Promise.all([a, b, c].map(statusOf))).toEqual(['terminated', 'terminated', 'active'])
    expect(talks.list(c)).toMatchObject([{ conversation: woken.conversation, status: 'ready' }])
    expect((await good(talks.get(c, woken.conversation))).info.messages).toHaveLength(2)
    expect(talks.inbox()).toEqual([])
    expect(runtime.health().live).toBe(live)
  })
})

describe('getSession and getSessionInfo', () => {
  test('give the session and its state, with its address', async () => {
    const id = await create()
    const { session } = await good(sessions.getSession(id))
    expect(session.snapshot()).toMatchObject({ id, kind: 'agent', status: 'active' })
    const { info } = await good(sessions.getSessionInfo(id))
    expect(info).toMatchObject({ session_id: id, pid: id, created_at: expect.any(Date), updated_at: expect.any(Date) })
    expect(SessionState.valid(info)).toEqual({ ok: true })
  })

  test('answer not_found for what is no session, and for a conversation', async () => {
    const id = await create()
    const { conversation: name } = await good(talks.start(id, 'hi'))
    const { info } = await good(talks.settled(id, name))
    for (const other of ['nobody', 'not an id', info.pid]) {
      expect(sessions.getSession(other)).toMatchObject({ ok: false, error: 'not_found' })
      expect(sessions.getSessionInfo(other)).toMatchObject({ ok: false, error: 'not_found' })
    }
  })

  test('agree, for any number of managers, with what the pure functions make of it', async () => {
    const id = await create({ metadata: { a: 1 } })
    const { info } = await good(new SessionManager(runtime).getSessionInfo(id))
    expect((await good(sessions.getSessionInfo(id))).info).toEqual(info)
    const data = SessionState.serialize(info)
    expect(data).toMatchObject({
      ok: true,
      data: { session_id: id, status: 'active', created_at: info.created_at.toISOString() },
    })
  })
})

describe('status events', () => {
  const short = (event: StatusEvent) => `${event.session_id} ${event.type} ${'to' in event ? event.to : event.reason}`

  test('of all sessions come on one topic, in order, and can be had again from any place', async () => {
    const live: StatusEvent[] = []
    const subscription = sessions.statusEvents$().subscribe((event) => void live.push(event))
    await create({ session_id: 'a' })
    await create({ session_id: 'b' })
    await sessions.terminateSession('a')
    const expected = [
      'a session_created initializing',
      'a session_status active',
      'b session_created initializing',
      'b session_status active',
      'a session_status terminating',
      'a session_status terminated',
    ]
    expect(live.map(short)).toEqual(expected)
    subscription.unsubscribe()
    const again: string[] = []
    for await (const event of sessions.statusEvents$(undefined, { from: 0 }))
      if (again.push(short(event)) === expected.length) break
    expect(again).toEqual(expected)
  })

  test('of one session come on a topic of its own, which ends with it', async () => {
    await create({ session_id: 'a' })
    await create({ session_id: 'b' })
    await sessions.terminateSession('a')
    const seen: string[] = []
    for await (const event of sessions.statusEvents$('a', { from: 1 })) seen.push(short(event))
    expect(seen).toEqual([
      'a session_created initializing',
      'a session_status active',
      'a session_status terminating',
      'a session_status terminated',
    ])
    expect(() => sessions.statusEvents$('nobody')).toThrow(expect.objectContaining({ code: 'SESSION_NOT_FOUND' }))
  })

  test('say nothing of conversations', async () => {
    const id = await create()
    const { conversation: name } = await good(talks.start(id, 'hi'))
    await talks.settled(id, name)
    await sessions.terminateSession(id)
    const seen = new Set<string>()
    for await (const { session_id, to } of sessions.statusEvents$(undefined, { from: 0 }) as AsyncIterable<any>) {
      seen.add(session_id)
      if (to === 'terminated') break
    }
    expect([...seen]).toEqual([id])
  })
})

describe('a session', () => {
  test('with nothing under way is idle after a minute, and terminates by itself when its time is over', async () => {
    const id = await create({ config: { timeout_minutes: 30 } })
    await clock.advance(MINUTE - 1)
    expect(await statusOf(id)).toBe('active')
    await clock.advance(1)
    expect(await statusOf(id)).toBe('idle')
    await clock.advance(29 * MINUTE - 1)
    expect(await statusOf(id)).toBe('idle')
    await clock.advance(1)
    expect(await statusOf(id)).toBe('terminated')
    expect(runtime.session(id, agent).snapshot().output).toEqual({ reason: 'idle for too long' })
  })

  test('has its timeout also across a restart, and at once when it is overdue', async () => {
    const id = await create({ config: { timeout_minutes: 30 } })
    await clock.advance(10 * MINUTE)
    await runtime.close()
    await clock.advance(10 * MINUTE)
    await open()
    await clock.advance(10 * MINUTE - 1)
    expect(await statusOf(id)).toBe('idle')
    await runtime.close()
    await clock.advance(60 * MINUTE)
    await open()
    await runtime.session(id, agent).result()
    expect(await statusOf(id)).toBe('terminated')
  })

  test('that is idle is woken by a message, and its time begins anew', async () => {
    const id = await create({ config: { timeout_minutes: 30 } })
    await clock.advance(29 * MINUTE)
    const { conversation: name } = await good(talks.start(id, 'are you there?'))
    await talks.settled(id, name)
    expect(await statusOf(id)).toBe('active')
    await clock.advance(29 * MINUTE)
    expect(await statusOf(id)).toBe('idle')
    await clock.advance(MINUTE)
    expect(await statusOf(id)).toBe('terminated')
  })

  test('that is busy does not time out, however long it takes', async () => {
    const script = [{ calls: [{ tool: 'write', input: { path: 'a.js' } }] }]
    const id = await create({ config: { timeout_minutes: 1 }, llm_config: { agent: coder, script } })
    const { conversation: name } = await good(talks.start(id, 'write it'))
    await talks.settled(id, name)
    await clock.advance(24 * 60 * MINUTE)
    expect((await good(sessions.getSessionInfo(id))).info).toMatchObject({ status: 'active', active_tasks: ['c1'] })
  })

  test('refuses what its state does not accept, naming the state, and stays as it was', async () => {
    const id = await create()
    await sessions.terminateSession(id)
    const session = runtime.session(id, agent)
    const { seq } = session.entry()
    await expect(session.send({ type: 'converse', text: 'hi' })).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    const other = runtime.session(await create(), agent)
    await expect(other.send({ type: 'message', conversation: 'c9', text: 'hi' })).rejects.toMatchObject({
      code: 'NOT_ACCEPTED',
      message: expect.stringContaining('active'),
    })
    for (const inner of ['conversation.ask', 'conversation.used', 'conversation.ready'])
      await expect(other.send({ type: inner, conversation: 'c1' } as never)).rejects.toMatchObject({
        code: 'INVALID_EVENT',
      })
    expect([session.entry().seq, other.entry().seq]).toEqual([seq, 2])
  })

  test('that crashes is noticed, restarted, and goes on; the others never hear of it', async () => {
    await runtime.close()
    // The session's own machine, with an action that throws the first two times.
    let crashes = 2
    const machine = agent.machine.provide({
      actions: {
        raise: () => {
          if (crashes-- > 0) throw new Error('a bug')
        },
      } as object,
    })
    const brittle = { ...agent, machine }
    home = house([brittle], steps as never, home.disk, undefined, { clock })
    await open()
    const [a, b] = [await createOf(brittle, { llm_config: { budget: { tokens: 10 } } }), await createOf(brittle)]
    const seen: StatusEvent[] = []
    sessions.statusEvents$().subscribe((event) => void seen.push(event))
    await good(talks.raiseBudget(a, { tokens: 20 }))
    await clock.advance(1_000)
    await good(talks.raiseBudget(a, { tokens: 30 }))
    await clock.advance(1_000)
    const { conversation: name } = await good(talks.start(a, 'still there?'))
    expect(await good(talks.settled(a, name))).toMatchObject({ info: { status: 'ready' } })
    expect(seen.map(({ session_id, type }) => [session_id, type])).toEqual([
      [a, 'session_restarted'],
      [a, 'session_restarted'],
    ])
    expect(seen[0]).toMatchObject({ reason: expect.stringContaining('a bug') })
    expect(await statusOf(b)).toBe('active')
    expect(runtime.session(b, agent).entry().seq).toBe(2)
  })

  test('a conversation that crashes is restarted by itself, and its session never hears of it', async () => {
    await runtime.close()
    let crashes = 1
    const brittle = {
      ...conversation,
      machine: conversation.machine.provide({
        actions: {
          changeNothing: () => {
            if (crashes-- > 0) throw new Error('a bug')
          },
        } as object,
      }),
    }
    const kind = { ...agent, children: new Map([['conversation', { kind: brittle, onParentEnd: 'cancel' as const }]]) }
    home = house([kind], steps as never, home.disk, undefined, { clock })
    await open()
    const script = [{ calls: [{ tool: 'write', input: { path: 'a.js' }, id: 'k' }] }, 'done']
    const id = await createOf(kind, { llm_config: { agent: coder, script } })
    const { conversation: name } = await good(talks.start(id, 'go'))
    await good(talks.settled(id, name))
    const before = runtime.session(id, agent).entry().seq
    await good(talks.approve(id, name, 'k'))
    await good(talks.settled(id, name))
    await good(talks.approve(id, name, 'k')) // again: nothing changes, but the action that crashes
    await clock.advance(1_000)
    const { info } = await good(talks.get(id, name))
    const events = [...runtime.session(info.pid).history()].map(({ event }) => event.type)
    expect(events.filter((type) => type === 'holdfast.restart')).toHaveLength(1)
    await good(talks.say(id, name, 'and now?'))
    expect(await good(talks.settled(id, name))).toMatchObject({ info: { status: 'ready' } })
    expect([...runtime.session(id, agent).history({ from: before })].map(({ event }) => event.type)).not.toContain(
      'holdfast.restart',
    )
  })
})

describe('every event that people send, in every state a session rests in', () => {
  const hang = (_: unknown, { signal }: StepContext) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  const reply = (calls: object[] = []) => ({
    ...{
      kind: 'reply',
      message: { role: 'assistant', content: 'x' },
      calls,
      used: { input_tokens: 9, output_tokens: 9 },
    },
  })
  const tool = { id: 'k', tool: 't', input: {} }
  const until = '2030-01-01T00:00:00.000Z'
  const own = {
    start: () => null,
    stop: () => null,
    respond: () => reply(),
    useTool: () => ({ type: 'text', value: '' }),
  }
  const PEOPLE = [
    { type: 'converse', text: 'hi' },
    { type: 'message', conversation: 'c1', text: 'more' },
    { type: 'retry', conversation: 'c1' },
    { type: 'close', conversation: 'c1' },
    { type: 'raiseBudget', tokens: 1_000 },
    { type: 'terminate' },
  ] as const
  const all = PEOPLE.map(({ type }) => type)

  test.each([
    ['initializing', all, { start: hang }, []],
    ['active.working', ['message', 'retry'], { respond: hang }, ['converse']],
    ['active.quiet', ['retry'], {}, ['converse']],
    ['active.paused', ['message', 'retry'], { respond: () => reply([tool]) }, ['converse']],
    [
      'active.parked',
      ['message', 'retry'],
      { respond: () => ({ kind: 'limited', retry_after_ms: 60_000, until }) },
      ['converse'],
    ],
    ['idle', ['retry'], {}, ['converse', 'wait']],
    ['terminating.stopping', all, { stop: hang }, ['converse', 'terminate']],
    ['terminated', all, {}, ['converse', 'terminate']],
  ] as const)('%s refuses %j, takes the others, and a refusal changes nothing', async (state, refused, steps, ways) => {
    for (const event of PEOPLE) {
      const desk = await Desk.open(agent, { ...own, ...steps })
      const session = await desk.runtime.create(agent, { llm_config: { budget: { tokens: 10 } } })
      if (state !== 'initializing') await session.until('active')
      for (const way of ways) {
        if (way === 'wait') await desk.clock.advance(2 * MINUTE)
        else await session.send(way === 'converse' ? PEOPLE[0] : { type: way })
        if (way === 'converse')
          await session.until(({ value }) => state === 'active.working' || stateName(value) !== 'active.working')
      }
      await session.until(({ value }) => stateName(value) === state)
      // What its conversation has still to say, it has said.
      for (let seq = 0; seq !== session.entry().seq; await desk.clock.advance(1)) seq = session.entry().seq
      const before = session.snapshot()
      if ((refused as readonly string[]).includes(event.type)) {
        const code = state === 'terminated' ? 'SESSION_ENDED' : 'NOT_ACCEPTED'
        await expect(session.send(event), event.type).rejects.toMatchObject({ code })
        expect(session.snapshot()).toEqual(before)
      } else expect((await session.send(event)).seq, event.type).toBe(before.seq + 1)
      await desk.runtime.close()
    }
  })
})
