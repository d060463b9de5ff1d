// The change from one JSON value to the next, as data: what a record keeps of a context.
// Equal parts are told by reference first, so the cost of a patch follows the size of the change, never of the value.
//
// A patch is a list of operations on paths, applied in order:
//   [path]                              remove the property
//   [path, value]                       set it ([] is the whole value)
//   [path, index, removed, ...items]    splice the array there

import { type JsonPath, sealJson, sealShell } from './json.js'

export type Operation =
  | readonly [path: JsonPath]
  | readonly [path: JsonPath, value: unknown]
  | readonly [path: JsonPath, index: number, removed: number, ...items: unknown[]]

export type Patch = readonly Operation[]

/**
 * The patch that turns `before` (sealed JSON) into `after`, undefined when they are equal; seals `after` on the way.
 * Throws NOT_JSON, naming the path in `name`, when a new part of `after` is not JSON.
 */
export function diffAndSeal(before: unknown, after: unknown, name: string): Patch | undefined {
  if (before === after) return undefined
  const operations: Operation[] = []
  compare(before, after, name, [], operations)
  return operations.length > 0 ? operations : undefined
}

/**
 * The value that a patch makes of `value`, such as a session's context of its transitions, one after the other (from
 * undefined on). Changes neither of the two: what the patch changes is copied, all else is shared with them.
 *
 * ```ts
 * let context: unknown
 * session.transitions$({ from: 1 }).subscribe(({ patch }) => {
 *   if (patch) context = applyPatch(context, patch)
 * })
 * ```
 */
export function applyPatch(value: unknown, patch: Patch): unknown {
  return apply(value, patch, new Set())
}

/** `owned`: the copies that it makes. */
function apply(value: unknown, patch: Patch, owned: Set<unknown>): unknown {
  let root = value
  for (const operation of patch) {
    const depth = changedAt(operation)
    root = applyOne(depth < 0 ? root : ownAlong(root, operation[0], depth, owned), operation)
  }
  return root
}

/** As `applyPatch`, on sealed JSON, which it stays. */
export function applyAndSeal(value: unknown, patch: Patch): unknown {
  const owned = new Set<unknown>()
  const after = apply(value, patch, owned)
  for (const part of owned) Object.freeze(part)
  return after
}

/** As `applyPatch`, for a value and a patch that the caller owns: both become parts of the result, and are written to. */
export function applyInPlace(value: unknown, patch: Patch): unknown {
  return patch.reduce(applyOne, value)
}

function applyOne(root: unknown, operation: Operation): unknown {
  const path = operation[0]
  const depth = changedAt(operation)
  if (depth < 0) return operation[1]
  const changed = reach(root, path, depth)
  if (operation.length > 2) {
    const [, index, removed, ...items] = operation as readonly [JsonPath, number, number, ...unknown[]]
    splice(changed as unknown[], index, removed, items)
  } else {
    const key = path[depth] as string | number
    if (operation.length === 1) delete (changed as Parts)[key]
    else (changed as Parts)[key] = operation[1]
  }
  return root
}

/** How deep along its path what an operation writes to is; -1 when it replaces the whole. */
const changedAt = ({ 0: path, length }: Operation): number => (length > 2 ? path.length : path.length - 1)

type Parts = Record<string | number, unknown>

/** Copies what is on the way to a place, unless it is a copy already; gives the root. */
function ownAlong(root: unknown, path: JsonPath, depth: number, owned: Set<unknown>): unknown {
  const own = (part: unknown): unknown => {
    if (owned.has(part)) return part
    const copy = Array.isArray(part) ? part.slice() : { ...(part as Parts) }
    owned.add(copy)
    return copy
  }
  const top = own(root)
  let part = top as Parts
  for (const key of path.slice(0, depth)) {
    part[key] = own(part[key])
    part = part[key] as Parts
  }
  return top
}

/** A call takes only so many arguments, and a change any number of items. */
const ITEMS_AT_ONCE = 10_000

