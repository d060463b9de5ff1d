// The registry: what is known of every session, found by id, prefix, key and attributes. Checked against a list that is
// searched from end to end, over random histories of creations, transitions, ends and deletions.

import { createAtom } from '@xstate/store'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HoldfastError } from '../src/errors.js'
import type { SessionEntry, SessionFilter } from '../src/listing.js'
import { NOWHERE, type Position, type TransitionRecord } from '../src/record.js'
import { Registry } from '../src/registry.js'
import { childrenAfter, messagesAfter, timersAfter } from '../src/rehydrate.js'
import type { Attributes, IndexEntry, SessionState, SessionStatus } from '../src/state.js'
import type { Writable } from '../src/write.js'

interface Placed {
  readonly record: TransitionRecord
  readonly position: Position
}

/** All that the registry is asked about, kept in the most naive way. */
interface Naive {
  readonly entry: Writable<SessionEntry>
  readonly key: string | undefined
  children: SessionState['children']
  timers: SessionState['timers']
  messages: SessionState['messages']
}

const statuses = ['active', 'done', 'error', 'stopped'] as const
const kinds = ['order', 'review']
const ids = ['a', 'ab', 'abc', 'b-1', 'b-2', 'c', 'c_', 'C', '0', '00']

/** A random history of sessions: the records that a journal would hold, and what is known at their end. */
class Story {
  readonly placed: Placed[] = []
  /** In the order of creation. */
  sessions: Naive[] = []
  #position = 0

  tell(choices: readonly number[]): this {
    const [first = 0, ...rest] = choices
    const id = ids[first % ids.length] as string
    const session = this.sessions.find(({ entry }) => entry.id === id)
    if (!session) this.#create(id, rest)
    else if (session.entry.status !== 'active' || first % 7 === 0) this.#delete(session)
    else this.#advance(session, rest)
    return this
  }

  #create(id: string, choices: readonly number[]): void {
    const kind = kinds[at(choices, 0) % kinds.length] as string
    const key = at(choices, 1) % 3 === 0 ? `key of ${id}` : undefined
    const attributes = attributesOf(at(choices, 2))
    const nothing = { children: {}, timers: [], messages: [] }
    const record: Writable<TransitionRecord> = {
      ...this.#bare({ id, seq: 0, position: NOWHERE, value: 'idle' }),
      ...workOf(nothing, choices, 1),
      kind,
      version: 1 + (at(choices, 3) % 2),
    }
    if (Object.keys(attributes).length > 0) record.attributes = attributes
    if (key) record.created = { key, digest: 'd' }
    this.#place(record)
    const { position } = this.placed.at(-1) as Placed
    const { seq, at: createdAt, value, version = 1 } = record
    const times = { createdAt, updatedAt: createdAt }
    const entry = { id, kind, version, seq, position, status: 'active' as const, value, attributes, ...times }
    const children = childrenAfter({}, record)
    this.sessions.push({ entry, key, children, timers: timersAfter([], record), messages: messagesAfter([], record) })
  }

  #advance(session: Naive, choices: readonly number[]): void {
    const { entry } = session
    const value = `s${at(choices, 0) % 3}`
    const record: Writable<TransitionRecord> = {
      ...this.#bare({ ...entry, value }),
      ...workOf(session, choices, entry.seq + 1),
    }
    if (at(choices, 1) % 3 === 0) record.attributes = attributesOf(at(choices, 2))
    if (at(choices, 3) % 8 === 0) record.status = statuses[1 + (at(choices, 4) % 3)] as SessionStatus
    this.#place(record)
    entry.seq = record.seq
    entry.position = (this.placed.at(-1) as Placed).position
    entry.updatedAt = record.at
    entry.value = value
    if (record.status) entry.status = record.status
    if (record.attributes) entry.attributes = record.attributes
    session.children = childrenAfter(session.children, record)
    session.timers = timersAfter(session.timers, record)
    session.messages = messagesAfter(session.messages, record)
  }

  #delete(session: Naive): void {
    this.#place({ ...this.#bare(session.entry), deleted: true })
    this.sessions = this.sessions.filter((other) => other !== session)
  }

  #bare(of: Pick<SessionEntry, 'id' | 'seq' | 'position' | 'value'>): Writable<TransitionRecord> {
    const instant = new Date(1000 * this.placed.length).toISOString()
    const event = { type: 'x' }
    return { session: of.id, seq: of.seq + 1, prev: of.position, at: instant, event, value: of.value }
  }

  #place(record: TransitionRecord): void {
    this.placed.push({ record, position: this.#position })
    this.#position += 1 + (this.placed.length % 5)
  }
}

