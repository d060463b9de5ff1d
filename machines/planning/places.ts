// Where things are when nobody says: the data directory, and the tracker's file in it. Absolute paths, made once, when a
// session is created, and recorded with it: a session that goes on in another working directory finds the same files.

import { join, resolve } from 'node:path'
import { cwd } from 'node:process'

/** `HOLDFAST_DIR`, or `.holdfast`. */
export const defaultDirectory = (): string => {
  // biome-ignore lint/style/noProcessEnv: the directory is chosen as the command line chooses it
  return process.env.HOLDFAST_DIR || '.holdfast'
}

export const trackerFileIn = (directory: string): string => resolve(join(directory, 'tracker.json'))

/** A directory as an absolute path; the working directory if none is given. */
export const absoluteDirectory = (directory: string | undefined): string => resolve(directory ?? cwd())
