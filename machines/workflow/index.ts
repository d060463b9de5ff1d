// The public names of the workflow kind, listed one by one.

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
export type { RecordedEvent, WorkflowEvent } from './events.js'
export { workflow } from './kind.js'
export { type WorkflowContext, type WorkflowMachine, type WorkflowValue, workflowMachine } from './machine.js'
