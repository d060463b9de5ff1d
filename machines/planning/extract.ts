// Sections to a planning document, by rule: epics over features over stories and enablers, with fields and dependencies.
// The same sections always give the same document; what is doubtful becomes a warning, what has no parent stays an orphan.
// It never invents an item of prose, and never gives an empty document: then it says what it looked for.

import type { Epic, Feature, PlanningDocument, PlanningItem, PlanningWarning, Story } from './document.js'
import { emptyDocument, PlanningError } from './errors.js'
import { dependenciesOf } from './extract/dependencies.js'
import { type Draft, titleFor } from './extract/drafts.js'
import { withoutMentions } from './extract/duplicates.js'
import { readHabits } from './extract/habits.js'
import { readHeadings } from './extract/headings.js'
import { hierarchyOf, withImplied } from './extract/hierarchy.js'
import { namesOf, plainTitle } from './extract/names.js'
import { NOWHERE, outlineOf, type Reading, surveyOf, titleOf } from './extract/reading.js'
import { enablerTypeIn, enablerTypeOf } from './extract/values.js'
import { doubtWarnings, duplicateWarnings, parentWarnings } from './extract/warnings.js'
import type { ParsedDocument } from './parse.js'
import { render } from './render.js'

/**
 * The planning document that parsed Markdown holds.
 *
 * @throws PlanningError `EMPTY_DOCUMENT` when no section has any text, `NO_ITEMS_FOUND` when none holds an item.
 * @example
 * extractPlan(parseMarkdown('# Epic: Checkout\n## Story: Pay by card (5 points)')).stories[0]
 * // {id: 'story-1', title: 'Pay by card', parent: 'epic-1', storyPoints: 5, ...}
 */
export function extractPlan(document: ParsedDocument): PlanningDocument {
  const reading = readDocument(document)
  if (!isPlan(reading)) throw noItems(document)
  const merged = withoutMentions(reading.drafts)
  const drafts = withImplied(merged.drafts, namesOf(merged.drafts, new Map()))
  const ids = idsOf(drafts)
  const names = namesOf(drafts, ids)
  const hierarchy = hierarchyOf(drafts, reading.links, merged.became, names)
  const dependencies = dependenciesOf(drafts, hierarchy.parents, names)
  const items = drafts.map((draft) => itemOf(draft, ids, hierarchy.parents, [...(dependencies.on.get(draft) ?? [])]))
  const warnings = [
    ...parentWarnings(drafts, hierarchy, ids),
    ...doubtWarnings(dependencies, ids),
    ...duplicateWarnings(drafts, ids),
  ]
  return planOf(documentTitle(document, drafts), drafts, items, warnings)
}

function readDocument(document: ParsedDocument): Reading {
  if (document.sections.every(({ title, blocks }) => title === '' && blocks.length === 0)) throw emptyDocument()
  const reading: Reading = { drafts: [], named: new Set(), links: [], survey: surveyOf(document) }
  readHeadings(outlineOf(document.sections), NOWHERE, reading)
  readHabits(reading.drafts)
  return reading
}

/** Weak signs ("Features", `S3:`) make a plan only together, or where something else says that it is one. */
function isPlan({ drafts, survey }: Reading): boolean {
  if (drafts.length === 0) return false
  const told = drafts.some((draft) => draft.strong || draft.criteria.length > 0 || draft.points !== undefined)
  return told || survey.isPlan || new Set(drafts.map((draft) => draft.type)).size > 1
}

function noItems(document: ParsedDocument): PlanningError {
  const title = titleOf(document)
  return new PlanningError(
    'NO_ITEMS_FOUND',
    `No epic, feature, story or enabler was found${title === '' ? '' : ` in "${title.slice(0, 80)}"`}. Looked for headings, ` +
      'bold lines, list items and table rows such as "Epic: …", "Feature 1.2 — …", "US-12: …" or "Enabler: …", for sections ' +
      'titled "Epics", "Features", "User stories" or "Enablers", and for sentences "As a …, I want … so that …". ' +
      'A heading that works: "## Epic: Checkout", and under it "### Story: Pay by card (5 points)".',
  )
}

