// Conversations on models of the AI SDK, by its own mock: the real SDK between, no network. And a provider's ways to say
// when it wants to be asked again.

import type { LlmConfig } from 'holdfast/machines/agent'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { limitOf } from '../../../machines/agent/steps/rate-limit.js'
import { Desk, eventually, good, lastText, MINUTE, told } from './desk.js'

const url = new URL('./fixtures/sdk.js', import.meta.url).href
const llm: LlmConfig = { agent: url, price: { input: 10, output: 50 } }

let desk: Desk
let sdk: typeof import('./fixtures/sdk.js')
beforeEach(async () => {
  desk = await Desk.open()
  // The very module that the steps import.
  sdk = (await import(url)) as typeof sdk
  for (const list of [sdk.asked, sdk.failures, sdk.ran, sdk.aborted]) list.length = 0
})
afterEach(() => desk.runtime.close())

describe('a model of the AI SDK', () => {
  test('is asked with all settings, streams its tokens, and its usage is counted', async () => {
    const id = await desk.create({ ...llm, system: 'Be brief.', temperature: 0.5, max_output_tokens: 99 })
    const info = await desk.ask(id, 'hi')
    expect(lastText(info)).toBe('You said hi')
    expect(sdk.asked[0]).toMatchObject({ temperature: 0.5, maxOutputTokens: 99 })
    expect(sdk.asked[0].prompt[0]).toEqual({ role: 'system', content: 'Be brief.' })
    expect(sdk.asked[0].tools).toMatchObject([{ type: 'function', name: 'write', description: 'Writes a file.' }])
    expect(info).toMatchObject({ used: { input_tokens: 100, output_tokens: 20 }, money: 0.002 })
    const heard: unknown[] = []
    desk.talks.updates$(id, 'c1').subscribe((update) => void heard.push(update.kind === 'chunk' && update.chunk))
    await good(desk.talks.say(id, 'c1', 'again'))
    await desk.settled(id)
    expect(heard).toEqual(['You ', 'said ', 'again'].map((text) => ({ type: 'text', text })))
  })

  test('proposes tools, which wait for a person if they say so, and run under a key of the session', async () => {
    const id = await desk.create(llm)
    const { waiting, pid } = await desk.ask(id, 'write')
    expect(waiting).toEqual([{ call: 'w1', tool: 'write', input: { path: 'a.js', lines: 3 } }])
    expect(sdk.ran).toEqual([])
    await desk.reopen()
    await good(desk.talks.approve(id, 'c1', 'w1'))
    const info = await desk.settled(id)
    expect(told(info)).toEqual([{ path: 'a.js', lines: 3 }])
    expect(lastText(info)).toBe('The end.')
    expect(sdk.ran).toEqual([{ toolCallId: 'w1', idempotencyKey: expect.stringMatching(`^${pid}\\.useTool\\.\\d+$`) }])
    expect(sdk.asked).toHaveLength(2)
    expect(sdk.asked[1].prompt.at(-1)).toMatchObject({
      ...{ role: 'tool' },
      content: [{ type: 'tool-result', toolCallId: 'w1', output: { type: 'json', value: { path: 'a.js', lines: 3 } } }],
    })
  })

  test('that is denied a tool is told so in its own form', async () => {
    const id = await desk.create(llm)
    await desk.ask(id, 'write')
    await good(desk.talks.deny(id, 'c1', 'w1', { reason: 'no' }))
    await desk.settled(id)
    expect(sdk.ran).toEqual([])
    expect(sdk.asked[1].prompt.at(-1).content[0].output).toEqual({ type: 'execution-denied', reason: 'no' })
  })

  test('that calls a tool wrongly, or one that is not there, is told so; nobody is asked and nothing runs', async () => {
    for (const [what, says] of [
      ['wrong', /expected string/],
      ['unknown', /dance/],
    ] as const) {
      const info = await desk.ask(await desk.create(llm), what)
      expect(info.status).toBe('ready')
      expect(told(info)).toEqual([expect.stringMatching(says)])
    }
    expect(sdk.ran).toEqual([])
  })

  test.each(['stop', 'terminate'] as const)('is told to stop in the middle of an answer by %s', async (how) => {
    const id = await desk.create(llm)
    const { conversation } = await good(desk.talks.start(id, 'for ever'))
    await eventually(() => sdk.asked.length > 0)
    if (how === 'stop') {
      await good(desk.talks.stop(id, conversation))
      const { status, messages } = await desk.settled(id)
      expect([status, messages.length]).toEqual(['ready', 1])
    } else await good(desk.sessions.terminateSession(id))
    await eventually(() => sdk.aborted.length > 0)
    expect(sdk.aborted).toEqual(['AbortError'])
    expect(sdk.asked).toHaveLength(1)
  })

  test('whose provider limits its rate parks the session until then, and is asked again by itself', async () => {
    sdk.failures.push([429, { 'Retry-After': '600' }])
    const id = await desk.create(llm)
    await good(desk.talks.start(id, 'hi'))
    await desk.phase(id, 'parked')
    await desk.clock.advance(9 * MINUTE)
    expect(sdk.asked).toHaveLength(1)
    await desk.clock.advance(MINUTE)
    expect(lastText(await desk.settled(id))).toBe('You said hi')
    expect(sdk.asked).toHaveLength(2)
  })

  test('that is away for a moment is tried again; one that refuses is not, until somebody says so', async () => {
    sdk.failures.push([500], [503])
    const id = await desk.create(llm)
    const { conversation } = await good(desk.talks.start(id, 'hi'))
    const passing = eventually(async () => {
      await desk.clock.advance(500)
      return (await desk.info(id)).phase === 'quiet'
    })
    await passing
    expect(lastText(await desk.settled(id, conversation))).toBe('You said hi')
    expect(sdk.asked).toHaveLength(3)
    sdk.failures.push([401])
    await good(desk.talks.say(id, conversation, 'more'))
    expect(await desk.settled(id)).toMatchObject({ status: 'failed', error: 'the model refused: status 401' })
    expect(sdk.asked).toHaveLength(4)
    await good(desk.talks.retry(id, conversation))
    expect(lastText(await desk.settled(id))).toBe('You said more')
  })
})

