// When snapshots and the index are written: in the background, once their size pays, and when the runtime closes.
// Neither is needed for correctness, so a failure is reported and tried again later, at the latest when the runtime
// closes; it never reaches a session.

import type { Journal } from './journal.js'
import type { Position } from './record.js'
import type { Registry } from './registry.js'
import type { LiveSession } from './session.js'
import type { Snapshots } from './snapshots.js'

/** Records of a session worth a snapshot while it runs: what folding them back would cost at most. */
const SNAPSHOT_BYTES = 256 * 1024
/** The same on closing, when nothing waits for it. Smaller sessions need no file of their own. */
const SNAPSHOT_BYTES_ON_CLOSE = 2 * 1024
/** The same when a session becomes passive: it is restored from its records, which must not take long. */
const SNAPSHOT_BYTES_ON_LEAVING = 8 * 1024
/** Journal bytes worth a new index, which shortens what an opening after a crash must scan; more if the index is larger. */
const INDEX_BYTES = 8 * 1024 * 1024
const CONCURRENT_WRITES = 4

export class Checkpoints {
  readonly #journal: Journal
  readonly #snapshots: Snapshots
  readonly #registry: Registry
  readonly #onError: (error: unknown) => void
  readonly #onIndexed: () => void
  readonly #queue: Set<LiveSession> = new Set()
  readonly #writing: Set<Promise<void>> = new Set()
  /** Size of a session's last snapshot, where it is larger than the least that pays. */
  readonly #sizes: WeakMap<LiveSession, number> = new WeakMap()
  /** Those that are to be let go, and wait for their snapshot. */
  readonly #settling: Map<LiveSession, { readonly written: Promise<void>; readonly resolve: () => void }> = new Map()
  /** Whose last snapshot could not be written. */
  readonly #failed: WeakSet<LiveSession> = new WeakSet()
  /** Up to where the index is written, and where it was tried last. */
  #indexed: Position
  #tried: Position
  #indexSize = 0
  #indexing: Promise<void> | undefined
  #indexKept = false

  /** `indexed` is called after an index was written while the runtime is at work. */
  constructor(
    journal: Journal,
    snapshots: Snapshots,
    registry: Registry,
    onError: (error: unknown) => void,
    indexed: () => void,
  ) {
    this.#onIndexed = indexed
    this.#journal = journal
    this.#snapshots = snapshots
    this.#registry = registry
    this.#onError = onError
    this.#indexed = journal.end
    this.#tried = journal.end
  }

  /** Called after each durable transition of a session: constant time. */
  consider(session: LiveSession): void {
    if (session.bytesSinceSnapshot < SNAPSHOT_BYTES) return
    // A snapshot at most as often as the records since the last are as large as it was: writing it pays for itself.
    if (session.bytesSinceSnapshot < (this.#sizes.get(session) ?? 0)) return
    this.#queue.add(session)
    this.#next()
  }

  /** Before a session is let go: resolves when its snapshot, if that pays, is written; undefined when it need not wait. */
  settle(session: LiveSession): Promise<void> | undefined {
    const waiting = this.#settling.get(session)
    if (waiting || session.bytesSinceSnapshot < SNAPSHOT_BYTES_ON_LEAVING) return waiting?.written
    let resolve = (): void => {}
    const written = new Promise<void>((done) => {
      resolve = done
    })
    this.#settling.set(session, { written, resolve })
    this.#queue.add(session)
    this.#next()
    return written
  }

  /** Called once the events of a turn are delivered: only then do registry and journal agree. */
  considerIndex(): void {
    // As with snapshots: as much journal as the last index was large pays for the next.
    if (this.#indexing || this.#journal.end - this.#tried < Math.max(INDEX_BYTES, this.#indexSize)) return
    this.#indexing = this.#writeIndex().finally(() => {
      this.#indexing = undefined
      this.#onIndexed()
    })
  }

  /** Writes what has changed of these sessions, and the index. */
  async close(sessions: Iterable<LiveSession>): Promise<void> {
    for (const session of sessions) {
      if (session.bytesSinceSnapshot >= SNAPSHOT_BYTES_ON_CLOSE || this.#failed.has(session)) this.#queue.add(session)
    }
    this.#next()
    while (this.#writing.size > 0) await Promise.all(this.#writing)
    await this.#indexing
    if (this.#journal.end !== this.#indexed) await this.#writeIndex()
  }

  #next(): void {
    for (const session of this.#queue) {
      if (this.#writing.size >= CONCURRENT_WRITES) return
      this.#queue.delete(session)
      const writing: Promise<void> = this.#write(session).finally(() => {
        this.#writing.delete(writing)
        this.#settling.get(session)?.resolve()
        this.#settling.delete(session)
        this.#next()
      })
      this.#writing.add(writing)
    }
  }

  async #write(session: LiveSession): Promise<void> {
    try {
      this.#sizes.set(session, await this.#snapshots.write(session.state()))
      this.#failed.delete(session)
      if (!this.#registry.get(session.id)) this.#snapshots.remove(session.id)
    } catch (error) {
      this.#failed.add(session)
      this.#onError(error)
    }
  }

  /** Leaves the index as it is: it alone proves that records are lost, as long as their sessions are parked. */
  keepIndex(): void {
    this.#indexKept = true
  }

  async #writeIndex(): Promise<void> {
    if (this.#indexKept) return
    const through = this.#journal.end
    this.#tried = through
    try {
      this.#indexSize = await this.#snapshots.writeIndex({ through, entries: this.#registry.entries() })
      this.#indexed = through
    } catch (error) {
      this.#onError(error)
    }
  }
}
