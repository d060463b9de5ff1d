// A directory, or a database, in which one process after the other is killed; what each has promised is remembered, and held
// against what the next finds.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { isHoldfastError, openRuntime, type Session, type Transition } from 'holdfast'
import { sqlite } from 'holdfast/sqlite'
import { expect } from 'vitest'
import { createSeededChance } from '../../src/testing/chance.js'
import { entryOf, ledgerAfter, ledgerAt } from './ledger.js'
import { databaseIn, type Orders, type Place } from './orders.js'

const SEED = Number(process.env.HOLDFAST_SEED ?? 1)

/** Where a process is to die: a call to the disk of that kind, within the first so many; `anywhere` is from outside. */
export interface Death {
  readonly place: Place | 'anywhere'
  readonly calls: number
}

export interface DirectoryOptions {
  /** The file of `victim.ts`, bundled. */
  readonly script: string
  readonly sessions: number
  /** Each has draws of its own: which calls its processes die at, and how long they have until somebody else kills them. */
  readonly number: number
  /** In one database: SQLite's calls to the disk are its own, so every process dies of a signal from outside. */
  readonly database?: true
}

export const ACTIVE = 6
const HOWS = ['before', 'half', 'after'] as const

/** What is known of a session from outside. */
interface Known {
  acknowledged: number
  sent: number
}

/** How long a process took from its beginning until its runtime was open, after a kill; and of the processor. */
export interface Ready {
  readonly ms: number
  readonly processorMs: number
}

/** A directory from its beginning until it is left. */
export class Directory {
  readonly #options: DirectoryOptions
  readonly #random: () => number
  readonly dir: string = mkdtempSync(join(tmpdir(), 'holdfast-kill-'))
  readonly known: Known[] = Array.from({ length: ACTIVE }, () => ({ acknowledged: 0, sent: 0 }))
  kills = 0
  /** Of the kind: one more for each life that is to migrate. */
  #version = 1
  /** How many calls to the disk the last opening took. */
  #openingCalls = 0
  /** How long the last process took until it was ready, as seen from here. */
  #readyMs = 0

  constructor(options: DirectoryOptions) {
    this.#options = options
    this.#random = createSeededChance(SEED * 1000 + options.number).random
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  /** One process, until it is dead. Gives where it died; undefined when it came to its end. */
  async live({ place, calls }: Death, ready: Ready[]): Promise<string | undefined> {
    const { script, sessions, database } = this.#options
    const first = this.#readyMs === 0
    const at = place === 'opening' ? this.#openingCalls : calls
    if (place === 'migration' && !first) this.#version++
    const version = this.#version
    const orders: Orders = {
      ...{
        dir: this.dir,
        sessions,
        active: ACTIVE,
        version,
        entries: place === 'shutdown' ? 30 : 160,
        place,
        seed: this.#below(2 ** 31),
      },
      ...(database && { database }),
      ...(!first && at > 0 && !database && { strike: { call: this.#below(at), how: HOWS[this.#below(3)] ?? 'half' } }),
    }
    const child = spawn(process.execPath, [script, JSON.stringify(orders)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const killWithin = (ms: number): void => void setTimeout(() => child.kill('SIGKILL'), this.#random() * ms)
    const early = place === 'opening' || place === 'migration'
    if (place === 'anywhere' && !first && this.#random() < 0.3) killWithin(300)
    if (database && early && !first) killWithin(this.#readyMs * 1.1)
    const begun = performance.now()
    let phase = 'opening'
    let died: string | undefined
    let acks = this.#below(140)
    const hear = (line: string): void => {
      const [word, a, b, c, d] = line.split(' ') as [string, string, string, string, string]
      if (word === 'error') throw new Error(line)
      if (word === 'dies') died = `${place}: ${b} ${c.replace(/[0-9a-f]{2}\/ledger-\d+|\d{8}/, '…')}`
      if (word === 'found') this.#find(Number(a), Number(b), c === 'true')
      if (word === 'sent') this.#of(a).sent = Number(b)
      if (word === 'closed') phase = 'end'
      if (word === 'closing') phase = 'shutdown'
      if (word === 'closing' && database && place === 'shutdown') killWithin(20)
      if (word === 'ready') {
        ;[phase, this.#openingCalls, this.#readyMs] = ['work', Number(b), performance.now() - begun]
        if (!first) ready.push({ ms: Number(a), processorMs: Number(d) })
        expect(Number(c), 'sessions').toBe(sessions)
      }
      if (word !== 'ack') return
      const known = this.#of(a)
      known.acknowledged = Math.max(known.acknowledged, Number(b))
      const outside = place === 'anywhere' || (database && !early && place !== 'shutdown')
      if (outside && acks-- === 0) killWithin(5)
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
    return died ?? `${database ? place : 'from outside'}: ${phase}`
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
    const { sessions, database } = this.#options
    const place = database ? { storage: sqlite({ path: databaseIn(this.dir) }) } : { dir: this.dir }
    await using runtime = await openRuntime({ ...place, kinds: [ledger], pool: 'inline' })
    const { parked, quarantined, damage } = runtime.health()
    expect([...parked, ...quarantined, ...damage.filter(({ kind }) => kind !== 'torn')]).toEqual([])
    expect(runtime.sessions.count()).toBe(sessions)
    for (let index = 0; index < sessions; index++) {
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
