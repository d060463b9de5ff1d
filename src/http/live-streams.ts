// The streams that clients follow: one channel for each session, or for all, that somebody follows, with one subscription
// and one encoding of each transition for all who do. A channel that nobody follows any more is given up.
// However many follow, the event loop has its turn: they are woken some at a time, and rest as long as that took.

import type { Subscription } from 'rxjs'
import type { Cancel, Clock } from '../clock.js'
import { HoldfastError } from '../errors.js'
import type { Session } from '../handle.js'
import type { Runtime } from '../runtime.js'
import type { Stream } from '../stream.js'
import type { Transition } from '../transition.js'
import { type Followed, Follower } from './follower.js'
import { frame, transitionFrame } from './frame.js'
import { problemOf, tellable } from './problem.js'
import { type NumberedFrame, Tail } from './tail.js'

/** What of a session is told. */
export type Told = 'transition' | 'emitted' | 'step'

export interface LiveStreamsOptions {
  readonly clock: Clock
  /** How many bytes may wait for a client that does not read; default 1 MiB. */
  readonly waitingBytes?: number
  report(error: unknown): void
}

/** Of all sessions, those that whoever asks may see; the same `name` is always the same sessions. */
export interface Scope {
  readonly name: string
  sees(session: string): boolean
}

const WAITING_BYTES = 1024 * 1024
/** A client that was given nothing is given a sign of life after one to two of these, so within 9 s. */
const BEAT_MS = 4500
/** Of what was before, so much is read in one turn for all who come again: transitions of one session, bytes of the journal. */
const SHARED_TRANSITIONS = 1024
const SHARED_BYTES = 1024 * 1024
/** How many are woken before the event loop has its turn. */
const WOKEN_AT_ONCE = 200
const LONGEST_REST_MS = 100

export class LiveStreams {
  readonly #runtime: Runtime
  readonly #clock: Clock
  readonly #waitingBytes: number
  readonly #report: (error: unknown) => void
  /** Those that can be joined: an ended one is left to who follows it. */
  readonly #channels: Map<string, Channel> = new Map()
  readonly #following: Map<Follower, Channel> = new Map()
  #beating: Cancel | undefined

  constructor(runtime: Runtime, { clock, waitingBytes = WAITING_BYTES, report }: LiveStreamsOptions) {
    this.#runtime = runtime
    this.#clock = clock
    this.#waitingBytes = waitingBytes
    this.#report = report
  }

