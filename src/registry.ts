// The registry: id -> what is known of each session; attributes -> ids. The read model of all durable transitions.
// It follows records in the order of the journal, live and on open alike, at a cost that does not depend on how many
// sessions there are. It holds no context. Whoever watches a session or the totals gets an atom (`watched.ts`); a session
// that nobody watches costs one compact entry.

import { copies, type Entry, entryOf, loaded, sameTexts } from './entry.js'
import { HoldfastError } from './errors.js'
import { Group, Groups } from './group.js'
import {
  attributeGroups,
  groupsFor,
  groupsOf,
  type Known,
  type Quarantined,
  type SessionEntry,
  type SessionFilter,
  type SessionPage,
  type SessionStats,
  shown,
  troubleGroups,
} from './listing.js'
import { admitOptions } from './options.js'
import { NOWHERE, type Position, type TransitionRecord } from './record.js'
import { ambiguousId } from './refusals.js'
import type { Attributes, IndexEntry, SessionStatus, StateValue, Work } from './state.js'
import { changesWork, todoAfter, workOf } from './todo.js'
import type { Quarantine } from './trouble.js'
import { type ReadonlyAtom, Watched, WatchedById } from './watched.js'

const FILTER = {
  kind: true,
  status: true,
  parent: true,
  origin: true,
  organization: true,
  quarantined: true,
  deadLetters: true,
  tag: true,
  where: true,
} as const
const LARGEST_PAGE = 1000
/** How many candidates an ambiguous id is told with. */
const NAMED_IDS = 5

/** The tags of a kind's state. */
type Tags = (kind: string, value: StateValue) => readonly string[]

const TAGS_KEPT = 10_000

export class Registry {
  readonly #entries: Map<string, Entry> = new Map()
  readonly #all: Group<Entry> = new Group(membersIn(this.#entries))
  /** By kind, status and every indexed attribute. */
  readonly #groups: Groups<Entry> = new Groups()
  readonly #keys: Map<string, Entry> = new Map()
  readonly #watched: WatchedById<SessionEntry>
  readonly #stats: Watched<SessionStats>

  readonly #tags: Tags | undefined
  /** Whether a state of a kind has a tag. */
  readonly #tagged: Map<string, boolean> = new Map()

  /** `onWatcherError` hears what those throw who watch an atom; `tags`: those of a kind's state, where kinds are known. */
  constructor(onWatcherError: (error: unknown) => void = () => {}, tags?: Tags) {
    this.#tags = tags
    const shownById = (id: string): SessionEntry | undefined => {
      const entry = this.#entries.get(id)
      return entry && shown(entry)
    }
    this.#watched = new WatchedById(shownById, onWatcherError)
    this.#stats = new Watched({ total: 0, active: 0, done: 0, error: 0, stopped: 0 }, onWatcherError)
  }

