// Finds where a decision has changed a value in place.
// Sealed values are frozen, so such a change throws a TypeError that names a property but not its path. A traced copy of
// the value, read by the same decision once more, throws CONTEXT_MUTATED with the path instead.

import { HoldfastError } from './errors.js'
import { formatPath, type JsonPath } from './json.js'

/** True for the error that writing to a frozen value gives, also when XState has wrapped its message. */
export const isMutationError = (error: unknown): boolean =>
  error instanceof Error &&
  /Cannot (assign to read only property|add property|define property|redefine property|delete property)/.test(
    error.message,
  )

/**
 * The first change in place that a decision makes: CONTEXT_MUTATED, with the path; undefined when it makes none.
 * `decide` makes it once more, on traced values; whatever else it throws, or makes of that error, does not matter.
 */
export function findMutation(decide: (trace: <T>(value: T, name: string) => T) => void): HoldfastError | undefined {
  let found: HoldfastError | undefined
  const note = (error: HoldfastError): void => {
    found ??= error
  }
  try {
    decide((value, name) => tracePaths(value, name, [], note))
  } catch {}
  return found
}

/** A view of `value` that reads the same and throws CONTEXT_MUTATED, with the path, when it is written to. */
export function tracePaths<T>(
  value: T,
  name: string,
  path: JsonPath = [],
  note: (error: HoldfastError) => void = () => {},
): T {
  if (typeof value !== 'object' || value === null) return value
  // An actor is no part of the value: JSON has no functions.
  if (typeof (value as { send?: unknown }).send === 'function') return value
  const refuse = (key: string | symbol): never => {
    const place = formatPath(name, [
      ...path,
      Array.isArray(value) && /^\d+$/.test(String(key)) ? Number(key) : String(key),
    ])
    const error = new HoldfastError(
      'CONTEXT_MUTATED',
      `${place} was changed in place; return a new value from assign instead, such as { ...old, field } or [...old, item]`,
      { details: { path: place } },
    )
    note(error)
    throw error
  }
  // The target is a shallow copy that is not frozen: a proxy must report a frozen property as it is, never traced.
  const target = (Array.isArray(value) ? [...value] : { ...value }) as object
  return new Proxy(target, {
    get: (_, key) => {
      const part: unknown = Reflect.get(target, key)
      const isOwn = Object.hasOwn(target, key)
      return isOwn ? tracePaths(part, name, [...path, Array.isArray(value) ? Number(key) : String(key)], note) : part
    },
    set: (_, key) => refuse(key),
    defineProperty: (_, key) => refuse(key),
    deleteProperty: (_, key) => refuse(key),
  }) as T
}