  /**
   * Follows one session: what is told after its transition `after`, or from now on. Rejects with HISTORY_UNAVAILABLE when
   * that is not kept, or with what makes it impossible to read. `cut` is called when the client does not read.
   */
  async session(session: Session, told: ReadonlySet<Told>, after?: number, cut?: () => void): Promise<Follower> {
    const key = `${session.id} ${[...told].sort().join()}`
    const { seq } = session.entry()
    const from = told.has('transition') ? (after ?? seq) : seq
    const follower = this.#follow(
      this.#channel(key, () => this.#ofSession(key, session, told, seq)),
      from,
      cut,
    )
    await follower.begun
    return this.#admitted(follower)
  }

  /** Follows all sessions of a scope, as `session` does: `after` is a position. */
  all(scope: Scope | undefined, after?: number, cut?: () => void): Follower {
    const end = this.#runtime.position
    const channel = this.#channel(`all ${scope?.name ?? ''}`, (key) => this.#ofAll(key, scope, end))
    return this.#admitted(this.#follow(channel, after ?? end - 1, cut))
  }

  /** How many follow. */
  get size(): number {
    return this.#following.size
  }

  /** Ends all of them; who followed comes again and goes on where it was. */
  close(): void {
    for (const channel of this.#channels.values()) channel.end(undefined)
  }

  leave(follower: Follower): void {
    const channel = this.#following.get(follower)
    if (!channel) return
    this.#following.delete(follower)
    channel.followers.delete(follower)
    follower.close()
    if (channel.followers.size > 0) return
    channel.stop()
    if (this.#channels.get(channel.key) === channel) this.#channels.delete(channel.key)
  }

  #channel(key: string, make: (key: string) => Channel): Channel {
    const known = this.#channels.get(key)
    if (known && !known.ending) return known
    const channel = make(key)
    this.#channels.set(key, channel)
    return channel
  }

  #follow(channel: Channel, after: number, cut: () => void = () => {}): Follower {
    const follower = new Follower(channel, after, cut)
    channel.followers.add(follower)
    this.#following.set(follower, channel)
    this.#beating ??= this.#clock.setTimeout(this.#beat, BEAT_MS)
    return follower
  }

  #admitted(follower: Follower): Follower {
    if (!follower.refusal) return follower
    this.leave(follower)
    throw follower.refusal
  }

  readonly #beat = (): void => {
    this.#beating = undefined
    for (const follower of this.#following.keys()) follower.beat()
    if (this.#following.size > 0) this.#beating = this.#clock.setTimeout(this.#beat, BEAT_MS)
  }

  #ofSession(key: string, session: Session, told: ReadonlySet<Told>, seq: number): Channel {
    const channel = new Channel(key, this.#clock, new Tail(this.#waitingBytes, seq), this.#report, {
      numberOf: (transition) => transition.seq,
      replay: (from, queueLimit) => session.transitions$({ from, queueLimit }),
      between: (from, to) => session.history({ from, to }),
      near: SHARED_TRANSITIONS,
    })
    if (told.has('emitted')) channel.tell(session.emitted$(), (event) => channel.append(frame('emitted', event)))
    if (told.has('step')) channel.tell(session.progress$(), (update) => channel.append(frame('step', update)))
    channel.tell(
      session.transitions$(),
      (one) => {
        if (told.has('transition')) channel.append(transitionFrame(one, one.seq), one.seq)
      },
      () => channel.end(endOf(session)),
    )
    return channel
  }

  #ofAll(key: string, scope: Scope | undefined, end: number): Channel {
    const sees = ({ session }: Transition): boolean => scope === undefined || scope.sees(session)
    const channel = new Channel(key, this.#clock, new Tail(this.#waitingBytes, end - 1), this.#report, {
      numberOf: (transition) => transition.position,
      sees,
      replay: (from, queueLimit) => this.#runtime.transitions$({ from, queueLimit }),
      between: (from, to) => this.#runtime.history({ from, to }),
      near: SHARED_BYTES,
    })
    channel.tell(
      this.#runtime.transitions$(),
      (one) => {
        if (sees(one)) channel.append(transitionFrame(one, one.position), one.position)
      },
      () => channel.end(undefined),
    )
    return channel
  }
}

/** What is said of a session at its end; undefined when it is only the runtime that closes. */
function endOf(session: Session): string | undefined {
  try {
    const { id, seq, status } = session.entry()
    return status === 'active' ? undefined : frame('end', { session: id, seq, status })
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'SESSION_NOT_FOUND') return undefined
    return frame('end', { session: session.id, status: 'deleted' })
  }
}

type Numbered = Pick<Followed, 'numberOf' | 'replay'> & {
  readonly sees?: (transition: Transition) => boolean
  /** Durable transitions by their numbers, both included. */
  readonly between: (from: number, to: number) => Iterable<Transition>
  /** How far apart numbers are at most between which `between` is asked. */
  readonly near: number
}

class Channel implements Followed {
  readonly key: string
  readonly tail: Tail
  readonly followers: Set<Follower> = new Set()
  ending: Followed['ending']
  readonly sees: (transition: Transition) => boolean
  readonly numberOf: Followed['numberOf']
  readonly replay: Followed['replay']
  readonly #between: Numbered['between']
  readonly #near: number
  /** What comes after this number, or one before it, is more than the tail has room for. */
  #tooMuchAfter = Number.NEGATIVE_INFINITY
  readonly report: (error: unknown) => void
  readonly #clock: Clock
  readonly #subscriptions: Subscription[] = []
  #waking = false
  #checking = false
  /** There is something that who follows has not been woken for. */
  #news = false

