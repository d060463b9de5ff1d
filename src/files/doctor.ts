// The doctor: reads everything in a directory and says what is wrong; then, if it is told to, does what it said.
// Examining changes nothing and takes no lock. Repairing is for the owner of the lock; it moves to quarantine and writes
// anew what can be made from the journal, and nothing else: a session that cannot be read stays as it is.

import type { Clock } from '../clock.js'
import { describeDamage, noteOnce, touchedBy } from '../damage.js'
import { type Diagnosis, diagnosisOf, type Finding, type FindingCode, type Repair } from '../diagnosis.js'
import { DIRECTORY_FILE, FORMAT, type Owner, ownerOf, readDirectoryFile } from '../directory.js'
import { type Disk, readAll, replaceFile } from '../disk.js'
import { isHoldfastError } from '../errors.js'
import { loadState } from '../history.js'
import { isId } from '../id.js'
import type { Damage } from '../journal.js'
import type { Position } from '../record.js'
import { Registry } from '../registry.js'
import type { IndexEntry, IndexFile, SessionState } from '../state.js'
import { DurableFiles } from './durable-file.js'
import { FLOOR } from './floor.js'
import { type OpenedForReading, openFileJournal, readFileJournal } from './journal.js'
import { OpenFiles } from './open-files.js'
import { readOnly, requireDirectory } from './reader.js'
import { HEADER_BYTES, pieces } from './segment.js'
import { damageAt, endOf, findSegments, NAME } from './segments.js'
import { createFileSnapshots, pathOf } from './snapshots.js'

/** What an examination knows of a directory. */
interface Patient {
  readonly disk: Disk
  readonly journal: OpenedForReading
  readonly damage: readonly Damage[]
  /** What the journal alone tells. */
  readonly registry: Registry
  readonly unreadable: ReadonlyMap<string, Error>
  /** A process that has the directory open: what looks unfinished may be under way. */
  readonly owner: Owner | undefined
  /** Records that were durable are gone: nothing that may be the last trace of a session is moved. */
  readonly harmed: boolean
}

/** Throws DIRECTORY_NOT_FOUND, FORMAT_NEWER, DISK_FAILED. `owner` is a process that has the directory open. */
export function examineFiles(disk: Disk, owner: Owner | undefined): Diagnosis {
  const unwritable = readOnly(disk)
  requireDirectory(unwritable)
  const patient = admit(unwritable, owner)
  try {
    const findings = [
      ...lockFindings(patient),
      ...directoryFileFindings(patient),
      ...journalFindings(patient),
      ...indexFindings(patient),
      ...snapshotFindings(patient),
      ...sessionFindings(patient),
      ...fileFindings(patient),
      ...quarantineFindings(patient),
    ]
    return diagnosisOf(disk.location, patient.registry.stats.get().total, findings)
  } finally {
    patient.journal.close()
  }
}

/** Who opened the directory last, if that process still runs: all that can be told without touching the lock. */
export function livingOwnerOf(disk: Disk): Owner | undefined {
  const owner = ownerOf(disk)
  if (!owner || !Number.isSafeInteger(owner.pid)) return undefined
  try {
    process.kill(owner.pid, 0)
    return owner
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? owner : undefined
  }
}

/** Reads the whole journal, whatever the index says. */
function admit(disk: Disk, owner: Owner | undefined): Patient {
  const damage: Damage[] = []
  const journal = readFileJournal(disk, (found) => noteOnce(damage, found))
  const registry = new Registry()
  const unreadable = new Map<string, Error>()
  registry.load(journal.floors((found) => noteOnce(damage, found)))
  follow(registry, journal, journal.begin, (id, error) => unreadable.set(id, error))
  const known = indexOf(disk).index?.through ?? journal.begin
  for (const { entry, reason } of touchedBy(damage, registry.entries(), known)) unreadable.set(entry.id, reason)
  const harmed = unreadable.size > 0 || damage.some(({ kind }) => kind === 'corrupt' || kind === 'missing')
  return { disk, journal, damage, registry, unreadable, owner, harmed }
}

function follow(
  registry: Registry,
  journal: OpenedForReading,
  from: number,
  failed: (id: string, error: Error) => void = () => {},
): void {
  for (const { record, position } of journal.scan(from)) {
    try {
      registry.follow(record, position)
    } catch (error) {
      failed(record.session, error as Error)
    }
  }
}

const problem = (code: FindingCode, message: string, more: Partial<Finding> = {}): Finding => ({
  ...{ code, severity: 'problem', message },
  ...more,
})

