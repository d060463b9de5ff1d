// The supervisor: starts sessions, restarts those whose effects crash, parks those that cannot be restored.
// One session that it cannot start or that keeps crashing never keeps another from running. It changes no state of a
// session by itself: a restart goes on from the last durable point.

import type { Cancel } from './clock.js'
import type { AnySessionKind } from './define.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import { loadState } from './history.js'
import type { SessionHost } from './host.js'
import type { Logger } from './logger.js'
import { sessionEnded, sessionNotFound, unknownKind } from './refusals.js'
import type { Registry } from './registry.js'
import { decideRestart } from './restart.js'
import { LiveSession } from './session.js'
import type { Snapshots } from './snapshots.js'
import type { IndexEntry } from './state.js'

export interface SupervisorHost {
  readonly session: SessionHost
  readonly snapshots: Snapshots
  readonly registry: Registry
  readonly kinds: ReadonlyMap<string, AnySessionKind>
  readonly logger: Logger
  /** A session can no longer run: whoever waits for it is told why. */
  parked(id: string, reason: HoldfastError): void
}

/** A session that exists but cannot run, and why. */
export interface Parked {
  readonly id: string
  readonly kind: string
  readonly reason: HoldfastError
}

/** Sessions that have ended are kept in memory for a while, this many. */
const ENDED_KEPT = 256

export class Supervisor {
  readonly #host: SupervisorHost
  readonly #live: Map<string, LiveSession> = new Map()
  readonly #ended: Map<string, LiveSession> = new Map()
  readonly #parked: Map<string, Parked> = new Map()
  /** Parked sessions that are being deleted. */
  readonly #tombstones: Map<string, LiveSession> = new Map()
  readonly #crashes: Map<string, readonly number[]> = new Map()
  readonly #restarts: Map<string, Cancel> = new Map()
  /** When a session that sleeps must be started: one alarm each, for its next timer. */
  readonly #alarms: Map<string, Cancel> = new Map()

  #stopped = false

  constructor(host: SupervisorHost) {
    this.#host = host
  }

  get live(): Iterable<LiveSession> {
    return this.#live.values()
  }

  get liveCount(): number {
    return this.#live.size
  }

