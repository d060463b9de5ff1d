// verify: what today's kinds would make of what is stored, told before they are deployed; nothing is changed by it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type AnySessionKind, defineSession, openRuntime, type Runtime, type StoredState, step, verify } from 'holdfast'
import { afterEach, describe, expect, test } from 'vitest'
import { type AnyStateMachine, assign, raise, sendParent, sendTo, setup } from 'xstate'
import { type Disk, readAll, writeAllSync } from '../src/disk.js'
import { openFileJournal } from '../src/files/open-journal.js'
import { openFileReader } from '../src/files/reader.js'
import { segmentName } from '../src/files/segment.js'
import { createFileSnapshots } from '../src/files/snapshots.js'
import { createInlinePool } from '../src/inline/pool.js'
import { kindsByName } from '../src/kinds.js'
import { createMemoryDisk } from '../src/memory/disk.js'
import { createRuntime } from '../src/runtime.js'
import { systemChance } from '../src/system/chance.js'
import { systemClock } from '../src/system/clock.js'
import { type Verification, verifySessions } from '../src/verify.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

type Context = { items: { n: number; at?: number }[]; total: number }

/** What is deployed; `more` is what somebody has changed. */
function cart(more: { readonly by?: number; readonly checkout?: string; readonly stamp?: () => number } = {}) {
  const { by = 1, checkout = 'paying', stamp } = more
  return setup({
    types: { context: {} as Context, events: {} as { type: 'add'; n: number } | { type: 'pay' | 'note' } },
    actors: { charge: step<(input: { total: number }) => Promise<string>>('charge') },
  }).createMachine({
    id: 'cart',
    context: { items: [], total: 0 },
    initial: 'open',
    states: {
      open: {
        after: { 60000: 'abandoned' },
        on: {
          add: {
            actions: assign(({ context, event }) => ({
              items: [...context.items, { n: event.n, ...(stamp && { at: stamp() }) }],
              total: context.total + event.n * by,
            })),
          },
          note: { actions: raise({ type: 'add', n: 5 } as never) },
          pay: checkout,
        },
      },
      [checkout]: {
        invoke: {
          src: 'charge',
          input: ({ context }: { context: Context }) => ({ total: context.total }),
          onDone: 'paid',
        },
      },
      abandoned: {},
      paid: { type: 'final' },
    },
  } as never) as unknown as AnyStateMachine
}

const kindOf = (machine: AnyStateMachine, version = 1, more: object = {}): AnySessionKind =>
  defineSession({
    kind: 'cart',
    version,
    machine,
    steps: new URL('./fixtures/steps/plain.js', import.meta.url),
    ...more,
  })

/** A directory in which `deployed` has served three carts: one open, one that pays, one left alone. */
async function stored(deployed: AnySessionKind = kindOf(cart())): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-verify-'))
  folders.push(dir)
  await using runtime = await open(dir, deployed)
  const one = await runtime.create(deployed, undefined, { id: 'open' })
  for (const event of [{ type: 'add', n: 1 }, { type: 'note' }, { type: 'add', n: 2 }]) await one.send(event as never)
  const two = await runtime.create(deployed, undefined, { id: 'paying' })
  await two.sendBatch([{ type: 'add', n: 3 }, { type: 'pay' }] as never)
  await runtime.create(deployed, undefined, { id: 'alone' })
  return dir
}

const open = (dir: string, kind: AnySessionKind): Promise<Runtime> =>
  openRuntime({
    ...{ dir, kinds: [kind], logger: { info: () => {}, warn: () => {}, error: () => {} } },
    pool: {
      run: () => ({ outcome: new Promise(() => {}), cancel: () => {} }),
      stats: () => ({ running: 0, waiting: 0, workers: 0 }) as never,
      close: async () => {},
    },
  })

