// The port for the issue tracker: where a plan becomes issues. An issue is created under an id of the caller's choosing,
// so that creating it again, after a crash or a retry, gives the one that is there: nothing is ever made twice.
// Adapters: a JSON file (`steps/local-tracker.ts`), Linear (`steps/linear-tracker.ts`).

import type { ItemType, Priority } from './document.js'

/** An issue as it is to be. What a tracker has no place for goes into its text. */
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
   * The issues that are there of those with these `clientId`s: `clientId` -> the tracker's own id. Rejects as `create` does.
   */
  find(clientIds: readonly string[]): Promise<ReadonlyMap<string, string>>
  /**
   * Creates an issue, or finds the one with the same `clientId`, which stays as it is; resolves when it is durable.
   * Rejects with a TrackerError; one whose `retry` is true may be gone the next time.
   */
  create(issue: NewIssue): Promise<{ readonly id: string }>
  /**
   * Puts an issue under another; resolves when that is durable. Doing it again changes nothing.
   * Rejects as `create` does, when either is not there, and for a circle.
   */
  link(childId: string, parentId: string): Promise<void>
  /**
   * Notes that an issue waits for another; resolves when that is durable. Doing it again changes nothing.
   * Rejects as `create` does, and when either is not there.
   */
  depend(waitingId: string, onId: string): Promise<void>
}

/** Which tracker, as a session records it. Keys are never recorded: they stand in the environment of whoever runs it. */
export type TrackerConfig =
  | { readonly kind: 'local'; readonly file: string }
  | { readonly kind: 'linear'; readonly teamId: string }

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
  /** it needs a package that is not installed: `details.package` names it */
  | 'TRACKER_NOT_INSTALLED'
  /** an environment variable is missing: `details.variable` names it */
  | 'TRACKER_NOT_CONFIGURED'
  /** its key is wrong, or gone */
  | 'TRACKER_UNAUTHORIZED'
  /** too many requests: `details.waitMs` says how long to wait */
  | 'TRACKER_RATE_LIMITED'
  /** no connection, no answer in time, or a failure over there: nobody knows whether the call has acted */
  | 'TRACKER_UNAVAILABLE'
  /** it does not take what it was given */
  | 'TRACKER_REFUSED'
  /** an issue was named that it does not have */
  | 'UNKNOWN_ISSUE'
  /** an issue would be above itself */
  | 'INVALID_LINK'

/** What a tracker throws. */
export class TrackerError extends Error {
  override readonly name = 'TrackerError'
  readonly code: TrackerErrorCode
  /** Facts as JSON: the file, the issue. */
  readonly details: Readonly<Record<string, string | number>>
  /** False when a further attempt would find the same. */
  readonly retry: boolean

  constructor(
    code: TrackerErrorCode,
    message: string,
    options: { cause?: unknown; details?: Record<string, string | number> },
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.details = options.details ?? {}
    this.retry = WORTH_ANOTHER_TRY.includes(code)
  }
}

const WORTH_ANOTHER_TRY: readonly TrackerErrorCode[] = ['TRACKER_BUSY', 'TRACKER_FAILED', 'TRACKER_UNAVAILABLE']
