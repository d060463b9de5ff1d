// Who listens to what: live broadcasts per session and for all, made when first listened to.
// It only passes on what is durable already (or, for step updates, live by nature); replay is `stream.ts`.

import { freezeJson } from './json.js'
import type { RecordedEvent } from './record.js'
import type { StepUpdate } from './step-runner.js'
import { Broadcast } from './stream.js'
import type { Transition } from './transition.js'

export class Feeds {
  /** Transitions of all sessions, under one id that none has. */
  readonly #all: Topics<Transition> = new Topics()
  readonly #transitions: Topics<Transition> = new Topics()
  readonly #emitted: Topics<RecordedEvent> = new Topics()
  readonly #updates: Topics<StepUpdate> = new Topics()

  /** Shows a transition to whoever listens; it is made only if somebody does. */
  publish(id: string, durable: { transition(): Transition }): void {
    const one = this.#transitions.observed(id)
    const all = this.#all.observed(ALL)
    if (!one && !all) return
    const transition = freezeJson(durable.transition())
    one?.publish(transition)
    all?.publish(transition)
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

  /** Nothing comes any more, for those who listen, and for those who will; they are told `later`. */
  endAll(error: Error | undefined, later: Error): void {
    for (const topics of [this.#all, this.#transitions, this.#emitted, this.#updates]) topics.endAll(error, later)
  }

  all(): Broadcast<Transition>['listen'] {
    return this.#all.listen(ALL)
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

  /** To how much somebody listens. */
  get size(): number {
    return this.#all.size + this.#transitions.size + this.#emitted.size + this.#updates.size
  }
}

const ALL = ''

/** Broadcasts by session id; one that nobody listens to any more is forgotten. */
class Topics<T> {
  readonly #broadcasts: Map<string, Broadcast<T>> = new Map()
  /** When all have ended: what whoever comes later is told. */
  #later: Error | undefined

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
      if (this.#later) {
        ended(this.#later)
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

  endAll(error: Error | undefined, later: Error): void {
    this.#later = later
    for (const id of [...this.#broadcasts.keys()]) this.end(id, error)
  }
}
