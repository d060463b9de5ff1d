// A decision: what a machine has made of an event, as values that its caller records and then acts on. Nothing of it has happened.

import type { ReferenceOf } from './json.js'
import type { MachineSnapshot } from './machine-snapshot.js'
import type { RecordedEvent } from './record.js'

/** A custom action, bound; one that is asynchronous gives its promise. */
export type Action = () => unknown

/** What a transition wants done, once it is durable. */
export interface Decision {
  readonly before: MachineSnapshot | undefined
  readonly after: MachineSnapshot
  /** Custom actions and logs, in order. */
  readonly actions: readonly Action[]
  /** Timers set and cancelled, in order. */
  readonly timers: readonly TimerRequest[]
  /** Events for the session itself, in order. */
  readonly messages: readonly RecordedEvent[]
  /** Events for its parent and for children that are sessions, in order. */
  readonly sends: readonly SendRequest[]
  /** Events for observers, in order. */
  readonly emitted: readonly RecordedEvent[]
  /** How the machine's actors are written in a record. */
  readonly referenceOf: ReferenceOf
}

export interface SendRequest {
  /** A child's id, or PARENT. */
  readonly to: string
  readonly event: RecordedEvent
  /** The child is one that this very decision stops: it still hears this, even if another one of that id is there now. */
  readonly last?: true
}

export type TimerRequest =
  | {
      readonly kind: 'set'
      readonly id: string | undefined
      readonly delayMs: number
      readonly event: RecordedEvent
      /** The child that it goes to, or PARENT; to the session itself if undefined. */
      readonly to: string | undefined
    }
  | { readonly kind: 'cancel'; readonly id: string }

/** A promise, a callback or an observable of the machine: XState's own actor, which works once it is started. */
export interface LocalActor {
  readonly id: string
  start(): void
  send(event: RecordedEvent): void
  /** XState's own way to stop an actor that has a parent. */
  _stop(): void
}
