// Which crashes to try: every combination of fates of the pending operations, within stated bounds.
// It promises every subset of up to `operations` pending operations, each write torn at its first, middle and last byte,
// and any subset of up to `pieces` pages (4096 bytes) or sectors (512 bytes) of one write; beyond those bounds a stated
// family of subsets (see `subsets`). It is lazy and yields the same fates in the same order every time.

import type { Fate, PendingOperation } from './disk-nodes.js'

export interface FateLimits {
  /** Up to so many pending operations, every subset is tried; default 8. */
  readonly operations?: number
  /** Up to so many pending operations, every combination of torn writes is tried, else one torn at a time; default 4. */
  readonly tornTogether?: number
  /** Up to so many pages or sectors of a write, every subset is tried; default 8. */
  readonly pieces?: number
}

const PAGE_BYTES = 4096
const SECTOR_BYTES = 512

export function* fatesOf(operations: readonly PendingOperation[], limits: FateLimits = {}): Generator<Fate[]> {
  const { operations: whole = 8, tornTogether = 4, pieces = 8 } = limits
  const count = operations.length
  for (const kept of subsets(count, whole)) yield kept.map(wholeFate)
  const tears = operations.map((operation) => tearsOf(operation))
  if (count <= tornTogether) yield* product(tears.map((tear) => ['kept', 'dropped', ...tear]))
  for (let index = 0; index < count; index++) {
    const torn = [...(count <= tornTogether ? [] : (tears[index] ?? [])), ...pieceFates(operations[index], pieces)]
    if (torn.length === 0) continue
    for (const kept of subsets(count - 1, whole)) {
      const others = kept.map(wholeFate)
      for (const fate of torn) yield others.toSpliced(index, 0, fate)
    }
  }
}

const wholeFate = (kept: boolean): Fate => (kept ? 'kept' : 'dropped')

/** The ways in which a write is cut: no bytes but its length, the first, half, all but the last. */
function tearsOf({ kind, bytes }: PendingOperation): Fate[] {
  if (kind !== 'write') return []
  const cuts = new Set([1, bytes >> 1, bytes - 1].filter((cut) => cut > 0 && cut < bytes))
  return ['zeroed', ...[...cuts].map((cut): Fate => ({ bytes: cut }))]
}

/** The ways in which a write loses some of the pages or sectors that it touches. */
function* pieceFates(operation: PendingOperation | undefined, limit: number): Generator<Fate> {
  if (operation?.kind !== 'write') return
  for (const unitBytes of [PAGE_BYTES, SECTOR_BYTES]) {
    const first = Math.floor(operation.position / unitBytes)
    const count = Math.floor((operation.position + operation.bytes - 1) / unitBytes) - first + 1
    if (count < 2) continue
    for (const kept of subsets(count, limit)) {
      yield { unitBytes, units: kept.flatMap((is, unit) => (is ? [unit] : [])) }
    }
  }
}

/**
 * Every subset of `count` things when there are at most `limit`. When there are more: every subset of the last `limit`
 * with the rest kept, every prefix kept, each one alone lost and each one alone kept.
 */
export function* subsets(count: number, limit: number): Generator<boolean[]> {
  const free = Math.min(count, limit)
  const rest = new Array<boolean>(count - free).fill(true)
  for (let bits = 2 ** free - 1; bits >= 0; bits--) {
    yield [...rest, ...Array.from({ length: free }, (_, index) => (bits & (1 << index)) !== 0)]
  }
  if (count <= limit) return
  for (let chosen = 0; chosen < count; chosen++) {
    yield Array.from({ length: count }, (_, index) => index < chosen)
    yield Array.from({ length: count }, (_, index) => index !== chosen)
    yield Array.from({ length: count }, (_, index) => index === chosen)
  }
}

function* product(choices: readonly (readonly Fate[])[]): Generator<Fate[]> {
  const [first, ...rest] = choices
  if (!first) return yield []
  for (const others of product(rest)) for (const fate of first) yield [fate, ...others]
}
