// Reads the sessions of a data directory without owning it: what is there, the state of one, its history.
// It promises that nothing changes and nothing starts, and that what it shows is the directory at one moment, whatever
// its owner writes meanwhile. It runs no user code, so a session of any kind can be read. What it cannot read it names.

import { noteOnce } from './damage.js'
import { diffOf, type SessionDiff } from './diff.js'
import { admitId } from './door.js'
import { type HoldfastError, isHoldfastError } from './errors.js'
import { loadState, type Placed, retold, stateAt, transitionsOf } from './history.js'
import type { Damage, ReadableJournal } from './journal.js'
import type { SessionEntry, SessionFilter, SessionPage, SessionStats } from './listing.js'
import { choosePrunable, type Pruned, type PruneFilter } from './prune.js'
import { recover } from './recover.js'
import { isDroppedMeanwhile, sessionNotFound } from './refusals.js'
import { Registry } from './registry.js'
import type { Snapshots } from './snapshots.js'
import type { IndexEntry, IndexFile, SessionState } from './state.js'
import type { Transition } from './transition.js'

/** Where a reader reads. */
export interface ReaderPorts {
  readonly snapshots: Pick<Snapshots, 'read' | 'readIndex' | 'size'>
  /** The journal as it is now; `onDamage` hears of what does not fit, and of what a scan cannot read. */
  openJournal(onDamage: (damage: Damage) => void): ReadableJournal & { close(): void }
}

/** A session that cannot be read whole, and why. */
export interface Unreadable {
  readonly id: string
  readonly reason: HoldfastError
}

/** How often a state is tried again that its owner moved on while it was read. */
const TRIES = 5

export class Reader {
  readonly #ports: ReaderPorts
  #view: View

  /** Throws FORMAT_NEWER, DISK_FAILED. */
  constructor(ports: ReaderPorts) {
    this.#ports = ports
    this.#view = look(ports)
  }

  /** Sessions in the order of their creation. Throws INVALID_ARGUMENT for a cursor or a limit that makes no sense. */
  list(filter?: SessionFilter, page?: { readonly cursor?: string; readonly limit?: number }): SessionPage {
    return this.#view.registry.list(filter, page)
  }

  stats(): SessionStats {
    return this.#view.registry.stats.get()
  }

  /** How many sessions are quarantined, and how many have dead letters. */
  trouble(): { readonly quarantined: number; readonly withLetters: number } {
    const { registry } = this.#view
    return { quarantined: registry.count({ quarantined: true }), withLetters: registry.count({ deadLetters: true }) }
  }

  /** The one session whose id begins with `prefix`. Throws INVALID_ID, SESSION_NOT_FOUND or AMBIGUOUS_ID. */
  find(prefix: string): SessionEntry {
    return this.#entry(prefix)
  }

  /** The last durable state of a session. Throws JOURNAL_CORRUPT when it cannot be read whole. */
  state(id: string): SessionState {
    return this.#tried(id, (entry) => loadState(this.#view.journal, this.#ports.snapshots, entry))
  }

  /** A session as it was after its transition `seq`. Throws TRANSITION_NOT_FOUND, or as `state` does. */
  at(id: string, seq: number): SessionState {
    return this.#tried(id, (entry) => stateAt(seq, this.#view.journal, this.#ports.snapshots, entry))
  }

  /** What changed between two transitions of a session, in either direction. Throws as `at` does. */
  diff(id: string, from: number, to: number): SessionDiff {
    return diffOf(this.at(id, from), this.at(id, to))
  }

