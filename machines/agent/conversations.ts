// Conversations with the sessions of a runtime: begun, continued, watched, decided upon. As `SessionManager`, it keeps
// nothing: people's words go to the session, which passes them on; decisions on tool calls go to the conversation.

import { HoldfastError, type LiveOptions, type Runtime, type Session, type StepUpdate, type Stream } from 'holdfast'
import { type AgentRefusal, answered, entriesOf, isAbsent } from './asking.js'
import type { ConversationMachine } from './conversation.js'
import type { AgentEvent, ConversationEvent } from './events.js'
import { agent, conversation as conversationKind } from './kind.js'
import type { Budget } from './llm-config.js'
import { type Refused, type Result, refused } from './result.js'
import {
  type ConversationInfo,
  type ConversationSummary,
  conversationInfoOf,
  conversationSummaryOf,
} from './session-info.js'

export interface SayOptions {
  /** An id of the message: saying it again, also after a restart, does nothing. */
  readonly id?: string
}

export interface DecideOptions {
  readonly by?: string
  readonly reason?: string
}

type Answer<T = object> = Result<T, AgentRefusal>

/**
 *     const talks = new Conversations(runtime)
 *     const begun = await talks.start(session_id, 'Fix the build')
 *     if (begun.ok) await talks.settled(session_id, begun.conversation)
 */
export class Conversations {
  readonly #runtime: Runtime

  /** The runtime must have been opened with the kind `agent`; its owner closes it. */
  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /**
   * Begins a conversation with a first message; resolves with its id within the session when that is durable.
   * Refused: `not_found`, `invalid`, `max_conversations`, or `not_accepted`: the session terminates, or has one of that id.
   */
  async start(
    sessionId: string,
    text: string,
    { id, conversation }: SayOptions & { readonly conversation?: string } = {},
  ): Promise<Answer<{ conversation: string }>> {
    const sent = await answered(async () => {
      const session = this.#runtime.session(sessionId, agent)
      const event: AgentEvent = { type: 'converse', text, ...(conversation !== undefined && { conversation }) }
      const { patch = [] } = await session.send(event, id === undefined ? {} : { id })
      const begun = patch.find(([path]) => path.length === 1 && path[0] === 'begun')?.[1]
      return { ok: true as const, conversation: conversation ?? `c${String(begun)}` }
    })
    return sent.ok || sent.error !== 'not_accepted' ? sent : this.#full(sessionId, sent)
  }

  /** Says something more. Refused: `not_found`, `invalid`, or `not_accepted` while an answer is under way. */
  say(sessionId: string, conversation: string, text: string, options: SayOptions = {}): Promise<Answer> {
    return this.#tell(sessionId, { type: 'message', conversation, text }, options)
  }

  /** Tries again after a failure. Refused: `not_found`, or `not_accepted` for one that has not failed. */
  retry(sessionId: string, conversation: string): Promise<Answer> {
    return this.#tell(sessionId, { type: 'retry', conversation })
  }

  /** Ends a conversation and stops what it runs. Refused: `not_found`, or `not_accepted` when it is not open. */
  close(sessionId: string, conversation: string): Promise<Answer> {
    return this.#tell(sessionId, { type: 'close', conversation })
  }

