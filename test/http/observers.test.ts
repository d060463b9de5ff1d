// R20: clients of one stream that stall, throw, lose their connections and lose their server: no gap and no reordering for
// anybody, a duplicate for nobody, and what does not read costs the server less than a MiB each.
// Most of them are sockets whose ids are counted; some are the client itself, and what they saw is held against the journal.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openReader, type Transition } from 'holdfast'
import { type Client, connect, type RemoteSession } from 'holdfast/client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ownPort } from '../fixtures/own-port.js'
import { RawClient } from '../fixtures/raw-client.js'

const SERVER = fileURLToPath(new URL('../fixtures/stream-me.js', import.meta.url))
/** Each of the clients is to see as many: a million in the long form, which takes hours. */
const events = Number(process.env.HOLDFAST_EVENTS ?? 50_000)
const CLIENTS = 200
const WHOLE = 2
const THROWING = 2
const STALLING = 20
const CUT = 20
const kills = Math.max(2, Math.round(events / 100_000))
const MIB = 1024 * 1024
/** The long form takes as long as it takes; else half an hour, so that only what hangs takes it. */
const PATIENCE_MS = events > 50_000 ? 0 : 1_800_000

let dir: string
let child: ChildProcess
let client: Client
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-observers-'))
})
afterEach(async () => {
  client?.close()
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  rmSync(dir, { recursive: true, force: true })
})

interface Where {
  readonly port: number
  readonly token: string
}

async function start(port: number): Promise<Where> {
  child = fork(SERVER, [JSON.stringify({ dir, port })], { execArgv: ['--expose-gc'] })
  const { url, token } = await said<{ url: string; token: string }>('ready')
  return { port: Number(new URL(url).port), token }
}

function said<T>(name: string): Promise<T> {
  const speaker = child
  return new Promise((resolve, reject) => {
    speaker.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
    speaker.on('message', (message: object) => {
      if (name in message) resolve(message as T)
    })
  })
}

const path = '/v1/sessions/followed/stream?events=transition'

test(
  `${CLIENTS} clients see each of ${events.toLocaleString('en')} transitions once and in order, whatever happens to them`,
  async () => {
    const where = await start(await ownPort())
    client = connect({ url: `http://127.0.0.1:${where.port}`, token: where.token, onObserverError: () => {} })
    const session = await client.session('followed')
    // What happens to one happens after so many that it has seen, so that it gets somewhere however slow the machine is.
    const raw: RawClient[] = Array.from({ length: CLIENTS - WHOLE - THROWING }, (_, n) => {
      const trouble = n < STALLING ? stallFor : n < STALLING + CUT ? cut : undefined
      const every = 1000 + 37 * n
      const seen = (number: number): void => {
        if (number % every === 0) trouble?.(raw[n] as RawClient)
      }
      return new RawClient({ ...where, path }, 0, seen)
    })
    const whole = Array.from({ length: WHOLE }, (_, n) => watching(session, n))
    const throwing = Array.from({ length: THROWING }, (_, n) => throwingAt(session, 500 + 97 * n))

    const [fastest, slowest] = [Math.max, Math.min].map((most) => () => most(...raw.map(({ last }) => last))) as [
      () => number,
      () => number,
    ]
    const killedAt: number[] = []
    for (let kill = 1; kill <= kills; kill++) {
      await until(() => raw.every(({ connections }) => connections >= kill))
      child.send({ count: events })
      await until(() => fastest() >= (events * kill) / (kills + 1))
      child.kill('SIGKILL')
      killedAt.push(slowest())
      await once(child, 'exit')
      await start(where.port)
    }
    await until(() => raw.every(({ connections }) => connections > kills))
    const counted = said('counted')
    child.send({ count: events })
    await counted
    await until(() => slowest() === events)
    await session.send({ type: 'finish' } as never)
    const [seen, thrown] = [await Promise.all(whole), await Promise.all(throwing)]
    for (const one of raw) one.close()
    child.kill('SIGKILL')
    await once(child, 'exit')

    const sum = (of: (one: RawClient) => number): number => raw.reduce((total, one) => total + of(one), 0)
    expect({ gaps: sum(({ gaps }) => gaps), duplicates: sum(({ duplicates }) => duplicates) }).toEqual({
      gaps: 0,
      duplicates: 0,
    })
    const recorded = digestOf()
    for (const one of (await openReader({ dir })).history('followed')) recorded.add(JSON.parse(JSON.stringify(one)))
    expect(recorded.sum).toMatchObject({ count: events + 1, ordered: true })
    for (const one of seen) expect(one).toEqual(recorded.sum)
    for (const last of thrown) expect(last).toBe(events + 1)
    // Each kill came while there was more to see, and everybody came again.
    expect(Math.max(...killedAt)).toBeLessThan(events)
    const resumed = sum(({ connections }) => connections - 1)
    expect(resumed).toBeGreaterThanOrEqual(raw.length * kills)
    console.log(
      `R20: ${CLIENTS} clients, ${events.toLocaleString('en')} transitions, ${kills} kills of the server, ${resumed.toLocaleString('en')} resumptions: no gap, no duplicate, no reordering`,
    )
  },
  PATIENCE_MS,
)

