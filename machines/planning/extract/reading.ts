// What is known while a document is read: where the reader stands, what it has found, and what kind of text this is.
// The survey looks at the whole document once, for the signs that a single line cannot give.

import type { Block, Line, ListItem } from '../blocks.js'
import type { EnablerType, ItemType } from '../document.js'
import type { ParsedDocument, Section } from '../parse.js'
import { type Draft, rankOf } from './drafts.js'
import { type Form, letterCodeIn, type Marker, markerIn } from './markers.js'
import { sentenceIn } from './sentences.js'
import { collectionIn, isAside, saysPlan } from './titles.js'

/** Where the reader stands. */
export interface Place {
  /** The item that what is read belongs to. */
  owner?: Draft | undefined
  /** The types that child headings or bullets have here, outermost first; empty outside of a collection. */
  collection: readonly ItemType[]
  /** False for "Features" and what else is a collection only in a plan. */
  strong: boolean
  groups: readonly string[]
  enablerType?: EnablerType | undefined
  /** True under a plain heading of the owner ("Tasks"): checkboxes there are not its criteria. */
  apart: boolean
  /** True under a plain heading that groups items ("Small orders"): fields there are not the owner's. */
  grouping: boolean
}

export const NOWHERE: Place = { collection: [], strong: false, groups: [], apart: false, grouping: false }

/** An item said to belong to another: a bullet "US-3" or a linked title in an epic. */
export interface Link {
  owner: Draft
  text: string
}

export interface Reading {
  drafts: Draft[]
  /** The types and titles of the drafts. */
  named: Set<string>
  links: Link[]
  survey: Survey
}

/** Keeps an item that was found. */
export function add({ drafts, named }: Reading, draft: Draft): void {
  drafts.push(draft)
  named.add(nameOf(draft))
}

const nameOf = ({ type, title }: Pick<Draft, 'type' | 'title'>): string => `${type} ${title.toLowerCase()}`

/** True when an item of this type and title was found before. */
export const isNamed = ({ named }: Reading, name: Pick<Draft, 'type' | 'title'>): boolean => named.has(nameOf(name))

/** "Epic: Accounts" in a story says what the story belongs to. */
export const namesParent = (marker: Marker, owner: Draft | undefined): owner is Draft =>
  owner !== undefined && marker.title !== '' && rankOf(marker.type) < rankOf(owner.type)

export interface Survey {
  /** Several codes of a single letter occur (`E1`, `S3`), so they are codes and not products. */
  lettersCount: boolean
  /** Features are announced otherwise than as "Key features". */
  hasFeatures: boolean
  /** The title says that this is a plan. */
  isPlan: boolean
}

export function surveyOf(document: ParsedDocument): Survey {
  const codes = new Set<string>()
  let hasFeatures = false
  const look = (text: string, form: Form): void => {
    const code = letterCodeIn(text)
    if (code !== undefined) codes.add(code)
    hasFeatures ||= markerIn(text, { form, lettersCount: true })?.type === 'feature'
  }
  for (const section of sectionsRead(document.sections)) {
    const collection = collectionIn(section.title)
    hasFeatures ||= collection?.types.includes('feature') === true && !collection.highlights
    look(section.title, 'heading')
    for (const line of firstLines(section.blocks)) look(line.text, 'bullet')
  }
  return { lettersCount: codes.size > 1, hasFeatures, isPlan: saysPlan(titleOf(document)) }
}

/** Sections without asides and what stands under them. */
function sectionsRead(sections: readonly Section[]): Section[] {
  let aside = 7
  return sections.filter(({ depth, title }) => {
    if (depth <= aside) aside = isAside(title) ? depth : 7
    return aside === 7
  })
}

/** The document's title: its front matter's, or its first heading. */
export const titleOf = ({ title, sections }: ParsedDocument): string =>
  title || (sections.find((section) => section.title !== '')?.title ?? '')

/** The first line of every paragraph and list item, however deep. */
function firstLines(blocks: readonly Block[]): Line[] {
  return blocks.flatMap((block) => {
    if (block.type === 'paragraph') return block.lines.slice(0, 1)
    return block.type === 'list' ? block.items.flatMap((item) => firstLines(item.blocks)) : []
  })
}

