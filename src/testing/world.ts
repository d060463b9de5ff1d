// One life of a runtime in a simulated world: a virtual clock, a crash disk, the files journal, steps in this thread.
// A crash is a copy of the disk as it would be after a power cut at that moment; the old world goes on in its own universe,
// and nobody listens to it any more. Nothing real is touched, and the same seed gives the same world.

import type { AnySessionKind } from '../define.js'
import type { Disk } from '../disk.js'
import type { Damage, Journal } from '../journal.js'
import type { Logger } from '../logger.js'
import { createInlinePool, openFiles } from '../open.js'
import type { PassivationLimits } from '../passivation.js'
import type { Pool } from '../pool.js'
import type { Position, TransitionRecord } from '../record.js'
import { createRuntime, type Runtime } from '../runtime.js'
import type { Snapshots } from '../snapshots.js'
import { createSeededChance } from './chance.js'
import { createVirtualClock, turn, type VirtualClock } from './clock.js'
import type { CrashDisk, DiskCall, Fate, PendingOperation } from './disk.js'
import { recordingDisk } from './recording-disk.js'

/** Where virtual time begins: 2030-01-01T00:00:00Z. */
export const START_MS = 1_893_456_000_000

export interface WorldOptions {
  readonly disk: CrashDisk
  readonly kinds: readonly AnySessionKind[]
  readonly nowMs?: number
  readonly seed?: number
  readonly journal?: Parameters<typeof openFiles>[6]
  /** The steps, given the clock of this world. */
  readonly steps?: (clock: VirtualClock) => Record<string, unknown>
  /** Called before and after every call to the disk. Before it, it may throw or give a number: see `OnCall`. */
  readonly onPoint?: (phase: 'before' | 'after', call: DiskCall) => unknown
  /** How many turns of the event loop the next call of `soon` takes; default: one. */
  readonly turnsOf?: () => number
  readonly wrapDisk?: (disk: Disk) => Disk
  readonly wrapPool?: (pool: Pool, clock: VirtualClock) => Pool
  /** Called for each record that the journal has taken, before anything else can happen. */
  readonly onAppend?: (appended: Appended) => void
  /** Called before the journal may drop its oldest parts. */
  readonly onCompact?: (journal: Journal) => void
  /** When sessions become passive; default: as the runtime has it. */
  readonly passivation?: PassivationLimits
}

/** A record that was handed to the journal, and whether its session has been told what became of it. */
export interface Appended {
  readonly record: TransitionRecord
  readonly position: Position
  settled: boolean
}

export interface World {
  readonly disk: CrashDisk
  readonly clock: VirtualClock
  readonly journal: Journal
  readonly snapshots: Snapshots
  readonly runtime: Runtime
  readonly damage: readonly Damage[]
  /** Every record of this life, in the order of the journal. */
  readonly appended: readonly Appended[]
  /** What was logged as a warning or an error. */
  readonly complaints: readonly string[]
}

export async function openWorld(options: WorldOptions): Promise<World> {
  const { disk, kinds, onPoint, wrapDisk = same, wrapPool = same } = options
  const clock = createVirtualClock(options.nowMs ?? START_MS, options.turnsOf)
  if (onPoint) {
    disk.onCall = (_, call) => {
      const cut = onPoint('before', call)
      return typeof cut === 'number' ? cut : undefined
    }
  }
  const outer = wrapDisk(onPoint ? recordingDisk(disk, (call) => void onPoint('after', call)) : disk)
  const complaints: string[] = []
  const logger = collector(complaints)
  const modules = options.steps?.(clock) ?? {}
  const pool = wrapPool(createInlinePool({ clock, load: () => Promise.resolve(modules) }), clock)
  const chance = createSeededChance(options.seed ?? 1)
  const { ports, damage } = await openFiles(outer, kinds, clock, chance, logger, () => pool, options.journal)
  const appended: Appended[] = []
  const onAppend = (entry: Appended): void => {
    appended.push(entry)
    options.onAppend?.(entry)
  }
  const journal = followed(ports.journal, onAppend, options.onCompact)
  const runtime = await createRuntime({ ...ports, journal }, { kinds, damage, logger, ...options.passivation })
  return { disk, clock, journal, snapshots: ports.snapshots, runtime, damage, appended, complaints }
}

/** Whether a record of this life is under way: decided, and nobody knows yet whether it is durable. */
export const inFlight = ({ appended }: World): boolean => appended.length > 0 && appended.at(-1)?.settled === false

/** Waits until nothing is in flight any more; time stands still. */
export async function settle(world: World): Promise<void> {
  do await turn()
  while (inFlight(world))
}

/** How many messages to themselves the sessions on a disk still have to take. */
export async function messagesOn(disk: CrashDisk, kinds: readonly AnySessionKind[]): Promise<number> {
  const [clock, chance, pool] = [createVirtualClock(START_MS), createSeededChance(1), createInlinePool]
  const { ports } = await openFiles(disk.clone(), kinds, clock, chance, collector([]), () => pool({ clock }))
  const waiting = new Map<string, number>()
  for (const { record } of ports.journal.scan(0)) {
    const { session, status, messages = [], taken } = record
    waiting.set(session, status ? 0 : (waiting.get(session) ?? 0) + messages.length - (taken ? 1 : 0))
  }
  return [...waiting.values()].reduce((sum, count) => sum + count, 0)
}

/** What became of the pending operations, drawn by `random`: mostly kept or lost, sometimes torn. */
export function randomFates(random: () => number): (operation: PendingOperation) => Fate {
  return ({ kind, bytes }) => {
    const draw = random()
    if (draw < 0.4) return 'kept'
    if (draw < 0.65 || kind !== 'write') return 'dropped'
    return draw < 0.72 ? 'zeroed' : { bytes: Math.floor(random() * (bytes + 1)) }
  }
}

const same = <T>(value: T): T => value

/** The same journal, which tells of each record that it takes, and before it drops any. */
function followed(
  inner: Journal,
  onAppend: (appended: Appended) => void,
  onCompact: WorldOptions['onCompact'],
): Journal {
  return {
    get begin() {
      return inner.begin
    },
    get end() {
      return inner.end
    },
    floor: (id) => inner.floor(id),
    floors: (onDamage) => inner.floors(onDamage),
    compact(options) {
      onCompact?.(inner)
      return inner.compact(options)
    },
    get pending() {
      return inner.pending
    },
    append(record, waiter) {
      const settled = (): void => {
        entry.settled = true
      }
      const position = inner.append(record, {
        durable(at, bytes) {
          settled()
          waiter.durable(at, bytes)
        },
        failed(error) {
          settled()
          waiter.failed(error)
        },
      })
      const entry: Appended = { record, position, settled: false }
      onAppend(entry)
      return position
    },
    read: (position) => inner.read(position),
    scan: (from, onDamage) => inner.scan(from, onDamage),
    stats: () => inner.stats(),
    flush: () => inner.flush(),
    close: () => inner.close(),
  }
}

function collector(complaints: string[]): Logger {
  const complain = (fields: object, message: string): void => {
    // A torn end is what a power cut leaves.
    if (message.includes('torn')) return
    const { err } = fields as { err?: { stack?: string } }
    complaints.push(err ? `${message}: ${err.stack ?? String(err)}` : message)
  }
  return { info: () => {}, warn: complain, error: complain }
}
