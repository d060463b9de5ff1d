// The port for the issue tracker: where a plan becomes issues. An issue is created under an id of the caller's choosing,
// so that creating it again, after a crash or a retry, gives the one that is there: nothing is ever made twice.
// Adapter: a JSON file (`steps/local-tracker.ts`); `linear` has its place in `steps/open-tracker.ts`.

import type { ItemType, Priority } from './document.js'

/** An issue as it is to be. */
export interface NewIssue {
  /** A UUID that the caller derives from what the issue is for: the same each time it is tried. */
  readonly clientId: string
  readonly type: ItemType
  readonly title: string
  /** Markdown. */
  readonly description: string
  readonly labels: readonly string[]
  readonly priority?: Priority
  /** Story points. */
  readonly estimate?: number
}

export interface Issue extends NewIssue {
  /** The tracker's own id, such as `LOCAL-12`. */
  readonly id: string
  readonly parentId?: string
  /** Ids of the issues that must be done first. */
  readonly dependsOn?: readonly string[]
}

export interface Tracker {
  /** How many calls are worth having under way at a time. */
  readonly parallel: number
  /**
   * Creates an issue, or finds the one with the same `clientId`, which stays as it is; resolves when it is durable.
   * Rejects with TRACKER_CORRUPT, TRACKER_NEWER, TRACKER_BUSY or TRACKER_FAILED; it may be tried again.
   */
  create(issue: NewIssue): Promise<{ readonly id: string }>
  /**
   * Puts an issue under another; resolves when that is durable. Doing it again changes nothing.
   * Rejects as `create` does, with UNKNOWN_ISSUE when either is not there, with INVALID_LINK for a circle.
   */
  link(childId: string, parentId: string): Promise<void>
  /**
   * Notes that an issue waits for another; resolves when that is durable. Doing it again changes nothing.
   * Rejects as `create` does, and with UNKNOWN_ISSUE when either is not there.
   */
  depend(waitingId: string, onId: string): Promise<void>
  /** Every issue, in the order of creation. Rejects with TRACKER_CORRUPT, TRACKER_NEWER or TRACKER_FAILED. */
  list(): Promise<readonly Issue[]>
}

/** Which tracker, as a session records it. */
export type TrackerConfig = { readonly kind: 'local'; readonly file: string }

/** A stable code for what a tracker refuses. */
export type TrackerErrorCode =
  /** its data cannot be read as what it was written as; nothing is overwritten */
  | 'TRACKER_CORRUPT'
  /** a newer version wrote its data; nothing is overwritten */
  | 'TRACKER_NEWER'
  /** others kept it to themselves for too long */
  | 'TRACKER_BUSY'
  /** it could not be read or written: `cause` says why */
  | 'TRACKER_FAILED'
  /** there is no tracker of this kind */
  | 'TRACKER_NOT_SUPPORTED'
  /** an issue was named that it does not have */
  | 'UNKNOWN_ISSUE'
  /** an issue would be above itself */
  | 'INVALID_LINK'

/** What a tracker throws. */
export class TrackerError extends Error {
  override readonly name = 'TrackerError'
  readonly code: TrackerErrorCode
  /** Facts as JSON: the file, the issue. */
  readonly details: Readonly<Record<string, string>>

  constructor(code: TrackerErrorCode, message: string, options: { cause?: unknown; details?: Record<string, string> }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
  }
}
