// The port for snapshots: the whole state of one session, and the index of all, each replaced as a whole.
// A snapshot is never needed for correctness: history is in the journal. It only shortens what must be folded.
// Adapters: lowdb over a durable file (`files/`), memory (`memory/`).

import type { Index, IndexFile, SessionState } from './state.js'

export interface Snapshots {
  /**
   * Replaces the snapshot of a session by `state` as it is now, durably; resolves with its size in bytes. Writes of the
   * same session take turns.
   * Rejects with DISK_FULL or DISK_FAILED; the old snapshot is then intact (or, if only the last sync failed, the new one).
   */
  write(state: SessionState): Promise<number>
  /** The last snapshot of a session, or undefined when there is none. A damaged one is moved to quarantine and counts as
   * none; `onDamage` hears of it. Throws FORMAT_NEWER when a newer Holdfast wrote it, DISK_FAILED when it cannot be read. */
  read(id: string): SessionState | undefined
  /** How many bytes a session's snapshot takes; 0 when there is none. Throws DISK_FAILED. */
  size(id: string): number
  /** Removes a session's snapshot durably, if there is one; a write of it that is under way is undone. Throws DISK_FAILED. */
  remove(id: string): void
  /**
   * Replaces the index, durably; resolves with its size in bytes. Its entries may be taken in portions, while the loop
   * turns. Rejects as `write` does.
   */
  writeIndex(index: Index): Promise<number>
  /** The last index, or undefined when there is none or it is damaged (it can be rebuilt from the journal). Throws as
   * `read` does. */
  readIndex(): IndexFile | undefined
}
