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

/** A view of `value` that reads the same and throws CONTEXT_MUTATED, with the path, when it is written to. */
export function tracePaths<T>(value: T, name: string, path: JsonPath = []): T {
  if (typeof value !== 'object' || value === null) return value
  const refuse = (key: string | symbol): never => {
    const place = formatPath(name, [
      ...path,
      Array.isArray(value) && /^\d+$/.test(String(key)) ? Number(key) : String(key),
    ])
    throw new HoldfastError(
      'CONTEXT_MUTATED',
      `${place} was changed in place; return a new value from assign instead, such as { ...old, field } or [...old, item]`,
      { details: { path: place } },
    )
  }
  // The target is a shallow copy that is not frozen: a proxy must report a frozen property as it is, never traced.
  const target = (Array.isArray(value) ? [...value] : { ...value }) as object
  return new Proxy(target, {
    get: (_, key) => {
      const part: unknown = Reflect.get(target, key)
      const isOwn = Object.hasOwn(target, key)
      return isOwn ? tracePaths(part, name, [...path, Array.isArray(value) ? Number(key) : String(key)]) : part
    },
    set: (_, key) => refuse(key),
    defineProperty: (_, key) => refuse(key),
    deleteProperty: (_, key) => refuse(key),
  }) as T
}
