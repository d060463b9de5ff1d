// The contract of the snapshots: what every adapter keeps and gives back. Run over files and memory.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Snapshots } from '../../src/snapshots.js'
import type { IndexEntry, SessionState } from '../../src/state.js'

export interface SnapshotsUnderTest {
  readonly snapshots: Snapshots
  close?(): void
}

/** A session's state with something in every part. `seq` tells one from another. */
export const stateOf = (id: string, seq: number, context: unknown = { seq }): SessionState => ({
  id,
  kind: 'review',
  version: 2,
  seq,
  position: 1000 + seq,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-02T00:00:00.000Z',
  status: 'active',
  value: { draft: 'writing', checks: { links: 'idle' } },
  context,
  history: { 'review.draft.hist': ['review.draft.writing'] },
  children: {
    summary: {
      src: 'summarise',
      input: { text: 'ä "quoted" \u2028 line' },
      incarnation: 3,
      status: 'active',
      attempt: 1,
      failures: 0,
    },
  },
  timers: [{ key: 'k1', id: 'xstate.after.1000.review', at: '2026-01-03T00:00:00.000Z', event: { type: 'late' } }],
  messages: [{ type: 'go' }],
  attributes: { team: 'blue', urgent: true, size: 3, owner: null },
  created: { key: 'once', digest: 'abc' },
})

export const entryOf = (id: string, seq: number): IndexEntry => ({
  id,
  kind: 'review',
  version: 2,
  seq,
  birth: seq,
  position: 1000 + seq,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-02T00:00:00.000Z',
  status: 'active',
  value: 'draft',
  attributes: { team: 'blau\n"ä"' },
  work: { steps: ['summary'], timers: { k1: '2026-01-03T00:00:00.000Z' }, messages: 1 },
})

export function snapshotsContract(name: string, open: () => SnapshotsUnderTest): void {
  describe(`the snapshots contract: ${name}`, () => {
    let under: SnapshotsUnderTest
    let snapshots: Snapshots

    beforeEach(() => {
      under = open()
      snapshots = under.snapshots
    })
    afterEach(() => under.close?.())

    test('what was written last is read, whole', async () => {
      await snapshots.write(stateOf('a', 1))
      expect(snapshots.read('a')).toEqual(stateOf('a', 1))
      await snapshots.write(stateOf('a', 2))
      expect(snapshots.read('a')).toEqual(stateOf('a', 2))
    })

    test('a session without a snapshot reads as undefined', async () => {
      await snapshots.write(stateOf('a', 1))
      expect(snapshots.read('b')).toBeUndefined()
    })

    test('its size is what a snapshot takes, and nothing for one that is not there', async () => {
      const written = await snapshots.write(stateOf('a', 1))
      expect(snapshots.size('a')).toBe(written)
      expect(snapshots.size('b')).toBe(0)
    })

    test('ids that look alike are different sessions', async () => {
      const ids = ['a', 'aa', 'a_', 'a-', '0', '00', 'constructor', 'x'.repeat(64)]
      for (const [seq, id] of ids.entries()) await snapshots.write(stateOf(id, seq))
      expect(ids.map((id) => snapshots.read(id)?.seq)).toEqual([...ids.keys()])
      expect(ids.map((id) => snapshots.read(id)?.id)).toEqual(ids)
    })

    test('a context comes back as it was: large, empty, nested, with any text and number', async () => {
      const contexts: unknown[] = [
        null,
        {},
        [],
        '',
        0,
        { text: '\u0000\ud800 \u2029 \ufffd \ufeff 😀', numbers: [1e300, -1.5, 1e-7, 2 ** 53] },
        { 10: 'b', 2: 'a', z: { deep: [[[[{}]]]] } },
        { large: 'x'.repeat(300_000), list: Array.from({ length: 5000 }, (_, index) => ({ index })) },
      ]
      for (const context of contexts) {
        await snapshots.write(stateOf('a', 1, context))
        expect(snapshots.read('a')?.context).toEqual(context)
      }
    })

    test('what is written is the state as it was at the call; what is read belongs to the reader', async () => {
      const context = { count: 1 }
      const writing = snapshots.write(stateOf('a', 1, context))
      context.count = 2
      await writing
      const read = snapshots.read('a')?.context as { count: number }
      expect(read).toEqual({ count: 1 })
      read.count = 3
      expect(snapshots.read('a')?.context).toEqual({ count: 1 })
    })

    test('of several writes of a session at the same time the last one stays', async () => {
      const writes = Array.from({ length: 20 }, (_, seq) => snapshots.write(stateOf('a', seq)))
      writes.push(snapshots.write(stateOf('b', 7)))
      await Promise.all(writes)
      expect([snapshots.read('a')?.seq, snapshots.read('b')?.seq]).toEqual([19, 7])
    })

    test('a removed snapshot is gone, alone; one that is not there can be removed', async () => {
      await snapshots.write(stateOf('a', 1))
      await snapshots.write(stateOf('b', 1))
      snapshots.remove('a')
      snapshots.remove('a')
      snapshots.remove('c')
      expect([snapshots.read('a'), snapshots.read('b')?.seq]).toEqual([undefined, 1])
      await snapshots.write(stateOf('a', 2))
      expect(snapshots.read('a')?.seq).toBe(2)
    })

    test('a removal during a write removes what is being written; a later write stays', async () => {
      const first = snapshots.write(stateOf('a', 1))
      snapshots.remove('a')
      await first
      expect(snapshots.read('a')?.seq ?? 'removed').toBe('removed')
      const second = snapshots.write(stateOf('a', 2))
      snapshots.remove('a')
      const third = snapshots.write(stateOf('a', 3))
      await Promise.all([second, third])
      expect(snapshots.read('a')?.seq).toBe(3)
    })

    test('the index comes back as it was written last, in its order', async () => {
      expect(snapshots.readIndex()).toBeUndefined()
      const entries = ['b', 'a', 'c'].map(entryOf)
      await snapshots.writeIndex({ through: 12, entries })
      expect(snapshots.readIndex()).toEqual({ through: 12, entries })
      await snapshots.writeIndex({ through: 13, entries: entries.slice(1) })
      expect(snapshots.readIndex()).toEqual({ through: 13, entries: entries.slice(1) })
    })

    test('an index may be empty, before everything, or large', async () => {
      await snapshots.writeIndex({ through: -1, entries: [] })
      expect(snapshots.readIndex()).toEqual({ through: -1, entries: [] })
      const entries = Array.from({ length: 10_000 }, (_, seq) => entryOf(`s${seq}`, seq))
      await snapshots.writeIndex({ through: 2 ** 52, entries })
      expect(snapshots.readIndex()).toEqual({ through: 2 ** 52, entries })
    })

    test('each entry of an index is taken once, in order; the size of both kinds of files is told', async () => {
      const entries = Array.from({ length: 3000 }, (_, seq) => entryOf(`s${seq}`, seq))
      let taken = 0
      function* one(): Generator<IndexEntry> {
        for (const entry of entries) {
          taken++
          yield entry
        }
      }
      const bytes = await snapshots.writeIndex({ through: 1, entries: one() })
      expect(taken).toBe(entries.length)
      expect(snapshots.readIndex()).toEqual({ through: 1, entries })
      expect(bytes).toBeGreaterThan(await snapshots.writeIndex({ through: 1, entries: [entryOf('a', 1)] }))
      expect(await snapshots.write(stateOf('a', 1))).toBeGreaterThan(100)
    })
  })
}
