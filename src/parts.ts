// The parts of a runtime and how they know each other: made once, each from those that it stands on, before anything goes
// on. What a durable record leads to beside its session (registry, observers, snapshots, index) is told from here, in order.
// It decides nothing: whether the runtime takes writes is a matter of `availability.ts`, what can be asked of `runtime.ts`.

import type { Availability } from './availability.js'
import { Checkpoints } from './checkpoints.js'
import { Creation } from './creation.js'
import type { AnySessionKind } from './define.js'
import { Feeds } from './feeds.js'
import type { SessionHost } from './host.js'
import type { Damage } from './journal.js'
import { Links } from './links.js'
import type { Logger } from './logger.js'
import { tagsOf } from './machine-snapshot.js'
import { Counts } from './metrics.js'
import { Milestones } from './milestones.js'
import type { PassivationLimits } from './passivation.js'
import type { Ports } from './ports.js'
import type { Position, TransitionRecord } from './record.js'
import { type Recovered, recover } from './recover.js'
import { Registry } from './registry.js'
import type { Secrets } from './secrets.js'
import type { LiveSession } from './session.js'
import type { StreamHost } from './stream.js'
import { Supervisor } from './supervisor.js'
import { Timers } from './timers.js'
import type { Tracing } from './tracing.js'
import { upgrade } from './upgrade.js'
import { Upkeep } from './upkeep.js'
import { Verbs } from './verbs.js'

export interface PartsHost {
  readonly ports: Ports
  readonly kinds: ReadonlyMap<string, AnySessionKind>
  readonly logger: Logger
  readonly secrets: Secrets
  readonly tracing: Tracing | undefined
  readonly availability: Availability
  /** What is known to be damaged; what is found so while opening is added. */
  readonly damage: Damage[]
  readonly limits: PassivationLimits
  readonly mailboxLimit: number
  readonly changeLimit: number
  readonly historyBytes: number
}

export class Parts {
  readonly registry: Registry
  readonly feeds: Feeds = new Feeds()
  readonly counts: Counts = new Counts()
  readonly timers: Timers
  readonly supervisor: Supervisor
  readonly checkpoints: Checkpoints
  readonly stream: StreamHost
  readonly verbs: Verbs
  readonly creation: Creation
  readonly upkeep: Upkeep
  readonly #host: PartsHost
  readonly #milestones: Milestones = new Milestones()
  readonly #session: SessionHost
  readonly #links: Links
  readonly #recovered: Recovered
  #indexScheduled = false

