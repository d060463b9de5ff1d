// The low-level store: sessions and their modifications, page by page, and the events that change them. It keeps nothing, every
// call is a query of the runtime or an event to a session, and it asks nobody who may do what: that is the service's.

import {
  HoldfastError,
  isHoldfastError,
  type Session,
  type SessionEntry,
  type SessionSnapshot,
  type TraceContext,
  type Transition,
} from 'holdfast'
import type { ExecutionEvent } from './events.js'
import type { Host } from './hosting.js'
import type { ExecutionInput } from './input.js'
import { execution } from './kind.js'
import type { ExecutionMachine, ExecutionStatus } from './machine.js'
import {
  type ExecutionSession,
  modificationOf,
  type PlanModification,
  sessionNotFound,
  sessionOf,
  statusOf,
} from './session.js'

export interface SessionQuery {
  readonly status?: ExecutionStatus
  readonly adminUserId?: string
  readonly teamId?: string
  readonly organizationId?: string
  /** True: only those with modifications that are not processed. */
  readonly unprocessed?: boolean
}

export interface ModificationQuery {
  readonly ticketId?: string
  readonly userId?: string
  readonly processed?: boolean
}

export interface Paging {
  /** How many at most; default 100. */
  readonly limit?: number
  /** Where the last page said that more begin. */
  readonly cursor?: string
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string
}

const PAGE = 100
const AT_A_TIME = 500

export class SessionDatabase {
  readonly #host: Host
  readonly #timings: { writes: number; totalMs: number; longestMs: number }
  /** Within which changes are made here. */
  readonly trace: TraceContext | undefined

  constructor(host: Host, trace?: TraceContext, timings = { writes: 0, totalMs: 0, longestMs: 0 }) {
    this.#host = host
    this.#timings = timings
    this.trace = trace
  }

  /** The same, within a trace. */
  within(trace: TraceContext | undefined): SessionDatabase {
    return new SessionDatabase(this.#host, trace, this.#timings)
  }

  /** Rejects with INVALID_INPUT naming the field, or SESSION_EXISTS. */
  async createSession(id: string, input: ExecutionInput): Promise<Session<ExecutionMachine>> {
    const { runtime, tables } = await this.#host.open()
    const session = await this.#timed(() => runtime.create(execution, { ...input, id }, { id, ...this.trace }))
    const [first] = session.history({ from: 1, to: 1 })
    if (first) tables?.take(first as Transition)
    return session
  }

  /** Rejects with SESSION_NOT_FOUND for any id that is no execution session's. */
  async session(id: string): Promise<Session<ExecutionMachine>> {
    const { runtime } = await this.#host.open()
    try {
      return runtime.session(id, execution)
    } catch (error) {
      const isAbsent = isHoldfastError(error, 'SESSION_NOT_FOUND', 'SESSION_DELETED', 'INVALID_ID', 'KIND_MISMATCH')
      throw isAbsent ? sessionNotFound(String(id), error) : error
    }
  }

  /** Null when there is none. */
  async getSession(id: string): Promise<ExecutionSession | null> {
    try {
      return sessionOf((await this.session(id)).entry())
    } catch (error) {
      if (isHoldfastError(error, 'SESSION_NOT_FOUND')) return null
      throw error
    }
  }

  /**
   * Resolves when all of it is durable, as one transition, and in the tables. Rejects with SESSION_NOT_FOUND, INVALID_EVENT, or
   * NOT_ACCEPTED naming the status and what it takes; then nothing has changed.
   */
  async send(id: string, ...events: readonly ExecutionEvent[]): Promise<Transition> {
    const { tables } = await this.#host.open()
    const session = await this.session(id)
    try {
      const [event] = events
      const sent =
        events.length === 1 && event
          ? () => session.send(event, this.trace)
          : () => session.sendBatch(events, this.trace)
      const transition = await this.#timed<Transition>(sent as () => Promise<Transition>)
      tables?.take(transition)
      return transition
    } catch (error) {
      throw isHoldfastError(error, 'NOT_ACCEPTED', 'SESSION_ENDED')
        ? notAccepted(session.snapshot(), events[0], error)
        : error
    }
  }

  /** In the order of creation. */
  async listSessions(query: SessionQuery = {}, { limit = PAGE, cursor }: Paging = {}): Promise<Page<ExecutionSession>> {
    const { runtime } = await this.#host.open()
    const page = runtime.sessions.list(filterOf(query), { limit, ...(cursor !== undefined && { cursor }) })
    return { items: page.sessions.map(sessionOf), ...(page.cursor !== undefined && { cursor: page.cursor }) }
  }

  /** A session's, in the order of their arrival. Rejects with SESSION_NOT_FOUND. */
  async listModifications(
    sessionId: string,
    query: ModificationQuery = {},
    { limit = PAGE, cursor = '1' }: Paging = {},
  ): Promise<Page<PlanModification>> {
    const { modifications } = (await this.session(sessionId)).snapshot().context
    const items: PlanModification[] = []
    for (let number = Number(cursor); number <= modifications.length; number++) {
      const kept = modifications[number - 1]
      if (!kept || !matches(kept, query)) continue
      if (items.length === limit) return { items, cursor: String(number) }
      items.push(modificationOf(sessionId, number, kept))
    }
    return { items }
  }

  /** All of a session's that match. */
  async allModifications(sessionId: string, query: ModificationQuery = {}): Promise<PlanModification[]> {
    return [...(await this.listModifications(sessionId, query, { limit: Number.POSITIVE_INFINITY })).items]
  }

  /** Every entry that matches, oldest first; none is opened. */
  async *entries(query: SessionQuery = {}): AsyncGenerator<SessionEntry> {
    const { runtime } = await this.#host.open()
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = runtime.sessions.list(filterOf(query), { limit: AT_A_TIME, ...(cursor !== undefined && { cursor }) })
      yield* page.sessions
      cursor = page.cursor
    }
  }

