// One client of a stream: what it has been given, and what comes next, asked for piece by piece as the client reads.
// It replays from the journal until it meets the tail that all clients of the stream share, and reads that from then on; so
// it costs one piece of memory, whatever it does. One that does not read while more than the tail holds goes by is cut off,
// and told from where to go on.

import type { Subscription } from 'rxjs'
import { HoldfastError, isHoldfastError } from '../errors.js'
import type { Stream } from '../stream.js'
import type { Transition } from '../transition.js'
import { frame, HEARTBEAT, opening, transitionFrame } from './frame.js'
import { problemOf, tellable } from './problem.js'
import type { Tail } from './tail.js'

/** Of a replay, as many characters are made before the client has to ask for more. */
const PAGE_CHARACTERS = 64 * 1024
/** While it replays the journal has what is live, so hardly any of that need wait. */
const REPLAY_QUEUE = 16

/** What a follower follows. */
export interface Followed {
  readonly tail: Tail
  /** Set when nothing will be appended any more, with what is said last, if anything is. */
  readonly ending: { readonly frame: string | undefined } | undefined
  numberOf(transition: Transition): number
  /** Has the tail begin behind `after`, if that is near and somebody follows who was here before. */
  reach(after: number): void
  /** Whether a transition is for those who follow. */
  sees(transition: Transition): boolean
  /** The transitions from a number on, replayed and then live. */
  replay(from: number, queueLimit: number): Stream<Transition>
  report(error: unknown): void
}

const encoder = new TextEncoder()
const HEARTBEAT_BYTES = encoder.encode(HEARTBEAT)

export class Follower {
  readonly #followed: Followed
  readonly #cut: () => void
  /** The number of the last transition that it was given, or the one before the first that it wants. */
  #last: number
  /** Where it is in the tail; undefined while it replays. */
  #place: number | undefined
  /** What a replay has made and nobody has asked for. */
  #page: string[]
  #characters: number
  #replay: Subscription | undefined
  /** A replay is under way, also while it is being begun. */
  #replaying = false
  /** Lets the replay go on. */
  #goOn: (() => void) | undefined
  /** Asked for and not there yet. */
  #asked: ((bytes: Uint8Array | undefined) => void) | undefined
  #quiet = false
  #over = false
  readonly #after: number
  /** Why it cannot follow from there: nothing has been given then. */
  refusal: HoldfastError | undefined
  /** Fulfilled when it is known whether it can follow from there. */
  readonly begun: Promise<void>
  #begin: () => void = () => {}

  /** `after`: the number of the last transition that the client has. `cut` is called when it does not read. */
  constructor(followed: Followed, after: number, cut: () => void) {
    this.#followed = followed
    this.#cut = cut
    this.#after = after
    this.#last = after
    this.#page = [opening(after)]
    this.#characters = 0
    this.begun = new Promise((resolve) => {
      this.#begin = resolve
    })
    this.#meet()
  }

