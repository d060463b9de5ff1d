// The file of the tables: nobody but its owner may read it, and its folder is there. SQLite's own files beside it take after it.

import { chmod, mkdir, open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

/** Gives the absolute path. Rejects with what the disk rejects with. */
export async function prepareFile(path: string): Promise<string> {
  const file = resolve(path)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const handle = await open(file, 'a', 0o600)
  await handle.close()
  await chmod(file, 0o600)
  return file
}
