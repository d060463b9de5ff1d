// The token of whoever owns a data directory: made once, kept beside the sessions where only its owner may read.

import type { Chance } from './chance.js'
import { type Disk, readAll, replaceFile } from './disk.js'
import { HoldfastError } from './errors.js'

const FOLDER = 'access'
const TOKEN_FILE = `${FOLDER}/token`

/**
 * The token in the file `access/token` (mode 0600, its folder 0700), or a new one of 256 bits, durable. It is written anew
 * each time, so that it cannot stay readable for others. Rejects with INVALID_ARGUMENT when the file holds something else.
 */
export async function tokenIn(disk: Disk, chance: Chance): Promise<string> {
  const kept = readAll(disk, TOKEN_FILE)
  const token = kept ? new TextDecoder().decode(kept).trim() : chance.secret()
  if (!/^[A-Za-z0-9_-]{43}$/.test(token)) {
    const advice = 'remove it, and the next start makes a new one'
    throw new HoldfastError('INVALID_ARGUMENT', `${TOKEN_FILE} in ${disk.location} holds no token: ${advice}`)
  }
  disk.makeFolder(FOLDER)
  await replaceFile(disk, TOKEN_FILE, new TextEncoder().encode(`${token}\n`))
  disk.syncFolder('')
  return token
}
