// Who listens to what: live broadcasts per session and for all, made when first listened to.
// It only passes on what is durable already (or, for step updates, live by nature); replay is `stream.ts`.

import { freezeJson } from './json.js'
import type { RecordedEvent } from './record.js'
import type { StepUpdate } from './step-runner.js'
import { Broadcast } from './stream.js'
import type { Transition } from './transition.js'

export class Feeds {
  /** Transitions of all sessions. */
  readonly all: Broadcast<Transition> = new Broadcast()
  readonly #transitions: Topics<Transition> = new Topics()
  readonly #emitted: Topics<RecordedEvent> = new Topics()
  readonly #updates: Topics<StepUpdate> = new Topics()

  /** Shows a transition to whoever listens; it is made only if somebody does. */
  publish(id: string, durable: { transition(): Transition }): void {
    const one = this.#transitions.observed(id)
    if (!one && !this.all.observed) return
    const transition = freezeJson(durable.transition())
    one?.publish(transition)
    if (this.all.observed) this.all.publish(transition)
  }

  emit(id: string, event: RecordedEvent): void {
    this.#emitted.observed(id)?.publish(event)
  }

  update(update: StepUpdate): void {
    this.#updates.observed(update.session)?.publish(update)
  }

  /** The session is over: its observers have seen everything. */
  end(id: string, error?: Error): void {
    for (const topics of [this.#transitions, this.#emitted, this.#updates]) topics.end(id, error)
  }

  /** Nothing comes any more, for those who listen and for those who will. */
  endAll(error?: Error): void {
    this.all.end(error)
    for (const topics of [this.#transitions, this.#emitted, this.#updates]) topics.endAll(error)
  }

  transitions(id: string): Broadcast<Transition>['listen'] {
    return this.#transitions.listen(id)
  }

  emitted(id: string): Broadcast<RecordedEvent>['listen'] {
    return this.#emitted.listen(id)
  }

  updates(id: string): Broadcast<StepUpdate>['listen'] {
    return this.#updates.listen(id)
  }

  /** How many sessions somebody listens to. */
  get size(): number {
    return this.#transitions.size + this.#emitted.size + this.#updates.size
  }
}

/** Broadcasts by session id; one that nobody listens to any more is forgotten. */
class Topics<T> {
  readonly #broadcasts: Map<string, Broadcast<T>> = new Map()
  /** When all have ended: how. */
  #end: { readonly error: Error | undefined } | undefined

  get size(): number {
    return this.#broadcasts.size
  }

  /** The broadcast of a session, if anybody listens. */
  observed(id: string): Broadcast<T> | undefined {
    if (this.#broadcasts.size === 0) return undefined
    const broadcast = this.#broadcasts.get(id)
    return broadcast?.observed ? broadcast : undefined
  }

  listen(id: string): Broadcast<T>['listen'] {
    return (listener, ended) => {
      if (this.#end) {
        ended(this.#end.error)
        return () => {}
      }
      let broadcast = this.#broadcasts.get(id)
      if (!broadcast) {
        broadcast = new Broadcast()
        this.#broadcasts.set(id, broadcast)
      }
      const leave = broadcast.listen(listener, ended)
      return () => {
        leave()
        if (!broadcast.observed && this.#broadcasts.get(id) === broadcast) this.#broadcasts.delete(id)
      }
    }
  }

  end(id: string, error?: Error): void {
    this.#broadcasts.get(id)?.end(error)
    this.#broadcasts.delete(id)
  }

  endAll(error?: Error): void {
    this.#end ??= { error }
    for (const id of [...this.#broadcasts.keys()]) this.end(id, error)
  }
}
