// The public names of Holdfast, listed one by one.

export type { Audit } from './audit.js'
export type { AuditEntry, AuditFault, AuditHead, AuditReport } from './audit-chain.js'
export type { Backup, Restored } from './backup.js'
export type { Clock } from './clock.js'
export type { CreateOptions } from './creation.js'
export {
  type AnySessionKind,
  defineSession,
  type IndexedState,
  type SessionDefinition,
  type SessionKind,
} from './define.js'
export type { Diagnosis, Finding, FindingCode, Repair } from './diagnosis.js'
export type { SessionDiff } from './diff.js'
export { decodeError, type ErrorEnvelope, encodeError } from './envelope.js'
export { type ErrorCode, exitCodeOf, HoldfastError, isHoldfastError, statusOf } from './errors.js'
export {
  type CallOptions,
  type ForkOptions,
  type HistoryOptions,
  type InternalEvent,
  type LiveOptions,
  Session,
  type SessionSnapshot,
  type SessionTransition,
  type TransitionsOptions,
} from './handle.js'
export type { Compacted, Damage } from './journal.js'
export type { Quarantined, SessionEntry, SessionFilter, SessionPage, SessionStats } from './listing.js'
export type { Logger } from './logger.js'
export type { Metrics } from './metrics.js'
export type { Migration, Migrations, StoredChild, StoredState, StoredTimer } from './migrations.js'
export {
  backupDirectory,
  type DoctorOptions,
  doctor,
  type OpenOptions,
  openReader,
  openRuntime,
  type ReadOptions,
  restoreBackup,
  type VerifyOptions,
  verify,
} from './open.js'
export { applyPatch, type Patch } from './patch.js'
export type { StepContext } from './pool.js'
export type { Ports } from './ports.js'
export type { Pruned, PruneFilter, PruneOptions } from './prune.js'
export { Reader, type Unreadable } from './reader.js'
export type { Divergence } from './replay.js'
export type { Supervision } from './restart.js'
export type { RetentionRules } from './retention.js'
export {
  type CloseOptions,
  createRuntime,
  type Health,
  Runtime,
  type RuntimeOptions,
  type SessionLetter,
} from './runtime.js'
export type { KindSecrets, SecretValues } from './secrets.js'
export type { Sessions } from './sessions.js'
export type { Attributes, ForkOrigin, Owner, SessionState, SessionStatus, StateValue } from './state.js'
export type { StepUpdate } from './step-runner.js'
export { type StepLogic, type StepOptions, step } from './steps.js'
export type { Stream } from './stream.js'
export type { TraceContext } from './trace-context.js'
export type { StepSpan, StepSpanEnd, TracedStep, Tracing } from './tracing.js'
export type { Transition } from './transition.js'
export type { DeadLetter, Quarantine } from './trouble.js'
export type { Unfit, Verification } from './verify.js'
export type { ReadonlyAtom } from './watched.js'
