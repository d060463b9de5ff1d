// Warnings: what was doubtful, in words for people and codes for programs.
// One warning says one thing about one item (or the items of one title), with their planning ids.

import type { PlanningWarning } from '../document.js'
import type { Dependencies } from './dependencies.js'
import { type Draft, titleFor } from './drafts.js'
import type { Hierarchy } from './hierarchy.js'
import { plainTitle } from './names.js'

type Ids = ReadonlyMap<Draft, string>

const called = (draft: Draft): string => `The ${draft.type} "${titleFor(draft)}"`

/** Items without a parent, and parents that were named but are nowhere. */
export function parentWarnings(
  drafts: readonly Draft[],
  { parents, unresolved }: Hierarchy,
  ids: Ids,
): PlanningWarning[] {
  return drafts.flatMap((draft) => {
    if (draft.type === 'epic' || parents.has(draft)) return []
    const item = ids.get(draft) ?? ''
    const name = unresolved.get(draft)
    const above = draft.type === 'feature' ? 'an epic' : 'an epic or a feature'
    const orphan: PlanningWarning = {
      code: 'ORPHANED_ITEM',
      message: `${called(draft)} has no parent. Put it under ${above}, or name one: "Parent: …".`,
      details: { item },
    }
    if (name === undefined) return [orphan]
    return [
      {
        code: 'UNRESOLVED_PARENT',
        message: `${called(draft)} names the parent "${name}", which the document does not have.`,
        details: { item, name },
      },
      orphan,
    ]
  })
}

const DOUBTS: Readonly<
  Record<Dependencies['doubts'][number]['why'], [PlanningWarning['code'], (name: string) => string]>
> = {
  missing: ['UNRESOLVED_DEPENDENCY', (name) => `depends on "${name}", which is no item of the document.`],
  ambiguous: ['AMBIGUOUS_DEPENDENCY', (name) => `depends on "${name}", which several items answer to.`],
  self: ['SELF_DEPENDENCY', () => 'is said to depend on itself.'],
}

/** Dependencies that could not be resolved. */
export function doubtWarnings({ doubts }: Dependencies, ids: Ids): PlanningWarning[] {
  return doubts.map(({ draft, name, why }) => {
    const [code, words] = DOUBTS[why]
    return { code, message: `${called(draft)} ${words(name)}`, details: { item: ids.get(draft) ?? '', name } }
  })
}

/** Items of one type and one title. */
export function duplicateWarnings(drafts: readonly Draft[], ids: Ids): PlanningWarning[] {
  const groups = new Map<string, Draft[]>()
  for (const draft of drafts) {
    const name = `${draft.type} ${plainTitle(titleFor(draft))}`
    const same = groups.get(name)
    if (same === undefined) groups.set(name, [draft])
    else same.push(draft)
  }
  return [...groups.values()].flatMap((same) => {
    const [first] = same
    if (first === undefined || same.length < 2) return []
    const title = titleFor(first)
    const items = same.map((draft) => ids.get(draft) ?? '')
    return [
      {
        code: 'DUPLICATE_TITLE',
        message: `${items.join(' and ')} have one title, "${title}".`,
        details: { title, items },
      } satisfies PlanningWarning,
    ]
  })
}
