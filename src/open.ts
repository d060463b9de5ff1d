// The default wiring: a runtime on a directory of files, steps on worker threads. The only file here that knows the
// adapters. It takes the directory's lock before it changes anything, and refuses what a newer Holdfast wrote, untouched.

import { openAudit } from './audit.js'
import type { AuditHead } from './audit-chain.js'
import type { Backup, Restored } from './backup.js'
import type { Chance } from './chance.js'
import type { Clock } from './clock.js'
import { describeDamage } from './damage.js'
import type { AnySessionKind } from './define.js'
import type { Diagnosis } from './diagnosis.js'
import { DIRECTORY_FILE, type DirectoryFile, directoryText, readDirectoryFile, refuseForeign } from './directory.js'
import { type Disk, readAll, readFrom, replaceFile } from './disk.js'
import { HoldfastError } from './errors.js'
import { absentFile } from './files/absent-file.js'
import { createFileDisk } from './files/disk.js'
import { examineFiles, examining } from './files/doctor.js'
import { DurableFiles } from './files/durable-file.js'
import type { FileJournal, FileJournalOptions } from './files/journal.js'
import { openFileJournal } from './files/open-journal.js'
import { openFileReader } from './files/reader.js'
import { repairFiles } from './files/repair.js'
import { createFileSnapshots } from './files/snapshots.js'
import { createInlinePool } from './inline/pool.js'
import type { Damage } from './journal.js'
import { kindsByName } from './kinds.js'
import { livingOwnerOf, takeLock, unwritable } from './lock.js'
import { consoleLogger, guarded, type Logger } from './logger.js'
import { createMemoryJournal } from './memory/journal.js'
import { createMemorySnapshots } from './memory/snapshots.js'
import { admitOptions } from './options.js'
import type { PassivationLimits } from './passivation.js'
import { createPiscinaPool } from './piscina/pool.js'
import type { Pool } from './pool.js'
import type { Ports } from './ports.js'
import type { Reader } from './reader.js'
import type { Position } from './record.js'
import { isDroppedMeanwhile } from './refusals.js'
import type { RetentionRules } from './retention.js'
import { createRuntime, type Runtime, type RuntimeOptions } from './runtime.js'
import { type SecretValues, secretsOf } from './secrets.js'
import type { Storage, StorageWorld } from './storage.js'
import { systemChance } from './system/chance.js'
import { systemClock } from './system/clock.js'
import { tokenIn } from './token.js'
import type { Tracing } from './tracing.js'
import { inTurns } from './turns.js'
import type { Verification } from './verify.js'

export interface OpenOptions extends PassivationLimits {
  readonly kinds: readonly AnySessionKind[]
  /** The data directory, created if absent, and nothing else's; default `.holdfast`. */
  readonly dir?: string
  /** `memory` keeps everything in this process only, on purpose; default `files`. Another: what `holdfast/sqlite` gives. */
  readonly storage?: 'files' | 'memory' | Storage
  /** Where steps run; default `threads`. */
  readonly pool?: 'threads' | 'inline' | Pool
  /** Worker threads at most; default: as many as there are cores, at least 4. */
  readonly workers?: number
  readonly logger?: Logger
  /** What time it is, and who waits: the system's clock, or one that a test moves (`createVirtualClock`). */
  readonly clock?: Clock
  /** Transitions of one session that may wait for the disk; default 10,000. */
  readonly mailboxLimit?: number
  /** Characters of JSON that one event, or what it changes, may have; default 16 Mi. Larger: RECORD_TOO_LARGE. */
  readonly changeLimit?: number
  /**
   * Texts of at least 8 characters that must not be recorded, shown or logged, by name. A step gets one by
   * `ctx.secret(name)`; everywhere else `[redacted:name]` stands in its place.
   */
  readonly secrets?: SecretValues
  /** Who makes spans of what happens: what `holdfast/opentelemetry` gives. */
  readonly tracing?: Tracing
  /** How long sessions that have ended are kept, by kind; those of a kind that is not named here stay. */
  readonly retention?: RetentionRules
  /** How much history is kept at least, in bytes of the journal; default 1 GiB. Older parts are dropped. */
  readonly historyBytes?: number
}

export interface ReadOptions {
  /** The data directory; default `.holdfast`. */
  readonly dir?: string
  /** Instead of a directory: what `holdfast/sqlite` gives. */
  readonly storage?: Storage
}

const OPEN_OPTIONS = {
  kinds: true,
  dir: true,
  storage: true,
  pool: true,
  workers: true,
  logger: true,
  clock: true,
  mailboxLimit: true,
  changeLimit: true,
  secrets: true,
  tracing: true,
  liveLimit: true,
  idleMs: true,
  retention: true,
  historyBytes: true,
} as const

