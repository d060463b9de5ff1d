// Objects that are JSON and nothing else, copied and frozen, so that no state shares a part with what it was made from.

export type JsonObject = { readonly [name: string]: unknown }

/** Deeper than anything that a person writes. */
const DEEPEST = 100

export const isPlainObject = (value: unknown): value is Record<string, unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A frozen copy; undefined for what is not JSON, or deeper than a hundred levels. Fields that are undefined are absent. */
export function jsonCopy<T>(value: T): T | undefined {
  try {
    return copied(value, DEEPEST) as T
  } catch (error) {
    if (error instanceof NotJson) return undefined
    throw error
  }
}

class NotJson extends Error {}

function copied(value: unknown, levels: number): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (levels === 0) throw new NotJson()
  if (Array.isArray(value)) return Object.freeze(value.map((item) => copied(item, levels - 1)))
  if (!isPlainObject(value)) throw new NotJson()
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return Object.freeze(Object.fromEntries(entries.map(([name, field]) => [name, copied(field, levels - 1)])))
}
