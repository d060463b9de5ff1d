// A disk around any other that says what has happened on it, so that a test can set it beside other events.
// It promises to log a call after it has returned, in the order of returning; a call that fails is not logged. It changes
// nothing about the calls themselves.

import type { Disk, DiskFile } from '../disk.js'
import type { DiskCall, DiskCallName } from './disk-file.js'

/**
 * `inner`, with every call logged once it has succeeded: `sync` means that the data is durable.
 *
 *     const events: string[] = []
 *     const disk = recordingDisk(createCrashDisk(), ({ op, path }) => events.push(`${op} ${path}`))
 */
export function recordingDisk(inner: Disk, log: (call: DiskCall) => void): Disk {
  const done = <T>(op: DiskCallName, path: string, result: T, size = 0): T => {
    log({ op, path, size })
    return result
  }
  const wrap = (file: DiskFile): DiskFile => recordingFile(file, done)
  return {
    location: inner.location,
    openRead: (path) => {
      const file = inner.openRead(path)
      return done('openRead', path, file && wrap(file))
    },
    create: (path) => done('create', path, wrap(inner.create(path))),
    list: (folder) => done('list', folder, inner.list(folder)),
    makeFolder: (folder) => done('makeFolder', folder, inner.makeFolder(folder)),
    rename: (from, to) => done('rename', from, inner.rename(from, to)),
    remove: (path) => done('remove', path, inner.remove(path)),
    syncFolder: (folder) => done('syncFolder', folder, inner.syncFolder(folder)),
    lock: (path) => {
      const lock = done('lock', path, inner.lock(path))
      return (
        lock && {
          describe: (text) => done('describe', path, lock.describe(text), text.length),
          release: () => done('release', path, lock.release()),
        }
      )
    },
  }
}

type Done = <T>(op: DiskCallName, path: string, result: T, size?: number) => T

function recordingFile(file: DiskFile, done: Done): DiskFile {
  const { path } = file
  return {
    path,
    size: () => done('size', path, file.size()),
    readSync: (into, position) => done('read', path, file.readSync(into, position), into.length),
    writeSync: (bytes, position) => done('write', path, file.writeSync(bytes, position), bytes.length),
    write: async (bytes, position) => done('write', path, await file.write(bytes, position), bytes.length),
    syncSync: () => done('sync', path, file.syncSync()),
    sync: async () => done('sync', path, await file.sync()),
    close: () => done('close', path, file.close()),
  }
}
