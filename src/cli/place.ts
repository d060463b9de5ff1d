// Where the sessions are that a command is told of with `--dir`: a directory, or the one file of a SQLite database.

import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Owner } from '../directory.js'
import { createFileDisk } from '../files/disk.js'
import { livingOwnerOf } from '../lock.js'
import { sqlite } from '../sqlite/index.js'
import type { Storage, StorageWorld } from '../storage.js'
import { systemClock } from '../system/clock.js'
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
