// What JSON is here, and the two walks that hold values to it.
// A value passes when JSON gives it back unchanged; everything that JSON would alter in silence (Date, Map, Error, NaN,
// undefined or a hole in an array, a function, a class instance, a symbol key, an accessor, a property that is not
// enumerable, a named property of an array) is refused with its path. An absent and an undefined property are the same
// thing. `-0` is written as `0`.

import { HoldfastError } from './errors.js'
import { isReference, mapParts, type Reference } from './references.js'
import { changeTooLarge } from './refusals.js'

export type Json = string | number | boolean | null | { readonly [key: string]: Json } | readonly Json[]

/** A place in a JSON value: object keys and array indices from the root. */
export type JsonPath = readonly (string | number)[]

/** Deeper values are refused: they are cycles, or would exhaust the stack of whoever reads them. */
const MAX_DEPTH = 500

/** Beyond so many items the named properties of an array are looked for only when all of it is new: it costs a key each. */
const CHEAP_ITEMS = 64

/** What the walks below may still take in, in characters of JSON, roughly. They are synchronous, so there is one for all. */
let room = Number.POSITIVE_INFINITY

/** Does `work`, whose walks give up with RECORD_TOO_LARGE as soon as they have seen more JSON than `characters`. */
export function withinRoom<T>(characters: number, work: () => T): T {
  const before = room
  room = characters
  try {
    return work()
  } catch (error) {
    throw room < 0 && error === TOO_LARGE ? changeTooLarge(characters) : error
  } finally {
    room = before
  }
}

const TOO_LARGE: unique symbol = Symbol('too large')

/** A number, a word or a bracket takes about this much. */
const SMALL = 6

function take(value: unknown): void {
  room -= typeof value === 'string' ? value.length + 3 : SMALL
  if (room < 0) throw TOO_LARGE
}

/** Before they are looked at one by one: a million of them takes seconds. */
function takeKeys(keys: readonly string[]): void {
  for (const key of keys) room -= key.length + 3
  if (room < 0) throw TOO_LARGE
}

/** What an object that JSON cannot hold is written as; or why it has no such reference; undefined when it is no actor. */
export type ReferenceOf = (value: object) => Reference | string | undefined

const LOOKS_LIKE_ONE = 'looks like a reference to an actor, which only actors of a machine become; give its id instead'

/** Knows no actor. */
export const nobody: ReferenceOf = (value) => (isReference(value) ? LOOKS_LIKE_ONE : undefined)

/** For values of which some are references already. */
export const asTheyAre: ReferenceOf = (value) => (isReference(value) ? value : undefined)

/** Whose actors the walks below may meet: by default nobody's. As with `room`, there is one for all. */
let referenceOf = nobody
let met = 0

/** Does `work`, whose walks write actors as `of` says. */
export function withReferences<T>(of: ReferenceOf, work: () => T): T {
  const before = referenceOf
  referenceOf = of
  try {
    return work()
  } finally {
    referenceOf = before
  }
}

/** How many references have been met so far, ever. */
export const referencesMet = (): number => met

/**
 * Checks that `value` is JSON and freezes it in place, all the way down. Throws NOT_JSON naming the path. Gives what JSON
 * holds of it: `value`, or a copy if there are actors in it, which are not frozen.
 */
export function sealJson<T>(value: T, name: string, path: JsonPath = []): T {
  const before = met
  if (!seal(value, path.length)) refuse(value, name, path)
  return met === before ? value : (written(value) as T)
}

/** As `sealJson`, for one object or array whose parts are sealed by the caller. False, and nothing is done, if it is none. */
export function sealShell(value: object): boolean {
  if (!(Array.isArray(value) ? isPlainShell(value) : isPlain(value, Object.keys(value)))) return false
  Object.freeze(value)
  return true
}

/** A sealed value as JSON holds it: in one, only actors are not frozen. */
function written(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (!Object.isFrozen(value)) return referenceOf(value)
  return isReference(value) ? value : mapParts(value as { [key: string]: unknown }, written)
}

function meet(value: object): Reference | undefined {
  const reference = referenceOf(value)
  if (typeof reference !== 'object') return undefined
  met++
  return reference
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
export const isJson = (value: unknown): boolean => withReferences(nobody, () => firstFault(value, [], 0) === undefined)

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
  take(value)
  if (typeof value !== 'object' || value === null) return isScalar(value)
  if (depth > MAX_DEPTH) return false
  if (Array.isArray(value)) {
    if (arrayFault(value)) return false
    for (let index = 0; index < value.length; index++) if (!seal(value[index], depth + 1)) return false
    if (!hasItemsOnly(value)) return false
  } else {
    const keys = Object.keys(value)
    takeKeys(keys)
    if (!isPlain(value, keys)) return meet(value) !== undefined
    for (const key of keys) {
      const item: unknown = (value as Record<string, unknown>)[key]
      if (item !== undefined && !seal(item, depth + 1)) return false
    }
  }
  Object.freeze(value)
  return true
}

