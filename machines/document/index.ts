// The public names of the document kind, listed one by one.

export type { Hunk, VersionComparison } from './comparison.js'
export type { ConvertEvent, DocumentEvent, UpdateEvent } from './events.js'
export { closeDocuments } from './hosting.js'
export type { FinishedWorkItem, HubEvent, PlanningHub } from './hub.js'
export type { DocumentInput } from './input.js'
export { document } from './kind.js'
export { type DocumentContext, type DocumentMachine, type DocumentStatus, documentMachine } from './machine.js'
export {
  type ConversionOf,
  type DocumentLogger,
  type ManagerOptions,
  PlanningSessionManager,
  type Statistics,
} from './manager.js'
export { type Recommendation, SessionRecovery, type StaleSessions } from './recovery.js'
export type { Failure, Result, Success } from './result.js'
export type { PlanningSession, PlanningVersion } from './session.js'
export type { Update } from './shelf.js'
export {
  InMemorySessionStorage,
  InMemoryVersionStorage,
  type PlanningSessionStorage,
  type PlanningVersionStorage,
  type SessionFilters,
} from './storage.js'
