// Sessions in files, one each: written whole and durably, the one before kept beside it, so that a damaged file costs no
// more than what was saved last. It is the storage of callers, not the runtime's.

import { mkdir, open, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { HoldfastError, isHoldfastError } from 'holdfast'
import type { PersistedSession } from '../restored.js'
import { fileTextOf, sessionIn } from '../session-file.js'
import type { SessionStorage } from '../storage.js'
import { readIfThere, remove, writeWhole } from './files.js'

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/

/**
 *     const storage = new FileSessionStorage('/var/lib/workflows')
 *     const manager = new SessionManager(runtime, { storage })
 */
export class FileSessionStorage implements SessionStorage {
  readonly base_path: string
  /** Saves of one process come one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(base_path: string) {
    this.base_path = base_path
  }

  save(session: PersistedSession): Promise<void> {
    const saved = this.#last.then(() => this.#save(session))
    this.#last = saved.catch(() => {})
    return saved
  }

  async #save(session: PersistedSession): Promise<void> {
    const path = this.#path(session.id)
    await mkdir(this.base_path, { recursive: true, mode: 0o700 })
    const text = fileTextOf(session)
    const beside = `${path}.next`
    await writeWhole(beside, text)
    await rename(path, `${path}.previous`).catch(ignoreAbsence)
    await rename(beside, path)
    const folder = await open(this.base_path, 'r')
    await folder.sync().finally(() => folder.close())
  }

  /** A file that cannot be read is kept as `.damaged`, and the one saved before it is given, if that can. */
  async load(id: string): Promise<PersistedSession | undefined> {
    const path = this.#path(id)
    const text = await readIfThere(path)
    if (text === undefined) return this.#previous(path)
    try {
      return await sessionIn(text, path)
    } catch (error) {
      if (!isHoldfastError(error, 'SNAPSHOT_CORRUPT')) throw error
      const previous = await this.#previous(path).catch(() => undefined)
      if (!previous) throw error
      await rename(path, `${path}.damaged`)
      return previous
    }
  }

  async #previous(path: string): Promise<PersistedSession | undefined> {
    const text = await readIfThere(`${path}.previous`)
    return text === undefined ? undefined : sessionIn(text, `${path}.previous`)
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.base_path).catch(ignoreAbsence)
    const ids = (names ?? []).flatMap((name) => (/^(.+)\.json(?:\.previous)?$/.exec(name) ?? []).slice(1))
    return [...new Set(ids)].sort()
  }

  async delete(id: string): Promise<void> {
    for (const end of ['', '.previous', '.damaged', '.next']) await remove(`${this.#path(id)}${end}`)
  }

  #path(id: string): string {
    if (ID.test(id)) return join(this.base_path, `${id}.json`)
    throw new HoldfastError('INVALID_ID', `"${id}" is no id of a session: letters, digits, - and _, at most 64`)
  }
}

function ignoreAbsence(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
