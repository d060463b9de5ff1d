// The public names of the execution kind, listed one by one. Importing them loads no client of a service: the steps that need
// those load them where they run.

export type { ChannelConfig } from './channel.js'
export type { ExecutionContext, KeptModification } from './context.js'
export type { ServiceErrorCode } from './errors.js'
export type { ExecutionEvent, ModificationFields } from './events.js'
export type { ModificationAction } from './fields.js'
export type { ExecutionInput } from './input.js'
export { execution } from './kind.js'
export { type ExecutionMachine, type ExecutionStatus, type ExecutionValue, executionMachine } from './machine.js'
export type { DailyPlan, TrackerConfig } from './tracker.js'