/** A list item's own first line. */
export function headOf(item: ListItem): Line | undefined {
  const [first] = item.blocks
  return first?.type === 'paragraph' ? first.lines[0] : undefined
}

/** What of a list item is not its first line. */
export function restOf(item: ListItem): Block[] {
  const [first, ...blocks] = item.blocks
  if (first?.type !== 'paragraph') return item.blocks
  return first.lines.length === 1 ? blocks : [{ type: 'paragraph', lines: first.lines.slice(1) }, ...blocks]
}

/** Notes between a title and what explains it: "(5 points) [P1] #web", or all that follows a bar or a dot. */
const NOTES = /^(?:\s*(?:\([^()]{1,80}\)|\[[^[\]]{1,80}\]|#\p{L}[\w-]*))+|^[|·•,].*$/su

/** The marker of a line; first of the part that leads in bold, since the rest of such a line is often prose. */
export function markerOf(line: Line, form: Form, { survey }: Reading): (Marker & { tail: string }) | undefined {
  const options = { form, lettersCount: survey.lettersCount }
  const led = line.strong !== '' && line.strong !== line.text && line.text.startsWith(line.strong)
  const strong = led ? markerIn(line.strong, options) : undefined
  const tail = line.text.slice(line.strong.length).trim()
  if (strong !== undefined && strong.title !== '') {
    // "**Story 3: Sign up** (5 points)" is one title; "**Story 3: Sign up** — buyers need …" is title and prose.
    const notes = NOTES.exec(tail)?.[0] ?? ''
    const prose = tail.slice(notes.length).replace(/^[\s:：–—.;-]+/, '')
    return { ...strong, title: `${strong.title} ${notes}`.trim(), tail: prose }
  }
  // "**US-12** Pay by card": that the marker alone is bold sets it off as a colon would.
  const text =
    strong === undefined || /^[:：–—.-]/.test(tail) ? line.text : `${line.strong.replace(/[:：]$/, '')}: ${tail}`
  const marker = markerIn(text, options)
  return marker && { ...marker, tail: marker.tail ?? '' }
}

/** A heading with the headings under it. */
export interface Outline extends Section {
  children: Outline[]
}

/** Sections as a tree, by their depth. */
export function outlineOf(sections: readonly Section[]): Outline[] {
  const root: Outline = { depth: -1, title: '', blocks: [], children: [] }
  const open = [root]
  for (const section of sections) {
    const outline = { ...section, children: [] }
    while ((open.at(-1)?.depth ?? -1) >= section.depth) open.pop()
    ;(open.at(-1) ?? root).children.push(outline)
    if (section.depth > 0) open.push(outline)
  }
  return root.children
}

/** How many lines of bullets and tables in `blocks` are items by themselves: marked, or story sentences. */
export const itemsWithin = (blocks: readonly Block[], reading: Reading): number =>
  blocks.reduce((sum, block) => sum + itemsInBlock(block, reading), 0)

function itemsInBlock(block: Block, reading: Reading): number {
  if (block.type === 'table') return collectionIn(`${block.header[0] ?? ''}s`) === undefined ? 0 : block.rows.length
  if (block.type !== 'list') return 0
  return block.items.reduce((sum, item) => {
    const head = headOf(item)
    const own = head !== undefined && announces(head, 'bullet', reading) ? 1 : 0
    return sum + own + itemsWithin(item.blocks, reading)
  }, 0)
}

/** True for a line that is an item by itself. */
const announces = (line: Line, form: Form, reading: Reading): boolean =>
  (markerOf(line, form, reading)?.title ?? '') !== '' || sentenceIn(line.text) !== undefined || isWish(line.text)

/** "I want …, so that …": a story, where its role stands above. */
export const isWish = (text: string): boolean =>
  /^I (?:want|need|would like|['’]d like)\b.{3,}\b(?:so that|in order to)\b/i.test(text)

/** True when any heading in the tree, or any bullet under one, is an item. */
export const holdsItems = (outlines: readonly Outline[], reading: Reading): boolean =>
  outlines.some(
    ({ title, blocks, children }) =>
      markerIn(title, { form: 'heading', lettersCount: reading.survey.lettersCount }) !== undefined ||
      collectionIn(title) !== undefined ||
      sentenceIn(title) !== undefined ||
      itemsWithin(blocks, reading) > 0 ||
      holdsItems(children, reading),
  )