describe('a rate limit', () => {
  const NOW = Date.parse('2030-01-01T00:00:00Z')
  const waits = (statusCode: number, responseHeaders?: object): number | undefined =>
    limitOf({ statusCode, responseHeaders }, NOW)?.retry_after_ms

  test.each<[number, object | undefined, number | undefined]>([
    [429, undefined, 60_000],
    [429, {}, 60_000],
    [429, { 'retry-after': '7' }, 7_000],
    [429, { 'Retry-After': '0' }, 1],
    [429, { 'retry-after': '1.5' }, 1_500],
    [429, { 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    [429, { 'retry-after': 'Tue, 01 Jan 2030 00:02:00 GMT' }, 120_000],
    [429, { 'retry-after': 'Mon, 31 Dec 2029 00:00:00 GMT' }, 1],
    [429, { 'retry-after': 'soon' }, 60_000],
    [429, { 'retry-after': '999999999' }, 7 * 86_400_000],
    [429, { 'x-ratelimit-reset-tokens': '6m0s', 'x-ratelimit-remaining-tokens': '0' }, 360_000],
    [429, { 'x-ratelimit-reset-tokens': '20ms', 'x-ratelimit-remaining-tokens': '0' }, 20],
    [429, { 'x-ratelimit-reset-requests': '1h', 'x-ratelimit-remaining-requests': '9' }, 60_000],
    [
      429,
      { 'anthropic-ratelimit-tokens-reset': '2030-01-01T05:00:00Z', 'anthropic-ratelimit-tokens-remaining': '0' },
      18_000_000,
    ],
    [529, { 'retry-after': '3' }, 3_000],
    [503, { 'retry-after': '3' }, 3_000],
    [529, {}, undefined],
    [500, { 'retry-after': '3' }, undefined],
    [401, {}, undefined],
  ])('of status %i with headers %j is waited for so many ms: %s', (status, headers, ms) => {
    expect(waits(status, headers)).toBe(ms)
  })

  test('is found in the last of several attempts and in a cause, and nowhere else', () => {
    const limit = { statusCode: 429, responseHeaders: { 'retry-after': '2' } }
    expect(limitOf({ lastError: limit }, NOW)).toEqual({
      kind: 'limited',
      retry_after_ms: 2_000,
      until: '2030-01-01T00:00:02.000Z',
    })
    expect(limitOf(new Error('x', { cause: limit }), NOW)?.retry_after_ms).toBe(2_000)
    for (const other of [undefined, null, 'no', new Error('x'), { statusCode: '429' }])
      expect(limitOf(other, NOW)).toBeUndefined()
  })
})
