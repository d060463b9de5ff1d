// The statecharts of an agent: walked as tables, held to the original's statuses, and to plain XState under crashes.
// Pure: no model, no module, no worker.

import fc from 'fast-check'
import { defineSession } from 'holdfast'
import {
  type AgentContext,
  agent,
  agentMachine,
  type ConversationContext,
  conversation as conversationKind,
  conversationMachine,
  SESSION_STATUSES,
  SESSION_TRANSITIONS,
  SessionState,
} from 'holdfast/machines/agent'
import { checkDurable } from 'holdfast/testing'
import { describe, expect, test } from 'vitest'
import { createMachine, initialTransition, sendTo, setup, transition } from 'xstate'
import {
  type AnyEvent,
  type AnySnapshot,
  routesOf,
  shortestPaths,
  simplePaths,
  stateName,
  type Walk,
} from '../statechart.js'

const RUNS = Number(process.env.HOLDFAST_RUNS ?? 20)

const done = (id: string, output: unknown = null): AnyEvent => ({
  type: `xstate.done.actor.${id}`,
  output,
  actorId: id,
})
const failed = (id: string): AnyEvent => ({ type: `xstate.error.actor.${id}`, error: { message: 'no' }, actorId: id })
const used = (tokens: number): AnyEvent => ({
  ...{ type: 'conversation.used', conversation: 'a', input_tokens: tokens, output_tokens: 0 },
})
const limited = (until: string): AnyEvent => ({
  ...{ type: 'conversation.limited', conversation: 'a', retry_after_ms: 5_000, until },
})

