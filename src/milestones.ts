// Where every so many-th record of each session is, so that a history can be read forward, a page at a time, although its
// records only tell the one before. Noted as records become durable, and by whoever had to walk back for it; never needed
// for correctness: what is not known here, the journal tells.

import type { Position, TransitionRecord } from './record.js'

/** Transitions of a page: each milestone is the last of one. */
export const PAGE = 64

/** The milestones of one session, by page: the last of page 0 is transition 64. */
export type Marks = (Position | undefined)[]

export class Milestones {
  readonly #marks: Map<string, Marks> = new Map()

  /** A record has become durable. */
  note({ session, seq, deleted }: TransitionRecord, position: Position): void {
    if (deleted) this.#marks.delete(session)
    else if (seq % PAGE === 0) this.of(session)[seq / PAGE - 1] = position
  }

  /** What is known of a session, to be added to; of no use once the session is deleted. */
  of(session: string): Marks {
    let marks = this.#marks.get(session)
    if (!marks) {
      marks = []
      this.#marks.set(session, marks)
    }
    return marks
  }
}
