// A crash: the decision on an event that nobody waits for has thrown. What it is known by when it comes again, and how it
// is set aside as a dead letter. What becomes of the session, the supervisor decides.

import { NO_EFFECTS } from './commit.js'
import { encodeError } from './envelope.js'
import { isHoldfastError, messageOf } from './errors.js'
import { freezeJson } from './json.js'
import type { Ledger } from './ledger.js'
import { childOf, type Delivery, suspectOf } from './mailbox.js'
import type { Point } from './point.js'
import type { RecordedEvent, TransitionRecord } from './record.js'
import type { DeadLetter, Suspect } from './trouble.js'

export class Crash {
  readonly event: RecordedEvent
  /** What a record says that takes the event. */
  readonly marks: Partial<TransitionRecord> | undefined
  readonly cause: unknown

  constructor(event: RecordedEvent, marks: Partial<TransitionRecord> | undefined, cause: unknown) {
    this.event = event
    this.marks = marks
    this.cause = cause
  }
}

/** A crash, and what was taken when it happened. */
export interface Crashed {
  readonly crash: Crash
  readonly delivery: Delivery
}

/** How many times in a row the session has crashed on that event, this time included. */
export function suspicion({ trouble }: Point, { delivery }: Crashed): Suspect {
  const key = suspectOf(delivery)
  return { key, count: (trouble.suspects[key] ?? 0) + 1 }
}

/** Records that the event is a dead letter from here on; one that is too large for a record is kept by its type. */
export function setAside(
  ledger: Ledger,
  { crash, delivery }: Crashed,
  crashes: readonly number[],
  attempts: number,
): void {
  const { event, marks, cause } = crash
  const origin = originOf(delivery, ledger.decided)
  const note = (shown: Pick<DeadLetter, 'event' | 'cut'>): void => {
    const record = Object.assign(ledger.blank({ type: 'holdfast.dead-letter', reason: messageOf(cause) }), marks)
    const { seq: id, at } = record
    const letter: DeadLetter = { id, ...origin, ...shown, error: encodeError(cause), attempts, at }
    record.trouble = { kind: 'letter', crashes, letter }
    ledger.append(ledger.redacted(record), ledger.decided.snapshot, NO_EFFECTS, undefined)
  }
  try {
    note({ event })
  } catch (error) {
    if (!isHoldfastError(error, 'RECORD_TOO_LARGE')) throw error
    note({ event: { type: event.type }, cut: true })
  }
}

function originOf(delivery: Delivery, { children }: Point): Pick<DeadLetter, 'from' | 'child' | 'incarnation'> {
  const child = childOf(delivery)
  if (child === undefined) return { from: delivery.kind as 'message' | 'timer' | 'linked' | 'local' }
  return { from: 'child', child, incarnation: children[child]?.incarnation ?? 0 }
}

/** What a record says of a session that ends by an error. */
export const endedBy = (error: unknown): Pick<TransitionRecord, 'status' | 'error'> => ({
  status: 'error',
  error: freezeJson(encodeError(error)),
})
