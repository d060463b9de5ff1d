// The nine events of a session, as its observers see them and its files hold them; what they add up to is in `story.ts`.

import type { SessionConfig } from './config.js'

export type SessionEvent =
  | { readonly type: 'Started'; readonly config: SessionConfig }
  | { readonly type: 'IterationStarted'; readonly number: number }
  | { readonly type: 'IterationCompleted'; readonly changes: IterationChanges }
  | { readonly type: 'AnalysisCompleted'; readonly results: unknown }
  | CommandExecuted
  | { readonly type: 'Paused'; readonly reason: string }
  | { readonly type: 'Resumed' }
  | { readonly type: 'Completed'; readonly stopped_because: StopReason; readonly merge?: Merge }
  /** `cancelled`: by whoever asked for it, and then the session is cancelled. */
  | { readonly type: 'Failed'; readonly error: string; readonly cancelled?: true }

export interface TimestampedEvent {
  /** ISO 8601. */
  readonly timestamp: string
  readonly event: SessionEvent
}

export interface CommandExecuted {
  readonly type: 'CommandExecuted'
  readonly command: string
  readonly success: boolean
  /** Null when a signal ended it, or nothing is known of its end. */
  readonly exit_code?: number | null
  readonly duration_ms?: number
  readonly timed_out?: true
  /** A crash had interrupted it, and it was not run again. */
  readonly interrupted?: true
  /** It ran because another one had failed. */
  readonly handler?: true
}

export interface IterationChanges {
  readonly files_modified: readonly string[]
  readonly lines_added: number
  readonly lines_removed: number
  readonly commands_run: readonly string[]
  readonly git_commits: readonly CommitInfo[]
}

export interface CommitInfo {
  readonly id: string
  readonly message: string
  readonly author: string
  /** ISO 8601. */
  readonly timestamp: string
}

export type StopReason = 'no changes' | 'max_iterations' | 'asked'

/** What became of the branch of a worktree. */
export type Merge =
  | { readonly status: 'merged'; readonly commit: string }
  /** Nothing was merged, nothing is lost: branch and worktree are there. */
  | { readonly status: 'conflict'; readonly branch: string; readonly path: string; readonly files: readonly string[] }
  | { readonly status: 'refused'; readonly branch: string; readonly path: string; readonly reason: string }