/**
 * Opens a data directory and everything in it. Sessions with work to do go on at once.
 * Throws INVALID_ARGUMENT, DIRECTORY_LOCKED naming the owner, DIRECTORY_NOT_EMPTY for a folder of other files,
 * DIRECTORY_NOT_WRITABLE, FORMAT_NEWER, DISK_FULL or DISK_FAILED.
 */
export async function openRuntime(options: OpenOptions): Promise<Runtime> {
  admitOptions('options of openRuntime', options, OPEN_OPTIONS)
  // Before anything is made.
  const named = kindsByName(options?.kinds)
  secretsOf(options.secrets)
  const {
    kinds,
    logger = consoleLogger,
    clock = systemClock,
    mailboxLimit,
    changeLimit,
    secrets,
    tracing,
    liveLimit,
    idleMs,
    retention,
    historyBytes,
  } = options
  const common = {
    ...{ kinds, logger },
    ...(mailboxLimit !== undefined && { mailboxLimit }),
    ...(changeLimit !== undefined && { changeLimit }),
    ...(secrets && { secrets }),
    ...(tracing && { tracing }),
    ...(liveLimit !== undefined && { liveLimit }),
    ...(idleMs !== undefined && { idleMs }),
    ...(retention && { retention }),
    ...(historyBytes !== undefined && { historyBytes }),
  }
  if (typeof options.pool !== 'object') tellAbsentSteps(named.values(), guarded(logger))
  const chance = systemChance
  if (options.storage === 'memory') {
    const storage = { journal: createMemoryJournal(clock), snapshots: createMemorySnapshots() }
    return createRuntime({ ...storage, pool: poolOf(options, clock), clock, chance }, common)
  }
  const { storage } = options
  if (typeof storage === 'object') {
    refuseBoth(options)
    const versions = Object.fromEntries(kinds.map(({ kind, version }) => [kind, version]))
    const { ports, damage } = storage.open(worldOf(clock, logger), versions)
    return startOn({ ports: { ...ports, pool: poolOf(options, clock), clock, chance }, damage }, common)
  }
  const disk = createFileDisk(options.dir ?? '.holdfast')
  return startOn(await openFiles(disk, kinds, clock, chance, logger, () => poolOf(options, clock)), common)
}

/** Steps that are not there are found out when the first of them runs, which may be long after. */
function tellAbsentSteps(kinds: Iterable<AnySessionKind>, logger: Logger): void {
  const told = new Set<string>()
  for (const { kind, steps } of kinds) {
    const path = steps === undefined || told.has(steps) ? undefined : absentFile(steps)
    if (path === undefined) continue
    told.add(steps as string)
    logger.warn({ kind, steps }, `the steps of session kind "${kind}" are not there: no file ${path}; is it compiled?`)
  }
}

/** A runtime on what was opened. Throws INVALID_KIND, INVALID_ARGUMENT, DISK_FULL or DISK_FAILED; then that is free. */
export async function startOn(
  { disk, ports, damage }: Omit<OpenFiles, 'disk'> & Partial<Pick<OpenFiles, 'disk'>>,
  options: RuntimeOptions,
): Promise<Runtime> {
  try {
    return await createRuntime(ports, { ...options, damage })
  } catch (error) {
    await Promise.allSettled([ports.pool.close(), ports.journal.close()])
    ports.release?.()
    throw disk === undefined || (error as { syscall?: unknown }).syscall === undefined ? error : unwritable(disk, error)
  }
}

/**
 * Reads a data directory that may belong to another process: takes no lock, writes nothing, starts no session.
 * Throws DIRECTORY_NOT_FOUND, DIRECTORY_NOT_READABLE, FORMAT_NEWER or DISK_FAILED.
 */
export function openReader(options: ReadOptions = {}): Reader {
  const { dir = '.holdfast', storage } = options
  refuseBoth(options)
  return storage ? storage.read(worldOf()) : openFileReader(createFileDisk(dir))
}

/** A directory and a storage are two places. */
function refuseBoth({ dir, storage }: { readonly dir?: string; readonly storage?: unknown }): void {
  if (dir === undefined || typeof storage !== 'object') return
  throw new HoldfastError('INVALID_ARGUMENT', 'dir is the directory of files; leave it out, or the storage')
}

const worldOf = (clock: Clock = systemClock, logger: Logger = consoleLogger): StorageWorld => ({
  ...{ clock, logger },
  folder: createFileDisk,
})

export interface DoctorOptions extends ReadOptions {
  /** Do what the findings say; default: only say it. */
  readonly repair?: boolean
  /** A head of the audit log, kept elsewhere, that must still be in it: it shows that the log's end was cut off. */
  readonly auditHead?: AuditHead
}

