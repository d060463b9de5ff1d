// The runtime: hosts the sessions of one data directory. It opens what is there, creates, finds, watches and closes.
// Every call to a session goes through here to the session that is live, or is restored for it. After the journal has
// failed it serves reads and refuses writes, until it is opened again.

import { abortable, refuseAborted } from './abort.js'
import type { Chance } from './chance.js'
import { Checkpoints } from './checkpoints.js'
import type { Clock } from './clock.js'
import type { AnyMachine, AnySessionKind, KindInput, SessionKind } from './define.js'
import { admitId, admitInput, admitKey } from './door.js'
import { HoldfastError } from './errors.js'
import { Feeds } from './feeds.js'
import { type CallOptions, Session, type TransitionsOptions } from './handle.js'
import type { SessionHost } from './host.js'
import type { Damage, Journal, JournalStats } from './journal.js'
import { consoleLogger, guarded, type Logger } from './logger.js'
import type { Pool } from './pool.js'
import { recover } from './recover.js'
import { ambiguousId, closed, decisionFailed, sessionNotFound, unknownKind } from './refusals.js'
import { Registry, type SessionEntry, type SessionFilter, type SessionPage, type SessionStats } from './registry.js'
import { LiveSession } from './session.js'
import type { Snapshots } from './snapshots.js'
import type { CreationKey, IndexEntry } from './state.js'
import { replayThenLive, type Source, type Stream, type StreamHost } from './stream.js'
import { type Parked, Supervisor } from './supervisor.js'
import { Timers } from './timers.js'
import { type Transition, transitionOf } from './transition.js'
import { Verbs } from './verbs.js'

/** Everything a runtime stands on. `openRuntime` chooses these for a directory of files. */
export interface Ports {
  readonly journal: Journal
  readonly snapshots: Snapshots
  readonly pool: Pool
  readonly clock: Clock
  readonly chance: Chance
  /** Called last when the runtime closes: frees what the ports hold, such as the lock. */
  readonly release?: () => void
}

export interface RuntimeOptions {
  readonly kinds: readonly AnySessionKind[]
  readonly logger?: Logger
  /** Transitions of one session that may wait for the disk; default 10,000. */
  readonly mailboxLimit?: number
  /** What opening the journal found damaged, for `health`. */
  readonly damage?: readonly Damage[]
}

export interface CreateOptions extends CallOptions {
  /** The session's id; a new one by default. Throws SESSION_EXISTS when it is taken. */
  readonly id?: string
  /** With the same key and the same input, `create` gives the same session, also after a restart. */
  readonly idempotencyKey?: string
}

/** The registry as users see it. */
export interface Sessions {
  list(filter?: SessionFilter, page?: { readonly cursor?: string; readonly limit?: number }): SessionPage
  count(filter?: SessionFilter): number
  stats(): SessionStats
  /** The one session whose id begins with `prefix`. Throws SESSION_NOT_FOUND or AMBIGUOUS_ID. */
  find(prefix: string): SessionEntry
}

export interface Health {
  readonly status: 'ok' | 'read-only'
  /** Why it is read-only. */
  readonly failure: HoldfastError | undefined
  readonly sessions: SessionStats
  readonly live: number
  readonly parked: readonly Parked[]
  readonly damage: readonly Damage[]
  readonly journal: JournalStats
  readonly pool: ReturnType<Pool['stats']>
}

type CreateArguments<TMachine extends AnyMachine> =
  undefined extends KindInput<TMachine>
    ? [input?: KindInput<TMachine>, options?: CreateOptions]
    : [input: KindInput<TMachine>, options?: CreateOptions]

/** Bytes on their way to the disk beyond which sends are refused with OVERLOADED. */
const PENDING_BYTES = 256 * 1024 * 1024

/** Opens a runtime on ports of one's own. Throws INVALID_KIND when two kinds have the same name. */
export async function createRuntime(ports: Ports, options: RuntimeOptions): Promise<Runtime> {
  return new Runtime(ports, options)
}

