// Conversations on a runtime: streamed, with tools, approvals, budgets and rate limits, across restarts. Virtual time; the
// scripted model, and tools of a module as users write one.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { agent, type LlmConfig } from 'holdfast/machines/agent'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as steps from '../../../machines/agent/steps.js'
import { Desk, eventually, good, lastText, MINUTE, told } from './desk.js'
import './fixtures/coder.js'

const coder = new URL('./fixtures/coder.js', import.meta.url).href

let desk: Desk
beforeEach(async () => {
  desk = await Desk.open()
})
afterEach(() => desk.runtime.close())

const call = (id: string, tool: string, input: unknown = {}) => ({ id, tool, input })
const write = call('k1', 'write', { path: 'a.js' })
const scripted = (...script: NonNullable<LlmConfig['script']>[number][]): LlmConfig => ({ agent: coder, script })

describe('a message', () => {
  test('is answered by the scripted model, and both are kept', async () => {
    const id = await desk.create({ script: ['Hello there.'] })
    const info = await desk.ask(id, 'hi')
    expect(info).toMatchObject({ session_id: id, conversation: 'c1', status: 'ready', waiting: [], error: null })
    expect(info.messages).toEqual([
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: [{ type: 'text', text: 'Hello there.' }] },
    ])
  })

  test('without any model is answered by one that says so', async () => {
    const id = await desk.create()
    expect(lastText(await desk.ask(id, 'anybody?'))).toMatch(/There is no model.*You said: anybody\?/)
  })

  test('streams its answer to observers, piece by piece, while it is being given', async () => {
    const id = await desk.create({ script: [{ calls: [call('k', 'none')] }, 'one two three'] })
    const { conversation } = await good(desk.talks.start(id, 'go'))
    // At its first turn: its answer is not under way yet.
    while (desk.talks.list(id).length === 0) await new Promise((resolve) => setImmediate(resolve))
    const heard: unknown[] = []
    desk.talks
      .updates$(id, conversation)
      .subscribe((update) => void heard.push(update.kind === 'chunk' && update.chunk))
    await desk.settled(id)
    expect(heard.slice(-3)).toEqual(['one ', 'two ', 'three'].map((text) => ({ type: 'text', text })))
    expect(() => desk.talks.updates$(id, 'nobody')).toThrow(expect.objectContaining({ code: 'SESSION_NOT_FOUND' }))
  })

  test('continues a conversation, and the model is shown all of it', async () => {
    const id = await desk.create({ script: ['one', 'two'] })
    await desk.ask(id, 'first')
    await good(desk.talks.say(id, 'c1', 'second'))
    const { messages } = await desk.settled(id)
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant'])
  })

  test('with an id that was used is said once, also after a restart', async () => {
    const id = await desk.create({ script: ['one', 'two', 'three'] })
    const first = await good(desk.talks.start(id, 'first', { id: 'm1' }))
    await desk.settled(id)
    await desk.reopen()
    expect(await good(desk.talks.start(id, 'first', { id: 'm1' }))).toEqual(first)
    for (let twice = 0; twice < 2; twice++) await good(desk.talks.say(id, 'c1', 'second', { id: 'm2' }))
    const { messages } = await desk.settled(id)
    expect(messages.filter(({ role }) => role === 'user')).toHaveLength(2)
    expect(desk.talks.list(id)).toHaveLength(1)
  })

  test('while an answer is under way is refused', async () => {
    const id = await desk.create(scripted({ calls: [write] }, 'done'))
    await desk.ask(id)
    expect(await desk.talks.say(id, 'c1', 'and?')).toMatchObject({ ok: false, error: 'not_accepted' })
  })

  test('to nobody, or that is no message, is refused', async () => {
    const id = await desk.create()
    expect(await desk.talks.start('nobody', 'hi')).toMatchObject({ ok: false, error: 'not_found' })
    expect(await desk.talks.say('nobody', 'c1', 'hi')).toMatchObject({ ok: false, error: 'not_found' })
    expect(await desk.talks.say(id, 'c1', 'hi')).toMatchObject({ ok: false, error: 'not_accepted' })
    for (const text of ['', '  ', undefined, 7, 'x'.repeat(1_000_001)]) {
      expect(await desk.talks.start(id, text as never)).toMatchObject({ ok: false, error: 'invalid' })
    }
    expect(await desk.talks.start(id, 'hi', { conversation: 'agent.stop' })).toMatchObject({
      ok: false,
      error: 'invalid',
    })
    expect(desk.talks.get(id, 'c1')).toMatchObject({ ok: false, error: 'not_found' })
    expect(await desk.talks.settled(id, 'c1')).toMatchObject({ ok: false, error: 'not_found' })
    expect((await desk.info(id)).conversation_count).toBe(0)
  })
})

