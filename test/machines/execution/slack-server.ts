// A Slack on the loopback interface: posting, the history of a channel with metadata, and the list of channels, in pages, with
// its tokens, its errors and its limits (429 with Retry-After). It remembers every call and every message.

import { type Answer, type Asked, Loopback } from '../loopback.js'

export const TOKEN = 'xoxb-right'
export const CHANNEL = 'C0EXECUTION'

export interface SlackCall {
  readonly method: string
  readonly args: Record<string, any>
  /** What became of it: `ok`, or why it was refused or lost. */
  outcome: string
}

interface Message {
  readonly ts: string
  readonly channel: string
  readonly text: string
  readonly metadata?: { readonly event_type: string; readonly event_payload: { readonly key: string } }
}

export type SlackFault = 'rate limit' | 'unavailable' | 'failed' | 'lost answer' | 'cut off'

export class SlackServer extends Loopback {
  readonly calls: SlackCall[] = []
  readonly messages: Message[] = []
  /** Tokens that it accepts. */
  readonly tokens: Set<string> = new Set([TOKEN])
  /** Asked before each call. */
  faultOf: (call: SlackCall) => SlackFault | undefined = () => undefined
  retryAfterS = 30
  #now = Date.now() / 1000

  callsTo(method: string): readonly SlackCall[] {
    return this.calls.filter((call) => call.method === method)
  }

  protected override answer({ url, authorization, body }: Asked): Answer | 'cut off' {
    const args = Object.fromEntries(new URLSearchParams(body))
    const call: SlackCall = { method: url.replace(/^.*\/api\//, ''), args, outcome: 'ok' }
    this.calls.push(call)
    const fault = this.faultOf(call)
    if (fault) call.outcome = fault
    if (fault === 'rate limit')
      return {
        status: 429,
        headers: { 'retry-after': String(this.retryAfterS) },
        body: '{"ok":false,"error":"ratelimited"}',
      }
    if (fault === 'unavailable') return { status: 503, body: 'upstream connect error' }
    if (fault === 'failed') return this.#refuse(call, 'internal_error')
    if (fault === 'cut off') return fault
    const token = authorization?.replace(/^Bearer /, '') ?? args.token
    if (!this.tokens.has(token as string)) return this.#refuse(call, 'invalid_auth')
    const answer = this.#act(call)
    return fault === 'lost answer' ? 'cut off' : answer
  }

  override listen(): Promise<string> {
    return super.listen('/api/')
  }

  #act(call: SlackCall): Answer {
    const { method, args } = call
    switch (method) {
      case 'chat.postMessage': {
        if (args.channel !== CHANNEL) return this.#refuse(call, 'channel_not_found')
        if (!args.text) return this.#refuse(call, 'no_text')
        this.#now += 0.001
        const ts = this.#now.toFixed(6)
        const metadata = args.metadata === undefined ? undefined : JSON.parse(args.metadata)
        this.messages.push({ ts, channel: args.channel, text: args.text, metadata })
        return ok({ channel: args.channel, ts })
      }
      case 'conversations.history': {
        if (args.channel !== CHANNEL) return this.#refuse(call, 'channel_not_found')
        const all = this.messages.filter(({ ts }) => Number(ts) > Number(args.oldest ?? 0)).reverse()
        const start = Number(args.cursor || 0)
        const end = start + 2 // pages are small, so that there are several
        const messages = all.slice(start, end).map(({ metadata, ...message }) => {
          return args.include_all_metadata === 'true' && metadata ? { ...message, metadata } : message
        })
        return ok({ messages, response_metadata: { next_cursor: end < all.length ? String(end) : '' } })
      }
      case 'conversations.list': {
        const channels = [
          { id: 'C0GENERAL0', name: 'general' },
          { id: CHANNEL, name: 'execution' },
        ]
        const start = Number(args.cursor || 0)
        const next = start + 1 < channels.length ? String(start + 1) : ''
        return ok({ channels: channels.slice(start, start + 1), response_metadata: { next_cursor: next } })
      }
      default:
        return this.#refuse(call, 'unknown_method')
    }
  }

  #refuse(call: SlackCall, error: string): Answer {
    call.outcome = error
    return { status: 200, body: JSON.stringify({ ok: false, error }) }
  }
}

const ok = (fields: object): Answer => ({ status: 200, body: JSON.stringify({ ok: true, ...fields }) })
