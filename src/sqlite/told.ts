// What a journal alone tells, whatever the index says: its sessions, and whose records do not follow one another.

import type { Damage, ReadableJournal } from '../journal.js'
import type { Position } from '../record.js'
import { Registry } from '../registry.js'
import { atOnce, lots, type Turns } from '../turns.js'

export interface Told {
  readonly registry: Registry
  readonly unreadable: Map<string, Error>
}

/** `onDamage` hears of what of the floor cannot be read; of the records, whoever opened the journal does. */
export const told = (journal: ReadableJournal, onDamage: (damage: Damage) => void): Told =>
  atOnce(telling(journal, onDamage))

/** As `told`, in turns. */
export function* telling(journal: ReadableJournal, onDamage: (damage: Damage) => void): Turns<Told> {
  const registry = new Registry()
  const unreadable = new Map<string, Error>()
  yield* lots(journal.floors(onDamage), (lot) => registry.load(lot))
  yield* following(registry, journal, journal.begin, (id, error) => unreadable.set(id, error))
  return { registry, unreadable }
}

/** Records after which others have their turn. */
const RECORDS = 16

export function* following(
  registry: Registry,
  journal: ReadableJournal,
  from: Position,
  failed: (id: string, error: Error) => void = () => {},
): Turns<void> {
  let looked = 0
  for (const { record, position } of journal.scan(from)) {
    if (++looked % RECORDS === 0) yield
    try {
      registry.follow(record, position)
    } catch (error) {
      failed(record.session, error as Error)
    }
  }
}
