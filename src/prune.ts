// Which sessions may be removed for good, and what of the disk is theirs. Reading only; who removes them is the runtime.
// It never chooses a session that has not ended, one whose end or whose messages others still wait for, or one that cannot
// be read: what is unreadable is for a person to look at, and not to vanish on a schedule.

import { HoldfastError, isHoldfastError } from './errors.js'
import type { CallOptions } from './handle.js'
import type { ReadableJournal } from './journal.js'
import { type Known, type SessionEntry, shown } from './listing.js'
import { NOWHERE } from './record.js'
import type { Registry } from './registry.js'
import type { Snapshots } from './snapshots.js'
import type { SessionStatus } from './state.js'
import { isIn } from './wanted.js'

/** What is to be removed. Everything that is named must hold. */
export interface PruneFilter {
  /** How long ago a session must have ended. */
  readonly olderThanMs: number
  readonly kind?: string
  /** Any but `active`. */
  readonly status?: SessionStatus
  /** The state in which it ended, as `approved` or `review.rejected`. */
  readonly state?: string
}

export interface PruneOptions extends PruneFilter, CallOptions {
  /** Only tell what would be removed. */
  readonly dryRun?: boolean
}

export const PRUNE_OPTIONS = {
  olderThanMs: true,
  kind: true,
  status: true,
  state: true,
  dryRun: true,
  signal: true,
} as const

/** What was removed, or would be. */
export interface Pruned {
  /** In the order of their creation. */
  readonly sessions: readonly SessionEntry[]
  /** What their records and snapshots take on the disk. */
  readonly bytes: number
}

/** What a choice reads. */
export interface PruneSource {
  readonly registry: Registry
  readonly journal: ReadableJournal
  readonly snapshots: Pick<Snapshots, 'size'>
  readonly now: number
  /** True for a session that is known not to be readable. */
  unreadable(id: string): boolean
  /** Lets others have their turn. */
  pause(): Promise<void>
}

const ENDED: readonly SessionStatus[] = ['done', 'error', 'stopped']
/** Records looked at before others have their turn. */
const PAGE = 64

/** Throws INVALID_ARGUMENT. */
export async function choosePrunable(filter: PruneFilter, source: PruneSource): Promise<Pruned> {
  const sessions: SessionEntry[] = []
  let bytes = 0
  let looked = 0
  const turn = async (): Promise<void> => {
    if (++looked % PAGE === 0) await source.pause()
  }
  for (const entry of prunable(filter, source)) {
    const size = await sizeOf(entry, source, turn)
    if (size !== undefined) sessions.push(entry)
    bytes += size ?? 0
  }
  return { sessions, bytes }
}

/** Entries as they are now, in the order of their creation. */
function prunable(filter: PruneFilter, { registry, now, unreadable }: PruneSource): SessionEntry[] {
  const before = now - admitFilter(filter).olderThanMs
  const { kind, state } = filter
  const chosen: Known[] = []
  for (const status of filter.status === undefined ? ENDED : [filter.status]) {
    for (const entry of registry.select({ status, ...(kind !== undefined && { kind }) })) {
      if (Date.parse(entry.updatedAt) > before || unreadable(entry.id) || isAwaited(entry, registry)) continue
      if (state === undefined || isIn(entry.value, state)) chosen.push(entry)
    }
  }
  return chosen.sort((a, b) => a.birth - b.birth).map(shown)
}

function admitFilter(filter: PruneFilter): PruneFilter {
  const { olderThanMs, status } = filter
  if (typeof olderThanMs !== 'number' || !(olderThanMs >= 0)) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `olderThanMs must be a number of at least 0, not ${String(olderThanMs)}`,
    )
  }
  if (status === undefined || ENDED.includes(status)) return filter
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `sessions of status "${status}" cannot be pruned, only those that have ended (${ENDED.join(', ')}); cancel them first`,
  )
}

/**
 * Its parent has not heard of its end, and would start it again without it; or a session that goes on may still want a
 * message of it. What it sent to its parent is for nobody once the parent knows of the end; what it sent to a session that
 * has ended is for nobody, either, though an ended session can no longer record that a message is done with.
 */
function isAwaited({ id, parent }: Known, registry: Registry): boolean {
  if (parent !== undefined && registry.work(parent.session)?.sessions?.[parent.child] === id) return true
  const receivers = Object.values(registry.work(id)?.outbox ?? {})
  return receivers.some((to) => to !== parent?.session && registry.get(to)?.status === 'active')
}

/** Bytes of its records and its snapshot; undefined when one of them cannot be read. */
async function sizeOf(
  { id, position: last }: SessionEntry,
  { journal, snapshots }: PruneSource,
  turn: () => Promise<void>,
): Promise<number | undefined> {
  try {
    let bytes = snapshots.size(id)
    for (let position = last; position !== NOWHERE && position >= journal.begin; ) {
      const record = journal.read(position)
      bytes += Buffer.byteLength(JSON.stringify(record))
      position = record.prev
      await turn()
    }
    return bytes
  } catch (error) {
    if (isHoldfastError(error, 'JOURNAL_CORRUPT')) return undefined
    throw error
  }
}