const contents = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.name} ${crc32(readFileSync(join(entry.parentPath, entry.name)))}`)

test('the machines that recorded a directory differ in nothing; it is read beside its owner, and not changed', async () => {
  const dir = await stored()
  await using owner = await open(dir, kindOf(cart()))
  // A step that was cut off is tried again.
  await owner.session('paying').until(({ seq }) => seq === 3, { timeoutMs: 60_000 })
  const before = contents(dir)
  expect(await verify({ dir, kinds: [kindOf(cart())] })).toEqual({
    ...{ sessions: 3, transitions: 8, migrations: 0, unfit: [] },
  })
  expect(contents(dir)).toEqual(before)
  expect(owner.health().status).toBe('ok')
})

test('a changed decision: the first transition that differs, and what of it', async () => {
  const { unfit } = await verify({ dir: await stored(), kinds: [kindOf(cart({ by: 2 }))] })
  expect(unfit.map(({ session, code }) => [session, code])).toEqual([
    ['open', 'REPLAY_DIFFERS'],
    ['paying', 'REPLAY_DIFFERS'],
  ])
  expect(unfit[0]?.difference).toEqual({ seq: 2, event: 'add', path: 'context.total', recorded: '1', replayed: '2' })
  expect(unfit[0]?.message).toContain('transition 2 (add): context.total was 1, and would be 2')
})

test('a state that has another name differs where it is entered, and would not be restored', async () => {
  const { unfit } = await verify({ dir: await stored(), kinds: [kindOf(cart({ checkout: 'charging' }))] })
  expect(unfit.map(({ session, code }) => [session, code])).toEqual([
    ['paying', 'STATE_UNKNOWN'],
    ['paying', 'REPLAY_DIFFERS'],
  ])
  expect(unfit[1]?.difference).toMatchObject({ seq: 2, path: 'value', recorded: 'paying', replayed: 'charging' })
})

test('another deadline is another effect', async () => {
  const machine = setup({ types: { context: {} as Context } })
    .createMachine({
      ...(cart().config as object),
      states: {
        ...(cart().config.states as object),
        open: { ...(cart().config.states?.open as object), after: { 90000: 'abandoned' } },
      },
    } as never)
    .provide({ actors: cart().implementations.actors as never }) as unknown as AnyStateMachine
  const { unfit } = await verify({ dir: await stored(), kinds: [kindOf(machine)] })
  expect(unfit.map(({ session, difference }) => [session, difference?.seq, difference?.path])).toEqual([
    ['open', 1, 'timers'],
    ['paying', 1, 'timers'],
    ['alone', 1, 'timers'],
  ])
})

test.each([
  ['the clock', () => Date.now()],
  ['chance', () => Math.random()],
])('a machine that reads %s is named as such', async (_, stamp) => {
  const kind = kindOf(cart({ stamp }))
  const { unfit } = await verify({ dir: await stored(kind), kinds: [kind] })
  expect(unfit.map(({ session, code }) => [session, code])).toEqual([
    ['open', 'NOT_DETERMINISTIC'],
    ['paying', 'NOT_DETERMINISTIC'],
  ])
  expect(unfit[0]?.difference).toMatchObject({ seq: 2, path: 'context.items[0].at' })
})

test('migrations are tried: what is missing, throws, or does not fit is told, and nothing is migrated', async () => {
  const dir = await stored()
  const changed = cart({ by: 2, checkout: 'charging' })
  const next = (migrate: object) => kindOf(changed, 2, { migrate })
  const rename = ({ value }: StoredState) => ({ value: value === 'paying' ? 'charging' : value })
  expect(await verify({ dir, kinds: [next({ 1: rename })] })).toMatchObject({ migrations: 3, unfit: [] })
  const codes = async (kind: AnySessionKind) =>
    (await verify({ dir, kinds: [kind] })).unfit.map(({ session, code }) => [session, code])
  expect(await codes(next({}))).toEqual(['open', 'paying', 'alone'].map((id) => [id, 'MIGRATION_MISSING']))
  expect(await codes(next({ 1: (old: StoredState) => old }))).toEqual([['paying', 'STATE_UNKNOWN']])
  const picky = ({ context, ...old }: StoredState) => ({
    ...rename(old as never),
    context: { ...context, first: context.items[0].n },
  })
  expect(await codes(next({ 1: picky }))).toEqual([['alone', 'MIGRATION_FAILED']])
  const chance = (old: StoredState) => ({ ...rename(old), context: { ...old.context, lot: Math.random() } })
  expect(await codes(next({ 1: chance }))).toEqual(['open', 'paying', 'alone'].map((id) => [id, 'NOT_DETERMINISTIC']))
  // Once it is migrated, what today's version has decided is what is compared.
  const good = next({ 1: rename })
  await using runtime = await open(dir, good)
  await runtime.session('open').send({ type: 'add', n: 7 } as never)
  expect(await verify({ dir, kinds: [good] })).toMatchObject({ sessions: 3, migrations: 0, unfit: [] })
  const { unfit } = await verify({ dir, kinds: [kindOf(cart({ by: 3, checkout: 'charging' }), 2)] })
  expect(unfit.map(({ session, difference }) => [session, difference?.seq])).toEqual([['open', 6]])
  expect(await codes(kindOf(cart()))).toEqual(['open', 'paying', 'alone'].map((id) => [id, 'VERSION_NEWER']))
})

test('a kind that is not there would leave its active sessions parked', async () => {
  const { unfit } = await verify({ dir: await stored(), kinds: [] })
  expect(unfit.map(({ code }) => code)).toEqual(['UNKNOWN_KIND', 'UNKNOWN_KIND', 'UNKNOWN_KIND'])
})

describe('what has a longer life', () => {
  type Told = { readonly heard: number; readonly child: unknown; readonly notes: number }

  /** Answers each `ask`, tells its parent of itself, and ends with its count. */
  const helper = (by: number) =>
    setup({ types: {} as any }).createMachine({
      context: ({ input }: any) => ({ count: input.from, chief: input.chief }),
      initial: 'on',
      states: {
        on: {
          on: {
            ask: {
              actions: [
                assign({ count: ({ context }: any) => context.count + by }),
                sendParent(({ context, self }: any) => ({ type: 'answer', count: context.count, who: self })),
              ],
            },
            stop: 'off',
          },
        },
        off: { type: 'final' },
      },
      output: ({ context }: any) => ({ count: context.count }),
    } as any)

  /** Has a child session, speaks with it, delays messages to it, keeps a reference to it, and is told how it ended. */
  const chief = (by = 1, times = 1) =>
    setup({ types: { context: {} as Told }, actors: { helper: helper(by) } } as any).createMachine({
      context: { heard: 0, child: null, notes: 0 },
      initial: 'alone',
      on: { note: { actions: assign({ notes: ({ context }: any) => context.notes + times }) } },
      states: {
        alone: { on: { hire: 'with' } },
        with: {
          invoke: {
            id: 'h',
            src: 'helper',
            input: ({ self, context }: any) => ({ from: context.heard, chief: self }),
            onDone: { target: 'alone', actions: assign({ heard: ({ event }: any) => event.output.count }) },
          },
          on: {
            ask: { actions: sendTo('h', { type: 'ask' }) },
            later: { actions: sendTo('h', { type: 'ask' }, { delay: 5 }) },
            stop: { actions: sendTo('h', { type: 'stop' }) },
            answer: {
              actions: assign({ heard: ({ event }: any) => event.count, child: ({ event }: any) => event.who }),
            },
            again: { target: 'with', reenter: true },
          },
        },
      },
    } as any) as unknown as AnyStateMachine

  const kind = (by?: number, times?: number): AnySessionKind =>
    defineSession({ kind: 'chief', version: 1, machine: chief(by, times) })

  const deployed = kind()

  const begin = async (disk: Disk): Promise<Runtime> => {
    disk.makeFolder('')
    const clock = systemClock
    const { journal, damage } = openFileJournal(disk, clock, { segmentBytes: 2000, reserveBytes: 0 })
    const snapshots = createFileSnapshots(disk, () => {})
    const ports = { journal, snapshots, pool: createInlinePool({ clock }), clock, chance: systemChance }
    return createRuntime(ports, {
      kinds: [deployed],
      logger: { info: () => {}, warn: () => {}, error: () => {} },
      damage,
    })
  }

  const check = async (disk: Disk, kinds: readonly AnySessionKind[], activeOnly = false) => {
    const reader = openFileReader(disk)
    const plan = { activeOnly, signal: undefined, pause: async () => {}, turn: async () => {} }
    const verification = await verifySessions(reader, kindsByName(kinds), plan)
    reader.close()
    return verification
  }
  const differences = ({ unfit }: Verification) =>
    unfit.map(({ session, code, difference }) => [session, code, difference?.path])

  /** A chief whose child has answered, was restarted and has ended; forks of it, one with a child of its own; and what ended. */
  async function lived(): Promise<{ disk: Disk; family: string[] }> {
    const disk = createMemoryDisk()
    await using runtime = await begin(disk)
    const session = await runtime.create(deployed, undefined, { id: 'chief' })
    const send = (...types: string[]) => session.sendBatch(types.map((type) => ({ type })) as never)
    await send('hire')
    for (let round = 1; round <= 3; round++) {
      await send(round === 2 ? 'later' : 'ask')
      await session.until(({ context }: any) => context.heard === round)
    }
    await session.fork({ id: 'fork', children: 'restart' })
    await send('ask', 'again', 'ask', 'again', 'ask')
    await session.until(({ context }: any) => context.heard === 4)
    await send('stop')
    await session.until('alone')
    for (let n = 0; n < 12; n++) await send('note')
    await session.fork({ id: 'early', at: 1 })
    for (let n = 0; n < 12; n++) await runtime.session('early').send({ type: 'note' } as never)
    await (await session.fork({ id: 'ended' })).cancel()
    return { disk, family: runtime.sessions.list().sessions.map(({ id }) => id) }
  }

  test('child sessions, their messages and ends, delayed events, references and forks differ in nothing', async () => {
    const { disk, family } = await lived()
    expect(family.length).toBe(7)
    const seen = await check(disk, [deployed])
    expect(seen).toMatchObject({ sessions: family.length, migrations: 0, unfit: [] })
    // A child that counts otherwise differs itself, and its parent, which has recorded what came of it, does not.
    const found = differences(await check(disk, [kind(2)]))
    expect(found).toHaveLength(2)
    for (const [session, code, path] of found) {
      expect([code, path]).toEqual(['REPLAY_DIFFERS', 'context.count'])
      expect(['chief', 'fork', 'early', 'ended']).not.toContain(session)
    }
    expect(differences(await check(disk, [kind(1, 2)])).map(([session]) => session)).toEqual(['chief', 'early'])
  })

  test('of what has ended nothing is looked at when only active ones are asked for', async () => {
    const { disk } = await lived()
    const seen = await check(disk, [kind(2, 2)], true)
    const all = await check(disk, [kind(2, 2)])
    expect(all.sessions).toBeGreaterThan(seen.sessions)
    const reader = openFileReader(disk)
    const active = reader.list({ status: 'active' }).sessions.map(({ id }) => id)
    expect(seen.sessions).toBe(active.length)
    expect(seen.unfit).toEqual(all.unfit.filter(({ session }) => active.includes(session)))
    // Nor of one that has ended and cannot be read.
    const over = reader.list({ parent: 'chief' }).sessions.find(({ status }) => status !== 'active')?.id as string
    reader.close()
    const bytes = Buffer.from(readAll(disk, segmentName(1)) as Uint8Array)
    const at = bytes.indexOf(`"session":"${over}","seq":2`)
    bytes[at] = (bytes[at] as number) ^ 1
    const file = disk.create(segmentName(1))
    writeAllSync(file, bytes, 0)
    file.close()
    disk.remove('index.jsonl')
    expect((await check(disk, [deployed])).unfit).toMatchObject([{ session: over, code: 'JOURNAL_CORRUPT' }])
    expect((await check(disk, [deployed], true)).unfit).toEqual([])
  })

  test('of a compacted history what is kept is decided once more, from what the session was at the floor', async () => {
    const { disk, family } = await lived()
    const whole = await check(disk, [deployed])
    const runtime = await begin(disk)
    const { begin: floor } = await runtime.compact({ keepBytes: 4000 })
    expect(floor).toBeGreaterThan(0)
    await runtime.close()
    const seen = await check(disk, [deployed])
    expect(seen).toMatchObject({ sessions: family.length, unfit: [] })
    expect(seen.transitions).toBeLessThan(whole.transitions)
    expect(seen.transitions).toBeGreaterThan(10)
    // Of what is dropped nothing can be said; what is kept is compared, after a floor too.
    const found = differences(await check(disk, [kind(1, 2)]))
    expect(found.map(([session]) => session)).toContain('early')
    for (const [, code, path] of found) expect([code, path]).toEqual(['REPLAY_DIFFERS', 'context.notes'])
  })
})