  get parked(): readonly Parked[] {
    return [...this.#parked.values()]
  }

  /**
   * Starts every session that has steps or messages waiting, or an overdue timer, and wakes the others when their next
   * timer is due.
   */
  start(): void {
    const now = this.#host.session.clock.now()
    for (const { id, work } of [...this.#host.registry.withWork()]) {
      const due = Object.values(work.timers).reduce(
        (next, at) => Math.min(next, Date.parse(at)),
        Number.POSITIVE_INFINITY,
      )
      if (work.steps.length > 0 || work.messages > 0 || due <= now) this.wake(id)
      else if (due !== Number.POSITIVE_INFINITY) this.#sleepUntil(id, due)
    }
  }

  /** Takes in a session that was just created. */
  adopt(session: LiveSession): void {
    this.#live.set(session.id, session)
  }

  /** The session in memory, if it is: live, or ended a short while ago. */
  peek(id: string): LiveSession | undefined {
    return this.#live.get(id) ?? this.#ended.get(id)
  }

  /** The session, restored if it must be. Throws SESSION_NOT_FOUND, or why it is parked. */
  activate(id: string): LiveSession {
    const session = this.peek(id)
    if (session) return session
    const entry = this.#host.registry.get(id)
    if (!entry) throw sessionNotFound(id)
    const parked = this.#parked.get(id)
    if (parked) throw parked.reason
    try {
      return this.#restore(entry)
    } catch (error) {
      throw this.park(entry, error)
    }
  }

  /**
   * The session for whoever only looks: restored if it can be; if not, undefined, and nothing is parked for that. Nor is one
   * restored once all are stopped: it would go on with what it was at.
   */
  glance(id: string): LiveSession | undefined {
    const session = this.peek(id)
    const entry = this.#host.registry.get(id)
    if (session || this.#stopped || !entry || this.#parked.has(id) || !this.#host.kinds.has(entry.kind)) return session
    try {
      return this.#restore(entry)
    } catch {
      return undefined
    }
  }

  /** A parked session, to be deleted: the same for whoever asks until it is. */
  tombstone(entry: IndexEntry, reason: HoldfastError): LiveSession {
    const tombstone = this.#tombstones.get(entry.id) ?? LiveSession.parked(this.#host.session, entry, reason)
    this.#tombstones.set(entry.id, tombstone)
    return tombstone
  }

  /** Why a session is parked, if it is. */
  reasonParked(id: string): HoldfastError | undefined {
    return this.#parked.get(id)?.reason
  }

  /** Gives up a session until somebody mends the cause. */
  park(entry: { readonly id: string; readonly kind: string }, cause: unknown): HoldfastError {
    const { id, kind } = entry
    const why = cause instanceof Error ? cause.message : String(cause)
    const reason = isHoldfastError(cause, 'SESSION_PARKED')
      ? cause
      : new HoldfastError('SESSION_PARKED', `session ${id} (${kind}) is parked: ${why}`, {
          cause,
          details: { id, kind, reason: codeOf(cause) ?? 'CANNOT_RESTORE' },
        })
    this.#parked.set(id, { id, kind, reason })
    this.#live.get(id)?.stop(reason)
    this.#live.delete(id)
    this.#host.logger.error({ session: id, err: reason }, reason.message)
    this.#host.parked(id, reason)
    return reason
  }

  /** A session's effects threw. It is restarted from its last durable point, later each time. */
  crashed(session: LiveSession, errors: readonly unknown[]): void {
    const { id } = session
    for (const err of errors) this.#host.logger.error({ session: id, err }, `an effect of session ${id} threw`)
    if (!this.#live.has(id) || this.#restarts.has(id)) return
    const { clock, timers } = this.#host.session
    const { afterMs, crashes } = decideRestart(this.#crashes.get(id) ?? [], clock.now())
    this.#crashes.set(id, crashes)
    session.pause()
    this.#restarts.set(
      id,
      timers.arm(clock.now() + afterMs, () => void this.#restart(session)),
    )
  }

  /** A session has ended or was deleted. */
  ended(session: LiveSession): void {
    const { id } = session
    // One of the same id may have begun since.
    if ((this.peek(id) ?? this.#tombstones.get(id)) !== session) return
    this.#forget(id)
    if (this.#host.registry.get(id)) this.#keep(session)
  }

  /** A session that has ended, for whoever looks at it soon. */
  #keep(session: LiveSession): void {
    this.#ended.set(session.id, session)
    if (this.#ended.size > ENDED_KEPT) this.#ended.delete(this.#ended.keys().next().value as string)
  }

  /** Stops everything; nothing is recorded, so all of it goes on when the runtime is opened again. */
  stop(reason: Error): void {
    this.#stopped = true
    for (const cancel of [...this.#restarts.values(), ...this.#alarms.values()]) cancel()
    for (const session of this.#live.values()) session.stop(reason)
  }

  #forget(id: string): void {
    this.#live.delete(id)
    this.#ended.delete(id)
    this.#tombstones.delete(id)
    this.#parked.delete(id)
    this.#alarms.get(id)?.()
    this.#alarms.delete(id)
    this.#crashes.delete(id)
    for (const waiting of [this.#restarts, this.#alarms]) {
      waiting.get(id)?.()
      waiting.delete(id)
    }
  }

  async #restart(session: LiveSession): Promise<void> {
    try {
      // What was decided before the crash is on its way; the restart goes on from behind it.
      if (!session.quiet) await this.#host.session.journal.flush()
      this.#restarts.delete(session.id)
      if (this.#live.has(session.id) && !this.#stopped) session.restart()
    } catch (error) {
      this.#restarts.delete(session.id)
      if (!this.#stopped) this.park(session.identity, error)
    }
  }

  /** Restores a session that has something to do. */
  wake(id: string): void {
    this.#alarms.delete(id)
    try {
      this.activate(id)
    } catch {
      // Parked, reported, and listed by `health`; the others go on.
    }
  }

  #sleepUntil(id: string, at: number): void {
    this.#alarms.set(
      id,
      this.#host.session.timers.arm(at, () => this.wake(id)),
    )
  }

  #restore(entry: IndexEntry): LiveSession {
    const { session: host, kinds } = this.#host
    const kind = kinds.get(entry.kind)
    if (!kind) {
      if (entry.status === 'active') throw unknownKind(entry.kind, kinds)
      // What has ended needs no machine any more: it takes no events, and can be deleted.
      return LiveSession.parked(host, entry, sessionEnded(entry.id, entry.status))
    }
    let bytes = 0 // what was folded counts towards the next snapshot, or a session restored often never gets one
    const state = loadState(host.journal, this.#host.snapshots, entry, (record) => {
      bytes += JSON.stringify(record).length
    })
    if (state.status === 'active' && kind.version !== entry.version) throw otherVersion(kind, entry)
    const session = LiveSession.restore(host, kind, state, bytes)
    this.#alarms.get(entry.id)?.()
    this.#alarms.delete(entry.id)
    if (state.status !== 'active') {
      this.#keep(session)
      return session
    }
    this.#live.set(entry.id, session)
    session.begin()
    return session
  }
}

const codeOf = (cause: unknown): string | undefined => {
  const { code } = (cause ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

const otherVersion = (kind: AnySessionKind, entry: IndexEntry): HoldfastError =>
  new HoldfastError(
    'KIND_MISMATCH',
    `it was recorded by version ${entry.version} of kind "${kind.kind}", and this is version ${kind.version}`,
    { details: { recorded: entry.version, present: kind.version } },
  )
