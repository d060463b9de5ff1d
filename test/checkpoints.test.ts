// When snapshots and the index are written: counted in writes and bytes, over a journal whose end the test moves.
import { expect, test } from 'vitest'
import { Checkpoints } from '../src/checkpoints.js'
import type { Journal } from '../src/journal.js'
import { createMemorySnapshots } from '../src/memory/snapshots.js'
import { NOWHERE } from '../src/record.js'
import { Registry } from '../src/registry.js'
import type { LiveSession } from '../src/session.js'
import type { Index, SessionState } from '../src/state.js'

const MIB = 1024 * 1024

/** Checkpoints of one session in a directory whose index has a size of the test's choice, and whose disk may fail. */
class World {
  readonly journal = { end: 0 } as { end: number } & Journal
  readonly registry = new Registry()
  readonly indexed: number[] = []
  readonly written: string[] = []
  readonly errors: unknown[] = []
  indexBytes = 100
  failing = false
  bytesSinceSnapshot = 0
  readonly checkpoints: Checkpoints

  constructor() {
    const snapshots = {
      ...createMemorySnapshots(),
      writeIndex: async (index: Index) => this.#writing(() => this.indexed.push(index.through), this.indexBytes),
      write: async ({ id }: SessionState) => this.#writing(() => this.written.push(id), 100),
    }
    this.checkpoints = new Checkpoints(
      this.journal,
      snapshots,
      this.registry,
      (error) => this.errors.push(error),
      () => {},
    )
    const event = { type: 'xstate.init' }
    this.registry.follow({ session: 'a', seq: 1, prev: NOWHERE, at: 'then', event, value: 'on', kind: 'k' }, 0)
  }

  get session(): LiveSession {
    const world = this
    const state = (): Partial<SessionState> => {
      world.bytesSinceSnapshot = 0
      return { id: 'a' }
    }
    const session = {
      id: 'a',
      state,
      get bytesSinceSnapshot() {
        return world.bytesSinceSnapshot
      },
    }
    return session as unknown as LiveSession
  }

  /** The journal grows, a MiB a turn. */
  async grow(mib: number): Promise<void> {
    for (let grown = 0; grown < mib; grown++) {
      this.journal.end += MIB
      this.checkpoints.considerIndex()
      await new Promise(setImmediate)
    }
  }

  #writing(write: () => void, bytes: number): number {
    if (this.failing) throw new Error('the disk failed')
    write()
    return bytes
  }
}

test('an index is written once the journal has grown by 8 MiB', async () => {
  const world = new World()
  await world.grow(24)
  expect(world.indexed).toEqual([8, 16, 24].map((mib) => mib * MIB))
})

test('a large index is written only once the journal has grown by as much as it is large', async () => {
  const world = new World()
  world.indexBytes = 40 * MIB
  await world.grow(100)
  expect(world.indexed).toEqual([8, 48, 88].map((mib) => mib * MIB))
})

test('an index that could not be written is tried again later, and when the runtime closes, whatever has happened since', async () => {
  const world = new World()
  world.failing = true
  await world.grow(20)
  expect(world.errors).toHaveLength(2)
  world.failing = false
  await world.grow(3)
  expect(world.indexed).toEqual([])
  await world.grow(1)
  expect(world.indexed).toEqual([24 * MIB])
  world.failing = true
  await world.grow(8)
  world.failing = false
  await world.checkpoints.close([])
  expect(world.indexed).toEqual([24 * MIB, 32 * MIB])
})

test('a snapshot that could not be written is written when the runtime closes, though its session did nothing more', async () => {
  const world = new World()
  const { session } = world
  world.failing = true
  world.bytesSinceSnapshot = MIB
  world.checkpoints.consider(session)
  await new Promise(setImmediate)
  expect(world.errors).toHaveLength(1)
  world.failing = false
  await world.checkpoints.close([session])
  await world.checkpoints.close([session])
  expect(world.written).toEqual(['a'])
})