const at = (choices: readonly number[], index: number): number => choices[index] ?? 0

function attributesOf(choice: number): Attributes {
  const attributes: Record<string, string | number | boolean | null> = {}
  if (choice & 1) attributes.team = choice & 2 ? 'red' : 'blue'
  if (choice & 4) attributes.urgent = (choice & 8) !== 0
  if (choice & 16) attributes.points = choice & 32 ? 1 : 2
  if (choice & 64) attributes.status = 'active'
  if (choice & 128) attributes.kind = null
  return attributes
}

/** Steps, timers and messages that begin and end in a transition. */
function workOf(
  { children, timers, messages }: Pick<Naive, 'children' | 'timers' | 'messages'>,
  choices: readonly number[],
  seq: number,
): Partial<Writable<TransitionRecord>> {
  const active = Object.keys(children).filter((id) => children[id]?.status === 'active')
  const work: Partial<Writable<TransitionRecord>> = {}
  const [, , , , , a = 0, b = 0, c = 0, d = 0] = choices
  if (a % 3 === 1) work.started = [{ id: `step${a % 2}`, src: 'work' }]
  if (a % 5 === 1 && active[0]) work.finished = active[0]
  // A child is started anew only when it has been stopped.
  if (b % 4 === 1) work.stopped = active
  else if (work.started && active.includes(work.started[0]?.id as string))
    work.stopped = [work.started[0]?.id as string]
  if (b % 3 === 2) work.timers = [{ key: `t${seq}`, id: 't', at: 'later', event: { type: 't' } }]
  if (c % 3 === 2 && timers[0]) work.cleared = [timers[0].key]
  if (c % 4 === 3) work.messages = [{ type: 'm' }, { type: 'n' }]
  if (d % 2 === 1 && messages.length > 0) work.taken = true
  return work
}

const histories = (): fc.Arbitrary<number[][]> =>
  fc.array(fc.array(fc.nat(255), { minLength: 9, maxLength: 9 }), { minLength: 30, maxLength: 100, size: 'max' })

const tell = (choices: readonly (readonly number[])[]): Story =>
  choices.reduce((story, one) => story.tell(one), new Story())

function registryOf(placed: readonly Placed[], registry: Registry = new Registry()): Registry {
  for (const { record, position } of placed) registry.follow(record, position)
  return registry
}

const filters: readonly SessionFilter[] = [
  {},
  ...kinds.map((kind) => ({ kind })),
  ...statuses.map((status) => ({ status })),
  { where: { team: 'red' } },
  { where: { urgent: true } },
  { where: { points: 1 } },
  { where: { status: 'active' } },
  { where: { kind: null } },
  { where: { team: 'red', urgent: false } },
  { kind: 'order', status: 'active' },
  { kind: 'review', status: 'done', where: { team: 'blue' } },
  { kind: 'nobody' },
  { where: { nothing: 1 } },
  { where: { points: '1' } },
]

const matches = ({ entry }: Naive, { kind, status, where = {} }: SessionFilter): boolean =>
  (kind === undefined || entry.kind === kind) &&
  (status === undefined || entry.status === status) &&
  Object.entries(where).every(([name, value]) => entry.attributes[name] === value)

/** Everything that the filter gives, page by page. */
function pages(registry: Registry, filter: SessionFilter, limit: number): SessionEntry[] {
  const all: SessionEntry[] = []
  let cursor: string | undefined
  do {
    const page = registry.list(filter, { limit, ...(cursor !== undefined && { cursor }) })
    expect(page.sessions.length).toBeLessThanOrEqual(limit)
    all.push(...page.sessions)
    cursor = page.cursor
  } while (cursor !== undefined)
  return all
}

