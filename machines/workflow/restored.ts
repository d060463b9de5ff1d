// A session as it is kept outside of the runtime, and its check when it comes back.

import { z } from 'zod'
import type { SessionConfig } from './config.js'
import type { SessionEvent, TimestampedEvent } from './session-events.js'
import type { SessionState } from './story.js'

export interface SessionCheckpoint {
  /** How many iterations were complete. */
  readonly iteration: number
  /** ISO 8601. */
  readonly timestamp: string
  readonly state_snapshot: StateSnapshot
  /** True at the beginning of an iteration: a failed session can go on from there. */
  readonly resumable: boolean
}

export interface StateSnapshot {
  readonly state: SessionState
  /** How many events there were. */
  readonly events: number
  /** The commit that was checked out, and the tree of what was in the folder, once the session was prepared. */
  readonly head?: string
  readonly tree?: string
}

export interface PersistedSession {
  readonly id: string
  readonly config: SessionConfig
  readonly state: SessionState
  readonly events: readonly TimestampedEvent[]
  readonly checkpoints: readonly SessionCheckpoint[]
}

/** What a session of the runtime begins with when it was kept somewhere else. */
export type RestoredSession = Pick<PersistedSession, 'events' | 'checkpoints'>

const text = z.string().max(1_000_000)
const count = z.number().min(0)
const changes = z.looseObject({
  files_modified: z.array(text),
  lines_added: count,
  lines_removed: count,
  commands_run: z.array(text),
  git_commits: z.array(z.looseObject({ id: text, message: text, author: text, timestamp: text })),
})

/** What a file or a caller tells of an event; what else it has is kept. */
export const sessionEventSchema: z.ZodType<SessionEvent, SessionEvent> = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('Started'), config: z.looseObject({}) }),
  z.looseObject({ type: z.literal('IterationStarted'), number: z.int().min(1) }),
  z.looseObject({ type: z.literal('IterationCompleted'), changes }),
  z.looseObject({ type: z.literal('AnalysisCompleted'), results: z.json() }),
  z.looseObject({ type: z.literal('CommandExecuted'), command: text, success: z.boolean() }),
  z.looseObject({ type: z.literal('Paused'), reason: text }),
  z.looseObject({ type: z.literal('Resumed') }),
  z.looseObject({ type: z.literal('Completed'), stopped_because: z.enum(['no changes', 'max_iterations', 'asked']) }),
  z.looseObject({ type: z.literal('Failed'), error: text, cancelled: z.literal(true).optional() }),
]) as unknown as z.ZodType<SessionEvent, SessionEvent>

const timestamp = z.iso.datetime({ offset: true })

const checkpoint = z.looseObject({
  iteration: z.int().min(0),
  timestamp,
  state_snapshot: z.looseObject({ state: z.looseObject({ type: text }), events: z.int().min(0) }),
  resumable: z.boolean(),
})

export const restoredSchema: z.ZodType<RestoredSession, RestoredSession> = z.strictObject({
  events: z.array(z.strictObject({ timestamp, event: sessionEventSchema })).max(1_000_000),
  checkpoints: z.array(checkpoint).max(20_000),
}) as unknown as z.ZodType<RestoredSession, RestoredSession>
