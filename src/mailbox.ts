// What comes to a session: taken one at a time, in order, and what the session has sent itself before anything from
// outside, as in plain XState. While one is taken, or while the session is paused, the others wait here; how many may,
// its owner decides, and what becomes of each.

import { type ChildOutcome, isResult } from './children.js'
import type { Sender } from './commit.js'
import type { LocalActor } from './decision.js'
import { Fifo } from './fifo.js'
import type { StepEnd } from './pool.js'
import type { Progress, RecordedEvent } from './record.js'
import type { StepRun } from './step-runner.js'
import type { TraceContext } from './trace-context.js'
import { suspectKey } from './trouble.js'

/** What happens to a session. Only what has a `sender` can be refused. */
export type Delivery =
  | {
      readonly kind: 'send'
      readonly event: RecordedEvent
      readonly sender: Sender | undefined
      readonly id?: string | undefined
      readonly trace?: TraceContext | undefined
    }
  /** Events from outside that are one transition: all of them, or none. */
  | {
      readonly kind: 'batch'
      readonly events: readonly RecordedEvent[]
      readonly sender: Sender
      readonly id?: string | undefined
      readonly trace?: TraceContext | undefined
    }
  | { readonly kind: 'message'; readonly event: RecordedEvent }
  | { readonly kind: 'timer'; readonly key: string }
  | {
      readonly kind: 'result'
      readonly run: StepRun
      readonly outcome: StepEnd
      readonly progress: Progress | undefined
    }
  | { readonly kind: 'again'; readonly child: string; readonly incarnation: number }
  | { readonly kind: 'local'; readonly actor: LocalActor; readonly event: RecordedEvent }
  | {
      readonly kind: 'linked'
      readonly from: string
      readonly key: string
      readonly event: RecordedEvent
      readonly trace: TraceContext | undefined
    }
  | {
      readonly kind: 'child-ended'
      readonly child: string
      readonly incarnation: number
      readonly outcome: ChildOutcome
    }
  | { readonly kind: 'say'; readonly to: string; readonly event: RecordedEvent }
  | { readonly kind: 'arrived' }
  /** Ends it as `stopped`, and stops what it runs. */
  | { readonly kind: 'cancel'; readonly reason: string; readonly sender: Sender | undefined }
  /** Lets a quarantined session run again. */
  | { readonly kind: 'release'; readonly sender: Sender }
  /** Has a dead letter decided after all; one that is refused stays. */
  | { readonly kind: 'resend'; readonly letter: number; readonly sender: Sender }
  | { readonly kind: 'discard'; readonly letter: number; readonly sender: Sender }
  | { readonly kind: 'delete'; readonly sender: Sender }

/** A delivery without its sender, who is made when it is asked. */
export type Asked<D = Delivery> = D extends { readonly sender: unknown } ? Omit<D, 'sender'> : never

/** Whose mailbox it is. */
export interface MailboxOwner {
  /** The oldest event that the session has sent itself, if it may take one. */
  readonly toItself: RecordedEvent | undefined
  /** It decides nothing more: what still comes is taken only to be told so. */
  readonly ended: boolean
  /** Never throws. */
  take(delivery: Delivery): void
}

export class Mailbox {
  readonly #owner: MailboxOwner
  #waiting: Fifo<Delivery> | undefined
  #taking = false
  #paused = false

  constructor(owner: MailboxOwner) {
    this.#owner = owner
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting?.size ?? 0
  }

  /** Nothing waits or is taken, and what comes is taken at once. */
  get idle(): boolean {
    return !this.#paused && !this.#taking && this.size === 0
  }

  deliver(delivery: Delivery): void {
    if (this.#paused || this.#taking) {
      this.#waiting ??= new Fifo()
      this.#waiting.push(delivery)
      return
    }
    this.#taking = true
    this.#owner.take(delivery)
    this.#taking = false
    if (this.size > 0 || this.#owner.toItself) this.drain()
  }

  /** From here on nothing is taken. */
  pause(): void {
    this.#paused = true
  }

  /** Takes what has waited, and from here on what comes. */
  resume(): void {
    this.#paused = false
    this.drain()
  }

  /** Takes whatever waits, as far as the session may. */
  drain(): void {
    if (this.#taking) return
    this.#taking = true
    const owner = this.#owner
    while (!this.#paused && !owner.ended) {
      const event = owner.toItself
      const next: Delivery | undefined = event ? { kind: 'message', event } : this.#waiting?.shift()
      if (!next) break
      owner.take(next)
    }
    this.#taking = false
    if (owner.ended) for (const delivery of this.empty()) owner.take(delivery)
  }

  /** Puts back what was taken, before all that waits. */
  putBack(delivery: Delivery): void {
    const waiting = this.empty()
    this.#waiting = new Fifo()
    for (const one of [delivery, ...waiting]) this.#waiting.push(one)
  }

  /** Gives what waits, and forgets it. */
  empty(): Delivery[] {
    const all: Delivery[] = []
    for (let next = this.#waiting?.shift(); next; next = this.#waiting?.shift()) all.push(next)
    return all
  }
}

/** Whether a quarantined session takes it. */
export const isForQuarantined = ({ kind }: Delivery): boolean =>
  kind === 'release' || kind === 'discard' || kind === 'cancel' || kind === 'delete'

/** The child whose end a delivery is. */
export function childOf(delivery: Delivery): string | undefined {
  if (delivery.kind === 'result') return delivery.run.id
  if (delivery.kind === 'child-ended') return delivery.child
  return delivery.kind === 'local' && isResult(delivery.event) ? delivery.actor.id : undefined
}

/** What an event is known by when it comes again. */
export function suspectOf(delivery: Delivery): string {
  const child = childOf(delivery)
  if (child !== undefined) return suspectKey.child(child)
  if (delivery.kind === 'timer') return suspectKey.timer(delivery.key)
  if (delivery.kind === 'linked') return suspectKey.linked(delivery.from)
  return delivery.kind === 'local' ? suspectKey.local(delivery.event.type) : suspectKey.message
}
