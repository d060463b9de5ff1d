// A database in a folder of its own, for tests of what stands on one; the folder goes when it is closed.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/clock.js'
import { createFileDisk } from '../../src/files/disk.js'
import type { Logger } from '../../src/logger.js'
import type { SqliteStorageOptions } from '../../src/sqlite/owner.js'
import { sqliteStorage } from '../../src/sqlite/storage.js'
import type { OpenStorage, StorageWorld } from '../../src/storage.js'
import { systemClock } from '../../src/system/clock.js'

export const quiet: Logger = { info: () => {}, warn: () => {}, error: () => {} }

export const worldOf = (logger: Logger = quiet, clock: Clock = systemClock): StorageWorld => ({
  ...{ clock, logger },
  folder: createFileDisk,
})

export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))

export interface Opened extends OpenStorage {
  readonly path: string
  close(): void
}

export function openTemporary(options: Partial<SqliteStorageOptions> = {}, world: StorageWorld = worldOf()): Opened {
  const folder = newFolder()
  const path = join(folder, 'test.db')
  const opened = sqliteStorage({ path, ...options }).open(world, {})
  const close = (): void => {
    opened.ports.release?.()
    rmSync(folder, { recursive: true, force: true })
  }
  return { ...opened, path, close }
}
