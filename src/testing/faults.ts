// The faults of a simulation, drawn by its seed: which there are, when the disk fails, what a power cut leaves of what was
// not synced. Nothing here knows what a session is.

import type { OnCall } from './disk.js'
import type { DiskCall } from './disk-file.js'
import { systemError } from './disk-file.js'
import type { Fate, PendingOperation } from './disk-nodes.js'

/** What can go wrong. `torn` and `reordered` say what a `crash` may leave of what was not synced. */
export const FAULTS = [
  'crash',
  'torn',
  'reordered',
  'kill',
  'EIO',
  'ENOSPC',
  'slow disk',
  'worker death',
  'clock jump',
  'throwing observer',
  'slow observer',
] as const

export type Fault = (typeof FAULTS)[number]

/** What became of each pending operation: by itself a beginning of them is kept. */
export function fatesOfCrash(
  pending: readonly PendingOperation[],
  faults: ReadonlySet<Fault>,
  random: () => number,
): (operation: PendingOperation, index: number) => Fate {
  const kept = Math.floor(random() * (pending.length + 1))
  return ({ kind, bytes }, index) => {
    const isKept = faults.has('reordered') ? random() < 0.5 : index < kept
    if (isKept || kind !== 'write' || !faults.has('torn') || random() < 0.5) return isKept ? 'kept' : 'dropped'
    return random() < 0.2 ? 'zeroed' : { bytes: Math.floor(random() * (bytes + 1)) }
  }
}

const WRITES: readonly string[] = ['write', 'sync', 'create', 'rename', 'syncFolder'] satisfies DiskCall['op'][]

/** A disk that fails from some call on: once with EIO; or it is full, which half of a write may still find room in. */
export function failing(fault: 'EIO' | 'ENOSPC', afterCalls: number, random: () => number): OnCall {
  let left = afterCalls
  return (_, call) => {
    if (!WRITES.includes(call.op) || left-- > 0 || (fault === 'EIO' && left < -1)) return undefined
    if (fault === 'EIO') throw systemError('EIO', call)
    if (call.op === 'sync' || call.op === 'syncFolder') return undefined
    if (call.op === 'write' && call.size > 1 && random() < 0.5) return call.size >> 1
    throw systemError('ENOSPC', call)
  }
}
