// The doctor of a database: SQLite's own check, then ours of every row, and what would be done about it. Examining changes
// nothing. Where SQLite finds the file itself damaged nothing is repaired: that is for a backup.

import { isDeepStrictEqual } from 'node:util'
import { AUDIT_FOLDER, type AuditHead, verifyingAudit } from '../audit-chain.js'
import { describeDamage, isAhead, noteOnce, touchedBy } from '../damage.js'
import {
  auditFindings,
  type Diagnosis,
  diagnosisOf,
  type Finding,
  type FindingCode,
  otherVersions,
  type Repair,
} from '../diagnosis.js'
import { readAll, replaceFile } from '../disk.js'
import { isHoldfastError } from '../errors.js'
import { loadState } from '../history.js'
import type { Damage, ReadableJournal } from '../journal.js'
import { livingOwnerOf, takeLock } from '../lock.js'
import { Registry } from '../registry.js'
import type { StorageWorld } from '../storage.js'
import { atOnce, collected, inTurns, lots, type Turns } from '../turns.js'
import { integrityOf } from './backup.js'
import { Database } from './database.js'
import { readLog } from './log.js'
import { besideOf, type Place, placeOf, requireThere } from './place.js'
import { frozen, readableOn } from './reader.js'
import { headOf } from './schema.js'
import { type SnapshotDamage, SqliteSnapshots } from './snapshots.js'
import { following, type Told, telling, told } from './told.js'

const FROM_BACKUP = 'restore it from a backup; without one, the sessions that are named can only be deleted'