test(
  'a client that does not read costs the server less than a MiB, is cut off, and harms nobody',
  async () => {
    const where = await start(await ownPort())
    const stalled = Array.from({ length: 6 }, () => new RawClient({ ...where, path }, 1))
    const reader = new RawClient({ ...where, path }, 0)
    child.send({ count: 50 })
    await until(() => [...stalled, reader].every(({ last }) => last === 50))
    const before = await memory()
    for (const one of stalled) one.stall()
    // 20 MB, of which the system's own buffers of a connection take about a half.
    const held: number[] = []
    for (let count = 500; count <= 4000; count += 500) {
      const counted = said('counted')
      child.send({ count, pad: 'x'.repeat(5000) })
      await counted
      await until(() => reader.last === count)
      held.push((await memory()) - before)
    }
    const each = Math.max(...held) / stalled.length
    expect(each).toBeLessThan(MIB)
    for (const one of stalled) one.resume()
    await until(() => stalled.every(({ last }) => last === 4000))
    expect(stalled.map(({ gaps, duplicates }) => gaps + duplicates)).toEqual(stalled.map(() => 0))
    expect(reader.connections).toBe(1)
    for (const { connections } of stalled) expect(connections).toBeGreaterThan(1)
    for (const one of [...stalled, reader]) one.close()
    console.log(`R20: a client that does not read costs ${Math.round(each / 1024)} KiB at most`)
  },
  PATIENCE_MS,
)

function stallFor(one: RawClient): void {
  one.stall()
  setTimeout(() => one.resume(), 100)
}

const cut = (one: RawClient): void => one.cut()

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setTimeout(resolve, 10))
}

async function memory(): Promise<number> {
  const answer = said<{ memory: { held: number } }>('memory')
  child.send('memory')
  return (await answer).memory.held
}

interface Digest {
  add(transition: Transition): void
  readonly sum: object
}

/** Of all transitions: that they are the same, without keeping a million of them. */
function digestOf(): Digest {
  const sum = { count: 0, last: 0, ordered: true, by: 0 }
  return {
    add: ({ seq, at, position, event }) => {
      sum.count++
      sum.ordered &&= seq === sum.last + 1
      sum.last = seq
      // Its place, its time and what it was of, all of which each has of its own.
      sum.by = (sum.by * 31 + Date.parse(at) + position + Number((event as { id?: number }).id ?? 0)) % 2 ** 40
    },
    sum,
  }
}

/** Every other one is slow. */
function watching(session: RemoteSession, n: number): Promise<object> {
  const digest = digestOf()
  return new Promise((resolve, reject) => {
    session.transitions$({ from: 1 }).subscribe({
      next: ((one: Transition): unknown => {
        digest.add(one)
        return n % 2 === 1 && one.seq % 1000 === 0 ? new Promise((go) => setTimeout(go, 50)) : undefined
      }) as (one: Transition) => void,
      complete: () => resolve(digest.sum),
      error: reject,
    })
  })
}

/** Throws at every so many, which unsubscribes it, and subscribes again from there; resolves with how many it had in order. */
function throwingAt(session: RemoteSession, every: number): Promise<number> {
  let last = 0
  return new Promise((resolve, reject) => {
    const subscribe = (): void => {
      session.transitions$({ from: last + 1 }).subscribe({
        next: ({ seq }) => {
          if (seq !== last + 1) reject(new Error(`${seq} after ${last}`))
          last = seq
          if (seq % every !== 0) return
          setTimeout(subscribe, 1)
          throw new Error('on purpose')
        },
        complete: () => resolve(last),
        error: reject,
      })
    }
    subscribe()
  })
}