/**
 * Reads everything in a data directory and says what is wrong with it, beside its owner if it has one. With `repair`, does
 * what the findings say; what is taken away or replaced is then in `quarantine/`.
 * Rejects with INVALID_ARGUMENT, DIRECTORY_NOT_FOUND, FORMAT_NEWER, DISK_FULL, DISK_FAILED and, with `repair`, DIRECTORY_LOCKED.
 *
 * ```ts
 * const { healthy, findings } = await doctor({ dir: '.holdfast' })
 * ```
 */
export async function doctor(options: DoctorOptions = {}): Promise<Diagnosis> {
  admitOptions('options of doctor', options, { dir: true, storage: true, repair: true, auditHead: true })
  refuseBoth(options)
  const { dir = '.holdfast', storage, repair = false, auditHead } = options
  if (storage) return await storage.examine(worldOf(), repair, auditHead)
  const disk = createFileDisk(dir)
  try {
    const diagnosis = await examined(disk, auditHead)
    return repair ? await repaired(disk, systemClock, auditHead) : diagnosis
  } catch (error) {
    throw unwritable(disk, error)
  }
}

/** How often a directory is examined again whose owner has dropped a part of it meanwhile. */
const TRIES = 5

/** Others have their turn meanwhile, the directory's owner among them if it is in this process. */
async function examined(disk: Disk, auditHead: AuditHead | undefined): Promise<Diagnosis> {
  for (let tries = 1; ; tries++) {
    try {
      return await inTurns(examining(disk, livingOwnerOf(disk), auditHead), systemClock)
    } catch (error) {
      if (!isDroppedMeanwhile(error) || tries === TRIES) throw error
    }
  }
}

/** Examined again, now that nobody else can change anything. */
async function repaired(disk: Disk, clock: Clock, auditHead: AuditHead | undefined): Promise<Diagnosis> {
  const lock = takeLock(disk, clock)
  try {
    return await repairFiles(
      { disk, clock, epoch: lock.epoch, began: lock.began },
      examineFiles(disk, undefined, auditHead),
    )
  } finally {
    lock.free()
  }
}

export interface VerifyOptions extends ReadOptions {
  /** Those that a deploy would open the directory with. */
  readonly kinds: readonly AnySessionKind[]
  /** Only sessions that are active; default: all. */
  readonly active?: boolean
  readonly signal?: AbortSignal
}

/** Long enough for a clock to have moved on. */
const VERIFY_PAUSE_MS = 3

/**
 * What these kinds would make of what is stored: every session is decided once more by today's machines and compared with
 * what was recorded, and migrated and restored for a try. Beside its owner; nothing is changed and nothing runs.
 * Rejects with INVALID_ARGUMENT, INVALID_KIND, DIRECTORY_NOT_FOUND, FORMAT_NEWER, DISK_FAILED or ABORTED.
 *
 * ```ts
 * const { unfit } = await verify({ dir: '.holdfast', kinds: [review] })
 * ```
 */
export async function verify(options: VerifyOptions): Promise<Verification> {
  admitOptions('options of verify', options, { dir: true, storage: true, kinds: true, active: true, signal: true })
  const { dir, storage, kinds, active = false, signal } = options
  const named = kindsByName(kinds)
  const reader = openReader({ ...(dir !== undefined && { dir }), ...(storage && { storage }) })
  try {
    const pause = (): Promise<void> =>
      new Promise((resolve) => void systemClock.setTimeout(() => resolve(), VERIFY_PAUSE_MS))
    const turn = (): Promise<void> => new Promise((resolve) => systemClock.soon(resolve))
    return await (await import('./verify.js')).verifySessions(reader, named, {
      activeOnly: active,
      signal,
      pause,
      turn,
    })
  } finally {
    reader.close()
  }
}

/**
 * Writes a backup of a data directory to one file, also beside its owner; a file that is there is replaced as a whole.
 * Rejects with DIRECTORY_NOT_FOUND, FORMAT_NEWER, FILE_NOT_FOUND (no such folder), DISK_FULL or DISK_FAILED.
 */
export async function backupDirectory(path: string, options: ReadOptions = {}): Promise<Backup> {
  const { dir = '.holdfast', storage } = options
  refuseBoth(options)
  if (storage) return await storage.backup(worldOf(), path)
  openReader({ dir }).close() // a directory that cannot be read is refused here
  return backupTo(path, createFileDisk(dir), undefined, systemClock)
}

/**
 * Puts a backup back, into a directory that is empty or not there; it is verified before it is there.
 * Rejects with BACKUP_CORRUPT, DIRECTORY_NOT_EMPTY, FILE_NOT_FOUND, FORMAT_NEWER, DISK_FULL or DISK_FAILED; then nothing
 * has changed.
 */
export async function restoreBackup(path: string, to: string | Storage): Promise<Restored> {
  if (typeof to === 'object') return await to.restore(worldOf(), path)
  return (await import('./files/restore.js')).restoreFiles(path, to)
}