export class Runtime implements AsyncDisposable {
  readonly sessions: Sessions
  readonly #ports: Ports
  readonly #kinds: Map<string, AnySessionKind>
  readonly #logger: Logger
  readonly #damage: readonly Damage[]
  readonly #registry: Registry = new Registry()
  readonly #feeds: Feeds = new Feeds()
  readonly #timers: Timers
  readonly #supervisor: Supervisor
  readonly #checkpoints: Checkpoints
  readonly #sessionHost: SessionHost
  readonly #streamHost: StreamHost
  readonly #verbs: Verbs
  /** Sessions whose first record is on its way, by id and by idempotency key. */
  readonly #creating: Map<string, Promise<Session>> = new Map()
  #failure: HoldfastError | undefined
  #closing: Promise<void> | undefined

  constructor(ports: Ports, options: RuntimeOptions) {
    this.#ports = ports
    this.#kinds = byName(options.kinds)
    this.#logger = guarded(options.logger ?? consoleLogger)
    this.#timers = new Timers(ports.clock)
    this.#sessionHost = this.#makeSessionHost(options.mailboxLimit ?? 10_000)
    this.#streamHost = {
      clock: ports.clock,
      onObserverError: (err) => this.#logger.error({ err }, 'an observer failed'),
    }
    const { snapshots } = ports
    const [registry, kinds, logger] = [this.#registry, this.#kinds, this.#logger]
    this.#supervisor = new Supervisor({
      ...{ session: this.#sessionHost, snapshots, registry, kinds, logger },
      parked: (id, reason) => this.#feeds.end(id, reason),
    })
    const recovered = recover({
      ...{ snapshots, registry },
      journal: ports.journal,
      supervisor: this.#supervisor,
      damage: options.damage ?? [],
    })
    this.#damage = recovered.damage
    this.#verbs = this.#makeVerbs()
    this.#checkpoints = new Checkpoints(ports.journal, snapshots, registry, (err) =>
      this.#logger.warn({ err }, 'a snapshot could not be written; the journal has everything'),
    )
    if (recovered.lost) this.#checkpoints.keepIndex()
    this.sessions = this.#makeSessions()
    this.#supervisor.start()
  }

  /**
   * Creates a session and starts it; resolves when its first record is durable.
   * Rejects with INVALID_INPUT, NOT_JSON, DECISION_FAILED, SESSION_EXISTS, IDEMPOTENCY_CONFLICT or READ_ONLY.
   */
  async create<TMachine extends AnyMachine>(
    kind: SessionKind<TMachine>,
    ...[input, options = {}]: CreateArguments<TMachine>
  ): Promise<Session<TMachine>> {
    this.#assertWritable()
    refuseAborted(options.signal)
    if (this.#kinds.get(kind.kind) !== kind) throw unknownKind(kind.kind, this.#kinds)
    const admitted = admitInput(kind, input)
    const created = options.idempotencyKey === undefined ? undefined : creationKey(options.idempotencyKey, admitted)
    if (created) {
      const name = keyName(kind, created)
      // Then it is there, or it failed and is up to whoever comes first.
      while (this.#creating.has(name)) await this.#creating.get(name)?.catch(() => {})
      const existing = this.#createdBefore(kind, created)
      if (existing) return existing as unknown as Session<TMachine>
    }
    this.#assertWritable() // again: waiting for another call may have taken a while
    const id = options.id === undefined ? this.#ports.chance.id() : admitId(options.id)
    if (this.#registry.get(id) || this.#creating.has(id)) {
      throw new HoldfastError('SESSION_EXISTS', `there is a session ${id} already; choose another id or leave it out`)
    }
    const creating = this.#begin(kind, id, admitted, created)
    return (await abortable(creating, options.signal)) as unknown as Session<TMachine>
  }

  /** A session by its id; with `kind`, typed. Throws SESSION_NOT_FOUND, or KIND_MISMATCH. */
  session(id: string): Session
  session<TMachine extends AnyMachine>(id: string, kind: SessionKind<TMachine>): Session<TMachine>
  session(id: string, kind?: AnySessionKind): Session {
    const entry = this.#entry(admitId(id))
    if (kind && entry.kind !== kind.kind) {
      throw new HoldfastError('KIND_MISMATCH', `session ${id} is of kind "${entry.kind}", not "${kind.kind}"`)
    }
    return new Session(this.#verbs, id, entry.kind)
  }

  /** Durable transitions of all sessions, in the order of the journal: replayed from a `position`, then live. */
  transitions$(options: TransitionsOptions = {}): Stream<Transition> {
    const { journal } = this.#ports
    const source: Source<Transition> = {
      *replay(from) {
        for (const { position, record } of journal.scan(from)) yield transitionOf(record, position)
      },
      numberOf: (transition) => transition.position,
      listen: (listener, ended) => this.#feeds.all.listen(listener, ended),
    }
    return replayThenLive(source, options, this.#streamHost)
  }

  health(): Health {
    return {
      status: this.#failure ? 'read-only' : 'ok',
      failure: this.#failure,
      sessions: this.sessions.stats(),
      live: this.#supervisor.liveCount,
      parked: this.#supervisor.parked,
      damage: this.#damage,
      journal: this.#ports.journal.stats(),
      pool: this.#ports.pool.stats(),
    }
  }

  /** Cancels running steps (they run again after the next opening), makes everything durable, frees the directory. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { journal, pool } = this.#ports
    this.#supervisor.stop(closed('runtime'))
    this.#timers.stop()
    try {
      await pool.close()
      if (!this.#failure) {
        await journal.flush()
        await this.#checkpoints.close(this.#supervisor.live)
      }
    } finally {
      this.#feeds.endAll()
      await journal.close().catch((err: unknown) => this.#logger.warn({ err }, 'the journal could not be closed'))
      this.#ports.release?.()
    }
  }

  #createdBefore(kind: AnySessionKind, created: CreationKey): Session | undefined {
    const entry = this.#registry.byKey(kind.kind, created.key)
    if (!entry) return undefined
    if (entry.created?.digest !== created.digest) {
      throw new HoldfastError(
        'IDEMPOTENCY_CONFLICT',
        `key "${created.key}" created session ${entry.id} with another input`,
        {
          details: { session: entry.id },
        },
      )
    }
    return new Session(this.#verbs, entry.id, entry.kind)
  }

  #begin(kind: AnySessionKind, id: string, input: unknown, created: CreationKey | undefined): Promise<Session> {
    const keys = created ? [id, keyName(kind, created)] : [id]
    const creating = new Promise<Session>((resolve, reject) => {
      const sender = { resolve: () => resolve(new Session(this.#verbs, id, kind.kind)), reject }
      try {
        this.#supervisor.adopt(LiveSession.create(this.#sessionHost, kind, id, input, created, sender))
      } catch (cause) {
        reject(
          cause instanceof HoldfastError
            ? cause
            : decisionFailed(cause, `no session of kind "${kind.kind}" was created`),
        )
      }
    }).finally(() => {
      for (const key of keys) this.#creating.delete(key)
    })
    for (const key of keys) this.#creating.set(key, creating)
    return creating
  }

  #makeVerbs(): Verbs {
    return new Verbs({
      kinds: this.#kinds,
      registry: this.#registry,
      supervisor: this.#supervisor,
      feeds: this.#feeds,
      snapshots: this.#ports.snapshots,
      session: this.#sessionHost,
      stream: this.#streamHost,
      assertWritable: () => this.#assertWritable(),
      over: () => (this.#closing ? closed('runtime') : this.#failure),
    })
  }

  #makeSessions(): Sessions {
    return {
      list: (filter, page) => this.#registry.list(filter, page),
      count: (filter) => this.#registry.count(filter),
      stats: () => this.#registry.stats.get(),
      find: (prefix) => {
        const ids = this.#registry.byPrefix(prefix, 6)
        if (ids.length === 1) return this.#entry(ids[0] as string)
        if (ids.length === 0) throw sessionNotFound(prefix)
        throw ambiguousId(prefix, ids)
      },
    }
  }

  #makeSessionHost(mailboxLimit: number): SessionHost {
    const { journal, clock, chance, pool } = this.#ports
    return {
      ...{ journal, clock, chance, pool, timers: this.#timers, mailboxLimit },
      advanced: (record, position) => this.#registry.follow(record, position),
      broadcast: (session, commit) => {
        this.#feeds.publish(session.id, commit)
        this.#checkpoints.consider(session)
        this.#considerIndex()
      },
      update: (update) => this.#feeds.updates.publish(update),
      emitted: (id, event) => this.#feeds.emit(id, event),
      report: (session, err) =>
        this.#logger.error({ session: session.id, err }, 'an event from within could not be taken'),
      crashed: (session, errors) => this.#supervisor.crashed(session, errors),
      halted: (error) => this.#halt(error),
      ended: (session) => this.#ended(session),
      log: (session, args) => this.#logger.info({ session, args }, 'log'),
    }
  }

  #indexScheduled = false

  /** Looked at once a turn, when the records of the turn are all delivered. */
  #considerIndex(): void {
    if (this.#indexScheduled) return
    this.#indexScheduled = true
    this.#ports.clock.soon(() => {
      this.#indexScheduled = false
      if (!this.#closing) this.#checkpoints.considerIndex()
    })
  }

  #ended(session: LiveSession): void {
    this.#supervisor.ended(session)
    this.#feeds.end(session.id)
    if (this.#registry.get(session.id)) return
    try {
      this.#ports.snapshots.remove(session.id)
    } catch (err) {
      this.#logger.warn({ session: session.id, err }, 'the snapshot of a deleted session could not be removed')
    }
  }

  #halt(cause: Error): void {
    if (this.#failure) return
    this.#failure = new HoldfastError('READ_ONLY', `nothing more can be recorded (${cause.message}); reads go on`, {
      cause,
    })
    this.#logger.error({ err: cause }, this.#failure.message)
    this.#supervisor.stop(this.#failure)
    this.#feeds.endAll(this.#failure)
  }

  #assertWritable(): void {
    if (this.#closing) throw closed('runtime')
    if (this.#failure) throw this.#failure
    if (this.#ports.journal.pending > PENDING_BYTES) {
      throw new HoldfastError('OVERLOADED', `more than ${PENDING_BYTES} bytes wait for the disk; await your sends`)
    }
  }

  #entry(id: string): IndexEntry {
    const entry = this.#registry.get(id)
    if (entry) return entry
    throw sessionNotFound(id)
  }
}

function byName(kinds: readonly AnySessionKind[]): Map<string, AnySessionKind> {
  const named = new Map(kinds.map((kind) => [kind.kind, kind]))
  if (named.size === kinds.length) return named
  throw new HoldfastError(
    'INVALID_KIND',
    `two session kinds have the same name: ${kinds.map(({ kind }) => kind).join(', ')}`,
  )
}

/** FNV-1a, 32 bit (http://www.isthe.com/chongo/tech/comp/fnv/): tells whether an input is the same, no more. */
function creationKey(key: string, input: unknown): CreationKey {
  let hash = 0x811c9dc5
  for (const unit of JSON.stringify(input) ?? '') hash = Math.imul(hash ^ (unit.codePointAt(0) as number), 0x01000193)
  return { key: admitKey(key), digest: (hash >>> 0).toString(16).padStart(8, '0') }
}

/** A colon cannot be in an id, so keys and ids do not meet. */
const keyName = (kind: AnySessionKind, { key }: CreationKey): string => `${kind.kind}:${key}`
