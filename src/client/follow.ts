// A stream of a server's, as an Observable like the embedded runtime's: it comes again whenever the connection is lost, from
// the last item that was given, so that its observer sees no gap and no duplicate, and no sign of it.
// A slow observer is waited for: nothing more is read meanwhile, and if the server then gives up, it is resumed like any other.

import type { Subscriber } from 'rxjs'
import { HoldfastError } from '../errors.js'
import type { TransitionsOptions } from '../handle.js'
import { Pace } from '../pace.js'
import { admitLiveOptions, admitStreamOptions, Stream, type StreamHost } from '../stream.js'
import type { Transition } from '../transition.js'
import { EventParser, type ServerEvent } from './events.js'
import { errorOf, isPassing, pauseMs, type Requests } from './requests.js'

export interface Feed {
  readonly path: string
  /** Which events are items. */
  readonly event: 'transition' | 'emitted' | 'step'
  /** Of one session: its last transition is the end of the stream. */
  readonly ofSession: boolean
}

/** Servers give a sign of life every 9 seconds. */
const SILENCE_MS = 25_000
const QUEUE_LIMIT = 1024

/** Throws INVALID_ARGUMENT. */
export function follow<T>(requests: Requests, feed: Feed, options: TransitionsOptions, host: StreamHost): Stream<T> {
  if (feed.event === 'transition') admitStreamOptions(options)
  else admitLiveOptions(options)
  const { from, queueLimit = QUEUE_LIMIT, signal } = options
  return new Stream<T>(host, queueLimit, (subscriber) => {
    const left = new AbortController()
    subscriber.add(() => left.abort())
    const follower = new Follower<T>(
      requests,
      feed,
      subscriber,
      signal ? AbortSignal.any([signal, left.signal]) : left.signal,
    )
    void follower.run(from === undefined ? undefined : Math.max(from - 1, -1))
  })
}

/** How one connection ended. */
type Ended =
  | { readonly kind: 'complete' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'refused'; readonly error: HoldfastError }

class Follower<T> {
  readonly #requests: Requests
  readonly #feed: Feed
  readonly #subscriber: Subscriber<T>
  readonly #signal: AbortSignal
  readonly #pace: Pace = new Pace(() => this.#resume())
  #resume: () => void = () => {}
  /** The number of the last item, or where the server said that it begins. */
  #after: number | undefined
  /** How often it was tried since anything came. */
  #tries = 0
  /** The last transition of the session has been given. */
  #over = false

  constructor(requests: Requests, feed: Feed, subscriber: Subscriber<T>, signal: AbortSignal) {
    this.#requests = requests
    this.#feed = feed
    this.#subscriber = subscriber
    this.#signal = signal
    signal.addEventListener('abort', () => this.#resume(), { once: true })
  }

  async run(after: number | undefined): Promise<void> {
    this.#after = after
    for (;;) {
      const ended = await this.#connect()
      if (this.#isLeft || ended.kind === 'complete' || (this.#over && ended.kind === 'lost'))
        return this.#subscriber.complete()
      if (ended.kind === 'refused') return this.#subscriber.error(ended.error)
      await this.#requests.pause(pauseMs(this.#tries++), this.#signal).catch(() => {})
    }
  }

  get #isLeft(): boolean {
    return this.#signal.aborted || this.#requests.server.closing.aborted
  }

  async #connect(): Promise<Ended> {
    const connection = new AbortController()
    const signal = AbortSignal.any([this.#signal, connection.signal])
    const { path, event } = this.#feed
    const query = { after: this.#after, ...(this.#feed.ofSession && { events: event }) }
    try {
      if (this.#isLeft) return { kind: 'complete' }
      const asked = this.#requests.fetch({ method: 'GET', path, query, signal }, 'text/event-stream')
      this.#requests.open(asked)
      const { body } = await asked
      return body ? await this.#read(body.getReader()) : { kind: 'complete' }
    } catch (error) {
      const refused = error instanceof HoldfastError && !isPassing(error)
      return refused ? { kind: 'refused', error } : { kind: 'lost' }
    } finally {
      connection.abort()
    }
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Ended> {
    const parser = new EventParser()
    for (;;) {
      const bytes = await this.#bytes(reader)
      if (!bytes) return { kind: 'lost' }
      for (const event of parser.read(bytes)) {
        const ended = this.#take(event)
        if (ended) return ended
        if (this.#pace.held) await this.#paused()
        if (this.#isLeft) return { kind: 'complete' }
      }
      // The first block has no data, and says where this begins.
      if (this.#after === undefined && parser.id !== undefined) this.#after = Number(parser.id)
    }
  }

  /** Undefined at the end, and when nothing has come for so long that the connection must be dead. */
  async #bytes(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
    let disarm = (): void => {}
    const silence = new Promise<undefined>((resolve) => {
      disarm = this.#requests.server.clock.setTimeout(() => resolve(undefined), SILENCE_MS)
    })
    try {
      return await Promise.race([reader.read().then(({ value }) => value), silence])
    } finally {
      disarm()
    }
  }

  #take({ event, id, data }: ServerEvent): Ended | undefined {
    if (event === 'end') return { kind: 'complete' }
    if (event === 'problem') return this.#problem(JSON.parse(data))
    if (event === this.#feed.event) this.#give(JSON.parse(data), event === 'transition' ? Number(id) : undefined)
    return undefined
  }

  #problem(problem: unknown): Ended {
    const error =
      errorOf(problem) ?? new HoldfastError('UNEXPECTED', 'the stream ended with a problem that has no code')
    const lost = error.code === 'OBSERVER_OVERFLOW' || isPassing(error)
    return lost ? { kind: 'lost' } : { kind: 'refused', error }
  }

  #give(item: T, number: number | undefined): void {
    this.#tries = 0
    if (number !== undefined) {
      if (this.#after !== undefined && number <= this.#after) return
      this.#after = number
      const { status, deleted } = item as Transition
      this.#over = this.#feed.ofSession && (status !== 'active' || deleted === true)
    }
    const before = Pace.enter(this.#pace)
    try {
      this.#subscriber.next(item)
    } finally {
      Pace.enter(before)
    }
  }

  /** Until the observer is done with what it has, or has left. */
  #paused(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve
    })
  }
}
