// The doctor: reads everything in a directory and says what is wrong, and what `repair.ts` would do about it.
// Examining changes nothing and takes no lock.

import { AUDIT_FOLDER, type AuditHead, verifyingAudit } from '../audit-chain.js'
import { describeDamage } from '../damage.js'
import { auditFindings, type Diagnosis, diagnosisOf, type Finding, otherVersions, type Repair } from '../diagnosis.js'
import { DIRECTORY_FILE, type Owner, readDirectoryFile } from '../directory.js'
import { type Disk, readAll, readFrom } from '../disk.js'
import { isHoldfastError } from '../errors.js'
import { loadState } from '../history.js'
import { isId } from '../id.js'
import type { Damage } from '../journal.js'
import { isDroppedMeanwhile } from '../refusals.js'
import type { IndexEntry, SessionState } from '../state.js'
import { atOnce, collected, type Turns } from '../turns.js'
import { NAME } from './claims.js'
import { FLOOR } from './floor.js'
import { indexFindings } from './index-findings.js'
import { admit, atTheEnd, FROM_BACKUP, note, type Patient, problem } from './patient.js'
import { readOnly, requireDirectory } from './reader.js'
import { HEADER_BYTES, pieces } from './segment.js'
import { damageAt } from './segments.js'
import { createFileSnapshots, pathOf } from './snapshots.js'

/**
 * Throws DIRECTORY_NOT_FOUND, FORMAT_NEWER, DISK_FAILED. `owner` is a process that has the directory open; `kept` is a head
 * of the audit log that must still be there.
 */
export const examineFiles = (disk: Disk, owner: Owner | undefined, kept?: AuditHead): Diagnosis =>
  atOnce(examining(disk, owner, kept))

/** As `examineFiles`, in turns: its owner may write meanwhile, and be in this very process. */
export function* examining(disk: Disk, owner: Owner | undefined, kept?: AuditHead): Turns<Diagnosis> {
  const unwritable = readOnly(disk)
  requireDirectory(unwritable)
  const patient = yield* admit(unwritable, owner)
  try {
    const audit = yield* verifyingAudit(unwritable, AUDIT_FOLDER, kept)
    const findings: Finding[] = []
    for (const looking of [
      lockFindings(patient),
      directoryFileFindings(patient),
      journalFindings(patient),
      indexFindings(patient),
      snapshotFindings(patient),
      sessionFindings(patient),
      auditFindings(audit, owner !== undefined),
      fileFindings(patient),
      quarantineFindings(patient),
    ])
      yield* collected<Finding>(looking, findings)
    const diagnosis = diagnosisOf(disk.location, patient.registry.stats.get().total, findings)
    return audit.entries === 0 ? diagnosis : { ...diagnosis, audit: audit.head }
  } finally {
    patient.journal.close()
  }
}

function* lockFindings({ owner }: Patient): Generator<Finding> {
  if (owner) yield note('lock', `process ${owner.pid} has the directory open, since ${owner.since}`, { file: 'lock' })
}

function* directoryFileFindings({ disk }: Patient): Generator<Finding> {
  const file = DIRECTORY_FILE
  if (readDirectoryFile(disk)) return
  const there = readAll(disk, file) !== undefined
  yield problem('directory-file.damaged', `${file} ${there ? 'cannot be read' : 'is not there'}`, {
    ...{ file, repair: { kind: 'rewrite-directory-file' } },
  })
}

function* journalFindings({ disk, damage, owner }: Patient): Generator<Finding> {
  const repair: Repair = { kind: 'renew-journal' }
  for (const found of damage) {
    const { file, kind } = found
    const message = describeDamage(found)
    if (kind === 'header') yield problem('journal.header', message, { file, repair })
    else yield problem(`journal.${kind}`, message, { file, advice: FROM_BACKUP })
  }
  // While it is written, the end of the journal is on its way.
  for (const found of owner ? [] : tornEnd(disk)) {
    yield note('journal.torn', describeDamage(found), { file: found.file, repair })
  }
}

/** What is behind the last record, and is no space that is reserved. */
const tornEnd = (disk: Disk): Damage[] =>
  atTheEnd(disk, (last) => {
    if (!last) return []
    const bytes = readFrom(last.file, 0)
    return [...pieces(bytes, last.base, HEADER_BYTES, last.chain)]
      .filter(({ kind }) => kind === 'torn')
      .map(({ offset, bytes: length }) => damageAt(last, 'torn', offset, bytes.subarray(offset, offset + length)))
  })

