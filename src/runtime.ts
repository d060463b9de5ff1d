// The runtime: hosts the sessions of one data directory. It opens what is there, finds, watches and closes; what it is made
// of, `parts.ts` holds. After the journal has failed it serves reads and refuses writes, until it is opened again.

/// <reference lib="esnext.disposable" preserve="true" />

import { refuseAborted } from './abort.js'
import type { Audit } from './audit.js'
import { Availability } from './availability.js'
import type { Backup } from './backup.js'
import type { Clock } from './clock.js'
import { CREATE_OPTIONS, type CreateOptions } from './creation.js'
import type { AnyMachine, AnySessionKind, KindInput, SessionKind } from './define.js'
import { admitId } from './door.js'
import { HoldfastError } from './errors.js'
import { HISTORY_OPTIONS, type HistoryOptions, Session, type TransitionsOptions } from './handle.js'
import { wholeFrom } from './history.js'
import type { Compacted, Damage, JournalStats } from './journal.js'
import { kindsByName } from './kinds.js'
import {
  type Quarantined,
  type SessionFilter,
  type SessionPage,
  type SessionStats,
  WAITS_FOR_PERSON,
} from './listing.js'
import { consoleLogger, guarded, type Logger } from './logger.js'
import type { Metrics } from './metrics.js'
import { requireBytes, requireMs, requireWhole } from './numbers.js'
import { admitKind, admitOptions } from './options.js'
import { Parts } from './parts.js'
import type { PassivationLimits } from './passivation.js'
import type { Pool } from './pool.js'
import type { Ports } from './ports.js'
import { PRUNE_OPTIONS, type Pruned, type PruneOptions } from './prune.js'
import type { Position } from './record.js'
import { closed, sessionNotFound } from './refusals.js'
import { Retention, type RetentionRules } from './retention.js'
import { type SecretValues, secretsOf } from './secrets.js'
import { type Sessions, sessionsOf } from './sessions.js'
import type { IndexEntry } from './state.js'
import { replayThenLive, type Source, type Stream } from './stream.js'
import type { Parked } from './supervisor.js'
import { guardedTracing, type Tracing } from './tracing.js'
import { type Transition, transitionOf } from './transition.js'
import type { DeadLetter } from './trouble.js'

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
  /**
   * Texts of at least 8 characters that must not be recorded, shown or logged, by name. A step gets one by
   * `ctx.secret(name)`; everywhere else `[redacted:name]` stands in its place.
   */
  readonly secrets?: SecretValues
  /** Who makes spans of what happens: what `holdfast/opentelemetry` gives. */
  readonly tracing?: Tracing
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
  /** Who makes spans of what happens, if anybody does; it never throws. */
  readonly tracing: Tracing | undefined
  readonly #ports: Ports
  readonly #kinds: Map<string, AnySessionKind>
  readonly #logger: Logger
  readonly #damage: readonly Damage[]
  readonly #availability: Availability
  readonly #parts: Parts
  readonly #retention: Retention
  readonly #historyBytes: number
  #closing: Promise<void> | undefined
  #audit: Audit | undefined

  private constructor(ports: Ports, options: RuntimeOptions) {
    const { mailboxLimit = 10_000, changeLimit = CHANGE_LIMIT, historyBytes = HISTORY_BYTES } = options
    requireBytes('historyBytes', historyBytes)
    requireWhole('mailboxLimit', mailboxLimit, 1)
    requireWhole('changeLimit', changeLimit, 1)
    this.#ports = ports
    this.clock = ports.clock
    this.#kinds = kindsByName(options.kinds)
    const secrets = secretsOf(options.secrets)
    this.#logger = guarded(secrets.logger(options.logger ?? consoleLogger))
    const untold = (err: unknown): void => this.#logger.error({ err }, 'a trace could not be told of')
    this.tracing = options.tracing && guardedTracing(options.tracing, untold)
    this.#historyBytes = historyBytes
    this.#availability = new Availability(ports.journal)
    const damage = [...(options.damage ?? [])]
    this.#damage = damage
    const [kinds, logger, availability] = [this.#kinds, this.#logger, this.#availability]
    const limits = { mailboxLimit, changeLimit, historyBytes }
    const { tracing } = this
    this.#parts = new Parts({
      ports,
      kinds,
      logger,
      secrets,
      tracing,
      availability,
      damage,
      limits: options,
      ...limits,
    })
    this.sessions = sessionsOf(() => {
      availability.assertOpen()
      return this.#parts.registry
    })
    this.#retention = new Retention(options.retention ?? {}, {
      clock: ports.clock,
      prune: (prune) => this.prune(prune),
      report: (err) => logger.warn({ err }, 'sessions could not be pruned; it is tried again later'),
    })
  }

  /** As `createRuntime`. */
  static async open(ports: Ports, options: RuntimeOptions): Promise<Runtime> {
    const runtime = new Runtime(ports, options)
    await runtime.#parts.begin()
    runtime.#retention.start()
    return runtime
  }

  /**
   * Creates a session and starts it; resolves when its first record is durable.
   * Rejects with INVALID_ARGUMENT, INVALID_INPUT, NOT_JSON, DECISION_FAILED, SESSION_EXISTS, IDEMPOTENCY_CONFLICT or READ_ONLY.
   */
  async create<TMachine extends AnyMachine>(
    kind: SessionKind<TMachine>,
    ...[input, options = {}]: CreateArguments<TMachine>
  ): Promise<Session<TMachine>> {
    this.#availability.assertWritable()
    admitOptions('options of create', options, CREATE_OPTIONS)
    refuseAborted(options.signal)
    const id = await this.#parts.creation.create(kind, input, options)
    return new Session(this.#parts.verbs, id, kind.kind)
  }

  /** A session by its whole id (`sessions.find` takes the beginning of one); with `kind`, typed. Throws SESSION_NOT_FOUND, KIND_MISMATCH or RUNTIME_CLOSED. */
  session(id: string): Session
  session<TMachine extends AnyMachine>(id: string, kind: SessionKind<TMachine>): Session<TMachine>
  session(id: string, kind?: AnySessionKind): Session {
    const entry = this.#entry(admitId(id))
    if (kind !== undefined) admitKind(kind)
    if (kind && entry.kind !== kind.kind) {
      throw new HoldfastError(
        'KIND_MISMATCH',
        `session ${id} is of kind "${entry.kind}", not "${kind.kind}"; take it with its own kind, or without one`,
      )
    }
    return new Session(this.#parts.verbs, id, entry.kind)
  }

  /**
   * Durable transitions of all sessions, in the order of the journal: replayed from a `position`, then live. Where the
   * journal is damaged it ends with JOURNAL_CORRUPT: those before are given, `details.resumeFrom` is the position behind.
   */
  transitions$(options: TransitionsOptions = {}): Stream<Transition> {
    const source: Source<Transition> = {
      replay: (from) => this.#whole(from),
      numberOf: (transition) => transition.position,
      listen: this.#parts.feeds.all(),
    }
    return replayThenLive(source, options, this.#parts.stream)
  }

  /**
   * The durable transitions of all sessions in the order of the journal, read as they are asked for: from a `position` to
   * another, both included; by default from the first that is kept, to the last. Throws INVALID_ARGUMENT or RUNTIME_CLOSED,
   * and, where they are read, as `transitions$` ends.
   *
   * ```ts
   * for (const { session, event } of runtime.history({ from: position })) console.log(session, event.type)
   * ```
   */
  history(options: HistoryOptions = {}): Generator<Transition> {
    this.#availability.assertOpen()
    admitOptions('options of history', options, HISTORY_OPTIONS)
    const { from = this.#ports.journal.begin, to = Number.MAX_SAFE_INTEGER } = options
    for (const [name, position] of Object.entries({ from, to })) requireWhole(name, position, Number.MIN_SAFE_INTEGER)
    return this.#whole(from, to)
  }

  *#whole(from: Position, to: Position = Number.MAX_SAFE_INTEGER): Generator<Transition> {
    for (const { position, record } of wholeFrom(this.#ports.journal, from, this.#damage)) {
      if (position > to) return
      yield transitionOf(record, position)
    }
  }

  /** The kinds that it was opened with, and those of child sessions among them, by name. */
  get kinds(): ReadonlyMap<string, AnySessionKind> {
    return this.#kinds
  }

  /** Throws what a call that changes something would be refused with: RUNTIME_CLOSED, READ_ONLY or OVERLOADED. */
  assertReady(): void {
    this.#availability.assertWritable()
  }

  /** Where the durable transitions of all sessions end: what `transitions$` gives from here on is yet to come. */
  get position(): Position {
    this.#availability.assertOpen()
    return this.#ports.journal.end
  }

  /** The dead letters of all sessions, in the order of the sessions' creation. */
  deadLetters(): readonly SessionLetter[] {
    const letters: SessionLetter[] = []
    for (const { id, kind } of this.#parts.registry.withLetters())
      for (const letter of this.#parts.verbs.deadLetters(id)) letters.push({ session: id, kind, ...letter })
    return letters
  }

  /**
   * Sessions, children included, that wait for a person: active ones in a state tagged `waits-for-person`, in the order of
   * their creation. None is made live.
   *
   * ```ts
   * for (const { id, kind } of runtime.approvals().sessions) console.log(kind, id)
   * ```
   */
  approvals(
    filter: Omit<SessionFilter, 'status' | 'tag'> = {},
    page?: { readonly cursor?: string; readonly limit?: number },
  ): SessionPage {
    return this.sessions.list({ ...filter, status: 'active', tag: WAITS_FOR_PERSON }, page)
  }

  /** What it counts, since it was opened; a look goes over all sessions once. */
  metrics(): Metrics {
    this.#availability.assertOpen()
    const { journal, pool } = this.#ports
    const { registry, supervisor, counts } = this.#parts
    let deadLetters = 0
    for (const entry of registry.withLetters()) deadLetters += entry.deadLetters ?? 0
    return {
      ...{ sessions: registry.tally(), live: supervisor.liveCount, deadLetters },
      parked: supervisor.parked.length,
      quarantined: registry.count({ quarantined: true }),
      waiting: registry.count({ status: 'active', tag: WAITS_FOR_PERSON }),
      transitions: counts.transitions,
      steps: { ...counts.steps, ...pool.stats() },
      journal: { ...journal.stats(), pendingBytes: journal.pending },
      readOnly: this.#availability.failure !== undefined,
    }
  }

  /** The audit log of its directory or its database, opened when it is first asked for; undefined of one in memory. Throws AUDIT_FAILED. */
  get audit(): Audit | undefined {
    this.#availability.assertOpen()
    this.#audit ??= this.#ports.audit?.()
    return this.#audit
  }

  health(): Health {
    const { failure } = this.#availability
    const { registry, supervisor } = this.#parts
    return {
      status: failure ? 'read-only' : 'ok',
      failure,
      sessions: registry.stats.get(),
      live: supervisor.liveCount,
      parked: supervisor.parked,
      quarantined: [...registry.quarantined()],
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
    this.#availability.assertOpen()
    admitOptions('options of prune', options, PRUNE_OPTIONS)
    return await this.#parts.upkeep.prune(options)
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
    return await this.#parts.upkeep.compact(keepBytes)
  }

  /**
   * Writes a backup of everything that is durable now to one file, while sessions go on; a file that is there is replaced
   * as a whole. `restoreBackup` puts it back.
   * Rejects with DISK_FULL, DISK_FAILED, FILE_NOT_FOUND (no such folder), or INVALID_ARGUMENT for a runtime in memory.
   */
  async backup(path: string): Promise<Backup> {
    if (this.#availability.closing) throw closed('runtime')
    return await this.#parts.upkeep.backup(path)
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
    this.#availability.close()
    this.#closing ??= this.#close(drainMs)
    await this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(drainMs: number): Promise<void> {
    const { journal, pool } = this.#ports
    const { supervisor, timers, upkeep, checkpoints, feeds } = this.#parts
    this.#retention.stop()
    if (drainMs > 0 && !this.#availability.failure) {
      await pool.close(drainMs)
      // A failure of the journal shows in what follows.
      await journal.flush().catch(() => {})
    }
    supervisor.stop(closed('runtime'))
    timers.stop()
    try {
      await pool.close()
      if (upkeep.underWay) await upkeep.underWay
      if (!this.#availability.failure) {
        await journal.flush()
        await checkpoints.close(supervisor.live)
      }
    } finally {
      feeds.endAll(undefined, closed('runtime'))
      this.#availability.end()
      await this.#audit?.close()
      await journal.close().catch((err: unknown) => this.#logger.warn({ err }, 'the journal could not be closed'))
      this.#ports.release?.()
    }
  }

  #entry(id: string): IndexEntry {
    this.#availability.assertOpen()
    const entry = this.#parts.registry.get(id)
    if (entry) return entry
    throw sessionNotFound(id)
  }
}
