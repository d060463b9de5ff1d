// Dependencies: what each item must wait for, from its fields and from "depends on …" in its prose.
// A field's name that nothing answers to is reported. In prose only what an item answers to counts: prose also depends
// on the weather.

import type { Draft } from './drafts.js'
import { titleFor } from './drafts.js'
import { type Mentioned, mentioned, mentionsIn, type Names, namesake } from './names.js'

export interface Dependencies {
  on: Map<Draft, Set<Draft>>
  /** Names that could not be resolved, in document order. */
  doubts: { draft: Draft; name: string; why: 'missing' | 'ambiguous' | 'self' }[]
}

/** The dependencies of all drafts. */
export function dependenciesOf(
  drafts: readonly Draft[],
  parents: ReadonlyMap<Draft, Draft>,
  names: Names,
): Dependencies {
  const dependencies: Dependencies = { on: new Map(drafts.map((draft) => [draft, new Set<Draft>()])), doubts: [] }
  for (const draft of drafts) {
    for (const text of draft.depends) wait(draft, read(text, draft, parents, names), dependencies, true)
    for (const text of dependingProse(draft)) wait(draft, read(text, draft, parents, names), dependencies, false)
    for (const text of draft.blocks) {
      const { found, missing, ambiguous } = read(text, draft, parents, names)
      for (const blocked of found) wait(blocked, { found: [draft], missing: [], ambiguous: [] }, dependencies, true)
      wait(draft, { found: [], missing, ambiguous }, dependencies, true)
    }
  }
  return dependencies
}

function wait(
  draft: Draft,
  { found, missing, ambiguous }: Mentioned,
  { on, doubts }: Dependencies,
  report: boolean,
): void {
  for (const other of found) {
    if (other !== draft) on.get(draft)?.add(other)
    else if (report) doubts.push({ draft, name: titleFor(draft), why: 'self' })
  }
  if (!report) return
  doubts.push(...missing.map((name) => ({ draft, name, why: 'missing' as const })))
  doubts.push(...ambiguous.map((name) => ({ draft, name, why: 'ambiguous' as const })))
}

const LONG = 80

function read(text: string, from: Draft, parents: ReadonlyMap<Draft, Draft>, names: Names): Mentioned {
  const nearest = (found: Draft[]): Draft | undefined => nearestOf(found, from, parents)
  const result = mentioned(text, names, nearest)
  if (result.found.length > 0 || result.ambiguous.length > 0) return result
  // A sentence rather than a list of names: what it mentions counts.
  const mentions = text.length > LONG || /\s/.test(text) ? mentionsIn(text) : []
  const found = mentions.flatMap((mention) => nearest(namesake(mention, names)) ?? [])
  const name = text.length > LONG ? `${text.slice(0, LONG)}…` : text.trim()
  return found.length > 0
    ? { ...result, found, missing: [] }
    : { ...result, missing: result.missing.length > 0 ? [name] : [] }
}

/** Of several items with one name, the one nearest: another than itself, under its parent, under its epic. */
function nearestOf(found: readonly Draft[], from: Draft, parents: ReadonlyMap<Draft, Draft>): Draft | undefined {
  const rootOf = (draft: Draft): Draft => {
    const parent = parents.get(draft)
    return parent === undefined ? draft : (parents.get(parent) ?? parent)
  }
  const others = found.filter((draft) => draft !== from)
  const candidates = others.length > 0 ? others : found
  const narrower = [
    candidates,
    candidates.filter((draft) => parents.get(draft) === parents.get(from)),
    candidates.filter((draft) => rootOf(draft) === rootOf(from)),
  ]
  return narrower.find((drafts) => drafts.length === 1)?.[0]
}

const DEPENDING =
  /\b(?:depends? (?:up)?on|dependent (?:up)?on|blocked (?:by|on)|relies on)\s+((?:[^.;\n]|\.(?=\d)){2,160})/gi

const dependingProse = (draft: Draft): string[] =>
  draft.prose.flatMap((block) =>
    block.type === 'paragraph'
      ? [
          ...block.lines
            .map((line) => line.text)
            .join(' ')
            .matchAll(DEPENDING),
        ].map((match) => match[1] ?? '')
      : [],
  )