  /** New limits for all conversations of a session, each above the one before. Refused: `not_found`, `not_accepted`. */
  raiseBudget(sessionId: string, { tokens, money }: Budget): Promise<Answer> {
    return this.#tell(sessionId, {
      ...{ type: 'raiseBudget', ...(tokens !== undefined && { tokens }), ...(money !== undefined && { money }) },
    })
  }

  /** Lets a tool call go on. The same decision may come twice; another one is `not_accepted`. Refused also: `not_found`. */
  approve(sessionId: string, conversation: string, call: string, { by }: DecideOptions = {}): Promise<Answer> {
    return this.#order(sessionId, conversation, { type: 'approve', call, ...(by !== undefined && { by }) })
  }

  /** Tells the model that a tool call may not be. As `approve`. */
  deny(sessionId: string, conversation: string, call: string, { by, reason }: DecideOptions = {}): Promise<Answer> {
    const who = { ...(by !== undefined && { by }), ...(reason !== undefined && { reason }) }
    return this.#order(sessionId, conversation, { type: 'deny', call, ...who })
  }

  /** Cuts an answer short. Refused: `not_found`, or `not_accepted` when none is under way. */
  stop(sessionId: string, conversation: string): Promise<Answer> {
    return this.#order(sessionId, conversation, { type: 'stop' })
  }

  /** What a conversation has come to. Refused: `not_found`. */
  get(sessionId: string, conversation: string): Answer<{ info: ConversationInfo }> {
    const session = this.#find(sessionId, conversation)
    return session
      ? { ok: true, info: conversationInfoOf(sessionId, session.snapshot()) }
      : absent(sessionId, conversation)
  }

  /** The conversations of a session, those that have ended included, in the order of their beginning; none is opened. */
  list(sessionId: string): ConversationSummary[] {
    const { kind } = conversationKind
    return [...entriesOf(this.#runtime, { kind, parent: sessionId })].map(conversationSummaryOf)
  }

  /** Every conversation, of any session, that waits for a person; none is opened. */
  inbox(): ConversationSummary[] {
    const { kind } = conversationKind
    const waiting = entriesOf(this.#runtime, { kind, status: 'active', where: { inbox: true } })
    return [...waiting].map(conversationSummaryOf)
  }

  /**
   * Resolves when nothing of a conversation is under way: it is ready, has failed or ended, or waits for a person.
   * Refused: `not_found`. Rejects with ABORTED or TIMEOUT.
   */
  async settled(
    sessionId: string,
    conversation: string,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
  ): Promise<Answer<{ info: ConversationInfo }>> {
    const talk = await this.#begun(sessionId, conversation)
    if (!talk) return absent(sessionId, conversation)
    const session = this.#runtime.session(sessionId, agent)
    const enough = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, enough.signal]) : enough.signal
    // The session says when it is busy, from the moment on that somebody says something; only a person is not waited for.
    const rests = session.until(
      ({ status, context }) => status !== 'active' || context.conversations[conversation] !== 'busy',
      { ...options, signal },
    )
    const waits = talk.until(({ status, value }) => status !== 'active' || typeof value === 'object', {
      ...options,
      signal,
    })
    try {
      await Promise.race([rests, waits])
    } finally {
      enough.abort()
      await Promise.allSettled([rests, waits])
    }
    return this.get(sessionId, conversation)
  }

  /** Tokens, tool calls and progress as they come: live only. Throws SESSION_NOT_FOUND. */
  updates$(sessionId: string, conversation: string, options: LiveOptions = {}): Stream<StepUpdate> {
    const session = this.#find(sessionId, conversation)
    if (session) return session.progress$(options)
    throw new HoldfastError('SESSION_NOT_FOUND', absent(sessionId, conversation).message)
  }

  #tell(sessionId: string, event: AgentEvent, { id }: SayOptions = {}): Promise<Answer> {
    return answered(async () => {
      await this.#runtime.session(sessionId, agent).send(event, id === undefined ? {} : { id })
      return { ok: true as const }
    })
  }

  #order(sessionId: string, conversation: string, event: ConversationEvent): Promise<Answer> {
    return answered(async () => {
      const session = this.#find(sessionId, conversation)
      if (!session) return absent(sessionId, conversation)
      await session.send(event)
      return { ok: true as const }
    })
  }

  /** Why no conversation could begin. */
  #full(sessionId: string, why: Refused<AgentRefusal>): Refused<AgentRefusal> {
    const { context } = this.#runtime.session(sessionId, agent).snapshot()
    const { max_conversations } = context.config
    if (Object.keys(context.conversations).length < max_conversations) return why
    return refused('max_conversations', `session ${sessionId} has its ${max_conversations} conversations: close one`)
  }

  /** The conversation's own session: of several with one id, the last. */
  #find(sessionId: string, conversation: string): Session<ConversationMachine> | undefined {
    const { kind } = conversationKind
    let found: string | undefined
    for (const { id } of entriesOf(this.#runtime, { kind, parent: sessionId, where: { conversation } })) found = id
    return found === undefined ? undefined : this.#runtime.session(found, conversationKind)
  }

  /** One that was begun a moment ago has no record of its own yet. */
  async #begun(sessionId: string, conversation: string): Promise<Session<ConversationMachine> | undefined> {
    const found = this.#find(sessionId, conversation)
    if (found) return found
    try {
      const session = this.#runtime.session(sessionId, agent)
      const isOpen = (): boolean => Object.hasOwn(session.snapshot().context.conversations, conversation)
      // Its first word to the session is that it asks for its model.
      if (isOpen()) await session.until(() => this.#find(sessionId, conversation) !== undefined || !isOpen())
    } catch (error) {
      if (!isAbsent(error)) throw error
    }
    return this.#find(sessionId, conversation)
  }
}

const absent = (sessionId: string, conversation: string): Refused<'not_found'> =>
  refused('not_found', `session ${sessionId} has no conversation ${conversation}`)
