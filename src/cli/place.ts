// Where the sessions are that a command is told of with `--dir`: a directory, or the one file of a SQLite database.

import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Owner } from '../directory.js'
import { isHoldfastError } from '../errors.js'
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

const HEAD = 'SQLite format 3\0'

function isDatabase(path: string): boolean {
  if (!isFile(path)) return false
  const file = openSync(path, 'r')
  try {
    const head = Buffer.alloc(HEAD.length)
    readSync(file, head, 0, head.length, 0)
    return head.toString('latin1') === HEAD
  } finally {
    closeSync(file)
  }
}
