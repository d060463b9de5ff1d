// Options from outside: a key that nobody reads is a mistake, and is refused before anything happens, with the key that was
// probably meant. Left alone it would change the meaning of a call in silence: a filter that filters nothing.

import type { AnySessionKind } from './define.js'
import { HoldfastError } from './errors.js'

/** Every key that an options object may have. */
export type KeysOf<T> = { readonly [K in keyof Required<T>]: true }

/** Throws INVALID_ARGUMENT when `options` is no object, or has a key that is not among the `known`. */
export function admitOptions<T extends object>(what: string, options: T | undefined, known: KeysOf<T>): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) throw refused(`${what} are an object, not ${String(options)}`)
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(known, key)) continue
    const names = Object.keys(known)
    const nearest = names.reduce((best, name) => (distance(key, name) < distance(key, best) ? name : best))
    throw refused(`${what} have no "${key}"; "${nearest}" may be meant (they are ${names.join(', ')})`)
  }
}

/** Throws INVALID_ARGUMENT when `kinds` is not a list of what `defineSession` gives. */
export function admitKinds(kinds: readonly AnySessionKind[]): void {
  if (Array.isArray(kinds) && kinds.every(isKind)) return
  throw refused('kinds is the list of what defineSession(…) gave, such as openRuntime({ kinds: [approval] })')
}

/** Throws INVALID_ARGUMENT when `kind` is not what `defineSession` gives: its name, say. */
export function admitKind(kind: unknown): void {
  if (isKind(kind)) return
  const what = typeof kind === 'string' ? JSON.stringify(kind) : `${kind && typeof kind}`
  throw refused(`give what defineSession(…) gave, as in create(approval), not ${what}`)
}

function isKind(value: unknown): boolean {
  const { kind, machine } = (value ?? {}) as { readonly kind?: unknown; readonly machine?: unknown }
  return typeof kind === 'string' && Boolean(machine)
}

/** How many characters have to be put in, left out or changed to make the one of the other (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const [left, above, diagonal] = [next[j - 1], row[j], row[j - 1]] as [number, number, number]
      next.push(Math.min(left + 1, above + 1, diagonal + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] as number
}

const refused = (message: string): HoldfastError => new HoldfastError('INVALID_ARGUMENT', message)