describe('the conversations of a session', () => {
  test('go on beside one another, each with its own messages', async () => {
    const id = await desk.create({ script: ['hello'] })
    const names = ['a', 'b', 'c']
    await Promise.all(names.map((conversation) => good(desk.talks.start(id, `I am ${conversation}`, { conversation }))))
    for (const name of names) {
      expect((await desk.settled(id, name)).messages[0]).toEqual({ role: 'user', content: `I am ${name}` })
    }
    expect((await desk.info(id)).conversation_count).toBe(3)
  })

  test('are at most as many as its config says; one that is closed makes room', async () => {
    const id = await desk.create({}, { config: { max_conversations: 2 } })
    await desk.ask(id)
    await desk.ask(id)
    expect(await desk.talks.start(id, 'one too many')).toMatchObject({ ok: false, error: 'max_conversations' })
    await good(desk.talks.close(id, 'c1'))
    await eventually(async () => (await desk.info(id)).conversation_count === 1)
    expect((await good(desk.talks.start(id, 'now'))).conversation).toBe('c3')
    expect(await desk.talks.start(id, 'again', { conversation: 'c3' })).toMatchObject({ ok: false })
    await desk.settled(id, 'c3')
    expect(desk.talks.list(id).map(({ conversation, status }) => [conversation, status])).toEqual([
      ['c1', 'ended'],
      ['c2', 'ready'],
      ['c3', 'ready'],
    ])
    expect(await desk.talks.close(id, 'c1')).toMatchObject({ ok: false, error: 'not_accepted' })
  })

  test('show what they are at as the active tasks of the session', async () => {
    const id = await desk.create(scripted({ calls: [write] }, 'done'))
    await desk.ask(id)
    expect(await desk.info(id)).toMatchObject({ status: 'active', phase: 'working', active_tasks: ['c1'] })
    expect(desk.sessions.listSessions()).toMatchObject([{ active_tasks: ['c1'], phase: 'working' }])
    await good(desk.talks.approve(id, 'c1', 'k1'))
    await desk.settled(id)
    expect(await desk.info(id)).toMatchObject({ phase: 'quiet', active_tasks: [] })
  })

  test('that are ended from outside are gone to their session, too, and it goes on', async () => {
    const id = await desk.create({ script: ['hello'] })
    const { pid } = await desk.ask(id)
    await desk.runtime.session(pid).cancel()
    await eventually(async () => (await desk.info(id)).conversation_count === 0)
    expect((await desk.ask(id)).conversation).toBe('c2')
  })
})