  async countSessions(query: SessionQuery = {}): Promise<number> {
    return (await this.#host.open()).runtime.sessions.count(filterOf(query))
  }

  /** With its modifications, for good. Rejects with SESSION_NOT_FOUND. */
  async deleteSession(id: string): Promise<void> {
    const session = await this.session(id)
    await this.#timed(() => session.delete())
  }

  /** How long it took until changes were durable. */
  timings(): { readonly writes: number; readonly totalMs: number; readonly longestMs: number } {
    return { ...this.#timings }
  }

  async #timed<T>(work: () => Promise<T>): Promise<T> {
    // biome-ignore lint/plugin/clock: how long a change takes is measured outside of every session
    const began = Date.now()
    try {
      return await work()
    } finally {
      // biome-ignore lint/plugin/clock: as above
      const ms = Date.now() - began
      this.#timings.writes++
      this.#timings.totalMs += ms
      this.#timings.longestMs = Math.max(this.#timings.longestMs, ms)
    }
  }
}

const matches = (
  kept: { readonly ticketId: string; readonly userId: string; readonly processed: boolean },
  { ticketId, userId, processed }: ModificationQuery,
): boolean =>
  (ticketId === undefined || kept.ticketId === ticketId) &&
  (userId === undefined || kept.userId === userId) &&
  (processed === undefined || kept.processed === processed)

const filterOf = (query: SessionQuery) => ({
  kind: execution.kind,
  where: Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)),
})

const ACCEPTED: { readonly [S in ExecutionStatus]: readonly ExecutionEvent['type'][] } = {
  pending: ['modify', 'process', 'markProcessed', 'updatePlanCount', 'confirm', 'cancel'],
  confirmed: ['modify', 'process', 'markProcessed', 'updatePlanCount', 'complete', 'cancel'],
  completed: [],
  cancelled: [],
}

/** The same refusal whether a session that is over has ended or is still about its last things. */
function notAccepted(
  snapshot: SessionSnapshot<ExecutionMachine>,
  event: ExecutionEvent | undefined,
  cause: unknown,
): unknown {
  const status = statusOf(snapshot)
  const accepted = ACCEPTED[status]
  const takes = accepted.length > 0 ? `it takes ${accepted.join(', ')}` : 'it takes nothing any more'
  const what = `session ${snapshot.id} is ${status} and does not take "${event?.type}"; ${takes}`
  return new HoldfastError('NOT_ACCEPTED', what, { cause, details: { state: status, accepted } })
}