const REFUSED: unique symbol = Symbol('refused')

function copy(value: unknown, depth: number): unknown {
  take(value)
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
    return hasItemsOnly(value) ? Object.freeze(items) : REFUSED
  }
  const keys = Object.keys(value)
  takeKeys(keys)
  if (!isPlain(value, keys)) return meet(value) ?? REFUSED
  const fields: Record<string, unknown> = {}
  for (const key of keys) {
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

/** `keys` are those that JSON writes; what it would leave out is found by counting, which is cheaper than looking. */
function isPlain(value: object, keys: readonly string[]): boolean {
  if (objectFault(value) || Object.getOwnPropertyNames(value).length !== keys.length) return false
  for (const key of keys) if (isAccessor(value, key)) return false
  return true
}

/**
 * Neither holes nor named properties: as many keys as items. Hidden names, and indices that are accessors, are not sought.
 * Asked last: it costs a key for each item, and of what is too large not all are looked at.
 */
const hasItemsOnly = (value: readonly unknown[]): boolean => Object.keys(value).length === value.length

const isPlainShell = (value: readonly unknown[]): boolean =>
  arrayFault(value) === undefined && (value.length > CHEAP_ITEMS || hasItemsOnly(value))

const isAccessor = (value: object, key: string): boolean => {
  const property = Object.getOwnPropertyDescriptor(value, key)
  return property?.get !== undefined || property?.set !== undefined
}

function objectFault(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null && !isForeignRoot(prototype as object)) {
    return `is ${describe(value)}`
  }
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return 'has a toJSON method'
  if (isReference(value)) return LOOKS_LIKE_ONE
  return Object.hasOwn(value, '__proto__') ? 'has a key "__proto__"' : symbolFault(value)
}

function arrayFault(value: readonly unknown[]): string | undefined {
  // Every realm's Array.prototype is itself an array; that of a subclass is not.
  if (!Array.isArray(Object.getPrototypeOf(value))) return `is ${describe(value)}`
  return typeof (value as { toJSON?: unknown }).toJSON === 'function' ? 'has a toJSON method' : symbolFault(value)
}

function symbolFault(value: object): string | undefined {
  const symbols = Object.getOwnPropertySymbols(value)
  return symbols.length === 0 ? undefined : `has a symbol as a key, ${String(symbols[0])}`
}

/** The Object.prototype of another realm, such as a test runner's. */
const isForeignRoot = (prototype: object): boolean =>
  Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty')

interface Fault {
  readonly path: JsonPath
  readonly what: string
  /** Then it says what to do, too. */
  readonly isActor?: true
}

function firstFault(value: unknown, path: JsonPath, depth: number): Fault | undefined {
  if (typeof value !== 'object' || value === null) {
    return isScalar(value) ? undefined : { path, what: `is ${describe(value)}` }
  }
  if (depth > MAX_DEPTH) return { path, what: `is nested deeper than ${MAX_DEPTH} levels (or contains itself)` }
  const what = Array.isArray(value) ? arrayFault(value) : objectFault(value)
  if (what) return faultOfObject(value, path, what)
  return Array.isArray(value) ? faultOfItems(value, path, depth) : faultOfFields(value, path, depth)
}

function faultOfObject(value: object, path: JsonPath, what: string): Fault | undefined {
  const reference = referenceOf(value)
  if (typeof reference === 'object') return undefined
  return reference === undefined ? { path, what } : { path, what: reference, isActor: true }
}

function faultOfItems(value: readonly unknown[], path: JsonPath, depth: number): Fault | undefined {
  for (const [index, item] of value.entries()) {
    const fault = firstFault(item, [...path, index], depth + 1)
    if (fault) return fault
  }
  // Indices come before names, and here there is one for each item.
  const named = Object.keys(value)[value.length]
  return named === undefined ? undefined : { path: [...path, named], what: 'is a named property of an array' }
}

function faultOfFields(value: object, path: JsonPath, depth: number): Fault | undefined {
  for (const key of Object.getOwnPropertyNames(value)) {
    const place = [...path, key]
    if (isAccessor(value, key)) return { path: place, what: 'is an accessor' }
    if (!Object.prototype.propertyIsEnumerable.call(value, key)) return { path: place, what: 'is not enumerable' }
    const item = (value as Record<string, unknown>)[key]
    const fault = item === undefined ? undefined : firstFault(item, place, depth + 1)
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
  const advice = fault.isActor ? '' : ', which JSON cannot hold; store a plain value instead'
  throw new HoldfastError('NOT_JSON', `${shortened(place)} ${fault.what}${advice}`, { details: { path: place } })
}

/** The path of what contains itself has hundreds of parts: its two ends tell enough. The details have all of it. */
const shortened = (place: string): string =>
  place.length <= 120 ? place : `${place.slice(0, 70)} … ${place.slice(-40)}`
