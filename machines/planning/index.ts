// The public names of the planning kind, listed one by one. Importing them loads no parser and no tracker: the steps that
// need those are loaded where they run.

export type {
  Enabler,
  EnablerType,
  Epic,
  Feature,
  ItemType,
  PlanningDocument,
  PlanningItem,
  PlanningWarning,
  PlanningWarningCode,
  Priority,
  Story,
} from './document.js'
export type { PlanningErrorCode } from './errors.js'
export type { PlanningEvent } from './events.js'
export type { ExtractorConfig, PlanningInput } from './input.js'
export { planning } from './kind.js'
export {
  type PlanningContext,
  type PlanningMachine,
  type PlanningNote,
  type PlanningValue,
  planningMachine,
} from './machine.js'
export { createPlanningSession } from './models.js'
export { closePlanning, type PlanningDefaults, usePlanningRuntime } from './planning-runtime.js'
export { startPlanningProcess } from './process.js'
export {
  type PlanningSessionError,
  type PlanningSessionResult,
  type PlanningSessionState,
  PlanningSessionStatus,
  type PlanningSessionUpdate,
  type PlanningSessionWarning,
} from './state.js'
export { PlanningSessionStateManager } from './state-manager.js'
export { PlanningSessionStateStore, planningSessionStateStore } from './state-store.js'
export type { ModelErrorCode } from './steps/model/errors.js'
export type { SourceErrorCode } from './steps/source/errors.js'
export type { Issue, NewIssue, Tracker, TrackerConfig, TrackerErrorCode } from './tracker.js'
