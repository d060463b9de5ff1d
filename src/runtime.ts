// The runtime: hosts the sessions of one data directory. It opens what is there, finds, watches and closes.
// Every call to a session goes through here to the session that is live, or is restored for it. After the journal has
// failed it serves reads and refuses writes, until it is opened again.

/// <reference lib="esnext.disposable" preserve="true" />

import { refuseAborted } from './abort.js'
import type { Backup } from './backup.js'
import { Checkpoints } from './checkpoints.js'
import type { Clock } from './clock.js'
import { CREATE_OPTIONS, type CreateOptions, Creation } from './creation.js'
import type { AnyMachine, AnySessionKind, KindInput, SessionKind } from './define.js'
import { admitId } from './door.js'
import { HoldfastError } from './errors.js'
import { Feeds } from './feeds.js'
import { Session, type TransitionsOptions } from './handle.js'
import { wholeFrom } from './history.js'
import type { SessionHost } from './host.js'
import type { Compacted, Damage, JournalStats } from './journal.js'
import { kindsByName } from './kinds.js'
import { Links } from './links.js'
import type { Quarantined, SessionStats } from './listing.js'
import { consoleLogger, guarded, type Logger } from './logger.js'
import { Milestones } from './milestones.js'
import { requireBytes, requireMs, requireWhole } from './numbers.js'
import { admitOptions } from './options.js'
import type { PassivationLimits } from './passivation.js'
import type { Pool } from './pool.js'
import type { Ports } from './ports.js'
import { PRUNE_OPTIONS, type Pruned, type PruneOptions } from './prune.js'
import type { Position, TransitionRecord } from './record.js'
import { type Recovered, recover } from './recover.js'
import { closed, sessionNotFound } from './refusals.js'
import { Registry } from './registry.js'
import { Retention, type RetentionRules } from './retention.js'
import type { LiveSession } from './session.js'
import { type Sessions, sessionsOf } from './sessions.js'
import type { IndexEntry } from './state.js'
import { replayThenLive, type Source, type Stream, type StreamHost } from './stream.js'
import { type Parked, Supervisor } from './supervisor.js'
import { Timers } from './timers.js'
import { type Transition, transitionOf } from './transition.js'
import type { DeadLetter } from './trouble.js'
import { upgrade } from './upgrade.js'
import { Upkeep } from './upkeep.js'
import { Verbs } from './verbs.js'

export interface RuntimeOptions extends PassivationLimits {
  readonly kinds: readonly AnySessionKind[]
  readonly logger?: Logger
  /** Transitions of one session that may wait for the disk; default 10,000. */
  readonly mailboxLimit?: number
  /** Characters of JSON that one event, or what it changes, may have; default 16 Mi. Larger: RECORD_TOO_LARGE. */
  readonly changeLimit?: number
  /** How long sessions that have ended are kept, by kind; those of a kind that is not named here stay. */
  readonly retention?: RetentionRules
  /** How much history is kept at least, in bytes of the journal; default 1 GiB. Older parts are dropped. */
  readonly historyBytes?: number
  /** What opening the journal found damaged, for `health`. */
  readonly damage?: readonly Damage[]
}

export interface Health {
  readonly status: 'ok' | 'read-only'
  /** Why it is read-only. */
  readonly failure: HoldfastError | undefined
  readonly sessions: SessionStats
  readonly live: number
  readonly parked: readonly Parked[]
  /** Sessions that crashed too often, and wait to be released. */
  readonly quarantined: readonly Quarantined[]
  readonly damage: readonly Damage[]
  readonly journal: JournalStats
  readonly pool: ReturnType<Pool['stats']>
}

/** A dead letter, and whose it is. */
export interface SessionLetter extends DeadLetter {
  readonly session: string
  readonly kind: string
}

type CreateArguments<TMachine extends AnyMachine> =
  undefined extends KindInput<TMachine>
    ? [input?: KindInput<TMachine>, options?: CreateOptions]
    : [input: KindInput<TMachine>, options?: CreateOptions]