function expectSame(registry: Registry, { sessions }: Story): void {
  for (const filter of filters) {
    const expected = sessions.filter((session) => matches(session, filter)).map(({ entry }) => entry)
    expect(registry.list(filter, { limit: 1000 })).toEqual({ sessions: expected })
    expect(registry.count(filter)).toBe(expected.length)
  }
  const stats: Record<string, number> = { total: sessions.length }
  for (const status of statuses) stats[status] = sessions.filter(({ entry }) => entry.status === status).length
  expect(registry.stats.get()).toEqual(stats)
  for (const id of ids) {
    const known = sessions.find(({ entry }) => entry.id === id)
    expect(registry.get(id)?.seq).toBe(known?.entry.seq)
    const begins = sessions.map(({ entry }) => entry.id).filter((other) => other.startsWith(id))
    expect(registry.byPrefix(id, 100)).toEqual(known ? [id] : begins)
    expect(registry.byPrefix(id, 1)).toEqual(known ? [id] : begins.slice(0, 1))
    for (const kind of kinds) {
      const keyed = sessions.find((session) => session.key === `key of ${id}` && session.entry.kind === kind)
      expect(registry.byKey(kind, `key of ${id}`)?.id).toBe(keyed?.entry.id)
    }
  }
  const work = [...registry.withWork()].map(({ id, work: { steps, timers, messages } }) => {
    return { id, steps: [...steps].sort(), timers, messages }
  })
  expect(work).toEqual(sessions.filter(isBusy).map(workShown))
}

const activeSteps = ({ children }: Naive): string[] =>
  Object.keys(children).filter((id) => children[id]?.status === 'active')

const isBusy = (session: Naive): boolean =>
  activeSteps(session).length + session.timers.length + session.messages.length > 0

const workShown = (session: Naive): unknown => ({
  id: session.entry.id,
  steps: activeSteps(session).sort(),
  timers: Object.fromEntries(session.timers.map(({ key, at: due }) => [key, due])),
  messages: session.messages.length,
})

test('lists, counts, totals, ids, prefixes, keys and work are as a naive search of the same history finds them', () => {
  fc.assert(
    fc.property(histories(), (choices) => {
      const story = tell(choices)
      expectSame(registryOf(story.placed), story)
    }),
    { numRuns: 100 },
  )
})

test('pages of any size, put together, are the whole list, for every filter', () => {
  fc.assert(
    fc.property(histories(), fc.integer({ min: 1, max: 7 }), (choices, limit) => {
      const story = tell(choices)
      const registry = registryOf(story.placed)
      for (const filter of filters) {
        const expected = story.sessions.filter((session) => matches(session, filter)).map(({ entry }) => entry)
        expect(pages(registry, filter, limit)).toEqual(expected)
      }
    }),
    { numRuns: 60 },
  )
})

test('an index, stored and loaded at any point, and the records since give the same as all records', () => {
  fc.assert(
    fc.property(histories(), fc.nat(), (choices, seed) => {
      const story = tell(choices)
      const cut = seed % (story.placed.length + 1)
      const entries = [...registryOf(story.placed.slice(0, cut)).entries()]
      const loaded = new Registry()
      loaded.load(JSON.parse(JSON.stringify(entries)) as IndexEntry[])
      registryOf(story.placed.slice(cut), loaded)
      expectSame(loaded, story)
      const stored = (registry: Registry): unknown => JSON.parse(JSON.stringify([...registry.entries()]))
      expect(stored(loaded)).toEqual(stored(registryOf(story.placed)))
    }),
    { numRuns: 100 },
  )
})

test('an index whose entries are taken while sessions move on, end and come back is made complete by the records since', () => {
  fc.assert(
    fc.property(histories(), fc.nat(), fc.integer({ min: 1, max: 5 }), (choices, seed, each) => {
      const story = tell(choices)
      const cut = seed % (story.placed.length + 1)
      const registry = registryOf(story.placed.slice(0, cut))
      const taking = registry.entries()
      const taken: IndexEntry[] = []
      for (const [index, placed] of story.placed.slice(cut).entries()) {
        registryOf([placed], registry)
        if (index % each > 0) continue
        const { value } = taking.next()
        if (value) taken.push(value)
      }
      taken.push(...taking)
      const loaded = new Registry()
      loaded.load(JSON.parse(JSON.stringify(taken)) as IndexEntry[])
      registryOf(story.placed.slice(cut), loaded)
      expectSame(loaded, story)
    }),
    { numRuns: 100 },
  )
})

test('records that the index knew already change nothing', () => {
  fc.assert(
    fc.property(histories(), fc.nat(), (choices, seed) => {
      const story = tell(choices)
      const registry = registryOf(story.placed)
      const known = story.sessions[seed % Math.max(story.sessions.length, 1)]
      const again = story.placed.filter(({ record, position }) => {
        const begins = story.placed.findLast(
          (other) => other.record.session === record.session && other.record.seq === 1,
        )
        return record.session === known?.entry.id && position >= (begins?.position ?? 0)
      })
      registryOf(again, registry)
      expectSame(registry, story)
    }),
    { numRuns: 60 },
  )
})

