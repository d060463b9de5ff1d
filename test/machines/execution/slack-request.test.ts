// What Slack sends is believed only with its signature over the bytes that came, made within five minutes.

import { createHmac } from 'node:crypto'
import { isSignedBySlack, slackActionOf } from 'holdfast/machines/execution'
import { expect, test } from 'vitest'

const SECRET = '8f742231b10e8888abcd99yyyzzz85a5'
const NOW_S = 1_531_420_618
const NOW_MS = NOW_S * 1000
const payload = { type: 'block_actions', user: { id: 'U1' }, actions: [{ action_id: 'confirm', value: 'session_1' }] }
const BODY = `payload=${encodeURIComponent(JSON.stringify(payload))}`

const sign = (body: string | Uint8Array, at: number | string = NOW_S, secret = SECRET): string =>
  `v0=${createHmac('sha256', secret).update(`v0:${at}:`).update(body).digest('hex')}`
const request = (rawBody: string | Uint8Array, signature: string, at: number | string = NOW_S) => ({
  rawBody,
  headers: { 'x-slack-request-timestamp': String(at), 'x-slack-signature': signature },
})

test("Slack's own example of a signature is accepted", () => {
  const body =
    'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
  const signature = 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503'
  const at = 1_531_420_618
  expect(isSignedBySlack(request(body, signature, at), SECRET, at * 1000)).toBe(true)
  const headers = new Headers({ 'X-Slack-Request-Timestamp': String(at), 'X-Slack-Signature': signature })
  expect(isSignedBySlack({ headers, rawBody: new TextEncoder().encode(body) }, SECRET, at * 1000)).toBe(true)
})

test('anything else is refused: another secret, body, byte, time, or nothing at all', () => {
  const good = sign(BODY)
  expect(slackActionOf(request(BODY, good), SECRET, NOW_MS)).toEqual({
    userId: 'U1',
    action: 'confirm',
    value: 'session_1',
  })
  const refused = [
    request(BODY, sign(BODY, NOW_S, 'another')),
    request(`${BODY} `, good),
    request(BODY.replace('U1', 'U2'), good),
    request(BODY, good.slice(0, -1)),
    request(BODY, good.toUpperCase()),
    request(BODY, good.slice(3)),
    request(BODY, ''),
    request(BODY, good, NOW_S + 1),
    request(BODY, sign(BODY, ''), ''),
    request(BODY, sign(BODY, '1e9'), '1e9'),
    request(BODY, sign(BODY, -5), -5),
    { rawBody: BODY, headers: {} },
    { rawBody: BODY, headers: { 'x-slack-signature': good } },
  ]
  for (const each of refused) {
    expect(isSignedBySlack(each, SECRET, NOW_MS)).toBe(false)
    expect(() => slackActionOf(each, SECRET, NOW_MS)).toThrow(expect.objectContaining({ code: 'NOT_ALLOWED' }))
  }
  for (let bit = 0; bit < 8 * 20; bit++) {
    const bytes = new TextEncoder().encode(BODY)
    const at = Math.floor(bit / 8)
    bytes[at] = (bytes[at] as number) ^ (1 << (bit % 8))
    expect(isSignedBySlack(request(bytes, good), SECRET, NOW_MS)).toBe(false)
  }
  expect(isSignedBySlack(request(BODY, sign(BODY, NOW_S, '')), '', NOW_MS)).toBe(false)
})

test('five minutes, in either direction, and not a second more', () => {
  for (const [off, isIn] of [
    [0, true],
    [300, true],
    [-300, true],
    [301, false],
    [-301, false],
    [86_400, false],
  ] as const) {
    expect(isSignedBySlack(request(BODY, sign(BODY, NOW_S + off), NOW_S + off), SECRET, NOW_MS), String(off)).toBe(isIn)
  }
})

test('what is signed and no press of a button is refused by name', () => {
  const none = [
    '',
    'payload=',
    'payload=no',
    'payload=null',
    'payload=[]',
    'payload={"actions":[]}',
    'payload={"actions":[{"action_id":1}]}',
  ]
  for (const body of none) {
    expect(() => slackActionOf(request(body, sign(body)), SECRET, NOW_MS)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    )
  }
})