  /** Reads what is in the journal; nothing of it goes on before `begin`. */
  constructor(host: PartsHost) {
    const { ports, kinds, logger, damage, limits } = host
    const { journal, snapshots, clock } = ports
    const onObserverError = (err: unknown): void => logger.error({ err }, 'an observer failed')
    this.#host = host
    const registry = new Registry(onObserverError, (kind, value) => tagsOf(kinds.get(kind)?.machine, value))
    this.registry = registry
    this.timers = new Timers(clock)
    const session = this.#makeSessionHost()
    this.#session = session
    this.stream = { clock, onObserverError }
    const supervisor = new Supervisor({
      ...{ session, snapshots, registry, kinds, logger, limits },
      settle: (live) => this.checkpoints.settle(live),
      parked: (id, reason) => this.feeds.end(id, reason),
    })
    this.supervisor = supervisor
    this.#links = new Links({ session, supervisor, registry, snapshots, kinds })
    this.#recovered = recover({
      ...{ journal, index: snapshots.readIndex(), registry, damage },
      broken: (entry, reason) => void supervisor.park(entry, reason),
    })
    this.creation = this.#makeCreation()
    this.verbs = this.#makeVerbs()
    this.checkpoints = new Checkpoints(
      journal,
      snapshots,
      registry,
      (err) => logger.warn({ err }, 'a snapshot could not be written; the journal has everything'),
      () => this.upkeep.considerCompaction(),
    )
    if (this.#recovered.lost) this.checkpoints.keepIndex()
    this.upkeep = this.#makeUpkeep()
  }

  /** Migrates what is of an older version, then lets everything go on. */
  async begin(): Promise<void> {
    const { kinds, ports } = this.#host
    const { registry, supervisor } = this
    await upgrade({ session: this.#session, registry, supervisor, snapshots: ports.snapshots, kinds })
    supervisor.start()
    if (this.#links.recover(this.#recovered.gaps)) this.checkpoints.keepIndex()
  }

  #makeCreation(): Creation {
    const { kinds, ports, availability } = this.#host
    const { registry, supervisor } = this
    const { chance, snapshots } = ports
    return new Creation({
      ...{ kinds, chance, registry, supervisor, snapshots, session: this.#session },
      assertWritable: () => availability.assertWritable(),
    })
  }

  #makeVerbs(): Verbs {
    const { kinds, ports, availability } = this.#host
    const { registry, supervisor, feeds, creation } = this
    const { snapshots } = ports
    return new Verbs({
      ...{ kinds, registry, supervisor, feeds, creation, snapshots },
      ...{ milestones: this.#milestones, session: this.#session, stream: this.stream },
      assertWritable: () => availability.assertWritable(),
      assertOpen: () => availability.assertOpen(),
      over: () => availability.over,
    })
  }

  #makeUpkeep(): Upkeep {
    const { ports, availability, historyBytes, logger } = this.#host
    return new Upkeep({
      ...{ ports, registry: this.registry, historyBytes },
      unreadable: (id) => this.supervisor.reasonParked(id) !== undefined,
      delete: (id, options) => this.verbs.delete(id, options),
      get closing() {
        return availability.closing
      },
      assertWritable: () => availability.assertWritable(),
      report: (err) => {
        if (!availability.over) logger.warn({ err }, 'the journal could not be compacted')
      },
    })
  }

  #makeSessionHost(): SessionHost {
    const { ports, logger, secrets, tracing, mailboxLimit, changeLimit } = this.#host
    const { journal, clock, chance, pool } = ports
    return {
      ...{ journal, clock, chance, pool, timers: this.timers, secrets, tracing, mailboxLimit, changeLimit },
      advanced: (record, position) => this.#advance(record, position),
      broadcast: (session, commit) => {
        this.feeds.publish(session.id, commit)
        this.supervisor.used(session)
        this.checkpoints.consider(session)
        this.#considerIndex()
      },
      update: (update) => this.feeds.update(secrets.json(update)),
      emitted: (id, event) => this.feeds.emit(id, secrets.json(event)),
      report: (session, err) => logger.error({ session: session.id, err }, 'an event from within could not be taken'),
      crashed: (session, errors) =>
        this.supervisor.crashed(
          session,
          errors.map((error) => secrets.error(error)),
        ),
      park: (session, error) => void this.supervisor.park(session, secrets.error(error)),
      successor: (id) => this.supervisor.activate(id),
      quarantined: (session) => this.supervisor.quarantined(session),
      released: (session) => this.supervisor.released(session),
      halted: (error) => this.#halt(error),
      ended: (session) => this.#ended(session),
      startChild: (child) => this.#links.startChild(child),
      cancelChild: (child, reason) => this.#links.cancelChild(child, reason),
      childEnded: (parent, outcome) => this.#links.childEnded(parent, outcome),
      transmit: (from, message) => this.#links.transmit(from, message),
      arrived: (from, key) => this.#links.arrived(from, key),
      outbox: (id) => this.#links.outbox(id),
      log: (session, args) => logger.info({ session, args }, 'log'),
    }
  }

  /** What the registry cannot follow is a fault of that session alone, and no reason to keep a batch from being told. */
  #advance(record: TransitionRecord, position: Position): void {
    try {
      this.registry.follow(record, position)
      this.#milestones.note(record, position)
      this.counts.note(record)
    } catch (error) {
      const kind = record.kind ?? this.registry.get(record.session)?.kind ?? ''
      this.supervisor.park({ id: record.session, kind }, error)
    }
  }

  /** Looked at once a turn, when the records of the turn are all delivered. */
  #considerIndex(): void {
    if (this.#indexScheduled) return
    this.#indexScheduled = true
    const { ports, availability } = this.#host
    ports.clock.soon(() => {
      this.#indexScheduled = false
      if (!availability.closing) this.checkpoints.considerIndex()
    })
  }

  #ended(session: LiveSession): void {
    const { ports, logger } = this.#host
    this.supervisor.ended(session)
    this.feeds.end(session.id)
    if (this.registry.get(session.id)) return
    try {
      ports.snapshots.remove(session.id)
    } catch (err) {
      logger.warn({ session: session.id, err }, 'the snapshot of a deleted session could not be removed')
    }
  }

  #halt(cause: Error): void {
    const failure = this.#host.availability.fail(cause)
    if (!failure) return
    this.#host.logger.error({ err: cause }, failure.message)
    this.supervisor.stop(failure)
    this.feeds.endAll(failure, failure)
  }
}
