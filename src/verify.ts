// What a deploy would do to what is stored: every session is decided once more by today's machines and held against what was
// recorded of it, what is of an older version is migrated for a try, and whatever would not be restored is told. It reads
// beside the directory's owner and changes nothing; of each session it holds a page of records at a time.

import { isDeepStrictEqual } from 'node:util'
import { refuseAborted } from './abort.js'
import type { AnySessionKind } from './define.js'
import { type ErrorCode, HoldfastError, isHoldfastError } from './errors.js'
import type { SessionEntry } from './listing.js'
import { checkFits } from './machine-snapshot.js'
import { checkContext, migrationRecord } from './migration.js'
import type { Reader } from './reader.js'
import { unknownKind } from './refusals.js'
import { type Folding, fold } from './rehydrate.js'
import { type Divergence, Replay } from './replay.js'
import type { SessionState } from './state.js'

/** A session that today's kinds would treat differently, or not restore. */
export interface Unfit {
  readonly session: string
  readonly kind: string
  /** The version that recorded it last. */
  readonly version: number
  /** REPLAY_DIFFERS, NOT_DETERMINISTIC, or why it would be parked. */
  readonly code: ErrorCode
  readonly message: string
  /** Where the replay and the records part. */
  readonly difference?: Divergence
}

export interface Verification {
  /** How many sessions were looked at. */
  readonly sessions: number
  /** How many transitions were read, and those that a machine decides decided once more. What is not kept any more is not. */
  readonly transitions: number
  /** How many would be migrated. */
  readonly migrations: number
  /** In the order of the sessions' creation; at most two of one session. */
  readonly unfit: readonly Unfit[]
}

interface VerifyPlan {
  /** Only sessions that are active; default: all. */
  readonly activeOnly: boolean
  readonly signal: AbortSignal | undefined
  /** Lets time pass, so that a machine that reads the clock shows it. */
  pause(): Promise<void>
  /** Lets others have their turn. */
  turn(): Promise<void>
}

const PAGE = 200

/** Rejects with ABORTED, or with what the directory cannot be read for. */
export async function verifySessions(
  reader: Reader,
  kinds: ReadonlyMap<string, AnySessionKind>,
  { activeOnly, signal, pause, turn }: VerifyPlan,
): Promise<Verification> {
  const unfit: Unfit[] = []
  const counts = { sessions: 0, transitions: 0, migrations: 0 }
  const broken = new Set(reader.unreadable.map(({ id }) => id))
  for (const { id, reason } of reader.unreadable) {
    const entry = found(reader, id)
    if (!activeOnly || entry.status === 'active') unfit.push(parked(entry, reason))
  }
  const filter = activeOnly ? { status: 'active' as const } : {}
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page = reader.list(filter, { limit: PAGE, ...(cursor !== '' && { cursor }) })
    for (const entry of page.sessions) {
      refuseAborted(signal)
      counts.sessions++
      const kind = kinds.get(entry.kind)
      if (!kind && entry.status === 'active') unfit.push(parked(entry, unknownKind(entry.kind, kinds)))
      // What has ended needs no machine any more.
      if (kind && !broken.has(entry.id)) {
        const examined = await examine(reader, entry, kind, pause)
        unfit.push(...examined.unfit)
        counts.transitions += examined.transitions
      }
      if (kind && entry.status === 'active' && entry.version < kind.version) counts.migrations++
      await turn()
    }
    cursor = page.cursor
  }
  return { ...counts, unfit }
}

async function examine(
  reader: Reader,
  entry: SessionEntry,
  kind: AnySessionKind,
  pause: () => Promise<void>,
): Promise<{ readonly unfit: readonly Unfit[]; readonly transitions: number }> {
  try {
    const replay = reader.retell(entry.id, (base) => new Replay(kind, base))
    const { state, divergence, transitions } = replay
    const unfit: Unfit[] = []
    const reason = state?.status === 'active' ? misfit(kind, state) : undefined
    if (reason) unfit.push(parked(entry, reason))
    if (divergence) {
      const once = replay.again()
      await pause()
      unfit.push(differs(entry, divergence, once === undefined || isDeepStrictEqual(once, replay.again())))
    }
    return { unfit, transitions }
  } catch (error) {
    if (isHoldfastError(error)) return { unfit: [parked(entry, error)], transitions: 0 }
    throw error
  }
}

/** Why an opening with these kinds would park a session, as far as its state tells; undefined when it would take it. */
export function whyParked(
  reader: Reader,
  { id, kind: name, status }: SessionEntry,
  kinds: ReadonlyMap<string, AnySessionKind>,
): HoldfastError | undefined {
  const kind = kinds.get(name)
  if (!kind || status !== 'active') return status === 'active' ? unknownKind(name, kinds) : undefined
  try {
    return misfit(kind, reader.state(id))
  } catch (error) {
    if (isHoldfastError(error)) return error
    throw error
  }
}

/** Why an opening would not take a state, neither as it is nor migrated. */
function misfit(kind: AnySessionKind, state: SessionState): HoldfastError | undefined {
  try {
    const migrated = kind.version === state.version ? state : tried(kind, state)
    checkFits(kind.machine, migrated)
    checkContext(kind, migrated.context)
    return undefined
  } catch (error) {
    if (isHoldfastError(error)) return error
    throw error
  }
}

/** What the session would be migrated to; a migration that comes to something else when it is made again is refused. */
function tried(kind: AnySessionKind, state: SessionState): SessionState {
  const stored = structuredClone(state)
  const migrate = (): ReturnType<typeof migrationRecord> => {
    let sessions = 0
    return migrationRecord(kind, stored, { now: Date.parse(stored.updatedAt), newId: () => `new-${sessions++}` })
  }
  const record = migrate()
  if (!isDeepStrictEqual(record, migrate())) throw changing(kind)
  return fold(structuredClone(state) as Folding, record, state.position)
}

const changing = ({ kind, version }: AnySessionKind): HoldfastError =>
  new HoldfastError(
    'NOT_DETERMINISTIC',
    `the migration of "${kind}" to version ${version} gives something else each time: it may read nothing but its argument`,
  )

const parked = ({ id, kind, version }: Pick<SessionEntry, 'id' | 'kind' | 'version'>, error: HoldfastError): Unfit => ({
  ...{ session: id, kind, version, code: error.code, message: error.message },
})

/** As much as is known of a session that cannot be read. */
function found(reader: Reader, id: string): Pick<SessionEntry, 'id' | 'kind' | 'version' | 'status'> {
  try {
    return reader.find(id)
  } catch {
    return { id, kind: '', version: 0, status: 'active' }
  }
}

function differs({ id, kind, version }: SessionEntry, difference: Divergence, isSame: boolean): Unfit {
  const { seq, event, path, recorded, replayed } = difference
  const what = `transition ${seq} (${event}): ${path} was ${recorded}, and would be ${replayed}`
  const code = isSame ? 'REPLAY_DIFFERS' : 'NOT_DETERMINISTIC'
  const why = isSame
    ? what
    : `${what}; it is something else each time: the machine reads more than its context and its event, such as the time or chance`
  return { session: id, kind, version, code, message: why, difference }
}
