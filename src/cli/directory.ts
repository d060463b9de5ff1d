// The data directory as the reading commands see it: opened beside its owner, without a lock, and told what is damaged.

import { describeDamage } from '../damage.js'
import { ownerOf } from '../directory.js'
import { createFileDisk } from '../files/disk.js'
import { openFileReader } from '../files/reader.js'
import type { Reader } from '../reader.js'
import type { Output } from './output.js'
import { printable } from './style.js'

/** Opens a directory for reading; what of it cannot be read is told on stderr. */
export function readDirectory(dir: string, output: Output): Reader {
  const reader = openFileReader(createFileDisk(dir), ({ file, reason }) =>
    output.warn(`${file} cannot be read (${printable(reason)}); the journal stands in for it`),
  )
  for (const damage of reader.damage) output.warn(describeDamage(damage))
  return reader
}

/** Who opened the directory last, if that process still runs: all that can be told without touching its lock. */
export function livingOwner(dir: string): { readonly pid: number; readonly since: string } | undefined {
  const owner = ownerOf(createFileDisk(dir))
  if (!owner || !Number.isSafeInteger(owner.pid)) return undefined
  try {
    process.kill(owner.pid, 0)
    return owner
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? owner : undefined
  }
}
