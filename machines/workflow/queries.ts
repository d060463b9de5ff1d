// What can be asked about sessions: of the registry, so that none is opened for it, and of one's own events.

import type { SessionFilter as EntryFilter, Runtime, SessionEntry } from 'holdfast'
import type { ExecutionMode } from './config.js'
import type { SessionEvent, TimestampedEvent } from './session-events.js'
import type { SessionState } from './story.js'

export interface SessionInfo {
  readonly id: string
  readonly status: SessionState['type']
  readonly type: ExecutionMode['type']
  readonly worktree?: string
  readonly name?: string
  readonly project_path: string
  readonly iteration: number
  readonly created_at: Date
  readonly updated_at: Date
}

export interface SessionFilter {
  readonly status?: SessionState['type'] | readonly SessionState['type'][]
  readonly type?: ExecutionMode['type']
  readonly worktree?: string
  readonly project_path?: string
  readonly created_after?: Date
  readonly created_before?: Date
  readonly updated_after?: Date
  readonly limit?: number
}

export interface EventFilter {
  readonly type?: SessionEvent['type'] | readonly SessionEvent['type'][]
  readonly after?: Date
  readonly before?: Date
}

const PAGE = 500

/** Those that match, in the order of their creation. */
export function* sessionsOf(runtime: Runtime, filter: SessionFilter): Generator<SessionInfo> {
  const { limit = Number.POSITIVE_INFINITY } = filter
  let [cursor, given]: [string | undefined, number] = [undefined, 0]
  do {
    const page = runtime.sessions.list(whereOf(filter), { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const entry of page.sessions) {
      const info = infoOf(entry)
      if (!matches(info, filter)) continue
      if (given++ >= limit) return
      yield info
    }
    cursor = page.cursor
  } while (cursor !== undefined)
}

/** What the registry can look up; `matches` does the rest. */
function whereOf({ status, type, worktree, project_path }: SessionFilter): EntryFilter {
  return {
    kind: 'workflow',
    where: {
      ...(typeof status === 'string' && { status }),
      ...(type !== undefined && { type }),
      ...(worktree !== undefined && { worktree }),
      ...(project_path !== undefined && { project_path }),
    },
  }
}

function matches(info: SessionInfo, filter: SessionFilter): boolean {
  const { status, created_after, created_before, updated_after } = filter
  if (status !== undefined && ![status].flat().includes(info.status)) return false
  if (created_after && info.created_at <= created_after) return false
  if (created_before && info.created_at >= created_before) return false
  return !(updated_after && info.updated_at <= updated_after)
}

function infoOf({ id, attributes, createdAt, updatedAt }: SessionEntry): SessionInfo {
  const { status, type, worktree, name, project_path, iteration } = attributes
  return {
    id,
    ...({ status, type, project_path, iteration } as Pick<
      SessionInfo,
      'status' | 'type' | 'project_path' | 'iteration'
    >),
    ...(worktree !== null && { worktree: String(worktree) }),
    ...(name !== null && { name: String(name) }),
    created_at: new Date(createdAt),
    updated_at: new Date(updatedAt),
  }
}

export function eventsThat(
  events: readonly TimestampedEvent[],
  { type, after, before }: EventFilter,
): TimestampedEvent[] {
  const types = type === undefined ? undefined : [type].flat()
  return events.filter(({ timestamp, event }) => {
    const at = new Date(timestamp)
    return (!types || types.includes(event.type)) && !(after && at <= after) && !(before && at >= before)
  })
}