  constructor(
    key: string,
    clock: Clock,
    tail: Tail,
    report: (error: unknown) => void,
    { numberOf, replay, sees, between, near }: Numbered,
  ) {
    this.key = key
    this.#clock = clock
    this.tail = tail
    this.report = report
    this.numberOf = numberOf
    this.replay = replay
    this.#between = between
    this.#near = near
    this.sees = sees ?? (() => true)
  }

  /** Passes on what a stream says, and its end. An error is told to all who follow. */
  tell<T>(stream: Stream<T>, next: (item: T) => void, complete?: () => void): void {
    const error = (thrown: unknown): void => this.end(frame('problem', problemOf(tellable(thrown, this.report))))
    this.#subscriptions.push(stream.subscribe({ next, ...(complete && { complete }), error }))
  }

  /**
   * Who comes again at the same time, as after a restart, lacks about the same: it is read and encoded once for all of them.
   * The first of them is alone, and replays by itself.
   */
  reach(after: number): void {
    const { since, room } = this.tail
    if (this.followers.size === 0 || since === undefined || after >= since || since - after > this.#near) return
    // Places that were given up a moment ago are looked for by who was there: they are not given again before that.
    if (after <= this.#tooMuchAfter || this.#checking) return
    const frames: NumberedFrame[] = []
    let bytes = 0
    try {
      for (const transition of this.#between(after + 1, since)) {
        if (!this.sees(transition)) continue
        const number = this.numberOf(transition)
        const text = transitionFrame(transition, number)
        bytes += Buffer.byteLength(text)
        if (bytes > room) {
          this.#tooMuchAfter = after
          return
        }
        frames.push({ frame: text, number })
      }
    } catch {
      // Whoever replays it is told why it cannot be read.
      return
    }
    this.tail.prepend(frames, after)
  }

  append(text: string, number?: number): void {
    // Whoever waits for more is not slow, only not woken yet.
    if (this.tail.wouldEvict(text)) for (const follower of this.followers) follower.wake()
    const { start } = this.tail
    this.tail.append(text, number)
    if (this.tail.start > start) this.#checkLag()
    this.#wake()
  }

  /** In the next turn: until then, whoever reads has asked for more. */
  #checkLag(): void {
    if (this.#checking) return
    this.#checking = true
    this.#clock.soon(() => {
      this.#checking = false
      for (const follower of this.followers) follower.checkLag()
    })
  }

  /** Nothing comes any more; `last` is what is said then. */
  end(last: string | undefined): void {
    if (this.ending) return
    this.ending = { frame: last }
    this.stop()
    this.#wake()
  }

  stop(): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe()
  }

  #wake(): void {
    this.#news = true
    if (this.#waking) return
    this.#waking = true
    this.#clock.soon(() => this.#wakeSome([...this.followers], 0, this.#clock.elapsed()))
  }

  #wakeSome(followers: readonly Follower[], first: number, began: number): void {
    if (first === 0) this.#news = false
    for (const follower of followers.slice(first, first + WOKEN_AT_ONCE)) follower.wake()
    const next = first + WOKEN_AT_ONCE
    // What they do with it they do before the next turn.
    this.#clock.soon(() => {
      if (next < followers.length) this.#wakeSome(followers, next, began)
      else this.#rest(this.#clock.elapsed() - began)
    })
  }

  #rest(tookMs: number): void {
    const go = (): void => {
      this.#waking = false
      if (this.#news) this.#wake()
    }
    if (tookMs < 1) go()
    else this.#clock.setTimeout(go, Math.min(Math.ceil(tookMs), LONGEST_REST_MS))
  }
}
