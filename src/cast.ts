// The cast of one session: which reference an actor of its machine is written as, and which actor is behind a reference.
// It knows the session itself, its parent and its children, those of now and those of before; it starts and stops nobody.

import { nobody, type ReferenceOf } from './json.js'
import { childReference, mapParts, mapReferences, type Reference, sessionReference } from './references.js'

/** An XState actor, in as much as it is looked at here. */
export interface CastActor {
  readonly id: string
  readonly sessionId: string
}

export interface CastHost {
  /** The number of the transition that is being decided. */
  readonly next: number
  /** The active child that a session is. */
  childOf(session: string): string | undefined
}

export interface Family {
  readonly id: string
  readonly self: object
  /** The id of the session whose child it is, and the actor that stands for it. */
  readonly parent: string | undefined
  readonly parentActor: object | undefined
}

type Children = { readonly [id: string]: object }

export class Cast {
  readonly #family: Family
  readonly #host: CastHost
  /** An actor that was stopped, for a reference to nobody who is there. */
  readonly #stopped: (id: string) => object
  readonly #references: WeakMap<object, Reference> = new WeakMap()

  constructor(family: Family, host: CastHost, stopped: (id: string) => object) {
    this.#family = family
    this.#host = host
    this.#stopped = stopped
    this.#references.set(family.self, sessionReference(family.id))
    if (family.parentActor) this.#references.set(family.parentActor, sessionReference(family.parent as string))
  }

  /** A transition, decided just now or long ago, has started this child. */
  introduce(id: string, child: object, incarnation: number = this.#host.next): void {
    if (!this.#references.has(child)) this.#references.set(child, childReference(id, incarnation))
  }

  /** No transition has started this child after all. */
  dismiss(id: string, child: object): void {
    this.#references.set(child, childReference(id, 0))
  }

  readonly referenceOf: ReferenceOf = (value) => {
    const reference = this.#references.get(value)
    if (reference) return reference
    if (!isActor(value)) return nobody(value)
    if (value._parent !== this.#family.self) return STRANGER
    // Started and stopped by one and the same transition: nobody can send it anything.
    const stopped = childReference(value.id, 0)
    this.#references.set(value, stopped)
    return stopped
  }

  /** A recorded value as the machine sees it: with actors for its references. The same value if it has none. */
  revive<T>(value: T, children: Children): T {
    const revived = new Map<string, object>()
    return mapReferences(value, (reference) => {
      const key = JSON.stringify(reference)
      const actor = revived.get(key) ?? this.#behind(reference, children)
      revived.set(key, actor)
      return actor
    })
  }

  /** What an observer sees of a value that need not be JSON: references for its actors. */
  shown<T>(value: T, within: readonly unknown[] = []): T {
    if (typeof value !== 'object' || value === null || within.includes(value)) return value
    const reference = isActor(value) ? this.referenceOf(value) : undefined
    if (typeof reference === 'object') return reference as T
    if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return value
    return mapParts(value as { [key: string]: unknown }, (part) => this.shown(part, [...within, value])) as T
  }

  #behind(reference: Reference, children: Children): object {
    if ('session' in reference) return this.#session(reference.session, children) ?? this.#gone(reference)
    const { id, incarnation } = reference
    const child = children[id]
    const known = child && this.#references.get(child)
    return child && known && 'id' in known && known.incarnation === incarnation ? child : this.#gone(reference)
  }

  #session(session: string, children: Children): object | undefined {
    const { id, self, parent, parentActor } = this.#family
    if (session === id) return self
    if (session === parent) return parentActor
    const child = this.#host.childOf(session)
    return child === undefined ? undefined : children[child]
  }

  #gone(reference: Reference): object {
    const actor = this.#stopped('id' in reference ? reference.id : reference.session)
    this.#references.set(actor, reference)
    return actor
  }
}

const STRANGER = 'is an actor that this session has not started and is not linked to; give it its own, or a plain value'

/** As XState tells them. */
const isActor = (value: object): value is CastActor & { readonly _parent?: object } =>
  'sessionId' in value && 'send' in value && 'ref' in value