export interface CloseOptions {
  /** How long running steps have to finish; default 0: they are cancelled at once. */
  readonly drainMs?: number
}

/** Bytes on their way to the disk beyond which sends are refused with OVERLOADED. */
const PENDING_BYTES = 256 * 1024 * 1024

const CHANGE_LIMIT = 16 * 1024 * 1024
const HISTORY_BYTES = 1024 * 1024 * 1024

/** Opens a runtime on ports of one's own. Throws INVALID_KIND when two kinds have the same name, or INVALID_ARGUMENT. */
export async function createRuntime(ports: Ports, options: RuntimeOptions): Promise<Runtime> {
  return await Runtime.open(ports, options)
}

export class Runtime implements AsyncDisposable {
  readonly sessions: Sessions
  /** What time it is for its sessions, and who waits. */
  readonly clock: Clock
  readonly #ports: Ports
  readonly #kinds: Map<string, AnySessionKind>
  readonly #logger: Logger
  readonly #damage: readonly Damage[]
  readonly #recovered: Recovered
  readonly #registry: Registry = new Registry((err) => this.#logger.error({ err }, 'an observer failed'))
  readonly #feeds: Feeds = new Feeds()
  readonly #milestones: Milestones = new Milestones()
  readonly #timers: Timers
  readonly #supervisor: Supervisor
  readonly #checkpoints: Checkpoints
  readonly #sessionHost: SessionHost
  readonly #streamHost: StreamHost
  readonly #verbs: Verbs
  readonly #creation: Creation
  readonly #links: Links
  readonly #retention: Retention
  readonly #historyBytes: number
  readonly #upkeep: Upkeep
  #failure: HoldfastError | undefined
  #closing: Promise<void> | undefined
  /** Nothing can be read any more. */
  #closed = false

