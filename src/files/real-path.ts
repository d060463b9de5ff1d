// Where a path leads once links are followed, also one of a file that is not there yet.

import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'

export function realPath(path: string): string {
  const whole = resolve(path)
  try {
    return realpathSync(whole)
  } catch {
    const folder = dirname(whole)
    return folder === whole ? whole : join(realPath(folder), basename(whole))
  }
}
