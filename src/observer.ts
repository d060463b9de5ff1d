// One observer at the end of a stream, and the observer behind a `for await` loop.
// Whatever the observer does, nobody else notices: what it throws or rejects goes to the host and it is unsubscribed; one
// that is slow is waited for, and meanwhile pauses the deliveries that feed it. It never lets an error out to its caller,
// as RxJS's own subscriber does in a timer, which ends the process.

import type { Observer, Subscription } from 'rxjs'
import { Subscriber } from 'rxjs/internal/Subscriber'
import { overflowError, report } from './delivery.js'
import { Fifo } from './fifo.js'
import { Pace } from './pace.js'
import type { StreamHost } from './stream.js'

type End = { readonly kind: 'complete' } | { readonly kind: 'error'; readonly error: unknown }

/** What the observer is doing with the last item: nothing any more, inside `next`, or behind the promise it returned. */
type Activity = 'idle' | 'calling' | 'waiting'

export class IsolatedObserver<T> extends Subscriber<T> {
  readonly #observer: Partial<Observer<T>>
  readonly #host: StreamHost
  readonly #queueLimit: number
  #activity: Activity = 'idle'
  /** Items that came in the meantime: from a second source, or from an operator that makes many of one. */
  readonly #queue: Fifo<T> = new Fifo()
  #end: End | undefined
  /** The deliveries that wait for this observer. */
  #held: Pace[] = []

  constructor(observer: Partial<Observer<T>>, host: StreamHost, queueLimit: number) {
    super()
    this.#observer = observer
    this.#host = host
    this.#queueLimit = queueLimit
  }

  override unsubscribe(): void {
    if (this.closed) return
    this.#queue.clear()
    try {
      super.unsubscribe()
    } finally {
      this.#release()
    }
  }

  protected override _next(item: T): void {
    if (this.#activity !== 'idle') {
      this.#enqueue(item)
      return
    }
    this.#give(item)
    if (this.#queue.size > 0 || this.#end) this.#drain()
  }

  protected override _error(error: unknown): void {
    this.#end = { kind: 'error', error }
    this.#drain()
  }

  protected override _complete(): void {
    this.#end = { kind: 'complete' }
    this.#drain()
  }

  #enqueue(item: T): void {
    if (this.#queue.size >= this.#queueLimit) {
      this.#queue.clear()
      this.error(overflowError(this.#queueLimit))
      return
    }
    this.#queue.push(item)
    this.#hold(Pace.current)
  }

  #give(item: T): void {
    // What the observer itself starts in here is its own affair and is not paced by it.
    const pace = Pace.enter(undefined)
    this.#activity = 'calling'
    try {
      const result: unknown = this.#observer.next?.(item)
      if (isThenable(result)) this.#wait(result, pace)
      else this.#activity = 'idle'
    } catch (error) {
      this.#fail(error)
    } finally {
      Pace.enter(pace)
    }
  }

  #wait(result: PromiseLike<unknown>, pace: Pace | undefined): void {
    this.#activity = 'waiting'
    if (!this.closed) this.#hold(pace)
    Promise.resolve(result).then(this.#settled, this.#fail)
  }

  readonly #settled = (): void => {
    this.#activity = 'idle'
    this.#drain()
  }

  /** It threw or rejected: it gets nothing more, not even the error. */
  readonly #fail = (error: unknown): void => {
    this.#close()
    report(this.#host, error)
  }

  /** Gives what is queued, then the end. An error does not wait for the item in hand: a stalled observer must hear it. */
  #drain(): void {
    while (this.#activity === 'idle' && this.#queue.size > 0) this.#give(this.#queue.shift() as T)
    if (this.closed || this.#queue.size > 0 || this.#activity === 'calling') return
    if (this.#end?.kind === 'error') this.#giveError(this.#end.error)
    else if (this.#activity === 'idle' && this.#end) this.#call(() => this.#observer.complete?.())
    else if (this.#activity === 'idle') this.#release()
  }

  #giveError(error: unknown): void {
    if (this.#observer.error) this.#call(() => this.#observer.error?.(error))
    else this.#fail(error)
  }

  /** The observer's last call. Its end is not entered twice, even if it ends itself in there. */
  #call(last: () => unknown): void {
    this.#activity = 'calling'
    const pace = Pace.enter(undefined)
    try {
      const result = last()
      if (isThenable(result)) Promise.resolve(result).then(undefined, (error) => report(this.#host, error))
    } catch (error) {
      report(this.#host, error)
    } finally {
      Pace.enter(pace)
    }
    this.#close()
  }

  #close(): void {
    try {
      this.unsubscribe()
    } catch (error) {
      report(this.#host, error)
    }
  }

  /** Pauses the delivery that is giving, and those it began in. */
  #hold(pace: Pace | undefined): void {
    for (let holding = pace; holding; holding = holding.outer) {
      if (this.#held.includes(holding)) continue
      holding.hold()
      this.#held.push(holding)
    }
  }

  #release(): void {
    if (this.#held.length === 0) return
    // Going on may pause again, at once.
    const held = this.#held
    this.#held = []
    for (const pace of held) pace.release()
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

interface Asking<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void
  readonly reject: (error: unknown) => void
}

/** The observer behind `for await`: it is done with an item when the loop asks for the next, so the stream keeps pace. */
export class StreamIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #subscription: Subscription
  /** The item that came before the loop asked for it. The next one is paused until then. */
  #ready: IteratorYieldResult<T> | undefined
  /** The calls of `next` that wait for an item. */
  readonly #asking: Fifo<Asking<T>> = new Fifo()
  #goOn: (() => void) | undefined
  #end: End | undefined

  /** Subscribes at once: what comes before the loop begins is for it. */
  constructor(subscribe: (observer: Observer<T>) => Subscription) {
    this.#subscription = subscribe({
      next: (item) => this.#take(item),
      error: (error: unknown) => this.#finish({ kind: 'error', error }),
      complete: () => this.#finish({ kind: 'complete' }),
    })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const ready = this.#ready
    this.#ready = undefined
    if (ready) return Promise.resolve(ready)
    return new Promise((resolve, reject) => {
      this.#asking.push({ resolve, reject })
      if (this.#end) this.#finish(this.#end)
      else this.#goOn?.()
    })
  }

  /** Unsubscribes: `break` and `return` inside the loop come here. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#ready = undefined
    this.#finish({ kind: 'complete' })
    this.#subscription.unsubscribe()
    return DONE
  }

  async throw(error: unknown): Promise<never> {
    await this.return()
    throw error
  }

  /** Gives the item to who asks; the promise is kept until somebody asks for another. */
  #take(item: T): Promise<void> | undefined {
    const result: IteratorYieldResult<T> = { done: false, value: item }
    const asking = this.#asking.shift()
    if (asking) asking.resolve(result)
    else this.#ready = result
    if (this.#asking.size > 0) return undefined
    return new Promise((resolve) => {
      this.#goOn = resolve
    })
  }

  /** An error is thrown once; whoever asks after it hears that the stream is done. */
  #finish(end: End): void {
    this.#end = end
    for (let asking = this.#asking.shift(); asking; asking = this.#asking.shift()) {
      const now = this.#end
      this.#end = { kind: 'complete' }
      if (now.kind === 'error') asking.reject(now.error)
      else asking.resolve(DONE)
    }
  }
}

const DONE: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined })
