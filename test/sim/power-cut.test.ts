// R1, first form: the power is cut at every call to the disk, and inside every batch at every byte.
// Whatever a disk may then hold, opening it gives a prefix of what the sessions did, with everything acknowledged in it:
// nothing lost, nothing invented, nothing out of order; state is the fold of records; a second opening changes nothing.

import { expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { defineSession } from '../../src/define.js'
import { openFileJournal } from '../../src/files/journal.js'
import { createFileSnapshots } from '../../src/files/snapshots.js'
import { loadState } from '../../src/history.js'
import type { JournalEntry } from '../../src/journal.js'
import { recover } from '../../src/recover.js'
import { Registry } from '../../src/registry.js'
import { type Folding, fold } from '../../src/rehydrate.js'
import { step } from '../../src/steps.js'
import type { Supervisor } from '../../src/supervisor.js'
import { createVirtualClock } from '../../src/testing/clock.js'
import { type CrashDisk, createCrashDisk, type DiskCall } from '../../src/testing/disk.js'
import { type Appended, openWorld, settle, type World } from './world.js'

type Shout = (input: { text: string }) => Promise<string>

/** A session with everything that a record can hold: context, history, steps, retries, timers, messages, an end. */
const kind = defineSession({
  kind: 'busy',
  version: 1,
  steps: 'sim:steps',
  machine: setup({
    types: {
      context: {} as { count: number; said: string[] },
      events: {} as { type: 'add' | 'work' | 'pause' | 'resume' | 'finish' | 'hello' },
    },
    actors: { shout: step<Shout>('shout', { attempts: 2, backoffMs: 10 }) },
  }).createMachine({
    id: 'busy',
    context: { count: 0, said: [] },
    initial: 'on',
    states: {
      on: {
        initial: 'calm',
        states: {
          calm: {
            on: { work: 'working' },
            after: { 50: { actions: assign({ count: ({ context }) => context.count + 100 }) } },
          },
          working: {
            invoke: {
              id: 'shout',
              src: 'shout',
              input: ({ context }) => ({ text: `n${context.count}` }),
              onDone: {
                target: 'calm',
                actions: assign({ said: ({ context, event }) => [...context.said, event.output] }),
              },
              onError: 'calm',
            },
          },
          memory: { type: 'history' },
        },
        on: { add: { actions: assign({ count: ({ context }) => context.count + 1 }) }, pause: 'off', finish: 'end' },
      },
      off: { on: { resume: 'on.memory' } },
      end: { type: 'final' },
    },
    output: ({ context }) => context.count,
  }),
  index: ({ context }) => ({ many: context.count > 2 }),
})

const steps = () => {
  let calls = 0
  return {
    shout: async ({ text }: { text: string }) => {
      if (++calls % 3 === 1) throw new Error('hoarse')
      return text.toUpperCase()
    },
  }
}

/** A life with several sessions, steps that fail and are tried again, timers, an end, a deletion, rolls and snapshots. */
async function live(world: World): Promise<void> {
  const { runtime, clock, snapshots } = world
  const [a, b, c] = await Promise.all([1, 2, 3].map((n) => runtime.create(kind, undefined, { id: `s${n}` })))
  if (!a || !b || !c) return
  for (let round = 0; round < 4; round++) {
    await Promise.all([
      a.send({ type: 'add' }),
      b.send({ type: 'work' }),
      a.send({ type: 'add' }),
      c.send({ type: 'pause' }),
    ])
    await clock.advance(15)
    await settle(world)
    await Promise.allSettled([a.send({ type: 'work' }), b.send({ type: 'add' }), c.send({ type: 'resume' })])
    await clock.advance(60)
    await settle(world)
    await snapshots.write(stateIn(world, ['s1', 's2'][round % 2] as string))
  }
  await Promise.all([b.send({ type: 'finish' }), c.delete(), a.send({ type: 'add' })])
  await runtime.close()
}

const stateIn = ({ appended }: World, id: string): Folding => {
  const durable = appended.filter(({ record, settled }) => record.session === id && settled)
  return foldOf(durable) as Folding
}

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

function foldOf(records: readonly JournalEntry[]): Folding | undefined {
  let state: Folding | undefined
  for (const { record, position } of records) state = fold(state, copy(record), position)
  return state
}

/** Opens what a power cut left, as a runtime does, and holds it against what had been done and acknowledged. */
function examine(disk: CrashDisk, done: readonly Appended[], acknowledged: number): void {
  const first = open(disk)
  const { records } = first
  expect(records.length).toBeGreaterThanOrEqual(acknowledged)
  for (const [index, { record, position }] of records.entries()) {
    const { batch: _, ...found } = record as typeof record & { batch: number }
    expect(position).toBe(done[index]?.position)
    expect(JSON.stringify(found)).toBe(JSON.stringify(done[index]?.record))
  }
  expect(first.parked).toEqual([])
  for (const entry of first.registry.entries()) {
    const own = lastLife(records.filter(({ record }) => record.session === entry.id))
    expect(entry.seq).toBe(own.length)
    const folded = foldOf(own)
    expect(copy(loadState(first.journal, first.snapshots, entry))).toEqual(copy(folded))
  }
  const again = open(disk)
  expect(again.records).toEqual(records)
  expect([...again.registry.entries()]).toEqual([...first.registry.entries()])
}

/** The records since the session was last created. */
const lastLife = (records: readonly JournalEntry[]): readonly JournalEntry[] =>
  records.slice(records.findLastIndex(({ record }) => record.seq === 1))

function open(disk: CrashDisk) {
  const { journal, damage } = openFileJournal(disk, createVirtualClock())
  const snapshots = createFileSnapshots(disk, () => {})
  const registry = new Registry()
  const parked: unknown[] = []
  const supervisor = { park: (entry: { id: string }, cause: unknown) => parked.push([entry.id, String(cause)]) }
  recover({ journal, snapshots, registry, supervisor: supervisor as unknown as Supervisor, damage })
  return { journal, snapshots, registry, parked, records: [...journal.scan(0)] }
}

interface Count {
  states: number
  distinct: number
}

/** Every state that a cut now may leave: subsets of what is pending, torn; and every byte of a batch under way. */
function cut(disk: CrashDisk, done: readonly Appended[], seen: Set<string>, count: Count, inside: boolean): void {
  const acknowledged = done.filter(({ settled }) => settled).length
  const unread = new Set<string>()
  const look = (after: CrashDisk): void => {
    count.states++
    const digest = `${acknowledged} ${after.digest()}`
    if (seen.has(digest)) return
    seen.add(digest)
    count.distinct++
    examine(after, done, acknowledged)
  }
  for (const { disk: after } of disk.crashStates({ seen: unread })) look(after)
  if (!inside) return
  const { pending } = disk
  const last = pending.findLastIndex(({ kind: what }) => what === 'write')
  const size = pending[last]?.bytes ?? 0
  for (let bytes = 0; bytes <= size; bytes++) look(disk.crash((_, index) => (index === last ? { bytes } : 'kept')))
}

async function enumerate(stallMs: number, reserveBytes: number): Promise<Count> {
  const count: Count = { states: 0, distinct: 0 }
  const seen = new Set<string>()
  const disk = createCrashDisk()
  let world: World | undefined
  let failure: unknown
  const onPoint = (phase: string, call: DiskCall): void => {
    if (failure) return
    try {
      const inside = phase === 'before' && call.op.startsWith('sync') && call.path.startsWith('journal/')
      cut(disk, world?.appended ?? [], seen, count, inside)
    } catch (error) {
      failure = new Error(`cut at ${call.op} ${call.path}`, { cause: error })
    }
  }
  world = await openWorld({
    disk,
    kinds: [kind],
    steps,
    onPoint,
    journal: { segmentBytes: 4000, stallMs, reserveBytes },
  })
  await live(world)
  if (failure) throw failure
  return count
}

test('a power cut at any call and at any byte of a batch loses nothing acknowledged and invents nothing', async () => {
  const total: Count = { states: 0, distinct: 0 }
  for (const [stallMs, reserveBytes] of [
    [1, 8192], // space reserved ahead of small batches
    [-1, 0], // off the main thread
  ] as const) {
    const { states, distinct } = await enumerate(stallMs, reserveBytes)
    total.states += states
    total.distinct += distinct
  }
  console.log(`power cut: ${total.states} states, ${total.distinct} distinct`)
  expect(total.states).toBeGreaterThanOrEqual(20_000)
}, 240_000)