/** Rejects with DIRECTORY_NOT_FOUND, FORMAT_NEWER, DISK_FULL, DISK_FAILED and, with `repair`, DIRECTORY_LOCKED. */
export async function examineDatabase(
  path: string,
  world: StorageWorld,
  repair: boolean,
  kept?: AuditHead,
): Promise<Diagnosis> {
  const place = placeOf(path, world)
  requireThere(place)
  if (!repair) return inTurns(examine(place, world, kept), world.clock)
  const lock = takeLock(place.folder, world.clock, place.lock, place.path)
  try {
    return await repaired(place, atOnce(examine(place, world, kept, true)), new Date(world.clock.now()).toISOString())
  } finally {
    lock.free()
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

function* examine(place: Place, world: StorageWorld, kept: AuditHead | undefined, locked = false): Turns<Diagnosis> {
  const findings: Finding[] = [...lockFindings(place, locked), ...logFindings(place)]
  let sessions = 0
  try {
    const db = frozen(place)
    try {
      findings.push(...integrityFindings(db))
      yield
      const patient = yield* admit(db)
      sessions = patient.registry.stats.get().total
      for (const looking of [
        journalFindings(patient),
        indexFindings(patient),
        snapshotFindings(patient),
        sessionFindings(patient),
        quarantineFindings(db),
      ])
        yield* collected<Finding>(looking, findings)
    } finally {
      db.close()
    }
  } catch (error) {
    // What is told already need not be told again; other errors are of the caller, or of the disk.
    if (!isHoldfastError(error, 'JOURNAL_CORRUPT')) throw error
    const more = { file: place.name, advice: FROM_BACKUP }
    if (!findings.some(({ code }) => code === 'database.damaged'))
      findings.push(problem('database.damaged', error.message, more))
  }
  const audit = yield* verifyingAudit(besideOf(place, world), AUDIT_FOLDER, kept)
  const owned = !locked && livingOwnerOf(place.folder, place.lock) !== undefined
  findings.push(...auditFindings(audit, owned, `${place.name}-http/`))
  const diagnosis = diagnosisOf(place.path, sessions, findings)
  return audit.entries === 0 ? diagnosis : { ...diagnosis, audit: audit.head }
}

interface Patient extends Told {
  readonly db: Database
  readonly journal: ReadableJournal
  readonly damage: readonly Damage[]
  /** Records that were durable are gone: nothing that may be the last trace of a session is moved. */
  readonly harmed: boolean
}

function* admit(db: Database): Turns<Patient> {
  const damage: Damage[] = []
  const journal = readableOn(db, (found) => noteOnce(damage, found))
  const all = yield* telling(journal, (found) => noteOnce(damage, found))
  const known = indexOf(db).index?.through ?? journal.begin
  for (const { entry, reason } of touchedBy(damage, all.registry.entries(), known)) all.unreadable.set(entry.id, reason)
  return { ...all, db, journal, damage, harmed: all.unreadable.size > 0 || damage.length > 0 }
}

const indexOf = (db: Database) => {
  let reason: string | undefined
  const index = reading(db, (found) => {
    reason = found.reason
  }).readIndex()
  return { index, reason }
}

const reading = (db: Database, onDamage: (damage: SnapshotDamage) => void): SqliteSnapshots =>
  new SqliteSnapshots(db, { onDamage })

function* lockFindings({ folder, lock }: Place, locked: boolean): Generator<Finding> {
  const owner = locked ? undefined : livingOwnerOf(folder, lock)
  if (owner) yield note('lock', `process ${owner.pid} has the database open, since ${owner.since}`, { file: lock })
}

function* logFindings({ folder, log }: Place): Generator<Finding> {
  const state = readLog(folder, log)
  if (state.kind !== 'corrupt') return
  const message = `${log} is corrupt at offset ${state.offset}: transitions behind it, which were acknowledged, cannot be read`
  yield problem('database.log', message, { file: log, repair: { kind: 'set-aside', file: log } })
}

function* integrityFindings(db: Database): Generator<Finding> {
  for (const said of integrityOf(db))
    yield problem('database.damaged', `${db.name}: ${said}`, { file: db.name, advice: FROM_BACKUP })
}

function* journalFindings({ damage }: Patient): Generator<Finding> {
  for (const found of damage)
    yield problem(`journal.${found.kind}`, describeDamage(found), { file: found.file, advice: FROM_BACKUP })
}

function* indexFindings({ db, journal, registry, harmed }: Patient): Generator<Finding | undefined> {
  const file = `${db.name}/directory`
  const { index, reason } = indexOf(db)
  const repair: Repair = { kind: 'rebuild-index' }
  // An index of what is left would hide that records are lost.
  const more = { file, ...(!harmed && { repair }) }
  if (reason !== undefined) yield problem('index.damaged', reason, more)
  else if (!index) {
    if (registry.stats.get().total > 0) yield note('index.missing', `${file} is empty: openings take longer`, more)
  } else if (isAhead(index, journal.end)) {
    const message = `${file} reaches behind the end of the journal: records are lost`
    yield problem('index.ahead', message, { file, advice: FROM_BACKUP })
  } else if (index.through >= journal.begin) {
    const known = new Registry()
    yield* lots(index.entries, (lot) => known.load(lot))
    yield* following(known, journal, index.through)
    const [one, other] = [known, registry].map((each) => new Map([...each.entries()].map((entry) => [entry.id, entry])))
    if (!isDeepStrictEqual(one, other))
      yield problem('index.wrong', `${file} does not tell what the journal holds`, more)
  }
}

function* snapshotFindings({ db, registry, harmed }: Patient): Generator<Finding | undefined> {
  for (const id of reading(db, () => {}).ids()) {
    yield undefined
    const file = `${db.name}/snapshots/${id}`
    const repair: Repair = { kind: 'set-aside', file }
    let finding: Finding | undefined
    const state = reading(db, ({ reason }) => {
      finding = problem('snapshot.damaged', `${file}: ${reason}; the journal has everything`, {
        file,
        session: id,
        repair,
      })
    }).read(id)
    if (finding) yield finding
    const entry = registry.get(id)
    if (!state) continue
    if (!entry || entry.createdAt !== state.createdAt) {
      const more = harmed ? { advice: 'it may be all that is left of it: keep it' } : { repair }
      yield note('snapshot.orphaned', `${file} is of a session that is gone`, { file, session: id, ...more })
    } else if (state.seq > entry.seq) {
      const message = `${file} is of transition ${state.seq}, and the journal ends at ${entry.seq}: records are lost`
      yield problem('snapshot.ahead', message, { file, session: id, advice: FROM_BACKUP })
    }
  }
}

function* sessionFindings({ db, journal, registry, unreadable }: Patient): Generator<Finding | undefined> {
  const snapshots = reading(db, () => {})
  for (const entry of registry.entries()) {
    yield undefined
    let reason = unreadable.get(entry.id)
    try {
      if (!reason) loadState(journal, snapshots, entry)
    } catch (error) {
      reason = error as Error
    }
    if (!reason) continue
    const advice = 'restore the database from a backup, or delete the session; it is never begun anew'
    const message = `session ${entry.id} (${entry.kind}) cannot be read: ${reason.message}`
    yield problem('session.unreadable', message, { session: entry.id, advice })
  }
  yield* otherVersions(registry.select({ status: 'active' }), headOf(db, 'kinds') ?? {})
}

function* quarantineFindings(db: Database): Generator<Finding> {
  const sql = 'SELECT number, CAST(what AS BLOB), length(content) FROM quarantine ORDER BY number'
  for (const [number, what, bytes] of db.all<[number, Buffer, number]>(sql)) {
    const file = `${db.name}/quarantine/${number}`
    const advice = 'look at it; when nothing in it is missed, its row can be removed by hand'
    yield note('quarantine', `${file} was set aside earlier: ${bytes} bytes of ${what.toString('latin1')}`, {
      file,
      advice,
    })
  }
}

/** Does what the findings say, and tells what was done. The caller holds the lock. */
async function repaired(place: Place, diagnosis: Diagnosis, at: string): Promise<Diagnosis> {
  const { findings } = diagnosis
  const repairs = findings.flatMap(({ repair }) => repair ?? [])
  // Where the file itself is damaged, what is written now may overwrite what could still be read.
  if (repairs.length === 0 || findings.some(({ code }) => code === 'database.damaged')) return diagnosis
  if (findings.some(({ code }) => code === 'database.log')) await keepLog(place, at)
  const db = new Database(place.path, 'rw')
  const done = new Set<Repair>()
  try {
    const snapshots = new SqliteSnapshots(db, { onDamage: () => {}, now: () => at })
    for (const repair of repairs) {
      const id = repair.kind === 'set-aside' ? repair.file.split('/snapshots/')[1] : undefined
      if (repair.kind === 'rebuild-index') await rebuildIndex(db, snapshots)
      else if (id !== undefined && snapshots.setAside(id) === undefined) continue
      done.add(repair)
    }
    // What SQLite could read of the log is in the file, and the log is begun anew.
    db.checkpoint('TRUNCATE')
  } finally {
    db.close()
  }
  const after = findings.map((finding) => (finding.repair ? { ...finding, done: done.has(finding.repair) } : finding))
  return diagnosisOf(diagnosis.dir, diagnosis.sessions, after)
}

/** Beside the database, since it is no row of it. */
async function keepLog({ folder, log }: Place, at: string): Promise<void> {
  const bytes = readAll(folder, log)
  if (bytes) await replaceFile(folder, `${log}.${at.replaceAll(':', '-')}.corrupt`, bytes)
}

async function rebuildIndex(db: Database, snapshots: SqliteSnapshots): Promise<void> {
  const journal = readableOn(db, () => {})
  const { registry } = told(journal, () => {})
  await snapshots.writeIndex({ through: journal.end, entries: registry.entries() })
}