  private constructor(ports: Ports, options: RuntimeOptions) {
    const { mailboxLimit = 10_000, changeLimit = CHANGE_LIMIT, historyBytes = HISTORY_BYTES } = options
    requireBytes('historyBytes', historyBytes)
    requireWhole('mailboxLimit', mailboxLimit, 1)
    requireWhole('changeLimit', changeLimit, 1)
    this.#ports = ports
    this.clock = ports.clock
    this.#kinds = kindsByName(options.kinds)
    this.#logger = guarded(options.logger ?? consoleLogger)
    this.#historyBytes = historyBytes
    this.#timers = new Timers(ports.clock)
    this.#sessionHost = this.#makeSessionHost(mailboxLimit, changeLimit)
    this.#streamHost = {
      clock: ports.clock,
      onObserverError: (err) => this.#logger.error({ err }, 'an observer failed'),
    }
    const { snapshots } = ports
    const [registry, kinds, logger] = [this.#registry, this.#kinds, this.#logger]
    this.#supervisor = new Supervisor({
      ...{ session: this.#sessionHost, snapshots, registry, kinds, logger, limits: options },
      settle: (session) => this.#checkpoints.settle(session),
      parked: (id, reason) => this.#feeds.end(id, reason),
    })
    const session = this.#sessionHost
    this.#links = new Links({ session, supervisor: this.#supervisor, registry, snapshots, kinds })
    const damage = [...(options.damage ?? [])]
    this.#damage = damage
    this.#recovered = recover({
      ...{ journal: ports.journal, index: snapshots.readIndex(), registry, damage },
      broken: (entry, reason) => void this.#supervisor.park(entry, reason),
    })
    this.#creation = this.#makeCreation()
    this.#verbs = this.#makeVerbs()
    this.#checkpoints = new Checkpoints(
      ports.journal,
      snapshots,
      registry,
      (err) => this.#logger.warn({ err }, 'a snapshot could not be written; the journal has everything'),
      () => this.#upkeep.considerCompaction(),
    )
    if (this.#recovered.lost) this.#checkpoints.keepIndex()
    this.sessions = sessionsOf(() => {
      this.#assertOpen()
      return this.#registry
    })
    this.#upkeep = this.#makeUpkeep()
    this.#retention = new Retention(options.retention ?? {}, {
      clock: ports.clock,
      prune: (prune) => this.prune(prune),
      report: (err) => this.#logger.warn({ err }, 'sessions could not be pruned; it is tried again later'),
    })
  }

  /** As `createRuntime`. */
  static async open(ports: Ports, options: RuntimeOptions): Promise<Runtime> {
    const runtime = new Runtime(ports, options)
    await runtime.#begin()
    return runtime
  }

  /** Migrates what is of an older version, then lets everything go on. */
  async #begin(): Promise<void> {
    await upgrade({
      ...{ session: this.#sessionHost, registry: this.#registry, supervisor: this.#supervisor },
      ...{ snapshots: this.#ports.snapshots, kinds: this.#kinds },
    })
    this.#supervisor.start()
    if (this.#links.recover(this.#recovered.gaps)) this.#checkpoints.keepIndex()
    this.#retention.start()
  }

  /**
   * Creates a session and starts it; resolves when its first record is durable.
   * Rejects with INVALID_ARGUMENT, INVALID_INPUT, NOT_JSON, DECISION_FAILED, SESSION_EXISTS, IDEMPOTENCY_CONFLICT or READ_ONLY.
   */
  async create<TMachine extends AnyMachine>(
    kind: SessionKind<TMachine>,
    ...[input, options = {}]: CreateArguments<TMachine>
  ): Promise<Session<TMachine>> {
    this.#assertWritable()
    admitOptions('options of create', options, CREATE_OPTIONS)
    refuseAborted(options.signal)
    const id = await this.#creation.create(kind, input, options)
    return new Session(this.#verbs, id, kind.kind)
  }

  /** A session by its id; with `kind`, typed. Throws SESSION_NOT_FOUND, KIND_MISMATCH or RUNTIME_CLOSED. */
  session(id: string): Session
  session<TMachine extends AnyMachine>(id: string, kind: SessionKind<TMachine>): Session<TMachine>
  session(id: string, kind?: AnySessionKind): Session {
    const entry = this.#entry(admitId(id))
    if (kind && entry.kind !== kind.kind) {
      throw new HoldfastError(
        'KIND_MISMATCH',
        `session ${id} is of kind "${entry.kind}", not "${kind.kind}"; take it with its own kind, or without one`,
      )
    }
    return new Session(this.#verbs, id, entry.kind)
  }

  /**
   * Durable transitions of all sessions, in the order of the journal: replayed from a `position`, then live. Where the
   * journal is damaged it ends with JOURNAL_CORRUPT: those before are given, `details.resumeFrom` is the position behind.
   */
  transitions$(options: TransitionsOptions = {}): Stream<Transition> {
    const { journal } = this.#ports
    const damage = this.#damage
    const source: Source<Transition> = {
      *replay(from) {
        for (const { position, record } of wholeFrom(journal, from, damage)) yield transitionOf(record, position)
      },
      numberOf: (transition) => transition.position,
      listen: this.#feeds.all(),
    }
    return replayThenLive(source, options, this.#streamHost)
  }

  /** The kinds that it was opened with, and those of child sessions among them, by name. */
  get kinds(): ReadonlyMap<string, AnySessionKind> {
    return this.#kinds
  }

  /** The dead letters of all sessions, in the order of the sessions' creation. */
  deadLetters(): readonly SessionLetter[] {
    const letters: SessionLetter[] = []
    for (const { id, kind } of this.#registry.withLetters())
      for (const letter of this.#verbs.deadLetters(id)) letters.push({ session: id, kind, ...letter })
    return letters
  }

  health(): Health {
    return {
      status: this.#failure ? 'read-only' : 'ok',
      failure: this.#failure,
      sessions: this.#registry.stats.get(),
      live: this.#supervisor.liveCount,
      parked: this.#supervisor.parked,
      quarantined: [...this.#registry.quarantined()],
      damage: this.#damage,
      journal: this.#ports.journal.stats(),
      pool: this.#ports.pool.stats(),
    }
  }

  /**
   * Removes sessions that ended long enough ago, as `delete` does, and tells which and what they took on the disk; with
   * `dryRun`, only tells. Left out: a session that others still wait for, or that cannot be read.
   * Rejects with INVALID_ARGUMENT (also for `status: 'active'`), READ_ONLY or ABORTED.
   *
   * ```ts
   * const { sessions, bytes } = await runtime.prune({ olderThanMs: 30 * 86_400_000, kind: 'review', dryRun: true })
   * ```
   */
  async prune(options: PruneOptions): Promise<Pruned> {
    this.#assertOpen()
    admitOptions('options of prune', options, PRUNE_OPTIONS)
    return await this.#upkeep.prune(options)
  }

  /**
   * Drops the oldest complete parts of the journal: those beyond `keepBytes` (without it, what the runtime was opened to
   * keep), and those of which no session is left. What is dropped is history: every session stays as it is, and asking for
   * a transition from before gives HISTORY_UNAVAILABLE, naming the first that is kept.
   * Rejects with JOURNAL_CORRUPT when something in them cannot be read, DISK_FULL or DISK_FAILED; nothing is lost then.
   */
  async compact(options: { readonly keepBytes?: number } = {}): Promise<Compacted> {
    admitOptions('options of compact', options, { keepBytes: true })
    const { keepBytes = this.#historyBytes } = options
    requireBytes('keepBytes', keepBytes)
    return await this.#upkeep.compact(keepBytes)
  }

  /**
   * Writes a backup of everything that is durable now to one file, while sessions go on; a file that is there is replaced
   * as a whole. `restoreBackup` puts it back.
   * Rejects with DISK_FULL, DISK_FAILED, FILE_NOT_FOUND (no such folder), or INVALID_ARGUMENT for a runtime in memory.
   */
  async backup(path: string): Promise<Backup> {
    if (this.#closing) throw closed('runtime')
    return await this.#upkeep.backup(path)
  }

  /**
   * Refuses new work from here on. Steps that run have `drainMs` to finish and be recorded; those that do not are cancelled,
   * with their grace, and run again after the next opening. Then makes everything durable and frees the directory.
   * Rejects with INVALID_ARGUMENT when `drainMs` makes no sense; then nothing is closed.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    admitOptions('options of close', options, { drainMs: true })
    const { drainMs = 0 } = options
    requireMs('drainMs', drainMs)
    this.#closing ??= this.#close(drainMs)
    await this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(drainMs: number): Promise<void> {
    const { journal, pool } = this.#ports
    this.#retention.stop()
    if (drainMs > 0 && !this.#failure) {
      await pool.close(drainMs)
      // A failure of the journal shows in what follows.
      await journal.flush().catch(() => {})
    }
    this.#supervisor.stop(closed('runtime'))
    this.#timers.stop()
    try {
      await pool.close()
      if (this.#upkeep.underWay) await this.#upkeep.underWay
      if (!this.#failure) {
        await journal.flush()
        await this.#checkpoints.close(this.#supervisor.live)
      }
    } finally {
      this.#feeds.endAll(undefined, closed('runtime'))
      this.#closed = true
      await journal.close().catch((err: unknown) => this.#logger.warn({ err }, 'the journal could not be closed'))
      this.#ports.release?.()
    }
  }

  #makeCreation(): Creation {
    return new Creation({
      kinds: this.#kinds,
      chance: this.#ports.chance,
      registry: this.#registry,
      supervisor: this.#supervisor,
      snapshots: this.#ports.snapshots,
      session: this.#sessionHost,
      assertWritable: () => this.#assertWritable(),
    })
  }

  #makeVerbs(): Verbs {
    return new Verbs({
      kinds: this.#kinds,
      registry: this.#registry,
      supervisor: this.#supervisor,
      feeds: this.#feeds,
      creation: this.#creation,
      snapshots: this.#ports.snapshots,
      milestones: this.#milestones,
      session: this.#sessionHost,
      stream: this.#streamHost,
      assertWritable: () => this.#assertWritable(),
      assertOpen: () => this.#assertOpen(),
      over: () => (this.#closing ? closed('runtime') : this.#failure),
    })
  }

  #makeUpkeep(): Upkeep {
    const closing = (): boolean => this.#closing !== undefined
    return new Upkeep({
      ports: this.#ports,
      registry: this.#registry,
      historyBytes: this.#historyBytes,
      unreadable: (id) => this.#supervisor.reasonParked(id) !== undefined,
      delete: (id, options) => this.#verbs.delete(id, options),
      get closing() {
        return closing()
      },
      assertWritable: () => this.#assertWritable(),
      report: (err) => {
        if (!this.#closing && !this.#failure) this.#logger.warn({ err }, 'the journal could not be compacted')
      },
    })
  }

  #makeSessionHost(mailboxLimit: number, changeLimit: number): SessionHost {
    const { journal, clock, chance, pool } = this.#ports
    return {
      ...{ journal, clock, chance, pool, timers: this.#timers, mailboxLimit, changeLimit },
      advanced: (record, position) => this.#advance(record, position),
      broadcast: (session, commit) => {
        this.#feeds.publish(session.id, commit)
        this.#supervisor.used(session)
        this.#checkpoints.consider(session)
        this.#considerIndex()
      },
      update: (update) => this.#feeds.update(update),
      emitted: (id, event) => this.#feeds.emit(id, event),
      report: (session, err) =>
        this.#logger.error({ session: session.id, err }, 'an event from within could not be taken'),
      crashed: (session, errors) => this.#supervisor.crashed(session, errors),
      park: (session, error) => void this.#supervisor.park(session, error),
      successor: (id) => this.#supervisor.activate(id),
      quarantined: (session) => this.#supervisor.quarantined(session),
      released: (session) => this.#supervisor.released(session),
      halted: (error) => this.#halt(error),
      ended: (session) => this.#ended(session),
      startChild: (child) => this.#links.startChild(child),
      cancelChild: (child, reason) => this.#links.cancelChild(child, reason),
      childEnded: (parent, outcome) => this.#links.childEnded(parent, outcome),
      transmit: (from, message) => this.#links.transmit(from, message),
      arrived: (from, key) => this.#links.arrived(from, key),
      outbox: (id) => this.#links.outbox(id),
      log: (session, args) => this.#logger.info({ session, args }, 'log'),
    }
  }

  /** What the registry cannot follow is a fault of that session alone, and no reason to keep a batch from being told. */
  #advance(record: TransitionRecord, position: Position): void {
    try {
      this.#registry.follow(record, position)
      this.#milestones.note(record, position)
    } catch (error) {
      const kind = record.kind ?? this.#registry.get(record.session)?.kind ?? ''
      this.#supervisor.park({ id: record.session, kind }, error)
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
    this.#feeds.endAll(this.#failure, this.#failure)
  }

  #assertWritable(): void {
    if (this.#closing) throw closed('runtime')
    if (this.#failure) throw this.#failure
    if (this.#ports.journal.pending > PENDING_BYTES) {
      throw new HoldfastError('OVERLOADED', `more than ${PENDING_BYTES} bytes wait for the disk; await your sends`)
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw closed('runtime')
  }

  #entry(id: string): IndexEntry {
    this.#assertOpen()
    const entry = this.#registry.get(id)
    if (entry) return entry
    throw sessionNotFound(id)
  }
}
