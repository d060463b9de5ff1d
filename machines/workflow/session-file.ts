// A session as the text of a file: with the version of its format and a checksum, so that damage is found. Older formats are
// read, and become today's when they are written again. Pure.
//
// Format 2: `{ format: 2, checksum, session }`. Format 1 is what the original's own types are as JSON: variants as
// `"Created"` and `{ "Running": { "iteration": 2 } }`, no format, no checksum.

import { hash } from 'node:crypto'
import { HoldfastError } from 'holdfast'
import { inputSchema, type SessionConfig } from './config.js'
import { type PersistedSession, restoredSchema, type SessionCheckpoint } from './restored.js'
import type { SessionEvent, TimestampedEvent } from './session-events.js'
import { replay, type SessionState } from './story.js'

const FORMAT = 2

const checksumOf = (session: PersistedSession): string => hash('sha256', JSON.stringify(session))

export const fileTextOf = (session: PersistedSession): string =>
  `${JSON.stringify({ format: FORMAT, checksum: checksumOf(session), session }, null, 2)}\n`

/** Throws SNAPSHOT_CORRUPT naming `where` and what is wrong, or FORMAT_NEWER. */
export async function sessionIn(text: string, where: string): Promise<PersistedSession> {
  const corrupt = (why: string, cause?: unknown): HoldfastError =>
    new HoldfastError('SNAPSHOT_CORRUPT', `${where} holds no session that can be read: ${why}`, { cause })
  let parsed: Json
  try {
    parsed = JSON.parse(text) as Json
  } catch (error) {
    throw corrupt('it is no JSON', error)
  }
  const { format = 1, checksum, session } = Object(parsed)
  if (format > FORMAT) {
    const advice = 'open it with the version that wrote it, or a newer one'
    throw new HoldfastError(
      'FORMAT_NEWER',
      `${where} has format ${format}, and this reads ${FORMAT} at most: ${advice}`,
    )
  }
  if (format === FORMAT && checksum !== checksumOf(session)) throw corrupt('its checksum does not fit')
  try {
    return await admitted(format === FORMAT ? session : fromFirst(parsed))
  } catch (error) {
    throw corrupt(error instanceof Error ? error.message : String(error), error)
  }
}

/** The state is what the events add up to: where a file says otherwise, the events are right. */
async function admitted({ id, config, events, checkpoints }: PersistedSession): Promise<PersistedSession> {
  if (typeof id !== 'string') throw new Error('it has no id')
  const whole = await inputSchema['~standard'].validate({ config })
  if (whole.issues) throw new Error(`config: ${whole.issues[0]?.path?.join('.')} ${whole.issues[0]?.message}`)
  const story = restoredSchema.parse({ events, checkpoints })
  return { id, config: whole.value.config, state: replay(story.events).state, ...story }
}

// ---- format 1

// biome-ignore lint/suspicious/noExplicitAny: what an older file holds is checked after it was made today's
type Json = any

/** A variant of the first format: `"Resumed"`, or `{ "Paused": { "reason": "…" } }`. */
function variant(value: Json): { readonly type: string; readonly [field: string]: Json } {
  if (typeof value === 'string') return { type: value }
  const [[type, fields] = ['', {}]] = Object.entries(value as object)
  return { type, ...(fields as object) }
}

function fromFirst({ id, config, events = [], checkpoints = [] }: Json): PersistedSession {
  const today = configOf(config)
  const stamped: TimestampedEvent[] = []
  for (const { timestamp, event } of events) {
    stamped.push({ timestamp: new Date(timestamp).toISOString(), event: eventOf(variant(event), today, stamped) })
  }
  return {
    id,
    config: today,
    state: replay(stamped).state,
    events: stamped,
    checkpoints: checkpoints.map(checkpointOf),
  }
}

function configOf({ project_path, workflow, execution_mode, max_iterations, focus, options }: Json): SessionConfig {
  const { type, name } = variant(execution_mode ?? 'Direct')
  const commands = workflow.commands.map((one: Json) => (typeof one === 'string' ? { shell: one } : one))
  return {
    project_path,
    workflow: { ...(workflow.name && { name: workflow.name }), commands },
    execution_mode: type === 'Worktree' ? { type: 'worktree', name } : { type: 'direct' },
    ...{ max_iterations, options },
    ...(focus && { focus }),
  }
}

function eventOf(
  event: ReturnType<typeof variant>,
  config: SessionConfig,
  before: readonly TimestampedEvent[],
): SessionEvent {
  if (event.type === 'Started') return { type: 'Started', config: event.config ? configOf(event.config) : config }
  if (event.type !== 'Completed') return event as SessionEvent
  const { iterations_completed, changes } = replay(before)
  const last = changes.at(-1)
  const isUnchanged = last?.files_modified.length === 0 && last.git_commits.length === 0
  const isLast = iterations_completed >= config.max_iterations
  return { type: 'Completed', stopped_because: isUnchanged ? 'no changes' : isLast ? 'max_iterations' : 'asked' }
}

/** The snapshots of the first format say where the session was; how many events that was is not known any more. */
function checkpointOf({ iteration, timestamp, state_snapshot, resumable }: Json): SessionCheckpoint {
  const { type, ...fields } = variant(state_snapshot?.state ?? state_snapshot ?? 'Created')
  const state = { type, ...fields } as SessionState
  return { iteration, timestamp: new Date(timestamp).toISOString(), state_snapshot: { state, events: 0 }, resumable }
}
