// What the registry knows, as atoms of @xstate/store for whoever watches. Outside they can be read and subscribed to, and
// nothing else. An atom of a session is made when it is asked for, and kept while the session exists or somebody listens.
// Atoms move in the middle of a batch that has become durable: what a listener throws is reported and harms nobody.

import { type Atom, createAtom, type ReadonlyAtom } from '@xstate/store'

export type { ReadonlyAtom }

type Next<T> = (value: T) => void
type Subscription = ReturnType<ReadonlyAtom<unknown>['subscribe']>

/** One value that is watched. */
export class Watched<T> {
  readonly #atom: Atom<T>
  readonly #onError: (error: unknown) => void
  readonly door: ReadonlyAtom<T>

  constructor(value: T, onError: (error: unknown) => void) {
    this.#atom = createAtom<T>(value)
    this.#onError = onError
    this.door = doorTo(
      () => this.get(),
      (next) => this.listen(next),
    )
  }

  get(): T {
    return this.#atom.get()
  }

  set(value: T): void {
    try {
      this.#atom.set(value)
    } catch (error) {
      this.#onError(error) // of an atom that somebody computes from this one
    }
  }

  listen(next: Next<T>): Subscription {
    return this.#atom.subscribe((value) => {
      try {
        next(value)
      } catch (error) {
        this.#onError(error)
      }
    })
  }
}

/** Many values by id, each undefined while there is none of that id. */
export class WatchedById<T extends object> {
  readonly #current: (id: string) => T | undefined
  readonly #onError: (error: unknown) => void
  readonly #kept: Map<string, { readonly watched: Watched<T | undefined>; listeners: number }> = new Map()

  constructor(current: (id: string) => T | undefined, onError: (error: unknown) => void) {
    this.#current = current
    this.#onError = onError
  }

  /** How many are kept. */
  get size(): number {
    return this.#kept.size
  }

  atom(id: string): ReadonlyAtom<T | undefined> {
    return doorTo(
      () => (this.#kept.has(id) || this.#current(id) ? this.#keep(id).watched.get() : undefined),
      (next) => this.#listen(id, next),
    )
  }

  /** What has this id has changed, come or gone. */
  moved(id: string): void {
    if (this.#kept.size === 0) return
    this.#kept.get(id)?.watched.set(this.#current(id))
    this.#forget(id)
  }

  #keep(id: string): { readonly watched: Watched<T | undefined>; listeners: number } {
    let kept = this.#kept.get(id)
    if (!kept) {
      kept = { watched: new Watched<T | undefined>(this.#current(id), this.#onError), listeners: 0 }
      this.#kept.set(id, kept)
    }
    return kept
  }

  #listen(id: string, next: Next<T | undefined>): Subscription {
    const kept = this.#keep(id)
    const subscription = kept.watched.listen(next)
    kept.listeners++
    let over = false
    const unsubscribe = (): void => {
      if (over) return
      over = true
      subscription.unsubscribe()
      kept.listeners--
      this.#forget(id)
    }
    return { unsubscribe }
  }

  #forget(id: string): void {
    if (this.#kept.get(id)?.listeners === 0 && !this.#current(id)) this.#kept.delete(id)
  }
}

const doorTo = <T>(get: () => T, listen: (next: Next<T>) => Subscription): ReadonlyAtom<T> =>
  Object.freeze({
    get,
    subscribe: (observer: { next?: Next<T> } | Next<T>) =>
      listen((value) => (typeof observer === 'function' ? observer(value) : observer.next?.(value))),
  })
