// The errors of reading a planning document.
// Each has a stable code and a message that says what to do next; `cause` keeps the original where there is one.
// They are about the document only: storage, steps and trackers have errors of their own.

/** A stable code for what is wrong with a document. */
export type PlanningErrorCode =
  /** there is no text in it */
  | 'EMPTY_DOCUMENT'
  /** there is text, but no epic, feature, story or enabler in it */
  | 'NO_ITEMS_FOUND'
  /** the Markdown parser gave up on it */
  | 'UNREADABLE_DOCUMENT'

/** A document that cannot become a plan. */
export class PlanningError extends Error {
  override readonly name = 'PlanningError'
  readonly code: PlanningErrorCode
  /** However often it is read, it is the same document: no step is tried again for it. */
  readonly retry = false

  constructor(code: PlanningErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
  }
}

/** For a document without text. */
export const emptyDocument = (): PlanningError =>
  new PlanningError(
    'EMPTY_DOCUMENT',
    'The document is empty. Write at least one epic, feature, story or enabler in it.',
  )
