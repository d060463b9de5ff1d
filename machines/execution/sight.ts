// What of an organization somebody sees: one session, those of a kind, modifications in all of them, and those that are theirs to
// process. It asks the store, page by page, and leaves out what the caller may not see. It changes nothing.

import type { Access } from './access.js'
import type { ModificationQuery, SessionDatabase } from './database.js'
import type { ExecutionStatus } from './machine.js'
import { type ExecutionSession, indexed, type PlanModification, sessionNotFound, sessionOf } from './session.js'

export class Sight {
  readonly #database: SessionDatabase
  readonly #access: Access
  readonly #organizationId: string

  constructor(database: SessionDatabase, access: Access, organizationId: string) {
    this.#database = database
    this.#access = access
    this.#organizationId = organizationId
  }

  /** Of this organization: who may do what with it is asked besides. Rejects with SESSION_NOT_FOUND. */
  async visible(id: string): Promise<ExecutionSession> {
    const session = await this.#database.getSession(id)
    if (session?.organizationId !== this.#organizationId) throw sessionNotFound(id)
    return session
  }

  /** Rejects with SESSION_NOT_FOUND also for one that whoever calls may not see. */
  async seen(id: string): Promise<void> {
    const mine = await this.#access.see()
    if (!mine(await this.visible(id))) throw sessionNotFound(id)
  }

  /** Of those that whoever calls may see. */
  async list(query: { readonly status?: ExecutionStatus; readonly adminUserId?: string }): Promise<ExecutionSession[]> {
    const mine = await this.#access.see()
    const sessions: ExecutionSession[] = []
    for await (const entry of this.#database.entries({ ...query, organizationId: this.#organizationId })) {
      const session = sessionOf(entry)
      if (mine(session)) sessions.push(session)
    }
    return sessions
  }

  /** Modifications of those, in sessions that may have some. */
  async everywhere(
    query: ModificationQuery,
    mayHave: (entry: ReturnType<typeof indexed>) => boolean,
  ): Promise<PlanModification[]> {
    const mine = await this.#access.see()
    const all: PlanModification[] = []
    for await (const entry of this.#database.entries({ organizationId: this.#organizationId })) {
      const known = indexed(entry)
      if (known.modifications === 0 || !mayHave(known) || !mine({ ...known, id: entry.id })) continue
      all.push(...(await this.#database.allModifications(entry.id, query)))
    }
    return all
  }

  /** Those with something to process, that whoever calls may decide on. */
  async unprocessed(): Promise<ExecutionSession[]> {
    const { actor, mine } = await this.#access.cleanUp()
    const isTheirs = ({ adminUserId }: ExecutionSession): boolean => actor === undefined || adminUserId === actor
    const sessions: ExecutionSession[] = []
    for await (const entry of this.#database.entries({ organizationId: this.#organizationId, unprocessed: true })) {
      const session = sessionOf(entry)
      const isOpen = session.status === 'pending' || session.status === 'confirmed'
      if (isOpen && mine(session) && isTheirs(session)) sessions.push(session)
    }
    return sessions
  }
}
