// A backup put back: unpacked beside the place where it shall be, verified there, durable, and only then given its name.
// It never writes into a directory that has anything in it, and leaves nothing behind when it refuses.

import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { createTarDecoder, type ParsedTarEntry } from 'modern-tar'
import { backupCorrupt, type Restored } from '../backup.js'
import { DIRECTORY_FILE } from '../directory.js'
import { type Disk, type DiskFile, writeAll } from '../disk.js'
import { HoldfastError } from '../errors.js'
import type { Damage } from '../journal.js'
import { type BackedUpFile, MANIFEST, type Manifest, sealed } from './backup.js'
import { createFileDisk } from './disk.js'
import { readFileJournal } from './foreign-journal.js'
import { requireFormat } from './format.js'
import { openFileReader } from './reader.js'
import { storageError } from './storage-error.js'

const CHUNK_BYTES = 1024 * 1024

/**
 * Rejects with BACKUP_CORRUPT, DIRECTORY_NOT_EMPTY, FILE_NOT_FOUND, FORMAT_NEWER, DISK_FULL or DISK_FAILED; then nothing
 * has changed.
 */
export async function restoreFiles(path: string, dir: string): Promise<Restored> {
  const [from, to] = [resolve(path), resolve(dir)]
  requireEmpty(to)
  const file = createFileDisk(dirname(from)).openRead(basename(from))
  if (!file) throw new HoldfastError('FILE_NOT_FOUND', `there is no file ${path}; name a backup`)
  let aside: string | undefined
  try {
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 })
    aside = mkdtempSync(`${to}.restoring-`)
    const disk = createFileDisk(aside)
    const { at, files } = await unpack(file, path, disk)
    const restored = { ...lookInto(disk), at, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) }
    putInPlace(aside, to)
    return { dir: to, ...restored }
  } catch (error) {
    if (aside !== undefined) rmSync(aside, { recursive: true, force: true })
    throw storageError(error, path)
  } finally {
    file.close()
  }
}

function requireEmpty(dir: string): void {
  let names: string[]
  try {
    names = readdirSync(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    names = [basename(dir)] // a file, or a folder that is somebody else's
  }
  if (names.length === 0) return
  throw new HoldfastError('DIRECTORY_NOT_EMPTY', `${dir} is not empty; name a directory that is, or is not there yet`, {
    details: { dir },
  })
}

/** Writes what is in a backup to an empty disk, durably. Throws BACKUP_CORRUPT when anything is not what was written. */
export async function unpack(file: DiskFile, path: string, disk: Disk): Promise<Manifest> {
  disk.makeFolder('journal')
  const found: BackedUpFile[] = []
  let manifest: Manifest | undefined
  for await (const { header, body } of entriesOf(file, path)) {
    const { name, type = 'file' } = header
    if (manifest || type !== 'file' || found.some((other) => other.path === name)) {
      throw backupCorrupt(path, `${JSON.stringify(name)} does not belong there`)
    }
    if (name === MANIFEST) manifest = await readManifest(readable(body, path), path)
    else if (name !== DIRECTORY_FILE && !/^journal\/[a-z0-9]{1,16}\.jsonl$/.test(name)) {
      throw backupCorrupt(path, `${JSON.stringify(name)} is no file of Holdfast`)
    } else found.push(await store(disk, name, readable(body, path)))
  }
  if (!manifest) throw backupCorrupt(path, 'its end is missing')
  if (JSON.stringify(found) !== JSON.stringify(manifest.files)) throw backupCorrupt(path, 'a checksum is wrong')
  disk.syncFolder('journal')
  disk.syncFolder('')
  return manifest
}

async function* entriesOf(file: DiskFile, path: string): AsyncGenerator<ParsedTarEntry> {
  const decoder = createTarDecoder({ strict: true })
  yield* readable(chunksFrom(file).pipeThrough(decoder), path)
}

/** What the decoder throws, between files or within one, says that the backup is not what was written; the disk speaks for itself. */
async function* readable<T>(stream: ReadableStream<T>, path: string): AsyncGenerator<T> {
  try {
    yield* stream
  } catch (error) {
    if (error instanceof HoldfastError || (error as NodeJS.ErrnoException).code !== undefined) throw error
    throw backupCorrupt(path, (error as Error).message, error)
  }
}

function chunksFrom(file: DiskFile): ReadableStream<Uint8Array> {
  let position = 0
  return new ReadableStream({
    pull(controller) {
      const chunk = new Uint8Array(CHUNK_BYTES)
      const read = file.readSync(chunk, position)
      position += read
      if (read > 0) controller.enqueue(chunk.subarray(0, read))
      else controller.close()
    },
  })
}

async function store(disk: Disk, path: string, body: AsyncIterable<Uint8Array>): Promise<BackedUpFile> {
  const hash = createHash('sha256')
  const file = disk.create(path)
  try {
    let bytes = 0
    for await (const chunk of body) {
      hash.update(chunk)
      await writeAll(file, chunk, bytes)
      bytes += chunk.length
    }
    await file.sync()
    return { path, bytes, sha256: hash.digest('hex') }
  } finally {
    file.close()
  }
}

async function readManifest(body: AsyncIterable<Uint8Array>, path: string): Promise<Manifest> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  try {
    const manifest = JSON.parse(Buffer.concat(chunks).toString()) as Manifest
    if (JSON.stringify(sealed(manifest)) === JSON.stringify(manifest)) {
      requireFormat(manifest.holdfast, path)
      return manifest
    }
  } catch (error) {
    if (error instanceof HoldfastError) throw error
  }
  throw backupCorrupt(path, `${MANIFEST} cannot be read`)
}

/** What an opening will find. */
function lookInto(disk: Disk): { readonly sessions: number; readonly damage: readonly Damage[] } {
  const damage: Damage[] = []
  const journal = readFileJournal(disk, (found) => damage.push(found))
  try {
    for (const _ of journal.scan(journal.begin)) if (damage.length > 1000) break
  } finally {
    journal.close()
  }
  const reader = openFileReader(disk)
  try {
    return { sessions: reader.stats().total, damage }
  } finally {
    reader.close()
  }
}

/** An empty folder may stand in the place; everything below the new name is durable already. */
function putInPlace(aside: string, dir: string): void {
  try {
    renameSync(aside, dir)
  } catch (error) {
    if (process.platform !== 'win32') throw error
    rmdirSync(dir)
    renameSync(aside, dir)
  }
  createFileDisk(dirname(dir)).syncFolder('')
}
