// The trace that a session is called in is kept with it: it goes on in what the session starts and sends, and is the same after
// a crash. What a header says is taken as W3C Trace Context has it, and is never a reason to refuse a call.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { type AnySessionKind, defineSession, openRuntime, type Runtime, type Transition } from 'holdfast'
import { connect } from 'holdfast/client'
import { expect, test } from 'vitest'
import { setup } from 'xstate'
import { type CrashDisk, createCrashDisk } from '../src/testing/disk.js'
import { traceContextOf } from '../src/trace-context.js'
import { boxKind, parcel } from './fixtures/parcel.js'
import { weigh } from './fixtures/parcel-steps.js'
import { house } from './house.js'
import { PRINCIPALS, served, tokenOf } from './http/served.js'
import { builtPackage } from './piscina/built.js'
import { property } from './property.js'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`
const OTHER = `00-${TRACE.replaceAll('4', '5')}-00f067aa0ba902b7-00`
const kinds = [parcel, boxKind] as AnySessionKind[]
const steps = { weigh: weigh as never }

/** The traces of a session's transitions, in order; of one that belongs to none, `-`. */
const traces = (transitions: Iterable<Transition>): string[] =>
  [...transitions].map(({ trace }) => trace?.traceparent ?? '-')

const only = (expected: string, told: readonly string[]): void => {
  expect(told.length).toBeGreaterThan(0)
  expect(told).toEqual(told.map(() => expected))
}

test.each([
  ['of today', TRACEPARENT, TRACEPARENT],
  ['with spaces around it', ` ${TRACEPARENT} `, TRACEPARENT],
  ['of a later version, which may say more', `cc-${TRACE}-00f067aa0ba902b7-ff-more`, TRACEPARENT],
  ['of a later version, not sampled', `01-${TRACE}-00f067aa0ba902b7-02`, `00-${TRACE}-00f067aa0ba902b7-00`],
  ['of the version that is none', `ff-${TRACE}-00f067aa0ba902b7-01`, undefined],
  ['of today, with more', `${TRACEPARENT}-more`, undefined],
  ['in capitals', TRACEPARENT.toUpperCase(), undefined],
  ['without a trace', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, undefined],
  ['without a span', `00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
  ['cut off', TRACEPARENT.slice(0, -1), undefined],
  ['twice', `${TRACEPARENT}, ${TRACEPARENT}`, undefined],
  ['empty', '', undefined],
])('a traceparent %s', (_, header, kept) => {
  expect(traceContextOf({ traceparent: header })?.traceparent).toBe(kept)
})

test.each([
  ['a=1,b@vendor=2', 'a=1,b@vendor=2'],
  [' a=1 ,, b=2 ', 'a=1,b=2'],
  ['a=1,a=2', undefined],
  ['A=1', undefined],
  ['a', undefined],
  [`a=${'x'.repeat(600)}`, undefined],
  [Array.from({ length: 33 }, (_, n) => `k${n}=1`).join(','), undefined],
])('of a tracestate %j comes %j, and the traceparent stays', (tracestate, kept) => {
  expect(traceContextOf({ traceparent: TRACEPARENT, tracestate })).toEqual({
    traceparent: TRACEPARENT,
    ...(kept !== undefined && { tracestate: kept }),
  })
})

