// The streams: ordered items for any number of observers, replayed from the journal and then live.
// An observer may be slow, throw, reject, subscribe, unsubscribe or publish: nobody else notices, and nothing is lost,
// doubled or out of order. A stream is cold: each subscription makes its own way through replay and live items.
// It keeps no items; whoever is cut off for being slow is told from where to go on.

import type { Observer, OperatorFunction as Op, Operator, Subscription, TeardownLogic } from 'rxjs'
// By their own paths, not as two of the two hundred modules of `rxjs`: an import of Holdfast takes a third less of the processor.
import { Observable } from 'rxjs/internal/Observable'
import { Subscriber } from 'rxjs/internal/Subscriber'
import type { Clock } from './clock.js'
import { Delivery, type LiveSource, QUEUE_LIMIT } from './delivery.js'
import { requireWhole } from './numbers.js'
import { IsolatedObserver, StreamIterator } from './observer.js'
import { admitOptions, type KeysOf } from './options.js'

export { Broadcast } from './broadcast.js'

/** What a replayable stream is made of. */
export interface Source<T> {
  /**
   * The durable items with a number of at least `from`, in order, read as they are asked for; undefined when it has read
   * something and none is found yet. May throw. `from` is the number of an item, or what the caller of the stream asked for.
   */
  replay(from: number): IterableIterator<T | undefined>
  /** The number of an item: a whole number that grows from item to item, not necessarily by one. Must not throw. */
  numberOf(item: T): number
  /**
   * Adds a listener of live items, each of which `replay` gives from then on; returns how to take it off. `ended` is
   * called once, when no more will come; at once if that is past.
   */
  listen(listener: (item: T) => void, ended: (error?: Error) => void): () => void
}

export interface LiveStreamOptions {
  /** How many live items may wait for a slow observer before it is cut off with OBSERVER_OVERFLOW (1024). */
  queueLimit?: number
  /** Completes every subscription when aborted; what is queued by then is dropped. */
  signal?: AbortSignal
}

export interface StreamOptions extends LiveStreamOptions {
  /**
   * The first number wanted: the durable items from it on are replayed, then come the live ones; what has a smaller
   * number never comes. Without it: whatever is published after subscribing.
   */
  from?: number
}

export interface StreamHost {
  clock: Clock
  /** Hears what an observer threw or rejected, or an error that it had no handler for. Must not throw. */
  onObserverError(error: unknown): void
}

type Handler<A> = ((argument: A) => void) | null

/**
 * An RxJS Observable that is also an AsyncIterable, and so is what its `pipe` gives.
 *
 * `next` may be async: the next item comes when its promise is fulfilled, and a replay waits meanwhile. What `next`
 * throws or rejects with unsubscribes that observer and goes to the host. An error (of an operator, of the stream, or
 * OBSERVER_OVERFLOW) goes to the observer's `error`, or without one to the host.
 *
 * ```ts
 * session.transitions$({ from: 1 }).subscribe((transition) => console.log(transition.seq))
 * for await (const transition of session.transitions$({ from: 1 })) console.log(transition.seq)
 * ```
 */
export class Stream<T> extends Observable<T> implements AsyncIterable<T, undefined> {
  readonly #host: StreamHost
  readonly #queueLimit: number

  /** `begin` is called for each subscription and returns how to end it, as for an Observable. */
  constructor(host: StreamHost, queueLimit: number, begin?: (subscriber: Subscriber<T>) => TeardownLogic) {
    super(begin)
    this.#host = host
    this.#queueLimit = queueLimit
  }

