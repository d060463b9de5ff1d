// The session kinds that a runtime knows, by name: those that it was given, and those of child sessions among them.

import type { AnySessionKind } from './define.js'
import { HoldfastError } from './errors.js'
import { admitKinds } from './options.js'

/** Throws INVALID_KIND when two kinds have the same name or one is there twice, INVALID_ARGUMENT for what is no kind. */
export function kindsByName(kinds: readonly AnySessionKind[]): Map<string, AnySessionKind> {
  admitKinds(kinds)
  const named = new Map<string, AnySessionKind>()
  const add = (kind: AnySessionKind): void => {
    const same = named.get(kind.kind)
    if (same && same !== kind) {
      throw new HoldfastError(
        'INVALID_KIND',
        `two session kinds have the same name: ${kind.kind}; rename one, or, if they are to be one, give the same object`,
      )
    }
    named.set(kind.kind, kind)
    if (!same) for (const child of kind.children.values()) add(child.kind)
  }
  for (const kind of kinds) {
    if (named.get(kind.kind) === kind && kinds.indexOf(kind) !== kinds.lastIndexOf(kind)) {
      throw new HoldfastError('INVALID_KIND', `session kind ${kind.kind} is there twice; leave one out`)
    }
    add(kind)
  }
  return named
}
