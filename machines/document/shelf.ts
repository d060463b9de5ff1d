// The port behind the manager: where documents are. One on the runtime (`runtime-shelf.ts`), one on storages of a caller's
// own (`stored-shelf.ts`); both have the same machine decide.

import { HoldfastError } from 'holdfast'
import type { DocumentEvent, UpdateEvent } from './events.js'
import type { Metadata } from './fields.js'
import type { DocumentInput } from './input.js'
import type { DocumentStatus } from './machine.js'
import type { PlanningSession, PlanningVersion } from './session.js'
import type { SessionFilters } from './storage.js'

/** What an update sets: exactly the fields that it has. */
export interface Update {
  readonly title?: string
  readonly description?: string
  readonly repository_url?: string
  readonly repository_path?: string
  readonly working_directory?: string
  readonly metadata?: Metadata
  readonly content?: string
  readonly change_summary?: string
  readonly updated_by?: string
}

export interface Page {
  readonly sessions: readonly PlanningSession[]
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string
}

/** How many documents have a status, and how many versions all of them have. */
export interface Counts {
  readonly byStatus: Readonly<Record<DocumentStatus, number>>
  readonly versions: number
}

/** Every method rejects with SESSION_NOT_FOUND for an id that is no document's, and with what its storage throws. */
export interface Shelf {
  /** Rejects with INVALID_INPUT naming the field. */
  create(input: DocumentInput): Promise<PlanningSession>
  get(id: string): Promise<PlanningSession>
  /** Rejects with NOT_ACCEPTED or INVALID_EVENT; then nothing has changed. */
  send(id: string, event: DocumentEvent): Promise<PlanningSession>
  /** As `send`; an update that changes nothing is none. `version`: whether a changed content makes a version. */
  update(id: string, update: Update, version: boolean): Promise<PlanningSession>
  /** By number. */
  versions(id: string): Promise<PlanningVersion[]>
  /** Rejects with TRANSITION_NOT_FOUND when there is no such version. */
  version(id: string, number: number): Promise<PlanningVersion>
  list(filters: SessionFilters): Promise<Page>
  counts(): Promise<Counts>
  delete(id: string): Promise<void>
}

export const notFound = (id: string, cause?: unknown): HoldfastError =>
  new HoldfastError('SESSION_NOT_FOUND', `there is no planning session ${id}`, { cause, details: { id } })

export const versionNotFound = (id: string, number: number, last: number): HoldfastError =>
  new HoldfastError('TRANSITION_NOT_FOUND', `planning session ${id} has versions 1 to ${last}, and no ${number}`, {
    details: { id, version: number, last },
  })

const ACCEPTED: { readonly [S in DocumentStatus]: readonly DocumentEvent['type'][] } = {
  active: ['update', 'pause', 'convert', 'archive'],
  paused: ['resume', 'archive'],
  converted: ['finishWorkItem', 'archive'],
  archived: [],
}

/** The same refusal wherever the document is. */
export function notAccepted({ id, status }: PlanningSession, { type }: DocumentEvent, cause?: unknown): HoldfastError {
  const accepted = ACCEPTED[status]
  const takes = accepted.length > 0 ? `it takes ${accepted.join(', ')}` : 'it takes nothing any more'
  return new HoldfastError(
    'NOT_ACCEPTED',
    `planning session ${id} is ${status} and does not take "${type}"; ${takes}`,
    {
      ...(cause !== undefined && { cause }),
      details: { state: status, accepted },
    },
  )
}

const FIELDS = ['title', 'description', 'repository_url', 'repository_path', 'working_directory', 'metadata'] as const

/** The fields that an update changes, beside the content. */
export function changedFields(session: Partial<PlanningSession>, update: Update): Partial<UpdateEvent> {
  const changed = FIELDS.filter((name) => {
    return update[name] !== undefined && JSON.stringify(update[name]) !== JSON.stringify(session[name])
  })
  return Object.fromEntries(changed.map((name) => [name, update[name]]))
}

/** Who and why, for the version. */
export const creditsOf = ({ change_summary, updated_by }: Update): Partial<UpdateEvent> => ({
  ...(change_summary !== undefined && { change_summary }),
  ...(updated_by !== undefined && { updated_by }),
})