function* snapshotFindings(patient: Patient): Generator<Finding | undefined> {
  const { disk } = patient
  for (const folder of disk.list('sessions')) {
    for (const name of disk.list(`sessions/${folder}`)) {
      yield undefined
      if (!name.endsWith('.tmp')) yield* snapshotFinding(patient, `sessions/${folder}/${name}`)
    }
  }
}

function* snapshotFinding(patient: Patient, file: string): Generator<Finding> {
  const { disk, registry, harmed } = patient
  const repair: Repair = { kind: 'set-aside', file }
  const id = file.slice(file.lastIndexOf('/') + 1, -'.json'.length)
  if (!file.endsWith('.json') || !isId(id) || pathOf(id) !== file) {
    return yield note('stranger', `${file} is not of Holdfast`, { file })
  }
  const { state, finding } = readSnapshot(disk, id, file)
  if (finding) return yield finding
  const entry = registry.get(id)
  if (!state || isNewer(state, patient)) return
  const more = { file, session: id }
  if (!entry || entry.createdAt !== state.createdAt) {
    const message = `${file} is of a session that is gone`
    if (harmed)
      yield note('snapshot.orphaned', message, { ...more, advice: 'it may be all that is left of it: keep it' })
    else yield note('snapshot.orphaned', message, { ...more, repair })
  } else if (state.seq > entry.seq) {
    const message = `${file} is of transition ${state.seq}, and the journal ends at ${entry.seq}: records are lost`
    yield problem('snapshot.ahead', message, { ...more, advice: FROM_BACKUP })
  }
}

function readSnapshot(disk: Disk, id: string, file: string): { state?: SessionState; finding?: Finding } {
  let finding: Finding | undefined
  try {
    const state = createFileSnapshots(disk, ({ reason }) => {
      const repair: Repair = { kind: 'set-aside', file }
      finding = problem('snapshot.damaged', `${reason}; the journal has everything`, { file, session: id, repair })
    }).read(id)
    return { ...(state && { state }), ...(finding && { finding }) }
  } catch (error) {
    if (!isHoldfastError(error, 'FORMAT_NEWER')) throw error
    return { finding: problem('snapshot.newer', error.message, { file, session: id, advice: 'install the newer one' }) }
  }
}

/** Its owner has written it since the journal was looked at. */
const isNewer = ({ position }: SessionState, { owner, journal }: Patient): boolean =>
  owner !== undefined && position >= journal.end

function* sessionFindings(patient: Patient): Generator<Finding | undefined> {
  const { disk, registry, unreadable } = patient
  for (const entry of registry.entries()) {
    yield undefined
    const reason = unreadable.get(entry.id) ?? whyUnreadable(patient, entry)
    if (reason) {
      const advice = 'restore the directory from a backup, or delete the session; it is never begun anew'
      yield problem('session.unreadable', `session ${entry.id}: ${reason.message}`, { session: entry.id, advice })
    }
  }
  yield* otherVersions(registry.select({ status: 'active' }), readDirectoryFile(disk)?.kinds ?? {})
}

function whyUnreadable(patient: Patient, entry: IndexEntry): Error | undefined {
  const { disk, journal, owner } = patient
  const snapshots = createFileSnapshots(disk, () => {})
  try {
    loadState(journal, snapshots, entry)
    return undefined
  } catch (error) {
    // Told of as the snapshot that it is.
    if (isHoldfastError(error, 'FORMAT_NEWER')) return undefined
    if (owner && isDroppedMeanwhile(error)) return undefined
    const state = snapshots.read(entry.id)
    return state && isNewer(state, patient) ? undefined : (error as Error)
  }
}

/** Files that have no place here, or never got their name. */
function* fileFindings({ disk, owner }: Patient): Generator<Finding> {
  const folders = ['', 'journal', AUDIT_FOLDER, ...disk.list('sessions').map((folder) => `sessions/${folder}`)]
  for (const folder of folders) {
    for (const name of disk.list(folder)) {
      const file = folder === '' ? name : `${folder}/${name}`
      if (name.endsWith('.tmp')) {
        if (owner) continue
        const message = `${file} was being written when a process died; its content never counted`
        yield note('leftover', message, { file, repair: { kind: 'set-aside', file } })
      } else if (folder === 'journal' && !NAME.test(name) && file !== FLOOR)
        yield note('stranger', `${file} is not of Holdfast`, { file })
    }
  }
}

function* quarantineFindings({ disk }: Patient): Generator<Finding | undefined> {
  for (const name of disk.list('quarantine')) {
    yield undefined
    const file = `quarantine/${name}`
    const bytes = readAll(disk, file)?.length ?? 0
    const advice = 'look at it; when nothing in it is missed, it can be removed by hand'
    yield note('quarantine', `${file} was set aside earlier: ${bytes} bytes`, { file, advice })
  }
}
