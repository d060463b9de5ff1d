// What is recorded of a session that has crashed, once the supervisor has decided what becomes of it: it is restarted and
// takes what it has crashed on again, or that is a dead letter from here on; it is quarantined; or it ends. When that cannot
// be recorded either, the session ends, and no other.

import { Crash, type Crashed, endedBy, setAside, suspicion } from './crash.js'
import { isStorage } from './decider.js'
import { isHoldfastError, messageOf } from './errors.js'
import type { Ledger } from './ledger.js'
import type { Mailbox } from './mailbox.js'
import type { SupervisionPolicy } from './restart.js'
import { LETTERS_LIMIT } from './trouble.js'

/** Who has crashed. */
export interface AftermathOwner {
  /** How its kind is supervised; undefined for a parked session. */
  readonly supervision: SupervisionPolicy | undefined
  /** Nothing can be recorded any more. */
  halt(error: unknown): void
}

export class Aftermath {
  readonly #owner: AftermathOwner
  readonly #ledger: Ledger
  readonly #mailbox: Mailbox
  /** What it has just crashed on, until the supervisor has decided what becomes of it. */
  #crashed: Crashed | undefined

  constructor(owner: AftermathOwner, ledger: Ledger, mailbox: Mailbox) {
    this.#owner = owner
    this.#ledger = ledger
    this.#mailbox = mailbox
  }

  /** It has crashed: what it has crashed on is kept until the supervisor has decided. */
  begin(crashed: Crashed): void {
    this.#crashed = crashed
  }

  /** The crash ends it, as in plain XState. */
  end(error: unknown): void {
    const { event, marks, cause } = this.#take()?.crash ?? new Crash({ type: 'holdfast.crashed' }, undefined, error)
    const shown = isHoldfastError(cause, 'RECORD_TOO_LARGE') ? { type: event.type } : event
    this.#noting(() => this.#ledger.note(shown, { ...marks, ...endedBy(cause) }))
    this.#mailbox.resume()
  }

  /**
   * It is restarted: what it has crashed on is taken again then, or is a dead letter from here on if that was too often.
   * False, and nothing is recorded, when it has too many dead letters already.
   */
  restart(error: unknown, crashes: readonly number[], afterMs: number): boolean {
    const { decided } = this.#ledger
    const suspect = this.#crashed && suspicion(decided, this.#crashed)
    const poison = suspect && suspect.count >= (this.#owner.supervision?.attempts ?? Number.POSITIVE_INFINITY)
    if (poison && decided.trouble.letters.length >= LETTERS_LIMIT) return false
    const crashed = this.#take()
    if (crashed && poison) {
      this.#noting(() => setAside(this.#ledger, crashed, crashes, suspect.count))
      return true
    }
    // A message to itself is still the first that it takes.
    if (crashed && crashed.delivery.kind !== 'message') this.#mailbox.putBack(crashed.delivery)
    const event = { type: 'holdfast.restart', reason: messageOf(error), count: crashes.length, afterMs }
    this.#noting(() => this.#ledger.note(event, { trouble: { kind: 'crash', crashes, ...(suspect && { suspect }) } }))
    return true
  }

  /** It runs no more once this is durable. What it has crashed on waits where it is durable. */
  quarantine(crashes: readonly number[], reason: string): void {
    this.#take()
    const event = { type: 'holdfast.quarantine', reason, count: crashes.length }
    this.#noting(() => this.#ledger.note(event, { trouble: { kind: 'quarantine', crashes, reason } }))
  }

  /** What happened inside cannot be recorded as it is, and nobody is there to refuse it to: this session ends, no other. */
  giveUp(cause: unknown): void {
    try {
      this.#ledger.note({ type: 'holdfast.failed' }, endedBy(cause))
    } catch (error) {
      this.#owner.halt(error)
    }
  }

  #take(): Crashed | undefined {
    const crashed = this.#crashed
    this.#crashed = undefined
    return crashed
  }

  /** Nobody hears what recording throws: it ends the session, or the runtime. */
  #noting(note: () => void): void {
    try {
      note()
    } catch (error) {
      if (isStorage(error)) this.#owner.halt(error)
      else this.giveUp(error)
    }
  }
}