describe('a tool', () => {
  test('is run, and the model is told what it came to', async () => {
    const id = await desk.create(
      scripted({ text: 'Let me see.', calls: [call('k', 'read', { path: 'a.js' })] }, 'I see.'),
    )
    const info = await desk.ask(id)
    expect(info.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant'])
    expect(told(info)).toEqual([{ path: 'a.js', text: 'const x = 1' }])
    expect(lastText(info)).toBe('I see.')
  })

  test('that throws, or is not there, tells the model so', async () => {
    const calls = [call('k1', 'fail'), call('k2', 'nothing'), call('k3', 'toString')]
    const id = await desk.create(scripted({ calls }, 'oh'))
    expect(told(await desk.ask(id))).toEqual([
      'it cannot be done',
      'there is no tool "nothing" to run',
      'there is no tool "toString" to run',
    ])
  })

  test('that gives several results is shown as it goes, and the last one counts', async () => {
    const id = await desk.create(scripted({ calls: [call('k', 'count', { to: 3 })] }, 'three'))
    expect(told(await desk.ask(id))).toEqual([{ n: 3 }])
  })

  test('is called as often as the turns allow; then the conversation waits for another word', async () => {
    const loop = { calls: [call('k', 'read', { path: 'x' })] }
    const id = await desk.create({ ...scripted(loop, loop, loop, loop, 'done'), max_turns: 2 })
    expect(await desk.ask(id)).toMatchObject({ status: 'failed', error: 'stopped after 2 replies: retry to go on' })
    expect((await desk.info(id)).error).toMatch(/stopped after 2/)
    await good(desk.talks.retry(id, 'c1'))
    expect(await desk.settled(id)).toMatchObject({ status: 'failed' })
    await good(desk.talks.say(id, 'c1', 'finish'))
    const info = await desk.settled(id)
    expect(info).toMatchObject({ status: 'ready', error: null })
    expect(info.messages.filter(({ role }) => role === 'tool')).toHaveLength(4)
  })
})

describe('an approval', () => {
  const llm = scripted({ calls: [write, call('k2', 'write', { path: 'notes.txt' })] }, 'Written.')

  test('is waited for, across a restart, and then everything goes on by itself', async () => {
    const id = await desk.create(llm)
    expect(await desk.ask(id)).toMatchObject({
      status: 'waiting',
      waiting: [{ call: 'k1', tool: 'write', input: { path: 'a.js' } }],
    })
    await desk.reopen(7 * 24 * 60 * MINUTE)
    expect(await desk.talk(id)).toMatchObject({ status: 'waiting' })
    await good(desk.talks.approve(id, 'c1', 'k1', { by: 'ada' }))
    const info = await desk.settled(id)
    expect(info).toMatchObject({ status: 'ready', decided: { k1: { decision: 'approve', by: 'ada' } } })
    expect(told(info)).toEqual(['wrote a.js', 'wrote notes.txt'])
  })

  test('that comes twice is harmless, at once, later and after a restart; another decision is refused', async () => {
    const id = await desk.create(llm)
    const { pid } = await desk.ask(id)
    await Promise.all([good(desk.talks.approve(id, 'c1', 'k1')), good(desk.talks.approve(id, 'c1', 'k1'))])
    const before = await desk.settled(id)
    await good(desk.talks.approve(id, 'c1', 'k1'))
    await desk.reopen()
    await good(desk.talks.approve(id, 'c1', 'k1'))
    expect(await desk.talk(id)).toEqual(before)
    expect(await desk.talks.deny(id, 'c1', 'k1')).toMatchObject({ ok: false, error: 'not_accepted' })
    expect(await desk.talks.approve(id, 'c1', 'k2')).toMatchObject({ ok: false, error: 'not_accepted' })
    expect(await desk.talks.approve(id, 'c1', 'toString')).toMatchObject({ ok: false, error: 'not_accepted' })
    expect(await desk.talks.approve(id, 'c9', 'k1')).toMatchObject({ ok: false, error: 'not_found' })
    const ran = [...desk.runtime.session(pid).history()].filter(
      ({ event }) => event.type === 'xstate.done.actor.useTool',
    )
    expect(ran).toHaveLength(2)
  })

  test('that is denied keeps the tool from running, and the model is told why', async () => {
    const id = await desk.create(llm)
    await desk.ask(id)
    await good(desk.talks.deny(id, 'c1', 'k1', { by: 'ada', reason: 'not in this repository' }))
    expect(told(await desk.settled(id))).toEqual([
      { type: 'execution-denied', reason: 'not in this repository' },
      'wrote notes.txt',
    ])
  })

  test.each([
    ['deny', { type: 'execution-denied', reason: 'nobody approved it in time' }],
    ['approve', 'wrote a.js'],
  ] as const)(
    'that nobody gives in time is %s by default, also when the time is over while nobody was there',
    async (what, first) => {
      const id = await desk.create({ ...llm, approval: { expires_minutes: 10, default: what } })
      await desk.ask(id)
      await desk.clock.advance(9 * MINUTE)
      expect(await desk.talk(id)).toMatchObject({ status: 'waiting' })
      await desk.reopen(2 * MINUTE)
      await eventually(async () => (await desk.talk(id)).status !== 'waiting')
      const info = await desk.settled(id)
      expect(info.decided.k1).toMatchObject({ decision: what })
      expect(told(info)[0]).toEqual(first)
    },
  )

  test('is in the inbox of all sessions until it is given', async () => {
    const [a, b] = [await desk.create(llm), await desk.create(llm)]
    await desk.ask(a)
    await desk.ask(b)
    await desk.ask(await desk.create({ script: ['nothing to approve'] }))
    expect(desk.talks.inbox().map(({ session_id, waiting }) => [session_id, waiting])).toEqual([
      [a, 1],
      [b, 1],
    ])
    await desk.reopen()
    await good(desk.talks.approve(a, 'c1', 'k1'))
    expect(desk.talks.inbox().map(({ session_id }) => session_id)).toEqual([b])
    await desk.sessions.terminateSession(b)
    expect(desk.talks.inbox()).toEqual([])
  })
})

describe('the budget', () => {
  const used = (tokens: number) => ({ input_tokens: tokens, output_tokens: 0 })
  const turn = (tokens: number, tool = 'read') => ({
    calls: [call(`k${tokens}`, tool, { path: 'x' })],
    used: used(tokens),
  })

  test('counts tokens and money, of all conversations together', async () => {
    const id = await desk.create({
      script: [{ text: 'hi', used: { input_tokens: 1_000, output_tokens: 200 } }],
      price: { input: 3, output: 15 },
    })
    await desk.ask(id)
    const info = await desk.ask(id)
    expect(info).toMatchObject({ used: { input_tokens: 1_000, output_tokens: 200 }, money: 0.006 })
    expect(await desk.info(id)).toMatchObject({ used: { input_tokens: 2_000, output_tokens: 400 }, money: 0.012 })
    expect(desk.sessions.listSessions()).toMatchObject([{ tokens: 2_400, money: 0.012 }])
  })

  test('warns at 80%, and at 100% no further call is made until it is raised; then it goes on by itself', async () => {
    const llm = { ...scripted(turn(79), turn(1), turn(20), turn(1), 'done'), budget: { tokens: 100 } }
    const id = await desk.create(llm)
    const levels: unknown[] = []
    desk.runtime
      .session(id)
      .emitted$()
      .subscribe((event) => void levels.push([event.level, (event.used as any).input_tokens]))
    await good(desk.talks.start(id, 'go'))
    await desk.phase(id, 'paused')
    await eventually(async () => (await desk.talk(id)).status === 'asking')
    expect(levels).toEqual([
      ['warning', 80],
      ['spent', 100],
    ])
    expect(await desk.info(id)).toMatchObject({
      status: 'active',
      phase: 'paused',
      budget_level: 'spent',
      active_tasks: ['c1'],
    })
    expect(desk.sessions.listSessions()).toMatchObject([{ phase: 'paused', budget_level: 'spent' }])
    await desk.reopen(24 * 60 * MINUTE)
    expect((await desk.talk(id)).messages.filter(({ role }) => role === 'assistant')).toHaveLength(3)
    for (const wrong of [{ tokens: 100 }, { tokens: 99 }, { money: 1 }, {}]) {
      expect(await desk.talks.raiseBudget(id, wrong)).toMatchObject({ ok: false, error: 'not_accepted' })
    }
    await good(desk.talks.raiseBudget(id, { tokens: 1_000 }))
    const info = await desk.settled(id)
    expect([info.status, lastText(info)]).toEqual(['ready', 'done'])
    expect(await desk.info(id)).toMatchObject({ budget: { tokens: 1_000 }, budget_level: 'ok' })
  })

  test('in money pauses as well, and holds every conversation', async () => {
    const llm = {
      ...scripted(turn(600_000), turn(600_000), 'done'),
      price: { input: 1, output: 1 },
      budget: { money: 1 },
    }
    const id = await desk.create(llm)
    const names = ['a', 'b']
    for (const conversation of names) await good(desk.talks.start(id, 'go', { conversation }))
    // An answer that was being given when the money was spent is still heard, and costs: both must be back and held.
    await desk.runtime
      .session(id, agent)
      .until(({ value, context }) => isDeepStrictEqual(value, { active: 'paused' }) && context.held.length === 2)
    const spent = (await desk.info(id)).money
    await desk.clock.advance(60 * MINUTE)
    expect((await desk.info(id)).money).toBe(spent)
    await good(desk.talks.raiseBudget(id, { money: 10 }))
    for (const name of names) expect(lastText(await desk.settled(id, name))).toBe('done')
  })

  test('a pause lets approvals be given, answers be stopped, conversations be closed and the session terminate', async () => {
    const id = await desk.create({ ...scripted({ calls: [write], used: used(100) }, 'done'), budget: { tokens: 100 } })
    await good(desk.talks.start(id, 'go'))
    await desk.phase(id, 'paused')
    await eventually(async () => (await desk.talk(id)).status === 'waiting')
    await good(desk.talks.approve(id, 'c1', 'k1'))
    await eventually(async () => (await desk.talk(id)).status === 'asking')
    await good(desk.talks.stop(id, 'c1'))
    await desk.phase(id, 'quiet')
    await good(desk.talks.say(id, 'c1', 'more'))
    await desk.phase(id, 'paused')
    await good(desk.sessions.terminateSession(id))
    expect(await desk.talk(id)).toMatchObject({ status: 'ended' })
  })
})

describe("a provider's rate limit", () => {
  const limit = { retry_after_ms: 10 * MINUTE }

  test('parks the session until its reset, across a restart, and then it goes on by itself', async () => {
    const id = await desk.create({ script: [limit, 'better now'] })
    await good(desk.talks.start(id, 'go'))
    await desk.phase(id, 'parked')
    const { parked_until } = await desk.info(id)
    expect(parked_until).toBeInstanceOf(Date)
    expect(desk.sessions.listSessions()).toMatchObject([{ status: 'active', phase: 'parked', parked_until }])
    await desk.clock.advance(9 * MINUTE)
    expect(await desk.talk(id)).toMatchObject({ status: 'asking' })
    await desk.reopen()
    expect(await desk.info(id)).toMatchObject({ phase: 'parked' })
    await desk.clock.advance(MINUTE)
    expect(lastText(await desk.settled(id))).toBe('better now')
    expect(await desk.info(id)).toMatchObject({ phase: 'quiet', parked_until: null })
  })

  test('holds every conversation of the session, and none of another', async () => {
    const id = await desk.create({ script: [limit, 'better now'] })
    await good(desk.talks.start(id, 'go', { conversation: 'a' }))
    await desk.phase(id, 'parked')
    await good(desk.talks.start(id, 'go', { conversation: 'b' }))
    await eventually(() => desk.talks.list(id).length === 2)
    expect(await desk.talk(id, 'b')).toMatchObject({ status: 'asking' })
    expect(lastText(await desk.ask(await desk.create({ script: ['free'] })))).toBe('free')
    await desk.clock.advance(10 * MINUTE)
    expect(lastText(await desk.settled(id, 'a'))).toBe('better now')
    await desk.phase(id, 'parked') // b has met the limit of its own script meanwhile
    await desk.clock.advance(10 * MINUTE)
    expect(lastText(await desk.settled(id, 'b'))).toBe('better now')
  })

  test('that is over while the budget is spent does not let anybody go on', async () => {
    const spent = { calls: [call('k', 'read', { path: 'x' })], used: { input_tokens: 100, output_tokens: 0 } }
    const id = await desk.create({ ...scripted(spent, limit, 'done'), budget: { tokens: 100 } })
    await good(desk.talks.start(id, 'go', { conversation: 'a' }))
    await desk.phase(id, 'paused')
    await good(desk.talks.raiseBudget(id, { tokens: 110 }))
    await desk.phase(id, 'parked')
    const { used } = await desk.info(id)
    expect(used.input_tokens).toBe(100)
    await desk.clock.advance(10 * MINUTE)
    expect(lastText(await desk.settled(id, 'a'))).toBe('done')
  })
})

describe('a model that fails', () => {
  test('leaves the conversation failed, with the reason, and a retry asks again', async () => {
    const id = await desk.create({ script: [{ error: 'no such account' }, 'fine'] })
    expect(await desk.ask(id)).toMatchObject({ status: 'failed', error: 'no such account' })
    expect(await desk.info(id)).toMatchObject({ status: 'active', error: 'no such account', active_tasks: [] })
    expect(await desk.talks.stop(id, 'c1')).toMatchObject({ ok: false, error: 'not_accepted' })
    // The turn that failed was no answer, so the script stands where it was: the same again.
    await good(desk.talks.retry(id, 'c1'))
    expect(await desk.settled(id)).toMatchObject({ status: 'failed' })
    expect(await desk.talks.retry('nobody', 'c1')).toMatchObject({ ok: false, error: 'not_found' })
  })
})

describe('stop', () => {
  test('reaches the tool that runs, and the conversation can go on', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'holdfast-agent-'))
    const notes = join(dir, 'notes')
    const what = () =>
      readFileSync(notes, { encoding: 'utf8', flag: 'a+' })
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).what)
    const id = await desk.create(scripted({ calls: [call('k', 'wait'), write] }, 'next'), { metadata: { notes } })
    const { conversation } = await good(desk.talks.start(id, 'go'))
    await eventually(
      async () => (await desk.talks.get(id, conversation)).ok && (await desk.talk(id)).status === 'waiting',
    )
    await good(desk.talks.approve(id, 'c1', 'k1'))
    await eventually(() => what().includes('wait'))
    await good(desk.talks.stop(id, 'c1'))
    await eventually(() => what().includes('aborted'))
    const info = await desk.settled(id)
    expect(told(info)).toEqual(['interrupted by the user', 'interrupted by the user'])
    expect(what()).not.toContain('write a.js')
    await good(desk.talks.say(id, 'c1', 'go on'))
    expect(lastText(await desk.settled(id))).toBe('next')
    rmSync(dir, { recursive: true })
  })
})

