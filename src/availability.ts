// Whether a runtime takes writes and can be read: it is open; read-only once its journal has failed; closing, which refuses
// writes and still reads; closed. It never goes back.

import { HoldfastError } from './errors.js'
import type { Journal } from './journal.js'
import { closed } from './refusals.js'

/** Bytes on their way to the disk beyond which sends are refused with OVERLOADED. */
const PENDING_BYTES = 256 * 1024 * 1024

export class Availability {
  readonly #journal: Pick<Journal, 'pending'>
  #failure: HoldfastError | undefined
  #closing = false
  /** Nothing can be read any more. */
  #closed = false

  constructor(journal: Pick<Journal, 'pending'>) {
    this.#journal = journal
  }

  /** Why it is read-only. */
  get failure(): HoldfastError | undefined {
    return this.#failure
  }

  /** It closes, or has closed. */
  get closing(): boolean {
    return this.#closing
  }

  /** Why nothing more can come of what somebody waits for. */
  get over(): HoldfastError | undefined {
    return this.#closing ? closed('runtime') : this.#failure
  }

  /** Nothing more can be recorded. Gives what is said of that, the first time. */
  fail(cause: Error): HoldfastError | undefined {
    if (this.#failure) return undefined
    this.#failure = new HoldfastError('READ_ONLY', `nothing more can be recorded (${cause.message}); reads go on`, {
      cause,
    })
    return this.#failure
  }

  /** From here on new work is refused. */
  close(): void {
    this.#closing = true
  }

  /** From here on nothing can be read. */
  end(): void {
    this.#closed = true
  }

  /** Throws RUNTIME_CLOSED, READ_ONLY or OVERLOADED. */
  assertWritable(): void {
    if (this.#closing) throw closed('runtime')
    if (this.#failure) throw this.#failure
    if (this.#journal.pending > PENDING_BYTES) {
      throw new HoldfastError('OVERLOADED', `more than ${PENDING_BYTES} bytes wait for the disk; await your sends`)
    }
  }

  /** Throws RUNTIME_CLOSED. */
  assertOpen(): void {
    if (this.#closed) throw closed('runtime')
  }
}