function splice(array: unknown[], index: number, removed: number, items: readonly unknown[]): void {
  array.splice(index, removed, ...items.slice(0, ITEMS_AT_ONCE))
  for (let from = ITEMS_AT_ONCE; from < items.length; from += ITEMS_AT_ONCE) {
    array.splice(index + from, 0, ...items.slice(from, from + ITEMS_AT_ONCE))
  }
}

function reach(root: unknown, path: JsonPath, depth: number): unknown {
  let value = root
  for (let index = 0; index < depth; index++) value = (value as Parts)[path[index] as string]
  return value
}

function compare(before: unknown, after: unknown, name: string, path: JsonPath, operations: Operation[]): void {
  // What is no shell is refused below, or is an actor.
  if (isObject(before) && isObject(after) && !isActor(before) && sealShell(after))
    return compareObjects(before, after, name, path, operations)
  if (Array.isArray(before) && Array.isArray(after) && sealShell(after))
    return compareArrays(before, after, name, path, operations)
  operations.push([path, sealJson(after, name, path)])
}

/** Whether a part of a sealed value is an actor: JSON has no functions. */
const isActor = (part: Fields): boolean => typeof part.send === 'function'

type Fields = { readonly [key: string]: unknown }

function compareObjects(before: Fields, after: Fields, name: string, path: JsonPath, operations: Operation[]): void {
  // `for in` makes no array of the keys; that nothing is inherited, `sealShell` and `hasOwn` see to.
  for (const key in after) {
    if (!Object.hasOwn(after, key)) continue
    const old = Object.hasOwn(before, key) ? before[key] : undefined
    const now = after[key]
    if (now === old) continue
    if (now === undefined) operations.push([[...path, key]])
    else if (typeof now !== 'object' || now === null || typeof old !== 'object' || old === null) {
      const place = [...path, key]
      operations.push([place, sealJson(now, name, place)])
    } else compare(old, now, name, [...path, key], operations)
  }
  for (const key in before) {
    if (before[key] !== undefined && Object.hasOwn(before, key) && !Object.hasOwn(after, key))
      operations.push([[...path, key]])
  }
}

/** What is common at both ends stays; the middle is compared item by item if its length is the same, else spliced. */
function compareArrays(
  before: readonly unknown[],
  after: readonly unknown[],
  name: string,
  path: JsonPath,
  operations: Operation[],
): void {
  const shorter = Math.min(before.length, after.length)
  let head = 0
  while (head < shorter && before[head] === after[head]) head++
  let tail = 0
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++
  const slid = head + tail === 0 ? slide(before, after) : 0
  if (slid > 0) {
    const kept = before.length - slid
    operations.push([path, 0, slid])
    spliceIn(after.slice(kept), kept, 0, name, path, operations)
  } else if (before.length === after.length) {
    for (let index = head; index < after.length - tail; index++) {
      if (before[index] !== after[index]) compare(before[index], after[index], name, [...path, index], operations)
    }
  } else {
    const removed = before.length - head - tail
    spliceIn(after.slice(head, after.length - tail), head, removed, name, path, operations)
  }
}

function spliceIn(
  items: readonly unknown[],
  index: number,
  removed: number,
  name: string,
  path: JsonPath,
  operations: Operation[],
): void {
  const sealed = items.map((item, at) => sealJson(item, name, [...path, index + at]))
  if (items.length + removed > 0) operations.push([path, index, removed, ...sealed])
}

/** How many items have left at the head of a window that slid, such as `[...old.slice(1), item]`; 0 when it did not. */
function slide(before: readonly unknown[], after: readonly unknown[]): number {
  const slid = after.length > 1 ? before.indexOf(after[0]) : -1
  if (slid <= 0 || before.length - slid > after.length) return 0
  for (let index = slid + 1; index < before.length; index++) if (before[index] !== after[index - slid]) return 0
  return slid
}

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
