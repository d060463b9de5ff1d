// Snapshots in memory: the same port without a disk, for tests and for runs that need not survive the process.
// They are kept as text, so that nobody shares them. Nothing here can be damaged or fail.

import type { Snapshots } from '../snapshots.js'
import type { IndexFile, SessionState } from '../state.js'

export function createMemorySnapshots(): Snapshots {
  const states = new Map<string, string>()
  let index: string | undefined
  return {
    write: async (state) => {
      const text = JSON.stringify(state)
      states.set(state.id, text)
      return text.length
    },
    read: (id) => parsed<SessionState>(states.get(id)),
    size: (id) => states.get(id)?.length ?? 0,
    remove: (id) => {
      states.delete(id)
    },
    writeIndex: async ({ through, entries }) => {
      index = JSON.stringify({ through, entries: [...entries] } satisfies IndexFile)
      return index.length
    },
    readIndex: () => parsed<IndexFile>(index),
  }
}

const parsed = <T>(text: string | undefined): T | undefined =>
  text === undefined ? undefined : (JSON.parse(text) as T)
