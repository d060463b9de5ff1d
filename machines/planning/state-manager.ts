// One planning session, as the original's callers drive it: each setter is an event, durable when the call resolves.
// A manager keeps the id and nothing else: what it shows is the session's last durable state, also when others changed it.
// It never starts the steps; `startPlanningProcess` does.

import type { PlanningEvent } from './events.js'
import { hosting, sendTo, sessionOf } from './planning-runtime.js'
import {
  type PlanningSessionNoteUpdate,
  type PlanningSessionResult,
  type PlanningSessionState,
  type PlanningSessionStatus,
  type PlanningSessionUpdate,
  planningStateOf,
} from './state.js'

/** Every setter rejects with `Planning session not found: <id>`, or with INVALID_EVENT naming the field that is wrong. */
export class PlanningSessionStateManager {
  readonly sessionId: string

  constructor(sessionId: string) {
    this.sessionId = sessionId
  }

  /** Sees to it that the session is there. Rejects with `Planning session not found: <id>`. */
  async initialize(): Promise<void> {
    await hosting()
    this.getState()
  }

  /** The last durable state. Throws `Planning session not found: <id>`, or RUNTIME_CLOSED before any runtime is open. */
  getState(): PlanningSessionState {
    return planningStateOf(sessionOf(this.sessionId).snapshot())
  }

  /** Sets the fields that the update has, together. A status moves the session; nothing else does. */
  async updateState(update: PlanningSessionUpdate): Promise<PlanningSessionState> {
    const { errors, warnings, ...fields } = update
    return this.#send({
      type: 'updateState',
      ...fields,
      ...(errors && { errors: errors.map(stored) }),
      ...(warnings && { warnings: warnings.map(stored) }),
    })
  }

  /** `progress` is 0 to 100. A message that came with an earlier progress goes. */
  setProgress(progress: number, message?: string): Promise<PlanningSessionState> {
    return this.#send({ type: 'setProgress', progress, message })
  }

  /** Moves the session. `processing` means that somebody outside does the work: it starts no step, and stops none. */
  setStatus(status: PlanningSessionStatus): Promise<PlanningSessionState> {
    return this.#send({ type: 'setStatus', status })
  }

  /** Fails the session. `details` is JSON. */
  addError(message: string, code?: string, details?: unknown): Promise<PlanningSessionState> {
    return this.#send({ type: 'addError', message, code, details })
  }

  /** `details` is JSON. */
  addWarning(message: string, code?: string, details?: unknown): Promise<PlanningSessionState> {
    return this.#send({ type: 'addWarning', message, code, details })
  }

  /** Completes the session. */
  setResult(result: PlanningSessionResult): Promise<PlanningSessionState> {
    return this.#send({ type: 'setResult', result })
  }

  async #send(event: PlanningEvent): Promise<PlanningSessionState> {
    await sendTo(this.sessionId, event)
    return this.getState()
  }
}

const stored = ({ timestamp, ...note }: PlanningSessionNoteUpdate) => ({
  ...note,
  ...(timestamp && { timestamp: timestamp.toISOString() }),
})
