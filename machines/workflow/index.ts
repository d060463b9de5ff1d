// The public names of the workflow kind, listed one by one. Importing them loads no git and starts no process: the steps do,
// where they run.

export type {
  Command,
  ExecutionMode,
  FailureHandler,
  SessionConfig,
  SessionConfigInput,
  SessionOptions,
  WorkflowConfig,
  WorkflowInput,
} from './config.js'
export type { WorkflowContext } from './context.js'
export type { RecordedEvent, WorkflowEvent } from './events.js'
export { closeWorkflows } from './hosting.js'
export { InMemorySessionManager } from './in-memory.js'
export { workflow } from './kind.js'
export { type WorkflowMachine, type WorkflowValue, workflowMachine } from './machine.js'
export {
  type ManagerOptions,
  type ObserveOptions,
  SessionManager,
  type SessionObserver,
  type SessionProgress,
} from './manager.js'
export { ObservableSessionManager } from './observable.js'
export type { EventFilter, SessionFilter, SessionInfo } from './queries.js'
export type { PersistedSession, RestoredSession, SessionCheckpoint, StateSnapshot } from './restored.js'
export type {
  CommandExecuted,
  CommitInfo,
  IterationChanges,
  Merge,
  SessionEvent,
  StopReason,
  TimestampedEvent,
} from './session-events.js'
export type { Captured } from './steps/captured.js'
export type { WorkflowErrorCode } from './steps/problem.js'
export type { CommandOutput } from './steps/run-command.js'
export { FileSessionStorage } from './steps/session-files.js'
export type { CleanedWorktree, OrphanedWorktree } from './steps/worktrees.js'
export { InMemorySessionStorage, type SessionStorage } from './storage.js'
export { type ExecutedCommand, replay, type SessionState, type SessionSummary, type Story } from './story.js'