describe('what was recorded', () => {
  test('is never asked for again: each turn of the model once, however often the runtime is opened', async () => {
    await desk.runtime.close()
    const asked: number[] = []
    desk = await Desk.open(undefined, {
      ...steps,
      respond: (input: any, context: any) => {
        asked.push(input.turn)
        return steps.respond(input, context)
      },
    })
    const id = await desk.create(
      scripted({ calls: [write] }, { calls: [call('k2', 'write', { path: 'b.js' })] }, 'done'),
    )
    await desk.ask(id)
    for (const key of ['k1', 'k2']) {
      await desk.reopen()
      await good(desk.talks.approve(id, 'c1', key))
      await desk.settled(id)
    }
    await desk.reopen()
    expect(lastText(await desk.talk(id))).toBe('done')
    expect(asked).toEqual([0, 1, 2])
  })

  test('goes to the model only as far back as its window reaches, from a message of the user on', async () => {
    await desk.runtime.close()
    const shown: number[] = []
    desk = await Desk.open(undefined, {
      ...steps,
      respond: (input: any, context: any) => {
        expect(input.messages[0].role).toBe('user')
        shown.push(input.messages.length)
        return steps.respond(input, context)
      },
    })
    const read = { calls: [call('k', 'read', { path: 'x' })] }
    const id = await desk.create({ ...scripted('a', 'b', read, read, read, 'c'), context_messages: 4 })
    await desk.ask(id)
    for (const text of ['two', 'three']) {
      await good(desk.talks.say(id, 'c1', text))
      await desk.settled(id)
    }
    // The last answer takes more messages than the window: then it begins where the answer did.
    expect(shown).toEqual([1, 3, 3, 3, 5, 7])
  })
})
