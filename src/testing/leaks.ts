// Output commit, seen from the disk: whether a power cut at this moment could still undo a record that something has come of.
// It looks at what the crash disk holds pending, and at nothing that the runtime says of itself.

import type { CrashDisk, PendingOperation } from './disk.js'
import type { DataOperation } from './disk-nodes.js'

/** Whether the record of a transition, or the name of the segment that a write goes to, may be lost if the power goes now. */
export function mayBeLost(disk: CrashDisk, session: string, seq: number): boolean {
  const text = `"session":"${session}","seq":${seq},`
  return disk.pending.some((operation) => isSegmentWrite(operation) && has(operation, text))
}

const isSegmentWrite = ({ kind, text }: PendingOperation): boolean =>
  kind === 'write' && /^write journal\/\d{8}\.jsonl/.test(text)

function has(operation: PendingOperation, text: string): boolean {
  const { data } = operation as DataOperation
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).includes(text)
}