  /** What operators call to make the result of `pipe`: it isolates its observers as this one does. */
  override lift<R>(operator?: Operator<T, R>): Stream<R> {
    const lifted = new Stream<R>(this.#host, this.#queueLimit)
    lifted.source = this
    lifted.operator = operator
    return lifted
  }

  override subscribe(
    observerOrNext?: Partial<Observer<T>> | Handler<T>,
    error?: Handler<unknown>,
    complete?: (() => void) | null,
  ): Subscription {
    // An operator's own subscriber leads to an observer further on, and that one is isolated.
    if (isSubscriber(observerOrNext)) return super.subscribe(observerOrNext)
    const observer =
      typeof observerOrNext === 'object' && observerOrNext
        ? observerOrNext
        : { next: observerOrNext ?? undefined, error: error ?? undefined, complete: complete ?? undefined }
    return super.subscribe(new IsolatedObserver<T>(observer, this.#host, this.#queueLimit))
  }

  // Observable's own signatures, but for what they give.
  override pipe(): Stream<T>
  override pipe<A>(a: Op<T, A>): Stream<A>
  override pipe<A, B>(a: Op<T, A>, b: Op<A, B>): Stream<B>
  override pipe<A, B, C>(a: Op<T, A>, b: Op<A, B>, c: Op<B, C>): Stream<C>
  override pipe<A, B, C, D>(a: Op<T, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>): Stream<D>
  override pipe<A, B, C, D, E>(a: Op<T, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>): Stream<E>
  override pipe<A, B, C, D, E, F>(
    a: Op<T, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
  ): Stream<F>
  override pipe<A, B, C, D, E, F, G>(
    a: Op<T, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
    g: Op<F, G>,
  ): Stream<G>
  override pipe<A, B, C, D, E, F, G, H>(
    a: Op<T, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
    g: Op<F, G>,
    h: Op<G, H>,
  ): Stream<H>
  override pipe<A, B, C, D, E, F, G, H, I>(
    a: Op<T, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
    g: Op<F, G>,
    h: Op<G, H>,
    i: Op<H, I>,
  ): Stream<I>
  override pipe<A, B, C, D, E, F, G, H, I>(
    a: Op<T, A>,
    b: Op<A, B>,
    c: Op<B, C>,
    d: Op<C, D>,
    e: Op<D, E>,
    f: Op<E, F>,
    g: Op<F, G>,
    h: Op<G, H>,
    i: Op<H, I>,
    ...more: Op<unknown, unknown>[]
  ): Stream<unknown>
  override pipe(...operators: Op<never, unknown>[]): unknown {
    let result: Observable<unknown> = this
    for (const operator of operators) result = operator(result as Observable<never>)
    if (result instanceof Stream) return result
    // Some operators make an Observable of their own (`endWith`): its observers would not be isolated.
    return new Stream(this.#host, this.#queueLimit, (subscriber) => result.subscribe(subscriber))
  }

  /** Calls `next` with each item, one after the other; rejects with what `next` throws, or with the stream's error. */
  override async forEach(next: (item: T) => void): Promise<void> {
    for await (const item of this) await next(item)
  }

  /** Subscribes at once, and unsubscribes when the loop is left. */
  [Symbol.asyncIterator](): AsyncIterableIterator<T, undefined> {
    return new StreamIterator<T>((observer) => this.subscribe(observer))
  }
}

/** The durable items from `from` on, then the live ones. Throws INVALID_ARGUMENT. */
export function replayThenLive<T>(source: Source<T>, options: StreamOptions, host: StreamHost): Stream<T> {
  admitStreamOptions(options)
  return deliver(source, options, host)
}

const LIVE_OPTIONS: KeysOf<LiveStreamOptions> = { queueLimit: true, signal: true }
const STREAM_OPTIONS: KeysOf<StreamOptions> = { from: true, ...LIVE_OPTIONS }

/** Throws INVALID_ARGUMENT, for a stream of whichever runtime: this one, or one behind a server. */
export function admitStreamOptions(options: StreamOptions): void {
  admitOptions('options of a stream', options, STREAM_OPTIONS)
  if (options.from !== undefined) requireWhole('from', options.from, Number.MIN_SAFE_INTEGER)
  if (options.queueLimit !== undefined) requireWhole('queueLimit', options.queueLimit, 1)
}

/** The same for a stream without replay, which has no `from`. */
export function admitLiveOptions(options: LiveStreamOptions): void {
  admitOptions('options of a live stream', options, LIVE_OPTIONS)
  admitStreamOptions(options)
}

/** What comes live, without numbers and without replay. Throws INVALID_ARGUMENT. */
export function liveOnly<T>(listen: Source<T>['listen'], options: LiveStreamOptions, host: StreamHost): Stream<T> {
  admitLiveOptions(options)
  return deliver({ listen }, options, host)
}

function deliver<T>(source: Source<T> | LiveSource<T>, options: StreamOptions, host: StreamHost): Stream<T> {
  const queueLimit = options.queueLimit ?? QUEUE_LIMIT
  return new Stream<T>(host, queueLimit, (subscriber) => {
    const delivery = new Delivery<T>(source, options, host, subscriber)
    // Before it starts: an observer may have enough after the first item.
    subscriber.add(() => delivery.close())
    delivery.start()
  })
}

/** As RxJS tells them: also one of another copy of RxJS. */
const isSubscriber = (value: unknown): value is Subscriber<never> =>
  value instanceof Subscriber ||
  (typeof value === 'object' &&
    value !== null &&
    ['next', 'error', 'complete', 'add', 'remove', 'unsubscribe'].every(
      (method) => typeof (value as Record<string, unknown>)[method] === 'function',
    ))
