// Where the sessions are that a command is told of with `--dir`: a directory, or the one file of a SQLite database.

import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Owner } from '../directory.js'
import { HoldfastError, isHoldfastError } from '../errors.js'
import { createFileDisk } from '../files/disk.js'
import { livingOwnerOf } from '../lock.js'
import { sqlite } from '../sqlite/index.js'
import type { Storage, StorageWorld } from '../storage.js'
import { systemClock } from '../system/clock.js'
import { withHint } from './failure.js'
import { logTo } from './log.js'
import type { Output } from './output.js'

/** The database at a place, if it is one. The file is not opened here: that is for SQLite alone. */
export const databaseAt = (dir: string): Storage | undefined => (isFile(dir) ? sqlite({ path: dir }) : undefined)

/** As the options of `openRuntime` and its like take it. */
export function placeAt(dir: string): { readonly dir: string } | { readonly storage: Storage } {
  const storage = databaseAt(dir)
  return storage ? { storage } : { dir }
}

/** Where a backup is put back: one of a database is a database again. */
export const targetOf = (backup: string, dir: string): string | Storage =>
  isDatabase(backup) ? sqlite({ path: dir }) : dir

/** What a storage is given: what it has to say goes where the command's other warnings go. */
export const worldOf = (output: Output): StorageWorld => ({
  ...{ clock: systemClock, logger: logTo(output), folder: createFileDisk },
})

/** Who opened it last, if that process still runs: all that can be told without touching its lock. */
export const livingOwner = (dir: string): Owner | undefined =>
  isFile(dir)
    ? livingOwnerOf(createFileDisk(dirname(dir)), `${basename(dir)}-lock`)
    : livingOwnerOf(createFileDisk(dir))

/** Where the token, the audit log and the address of its server are: beside the file of a database there is no folder of its own. */
export const homeOf = (dir: string): string => (isFile(dir) ? `${dir}-http` : dir)

/** What `holdfast serve` keeps beside the token, as long as it runs. */
export const SERVER_FILE = 'access/server.json'

/** The address of the server that has a directory open; undefined when none says so, or it is gone. */
function serverOf(dir: string): string | undefined {
  try {
    const { url, pid } = JSON.parse(readFileSync(join(homeOf(dir), SERVER_FILE), 'utf8')) as Record<string, unknown>
    return typeof url === 'string' && livingOwner(dir)?.pid === pid ? url : undefined
  } catch {
    return undefined
  }
}

/** The same error; of a directory that a server has open, with the way to ask that server. */
export function withServer(error: unknown, dir: string): unknown {
  if (!isHoldfastError(error, 'DIRECTORY_LOCKED')) return error
  const url = serverOf(dir)
  return url === undefined ? error : withHint(error, `a server has it open: add --url ${url} to ask that`)
}

function isFile(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true
  } catch {
    return false // below a file, or where one may not look: opening it says what is wrong
  }
}

const DATABASE = 'SQLite format 3\0'
/** What SQLite keeps of whose database it is, and where (`src/sqlite/schema.ts`). */
const OURS = { at: 68, text: 'Hold' }
/** What a backup of a directory begins with: a tar file, whose first entry this is. */
const BACKUP = 'holdfast.json\0'

const isDatabase = (path: string): boolean => holds(path, 0, DATABASE)

/** Throws INVALID_ARGUMENT where a backup would take the place of a file that is none, which was hardly meant. */
export function refuseReplacing(path: string): void {
  if (!isFile(path) || statSync(path).size === 0 || holds(path, 0, BACKUP)) return
  if (isDatabase(path) && holds(path, OURS.at, OURS.text)) return
  const what = `${path} is there and is no backup, so it is not replaced; name another file, or remove it first`
  throw new HoldfastError('INVALID_ARGUMENT', what, { details: { file: path } })
}

function holds(path: string, at: number, text: string): boolean {
  if (!isFile(path)) return false
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(text.length)
    readSync(file, bytes, 0, bytes.length, at)
    return bytes.toString('latin1') === text
  } finally {
    closeSync(file)
  }
}
