// A kind and the kinds of its child sessions, as a check sees them.

import type { AnySessionKind } from '../define.js'

/** A kind and the kinds of its child sessions. */
export const family = (kind: AnySessionKind): AnySessionKind[] => [
  kind,
  ...[...kind.children.values()].flatMap((child) => family(child.kind)),
]

/** Plain XState ends when a decision throws, and so does this: with restarts there would be nothing to compare. */
export function withoutRestarts(
  kind: AnySessionKind,
  made: Map<AnySessionKind, AnySessionKind> = new Map(),
): AnySessionKind {
  const known = made.get(kind)
  if (known) return known
  const supervision = { ...kind.supervision, restart: 'temporary' } as const
  const children = [...kind.children].map(
    ([src, child]) => [src, { ...child, kind: withoutRestarts(child.kind, made) }] as const,
  )
  const ending = { ...kind, supervision, children: new Map(children) }
  made.set(kind, ending)
  return ending
}
