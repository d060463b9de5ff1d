// Duplicates: an item that a list or a summary table names and a section describes is one item.
// The richer of the two keeps its place and takes from the other what it lacks.
// Items that merely share a title stay two; they are reported elsewhere.

import { type Draft, titleFor } from './drafts.js'
import { plainTitle } from './names.js'

/** Drafts without mere mentions of others, and what each dropped draft became. */
export function withoutMentions(drafts: readonly Draft[]): { drafts: Draft[]; became: Map<Draft, Draft> } {
  const became = new Map<Draft, Draft>()
  const byName = new Map<string, Draft[]>()
  for (const draft of drafts) {
    const name = `${draft.type} ${plainTitle(titleFor(draft))}`
    const code = draft.keys.find((key) => !/^(?:epic|feature|story|enabler)/.test(key))
    const rivals = [
      ...(byName.get(name) ?? []),
      ...(code === undefined ? [] : (byName.get(`${draft.type} ${code}`) ?? [])),
    ]
    const same = rivals.find((other) => !became.has(other) && isSame(other, draft))
    if (same !== undefined) join(same, draft, became)
    const kept = same === undefined || !became.has(draft) ? draft : same
    for (const key of code === undefined ? [name] : [name, `${draft.type} ${code}`])
      byName.set(key, [...(byName.get(key) ?? []), kept].slice(-8))
  }
  return { drafts: drafts.filter((draft) => !became.has(draft)), became }
}

function isSame(one: Draft, other: Draft): boolean {
  const shared = one.keys.some((key) => other.keys.includes(key))
  if (!shared && one.keys.length > 0 && other.keys.length > 0) return false
  if (shared && sameTitle(one, other)) return true
  const apart = one.container !== undefined && other.container !== undefined && one.container !== other.container
  return !apart && (isThin(one) || isThin(other)) && (shared || sameTitle(one, other))
}

const sameTitle = (one: Draft, other: Draft): boolean => plainTitle(titleFor(one)) === plainTitle(titleFor(other))

/** A bullet or a row that names an item and says little of it. */
const isThin = (draft: Draft): boolean =>
  (draft.form === 'bullet' || draft.form === 'row') &&
  draft.criteria.length === 0 &&
  draft.sentence === undefined &&
  (draft.form === 'row' || draft.prose.length === 0)

function join(first: Draft, second: Draft, became: Map<Draft, Draft>): void {
  const [kept, dropped] = isThin(first) && !isThin(second) ? [second, first] : [first, second]
  became.set(dropped, kept)
  kept.points ??= dropped.points as number
  kept.priority ??= dropped.priority as NonNullable<Draft['priority']>
  kept.sentence ??= dropped.sentence as NonNullable<Draft['sentence']>
  kept.enablerType ??= dropped.enablerType as NonNullable<Draft['enablerType']>
  if (kept.container === undefined && dropped.container !== undefined) kept.container = dropped.container
  if (kept.criteria.length === 0) kept.criteria = dropped.criteria
  kept.prose.push(...dropped.prose)
  kept.keys.push(...dropped.keys)
  kept.groups.push(...dropped.groups)
  kept.parents.push(...dropped.parents)
  kept.depends.push(...dropped.depends)
  kept.blocks.push(...dropped.blocks)
  kept.labels.push(...dropped.labels)
}
