// The records of one session, and the two points between which they are on their way to the disk: the last decided, which
// runs ahead, and the last durable, which alone may be shown. It hands records to the journal in order and moves the points;
// what a record causes is not its business.

import { Commit, type Committer, type Effects, NO_EFFECTS, type Sender } from './commit.js'
import type { HoldfastError } from './errors.js'
import type { SessionHost } from './host.js'
import type { MachineSnapshot } from './machine-snapshot.js'
import { type Point, pointAfter } from './point.js'
import type { RecordedEvent, TransitionRecord } from './record.js'
import { sessionDeleted, sessionEnded } from './refusals.js'
import { isoTime, type Writable } from './write.js'

export class Ledger {
  readonly session: string
  readonly #host: Pick<SessionHost, 'journal' | 'clock' | 'secrets'>
  readonly #committer: Committer
  #decided: Point
  #durable: Point
  #underWay = 0
  #last: Commit | undefined
  /** Why it decides nothing more: it has ended, or will when what it has decided is durable; or it cannot run. */
  over: HoldfastError | undefined
  /** Bytes of records since the last snapshot. */
  bytesSinceSnapshot = 0

  constructor(
    session: string,
    host: Pick<SessionHost, 'journal' | 'clock' | 'secrets'>,
    committer: Committer,
    point: Point,
  ) {
    this.session = session
    this.#host = host
    this.#committer = committer
    this.#decided = point
    this.#durable = point
  }

  get decided(): Point {
    return this.#decided
  }

  get durable(): Point {
    return this.#durable
  }

  /** How many records are on their way to the disk. */
  get underWay(): number {
    return this.#underWay
  }

  /** Begins anew from a durable point. */
  reset(point: Point): void {
    this.#decided = point
    this.#durable = point
    if (point.status !== 'active') this.over = sessionEnded(this.session, point.status)
  }

  /**
   * Hands a record to the journal; from here on the session has decided it. Throws when the journal takes no more, or
   * SECRET_EXPOSED: what a machine has decided cannot be recorded otherwise than it is.
   */
  append(
    record: Writable<TransitionRecord>,
    snapshot: MachineSnapshot | undefined,
    effects: Effects,
    sender: Sender | undefined,
  ): void {
    this.#host.secrets.refuse(record, 'its record')
    // It goes on in the trace that it is in, unless what has come is of another.
    const { trace } = this.#decided
    if (trace && !record.trace) record.trace = trace
    const commit = new Commit(this.#committer, record, effects, sender)
    const position = this.#host.journal.append(record, commit)
    const point = pointAfter(this.#decided, record, position, snapshot)
    commit.point = point
    this.#decided = point
    this.#last = commit
    this.#underWay++
    if (record.deleted) this.over = sessionDeleted(this.session)
    else if (point.status !== 'active') this.over ??= sessionEnded(this.session, point.status)
  }

  /** The next record, as it is when the machine has no part in it. */
  blank(event: RecordedEvent): Writable<TransitionRecord> {
    const { seq, position, value } = this.#decided
    return { session: this.session, seq: seq + 1, prev: position, at: isoTime(this.#host.clock.now()), event, value }
  }

  /** A record in which the machine has no part, without secrets. */
  redacted(record: Writable<TransitionRecord>): Writable<TransitionRecord> {
    const redacted = this.#host.secrets.json(record)
    // It is written on.
    return redacted === record ? record : { ...redacted }
  }

  /** Records a `change` that is not the machine's: its state stays as it is. Throws as `append` does. */
  note(event: RecordedEvent, change: Partial<TransitionRecord>, sender?: Sender, effects: Effects = NO_EFFECTS): void {
    const record = this.redacted(Object.assign(this.blank(event), change))
    this.append(record, this.#decided.snapshot, effects, sender)
  }

  /** The oldest record under way is durable; gives the point before it. */
  settle({ point }: Commit, bytes: number): Point {
    const before = this.#durable
    this.#durable = point as Point
    this.bytesSinceSnapshot += bytes
    if (--this.#underWay === 0) this.#last = undefined
    return before
  }

  /** Calls `tell` when all that is decided by now is durable, at once if it is; with the error, if the journal has failed. */
  whenDurable(tell: (failure: Error | undefined) => void): void {
    if (this.#last) this.#last.after(tell)
    else tell(undefined)
  }
}
