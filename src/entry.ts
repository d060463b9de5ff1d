// An entry of the registry: what is kept in memory of one session, live or not. From a first record, from a line of the
// index, and back into one. It holds no context, and is as small as it can be: there is one for every session.

import type { Known } from './listing.js'
import type { Position, TransitionRecord } from './record.js'
import type { Attributes, IndexEntry } from './state.js'
import { changesWork, type Todo, todoAfter, todoOf, workOf } from './todo.js'

/** It moves on with each record. */
export type Entry = { -readonly [K in keyof Known]: Known[K] } & { todo: Todo | undefined }

/** One for all that have none: most sessions are passive, and each is only as large as its entry. */
const NO_ATTRIBUTES: Attributes = Object.freeze({})

// Entries are made by the two functions that follow, each by one literal with the same properties in the same order: what
// is spread, or differs in that, takes twice the memory.

/** What the first record of a session, at `birth`, tells of it. */
export function entryOf(record: TransitionRecord, birth: Position): Entry {
  const { session: id, seq, at: createdAt, value, kind = '', version = 1, status = 'active' } = record
  const { attributes = NO_ATTRIBUTES } = record
  const [position, updatedAt] = [birth, createdAt]
  const todo = changesWork(record) ? todoAfter(undefined, record) : undefined
  const entry = { id, kind, version, seq, birth, position, createdAt, updatedAt, status, value, attributes, todo }
  return withOrigins(entry, record)
}

/** `one` gives one text for all that are equal: each line of an index has its own. */
export function loaded(indexed: IndexEntry, one: (text: string) => string): Entry {
  const { id, version, seq, birth, position, createdAt, status } = indexed
  const kind = one(indexed.kind)
  const value = typeof indexed.value === 'string' ? one(indexed.value) : indexed.value
  const updatedAt = indexed.updatedAt === createdAt ? createdAt : indexed.updatedAt
  const attributes = Object.keys(indexed.attributes).length > 0 ? indexed.attributes : NO_ATTRIBUTES
  const todo = indexed.work && todoOf(indexed.work)
  const entry: Entry = {
    id,
    kind,
    version,
    seq,
    birth,
    position,
    createdAt,
    updatedAt,
    status,
    value,
    attributes,
    todo,
  }
  if (indexed.quarantine) entry.quarantine = indexed.quarantine
  if (indexed.deadLetters !== undefined) entry.deadLetters = indexed.deadLetters
  return withOrigins(entry, indexed)
}

function withOrigins(
  entry: Entry,
  { created, parent, origin, owner }: Pick<Known, 'created' | 'parent' | 'origin' | 'owner'>,
): Entry {
  if (created) entry.created = created
  if (parent) entry.parent = parent
  if (origin) entry.origin = origin
  if (owner) entry.owner = owner
  return entry
}

/** Gives the same text for equal ones. */
export function sameTexts(): (text: string) => string {
  const texts = new Map<string, string>()
  return (text) => {
    const known = texts.get(text)
    if (known === undefined) texts.set(text, text)
    return known ?? text
  }
}

export function* copies(entries: readonly Entry[]): Generator<IndexEntry> {
  for (const entry of entries) yield stored(entry)
}

/** A copy in the shape of the index file. */
function stored({ todo, ...known }: Entry): IndexEntry {
  return todo ? { ...known, work: workOf(todo) } : known
}
