// What a step of a workflow fails with: a stable code, a message that says what to do, and whether trying again can help.

export type WorkflowErrorCode =
  | 'NOT_A_REPOSITORY'
  | 'GIT_FAILED'
  /** Somebody else holds a lock of git's: it is tried again. */
  | 'GIT_BUSY'
  | 'WORKTREE_TAKEN'
  | 'WORKTREE_MISSING'
  | 'PROCESSES_REMAIN'
  /** The disk takes no claim of a command's run: it is tried again. */
  | 'NOT_CLAIMED'

export class WorkflowError extends Error {
  override readonly name = 'WorkflowError'
  readonly code: WorkflowErrorCode
  readonly retry: boolean

  constructor(code: WorkflowErrorCode, message: string, { retry = false }: { retry?: boolean } = {}) {
    super(message)
    this.code = code
    this.retry = retry
  }
}