test('atoms show each session and the totals after every record, and nothing once it is deleted', () => {
  fc.assert(
    fc.property(histories(), (choices) => {
      const registry = new Registry()
      const story = new Story()
      for (const one of choices) {
        const watched = ids.map((id) => registry.atom(id))
        story.tell(one)
        const { record, position } = story.placed.at(-1) as Placed
        registry.follow(record, position)
        for (const [index, id] of ids.entries()) {
          const entry = story.sessions.find((session) => session.entry.id === id)?.entry
          expect(watched[index]?.get()).toEqual(entry)
          expect(registry.atom(id).get()).toEqual(entry)
        }
        expect(registry.stats.get().total).toBe(story.sessions.length)
      }
    }),
    { numRuns: 40 },
  )
})

test('an observer of an atom hears each transition once, in order, and the deletion', () => {
  const registry = new Registry()
  const heard: (number | undefined)[] = []
  registry.follow(first('a'), 0)
  registry.follow(first('b'), 1)
  const subscription = registry.atom('a').subscribe((entry) => heard.push(entry?.seq))
  registry.follow(next('a', 2, 0), 2)
  registry.follow(next('b', 2, 1), 3)
  registry.follow(next('a', 3, 2), 4)
  registry.follow({ ...next('a', 4, 4), deleted: true }, 5)
  expect(heard).toEqual([2, 3, undefined])
  subscription.unsubscribe()
})

test('an atom of an unknown id is kept only while somebody listens, and then hears of its creation', () => {
  const registry = new Registry()
  for (let index = 0; index < 1000; index++) expect(registry.atom(`none-${index}`).get()).toBeUndefined()
  expect(registry.watchedCount).toBe(0)
  const atom = registry.atom('a')
  const heard: (number | undefined)[] = []
  const listening = [1, 2].map(() => atom.subscribe((entry) => heard.push(entry?.seq)))
  expect(registry.watchedCount).toBe(1)
  registry.follow(first('a'), 0)
  registry.follow({ ...next('a', 2, 0), deleted: true }, 1)
  expect(heard).toEqual([1, 1, undefined, undefined])
  listening[0]?.unsubscribe()
  listening[0]?.unsubscribe()
  expect(registry.watchedCount).toBe(1)
  registry.follow(first('a'), 2)
  expect(heard.slice(4)).toEqual([1])
  listening[1]?.unsubscribe()
  registry.follow(next('a', 2, 2), 3)
  expect(atom.get()?.seq).toBe(2)
  registry.follow({ ...next('a', 3, 3), deleted: true }, 4)
  expect([atom.get(), registry.watchedCount, heard.length]).toEqual([undefined, 0, 5])
})

test('looking at a session through its atom leaves nothing behind, nor does whoever has stopped following it', () => {
  const registry = new Registry()
  for (let index = 0; index < 100; index++) {
    registry.follow(first(`s${index}`), index)
    expect(registry.atom(`s${index}`).get()?.seq).toBe(1)
  }
  expect(registry.watchedCount).toBe(0)
  const atom = registry.atom('s7')
  const computed = createAtom(() => atom.get()?.seq)
  const following = [atom.subscribe(() => {}), computed.subscribe(() => {})]
  expect(registry.watchedCount).toBe(1)
  following[0]?.unsubscribe()
  expect([computed.get(), registry.watchedCount]).toEqual([1, 1])
  registry.follow(next('s7', 2, 7), 100)
  expect([computed.get(), registry.watchedCount]).toEqual([2, 1])
  following[1]?.unsubscribe()
  registry.follow(next('s7', 3, 100), 101)
  expect([atom.get()?.seq, registry.watchedCount]).toEqual([3, 0])
  expect(computed.get()).toBe(3)
})

test('an atom that was asked for before its session is there shows it all the same', () => {
  const registry = new Registry()
  const atom = registry.atom('a')
  expect(atom.get()).toBeUndefined()
  registry.follow(first('a'), 0)
  expect(atom.get()).toMatchObject({ id: 'a', seq: 1 })
  expect(atom.get()).toBe(atom.get())
})

