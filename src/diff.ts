// The difference of two points of a session: what its context, value and status became. Pure.

import { asTheyAre, withReferences } from './json.js'
import { diffAndSeal, type Patch } from './patch.js'
import type { SessionState, SessionStatus, StateValue } from './state.js'

/** From one transition of a session to another, which may be an earlier one. */
export interface SessionDiff<TValue = StateValue> {
  readonly session: string
  readonly from: number
  readonly to: number
  /** Turns the context at `from` into that at `to`; undefined when they are equal. See `patch.ts`. */
  readonly patch: Patch | undefined
  readonly value: { readonly before: TValue; readonly after: TValue }
  readonly status: { readonly before: SessionStatus; readonly after: SessionStatus }
}

export function diffOf(a: SessionState, b: SessionState): SessionDiff {
  return {
    ...{ session: a.id, from: a.seq, to: b.seq },
    patch: withReferences(asTheyAre, () => diffAndSeal(a.context, shared(a.context, b.context), 'context')),
    value: { before: a.value, after: b.value },
    status: { before: a.status, after: b.status },
  }
}

/**
 * `b`, with the very parts of `a` wherever theirs are equal: patches tell what is the same by reference, and these two
 * were read apart. Items of arrays are looked for wherever they were.
 */
function shared(a: unknown, b: unknown): unknown {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return b
  if (Array.isArray(a) && Array.isArray(b)) return sharedItems(a, b)
  if (Array.isArray(a) || Array.isArray(b)) return b
  const fields = a as { readonly [key: string]: unknown }
  const entries = Object.entries(b).map(([key, item]) => [
    key,
    Object.hasOwn(fields, key) ? shared(fields[key], item) : item,
  ])
  const same =
    entries.length === Object.keys(a).length &&
    entries.every(([key, item]) => Object.hasOwn(fields, key as string) && fields[key as string] === item)
  return same ? a : Object.fromEntries(entries)
}

function sharedItems(a: readonly unknown[], b: readonly unknown[]): readonly unknown[] {
  const known = new Map(a.map((item) => [textOf(item), item]))
  const items = b.map((item, index) => {
    const text = textOf(item)
    return known.has(text) ? known.get(text) : shared(a[index], item)
  })
  return a.length === b.length && items.every((item, index) => item === a[index]) ? a : items
}

/** Equal for equal JSON, whatever the order of its keys. */
const textOf = (value: unknown): string => JSON.stringify(value, sorted) ?? 'undefined'

const sorted = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)))
    : value
