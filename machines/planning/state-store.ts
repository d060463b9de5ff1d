// All planning sessions of the runtime, as the original's callers find them.
// It keeps no state: a manager is remembered only so that the same id gives the same object while anybody holds it.

import type { SessionEntry } from 'holdfast'
import { hosting, isAbsent, sessionOf } from './planning-runtime.js'
import { type PlanningSessionState, planningStateOf } from './state.js'
import { PlanningSessionStateManager } from './state-manager.js'

const PAGE = 500

export class PlanningSessionStateStore {
  readonly #managers: Map<string, WeakRef<PlanningSessionStateManager>> = new Map()
  readonly #gone: FinalizationRegistry<string> = new FinalizationRegistry((id) => {
    if (!this.#managers.get(id)?.deref()) this.#managers.delete(id)
  })

  /** The manager of a session: the same object for the same id. Whether the session is there, `initialize` tells. */
  async getStateManager(sessionId: string): Promise<PlanningSessionStateManager> {
    await hosting()
    const known = this.#managers.get(sessionId)?.deref()
    if (known) return known
    const manager = new PlanningSessionStateManager(sessionId)
    this.#managers.set(sessionId, new WeakRef(manager))
    this.#gone.register(manager, sessionId)
    return manager
  }

  /** The last durable state. Rejects with `Planning session not found: <id>`. */
  async getState(sessionId: string): Promise<PlanningSessionState> {
    const { runtime } = await hosting()
    return planningStateOf(sessionOf(sessionId, runtime).snapshot())
  }

  /** The states of an organization's sessions, in the order of their creation. */
  async getStatesByOrganization(organizationId: string): Promise<PlanningSessionState[]> {
    const { runtime } = await hosting()
    const entries: SessionEntry[] = []
    let cursor: string | undefined
    do {
      const page = runtime.sessions.list(
        { kind: 'planning', where: { organizationId } },
        { limit: PAGE, ...(cursor !== undefined && { cursor }) },
      )
      entries.push(...page.sessions)
      cursor = page.cursor
    } while (cursor !== undefined)
    return entries.map(({ id }) => planningStateOf(sessionOf(id, runtime).snapshot()))
  }

  /** Deletes a session for good, and stops what it runs; false when there is none. Issues that it created stay. */
  async deleteState(sessionId: string): Promise<boolean> {
    const { runtime } = await hosting()
    try {
      await sessionOf(sessionId, runtime).delete()
      return true
    } catch (error) {
      if (isAbsent(error)) return false
      throw error
    }
  }
}

/** The store of the runtime in use (see `usePlanningRuntime`). */
export const planningSessionStateStore: PlanningSessionStateStore = new PlanningSessionStateStore()
