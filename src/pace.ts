// The way back from an observer to the delivery that feeds it, through whatever operators lie between.
// Operators are synchronous, so the delivery that is giving right now is the one that a slow observer pauses. It promises
// nothing across operators that wait (`delay`, `observeOn`): what comes from those queues at the observer.

export class Pace {
  static #current: Pace | undefined

  readonly #resume: () => void
  #holds = 0
  /** The delivery inside which this one is giving, as in `switchMap`: who pauses this one pauses that one too. */
  outer: Pace | undefined

  constructor(resume: () => void) {
    this.#resume = resume
  }

  /** The delivery that is giving right now. */
  static get current(): Pace | undefined {
    return Pace.#current
  }

  /** Says who is giving from now on; returns who was, to be put back. */
  static enter(pace: Pace | undefined): Pace | undefined {
    const before = Pace.#current
    Pace.#current = pace
    return before
  }

  get held(): boolean {
    return this.#holds > 0
  }

  hold(): void {
    this.#holds++
  }

  /** Takes one `hold` back; after the last one the delivery goes on. */
  release(): void {
    if (--this.#holds === 0) this.#resume()
  }
}
