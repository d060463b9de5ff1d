// What a session has to do with those that it is linked to, its parent and its child sessions: messages that come, once
// each however often they are told; its own go out, and have arrived. Messages of one session come in order, so a mark a
// sender tells what was taken before. Between the sessions they are carried by `links.ts`.

import { isLater } from './children.js'
import type { Decider } from './decider.js'
import type { SessionHost } from './host.js'
import type { Ledger } from './ledger.js'
import type { Delivery } from './mailbox.js'
import type { Identity } from './point.js'
import type { TransitionRecord } from './record.js'

export class Correspondence {
  readonly #identity: Pick<Identity, 'parent'>
  readonly #host: Pick<SessionHost, 'arrived' | 'transmit'>
  readonly #ledger: Ledger
  /** Keys of its messages that have arrived, and are not yet recorded as such. */
  #arrived: string[] = []

  constructor(identity: Pick<Identity, 'parent'>, host: Pick<SessionHost, 'arrived' | 'transmit'>, ledger: Ledger) {
    this.#identity = identity
    this.#host = host
    this.#ledger = ledger
  }

  /** Nothing waits to be recorded. */
  get idle(): boolean {
    return this.#arrived.length === 0
  }

  /** Has a message decided: recorded once, whatever the machine makes of it. */
  receive(decider: Decider, { from, key, event, trace }: Extract<Delivery, { kind: 'linked' }>): void {
    const mark = this.#ledger.decided.links.received[from]
    if (this.#isLinked(from) && (mark === undefined || isLater(key, mark)))
      decider.follow(event, { received: { from, key }, ...(trace && { trace }) })
    // It was taken already, perhaps just now; or nobody here wants it.
    else this.tellArrived(from, key)
  }

  /** That a message is done with was decided on records that may still be under way, so it waits for them. */
  tellArrived(from: string, key: string): void {
    this.#ledger.whenDurable((failure) => {
      if (!failure) this.#host.arrived(from, key)
    })
  }

  /** Carries what a record sends to the sessions that begin with it, or to all others. */
  transmit({ session, seq, sent = [], started = [], trace }: TransitionRecord, begin: boolean): void {
    for (const [n, { to, event }] of sent.entries()) {
      if (started.some((child) => child.session === to) !== begin) continue
      this.#host.transmit(session, { key: `${seq}.${n}`, to, event, ...(trace && { trace }) })
    }
  }

  /** One of its own has arrived. True for the first of several, which are recorded together. */
  arrived(key: string): boolean {
    return this.#arrived.push(key) === 1
  }

  noteArrived(): void {
    const waiting = new Set(this.#ledger.decided.links.outbox.map(({ key }) => key))
    const delivered = this.#arrived.filter((key) => waiting.has(key))
    this.#arrived = []
    if (delivered.length > 0) this.#ledger.note({ type: 'holdfast.arrived' }, { delivered })
  }

  #isLinked(session: string): boolean {
    if (session === this.#identity.parent?.session) return true
    const children = Object.values(this.#ledger.decided.children)
    return children.some((child) => child.status === 'active' && child.session === session)
  }
}