  /** Takes over what the index holds. */
  load(entries: Iterable<IndexEntry>): void {
    const one = sameTexts()
    const stats = { ...this.#stats.get() }
    for (const indexed of entries) {
      const entry = loaded(indexed, one)
      this.#enter(entry)
      this.#watched.moved(entry.id)
      stats.total++
      stats[entry.status]++
    }
    this.#stats.set(stats)
  }

  /**
   * Moves a session on by one durable record. Throws JOURNAL_CORRUPT when the record does not follow the last one: then
   * records are missing; the entry goes on with what there is.
   */
  follow(record: TransitionRecord, position: Position): void {
    const entry = this.#entries.get(record.session)
    if (!entry) {
      if (record.deleted) return // of what was there before nothing is known, and nothing is left
      this.#add(entryOf(record, position))
      if (record.seq !== 1) throw gap(record, 0)
      return
    }
    if (position <= entry.position) return // the index knew it already
    if (record.deleted) return this.#remove(entry)
    if (record.seq === 1) {
      // Another session of the same id: the record that deleted the one before was not there to be read.
      this.#remove(entry)
      this.#add(entryOf(record, position))
      return
    }
    const expected = entry.seq + 1
    const follows = record.seq === expected && record.prev === entry.position
    entry.seq = record.seq
    entry.position = position
    entry.updatedAt = record.at
    entry.value = record.value
    if (record.version !== undefined) entry.version = record.version
    if (record.status) this.#setStatus(entry, record.status)
    if (record.attributes) this.#setAttributes(entry, record.attributes)
    if (record.trouble || record.status) this.#setTrouble(entry, record)
    if (changesWork(record)) entry.todo = todoAfter(entry.todo, record)
    this.#watched.moved(entry.id)
    if (!follows) throw gap(record, expected)
  }

  get(id: string): Known | undefined {
    return this.#entries.get(id)
  }

  /** The session that was created with this idempotency key. */
  byKey(kind: string, key: string): Known | undefined {
    return this.#keys.get(keyOf(kind, key))
  }

  /** Ids that begin with a prefix, at most `limit`; of a whole id, that one. Only among those that a filter names. */
  byPrefix(prefix: string, limit: number, filter?: SessionFilter): string[] {
    const whole = this.#entries.get(prefix)
    if (whole && this.#groupsFor(filter ?? {})?.every((group) => group.has(whole))) return [prefix]
    const ids: string[] = []
    for (const { id } of filter ? this.#matching(filter, NOWHERE) : this.#entries.values()) {
      if (id.startsWith(prefix) && ids.push(id) === limit) break
    }
    return ids
  }

  /**
   * The one session whose id begins with a prefix, if there is any, among those that a filter names. Throws AMBIGUOUS_ID,
   * which names the first few.
   */
  find(prefix: string, filter?: SessionFilter): Known | undefined {
    admitOptions('filters', filter, FILTER)
    const ids = this.byPrefix(prefix, NAMED_IDS + 1, filter)
    if (ids.length < 2) return ids[0] === undefined ? undefined : this.#entries.get(ids[0])
    throw ambiguousId(prefix, ids.slice(0, NAMED_IDS), ids.length > NAMED_IDS)
  }

  /** Sessions in the order of their creation. Throws INVALID_ARGUMENT for a filter, a cursor or a limit that makes no sense. */
  list(filter: SessionFilter = {}, page: { readonly cursor?: string; readonly limit?: number } = {}): SessionPage {
    admitOptions('filters', filter, FILTER)
    admitOptions('options of list', page, { cursor: true, limit: true })
    const limit = page.limit ?? 100
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > LARGEST_PAGE) {
      throw new HoldfastError('INVALID_ARGUMENT', `limit must be an integer from 1 to ${LARGEST_PAGE}, not ${limit}`)
    }
    const sessions: SessionEntry[] = []
    let last: Entry | undefined
    for (const entry of this.#matching(filter, positionOf(page.cursor))) {
      if (sessions.length === limit) return { sessions, cursor: String((last as Entry).birth) }
      sessions.push(shown(entry))
      last = entry
    }
    return { sessions }
  }

  /** How many sessions match; constant in their number when at most one thing is asked for. */
  count(filter: SessionFilter = {}): number {
    admitOptions('filters', filter, FILTER)
    const groups = this.#groupsFor(filter)
    if (!groups) return 0
    if (groups.length < 2 && filter.tag === undefined) return (groups[0] ?? this.#all).size
    let count = 0
    for (const _ of this.#matching(filter, NOWHERE)) count++
    return count
  }

  /** The totals, as an atom to read or subscribe to. */
  get stats(): ReadonlyAtom<SessionStats> {
    return this.#stats.door
  }

  /** One session as an atom to read or subscribe to; undefined once it is deleted. */
  atom(id: string): ReadonlyAtom<SessionEntry | undefined> {
    return this.#watched.atom(id)
  }

  /** How many sessions have an atom that is kept up to date. */
  get watchedCount(): number {
    return this.#watched.size
  }

  /**
   * The sessions that are there at the call, in the shape of the index file. Each is copied when it is taken, and may have
   * moved on or been deleted since the call: `follow` passes over the records that it knows, and makes up for the others.
   */
  entries(): Generator<IndexEntry> {
    return copies([...this.#entries.values()])
  }

  /** The entries that match, as they are now, in the order of creation. */
  *select(filter: SessionFilter): Generator<Known> {
    yield* this.#matching(filter, NOWHERE)
  }

  /** Active sessions that another version of their kind has recorded last. */
  *ofOtherVersions(kinds: ReadonlyMap<string, { readonly version: number }>): Generator<Known> {
    for (const entry of this.#entries.values()) {
      const kind = entry.status === 'active' ? kinds.get(entry.kind) : undefined
      if (kind && kind.version !== entry.version) yield entry
    }
  }

  /** Active sessions that are children of others. */
  *children(): Generator<Known> {
    for (const entry of this.#entries.values()) if (entry.parent && entry.status === 'active') yield entry
  }

  /** What a session still has to do by itself, if anything. */
  work(id: string): Work | undefined {
    const todo = this.#entries.get(id)?.todo
    return todo && workOf(todo)
  }

  /** Sessions that have something to do by themselves. */
  *withWork(): Generator<{ readonly id: string; readonly work: Work; readonly quarantine?: Quarantine }> {
    for (const { id, todo, quarantine } of this.#entries.values())
      if (todo) yield { id, work: workOf(todo), ...(quarantine && { quarantine }) }
  }

  *withLetters(): Generator<Known> {
    yield* this.#matching({ deadLetters: true }, NOWHERE)
  }

  *quarantined(): Generator<Quarantined> {
    for (const { id, kind, quarantine } of this.#matching({ quarantined: true }, NOWHERE))
      if (quarantine) yield { id, kind, ...quarantine }
  }

  /** The smallest group that the filter names, narrowed by the others. */
  *#matching(filter: SessionFilter, after: Position): Generator<Entry> {
    const groups = this.#groupsFor(filter)
    if (!groups) return
    const [smallest = this.#all, ...others] = groups.sort((a, b) => a.size - b.size)
    const { tag } = filter
    for (const entry of smallest.after(after)) {
      if (!others.every((group) => group.has(entry))) continue
      if (tag === undefined || this.#isTagged(entry, tag)) yield entry
    }
  }

  /** A tag is its state's, so it is looked up once for all sessions in that state. Throws INVALID_ARGUMENT. */
  #isTagged({ kind, value }: Entry, tag: string): boolean {
    if (!this.#tags)
      throw new HoldfastError('INVALID_ARGUMENT', 'tags are known only to a runtime that was opened with the kinds')
    const key = `${kind} ${tag} ${typeof value === 'string' ? value : JSON.stringify(value)}`
    let known = this.#tagged.get(key)
    if (known === undefined) {
      known = this.#tags(kind, value).includes(tag)
      if (this.#tagged.size >= TAGS_KEPT) this.#tagged.clear()
      this.#tagged.set(key, known)
    }
    return known
  }

  /** How many sessions there are, by kind and status. */
  tally(): { [kind: string]: Record<SessionStatus, number> } {
    const kinds: { [kind: string]: Record<SessionStatus, number> } = {}
    for (const { kind, status } of this.#entries.values()) {
      kinds[kind] ??= { active: 0, done: 0, error: 0, stopped: 0 }
      ;(kinds[kind] as Record<SessionStatus, number>)[status]++
    }
    return kinds
  }

  /** Undefined when one that the filter names is not there: then nothing matches. */
  #groupsFor(filter: SessionFilter): Group<Entry>[] | undefined {
    const groups: (Group<Entry> | undefined)[] = []
    groupsFor(filter, (name, value) => groups.push(this.#groups.get(name, value)))
    return groups.includes(undefined) ? undefined : (groups as Group<Entry>[])
  }

  #add(entry: Entry): void {
    this.#enter(entry)
    this.#count(undefined, entry.status)
    this.#watched.moved(entry.id)
  }

  #enter(entry: Entry): void {
    this.#all.add(entry)
    groupsOf(entry, (name, value) => this.#groups.join(name, value, entry))
    if (entry.created) this.#keys.set(keyOf(entry.kind, entry.created.key), entry)
  }

  #remove(entry: Entry): void {
    this.#all.delete(entry)
    groupsOf(entry, (name, value) => this.#groups.leave(name, value, entry))
    if (entry.created) this.#keys.delete(keyOf(entry.kind, entry.created.key))
    this.#count(entry.status, undefined)
    this.#watched.moved(entry.id)
  }

  #setStatus(entry: Entry, status: SessionStatus): void {
    if (entry.status === status) return
    this.#groups.leave('status', entry.status, entry)
    this.#count(entry.status, status)
    entry.status = status
    this.#groups.join('status', status, entry)
  }

  #setAttributes(entry: Entry, attributes: Attributes): void {
    attributeGroups(entry.attributes, (name, value) => this.#groups.leave(name, value, entry))
    entry.attributes = attributes
    attributeGroups(attributes, (name, value) => this.#groups.join(name, value, entry))
  }

  #setTrouble(entry: Entry, { trouble, at, status }: TransitionRecord): void {
    troubleGroups(entry, (name, value) => this.#groups.leave(name, value, entry))
    if (trouble?.kind === 'quarantine') entry.quarantine = { reason: trouble.reason, at }
    if (trouble?.kind === 'release' || status) delete entry.quarantine
    if (trouble?.kind === 'letter') entry.deadLetters = (entry.deadLetters ?? 0) + 1
    if (trouble?.kind === 'settled' && entry.deadLetters !== undefined && --entry.deadLetters === 0)
      delete entry.deadLetters
    troubleGroups(entry, (name, value) => this.#groups.join(name, value, entry))
  }

  #count(from: SessionStatus | undefined, to: SessionStatus | undefined): void {
    const stats = { ...this.#stats.get() }
    if (from) stats[from]--
    if (to) stats[to]++
    if (!from) stats.total++
    if (!to) stats.total--
    this.#stats.set(stats)
  }
}

/** The map by id is all that there is: another collection of every session would cost each of them some bytes. */
const membersIn = (entries: Map<string, Entry>): ConstructorParameters<typeof Group<Entry>>[0] => ({
  get size() {
    return entries.size
  },
  has: (entry) => entries.get(entry.id) === entry,
  add: (entry) => entries.set(entry.id, entry),
  delete: (entry) => entries.delete(entry.id),
  [Symbol.iterator]: () => entries.values(),
})

const keyOf = (kind: string, key: string): string => `${kind}:${key}`

function positionOf(cursor: string | undefined): Position {
  if (cursor === undefined) return NOWHERE
  if (!/^\d{1,15}$/.test(cursor))
    throw new HoldfastError('INVALID_ARGUMENT', `"${cursor}" is not a cursor that list gave`)
  return Number(cursor)
}

const gap = (record: TransitionRecord, expected: number): HoldfastError =>
  new HoldfastError(
    'JOURNAL_CORRUPT',
    `session ${record.session}: record ${record.seq} was found where ${expected || 1} was expected; records are missing`,
    { details: { session: record.session, seq: record.seq, expected } },
  )
