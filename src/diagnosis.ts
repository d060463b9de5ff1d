// What is wrong in a data directory, as values: each finding names the file, says what it means, what would be done about
// it, and what a person can do where nothing is done. Pure.

import type { AuditHead, AuditReport } from './audit-chain.js'

/** What a finding is about. */
export type Finding = {
  readonly code: FindingCode
  /** A `problem` wants somebody to act; a `note` is worth knowing. */
  readonly severity: 'problem' | 'note'
  readonly file?: string
  readonly session?: string
  readonly message: string
  /** What is done about it with `repair`; absent when nothing is. */
  readonly repair?: Repair
  /** What a person can do, where nothing is done. */
  readonly advice?: string
  /** After a repair: whether it was done. */
  readonly done?: boolean
}

export type FindingCode =
  | 'journal.torn'
  | 'journal.corrupt'
  | 'journal.missing'
  | 'journal.header'
  | 'session.unreadable'
  | 'session.other-version'
  | 'snapshot.damaged'
  | 'snapshot.newer'
  | 'snapshot.orphaned'
  | 'snapshot.ahead'
  | 'index.missing'
  | 'index.damaged'
  | 'index.wrong'
  | 'index.ahead'
  | 'directory-file.damaged'
  | 'audit.edited'
  | 'audit.missing'
  | 'audit.unexpected'
  | 'audit.torn'
  | 'database.damaged'
  | 'database.log'
  | 'leftover'
  | 'stranger'
  | 'quarantine'
  | 'lock'

/** Nothing that is repaired is lost: what is taken away or replaced is in `quarantine/` afterwards. */
export type Repair =
  /** A file is moved to `quarantine/`, whole. */
  | { readonly kind: 'set-aside'; readonly file: string }
  /** The journal is opened as a writer does: what is cut off or replaced is kept in `quarantine/`. */
  | { readonly kind: 'renew-journal' }
  /** The index is written anew from the journal. */
  | { readonly kind: 'rebuild-index' }
  /** `holdfast.json` is written anew from what the journal holds. */
  | { readonly kind: 'rewrite-directory-file' }

export interface Diagnosis {
  readonly dir: string
  /** True when nothing is wrong, or nothing any more. */
  readonly healthy: boolean
  readonly sessions: number
  readonly findings: readonly Finding[]
  /** The last entry of the audit log, if there is one: kept elsewhere, it shows later whether the log's end was cut off. */
  readonly audit?: AuditHead
}

/**
 * Active sessions of another version than the directory was opened with last. That opening has migrated all whom it could, and
 * parked the others; only one that was cut off at it has left some for the next. `kinds`: the versions that it had.
 */
export function* otherVersions(
  active: Iterable<{ readonly kind: string; readonly version: number }>,
  kinds: { readonly [kind: string]: number },
): Generator<Finding> {
  const counts = new Map<string, number>()
  for (const { kind, version } of active) {
    const last = kinds[kind]
    if (last === undefined || last === version) continue
    const group = `of kind "${kind}", version ${version}; it was opened last with version ${last}, which `
    const why = version > last ? 'is older and parks them' : 'has parked those that it came to: no migration took them'
    counts.set(group + why, (counts.get(group + why) ?? 0) + 1)
  }
  for (const [group, count] of counts) {
    const message = `${count === 1 ? '1 active session is' : `${count} active sessions are`} ${group}`
    const advice = 'holdfast verify --kinds says of each whether the kinds of a module would take it, and why not'
    yield { code: 'session.other-version', severity: 'note', message, advice }
  }
}

/** What is wrong with the audit log stays as it is: it is evidence. `folder`: where its files are, for people. */
export function* auditFindings({ faults }: AuditReport, owned: boolean, folder = ''): Generator<Finding> {
  const advice = 'somebody has changed the audit log: keep a copy of it, and compare it with one from before'
  for (const { kind, file: name, offset, message } of faults) {
    const file = `${folder}${name}`
    const more = { message: `${file}, byte ${offset}: ${message}`, file }
    // While it is written, its end is on its way; else a crash has left it, and the next opening sets it aside.
    if (kind !== 'torn') yield { code: `audit.${kind}`, severity: 'problem', ...more, advice }
    else if (!owned) yield { code: 'audit.torn', severity: 'note', ...more }
  }
}

/** A sentence on what a repair does. */
export function describeRepair(repair: Repair): string {
  switch (repair.kind) {
    case 'set-aside':
      return `${repair.file} is moved to quarantine/`
    case 'renew-journal':
      return 'the journal is opened as its writer does; what is cut off or replaced is kept in quarantine/'
    case 'rebuild-index':
      return 'index.jsonl is written anew from the journal'
    case 'rewrite-directory-file':
      return 'holdfast.json is written anew from what the journal holds'
  }
}

/** A problem that is still there. */
export const isOpen = ({ severity, done }: Finding): boolean => severity === 'problem' && done !== true

export const diagnosisOf = (dir: string, sessions: number, findings: readonly Finding[]): Diagnosis => ({
  ...{ dir, healthy: !findings.some(isOpen), sessions, findings },
})
