// The contract of the Journal port, run over every adapter: order, durability before anybody hears of it, reading, flushing
// and closing.

import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { isHoldfastError } from '../../src/errors.js'
import type { Journal, Waiter } from '../../src/journal.js'
import { NOWHERE, type Position, type TransitionRecord } from '../../src/record.js'

export interface JournalUnderTest {
  readonly journal: Journal
  close?(): void
}

export const recordOf = (n: number, more: Partial<TransitionRecord> = {}): TransitionRecord => ({
  ...{ session: `s${n % 3}`, seq: n + 1, prev: NOWHERE, at: '2024-01-01T00:00:00.000Z', event: { type: 'go', n } },
  value: 'a',
  ...more,
})

/** What a waiter has heard, or what the journal did. */
export type Heard =
  | { readonly kind: 'durable'; readonly n: number; readonly position: Position; readonly bytes: number }
  | { readonly kind: 'failed'; readonly n: number; readonly code: string | undefined; readonly error: Error }

/** Appends records and hears what becomes of them. */
export class Appender {
  readonly heard: Heard[] = []
  readonly positions: Position[] = []
  readonly journal: Journal
  /** Called when a record is durable, before it is noted. */
  onDurable: (n: number) => void = () => {}

  constructor(journal: Journal) {
    this.journal = journal
  }

  append(...records: readonly TransitionRecord[]): this {
    for (const record of records) this.positions.push(this.journal.append(record, this.waiter(record.seq - 1)))
    return this
  }

  /** Appends and waits until that is durable, as one batch. */
  async batch(...records: readonly TransitionRecord[]): Promise<this> {
    await this.append(...records).journal.flush()
    return this
  }

  waiter(n: number): Waiter {
    return {
      durable: (position, bytes) => {
        this.onDurable(n)
        this.heard.push({ kind: 'durable', n, position, bytes })
      },
      failed: (error) => {
        const code = isHoldfastError(error) ? error.code : undefined
        this.heard.push({ kind: 'failed', n, code, error })
      },
    }
  }
}

export const records = (count: number, from = 0): TransitionRecord[] =>
  Array.from({ length: count }, (_, index) => recordOf(from + index))

export const scanned = (journal: Pick<Journal, 'scan'>, from: Position = NOWHERE): TransitionRecord[] =>
  [...journal.scan(from)].map(({ record }) => plain(record))

/** A record without what an adapter adds to it. */
export function plain(record: TransitionRecord): TransitionRecord {
  const { batch: _, ...rest } = record as TransitionRecord & { batch?: Position }
  return rest
}

export const codeOf = (act: () => unknown): string | undefined => {
  try {
    act()
  } catch (error) {
    return isHoldfastError(error) ? error.code : String(error)
  }
  return undefined
}

export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export async function turnsUntil(done: () => boolean): Promise<void> {
  for (let turn = 0; !done(); turn++) {
    if (turn > 100_000) throw new Error('it has not happened')
    await nextTurn()
  }
}

/** What the contract asks for beside the adapter's own defaults. */
export interface JournalLimits {
  readonly recordBytes?: number
}

