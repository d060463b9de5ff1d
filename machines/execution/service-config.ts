// What session management is given: where things are, who people are, and what a session and a modification begin with.

import type { Logger, Runtime } from 'holdfast'
import type { People } from './access.js'
import type { ModificationAction } from './fields.js'
import type { ExecutionInput } from './input.js'

export interface SessionManagementConfig {
  /** Where the tables are, in SQLite; the sessions are in a directory beside it. Default: `SESSION_DB_PATH`, or no tables. */
  readonly databasePath?: string | undefined
  /** How old a session that is over is cleaned away. Default: `SESSION_CLEANUP_DAYS`, or 30. */
  readonly autoCleanupDays?: number
  /** Has every call logged. */
  readonly debug?: boolean
  readonly logger?: Logger
  /** Whose sessions these are: those of others are not seen. Default: nobody's, the empty text. */
  readonly organizationId?: string
  /** Who somebody is. Without it nobody is known, and only ownership is checked. */
  readonly people?: People
  /** One's own runtime, opened with the kinds `execution` and `executionCleanup`; whoever opened it closes it. */
  readonly runtime?: Runtime
}

export type NewExecutionSession = Pick<
  ExecutionInput,
  'adminUserId' | 'teamId' | 'planCount' | 'plan' | 'tracker' | 'channel'
> & {
  readonly generatedAt?: Date
}

export interface NewModification {
  readonly sessionId: string
  readonly ticketId: string
  readonly userId: string
  readonly action: ModificationAction
  readonly value: string
  readonly timestamp?: Date
}

/** Who has a logger gives it; else what goes wrong is said where such things are. */
export const stderr: Logger = {
  info: (fields, message) => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
  warn: (fields, message) =>
    void process.stderr.write(`${message} ${String((fields as { err?: unknown }).err ?? '')}\n`),
  error: (fields, message) =>
    void process.stderr.write(`${message} ${String((fields as { err?: unknown }).err ?? '')}\n`),
}
