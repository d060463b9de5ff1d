// The supervisor: starts sessions, restarts those whose effects crash, parks those that cannot be restored.
// One session that it cannot start or that keeps crashing never keeps another from running. It changes no state of a
// session by itself: a restart goes on from the last durable point.

import type { Cancel } from './clock.js'
import type { AnySessionKind } from './define.js'
import { HoldfastError, isHoldfastError, messageOf } from './errors.js'
import { loadState } from './history.js'
import type { SessionHost } from './host.js'
import type { Logger } from './logger.js'
import { checkContext } from './migration.js'
import { Passivation, type PassivationLimits } from './passivation.js'
import { sessionEnded, sessionNotFound, sessionQuarantined, unknownKind } from './refusals.js'
import type { Registry } from './registry.js'
import { decideRestart, type SupervisionPolicy } from './restart.js'
import { LiveSession } from './session.js'
import type { Snapshots } from './snapshots.js'
import type { IndexEntry, Work } from './state.js'

export interface SupervisorHost {
  readonly session: SessionHost
  readonly snapshots: Snapshots
  readonly registry: Registry
  readonly kinds: ReadonlyMap<string, AnySessionKind>
  readonly logger: Logger
  readonly limits: PassivationLimits
  /** Resolves when a session that is to be let go has its snapshot; undefined when it needs none. */
  settle(session: LiveSession): Promise<void> | undefined
  /** A session can no longer run: whoever waits for it is told why. */
  parked(id: string, reason: HoldfastError): void
}

/** A session that exists but cannot run, and why. */
export interface Parked {
  readonly id: string
  readonly kind: string
  /** What kind of reason it is, such as STATE_UNKNOWN: a stable code. */
  readonly code: string
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
  /** Quarantined sessions that somebody has asked something: restored, but not running. */
  readonly #held: Map<string, LiveSession> = new Map()
  readonly #restarts: Map<string, Cancel> = new Map()
  /** When a session that sleeps must be started: one alarm each, for its next timer. */
  readonly #alarms: Map<string, Cancel> = new Map()

  readonly #passivation: Passivation<LiveSession>

  /** Why nothing is restored any more: it would go on with what it was at. */
  #stopped: Error | undefined

