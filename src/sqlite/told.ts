// What a journal alone tells, whatever the index says: its sessions, and whose records do not follow one another.

import type { Damage, ReadableJournal } from '../journal.js'
import type { Position } from '../record.js'
import { Registry } from '../registry.js'

export interface Told {
  readonly registry: Registry
  readonly unreadable: Map<string, Error>
}

/** `onDamage` hears of what of the floor cannot be read; of the records, whoever opened the journal does. */
export function told(journal: ReadableJournal, onDamage: (damage: Damage) => void): Told {
  const registry = new Registry()
  const unreadable = new Map<string, Error>()
  registry.load(journal.floors(onDamage))
  follow(registry, journal, journal.begin, (id, error) => unreadable.set(id, error))
  return { registry, unreadable }
}

export function follow(
  registry: Registry,
  journal: ReadableJournal,
  from: Position,
  failed: (id: string, error: Error) => void = () => {},
): void {
  for (const { record, position } of journal.scan(from)) {
    try {
      registry.follow(record, position)
    } catch (error) {
      failed(record.session, error as Error)
    }
  }
}