test('atoms are read-only outside, and other atoms can be computed from them', () => {
  const registry = registryOf([{ record: first('a'), position: 0 }])
  for (const atom of [registry.atom('a'), registry.stats]) {
    expect(Object.keys(atom).sort()).toEqual(['get', 'subscribe'])
    expect(Object.isFrozen(atom)).toBe(true)
  }
  const sum = createAtom(() => (registry.atom('a').get()?.seq ?? 0) + registry.stats.get().total)
  const heard: number[] = []
  sum.subscribe((value) => heard.push(value))
  registry.follow(next('a', 2, 0), 1)
  registry.follow(first('b'), 2)
  registry.follow({ ...next('a', 3, 1), deleted: true }, 3)
  expect(heard.at(-1)).toBe(1)
  expect(heard).toContain(3)
})

test('what a watcher throws is told, and keeps neither the record nor another watcher from hearing of it', () => {
  const told: unknown[] = []
  const registry = new Registry((error) => told.push(error))
  const heard: (number | undefined)[] = []
  const bad = (): never => {
    throw new Error('a watcher')
  }
  registry.atom('a').subscribe(bad)
  registry.atom('a').subscribe({ next: (entry) => heard.push(entry?.seq) })
  registry.stats.subscribe(bad)
  registry.stats.subscribe(({ total }) => heard.push(total * 100))
  const broken = createAtom(() => (registry.atom('a').get()?.seq === 2 ? bad() : 0))
  broken.subscribe(() => {})
  registry.follow(first('a'), 0)
  registry.follow(next('a', 2, 0), 1)
  registry.follow(next('a', 3, 1), 2)
  expect(heard).toEqual([100, 1, 2, 3])
  expect(told.length).toBeGreaterThanOrEqual(5)
  expect(registry.get('a')?.seq).toBe(3)
})

const first = (session: string, more: Partial<TransitionRecord> = {}): TransitionRecord => ({
  ...{ session, seq: 1, prev: NOWHERE, at: 'then', event: { type: 'xstate.init' }, value: 'idle' },
  ...{ kind: 'order', version: 1 },
  ...more,
})

const next = (
  session: string,
  seq: number,
  prev: Position,
  more: Partial<TransitionRecord> = {},
): TransitionRecord => ({
  ...{ session, seq, prev, at: `time ${seq}`, event: { type: 'go' }, value: 'busy' },
  ...more,
})

