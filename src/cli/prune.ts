// `holdfast prune`: removes sessions that ended long ago, or with --dry-run tells which and what they take. The dry run
// reads beside the owner; to remove them, the directory must be nobody else's, or a server does it.

import { openRuntime } from '../open.js'
import type { Pruned, PruneFilter } from '../prune.js'
import type { SessionStatus } from '../state.js'
import { systemClock } from '../system/clock.js'
import { readDirectory } from './directory.js'
import { listenForInterrupts } from './interrupt.js'
import { logTo } from './log.js'
import type { Output } from './output.js'
import { placeAt } from './place.js'
import { clientAt, type Where } from './source.js'
import { printable } from './style.js'
import { table } from './table.js'
import { bytesText, stateText, timeText } from './values.js'

export interface PruneCommand extends Where {
  /** Milliseconds. */
  readonly olderThan: number
  readonly kind?: string
  readonly status?: SessionStatus
  readonly state?: string
  readonly dryRun?: boolean
}

export async function prune(command: PruneCommand, output: Output): Promise<number> {
  const { olderThan, kind, status, state, dryRun = false } = command
  const filter: PruneFilter = {
    olderThanMs: olderThan,
    ...(kind !== undefined && { kind }),
    ...(status !== undefined && { status }),
    ...(state !== undefined && { state }),
  }
  const pruned = await (command.url === undefined
    ? inDirectory(command.dir, filter, dryRun, output)
    : atServer(command, filter, dryRun))
  const { sessions, bytes } = pruned
  output.list({ sessions, bytes, dryRun }, sessions, () => prunedText(pruned))
  const count = `${sessions.length} session${sessions.length === 1 ? '' : 's'}, ${bytesText(bytes)}`
  output.note(dryRun ? `${count}; without --dry-run they are removed` : `removed: ${count}`)
  return 0
}

async function atServer(where: Where, filter: PruneFilter, dryRun: boolean): Promise<Pruned> {
  using client = await clientAt(where)
  return await client.post<Pruned>('/v1/prune', { ...filter, dryRun })
}

/** Looked at first in any case: a directory that is not there is not made. */
async function inDirectory(dir: string, filter: PruneFilter, dryRun: boolean, output: Output): Promise<Pruned> {
  const found = await look(dir, filter, output)
  return dryRun || found.sessions.length === 0 ? found : remove(dir, filter, output)
}

async function look(dir: string, filter: PruneFilter, output: Output): Promise<Pruned> {
  const reader = readDirectory(dir, output)
  try {
    return await reader.prunable(filter, systemClock.now())
  } finally {
    reader.close()
  }
}

/** A runtime without kinds starts no session. */
async function remove(dir: string, filter: PruneFilter, output: Output): Promise<Pruned> {
  using interrupts = listenForInterrupts(() => output.note('stopping in order; once more stops at once'))
  await using runtime = await openRuntime({ ...placeAt(dir), kinds: [], pool: 'inline', logger: logTo(output) })
  return await runtime.prune({ ...filter, signal: interrupts.signal })
}

const prunedText = ({ sessions }: Pruned): string =>
  table(
    sessions.map(({ id, kind, value, status, updatedAt }) => [
      ...[printable(id), printable(kind), printable(stateText(value)), status, timeText(updatedAt)],
    ]),
  ).join('\n')
