// What users write to bring stored sessions from one version of a kind to the next, as types.
// A step is a pure function of what is stored, given and returned as plain data; `migration.ts` applies it.

import type { AnyMachine, KindContext } from './define.js'
import type { Child, Timer } from './state.js'

/** A delayed event that waits. One that a migration adds needs no `key`. */
export type StoredTimer = Omit<Timer, 'key'> & Partial<Pick<Timer, 'key'>>

/** An actor that a session has started. One that a migration adds, or gives another `src` or `input`, begins anew. */
export type StoredChild = Pick<Child, 'src' | 'input' | 'systemId'> & Partial<Pick<Child, 'status'>>

/**
 * A stored session, as far as a migration may change it. What happens to the rest follows from the machine: see `Migration`.
 * Context and value are those of an older version, of which the compiler knows nothing: annotate the parameter to have them
 * checked, as in `1: (old: StoredState<{ team: string }>) => …`.
 */
// biome-ignore lint/suspicious/noExplicitAny: see above
export interface StoredState<TContext = any, TValue = any> {
  readonly value: TValue
  readonly context: TContext
  /** What its history states remember: id of the history state -> ids of states. */
  readonly history: { readonly [node: string]: readonly string[] }
  readonly timers: readonly StoredTimer[]
  /** By their ids; one that is left out is stopped. */
  readonly children: { readonly [id: string]: StoredChild }
}

/**
 * From version n to n + 1: takes what is stored and gives what it becomes; what is not in the result stays. Pure: it reads
 * nothing but its argument, which is frozen.
 */
export type Migration = (old: StoredState) => Partial<StoredState>

/**
 * A step for each version before `TVersion`; the last gives a context that the machine of today takes. The versions are texts here, as
 * the names of properties are, or the compiler would not know the parameter of a step.
 */
export type Migrations<TMachine extends AnyMachine, TVersion extends number> = {
  readonly [V in `${Exclude<Before<TVersion>, Last<TVersion>>}`]?: Migration
} & {
  // biome-ignore lint/suspicious/noExplicitAny: a step's author may annotate it with what the older version stored
  readonly [V in `${Last<TVersion>}`]?: (old: StoredState<any, any>) => Partial<StoredState<KindContext<TMachine>>>
}

/** 1 | 2 | … up to one before `V`; any number when `V` is not known, or too large to count to. */
type Before<V extends number, Counted extends readonly unknown[] = [unknown], Found = never> = number extends V
  ? number
  : Counted['length'] extends V
    ? Found
    : Counted['length'] extends 100
      ? number
      : Before<V, [...Counted, unknown], Found | Counted['length']>

/** The one before `V`. */
type Last<V extends number, Counted extends readonly unknown[] = [unknown]> = [...Counted, unknown]['length'] extends V
  ? Counted['length']
  : Counted['length'] extends 100
    ? never
    : Last<V, [...Counted, unknown]>