  #tried(id: string, read: (entry: IndexEntry) => SessionState): SessionState {
    for (let tries = 1; ; tries++) {
      const entry = this.#readable(id)
      try {
        return read(entry)
      } catch (error) {
        // A snapshot that is newer than this view of the journal, or a part that is gone: its owner went on, so look again.
        const again = isHoldfastError(error, 'JOURNAL_CORRUPT') || isDroppedMeanwhile(error)
        if (!again || tries === TRIES) throw error
        this.refresh()
      }
    }
  }

  /**
   * The transitions of a session from a `seq` to another, oldest first. Throws JOURNAL_CORRUPT when one cannot be read, and
   * HISTORY_UNAVAILABLE, naming the first that is kept, when they are not kept from there on.
   */
  *history(id: string, from = 1, to?: number): Generator<Transition> {
    let next = from
    for (let tries = 1; ; tries++) {
      const entry = this.#readable(id)
      try {
        for (const transition of transitionsOf(this.#view.journal, entry, next, to)) {
          next = transition.seq + 1
          yield transition
        }
        return
      } catch (error) {
        if (!isDroppedMeanwhile(error) || tries === TRIES) throw error
        this.refresh()
      }
    }
  }

  /** Tells a session from the earliest that is kept, to whoever `begin` makes of what it was there; again if that is dropped. */
  retell<T extends { follow(placed: Placed): void }>(id: string, begin: (base: SessionState | undefined) => T): T {
    for (let tries = 1; ; tries++) {
      const entry = this.#readable(id)
      try {
        return retold(this.#view.journal, entry, begin)
      } catch (error) {
        if (!isDroppedMeanwhile(error) || tries === TRIES) throw error
        this.refresh()
      }
    }
  }

  /** What `prune` would remove at this time: nothing is. Rejects with INVALID_ARGUMENT. */
  prunable(filter: PruneFilter, now: number): Promise<Pruned> {
    const { registry, journal, unreadable } = this.#view
    return choosePrunable(filter, {
      ...{ registry, journal, snapshots: this.#ports.snapshots, now },
      unreadable: (id) => unreadable.has(id),
      pause: async () => {},
    })
  }

  /** Sessions that cannot be read whole. Those whose damage lies far back are found only when they are read. */
  get unreadable(): readonly Unreadable[] {
    return [...this.#view.unreadable].map(([id, reason]) => ({ id, reason }))
  }

  /** What of the journal could not be read. */
  get damage(): readonly Damage[] {
    return this.#view.damage
  }

  /** Shows the directory as it is now. */
  refresh(): void {
    const view = look(this.#ports)
    this.close()
    this.#view = view
  }

  close(): void {
    this.#view.journal.close()
  }

  #readable(id: string): IndexEntry {
    const reason = this.#view.unreadable.get(id)
    if (reason) throw reason
    return this.#entry(id)
  }

  #entry(prefix: string): IndexEntry {
    const entry = this.#view.registry.find(admitId(prefix))
    if (entry) return entry
    throw sessionNotFound(prefix)
  }
}

/** A directory at one moment. */
interface View {
  readonly journal: ReturnType<ReaderPorts['openJournal']>
  readonly registry: Registry
  readonly damage: readonly Damage[]
  readonly unreadable: ReadonlyMap<string, HoldfastError>
}

/** The index first: the journal, opened after it, then holds all that the index tells of. */
function look(ports: ReaderPorts, tries = 1): View {
  const index = ports.snapshots.readIndex()
  const damage: Damage[] = []
  const journal = ports.openJournal((found) => noteOnce(damage, found))
  try {
    return { journal, damage, ...followed(index, journal, damage) }
  } catch (error) {
    journal.close()
    if (!isDroppedMeanwhile(error) || tries === TRIES) throw error
    return look(ports, tries + 1)
  }
}

function followed(
  index: IndexFile | undefined,
  journal: ReadableJournal,
  damage: Damage[],
): Pick<View, 'registry' | 'unreadable'> {
  const registry = new Registry()
  const unreadable = new Map<string, HoldfastError>()
  const broken = ({ id }: { readonly id: string }, reason: unknown): void =>
    void unreadable.set(id, reason as HoldfastError)
  recover({ journal, index, registry, damage, broken })
  return { registry, unreadable }
}
