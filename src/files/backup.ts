// A backup: one tar file with the journal of a directory up to one position, and at its end what proves that it is whole.
// Snapshots, index and quarantine are not in it: the journal has everything. What is taken is decided first and read then, so
// that whatever the directory's owner does meanwhile, what is written is the directory at one moment. `tar xf` unpacks it.
//
//   holdfast.json                     as it was
//   journal/floor.jsonl               if anything was dropped
//   journal/00000001.jsonl …          segments, without space that was reserved
//   backup.json                       { holdfast, at, end, files: [{ path, bytes, sha256 }], sha256 } — sha256 over the others

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { basename, dirname, resolve, sep } from 'node:path'
import { createTarPacker } from 'modern-tar'
import type { Backup } from '../backup.js'
import { DIRECTORY_FILE } from '../directory.js'
import { type Disk, type DiskFile, readFrom, replaceFile, writeAll } from '../disk.js'
import { HoldfastError } from '../errors.js'
import type { Damage } from '../journal.js'
import type { Position } from '../record.js'
import { findSegments, lookAgain, misplaced } from './claims.js'
import { createFileDisk } from './disk.js'
import { FLOOR } from './floor.js'
import { FORMAT } from './format.js'
import { OpenFiles } from './open-files.js'
import { realPath } from './real-path.js'
import { checkSeams } from './seams.js'
import { orClose, recordsEnd } from './segments.js'
import { storageError } from './storage-error.js'

export const MANIFEST = 'backup.json'

export interface BackedUpFile {
  readonly path: string
  readonly bytes: number
  readonly sha256: string
}

export interface Manifest {
  readonly holdfast: number
  readonly at: string
  readonly end: Position
  readonly files: readonly BackedUpFile[]
  readonly sha256: string
}

export interface BackupJob {
  readonly source: Disk
  /** Where the journal's durable part ends, for whoever knows; else it ends with its last whole record. */
  readonly end: Position | undefined
  readonly target: Disk
  /** The backup's path on the target. */
  readonly name: string
  /** The time, ISO 8601. */
  readonly at: string
}

const CHUNK_BYTES = 1024 * 1024

/** A file to be backed up, open, up to a length. */
interface Part {
  readonly path: string
  readonly file: DiskFile
  readonly bytes: number
}

/**
 * Writes a backup to a file outside of the directory. Rejects with FILE_NOT_FOUND when there is no such folder, INVALID_ARGUMENT
 * when the file is in the directory, where it would replace what it is a backup of, and as `writeBackup`.
 */
export async function backUp(path: string, source: Disk, end: Position | undefined, at: string): Promise<Backup> {
  const whole = resolve(path)
  const target = createFileDisk(dirname(whole))
  if (!existsSync(target.location)) {
    throw new HoldfastError('FILE_NOT_FOUND', `there is no folder ${target.location}; make it first`)
  }
  const real = realPath(source.location)
  if (`${realPath(whole)}${sep}`.startsWith(real.endsWith(sep) ? real : `${real}${sep}`)) {
    const what = `a backup of ${source.location} cannot be written to ${whole}, which is in it; name a file outside`
    throw new HoldfastError('INVALID_ARGUMENT', what, { details: { file: whole } })
  }
  return { path: whole, ...(await writeBackup({ source, end, target, name: basename(whole), at })) }
}

/** Replaces the target's file as a whole. Throws FORMAT_NEWER, DISK_FULL or DISK_FAILED; then it is as it was. */
export async function writeBackup(job: BackupJob): Promise<Omit<Backup, 'path'>> {
  const { parts, end, damage, close } = lookAgain(() => take(job))
  try {
    let bytes = 0
    await replaceFile(job.target, job.name, async (file) => {
      bytes = await pack(file, parts, new Date(job.at), (files) => manifestOf(job.at, end, files))
    })
    return { bytes, end, damage }
  } catch (error) {
    throw storageError(error, job.name)
  } finally {
    close()
  }
}

