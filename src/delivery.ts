// How one observer gets its items: first the journal from a number on, then what comes live.
// It promises no gap, no duplicate and the order of the numbers, whatever is published in the meantime; it waits for an
// observer that asks to; it lets the event loop turn after every page. What is live and not yet given is bounded.
// During a replay nothing overflows: what does not fit is read from the journal again.

import { HoldfastError } from './errors.js'
import { Fifo } from './fifo.js'
import { Pace } from './pace.js'
import type { Source, StreamHost, StreamOptions } from './stream.js'

/** Items read or given in one go before the event loop gets its turn. */
const PAGE_ITEMS = 256

/** Live items that wait for one observer before it is cut off. */
export const QUEUE_LIMIT = 1024

/** Where items go. What throws here is reported, and the delivery stopped. */
export interface Sink<T> {
  next(item: T): void
  error(error: unknown): void
  complete(): void
  unsubscribe(): void
}

/** A source that cannot replay: only what comes live. */
export type LiveSource<T> = Pick<Source<T>, 'listen'>

export class Delivery<T> {
  readonly #source: Source<T> | LiveSource<T>
  readonly #numberOf: ((item: T) => number) | undefined
  readonly #queueLimit: number
  readonly #signal: AbortSignal | undefined
  readonly #host: StreamHost
  readonly #sink: Sink<T>
  readonly #pace: Pace = new Pace(() => this.#run(undefined))
  /** Live items not yet given. During a replay: the newest of them. */
  readonly #queue: Fifo<T> = new Fifo()
  /** Number of the last item given, or the one before the first wanted. */
  #last = Number.NEGATIVE_INFINITY
  #replaying: boolean
  /** Where the next pass begins: the number asked for, later one that was given. Numbers between items mean nothing. */
  #passFrom: number
  /** The pass through the journal under way, and whether it gave anything. */
  #pass: IterableIterator<T | undefined> | undefined
  #progress = false
  /** Inside `#run` or a direct call: what comes now waits its turn. */
  #running = false
  /** The event loop has its turn. */
  #resting = false
  #credit = PAGE_ITEMS
  #end: { readonly error: Error | undefined } | undefined
  #closed = false
  #leave: (() => void) | undefined

  constructor(source: Source<T> | LiveSource<T>, options: StreamOptions, host: StreamHost, sink: Sink<T>) {
    this.#source = source
    this.#numberOf = 'numberOf' in source ? (item) => source.numberOf(item) : undefined
    this.#queueLimit = options.queueLimit ?? QUEUE_LIMIT
    this.#signal = options.signal
    this.#host = host
    this.#sink = sink
    this.#replaying = options.from !== undefined
    this.#passFrom = options.from ?? 0
    if (options.from !== undefined) this.#last = options.from - 1
  }

  /** Begins to listen, and gives the first page at once. */
  start(): void {
    if (this.#closed) return
    if (this.#signal?.aborted) {
      this.#tell(() => this.#sink.complete())
      return
    }
    this.#running = true
    this.#leave = this.#source.listen(this.#hear, this.#ended)
    this.#signal?.addEventListener('abort', this.#aborted)
    this.#running = false
    this.#run(Pace.current)
  }

  /** Stops for good. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#queue.clear()
    this.#signal?.removeEventListener('abort', this.#aborted)
    this.#leave?.()
    // While it gives, the pass may be inside its own `next`, where it cannot be ended: `#run` does it afterwards.
    if (!this.#running) this.#dropPass()
  }

  /** A live item: given at once when nothing is before it, else queued. */
  readonly #hear = (item: T): void => {
    if (this.#closed) return
    if (this.#running || this.#replaying || this.#resting || this.#pace.held) {
      this.#enqueue(item)
      return
    }
    this.#running = true
    this.#give(item, undefined)
    this.#running = false
    if (this.#queue.size > 0 || this.#end) this.#run(undefined)
  }

  readonly #ended = (error?: Error): void => {
    this.#end = { error }
    this.#run(undefined)
  }

  /** The caller wants no more: nothing queued is given. */
  readonly #aborted = (): void => {
    this.close()
    this.#tell(() => this.#sink.complete())
  }

  #enqueue(item: T): void {
    if (this.#isGiven(item)) return
    if (this.#queue.size < this.#queueLimit) {
      this.#queue.push(item)
    } else if (this.#replaying) {
      // The journal has the oldest; the newest says how far to read.
      this.#queue.shift()
      this.#queue.push(item)
    } else {
      this.#overflow()
    }
  }

