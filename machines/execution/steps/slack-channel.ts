// Announcements in Slack, by its own client: an optional peer, loaded when first needed. Slack takes the same message twice, so
// each carries its key in its metadata, and an attempt that comes after another looks for that in the channel first.
// Keys are read where they are used; they are never part of a message or of a record.

import type { WebClient } from '@slack/web-api'
import { bounded } from '../../services/waiting.js'
import type { Announcement, Channel, ChannelConfig } from '../channel.js'
import { keysOf } from '../connections.js'
import { ServiceError } from '../errors.js'

type Sdk = typeof import('@slack/web-api')

export interface SlackOptions {
  /** Ends every call. */
  readonly signal?: AbortSignal
  /** Of one call, in ms. Default 30,000. */
  readonly timeoutMs?: number
  /** For tests: how the client is loaded. */
  readonly load?: () => Promise<Sdk>
}

const TIMEOUT_MS = 30_000
const PAGE = 200
const MOST_PAGES = 20
const EVENT_TYPE = 'holdfast_execution'

/** Rejects with SERVICE_NOT_INSTALLED or SERVICE_NOT_CONFIGURED. */
export async function openSlackChannel(
  { channel, connection }: ChannelConfig & { kind: 'slack' },
  options: SlackOptions = {},
): Promise<Channel> {
  const { SLACK_BOT_TOKEN: token, SLACK_API_URL: slackApiUrl } = keysOf(connection, process.env)
  if (!token) {
    const message = 'SLACK_BOT_TOKEN is not set: take it from your app in Slack, under OAuth & Permissions'
    throw new ServiceError('SERVICE_NOT_CONFIGURED', message, { details: { variable: 'SLACK_BOT_TOKEN' } })
  }
  const sdk = await loaded(options.load ?? (() => import('@slack/web-api')))
  const { signal, timeoutMs = TIMEOUT_MS } = options
  const client = new sdk.WebClient(token, {
    ...(slackApiUrl && { slackApiUrl }),
    // Waiting and trying again are the session's: what it waits for survives a crash.
    ...{ retryConfig: { retries: 0 }, rejectRateLimitedCalls: true, timeout: timeoutMs },
    fetch: (url, init) => fetch(url, { ...init, ...(signal && { signal: both(signal, init?.signal) }) }),
    logger: silent(sdk),
  })
  return new SlackChannel(client, channel, signal)
}

const both = (a: AbortSignal, b: AbortSignal | undefined): AbortSignal => (b ? AbortSignal.any([a, b]) : a)

class SlackChannel implements Channel {
  readonly #client: WebClient
  readonly #channel: string
  readonly #signal: AbortSignal | undefined

  constructor(client: WebClient, channel: string, signal: AbortSignal | undefined) {
    this.#client = client
    this.#channel = channel
    this.#signal = signal
  }

  async announce({ key, text }: Announcement, again: boolean): Promise<{ readonly where: string }> {
    const channel = await this.#idOf(this.#channel)
    const there = again ? await this.#find(channel, key) : undefined
    if (there !== undefined) return { where: there }
    const metadata = { event_type: EVENT_TYPE, event_payload: { key } }
    const { ts = '' } = await this.#call(() => this.#client.chat.postMessage({ channel, text, metadata }))
    return { where: ts }
  }

  /** Where a message with the key stands, if there is one among the last. No clock is asked: that of Slack is another. */
  async #find(channel: string, key: string): Promise<string | undefined> {
    let cursor: string | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const about = { channel, limit: PAGE, include_all_metadata: true, ...(cursor && { cursor }) }
      const { messages = [], response_metadata } = await this.#call(() => this.#client.conversations.history(about))
      const found = messages.find(({ metadata }) => {
        return metadata?.event_type === EVENT_TYPE && (metadata.event_payload as { key?: unknown })?.key === key
      })
      if (found) return found.ts ?? ''
      cursor = response_metadata?.next_cursor
      if (!cursor) return undefined
    }
    return undefined
  }

  /** A channel by its id, or by its name. */
  async #idOf(channel: string): Promise<string> {
    if (/^[CGD][A-Z0-9]{7,}$/.test(channel)) return channel
    const name = channel.replace(/^#/, '')
    let cursor: string | undefined
    for (let page = 0; page < MOST_PAGES; page++) {
      const about = { limit: PAGE, exclude_archived: true, ...(cursor && { cursor }) }
      const { channels = [], response_metadata } = await this.#call(() => this.#client.conversations.list(about))
      const found = channels.find((each) => each.name === name)
      if (found?.id) return found.id
      cursor = response_metadata?.next_cursor
      if (!cursor) break
    }
    throw new ServiceError('SERVICE_NOT_FOUND', `Slack has no channel "${name}" that the bot can see: invite it`, {
      details: { channel: name },
    })
  }

  async #call<T>(call: () => Promise<T>): Promise<T> {
    this.#signal?.throwIfAborted()
    try {
      return await call()
    } catch (error) {
      this.#signal?.throwIfAborted()
      throw failureOf(error)
    }
  }
}

async function loaded(load: () => Promise<Sdk>): Promise<Sdk> {
  try {
    return await load()
  } catch (cause) {
    const message = 'announcements in Slack need the package @slack/web-api: npm install @slack/web-api'
    throw new ServiceError('SERVICE_NOT_INSTALLED', message, { cause, details: { package: '@slack/web-api' } })
  }
}

/** The client would write to the console. */
function silent({ LogLevel }: Sdk) {
  const nothing = (): void => {}
  return {
    ...{ debug: nothing, info: nothing, warn: nothing, error: nothing, setLevel: nothing, setName: nothing },
    getLevel: () => LogLevel.ERROR,
  }
}

/** What the client throws, by its codes. */
interface SlackFailure {
  readonly code?: string
  readonly message: string
  readonly retryAfter?: number
  readonly statusCode?: number
  readonly data?: { readonly error?: string }
}

const UNAUTHORIZED: readonly string[] = [
  'invalid_auth',
  'not_authed',
  'account_inactive',
  'token_revoked',
  'token_expired',
]
const AWAY: readonly string[] = ['internal_error', 'fatal_error', 'service_unavailable', 'request_timeout']

function failureOf(cause: unknown): ServiceError {
  const { code, message, retryAfter, statusCode = 500, data } = cause as SlackFailure
  const error = data?.error ?? ''
  const options = { cause, details: { service: 'slack', ...(error && { error }) } }
  if (code === 'slack_webapi_rate_limited_error') {
    const waitMs = bounded((retryAfter ?? 60) * 1000)
    const text = `Slack asks to wait for ${Math.ceil(waitMs / 1000)} s`
    return new ServiceError('SERVICE_RATE_LIMITED', text, { cause, details: { service: 'slack', waitMs } })
  }
  if (code !== 'slack_webapi_platform_error') {
    if (statusCode >= 400 && statusCode < 500) {
      return new ServiceError('SERVICE_REFUSED', `Slack has refused a call: ${message}`, options)
    }
    return new ServiceError('SERVICE_UNAVAILABLE', `Slack cannot be reached (${message})`, options)
  }
  if (UNAUTHORIZED.includes(error)) {
    const text = `Slack does not accept SLACK_BOT_TOKEN (${error}): take the one that your app has now`
    return new ServiceError('SERVICE_UNAUTHORIZED', text, options)
  }
  if (AWAY.includes(error)) return new ServiceError('SERVICE_UNAVAILABLE', `Slack has failed (${error})`, options)
  return new ServiceError('SERVICE_REFUSED', `Slack has refused a call: ${error}`, options)
}
