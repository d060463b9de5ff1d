// Modifications on their way into their sessions: of each session in one change, numbered in the order that they were given in.

import type { Transition } from 'holdfast'
import type { SessionDatabase } from './database.js'
import { type ExecutionEvent, MOST_MODIFICATIONS } from './events.js'
import type { NewModification } from './service-config.js'
import { modificationOf, type PlanModification } from './session.js'
import { numbersIn } from './tables.js'

/** `bySession`: which of them are whose; `actors`: who adds them. Rejects as `SessionDatabase.send` does. */
export async function addTo(
  database: SessionDatabase,
  modifications: readonly NewModification[],
  bySession: ReadonlyMap<string, readonly number[]>,
  actors: ReadonlyMap<string, string>,
  process: boolean,
): Promise<PlanModification[]> {
  const added: PlanModification[] = []
  const add = async ([sessionId, indexes]: readonly [string, readonly number[]]): Promise<void> => {
    const fields = indexes.map((index) => fieldsOf(modifications[index] as NewModification))
    const by = actors.get(sessionId)
    const events = inParts(fields).map(
      (part): ExecutionEvent => ({
        ...{ type: 'modify', modifications: part, by },
        ...(process && { process }),
      }),
    )
    const transition = await database.send(sessionId, ...events)
    const { modifications: kept } = (await database.session(sessionId)).snapshot().context
    const numbers = addedBy(transition, indexes.length, kept.length)
    for (const [n, index] of indexes.entries()) {
      const number = numbers[n] as number
      added[index] = modificationOf(sessionId, number, kept[number - 1] as (typeof kept)[number])
    }
  }
  await Promise.all([...bySession].map(add))
  return added
}

const fieldsOf = ({ ticketId, userId, action, value, timestamp }: NewModification) => ({
  ...{ ticketId, userId, action, value },
  ...(timestamp && { timestamp: timestamp.toISOString() }),
})

/** As many as an event may have. */
function inParts<T>(items: readonly T[]): T[][] {
  const parts: T[][] = []
  for (let start = 0; start < items.length; start += MOST_MODIFICATIONS) {
    parts.push(items.slice(start, start + MOST_MODIFICATIONS))
  }
  return parts
}

/** The numbers of the modifications that a transition has added: what its patch says, in order. */
const addedBy = ({ patch }: Transition, count: number, length: number): number[] =>
  numbersIn(patch, length)
    .sort((a, b) => a - b)
    .slice(-count)