  /** Gives what there is to give, until there is nothing, the observer asks to wait, or the page is full. */
  #run(outer: Pace | undefined): void {
    if (this.#running) return
    this.#running = true
    while (!this.#closed && !this.#pace.held && !this.#resting) {
      if (this.#credit === 0) this.#rest()
      else if (!(this.#replaying ? this.#replayOne(outer) : this.#giveQueued(outer))) break
    }
    this.#running = false
    if (this.#closed) this.#dropPass()
  }

  /** One step of the replay. At the end of a pass: live from here, or, if more came meanwhile, another pass. */
  #replayOne(outer: Pace | undefined): boolean {
    const item = this.#read()
    if (this.#closed) return false
    if (item) {
      const before = this.#last
      this.#credit--
      if (item.value === undefined) return true
      this.#give(item.value, outer)
      if (this.#last !== before) this.#progress = true
      return true
    }
    this.#pass = undefined
    this.#passFrom = Math.max(this.#passFrom, this.#last)
    while (this.#queue.size > 0 && this.#isGiven(this.#queue.peek() as T)) this.#queue.shift()
    this.#replaying = this.#progress && this.#queue.size > 0
    this.#progress = false
    return true
  }

  #read(): IteratorYieldResult<T | undefined> | undefined {
    try {
      this.#pass ??= (this.#source as Source<T>).replay(this.#passFrom)
      const result = this.#pass.next()
      return result.done ? undefined : result
    } catch (error) {
      this.#fail(error)
      return undefined
    }
  }

  #giveQueued(outer: Pace | undefined): boolean {
    if (this.#queue.size > 0) {
      this.#credit--
      this.#give(this.#queue.shift() as T, outer)
      return true
    }
    const end = this.#end
    if (end?.error) this.#fail(end.error)
    else if (end) this.#complete()
    return false
  }

  #give(item: T, outer: Pace | undefined): void {
    this.#pace.outer = outer
    const before = Pace.enter(this.#pace)
    try {
      if (this.#advance(item)) this.#sink.next(item)
    } catch (error) {
      this.#drop(error)
    } finally {
      Pace.enter(before)
    }
  }

  /** Takes note of the item's number; false when it was given before. */
  #advance(item: T): boolean {
    if (!this.#numberOf) return true
    const number = this.#numberOf(item)
    if (number <= this.#last) return false
    this.#last = number
    return true
  }

  /** What came from the journal may come live again, and the other way round. */
  #isGiven(item: T): boolean {
    return this.#numberOf !== undefined && this.#numberOf(item) <= this.#last
  }

  #rest(): void {
    this.#resting = true
    this.#host.clock.soon(() => {
      this.#resting = false
      this.#credit = PAGE_ITEMS
      this.#run(undefined)
    })
  }

  /** More is live than may wait: the observer is cut off, and told the number of the first item it did not get. */
  #overflow(): void {
    const resumeFrom = this.#numberOf?.(this.#queue.peek() as T)
    this.#fail(overflowError(this.#queueLimit, resumeFrom))
  }

  #fail(error: unknown): void {
    this.close()
    this.#tell(() => this.#sink.error(error))
  }

  #complete(): void {
    this.close()
    this.#tell(() => this.#sink.complete())
  }

  #tell(call: () => void): void {
    try {
      call()
    } catch (error) {
      report(this.#host, error)
    }
  }

  /** The sink itself threw, which only a Subscriber made by hand does: it gets no more. */
  #drop(error: unknown): void {
    this.close()
    this.#tell(() => this.#sink.unsubscribe())
    report(this.#host, error)
  }

  #dropPass(): void {
    const pass = this.#pass
    this.#pass = undefined
    this.#tell(() => pass?.return?.())
  }
}

/** `resumeFrom` is the number to pass as `from` to go on without a gap; without it the items were live only. */
export function overflowError(queueLimit: number, resumeFrom?: number): HoldfastError {
  const remedy = resumeFrom === undefined ? 'what it missed is gone' : `subscribe again with { from: ${resumeFrom} }`
  return new HoldfastError(
    'OBSERVER_OVERFLOW',
    `an observer was cut off because more than ${queueLimit} items waited for it; ${remedy}, or raise queueLimit`,
    { details: resumeFrom === undefined ? {} : { resumeFrom } },
  )
}

/** Tells the host; if that throws as well, there is nobody left to tell. */
export function report(host: Pick<StreamHost, 'onObserverError'>, error: unknown): void {
  try {
    host.onObserverError(error)
  } catch {
    // The host promised not to throw, and observers must not pay for it.
  }
}
