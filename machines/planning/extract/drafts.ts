// Drafts: items as they are being read, before they have ids and before names are resolved.
// A draft holds its parent and dependencies as the writer named them; what encloses it, as a reference to that draft.
// The first value written for a field counts.

import type { Block, Line } from '../blocks.js'
import type { EnablerType, ItemType, Priority } from '../document.js'
import { memberCode, plainKey, trackerCode, writtenKey } from './codes.js'
import { criteriaIn, itemText } from './criteria.js'
import { type Field, fieldsIn, type Titled, titled } from './fields.js'
import { type Form, type Marker, saysNothing } from './markers.js'
import { type Sentence, sentenceIn, shortened, TITLE_CHARS, titleOf } from './sentences.js'
import { enablerTypeIn, labelsIn, pointsIn, priorityIn } from './values.js'

/** A parent as it was named: "Epic: Accounts". */
export interface ParentName {
  text: string
  /** The type the label says, if it says one. */
  type?: ItemType
  /** True when the name stands for the parent even if nothing else in the document does: a column of a table. */
  implied: boolean
}

export interface Draft {
  type: ItemType
  form: Form | 'row'
  strong: boolean
  /** Empty until a marker, a field or a sentence gives one. */
  title: string
  /** How the item was announced, for one that never gets a title. */
  written: string
  keys: string[]
  /** One of the keys, as it is written. */
  key?: string
  checked?: boolean
  number: string
  /** The item that this one stands in, of whatever type. */
  container?: Draft
  /** Headings of the same depth before it, for documents that do not nest. */
  before: Draft[]
  /** Titles of plain headings and topics between it and its container, innermost first. */
  groups: string[]
  parents: ParentName[]
  depends: string[]
  blocks: string[]
  criteria: string[]
  points?: number
  priority?: Priority
  labels: string[]
  enablerType?: EnablerType
  sentence?: Sentence
  prose: Block[]
}

/** Epics above features above stories and enablers. */
export const rankOf = (type: ItemType): number => (type === 'epic' ? 0 : type === 'feature' ? 1 : 2)

export const isLeaf = (draft: Draft | undefined): draft is Draft => draft !== undefined && rankOf(draft.type) === 2

export interface Announcement {
  type: ItemType
  form: Draft['form']
  strong: boolean
  /** The line that announces it, without the marker. */
  title: string
  written: string
  marker?: Marker
  container?: Draft | undefined
  groups?: readonly string[]
  enablerType?: EnablerType | undefined
  checked?: boolean
}

/** A new draft. Notes in its title become fields; a title that is a story sentence becomes its sentence. */
export function drafted(news: Announcement): Draft {
  const { title, sentence, keys, fields, prose } = headingOf(news)
  const enablerType = news.marker?.enablerType ?? news.enablerType
  const allKeys = [...(news.marker?.keys ?? []), ...keys]
  const key = writtenKey(news.written, allKeys)
  const draft: Draft = {
    type: news.type,
    form: news.form,
    strong: news.strong,
    title,
    written: news.written,
    keys: allKeys,
    ...(key !== undefined && { key }),
    ...(news.checked && { checked: true }),
    number: news.marker?.number ?? '',
    before: [],
    groups: [...(news.groups ?? [])],
    parents: news.marker?.parent === undefined ? [] : [{ text: news.marker.parent, implied: false }],
    depends: [],
    blocks: [],
    criteria: [],
    labels: [...(news.marker?.labels ?? [])],
    prose: prose === '' ? [] : [{ type: 'paragraph', lines: [lineOf(prose)] }],
    ...(news.container && { container: news.container }),
    ...(enablerType && { enablerType }),
  }
  if (sentence !== undefined) tell(draft, sentence, [])
  for (const field of fields) takeField(draft, field, [])
  return draft
}