property([fc.string({ maxLength: 80 }), fc.string({ maxLength: 80 })])(
  'whatever headers say, what is taken of them is of their form, bounded, and taken again as it is',
  (traceparent, tracestate) => {
    for (const header of [traceparent, `00-${traceparent}`, TRACEPARENT]) {
      const taken = traceContextOf({ traceparent: header, tracestate })
      if (taken) expect(traceContextOf(taken)).toEqual(taken)
      if (taken) expect(taken.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
    }
  },
)

/** Lets a parcel come to its end. */
async function sent(runtime: Runtime): Promise<{ own: Transition[]; box: Transition[]; output: unknown }> {
  const session = runtime.session('p')
  const output = await session.result()
  const [child] = runtime.sessions.list({ parent: 'p' }).sessions
  return { own: [...session.history()], box: [...runtime.session(child!.id).history()], output }
}

test('a trace goes on in steps, child sessions, messages and what they come to; without one nothing is kept', async () => {
  await using runtime = await house(kinds, steps).open()
  const session = await runtime.create(parcel, undefined, { id: 'p' })
  await session.send({ type: 'pack' } as never, { traceparent: TRACEPARENT, tracestate: 'vendor=1' })
  const { own, box, output } = await sent(runtime)
  expect(traces(own.slice(0, 1))).toEqual(['-'])
  only(TRACEPARENT, traces(own.slice(1)))
  only(TRACEPARENT, traces(box))
  expect(output).toEqual({ box: TRACEPARENT, parcel: TRACEPARENT, filled: 1 })
  expect(own[1]?.trace).toEqual({ traceparent: TRACEPARENT, tracestate: 'vendor=1' })
  const untraced = await runtime.create(parcel)
  await untraced.send({ type: 'pack' } as never)
  expect(await untraced.result()).toEqual({ box: 'none', parcel: 'none', filled: 1 })
  for (const transition of untraced.history()) expect(transition).not.toHaveProperty('trace')
  expect(untraced.state()).not.toHaveProperty('trace')
})

test('what a step comes to belongs to the trace in which it was started, whatever came meanwhile', async () => {
  let finish = (): void => {}
  const waits = new Promise<void>((resolve) => {
    finish = resolve
  })
  const slow = {
    weigh: (async (_: unknown, { traceparent }: { traceparent: string }) => waits.then(() => traceparent)) as never,
  }
  await using runtime = await house(kinds, slow).open()
  const session = await runtime.create(parcel, undefined, { id: 'p', traceparent: OTHER })
  await session.send({ type: 'pack' } as never, { traceparent: TRACEPARENT })
  await session.send({ type: 'look' } as never, { traceparent: OTHER })
  await session.send({ type: 'knock' } as never, { traceparent: 'nonsense' })
  finish()
  const { own, box } = await sent(runtime)
  expect(traces(own).slice(0, 4)).toEqual([OTHER, TRACEPARENT, OTHER, OTHER])
  const [end] = own.filter(({ event }) => event.type === 'xstate.done.actor.box')
  expect(end?.trace?.traceparent).toBe(TRACEPARENT)
  expect(traces(box.filter(({ event }) => event.type === 'knock'))).toEqual([OTHER])
  expect(traces(box).at(-1)).toBe(TRACEPARENT)
})

test('a session that is restarted goes on in its trace', async () => {
  let falls = 1
  const stumble = (): void => {
    if (falls-- > 0) throw new Error('it stumbles')
  }
  const machine = setup({ actions: { stumble } }).createMachine({ on: { go: { actions: 'stumble' } } })
  const kind = defineSession({
    kind: 'walker',
    version: 1,
    machine,
    supervision: { restart: 'permanent', backoffMs: 1 },
  })
  await using runtime = await house([kind]).open()
  const session = await runtime.create(kind, undefined, { traceparent: TRACEPARENT })
  await session.send({ type: 'go' })
  await session.send({ type: 'go' })
  const told = [...session.history()]
  expect(told.map(({ event }) => event.type)).toContain('holdfast.restart')
  only(TRACEPARENT, traces(told))
})

test('a fork goes on in the trace of what it was forked from', async () => {
  await using runtime = await house(kinds, steps).open()
  const session = await runtime.create(parcel, undefined, { id: 'p', traceparent: TRACEPARENT })
  const fork = await session.fork()
  await fork.send({ type: 'look' } as never)
  expect(traces(fork.history())).toEqual([TRACEPARENT, TRACEPARENT])
})

test('a power cut at any call to the disk, and the sessions go on in the trace that they were in', async () => {
  const cuts: CrashDisk[] = []
  const disk = createCrashDisk()
  const first = await house(kinds, steps, disk).open()
  const session = await first.create(parcel, undefined, { id: 'p' })
  await session.send({ type: 'pack' } as never, { traceparent: TRACEPARENT })
  disk.onCall = () => void cuts.push(disk.crash(() => (cuts.length % 2 === 0 ? 'kept' : 'dropped')))
  await session.result()
  await first.close()
  disk.onCall = undefined
  expect(cuts.length).toBeGreaterThan(10)
  for (const cut of cuts) {
    const runtime = await house(kinds, steps, cut).open()
    const { own, box, output } = await sent(runtime)
    only(TRACEPARENT, traces(own.slice(1)))
    only(TRACEPARENT, traces(box))
    expect(output).toMatchObject({ box: TRACEPARENT, parcel: TRACEPARENT })
    await runtime.close()
  }
})

test('a process that is killed while a step runs: the step runs again in the same trace, and so do parent and child', async () => {
  builtPackage()
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-trace-'))
  const scales = join(dir, 'scales')
  try {
    const script = fileURLToPath(new URL('fixtures/trace-me.js', import.meta.url))
    const env = { ...process.env, HOLDFAST_SCALES: scales }
    const child = spawn(process.execPath, [script, dir, TRACEPARENT], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    writeFileSync(scales, '')
    await using runtime = await openRuntime({ dir, kinds, pool: 'inline' })
    const { own, box, output } = await sent(runtime)
    only(TRACEPARENT, traces(own.slice(1)))
    only(TRACEPARENT, traces(box))
    expect(box.map(({ event }) => event.type)).toContain('holdfast.attempt')
    expect(output).toEqual({ box: TRACEPARENT, parcel: TRACEPARENT, filled: 1 })
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('over HTTP: the headers are kept, a malformed one is ignored and not refused, and the client sends them', async () => {
  const { runtime, http, ask } = await served({}, kinds)
  const created = await ask('POST', '/v1/sessions', {
    body: { kind: 'parcel', id: 'p' },
    headers: { traceparent: TRACEPARENT, tracestate: 'vendor=1' },
  })
  expect(created.status).toBe(201)
  const looked = await ask('POST', '/v1/sessions/p/events', {
    body: { type: 'look' },
    headers: { traceparent: `00-${TRACE}-nonsense`, tracestate: 'nonsense' },
  })
  expect(looked).toMatchObject({ status: 200, body: { trace: { traceparent: TRACEPARENT, tracestate: 'vendor=1' } } })
  using client = connect({
    url: 'http://127.0.0.1',
    token: tokenOf(PRINCIPALS[0]!.id),
    fetch: ((url: string, init: RequestInit) => http.fetch(new Request(url, init))) as typeof fetch,
  })
  const session = await client.session('p')
  await session.send({ type: 'look' } as never, { traceparent: OTHER })
  const own = await client.create(boxKind as never, undefined as never, { traceparent: OTHER })
  expect((await own.state()).trace).toEqual({ traceparent: OTHER })
  const told: Transition[] = []
  for await (const transition of session.history()) told.push(transition as Transition)
  expect(traces(told)).toEqual([TRACEPARENT, TRACEPARENT, OTHER])
  await runtime.close()
})