const note = (code: FindingCode, message: string, more: Partial<Finding> = {}): Finding => ({
  ...{ code, severity: 'note', message },
  ...more,
})

const FROM_BACKUP = 'restore it from a backup; without one, the sessions that are named can only be deleted'

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

function* tornEnd(disk: Disk): Generator<Damage> {
  const files = new OpenFiles(disk)
  try {
    const { segments, floor } = findSegments(disk, files)
    floor?.close()
    const last = segments.at(-1)
    const bytes = last && readAll(disk, last.path)
    if (!last || !bytes) return
    for (const { kind, offset, bytes: length } of pieces(bytes, last.base, HEADER_BYTES, last.chain)) {
      if (kind === 'torn') yield damageAt(last, 'torn', offset, bytes.subarray(offset, offset + length))
    }
  } finally {
    files.close()
  }
}

function* indexFindings({ disk, journal, registry, harmed }: Patient): Generator<Finding> {
  const file = 'index.jsonl'
  const { index, reason } = indexOf(disk)
  const repair: Repair = { kind: 'rebuild-index' }
  // An index of what is left would hide that records are lost.
  const more = { file, ...(!harmed && { repair }) }
  if (reason !== undefined) yield problem('index.damaged', reason, more)
  else if (!index) {
    if (registry.stats.get().total > 0) yield note('index.missing', `${file} is not there: openings take longer`, more)
  } else if (reachesBehind(index, endOfContent(disk))) {
    const message = `${file} reaches behind the end of the journal: records are lost`
    yield problem('index.ahead', message, { file, advice: FROM_BACKUP })
  } else if (!tells(index, journal, registry)) {
    yield problem('index.wrong', `${file} does not tell what the journal holds`, more)
  }
}

/** What is told of a session may be newer than the index as a whole. */
const reachesBehind = ({ through, entries }: IndexFile, end: Position): boolean =>
  through > end || entries.some(({ position }) => position >= end)

/** Where what was written ends: space that is reserved behind it is no record. */
function endOfContent(disk: Disk): Position {
  const files = new OpenFiles(disk)
  try {
    const { segments, floor } = findSegments(disk, files)
    floor?.close()
    const last = segments.at(-1)
    return last ? endOf(last) : (floor?.through ?? 0)
  } finally {
    files.close()
  }
}

/** True when the index and what came after it give what the journal alone gives. */
function tells(index: IndexFile, journal: OpenedForReading, registry: Registry): boolean {
  if (index.through < journal.begin) return true // of an earlier time: an opening begins at the floor
  const told = new Registry()
  told.load(index.entries)
  follow(told, journal, index.through)
  return textOf(told) === textOf(registry)
}

const textOf = (registry: Registry): string =>
  [...registry.entries()]
    .map((entry) => JSON.stringify(Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))))
    .sort()
    .join('\n')

/** An index that cannot be read is not moved by looking at it. */
function indexOf(disk: Disk): { readonly index?: IndexFile; readonly reason?: string } {
  let reason: string | undefined
  const index = createFileSnapshots(disk, (damage) => {
    reason = damage.reason
  }).readIndex()
  return { ...(index && { index }), ...(reason !== undefined && { reason }) }
}

function* snapshotFindings(patient: Patient): Generator<Finding> {
  const { disk } = patient
  for (const folder of disk.list('sessions')) {
    for (const name of disk.list(`sessions/${folder}`)) {
      if (!name.endsWith('.tmp')) yield* snapshotFinding(patient, `sessions/${folder}/${name}`)
    }
  }
}

