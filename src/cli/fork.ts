// `holdfast fork`: a new session from an earlier point of another. It owns the directory for as long as it takes to append
// one record, and runs nothing: no machine, no step, no timer. The program that has the kind goes on with the fork.

import { admitId } from '../door.js'
import { createFileDisk } from '../files/disk.js'
import { forkRecord } from '../fork.js'
import { createInlinePool } from '../inline/pool.js'
import type { Journal } from '../journal.js'
import { openFiles } from '../open.js'
import type { Reader } from '../reader.js'
import type { TransitionRecord } from '../record.js'
import { sessionExists } from '../refusals.js'
import type { ForkOrigin } from '../state.js'
import { systemChance } from '../system/chance.js'
import { systemClock } from '../system/clock.js'
import { isoTime } from '../write.js'
import { findSession, readDirectory } from './directory.js'
import { logTo } from './log.js'
import type { Output } from './output.js'
import { databaseAt, worldOf } from './place.js'
import { clientAt, findAt, type Where } from './source.js'
import { printable } from './style.js'

export interface ForkOptions extends Where {
  readonly at?: number
  readonly id?: string
  readonly restartChildren?: boolean
}

/** What `-o json` tells. */
export interface Forked {
  readonly session: string
  readonly origin: ForkOrigin
}

export async function fork(prefix: string, options: ForkOptions, output: Output): Promise<number> {
  const forked = await (options.url === undefined ? inDirectory : atServer)(prefix, options, output)
  const { session, origin } = forked
  output.data(forked, () => printable(session))
  output.note(`forked from ${printable(origin.session)} at ${origin.seq}; ${output.next(`show ${session}`)} shows it`)
  return 0
}

async function atServer(prefix: string, options: ForkOptions, output: Output): Promise<Forked> {
  using client = await clientAt(options)
  const { at, id, restartChildren = false } = options
  const source = await client.session((await findAt(client, prefix, output)).id)
  const forked = await source.fork({
    ...(at !== undefined && { at }),
    ...(id !== undefined && { id }),
    ...(restartChildren && { children: 'restart' }),
  })
  return { session: forked.id, origin: (await forked.entry()).origin as ForkOrigin }
}

async function inDirectory(prefix: string, options: ForkOptions, output: Output): Promise<Forked> {
  const reader = readDirectory(options.dir, output)
  try {
    const { id } = findSession(reader, prefix, output)
    const record = await appended(options.dir, output, () => recordOf(reader, id, options))
    return { session: record.session, origin: record.origin as ForkOrigin }
  } finally {
    reader.close()
  }
}

/** Looks again first: from now on nobody else writes. */
function recordOf(reader: Reader, source: string, { at, id, restartChildren = false }: ForkOptions): TransitionRecord {
  reader.refresh()
  if (id !== undefined && isTaken(reader, admitId(id))) throw sessionExists(id)
  const state = at === undefined ? reader.state(source) : reader.at(source, at)
  const plan = { id: id ?? systemChance.id(), at: isoTime(systemClock.now()), created: undefined, restartChildren }
  return forkRecord(state, { ...plan, newId: () => systemChance.id() })
}

function isTaken(reader: Reader, id: string): boolean {
  try {
    return reader.find(id).id === id
  } catch {
    return false
  }
}

async function appended(dir: string, output: Output, make: () => TransitionRecord): Promise<TransitionRecord> {
  const pool = (): ReturnType<typeof createInlinePool> => createInlinePool({ clock: systemClock })
  const { ports } =
    databaseAt(dir)?.open(worldOf(output), {}) ??
    (await openFiles(createFileDisk(dir), [], systemClock, systemChance, logTo(output), pool))
  try {
    const record = make()
    await append(ports.journal, record)
    return record
  } finally {
    await ports.journal.close()
    ports.release?.()
  }
}

const append = (journal: Journal, record: TransitionRecord): Promise<void> =>
  new Promise((resolve, reject) => {
    journal.append(record, { durable: () => resolve(), failed: reject })
  })
