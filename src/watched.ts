// What the registry knows, as atoms of @xstate/store for whoever watches. Outside they can be read and subscribed to, and
// nothing else. An atom of a session is made when it is asked for, and kept while somebody follows it.
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

  /** Whether anybody subscribes to it, or has computed an atom from it. The type of an atom does not tell its followers. */
  get followed(): boolean {
    return (this.#atom as { subs?: unknown }).subs !== undefined
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
        const result: unknown = next(value)
        // One that is asynchronous fails later, and no less.
        if (result instanceof Promise) result.catch(this.#onError)
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
  readonly #kept: Map<string, Watched<T | undefined>> = new Map()
  #moves = 0

  constructor(current: (id: string) => T | undefined, onError: (error: unknown) => void) {
    this.#current = current
    this.#onError = onError
  }

  /** How many are kept. */
  get size(): number {
    return this.#kept.size
  }

  atom(id: string): ReadonlyAtom<T | undefined> {
    // What only looks is kept by whoever holds this atom: the same value until something moves.
    let unfollowed: Watched<T | undefined> | undefined
    let since = 0
    const get = (): T | undefined => {
      const kept = this.#kept.get(id)
      if (kept) return kept.get()
      if (!unfollowed || since !== this.#moves) unfollowed = this.#make(id)
      since = this.#moves
      const value = unfollowed.get()
      // Whoever computes an atom from this one follows it by that.
      if (unfollowed.followed) this.#kept.set(id, unfollowed)
      return value
    }
    return doorTo(get, (next) => this.#listen(id, next))
  }

  /** What has this id has changed, come or gone. */
  moved(id: string): void {
    this.#moves++
    if (this.#kept.size === 0) return
    this.#kept.get(id)?.set(this.#current(id))
    this.#forget(id)
  }

  #make(id: string): Watched<T | undefined> {
    return new Watched<T | undefined>(this.#current(id), this.#onError)
  }

  #listen(id: string, next: Next<T | undefined>): Subscription {
    const watched = this.#kept.get(id) ?? this.#make(id)
    this.#kept.set(id, watched)
    const subscription = watched.listen(next)
    const unsubscribe = (): void => {
      subscription.unsubscribe()
      this.#forget(id)
    }
    return { unsubscribe }
  }

  #forget(id: string): void {
    if (this.#kept.get(id)?.followed === false) this.#kept.delete(id)
  }
}

const doorTo = <T>(get: () => T, listen: (next: Next<T>) => Subscription): ReadonlyAtom<T> =>
  Object.freeze({
    get,
    subscribe: (observer: { next?: Next<T> } | Next<T>) =>
      listen((value) => (typeof observer === 'function' ? observer(value) : observer.next?.(value))),
  })
