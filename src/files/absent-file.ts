// Whether a URL leads to a file that is not there. It only looks: what the file holds is for whoever loads it.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The path that a `file:` URL leads to, if nothing is there; undefined for any other text. */
export function absentFile(url: string): string | undefined {
  if (!url.startsWith('file:')) return undefined
  try {
    const path = fileURLToPath(url)
    return existsSync(path) ? undefined : path
  } catch {
    return undefined // no path of this system: whoever loads it says so
  }
}
