// A hub that a manager may be given: it hears what happens to documents, and tells when a work item that one was converted
// to is done. What goes wrong there never fails a call; it is logged.

import type { DocumentStatus } from './machine.js'

export interface HubEvent {
  readonly type: `planning_session.${'created' | 'updated' | 'paused' | 'resumed' | 'converted' | 'archived' | 'deleted'}`
  readonly session_id: string
  readonly title?: string
  readonly status?: DocumentStatus
  readonly current_version?: number
  readonly work_item_ids?: readonly string[]
}

export interface FinishedWorkItem {
  readonly session_id: string
  readonly work_item_id: string
}

export interface PlanningHub {
  publish(event: HubEvent): void | Promise<void>
  /** Calls the listener for each work item that is finished, until the function that it gives is called. */
  onWorkItemFinished(listener: (finished: FinishedWorkItem) => void): () => void
}