/** Decides at once what is taken: from here on the directory may change. Sealed segments are opened when they are read. */
function take({ source, end: known }: BackupJob): {
  readonly parts: Part[]
  readonly end: Position
  readonly damage: readonly Damage[]
  close(): void
} {
  const files = new OpenFiles(source)
  const kept: { close(): void }[] = []
  const close = (): void => {
    files.close()
    for (const file of kept) file.close()
  }
  const keep = (path: string): DiskFile | undefined => {
    const file = source.openRead(path)
    if (file) kept.push(file)
    return file
  }
  return orClose({ close }, () => {
    const found = findSegments(source, files)
    const { segments } = found
    if (found.floor) kept.push(found.floor)
    const last = segments.at(-1)
    // Its name may be given to another file meanwhile, by a writer that goes on from it.
    if (last) last.file = keep(last.path) ?? last.file
    const directory = keep(DIRECTORY_FILE)
    const end = known ?? (last ? recordsEnd(last) : 0)
    const parts: Part[] = directory ? [{ path: DIRECTORY_FILE, file: directory, bytes: directory.size() }] : []
    const floor = found.floor && keep(FLOOR)
    if (floor) parts.push({ path: FLOOR, file: floor, bytes: floor.size() })
    for (const [index, { file, path, base }] of segments.entries()) {
      const length = (segments[index + 1]?.base ?? end) - base
      if (length > 0) parts.push({ path, file, bytes: Math.min(length, file.size()) })
    }
    return { parts, end, damage: [...found.damage, ...misplaced(found), ...checkSeams(segments, found.floor)], close }
  })
}

/** Gives how long the archive is. Reading waits for writing, so that little of it is in memory. `mtime` is what its files say. */
async function pack(
  target: DiskFile,
  parts: readonly Part[],
  mtime: Date,
  conclude: (files: readonly BackedUpFile[]) => Manifest,
): Promise<number> {
  const { readable, controller } = createTarPacker()
  const feed = async (): Promise<void> => {
    try {
      const files: BackedUpFile[] = []
      for (const part of parts)
        files.push(await add(controller, { name: part.path, size: part.bytes, mtime }, chunksOf(part)))
      const manifest = Buffer.from(`${JSON.stringify(conclude(files), null, 2)}\n`)
      await add(controller, { name: MANIFEST, size: manifest.length, mtime }, [manifest])
      controller.finalize()
    } catch (error) {
      controller.error(error)
      throw error
    }
  }
  const write = async (): Promise<number> => {
    let position = 0
    for await (const chunk of readable) {
      await writeAll(target, chunk, position)
      position += chunk.length
    }
    return position
  }
  const [, bytes] = await Promise.all([feed(), write()])
  return bytes
}

async function add(
  controller: ReturnType<typeof createTarPacker>['controller'],
  { name, size, mtime }: { readonly name: string; readonly size: number; readonly mtime: Date },
  chunks: Iterable<Uint8Array>,
): Promise<BackedUpFile> {
  const hash = createHash('sha256')
  const writer = controller.add({ name, size, mtime, mode: 0o600 }).getWriter()
  for (const chunk of chunks) {
    hash.update(chunk)
    await writer.write(chunk)
  }
  await writer.close()
  return { path: name, bytes: size, sha256: hash.digest('hex') }
}

function* chunksOf({ path, file, bytes }: Part): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes; ) {
    const chunk = readFrom(file, offset, Math.min(offset + CHUNK_BYTES, bytes))
    if (chunk.length === 0) throw new Error(`${path} has become shorter while it was read`)
    yield chunk
    offset += chunk.length
  }
}

function manifestOf(at: string, end: Position, files: readonly BackedUpFile[]): Manifest {
  return sealed({ holdfast: FORMAT, at, end, files })
}

/** A manifest with its own checksum. */
export function sealed(manifest: Omit<Manifest, 'sha256'>): Manifest {
  const { holdfast, at, end, files } = manifest
  const sha256 = createHash('sha256').update(JSON.stringify({ holdfast, at, end, files })).digest('hex')
  return { holdfast, at, end, files, sha256 }
}