function* snapshotFinding({ disk, registry, harmed }: Patient, file: string): Generator<Finding> {
  const repair: Repair = { kind: 'set-aside', file }
  const id = file.slice(file.lastIndexOf('/') + 1, -'.json'.length)
  if (!file.endsWith('.json') || !isId(id) || pathOf(id) !== file) {
    return yield note('stranger', `${file} is not of Holdfast`, { file })
  }
  const { state, finding } = readSnapshot(disk, id, file)
  if (finding) return yield finding
  const entry = registry.get(id)
  if (!state) return
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

function* sessionFindings(patient: Patient): Generator<Finding> {
  const { registry, unreadable } = patient
  for (const entry of registry.entries()) {
    const reason = unreadable.get(entry.id) ?? whyUnreadable(patient, entry)
    if (reason) {
      const advice = 'restore the directory from a backup, or delete the session; it is never begun anew'
      yield problem('session.unreadable', `session ${entry.id}: ${reason.message}`, { session: entry.id, advice })
    }
  }
  yield* versionFindings(patient)
}

function whyUnreadable({ disk, journal }: Patient, entry: IndexEntry): Error | undefined {
  try {
    loadState(
      journal,
      createFileSnapshots(disk, () => {}),
      entry,
    )
    return undefined
  } catch (error) {
    // Told of as the snapshot that it is.
    return isHoldfastError(error, 'FORMAT_NEWER') ? undefined : (error as Error)
  }
}

/** Active sessions of a version that the directory was not opened with last: they are parked. */
function* versionFindings({ disk, registry }: Patient): Generator<Finding> {
  const kinds = readDirectoryFile(disk)?.kinds ?? {}
  const counts = new Map<string, number>()
  for (const { kind, version } of registry.select({ status: 'active' })) {
    if (kinds[kind] === undefined || kinds[kind] === version) continue
    const group = `of kind "${kind}", version ${version}; it was opened last with version ${kinds[kind]}`
    counts.set(group, (counts.get(group) ?? 0) + 1)
  }
  for (const [group, count] of counts) {
    yield note('session.other-version', `${count} active sessions are ${group}: they may be parked`)
  }
}

/** Files that have no place here, or never got their name. */
function* fileFindings({ disk, owner }: Patient): Generator<Finding> {
  const folders = ['', 'journal', ...disk.list('sessions').map((folder) => `sessions/${folder}`)]
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

function* quarantineFindings({ disk }: Patient): Generator<Finding> {
  for (const name of disk.list('quarantine')) {
    const file = `quarantine/${name}`
    const bytes = readAll(disk, file)?.length ?? 0
    const advice = 'look at it; when nothing in it is missed, it can be removed by hand'
    yield note('quarantine', `${file} was set aside earlier: ${bytes} bytes`, { file, advice })
  }
}

export interface RepairPorts {
  readonly disk: Disk
  readonly clock: Clock
  /** The highest epoch that the lock file tells. */
  readonly epoch: number
  /** Hears of the epoch with which the journal was opened. */
  began(epoch: number): void
}

/** Does what the findings say, and tells what was done. The caller holds the lock. Throws DISK_FULL or DISK_FAILED. */
export async function repairFiles(ports: RepairPorts, diagnosis: Diagnosis): Promise<Diagnosis> {
  const { disk } = ports
  const wanted = new Set(diagnosis.findings.map(({ repair }) => repair?.kind))
  const files = new DurableFiles(disk)
  const moved = new Map<string, boolean>()
  for (const { repair } of diagnosis.findings) {
    if (repair?.kind === 'set-aside') moved.set(repair.file, files.quarantine(repair.file) !== undefined)
  }
  if (wanted.has('renew-journal')) await renewJournal(ports)
  if (wanted.has('rebuild-index')) await rebuildIndex(disk, files)
  if (wanted.has('rewrite-directory-file')) await rewriteDirectoryFile(disk, files)
  const findings = diagnosis.findings.map((finding) => {
    const { repair } = finding
    if (!repair) return finding
    return { ...finding, done: repair.kind === 'set-aside' ? moved.get(repair.file) === true : true }
  })
  return diagnosisOf(diagnosis.dir, diagnosis.sessions, findings)
}

async function renewJournal({ disk, clock, epoch, began }: RepairPorts): Promise<void> {
  const opened = openFileJournal(disk, clock, { epoch })
  began(opened.epoch)
  await opened.journal.close()
}

async function rebuildIndex(disk: Disk, files: DurableFiles): Promise<void> {
  if (readAll(disk, 'index.jsonl')) files.quarantine('index.jsonl')
  const entries = [...journalTells(disk).entries()]
  // Complete up to the last record. Behind it nothing is known to be: the file may have space that is reserved.
  const through = Math.max(0, ...entries.map(({ position }) => position + 1))
  await createFileSnapshots(disk, () => {}).writeIndex({ through, entries })
}

async function rewriteDirectoryFile(disk: Disk, files: DurableFiles): Promise<void> {
  if (readAll(disk, DIRECTORY_FILE)) files.quarantine(DIRECTORY_FILE)
  const kinds: Record<string, number> = {}
  for (const { kind, version } of journalTells(disk).entries()) {
    kinds[kind] = Math.max(kinds[kind] ?? 0, version)
  }
  await replaceFile(disk, DIRECTORY_FILE, Buffer.from(`${JSON.stringify({ holdfast: FORMAT, kinds }, null, 2)}\n`))
}

function journalTells(disk: Disk): Registry {
  const journal = readFileJournal(disk, () => {})
  try {
    const registry = new Registry()
    registry.load(journal.floors(() => {}))
    follow(registry, journal, journal.begin)
    return registry
  } finally {
    journal.close()
  }
}
