// What a planning session looks like from outside: the original's words for its status, notes, result and whole state.
// Times are Dates here and ISO 8601 strings in the session; `planningStateOf` is the only way from the one to the other.
// Nothing here is kept: a state is made anew from a durable snapshot whenever somebody asks.

import type { SessionSnapshot } from 'holdfast'
import type { PlanningContext, PlanningMachine, PlanningNote, PlanningValue } from './machine.js'

export const PlanningSessionStatus = {
  PENDING: 'pending',
  PROCESSING: 'processing',
  COMPLETED: 'completed',
  FAILED: 'failed',
} as const

export type PlanningSessionStatus = (typeof PlanningSessionStatus)[keyof typeof PlanningSessionStatus]

/** Something that went wrong. */
export interface PlanningSessionError {
  message: string
  /** Stable, such as `FILE_NOT_FOUND`. */
  code?: string
  /** JSON. */
  details?: unknown
  timestamp: Date
}

/** Something doubtful that did not stop the planning. */
export interface PlanningSessionWarning {
  message: string
  code?: string
  /** JSON. */
  details?: unknown
  timestamp: Date
}

/** The issues that were created: planning id -> tracker id, by type. */
export interface PlanningSessionResult {
  readonly epics: Readonly<Record<string, string>>
  readonly features: Readonly<Record<string, string>>
  readonly stories: Readonly<Record<string, string>>
  readonly enablers: Readonly<Record<string, string>>
}

export interface PlanningSessionState {
  id: string
  /** Empty when the session belongs to no organization. */
  organizationId: string
  /** Where the document is: a path, or a URL. */
  confluencePageUrl: string
  planningTitle: string
  status: PlanningSessionStatus
  /** 0 to 100. */
  progress: number
  progressMessage?: string
  errors: PlanningSessionError[]
  warnings: PlanningSessionWarning[]
  result?: PlanningSessionResult
  createdAt: Date
  updatedAt: Date
}

/** A note as it is given: without a time, the time of the update is meant. */
export type PlanningSessionNoteUpdate = Omit<PlanningSessionError, 'timestamp'> & { timestamp?: Date }

/**
 * An update sets exactly the fields that it has: `errors` and `warnings` replace the lists, and none of them moves the
 * session but `status` does.
 */
export interface PlanningSessionUpdate {
  status?: PlanningSessionStatus
  progress?: number
  progressMessage?: string
  errors?: readonly PlanningSessionNoteUpdate[]
  warnings?: readonly PlanningSessionNoteUpdate[]
  result?: PlanningSessionResult
}

/** The status that a value of the statechart stands for. */
export const statusOf = (value: PlanningValue): PlanningSessionStatus =>
  typeof value === 'string' ? value : PlanningSessionStatus.PROCESSING

/** The state that a snapshot shows. */
export function planningStateOf(snapshot: SessionSnapshot<PlanningMachine>): PlanningSessionState {
  const { id, value, createdAt, updatedAt } = snapshot
  const context: PlanningContext = snapshot.context
  const { progressMessage, result } = context
  return {
    id,
    organizationId: context.organizationId,
    confluencePageUrl: context.source,
    planningTitle: context.title,
    status: statusOf(value),
    progress: context.progress,
    ...(progressMessage !== undefined && { progressMessage }),
    errors: context.errors.map((note) => shown(note, updatedAt)),
    warnings: context.warnings.map((note) => shown(note, updatedAt)),
    ...(result !== undefined && { result }),
    createdAt: new Date(createdAt),
    updatedAt: new Date(updatedAt),
  }
}

/** A note that has no time of its own (see `machine.ts`) is shown with the time of the session's last change. */
const shown = ({ timestamp, ...note }: PlanningNote, updatedAt: string): PlanningSessionError => ({
  ...note,
  timestamp: new Date(timestamp ?? updatedAt),
})
