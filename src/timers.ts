// Deadlines: one queue for all sessions, one timer of the clock.
// A deadline is an absolute time; it is never called early, and at once when overdue. It is waited for in stages, so that
// it may be as far away as it likes, and a clock that has jumped (a suspended machine, a corrected time) is noticed within
// a minute. What a deadline means is its owner's business.

import type { Cancel, Clock } from './clock.js'

/** A wait under way does not notice that the clock has jumped; after this long the clock is looked at again. */
const LONGEST_WAIT_MS = 60_000

interface Deadline {
  readonly at: number
  /** Order of arming, for deadlines of the same time. */
  readonly order: number
  /** Forgotten when it is cancelled: it may hold a whole session, and the deadline stays for a while. */
  due: () => void
  cancelled: boolean
}

export class Timers {
  readonly #clock: Clock
  /** A binary heap: the earliest first. */
  readonly #heap: Deadline[] = []
  #order = 0
  #cancelled = 0
  #alarm: { readonly at: number; readonly cancel: Cancel } | undefined
  #stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many deadlines wait. */
  get size(): number {
    return this.#heap.length - this.#cancelled
  }

  /** Calls `due` once it is `at` (ms since the epoch), never synchronously. */
  arm(at: number, due: () => void): Cancel {
    if (this.#stopped) return () => {}
    const deadline: Deadline = { at, order: this.#order++, due, cancelled: false }
    push(this.#heap, deadline)
    this.#rearm()
    return () => this.#cancel(deadline)
  }

  /** Forgets everything, and takes nothing more. */
  stop(): void {
    this.#stopped = true
    for (const deadline of this.#heap.splice(0)) deadline.cancelled = true
    this.#cancelled = 0
    this.#alarm?.cancel()
    this.#alarm = undefined
  }

  #cancel(deadline: Deadline): void {
    if (deadline.cancelled) return
    deadline.cancelled = true
    deadline.due = NOTHING
    // Cancelled deadlines stay in the heap until they surface, but never outnumber the live ones.
    if (++this.#cancelled > 64 && this.#cancelled > this.#heap.length / 2) this.#compact()
  }

  #compact(): void {
    const live = this.#heap.filter((deadline) => !deadline.cancelled)
    this.#heap.length = 0
    for (const deadline of live) push(this.#heap, deadline)
    this.#cancelled = 0
  }

  #rearm(): void {
    const next = this.#heap[0]
    if (!next) return
    if (this.#alarm && this.#alarm.at <= next.at) return
    this.#alarm?.cancel()
    const wait = Math.min(Math.max(next.at - this.#clock.now(), 0), LONGEST_WAIT_MS)
    this.#alarm = { at: next.at, cancel: this.#clock.setTimeout(() => this.#ring(), Math.ceil(wait)) }
  }

  /** Calls everything that is due now. The clock may have jumped back: then nothing is. */
  #ring(): void {
    this.#alarm = undefined
    try {
      this.#callDue(this.#clock.now())
    } finally {
      this.#rearm() // also when one has thrown, which must not stop the others
    }
  }

  #callDue(now: number): void {
    for (let next = this.#heap[0]; next && (next.at <= now || next.cancelled); next = this.#heap[0]) {
      pop(this.#heap)
      // Marked, so that cancelling it later does not count it as waiting in the heap.
      if (next.cancelled) this.#cancelled--
      else {
        next.cancelled = true
        next.due()
      }
    }
  }
}

const NOTHING = (): void => {}

const before = (a: Deadline, b: Deadline): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

function push(heap: Deadline[], deadline: Deadline): void {
  let index = heap.push(deadline) - 1
  while (index > 0) {
    const parent = (index - 1) >> 1
    if (!before(deadline, heap[parent] as Deadline)) break
    heap[index] = heap[parent] as Deadline
    index = parent
  }
  heap[index] = deadline
}

function pop(heap: Deadline[]): void {
  const last = heap.pop() as Deadline
  if (heap.length === 0) return
  let index = 0
  for (;;) {
    let child = index * 2 + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && before(heap[child + 1] as Deadline, heap[child] as Deadline)) child++
    if (!before(heap[child] as Deadline, last)) break
    heap[index] = heap[child] as Deadline
    index = child
  }
  heap[index] = last
}