  /** The next bytes, whole frames; undefined at the end. One question at a time. */
  next(): Promise<Uint8Array | undefined> {
    const now = this.#take()
    if (now || this.#over) return Promise.resolve(now)
    return new Promise((resolve) => {
      this.#asked = resolve
    })
  }

  /** There may be something in the tail, or it has ended. */
  wake(): void {
    const asked = this.#asked
    if (!asked) return
    // Taken back meanwhile: a replay that begins in here must not answer before what comes first.
    this.#asked = undefined
    const bytes = this.#take()
    this.#asked = asked
    if (bytes || this.#over) this.#answer(bytes)
  }

  /** Called now and then: one that was given nothing since the last time is given a sign of life. */
  beat(): void {
    if (this.#quiet) this.#answer(HEARTBEAT_BYTES)
    this.#quiet = true
  }

  /** The tail has given up what it had not read. */
  checkLag(): void {
    if (this.#over || this.#place === undefined || this.#place >= this.#followed.tail.start) return
    this.#finish(frame('problem', problemOf(overflow(this.#last))))
    this.#cut()
  }

  /** The client has left. */
  close(): void {
    this.#over = true
    this.#page = []
    this.#leaveReplay()
    this.#answer(undefined)
  }

  #take(): Uint8Array | undefined {
    if (this.#page.length > 0) return this.#takePage()
    if (this.#over || this.#place === undefined) return undefined
    const { tail, ending } = this.#followed
    // So much has come in one turn that it could not ask before: the journal has it.
    if (this.#place < tail.start) {
      this.#meet()
      return this.#take()
    }
    const piece = tail.from(this.#place)
    if (piece) {
      this.#place += piece.bytes.length
      this.#last = Math.max(this.#last, piece.last ?? this.#last)
      return piece.bytes
    }
    if (!ending) return undefined
    this.#over = true
    return ending.frame === undefined ? undefined : encoder.encode(ending.frame)
  }

  #takePage(): Uint8Array {
    const bytes = encoder.encode(this.#page.join(''))
    this.#page = []
    this.#characters = 0
    const goOn = this.#goOn
    this.#goOn = undefined
    goOn?.()
    if (!this.#replaying && this.#place === undefined && !this.#over) this.#meet()
    return bytes
  }

  /** Goes on in the tail if that has everything from here on, else in the journal. */
  #meet(): void {
    const { tail } = this.#followed
    if (tail.placeAfter(this.#last) === undefined) this.#followed.reach(this.#last)
    this.#place = tail.placeAfter(this.#last)
    if (this.#place !== undefined) return this.#begin()
    this.#replaying = true
    const replay = this.#followed.replay(this.#last + 1, REPLAY_QUEUE).subscribe({
      next: (transition) => this.#replayed(transition),
      error: (error: unknown) => this.#failed(error),
      complete: () => this.#completed(),
    })
    // It may have met the tail, or its end, before there was anything to leave.
    if (this.#replaying) this.#replay = replay
    else replay.unsubscribe()
  }

  #replayed(transition: Transition): Promise<void> | undefined {
    const number = this.#followed.numberOf(transition)
    if (this.#place !== undefined || this.#over || number <= this.#last) return undefined
    if (this.#meetTail()) return undefined
    if (!this.#followed.sees(transition)) {
      this.#last = number
      return undefined
    }
    const text = transitionFrame(transition, number)
    this.#last = number
    this.#page.push(text)
    this.#characters += text.length
    this.#begin()
    if (!this.#meetTail() && this.#asked) this.#answer(this.#takePage())
    if (this.#characters < PAGE_CHARACTERS) return undefined
    return new Promise((resolve) => {
      this.#goOn = resolve
    })
  }

  #meetTail(): boolean {
    this.#place = this.#followed.tail.placeAfter(this.#last)
    if (this.#place === undefined) return false
    this.#begin()
    this.#leaveReplay()
    this.wake()
    return true
  }

  /** Too slow for what was live meanwhile: the journal has that, once there is room again. */
  #failed(error: unknown): void {
    this.#replaying = false
    this.#replay = undefined
    if (!isHoldfastError(error, 'OBSERVER_OVERFLOW')) {
      const told = tellable(error, this.#followed.report)
      if (this.#last === this.#after) this.refusal = told
      this.#finish(frame('problem', problemOf(told)))
    } else if (this.#page.length === 0) {
      this.#meet()
    }
  }

  /** The stream is over: its end stands in the tail. */
  #completed(): void {
    this.#replaying = false
    this.#replay = undefined
    this.#place ??= this.#followed.tail.placeAfter(this.#last) ?? this.#followed.tail.end
    this.#begin()
    this.wake()
  }

  #finish(last: string): void {
    this.#over = true
    this.#begin()
    this.#leaveReplay()
    this.#page.push(last)
    if (this.#asked) this.#answer(this.#takePage())
  }

  #answer(bytes: Uint8Array | undefined): void {
    const asked = this.#asked
    if (!asked) return
    this.#asked = undefined
    this.#quiet = false
    asked(bytes)
  }

  #leaveReplay(): void {
    this.#replaying = false
    const replay = this.#replay
    this.#replay = undefined
    const goOn = this.#goOn
    this.#goOn = undefined
    replay?.unsubscribe()
    goOn?.()
  }
}

const overflow = (last: number): HoldfastError =>
  new HoldfastError(
    'OBSERVER_OVERFLOW',
    'this stream was cut off because too much of it waited to be read; go on where it ended, with Last-Event-ID or ?after=',
    { details: { after: last } },
  )
