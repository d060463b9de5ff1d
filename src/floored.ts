// What is kept of a session where the journal begins, once its older records were dropped: its state there, and what an index
// would tell of it that the state does not. Pure.

import type { Position } from './record.js'
import type { IndexEntry, SessionState, Work } from './state.js'

export interface FloorLine {
  readonly id: string
  readonly birth: Position
  readonly work?: Work
  readonly state: SessionState
}

export const floorLineOf = ({ id, birth, work }: IndexEntry, state: SessionState): FloorLine => ({
  ...{ id, birth, ...(work && { work }), state },
})

export function floorEntryOf({ birth, work, state }: FloorLine): IndexEntry {
  const { id, kind, version, seq, position, createdAt, updatedAt, status, value, attributes } = state
  const { created, parent, origin, owner, trouble } = state
  return {
    ...{ id, kind, version, seq, birth, position, createdAt, updatedAt, status, value, attributes },
    ...(created && { created }),
    ...(parent && { parent }),
    ...(origin && { origin }),
    ...(owner && { owner }),
    ...(work && { work }),
    ...(trouble?.quarantine && { quarantine: trouble.quarantine }),
    ...(trouble && trouble.letters.length > 0 && { deadLetters: trouble.letters.length }),
  }
}