/** How much of a backup is read at a time. */
const BACKUP_CHUNK = 64 * 1024

/** A backup in a folder, read as it is asked for. Throws FILE_NOT_FOUND, DISK_FAILED. */
export function openBackup(
  folder: string,
  name: string,
): { readonly bytes: number; readonly body: ReadableStream<Uint8Array> } {
  const file = createFileDisk(folder).openRead(name)
  if (!file) throw new HoldfastError('FILE_NOT_FOUND', `there is no backup ${name}`)
  const bytes = file.size()
  let done = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      let chunk: Uint8Array
      try {
        chunk = readFrom(file, done, done + BACKUP_CHUNK)
      } catch (error) {
        file.close()
        throw error
      }
      done += chunk.length
      if (chunk.length > 0) return controller.enqueue(chunk)
      file.close()
      controller.close()
    },
    cancel: () => file.close(),
  })
  return { bytes, body }
}

/** Loaded when it is first needed. */
async function backupTo(path: string, source: Disk, end: Position | undefined, clock: Clock): Promise<Backup> {
  const at = new Date(clock.now()).toISOString()
  return (await import('./files/backup.js')).backUp(path, source, end, at)
}

/** The token of a server whose sessions are in `dir`: the one that is kept there, or a new one. As `tokenIn`. */
export const openToken = (dir: string): Promise<string> => tokenIn(createFileDisk(dir), systemChance)

interface OpenFiles {
  readonly disk: Disk
  readonly ports: Ports
  readonly damage: readonly Damage[]
}

/** Steps in this thread, for whoever brings a clock of their own. */
export { createInlinePool } from './inline/pool.js'

/** The ports on a disk of files, for whoever brings a disk of their own. */
export async function openFiles(
  disk: Disk,
  kinds: readonly AnySessionKind[],
  clock: Clock,
  chance: Chance,
  log: Logger,
  pool: () => Pool,
  options: FileJournalOptions = {},
): Promise<OpenFiles> {
  const logger = guarded(log)
  const directory = readFormat(disk)
  const lock = takeLock(disk, clock)
  let journal: FileJournal | undefined
  try {
    const opened = openFileJournal(disk, clock, { ...options, epoch: lock.epoch })
    journal = opened.journal
    const { damage, epoch } = opened
    lock.began(epoch)
    await writeDirectoryFile(disk, directory, kinds, logger)
    for (const found of damage) {
      const { file, offset, bytes, kept } = found
      logger.warn({ file, offset, bytes, kept }, describeDamage(found))
    }
    const snapshots = createFileSnapshots(disk, ({ file, reason, kept }) =>
      logger.warn(
        { file, kept },
        `${file} cannot be read (${reason}); it is kept in ${kept}, the journal has everything`,
      ),
    )
    const backup = (path: string, end: Position): Promise<Backup> => backupTo(path, disk, end, clock)
    const ports = {
      journal,
      snapshots,
      pool: pool(),
      clock,
      chance,
      backup,
      audit: () => openAudit(disk, clock),
      release: () => lock.free(),
    }
    return { disk, ports, damage }
  } catch (error) {
    await Promise.allSettled([journal?.close()])
    lock.free()
    throw unwritable(disk, error)
  }
}

function readFormat(disk: Disk): DirectoryFile | undefined {
  try {
    refuseForeign(disk)
    return readDirectoryFile(disk)
  } catch (error) {
    throw unwritable(disk, error)
  }
}

/** One that cannot be read is kept in quarantine. */
async function writeDirectoryFile(
  disk: Disk,
  old: DirectoryFile | undefined,
  kinds: readonly AnySessionKind[],
  logger: Logger,
): Promise<void> {
  const seen = { ...old?.kinds, ...Object.fromEntries(kinds.map(({ kind, version }) => [kind, version])) }
  const text = directoryText(seen)
  const present = readAll(disk, DIRECTORY_FILE)
  if (present && new TextDecoder().decode(present) === text) return
  if (present && present.length > 0 && !old) {
    const kept = new DurableFiles(disk).quarantine(DIRECTORY_FILE)
    logger.warn({ file: DIRECTORY_FILE, kept }, `${DIRECTORY_FILE} cannot be read; it is kept, and written anew`)
  }
  await replaceFile(disk, DIRECTORY_FILE, new TextEncoder().encode(text))
}

function poolOf({ pool = 'threads', workers, secrets, logger = consoleLogger }: OpenOptions, clock: Clock): Pool {
  if (pool === 'inline') return createInlinePool({ clock })
  if (pool !== 'threads') return pool
  const { warn } = guarded(secretsOf(secrets).logger(logger))
  const onWorkerError = (err: Error): void => warn({ err }, 'a worker thread failed, outside of any step')
  return createPiscinaPool({ clock, onWorkerError, ...(workers !== undefined && { workers }) })
}
