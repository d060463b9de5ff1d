// The live listeners of one session, or of the runtime.
// Every listener hears every item published after it began to listen, in the order of publishing, also when a listener
// publishes; a listener that throws is taken off and harms nobody. It never replays and never keeps an item.

import { Fifo } from './fifo.js'

interface Listener<T> {
  readonly listener: (item: T) => void
  readonly ended: (error?: Error) => void
  /** The first item it hears: what was published before, and still waits its turn, is not for it. */
  readonly since: number
}

export class Broadcast<T> {
  readonly #listeners: Set<Listener<T>> = new Set()
  /** What listeners published while listening. It grows only by what one call of one listener publishes. */
  readonly #waiting: Fifo<T> = new Fifo()
  #published = 0
  #publishing = false
  #end: { readonly error: Error | undefined } | undefined

  /** Whether anybody listens: if not, an item need not even be made. */
  get observed(): boolean {
    return this.#listeners.size > 0
  }

  /** Hands an item to every listener before it returns, or, inside a listener, after the items published before. */
  publish(item: T): void {
    if (this.#listeners.size === 0 || this.#end) return
    const number = this.#published++
    if (this.#publishing) {
      this.#waiting.push(item)
      return
    }
    this.#publishing = true
    this.#tell(item, number)
    while (this.#waiting.size > 0) {
      const next = this.#published - this.#waiting.size
      this.#tell(this.#waiting.shift() as T, next)
    }
    this.#publishing = false
    if (this.#end) this.#finish()
  }

  /** No item comes any more: every listener is told, after what is published already. Idempotent. */
  end(error?: Error): void {
    if (this.#end) return
    this.#end = { error }
    if (!this.#publishing) this.#finish()
  }

  /**
   * Adds a listener of what is published from now on; returns how to take it off, at once and for good.
   * `ended` is called at most once: at the end (at once if that is past), or with what `listener` threw.
   */
  listen(listener: (item: T) => void, ended: (error?: Error) => void): () => void {
    const entry: Listener<T> = { listener, ended, since: this.#published }
    if (this.#end) {
      dismiss(entry, this.#end.error)
      return () => {}
    }
    this.#listeners.add(entry)
    return () => {
      this.#listeners.delete(entry)
    }
  }

  #tell(item: T, number: number): void {
    for (const entry of this.#listeners) {
      if (number < entry.since) continue
      try {
        entry.listener(item)
      } catch (error) {
        this.#listeners.delete(entry)
        dismiss(entry, error instanceof Error ? error : new Error(String(error), { cause: error }))
      }
    }
  }

  #finish(): void {
    const entries = [...this.#listeners]
    this.#listeners.clear()
    for (const entry of entries) dismiss(entry, this.#end?.error)
  }
}

function dismiss<T>(entry: Listener<T>, error: Error | undefined): void {
  try {
    entry.ended(error)
  } catch {
    // It has been told twice and threw twice: there is nobody left to tell.
  }
}
