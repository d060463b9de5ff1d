// A commit: one record on its way to the disk, and everything that waits for it.
// The journal settles it, once; it then tells its session, which acts. It does nothing by itself.

import type { Action } from './decision.js'
import type { Waiter } from './journal.js'
import type { Point } from './point.js'
import type { Position, RecordedEvent, TransitionRecord } from './record.js'
import { type Transition, transitionOf } from './transition.js'

/** Whoever has sent an event and waits for what becomes of it. */
export interface Sender {
  resolve(transition: Transition): void
  reject(error: unknown): void
}

/** What is to be done once a record is durable, beside what the record itself says. */
export interface Effects {
  readonly actions: readonly Action[]
  readonly emitted: readonly RecordedEvent[]
}

export const NO_EFFECTS: Effects = { actions: [], emitted: [] }

/** Who hears of a commit's end. */
export interface Committer {
  committed(commit: Commit, bytes: number): void
  discarded(commit: Commit, error: Error): void
}

export class Commit implements Waiter {
  readonly record: TransitionRecord
  readonly effects: Effects
  readonly sender: Sender | undefined
  /** The session after this record; set as soon as the journal has given it a position. */
  point: Point | undefined
  readonly #committer: Committer
  #transition: Transition | undefined
  #afterwards: ((failure: Error | undefined) => void)[] | undefined

  constructor(committer: Committer, record: TransitionRecord, effects: Effects, sender: Sender | undefined) {
    this.#committer = committer
    this.record = record
    this.effects = effects
    this.sender = sender
  }

  /** The transition that the record stands for; made once, if anybody wants it. */
  transition(): Transition {
    this.#transition ??= transitionOf(this.record, (this.point as Point).position)
    return this.#transition
  }

  /** Calls `tell` when this is settled, with the error if it has failed: for refusals that were decided on its state. */
  after(tell: (failure: Error | undefined) => void): void {
    this.#afterwards ??= []
    this.#afterwards.push(tell)
  }

  durable(_: Position, bytes: number): void {
    this.#committer.committed(this, bytes)
    if (this.#afterwards) for (const tell of this.#afterwards) tell(undefined)
  }

  failed(error: Error): void {
    this.#committer.discarded(this, error)
    if (this.#afterwards) for (const tell of this.#afterwards) tell(error)
  }
}
