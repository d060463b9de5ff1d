// What Slack sends when somebody presses a button: verified by its signature over the very bytes that came, within five minutes
// and in constant time, and only then read. Pure; the time is given.

import { createHmac, timingSafeEqual } from 'node:crypto'
import { HoldfastError } from 'holdfast'

export interface SlackRequest {
  /** Names in lower case, as `node:http` has them, or `Headers`. */
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>
  /** The body as it came, byte for byte. */
  readonly rawBody: string | Uint8Array
}

/** What somebody wants. */
export interface SlackAction {
  /** Slack's id of whoever pressed it. */
  readonly userId: string
  /** What the button is called, such as `confirm`. */
  readonly action: string
  /** What it carries. */
  readonly value: string
}

const WINDOW_S = 300
const LARGEST_BODY = 1024 * 1024

/** True for a request that Slack has signed with the secret within the last five minutes. */
export function isSignedBySlack({ headers, rawBody }: SlackRequest, signingSecret: string, nowMs: number): boolean {
  const timestamp = headerOf(headers, 'x-slack-request-timestamp')
  const signature = headerOf(headers, 'x-slack-signature')
  if (signingSecret === '' || !/^\d{1,12}$/.test(timestamp)) return false
  if (Math.abs(nowMs / 1000 - Number(timestamp)) > WINDOW_S) return false
  const digest = createHmac('sha256', signingSecret).update(`v0:${timestamp}:`).update(rawBody).digest('hex')
  // Both are hashed first, so that they are of one length and nothing is told by how long it takes.
  const hash = (text: string): Buffer => createHmac('sha256', signingSecret).update(text).digest()
  return timingSafeEqual(hash(`v0=${digest}`), hash(signature))
}

/** Throws NOT_ALLOWED for one that Slack has not signed, INVALID_ARGUMENT for one that is no press of a button. */
export function slackActionOf(request: SlackRequest, signingSecret: string, nowMs: number): SlackAction {
  if (!isSignedBySlack(request, signingSecret, nowMs)) {
    throw new HoldfastError('NOT_ALLOWED', 'the request does not carry a signature of Slack from the last five minutes')
  }
  const { rawBody } = request
  const body = typeof rawBody === 'string' ? rawBody : new TextDecoder().decode(rawBody)
  const payload = body.length > LARGEST_BODY ? undefined : payloadIn(body)
  const [pressed] = payload?.actions ?? []
  const userId = payload?.user?.id
  if (typeof pressed?.action_id === 'string' && typeof pressed.value === 'string' && typeof userId === 'string') {
    return { userId, action: pressed.action_id, value: pressed.value }
  }
  throw new HoldfastError('INVALID_ARGUMENT', 'the request of Slack is no press of a button: send block actions only')
}

interface Payload {
  readonly user?: { readonly id?: unknown }
  readonly actions?: readonly { readonly action_id?: unknown; readonly value?: unknown }[]
}

/** A form with a field `payload`, which is JSON. */
function payloadIn(body: string): Payload | undefined {
  try {
    const payload: unknown = JSON.parse(new URLSearchParams(body).get('payload') ?? 'null')
    const { actions } = (payload ?? {}) as Payload
    return payload && Array.isArray(actions) ? (payload as Payload) : undefined
  } catch {
    return undefined
  }
}

function headerOf(headers: SlackRequest['headers'], name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name]
  return typeof value === 'string' ? value : ''
}
