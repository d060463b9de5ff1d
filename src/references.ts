// References to actors as JSON: what a record holds where a context, an event, an input or an output holds an actor.
// Only the machine has the actor itself; whoever observes, lists or looks back sees the reference, plain and frozen. It is
// XState's own persisted form, made exact: a child is told from a later one of the same id, a session from a child.
// Pure: who is behind a reference, the engine knows.

export type Reference = ChildReference | SessionReference

/** A child of the session that holds the reference: the one of this id that the transition `incarnation` started. */
export interface ChildReference {
  readonly xstate$$type: 1
  readonly id: string
  /** 0 for one that no transition has started: it takes no messages. */
  readonly incarnation: number
}

/** A session: itself, its parent, or in a message whoever it is from or to. */
export interface SessionReference {
  readonly xstate$$type: 1
  readonly session: string
}

const REFERENCE = 'xstate$$type'

export const childReference = (id: string, incarnation: number): ChildReference =>
  Object.freeze({ [REFERENCE]: 1, id, incarnation })

export const sessionReference = (session: string): SessionReference => Object.freeze({ [REFERENCE]: 1, session })

/** What XState's own persisted form has and no more is data like any other. */
export const isReference = (value: object): value is Reference =>
  (value as Partial<Reference>)[REFERENCE] === 1 && ('incarnation' in value || 'session' in value)

/** A JSON value with every reference in it replaced; the same value when it has none. What is copied is frozen. */
export function mapReferences<T>(value: T, replace: (reference: Reference) => unknown): T {
  return mapped(value, replace) as T
}

function mapped(value: unknown, replace: (reference: Reference) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (isReference(value)) return replace(value)
  return mapParts(value as { readonly [key: string]: unknown }, (part) => mapped(part, replace))
}

/** An object or array with its parts replaced; the same one when none is. A copy is frozen. */
export function mapParts(value: { readonly [key: string]: unknown }, replace: (part: unknown) => unknown): unknown {
  let copy: { [key: string]: unknown } | undefined
  for (const key in value) {
    const part = value[key]
    if (typeof part !== 'object' || part === null) continue
    const replaced = replace(part)
    if (replaced === part) continue
    copy ??= (Array.isArray(value) ? value.slice() : { ...value }) as { [key: string]: unknown }
    copy[key] = replaced
  }
  return copy ? Object.freeze(copy) : value
}
