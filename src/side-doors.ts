// Where a machine's own side doors lead: a custom action that sends to `self`, to its parent or to a child, a local actor that
// speaks. Each comes in as what is to be taken next, never in the middle of a decision, and as JSON: what cannot be that is
// reported, and the machine goes on.

import { isResult, shownTo } from './children.js'
import type { Decider } from './decider.js'
import type { LocalActor } from './decision.js'
import type { EngineHost } from './durable.js'
import type { SessionHost } from './host.js'
import { copyJson, nobody, withReferences } from './json.js'
import type { Ledger } from './ledger.js'
import type { MachineSnapshot } from './machine-snapshot.js'
import type { Delivery } from './mailbox.js'
import type { Identity } from './point.js'
import type { RecordedEvent } from './record.js'
import { between, receiverOf } from './write.js'

/** Whose machine it is. */
export interface SideDoorsOwner {
  readonly identity: Identity
  readonly decider: Decider | undefined
  deliver(delivery: Delivery): void
}

export class SideDoors implements EngineHost {
  readonly #owner: SideDoorsOwner
  readonly #host: Pick<SessionHost, 'report' | 'log'>
  readonly #ledger: Ledger

  constructor(owner: SideDoorsOwner, host: Pick<SessionHost, 'report' | 'log'>, ledger: Ledger) {
    this.#owner = owner
    this.#host = host
    this.#ledger = ledger
  }

  /** An action of the machine sends the session an event, or a local actor does. */
  post(event: RecordedEvent, actor: LocalActor | undefined): void {
    this.#enter(() => {
      const copied = isResult(event) ? event : this.#copy(shownTo(event))
      return actor ? { kind: 'local', actor, event: copied } : { kind: 'send', event: copied, sender: undefined }
    })
  }

  say(to: string, event: RecordedEvent): void {
    this.#enter(() => {
      const receiver = receiverOf(to, undefined, this.#ledger.decided, this.#owner.identity)
      return receiver === undefined ? undefined : { kind: 'say', to: receiver, event: this.#copy(event, receiver) }
    })
  }

  get next(): number {
    return this.#ledger.decided.seq + 1
  }

  childOf(session: string): string | undefined {
    const { children } = this.#ledger.decided
    return Object.keys(children).find((id) => children[id]?.status === 'active' && children[id].session === session)
  }

  log(args: readonly unknown[]): void {
    this.#host.log(this.#owner.identity.id, args)
  }

  shown(): MachineSnapshot | undefined {
    return this.#ledger.durable.snapshot
  }

  #enter(deliveryOf: () => Delivery | undefined): void {
    try {
      const delivery = deliveryOf()
      // Whoever posts is in the middle of something; what comes of it comes after.
      if (delivery) queueMicrotask(() => this.#owner.deliver(delivery))
    } catch (error) {
      this.#host.report(this.#owner.identity, error)
    }
  }

  /** An event of the machine's own code, with references for the actors in it; `to`: another session that it goes to. */
  #copy(event: RecordedEvent, to?: string): RecordedEvent {
    const { identity, decider } = this.#owner
    const referenceOf = decider?.referenceOf ?? nobody
    const sender = { identity, before: this.#ledger.decided, decision: { referenceOf } }
    const of = to === undefined ? referenceOf : between(sender, to, undefined)
    return withReferences(of, () => copyJson(event, 'event'))
  }
}
