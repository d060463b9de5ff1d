// What a session's steps leave in its repository for those that come after a crash: a folder of its own, in git's.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { holdfastIn } from './git.js'

/** In the folder of a session that is being stopped: no command of it begins any more. */
export const STOPPED = 'stopped'

export const folderOf = (common: string, session: string): string => join(holdfastIn(common), 'sessions', session)

export async function sessionFolder(common: string, session: string): Promise<string> {
  const folder = folderOf(common, session)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return folder
}

/** `<session>.<child>.<incarnation>` -> the session. */
export const sessionOf = (idempotencyKey: string): string => idempotencyKey.split('.', 1)[0] as string
