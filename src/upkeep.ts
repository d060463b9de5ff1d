// What keeps a directory small and safe: sessions that have ended are pruned, the oldest parts of the journal dropped,
// backups made. Only one thing at a time drops parts of the journal or must not be disturbed by that. What it does by
// itself, nobody waits for: what goes wrong then is reported, and everything is as it was.

import { refuseAborted } from './abort.js'
import type { Backup } from './backup.js'
import { HoldfastError, isHoldfastError } from './errors.js'
import type { CallOptions } from './handle.js'
import type { Compacted } from './journal.js'
import type { SessionEntry } from './listing.js'
import type { Ports } from './ports.js'
import { choosePrunable, type Pruned, type PruneOptions } from './prune.js'
import { closed } from './refusals.js'
import type { Registry } from './registry.js'

export interface UpkeepHost {
  readonly ports: Pick<Ports, 'journal' | 'snapshots' | 'clock' | 'backup'>
  readonly registry: Registry
  /** How much of the journal is kept at least. */
  readonly historyBytes: number
  /** True for a session that is known not to be readable. */
  unreadable(id: string): boolean
  delete(id: string, options: CallOptions): Promise<void>
  readonly closing: boolean
  /** Throws when nothing can be recorded. */
  assertWritable(): void
  /** The journal could not be compacted; it is tried again. */
  report(error: unknown): void
}

const PRUNED_TOGETHER = 128
/** The least that a compaction by itself is made for. */
const COMPACTED_BYTES = 64 * 1024 * 1024

export class Upkeep {
  readonly #host: UpkeepHost
  #turn: Promise<unknown> | undefined

  constructor(host: UpkeepHost) {
    this.#host = host
  }

  /** See `Runtime.prune`. */
  async prune({ dryRun = false, signal, ...filter }: PruneOptions): Promise<Pruned> {
    refuseAborted(signal)
    const { registry, unreadable } = this.#host
    const { journal, snapshots, clock } = this.#host.ports
    const source = { registry, journal, snapshots, now: clock.now(), unreadable, pause: () => this.#pause() }
    const chosen = await choosePrunable(filter, source)
    if (dryRun || chosen.sessions.length === 0) return chosen
    await this.#remove(chosen.sessions, signal)
    await this.#compactAside()
    return chosen
  }

  /** See `Runtime.compact`. */
  async compact(keepBytes: number): Promise<Compacted> {
    return await this.#inTurn(async () => {
      this.#host.assertWritable()
      const { registry } = this.#host
      return await this.#host.ports.journal.compact({
        keepBytes,
        isGone: (session, position) => (registry.get(session)?.birth ?? Number.POSITIVE_INFINITY) > position,
        pause: async () => {
          await this.#pause()
          if (this.#host.closing) throw closed('runtime')
        },
      })
    })
  }

  /** Looked at when an index was written, so once in a while; a part that is worth the trouble goes at a time. */
  considerCompaction(): void {
    const { historyBytes } = this.#host
    const { begin, end } = this.#host.ports.journal
    if (end - begin < historyBytes + Math.max(COMPACTED_BYTES, historyBytes / 4)) return
    void this.#compactAside()
  }

  /** See `Runtime.backup`. */
  async backup(path: string): Promise<Backup> {
    const { backup, journal } = this.#host.ports
    if (backup) return await this.#inTurn(() => backup(path, journal.end))
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'this runtime keeps everything in memory: there are no files to back up',
    )
  }

  /** Settles when nothing of this is under way; undefined when nothing was. Never rejects. */
  get underWay(): Promise<unknown> | undefined {
    return this.#turn
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = (this.#turn ?? Promise.resolve()).then(act)
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #compactAside(): Promise<void> {
    await this.compact(this.#host.historyBytes).catch((error: unknown) => this.#host.report(error))
  }

  /** So many at a time that they share their syncs, and leave room for others; a signal is looked at after each lot. */
  async #remove(sessions: readonly SessionEntry[], signal: AbortSignal | undefined): Promise<void> {
    for (let first = 0; first < sessions.length; first += PRUNED_TOGETHER) {
      const page = sessions.slice(first, first + PRUNED_TOGETHER)
      await Promise.all(
        page.map(({ id }) =>
          this.#host.delete(id, {}).catch((error: unknown) => {
            // Somebody else has removed it meanwhile.
            if (!isHoldfastError(error, 'SESSION_NOT_FOUND', 'SESSION_DELETED')) throw error
          }),
        ),
      )
      refuseAborted(signal)
    }
  }

  /** Lets others have their turn. */
  #pause(): Promise<void> {
    return new Promise((resolve) => this.#host.ports.clock.soon(resolve))
  }
}
