// The cursor of a body: which items are open while its blocks are read one after the other, and what a label waits for.
// An item opens with its first line and closes when one of its rank or above opens; the body's owner never closes.

import type { Block } from '../blocks.js'
import { type Draft, rankOf } from './drafts.js'
import type { Field } from './fields.js'
import { add, NOWHERE, type Place, type Reading } from './reading.js'

export interface Cursor {
  place: Place
  /** The owner, then the items found in this body that are still open. */
  open: Draft[]
  /** A label whose value stands in the next block. */
  waiting?: Field | undefined
  /** Prose introduced the next list, or a label that is no field. */
  introduced: boolean
  /** What the next list was announced to hold. */
  announced?: Pick<Place, 'collection' | 'strong' | 'enablerType'> | undefined
  /** What follows the block that is being read. */
  following?: Block | undefined
  /** The sentence of an epic or a feature that has stories besides is its own. */
  keepsSentences: boolean
}

/** The item that what comes next belongs to. */
export const ownerAt = ({ open }: Cursor): Draft | undefined => open.at(-1)

/** The place of what comes next: under the innermost open item. */
export function placeAt(cursor: Cursor): Place {
  const owner = ownerAt(cursor)
  return owner === cursor.place.owner ? cursor.place : { ...NOWHERE, owner }
}

/** Leaves a block to the innermost open item, as its prose. */
export function keep(cursor: Cursor, block: Block): void {
  ownerAt(cursor)?.prose.push(block)
}

/** Forgets what was said about the next block. */
export function rest(cursor: Cursor): void {
  cursor.waiting = undefined
  cursor.announced = undefined
  cursor.introduced = false
}

/** Closes what is open until something may hold an item of this type, and gives that. */
export function above({ open, place }: Cursor, type: Draft['type']): Draft | undefined {
  for (let top = open.at(-1); top !== undefined && top !== place.owner; top = open.at(-1)) {
    if (rankOf(top.type) < rankOf(type)) break
    open.pop()
  }
  return open.at(-1)
}

/** Opens an item. */
export function start(draft: Draft, cursor: Cursor, reading: Reading): void {
  add(reading, draft)
  cursor.open.push(draft)
}
