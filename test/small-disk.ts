// A real file system of one MiB, to be filled and freed; there is none where mounting a tmpfs is refused.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const SMALL_BYTES = 1024 * 1024
const PAGE_BYTES = 4096
const FILLER = 'filler'

export interface SmallDisk {
  readonly root: string
  /** Fills it, but for so many bytes. */
  leave(bytes: number): void
  /** Takes away what it is filled with. */
  free(): void
  release(): void
}

export function mountSmallDisk(): SmallDisk | undefined {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-full-'))
  const remove = (): void => rmSync(root, { recursive: true, force: true })
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_BYTES}`, 'tmpfs', root]).status !== 0) {
    remove()
    return undefined
  }
  const filler = join(root, FILLER)
  const free = (): void => rmSync(filler, { force: true })
  return {
    ...{ root, free },
    leave(bytes) {
      free()
      const taken = sizesIn(root).reduce((sum, size) => sum + Math.ceil(size / PAGE_BYTES) * PAGE_BYTES, 0)
      writeFileSync(filler, Buffer.alloc(Math.max(0, SMALL_BYTES - taken - bytes)))
    },
    release() {
      spawnSync('umount', ['--lazy', root])
      remove()
    },
  }
}

/** The sizes of all files in a folder. */
export const sizesIn = (folder: string): number[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => statSync(join(entry.parentPath, entry.name)).size)
