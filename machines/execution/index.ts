// The public names of the execution kind, listed one by one. Importing them loads no client of a service and no SQLite: what
// needs those loads them where it runs.

export type { People, Person } from './access.js'
export type { ChannelConfig } from './channel.js'
export {
  type CleanupContext,
  type CleanupEvent,
  type CleanupInput,
  type CleanupMachine,
  executionCleanup,
} from './cleanup.js'
export type { ExecutionContext, KeptModification } from './context.js'
export type { ModificationQuery, Page, Paging, SessionDatabase, SessionQuery } from './database.js'
export type { ServiceErrorCode } from './errors.js'
export type { ExecutionEvent, ModificationFields } from './events.js'
export type { ModificationAction } from './fields.js'
export type { ExecutionInput } from './input.js'
export {
  createExecutionSessionIntegration,
  type ExecutionResult,
  type ExecutionSessionIntegration,
  type IntegrationConfig,
} from './integration.js'
export { execution } from './kind.js'
export { type ExecutionMachine, type ExecutionStatus, type ExecutionValue, executionMachine } from './machine.js'
export type { ProcessedModifications, ProcessOptions } from './processing.js'
export type {
  AnalyticsQuery,
  AnalyticsRow,
  AuditEntry,
  Check,
  HealthReport,
  Metrics,
  ModificationStats,
  SessionStats,
  SessionSummary,
} from './reports.js'
export { createSessionManagementService, restoreSessions, type SessionManagementService } from './service.js'
export type { NewExecutionSession, NewModification, SessionManagementConfig } from './service-config.js'
export type { ExecutionSession, PlanModification } from './session.js'
export { isSignedBySlack, type SlackAction, type SlackRequest, slackActionOf } from './slack-request.js'
export type { DailyPlan, TrackerConfig } from './tracker.js'
export type { CleanedUp } from './upkeep.js'