function idsOf(drafts: readonly Draft[]): Map<Draft, string> {
  const count = { epic: 0, feature: 0, story: 0, enabler: 0 }
  return new Map(drafts.map((draft) => [draft, `${draft.type}-${++count[draft.type]}`]))
}

function itemOf(
  draft: Draft,
  ids: ReadonlyMap<Draft, string>,
  parents: ReadonlyMap<Draft, Draft>,
  dependsOn: readonly Draft[],
): PlanningItem {
  const parent = parents.get(draft)
  const idOf = (other: Draft): string => ids.get(other) ?? ''
  return present({
    id: idOf(draft),
    key: draft.key,
    checked: draft.checked,
    title: titleFor(draft),
    description: render(draft.prose),
    parent: parent && idOf(parent),
    acceptanceCriteria: draft.criteria,
    storyPoints: draft.points,
    priority: draft.priority,
    labels: distinct(draft.labels),
    dependsOn: dependsOn.map(idOf),
    ...(draft.type === 'story' ? sentenceOf(draft) : {}),
    ...(draft.type === 'enabler' ? { enablerType: enablerTypeFor(draft) } : {}),
  })
}

function sentenceOf({ sentence }: Draft): Pick<Story, 'asA' | 'iWant' | 'soThat'> {
  if (sentence === undefined) return {}
  const { asA, iWant, soThat } = sentence
  return soThat === '' ? { asA, iWant } : { asA, iWant, soThat }
}

const enablerTypeFor = (draft: Draft): Draft['enablerType'] =>
  draft.enablerType ??
  enablerTypeOf(draft.title) ??
  draft.labels.map(enablerTypeIn).find((type) => type !== undefined) ??
  enablerTypeIn(render(draft.prose))

/** Without the keys that have no value. */
const present = (item: PlanningItem): PlanningItem =>
  Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined)) as unknown as PlanningItem

const distinct = (labels: readonly string[]): string[] => [
  ...new Map(labels.map((label) => [label.toLowerCase(), label])).values(),
]

function planOf(
  title: string,
  drafts: readonly Draft[],
  items: readonly PlanningItem[],
  warnings: PlanningWarning[],
): PlanningDocument {
  const of = <T extends PlanningItem>(type: Draft['type']): T[] =>
    items.filter((_, index) => drafts[index]?.type === type) as T[]
  return {
    title,
    epics: of<Epic>('epic'),
    features: of<Feature>('feature'),
    stories: of('story'),
    enablers: of('enabler'),
    warnings,
  }
}

/** The title of a document that is not the one of an item in it: of the front matter, or the first heading. */
export function ownTitleOf(document: ParsedDocument, plan: PlanningDocument): string | undefined {
  const title = titleOf(document)
  const items = [...plan.epics, ...plan.features, ...plan.stories, ...plan.enablers]
  return title === '' || title !== plan.title || items.some((item) => item.title === title) ? undefined : title
}

/** The first heading, without its marker when it is an item itself. */
function documentTitle(document: ParsedDocument, drafts: readonly Draft[]): string {
  const title = titleOf(document) || openingLine(document, drafts)
  const own = drafts.find((draft) => draft.form === 'heading' && plainTitle(title).endsWith(plainTitle(draft.written)))
  return (own === undefined ? title : titleFor(own)) || titleFor(drafts[0] as Draft)
}

/** The first line of a document without headings, unless it is an item. */
function openingLine({ sections }: ParsedDocument, drafts: readonly Draft[]): string {
  const [first] = sections[0]?.blocks ?? []
  const line = first?.type === 'paragraph' ? (first.lines[0]?.text ?? '') : ''
  return line.length > 120 || drafts.some((draft) => draft.written === line) ? '' : line
}
