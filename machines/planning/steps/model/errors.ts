// Why a language model has given no plan: one error class, a stable code for each reason.

/** A stable code for why a language model has given no plan. */
export type ModelErrorCode =
  /** it needs packages that are not installed: `details.packages` names them */
  | 'MODEL_NOT_INSTALLED'
  /** the module cannot be loaded, or exports no model */
  | 'MODEL_MODULE_INVALID'
  /** its provider does not take the call: a wrong key, a document that is too long for it */
  | 'MODEL_REFUSED'
  /** too many requests: `details.waitMs` says how long to wait */
  | 'MODEL_RATE_LIMITED'
  /** no connection, no answer in time, or a failure over there */
  | 'MODEL_UNAVAILABLE'
  /** what it says is no plan, also when told why: `details.issues` */
  | 'MODEL_OUTPUT_INVALID'

export class ModelError extends Error {
  override readonly name = 'ModelError'
  readonly code: ModelErrorCode
  readonly details: Readonly<Record<string, string | number | readonly string[]>>
  readonly retry: boolean

  constructor(code: ModelErrorCode, message: string, details: ModelError['details'], cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
    this.retry = code === 'MODEL_UNAVAILABLE'
  }
}