/** "Event bus (architecture)" */
const TYPE_NOTE = /\s*[([](architecture|infrastructure|technical debt|tech debt|research)[)\]](?=\s*(?:[([–—|·,-]|$))/i

interface Heading extends Titled {
  sentence?: Sentence
  /** What of the line is more than a title; empty when nothing is. */
  prose: string
}

/** "Sign up — As a visitor, I want …" */
const TITLE_AND_SENTENCE = /^(.{3,120}?)\s*[–—:.-]+\s+(?=(?:As (?:an?|the)|In order to)\s.{1,200}\bI\b)/

/** A line taken apart: title, story sentence, notes, names, and what is prose. */
function headingOf({ type, title: line, form, marker }: Announcement): Heading {
  const note = type === 'enabler' ? TYPE_NOTE.exec(line) : null
  const noted = titled(note === null ? line : line.replace(TYPE_NOTE, ''))
  const code = marker === undefined ? (memberCode(noted.title, type) ?? trackerCode(noted.title)) : undefined
  const whole = code === undefined ? noted : { ...noted, title: code.title, keys: [...noted.keys, ...code.keys] }
  const typed: Field[] = note === null ? [] : [{ kind: 'type', value: note[1] ?? '' }]
  const before = TITLE_AND_SENTENCE.exec(whole.title)
  const text = before === null ? whole.title : whole.title.slice(before[0].length)
  const sentence = sentenceIn(text)
  if (sentence !== undefined) {
    const fields = [...typed, ...whole.fields, ...fieldsIn(sentence.rest)]
    return { title: before?.[1] ?? '', sentence, fields, keys: whole.keys, prose: text }
  }
  const { title } = whole
  const first = form === 'heading' ? title : firstSentence(title)
  const short = titled(first)
  return {
    title: short.title,
    fields: [...typed, ...whole.fields, ...short.fields],
    keys: whole.keys,
    prose: first.length < title.length || first.length > TITLE_CHARS ? title : '',
  }
}

/** Of a long line, its first sentence: the rest explains it. */
function firstSentence(text: string): string {
  const end =
    text.length < 48 ? null : /^.{8,}?(?<!\b(?:e\.g|i\.e|vs|no|nr|st|mr|mrs|dr|approx))[.!?](?=\s+\p{Lu})/iu.exec(text)
  return end === null ? text : end[0].replace(/\.$/, '')
}

export const lineOf = (text: string): Line => ({ text, strong: '', markdown: text, anchor: false })

/** Gives a story its sentence, and keeps the lines it stands in as prose. */
export function tell(draft: Draft, sentence: Sentence, lines: readonly Line[]): void {
  if (draft.type === 'story') draft.sentence ??= sentence
  if (draft.title === '') draft.title = titleOf(sentence)
  if (lines.length > 0) draft.prose.push({ type: 'paragraph', lines: [...lines] })
}

/** The title, or what comes nearest to one. */
export function titleFor(draft: Draft): string {
  if (draft.title !== '') return shortened(draft.title)
  const first = draft.prose.find((block) => block.type === 'paragraph')?.lines[0]?.text
  return shortened(first ?? draft.written)
}

/** Puts a field into a draft. False when its value cannot be read: then the line is prose. */
export function takeField(draft: Draft, field: Field, below: readonly Block[]): boolean {
  if (saysNothing(field.value)) return true
  return takers[field.kind](draft, field, below)
}

type Taker = (draft: Draft, field: Field, below: readonly Block[]) => boolean

const takers: Readonly<Record<Field['kind'], Taker>> = {
  criteria(draft, field, below) {
    draft.criteria.push(...criteriaIn(field.value, below))
    return true
  },
  points(draft, field, below) {
    const points = pointsIn(told(field, below))
    if (points !== undefined) draft.points ??= points
    return points !== undefined
  },
  priority: (draft, field, below) => prioritise(draft, priorityIn(told(field, below))),
  moscow: (draft, field, below) => prioritise(draft, priorityIn(told(field, below), { moscow: true })),
  labels(draft, field, below) {
    draft.labels.push(...[field.value, ...linesBelow(below)].flatMap(labelsIn))
    return true
  },
  depends(draft, field, below) {
    draft.depends.push(...namesIn(field, below))
    return true
  },
  blocks(draft, field, below) {
    draft.blocks.push(...namesIn(field, below))
    return true
  },
  parent(draft, field, below) {
    const text = told(field, below)
    if (text === '') return false
    draft.parents.push({ text, implied: false, ...(field.parentType && { type: field.parentType }) })
    return true
  },
  type(draft, field, below) {
    const value = told(field, below)
    const enablerType = enablerTypeIn(value)
    const enabler = /\b(?:enabler|spike)\b/i.test(value)
    if (enabler && isLeaf(draft)) draft.type = 'enabler'
    if (draft.type !== 'enabler') return /^(?:epic|feature|(?:user )?story)$/i.test(value)
    if (enablerType !== undefined) draft.enablerType ??= enablerType
    return enabler || enablerType !== undefined
  },
  title(draft, field, below) {
    const value = told(field, below)
    if (draft.title !== '' || value === '') return draft.title === value
    const sentence = sentenceIn(value)
    if (sentence === undefined) draft.title = value
    else tell(draft, sentence, [lineOf(value)])
    return true
  },
  description(draft, field, below) {
    const sentence = sentenceIn(field.value)
    if (sentence !== undefined) tell(draft, sentence, [lineOf(field.value)])
    else if (field.value !== '') draft.prose.push({ type: 'paragraph', lines: [lineOf(field.value)] })
    draft.prose.push(...below)
    return true
  },
  sentence(draft, field, below) {
    const value = told(field, below)
    const sentence = sentenceIn(value)
    if (sentence === undefined || !isLeaf(draft)) return false
    tell(draft, sentence, [lineOf(value)])
    return true
  },
  id(draft, field, below) {
    const value = told(field, below)
    draft.keys.push(...(trackerCode(value)?.keys ?? [plainKey(value)]).filter((key) => key !== ''))
    setKey(draft, value)
    return true
  },
}

/** Keeps how a name is written that the draft has got. */
export function setKey(draft: Draft, text: string): void {
  const key = draft.key ?? writtenKey(text, draft.keys)
  if (key !== undefined) draft.key = key
}

function prioritise(draft: Draft, priority: Priority | undefined): boolean {
  if (priority !== undefined) draft.priority ??= priority
  return priority !== undefined
}

const told = (field: Field, below: readonly Block[]): string => field.value || (linesBelow(below)[0] ?? '')

function namesIn(field: Field, below: readonly Block[]): string[] {
  return [...field.value.split('\n'), ...linesBelow(below)].filter((name) => name.trim() !== '' && !saysNothing(name))
}

const linesBelow = (below: readonly Block[]): string[] =>
  below.flatMap((block) => {
    if (block.type === 'list') return block.items.map(itemText)
    return block.type === 'paragraph' ? block.lines.map((line) => line.text) : []
  })
