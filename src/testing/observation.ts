// What can be seen of a machine at rest, be it in plain XState or a session: what the two are compared by.

import type { AnyEventObject } from 'xstate'

/** Everything that can be seen of a machine at rest. */
export interface Observation {
  readonly value: unknown
  readonly context: unknown
  readonly status: string
  readonly output: unknown
  /** Its message: a session keeps an error as data. */
  readonly error: string | undefined
  readonly tags: readonly string[]
  /** When the pending timers are due, in ms since the epoch, sorted. */
  readonly deadlines: readonly number[]
  /** History node -> ids of the states it remembers, sorted. */
  readonly history: { readonly [node: string]: readonly string[] }
  /** Ids of the active children, sorted. */
  readonly children: readonly string[]
  /** What it has sent to its parent and to its child sessions in this step. */
  readonly sent: readonly Sending[]
}

/** A message to a child session, by its id in the machine, or to the parent. */
export interface Sending {
  readonly to: string
  readonly event: AnyEventObject
}

export const messageOf = (error: unknown): string | undefined => {
  if (error === undefined) return undefined
  return typeof error === 'object' && error !== null ? (error as Error).message : String(error)
}
