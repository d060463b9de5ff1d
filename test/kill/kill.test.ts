// R3: real processes, really killed, by themselves at a chosen call to the disk or from outside at any moment: what was
// acknowledged is there afterwards, whole, and nothing that was never sent. HOLDFAST_KILLS sets how many kills.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isHoldfastError, openRuntime, type Session, type Transition } from 'holdfast'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundled } from './bundle.js'
import { entryOf, ledgerAfter, ledgerAt } from './ledger.js'
import type { Orders, Place } from './victim.js'

const KILLS = Number(process.env.HOLDFAST_KILLS ?? 300)
const SESSIONS = 1000
const ACTIVE = 6
/** A directory is looked at from end to end, and left, after so many kills. */
const KILLS_EACH = 25
/** Two processes at a time, each on a directory of its own. */
const LANES = 2

let script: { readonly folder: string; readonly file: string }
beforeAll(async () => {
  script = await bundled(new URL('./victim.ts', import.meta.url))
})
afterAll(() => rmSync(script.folder, { recursive: true, force: true }))

/** Where a process is to die: a call to the disk of that kind, within the first so many; `anywhere` is from outside. */
const PLACES: readonly { readonly place: Place | 'anywhere'; readonly calls: number }[] = [
  { place: 'anywhere', calls: 0 },
  { place: 'opening', calls: 0 },
  { place: 'migration', calls: 24 },
  { place: 'append', calls: 80 },
  { place: 'snapshot', calls: 12 },
  { place: 'compaction', calls: 24 },
  { place: 'shutdown', calls: 16 },
]

const below = (limit: number): number => Math.floor(Math.random() * limit)
const anyOf = <T>(all: readonly T[]): T => all[below(all.length)] as T

/** What is known of a session from outside. */
interface Known {
  acknowledged: number
  sent: number
}

