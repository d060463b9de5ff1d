// What JSON is here, and the two walks that hold values to it.
// A value passes when JSON gives it back unchanged; everything that JSON would alter in silence (Date, Map, Error, NaN,
// undefined in an array, a function, a class instance) is refused with its path. An absent and an undefined property are
// the same thing. `-0` is written as `0`.

import { HoldfastError } from './errors.js'

export type Json = string | number | boolean | null | { readonly [key: string]: Json } | readonly Json[]

/** A place in a JSON value: object keys and array indices from the root. */
export type JsonPath = readonly (string | number)[]

/** Deeper values are refused: they are cycles, or would exhaust the stack of whoever reads them. */
const MAX_DEPTH = 500

/** Checks that `value` is JSON and freezes it in place, all the way down. Throws NOT_JSON naming the path. */
export function sealJson<T>(value: T, name: string, path: JsonPath = []): T {
  if (!seal(value, path.length)) refuse(value, name, path)
  return value
}

/** As `sealJson`, for one object or array whose parts are sealed by the caller. */
export function sealShell(value: object, name: string, path: JsonPath): void {
  if (Array.isArray(value) ? arrayFault(value) : objectFault(value)) refuse(value, name, path)
  Object.freeze(value)
}

/** Freezes what is known to be JSON, such as what was read from the disk, all the way down. */
export function freezeJson<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(value)) freezeJson(part)
  return Object.freeze(value)
}

/** A deep frozen copy of `value`, for what a caller may still change. Throws NOT_JSON naming the path. */
export function copyJson<T>(value: T, name: string): T {
  const copied = copy(value, 0)
  return copied === REFUSED ? refuse(value, name, []) : (copied as T)
}

/** True when `value` is JSON in the sense above. */
export const isJson = (value: unknown): boolean => firstFault(value, [], 0) === undefined

/** `context.items[3]["first name"]`, for messages. */
export function formatPath(name: string, path: JsonPath): string {
  let text = name
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += /^[A-Za-z_$][\w$]*$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`
  }
  return text
}

// The two walks below run for every event and every change, so they keep no path; `firstFault` finds it when needed.

function seal(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return isScalar(value)
  if (depth > MAX_DEPTH) return false
  if (Array.isArray(value)) {
    if (arrayFault(value)) return false
    for (let index = 0; index < value.length; index++) if (!seal(value[index], depth + 1)) return false
  } else {
    if (!isPlain(value)) return false
    for (const key of Object.keys(value)) {
      const item: unknown = (value as Record<string, unknown>)[key]
      if (item !== undefined && !seal(item, depth + 1)) return false
    }
  }
  Object.freeze(value)
  return true
}

const REFUSED: unique symbol = Symbol('refused')

function copy(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return isScalar(value) ? value : REFUSED
  if (depth > MAX_DEPTH) return REFUSED
  if (Array.isArray(value)) {
    if (arrayFault(value)) return REFUSED
    const items: unknown[] = []
    for (let index = 0; index < value.length; index++) {
      const item = copy(value[index], depth + 1)
      if (item === REFUSED) return REFUSED
      items.push(item)
    }
    return Object.freeze(items)
  }
  if (!isPlain(value)) return REFUSED
  const fields: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const field: unknown = (value as Record<string, unknown>)[key]
    if (field === undefined) continue
    const item = copy(field, depth + 1)
    if (item === REFUSED) return REFUSED
    fields[key] = item
  }
  return Object.freeze(fields)
}

const isScalar = (value: unknown): boolean =>
  typeof value === 'string' ||
  typeof value === 'boolean' ||
  value === null ||
  (typeof value === 'number' && Number.isFinite(value))

const isPlain = (value: object): boolean => objectFault(value) === undefined

function objectFault(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null && !isForeignRoot(prototype as object)) {
    return `is ${describe(value)}`
  }
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return 'has a toJSON method'
  return Object.hasOwn(value, '__proto__') ? 'has a key "__proto__"' : undefined
}

function arrayFault(value: readonly unknown[]): string | undefined {
  // Every realm's Array.prototype is itself an array; that of a subclass is not.
  if (!Array.isArray(Object.getPrototypeOf(value))) return `is ${describe(value)}`
  return typeof (value as { toJSON?: unknown }).toJSON === 'function' ? 'has a toJSON method' : undefined
}

/** The Object.prototype of another realm, such as a test runner's. */
const isForeignRoot = (prototype: object): boolean =>
  Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty')

interface Fault {
  readonly path: JsonPath
  readonly what: string
}

function firstFault(value: unknown, path: JsonPath, depth: number): Fault | undefined {
  if (typeof value !== 'object' || value === null) {
    return isScalar(value) ? undefined : { path, what: `is ${describe(value)}` }
  }
  if (depth > MAX_DEPTH) return { path, what: `is nested deeper than ${MAX_DEPTH} levels (or contains itself)` }
  const what = Array.isArray(value) ? arrayFault(value) : objectFault(value)
  if (what) return { path, what }
  const keys: (string | number)[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value)
  for (const key of keys) {
    const item: unknown = (value as Record<string | number, unknown>)[key]
    if (item === undefined && !Array.isArray(value)) continue
    const fault = firstFault(item, [...path, key], depth + 1)
    if (fault) return fault
  }
  return undefined
}

function describe(value: unknown): string {
  if (value === undefined) return 'undefined'
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'object' || value === null) return `a ${typeof value}`
  const made = (Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null)?.constructor?.name
  return `a ${made || 'class instance'}`
}

function refuse(value: unknown, name: string, path: JsonPath): never {
  const fault = firstFault(value, path, path.length) ?? { path, what: 'is not JSON' }
  const place = formatPath(name, fault.path)
  throw new HoldfastError('NOT_JSON', `${place} ${fault.what}, which JSON cannot hold; store a plain value instead`, {
    details: { path: place },
  })
}
