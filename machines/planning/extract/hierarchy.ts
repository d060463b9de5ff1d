// Hierarchy: the one parent of every feature, story and enabler, or none.
// What the writer names counts most, then what encloses the item, then what stands before it where headings do not
// nest, then its number ("Story 1.2.3" is under "Feature 1.2"), then a list of an item's stories.

import type { ItemType } from '../document.js'
import { type Draft, drafted, rankOf } from './drafts.js'
import { isBareReference, type Names, namesake, parentTypes, plainTitle } from './names.js'
import type { Link } from './reading.js'

export interface Hierarchy {
  parents: Map<Draft, Draft>
  /** Names of parents that nothing answers to, by the item that has no other parent. */
  unresolved: Map<Draft, string>
}

/** The parents of all drafts. */
export function hierarchyOf(
  drafts: readonly Draft[],
  links: readonly Link[],
  became: ReadonlyMap<Draft, Draft>,
  names: Names,
): Hierarchy {
  const hierarchy: Hierarchy = { parents: new Map(), unresolved: new Map() }
  const family: Family = {
    ...hierarchy,
    names,
    became,
    nested: nestedPairs(drafts),
    linked: linkedTo(links, names, became),
  }
  for (const type of ['feature', 'story', 'enabler'] satisfies ItemType[]) {
    for (const draft of drafts) if (draft.type === type) findParent(draft, family)
  }
  return hierarchy
}

interface Family extends Hierarchy {
  names: Names
  became: ReadonlyMap<Draft, Draft>
  /** Which types this document nests under which by heading depth. */
  nested: ReadonlySet<string>
  linked: ReadonlyMap<Draft, Draft>
}

function findParent(draft: Draft, family: Family): void {
  const around = enclosing(draft, family)
  const named = namedParent(draft, family)
  const parent =
    (around !== undefined && named !== undefined && family.parents.get(around) === named ? around : named) ??
    grouped(draft, family) ??
    around ??
    precedent(draft, family) ??
    numbered(draft, family) ??
    family.linked.get(draft)
  if (parent !== undefined) family.parents.set(draft, parent)
  const [first] = draft.parents
  if (named === undefined && first !== undefined && parent === undefined) family.unresolved.set(draft, first.text)
}

const mayHold = (parent: Draft, child: Draft): boolean => rankOf(parent.type) < rankOf(child.type)

/** The parent that is named; a feature rather than an epic when both are. */
function namedParent(draft: Draft, { names }: Family): Draft | undefined {
  const found = draft.parents.flatMap(({ text, type }) =>
    namesake(text, names).filter((other) => mayHold(other, draft) && (type === undefined || other.type === type)),
  )
  return found.find((other) => other.type === 'feature') ?? found[0]
}

/** A plain heading such as "Checkout" above stories, when it is also the title of an epic or a feature. */
function grouped(draft: Draft, { names }: Family): Draft | undefined {
  for (const group of draft.groups) {
    const found = names.titles.get(plainTitle(group))?.filter((other) => mayHold(other, draft)) ?? []
    if (found.length === 1) return found[0]
  }
  return undefined
}

function enclosing(draft: Draft, { became }: Family): Draft | undefined {
  let above = draft.container
  for (let steps = 0; above !== undefined && steps < 100; steps++) {
    const real: Draft = became.get(above) ?? above
    if (real !== draft && mayHold(real, draft)) return real
    above = above.container
  }
  return undefined
}

/** The item before it at its own depth, unless this document nests such items by depth elsewhere. */
function precedent(draft: Draft, { nested, became }: Family): Draft | undefined {
  const before = draft.before.findLast((other) => mayHold(other, draft) && !nested.has(pair(other, draft)))
  return before && (became.get(before) ?? before)
}

const pair = (parent: Draft, child: Draft): string => `${parent.type} ${rankOf(child.type)}`

function nestedPairs(drafts: readonly Draft[]): Set<string> {
  const pairs = new Set<string>()
  for (const draft of drafts) {
    if (draft.form !== 'heading') continue
    let above = draft.container
    for (let steps = 0; above !== undefined && steps < 100; steps++) {
      if (above.form === 'heading') pairs.add(pair(above, draft))
      above = above.container
    }
  }
  return pairs
}

/** "Story 1.2.3" is under "Feature 1.2", or else under "Epic 1". */
function numbered(draft: Draft, { names }: Family): Draft | undefined {
  const parts = draft.number.split('.')
  for (let length = parts.length - 1; length > 0; length--) {
    const prefix = parts.slice(0, length).join('.')
    for (const type of parentTypes(draft.type)) {
      const found = names.keys.get(`${type}${prefix}`)?.filter((other) => other.type === type) ?? []
      if (found.length === 1) return found[0]
    }
  }
  return undefined
}

function linkedTo(links: readonly Link[], names: Names, became: ReadonlyMap<Draft, Draft>): Map<Draft, Draft> {
  const linked = new Map<Draft, Draft>()
  for (const { owner, text } of links) {
    const parent = became.get(owner) ?? owner
    const [target, ...others] = namesake(text, names).filter((other) => mayHold(parent, other))
    if (target !== undefined && others.length === 0 && !linked.has(target)) linked.set(target, parent)
  }
  return linked
}

/** Epics and features that only a column of a table names. Each stands right before the first row that names it. */
export function withImplied(drafts: readonly Draft[], names: Names): Draft[] {
  const implied = new Map<string, Draft>()
  return drafts.flatMap((draft) => {
    const made = draft.parents.flatMap(({ text, type, implied: counts }) => {
      const key = `${type} ${plainTitle(text)}`
      if (
        !counts ||
        type === undefined ||
        implied.has(key) ||
        isBareReference(text) ||
        namesake(text, names).length > 0
      )
        return []
      const parent = drafted({ type, form: 'row', strong: false, title: text, written: text })
      if (type === 'feature') parent.parents.push(...draft.parents.filter((other) => other.type === 'epic'))
      implied.set(key, parent)
      return [parent]
    })
    return [...made.sort((a, b) => rankOf(a.type) - rankOf(b.type)), draft]
  })
}