describe('a session', () => {
  const events = ({ children }: AnySnapshot): AnyEvent[] => [
    ...['agent.start', 'agent.stop', 'a'].flatMap((id) => (id in children ? [done(id), failed(id)] : [])),
    { type: 'converse', text: 'hi', conversation: 'a' },
    { type: 'message', conversation: 'a', text: 'more' },
    { type: 'retry', conversation: 'a' },
    { type: 'close', conversation: 'a' },
    { type: 'raiseBudget', tokens: 1_000 },
    { type: 'terminate' },
    { type: 'conversation.ask', conversation: 'a' },
    used(100),
    used(1_000),
    limited('2030-01-01T00:00:05.000Z'),
    limited('2030-01-01T00:00:09.000Z'),
    { type: 'conversation.ready', conversation: 'a' },
    { type: 'conversation.failed', conversation: 'a', error: 'no' },
    { type: 'xstate.after.quiet.agent.active.quiet' },
    { type: 'xstate.after.limit.agent.active.parked' },
    { type: 'xstate.after.idle.agent.idle' },
    { type: 'xstate.after.closing.agent.terminating.closing' },
  ]
  const walk: Walk = {
    input: { llm_config: { budget: { tokens: 100 } } },
    events,
    identity: ({ value, context }: AnySnapshot) => {
      const { conversations, held, limit, used: sum, budget } = context as AgentContext
      const spent = [100, 1_000].filter((tokens) => sum.input_tokens >= tokens)
      return JSON.stringify([value, conversations, held, limit, budget, spent])
    },
  }
  // What conversations tell is taken wherever a session is active, and what becomes of them wherever it lives.
  const people = ['close', 'raiseBudget', 'terminate']
  const reports = ['ask', 'failed', 'limited', 'ready', 'used'].map((name) => `conversation.${name}`)
  const ends = ['xstate.done.actor.a', 'xstate.error.actor.a']
  const timer = (delay: string, state: string): string => `xstate.after.${delay}.agent.${state}`

  const routes = routesOf(agentMachine, walk)

  test('takes exactly these events in each state', () => {
    const taken = Object.entries(routes).map(([state, leads]) => [state, new Set(Object.keys(leads))])
    expect(Object.fromEntries(taken)).toEqual({
      initializing: new Set(['xstate.done.actor.agent.start', 'xstate.error.actor.agent.start']),
      'active.quiet': new Set([
        ...people,
        ...reports,
        ...ends,
        'converse',
        'message',
        'retry',
        timer('quiet', 'active.quiet'),
      ]),
      'active.working': new Set([...people, ...reports, ...ends]),
      'active.paused': new Set([...people, ...reports, ...ends]),
      'active.parked': new Set([
        ...people,
        ...reports,
        ...ends,
        'converse',
        'message',
        'retry',
        timer('limit', 'active.parked'),
      ]),
      idle: new Set([...people, ...ends, 'converse', 'message', 'retry', timer('idle', 'idle')]),
      'terminating.closing': new Set(['conversation.used', ...ends, timer('closing', 'terminating.closing')]),
      'terminating.stopping': new Set(['xstate.done.actor.agent.stop', 'xstate.error.actor.agent.stop']),
      terminated: new Set(),
    })
  })

  test('goes from status to status as the original says, and no other way', () => {
    const statusOf = (state: string) => state.split('.')[0] as string
    const ways = Object.entries(routes).flatMap(([from, leads]) =>
      Object.values(leads)
        .flat()
        .filter((to) => statusOf(to) !== statusOf(from))
        .map((to) => `${statusOf(from)} → ${statusOf(to)}`),
    )
    const original = SESSION_STATUSES.flatMap((from) => SESSION_TRANSITIONS[from].map((to) => `${from} → ${to}`))
    expect([...new Set(ways)].sort()).toEqual([...original].sort())
  })
  test('on the way to each state, and on every simple path, moves as the pure functions of the original allow', () => {
    const paths = [...shortestPaths(agentMachine, walk), ...simplePaths(agentMachine, { ...walk, identity: undefined })]
    expect(paths.length).toBeGreaterThan(100)
    for (const { states, end } of paths) {
      let state = made(SessionState.new('s'))
      for (const status of states.map((name) => name.split('.')[0] as (typeof SESSION_STATUSES)[number])) {
        if (status !== state.status) state = made(SessionState.transition(state, status))
      }
      expect(state.status).toBe(stateName(end.value).split('.')[0])
    }
  })

  test('lets nobody call a model when a limit is over but the budget is spent; the raise does', () => {
    const said: unknown[] = []
    const live = (snapshot: AnySnapshot, event: AnyEvent): AnySnapshot => {
      const [next, actions] = transition(agentMachine, snapshot as never, event as never)
      for (const { type, params } of actions as { type: string; params?: any }[])
        if (type === 'xstate.sendTo') said.push(params.event.type)
      return next
    }
    const [begun] = initialTransition(agentMachine, walk.input as never)
    const parked = [
      done('agent.start'),
      { type: 'converse', text: 'hi', conversation: 'a' },
      { type: 'conversation.ask', conversation: 'a' },
      limited('2030-01-01T00:00:05.000Z'),
      { type: 'conversation.ask', conversation: 'a' },
      used(100),
    ].reduce(live, begun as AnySnapshot)
    expect(stateName(parked.value)).toBe('active.parked')
    const paused = live(parked, { type: 'xstate.after.limit.agent.active.parked' })
    expect([stateName(paused.value), paused.context.held, said]).toEqual(['active.paused', ['a'], ['go']])
    const raised = live(paused, { type: 'raiseBudget', tokens: 1_000 })
    expect([stateName(raised.value), raised.context.held, said]).toEqual(['active.working', [], ['go', 'go']])
  })

  test('survives a crash at any moment of any of its lives, with its conversations, as plain XState that never crashed', async () => {
    const conversation = fc.constantFrom('a', 'b')
    const event = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ type: fc.constant('converse' as const), text: fc.constant('hi'), conversation }),
      },
      {
        weight: 4,
        arbitrary: fc.record({ type: fc.constant('message' as const), text: fc.constant('go'), conversation }),
      },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('retry' as const), conversation }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('close' as const), conversation }) },
      {
        weight: 2,
        arbitrary: fc.record({ type: fc.constant('raiseBudget' as const), tokens: fc.integer({ min: 30, max: 90 }) }),
      },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('terminate' as const) }) },
    )
    // The same statechart, entered where most of a life is lived.
    const { config, implementations } = agentMachine
    const entered = defineSession({
      ...{ kind: 'agent', version: 1, steps: 'memory:steps', children: { conversation: { kind: conversationKind } } },
      machine: createMachine({ ...config, initial: 'active' } as never, implementations as never),
    })
    const options = {
      input: fc.constant({ config: { timeout_minutes: 1 }, llm_config: { budget: { tokens: 25 } } } as never),
      events: fc.array(event, { minLength: 4, maxLength: 10 }) as never,
      ...{ steps, idempotent: true },
    }
    const whole = await checkDurable(agent, { ...options, runs: Math.ceil(RUNS / 2) })
    expect(whole.features['child session']).toBeGreaterThan(0)
    const { records, crashes, inFlight, features } = await checkDurable(entered, { ...options, runs: RUNS })
    expect(features['child session']).toBeGreaterThan(RUNS / 2)
    expect(features.done).toBeGreaterThan(0)
    expect(inFlight).toBeGreaterThan(crashes / 4)
    console.log(`session: ${RUNS} lives, ${records} records, ${crashes} crashes, ${inFlight} with work in flight`)
  })
})