function refusal(act: () => unknown): HoldfastError {
  try {
    act()
  } catch (error) {
    if (error instanceof HoldfastError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

test('a missing record is reported by session and number, and the entry goes on with what there is', () => {
  const registry = registryOf([{ record: first('a'), position: 0 }])
  const error = refusal(() => registry.follow(next('a', 3, 1, { attributes: { team: 'red' } }), 2))
  expect(error.code).toBe('JOURNAL_CORRUPT')
  expect(error.details).toEqual({ session: 'a', seq: 3, expected: 2 })
  expect(error.message).toContain('session a: record 3 was found where 2 was expected')
  expect(registry.get('a')).toMatchObject({ seq: 3, position: 2, value: 'busy', attributes: { team: 'red' } })
  registry.follow(next('a', 4, 2), 3)
  expect(registry.get('a')?.seq).toBe(4)
  expect(registry.count({ where: { team: 'red' } })).toBe(1)
})

test('a record that names another predecessor than the last one is reported, even when its number follows', () => {
  const registry = registryOf([
    { record: first('a'), position: 10 },
    { record: next('a', 2, 10), position: 20 },
  ])
  expect(refusal(() => registry.follow(next('a', 3, 10), 30)).code).toBe('JOURNAL_CORRUPT')
  expect(registry.get('a')?.position).toBe(30)
})

test('a session whose beginning is missing is reported and known from there on', () => {
  const registry = new Registry()
  const error = refusal(() => registry.follow(next('a', 5, 40), 50))
  expect(error.details).toEqual({ session: 'a', seq: 5, expected: 0 })
  expect(registry.get('a')).toMatchObject({ id: 'a', seq: 5, position: 50 })
  registry.follow(next('a', 6, 50), 60)
  expect(registry.get('a')?.seq).toBe(6)
})

test('a deletion ends a session whatever is missing before it, and makes none', () => {
  const registry = registryOf([{ record: first('a'), position: 0 }])
  registry.follow({ ...next('a', 9, 8), deleted: true }, 9)
  registry.follow({ ...next('unknown', 9, 8), deleted: true }, 10)
  expect([...registry.entries()]).toEqual([])
  expect(registry.stats.get().total).toBe(0)
})

test('an id that was deleted may be used again, by a session that has nothing of the old one', () => {
  const registry = registryOf([
    { record: first('a', { created: { key: 'k', digest: 'd' }, attributes: { team: 'red' } }), position: 0 },
    { record: first('b'), position: 1 },
    { record: { ...next('a', 2, 0), deleted: true }, position: 2 },
    { record: first('a', { kind: 'review' }), position: 3 },
  ])
  expect(registry.list().sessions.map(({ id, kind }) => `${kind} ${id}`)).toEqual(['order b', 'review a'])
  expect(registry.byKey('order', 'k')).toBeUndefined()
  expect(registry.count({ where: { team: 'red' } })).toBe(0)
})

test('an id that begins anew is another session, though the record that deleted the old one cannot be read', () => {
  const registry = registryOf([
    { record: first('a', { created: { key: 'k', digest: 'd' }, attributes: { team: 'red' } }), position: 0 },
    { record: first('b'), position: 1 },
    { record: first('a', { kind: 'review' }), position: 3 },
    { record: next('a', 2, 3), position: 4 },
  ])
  expect(registry.list().sessions.map(({ id, kind }) => `${kind} ${id}`)).toEqual(['order b', 'review a'])
  expect([registry.byKey('order', 'k'), registry.get('a')?.birth, registry.stats.get().total]).toEqual([
    undefined,
    3,
    2,
  ])
})

test('a key belongs to its kind', () => {
  const created = { key: 'k', digest: 'd' }
  const registry = registryOf([
    { record: first('a', { created }), position: 0 },
    { record: first('b', { kind: 'review', created }), position: 1 },
  ])
  expect(registry.byKey('order', 'k')?.id).toBe('a')
  expect(registry.byKey('review', 'k')?.id).toBe('b')
  expect(registry.byKey('else', 'k')).toBeUndefined()
})

test('what is created while somebody pages through a list comes last, and what is deleted does not disturb it', () => {
  const registry = registryOf(['a', 'b', 'c', 'd'].map((id, position) => ({ record: first(id), position })))
  const page = registry.list({}, { limit: 2 })
  expect(page.sessions.map(({ id }) => id)).toEqual(['a', 'b'])
  registry.follow({ ...next('b', 2, 1), deleted: true }, 4)
  registry.follow(first('e'), 5)
  const rest = registry.list({}, { cursor: page.cursor as string, limit: 10 })
  expect(rest).toEqual({ sessions: ['c', 'd', 'e'].map((id) => expect.objectContaining({ id })) })
})

test('lists stay right after so many deletions that the registry clears up', () => {
  const registry = new Registry()
  const many = Array.from({ length: 5000 }, (_, index) => `s${index}`)
  for (const [position, id] of many.entries()) registry.follow(first(id), position)
  const kept = many.filter((_, index) => index % 10 === 0)
  let position = many.length
  for (const [index, id] of many.entries()) {
    if (index % 10 !== 0) registry.follow({ ...next(id, 2, index), deleted: true }, position++)
  }
  expect(pages(registry, {}, 7).map(({ id }) => id)).toEqual(kept)
  expect([...registry.entries()].map(({ id }) => id)).toEqual(kept)
  expect(registry.count()).toBe(500)
})

test('a cursor or a limit that makes no sense is refused', () => {
  const registry = registryOf([{ record: first('a'), position: 0 }])
  for (const limit of [0, -1, 1.5, 1001, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(refusal(() => registry.list({}, { limit })).code).toBe('INVALID_ARGUMENT')
  }
  for (const cursor of ['', 'x', '-1', '1.5', '1e3', ' 1', '9999999999999999']) {
    expect(refusal(() => registry.list({}, { cursor })).code).toBe('INVALID_ARGUMENT')
  }
  expect(registry.list({}, { limit: 1000 }).sessions).toHaveLength(1)
})

test('entries that were handed out for storage do not move on with their sessions', () => {
  const registry = registryOf([{ record: first('a'), position: 0 }])
  const entries = [...registry.entries()]
  registry.follow(next('a', 2, 0, { attributes: { team: 'red' } }), 1)
  expect(entries).toMatchObject([{ seq: 1, attributes: {} }])
})