export function journalContract(name: string, open: (limits?: JournalLimits) => JournalUnderTest): void {
  describe(`the journal contract: ${name}`, () => {
    const opened: JournalUnderTest[] = []
    const create = (limits?: JournalLimits): { journal: Journal; appender: Appender } => {
      const under = open(limits)
      opened.push(under)
      return { journal: under.journal, appender: new Appender(under.journal) }
    }

    afterEach(async () => {
      for (const { journal, close } of opened.splice(0)) {
        await journal.close()
        close?.()
      }
    })

    test('an empty journal has nothing to read, to scan or to wait for', async () => {
      const { journal } = create()
      expect(scanned(journal)).toEqual([])
      expect(journal.pending).toBe(0)
      await journal.flush()
      expect(codeOf(() => journal.read(journal.end))).toBe('JOURNAL_CORRUPT')
      expect(journal.stats()).toMatchObject({ records: 0, bytes: 0 })
    })

    test('records become durable without anybody asking, on a later turn, in order, each heard of once', async () => {
      const { journal, appender } = create()
      appender.append(...records(5))
      expect(appender.heard).toEqual([])
      await turnsUntil(() => appender.heard.length === 5)
      await nextTurn()
      expect(appender.heard.map(({ kind, n }) => `${kind} ${n}`)).toEqual([0, 1, 2, 3, 4].map((n) => `durable ${n}`))
      expect(scanned(journal)).toEqual(records(5))
    })

    test('append says where a record will be, its waiter where it is, and both are the same and grow', async () => {
      const { appender } = create()
      await appender.batch(...records(3))
      await appender.batch(recordOf(3, { value: 'ä 😀' }), ...records(3, 4))
      const heard = appender.heard as Extract<Heard, { kind: 'durable' }>[]
      expect(heard.map(({ position }) => position)).toEqual(appender.positions)
      expect(appender.positions.toSorted((a, b) => a - b)).toEqual(appender.positions)
      expect(new Set(appender.positions).size).toBe(7)
      expect(heard.every(({ bytes }) => bytes > 0)).toBe(true)
    })

    test('what is not durable yet cannot be read, and counts as pending', async () => {
      const { journal, appender } = create()
      await appender.batch(recordOf(0))
      const { end } = journal
      appender.append(recordOf(1), recordOf(2))
      expect(journal.end).toBe(end)
      expect(journal.pending).toBeGreaterThan(0)
      for (const position of appender.positions.slice(1))
        expect(codeOf(() => journal.read(position))).toBe('JOURNAL_CORRUPT')
      expect(scanned(journal)).toEqual(records(1))
      await journal.flush()
      expect(journal.pending).toBe(0)
      expect(journal.end).toBeGreaterThan(end)
      expect(scanned(journal)).toEqual(records(3))
    })

    test('what is pending is counted in bytes, those that its waiters then hear of', async () => {
      const { journal, appender } = create()
      appender.append(recordOf(0), recordOf(1, { patch: [[['text'], 'ä'.repeat(500)]] }))
      const { pending } = journal
      expect(pending).toBeGreaterThan(1000)
      await journal.flush()
      const sizes = appender.heard.map((heard) => (heard.kind === 'durable' ? heard.bytes : 0))
      expect(pending).toBe(sizes.reduce((sum, size) => sum + size, 0))
    })

    test('a record can be read as soon as its waiter hears of it, and so can every record before it', async () => {
      const { journal, appender } = create()
      appender.onDurable = (n) => {
        for (const position of appender.positions.slice(0, n + 1)) journal.read(position)
      }
      await appender.batch(...records(3))
      await appender.batch(...records(3, 3))
      expect(appender.heard).toHaveLength(6)
    })

    test('a record that cannot be written down is refused, and those around it are where they are said to be', async () => {
      const { journal, appender } = create()
      const unwritable = recordOf(9, { event: { type: 'go', n: 1n } })
      appender.append(recordOf(0))
      expect(() => appender.append(unwritable)).toThrow(TypeError)
      await appender.batch(recordOf(1))
      expect(() => appender.append(unwritable)).toThrow(TypeError)
      await appender.batch(...records(2, 2))
      expect(scanned(journal)).toEqual(records(4))
      const heard = appender.heard.map((one) => (one.kind === 'durable' ? one.position : one.code))
      expect(heard).toEqual(appender.positions)
      expect(appender.positions.map((position) => plain(journal.read(position)))).toEqual(records(4))
    })

    test('a record that is too large, in bytes, is refused, and nothing of it is added', async () => {
      const of = (text: string): TransitionRecord => recordOf(1, { patch: [[['text'], text]] })
      const limit = Buffer.byteLength(JSON.stringify(of('ä'.repeat(1000))))
      const { journal, appender } = create({ recordBytes: limit })
      appender.append(recordOf(0))
      const { pending } = journal
      for (const text of ['ä'.repeat(1001), '€'.repeat(667), 'x'.repeat(2001)]) {
        expect(codeOf(() => appender.append(of(text)))).toBe('RECORD_TOO_LARGE')
      }
      expect(journal.pending).toBe(pending)
      const largest = of('ä'.repeat(1000))
      await appender.batch(largest, recordOf(2))
      expect(appender.heard.map(({ kind, n }) => `${kind} ${n}`)).toEqual(['durable 0', 'durable 1', 'durable 2'])
      expect(scanned(journal)).toEqual([recordOf(0), largest, recordOf(2)])
    })

    test('read gives the record of a position, whatever is in it, and a copy each time', async () => {
      const { journal, appender } = create()
      const rich = [
        recordOf(0, { patch: [[['text'], 'ä\n"\\\u2028\0 \ud800 😀']], attributes: { a: null, b: true } }),
        recordOf(1, { patch: [[[], { big: 'x'.repeat(100_000), list: [1, [2, { n: -1.5e-7 }]] }]] }),
        recordOf(2, { value: { region: { inner: 'ü' } }, deleted: true }),
      ]
      await appender.batch(...rich)
      for (const [index, position] of appender.positions.entries()) {
        expect(plain(journal.read(position))).toEqual(rich[index])
        expect(journal.read(position)).not.toBe(journal.read(position))
      }
    })

    test('a record is taken as it is when it is appended', async () => {
      const { journal, appender } = create()
      const event = { type: 'go', list: [1] }
      appender.append(recordOf(0, { event }))
      event.list.push(2)
      await journal.flush()
      expect(journal.read(appender.positions[0] as Position).event).toEqual({ type: 'go', list: [1] })
    })

    test('a position that holds no record is refused', async () => {
      const { journal, appender } = create()
      await appender.batch(...records(2))
      for (const position of [NOWHERE, journal.end, journal.end + 1000]) {
        expect(codeOf(() => journal.read(position))).toBe('JOURNAL_CORRUPT')
      }
    })

    test('a scan begins at any position and gives the positions that read takes', async () => {
      const { journal, appender } = create()
      for (const record of records(6)) await appender.batch(record)
      for (const [index, position] of appender.positions.entries()) {
        expect(scanned(journal, position)).toEqual(records(6).slice(index))
        expect(scanned(journal, position + 1)).toEqual(records(6).slice(index + 1))
        for (const entry of journal.scan(position)) expect(journal.read(entry.position)).toEqual(entry.record)
      }
      expect(scanned(journal, 0)).toEqual(records(6))
      expect(scanned(journal, NOWHERE)).toEqual(records(6))
      expect(scanned(journal, journal.end)).toEqual([])
    })

    test('a scan ends where the durable part ended when it began', async () => {
      const { journal, appender } = create()
      await appender.batch(...records(3))
      const seen: TransitionRecord[] = []
      for (const { record } of journal.scan(0)) {
        seen.push(plain(record))
        if (seen.length === 1) await appender.batch(...records(3, 3))
      }
      expect(seen).toEqual(records(3))
      expect(scanned(journal)).toEqual(records(6))
    })

    test('two scans do not disturb each other', async () => {
      const { journal, appender } = create()
      await appender.batch(...records(3))
      const one = journal.scan(0)
      const two = journal.scan(0)
      const seen = [one.next(), two.next(), one.next(), one.next(), two.next()]
      expect(seen.map(({ value }) => (value as { record: TransitionRecord }).record.seq)).toEqual([1, 1, 2, 3, 2])
    })

    test('flush resolves when all that was appended is durable, also when several wait for it', async () => {
      const { journal, appender } = create()
      appender.append(...records(2))
      const first = journal.flush()
      appender.append(...records(2, 2))
      await Promise.all([first, journal.flush(), journal.flush()])
      expect(appender.heard).toHaveLength(4)
      expect(scanned(journal)).toEqual(records(4))
      expect(journal.pending).toBe(0)
    })

    test('a waiter may append, and what it appends comes after everything before it', async () => {
      const { journal, appender } = create()
      appender.onDurable = (n) => {
        if (n < 2) appender.append(recordOf(n + 10))
      }
      appender.append(...records(3))
      await turnsUntil(() => appender.heard.length === 5)
      expect(appender.heard.map(({ n }) => n)).toEqual([0, 1, 2, 10, 11])
      expect(scanned(journal).map(({ seq }) => seq - 1)).toEqual([0, 1, 2, 10, 11])
    })

    test('closing makes durable what was appended, may be repeated, and nothing is taken after it', async () => {
      const { journal, appender } = create()
      appender.append(...records(3))
      await Promise.all([journal.close(), journal.close()])
      await journal.close()
      expect(appender.heard.map(({ kind, n }) => `${kind} ${n}`)).toEqual(['durable 0', 'durable 1', 'durable 2'])
      expect(codeOf(() => appender.append(recordOf(3)))).toBe('RUNTIME_CLOSED')
      expect(codeOf(() => journal.read(appender.positions[0] as Position))).toBe('RUNTIME_CLOSED')
      expect(codeOf(() => [...journal.scan(0)])).toBe('RUNTIME_CLOSED')
      await nextTurn()
      expect(appender.heard).toHaveLength(3)
    })

    test('the statistics count records, flushes and bytes', async () => {
      const { journal, appender } = create()
      await appender.batch(...records(3))
      await appender.batch(recordOf(3))
      const { records: count, flushes, bytes } = journal.stats()
      expect([count, flushes]).toEqual([4, 2])
      const sizes = appender.heard.map((heard) => (heard.kind === 'durable' ? heard.bytes : 0))
      expect(bytes).toBe(sizes.reduce((sum, size) => sum + size, 0))
    })

    test('whatever is appended in whatever batches is scanned in that order and read at those positions', async () => {
      const unit = fc.constantFrom('a', 'ä', '\n', '"', '\\', '\0', '\u2028', '\ud800', '😀')
      const text = fc.string({ unit, maxLength: 300 })
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(text, { maxLength: 5 }), { maxLength: 5 }), async (batches) => {
          const { journal, appender } = create()
          const all: TransitionRecord[] = []
          for (const batch of batches) {
            const made = batch.map((content, index) => recordOf(all.length + index, { patch: [[['text'], content]] }))
            all.push(...made)
            await appender.batch(...made)
          }
          expect(scanned(journal)).toEqual(all)
          expect(appender.positions.map((position) => plain(journal.read(position)))).toEqual(all)
          const middle = all.length >> 1
          expect(scanned(journal, appender.positions[middle] ?? 0)).toEqual(all.slice(middle))
          expect(journal.stats().records).toBe(all.length)
        }),
        { numRuns: 15 },
      )
    })
  })
}
