// Where sessions can be kept outside of the runtime, as whole values: the port of the original. `FileSessionStorage` keeps them
// in files, `InMemorySessionStorage` for as long as the process lives.

import type { PersistedSession } from './restored.js'

export interface SessionStorage {
  /** Replaces what is kept of it, as a whole. */
  save(session: PersistedSession): Promise<void>
  /** Undefined when there is none. Rejects with SNAPSHOT_CORRUPT, or FORMAT_NEWER, when it cannot be read. */
  load(id: string): Promise<PersistedSession | undefined>
  list(): Promise<string[]>
  /** Nothing, when there is none. */
  delete(id: string): Promise<void>
}

export class InMemorySessionStorage implements SessionStorage {
  readonly #kept: Map<string, string> = new Map()

  async save(session: PersistedSession): Promise<void> {
    this.#kept.set(session.id, JSON.stringify(session))
  }

  async load(id: string): Promise<PersistedSession | undefined> {
    const text = this.#kept.get(id)
    return text === undefined ? undefined : (JSON.parse(text) as PersistedSession)
  }

  async list(): Promise<string[]> {
    return [...this.#kept.keys()].sort()
  }

  async delete(id: string): Promise<void> {
    this.#kept.delete(id)
  }
}
