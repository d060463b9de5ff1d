// The actors of plain XState, as a session's records tell of them: a child by its id and the transition that has started it,
// the session itself and its parent by their ids. So both lives can be held against each other where they hold actors.
// It is made of the records alone, and knows nothing of how a session finds its own.

import { isDeepStrictEqual } from 'node:util'
import type { StartedChild } from '../record.js'
import { childReference, mapParts, mapReferences, type Reference, sessionReference } from '../references.js'

/** An actor of XState's, in as much as it is looked at here. */
export interface XStateActor {
  readonly id: string
  readonly sessionId: string
}

interface Told {
  /** What the machine of the session calls it. */
  readonly name: string
  readonly inside: Reference
  /** In what one session tells another. */
  readonly outside: Reference
}

export class Actors {
  readonly #told = new Map<object, Told>()
  /** Makes an actor that takes no messages. */
  readonly #nobody: (id: string) => XStateActor

  constructor(nobody: (id: string) => XStateActor) {
    this.#nobody = nobody
  }

  introduce(actor: object, name: string, inside: Reference, outside: Reference = inside): void {
    this.#told.set(actor, { name, inside, outside })
  }

  /** Of the children, some were started by a transition of the session: those without ids have others there. */
  meet(children: readonly XStateActor[], started: readonly StartedChild[], seq: number): void {
    const fresh = children.filter((child) => !this.#told.has(child))
    const unnamed = fresh.filter(({ id, sessionId }) => id === sessionId)
    for (const { id, session } of started) {
      const child = id.startsWith('x:') ? unnamed.shift() : fresh.find((one) => one.id === id)
      const outside = session === undefined ? undefined : sessionReference(session)
      if (child) this.introduce(child, id, childReference(id, seq), outside)
    }
  }

  nameOf(actor: XStateActor): string {
    return this.#told.get(actor)?.name ?? actor.id
  }

  /** A value of plain XState, with a reference for each actor in it. */
  written(value: unknown, where: 'inside' | 'outside'): unknown {
    if (typeof value !== 'object' || value === null) return value
    if (!isActor(value)) return mapParts(value as { [key: string]: unknown }, (part) => this.written(part, where))
    // Whom no record tells of was started and stopped at once.
    return this.#told.get(value)?.[where] ?? childReference(value.id, 0)
  }

  /** A recorded value, with the actor for each reference in it. */
  revived<T>(value: T): T {
    return mapReferences(value, (reference) => {
      const isTold = ({ inside, outside }: Told): boolean =>
        isDeepStrictEqual(inside, reference) || isDeepStrictEqual(outside, reference)
      return [...this.#told].find(([, told]) => isTold(told))?.[0] ?? this.#gone(reference)
    })
  }

  #gone(reference: Reference): object {
    const actor = this.#nobody('id' in reference ? reference.id : reference.session)
    this.introduce(actor, actor.id, reference)
    return actor
  }
}

const isActor = (value: object): value is XStateActor => 'sessionId' in value && 'send' in value
