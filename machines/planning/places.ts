// What holds when nobody says: the data directory, the tracker's file in it, and what the environment names. Absolute paths
// and values, made once, when a session is created, and recorded with it: a session that goes on elsewhere finds the same.

import { join, resolve } from 'node:path'
import { cwd } from 'node:process'
import { pathToFileURL } from 'node:url'

// biome-ignore lint/style/noProcessEnv: these are chosen as the command line chooses them
const env = (name: string): string => process.env[name] ?? ''

/** `HOLDFAST_DIR`, or `.holdfast`. */
export const defaultDirectory = (): string => env('HOLDFAST_DIR') || '.holdfast'

export const trackerFileIn = (directory: string): string => resolve(join(directory, 'tracker.json'))

/** A directory as an absolute path; the working directory if none is given. */
export const absoluteDirectory = (directory: string | undefined): string => resolve(directory ?? cwd())

/** `LINEAR_TEAM_ID`, or nothing. */
export const defaultTeam = (): string => env('LINEAR_TEAM_ID')

/** `HOLDFAST_ALLOW_HOSTS`, separated by commas. */
export const allowedHosts = (): string[] =>
  env('HOLDFAST_ALLOW_HOSTS')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '')

/** A module as a URL, which a worker can load wherever it runs. */
export const moduleUrl = (module: string, directory: string): string =>
  /^file:/.test(module) ? module : pathToFileURL(resolve(directory, module)).href
