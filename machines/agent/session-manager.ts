// The original's SessionManager: sessions created, found, listed, terminated and watched. It keeps nothing: each call is a
// query of the runtime or an event to a session, so all of it is as durable as the sessions are, and any number of
// managers say the same. What a session does is in its machine; its conversations are `Conversations`.

import type { Runtime, Session, Stream } from 'holdfast'
import { type AgentRefusal, answered, entriesOf, isAbsent } from './asking.js'
import { agent } from './kind.js'
import type { LlmConfig } from './llm-config.js'
import type { AgentInput, AgentMachine } from './machine.js'
import { type Result, refused } from './result.js'
import { type SessionInfo, type SessionSummary, sessionInfoOf, sessionSummaryOf } from './session-info.js'
import type { SessionStatus, StateOptions } from './session-state.js'
import { type StatusEvent, statusOfAll, statusOfOne, type TopicOptions } from './status-events.js'

export interface SessionOptions extends Omit<StateOptions, 'llm_config'> {
  /** Letters, digits, `-` and `_`, at most 64; a new one by default. */
  readonly session_id?: string
  readonly llm_config?: LlmConfig
}

export interface SessionQuery {
  /** Default: every session that has not terminated. */
  readonly status?: SessionStatus
}

/**
 *     const sessions = new SessionManager(runtime)
 *     const created = await sessions.createSession({ metadata: { project: 'shop' } })
 *     if (created.ok) await sessions.terminateSession(created.session_id)
 */
export class SessionManager {
  readonly #runtime: Runtime

  /** The runtime must have been opened with the kind `agent`; its owner closes it. */
  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /**
   * Creates a session and starts it; resolves when that is durable and the session is active.
   * Refused: `invalid`, `already_exists`, or `start_failed`, and then the session has terminated.
   */
  createSession(
    options: SessionOptions = {},
  ): Promise<Result<{ session_id: string; info: SessionInfo }, AgentRefusal>> {
    return answered(async () => {
      const { session_id, ...input } = options
      const session = await this.#runtime.create(
        agent,
        input as AgentInput,
        session_id === undefined ? {} : { id: session_id },
      )
      const started = await session.until(({ value }) => value !== 'initializing')
      if (started.value === 'terminated') {
        return refused('start_failed', `session ${session.id} could not start: ${started.context.error}`)
      }
      return { ok: true, session_id: session.id, info: sessionInfoOf(started) }
    })
  }

  /**
   * Terminates a session: its conversations end, what they run is stopped, the module's `stop` is called; resolves when
   * all of that is durable. Refused: `not_found`, also for a session that has terminated.
   */
  terminateSession(
    sessionId: string,
    options: { readonly reason?: string } = {},
  ): Promise<Result<{ info: SessionInfo }, AgentRefusal>> {
    return answered(async () => {
      const session = this.#session(sessionId)
      if (session?.entry().status !== 'active') return notFound(sessionId)
      const { value } = await session.until(({ value }) => value !== 'initializing')
      if (value === 'terminated') return notFound(sessionId)
      const { reason } = options
      const asked = await answered(() => session.send({ type: 'terminate', ...(reason !== undefined && { reason }) }))
      // Somebody else has asked for the same: then this waits for that.
      if ('ok' in asked && asked.error === 'invalid') return asked
      return { ok: true, info: sessionInfoOf(await session.until('terminated')) }
    })
  }

  /** The sessions, in the order of their creation; none is opened. */
  listSessions({ status }: SessionQuery = {}): SessionSummary[] {
    return [...this.#entries(status)].map(sessionSummaryOf)
  }

  /** How many sessions have not terminated. */
  countSessions(): number {
    return this.#runtime.sessions.count({ kind: agent.kind, status: 'active' })
  }

  /** A session's state, with its address; also of one that has terminated. Refused: `not_found`. */
  getSessionInfo(sessionId: string): Result<{ info: SessionInfo }, AgentRefusal> {
    const session = this.#session(sessionId)
    return session ? { ok: true, info: sessionInfoOf(session.snapshot()) } : notFound(sessionId)
  }

  /** The session itself: its snapshot, streams, history. Refused: `not_found`. */
  getSession(sessionId: string): Result<{ session: Session<AgentMachine> }, AgentRefusal> {
    const session = this.#session(sessionId)
    return session ? { ok: true, session } : notFound(sessionId)
  }

  /** The topic of all sessions, or, with an id, of that one. Throws SESSION_NOT_FOUND. */
  statusEvents$(sessionId?: string, options: TopicOptions = {}): Stream<StatusEvent> {
    if (sessionId === undefined) return statusOfAll(this.#runtime, options)
    return statusOfOne(this.#runtime.session(sessionId, agent), options)
  }

  *#entries(status: SessionStatus | undefined) {
    const { kind } = agent
    const runtime = this.#runtime
    if (status !== 'terminated') {
      return yield* entriesOf(runtime, { kind, status: 'active', ...(status && { where: { status } }) })
    }
    // As its machine has it, or ended from outside.
    for (const ended of ['done', 'stopped', 'error'] as const) yield* entriesOf(runtime, { kind, status: ended })
  }

  #session(id: string): Session<AgentMachine> | undefined {
    try {
      return this.#runtime.session(id, agent)
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw error
    }
  }
}

const notFound = (id: string) => refused('not_found' as const, `there is no session ${String(id)} that runs`)
