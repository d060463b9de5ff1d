// A database as a storage: which file does what.

import { resolve } from 'node:path'
import type { Storage } from '../storage.js'
import { backUpBeside, restore } from './backup.js'
import { examineDatabase } from './doctor.js'
import { openOwned, type SqliteStorageOptions } from './owner.js'
import { openReading } from './reader.js'

export const sqliteStorage = (options: SqliteStorageOptions): Storage => ({
  location: resolve(options.path),
  open: (world, kinds) => openOwned(options, world, kinds),
  read: (world) => openReading(options.path, world),
  examine: (world, repair, kept) => examineDatabase(options.path, world, repair, kept),
  backup: (world, path) => backUpBeside(options.path, world, path),
  restore: (world, path) => restore(path, options.path, world),
})