const made = <T extends { readonly ok: boolean }>(result: T) => (result as unknown as { state: SessionState }).state

/** What the steps come to follows from their input, so that a second try of one gives the same. */
const steps = {
  start: () => null,
  stop: () => null,
  respond: ({ turn, messages }: { turn: number; messages: readonly unknown[] }) => {
    if (turn % 3 === 1) return { kind: 'limited', retry_after_ms: 40, until: `2030-01-01T00:00:${10 + turn}.000Z` }
    const calls = [
      { id: `needs-${turn}`, tool: 'write', input: { turn }, approval: true },
      { id: `free-${turn}`, tool: 'read', input: {} },
      { id: `wrong-${turn}`, tool: 'none', input: {}, output: { type: 'error-text', value: 'there is no such tool' } },
    ]
    const used = { input_tokens: messages.length, output_tokens: 1 }
    return {
      kind: 'reply',
      message: { role: 'assistant', content: `reply ${turn}` },
      calls: turn % 3 === 0 ? calls : [],
      used,
    }
  },
  useTool: ({ call }: { call: { id: string } }) => ({ type: 'text', value: `did ${call.id}` }),
}

describe('a conversation', () => {
  const reply = (...calls: object[]): AnyEvent =>
    done('respond', {
      ...{
        kind: 'reply',
        message: { role: 'assistant', content: 'x' },
        used: { input_tokens: 1, output_tokens: 1 },
        calls,
      },
    })
  const events: AnyEvent[] = [
    { type: 'go' },
    reply(),
    reply({ id: 'k1', tool: 't', input: {}, approval: true }, { id: 'k2', tool: 't', input: {} }),
    reply({ id: 'k1', tool: 't', input: {}, approval: true }, { id: 'k4', tool: 't', input: {}, approval: true }),
    reply({ id: 'k2', tool: 't', input: {} }),
    reply({ id: 'k3', tool: 't', input: {}, output: { type: 'error-text', value: 'no such tool' } }),
    done('respond', { kind: 'limited', retry_after_ms: 1, until: '2030-01-01T00:00:00.000Z' }),
    failed('respond'),
    done('useTool', { type: 'text', value: 'ok' }),
    failed('useTool'),
    { type: 'approve', call: 'k1', by: 'ada' },
    { type: 'approve', call: 'k2' },
    { type: 'deny', call: 'k1', reason: 'not today' },
    { type: 'stop' },
    { type: 'message', text: 'more' },
    { type: 'retry' },
    { type: 'end' },
    { type: 'xstate.after.expiry.conversation.waiting.expiring' },
  ]
  const alone = conversationMachine.provide({
    actions: { ask: () => {}, tellAnswer: () => {}, tellReady: () => {}, tellFailed: () => {} } as object,
  })
  const walk = (llm_config: object): Walk => ({
    input: { conversation: 'c', text: 'hi', llm_config: { max_turns: 2, ...llm_config }, metadata: {} },
    // A result is that of a step that runs.
    events: ({ children }: AnySnapshot) =>
      events.filter(({ actorId }) => actorId === undefined || (actorId as string) in children),
    identity: ({
      value,
      context: { calls, decided, turns, error },
    }: {
      value: unknown
      context: ConversationContext
    }) =>
      JSON.stringify([
        value,
        calls.map(({ id, approval, output }) => [id, approval, output?.type]),
        decided,
        turns,
        error,
      ]),
  })
  const routes = routesOf(alone, walk({ approval: { expires_minutes: 5, default: 'deny' } }))

  test('takes exactly these events in each state, and they lead there', () => {
    const end = ['ended']
    expect(routes).toEqual({
      asking: { go: ['responding'], stop: ['ready'], end, approve: ['asking'], deny: ['asking'] },
      responding: {
        'xstate.done.actor.respond': ['acting', 'asking', 'failed', 'ready', 'waiting.expiring'],
        'xstate.error.actor.respond': ['failed'],
        ...{ stop: ['ready'], end, approve: ['responding'], deny: ['responding'] },
      },
      'waiting.expiring': {
        'xstate.after.expiry.conversation.waiting.expiring': ['acting', 'asking', 'failed'],
        ...{ approve: ['acting', 'waiting.expiring'], deny: ['acting', 'waiting.expiring'], stop: ['ready'], end },
      },
      acting: {
        'xstate.done.actor.useTool': ['acting', 'asking', 'failed'],
        'xstate.error.actor.useTool': ['acting', 'asking', 'failed'],
        ...{ stop: ['ready'], end, approve: ['acting'], deny: ['acting'] },
      },
      ready: { message: ['asking'], end, approve: ['ready'], deny: ['ready'] },
      failed: { message: ['asking'], retry: ['asking'], end, approve: ['failed'], deny: ['failed'] },
      // To XState a final state may have events; a session that has ended takes none.
      ended: { end, approve: end, deny: end },
    })
  })

  test('without a time for it, a call waits for a person for ever', () => {
    const { 'waiting.open': open, ...others } = routesOf(alone, walk({}))
    expect(Object.keys(open ?? {}).sort()).toEqual(['approve', 'deny', 'end', 'stop'])
    expect(Object.keys(others)).not.toContain('waiting.expiring')
  })

  test('with its decisions on tool calls, survives a crash at any moment as plain XState does', async () => {
    // A session that lets every call go on, and passes on what it is told.
    const desk = setup({
      types: { events: {} as { type: 'tell'; event: { type: string } } | { type: 'conversation.ask' } },
      actors: { conversation: conversationMachine },
    }).createMachine({
      id: 'desk',
      invoke: {
        id: 'c',
        src: 'conversation',
        input: {
          ...{ conversation: 'c', text: 'hi', metadata: {} },
          llm_config: { max_turns: 4, approval: { expires_minutes: 0.01, default: 'approve' } },
        },
      },
      on: {
        tell: { actions: sendTo('c', ({ event }) => event.event) },
        'conversation.ask': { actions: sendTo('c', { type: 'go' }) },
      },
    })
    const calls = [0, 3, 6].map((turn) => `needs-${turn}`)
    const told = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ type: fc.constantFrom('approve', 'deny'), call: fc.constantFrom(...calls) }),
      },
      { weight: 3, arbitrary: fc.constant({ type: 'message', text: 'more' }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('stop', 'retry') }) },
    )
    const kind = defineSession({ kind: 'desk', version: 1, machine: desk, steps: 'memory:steps' })
    const { records, crashes, inFlight, features } = await checkDurable(kind, {
      runs: RUNS,
      events: fc.array(fc.record({ type: fc.constant('tell' as const), event: told }), { minLength: 2, maxLength: 10 }),
      steps,
      idempotent: true,
    })
    expect(features.tags).toBeGreaterThan(RUNS / 10)
    console.log(`conversation: ${RUNS} lives, ${records} records, ${crashes} crashes, ${inFlight} with work in flight`)
  })
})
