// verify: what today's kinds would make of what is stored, told before they are deployed; nothing is changed by it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { type AnySessionKind, defineSession, openRuntime, type Runtime, type StoredState, step, verify } from 'holdfast'
import { afterEach, expect, test } from 'vitest'
import { type AnyStateMachine, assign, raise, setup } from 'xstate'

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
  await owner.session('paying').until(({ seq }) => seq === 3, { timeoutMs: 5000 })
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