/** A directory from its beginning until it is left. */
class Directory {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'holdfast-kill-'))
  readonly known: Known[] = Array.from({ length: ACTIVE }, () => ({ acknowledged: 0, sent: 0 }))
  kills = 0
  /** Of the kind: one more for each life that is to migrate. */
  #version = 1
  /** How many calls to the disk the last opening took. */
  #openingCalls = 0

  /** One process, until it is dead. Gives where it died; undefined when it came to its end. */
  async live({ place, calls }: (typeof PLACES)[number], readyMs: number[]): Promise<string | undefined> {
    const first = this.#openingCalls === 0
    const at = place === 'opening' ? this.#openingCalls : calls
    if (place === 'migration' && !first) this.#version++
    const version = this.#version
    const orders: Orders = {
      ...{
        dir: this.dir,
        sessions: SESSIONS,
        active: ACTIVE,
        version,
        entries: place === 'shutdown' ? 30 : 160,
        place,
      },
      ...(!first && at > 0 && { strike: { call: below(at), how: anyOf(['before', 'half', 'after']) } }),
    }
    const child = spawn(process.execPath, [script.file, JSON.stringify(orders)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (place === 'anywhere' && !first && Math.random() < 0.3) setTimeout(() => child.kill('SIGKILL'), below(300))
    let phase = 'opening'
    let died: string | undefined
    let acks = below(140)
    const hear = (line: string): void => {
      const [word, a, b, c] = line.split(' ') as [string, string, string, string]
      if (word === 'error') throw new Error(line)
      if (word === 'dies') died = `${place}: ${b} ${c.replace(/[0-9a-f]{2}\/ledger-\d+|\d{8}/, '…')}`
      if (word === 'found') this.#find(Number(a), Number(b), c === 'true')
      if (word === 'sent') this.#of(a).sent = Number(b)
      if (word === 'closed') phase = 'end'
      if (word === 'ready') {
        ;[phase, this.#openingCalls] = ['work', Number(b)]
        readyMs.push(Number(a))
        expect(Number(c), 'sessions').toBe(SESSIONS)
      }
      if (word !== 'ack') return
      const known = this.#of(a)
      known.acknowledged = Math.max(known.acknowledged, Number(b))
      if (place === 'anywhere' && acks-- === 0) setTimeout(() => child.kill('SIGKILL'), Math.random() * 5)
    }
    const ended = new Promise<NodeJS.Signals | null>((resolve, reject) => {
      child.on('error', reject)
      createInterface({ input: child.stdout }).on('line', (line) => {
        try {
          hear(line)
        } catch (error) {
          reject(error)
        }
      })
      child.on('close', (code, signal) => (code ? reject(new Error(`it ended with ${code}`)) : resolve(signal)))
    })
    const signal = await ended
    if (signal === null) return undefined
    expect(signal).toBe('SIGKILL')
    this.kills++
    return died ?? `from outside: ${phase}`
  }

  #of(index: string): Known {
    return this.known[Number(index)] as Known
  }

  #find(index: number, count: number, whole: boolean): void {
    const known = this.known[index] as Known
    expect(whole, `session ${index} is what ${count} entries make`).toBe(true)
    expect(count, `session ${index}, acknowledged`).toBeGreaterThanOrEqual(known.acknowledged)
    expect(count, `session ${index}, sent`).toBeLessThanOrEqual(known.sent)
    known.acknowledged = count
    known.sent = count
  }

  /** In this process: every transition that is kept, one after the other, is the one that was sent. */
  async examine(): Promise<void> {
    const ledger = ledgerAt(this.#version)
    await using runtime = await openRuntime({ dir: this.dir, kinds: [ledger], pool: 'inline' })
    const { parked, quarantined, damage } = runtime.health()
    expect([...parked, ...quarantined, ...damage.filter(({ kind }) => kind !== 'torn')]).toEqual([])
    expect(runtime.sessions.count()).toBe(SESSIONS)
    for (let index = 0; index < SESSIONS; index++) {
      const session = runtime.session(`ledger-${index}`, ledger)
      const { context } = session.snapshot()
      if (index < ACTIVE) this.#find(index, context.count, true)
      expect(context).toEqual(ledgerAfter(index, index < ACTIVE ? context.count : 0, this.#version))
    }
    for (const [index, { acknowledged }] of this.known.entries()) {
      const history = transitionsOf(runtime.session(`ledger-${index}`, ledger))
      expect(history.map(({ seq }) => seq)).toEqual(history.map((_, at) => (history[0]?.seq ?? 0) + at))
      const entries = history.filter(({ event }) => event.type === 'enter').map(({ event }) => event.entry)
      expect(entries).toEqual(entries.map((_, at) => entryOf(index, acknowledged + 1 - entries.length + at)))
    }
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** All of a session's transitions, or as many as compaction has left. */
function transitionsOf(session: Session): Transition[] {
  try {
    return [...session.history()]
  } catch (error) {
    if (!isHoldfastError(error, 'HISTORY_UNAVAILABLE')) throw error
    const { first } = error.details as { first?: number }
    return first === undefined ? [] : [...session.history({ from: first })]
  }
}

test(`nothing acknowledged is lost over ${KILLS} kills, and nothing is invented`, async () => {
  const places = new Map<string, number>()
  const readyMs: number[] = []
  let [kills, whole, lives] = [0, 0, 0]
  const lane = async (): Promise<void> => {
    while (kills < KILLS) {
      const directory = new Directory()
      try {
        while (kills < KILLS && directory.kills < KILLS_EACH) {
          const died = await directory.live(PLACES[lives++ % PLACES.length] as (typeof PLACES)[number], readyMs)
          if (died === undefined) whole++
          else kills++
          if (died !== undefined) places.set(died, (places.get(died) ?? 0) + 1)
        }
        await directory.examine()
      } finally {
        directory.remove()
      }
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  const counts = new Map<string, number>()
  for (const [what, count] of places) {
    const [place = ''] = what.split(':')
    counts.set(place, (counts.get(place) ?? 0) + count)
  }
  readyMs.sort((a, b) => a - b)
  console.log(
    `R3: ${kills} kills (${[...counts].map(([place, count]) => `${place} ${count}`).join(', ')}), ${whole} processes ended by themselves; ` +
      `ready with ${SESSIONS} sessions in ${readyMs[readyMs.length >> 1]} ms (median), ${readyMs.at(-1)} ms (longest)`,
  )
  console.log(
    [...places]
      .sort()
      .map(([what, count]) => `${count} × ${what}`)
      .join('\n'),
  )
  for (const place of ['from outside', 'opening', 'migration', 'append', 'snapshot', 'compaction', 'shutdown'])
    expect(counts.get(place) ?? 0, `kills at ${place}`).toBeGreaterThanOrEqual(KILLS / 20)
}, 600_000)