  constructor(host: SupervisorHost) {
    this.#host = host
    const passivate = (session: LiveSession): boolean => this.#passivate(session)
    this.#passivation = new Passivation({ clock: host.session.clock, passivate }, host.limits)
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
    for (const { id, work, quarantine } of [...this.#host.registry.withWork()]) {
      if (quarantine) continue
      const due = nextOf(work.timers)
      if (work.steps.length > 0 || work.messages > 0 || due <= now) this.wake(id)
      else this.#sleepUntil(id, due)
    }
  }

  /** Takes in a session that was just created. */
  adopt(session: LiveSession): void {
    this.#enter(session)
  }

  /** The session in memory, if it is: live, or ended a short while ago. */
  peek(id: string): LiveSession | undefined {
    return this.#live.get(id) ?? this.#ended.get(id)
  }

  /** The session, restored if it must be. Throws SESSION_NOT_FOUND, SESSION_QUARANTINED, or why it is parked. */
  activate(id: string): LiveSession {
    return this.#find(id, ({ quarantine }) => {
      if (quarantine) throw sessionQuarantined(id, quarantine.reason)
    })
  }

  /** As `activate`, also for a session that is quarantined: it takes its release, cancel and deletion. */
  reach(id: string): LiveSession {
    return this.#held.get(id) ?? this.#find(id, () => {})
  }

  /** Something happens to a live session. */
  used(session: LiveSession): void {
    if (this.#live.has(session.id)) this.#passivation.used(session)
  }

  #find(id: string, check: (entry: IndexEntry) => void): LiveSession {
    const session = this.peek(id)
    if (session) {
      this.used(session)
      return session
    }
    if (this.#stopped) throw this.#stopped
    const entry = this.#host.registry.get(id)
    if (!entry) throw sessionNotFound(id)
    const parked = this.#parked.get(id)
    if (parked) throw parked.reason
    check(entry)
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
    if (session || this.#stopped || !entry || entry.quarantine) return session
    if (this.#parked.has(id) || !this.#host.kinds.has(entry.kind)) return undefined
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
  reasonBroken(id: string): HoldfastError | undefined {
    return this.#parked.get(id)?.reason
  }

  /** Why a session cannot run, if it is parked or quarantined. */
  reasonParked(id: string): HoldfastError | undefined {
    const { quarantine } = this.#host.registry.get(id) ?? {}
    return this.reasonBroken(id) ?? (quarantine && sessionQuarantined(id, quarantine.reason))
  }

  /** Gives up a session until somebody mends the cause. */
  park(entry: { readonly id: string; readonly kind: string }, cause: unknown): HoldfastError {
    const { id, kind } = entry
    const reason = isHoldfastError(cause, 'SESSION_PARKED')
      ? cause
      : new HoldfastError('SESSION_PARKED', `session ${id} (${kind}) is parked: ${messageOf(cause)}`, {
          cause,
          details: { id, kind, reason: codeOf(cause) ?? 'CANNOT_RESTORE' },
        })
    this.#parked.set(id, { id, kind, code: String(reason.details.reason), reason })
    const session = this.#live.get(id)
    session?.stop(reason)
    if (session) this.#leave(session)
    this.#host.logger.error({ session: id, err: reason }, reason.message)
    this.#host.parked(id, reason)
    return reason
  }

  /** A session has crashed: it ends, is restarted from its last durable point, or is quarantined, as its kind has it. */
  crashed(session: LiveSession, errors: readonly unknown[]): void {
    const { id, supervision } = session
    for (const err of errors) this.#host.logger.error({ session: id, err }, `an effect of session ${id} threw`)
    if (!supervision || session.over || session.quarantined || this.#restarts.has(id) || this.#stopped) return
    const { clock, chance, timers } = this.#host.session
    const now = clock.now()
    const decision = decideRestart(supervision, session.crashes, now, chance.random())
    const [error] = errors
    if (decision.kind === 'end') return session.aftermath.end(error)
    const { crashes } = decision
    if (decision.kind === 'quarantine')
      return session.aftermath.quarantine(crashes, tooMany(crashes, supervision, error))
    const { afterMs } = decision
    if (!session.aftermath.restart(error, crashes, afterMs))
      return session.aftermath.quarantine(crashes, 'it has too many dead letters')
    this.#restarts.set(
      id,
      timers.arm(now + afterMs, () => void this.#restart(session)),
    )
  }

  /** The quarantine of a session is durable: it stops here, and others go on. */
  quarantined(session: LiveSession): void {
    const reason = this.reasonParked(session.id) as HoldfastError
    this.#leave(session)
    session.stop(reason)
    this.#host.logger.error({ session: session.id, err: reason }, reason.message)
  }

  /** Its release is durable: it goes on. */
  released(session: LiveSession): void {
    this.#held.delete(session.id)
    this.#enter(session)
  }

  /** A session has ended or was deleted. */
  ended(session: LiveSession): void {
    const { id } = session
    // One of the same id may have begun since.
    if ((this.peek(id) ?? this.#held.get(id) ?? this.#tombstones.get(id)) !== session) return
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
    this.#stopped = reason
    this.#passivation.stop()
    for (const cancel of [...this.#restarts.values(), ...this.#alarms.values()]) cancel()
    for (const session of [...this.#live.values(), ...this.#held.values()]) session.stop(reason)
  }

  #enter(session: LiveSession): void {
    this.#live.set(session.id, session)
    this.#passivation.used(session)
  }

  #leave(session: LiveSession): void {
    this.#live.delete(session.id)
    this.#passivation.forget(session)
  }

  /** Lets a session go that has nothing under way; the next call, message or timer restores it. */
  #passivate(session: LiveSession): boolean {
    const { id } = session
    if (!session.idle || this.#live.get(id) !== session || this.#stopped) return false
    const settling = this.#host.settle(session)
    if (settling) {
      const { seq } = session.durable
      void settling.then(() => session.durable.seq === seq && this.#passivate(session))
      return false
    }
    this.#leave(session)
    session.leave()
    this.#sleepUntil(id, nextOf(this.#host.registry.work(id)?.timers ?? {}))
    return true
  }

  #forget(id: string): void {
    const session = this.#live.get(id)
    if (session) this.#leave(session)
    this.#ended.delete(id)
    this.#tombstones.delete(id)
    this.#parked.delete(id)
    this.#held.delete(id)
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
      if (this.#live.has(session.id) && !session.quarantined && !this.#stopped) session.restart()
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
    if (at === Number.POSITIVE_INFINITY) return
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
    // It is of today's version: the opening has migrated it, or parked it.
    if (state.status === 'active') checkContext(kind, state.context)
    const session = LiveSession.restore(host, kind, state, bytes)
    this.#alarms.get(entry.id)?.()
    this.#alarms.delete(entry.id)
    if (state.status !== 'active') {
      this.#keep(session)
      return session
    }
    if (session.quarantined) {
      this.#held.set(entry.id, session)
      return session
    }
    this.#enter(session)
    session.begin()
    return session
  }
}

/** When the next of these timers is due; infinity when there is none. */
const nextOf = (timers: Work['timers']): number =>
  Object.values(timers).reduce((next, at) => Math.min(next, Date.parse(at)), Number.POSITIVE_INFINITY)

const codeOf = (cause: unknown): string | undefined => {
  const { code } = (cause ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

const tooMany = (crashes: readonly number[], { periodMs }: SupervisionPolicy, last: unknown): string =>
  `${crashes.length} crashes in ${periodMs} ms; the last: ${messageOf(last)}`
